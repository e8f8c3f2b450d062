"""Two sets of bars, wherever they are: a file, a run, or a series of the lake; and what differs, as people read it."""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from msgspec import Struct

from peak_trade.config import DETECTED, Data, Reading
from peak_trade.errors import InputError, PeakError, RunError
from peak_trade.evidence import documents, door, manifest
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import read_manifest
from peak_trade.market import difference, promised
from peak_trade.market.bars import Bars
from peak_trade.market.difference import Difference
from peak_trade.market.fingerprint import fingerprint
from peak_trade.market.frames import timeframe_of
from peak_trade.market.ohlcv import Loaded, load_bars, read_rows
from peak_trade.market.timeframe import parse_timeframe
from peak_trade.shown.listing import aligned

__all__ = ["Places", "Side", "as_text", "compare", "sides"]

_LAKE = "lake:"
Mode = Literal["reject", "drop-rows", "warn"]


class Places(Struct, frozen=True):
    """Where runs, lake and the runs' data are looked for."""

    results: Path
    lake: Path
    root: Path


class Side(Struct, frozen=True):
    """One of the two: its bars where they are there, and their fingerprint, which is all that a run keeps."""

    name: str
    what: str  # file, run or lake
    bars: Bars | None
    marks: dict[str, Any]
    said: list[str] = []

    def summary(self) -> dict[str, Any]:
        """Return what it is, and the digest, number and ends of its bars."""
        return {"name": self.name, "what": self.what, **{key: self.marks[key] for key in _ENDS}}


def sides(
    a: str,
    b: str,
    places: Places,
    *,
    reading: Reading | None = None,
    on_violation: Mode | None = None,
    symbol: str = "",
) -> tuple[Side, Side]:
    """Find what two words mean: `lake:SYMBOL/TIMEFRAME[/SOURCE]`, a file or a pattern, a run_id, its start, or `last`.

    A file that stands beside a run is read as the run read its own, unless `reading` says how. Rows against the
    contract are kept as far as they can be, unless `on_violation` says otherwise. `symbol` says which of a file's is
    meant.
    Raises InputError for what is not there or can't be read.
    """
    try:
        runs = {word: _run(word, places) for word in (a, b) if _is_run(word)}
        like = next(iter(runs.values()), None)
        data = like[1] if like else None
        found = []
        for word in (a, b):
            if word in runs:
                found.append(runs[word][0])
            elif word.startswith(_LAKE):
                found.append(_lake(word, places.lake, data))
            else:
                found.append(_file(word, data, reading or data or DETECTED, on_violation, symbol))
    except RunError as error:  # what can't be read is no difference
        raise InputError(error.message, hint=error.hint) from None
    return found[0], found[1]


def compare(a: Side, b: Side, tolerance: float = 0.0) -> Difference:
    """Compare bar by bar where both have their bars, else by fingerprint, in the periods of the one that has none."""
    if a.bars is not None and b.bars is not None:
        return difference.of_bars(a.bars, b.bars, tolerance)
    if a.bars is None and b.bars is None:
        return difference.of_fingerprints(a.marks, b.marks)
    by = (a if a.bars is None else b).marks["by"]
    marks = [side.marks if side.bars is None else fingerprint(side.bars, by=by) for side in (a, b)]
    return difference.of_fingerprints(*marks)


def as_text(a: Side, b: Side, found: Difference, days: int = 20) -> str:
    """Return both sides and what differs as lines, of the days at most so many."""
    head = aligned([(letter, *_line(side)) for letter, side in (("A", a), ("B", b))], right=(2,))
    if found.same:
        return f"{head}\nthe same"
    shown = found.periods[:days]
    if found.by == "bar":
        counts = f"{found.added:,} added, {found.removed:,} removed, {found.revised:,} revised"
        lines = [head, f"{counts} on {_count(found.periods, 'day')}, {found.unchanged:,} the same"]
        table = [("day", "added", "removed", "revised", "close moved", "columns"), *map(_day, shown)]
        right: tuple[int, ...] = (1, 2, 3, 4)
    elif not shown:
        words = f"one is fingerprinted by {a.marks['by']}, the other by {b.marks['by']}: what changed can't be told"
        return f"{head}\nnot the same; {words}"
    else:
        lines = [head, f"{_count(found.periods, found.by)} not the same, by fingerprint"]
        table = [(found.by, "change"), *((one.period, one.change) for one in shown)]
        right = ()
    lines.append(aligned(table, right=right))
    if rest := len(found.periods) - len(shown):
        lines.append(f"and {rest:,} more")
    if found.columns:
        moved = (f"{name} in {one['bars']:,} ({_share(one['largest'])})" for name, one in found.columns.items())
        lines.append(f"revised at most by: {', '.join(moved)}")
    return "\n".join(lines)


