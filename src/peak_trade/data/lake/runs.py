"""What one run, or the ledger of one that has gone, gives to the lake's tables, and runs together as Arrow tables.

Every file that is read is held against its digest in the manifest, and the manifest against the ledger: what is not as
it was sealed does not get in. Nor does what is sealed and can be no run: a stranger seals what he likes. Files come by
the door, and how many rows a table may have is known before it is decoded: equity has a line of text for each, and
trades as many as the statistics say, of which there are no more than the bars allow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.csv
from msgspec import Struct

from peak_trade.data.lake import parts, schema
from peak_trade.data.lake.trials import trials_of
from peak_trade.errors import InputError, PeakError, RunError
from peak_trade.evidence import door, footer, manifest, symbols
from peak_trade.evidence.ledger import Entry, History
from peak_trade.evidence.manifest import COMPLETED
from peak_trade.evidence.tables import EXCURSIONS, OF_SEVERAL, suits_trades
from peak_trade.evidence.trials import name_in as named_trials
from peak_trade.record.sealing import data_digest
from peak_trade.text import escaped, one_line

__all__ = [
    "UNFIT",
    "RunRows",
    "ended_table",
    "fitting",
    "ledger_table",
    "moment",
    "read_run",
    "reason",
    "tables_of",
]

UNFIT = (
    pa.ArrowException,
    PeakError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What values of a stranger, of whatever type and size, can raise where they are made rows."""
_EQUITY = ("timestamp", "equity", "drawdown", "position")
_STATISTICS = [stat.key for stat in schema.STATS]
_DECODED = 10  # times as much memory as JSON on disk
_TRADES_A_BAR = 2  # a position that is closed, and one that is opened and stopped
_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


def reason(error: BaseException) -> str:
    """Return in one line why a thing can't be rows."""
    if isinstance(error, PeakError):
        return one_line(error.message, 300)
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}"
    return f"is not of this format: {one_line(error, 200) or type(error).__name__}"


def fitting(
    items: Sequence[_Item], make: Callable[[Sequence[_Item]], _Made], blame: Callable[[_Item, str], None]
) -> list[tuple[Sequence[_Item], _Made]]:
    """Return what can be made of items together; where one is at fault, it is blamed, and the others are made.

    Halved until the one at fault stands alone: a million of them cost no more than twenty times as many that are fine.
    """
    if not items:
        return []
    try:
        return [(items, make(items))]
    except UNFIT as error:
        if len(items) == 1:
            blame(items[0], reason(error))
            return []
    half = len(items) // 2
    return fitting(items[:half], make, blame) + fitting(items[half:], make, blame)


class RunRows(Struct):
    """What one run directory gives to the tables; what is wrong with it stands in `error`.

    `files` are those of its bars, as the manifest has them; `held` is about how many bytes of memory all this takes.
    With `gaps`, cells may be empty.
    """

    row: dict[str, Any]
    params: list[tuple[str, str, float | None]] = []
    stats: list[tuple[str, float | None, str | None]] = []
    receipts: list[dict[str, Any]] = []
    equity: bytes = b""
    trades: Any = None
    symbols: list[dict[str, Any]] = []
    trials: Any = None
    data: dict[str, Any] = {}
    max_revised: float | None = None
    folder: str = ""
    files: list[dict[str, Any]] = []
    held: int = 0
    error: str = ""
    gaps: bool = False


def read_run(path: Path, seal: str | None) -> RunRows:
    """Read a run directory; what is wrong with it stands in `error`."""
    try:
        return _read_run(path, seal)
    except (OSError, *UNFIT) as error:
        return RunRows({"run_id": path.name}, error=reason(error))


