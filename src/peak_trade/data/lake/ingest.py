"""Bars into `ohlcv`: after the contract, each once, and what has changed as a revision.

A bar is known by symbol, timeframe, source and timestamp. Bars that are in the lake with the same values add nothing.
A bar whose values have changed takes the place of the old one with the next `revision`, and the old values move to
`ohlcv_revisions`: so `ohlcv` has one row a bar, whatever happened, and no question needs to sort revisions out.

Bars that look like another instrument's are refused (`identity` says how that is told), all of them. What a run read
before the lake's values came in, or what the lake has had and replaced, is no news: it changes nothing.
"""

from __future__ import annotations

import os
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
from peak_trade.data.lake import history, identity, parts, schema
from peak_trade.data.lake.commit import Live, Part
from peak_trade.data.lake.history import Origin, Series
from peak_trade.data.lake.writer import GRACE_S, Writer, writing
from peak_trade.errors import InputError
from peak_trade.market.bars import COLUMNS, Bars
from peak_trade.market.calendar import find_calendar
from peak_trade.market.contract import check_ohlcv
from peak_trade.market.findings import Finding, ends
from peak_trade.market.instants import iso
from peak_trade.market.ohlcv import load_bars
from peak_trade.market.timeframe import parse_timeframe, timeframe_seconds
from peak_trade.text import escaped

__all__ = ["MAX_REVISED", "AnotherInstrument", "Ingested", "finished", "ingest_bars", "ingest_files", "merge", "share"]

MAX_REVISED = "PEAK_LAKE_MAX_REVISED"
SHOWN = 5
_NEAR, _SEAMS = 50, 1_000  # bars on either side of a seam, and of how many seams at most


class AnotherInstrument(InputError):
    """Bars look like those of another instrument than the lake has under their name."""


class Ingested(Struct):
    """What has come of some bars: `new`, `same` (nothing was done) and `revised`, the first of them in `shown`.

    `older` have other values than the lake's, which are newer; `notes` explain what has changed, as a split.
    `unfinished` is the time of a last bar that was not over and was left out.
    """

    symbol: str
    timeframe: str
    source: str
    new: int = 0
    same: int = 0
    revised: int = 0
    older: int = 0
    unfinished: str = ""
    shown: list[str] = []
    notes: list[str] = []
    assumptions: list[str] = []
    findings: list[Finding] = []
    seconds: float = 0.0

    def as_text(self) -> str:
        """Return what has come of the bars in a line."""
        text = f"{Series(self.symbol, self.timeframe, self.source)}: {self.new:,} new bars, {self.same:,} known"
        if self.revised:
            rest = ", …" if self.revised > len(self.shown) else ""
            text += f", {self.revised:,} revised (at {', '.join(self.shown)}{rest})"
        return f"{text}, {self.older:,} older than the lake's" if self.older else text

    def warnings(self) -> list[str]:
        """Return what a person should know of the bars, a sentence each."""
        told = [finding.text for finding in self.findings] + self.notes
        if self.unfinished:
            told.append(f"the last bar ({self.unfinished}) was not over yet when it was read: it is left out")
        return told


def share(given: float | None = None) -> float:
    """Return how much of the bars in common may be revised: `given`, else `$PEAK_LAKE_MAX_REVISED`, else 5 %."""
    text = os.environ.get(MAX_REVISED, "").strip()
    try:
        value = given if given is not None else float(text) if text else identity.SHARE
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        where = f"{MAX_REVISED} is {text!r}" if given is None else f"the share of revised bars is {given:g}"
        raise InputError(f"{where}, which is no share from 0 to 1", hint="0.05 is 5 %")
    return value


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
    revise: bool = False,
    max_revised: float | None = None,
    waiting: Callable[[], None] = lambda: None,
) -> Ingested:
    """Bring files of bars into the lake; they are read and checked as `load_bars` does for a run.

    A last bar that is not over yet is left out. `revise` takes the bars in whatever they look like.
    Raises InputError where the files or what they hold are wrong, AnotherInstrument where they look like one.
    """
    loaded = load_bars(
        paths, symbol=symbol, timeframe=timeframe, calendar=calendar, on_violation=on_violation, reading=reading
    )
    bars, unfinished = finished(loaded.bars, datetime.now(UTC))
    done = ingest_bars(
        lake,
        bars,
        source=source,
        calendar=calendar,
        origin=", ".join(file.path for file in loaded.files[:3]) + (", …" if loaded.files[3:] else ""),
        revise=revise,
        max_revised=max_revised,
        waiting=waiting,
    )
    done.assumptions, done.unfinished = loaded.assumptions, unfinished
    done.findings = [finding for finding in loaded.findings if not (unfinished and finding.kind == "unfinished")]
    return done


