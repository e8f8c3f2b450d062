"""Bars into `ohlcv`: after the contract, each once, and what has changed as a revision.

A bar is known by symbol, timeframe, source and timestamp. Bars that are in the lake with the same values add nothing.
A bar whose values have changed takes the place of the old one with the next `revision`, and the old values move to
`ohlcv_revisions`: so `ohlcv` has one row a bar, whatever happened, and no question needs to sort revisions out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from msgspec import Struct

from peak_trade.config import DETECTED, Reading
from peak_trade.data.lake import parts, schema
from peak_trade.data.lake.commit import Live
from peak_trade.data.lake.writer import GRACE_S, Writer, writing
from peak_trade.errors import InputError
from peak_trade.market.bars import Bars
from peak_trade.market.calendar import find_calendar
from peak_trade.market.contract import check_ohlcv
from peak_trade.market.ohlcv import load_bars
from peak_trade.market.timeframe import parse_timeframe
from peak_trade.market.timestamps import iso

__all__ = ["Ingested", "ingest_bars", "ingest_files", "merge"]

_VALUES = ("open", "high", "low", "close", "volume")
SHOWN = 5


class Ingested(Struct):
    """What has come of some bars: `new`, `same` (nothing was done) and `revised`, the first of them in `shown`."""

    symbol: str
    timeframe: str
    source: str
    new: int = 0
    same: int = 0
    revised: int = 0
    shown: list[str] = []
    assumptions: list[str] = []
    seconds: float = 0.0

    def as_text(self) -> str:
        """Return what has come of the bars in a line."""
        of = f" of {self.source}" if self.source else ""
        text = f"{self.symbol} {self.timeframe}{of}: {self.new:,} new bars, {self.same:,} known"
        if not self.revised:
            return text
        rest = ", …" if self.revised > len(self.shown) else ""
        return f"{text}, {self.revised:,} revised (at {', '.join(self.shown)}{rest})"


def ingest_files(
    lake: str | PathLike[str],
    paths: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    symbol: str,
    timeframe: str,
    source: str,
    calendar: str | None = None,
    on_violation: str = "reject",
    reading: Reading = DETECTED,
    waiting: Callable[[], None] = lambda: None,
) -> Ingested:
    """Bring files of bars (CSV or Parquet) into the lake; they are read and checked as `load_bars` does for a run.

    Raises InputError where the files or what they hold are wrong.
    """
    loaded = load_bars(
        paths, symbol=symbol, timeframe=timeframe, calendar=calendar, on_violation=on_violation, reading=reading
    )
    done = ingest_bars(lake, loaded.bars, source=source, calendar=calendar, waiting=waiting)
    done.assumptions = loaded.assumptions
    return done


def ingest_bars(
    lake: str | PathLike[str],
    bars: Bars,
    *,
    source: str,
    calendar: str | None = None,
    waiting: Callable[[], None] = lambda: None,
    grace_s: float = GRACE_S,
) -> Ingested:
    """Bring bars into the lake, all of them in one step, and say what has come of them.

    Raises InputError where the bars break the contract.
    """
    start = time.perf_counter()
    with writing(lake, waiting=waiting) as writer:
        tables, done = merge(writer, dict(writer.commit.tables), bars, source=source, calendar=calendar)
        if done.new or done.revised:
            for table in schema.TABLES.values():
                tables.setdefault(table.name, Live(schema.duckdb_types(table), list(table.partitions)))
            writer.publish("ingest", tables)
            writer.expire(grace_s)
    done.seconds = time.perf_counter() - start
    return done


def merge(
    writer: Writer, tables: dict[str, Live], bars: Bars, *, source: str, calendar: str | None
) -> tuple[dict[str, Live], Ingested]:
    """Return `tables` with the bars in them, their files written and not yet published, and what came of the bars."""
    _check(bars, calendar)
    done = Ingested(bars.symbol, bars.timeframe, source)
    if not len(bars):
        return tables, done
    live = tables.get("ohlcv") or parts.live_of(writer, "ohlcv")
    micros = parts.to_numpy(parts.microseconds(bars.timestamp, "the bars"), "i8")
    series = {"symbol": bars.symbol, "timeframe": bars.timeframe, "source": source}
    old = _Known(writer, live, series, micros)
    known, changed = old.compare(micros, bars)
    now = datetime.now(UTC)
    done.revised, done.same = int(changed.sum()), int(known.sum() - changed.sum())
    done.new = len(bars) - int(known.sum())
    tables = dict(tables)
    if done.revised:
        live, superseded = old.revise(live, micros, bars, np.flatnonzero(changed), now)
        before = tables.get("ohlcv_revisions") or parts.live_of(writer, "ohlcv_revisions")
        tables["ohlcv_revisions"] = parts.append(writer, "ohlcv_revisions", before, [({}, superseded)])
        done.shown = [iso(bars.timestamp[row]) for row in np.flatnonzero(changed)[:SHOWN]]
    if done.new:
        rows = slice(None) if done.new == len(bars) else np.flatnonzero(~known)
        live = parts.append(writer, "ohlcv", live, _by_year(micros[rows], bars, rows, series, calendar, now))
    tables["ohlcv"] = live
    return tables, done


def _check(bars: Bars, calendar: str | None) -> None:
    parse_timeframe(bars.timeframe)
    if calendar is not None:
        find_calendar(calendar)
    if not bars.symbol or bars.symbol in (".", ".."):
        raise InputError(f"the symbol {bars.symbol!r} can't name a partition", hint="--symbol BTCUSDT")
    if found := check_ohlcv(bars):
        lines = "".join(f"\n  {line}" for line in found.lines())
        raise InputError(f"the bars break the contract, {len(found):,} violation(s):{lines}", hint="mend the rows")


class _Known:
    """The files of a series that may hold some of the bars at `micros`, and their rows."""

    def __init__(self, writer: Writer, live: Live, series: Mapping[str, str], micros: npt.NDArray[np.int64]) -> None:
        self.writer = writer
        first, last = (_iso(int(at)) for at in (micros[0], micros[-1]))
        self.parts = [
            part
            for part in live.parts
            if all(part.series.get(key) == value for key, value in series.items())
            and part.first <= last
            and part.last >= first
        ]
        self.tables = [parts.read_part(writer.lake, "ohlcv", part) for part in self.parts]
        times = [parts.to_numpy(table["timestamp"], "i8") for table in self.tables]
        self.times = np.concatenate(times) if times else np.empty(0, np.int64)
        self.order = np.argsort(self.times, kind="stable")

    def compare(self, micros: npt.NDArray[np.int64], bars: Bars) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Return which bars are known, and which of those have other values."""
        known, changed = np.zeros(len(micros), bool), np.zeros(len(micros), bool)
        if not len(self.times):
            return known, changed
        ordered = self.times[self.order]
        at = np.minimum(np.searchsorted(ordered, micros), len(ordered) - 1)
        known = ordered[at] == micros
        rows = self.order[at[known]]
        differs = np.zeros(len(rows), bool)
        for name in _VALUES:
            old = np.concatenate([parts.to_numpy(table[name], "f8") for table in self.tables])
            differs |= old[rows] != getattr(bars, name)[known]
        changed[known] = differs
        return known, changed

    def revise(
        self, live: Live, micros: npt.NDArray[np.int64], bars: Bars, rows: npt.NDArray[np.int64], now: datetime
    ) -> tuple[Live, Any]:
        """Return `live` with new values for some bars, and the rows that those bars had before."""
        superseded: list[Any] = []
        pieces: list[tuple[Mapping[str, str], Any]] = []
        taken = []
        for part, table in zip(self.parts, self.tables, strict=True):
            times = parts.to_numpy(table["timestamp"], "i8")
            at = np.searchsorted(times, micros[rows])
            here = (at < len(times)) & (times[np.minimum(at, len(times) - 1)] == micros[rows])
            if not here.any():
                continue
            where, which = at[here], rows[here]
            taken.append(part.path)
            superseded.append(_old_rows(table, where, part.series, now))
            pieces.append((part.series, _new_rows(table, where, bars, which, now)))
        written = parts.write_parts(self.writer, "ohlcv", pieces)
        return parts.replace("ohlcv", live, taken, written), parts.sort_rows("ohlcv_revisions", superseded)