def _read_run(path: Path, seal: str | None) -> RunRows:
    content = door.read(path, manifest.NAME)
    digest = hashlib.sha256(content).hexdigest()
    if seal != digest:
        raise RunError("its manifest is not the one in the ledger")
    sealed = manifest.decode(content)
    if sealed.run_id != path.name:
        raise RunError(f"its manifest is that of the run {sealed.run_id}")
    predicate = sealed.predicate
    if predicate.status not in (*COMPLETED, "failed"):
        raise RunError(f"its manifest has the status {escaped(predicate.status, 40)}, which no end of a run has")
    read = _Files(path, sealed.files, predicate.promised)
    config = read.json("config_snapshot.json") or {}
    figures = read.json("stats.json") or {}
    reasons = figures.pop("reasons", {})
    run = RunRows(_row(sealed, digest, config) | {key: figures.get(key) for key in _STATISTICS})
    run.params = list(_params(_of_result(config, predicate)))
    run.stats = [(key, value, reasons.get(key)) for key, value in figures.items()]
    run.receipts = predicate.receipts
    run.data = config.get("data", {})
    run.max_revised = config.get("lake", {}).get("max_revised")
    run.files = _dependencies(sealed).get("bars", {}).get("annotations", {}).get("files", [])
    run.folder = predicate.run_details.get("folder") or predicate.build_definition["externalParameters"].get(
        "folder", ""
    )
    run.gaps = predicate.gaps
    if run.gaps:
        _read_other(run, read, sealed, figures)
    elif predicate.completed:
        run.equity = read.bytes("equity.csv")
        bars, trades = _count(figures, "bars"), _count(figures, "trades")
        if (there := run.equity.count(b"\n") - 1) != bars:
            raise RunError(f"equity.csv has {there:,} bars, and stats.json {bars:,}")
        if trades > _TRADES_A_BAR * bars:
            raise RunError(f"stats.json has {trades:,} trades in {bars:,} bars")
        name = "trades.parquet" if "trades.parquet" in sealed.files else "trades.csv"
        run.trades = _parse_trades(name, read.bytes(name), trades)
        run.held = len(run.equity) + run.trades.nbytes
    run.held += _DECODED * read.decoded
    if name := named_trials(sealed.files):
        run.trials = trials_of(path, sealed, name, read.bytes(name))
        run.held += run.trials.nbytes
    return run


def _of_result(config: dict[str, Any], predicate: manifest.Predicate) -> dict[str, Any]:
    """Return the config that a run's result is of: that of a sweep's parent with what its chosen trial had."""
    chosen = predicate.results.get("chosen")
    if predicate.kind != manifest.SWEPT or not isinstance(chosen, dict):
        return config
    found = {section: dict(values) if isinstance(values, dict) else values for section, values in config.items()}
    params = dict(chosen.get("params") or {})
    for key, value in chosen["overrides"].items():
        section, dot, name = key.partition(".")
        if not dot:  # what is in the words of a command
            params.setdefault(key, value)
        elif section != "strategy":
            found[section][name] = value
    found.setdefault("strategy", {})["params"] = params
    return found


def _read_other(run: RunRows, read: _Files, sealed: manifest.Manifest, figures: dict[str, Any]) -> None:
    """Read what there is of a run that another engine made: it may lack equity or trades, and these some cells."""
    run.data = {}  # where its bars were is not known
    if "equity.csv" in sealed.files:
        run.equity = read.bytes("equity.csv")
        if (there := run.equity.count(b"\n") - 1) != (bars := _count(figures, "bars")):
            raise RunError(f"equity.csv has {there:,} marks, and stats.json {bars:,}")
    name = next((name for name in ("trades.parquet", "trades.csv") if name in sealed.files), None)
    if name:
        run.trades = _parse_trades(name, read.bytes(name), _count(figures, "trades"), gaps=True)
    if symbols.NAME in sealed.files:
        named = {"first": "first_time", "last": "last_time", "data": "data_digest"}
        for row in symbols.read(read.bytes(symbols.NAME)):
            cells = {named.get(key, key): value for key, value in row.items()}
            times = {key: moment(cells[key]) for key in ("first_time", "last_time")}
            run.symbols.append({"run_id": run.row["run_id"]} | cells | times)
    run.held = len(run.equity) + (run.trades.nbytes if run.trades is not None else 0)


def _count(figures: dict[str, Any], key: str) -> int:
    value = figures.get(key)
    if type(value) is not int or value < 0:
        raise RunError(f"stats.json has no number of {key}")
    return value


class _Files:
    """The sealed files of a run, each held against its digest."""

    def __init__(self, path: Path, digests: dict[str, str], promised: int | None) -> None:
        self.path, self.digests, self.promised = path, digests, promised
        self.decoded = 0

    def bytes(self, name: str) -> bytes:
        if name not in self.digests:
            raise RunError(f"{name} is not among its sealed files")
        content = door.read(self.path, name, self.promised)
        if hashlib.sha256(content).hexdigest() != self.digests[name]:
            raise RunError(f"{name} is not what was sealed")
        return content

    def json(self, name: str) -> Any:
        if name not in self.digests:
            return None
        content = self.bytes(name)
        self.decoded += len(content)
        return msgspec.json.decode(content)


def _dependencies(sealed: manifest.Manifest) -> dict[str, dict[str, Any]]:
    return {part["name"]: part for part in sealed.predicate.build_definition.get("resolvedDependencies", [])}


