"""What is published is what the lake says, in every engine; only what is new moves, and nothing of others changes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from peak_trade.data.lake import build, commit, compact, history, ingest, publish, query, schema, target
from peak_trade.errors import InputError, RunError
from peak_trade.evidence.results import Results

pytestmark = pytest.mark.needs("share")

CLOSES = [100, 101, 102, 103, 104, 105, 106, 107, 104, 101, 98, 95, 92, 94, 97, 100, 103, 106, 109, 112]  # of conftest


def same(look: Any, published: Any, lake: Path, uri: Path) -> bool:
    """Whether every row of every table is at `uri`, and no other."""
    tables = commit.newest(lake).tables
    return bool(published(uri).contents(lake) == look.contents(lake, tuple(tables)))


def again(place: Path, look: Any, *overrides: str) -> str:
    """Make one more run, bring it in, and return its run_id."""
    run_id = str(look.run(place / "config.toml", place / "results", *overrides))
    build.build(Results(place / "results"), place / "lake", root=place)
    return run_id


# --- rows -----------------------------------------------------------------------------------------------------------


def test_every_row_of_every_table_is_there(place: Path, lake: Path, look: Any, published: Any) -> None:
    done = publish.publish(lake, place / "out")
    assert set(done.tables) == set(schema.TABLES) == {path.name for path in (place / "out").iterdir()}
    assert same(look, published, lake, place / "out")
    assert {name: change.rows for name, change in done.tables.items() if name in ("ohlcv", "runs", "equity")} == {
        "ohlcv": 20,
        "runs": 4,  # three sealed, one failed
        "equity": 60,
    }


def numbers(lake: Path, name: str) -> list[str]:
    columns = commit.newest(lake).tables[name].columns
    return [column for column, kind in columns.items() if kind in ("DOUBLE", "BIGINT")]


def sums(lake: Path, look: Any, name: str) -> dict[str, float]:
    """What the lake says of a table: the number of rows, and the sum of each column of numbers."""
    shown = ", ".join(["count(*)", *(f'sum("{column}")' for column in numbers(lake, name))])
    (row,) = look.rows(lake, f"SELECT {shown} FROM {name}")
    return dict(zip(["(rows)", *numbers(lake, name)], (float(value or 0) for value in row), strict=True))


@pytest.mark.parametrize("name", schema.TABLES)
def test_polars_reads_the_lakes_counts_and_sums(place: Path, lake: Path, look: Any, name: str) -> None:
    import polars as pl

    publish.publish(lake, place / "out")
    frame = pl.read_delta(str(place / "out" / name))
    read = {"(rows)": float(frame.height)} | {column: float(frame[column].sum()) for column in numbers(lake, name)}
    assert read == pytest.approx(sums(lake, look, name), rel=1e-12)


@pytest.mark.parametrize("name", schema.TABLES)
def test_datafusion_reads_the_lakes_counts_and_sums(
    place: Path, lake: Path, look: Any, published: Any, name: str
) -> None:
    from datafusion import SessionContext

    publish.publish(lake, place / "out")
    context = SessionContext()
    context.register_table(name, published(place / "out").table(name))
    shown = ", ".join(['count(*) AS "(rows)"', *(f'sum("{c}") AS "{c}"' for c in numbers(lake, name))])
    answer = context.sql(f"SELECT {shown} FROM {name}").to_pydict()
    read = {column: float(values[0] or 0) for column, values in answer.items()}
    assert read == pytest.approx(sums(lake, look, name), rel=1e-12)


def test_bars_are_those_of_the_file(place: Path, lake: Path, published: Any) -> None:
    publish.publish(lake, place / "out")
    bars = published(place / "out").table("ohlcv").to_pyarrow_table().sort_by("timestamp")
    assert bars["close"].to_pylist() == CLOSES
    assert sum(bars["volume"].to_pylist()) == 10 * sum(range(1, 21)) == 2100
    assert set(bars["symbol"].to_pylist()) == {"TEST"}
    assert bars["timestamp"][0].as_py().isoformat() == "2024-01-01T00:00:00+00:00"


NAMES = ("BTC/USDT", "a b", "é", "%41", "q=1", "~t", "x\\y", "CON", "a.")


def test_names_of_all_kinds_are_what_they_were_in_each_engine(place: Path, look: Any, published: Any) -> None:
    import polars as pl
    from datafusion import SessionContext

    for at, name in enumerate(NAMES, 1):
        ingest.ingest_bars(place / "lake", look.bars([10 * at, 11 * at], symbol=name), source="names")
    publish.publish(place / "lake", place / "out")
    wanted = {name: 21.0 * at for at, name in enumerate(NAMES, 1)}

    frame = pl.read_delta(str(place / "out" / "ohlcv")).group_by("symbol").agg(pl.col("close").sum())
    assert dict(frame.iter_rows()) == wanted
    context = SessionContext()
    context.register_table("ohlcv", published(place / "out").table("ohlcv"))
    answer = context.sql("SELECT symbol, sum(close) AS s FROM ohlcv GROUP BY symbol").to_pydict()
    assert dict(zip(answer["symbol"], answer["s"], strict=True)) == wanted
    assert same(look, published, place / "lake", place / "out")  # by DuckDB, from the folders' names
    only = published(place / "out").table("ohlcv").to_pyarrow_table(filters=[("symbol", "=", "BTC/USDT")])
    assert only["close"].to_pylist() == [10.0, 11.0]


def test_a_question_for_one_value_of_any_column_finds_its_rows(
    place: Path, lake: Path, look: Any, published: Any
) -> None:
    publish.publish(lake, place / "out")
    for name in ("runs", "params", "ohlcv", "equity"):
        table = published(place / "out").table(name)
        whole = table.to_pyarrow_table()
        assert sum(table.get_add_actions().column("num_records").to_pylist()) == whole.num_rows
        for column in whole.column_names:
            value = next((value for value in whole[column].to_pylist() if value is not None), None)
            if value is not None:
                found = table.to_pyarrow_table(filters=[(column, "=", value)])
                assert found.num_rows == whole[column].to_pylist().count(value), (name, column)


def test_a_table_without_rows_is_there_with_its_columns(place: Path, lake: Path, published: Any) -> None:
    publish.publish(lake, place / "out")
    table = published(place / "out").table("run_symbols")
    assert table.to_pyarrow_table().num_rows == 0
    assert [field.name for field in table.schema().fields] == [c.name for c in schema.TABLES["run_symbols"].columns]


# Spark 3.5's fast reader knows no BYTE_STREAM_SPLIT, in which the lake stores floats; docs/dev/scaling.md says so.
SPARK = """\
import json, sys
from pyspark.sql import SparkSession, functions
plain = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
spark = plain.config("spark.sql.parquet.enableVectorizedReader", "false").getOrCreate()
told = {}
for name, (base, paths, columns) in json.load(sys.stdin).items():
    frame = spark.read.option("basePath", base).parquet(*paths)
    row = frame.agg(functions.count("*"), *(functions.sum(f"`{column}`") for column in columns)).collect()[0]
    told[name] = [float(value or 0) for value in row]
