"""Bars from files, checked, and with what was assumed on the way."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from peak_trade.config import DETECTED, Reading
from peak_trade.errors import InputError, did_you_mean
from peak_trade.market import findings, ranges
from peak_trade.market.bars import COLUMNS, Bars
from peak_trade.market.benchmark import Benchmark
from peak_trade.market.calendar import find_calendar
from peak_trade.market.contract import FATAL, PRICES, Violations, check_ohlcv
from peak_trade.market.dialects import DIALECTS, check_reading
from peak_trade.market.files import File, SourceFile, read_file
from peak_trade.market.findings import Finding, Indices, Place
from peak_trade.market.gaps import Gaps, find_gaps
from peak_trade.market.hints import under_data
from peak_trade.market.instants import MISSING
from peak_trade.market.rate import rate_assumption, rate_finding
from peak_trade.market.timeframe import parse_timeframe, shortest_step, spacing, spacing_fits

__all__ = ["MODES", "Loaded", "Rows", "load_bars", "read_rows"]

MODES = ("reject", "drop-rows", "warn")


class Loaded(msgspec.Struct, frozen=True):
    """Bars and how they came to be.

    `assumptions` are sentences; `violations` counts breaches of the contract, `problems` shows the first of them;
    `dropped` counts the rows left out; `gaps` are bars missing against timeframe and calendar; `findings` are what a
    reader of the figures must be told; `formats` names the dialect of each file; `outside` counts the bars that `start`
    and `end` leave out; `benchmark` is what a config holds the run against, where that has a file.
    """

    bars: Bars
    files: list[SourceFile]
    assumptions: list[str]
    violations: int
    dropped: int
    problems: list[str]
    gaps: Gaps
    findings: list[Finding] = []
    formats: list[str] = []
    outside: int = 0
    benchmark: Benchmark | None = None


def load_bars(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    symbol: str,
    timeframe: str,
    calendar: str | None = None,
    on_violation: str = "reject",
    reading: Reading = DETECTED,
    periods_per_year: float | None = None,
    now: np.datetime64 | None = None,
) -> Loaded:
    """Load bars from files of the dialects that are known and check them against the OHLCV contract.

    `paths` is a file, a pattern such as `data/*.csv` or several of both; the files are put in the order of their
    first bars, and where they overlap the contract is broken. `reading` says how the files are read
    where they do not say it themselves. Rows are numbered as lines of the file (a header is row 1), in Parquet from 1.

    A cell that cannot be read is refused. A missing cell, and all else that breaks the contract, is up to
    `on_violation`: `reject` refuses the data, `drop-rows` leaves out the rows at fault (a row out of order is one that
    is not later than every row kept before it), and `warn` keeps them, except for time that does not advance and
    prices that are no positive number.

    `periods_per_year` is the rate that is forced where it is, and is held against the bars in place of the calendar's.
    `now` is the time against which bars are unfinished or lie in the future: the clock's where it is not given.

    Errors: `InputError` for whatever is wrong with the arguments, the files or what they hold.
    """
    parse_timeframe(timeframe)
    if calendar is not None:
        find_calendar(calendar)
    if on_violation not in MODES:
        raise InputError(f"unknown on_violation `{on_violation}`", hint=did_you_mean(on_violation, MODES))
    files, table, assumptions, place = read_rows(paths, symbol=symbol, reading=reading)
    bars = Bars(**table, symbol=symbol, timeframe=timeframe)
    found = check_ohlcv(bars)
    problems = found.lines(lambda row: "{} row {}".format(*place(row))) if found else []
    kept, stay, said = bars, None, list[Finding]()
    if found:
        others = _other_dates(bars, found, files, paths, reading)
        stay = _settle(bars, found, problems, on_violation, others)
        if stay is None:
            said.append(findings.kept(bars, found, place))
        else:
            kept = _only(bars, stay)
            said.append(findings.dropped(bars, stay, found, place))
    gaps, taken = find_gaps(kept.timestamp, timeframe, calendar)
    return Loaded(
        bars=kept,
        files=[file.source for file in files],
        assumptions=[*assumptions, *rate_assumption(kept.timestamp, calendar, periods_per_year), *taken],
        violations=len(found),
        dropped=len(bars) - len(kept),
        problems=problems,
        gaps=gaps,
        formats=[file.format for file in files],
        outside=sum(len(file.rows) for file in files) - len(bars),
        findings=[
            *said,
            *rate_finding(kept.timestamp, timeframe, calendar, periods_per_year),
            *findings.check(kept, gaps, calendar=calendar, at=now, place=_within(place, stay)),
        ],
    )


class Rows(NamedTuple):
    """The rows of files as they are read, before any check: columns by name, and which file and row each came from."""

    files: list[File]
    table: dict[str, npt.NDArray[Any]]
    assumptions: list[str]
    place: Place


def read_rows(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], *, symbol: str, reading: Reading = DETECTED
) -> Rows:
    """Read files as `load_bars` does, and check nothing; errors: `InputError` where they can't be read."""
    check_reading(reading)
    files = [read_file(path, reading, symbol) for path in _find_files(paths)]
    files.sort(key=lambda file: file.columns["timestamp"].view(np.int64)[0])
    table, taken, said = _chosen(files, reading)
    return Rows(files, table, _merge_assumptions(files) + said, _within(_placer(files), taken))