def _row(sealed: manifest.Manifest, digest: str, config: dict[str, Any]) -> dict[str, Any]:
    predicate = sealed.predicate
    definition, details = predicate.build_definition, predicate.run_details
    dependencies = _dependencies(sealed)
    strategy, data = config.get("strategy", {}), config.get("data", {})
    times = details.get("metadata", {})
    internal = definition.get("internalParameters", {})
    environment = internal.get("environment", {})
    error = predicate.error
    git = dependencies.get("git", {}).get("annotations", {})
    all_bars = {str(at): part["digest"]["sha256"] for at, part in enumerate(definition.get("resolvedDependencies", []))
                if part["name"] == "bars"}  # fmt: skip
    return {
        "run_id": sealed.run_id,
        "status": predicate.status,
        "name": config.get("run", {}).get("name"),
        "started_at": moment(times.get("startedOn")),
        "finished_at": moment(times.get("finishedOn")),
        "strategy": strategy.get("name") or strategy.get("entrypoint"),
        "symbol": data.get("symbol"),
        "timeframe": data.get("timeframe"),
        "source": data.get("source"),
        "calendar": data.get("calendar"),
        "config_digest": sealed.files.get("config_snapshot.toml"),
        "data_digest": data_digest(all_bars) or None,
        "strategy_digest": dependencies.get("strategy", {}).get("digest", {}).get("sha256"),
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
        "lookahead": predicate.lookahead or None,
        "repeatable": predicate.repeatable,
        "kind": predicate.kind,
        "engine": _engine(predicate.results.get("engine", {})) if predicate.gaps else None,
        "parent": times.get("parent"),
        "trial": times.get("trial"),
    }


def _engine(told: dict[str, Any]) -> str | None:
    return " ".join(filter(None, (told.get("name"), told.get("version")))) or None


def ended_table(ended: Iterable[tuple[str, str, History]]) -> Any:
    """Return the rows of runs, by run_id and status, whose directories have gone: what the ledger says of them."""
    return rows_table("runs", [_ledger_row(*run) for run in ended])


def ledger_table(entries: Iterable[Entry]) -> Any:
    """Return lines of the ledger as rows."""
    return rows_table(
        "ledger",
        [
            {
                "run_id": entry.run_id,
                "line": entry.line,
                "event": entry.event,
                "time": moment(entry.time),
                "sha256": entry.sha256,
                "fields": msgspec.json.encode(entry.fields).decode(),
            }
            for entry in entries
        ],
    )


def _ledger_row(run_id: str, status: str, history: History) -> dict[str, Any]:
    known = history.fields
    row = {key: known.get(key) for key in ("strategy", "symbol", "timeframe", *_STATISTICS)}
    return row | {
        "run_id": run_id,
        "status": status,
        "started_at": moment(history.began),
        "finished_at": moment(history.end.time) if history.end else None,
        "data_digest": known.get("data"),
        "manifest_digest": known.get("manifest"),
        "name": known.get("name"),
        "error": f"{known.get('type')}: {known['message']}" if known.get("message") else None,
        "lookahead": known.get("lookahead"),
        "repeatable": known.get("repeatable"),
        "kind": known.get("kind") or manifest.RUN,
        "engine": known.get("engine"),
        "trials": known.get("trials"),
        "parent": known.get("parent"),
        "trial": known.get("trial"),
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


def moment(text: str | None) -> datetime | None:
    """Return a time of a manifest or the ledger, in UTC; None where there is none.

    Raises ValueError or TypeError where it is no time; OverflowError for one that is in no year of UTC's.
    """
    if not text:
        return None
    there = datetime.fromisoformat(text)
    return there.astimezone(UTC) if there.tzinfo else there.replace(tzinfo=UTC)


def tables_of(found: Sequence[RunRows]) -> dict[str, Any]:
    """Return all that runs give, as Arrow tables by name."""
    receipts = [{"run_id": run.row["run_id"]} | receipt for run in found for receipt in run.receipts]
    return {
        "runs": rows_table("runs", [run.row for run in found]),
        "params": long_table("params", found, [run.params for run in found]),
        "stats": long_table("stats", found, [run.stats for run in found]),
        "receipts": rows_table("receipts", receipts),
        "equity": equity_table(found),
        "trades": trades_table(found),
        "trials": trials_table(found),
        "run_symbols": rows_table("run_symbols", [row for run in found for row in run.symbols]),
    }


def rows_table(name: str, rows: Sequence[dict[str, Any]]) -> Any:
    """Return rows, as dictionaries, as the Arrow table of that name, in its order."""
    kinds = schema.arrow_schema(name)
    ordered = sorted(rows, key=lambda row: row[schema.TABLES[name].sort[0]])
    return pa.table([pa.array([row.get(f.name) for row in ordered], f.type) for f in kinds], schema=kinds)


def long_table(name: str, found: Sequence[RunRows], rows: Sequence[Sequence[tuple[Any, ...]]]) -> Any:
    """Return several rows a run, as tuples without the run_id, as the Arrow table of that name."""
    kinds = schema.arrow_schema(name)
    lines = [(run.row["run_id"], *line) for run, own in zip(found, rows, strict=True) for line in own]
    columns = zip(*lines, strict=True) if lines else [()] * len(kinds)
    return pa.table([pa.array(c, field.type) for c, field in zip(columns, kinds, strict=True)], schema=kinds)


def equity_table(found: Sequence[RunRows]) -> Any:
    """Return the equity of runs, read in one go: a reader started a thousand times costs more than what it reads."""
    head = ",".join(_EQUITY).encode() + b"\n"
    bodies = []
    for run in found:
        body = run.equity.removeprefix(head)
        if run.equity and (len(body) == len(run.equity) or b"\r" in body or not body.endswith(b"\n")):
            raise InputError(f"equity.csv of {run.row['run_id']} does not hold {','.join(_EQUITY)}")
        if not run.gaps and (b",\n" in body or b",," in body):
            raise InputError(f"equity.csv of {run.row['run_id']} has an empty cell")
        bodies.append(body)
    kinds = schema.arrow_schema("equity")
    lengths = [body.count(b"\n") for body in bodies]
    if not any(lengths):
        return kinds.empty_table()
    table = pyarrow.csv.read_csv(
        pa.BufferReader(b"".join(bodies)),
        read_options=pyarrow.csv.ReadOptions(column_names=_EQUITY),
        # a line is a row, whatever is in it: else one run's rows could be counted as another's
        parse_options=pyarrow.csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={field.name: field.type for field in kinds if field.name != "run_id"}, null_values=[""]
        ),
    ).combine_chunks()
    if table["timestamp"].null_count or table["equity"].null_count:  # what may be empty is drawdown and position
        raise InputError("equity.csv has a row without time or equity")
    return _with_run_ids("equity", found, lengths, table)


