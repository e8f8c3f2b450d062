"""Asking: only what reads, only the lake, in every format, and in words that help."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from peak_trade.data import lake as package
from peak_trade.data.lake import ask, build, chances, commit, compact, ingest, prompt, query
from peak_trade.data.lake.table import figure
from peak_trade.data.lake.views import QUESTIONS
from peak_trade.errors import InputError, PeakError, RunError
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import new_run_id
from peak_trade.trust.handed import Handed
from peak_trade.trust.luck import assess

Script = Callable[..., subprocess.CompletedProcess[bytes]]
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
SECRET = "the-secret-of-the-file"


@pytest.fixture(scope="module")
def place(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the template, shared by the tests here: asking changes nothing."""
    folder = tmp_path_factory.mktemp("asked") / "place"
    shutil.copytree(template, folder)
    return folder


@pytest.fixture(scope="module")
def lake(place: Path) -> Path:
    """The lake of its runs, which nobody may change."""
    build.build(Results(place / "results"), place / "lake", root=place)
    return place / "lake"


@pytest.fixture
def own(place: Path, lake: Path, tmp_path: Path) -> Path:
    """A copy of all that, to change."""
    shutil.copytree(place, tmp_path / "own", symlinks=True)
    return tmp_path / "own"


@pytest.fixture(scope="module")
def secret(place: Path, lake: Path) -> Path:
    """A file outside the lake, and a link to it inside."""
    (place / "secret.txt").write_text(SECRET)
    (place / "secret.csv").write_text(f"word\n{SECRET}\n")
    (lake / "link.txt").symlink_to(place / "secret.txt")
    (lake / "runs" / "link.parquet").symlink_to(place / "secret.txt")
    return place / "secret.txt"