def finished(bars: Bars, at: datetime) -> tuple[Bars, str]:
    """Return bars without a last one that had opened and was not over at a time, and that one's time as text."""
    if not len(bars):
        return bars, ""
    last, moment = bars.timestamp[-1], np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "ns")
    if not last <= moment < ends(bars.timestamp[-1:], bars.timeframe)[0]:
        return bars, ""
    columns = {name: getattr(bars, name)[:-1] for name in COLUMNS}
    return Bars(**columns, symbol=bars.symbol, timeframe=bars.timeframe), iso(last)


def ingest_bars(
    lake: str | PathLike[str],
    bars: Bars,
    *,
    source: str,
    calendar: str | None = None,
    origin: str = "bars from memory",
    revise: bool = False,
    max_revised: float | None = None,
    waiting: Callable[[], None] = lambda: None,
    grace_s: float = GRACE_S,
) -> Ingested:
    """Bring bars into the lake, all of them in one step, and say what has come of them; `origin` is what they are from.

    Raises InputError where the bars break the contract, AnotherInstrument where they look like one's.
    """
    start = time.perf_counter()
    limit = share(max_revised)
    with writing(lake, waiting=waiting) as writer:
        come = Origin("ingest", origin, accepted=revise)
        tables, done = merge(
            writer, dict(writer.commit.tables), bars, source=source, calendar=calendar, origin=come, max_revised=limit
        )
        if done.new or done.revised:
            for table in schema.TABLES.values():
                tables.setdefault(table.name, Live(schema.duckdb_types(table), list(table.partitions)))
            writer.publish("ingest", tables)
            writer.expire(grace_s)
    done.seconds = time.perf_counter() - start
    return done


def merge(
    writer: Writer,
    tables: dict[str, Live],
    bars: Bars,
    *,
    source: str,
    calendar: str | None,
    origin: Origin,
    max_revised: float = identity.SHARE,
) -> tuple[dict[str, Live], Ingested]:
    """Return `tables` with the bars in them, their files written and not yet published, and what came of the bars."""
    _check(bars, source, calendar)
    series = Series(bars.symbol, bars.timeframe, source)
    done = Ingested(*series)
    if not len(bars):
        return tables, done
    live = tables.get("ohlcv") or parts.live_of(writer, "ohlcv")
    micros = parts.to_numpy(parts.microseconds(bars.timestamp, "the bars"), "i8")
    come = {"timestamp": micros} | {name: getattr(bars, name) for name in identity.VALUES}
    known = _Known(writer, live, series, micros)
    there, rows = known.find(micros)
    past = _Past(writer, tables, series, origin)
    came, stale = past.without_old_news(come, there, known, rows)
    if not origin.accepted:
        done.notes = _judge(came, there, known, rows, past, series, origin, max_revised)
    changed = np.zeros(len(bars), bool)
    changed[there] = identity.differing(known.values(rows), {name: came[name][there] for name in identity.VALUES})
    late = past.late(known.recorded[rows])  # the lake's values are newer than what a run has read
    stale[there] |= changed[there] & late
    changed[there] &= ~late
    new = ~there & ~stale
    done.new, done.revised, done.older = int(new.sum()), int(changed.sum()), int(stale.sum())
    done.same = int(there.sum()) - done.revised - int((stale & there).sum())
    if not done.new and not done.revised:
        return tables, done
    tables, now = dict(tables), writer.tick()
    if done.revised:
        live, superseded = known.revise(live, micros, came, np.flatnonzero(changed), series, now)
        history.supersede(writer, tables, superseded)
        done.shown = [iso(bars.timestamp[row]) for row in np.flatnonzero(changed)[:SHOWN]]
    if done.new:
        at = slice(None) if done.new == len(bars) else np.flatnonzero(new)
        revision = past.next_revisions(micros[at])
        live = parts.append(writer, "ohlcv", live, _by_year(micros[at], bars, at, series, calendar, revision, now))
    tables["ohlcv"] = live
    counts = {"new": done.new, "same": done.same, "revised": done.revised, "removed": 0, "older": done.older}
    history.note_change(writer, tables, series, now, origin, counts, "; ".join(done.notes))
    return tables, done