spark.stop()
print(json.dumps(told))
"""


def test_pyspark_reads_the_files_that_the_log_names(place: Path, lake: Path, look: Any, published: Any) -> None:
    if not find_spec("pyspark") or not shutil.which("java"):
        pytest.skip("pyspark or Java is not here; they are none of ours")
    publish.publish(lake, place / "out")
    names, out = ("runs", "equity", "trades", "ledger", "ohlcv"), place / "out"
    asked = {
        name: (str(out / name), [str(out / name / path) for path in published(out).files(name)], numbers(lake, name))
        for name in names
    }
    done = subprocess.run(
        [sys.executable, "-c", SPARK], input=json.dumps(asked), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    for name, values in json.loads(done.stdout.splitlines()[-1]).items():
        read = dict(zip(["(rows)", *numbers(lake, name)], values, strict=True))
        assert read == pytest.approx(sums(lake, look, name), rel=1e-12), name


# --- what is new ----------------------------------------------------------------------------------------------------


def test_a_second_call_says_that_nothing_is_new_and_touches_nothing(place: Path, lake: Path, look: Any) -> None:
    publish.publish(lake, place / "out")
    before = look.photograph(place / "out")
    done = publish.publish(lake, place / "out")
    assert not done.changed and done.as_text() == f"nothing is new at {os.path.realpath(place / 'out')}"
    assert look.photograph(place / "out") == before


def test_only_new_files_are_copied_and_replaced_ones_leave_by_the_log(
    place: Path, lake: Path, look: Any, published: Any
) -> None:
    publish.publish(lake, place / "out")
    before = {str(path): path.stat().st_mtime_ns for path in (place / "out").rglob("*.parquet")}
    first = {name: published(place / "out").files(name) for name in ("runs", "ohlcv")}
    again(place, look, "strategy.params.fast=1")
    done = publish.publish(lake, place / "out")
    assert same(look, published, lake, place / "out")
    assert {str(path): path.stat().st_mtime_ns for path in map(Path, before)} == before  # none is written again
    assert (done.tables["runs"].version, done.tables["runs"].rows) == (1, 5)
    assert published(place / "out").files("ohlcv") == first["ohlcv"]  # the same bars: nothing of them moved
    assert done.tables["ohlcv"].bytes == 0
    live = {name: len(found.parts) for name, found in commit.newest(lake).tables.items()}
    assert {name: len(published(place / "out").files(name)) for name in live} == live


def test_each_table_says_which_commit_it_shows(place: Path, lake: Path, look: Any, published: Any) -> None:
    publish.publish(lake, place / "out")
    again(place, look, "strategy.params.fast=1")
    publish.publish(lake, place / "out")
    newest = commit.newest(lake)
    for name in schema.TABLES:
        table = published(place / "out").table(name)
        assert table.transaction_version("peak_trade.commit") == newest.number
        assert table.history(1)[0]["peak_trade.commit"] == newest.number


def test_after_a_compaction_the_rows_are_the_same(place: Path, lake: Path, look: Any, published: Any) -> None:
    for fast in (1, 6):
        again(place, look, f"strategy.params.fast={fast}", "strategy.params.slow=7")
        publish.publish(lake, place / "out")
    done = compact.compact(lake, grace_s=0)
    assert done.before > done.after
    changed = publish.publish(lake, place / "out")
    assert changed.changed and same(look, published, lake, place / "out")


def test_a_run_that_was_removed_is_removed_there(place: Path, lake: Path, look: Any, published: Any) -> None:
    from peak_trade.ops import removal, retention

    publish.publish(lake, place / "out")
    results = Results(place / "results")
    gone = [item.run_id for item in removal.apply(results, retention.Policy(keep=1, days=0)).of("removed")]
    assert gone
    build.build(results, lake, root=place)
    publish.publish(lake, place / "out")
    assert same(look, published, lake, place / "out")
    runs = published(place / "out").table("runs").to_pyarrow_table()
    status = dict(zip(runs["run_id"].to_pylist(), runs["status"].to_pylist(), strict=True))
    assert {status[run_id] for run_id in gone} == {"removed"} and len(status) == 4


def test_a_revision_of_bars_is_there_once(place: Path, lake: Path, look: Any, published: Any) -> None:
    ingest.ingest_bars(lake, look.bars([10, 11, 12], symbol="REV"), source="a")
    publish.publish(lake, place / "out")
    ingest.ingest_bars(lake, look.bars([10, 11.5, 12], symbol="REV"), source="a")
    publish.publish(lake, place / "out")
    bars = published(place / "out").table("ohlcv").to_pyarrow_table(filters=[("symbol", "=", "REV")])
    assert sorted(bars["close"].to_pylist()) == [10, 11.5, 12]
    revised = published(place / "out").table("ohlcv_revisions").to_pyarrow_table()
    assert revised["close"].to_pylist() == [11.0]
    history.revert(lake, history.Series("REV", "1h", "a"), 1)
    publish.publish(lake, place / "out")
    assert same(look, published, lake, place / "out")


def test_a_lake_built_anew_takes_the_place_of_the_old_one(place: Path, lake: Path, look: Any, published: Any) -> None:
    publish.publish(lake, place / "out")
    build.build(Results(place / "results"), lake, root=place, anew=True)
    publish.publish(lake, place / "out")
    assert same(look, published, lake, place / "out")


def older(lake: Path, name: str, column: str) -> None:
    """Make a table of a lake what an older version wrote, which did not know a column."""
    newest = commit.newest(lake)
    live = newest.tables[name]
    parts = []
    for part in live.parts:
        with pq.ParquetFile(lake / part.path) as file:
            rows = file.read().drop_columns([column])
        pq.write_table(rows, lake / "file")
        content = (lake / "file").read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        path = f"{name}/{sha256[:24]}.parquet"
        (lake / "file").rename(lake / path)
        parts.append(msgspec.structs.replace(part, path=path, bytes=len(content), sha256=sha256))
    columns = {known: kind for known, kind in live.columns.items() if known != column}
    tables = newest.tables | {name: commit.Live(columns, live.partitions, parts)}
    made = msgspec.structs.replace(newest, tables=tables)
    commit.marker(lake, newest.number).write_bytes(msgspec.json.encode(made))


def test_a_column_of_a_later_version_is_added(place: Path, lake: Path, look: Any, published: Any) -> None:
    older(lake, "params", "number")
    publish.publish(lake, place / "out")
    assert "number" not in [field.name for field in published(place / "out").table("params").schema().fields]
    again(place, look, "strategy.params.fast=1")
    done = publish.publish(lake, place / "out")
    assert done.tables["params"].version == 2  # the column, then the files
    assert same(look, published, lake, place / "out")
    params = published(place / "out").table("params").to_pyarrow_table(filters=[("key", "=", "fast")])
    assert sorted(params["number"].to_pylist()) == [1.0, 2.0, 3.0, 4.0]


def test_who_adds_a_column_looks_again_before_he_goes_on(
    place: Path, lake: Path, look: Any, published: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import deltalake

    shutil.copytree(lake, place / "old")
    older(place / "old", "params", "number")
    publish.publish(place / "old", place / "out")
    again(place, look, "strategy.params.fast=1")
    shutil.copytree(lake, place / "late")
    again(place, look, "strategy.params.fast=6", "strategy.params.slow=7")
    real, first = deltalake.table.TableAlterer.add_columns, [True]

    def add_columns(self: Any, *given: Any, **named: Any) -> None:
        real(self, *given, **named)
        if first and first.pop():
            publish.publish(lake, place / "out")  # somebody with a newer commit comes in between

    monkeypatch.setattr(deltalake.table.TableAlterer, "add_columns", add_columns)
    done = publish.publish(place / "late", place / "out")
    assert not first and done.newer == commit.newest(lake).number == done.commit + 1
    assert same(look, published, lake, place / "out")


def test_a_column_of_another_kind_makes_the_table_anew(place: Path, lake: Path, look: Any, published: Any) -> None:
    publish.publish(lake, place / "out")
    newest = commit.newest(lake)
    live = newest.tables["trades"]
    (part,) = live.parts
    rows = pq.read_table(lake / part.path)
    at = rows.column_names.index("trade_id")
    rows = rows.set_column(at, "trade_id", rows["trade_id"].cast("string"))
    pq.write_table(rows, lake / part.path)
    size = (lake / part.path).stat().st_size
    kinds = live.columns | {"trade_id": "VARCHAR"}
    made = commit.Live(kinds, [], [msgspec.structs.replace(part, bytes=size)])
    made = msgspec.structs.replace(newest, tables=newest.tables | {"trades": made}, number=newest.number + 1)
    commit.marker(lake, made.number).write_bytes(msgspec.json.encode(made))
    done = publish.publish(lake, place / "out")
    assert done.tables["trades"].removed == 1 and done.tables["trades"].version == 1
    assert {f.name: f.type.type for f in published(place / "out").table("trades").schema().fields}[
        "trade_id"
    ] == "string"
    assert published(place / "out").rows("trades", kinds) == look.contents(lake, ("trades",))["trades"] != []


def test_a_lake_of_an_older_version_gets_its_name_first(place: Path, lake: Path, look: Any, published: Any) -> None:
    newest = commit.newest(lake)
    commit.marker(lake, newest.number).write_bytes(msgspec.json.encode(msgspec.structs.replace(newest, lake="")))
    done = publish.publish(lake, place / "out")
    assert done.commit == newest.number + 1 and len(commit.newest(lake).lake) == 32
    assert same(look, published, lake, place / "out")
    again(place, look, "strategy.params.fast=1")
    assert publish.publish(lake, place / "out").changed


def test_the_log_may_be_shortened_by_a_checkpoint(place: Path, lake: Path, look: Any, published: Any) -> None:
    publish.publish(lake, place / "out")
    again(place, look, "strategy.params.fast=1")
    publish.publish(lake, place / "out")
    for name in schema.TABLES:
        published(place / "out").table(name).create_checkpoint()
        (place / "out" / name / "_delta_log" / f"{0:020}.json").unlink()
    assert not publish.publish(lake, place / "out").changed
    again(place, look, "strategy.params.fast=6", "strategy.params.slow=7")
    publish.publish(lake, place / "out")
    assert published(place / "out").table("runs").to_pyarrow_table().num_rows == 6


def test_what_another_engine_has_merged_is_ours_again_with_the_next_commit(
    place: Path, lake: Path, look: Any, published: Any
) -> None:
    for day, name in enumerate(("a b", "a b", "x/y"), 1):
        bars = look.bars([10, 11, 12], f"2024-01-0{day}", symbol=name)
        ingest.ingest_bars(lake, bars, source=str(day))
    publish.publish(lake, place / "out")
    assert published(place / "out").table("ohlcv").optimize.compact()["numFilesRemoved"] > 0
    again(place, look, "strategy.params.fast=1")
    publish.publish(lake, place / "out")
    assert same(look, published, lake, place / "out")


def test_a_commit_that_is_published_stays_while_it_is_published(
    place: Path, lake: Path, look: Any, published: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for fast in (1, 6):
        again(place, look, f"strategy.params.fast={fast}", "strategy.params.slow=7")
    before = look.contents(lake, tuple(commit.newest(lake).tables))
    number, real, called = commit.newest(lake).number, target.Target.put, list[bool]()

    def put(self: Any, *given: Any) -> None:
        if not called:
            called.append(True)
            compact.compact(lake, grace_s=0)
        real(self, *given)

    monkeypatch.setattr(target.Target, "put", put)
    done = publish.publish(lake, place / "out")
    assert done.commit == number and commit.newest(lake).number == number + 1
    assert published(place / "out").contents(lake) == before


# --- what left ------------------------------------------------------------------------------------------------------


def test_what_left_stays_for_a_week_and_a_vacuum_deletes_no_other(
    place: Path, lake: Path, look: Any, published: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def merged(fast: int) -> None:
        again(place, look, f"strategy.params.fast={fast}", "strategy.params.slow=7")
        compact.compact(lake, grace_s=0)

    publish.publish(lake, place / "out")
    first = set((place / "out" / "runs").glob("*.parquet"))
    merged(1)
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() - 8 * 86_400)
    publish.publish(lake, place / "out")
    monkeypatch.undo()
    second = set((place / "out" / "runs").glob("*.parquet")) - first
    (place / "out" / "runs" / "notes.txt").write_text("of somebody else's")
    os.utime(place / "out" / "runs" / "notes.txt", (0, 0))
    merged(6)
    done = publish.publish(lake, place / "out", vacuum=True)
    there = set((place / "out" / "runs").glob("*.parquet"))
    assert done.vacuumed >= 1 and first and not first & there
    assert second <= there  # they left just now
    assert (place / "out" / "runs" / "notes.txt").exists()
    assert same(look, published, lake, place / "out")


def test_a_vacuum_of_nothing_writes_nothing(place: Path, lake: Path, look: Any) -> None:
    publish.publish(lake, place / "out")
    before = look.photograph(place / "out")
    assert publish.publish(lake, place / "out", vacuum=True).vacuumed == 0
    assert look.photograph(place / "out") == before


# --- what is not ours -----------------------------------------------------------------------------------------------


def test_a_table_that_no_lake_has_published_is_refused_and_left_alone(place: Path, lake: Path, look: Any) -> None:
    import deltalake
    import pyarrow as pa

    deltalake.write_deltalake(str(place / "out" / "trades"), pa.table({"x": [1, 2]}))
    before = look.photograph(place / "out")
    for replace in (False, True):
        with pytest.raises(InputError, match="trades is a Delta table that no lake has published"):
            publish.publish(lake, place / "out", replace=replace)
    assert look.photograph(place / "out") == before


def other_lake(place: Path, look: Any) -> Path:
    ingest.ingest_bars(place / "other", look.bars([10, 11, 12], symbol="OTHER"), source="b")
    return place / "other"


def test_another_lake_is_refused_until_it_is_to_take_the_place(
    place: Path, lake: Path, look: Any, published: Any
) -> None:
    publish.publish(lake, place / "out")
    before = look.photograph(place / "out")
    other = other_lake(place, look)
    with pytest.raises(InputError, match="is another lake's") as raised:
        publish.publish(other, place / "out")
    assert "--replace" in raised.value.hint and look.photograph(place / "out") == before
    publish.publish(other, place / "out", replace=True)
    assert same(look, published, other, place / "out")
    assert published(place / "out").table("runs").to_pyarrow_table().num_rows == 0
    with pytest.raises(InputError, match="is another lake's"):  # and now it is the first one's turn to ask
        publish.publish(lake, place / "out")
    assert not publish.publish(other, place / "out").changed


def test_an_older_state_of_the_lake_comes_too_late(place: Path, lake: Path, look: Any, published: Any) -> None:
    shutil.copytree(lake, place / "backup")
    again(place, look, "strategy.params.fast=1")
    publish.publish(lake, place / "out")
    newer = commit.newest(lake).number
    done = publish.publish(place / "backup", place / "out")
    assert not done.changed and done.newer == newer
    assert done.as_text().endswith(f": commit {newer} of this lake is there, and is newer than {done.commit}")
    assert same(look, published, lake, place / "out")
    publish.publish(place / "backup", place / "out", replace=True)
    assert same(look, published, place / "backup", place / "out")
    assert publish.publish(lake, place / "out").changed
    assert same(look, published, lake, place / "out")


# --- what goes wrong ------------------------------------------------------------------------------------------------

GARBAGE = {
    "nothing in an entry": lambda log: (log / f"{0:020}.json").write_bytes(b""),
    "no text": lambda log: (log / f"{0:020}.json").write_bytes(bytes(range(256))),
    "no JSON": lambda log: (log / f"{0:020}.json").write_text("{nope\n"),
    "an entry that is torn": lambda log: (log / f"{0:020}.json").write_bytes((log / f"{0:020}.json").read_bytes()[:-9]),
    "an entry of nothing after it": lambda log: (log / f"{1:020}.json").write_text("garbage"),
    "a gap": lambda log: shutil.copy(log / f"{0:020}.json", log / f"{5:020}.json"),
    "a version of the format that nobody knows": lambda log: (log / f"{1:020}.json").write_text(
        '{"protocol":{"minReaderVersion":99,"minWriterVersion":99}}\n'
    ),
}


@pytest.mark.parametrize("what", GARBAGE)
def test_a_log_that_cannot_be_read_is_a_sentence_and_nothing_is_touched(
    place: Path, lake: Path, look: Any, what: str
) -> None:
    publish.publish(lake, place / "out")
    GARBAGE[what](place / "out" / "equity" / "_delta_log")
    again(place, look, "strategy.params.fast=1")
    before = look.photograph(place / "out")
    with pytest.raises(RunError, match=r"^.*/out/equity: [^\n]*$") as raised:
        publish.publish(lake, place / "out")
    assert raised.value.hint == "its _delta_log can't be used: restore it, or publish to an address of its own"
    assert look.photograph(place / "out") == before


def test_a_file_of_the_lake_that_is_damaged_stops_it_before_the_log(place: Path, lake: Path, look: Any) -> None:
    publish.publish(lake, place / "out")
    known = commit.newest(lake).paths
    again(place, look, "strategy.params.fast=1")
    before = {name: digest for name, digest in look.photograph(place / "out").items() if "_delta_log" in name}
    (part,) = [part for part in commit.newest(lake).tables["runs"].parts if part.path not in known]
    content = (lake / part.path).read_bytes()
    (lake / part.path).write_bytes(content[:-1])
    with pytest.raises(RunError, match=f"{part.path} is not what was written"):
        publish.publish(lake, place / "out")
    (lake / part.path).unlink()
    with pytest.raises(RunError, match=f"{part.path}: No such file"):
        publish.publish(lake, place / "out")
    (lake / part.path).symlink_to("/etc/hostname")
    with pytest.raises(RunError, match=f"{part.path} is not what was written"):
        publish.publish(lake, place / "out")
    (lake / part.path).unlink()
    shutil.move(lake / "runs", place / "elsewhere")
    (place / "elsewhere" / Path(part.path).name).write_bytes(content)
    (lake / "runs").symlink_to(place / "elsewhere")
    with pytest.raises(RunError, match=f"{part.path} is not what was written"):
        publish.publish(lake, place / "out")
    after = {name: digest for name, digest in look.photograph(place / "out").items() if "_delta_log" in name}
    assert after == before


def test_a_disk_that_is_full_changes_no_table(place: Path, lake: Path, look: Any, published: Any) -> None:
    publish.publish(lake, place / "out")
    again(place, look, "strategy.params.fast=1")
    before = look.photograph(place / "out")
    program = (
        "import resource, signal, sys\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "from peak_trade.data.lake import publish\nfrom peak_trade.errors import RunError\n"
        "try:\n    publish.publish(*sys.argv[1:])\nexcept RunError as error:\n    sys.exit(str(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(lake), str(place / "out")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1 and "file too large" in done.stderr.lower(), done.stderr
    assert "Traceback" not in done.stderr
    after = look.photograph(place / "out")
    assert {name: after[name] for name in before} == before and not [name for name in after if "tmp" in name]
    assert not [name for name in after.keys() - before.keys() if "_delta_log" in name]
    publish.publish(lake, place / "out")
    assert same(look, published, lake, place / "out")


@pytest.mark.parametrize(
    ("uri", "what"),
    [
        ("", "an empty address is none"),
        ("http://host/path", "is no address that a lake can be published to"),
        ("s3://", "is no address that a lake can be published to"),
        ("s3://key:secret@bucket/path", "an address has no credentials and no query in it"),
        ("az://container/path?sig=secret", "an address has no credentials and no query in it"),
        ("file://host/path", "is no address that a lake can be published to"),
    ],
)
def test_what_is_no_address_is_refused(lake: Path, uri: str, what: str) -> None:
    with pytest.raises(InputError) as raised:
        publish.publish(lake, uri)
    assert what in str(raised.value) and "secret" not in f"{raised.value} {raised.value.hint}"


def test_a_place_within_the_lake_is_refused(place: Path, lake: Path) -> None:
    (place / "link").symlink_to(lake)
    for uri in (lake, lake / "out", place / "link" / "out", f"file://{lake}/out"):
        with pytest.raises(InputError, match="is within the lake itself"):
            publish.publish(lake, uri)


def test_an_address_with_file_is_the_folder(place: Path, lake: Path, look: Any, published: Any) -> None:
    publish.publish(lake, f"file://{place}/a%20folder")
    assert same(look, published, lake, place / "a folder")
    assert not publish.publish(lake, place / "a folder").changed


def test_a_folder_that_cannot_be_written_is_a_sentence(place: Path, lake: Path, script: Any) -> None:
    (place / "file").write_text("")
    for uri, code in ((place / "file", 2), (place / "file" / "out", 1), ("/proc/out", 1)):
        done = script("publish_lake", uri, "--lake-dir", lake)
        assert done.returncode == code, done.stderr
        assert done.stderr.startswith(b"error: ") and done.stderr.count(b"\n") == 2 and not done.stdout


def test_without_a_lake_it_says_so(place: Path, script: Any) -> None:
    done = script("publish_lake", place / "out", "--lake-dir", place / "none")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"there is no lake in" in done.stderr and b"hint: just lake-build makes one" in done.stderr
    assert not (place / "out").exists()


def test_without_the_extra_it_names_the_command_that_adds_it(core_python: Path, lake: Path, place: Path) -> None:
    script = Path(__file__).resolve().parents[2] / "scripts" / "publish_lake.py"
    done = subprocess.run(
        [core_python, script, str(place / "out"), "--lake-dir", str(lake)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: publishing the lake needs deltalake and pyarrow\nhint: just setup share\n"


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_tells_what_it_did(place: Path, lake: Path, script: Any) -> None:
    done = script("publish_lake", place / "out", "--lake-dir", lake, "--json", "--format", "delta")
    told = json.loads(done.stdout)
    assert done.returncode == 0 and told["tables"]["runs"] == {
        "version": 0,
        "rows": 4,
        "added": 1,
        "removed": 0,
        "bytes": commit.newest(lake).tables["runs"].parts[0].bytes,
        "changed": True,
    }
    assert told["commit"] == commit.newest(lake).number
    assert done.stderr.startswith(f"commit {told['commit']} is at ".encode()) and b" files came (" in done.stderr


def test_a_format_that_is_none_of_ours_is_refused(place: Path, lake: Path, script: Any) -> None:
    done = script("publish_lake", place / "out", "--lake-dir", lake, "--format", "iceberg")
    assert done.returncode == 2 and b"iceberg" in done.stderr and not (place / "out").exists()


def test_the_lakes_question_is_answered_the_same_beside_it(place: Path, lake: Path) -> None:
    publish.publish(lake, place / "out")
    with query.connect(lake) as connection:
        (row,) = connection.execute("SELECT count(*), sum(close) FROM ohlcv").fetchall()
    assert row == (20, float(sum(CLOSES)))