# {secret} is a file outside the lake, {lake} the lake, {part} one of its files, {out} a file that does not exist
ATTACKS = [
    "COPY runs TO '{out}'",
    "COPY (SELECT 1) TO '{out}' (FORMAT parquet)",
    "COPY (SELECT 1) TO '{part}' (USE_TMP_FILE false)",
    "COPY runs FROM '{secret}'",
    "EXPORT DATABASE '{out}'",
    "IMPORT DATABASE '{lake}'",
    "PRAGMA import_database('{lake}')",
    "ATTACH '{out}' AS other",
    "ATTACH ':memory:' AS other",
    "DETACH memory",
    "INSTALL httpfs",
    "LOAD httpfs",
    "FORCE INSTALL httpfs FROM 'http://127.0.0.1:9/'",
    "PRAGMA database_list",
    "PRAGMA enable_profiling = 'json'",
    "SET enable_external_access = true",
    "SET allowed_directories = ['/']",
    "SET threads = 1",
    "RESET lock_configuration",
    "USE memory",
    "CALL enable_logging(storage = 'file', storage_config = {{'path': '{out}'}})",
    "SELECT * FROM enable_logging(storage = 'file', storage_config = {{'path': '{out}'}})",
    "SELECT * FROM enable_profiling(save_location = '{out}')",
    "SELECT write_log('x')",
    "CHECKPOINT",
    "VACUUM",
    "BEGIN TRANSACTION",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_text('{secret}')",
    "SELECT * FROM read_text('{lake}/link.txt')",
    "SELECT * FROM read_text('{lake}/../secret.txt')",
    "SELECT * FROM read_blob('{secret}')",
    "SELECT * FROM read_csv('{secret}')",
    "SELECT * FROM read_json('{secret}')",
    "SELECT * FROM read_parquet('{lake}/runs/link.parquet')",
    "SELECT * FROM read_parquet('{part}')",
    "SELECT * FROM parquet_metadata('{part}')",
    "SELECT * FROM read_duckdb('{secret}')",
    "SELECT * FROM sniff_csv('{secret}')",
    "SELECT * FROM glob('{lake}/**')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM '{secret}.csv'",
    "FROM '/etc/passwd'",
    'FROM "{lake}/../secret.csv"',
    "SELECT (SELECT content FROM read_text('{secret}'))",
    "SELECT * FROM runs WHERE run_id IN (SELECT content FROM read_text('{secret}'))",
    "WITH x AS (SELECT * FROM read_text('{secret}')) SELECT * FROM x",
    "WITH x AS (COPY (SELECT 1) TO '{out}') SELECT 1",
    "WITH x AS (INSERT INTO runs SELECT * FROM runs RETURNING *) SELECT * FROM x",
    "WITH x AS (DELETE FROM runs RETURNING *) SELECT * FROM x",
    "WITH x AS (UPDATE runs SET sharpe = 9 RETURNING *) SELECT * FROM x",
    "WITH \"{secret}.csv\" AS (SELECT 1) SELECT * FROM (SELECT * FROM read_csv('{secret}'))",
    "SELECT * FROM runs; COPY runs TO '{out}'",
    "SELECT 1; SELECT 2",
    "SELECT 1) TO '{out}' --",
    "SELECT 1 /* ",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{out}'",
    "EXPLAIN SELECT 1",
    "SELECT getenv('PATH')",
    "SELECT current_setting('home_directory')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM query('COPY runs TO ''{out}''')",
    "SELECT * FROM query_table('{secret}')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "PRAGMA json_execute_serialized_sql('x')",
    "CREATE TABLE mine AS SELECT 1",
    "CREATE VIEW runs AS SELECT 1",
    "CREATE MACRO f() AS 1",
    "CREATE SECRET s (TYPE s3)",
    "DROP VIEW runs",
    "ALTER VIEW runs RENAME TO gone",
    "INSERT INTO runs SELECT * FROM runs",
    "UPDATE runs SET sharpe = 9",
    "DELETE FROM runs",
    "TRUNCATE runs",
    "PREPARE p AS COPY runs TO '{out}'",
    "EXECUTE p",
    "SELECT * FROM nowhere.secret.runs",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM pandas_scan(1, 1, 1)",
    "SELECT nextval('s')",
    "",
    "-- nothing",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_sql_that_would_write_or_leak_is_refused_and_changes_nothing(
    place: Path, lake: Path, secret: Path, look: Any, attack: str
) -> None:
    before = look.photograph(place)
    with query.connect(lake, questions=()) as connection:
        part = lake / connection.commit.tables["runs"].parts[0].path
        text = attack.format(secret=secret, lake=lake, part=part, out=place / "out")
        for way in (connection.sql, connection.execute, connection.table, connection.explain, connection.describe):
            with pytest.raises(PeakError) as raised:
                way(text)
            assert SECRET not in f"{raised.value.message} {raised.value.hint}"
    assert look.photograph(place) == before
    assert not (place / "out").exists()


@pytest.mark.parametrize(
    "attack", [attack for attack in ATTACKS if re.match("COPY|WITH|ATTACH|SELECT.*(read|glob)", attack)]
)
def test_duckdb_itself_would_refuse_what_our_check_let_through(
    place: Path, lake: Path, secret: Path, look: Any, attack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second wall alone: DuckDB reads no file but the lake's own, whatever the text is."""
    with query.connect(lake) as connection:
        monkeypatch.setattr(connection, "check", lambda text: text)
        out, part = place / "out", lake / connection.commit.tables["runs"].parts[0].path
        text = attack.format(secret=secret, lake=lake, part=part, out=out)
        if "'{part}'" in attack:
            return  # its own files DuckDB does read, and as root could write: that is what the first wall is for
        try:
            found = str(connection.execute(text).fetchall())
        except PeakError:
            found = ""
        assert SECRET not in found and not out.exists()


def test_control_without_the_walls_the_attacks_do_work(secret: Path, tmp_path: Path) -> None:
    import duckdb

    with duckdb.connect() as connection:
        assert connection.execute(f"SELECT content FROM read_text('{secret}')").fetchall() == [(SECRET,)]
        connection.execute(f"WITH x AS (COPY (SELECT 1) TO '{tmp_path / 'out'}') SELECT 1")
    assert (tmp_path / "out").exists()


def test_a_variable_of_the_program_is_not_a_table(lake: Path) -> None:
    pandas = pytest.importorskip("pandas")
    secrets = pandas.DataFrame({"word": [SECRET]})
    assert len(secrets) == 1
    with query.connect(lake) as connection, pytest.raises(InputError, match="no table secrets"):
        connection.sql("SELECT * FROM secrets")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM runs",
        "select 1;",
        "FROM runs LIMIT 1",
        "TABLE runs",
        "VALUES (1)",
        "SHOW TABLES",
        "DESCRIBE runs",
        "SUMMARIZE runs",
        "WITH a AS (SELECT 1 AS x), b AS (SELECT * FROM a) SELECT * FROM b JOIN a USING (x)",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT * FROM t",
        "SELECT * FROM range(3) UNION ALL SELECT 7",
        "SELECT * FROM (SELECT * FROM runs) AS r, LATERAL (SELECT r.run_id) AS s",
        "SELECT unnest([1, 2])",
        "PIVOT params ON key IN ('fast') USING first(value) GROUP BY run_id",
        "SELECT * FROM information_schema.tables",
        "SELECT '; DROP VIEW runs; --' AS word -- a comment; with a semicolon",
        "SELECT /* ; */ 1",
        "SELECT * FROM memory.main.runs",
        "SELECT random() < 2, now() IS NOT NULL",
        "SELECT date_trunc('day', timestamp) AS day, last(close ORDER BY timestamp) FROM ohlcv GROUP BY day",
    ],
)
def test_sql_that_reads_is_answered(lake: Path, sql: str, tmp_path: Path) -> None:
    with query.connect(lake, writable=[str(tmp_path / "x.csv")]) as connection:
        shown, _ = connection.table(sql)
        assert len(shown.splitlines()) > 1
        connection.write(sql, str(tmp_path / "x.csv"), "csv")
        assert (tmp_path / "x.csv").stat().st_size


def test_what_is_wider_than_the_terminal_is_shown_row_by_row(lake: Path) -> None:
    sql = "SELECT * FROM (VALUES (1, 'one'), (20, 'two')) AS t(number, word)"
    with query.connect(lake) as connection:
        assert connection.table(sql, width=12)[0] == "number  word\n     1  one\n    20  two"
        assert connection.table(sql, width=11)[0] == "number  1\nword    one\n\nnumber  20\nword    two"