def _line(side: Side) -> tuple[str, str, str]:
    marks = side.marks
    span = f"{marks['start']} to {marks['end']}" if marks["rows"] else "nothing"
    series = f" ({marks['symbol']} {marks['timeframe']})" if side.what == "run" else ""
    return f"{side.what} {side.name}{series}", f"{marks['rows']:,} bars", span


def _day(one: difference.Period) -> tuple[str, ...]:
    counts = (f"{count:,}" for count in (one.added, one.removed, one.revised))
    return (one.period, *counts, _share(one.close) if "close" in one.columns else "", " ".join(one.columns))


def _count(periods: list[difference.Period], word: str) -> str:
    return f"{len(periods):,} {word}{'s' if len(periods) > 1 else ''}"


def _share(share: float | None) -> str:
    return "from 0" if share is None else f"{100 * share:.3g} %"


def _is_run(word: str) -> bool:
    """Tell whether a word means a run: neither the lake, nor a file or pattern, nor spelled like one."""
    if word.startswith(_LAKE) or os.path.isfile(word) or glob.has_magic(word):
        return False
    return os.path.isdir(word) or not Path(word).suffix


def _run(word: str, places: Places) -> tuple[Side, Data]:
    """Return a run's bars where their file still has them, its fingerprint, and how it read them."""
    folder = Path(word)
    if not door.exists(folder, manifest.NAME):
        try:
            folder = Results(places.results).find(word)
        except InputError as error:
            raise InputError(f"{error.message}, and no file of that name", hint=error.hint) from None
    predicate = read_manifest(folder).predicate
    name = folder.name[:8]
    if predicate.kind != manifest.RUN:
        raise InputError(
            f"run {name} is {predicate.kind}: of the bars that another program had, it keeps digests alone",
            hint="just data-diff FILE FILE compares the files",
        )
    if not (made_from := predicate.build_definition.get("resolvedDependencies")):
        raise InputError(f"run {name} failed before it had bars", hint="just runs lists others")
    try:
        bars = msgspec.convert(made_from[0], _Bars)
        marks = {"digest": bars.digest["sha256"], **{key: getattr(bars.annotations, key) for key in _MARKS}}
    except (LookupError, TypeError, msgspec.ValidationError) as error:
        hint = f"just verify {name}"
        raise InputError(f"run {name} does not say what its bars were: {error}", hint=hint) from None
    data = _section(folder)
    found = _bars_of_run(data, marks, bars.annotations.files, predicate.run_details.get("folder"), places)
    return Side(name, "run", found, marks), data


_ENDS = ("digest", "rows", "start", "end")
_MARKS = ("rows", "start", "end", "by", "parts", "symbol", "timeframe")


class _Annotations(msgspec.Struct):
    rows: int
    start: str
    end: str
    by: str
    parts: dict[str, str]
    symbol: str
    timeframe: str
    files: list[Any] = []


class _Bars(msgspec.Struct):
    """What a manifest tells of a run's bars."""

    digest: dict[str, str]
    annotations: _Annotations


def _section(folder: Path) -> Data:
    """Return the data section of a run's config; of an older version's the keys that it had."""
    try:
        return msgspec.convert(documents.read(folder, "config_snapshot.json")["data"], Data)
    except (RunError, KeyError, msgspec.ValidationError) as error:
        raise InputError(f"{folder.name}/config_snapshot.json can't be read: {error}", hint="just verify") from None


