"""What came into a series when and from where, and the way back to any moment of it.

Each version of a bar holds from its `recorded_at` to its `superseded_at`, so a series as it was at any time is in
`ohlcv` and `ohlcv_revisions` still; `ohlcv_changes` says who changed it. Going back is a change of its own: what it
replaces moves to `ohlcv_revisions` as well, and nothing is ever lost.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from peak_trade.data.lake import commit, identity, parts, schema
from peak_trade.data.lake.commit import Live
from peak_trade.data.lake.writer import GRACE_S, Writer, writing
from peak_trade.errors import InputError
from peak_trade.text import escaped

__all__ = ["Change", "Origin", "Reverted", "Series", "changes_of", "doubtful", "only", "revert"]

Tables = Mapping[str, Live]
_NAMED = 5  # series in a sentence


class Series(NamedTuple):
    """What bars are of: two of them never share one."""

    symbol: str
    timeframe: str
    source: str

    def __str__(self) -> str:
        return escaped(f"{self.symbol} {self.timeframe}" + (f" of {self.source}" if self.source else ""), 200)

    @property
    def options(self) -> str:
        """The series as options of a command."""
        return shlex.join(["--symbol", self.symbol, "--timeframe", self.timeframe, "--source", self.source])


class Origin(Struct, frozen=True):
    """Where bars come from: `by` is `ingest`, `run` or `revert`; `observed` is when somebody read them, None for now.

    `accepted`: a person has said that they are the series', whatever they look like.
    """

    by: str
    name: str
    observed: datetime | None = None
    accepted: bool = False

    def __str__(self) -> str:
        return f"{self.by} {self.name}" if self.by == "run" else f"{self.by} of {self.name}"


class Change(Struct, frozen=True):
    """One change of a series, the first of which has the number 1; a lake of an older version does not know its origin.

    `bars` is how many the series had after it.
    """

    number: int
    at: datetime
    by: str = ""
    origin: str = ""
    new: int = 0
    revised: int = 0
    removed: int = 0
    bars: int = 0
    note: str = ""
    accepted: bool = False

    def __str__(self) -> str:
        counts = ", ".join(
            f"{count:,} {name}"
            for name, count in (("new", self.new), ("revised", self.revised), ("removed", self.removed))
            if count
        )
        who = f"{self.by} {self.origin}".strip() or "of an older version of the program"
        note = f" ({self.note})" if self.note else ""
        return f"{self.number}  {as_text(self.at)}  {who}: {counts or 'nothing changed'}, {self.bars:,} bars{note}"


class Reverted(Struct):
    """What going back has changed."""

    series: str
    to: int
    revised: int = 0
    removed: int = 0
    restored: int = 0

    def as_text(self) -> str:
        """Return it in a line."""
        return (
            f"{self.series} is as after change {self.to}: {self.revised:,} bars have their values of then, "
            f"{self.removed:,} went, {self.restored:,} came back"
        )


# --- reading ------------------------------------------------------------------------------------------------------


def bars_of(lake: Path, tables: Tables, series: Series) -> Any:
    """Return the rows of a series in `ohlcv` as an Arrow table, in order of time."""
    live = tables.get("ohlcv")
    own = [part for part in (live.parts if live else []) if is_of(part.series, series)]
    return parts.sort_rows("ohlcv", [parts.read_rows(lake, "ohlcv", own)])


def versions(lake: Path, tables: Tables, series: Series) -> Any:
    """Return the rows of a series in `ohlcv_revisions` as an Arrow table."""
    return _rows_of(lake, tables, "ohlcv_revisions", series)


def changes(lake: Path, tables: Tables, series: Series) -> list[dict[str, Any]]:
    """Return the rows of a series in `ohlcv_changes`, in order of time."""
    rows: list[dict[str, Any]] = _rows_of(lake, tables, "ohlcv_changes", series).to_pylist()
    return sorted(rows, key=lambda row: row["recorded_at"])


def _rows_of(lake: Path, tables: Tables, name: str, series: Series) -> Any:
    live = tables.get(name)
    own = [part for part in (live.parts if live else []) if part.first <= series.symbol <= part.last]
    rows = parts.read_rows(lake, name, own)
    for key, value in series._asdict().items():
        rows = rows.filter(pc.equal(rows[key], pa.scalar(value)))
    return rows


def is_of(known: Mapping[str, str], series: Series) -> bool:
    return all(known.get(key) == value for key, value in series._asdict().items())


def all_series(lake: Path, tables: Tables) -> list[Series]:
    """Return every series that the lake has, or had before they were removed."""
    live = tables.get("ohlcv")
    found = {Series(*(part.series[key] for key in Series._fields)) for part in (live.parts if live else [])}
    for name in ("ohlcv_changes", "ohlcv_revisions"):
        if name in tables:
            found |= _distinct(parts.read_rows(lake, name, tables[name].parts, Series._fields))
    return sorted(found)


class _Past:
    """A series with all its versions."""

    def __init__(self, lake: Path, tables: Tables, series: Series) -> None:
        self.series = series
        self.now = bars_of(lake, tables, series)
        self.old = versions(lake, tables, series)
        self.rows = {micros(row["recorded_at"]): row for row in changes(lake, tables, series)}
        self.recorded = parts.to_numpy(self.now["recorded_at"], "i8")
        self.old_recorded = parts.to_numpy(self.old["recorded_at"], "i8")
        self.superseded = parts.to_numpy(self.old["superseded_at"], "i8")
        self.times = sorted(
            {*self.recorded.tolist(), *self.old_recorded.tolist(), *self.superseded.tolist(), *self.rows}
        )

    def at(self, time: int) -> Any:
        """Return the rows that the series had then, in order of time."""
        now = self.now.filter(pa.array(self.recorded <= time))
        old = self.old.filter(pa.array((self.old_recorded <= time) & (self.superseded > time)))
        kinds = schema.arrow_schema("ohlcv")
        return parts.sort_rows("ohlcv", [now, old.select(kinds.names)])

    def history(self) -> list[Change]:
        firsts = parts.to_numpy(self.now["revision"], "i8") == 0
        old_firsts = parts.to_numpy(self.old["revision"], "i8") == 0
        found = []
        bars = 0
        for number, time in enumerate(self.times, 1):
            came, came_old = self.recorded == time, self.old_recorded == time
            new = int((came & firsts).sum() + (came_old & old_firsts).sum())
            came_in = int(came.sum() + came_old.sum())
            bars += came_in - int((self.superseded == time).sum())
            row = self.rows.get(time)
            known = (
                {name: row[name] for name in ("by", "origin", "new", "revised", "removed", "note", "accepted")}
                if row
                else {"new": new, "revised": came_in - new}
            )
            found.append(Change(number, moment(time), bars=bars, **known))
        return found


def changes_of(lake: str | os.PathLike[str], **wanted: str | None) -> dict[Series, list[Change]]:
    """Return the changes of each series that has the `wanted` values of its fields; None stands for all.

    Raises InputError where there is no lake, or no such series in it.
    """
    reader = commit.reading(lake)
    try:
        tables = reader.commit.tables
        known = all_series(Path(lake), tables)
        found = [s for s in known if all(value in (None, getattr(s, key)) for key, value in wanted.items())]
        if not found:
            asked = " ".join(f"--{key} {escaped(value, 60)}" for key, value in wanted.items() if value is not None)
            raise InputError(f"the lake has no bars{' of ' if asked else ''}{asked}", hint=_listed(known))
        return {series: _Past(Path(lake), tables, series).history() for series in found}
    finally:
        reader.close()


def only(found: Mapping[Series, Any]) -> Series:
    """Return the one series that was found; InputError where there are several."""
    if len(found) > 1:
        raise InputError(f"{len(found):,} series are meant, and one goes back at a time", hint=_listed(list(found)))
    return next(iter(found))


def _listed(known: list[Series]) -> str:
    if not known:
        return "just lake-ingest brings bars in"
    more = f" and {len(known) - _NAMED:,} more" if len(known) > _NAMED else ""
    return f"it has {'; '.join(series.options for series in known[:_NAMED])}{more}"


def doubtful(lake: Path, tables: Tables) -> Iterator[str]:
    """Yield a sentence for each change that brought bars which look like another instrument's.

    What a person has accepted since, by `--revise` or by going back, is the series' own.
    """
    live = tables.get("ohlcv_revisions")
    if live is None or not live.parts:
        return
    rows = parts.read_rows(lake, "ohlcv_revisions", live.parts, Series._fields)
    for series in sorted(_distinct(rows)):
        past = _Past(lake, tables, series)
        settled = max((time for time, row in past.rows.items() if row["accepted"]), default=-1)
        for number, time in enumerate(past.times, 1):
            if time <= settled or not (past.superseded == time).any():
                continue
            verdict = _judge_again(past, time)
            if verdict.against:
                yield (
                    f"{series}: change {number}, of {as_text(moment(time))}, looks like another instrument's bars "
                    f"({verdict.against}); just lake-revert {series.options} shows the changes, and --to goes back"
                )


def _judge_again(past: _Past, time: int) -> identity.Verdict:
    """Look at a change as if it came in now: the bars before it, beside those of the same times after it."""
    before, after = columns(past.at(time - 1)), past.at(time)
    came = parts.to_numpy(after["recorded_at"], "i8") == time
    after = columns(after)
    if not came.any() or not len(before["timestamp"]):
        return identity.Verdict()
    first, last = after["timestamp"][came][[0, -1]]
    both = np.intersect1d(before["timestamp"], after["timestamp"])
    both = both[(both >= first) & (both <= last)]
    whole = (
        (bool(both[0] <= before["timestamp"][0]), bool(both[-1] >= before["timestamp"][-1]))
        if len(both)
        else (True, True)
    )
    old = {name: values[np.isin(before["timestamp"], both)] for name, values in before.items()}
    new = {name: values[np.isin(after["timestamp"], both)] for name, values in after.items()}
    return identity.judge(old, new, whole=whole)


def columns(rows: Any) -> dict[str, Any]:
    """Return bars of an Arrow table as the columns that `identity` looks at."""
    values = {name: parts.to_numpy(rows[name], "f8") for name in identity.VALUES}
    return {"timestamp": parts.to_numpy(rows["timestamp"], "i8")} | values


def _distinct(rows: Any) -> set[Series]:
    unique = rows.group_by(list(Series._fields)).aggregate([])
    return {Series(*values) for values in zip(*(unique[key].to_pylist() for key in Series._fields), strict=True)}


# --- writing ------------------------------------------------------------------------------------------------------


def revert(
    lake: str | os.PathLike[str],
    series: Series,
    to: int,
    *,
    waiting: Callable[[], None] = lambda: None,
    grace_s: float = GRACE_S,
) -> Reverted:
    """Make a series what it was after a change (0: before the first), all of it in one step, as a change of its own.

    Raises InputError where there is no such series or change.
    """
    lake = Path(lake)
    commit.reading(lake).close()  # a lake, and something in it
    with writing(lake, waiting=waiting) as writer:
        tables = dict(writer.commit.tables)
        past = _Past(lake, tables, series)
        if not past.times:
            raise InputError(f"the lake has no bars of {series}", hint=_listed(all_series(lake, tables)))
        if not 0 <= to <= len(past.times):
            raise InputError(
                f"{series} has the changes 1 to {len(past.times)}, and no {to}",
                hint=f"just lake-revert {series.options} lists them; --to 0 is before the first",
            )
        done = _go_back(writer, tables, past, past.times[to - 1] if to else -1, to)
        for table in schema.TABLES.values():
            tables.setdefault(table.name, Live(schema.duckdb_types(table), list(table.partitions)))
        writer.publish("revert", tables)
        writer.expire(grace_s)
    return done


def _go_back(writer: Writer, tables: dict[str, Live], past: _Past, time: int, to: int) -> Reverted:
    """Put the series as it was at `time` into `tables`, and what it is into the revisions."""
    series, now = past.series, writer.tick()
    then = past.at(time)
    before, after = columns(past.now), columns(then)
    here, there = before["timestamp"], after["timestamp"]
    at = np.searchsorted(here, there)
    kept = (
        (at < len(here)) & (here[np.minimum(at, len(here) - 1)] == there) if len(here) else np.zeros(len(there), bool)
    )
    back = ~kept  # bars that were removed since
    changed = np.zeros(len(there), bool)
    for name in identity.VALUES:
        changed[kept] |= before[name][at[kept]] != after[name][kept]
    gone = ~np.isin(here, there)
    done = Reverted(str(series), to, int(changed.sum()), int(gone.sum()), int(back.sum()))

    if changed.any() or gone.any() or back.any():
        revision = parts.to_numpy(then["revision"], "i8").copy()
        recorded = parts.to_numpy(then["recorded_at"], "i8").copy()
        mine = parts.to_numpy(past.now["revision"], "i8")
        revision[kept] = mine[at[kept]] + changed[kept]
        recorded[kept] = past.recorded[at[kept]]
        revision[back] = last_revisions(past.old, there[back]) + 1
        recorded[changed | back] = micros(now)
        rows = with_column(then, "revision", parts.from_numpy(revision, pa.int64()))
        rows = with_column(rows, "recorded_at", parts.from_numpy(recorded, pa.timestamp("us", "UTC")))
        live = tables["ohlcv"]
        taken = [part.path for part in live.parts if is_of(part.series, series)]
        written = parts.write_parts(writer, "ohlcv", by_year(rows, series))
        tables["ohlcv"] = parts.replace("ohlcv", live, taken, written)
        replaced = np.union1d(at[changed], np.flatnonzero(gone))
        if len(replaced):
            supersede(writer, tables, [superseded(past.now, replaced, series, now)])
    counts = {"new": 0, "same": len(there) - done.revised - done.restored}
    counts |= {"revised": done.revised + done.restored, "removed": done.removed, "older": 0}
    note_change(writer, tables, series, now, Origin("revert", f"to change {to}", accepted=True), counts)
    return done


def by_year(rows: Any, series: Series) -> list[tuple[Mapping[str, str], Any]]:
    """Return the bars of an Arrow table in order of time as the pieces that are written: a year each."""
    years = parts.to_numpy(rows["timestamp"], "i8").view("M8[us]").astype("M8[Y]").view(np.int64) + 1970
    if not len(years):
        return []
    starts = [0, *(1 + np.flatnonzero(np.diff(years))).tolist()]
    return [
        (series._asdict() | {"year": str(years[start])}, rows.slice(start, end - start))
        for start, end in zip(starts, [*starts[1:], len(years)], strict=True)
    ]


def last_revisions(old: Any, times: Any) -> Any:
    """Return the highest revision that bars had before, by the rows of `versions`; -1 where they never were there."""
    found = np.full(len(times), -1, np.int64)
    known, revision = parts.to_numpy(old["timestamp"], "i8"), parts.to_numpy(old["revision"], "i8")
    order = np.lexsort((revision, known))
    if len(order) and len(times):
        at = np.searchsorted(known[order], times, side="right") - 1
        there = (at >= 0) & (known[order][at] == times)
        found[there] = revision[order][at[there]]
    return found


def superseded(rows: Any, where: Any, series: Series, now: datetime) -> Any:
    """Return rows of `ohlcv` as those of `ohlcv_revisions`."""
    old = rows.take(parts.from_numpy(np.asarray(where, np.int64), pa.int64()))
    kinds = schema.arrow_schema("ohlcv_revisions")
    given = {"symbol": series.symbol, "timeframe": series.timeframe, "superseded_at": now}
    made = [
        pa.array([given[field.name]] * old.num_rows, field.type)
        if field.name in given
        else old[field.name].cast(field.type)
        for field in kinds
    ]
    return pa.table(made, schema=kinds)


def supersede(writer: Writer, tables: dict[str, Live], rows: list[Any]) -> None:
    """Add rows to `ohlcv_revisions` in `tables`."""
    before = tables.get("ohlcv_revisions") or parts.live_of(writer, "ohlcv_revisions")
    piece: tuple[Mapping[str, str], Any] = {}, parts.sort_rows("ohlcv_revisions", rows)
    tables["ohlcv_revisions"] = parts.append(writer, "ohlcv_revisions", before, [piece])


def note_change(
    writer: Writer,
    tables: dict[str, Live],
    series: Series,
    at: datetime,
    origin: Origin,
    counts: Mapping[str, int],
    note: str = "",
) -> None:
    """Add a row to `ohlcv_changes` in `tables`."""
    row = series._asdict() | {
        "recorded_at": at,
        "by": origin.by,
        "origin": origin.name,
        "observed_at": origin.observed or at,
        "accepted": origin.accepted,
        "note": note or None,
        **counts,
    }
    kinds = schema.arrow_schema("ohlcv_changes")
    rows = pa.table([pa.array([row.get(field.name)], field.type) for field in kinds], schema=kinds)
    before = tables.get("ohlcv_changes") or parts.live_of(writer, "ohlcv_changes")
    tables["ohlcv_changes"] = parts.append(writer, "ohlcv_changes", before, [({}, rows)])


def with_column(table: Any, name: str, column: Any) -> Any:
    at = table.column_names.index(name)
    return table.set_column(at, table.schema.field(at), column)


def micros(at: datetime) -> int:
    """Return a time in microseconds since 1970."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def moment(time: int) -> datetime:
    """Return the time of microseconds since 1970."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)


def as_text(at: datetime) -> str:
    """Return a time for people."""
    return at.isoformat(sep=" ", timespec="seconds").replace("+00:00", "Z")