def test_the_runbooks_questions_return_rows(lake: Path, look: Any) -> None:
    assert look.rows(lake, "SELECT count(*) FROM ohlcv WHERE symbol='TEST'") == [(20,)]
    assert len(look.rows(lake, "SELECT run_id, sharpe FROM runs ORDER BY sharpe DESC LIMIT 10")) == 4
    spans = "SELECT symbol, min(timestamp)::VARCHAR, max(timestamp)::VARCHAR, count(*) FROM ohlcv GROUP BY symbol"
    assert look.rows(lake, spans) == [("TEST", "2024-01-01 00:00:00+00", "2024-01-20 00:00:00+00", 20)]


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_saved_question_is_answered(lake: Path, name: str) -> None:
    arguments = {
        "best_trials": [""],
        "trial_sensitivity": [""],
        "runs_of_commit": [""],
        "equity_side_by_side": ["a,b,0,1"],
        "trades_around": ["2024-01-10", "3"],
    }
    with query.connect(lake) as connection:
        connection.table(ask.saved([name, *arguments.get(name, [])]))


def test_luck_in_sql_is_luck_by_the_ledger(template: Path, tmp_path: Path, look: Any) -> None:
    place = tmp_path / "place"
    shutil.copytree(template, place)
    results = Results(place / "results")
    known = next(iter(results.reading().runs.values())).fields
    told = {"count": 3, "mean": 0.5, "variance": 4.0}
    for count, digest in ((5, "a"), (7, "a"), (2, "b")):
        results.ledger.append(
            "trials", new_run_id(), symbol=known["symbol"], timeframe=known["timeframe"], data=known["data"],
            kind="optuna", origin="s", digest=digest, count=count, failed=0, ratios=told if count > 2 else {"count": 0},
        )  # fmt: skip
    build.build(results, place / "lake", root=place)
    found = look.rows(place / "lake", "SELECT run_id, trials, deflated_sharpe, hurdle FROM luck")
    assert len(found) == 3
    for run_id, count, deflated, hurdle in found:
        luck = assess.assess(Handed(results.path / run_id, results), thorough=False)
        assert luck.family is not None
        assert count == luck.family.trials == 4 + 9
        assert deflated == pytest.approx(luck.figures["deflated_sharpe"], rel=1e-8, abs=1e-12)
        assert hurdle == pytest.approx(luck.figures["hurdle"], rel=1e-8)


def test_trials_of_other_engines_count_in_sql_as_by_the_ledger(template: Path, tmp_path: Path, look: Any) -> None:
    place = tmp_path / "place"
    shutil.copytree(template, place)
    results = Results(place / "results")
    known = next(iter(results.reading().runs.values())).fields
    on = {key: known[key] for key in ("symbol", "timeframe", "data")}
    ratios = {"count": 3, "mean": 0.5, "variance": 4.0}
    bare = on | {"symbol": "", "data": known["unnamed"]}
    for count, where in ((300, on), (20, on), (12, bare), (70, bare | {"data": "e" * 64})):  # the last: other bars
        run_id = new_run_id()
        told = {"count": count, "failed": 1, "results": count - 1, "ratios": ratios}
        results.ledger.append("start", run_id, kind="recorded")
        results.ledger.append("sealed", run_id, manifest="0" * 64, trials=count, trials_on=[where | told], **where)
    build.build(results, place / "lake", root=place)
    found = look.rows(place / "lake", "SELECT run_id, trials, deflated_sharpe, hurdle FROM luck")
    assert len(found) == 3
    for run_id, count, deflated, hurdle in found:
        luck = assess.assess(Handed(results.path / run_id, results), thorough=False)
        assert luck.family is not None
        assert count == luck.family.trials == 4 + 332
        assert deflated == pytest.approx(luck.figures["deflated_sharpe"], rel=1e-8, abs=1e-12)
        assert hurdle == pytest.approx(luck.figures["hurdle"], rel=1e-8)


NO_TRIALS = [
    {"count": 1e300},
    {"count": -5},
    {"count": 2.5},
    {"count": 5, "failed": 6},
    {"count": 5, "failed": -1},
    {"count": 5, "ratios": {"count": 6, "mean": 1.0, "variance": 1.0}},
    {"count": 5, "ratios": {"count": 2, "mean": 1e300, "variance": 1.0}},
    {"count": 5, "ratios": {"count": 2, "mean": 1.0, "variance": -1.0}},
    {"count": 5, "ratios": {"count": 2, "mean": 1.0, "variance": "much"}},
    {"count": 5, "ratios": [1, 2]},
    {"count": 5, "kind": None},
]


def test_lines_that_no_trials_could_be_are_none_in_sql_either(template: Path, tmp_path: Path, look: Any) -> None:
    place = tmp_path / "place"
    shutil.copytree(template, place)
    results = Results(place / "results")
    known = next(iter(results.reading().runs.values())).fields
    told = {key: known[key] for key in ("symbol", "timeframe", "data")} | {"kind": "optuna", "origin": "s"}
    for number, odd in enumerate(NO_TRIALS):
        results.ledger.append("trials", new_run_id(), **(told | {"digest": str(number)} | odd))
    results.ledger.append("trials", new_run_id(), **told, digest="most", count=1 << 53)  # a control: that they could be
    results.ledger.append("trials", new_run_id(), **told, digest="few", count=3, ratios={"count": 2, "mean": 1.0})
    build.build(results, place / "lake", root=place)
    found = look.rows(place / "lake", "SELECT run_id, trials, deflated_sharpe, hurdle FROM luck")
    assert len(found) == 3
    for run_id, count, deflated, hurdle in found:
        luck = assess.assess(Handed(results.path / run_id, results), thorough=False)
        assert luck.family is not None
        assert count == luck.family.trials == 4 + 3 + (1 << 53)
        assert deflated == pytest.approx(luck.figures["deflated_sharpe"], rel=1e-7, abs=1e-12)
        assert hurdle == pytest.approx(luck.figures["hurdle"], rel=1e-8)


