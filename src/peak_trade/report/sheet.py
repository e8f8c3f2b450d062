"""A page of its own in the report's style: its frame, its sections, curves of many colours, and how it is written.

For what is about more than one run, and so in no run's directory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from peak_trade import places
from peak_trade.errors import RunError
from peak_trade.report import inline
from peak_trade.report.markup import contents, text
from peak_trade.report.render import QMD, replace

__all__ = ["across", "sheet", "style", "write"]

_COLOURS = ("blue", "orange", "green", "purple", "grey")
_DASHES = ("", "6 3", "2 3", "9 3 2 3")
_STRIPES = (  # the same in a legend, in em: what is drawn, and what is not
    (), (0.4, 0.2), (0.15, 0.2), (0.45, 0.15, 0.15, 0.15),
)  # fmt: skip
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'{scripts}">
<title>{title}</title>
<style>
{css}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""
_CSS = """
.inputs th, .inputs td, .runs th, .runs td {
  text-align: left; vertical-align: top; white-space: normal; overflow-wrap: anywhere; min-width: 7rem;
}
.inputs thead th, .runs thead th { white-space: nowrap; }
.inputs th:first-child { min-width: 11rem; }
.runs th:first-child { min-width: 1.5rem; }
@media print { .inputs td { min-width: 3rem; } }
.runs code { white-space: nowrap; }
.inputs td.likely { font-weight: 600; color: var(--override); }
.inputs pre { margin: .25rem 0; padding: .4rem .6rem; }
.tiles.three { grid-template-columns: repeat(3, 1fr); }
@media (max-width: 640px) {
  .tiles.three { grid-template-columns: 1fr; }
  .costs th { white-space: normal; }
}
.made td:nth-child(2), .made th:nth-child(2), .made td:last-child, .made th:last-child { text-align: left; }
.differing td:nth-child(-n+3), .differing th:nth-child(-n+3) { text-align: left; }
.differing td:last-child, .differing th:last-child { min-width: 24rem; text-align: left; white-space: normal; }
@media print { .differing :is(td, th):last-child { min-width: 0; } }
"""


def sheet(title: str, head: str, sections: Iterable[tuple[str, str, str]], foot: str, curves: int) -> str:
    """Return a page: `head` and `foot` are HTML, of the sections (name, title, HTML) those that hold something.

    There is a look for each of so many `curves`, of the classes `run0`, `run1` and so on.
    """
    there = [one for one in sections if one[2]]
    body = f'<header class="verdict">{head}{contents([(name, words) for name, words, _ in there])}</header>'
    body += "".join(f'<section id="{name}"><h2>{words}</h2>{content}</section>' for name, words, content in there)
    body += f"<footer><p>{foot}</p></footer>" + (inline.script("pointer") if 'class="values"' in body else "")
    return _PAGE.format(title=text(title), css=style(curves), body=body, scripts=inline.allowed(body))


def style(curves: int) -> str:
    """Return the report's style, and the looks of so many curves over each other."""
    return (places.shipped(QMD).parent / "report.css").read_text(encoding="utf-8") + _CSS + _styles(curves)


def write(content: str, folder: Path, run_ids: Sequence[str], output: Path | None = None) -> Path:
    """Write a page about runs to `output`, by default under their names in a folder, and return its path.

    Raises RunError where it can't be written.
    """
    # what a manifest calls its run is a stranger's word, which may lead elsewhere
    names = "_".join(re.sub("[^0-9a-f]", "", run_id)[:8] or "run" for run_id in run_ids[:4])
    path = folder / f"compare_{names}{'_more' if len(run_ids) > 4 else ''}.html" if output is None else output
    try:
        with suppress(FileNotFoundError):
            if kind := places.taken(path):
                raise RunError(f"cannot write {path}: it is {kind}", hint="--html FILE")
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, content)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}", hint="check the folder and the disk") from None
    return path


def _styles(count: int) -> str:
    """Return the look of each run's curves: five colours, and then dashes."""
    rules = []
    for at in range(count):
        colour, dash = f"var(--{_COLOURS[at % len(_COLOURS)]})", _DASHES[at // len(_COLOURS) % len(_DASHES)]
        dashed = f" stroke-dasharray: {dash}; stroke-linecap: butt;" if dash else ""
        rules.append(f"svg.panel .run{at} {{ stroke: {colour}; stroke-width: 1.4;{dashed} }}")
        rules.append(f".legend .run{at} {{ --mark: {_mark(colour, _STRIPES[at // len(_COLOURS) % len(_STRIPES)])}; }}")
    return "\n".join(rules) + "\n"


def _mark(colour: str, stripes: Sequence[float]) -> str:
    """Return a background that looks as a curve does."""
    stops, at = [], 0.0
    for place, length in enumerate(stripes):
        paint = "transparent" if place % 2 else colour
        stops.append(f"{paint} {at:g}em {at + length:g}em")
        at = round(at + length, 3)
    return f"repeating-linear-gradient(90deg, {', '.join(stops)})" if stops else colour


def across(times: npt.NDArray[Any], start: Any, end: Any) -> npt.NDArray[np.float64]:
    """Return times as fractions of a span; in the middle of one without length."""
    if end <= start:
        return np.full(len(times), 0.5)
    return np.asarray((times - start) / (end - start))