def _check(bars: Bars, source: str, calendar: str | None) -> None:
    parse_timeframe(bars.timeframe)
    if calendar is not None:
        find_calendar(calendar)
    for what, text in (("symbol", bars.symbol), ("source", source)):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InputError(f"the {what} {escaped(text, 60)} is not UTF-8 text", hint=f"--{what} NAME") from None
    if not bars.symbol:
        raise InputError("the symbol is empty", hint="--symbol BTCUSDT")
    if found := check_ohlcv(bars):
        lines = "".join(f"\n  {line}" for line in found.lines())
        raise InputError(f"the bars break the contract, {len(found):,} violation(s):{lines}", hint="mend the rows")


def _judge(
    come: Mapping[str, Any],
    there: npt.NDArray[np.bool_],
    known: _Known,
    rows: npt.NDArray[np.int64],
    past: _Past,
    series: Series,
    origin: Origin,
    max_revised: float,
) -> list[str]:
    """Return notes on what explains the bars that come in; AnotherInstrument where nothing does."""
    new = {name: values[there] for name, values in come.items()}
    old = known.values(rows) | {"timestamp": new["timestamp"]}
    verdict = identity.judge(old, new, whole=known.whole(new["timestamp"]), share=max_revised)
    against, notes = verdict.against, list(verdict.notes)
    recorded = 0
    if against:
        recorded = int(known.recorded[rows[verdict.at]])
    else:
        for before, after in known.seams(come, there, rows):
            against, note = identity.seam(before, after, timeframe_seconds(series.timeframe))
            notes += [note] if note else []
            if against:
                recorded = int(max(before["recorded_at"].max(), after["recorded_at"].max()))
                break
    if not against:
        return notes
    raise AnotherInstrument(
        f"the bars of {origin} look like another instrument's than {series} in the lake, "
        f"{past.named(recorded)}: {against}",
        hint="give another instrument its own symbol or source; --revise accepts the bars as they are; "
        f"just lake-revert {series.options} shows what came in when",
    )


