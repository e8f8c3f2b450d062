"""What the lake costs, beside plain DuckDB and pyarrow doing the same in the same call.

`ideal` is what one would write by hand for one kind of question: hive Parquet of the same rows, by DuckDB or pyarrow,
with no contract, no revisions and no marker. `native` is a DuckDB table of them.
"""

from __future__ import annotations

import hashlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from figures import Figure, process, prove, random_bars

from peak_trade import config, runner
from peak_trade.evidence import manifest, tables
from peak_trade.evidence.ledger import GENESIS, now
from peak_trade.evidence.results import Results
from peak_trade.market.bars import COLUMNS, Bars

__all__ = ["measure"]

QUESTIONS = (
    "SELECT count(*) FROM ohlcv WHERE symbol = 'SYNTHETIC'",
    "SELECT symbol, min(timestamp), max(timestamp), count(*) FROM ohlcv GROUP BY symbol",
    "SELECT timestamp, close FROM ohlcv ORDER BY timestamp DESC LIMIT 10",
    "SELECT * FROM ohlcv WHERE timestamp = '2010-06-01 12:00Z'",
    "SELECT * FROM ohlcv WHERE timestamp BETWEEN '2010-03-01' AND '2010-03-02'",
    "SELECT avg(close), stddev(close), max(high), min(low) FROM ohlcv",
    "SELECT year, sum(volume), first(open ORDER BY timestamp) FROM ohlcv WHERE year IN (2005, 2006) GROUP BY year",
    "SELECT count(*) FROM ohlcv WHERE close > 1.01 * open",
    "SELECT epoch_us(timestamp) // 86400000000 AS day, max(high), min(low), sum(volume) FROM ohlcv GROUP BY day",
    "SELECT quantile_cont(close / open - 1, [0.05, 0.95]) FROM ohlcv WHERE year = 2012",
)
_RUNS = (
    "SELECT * FROM runs ORDER BY sharpe DESC LIMIT 10",
    "SELECT strategy, count(*), median(sharpe), max(total_return) FROM runs GROUP BY strategy",
    "SELECT * FROM runs WHERE run_id = (SELECT max(run_id) FROM runs)",
    "SELECT status, count(*) FROM runs GROUP BY status",
    "SELECT * FROM best_runs",
    "SELECT corr(sharpe, max_drawdown), count(*) FILTER (sharpe > 1) FROM runs WHERE symbol = 'S3'",
    "SELECT started_at::DATE AS day, count(*) FROM runs GROUP BY day ORDER BY day",
)
_JOIN = """
SELECT r.strategy, count(*) AS trades, sum(t.pnl), avg(e.drawdown) AS drawdown_at_entry
FROM trades t JOIN runs r USING (run_id) JOIN equity e ON e.run_id = t.run_id AND e.timestamp = t.entry_time
GROUP BY r.strategy"""