@pytest.mark.parametrize("z", [-8.0, -6.5, -3.1, -1.0, -1e-9, 0.0, 0.5, 1.645, 4.2, 6.9, 9.0])
def test_the_normal_distribution_in_sql_is_the_one_of_python(z: float, lake: Path, look: Any) -> None:
    p = statistics.NormalDist().cdf(z)
    ((found,),) = look.rows(lake, f"SELECT {chances.cdf(f'({z!r}::DOUBLE)')}")
    assert found == pytest.approx(p, rel=1e-12, abs=1e-11)
    if z >= 0:
        q = math.erfc(z / math.sqrt(2.0)) / 2.0
        ((back,),) = look.rows(lake, f"SELECT {chances.quantile(f'({q!r}::DOUBLE)')}")
        assert back == pytest.approx(z, rel=2e-9, abs=1e-8)


def test_best_runs_are_the_best(lake: Path, look: Any) -> None:
    [(best,)] = look.rows(lake, "SELECT max(sharpe) FROM runs")
    assert look.rows(lake, "SELECT sharpe FROM best_runs LIMIT 1") == [(best,)]


def test_runs_of_one_strategy_are_told_apart(own: Path, look: Any) -> None:
    for change in ("execution.fee_bps=5", "stops.stop_loss=0.5", "run.name=study", "tracking.timeout_s=9"):
        look.run(own / "config.toml", own / "results", "strategy.params.fast=3", change)
    build.build(Results(own / "results"), own / "lake", root=own)
    asked = "SELECT differs, name, count(*) FROM run_differences WHERE status = 'sealed' GROUP BY ALL ORDER BY ALL"
    assert look.rows(own / "lake", asked) == [
        ("fast=2, execution.fee_bps=1.0", None, 1),
        ("fast=3, execution.fee_bps=1.0", "study", 1),
        ("fast=3, execution.fee_bps=1.0", None, 2),
        ("fast=3, execution.fee_bps=1.0, stops.stop_loss=0.5", None, 1),
        ("fast=3, execution.fee_bps=5.0", None, 1),
        ("fast=4, execution.fee_bps=1.0", None, 1),
    ]
    failed = "SELECT differs, error LIKE '%no idea%' FROM run_differences WHERE status = 'failed'"
    assert look.rows(own / "lake", failed) == [(None, True)]
    assert look.rows(own / "lake", "SELECT DISTINCT left(differs, 5) FROM best_runs") == [("fast=",)]


def test_trades_around_a_date_are_those_open_on_it(lake: Path, look: Any) -> None:
    asked = "SELECT count(*) FROM trades_around('2024-01-10', days := 0)"
    same = "entry_time < TIMESTAMPTZ '2024-01-11 00:00Z' AND exit_time >= TIMESTAMPTZ '2024-01-10 00:00Z'"
    expected = look.rows(lake, f"SELECT count(*) FROM trades WHERE {same}")
    assert look.rows(lake, asked) == expected != [(0,)]


def test_equity_side_by_side_starts_at_one(lake: Path, look: Any) -> None:
    [(one,), (two,), _] = look.rows(lake, "SELECT run_id FROM runs WHERE status = 'sealed' ORDER BY run_id")
    asked = f"SELECT run, growth FROM equity_side_by_side('{one[:13]}, {two}') LIMIT 2"
    assert look.rows(lake, asked) == [(one[:8], 1.0), (two[:8], 1.0)]


def test_gaps_are_steps_longer_than_usual(own: Path, look: Any) -> None:
    ingest.ingest_bars(own / "gaps", look.bars([11, 12, 13], "2024-01-01T00:00"), source="x")
    ingest.ingest_bars(own / "gaps", look.bars([14, 15, 16], "2024-01-01T05:00"), source="x")
    found = look.rows(own / "gaps", "SELECT after::VARCHAR, step::VARCHAR FROM gaps")
    assert found == [("2024-01-01 02:00:00+00", "03:00:00")]


# --- words that help ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql, message, hint",
    [
        ("SELECT * FROM rnus", "there is no table rnus in the lake, which has .*runs", "did you mean `runs`?"),
        ("SELECT sharp FROM runs", "there is no column sharp; runs has run_id, .*sharpe", "did you mean `sharpe`?"),
        ("SELECT r.sharp FROM runs r", "there is no column sharp", "did you mean `sharpe`?"),
        ("SELECT * FROM trades_arond('x')", "the table function trades_arond", "did you mean `trades_around`?"),
        ("SELEC 1", "syntax error", ""),
        ("DELETE FROM runs", "DELETE is not allowed: only what reads is", "the lake is read with SELECT"),
    ],
)
def test_a_mistake_is_answered_with_what_there_is(lake: Path, sql: str, message: str, hint: str) -> None:
    with query.connect(lake) as connection, pytest.raises(InputError, match=message) as raised:
        connection.execute(sql)
    assert raised.value.hint == hint
    assert "\n" not in raised.value.message


def test_no_lake_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no lake in") as raised:
        query.connect(tmp_path / "none")
    assert "just lake-build" in raised.value.hint


