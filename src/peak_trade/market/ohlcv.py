"""Bars from CSV or Parquet files, checked, and with what was assumed on the way."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from peak_trade.config import DETECTED, Reading
from peak_trade.errors import InputError, did_you_mean
from peak_trade.market import findings
from peak_trade.market.bars import COLUMNS, Bars
from peak_trade.market.calendar import find_calendar
from peak_trade.market.contract import FATAL, Violations, check_ohlcv
from peak_trade.market.files import File, SourceFile, read_file
from peak_trade.market.findings import Finding, Indices, Place
from peak_trade.market.gaps import Gaps, find_gaps
from peak_trade.market.rate import rate_assumption, rate_finding
from peak_trade.market.timeframe import parse_timeframe

__all__ = ["MODES", "Loaded", "Rows", "load_bars", "read_rows"]

MODES = ("reject", "drop-rows", "warn")


class Loaded(msgspec.Struct, frozen=True):
    """Bars and how they came to be.

    `assumptions` are sentences; `violations` counts breaches of the contract, `problems` shows the first of them;
    `dropped` counts the rows left out; `gaps` are bars missing against timeframe and calendar; `findings` are what a
    reader of the figures must be told.
    """

    bars: Bars
    files: list[SourceFile]
    assumptions: list[str]
    violations: int
    dropped: int
    problems: list[str]
    gaps: Gaps
    findings: list[Finding] = []


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
    """Load bars from CSV (also gzipped) or Parquet files and check them against the OHLCV contract.

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
        stay = _settle(bars, found, problems, on_violation, files)
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
    mapping = {name: str(column) for name, column in reading.columns.items()}
    for name in mapping:
        if name not in COLUMNS:
            raise InputError(f"unknown column `{name}` in columns", hint=did_you_mean(name, COLUMNS))
    files = [read_file(path, mapping) for path in _find_files(paths)]
    files.sort(key=lambda file: file.columns["timestamp"].view(np.int64)[0])
    table = {
        name: files[0].columns[name] if len(files) == 1 else np.concatenate([file.columns[name] for file in files])
        for name in COLUMNS
    }
    return Rows(files, table, _merge_assumptions(files), _placer(files))


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


def _settle(bars: Bars, found: Violations, problems: list[str], mode: str, files: Sequence[File]) -> Indices | None:
    """Return which rows the mode lets through, None for all; errors: `InputError` with the violations."""
    shown = "".join(f"\n  {line}" for line in problems)
    count = f"{len(found):,} violation{'s' if len(found) > 1 else ''}"
    if len(bars) > 1 and (np.diff(bars.timestamp.view(np.int64)) < 0).all():
        raise InputError(f"{files[0].source.path} runs backwards in time", hint="sort its rows by time, oldest first")
    if mode == "warn":
        if fatal := sorted(FATAL & found.by_rule.keys()):
            raise InputError(
                f"the bars break the contract in ways that `warn` cannot keep ({', '.join(fatal)}), {count}:{shown}",
                hint='mend the rows, or set on_violation = "drop-rows"',
            )
        return None
    if mode == "reject":
        raise InputError(
            f"the bars break the contract, {count}:{shown}",
            hint='mend the rows, or set on_violation = "drop-rows" or "warn" under [data]',
        )
    stay = _rows_to_keep(bars, found)
    if len(bars) > 2 * len(stay):
        raise InputError(
            f"drop-rows would leave {len(stay):,} of {len(bars):,} rows, {count}:{shown}", hint="mend the file"
        )
    if left := check_ohlcv(_only(bars, stay)):
        lines = "".join(f"\n  {line}" for line in left.lines())
        raise InputError(f"dropping rows does not mend the bars:{lines}", hint="declare the timeframe the bars have")
    return stay


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
