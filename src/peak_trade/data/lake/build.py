"""Run directories and the ledger to tables: what is in `results/` and not yet in the lake.

The lake's tables of runs are a function of `results/`: building step by step or anew gives the same rows. A run that
was removed keeps the rows that the lake has of it, also when it is built anew, and else has the one that the ledger can
give. Every file that is read is held against its digest in the manifest, and the manifest against the ledger: what is
not as it was sealed does not get in.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from msgspec import Struct

from peak_trade.config import locate
from peak_trade.data.lake import ingest, parts, schema, traces
from peak_trade.data.lake.commit import Live
from peak_trade.data.lake.writer import GRACE_S, Writer, writing
from peak_trade.errors import InputError, PeakError, RunError
from peak_trade.evidence import manifest
from peak_trade.evidence.ledger import ENDED, REMOVED, Entry, History, Reading
from peak_trade.evidence.results import WORKING, Results
from peak_trade.market.fingerprint import fingerprint
from peak_trade.market.ohlcv import load_bars
from peak_trade.shown import telemetry
from peak_trade.text import one_line

__all__ = ["Built", "build"]

RUNS = 1_000  # of a batch
BYTES = 128 << 20  # of a batch's files, at most
RECORDS = 200_000  # spans and log records that are held at once, and those of one folder more
_EQUITY = ("timestamp", "equity", "drawdown", "position")
_STATISTICS = [stat.key for stat in schema.STATS]
_NUMBERED = frozenset({"trade_id", "bars_held"})


class Built(Struct):
    """What a build has done: runs by status, lines of the ledger, spans and log records, bars.

    `broken` are runs that stay out as they are not what was sealed, `skipped` those whose bars alone do; with reasons.
    `torn` are the lines and records of telemetry that can't be read, by file.
    """

    runs: dict[str, int] = {}
    lines: int = 0
    spans: int = 0
    logs: int = 0
    torn: dict[str, int] = {}
    bars: list[ingest.Ingested] = []
    broken: list[tuple[str, str]] = []
    skipped: list[tuple[str, str]] = []
    seconds: float = 0.0
    anew: bool = False


class _Run(Struct):
    """What one run directory gives to the tables."""

    row: dict[str, Any]
    params: list[tuple[str, str, float | None]] = []
    stats: list[tuple[str, float | None, str | None]] = []
    receipts: list[dict[str, Any]] = []
    equity: bytes = b""
    trades: Any = None
    data: dict[str, Any] = {}
    folder: str = ""
    error: str = ""


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
        made = _Build(writer, results, None if root is None else Path(root), anew)
        made.go(progress)
        writer.expire(grace_s)
        if made.built.anew:
            writer.sweep()  # what was merged on the way
    made.built.seconds = time.perf_counter() - start
    return made.built


class _Build:
    def __init__(self, writer: Writer, results: Results, root: Path | None, anew: bool) -> None:
        self.writer, self.results, self.root = writer, results, root
        self.tables = dict(writer.commit.tables)
        self.bars = set(writer.commit.bars)
        self.gone: set[str] = set()  # the removed runs
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
        there = self.results.runs()  # before the ledger: what is removed from now on is no run that is missing
        ledger = self.results.reading()
        known = self._known()
        self.gone = ledger.removed
        known |= dict.fromkeys(self._keep(known), "removed")
        new, ended = self._news(there, ledger, known)
        sealed = {run_id: history.manifest for run_id, history in ledger.runs.items()}
        back = {path.name for path in new} & known.keys()
        if stale := (back | {str(row["run_id"]) for row in ended}) & set(known):
            for table in schema.TABLES.values():
                if table.of_runs and table.name not in ("ledger", *traces.TABLES):
                    self._drop(table.name, "run_id", stale)
        done = 0
        for batch in _batches(new, sealed, progress):
            found = [run for run in batch if not run.error]
            for run in batch:
                if run.error and (self.results.path / run.row["run_id"]).is_dir():  # else it has just been removed
                    self.built.broken.append((run.row["run_id"], run.error))
            found = self._take_series(found)
            self._take_bars(found)
            self._add_runs(found)
            self._add_ledger(line for run in found for line in ledger.of(run.row["run_id"]).entries)
            done += len(batch)
            if done < len(new) and not self.built.anew:
                self._publish()
        if ended:
            self._add("runs", _table("runs", ended))
            self._count(ended)
        self._add_ledger(ledger.entries)
        self._take_telemetry()
        if self.tables != self.writer.commit.tables or self.bars != set(self.writer.commit.bars):
            self._publish()

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
            wanted = {run_id for run_id in self.gone if known.get(run_id) in ("sealed", "failed")}
        if not wanted:
            return wanted
        try:
            rows = {name: self._rows_of(name, wanted) for name in names}
        except (RunError, pa.ArrowException) as error:  # building anew is how a damaged lake is mended
            self.built.skipped.append(("removed runs", f"their rows can't be kept: {str(error).splitlines()[0]}"))
            return set()
        if not self.built.anew:
            self._drop("runs", "run_id", wanted)
        found = rows["runs"]["run_id"].to_pylist()
        rows["runs"] = rows["runs"].set_column(
            rows["runs"].column_names.index("status"), "status", pa.array(["removed"] * len(found))
        )
        for name, kept in rows.items():
            self._add(name, kept)
        self._count({"status": "removed"} for _ in found)
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
    ) -> tuple[list[Path], list[dict[str, Any]]]:
        """Return the directories to read, and the rows of the runs of which only the ledger tells."""
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
                ended.append(_row_of_ledger(run_id, status, history))
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

    def _take_series(self, found: list[_Run]) -> list[_Run]:
        """Read the equity and trades of a batch together; where that fails, run by run, to name the one at fault."""
        try:
            self._series = _equity(found), _trades(found)
            return found
        except (pa.ArrowException, InputError):
            fine = []
            for run in found:
                try:
                    _equity([run]), _trades([run])
                except (pa.ArrowException, InputError) as error:
                    self.built.broken.append((run.row["run_id"], str(error).splitlines()[0]))
                else:
                    fine.append(run)
            self._series = _equity(fine), _trades(fine)
            return fine

    def _add_runs(self, found: list[_Run]) -> None:
        if not found:
            return
        equity, trades = self._series
        self._add("runs", _table("runs", [run.row for run in found]))
        self._add("params", _long("params", found, [run.params for run in found]))
        self._add("stats", _long("stats", found, [run.stats for run in found]))
        receipts = [{"run_id": run.row["run_id"]} | receipt for run in found for receipt in run.receipts]
        self._add("receipts", _table("receipts", receipts))
        self._add("equity", equity)
        self._add("trades", trades)
        self._count([run.row for run in found])

    def _count(self, rows: Iterable[dict[str, Any]]) -> None:
        for row in rows:
            self.built.runs[row["status"]] = self.built.runs.get(row["status"], 0) + 1

    def _add(self, name: str, rows: Any) -> None:
        if rows is not None and rows.num_rows:
            self.tables[name] = parts.append(self.writer, name, self.live(name), [({}, rows)])

    def _add_ledger(self, entries: Iterable[Entry]) -> None:
        """Add lines of the ledger: those of a batch with it, so that no reader sees the one without the other."""
        rows = [
            {
                "run_id": entry.run_id,
                "line": entry.line,
                "event": entry.event,
                "time": _time(entry.time),
                "sha256": entry.sha256,
                "fields": msgspec.json.encode(entry.fields).decode(),
            }
            for entry in entries
            if entry.sha256 not in self.lines
        ]
        self._add("ledger", _table("ledger", rows))
        self.lines |= {str(row["sha256"]) for row in rows}
        self.built.lines += len(rows)

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
        for name, rows in traces.to_tables(told, self.results.path).items():
            self._add(name, rows)
        self.built.spans += sum(len(one.spans) for one in told)
        self.built.logs += sum(len(one.logs) for one in told)
        files = [file for one in told for file in one.files if file.skipped]
        self.built.torn |= {traces.path_of(file, self.results.path): file.skipped for file in files}

    def _take_bars(self, found: Iterable[_Run]) -> None:
        """Bring the bars of runs in, each once, through the same door as all other bars."""
        if self.root is None:
            return
        for run in found:
            digest = run.row["data_digest"]
            if run.row["status"] != "sealed" or not digest or digest in self.bars:
                continue
            try:
                self.built.bars.append(self._bars_of(run, digest))
                self.bars.add(digest)
            except PeakError as error:
                reason = f"its bars stay out: {error.message.splitlines()[0]}"
                if not any(text == reason for _, text in self.built.skipped):
                    self.built.skipped.append((run.row["run_id"], reason))

    def _bars_of(self, run: _Run, digest: str) -> ingest.Ingested:
        assert self.root is not None
        data = run.data
        path = locate(data["path"], [self.root / run.folder, self.root] if run.folder else [self.root])
        loaded = load_bars(
            path,
            symbol=data["symbol"],
            timeframe=data["timeframe"],
            columns=data["columns"] or None,
            calendar=data["calendar"],
            on_violation=data["on_violation"],
        )
        if fingerprint(loaded.bars)["digest"] != digest:
            raise RunError(f"{data['path']} has changed since the run")
        tables, ingested = ingest.merge(
            self.writer, self.tables, loaded.bars, source=data["source"], calendar=data["calendar"]
        )
        self.tables = tables
        return ingested


def _batches(
    paths: Sequence[Path], sealed: dict[str, Any], progress: Callable[[int, int], None]
) -> Iterator[list[_Run]]:
    """Read run directories and yield them in batches."""
    batch: list[_Run] = []
    size = 0
    for number, path in enumerate(paths, 1):
        batch.append(_read(path, sealed.get(path.name)))  # in threads it is slower: little of it leaves Python's lock
        size += len(batch[-1].equity)
        if number % 25 == 0 or number == len(paths):
            progress(number, len(paths))
        if len(batch) >= RUNS or size >= BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


# --- one run ------------------------------------------------------------------------------------------------------


def _read(path: Path, seal: str | None) -> _Run:
    """Read a run directory; what is wrong with it stands in `error`."""
    try:
        return _read_run(path, seal)
    except PeakError as error:
        return _Run({"run_id": path.name}, error=error.message)
    except OSError as error:
        return _Run({"run_id": path.name}, error=f"cannot be read: {error.strerror}")
    except (pa.ArrowException, msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        return _Run({"run_id": path.name}, error=f"is not of this format: {one_line(error, 200)}")


def _read_run(path: Path, seal: str | None) -> _Run:
    content = (path / manifest.NAME).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if seal != digest:
        raise RunError("its manifest is not the one in the ledger")
    sealed = manifest.decode(content)
    if sealed.run_id != path.name:
        raise RunError(f"its manifest is that of the run {sealed.run_id}")
    read = _Files(path, sealed.files)
    config = read.json("config_snapshot.json") or {}
    figures = read.json("stats.json") or {}
    reasons = figures.pop("reasons", {})
    run = _Run(_row(sealed, digest, config) | {key: figures.get(key) for key in _STATISTICS})
    run.params = list(_params(config))
    run.stats = [(key, value, reasons.get(key)) for key, value in figures.items()]
    run.receipts = sealed.predicate.receipts
    run.data = config.get("data", {})
    predicate = sealed.predicate
    run.folder = predicate.run_details.get("folder") or predicate.build_definition["externalParameters"].get(
        "folder", ""
    )
    if predicate.status == "sealed":
        run.equity = read.bytes("equity.csv")
        name = "trades.parquet" if "trades.parquet" in sealed.files else "trades.csv"
        run.trades = _parse_trades(name, read.bytes(name))
    return run


class _Files:
    """The sealed files of a run, each held against its digest."""

    def __init__(self, path: Path, digests: dict[str, str]) -> None:
        self.path, self.digests = path, digests

    def bytes(self, name: str) -> bytes:
        if name not in self.digests:
            raise RunError(f"{name} is not among its sealed files")
        content = (self.path / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != self.digests[name]:
            raise RunError(f"{name} is not what was sealed")
        return content

    def json(self, name: str) -> Any:
        return msgspec.json.decode(self.bytes(name)) if name in self.digests else None


def _row(sealed: manifest.Manifest, digest: str, config: dict[str, Any]) -> dict[str, Any]:
    predicate = sealed.predicate
    definition, details = predicate.build_definition, predicate.run_details
    made = {part["name"]: part for part in definition.get("resolvedDependencies", [])}
    asked, data = config.get("strategy", {}), config.get("data", {})
    times = details.get("metadata", {})
    internal = definition.get("internalParameters", {})
    environment = internal.get("environment", {})
    error = predicate.error
    git = made.get("git", {}).get("annotations", {})
    return {
        "run_id": sealed.run_id,
        "status": predicate.status,
        "name": config.get("run", {}).get("name"),
        "started_at": _time(times.get("startedOn")),
        "finished_at": _time(times.get("finishedOn")),
        "strategy": asked.get("name") or asked.get("entrypoint"),
        "symbol": data.get("symbol"),
        "timeframe": data.get("timeframe"),
        "source": data.get("source"),
        "calendar": data.get("calendar"),
        "config_digest": sealed.files.get("config_snapshot.toml"),
        "data_digest": made.get("bars", {}).get("digest", {}).get("sha256"),
        "strategy_digest": made.get("strategy", {}).get("digest", {}).get("sha256"),
        "commit": git.get("commit"),
        "dirty": git.get("dirty"),
        "equity_digest": predicate.results.get("equity_digest"),
        "trades_digest": predicate.results.get("trades_digest"),
        "manifest_digest": digest,
        "seed": internal.get("seed"),
        "python": environment.get("python"),
        "peak_trade": environment.get("peak_trade"),
        "host": details.get("host"),
        "error": f"{error.get('type')}: {error.get('message')}" if error else None,
    }


def _row_of_ledger(run_id: str, status: str, history: History) -> dict[str, Any]:
    """Return the row of a run whose directory has gone, by what the ledger says."""
    known = history.fields
    asked = {key: known.get(key) for key in ("strategy", "symbol", "timeframe", *_STATISTICS)}
    return asked | {
        "run_id": run_id,
        "status": status,
        "started_at": _time(history.began),
        "finished_at": _time(history.end.time) if history.end else None,
        "data_digest": known.get("data"),
        "manifest_digest": known.get("manifest"),
    }


def _params(config: dict[str, Any]) -> Iterator[tuple[str, str, float | None]]:
    """Yield key, value and number of every key of a config."""
    for section, keys in sorted(config.items()):
        if section == "overrides":
            continue
        for key, value in sorted(keys.items()):
            if (section, key) == ("strategy", "params"):
                for name, setting in sorted(value.items()):
                    yield name, *_value(setting)
            elif value not in (None, {}, []):
                yield f"{section}.{key}", *_value(value)


def _value(value: Any) -> tuple[str, float | None]:
    if isinstance(value, str):
        return value, None
    number = None if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
    return msgspec.json.encode(value, order="deterministic").decode(), number


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


# --- rows to Arrow ------------------------------------------------------------------------------------------------


def _table(name: str, rows: Sequence[dict[str, Any]]) -> Any:
    kinds = schema.arrow_schema(name)
    ordered = sorted(rows, key=lambda row: row[schema.TABLES[name].sort[0]])
    return pa.table([pa.array([row.get(f.name) for row in ordered], f.type) for f in kinds], schema=kinds)


def _long(name: str, found: Sequence[_Run], rows: Sequence[Sequence[tuple[Any, ...]]]) -> Any:
    kinds = schema.arrow_schema(name)
    lines = [(run.row["run_id"], *line) for run, own in zip(found, rows, strict=True) for line in own]
    columns = zip(*lines, strict=True) if lines else [()] * len(kinds)
    return pa.table([pa.array(c, field.type) for c, field in zip(columns, kinds, strict=True)], schema=kinds)


def _equity(found: Sequence[_Run]) -> Any:
    """Return the equity of runs, read in one go: a reader started a thousand times costs more than what it reads."""
    head = ",".join(_EQUITY).encode() + b"\n"
    bodies = []
    for run in found:
        body = run.equity.removeprefix(head)
        if run.equity and (len(body) == len(run.equity) or not body.endswith(b"\n")):
            raise InputError(f"equity.csv of {run.row['run_id']} does not hold {','.join(_EQUITY)}")
        bodies.append(body)
    kinds = schema.arrow_schema("equity")
    lengths = [body.count(b"\n") for body in bodies]
    if not any(lengths):
        return kinds.empty_table()
    table = pyarrow.csv.read_csv(
        pa.BufferReader(b"".join(bodies)),
        read_options=pyarrow.csv.ReadOptions(column_names=_EQUITY),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={field.name: field.type for field in kinds if field.name != "run_id"}, null_values=[]
        ),
    ).combine_chunks()
    return _with_run_ids("equity", found, lengths, table)


def _trades(found: Sequence[_Run]) -> Any:
    kinds = schema.arrow_schema("trades")
    own = pa.schema([field for field in kinds if field.name != "run_id"])
    having = [run for run in found if run.trades is not None and run.trades.num_rows]
    if not having:
        return kinds.empty_table()
    table = pa.concat_tables([run.trades.cast(own) for run in having]).combine_chunks()
    return _with_run_ids("trades", having, [run.trades.num_rows for run in having], table)


def _with_run_ids(name: str, found: Sequence[_Run], lengths: Sequence[int], table: Any) -> Any:
    import numpy as np

    if sum(lengths) != table.num_rows:
        raise InputError(f"{name} has {table.num_rows} rows where {sum(lengths)} lines were counted")
    codes = parts.from_numpy(np.repeat(np.arange(len(found), dtype=np.int32), lengths), pa.int32())
    run_ids = pa.DictionaryArray.from_arrays(codes, pa.array([run.row["run_id"] for run in found]))
    return pa.table([run_ids, *table.columns], names=["run_id", *table.column_names])


def _parse_trades(name: str, content: bytes) -> Any:
    """Return the trades of one run as they stand in its file."""
    if name.endswith(".parquet"):
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            table = file.read(use_threads=False)
    else:
        kinds = {field.name: field.type for field in schema.arrow_schema("trades") if field.name != "run_id"}
        table = pyarrow.csv.read_csv(
            pa.BufferReader(content),
            convert_options=pyarrow.csv.ConvertOptions(column_types=kinds, null_values=[], strings_can_be_null=False),
        )
    expected = [field.name for field in schema.arrow_schema("trades") if field.name != "run_id"]
    if table.column_names != expected:
        raise RunError(f"{name} does not hold {', '.join(expected)}")
    return table