def test_an_empty_lake_names_the_command_that_fills_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is empty") as raised:
        query.connect(tmp_path)
    assert "just lake-build" in raised.value.hint


def test_without_the_extra_the_command_that_adds_it_is_named(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "duckdb")
    with pytest.raises(InputError, match="the lake needs duckdb") as raised:
        query.connect(lake)
    assert raised.value.hint == "just setup lake"


def test_a_query_that_takes_too_long_is_stopped(lake: Path) -> None:
    endless = "SELECT count(*) FROM range(1000000000) a, range(1000000) b"
    with query.connect(lake) as connection, pytest.raises(RunError, match="no answer within 0.2 s"):
        with connection.within(0.2):
            connection.table(endless)


def test_a_query_that_starts_after_its_time_is_stopped_too(lake: Path) -> None:
    endless = "SELECT count(*) FROM range(1000000000) a, range(1000000) b"
    with query.connect(lake, questions=()) as connection:

        def late() -> None:
            with connection.within(0.05):
                time.sleep(0.2)  # DuckDB forgets an interrupt that meets no query
                connection.table(endless)

        with pytest.raises(RunError, match="no answer within"):
            late()


def test_an_interrupt_that_meets_the_parsing_is_a_sentence(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import duckdb

    def interrupted(*given: object) -> None:
        raise duckdb.InterruptException("INTERRUPT Error: Interrupted!")

    with query.connect(lake, questions=()) as connection:
        monkeypatch.setattr(query.reads, "tree_of", interrupted)
        with pytest.raises(RunError, match="the query was interrupted"):
            connection.check("SELECT 1")


def test_a_query_that_needs_too_much_memory_says_so(lake: Path) -> None:
    with query.connect(lake, memory_limit="50MB") as connection:
        with pytest.raises(RunError) as raised:
            connection.table("SELECT list(range) FROM range(100000000)")
    assert "--memory-limit" in raised.value.hint


def test_a_lake_whose_file_is_a_link_is_not_read(own: Path) -> None:
    lake = own / "lake"
    path = lake / commit.newest(lake).tables["runs"].parts[0].path
    path.rename(own / "elsewhere.parquet")
    path.symlink_to(own / "elsewhere.parquet")
    with pytest.raises(RunError, match="is a link"):
        query.connect(lake)


def test_a_lake_whose_folder_is_a_link_is_not_read(own: Path) -> None:
    lake = own / "lake"
    (lake / "runs").rename(own / "elsewhere")
    (lake / "runs").symlink_to(own / "elsewhere")
    with pytest.raises(RunError, match="leads out of the lake"):
        query.connect(lake)


# --- from Python --------------------------------------------------------------------------------------------------


def test_connect_gives_the_same_views_in_one_line(lake: Path) -> None:
    frame = package.connect(lake).sql("SELECT run_id, sharpe FROM best_runs").fetchall()
    assert len(frame) == 3


def test_a_connection_stays_with_its_commit(own: Path, look: Any) -> None:
    place, lake = own, own / "lake"
    with query.connect(lake) as connection:
        look.run(place / "config.toml", place / "results")
        build.build(Results(place / "results"), lake, root=place, grace_s=0)
        compact.compact(lake, grace_s=0)
        assert connection.execute("SELECT count(*) FROM runs").fetchall() == [(4,)]
    assert look.rows(lake, "SELECT count(*) FROM runs") == [(5,)]
    compact.compact(lake, grace_s=0)
    assert not look.strays(lake) - {"runs/link.parquet"} and len(commit.numbers(lake)) == 1


def test_a_connection_goes_with_the_variable_that_holds_it(lake: Path) -> None:
    connection = query.connect(lake)
    handle = connection._reader.handle
    del connection
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(handle)


# --- the command --------------------------------------------------------------------------------------------------

THREE = "SELECT range AS n, range / 2 AS half, 'a,\"b' AS word FROM range(3)"


def test_a_table_is_aligned_and_says_where_it_was_cut(script: Script, lake: Path) -> None:
    done = script("query_lake", "--lake-dir", lake, "--limit", 2, THREE)
    assert done.stdout.decode().splitlines() == ["n  half  word", '0   0.0  a,"b', '1   0.5  a,"b']
    assert "only the first 2 rows" in done.stderr.decode()


def test_a_table_rounds_its_figures_and_the_other_formats_are_exact(script: Script, lake: Path) -> None:
    sql = "SELECT 0.123456789::DOUBLE AS a, 1234567.891::DOUBLE AS b, 0.1::FLOAT AS c, 12::BIGINT AS d, 1.23456789 AS e"
    table, csv_text, json_text = (
        script("query_lake", "--lake-dir", lake, "--format", how, sql).stdout.decode()
        for how in ("table", "csv", "json")
    )
    assert table.splitlines()[1].split() == ["0.123457", "1234568", "0.1", "12", "1.23456789"]  # a DECIMAL is as asked
    assert csv_text.splitlines()[1].startswith("0.123456789,1234567.891,")
    assert [json.loads(json_text)[0][name] for name in "ab"] == [0.123456789, 1234567.891]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0.0"), (-0.5, "-0.5"), (0.35017638, "0.350176"), (100.0, "100.0"), (99999.96, "100000.0"),
        (4783.82999, "4783.83"), (999_999.7, "1000000"), (1e14, "100000000000000"), (1e15, "1e+15"), (2e-9, "2e-09"),
        (float("nan"), "nan"), (float("-inf"), "-inf"),
    ],
)  # fmt: skip
def test_a_figure_is_written_as_people_read_it(value: float, shown: str) -> None:
    assert figure(value) == shown