def trades_table(found: Sequence[RunRows]) -> Any:
    """Return the trades of runs as one Arrow table, with their run_ids."""
    kinds = schema.arrow_schema("trades")
    own = pa.schema([field for field in kinds if field.name != "run_id"])
    having = [run for run in found if run.trades is not None and run.trades.num_rows]
    if not having:
        return kinds.empty_table()
    table = pa.concat_tables([run.trades.cast(own) for run in having]).combine_chunks()
    return _with_run_ids("trades", having, [run.trades.num_rows for run in having], table)


def trials_table(found: Sequence[RunRows]) -> Any:
    """Return the trials of runs as one Arrow table, with their run_ids."""
    having = [run for run in found if run.trials is not None and run.trials.num_rows]
    if not having:
        return schema.arrow_schema("trials").empty_table()
    table = pa.concat_tables([run.trials for run in having]).combine_chunks()
    return _with_run_ids("trials", having, [run.trials.num_rows for run in having], table)


def _with_run_ids(name: str, found: Sequence[RunRows], lengths: Sequence[int], table: Any) -> Any:
    import numpy as np

    if sum(lengths) != table.num_rows:
        raise InputError(f"{name} has {table.num_rows} rows where {sum(lengths)} lines were counted")
    codes = parts.from_numpy(np.repeat(np.arange(len(found), dtype=np.int32), lengths), pa.int32())
    run_ids = pa.DictionaryArray.from_arrays(codes, pa.array([run.row["run_id"] for run in found]))
    return pa.table([run_ids, *table.columns], names=["run_id", *table.column_names])


def _parse_trades(name: str, content: bytes, rows: int, *, gaps: bool = False) -> Any:
    """Return the trades of one run, `rows` of them, as they stand in its file; columns that it need not have are null.

    With `gaps`, so are cells that are empty.
    """
    kinds = {field.name: field.type for field in schema.arrow_schema("trades") if field.name != "run_id"}
    if name.endswith(".parquet"):
        table = footer.table(content, rows, suits_trades)
    else:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(content),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=kinds, null_values=[""] if gaps else [], strings_can_be_null=gaps
            ),
        )
    if table.num_rows != rows:
        raise RunError(f"{name} has {table.num_rows:,} trades, and stats.json {rows:,}")
    for several in (EXCURSIONS, OF_SEVERAL):
        if not set(several) & set(table.column_names):
            for column in several:
                table = table.append_column(column, pa.nulls(table.num_rows, kinds[column]))
    if sorted(table.column_names) != sorted(kinds):
        raise RunError(f"{name} does not hold {', '.join(kinds)}")
    if not gaps and any(table[column].null_count for column in kinds if column not in (*EXCURSIONS, *OF_SEVERAL)):
        raise RunError(f"{name} has a cell that is empty")
    return table.select(list(kinds))
