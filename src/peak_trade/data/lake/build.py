"""Building the lake: what is in `results/` and not yet in it, batch by batch, each commit whole.

The lake's tables of runs are a function of `results/`: building step by step or anew gives the same rows. A run that
was removed keeps the rows that the lake has of it, also when it is built anew, and else has the one that the ledger can
give. How a run becomes rows is `runs`.

What is in `results/` may come from strangers: a run, a line of the ledger or a folder of telemetry that can't be rows
is left out and named, whatever is wrong with it, and all others go in. Nothing of it is waited for, so the right to
write is never held for the sake of a stranger's file.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from peak_trade import config
from peak_trade.data.lake import ingest, parts, schema, traces
from peak_trade.data.lake.commit import Live
from peak_trade.data.lake.history import Origin, doubtful
from peak_trade.data.lake.runs import (
    UNFIT,
    RunRows,
    ended_table,
    fitting,
    ledger_table,
    read_run,
    tables_of,
)
from peak_trade.data.lake.writer import GRACE_S, Writer, writing
from peak_trade.errors import PeakError, RunError
from peak_trade.evidence import bars as came_along
from peak_trade.evidence.ledger import ENDED, REMOVED, Entry, History, Reading
from peak_trade.evidence.manifest import COMPLETED, RUN
from peak_trade.evidence.results import BARS, WORKING, Results
from peak_trade.market import promised
from peak_trade.market.bars import Bars
from peak_trade.market.fingerprint import fingerprint
from peak_trade.market.ohlcv import load_bars
from peak_trade.shown import telemetry
from peak_trade.text import escaped, one_line

__all__ = ["Built", "build"]

RUNS = 1_000  # of a batch
BYTES = 128 << 20  # of a batch, before the run that is more
LINES = 5_000  # of the ledger, or runs of which only it tells, that are made rows at once
_OF_A_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)
RECORDS = 200_000  # spans and log records that are held at once, and those of one folder more
_Item = TypeVar("_Item")
_Make = Callable[[Sequence[Any]], Any]
_Blame = Callable[[Any, str], None]


class Built(Struct):
    """What a build has done: runs by status, lines of the ledger, spans and log records, bars.

    `broken` are runs that stay out as they are not what was sealed, `skipped` those whose bars alone do; with reasons.
    `refused` are those whose bars look like another instrument's, `doubtful` what a build anew finds of that kind in
    the lake. `torn` are the lines and records of telemetry that can't be read, by file. `unfit` are lines of the ledger
    and folders of telemetry that stay out as they can't be rows, with reasons.
    """

    runs: dict[str, int] = {}
    lines: int = 0
    spans: int = 0
    logs: int = 0
    torn: dict[str, int] = {}
    bars: list[ingest.Ingested] = []
    broken: list[tuple[str, str]] = []
    skipped: list[tuple[str, str]] = []
    refused: list[tuple[str, str]] = []
    doubtful: list[str] = []
    unfit: list[tuple[str, str]] = []
    seconds: float = 0.0
    anew: bool = False


def build(
    results: Results,
    lake: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None,
    anew: bool = False,
    progress: Callable[[int, int], None] = lambda done, of: None,
    waiting: Callable[[], None] = lambda: None,
    grace_s: float = GRACE_S,
) -> Built:
    """Bring every run in `results` that is not in the lake into it, batch by batch, and what the ledger says since.

    `anew` makes the tables of runs from `results` alone, and shows them in one step when all of them are made; bars
    stay. The bars of a run come in too where their file, looked for below `root`, still has the run's fingerprint.
    """
    start = time.perf_counter()
    with writing(lake, waiting=waiting) as writer:
        building = _Build(writer, results, None if root is None else Path(root), anew)
        building.go(progress)
        built = building.built
        if anew:
            built.doubtful = list(doubtful(writer.lake, writer.commit.tables))
        writer.expire(grace_s)
        if built.anew:
            writer.sweep()  # what was merged on the way
    built.seconds = time.perf_counter() - start
    return built


class _Build:
    def __init__(self, writer: Writer, results: Results, root: Path | None, anew: bool) -> None:
        self.writer, self.results, self.root = writer, results, root
        self.tables = dict(writer.commit.tables)
        self.bars = set(writer.commit.bars)
        self.gone: set[str] = set()  # the removed runs
        self.told: set[str] = set()
        of_runs = [table for table in schema.TABLES.values() if table.of_runs]
        changed = any(
            table.name in self.tables and self.tables[table.name].columns != schema.duckdb_types(table)
            for table in of_runs
        )
        self.built = Built(anew=anew or changed)
        if self.built.anew:
            self.tables = {name: live for name, live in self.tables.items() if not schema.TABLES[name].of_runs}

        if writer.commit.number:  # a lake of an older version may lack tables
            self.tables |= {name: self.live(name) for name in schema.TABLES}

        ledger = parts.read_rows(writer.lake, "ledger", self.live("ledger").parts, ["sha256"])
        self.lines: set[str] = set(ledger["sha256"].to_pylist())

    def live(self, name: str) -> Live:
        table = schema.TABLES[name]
        return self.tables.get(name) or Live(schema.duckdb_types(table), list(table.partitions))

    def go(self, progress: Callable[[int, int], None]) -> None:
        try:
            there = self.results.runs()  # before the ledger: what is removed from now on is no run that is missing
            ledger = self.results.reading()
        except OSError as error:
            raise RunError(
                f"cannot read {self.results.path}: {error.strerror}", hint="just verify --all shows what is there"
            ) from None
        self._name_lines(ledger)
        known = self._known()
        self.gone = ledger.removed
        known |= dict.fromkeys(self._keep(known), "removed")
        new, ended = self._news(there, ledger, known)
        back = {path.name for path in new} & known.keys()
        if stale := (back | {run_id for run_id, _, _ in ended}) & set(known):
            for table in schema.TABLES.values():
                if table.of_runs and table.name not in ("ledger", *traces.TABLES):
                    self._drop(table.name, "run_id", stale)
        new.sort(key=lambda path: (ledger.of(path.name).began, path.name))  # a later run knows better
        done = 0
        for batch in _batches(new, ledger.runs, progress):
            found = [run for run in batch if not run.error]
            for run in batch:
                if run.error and os.path.lexists(self.results.path / run.row["run_id"]):  # else it was just removed
                    self.built.broken.append((run.row["run_id"], run.error))
            for fit, tables in fitting(found, tables_of, self._blame_run):
                self._take_bars(fit)
                for name, rows in tables.items():
                    self._add(name, rows)
                self._count(run.row["status"] for run in fit)
                self._add_ledger(line for run in fit for line in ledger.of(run.row["run_id"]).entries)
            done += len(batch)
            if done < len(new) and not self.built.anew:
                self._publish()
        told = self._add_blocks("runs", ended, ended_table, lambda run, why: self.built.unfit.append((run[0], why)))
        self._count(status for _, status, _ in told)
        self._add_ledger(ledger.entries)
        self._take_telemetry()
        if self.tables != self.writer.commit.tables or self.bars != set(self.writer.commit.bars):
            self._publish()

    def _name_lines(self, ledger: Reading) -> None:
        """Name the lines that are none of a ledger; that the chain is broken is for `verify` to tell."""
        for line, expected, found in ledger.broken:
            if not expected.startswith("prev "):
                self.built.unfit.append((f"ledger line {line:,}", f"{expected} is expected, not {escaped(found, 60)}"))

    def _blame_run(self, run: RunRows, why: str) -> None:
        self.built.broken.append((run.row["run_id"], why))

    def _publish(self) -> None:
        for table in schema.TABLES.values():
            self.tables.setdefault(table.name, self.live(table.name))
        self.writer.publish("build", self.tables, bars=sorted(self.bars))

    def _known(self) -> dict[str, str]:
        rows = parts.read_rows(self.writer.lake, "runs", self.live("runs").parts, ["run_id", "status"])
        return dict(zip(rows["run_id"].to_pylist(), rows["status"].to_pylist(), strict=True))

    def _keep(self, known: dict[str, str]) -> set[str]:
        """Keep the rows of removed runs, which `results` can't give again; return the runs that have their rows."""
        if self.built.anew:
            names = [table.name for table in schema.TABLES.values() if table.of_runs and table.name != "ledger"]
            wanted = self.gone
        else:
            names = ["runs"]
            wanted = {run_id for run_id in self.gone if known.get(run_id) in (*COMPLETED, "failed")}
        if not wanted:
            return wanted
        try:
            rows = {name: self._rows_of(name, wanted) for name in names}
        except (RunError, pa.ArrowException) as error:  # building anew is how a damaged lake is mended
            self.built.skipped.append(("removed runs", f"their rows can't be kept: {one_line(error, 200)}"))
            return set()
        if not self.built.anew:
            self._drop("runs", "run_id", wanted)
        found = rows["runs"]["run_id"].to_pylist()
        rows["runs"] = rows["runs"].set_column(
            rows["runs"].column_names.index("status"), "status", pa.array(["removed"] * len(found))
        )
        for name, kept in rows.items():
            self._add(name, kept)
        self._count("removed" for _ in found)
        return set(found)

    def _rows_of(self, name: str, run_ids: set[str]) -> Any:
        """Return the rows of runs in the lake as it was, in the columns of today."""
        kinds, live = schema.arrow_schema(name), self.writer.commit.tables.get(name)
        rows = parts.read_rows(self.writer.lake, name, live.parts if live else [])
        of = "folder" if name in traces.TABLES else "run_id"
        rows = rows.filter(pc.is_in(rows[of], value_set=pa.array(sorted(run_ids))))
        columns = [
            rows[field.name].cast(field.type) if field.name in rows.column_names else pa.nulls(len(rows), field.type)
            for field in kinds
        ]
        return parts.sort_rows(name, [pa.table(columns, schema=kinds)])

    def _news(
        self, paths: Sequence[Path], ledger: Reading, known: dict[str, str]
    ) -> tuple[list[Path], list[tuple[str, str, History]]]:
        """Return the directories to read, and the runs of which only the ledger tells, with their status."""
        there = {path.name: path for path in paths}
        removed = ledger.removed
        new = [
            path
            for run_id, path in there.items()
            if run_id not in removed and known.get(run_id) in (None, "missing", "removed")
        ]
        ended = []
        for run_id, history in ledger.runs.items():
            if run_id in removed:
                status = REMOVED
            elif history.state in ENDED and run_id not in there and not self._somewhere(run_id):
                status = "missing"
            else:
                continue
            if known.get(run_id) != status:
                ended.append((run_id, status, history))
        return new, ended

    def _somewhere(self, run_id: str) -> bool:
        """Tell whether a run is there after all: it may have got its final name since the folder was listed."""
        results = self.results.path
        places = results / run_id, results / WORKING / run_id, results / run_id
        return any(place.is_dir() for place in places)

    def _drop(self, name: str, column: str, values: set[str]) -> None:
        """Take the rows that have one of some values in a column out of a table."""
        gone, live = pa.array(sorted(values)), self.live(name)
        taken, kept = [], []
        for part in live.parts:
            rows = parts.read_part(self.writer.lake, name, part)
            mask = pc.is_in(rows[column], value_set=gone)
            if pc.any(mask).as_py():
                taken.append(part.path)
                kept.append((part.series, rows.filter(pc.invert(mask))))
        self.tables[name] = parts.replace(name, live, taken, parts.write_parts(self.writer, name, kept))

    def _count(self, statuses: Iterable[str]) -> None:
        for status in statuses:
            self.built.runs[status] = self.built.runs.get(status, 0) + 1

    def _add(self, name: str, rows: Any) -> None:
        if rows.num_rows:
            self.tables[name] = parts.append(self.writer, name, self.live(name), [({}, rows)])

    def _add_blocks(self, name: str, items: Sequence[_Item], make: _Make, blame: _Blame) -> list[_Item]:
        """Add what is made of items, `LINES` at a time, and return those that went in.

        As objects of Python's, rows take many times the room that they have in a table.
        """
        fit: list[_Item] = []
        tables: list[Any] = []
        for start in range(0, len(items), LINES):
            for block, rows in fitting(items[start : start + LINES], make, blame):
                fit += block
                tables.append(rows)
        if tables:
            self.tables[name] = parts.append(self.writer, name, self.live(name), [({}, tables)])
        return fit

    def _add_ledger(self, entries: Iterable[Entry]) -> None:
        """Add lines of the ledger: those of a batch with it, so that no reader sees the one without the other."""
        new = [entry for entry in entries if entry.sha256 not in self.lines]
        self.lines |= {entry.sha256 for entry in new}
        self.built.lines += len(self._add_blocks("ledger", new, ledger_table, self._blame_line))

    def _blame_line(self, entry: Entry, why: str) -> None:
        self.built.unfit.append((f"ledger line {entry.line:,}", why))

    def _take_telemetry(self) -> None:
        """Read the folders whose telemetry has changed, and let their rows take the place of those they had."""

        def rows(name: str, columns: Sequence[str]) -> Any:
            return parts.read_rows(self.writer.lake, name, self.live(name).parts, columns)

        now = traces.state_of(self.results.path)
        before = rows("telemetry", ["folder", "file", "bytes", "modified", "repeated"])
        stale = traces.changed(before, now) - (self.gone - now.keys())
        if stale & set(before["folder"].to_pylist()):
            for name in traces.TABLES:
                self._drop(name, "folder", stale)
        known = traces.keys(rows("spans", ["run_id", "trace_id", "span_id"])) if stale else set()
        waiting: list[telemetry.Telemetry] = []
        for folder in sorted(stale & now.keys()):
            waiting.append(telemetry.read(self.results.path, folder, known))
            known.update(span.key for span in waiting[-1].spans)
            if sum(len(told.spans) + len(told.logs) for told in waiting) >= RECORDS:
                self._add_telemetry(waiting)
                waiting.clear()
        self._add_telemetry(waiting)

    def _add_telemetry(self, told: Sequence[telemetry.Telemetry]) -> None:
        def tables(told: Sequence[telemetry.Telemetry]) -> dict[str, Any]:
            return traces.to_tables(told, self.results.path)

        for fit, made in fitting(told, tables, lambda one, why: self.built.unfit.append((one.folder, why))):
            for name, rows in made.items():
                self._add(name, rows)
            self.built.spans += sum(len(one.spans) for one in fit)
            self.built.logs += sum(len(one.logs) for one in fit)
            files = [file for one in fit for file in one.files if file.skipped]
            self.built.torn |= {traces.path_of(file, self.results.path): file.skipped for file in files}

    def _take_bars(self, found: Iterable[RunRows]) -> None:
        """Bring the bars of runs in, each once, through the same door as all other bars, in the order of the runs."""
        if self.root is None:
            return
        for run in sorted(found, key=lambda run: str(run.row.get("started_at"))):
            digest, run_id = run.row["data_digest"], run.row["run_id"]
            known = f"{digest} {run.data.get('source', '')}"
            if (
                run.row["status"] not in COMPLETED
                or run.row["kind"] != RUN
                or not digest
                or not self.bars.isdisjoint((digest, known))
            ):
                continue
            try:
                self.built.bars.append(self._bars_of(run, digest))
                self.bars.add(known)
            except ingest.AnotherInstrument as error:
                self.built.refused.append((run_id, f"its bars stay out: {error.message}"))
            except PeakError as error:
                self._skip(run_id, (error.message.splitlines() or [""])[0])
            except OSError as error:
                if error.errno not in _OF_A_NAME:
                    raise
                self._skip(run_id, str(error))
            except UNFIT as error:
                self._skip(run_id, f"{type(error).__name__}: {one_line(error, 200)}")

    def _skip(self, run_id: str, why: str) -> None:
        told = f"its bars stay out: {why}"
        if told not in self.told:  # many runs share a file that has changed
            self.told.add(told)
            self.built.skipped.append((run_id, told))

    def _bars_of(self, run: RunRows, digest: str) -> ingest.Ingested:
        assert self.root is not None
        data = run.data
        folders = [self.root / run.folder, self.root] if run.folder else [self.root]
        came = came_along.read(self.results.path / BARS, digest, int(run.row["bars"]))
        if came is not None:
            return self._merge(run, came)
        loaded = load_bars(
            promised.find(data["path"], folders, run.files, self.results.path),
            symbol=data["symbol"],
            timeframe=data["timeframe"],
            calendar=data["calendar"],
            on_violation=data["on_violation"],
            reading=config.reading({key: data[key] for key in config.Reading.__struct_fields__ if key in data}),
        )
        if fingerprint(loaded.bars)["digest"] != digest:
            raise RunError(f"{data['path']} has changed since the run")
        return self._merge(run, loaded.bars)

    def _merge(self, run: RunRows, found: Bars) -> ingest.Ingested:
        data, started = run.data, run.row["started_at"]
        bars, unfinished = ingest.finished(found, started)
        tables, ingested = ingest.merge(
            self.writer,
            self.tables,
            bars,
            source=data["source"],
            calendar=data["calendar"],
            origin=Origin("run", f"{run.row['run_id']} ({data['path']})", observed=started),
            max_revised=ingest.share(run.max_revised),
        )
        ingested.unfinished = unfinished
        self.tables = tables
        return ingested


def _batches(
    paths: Sequence[Path], histories: dict[str, History], progress: Callable[[int, int], None]
) -> Iterator[list[RunRows]]:
    """Read run directories and yield them in batches."""
    batch: list[RunRows] = []
    size = 0
    for number, path in enumerate(paths, 1):
        history = histories.get(path.name, History())
        run = read_run(path, history.manifest)  # in threads it is slower: little of it leaves Python's lock
        run.row["trials"] = history.fields.get("trials")
        if history.start and not (run.data or run.error):  # killed before it had written down its config
            told = history.start.fields
            run.row |= {key: told[key] for key in ("strategy", "symbol", "timeframe") if told.get(key)}
        batch.append(run)
        size += run.held
        if number % 25 == 0 or number == len(paths):
            progress(number, len(paths))
        if len(batch) >= RUNS or size >= BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