# --- a symbol that is not there -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM ohlcv WHERE symbol='BTCUSDT'",
        "SELECT * FROM ohlcv AS o WHERE o.symbol IN ('BTCUSDT')",
        "SELECT * FROM (SELECT * FROM ohlcv WHERE 'BTCUSDT' = \"symbol\") LIMIT 3",
    ],
)
@pytest.mark.parametrize("how", ["table", "csv"])
def test_a_symbol_that_is_not_there_is_told_with_those_that_are(how: str, sql: str, script: Script, lake: Path) -> None:
    done = script("query_lake", "--lake-dir", lake, "--format", how, sql)
    assert done.returncode == 0
    assert done.stderr.decode() == "ohlcv has no symbol BTCUSDT: it has TEST; `just p2` brings BTCUSDT\n"


def test_a_table_that_is_not_parted_by_symbol_tells_it_too(script: Script, lake: Path) -> None:
    done = script("query_lake", "--lake-dir", lake, "SELECT * FROM runs WHERE symbol = 'NONE'")
    assert done.stderr.decode() == "runs has no symbol NONE: it has TEST\n"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM ohlcv WHERE symbol = 'TEST' AND close < 0",  # no rows, for another reason
        "SELECT * FROM ohlcv WHERE source = 'NONE'",
        "SELECT 'BTCUSDT' AS symbol FROM ohlcv LIMIT 1",
        "SELECT 1 WHERE 'BTCUSDT' = 'x'",
    ],
)
def test_nothing_is_said_of_symbols_where_none_is_missed(sql: str, script: Script, lake: Path) -> None:
    assert script("query_lake", "--lake-dir", lake, sql).stderr == b""


# --- the prompt ---------------------------------------------------------------------------------------------------


def at_the_prompt(lake: Path, *lines: str) -> tuple[int, str]:
    """Type lines at the prompt, on a terminal; return its exit code and all that is seen there."""
    here, there = os.openpty()
    process = subprocess.Popen(
        [sys.executable, str(SCRIPTS / "query_lake.py"), "--lake-dir", str(lake)],
        stdin=there,
        stdout=there,
        stderr=there,
        start_new_session=True,
        env=os.environ | {"TERM": "dumb", "INPUTRC": "/dev/null", "COLUMNS": "200"},
    )
    os.close(there)
    seen = b""
    waiting = [line.encode() for line in lines]
    with suppress(OSError):  # what Linux says at the end of a terminal
        while block := os.read(here, 1 << 16):
            seen += block
            if waiting and seen.endswith((b"lake> ", b"  ... ")):
                os.write(here, waiting.pop(0) + b"\r")
    os.close(here)
    return process.wait(timeout=60), seen.decode().replace("\r", "")


@pytest.mark.parametrize("word", [".quit", ".exit", "quit", "exit;", "\\q", "\x04"])
def test_the_prompt_can_be_left(word: str, lake: Path) -> None:
    code, seen = at_the_prompt(lake, word)
    assert code == 0
    assert seen.count("lake> ") == 1


@pytest.mark.parametrize("word", [".help", "help", "?", ".help;"])
def test_the_prompt_tells_what_there_is(word: str, lake: Path) -> None:
    _, seen = at_the_prompt(lake, word, ".quit")
    assert [name for name in prompt.WORDS if f"\n{name}" not in seen] == []


def test_the_prompt_names_tables_and_saved_questions(lake: Path) -> None:
    _, seen = at_the_prompt(lake, ".tables", ".quit")
    assert {"runs", "ohlcv", "trades", "best_runs", "gaps"} <= set(seen.splitlines())


def test_an_unknown_word_with_a_dot_is_one_sentence_and_opens_no_statement(lake: Path) -> None:
    _, seen = at_the_prompt(lake, ".tabels runs", "SELECT 40 + 2 AS answer;", ".quit")
    assert "error: there is no .tabels here\nhint: did you mean `.tables`?\nlake> " in seen
    assert "answer\n    42\n" in seen
    assert "  ... " not in seen


def test_a_statement_goes_on_until_its_semicolon_and_a_known_word_still_leaves(lake: Path) -> None:
    code, seen = at_the_prompt(lake, "SELECT 40", "+ 2 AS answer;", "SELECT", ".quit")
    assert code == 0
    assert "answer\n    42\n" in seen
    assert seen.count("  ... ") == 2


def test_the_prompt_notes_what_the_command_does(lake: Path) -> None:
    _, seen = at_the_prompt(lake, "FROM ohlcv WHERE symbol = 'NONE';", ".quit")
    assert "ohlcv has no symbol NONE: it has TEST" in seen


def test_tab_completes_at_the_prompt(lake: Path) -> None:
    pytest.importorskip("readline")
    _, seen = at_the_prompt(lake, "SELECT coun\t(*) AS answer FROM runs WHERE final_eq\t > 0;", ".qu\t")
    assert "answer\n     3\n" in seen