class _Past:
    """What a series has been: where its values came from, and what it had before."""

    def __init__(self, writer: Writer, tables: Mapping[str, Live], series: Series, origin: Origin) -> None:
        self.origin = origin
        rows = history.changes(writer.lake, tables, series)
        self.changes = {history.micros(row["recorded_at"]): row for row in rows}
        run = origin.by == "run"
        self._old = history.versions(writer.lake, tables, series) if run or any(r["removed"] for r in rows) else None

    def named(self, recorded: int) -> str:
        """Say where the values of that time came from."""
        when = f"on {history.as_text(history.moment(recorded))}"
        row = self.changes.get(recorded)
        if row is None:
            return f"which came in {when}"
        return f"which came in {when} by {Origin(row['by'], row['origin'])}"

    def without_old_news(
        self, come: Mapping[str, Any], there: npt.NDArray[np.bool_], known: _Known, rows: npt.NDArray[np.int64]
    ) -> tuple[dict[str, Any], npt.NDArray[np.bool_]]:
        """Return the bars with the lake's values where a run has some that the lake has replaced, and which those are.

        Bars that were removed from the lake since, with just these values, are among those, and stay out.
        """
        came, stale = dict(come), np.zeros(len(there), bool)
        if self.origin.by != "run" or self._old is None or not self._old.num_rows:
            return came, stale
        old = history.columns(self._old)
        replaced = set(zip(*(old[name].tolist() for name in COLUMNS), strict=True))
        differs = ~there
        differs[there] = identity.differing(known.values(rows), {name: come[name][there] for name in identity.VALUES})
        for row in np.flatnonzero(differs & np.isin(come["timestamp"], old["timestamp"])):
            stale[row] = tuple(come[name][row].item() for name in COLUMNS) in replaced
        if (put := stale & there).any():
            lake = known.values(rows)
            for name in identity.VALUES:
                came[name] = come[name].copy()
                came[name][put] = lake[name][stale[there]]
        return came, stale

    def late(self, recorded: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Tell which values, by the time at which they came in, were read later than those that come in now."""
        if self.origin.by != "run" or self.origin.observed is None:
            return np.zeros(len(recorded), bool)
        times = np.unique(recorded)
        read = [self.changes[at]["observed_at"] if (at := int(time)) in self.changes else None for time in times]
        seen = np.array([int(time) if r is None else history.micros(r) for time, r in zip(times, read, strict=True)])
        late: npt.NDArray[np.bool_] = (seen > history.micros(self.origin.observed))[np.searchsorted(times, recorded)]
        return late

    def next_revisions(self, micros: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the revision of bars that are new: 0, or one more than they had before they were removed."""
        if self._old is None or not self._old.num_rows:
            return np.zeros(len(micros), np.int64)
        revisions: npt.NDArray[np.int64] = history.last_revisions(self._old, micros) + 1
        return revisions


class _Known:
    """The files of a series that may hold some of the bars at `micros`, and their rows."""

    def __init__(self, writer: Writer, live: Live, series: Series, micros: npt.NDArray[np.int64]) -> None:
        self.writer = writer
        first, last = (_iso(int(at)) for at in (micros[0], micros[-1]))
        self.all = [part for part in live.parts if history.is_of(part.series, series)]
        self.parts = [part for part in self.all if part.first <= last and part.last >= first]
        self.ends = first, last
        self.tables = [parts.read_part(writer.lake, "ohlcv", part) for part in self.parts]
        self.columns = _joined(self.tables)
        self.times, self.recorded = self.columns["timestamp"], self.columns["recorded_at"]
        self.order = np.argsort(self.times, kind="stable")

    def find(self, micros: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
        """Return which bars are known, and the rows of those."""
        if not len(self.times):
            return np.zeros(len(micros), bool), np.empty(0, np.int64)
        ordered = self.times[self.order]
        at = np.minimum(np.searchsorted(ordered, micros), len(ordered) - 1)
        known = ordered[at] == micros
        return known, self.order[at[known]]

    def values(self, rows: npt.NDArray[np.int64]) -> dict[str, Any]:
        """Return the values of some rows."""
        return {name: self.columns[name][rows] for name in identity.VALUES}

    def whole(self, micros: npt.NDArray[np.int64]) -> tuple[bool, bool]:
        """Tell whether the first and the last bar of the series are at one of the times."""
        if not len(micros):
            return False, False
        return (
            min(part.first for part in self.all) == _iso(int(micros[0])),
            max(part.last for part in self.all) == _iso(int(micros[-1])),
        )

    def seams(
        self, come: Mapping[str, Any], there: npt.NDArray[np.bool_], rows: npt.NDArray[np.int64]
    ) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Return the bars before and after the places where known bars and new ones meet, as they come in."""
        if not self.all or there.all():
            return []
        mine = self.columns | {name: self.columns[name].copy() for name in identity.VALUES}
        for name in identity.VALUES:
            mine[name][rows] = come[name][there]
        new = {name: values[~there] for name, values in come.items()}
        new["recorded_at"] = np.zeros(len(new["timestamp"]), np.int64)
        sides = [*self._neighbours(), mine, new]
        joined = {name: np.concatenate([side[name] for side in sides]) for name in self.columns}
        order = np.argsort(joined["timestamp"], kind="stable")
        own = order >= len(order) - len(new["timestamp"])
        turns = 1 + np.flatnonzero(own[1:] != own[:-1])
        found = []
        for at in turns[:: 1 + len(turns) // _SEAMS].tolist():
            around = order[max(0, at - _NEAR) : at], order[at : at + _NEAR]
            before, after = ({name: values[side] for name, values in joined.items()} for side in around)
            found.append((before, after))
        return found

    def _neighbours(self) -> list[dict[str, Any]]:
        """Return the bars of the files just before and just after those that are looked at."""
        first, last = self.ends
        before = max((part for part in self.all if part.last < first), key=lambda part: part.last, default=None)
        after = min((part for part in self.all if part.first > last), key=lambda part: part.first, default=None)
        found: list[Part] = [part for part in (before, after) if part is not None]
        return [_joined([parts.read_part(self.writer.lake, "ohlcv", part)]) for part in found]

    def revise(
        self,
        live: Live,
        micros: npt.NDArray[np.int64],
        come: Mapping[str, Any],
        rows: npt.NDArray[np.int64],
        series: Series,
        now: datetime,
    ) -> tuple[Live, list[Any]]:
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
            superseded.append(history.superseded(table, where, series, now))
            pieces.append((part.series, _new_rows(table, where, come, which, now)))
        written = parts.write_parts(self.writer, "ohlcv", pieces)
        return parts.replace("ohlcv", live, taken, written), superseded


def _joined(tables: Sequence[Any]) -> dict[str, Any]:
    """Return the columns of files' rows as arrays."""
    kinds = {"timestamp": "i8", "recorded_at": "i8"} | dict.fromkeys(identity.VALUES, "f8")
    return {
        name: np.concatenate([np.empty(0, kind), *(parts.to_numpy(table[name], kind) for table in tables)])
        for name, kind in kinds.items()
    }


def _new_rows(
    table: Any, where: npt.NDArray[np.int64], come: Mapping[str, Any], which: npt.NDArray[np.int64], now: datetime
) -> Any:
    for name in identity.VALUES:
        values = parts.to_numpy(table[name], "f8").copy()
        values[where] = come[name][which]
        table = history.with_column(table, name, parts.from_numpy(values, pa.float64()))
    revision = parts.to_numpy(table["revision"], "i8").copy()
    revision[where] += 1
    recorded = parts.to_numpy(table["recorded_at"], "i8").copy()
    recorded[where] = history.micros(now)
    table = history.with_column(table, "revision", parts.from_numpy(revision, pa.int64()))
    return history.with_column(table, "recorded_at", parts.from_numpy(recorded, pa.timestamp("us", "UTC")))


def _by_year(
    micros: npt.NDArray[np.int64],
    bars: Bars,
    rows: Any,
    series: Series,
    calendar: str | None,
    revision: npt.NDArray[np.int64],
    now: datetime,
) -> list[tuple[Mapping[str, str], Any]]:
    """Return bars as Arrow tables, one for each year: the bars are in order of time."""
    values = {name: getattr(bars, name)[rows] for name in identity.VALUES}
    first, last = (int(year) for year in micros[[0, -1]].view("M8[us]").astype("M8[Y]").view(np.int64))
    turns = np.arange(first + 1, last + 1).view("M8[Y]").astype("M8[us]").view(np.int64)
    ends = [*np.searchsorted(micros, turns).tolist(), len(micros)]
    longest = int(np.diff([0, *ends]).max())
    recorded = np.full(longest, history.micros(now))  # the same for every year
    kinds = schema.arrow_schema("ohlcv")
    pieces: list[tuple[Mapping[str, str], Any]] = []
    for year, (start, end) in enumerate(pairwise([0, *ends]), first + 1970):
        if start == end:
            continue
        given = {
            "timestamp": parts.from_numpy(micros[start:end], pa.timestamp("us", "UTC")),
            "source": _constant(series.source, end - start),
            "calendar": _constant(calendar, end - start),
            "revision": parts.from_numpy(revision[start:end], pa.int64()),
            "recorded_at": parts.from_numpy(recorded[: end - start], pa.timestamp("us", "UTC")),
        }
        given |= {name: parts.from_numpy(column[start:end], pa.float64()) for name, column in values.items()}
        table = pa.table([given[field.name] for field in kinds], names=kinds.names)
        pieces.append((series._asdict() | {"year": str(year)}, table))
    return pieces


def _constant(text: str | None, length: int) -> Any:
    if text is None:
        return pa.nulls(length, pa.string())
    return pa.DictionaryArray.from_arrays(parts.from_numpy(np.zeros(length, np.int32), pa.int32()), pa.array([text]))


def _iso(micros: int) -> str:
    """Return a time as the `first` and `last` of a part are written."""
    seconds, rest = divmod(micros, 1_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
