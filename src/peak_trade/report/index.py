"""One page over all runs: a table that sorts and filters itself, and runs that are ticked, drawn over each other.

The page carries each run as a few words and numbers, from which its script draws the rows that are in sight; without
scripts it has the newest ones. A curve is read at some sixty places of `equity.csv`, whatever its length, so that ten
thousand runs take seconds and no cache has to be kept.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from peak_trade.evidence import door
from peak_trade.evidence.ledger import is_run_id
from peak_trade.evidence.manifest import IMPORTED, RUN, SWEPT
from peak_trade.evidence.results import Results
from peak_trade.report import inline, sheet
from peak_trade.report.carried import whole
from peak_trade.report.markup import number, percent, text
from peak_trade.report.render import OUTPUT, replace
from peak_trade.report.svg import through
from peak_trade.report.values import encoded
from peak_trade.shown import apart, listing
from peak_trade.stats.values import Floats, Times
from peak_trade.text import cut, one_line
from peak_trade.trust.luck import listed
from peak_trade.trust.luck.figures import LEVEL

__all__ = ["sample", "write"]

_PLAIN = 200  # rows of a page whose script does not run
_CURVES = 5_000  # runs that have one, the newest: more would make the page large
_DRAWN = 8  # curves over each other in one figure
_POINTS = 60  # of a curve, at most
_LINE = 256  # bytes: two lines of equity.csv are shorter
_LARGEST = 1e15  # times its first value: a curve of more, or of no number, can't be drawn
_FINE = 4095  # steps of a curve's height: two digits to the base of 64
_DIGITS = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"))
_NAME, _DIFFERS, _REASON, _KEYS = 60, 200, 300, 64  # characters; and how many settings of a run are carried
_COLUMNS = (
    "Run", "Started (UTC)", "Strategy", "Symbol", "Differs in", "Verdict", "Return", "Sharpe", "Max drawdown", "Equity",
)  # fmt: skip
_FOLDS = {"folds.csv": "walk-forward", "paths.csv": "cross-validation"}  # what a sweep that chose on some bars has
_LUCK = {True: ("good", "✓ more than luck explains"), False: ("plain", "✗ not to be told from luck")}
_PAGE = re.compile(r"compare_[0-9a-f]{1,8}(_[0-9a-f]{1,8}){1,3}\.html")


class Curve(NamedTuple):
    """The equity of a run at some of its times, both of shape (N,)."""

    times: Times
    equity: Floats


class _Shown(NamedTuple):
    """A run as the page has it: words that are text, and figures; `verdicts` are of a class of badges and words."""

    row: listing.Row
    reported: bool
    of: str
    kind: str
    curve: Curve | None

    @property
    def began(self) -> str:
        return self.row.started[:19].replace("T", " ")

    @property
    def name(self) -> str:
        return cut(self.row.name, _NAME)

    @property
    def title(self) -> str:
        return self.row.title[-48:]

    @property
    def made(self) -> str:
        """How the run came about; nothing of one that was made here."""
        return "" if self.row.kind == RUN else cut(self.row.origin.replace(SWEPT, self.kind, 1), _NAME)

    @property
    def span(self) -> str:
        """The days of its first and its last bar."""
        return " – ".join(one[:10] for one in (self.row.start, self.row.end) if one)

    @property
    def differs(self) -> list[str]:
        return _settings(self.row.differs)

    @property
    def others(self) -> list[str]:
        """Its parameters and settings that are as in the others of its strategy."""
        every = self.row.params | self.row.settings
        return _settings({key: value for key, value in every.items() if key not in self.row.differs})

    @property
    def verdicts(self) -> list[tuple[str, str]]:
        status, *doubts = self._standing
        kind = "good" if status == "sealed" else "plain" if status in (IMPORTED, "removed", "running") else "bad"
        found = [(kind, status), *(("bad", f"✗ {doubt}") for doubt in doubts)]
        if self.deflated is not None:
            found.append(_LUCK[self.deflated >= LEVEL])
        return found

    @property
    def deflated(self) -> float | None:
        """The deflated Sharpe ratio; None of a run that is in doubt by itself, whatever that is."""
        return None if self._standing[1:] else self.row.deflated

    @property
    def _standing(self) -> list[str]:
        return one_line(self.row.standing).split(", ")


def _settings(given: Mapping[str, Any]) -> list[str]:
    return [one_line(apart.said({key: value})) for key, value in list(given.items())[:_KEYS]]


def write(results: Results) -> Path:
    """Write `results/index.html` over every run that the ledger or a directory tells of, and return its path.

    Raises OSError where it can't be written.
    """
    there, kept = {path.name for path in results.runs()}, _kept(results)
    shown = []
    for place, row in enumerate(_grouped(listed.deflated(results, listing.rows(results)), kept)):
        path = results.path / row.run_id if row.run_id in there else None
        of = "trial {1:,} of {0:.8}".format(*kept[row.run_id]) if row.run_id in kept else ""
        curve = sample(path) if path and place < _CURVES else None
        shown.append(_Shown(row, bool(path and door.exists(path, OUTPUT)), of, _kind(row, path), curve))
    script = inline.script("ticked") + inline.script("index")
    parts = {
        "policy": inline.allowed(script),  # the scripts that the page lets run
        "style": sheet.style(_DRAWN),
        "count": f"{len(shown):,}",
        "head": "".join(_head(name) for name in _COLUMNS),
        "rows": "\n".join(map(_row, shown[:_PLAIN])),
        "left": _left(len(shown)),
        "data": f'<script type="application/json" class="values">{encoded(_data(results, shown))}</script>',
        "script": script,
    }
    page = (resources.files("peak_trade.report") / "index.html").read_text(encoding="utf-8")
    for name, content in parts.items():
        before, _, after = page.partition("{" + name + "}")
        page = before + content + after
    path = results.path / "index.html"
    replace(path, page)
    return path


def _left(count: int) -> str:
    """Return what a page over so many runs does not have of all of them."""
    said = f'<p class="note">The newest {_CURVES:,} have a curve.</p>' if count > _CURVES else ""
    if count > _PLAIN:
        said += f'<noscript><p class="note">{count - _PLAIN:,} more are seen where scripts run.</p></noscript>'
    return said


# --- which runs -----------------------------------------------------------------------------------------------------


def _kept(results: Results) -> dict[str, tuple[str, int]]:
    """Return of which sweep each run was kept, and as which of its trials, by the ledger."""
    found = {}
    for run_id, history in results.reading().runs.items():
        parent, trial = history.fields.get("parent"), history.fields.get("trial")
        if isinstance(parent, str) and is_run_id(parent) and type(trial) is int:
            found[run_id] = parent, trial
    return found


def _grouped(rows: Sequence[listing.Row], kept: Mapping[str, tuple[str, int]]) -> list[listing.Row]:
    """Return runs in their order, those that were kept of a sweep below it, by the numbers of their trials."""
    below: dict[str, list[listing.Row]] = {row.run_id: [] for row in rows if row.run_id not in kept}
    alone: list[listing.Row] = []
    for row in rows:
        parent = kept.get(row.run_id, ("",))[0]
        (below[parent] if parent in below and not row.lookahead else alone).append(row)
    for own in below.values():
        own.sort(key=lambda row: kept[row.run_id][1])
    return [each for row in alone for each in (row, *below.get(row.run_id, ()))]


def _kind(row: listing.Row, path: Path | None) -> str:
    """Return what a run is, in the words of people."""
    if row.kind != SWEPT:
        return row.kind
    return next((kind for name, kind in _FOLDS.items() if path and door.exists(path, name)), "sweep")


# --- as rows --------------------------------------------------------------------------------------------------------


def _head(name: str) -> str:
    content = name if name == "Equity" else f'<button type="button">{name}</button>'
    return f'<th scope="col" role="columnheader">{content}</th>'


def _row(shown: _Shown) -> str:
    """Return a run as a row; the name of a directory is a plain run_id, what the ledger tells may be anything.

    The script draws the same.
    """
    row = shown.row
    short = f"<code>{text(row.run_id[:8])}</code>"
    if shown.reported:
        short = f'<a href="{row.run_id}/{OUTPUT}">{short}</a>'
    badges = "".join(f'<span class="badge {kind}">{text(words)}</span>' for kind, words in shown.verdicts)
    cells = [
        text(shown.began),
        text(shown.title) + _small(shown.made),
        text(row.traded) + _small(shown.span),
        text(cut(", ".join(shown.differs), _DIFFERS)) + _small(cut(row.reason, _REASON), "failed"),
        badges + _small("" if shown.deflated is None else f"deflated Sharpe {percent(shown.deflated)}"),
        _of(row.total_return, percent),
        _of(row.sharpe, number),
        _of(row.max_drawdown, percent),
        _spark(shown.curve),
    ]
    kind = ' class="kept"' if shown.of else ""
    last = " data-last" if row.lookahead else ""
    who = short + _small(shown.name) + _small(shown.of)
    return (
        f'<tr role="row"{kind}{last}><th scope="row" role="rowheader">{who}</th>'
        + "".join(f'<td role="cell">{content}</td>' for content in cells)
        + "</tr>"
    )


def _small(words: str, name: str = "") -> str:
    kind = f' class="{name}"' if name else ""
    return f"<small{kind}>{text(words)}</small>" if words else ""


def _of(value: float | None, write: Any) -> str:
    return "" if value is None else str(write(value))


def _spark(curve: Curve | None) -> str:
    if curve is None:
        return ""
    x, y, _ = _levels(curve)
    name = ' class="loss"' if curve.equity[-1] < curve.equity[0] else ""
    return (
        f'<svg aria-hidden="true" viewBox="0 0 {_FINE} {_FINE}" preserveAspectRatio="none">'
        f'<path{name} d="{through(x, _FINE - y)}"/></svg>'
    )


# --- as data --------------------------------------------------------------------------------------------------------


def _data(results: Results, shown: Sequence[_Shown]) -> dict[str, Any]:
    """Return what the script draws from: an array for each run, its words as places in the list of all words."""
    places: dict[str, int] = {"": 0}

    def place(words: str) -> int:
        return places.setdefault(words, len(places))

    rows = []
    for one in shown:
        row, curve = one.row, one.curve
        flags = one.reported + 2 * bool(row.lookahead) + 4 * bool(one.of)
        figures = (
            _whole(row.total_return, 100), _whole(row.sharpe), _whole(row.max_drawdown, 100), row.trades,
            _whole(one.deflated, 100),
        )  # fmt: skip
        words = (
            one.name, one.of, one.title, one.made, row.traded, one.span, "\n".join(one.differs),
            "\n".join(one.others), cut(row.reason, _REASON), "\n".join(map(":".join, one.verdicts)), one.kind,
            " ".join(str(int(end)) for end in curve.times[[0, -1]].astype("M8[s]").astype(np.int64)) if curve else "",
        )  # fmt: skip
        rows.append([row.run_id, one.began, flags, *figures, _packed(curve), *map(place, map(_plain, words))])
    digits = listing.distinct([one.row.run_id for one in shown])
    return {
        "output": OUTPUT, "pages": _pages(results), "digits": digits, "drawn": _DRAWN,
        "words": list(places), "rows": rows,
    }  # fmt: skip


def _pages(results: Results) -> list[str]:
    """Return the names of the pages of comparisons that lie beside the runs."""
    return sorted(name for name in os.listdir(results.path) if _PAGE.fullmatch(name))


def _plain(words: str) -> str:
    return words.encode("utf-8", "replace").decode()  # half a character, which JSON has no place for


def _whole(value: float | None, scale: int = 1) -> int | float | None:
    """Return a figure in hundredths of what is shown (of a percent, where the scale is 100), rounded as it is shown."""
    if value is None:
        return None
    shown = value * scale
    hundredths = whole(shown, 2)
    return shown * 100 if hundredths is None else hundredths


def _levels(curve: Curve) -> tuple[Any, Any, tuple[float, float]]:
    """Return places and heights of a curve in steps, and the least and most it has as multiples of its first value."""
    grown = curve.equity / curve.equity[0]
    low, high = float(grown.min()), float(grown.max())
    y = np.rint((grown - low) / ((high - low) or 1.0) * _FINE).astype(np.int64)
    seconds = curve.times.astype("M8[ns]").astype(np.float64)
    x = np.rint((seconds - seconds[0]) / ((seconds[-1] - seconds[0]) or 1.0) * _FINE).astype(np.int64)
    return x, y, (low, high)


def _packed(curve: Curve | None) -> str:
    """Return a curve as least, most and heights; then the places, where they are not equally far apart."""
    if curve is None:
        return ""
    x, y, (low, high) = _levels(curve)
    even = np.linspace(0, _FINE, len(x))
    parts = [f"{low:.6g}", f"{high:.6g}", _digits(y)]
    if np.abs(x - even).max() > _FINE / (len(x) - 1) / 4:
        parts.append(_digits(x))
    return " ".join(parts)


def _digits(values: Any) -> str:
    return "".join(_DIGITS[np.column_stack((values >> 6, values & 63)).ravel()])


def sample(run_dir: Path, points: int = _POINTS) -> Curve | None:
    """Return the equity at about `points` places of a run's equity.csv, its first and last row among them.

    Places are equally far apart in bytes, and so almost in rows. None where the file is missing or anything else.
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
                    stamp, value, *_ = line.split(b",")
                    found[stamp] = float(value)
            last = os.pread(handle, _LINE, max(size - _LINE, 0)).rstrip(b"\n").rpartition(b"\n")[2]
            stamp, value, *_ = last.split(b",")
            found[stamp] = float(value)
        times = np.array([_moment(stamp) for stamp in found], "M8[ns]")
    except (OSError, ValueError, IndexError):
        return None
    equity = np.array(list(found.values()))
    if len(times) < 2 or not (np.diff(times) > np.timedelta64(0, "ns")).all():
        return None
    usual = equity[0] > 0.0 and (np.abs(equity) < float(equity[0]) * _LARGEST).all()
    return Curve(times, equity) if usual else None


def _moment(stamp: bytes) -> str:
    """Return a stamp as NumPy reads it; ValueError where it is of another spelling, or of no year that it can hold."""
    words = stamp.decode("ascii")
    if words[4:5] != "-" or words[-1:] != "Z" or not 1678 <= int(words[:4]) <= 2261:
        raise ValueError(words)
    return words[:-1]