@pytest.mark.parametrize(
    ("text", "offered"),
    [("SEL", ["SELECT"]), ("sel", ["select"]), (".ex", [".exit"]), ("o.high", ["o.high"]),
     ("ohlcv_r", ["ohlcv_revisions"]), ("best_r", ["best_runs"]), ("zzz", []), ("o.zzz", [])],
)  # fmt: skip
def test_what_can_be_completed(text: str, offered: list[str], lake: Path) -> None:
    tables = {name: list(live.columns) for name, live in commit.newest(lake).tables.items()}
    assert prompt.offers(text, tables) == offered


def test_csv_is_what_a_csv_reader_reads(script: Script, lake: Path) -> None:
    done = script("query_lake", "--lake-dir", lake, "--format", "csv", "--sql", THREE)
    assert list(csv.reader(io.StringIO(done.stdout.decode()))) == [
        ["n", "half", "word"], ["0", "0.0", 'a,"b'], ["1", "0.5", 'a,"b'], ["2", "1.0", 'a,"b'],
    ]  # fmt: skip


def test_json_is_valid_even_of_what_is_no_number(script: Script, lake: Path) -> None:
    sql = "SELECT 'nan'::DOUBLE AS a, 'inf'::DOUBLE AS b, 1.5 AS c, NULL AS d"
    done = script("query_lake", "--lake-dir", lake, "--format", "json", sql)
    found = json.loads(done.stdout, parse_constant=lambda word: pytest.fail(word))
    assert found == [{"a": None, "b": None, "c": 1.5, "d": None}]


def test_jsonl_is_a_line_a_row(script: Script, lake: Path) -> None:
    done = script("query_lake", "--lake-dir", lake, "--format", "jsonl", "--limit", 2, THREE)
    assert [json.loads(line)["n"] for line in done.stdout.splitlines()] == [0, 1]


def test_no_rows_are_an_empty_answer_and_no_error(script: Script, lake: Path) -> None:
    answers = {how: script("query_lake", "--lake-dir", lake, "--format", how, "SELECT 1 AS a WHERE false") for how in
               ("table", "csv", "json", "jsonl")}  # fmt: skip
    assert {how: done.stdout.strip() for how, done in answers.items()} == {
        "table": b"a", "csv": b"a", "json": b"[\n\t\n]", "jsonl": b"",
    }  # fmt: skip
    assert {done.returncode for done in answers.values()} == {0}


def test_parquet_holds_the_answer_with_its_types(script: Script, lake: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    script("query_lake", "--lake-dir", lake, "--output", tmp_path / "x.parquet", "SELECT timestamp, close FROM ohlcv")
    table = pq.read_table(tmp_path / "x.parquet")
    assert table.num_rows == 20 and str(table.schema.field("timestamp").type) == "timestamp[us, tz=UTC]"


def test_an_order_is_kept_in_every_format(script: Script, lake: Path) -> None:
    sql = "SELECT range AS n FROM range(300000) ORDER BY hash(range)"
    ways = [script("query_lake", "--lake-dir", lake, "--format", how, sql).stdout for how in ("csv", "jsonl")]
    numbers = [int(line) for line in ways[0].split()[1:]]
    assert numbers == [json.loads(line)["n"] for line in ways[1].splitlines()] != sorted(numbers)
    table = script("query_lake", "--lake-dir", lake, "--limit", 100, sql).stdout
    assert [int(line) for line in table.split()[1:]] == numbers[:100]


def test_an_answer_replaces_a_file_only_when_it_is_whole(script: Script, lake: Path, tmp_path: Path) -> None:
    target = tmp_path / "answer.csv"
    target.write_text("old")
    done = script("query_lake", "--lake-dir", lake, "--output", target, "SELECT error('no') FROM range(3)")
    assert done.returncode == 2
    assert target.read_text() == "old" and os.listdir(tmp_path) == ["answer.csv"]


def test_an_answer_is_not_written_into_the_lake(script: Script, lake: Path) -> None:
    done = script("query_lake", "--lake-dir", lake, "--output", lake / "runs" / "x.parquet", "SELECT 1")
    assert (done.returncode, b"into the lake" in done.stderr) == (2, True)


def test_stdout_that_is_appended_to_is_not_cut_off(lake: Path, tmp_path: Path) -> None:
    root, target = Path(__file__).resolve().parents[2], tmp_path / "answers.csv"
    target.write_text("before\n")
    command = f"{sys.executable} scripts/query_lake.py --lake-dir {lake} --format csv 'SELECT 1 AS a' >> {target}"
    subprocess.run(["bash", "-c", command], cwd=root, check=True, timeout=60)
    assert target.read_text() == "before\na\n1\n"


@pytest.mark.parametrize("words", [["--file", "-"], []], ids=["--file -", "nothing"])
def test_sql_comes_from_standard_input(script: Script, lake: Path, words: list[str]) -> None:
    done = script("query_lake", "--lake-dir", lake, *words, stdin=b"SELECT 42 AS x\n;\n")
    assert done.stdout.split() == [b"x", b"42"]


def test_sql_comes_from_a_file(script: Script, lake: Path, tmp_path: Path) -> None:
    (tmp_path / "q.sql").write_text("-- what for\nSELECT 42 AS x;")
    assert script("query_lake", "--lake-dir", lake, "--file", tmp_path / "q.sql").stdout.split() == [b"x", b"42"]


def test_a_plan_is_shown_and_not_carried_out(script: Script, lake: Path) -> None:
    done = script("query_lake", "--lake-dir", lake, "--explain", "SELECT error('no') FROM ohlcv")
    assert done.returncode == 0 and b"READ_PARQUET" in done.stdout.upper()


def test_the_list_tells_tables_columns_rows_and_partitions(script: Script, lake: Path) -> None:
    lines = script("query_lake", "--lake-dir", lake, "--list").stdout.decode().splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("ohlcv: 20 rows, 1 file,"))
    assert lines[at + 1].startswith("    columns: symbol, timeframe, timestamp, open,")
    assert lines[at + 2] == "    partitions: symbol=TEST/timeframe=1d/year=2024"