def _chosen(
    files: Sequence[File], reading: Reading
) -> tuple[dict[str, npt.NDArray[Any]], npt.NDArray[np.int64] | None, list[str]]:
    """Return the columns of all files, sorted, cut and adjusted as asked; which rows they are; what that changed."""
    names = [*COLUMNS, *(["adjust"] if reading.adjust else [])]
    table = {
        name: files[0].columns[name] if len(files) == 1 else np.concatenate([file.columns[name] for file in files])
        for name in names
    }
    said: list[str] = []
    taken: npt.NDArray[np.int64] | None = None
    times = table["timestamp"].view(np.int64)
    if reading.sort and len(times) > 1 and (times[1:] < times[:-1]).any():
        taken = np.lexsort((times, times == MISSING))  # stable; what has no time comes last
        said.append(f"{np.count_nonzero(taken != np.arange(len(taken))):,} rows were not in order: sorted by time")
        table = {name: column[taken] for name, column in table.items()}
    if reading.start or reading.end:
        kept, left_out = ranges.within(table["timestamp"], reading.start, reading.end, reading.timezone)
        said += left_out
        taken = np.flatnonzero(kept) if taken is None else taken[kept]
        table = {name: column[kept] for name, column in table.items()}
    if reading.adjust:
        table = _adjusted(table)
        said.append(f"prices are scaled by `{reading.adjust}` over the close; the volume is left as it is")
    return table, taken, said