def _bars_of_run(data: Data, marks: dict[str, Any], files: Any, folder: Any, places: Places) -> Bars | None:
    try:
        folders = [places.root / str(folder or "."), places.root]
        bars = _load(promised.find(data.path, folders, files, places.results), data, data).bars
    except PeakError:
        return None
    return bars if fingerprint(bars)["digest"] == marks["digest"] else None


def _load(path: str | list[str], data: Data, reading: Reading) -> Loaded:
    return load_bars(
        path,
        symbol=data.symbol,
        timeframe=data.timeframe,
        calendar=data.calendar,
        on_violation=data.on_violation,
        reading=reading,
    )


def _file(word: str, data: Data | None, reading: Reading, on_violation: Mode | None, symbol: str) -> Side:
    """Return a file's bars: as a run read them, or all that time can tell apart, with what was kept in spite of it."""
    if data is None:
        times = read_rows(word, symbol=symbol or "?", reading=reading).table["timestamp"]
        try:
            timeframe = timeframe_of(np.unique(times[~np.isnat(times)]))
        except InputError:
            timeframe = "1d"  # of a bar or two: nothing hangs on it
        data = Data(path=word, symbol=symbol or "?", timeframe=timeframe, calendar="24/7", on_violation="warn")
    if on_violation:
        data = msgspec.structs.replace(data, on_violation=on_violation)
    loaded = _load(word, data, reading)
    told = [found.text for found in loaded.findings if found.kind in ("dropped", "kept")]
    return Side(word, "file", loaded.bars, fingerprint(loaded.bars), [*loaded.assumptions, *told])


def _lake(word: str, lake: Path, like: Data | None) -> Side:
    """Return a series of the lake; beside a run under the run's names, so that fingerprints can be compared."""
    from peak_trade.data.lake import query

    words = word.removeprefix(_LAKE).split("/")
    with query.connect(lake) as connection:
        if "ohlcv" not in connection.tables:
            raise InputError("the lake holds no bars", hint="just lake-ingest brings files of bars in")
        there = connection.execute("SELECT DISTINCT symbol, timeframe, source FROM ohlcv ORDER BY ALL").fetchall()
        meant = [series for at in range(1, len(words)) for series in there if _means(words, at, series)]
        if len(meant) != 1:
            known = [f"{_LAKE}{'/'.join(series)}".rstrip("/") for series in (meant or there)]
            shown = ", ".join(known[:8]) + (", …" if known[8:] else "")
            problem = f"means {len(meant)} series of the lake" if meant else "is no series of the lake"
            raise InputError(f"`{word}` {problem}", hint=f"{'say which' if meant else 'there are'}: {shown}")
        rows = connection.execute(
            "SELECT epoch_us(timestamp) AS timestamp, open, high, low, close, volume FROM ohlcv"
            " WHERE symbol = ? AND timeframe = ? AND source = ? ORDER BY timestamp",
            list(meant[0]),
        ).fetchnumpy()
    symbol, timeframe, _ = meant[0]
    columns = {
        name: np.ascontiguousarray(rows[name], np.float64) for name in ("open", "high", "low", "close", "volume")
    }
    stamps = np.ascontiguousarray(rows["timestamp"], np.int64).view("M8[us]").astype("M8[ns]")
    names = (like.symbol, like.timeframe) if like else (symbol, timeframe)
    bars = Bars(stamps, **columns, symbol=names[0], timeframe=names[1])
    return Side("/".join(meant[0]).rstrip("/"), "lake", bars, fingerprint(bars))


def _means(words: list[str], at: int, series: tuple[str, str, str]) -> bool:
    """Tell whether words mean a series, the timeframe being at `at`: a symbol may hold slashes, as BTC/USDT does."""
    symbol, timeframe, source = "/".join(words[:at]), words[at], "/".join(words[at + 1 :])
    try:
        parse_timeframe(timeframe)
    except InputError:
        return False
    return series[:2] == (symbol, timeframe) and source in ("", series[2])