def test_the_files_of_a_table_are_named_for_other_engines(script: Script, lake: Path) -> None:
    import pyarrow.parquet as pq

    named = script("query_lake", "--lake-dir", lake, "--files", "equity").stdout.decode().split()
    assert sum(pq.read_metadata(name).num_rows for name in named) == 60


def test_a_reader_that_goes_away_is_no_error(lake: Path) -> None:
    command = f"{sys.executable} scripts/query_lake.py --lake-dir {lake} --format csv 'FROM range(30000000)' | head -1"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=root, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"range\n", b"")


def processor_time(pid: int) -> float:
    """Return the seconds that a process and its children have computed; untold, two seconds later."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        fields = [Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split() for one in [pid, *children]]
        return sum(int(field[11]) + int(field[12]) for field in fields) / os.sysconf("SC_CLK_TCK")
    except FileNotFoundError:
        time.sleep(2)
        return 2.0


def test_control_c_stops_a_query_cleanly(lake: Path) -> None:
    import signal

    root = Path(__file__).resolve().parents[2]
    sql = "SELECT count(*) FROM range(1000000000) a, range(1000000) b"
    words = [sys.executable, "scripts/query_lake.py", "--lake-dir", str(lake), sql]
    with subprocess.Popen(words, cwd=root, stderr=subprocess.PIPE, env=os.environ | {"NO_COLOR": "1"}) as process:
        while process.poll() is None and processor_time(process.pid) < 2:  # far more than it takes to get to the query
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        try:
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, said) == (1, b"error: interrupted\n")


def test_a_question_imports_neither_numpy_nor_pyarrow(lake: Path) -> None:
    program = (
        "import sys; from peak_trade.data.lake import ask, child; from pathlib import Path;"
        f"asking = ask.Asking(Path({str(lake)!r}));"
        "asking._answered('SELECT count(*) FROM runs', None, None, child.scratch(), 1);"  # as the child does
        "assert 'duckdb' in sys.modules;"
        "print([name for name in ('numpy', 'pyarrow', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from Linux's /proc")
def test_ten_million_rows_are_written_without_holding_them(lake: Path, tmp_path: Path) -> None:
    program = (
        "import re, sys; from peak_trade.data.lake import ask; from pathlib import Path;"
        f"asking = ask.Asking(Path({str(lake)!r}), 'csv');"
        "asking.answer('SELECT range, range::VARCHAR AS word FROM range(10000000)');"
        # their own peaks; getrusage would begin with that of the process that started them
        "told = [Path(f'/proc/{pid}/status').read_text() for pid in ('self', asking._child._pid)];"
        "print(sum(int(re.search(r'VmHWM:\\s+(\\d+)', text)[1]) for text in told) / 1e3, file=sys.stderr)"
    )
    with (tmp_path / "rows.csv").open("wb") as stream:
        done = subprocess.run([sys.executable, "-c", program], stdout=stream, stderr=subprocess.PIPE, check=True)
    assert (tmp_path / "rows.csv").stat().st_size == len("range,word\n") + 2 * sum(
        9 * 10**digits * (digits + 2) for digits in range(7)
    ) + 2 * 2
    assert float(done.stderr) < 400  # MB; the answer is 160 MB as text, and 400 MB as rows of Python


HOSTILE = "a\x1b]0;owned\x07\x7f\x9b\u202e\u2066b"


def on_terminal(lake: Path, how: str, *, exactly: bool = False) -> str:
    """What a terminal is sent as the answer; `exactly`: as it would be without what stands between."""
    here, there = os.openpty()
    text = f"SELECT '{HOSTILE}' AS \"c{HOSTILE}\" FROM runs LIMIT 1"
    words = [str(SCRIPTS / "query_lake.py"), "--lake-dir", str(lake), "--format", how, text]
    program = "import runpy, sys\nfrom peak_trade.data.lake import ask\n"
    if exactly:
        program += "ask.Asking._to_terminal = lambda self: ask._to_stdout\nask.show = lambda text, **how: print(text)\n"
    program += f"sys.argv = {words!r}\nrunpy.run_path(sys.argv[0], run_name='__main__')"
    process = subprocess.Popen([sys.executable, "-c", program], stdin=there, stdout=there, stderr=there)
    os.close(there)
    seen = b""
    with suppress(OSError):  # as above
        while block := os.read(here, 1 << 16):
            seen += block
    os.close(here)
    assert process.wait(timeout=60) == 0, seen
    return seen.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("how", ["csv", "json", "jsonl", "table"])
def test_an_answer_on_a_terminal_does_not_act_on_it(how: str, lake: Path) -> None:
    acts = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u2066]")
    answered = on_terminal(lake, how)
    assert "owned" in answered
    assert acts.findall(answered) == []
    assert acts.findall(on_terminal(lake, how, exactly=True)) != []
    if how == "json":
        assert json.loads(answered) == [{f"c{HOSTILE}": HOSTILE}]