def _adjusted(table: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Scale the prices by the ratio of the adjusted close to the close; a ratio that is missing leaves no price.

    The close becomes the adjusted close to the bit, and no rounding puts it above the high or below the low.
    """
    adjusted, close = table.pop("adjust"), table["close"]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = adjusted / close
        scaled = {name: np.where(table[name] == close, adjusted, table[name] * ratio) for name in PRICES}
    for name, within in (("high", np.maximum), ("low", np.minimum)):
        bound = table[name] >= close if name == "high" else table[name] <= close
        scaled[name] = np.where(bound, within(scaled[name], adjusted), scaled[name])
    return table | scaled


def _find_files(paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[str]:
    """Return the files meant, patterns resolved and sorted."""
    found: list[str] = []
    for path in [paths] if isinstance(paths, str | os.PathLike) else paths:
        text = os.fspath(path)
        if not os.path.lexists(text) and any(mark in text for mark in "*?["):
            import glob  # only needed for patterns

            matches = sorted(match for match in glob.glob(text, recursive=True) if os.path.isfile(match))
            if not matches:
                raise InputError(f"no file matches `{text}`", hint="patterns are relative to the current directory")
            found += matches
        else:
            found.append(text)
    if not found:
        raise InputError("no data file is named", hint="name a file or a pattern such as data/*.csv")
    return found


def _placer(files: Sequence[File]) -> Place:
    """Return a function that tells the file and the row of a bar."""
    ends = np.cumsum([len(file.rows) for file in files])

    def place(row: int) -> tuple[str, int]:
        at = int(np.searchsorted(ends, row, side="right"))
        file = files[at]
        return file.source.path, int(file.rows[row - ends[at] + len(file.rows)])

    return place


def _within(place: Place, stay: Indices | None) -> Place:
    """Return where a bar of those that stay is, None being all."""
    return place if stay is None else lambda row: place(int(stay[row]))


def _other_dates(
    bars: Bars,
    found: Violations,
    files: Sequence[File],
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    reading: Reading,
) -> list[str]:
    """Return in which other forms the dates make bars of the timeframe, where they can be read in several ways."""
    told = any("can be read in several ways" in text for file in files for text in file.assumptions)
    if not told or "timeframe_spacing" not in found.by_rule:
        return []
    names = {file.format for file in files}
    forms = dict.fromkeys(form for dialect in DIALECTS if dialect.name in names for form in dialect.dates)
    good = []
    for form in forms:
        try:
            table = read_rows(paths, symbol=bars.symbol, reading=msgspec.structs.replace(reading, date_format=form))[1]
        except InputError:
            continue
        other = Bars(**table, symbol=bars.symbol, timeframe=bars.timeframe)
        if "timeframe_spacing" not in check_ohlcv(other).by_rule:
            good.append(form)
    return good


def _settle(
    bars: Bars, found: Violations, problems: list[str], mode: str, other_dates: Sequence[str]
) -> Indices | None:
    """Return which rows the mode lets through, None for all; errors: `InputError` with the violations."""
    if other_dates:
        raise InputError(
            f"the dates, which can be read in several ways, are not those of bars of {bars.timeframe} as they are read",
            hint=under_data(*({"date_format": form} for form in other_dates)),
        )
    shown = "".join(f"\n  {line}" for line in problems)
    count = f"{len(found):,} violation{'s' if len(found) > 1 else ''}"
    if mode == "warn":
        if fatal := sorted(FATAL & found.by_rule.keys()):
            raise InputError(
                f"the bars break the contract in ways that `warn` cannot keep ({', '.join(fatal)}), {count}:{shown}",
                hint=_what_mends(bars, found),
            )
        return None
    if mode == "reject":
        raise InputError(f"the bars break the contract, {count}:{shown}", hint=_what_mends(bars, found))
    stay = _rows_to_keep(bars, found)
    if len(bars) > 2 * len(stay):
        raise InputError(
            f"drop-rows would leave {len(stay):,} of {len(bars):,} rows, {count}:{shown}",
            hint=_what_mends(bars, found),
        )
    if left := check_ohlcv(_only(bars, stay)):
        lines = "".join(f"\n  {line}" for line in left.lines())
        raise InputError(f"dropping rows does not mend the bars:{lines}", hint=_what_mends(bars, found))
    return stay


def _what_mends(bars: Bars, found: Violations) -> str:
    """Return a hint that names the keys with which these bars would be taken: each was tried."""
    timeframe = _timeframe_of(bars)
    sizes: list[dict[str, str]] = [{}]
    if "timeframe_spacing" in found.by_rule and timeframe:
        sizes.append({"timeframe": timeframe})
    choices: list[dict[str, Any]] = []
    for size in sizes:
        if choices:
            break
        sized = msgspec.structs.replace(bars, **size)
        ordered = _sorted(sized)
        kept = _only(sized, _rows_to_keep(sized, check_ohlcv(sized)))
        kept_ordered = _only(ordered, _rows_to_keep(ordered, check_ohlcv(ordered)))
        if size and not check_ohlcv(sized):
            choices.append(size)
        elif not check_ohlcv(ordered):
            choices.append({**size, "sort": True})
        else:
            first, keys = max(((kept, {}), (kept_ordered, {"sort": True})), key=lambda choice: len(choice[0]))
            if 2 * len(first) >= len(bars) and not check_ohlcv(first):
                choices.append({**size, **keys, "on_violation": "drop-rows"})
    if not (FATAL | {"timeframe_spacing"}) & found.by_rule.keys():
        choices.append({"on_violation": "warn"})
    return under_data(*choices, lead="mend the rows, or set") if choices else "mend the rows, which go by their lines"


def _sorted(bars: Bars) -> Bars:
    order = np.argsort(bars.timestamp.view(np.int64), kind="stable")
    columns = {name: getattr(bars, name)[order] for name in COLUMNS}
    return Bars(**columns, symbol=bars.symbol, timeframe=bars.timeframe)


def _timeframe_of(bars: Bars) -> str:
    """Return the timeframe that the median step of the bars is, in order of time; nothing where there is none."""
    times = np.unique(bars.timestamp[~np.isnat(bars.timestamp)])
    seconds = spacing(times)
    if seconds and (shortest := shortest_step(times))[1] >= 0.2:
        seconds = shortest[0]
    for name in ("1M", "1w", "1d"):
        if seconds and spacing_fits(name, seconds):
            return name
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        if seconds and seconds >= size and seconds % size == 0 and seconds < 28 * 86_400:
            return f"{seconds / size:.0f}{unit}"
    return ""


def _rows_to_keep(bars: Bars, found: Violations) -> Indices:
    """Leave out the rows broken in themselves, then each that is not later than every row kept before it."""
    kept = np.flatnonzero(~found.rows)
    times = bars.timestamp.view(np.int64)[kept]
    if len(kept) > 1:
        latest = np.maximum.accumulate(times)
        kept = kept[np.concatenate(([True], times[1:] > latest[:-1]))]
    return kept


def _only(bars: Bars, rows: Indices) -> Bars:
    columns = {name: getattr(bars, name)[rows] for name in COLUMNS}
    return Bars(**columns, symbol=bars.symbol, timeframe=bars.timeframe)


def _merge_assumptions(files: Sequence[File]) -> list[str]:
    """Return each assumption once, with the files it was made for where it was not made for all."""
    made_for: dict[str, list[str]] = {}
    for file in files:
        for text in file.assumptions:
            made_for.setdefault(text, []).append(file.source.path)
    return [
        text if len(paths) == len(files) else f"{text} ({len(paths)} of {len(files)} files, first {paths[0]})"
        for text, paths in made_for.items()
    ]