def measure(root: Path, *, repeat: int = 5, rows: int = 10_000_000, runs: int = 10_000) -> Iterator[Figure]:
    """Measure the lake and yield each figure as soon as it is known.

    `rows` is the number of bars (and of equity rows in the lake of `runs`, a tenth of it of trades).
    """
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        bars = random_bars(rows)
        yield from _ingest(folder, bars, max(2, repeat // 2))
        yield from _questions(folder, bars, repeat)
        yield from _runs(folder, rows, runs, repeat)
        yield from _cold(root, folder, repeat)
        yield from _build(root, folder)
        yield from _removed(root, folder)


def as_figure(name: str, seconds: Sequence[float], ratio: str = "") -> Figure:
    """Return seconds as a figure in ms."""
    ordered = sorted(value * 1e3 for value in seconds)
    return Figure(name, statistics.median(ordered), ordered[0], ordered[-1], "ms", ratio)


def _timed(action: Callable[[], object], repeat: int) -> list[float]:
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return seconds


def _asking(connection: Any, text: str) -> Callable[[], list[Any]]:
    """Return what asks a question and fetches rows: all of an aggregate's, the first of many."""
    return lambda: list(connection.execute(text).fetchmany(100))


def _columns(connection: Any, text: str) -> dict[str, list[Any]]:
    """Return a whole answer by column, its rows in one order, whatever order they came in."""
    asked = connection.execute(text)
    names = [column[0] for column in asked.description]
    order = sorted(range(len(names)), key=names.__getitem__)
    rows = sorted(([row[at] for at in order] for row in asked.fetchall()), key=repr)
    return {names[at]: [row[place] for row in rows] for place, at in enumerate(order)}


# --- bars ---------------------------------------------------------------------------------------------------------


def _arrow(bars: Bars) -> Any:
    import pyarrow as pa

    from peak_trade.data.lake import parts

    stamps = parts.microseconds(bars.timestamp, "the bars")
    columns = {"timestamp": stamps} | {
        name: parts.from_numpy(getattr(bars, name), pa.float64()) for name in COLUMNS if name != "timestamp"
    }
    years = (bars.timestamp.astype("M8[Y]").view(np.int64) + 1970).astype(np.int32)
    constant = {
        name: pa.DictionaryArray.from_arrays(parts.from_numpy(np.zeros(len(bars), np.int32), pa.int32()), [word])
        for name, word in (("symbol", bars.symbol), ("timeframe", bars.timeframe))
    }
    return pa.table(columns | constant | {"year": parts.from_numpy(years, pa.int32())})


def _ingest(folder: Path, bars: Bars, repeat: int) -> Iterator[Figure]:
    """Ten million bars into the lake, and by three plain partitioned writes of the same table."""
    import duckdb
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    from peak_trade.data.lake import ingest, parts

    table = _arrow(bars)
    target = folder / "plain"

    def by_duckdb() -> None:
        with duckdb.connect(config={"temp_directory": str(folder / "spilled")}) as connection:
            connection.register("plain", table)
            connection.execute(
                f"COPY plain TO '{target}' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (symbol, timeframe, year))"
            )

    def by_dataset() -> None:
        options = ds.ParquetFileFormat().make_write_options(compression="zstd", use_dictionary=False)
        keys = ds.partitioning(table.select(["symbol", "timeframe", "year"]).schema, flavor="hive")
        ds.write_dataset(table, target, format="parquet", partitioning=keys, file_options=options,
                         max_partitions=4096)  # fmt: skip

    def by_hand() -> None:
        years = parts.to_numpy(table["year"], "i4")
        starts = np.flatnonzero(np.r_[True, years[1:] != years[:-1]]).tolist()

        def write(span: tuple[int, int]) -> None:
            place = target / f"symbol={bars.symbol}" / f"timeframe={bars.timeframe}" / f"year={years[span[0]]}"
            place.mkdir(parents=True)
            pq.write_table(table.slice(span[0], span[1] - span[0]).select(list(COLUMNS)), place / "part.parquet",
                           compression="zstd", use_dictionary=False)  # fmt: skip

        parts.in_threads(write, list(zip(starts, [*starts[1:], len(years)], strict=True)))

    def into_the_lake() -> None:
        ingest.ingest_bars(target, bars, source="bench")

    seconds: dict[str, list[float]] = {}
    ways = {"DuckDB COPY": by_duckdb, "pyarrow dataset": by_dataset, "pyarrow by hand, in threads": by_hand,
            "lake": into_the_lake}  # fmt: skip
    for _ in range(repeat):  # in turn: machines drift
        for name, way in ways.items():
            shutil.rmtree(target, ignore_errors=True)
            seconds.setdefault(name, []).extend(_timed(way, 1))
    ours = seconds.pop("lake")
    million = len(bars) / 1e6
    for name, taken in seconds.items():
        share = statistics.median(taken) / statistics.median(ours)
        speed = f"{million / statistics.median(taken):.1f} M rows a second; lake at {share:.0%} of it"
        yield as_figure(f"lake: plain partitioned write by {name}, {million:g} M bars", taken, speed)
    yield as_figure(f"lake: ingest of {million:g} M bars, checked, sorted, committed", ours,
                    f"{million / statistics.median(ours):.1f} M rows a second")  # fmt: skip


def _questions(folder: Path, bars: Bars, repeat: int) -> Iterator[Figure]:
    """Ten usual questions of the lake, of ideal Parquet and of a native table, each warm."""
    import duckdb

    from peak_trade.data.lake import ingest, query

    lake, ideal = folder / "lake", folder / "ideal"
    ingest.ingest_bars(lake, bars, source="bench")
    table = _arrow(bars)
    with duckdb.connect(config={"temp_directory": str(folder / "spilled")}) as plain, query.connect(lake) as asked:
        plain.execute("SET timezone = 'UTC'")
        plain.register("given", table)
        plain.execute(f"COPY given TO '{ideal}' (FORMAT parquet, COMPRESSION zstd, "
                      "PARTITION_BY (symbol, timeframe, year))")  # fmt: skip
        plain.execute("CREATE TABLE native AS SELECT * FROM given")
        types = "hive_partitioning = true, hive_types = {symbol: VARCHAR, timeframe: VARCHAR, year: INTEGER}"
        plain.execute(f"CREATE VIEW ideal AS SELECT * FROM read_parquet('{ideal}/**/*.parquet', {types})")
        medians: list[tuple[float, float, float]] = []
        for question in QUESTIONS:
            ways = [
                _asking(asked, question),
                *(_asking(plain, question.replace("ohlcv", name)) for name in ("ideal", "native")),
            ]
            answer, *others = [
                _columns(connection, question.replace("ohlcv", name))
                for connection, name in ((asked, "ohlcv"), (plain, "ideal"), (plain, "native"))
            ]
            for other in others:
                for column in answer.keys() & other.keys():  # the lake's bars have columns more, as of their revision
                    prove(f"{question}, {column},", answer[column], other[column])
            taken = [[_timed(way, 1)[0] for way in ways] for _ in range(repeat)]
            in_lake, by_hand, native = (statistics.median(column) for column in zip(*taken, strict=True))
            medians.append((in_lake, by_hand, native))
    ratios = [ours / by_hand for ours, by_hand, _ in medians]
    total = [sum(column) for column in zip(*medians, strict=True)]
    yield as_figure(
        f"lake: ten questions of {len(bars) / 1e6:g} M bars, together",
        [total[0]],
        f"{total[0] / total[1]:.2f} × ideal Parquet (each {min(ratios):.2f} – {max(ratios):.2f}), "
        f"{total[0] / total[2]:.2f} × native",
    )
    runbook = [sum(column) for column in zip(*medians[:2], strict=True)]
    beside = f"{runbook[0] / runbook[1]:.2f} × ideal Parquet, {runbook[0] / runbook[2]:.2f} × native"
    yield as_figure("lake: of them the runbook's two of bars", [runbook[0]], beside)


# --- runs ---------------------------------------------------------------------------------------------------------


def _runs(folder: Path, rows: int, runs: int, repeat: int) -> Iterator[Figure]:
    """A lake of many runs, made in batches as builds would make them."""
    from peak_trade.data.lake import query
    from peak_trade.data.lake.commit import files_of

    lake = folder / "runs"
    start = time.perf_counter()
    generate(lake, runs, rows // runs)
    seconds = time.perf_counter() - start
    files = sum(1 for _ in files_of(lake))
    yield as_figure(f"lake: {runs:,} generated runs written", [seconds], f"{files} files")
    with query.connect(lake) as asked:
        _timed(_asking(asked, _RUNS[0]), 2)
        best = _timed(_asking(asked, _RUNS[0]), repeat * 3)
        yield as_figure(f"lake: top ten by Sharpe of {runs:,} runs", best)
        slowest: list[float] = []
        for question in _RUNS[1:]:
            taken = _timed(_asking(asked, question), repeat)
            slowest = max(slowest, taken, key=lambda found: statistics.median(found or [0.0]))
        yield as_figure(f"lake: the slowest of {len(_RUNS) - 1} other questions of `runs`", slowest)
        join = _timed(_asking(asked, _JOIN), repeat)
        yield as_figure(
            f"lake: join of {runs:,} runs, {rows / 1e6:g} M rows of equity and {rows / 1e7:g} M trades", join
        )


def generate(lake: Path, runs: int, bars: int) -> None:
    """Write a lake of random runs of `bars` bars each, a tenth as many trades, in batches of a thousand runs."""
    from peak_trade.data.lake import parts, schema
    from peak_trade.data.lake.commit import Live
    from peak_trade.data.lake.writer import writing

    draw = np.random.default_rng(11)
    run_ids = sorted(str(uuid.UUID(bytes=draw.bytes(16), version=4)) for _ in range(runs))
    order = draw.permutation(runs)  # ids come in any order
    with writing(lake) as writer:
        live = {name: Live(schema.duckdb_types(table), list(table.partitions)) for name, table in
                  schema.TABLES.items()}  # fmt: skip
        for first in range(0, runs, 1_000):
            batch = sorted(run_ids[at] for at in order[first : first + 1_000])
            for name, table in _random_batch(batch, bars, draw).items():
                live[name] = parts.append(writer, name, live[name], [({}, table)])
            writer.publish("bench", live)
        writer.expire(0.0)


def _random_batch(run_ids: list[str], bars: int, draw: np.random.Generator) -> dict[str, Any]:
    count, trades = len(run_ids), bars // 10
    times = np.datetime64("2020-01-01", "us").astype(np.int64) + np.arange(bars) * 3_600_000_000
    entries = np.sort(draw.integers(0, bars - 1, (count, trades)), axis=1)
    steps = draw.normal(0, 0.01, (count, bars))
    equity = 10_000 * np.exp(np.cumsum(steps, axis=1))
    drawdown = equity / np.maximum.accumulate(equity, axis=1) - 1
    sharpe = steps.mean(axis=1) / steps.std(axis=1, ddof=1) * np.sqrt(8760)
    ones = np.ones(count)
    return {
        "runs": _random("runs", run_ids, np.ones(count, int), draw, sharpe=sharpe, total_return=equity[:, -1] / 1e4 - 1,
                        max_drawdown=drawdown.min(axis=1), bars=(bars * ones).astype(np.int64),
                        trades=(trades * ones).astype(np.int64)),
        "params": _random("params", run_ids, np.full(count, 25), draw),
        "stats": _random("stats", run_ids, np.full(count, 44), draw),
        "receipts": _random("receipts", run_ids, np.ones(count, int), draw),
        "equity": _random("equity", run_ids, np.full(count, bars), draw, timestamp=np.tile(times, count),
                          equity=equity.ravel(), drawdown=drawdown.ravel()),
        "trades": _random("trades", run_ids, np.full(count, trades), draw, entry_time=times[entries].ravel(),
                          exit_time=(times[entries] + 7_200_000_000).ravel()),
    }  # fmt: skip


_WORDS = {"status": ["sealed"], "strategy": [f"strategy_{n}" for n in range(8)], "symbol": [f"S{n}" for n in range(20)],
          "side": ["long", "short"], "exit_reason": ["signal", "stop_loss"]}  # fmt: skip


def _random(name: str, run_ids: list[str], lengths: Any, draw: np.random.Generator, **given: Any) -> Any:
    """Return rows of a table for some runs: columns as given, all others random."""
    import pyarrow as pa

    from peak_trade.data.lake import parts, schema

    rows = int(lengths.sum())
    codes = np.repeat(np.arange(len(run_ids), dtype=np.int32), lengths)
    columns = []
    for field in schema.arrow_schema(name):
        if field.name == "run_id":
            column = pa.DictionaryArray.from_arrays(parts.from_numpy(codes, pa.int32()), pa.array(run_ids))
        elif pa.types.is_string(field.type):
            words = _WORDS.get(field.name, [f"{field.name}_{n}" for n in range(40)])
            chosen = draw.integers(0, len(words), rows).astype(np.int32)
            column = pa.DictionaryArray.from_arrays(parts.from_numpy(chosen, pa.int32()), pa.array(words))
            column = column.dictionary_decode()
        elif pa.types.is_boolean(field.type):
            column = pa.array([True] * rows)
        elif pa.types.is_floating(field.type):
            column = parts.from_numpy(given.get(field.name, draw.normal(0, 1, rows)), field.type)
        else:
            default = np.full(rows, np.datetime64("2024-01-01", "us").astype(np.int64))
            column = parts.from_numpy(given.get(field.name, default), field.type)
        columns.append(column)
    return pa.table(columns, names=schema.arrow_schema(name).names)


def _cold(root: Path, folder: Path, repeat: int) -> Iterator[Figure]:
    """The whole process of one question, in turn with importing DuckDB."""
    script = str(root / "scripts" / "query_lake.py")
    bare = [sys.executable, "-c", "import duckdb"]
    words = [sys.executable, script, "--lake-dir", str(folder / "runs"), _RUNS[0]]

    def seconds(command: list[str]) -> float:
        return _timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL), 1)[0]

    pairs = [(seconds(bare), seconds(words)) for _ in range(repeat + 4)][1:]
    ratio = statistics.median(ours / plain for plain, ours in pairs)
    yield as_figure("lake: process: import duckdb", [plain for plain, _ in pairs])
    yield as_figure("lake: process: lake-query, top ten by Sharpe", [ours for _, ours in pairs],
                    f"{ratio:.2f} × import duckdb")  # fmt: skip


def _build(root: Path, folder: Path, count: int = 1_000) -> Iterator[Figure]:
    """A lake of 1,000 run directories of 500 bars: copies of one, each with an id and a seal of its own."""
    from peak_trade.data.lake import build

    results = folder / "results"
    bars = random_bars(500)
    (folder / "bars.csv").write_bytes(b"".join(tables.series_csv({name: getattr(bars, name) for name in COLUMNS})))
    (folder / "config.toml").write_text(
        '[data]\npath = "bars.csv"\nsymbol = "SYNTHETIC"\ntimeframe = "1m"\n[strategy]\nname = "sma_crossover"\n',
        encoding="utf-8",
    )
    made = runner.run(config.load(folder / "config.toml"), root=root, results=folder / "one")
    copies(made, results, count)
    start = time.perf_counter()
    done = build.build(Results(results), folder / "built", root=root)
    seconds = time.perf_counter() - start
    prove("the build", done.runs, {"sealed": count})
    yield as_figure(f"lake: build from {count:,} run directories of 500 bars", [seconds],
                    f"{done.runs.get('sealed', 0) / seconds:,.0f} runs a second")  # fmt: skip


def _removed(root: Path, folder: Path) -> Iterator[Figure]:
    """A whole `lake-build` of one run, and of the lines that many leave in the ledger when they are removed."""
    from peak_trade.data.lake import query

    script = str(root / "scripts" / "build_lake_from_results.py")
    for count in (50_000, 100_000):
        results, lake = folder / f"removed-{count}", folder / f"lake-{count}"
        shutil.copytree(folder / "one", results)
        remove(results, count - 1 if count == 100_000 else count)
        command = [sys.executable, script, "--no-bars", "--results-dir", str(results), "--lake-dir", str(lake)]
        seconds, megabytes = process(command)
        with query.connect(lake) as asked:
            told = asked.execute("SELECT status, count(*) FROM runs GROUP BY status ORDER BY status").fetchall()
        removed = int(told[0][1])
        prove("the lake's runs", [list(row) for row in told], [["removed", str(removed)], ["sealed", "1"]])
        yield as_figure(f"lake: process: lake-build, one run and {removed:,} removed", [seconds])
        yield Figure(f"lake: its peak memory, {removed:,} removed", megabytes, megabytes, megabytes, "MB")


def remove(results: Path, count: int) -> None:
    """Add the lines of `count` runs to a ledger of one, each with an id of its own: its start, its end, its removal."""
    ledger = Results(results).reading()
    previous, lines = ledger.head, []
    told = [(entry.event, entry.time, entry.fields) for entry in ledger.entries]
    for _ in range(count):
        run_id = str(uuid.uuid4())
        for event, time_, fields in (*told, ("removed", now(), {"reason": "older than 30 days"})):
            entry = {"event": event, "time": time_, "run_id": run_id, **fields, "prev": previous}
            lines.append(msgspec.json.encode(entry))
            previous = hashlib.sha256(lines[-1]).hexdigest()
    with open(results / "ledger.jsonl", "ab") as file:
        file.write(b"\n".join([*lines, b""]))


def copies(run_dir: Path, results: Path, count: int) -> None:
    """Make `count` runs out of one: the same sealed files, each with its own id, manifest and ledger lines."""
    results.mkdir()
    content = (run_dir / manifest.NAME).read_text(encoding="utf-8")
    previous, lines = GENESIS, []
    for _ in range(count):
        run_id = str(uuid.uuid4())
        folder = results / run_id
        folder.mkdir()
        for path in run_dir.iterdir():
            if path.name != manifest.NAME:
                shutil.copyfile(path, folder / path.name)  # a file of two names is none of a run's
        own = content.replace(run_dir.name, run_id).encode()
        (folder / manifest.NAME).write_bytes(own)
        for event, fields in (("start", {}), ("sealed", {"manifest": hashlib.sha256(own).hexdigest()})):
            entry = {"event": event, "time": now(), "run_id": run_id, **fields, "prev": previous}
            lines.append(msgspec.json.encode(entry))
            previous = hashlib.sha256(lines[-1]).hexdigest()
    (results / "ledger.jsonl").write_bytes(b"\n".join([*lines, b""]))
