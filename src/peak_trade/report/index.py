"""One page over all runs: a table that sorts and filters itself, a curve for each run, links to the reports.

A curve is read at some sixty places of `equity.csv`, whatever its length, so that ten thousand runs take seconds and
no cache has to be kept.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Container, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from peak_trade.evidence import door
from peak_trade.evidence.ledger import is_run_id
from peak_trade.evidence.results import Results
from peak_trade.report.markup import number, percent, text
from peak_trade.report.render import OUTPUT, replace
from peak_trade.report.svg import through
from peak_trade.shown import apart, listing
from peak_trade.text import cut

__all__ = ["sample", "write"]

_SHOWN = 500  # rows before "Show all": a browser lays out ten thousand in seconds
_POINTS = 60  # of a curve, at most
_LINE = 256  # bytes: two lines of equity.csv are shorter
_LARGEST = 1e300  # a curve of more, or of no number, can't be drawn
_WIDTH, _HEIGHT = 240, 56  # units of a curve
_NAME, _DIFFERS, _REASON = 60, 200, 300  # characters of a run's name, of what it differs in, of why it failed
_COLUMNS = (
    "Run", "Started (UTC)", "Strategy", "Symbol", "Differs in", "Status", "Return", "Sharpe", "Max drawdown", "Equity",
)  # fmt: skip


def write(results: Results) -> Path:
    """Write `results/index.html` over every run that the ledger or a directory tells of, and return its path.

    Raises OSError where it can't be written.
    """
    there, kept = {path.name for path in results.runs()}, _kept(results)
    listed = _grouped(listing.rows(results), kept)
    files = resources.files("peak_trade.report")
    script = (files / "index.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    parts = {
        "script_hash": f"sha256-{digest}",  # the one script that the page lets run
        "count": f"{len(listed):,}",
        "head": "".join(_head(name) for name in _COLUMNS),
        "limit": str(_SHOWN),
        "rows": "\n".join(
            _row(results.path, row, there, place >= _SHOWN, kept.get(row.run_id)) for place, row in enumerate(listed)
        ),
        "more": "" if len(listed) > _SHOWN else " hidden",
        "script": script,
    }
    page = (files / "index.html").read_text(encoding="utf-8")
    for name, content in parts.items():
        before, _, after = page.partition("{" + name + "}")
        page = before + content + after
    path = results.path / "index.html"
    replace(path, page)
    return path


def _head(name: str) -> str:
    return f'<th scope="col">{name if name == "Equity" else f"<button type=button>{name}</button>"}</th>'


def _kept(results: Results) -> dict[str, tuple[str, int]]:
    """Return of which sweep each run was kept, and as which of its trials, by the ledger."""
    found = {}
    for run_id, history in results.reading().runs.items():
        parent, trial = history.fields.get("parent"), history.fields.get("trial")
        if isinstance(parent, str) and is_run_id(parent) and type(trial) is int:
            found[run_id] = parent, trial
    return found


def _grouped(listed: Sequence[listing.Row], kept: Mapping[str, tuple[str, int]]) -> list[listing.Row]:
    """Return runs in their order, those that were kept of a sweep below it, by the numbers of their trials."""
    below: dict[str, list[listing.Row]] = {row.run_id: [] for row in listed if row.run_id not in kept}
    alone: list[listing.Row] = []
    for row in listed:
        parent = kept.get(row.run_id, ("",))[0]
        (below[parent] if parent in below and not row.lookahead else alone).append(row)
    for rows in below.values():
        rows.sort(key=lambda row: kept[row.run_id][1])
    return [each for row in alone for each in (row, *below.get(row.run_id, ()))]


def _row(results: Path, row: listing.Row, directories: Container[str], hidden: bool, of: tuple[str, int] | None) -> str:
    """Return a run as a row; the name of a directory is a plain run_id, what the ledger tells may be anything."""
    there = row.run_id in directories
    short = f"<code>{text(row.run_id[:8])}</code>"
    if there and door.exists(results / row.run_id, OUTPUT):
        short = f'<a href="{row.run_id}/{OUTPUT}">{short}</a>'
    short += f"<small>{text(cut(row.name, _NAME))}</small>" if row.name else ""
    short += f"<small>trial {of[1]:,} of <code>{of[0][:8]}</code></small>" if of else ""
    differs = text(cut(apart.said(row.differs), _DIFFERS))
    differs += f'<small class="failed">{text(cut(row.reason, _REASON))}</small>' if row.reason else ""
    figures = "".join(
        _figure(value, write(value))
        for value, write in ((row.total_return, percent), (row.sharpe, number), (row.max_drawdown, percent))
    )
    curve = _curve(sample(results / row.run_id)) if there else ""
    last = " data-last" if row.lookahead else ""
    made = f"<small>{text(cut(row.origin, _NAME))}</small>" if row.origin else ""
    started = text(row.started[:19].replace("T", " "))
    return (
        f"<tr{' hidden' if hidden else ''}{last}{' class=kept' if of else ''}>"
        f'<th scope="row">{short}</th><td>{started}</td>'
        f"<td>{text(row.title[-48:])}{made}</td><td>{text(row.traded)}</td>"
        f"<td>{differs}</td>"
        f'<td class="{text("doubted" if row.standing != row.status else row.status)}">{text(row.standing)}</td>'
        f"{figures}<td>{curve}</td></tr>"
    )


def _figure(value: Any, shown: str) -> str:
    return f'<td data-v="{value!r}">{shown}</td>' if isinstance(value, int | float) else "<td></td>"


def _curve(values: list[float]) -> str:
    if len(values) < 2:
        return ""
    heights, span = np.array(values), max(values) - min(values) or 1.0
    y = np.rint((max(values) - heights) / span * _HEIGHT).astype(np.int64)
    x = np.rint(np.linspace(0, _WIDTH, len(values))).astype(np.int64)
    name = ' class="loss"' if values[-1] < values[0] else ""
    return (
        f'<svg aria-hidden="true" viewBox="0 -2 {_WIDTH} {_HEIGHT + 4}" preserveAspectRatio="none">'
        f'<path{name} d="{through(x, y)}"/></svg>'
    )


def sample(run_dir: Path, points: int = _POINTS) -> list[float]:
    """Return the equity at about `points` places of a run's equity.csv, its first and last row among them.

    Places are equally far apart in bytes, and so almost in rows. Empty where the file is missing or anything else.
    """
    found: dict[bytes, float] = {}
    try:
        with door.reading(run_dir, "equity.csv") as stream:
            handle = stream.fileno()
            size = os.fstat(handle).st_size
            start = os.pread(handle, _LINE, 0).index(b"\n")
            for place in range(points - 1):
                offset = start + (size - start) * place // (points - 1)
                line = os.pread(handle, _LINE, offset).split(b"\n", 2)[1]  # the first row that begins after that place
                if line:
                    stamp, equity, *_ = line.split(b",")
                    found[stamp] = float(equity)
            last = os.pread(handle, _LINE, max(size - _LINE, 0)).rstrip(b"\n").rpartition(b"\n")[2]
            stamp, equity, *_ = last.split(b",")
            found[stamp] = float(equity)
    except (OSError, ValueError, IndexError):
        return []
    return list(found.values()) if all(abs(value) < _LARGEST for value in found.values()) else []