def _old_rows(table: Any, where: npt.NDArray[np.int64], series: Mapping[str, str], now: datetime) -> Any:
    old = table.take(parts.from_numpy(where, pa.int64()))
    kinds = schema.arrow_schema("ohlcv_revisions")
    given = {"symbol": series["symbol"], "timeframe": series["timeframe"], "superseded_at": now}
    columns = [
        pa.array([given[field.name]] * old.num_rows, field.type)
        if field.name in given
        else old[field.name].cast(field.type)
        for field in kinds
    ]
    return pa.table(columns, schema=kinds)


def _new_rows(table: Any, where: npt.NDArray[np.int64], bars: Bars, which: npt.NDArray[np.int64], now: datetime) -> Any:
    for name in _VALUES:
        values = parts.to_numpy(table[name], "f8").copy()
        values[where] = getattr(bars, name)[which]
        table = _with(table, name, parts.from_numpy(values, pa.float64()))
    revision = parts.to_numpy(table["revision"], "i8").copy()
    revision[where] += 1
    recorded = parts.to_numpy(table["recorded_at"], "i8").copy()
    recorded[where] = _micros(now)
    table = _with(table, "revision", parts.from_numpy(revision, pa.int64()))
    return _with(table, "recorded_at", parts.from_numpy(recorded, pa.timestamp("us", "UTC")))


