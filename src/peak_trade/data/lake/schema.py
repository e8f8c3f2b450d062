"""The tables of the lake, column by column: one place for the writer, the checks and the documents."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, NamedTuple

from peak_trade.stats.table import STATS

__all__ = ["STATS", "TABLES", "Column", "Kind", "Table", "as_markdown", "duckdb_types"]

Kind = Literal["text", "float", "integer", "boolean", "time"]
"""`time` is UTC, to the microsecond; all of them can be null."""

DUCKDB = {
    "text": "VARCHAR",
    "float": "DOUBLE",
    "integer": "BIGINT",
    "boolean": "BOOLEAN",
    "time": "TIMESTAMP WITH TIME ZONE",
}


class Column(NamedTuple):
    """A column: its name, kind and definition in a line."""

    name: str
    kind: Kind
    definition: str


class Table(NamedTuple):
    """A table: `partitions` are columns that stand in the folders' names, `series` those that are constant in a file.

    `sort` orders the rows of a file, so that min/max statistics tell which files and row groups a question needs.
    """

    name: str
    definition: str
    columns: tuple[Column, ...]
    sort: tuple[str, ...]
    partitions: tuple[str, ...] = ()
    series: tuple[str, ...] = ()

    @property
    def of_runs(self) -> bool:
        """Whether the table is made from `results/` alone, so that it can be made again."""
        return not self.name.startswith("ohlcv")


_RUN_ID = Column("run_id", "text", "the run")
_BAR = (
    Column("symbol", "text", "what is traded"),
    Column("timeframe", "text", "time from one bar to the next: 1h, 1d"),
    Column("timestamp", "time", "the bar's open time"),
    *(Column(name, "float", f"{name} in quote currency") for name in ("open", "high", "low", "close")),
    Column("volume", "float", "volume, as the source counts it"),
    Column("source", "text", "where the bars come from, in the words of who ingested them; part of a bar's identity"),
    Column("calendar", "text", "24/7 or the exchange against which gaps are counted, null where none was given"),
    Column("revision", "integer", "how often the bar's values have changed: 0 as first seen"),
    Column("recorded_at", "time", "when these values came into the lake"),
)
_TRACE = (Column("trace_id", "text", "the trace, in hex"), Column("span_id", "text", "the span in it, in hex"))
_PART = Column("part", "text", "the process: main, or the part of the work that it was started for, as report")
_FOLDER = Column(
    "folder", "text", "the folder below results/ or results/.telemetry/, which is the run's, or a command's"
)
_COUNTS = frozenset(stat.key for stat in STATS if stat.unit == "count")

_ALL = (
    Table(
        "ohlcv",
        "Bars, one row for each symbol, timeframe, source and timestamp, with the values known last.",
        (*_BAR, Column("year", "integer", "the timestamp's year, in UTC")),
        sort=("timestamp",),
        partitions=("symbol", "timeframe", "year"),
        series=("source",),
    ),
    Table(
        "ohlcv_revisions",
        "What the bars in `ohlcv` said before their values changed, or they were removed.",
        (*_BAR, Column("superseded_at", "time", "when newer values came into the lake")),
        sort=("symbol", "timeframe", "timestamp", "revision"),
    ),
    Table(
        "ohlcv_changes",
        "What changed each series of bars, and where it came from: the `recorded_at` of the bars leads here.",
        (
            *_BAR[:2],
            next(column for column in _BAR if column.name == "source"),
            Column("recorded_at", "time", "when the change was made"),
            Column("by", "text", "ingest, run, or revert (the way back to an earlier state)"),
            Column("origin", "text", "the files, the run_id, or the change that was gone back to"),
            Column("observed_at", "time", "when the files were read: of a run, when it started"),
            Column("new", "integer", "bars that were not there"),
            Column("same", "integer", "bars that were there with the same values"),
            Column("revised", "integer", "bars whose values changed, or that came back"),
            Column("removed", "integer", "bars that were taken out"),
            Column(
                "older", "integer", "bars with other values than the lake's that are older than those, and stay out"
            ),
            Column(
                "accepted",
                "boolean",
                "whether a person has said that these are the series' bars (--revise, or a revert)",
            ),
            Column("note", "text", "what explains the change, as a split"),
        ),
        sort=("symbol", "timeframe", "source", "recorded_at"),
    ),
    Table(
        "runs",
        "One row for each run that has ended: sealed, ruined, failed, removed or missing.",
        (
            _RUN_ID,
            Column(
                "status",
                "text",
                "sealed, ruined (as sealed, of an account that lost all it had), imported, failed, removed (by "
                "retention), "
                "or missing (in the ledger, its folder gone)",
            ),
            Column("name", "text", "run.name of the config"),
            Column("started_at", "time", "start of the run"),
            Column("finished_at", "time", "end of the run, before it was sealed"),
            Column("strategy", "text", "the registered name or the entrypoint"),
            Column("symbol", "text", "what was traded"),
            Column("timeframe", "text", "time from one bar to the next"),
            Column("source", "text", "data.source of the config"),
            Column("calendar", "text", "data.calendar of the config"),
            Column("config_digest", "text", "sha256 of config_snapshot.toml"),
            Column("data_digest", "text", "fingerprint of the bars as used"),
            Column("strategy_digest", "text", "sha256 of the strategy's source"),
            Column("commit", "text", "the git commit"),
            Column("dirty", "boolean", "whether there were changes that were not committed"),
            Column("equity_digest", "text", "sha256 over the typed values of equity"),
            Column("trades_digest", "text", "sha256 over the typed values of trades"),
            Column("manifest_digest", "text", "sha256 of manifest.json, as in the ledger"),
            Column("seed", "integer", "run.seed of the config"),
            Column("python", "text", "version of Python"),
            Column("peak_trade", "text", "version of this program"),
            Column("host", "text", "the machine's name"),
            Column("error", "text", "type and message, where the run failed"),
            Column("lookahead", "text", "by what its strategy looks ahead; null where that was not found"),
            Column("repeatable", "boolean", "whether its strategy gives one answer for the same bars; null: not asked"),
            Column(
                "kind",
                "text",
                "run, swept (the parent of a sweep), recorded (of another program, which was watched) or imported "
                "(of its files)",
            ),
            Column("engine", "text", "the other program's engine and version; null in a run"),
            Column("trials", "integer", "trials of a sweep, or how often an engine ran in a command; null elsewhere"),
            Column("parent", "text", "the sweep that the run was kept of; null of others"),
            Column("trial", "integer", "which of its trials the run is"),
            *(Column(s.key, "integer" if s.key in _COUNTS else "float", f"{s.definition} ({s.unit})") for s in STATS),
        ),
        sort=("run_id",),
    ),
    Table(
        "params",
        "The resolved config of each run, a row for each key: a strategy's parameters by their bare name, all "
        "other keys with their section (`execution.fee_bps`).",
        (
            _RUN_ID,
            Column("key", "text", "the key"),
            Column("value", "text", "its value: text as it is, all else as JSON"),
            Column("number", "float", "the value where it is a number"),
        ),
        sort=("run_id",),
    ),
    Table(
        "stats",
        "The statistics of each sealed run in long form; `runs` has the same as columns.",
        (
            _RUN_ID,
            Column("key", "text", "the statistic, as in stats.json"),
            Column("value", "float", "its value"),
            Column("reason", "text", "why there is none"),
        ),
        sort=("run_id",),
    ),
    Table(
        "equity",
        "equity.csv of each sealed run, a row for each bar.",
        (
            _RUN_ID,
            Column("timestamp", "time", "the bar's open time"),
            Column("equity", "float", "marked at the bar's close, in quote currency"),
            Column("drawdown", "float", "equity / running maximum - 1"),
            Column("position", "float", "units held after the bar's close"),
        ),
        sort=("run_id",),
    ),
    Table(
        "trades",
        "The closed trades of each sealed run.",
        (
            _RUN_ID,
            Column("trade_id", "integer", "number in the run, from 1"),
            Column("symbol", "text", "what was traded"),
            Column("side", "text", "long or short"),
            Column("entry_time", "time", "open time of the bar of entry"),
            Column("entry_price", "float", "fill price"),
            Column("exit_time", "time", "open time of the bar of exit"),
            Column("exit_price", "float", "fill price"),
            Column("quantity", "float", "units"),
            Column("entry_fee", "float", "in quote currency"),
            Column("exit_fee", "float", "in quote currency"),
            Column("slippage", "float", "in quote currency; the fill prices already hold it"),
            Column("pnl", "float", "in quote currency, net"),
            Column("return", "float", "pnl as a fraction of the entry notional"),
            Column("bars_held", "integer", "the exit bar's index less the entry bar's"),
            Column("exit_reason", "text", "signal, stop_loss, take_profit, trailing_stop or end_of_data"),
            Column("mae", "float", "maximum adverse excursion on the entry price, negative or 0; null before 0.3"),
            Column("mfe", "float", "maximum favourable excursion on the entry price, positive or 0; null before 0.3"),
            Column("currency", "text", "the money of the trade; null where nobody said it"),
            Column("group", "text", "the position of several legs that it belongs to; null where there is none"),
        ),
        sort=("run_id",),
    ),
    Table(
        "run_symbols",
        "What each symbol earned of the account of a run of several: symbols.csv, with the rest and the account.",
        (
            _RUN_ID,
            Column("kind", "text", "symbol, rest (what no symbol earned) or account (all of it)"),
            Column("symbol", "text", "what was traded; of the rest, what it is"),
            Column("currency", "text", "its money"),
            Column("trades", "integer", "closed trades"),
            Column("open", "integer", "positions that were open at the end"),
            Column("pnl", "float", "net and realised; of the account, its change"),
            Column("fees", "float", "all that trades name"),
            Column("open_pnl", "float", "of what was open, by its last mark"),
            Column("share", "float", "of the account's change"),
            Column("gross", "float", "mean of what is held at entry prices / equity, longs and shorts added"),
            Column("net", "float", "the same, shorts taken off"),
            Column("gross_max", "float", "the highest gross"),
            Column("first_time", "time", "its first entry"),
            Column("last_time", "time", "its last exit"),
            Column("data_digest", "text", "fingerprint of its bars"),
        ),
        sort=("run_id",),
    ),
    Table(
        "trials",
        "The trials of each sweep, a row for each by the run_id of its parent, and those of recorded commands.",
        (
            _RUN_ID,
            Column("index", "integer", "number of the trial, from 0"),
            Column("chosen", "boolean", "whether it is the run's own result"),
            Column("kept", "text", "the run that was kept of it; null where none was"),
            Column("fold", "integer", "of a walk-forward or a cross-validation: number of the window or group"),
            Column("part", "text", "train or test, of such a fold; null elsewhere"),
            Column("params", "text", "the strategy's parameters that were varied, as JSON"),
            Column("settings", "text", "other keys of the config that were varied, as JSON; null of a command"),
            Column("seed", "integer", "run.seed of the trial; null of a command"),
            Column("status", "text", "done, failed, or in a recorded command another that docs/ops/record.md names"),
            Column("error", "text", "why it failed"),
            Column("duplicate_of", "integer", "the first trial of a sweep with the same digests on the same bars"),
            Column("engine", "text", "the other program's engine and version; null of a sweep of ours"),
            Column("label", "text", "what a recorded command called it; null of a sweep"),
            *(Column(s.key, "integer" if s.key in _COUNTS else "float", f"{s.definition} ({s.unit})") for s in STATS),
            Column("equity_digest", "text", "sha256 over the typed values of its equity"),
            Column("trades_digest", "text", "sha256 over the typed values of its trades"),
            Column("duration_s", "float", "how long it took, in seconds"),
        ),
        sort=("run_id",),
    ),
    Table(
        "receipts",
        "What was skipped in each run and why, what was found of its bars, and what its evidence cost.",
        (
            _RUN_ID,
            Column("part", "text", "the part of the run; `data` for what was found of its bars"),
            Column("outcome", "text", "skipped, redacted or done; of `data` the kind of what was found, as gaps"),
            Column("count", "integer", "how many rows or bars it is about, where it counts some"),
            Column("reason", "text", "why"),
            Column("ms", "float", "milliseconds it took"),
            Column("bytes", "integer", "bytes it wrote"),
        ),
        sort=("run_id",),
    ),
    Table(
        "ledger",
        "Every line of the ledger, which outlives the runs.",
        (
            _RUN_ID,
            Column("line", "integer", "number of the line, from 1"),
            Column(
                "event", "text", "start, sealed, failed, abandoned, removed, or another that docs/ops/evidence.md names"
            ),
            Column("time", "time", "when"),
            Column("sha256", "text", "digest of the line, which the next line carries"),
            Column("fields", "text", "what else belongs to the event, as JSON"),
        ),
        sort=("line",),
    ),
    Table(
        "spans",
        "How long each step of a run took: a row for each span that was recorded, known by `run_id`, `trace_id` and "
        "`span_id`. Other commands (a build of the lake) have spans too, under an id that is in no other table.",
        (
            _RUN_ID,
            *_TRACE,
            Column("parent_span_id", "text", "the span that started it; empty in a root"),
            Column("name", "text", "the step"),
            Column("service", "text", "service.name"),
            _PART,
            Column("start", "time", "when it started"),
            Column("duration_ms", "float", "how long it took, in milliseconds"),
            Column("status", "text", "unset, ok or error"),
            Column("message", "text", "type and message of the error; empty without one"),
            Column("attributes", "text", "what else it says of itself, as JSON"),
            Column("process", "text", "what its process says of itself (version, pipeline of CI), as JSON"),
            _FOLDER,
        ),
        sort=("run_id",),
    ),
    Table(
        "logs",
        "The log records that were recorded with the spans.",
        (
            _RUN_ID,
            Column("time", "time", "when"),
            Column("level", "text", "debug, info, warning, error or critical, as in run.log"),
            Column("logger", "text", "the logger's name"),
            Column("message", "text", "what it says"),
            Column("exception", "text", "type and message of the exception that was logged with it; empty without one"),
            *_TRACE,
            _PART,
            Column("attributes", "text", "what else it says of itself, as JSON"),
            _FOLDER,
        ),
        sort=("run_id",),
    ),
    Table(
        "telemetry",
        "The files that `spans` and `logs` were read from. A folder whose files have changed is read again.",
        (
            _FOLDER,
            Column("file", "text", "its path within results/"),
            Column("signal", "text", "traces or logs"),
            _PART,
            Column("bytes", "integer", "its size"),
            Column("modified", "time", "when it was last written to"),
            Column("rows", "integer", "spans or log records that were taken from it"),
            Column("repeated", "integer", "spans or log records that another file, or another line, has as well"),
            Column("skipped", "integer", "lines and records that can't be read, as the last one of a killed process"),
        ),
        sort=("folder",),
    ),
)
TABLES = {table.name: table for table in _ALL}


def duckdb_types(table: Table) -> dict[str, str]:
    """Return DuckDB's type of each column, in order.

    >>> duckdb_types(TABLES["params"])
    {'run_id': 'VARCHAR', 'key': 'VARCHAR', 'value': 'VARCHAR', 'number': 'DOUBLE'}
    """
    return {column.name: DUCKDB[column.kind] for column in table.columns}


@cache
def arrow_schema(name: str) -> Any:
    """Return the Arrow schema of a table's files: all columns but the partitions."""
    import pyarrow as pa

    kinds = {
        "text": pa.string(),
        "float": pa.float64(),
        "integer": pa.int64(),
        "boolean": pa.bool_(),
        "time": pa.timestamp("us", "UTC"),
    }
    table = TABLES[name]
    return pa.schema([(c.name, kinds[c.kind]) for c in table.columns if c.name not in table.partitions])


def as_markdown() -> str:
    """Return all tables as Markdown, for docs/ops/lake.md."""
    return "\n\n".join(map(_table_as_markdown, TABLES.values()))


def _table_as_markdown(table: Table) -> str:
    rows = [f"| `{c.name}` | {c.kind} | {c.definition.replace('|', '&#124;')} |" for c in table.columns]
    facts = [f"Sorted by {', '.join(f'`{name}`' for name in table.sort)}."]
    if table.partitions:
        facts.append(f"Partitioned by {', '.join(f'`{name}`' for name in table.partitions)}.")
    head = [
        f"### `{table.name}`",
        "",
        table.definition,
        " ".join(facts),
        "",
        "| column | kind | definition |",
        "|---|---|---|",
    ]
    return "\n".join([*head, *rows])