def _with(table: Any, name: str, column: Any) -> Any:
    at = table.column_names.index(name)
    return table.set_column(at, table.schema.field(at), column)


def _by_year(
    micros: npt.NDArray[np.int64], bars: Bars, rows: Any, series: Mapping[str, str], calendar: str | None, now: datetime
) -> list[tuple[Mapping[str, str], Any]]:
    """Return bars as Arrow tables, one for each year: the bars are in order of time."""
    values = {name: getattr(bars, name)[rows] for name in _VALUES}
    first, last = (int(year) for year in micros[[0, -1]].view("M8[us]").astype("M8[Y]").view(np.int64))
    turns = np.arange(first + 1, last + 1).view("M8[Y]").astype("M8[us]").view(np.int64)
    ends = [*np.searchsorted(micros, turns).tolist(), len(micros)]
    longest = int(np.diff([0, *ends]).max())
    revision, recorded = np.zeros(longest, np.int64), np.full(longest, _micros(now))  # the same for every year
    kinds = schema.arrow_schema("ohlcv")
    pieces: list[tuple[Mapping[str, str], Any]] = []
    for year, (start, end) in enumerate(pairwise([0, *ends]), first + 1970):
        if start == end:
            continue
        given = {
            "timestamp": parts.from_numpy(micros[start:end], pa.timestamp("us", "UTC")),
            "source": _constant(series["source"], end - start),
            "calendar": _constant(calendar, end - start),
            "revision": parts.from_numpy(revision[: end - start], pa.int64()),
            "recorded_at": parts.from_numpy(recorded[: end - start], pa.timestamp("us", "UTC")),
        }
        given |= {name: parts.from_numpy(column[start:end], pa.float64()) for name, column in values.items()}
        table = pa.table([given[field.name] for field in kinds], names=kinds.names)
        pieces.append((dict(series) | {"year": str(year)}, table))
    return pieces


def _constant(text: str | None, length: int) -> Any:
    if text is None:
        return pa.DictionaryArray.from_arrays(pa.nulls(length, pa.int32()), pa.array([], pa.string()))
    return pa.DictionaryArray.from_arrays(parts.from_numpy(np.zeros(length, np.int32), pa.int32()), pa.array([text]))


def _micros(now: datetime) -> int:
    return int(now.timestamp()) * 1_000_000 + now.microsecond


def _iso(micros: int) -> str:
    """Return a time as the `first` and `last` of a part are written."""
    seconds, rest = divmod(micros, 1_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
