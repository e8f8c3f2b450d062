"""The trials of sweeps and of recorded commands in the lake: a row each, what was kept, and how much of it is luck."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import Evidence
from tests.record.portfolio import recorded, result
from tests.trust.sweeping import rows_of, sweep_of, sweep_of_csv

from peak_trade.data import lake
from peak_trade.data.lake.build import build
from peak_trade.data.lake.check import check
from peak_trade.data.lake.trials import trials_of
from peak_trade.evidence import manifest
from peak_trade.evidence.results import Results
from peak_trade.trust.handed import Handed
from peak_trade.trust.luck import assess


@pytest.fixture(scope="module")
def swept_once(sealed_once: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """A sweep with two kept runs (Parquet), the same without (CSV), and a run of one of its trials by itself."""
    root = tmp_path_factory.mktemp("swept")
    shutil.copytree(sealed_once.root / "data", root / "data")
    made = Evidence(root, root / "results", {})
    sweep_of(made, "parent", keep=2)
    sweep_of_csv(made, "plain")
    made.run("alone", (root / "config" / "parent.toml").read_text("utf-8"), "strategy.params.slow=12")
    return made


@pytest.fixture
def swept(swept_once: Evidence, tmp_path: Path) -> Evidence:
    """A copy of them."""
    return swept_once.copy(tmp_path / "repository")


def made(evidence: Evidence, **options: Any) -> Path:
    folder = evidence.root / "lake"
    built = build(Results(evidence.results), folder, root=None, **options)
    assert (built.broken, built.skipped, built.unfit) == ([], [], [])
    assert [str(one) for one in check(folder, results=Results(evidence.results)).findings] == []
    return folder


def rows(folder: Path, sql: str, *values: Any) -> list[Any]:
    with lake.connect(folder) as connection:
        return connection.execute(sql, list(values)).fetchall()


def test_each_trial_is_a_row_with_what_it_came_to(swept: Evidence) -> None:
    folder = made(swept)
    table = rows_of(swept.path("plain") / "trials.csv")
    for name in ("parent", "plain"):
        asked = (
            "SELECT \"index\", chosen, params, settings, seed, status, coalesce(error, ''), duplicate_of, sharpe, "
            "trades, equity_digest, duration_s FROM trials WHERE run_id = ? ORDER BY 1"
        )
        found = rows(folder, asked, swept.runs[name])
        assert len(found) == len(table) == 8
        for row, told in zip(found, table, strict=True):
            done = told["status"] == "done"
            assert row[:8] == (
                int(told["index"]), told["chosen"] == "true", told["params"], told["settings"], 0, told["status"],
                told["error"], int(told["duplicate_of"]) if told["duplicate_of"] else None,
            )  # fmt: skip
            assert row[8] == (float(told["sharpe"]) if done else None)
            assert row[9] == (int(float(told["trades"])) if done else None)
            assert row[10] == (told["equity_digest"] or None)
            assert row[11] > 0


def test_kept_runs_are_named_by_their_trials_and_name_their_parent(swept: Evidence) -> None:
    folder = made(swept)
    kept = {int(at): one for at, one in _kept(swept, "parent").items()}
    assert len(kept) == 2
    asked = 'SELECT "index", kept FROM trials WHERE kept IS NOT NULL'
    assert dict(rows(folder, asked)) == kept
    asked = "SELECT trial, run_id FROM runs WHERE parent = ?"
    assert dict(rows(folder, asked, swept.runs["parent"])) == kept
    same = """SELECT count(*) FROM trials t JOIN runs r ON r.run_id = t.kept
              WHERE r.equity_digest = t.equity_digest AND r.sharpe = t.sharpe"""
    assert rows(folder, same) == [(2,)]


def _kept(evidence: Evidence, name: str) -> dict[str, str]:
    found = evidence.manifest(name)["predicate"]["runDetails"]["metadata"]["kept"]
    assert isinstance(found, dict)
    return found


def test_a_parent_is_a_run_of_its_own_with_the_parameters_of_its_chosen_trial(swept: Evidence) -> None:
    folder = made(swept)
    asked = "SELECT kind, trials, parent, engine FROM runs WHERE run_id = ?"
    assert rows(folder, asked, swept.runs["parent"]) == [("swept", 8, None, None)]
    chosen = rows(folder, "SELECT params, settings FROM trials WHERE run_id = ? AND chosen", swept.runs["parent"])
    params = dict(rows(folder, "SELECT key, number FROM params WHERE run_id = ?", swept.runs["parent"]))
    assert f'"fast":{params["fast"]:.0f}' in chosen[0][0] and f'"slow":{params["slow"]:.0f}' in chosen[0][0]
    assert f'"stops.stop_loss":{params["stops.stop_loss"]}' in chosen[0][1]


def test_the_saved_questions_of_trials_are_answered(swept: Evidence) -> None:
    folder = made(swept)
    parent = swept.runs["parent"]
    asked = "SELECT trials, failed, duplicates, kept FROM sweeps WHERE run_id = ?"
    assert rows(folder, asked, parent) == [(8, 2, 3, 2)]
    best = rows(folder, f"SELECT \"index\", chosen, sharpe, times FROM best_trials('{parent[:8]}')")
    assert [row[2] for row in best] == sorted((row[2] for row in best), reverse=True)
    assert (len(best), best[0][1], [row[3] for row in best]) == (3, True, [2, 2, 2])
    moved = rows(folder, f"SELECT key, value, results, median_sharpe FROM trial_sensitivity('{parent}')")
    table = [row for row in rows_of(swept.path("plain") / "trials.csv")
             if row["status"] == "done" and not row["duplicate_of"]]  # fmt: skip
    of_three = [float(row["sharpe"]) for row in table if '"fast":3' in row["params"]]
    assert ("fast", "3", 2, pytest.approx(statistics.median(of_three))) in moved
    assert {row[0] for row in moved} == {"fast", "slow", "stops.stop_loss"}


def test_luck_in_sql_counts_trials_as_luck_by_the_ledger_does(swept: Evidence) -> None:
    results = Results(swept.results)
    folder = made(swept)
    found = rows(folder, "SELECT run_id, trials, deflated_sharpe, hurdle FROM luck")
    assert len(found) == 5
    for run_id, count, deflated, hurdle in found:
        luck = assess.assess(Handed(results.path / run_id, results), thorough=False)
        assert luck.family is not None
        assert count == luck.family.trials == 8 + 8 + 1
        assert deflated == pytest.approx(luck.figures["deflated_sharpe"], rel=1e-8, abs=1e-12)
        assert hurdle == pytest.approx(luck.figures["hurdle"], rel=1e-8)


def test_a_sweep_that_was_stopped_counts_in_sql_by_what_it_said_last(swept: Evidence) -> None:
    results = Results(swept.results)
    of = results.reading().of(swept.runs["parent"])
    told = of.fields | {"trials": 5}
    told["trials_on"] = [told["trials_on"][0] | {"count": 5, "failed": 0, "results": 3}]
    run_id = "11111111-2222-4333-8444-555555555555"
    results.ledger.append("start", run_id, kind="swept", **{key: told[key] for key in ("symbol", "timeframe")})
    for trials in (2, 5):
        batch = [told["trials_on"][0] | {"count": trials}]
        results.ledger.append("tried", run_id, kind="swept", trials=trials, trials_on=batch)
    folder = made(swept)
    luck = assess.assess(Handed(swept.path("alone"), results), thorough=False)
    assert luck.family is not None and luck.family.trials == 8 + 8 + 1 + 5
    assert rows(folder, "SELECT DISTINCT trials FROM luck") == [(22,)]


def test_building_step_by_step_or_anew_gives_the_same_trials(swept: Evidence) -> None:
    asked = 'SELECT * FROM trials ORDER BY run_id, "index"'
    first = rows(made(swept), asked)
    assert rows(made(swept, anew=True), asked) == first
    assert len(first) == 16


def removed(evidence: Evidence, name: str) -> None:
    results = Results(evidence.results)
    run_id = evidence.runs[name]
    results.ledger.append("removed", run_id, reason="old", manifest=results.reading().of(run_id).manifest)
    shutil.rmtree(evidence.path(name))


def test_the_trials_of_a_parent_that_was_removed_stay(swept: Evidence) -> None:
    folder = made(swept)
    before = rows(folder, "SELECT * FROM trials ORDER BY ALL")
    removed(swept, "parent")
    after = rows(made(swept), "SELECT * FROM trials ORDER BY ALL")
    assert after == before
    assert rows(folder, "SELECT status, trials FROM runs WHERE run_id = ?", swept.runs["parent"]) == [("removed", 8)]


def test_a_parent_of_which_only_the_ledger_tells_has_its_count(swept: Evidence) -> None:
    removed(swept, "parent")
    folder = made(swept)
    asked = "SELECT status, kind, trials FROM runs WHERE run_id = ?"
    assert rows(folder, asked, swept.runs["parent"]) == [("removed", "swept", 8)]
    assert rows(folder, "SELECT count(*) FROM trials WHERE run_id = ?", swept.runs["parent"]) == [(0,)]


def test_a_parent_whose_table_is_none_stays_out_and_is_named(swept: Evidence) -> None:
    swept.rewrite("plain", "trials.csv", b"index,chosen\n0,true\n")
    swept.forge("plain")
    built = build(Results(swept.results), swept.root / "lake", root=None)
    assert [run_id for run_id, _ in built.broken] == [swept.runs["plain"]]
    assert "trials.csv is no table of trials" in built.broken[0][1]


def test_sweeps_that_lack_a_row_in_the_lake_are_found_by_its_check(swept: Evidence) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    from peak_trade.data.lake import parts
    from peak_trade.data.lake.writer import writing

    folder = made(swept)
    with writing(folder) as writer:
        live = writer.commit.tables["trials"]
        table = parts.read_rows(folder, "trials", live.parts)
        fewer = table.filter(pc.not_equal(table["index"], pa.scalar(7)))
        written = parts.write_parts(writer, "trials", [({}, fewer)])
        tables = dict(writer.commit.tables)
        tables["trials"] = parts.replace("trials", live, [part.path for part in live.parts], written)
        writer.publish("test", tables, bars=writer.commit.bars)
    found = [str(one) for one in check(folder).findings]
    assert found == ["trials: 2 sweeps have another number of rows than `runs.trials` says"]


def test_a_hundred_thousand_trials_are_asked_in_a_tenth_of_a_second(swept: Evidence, tmp_path: Path) -> None:
    """The rows are those of a real parent, repeated with other numbers: what is measured is the question."""
    import pyarrow as pa

    from peak_trade.data.lake import parts
    from peak_trade.data.lake.writer import writing

    folder = made(swept)
    with writing(folder) as writer:
        live = writer.commit.tables["trials"]
        table = parts.read_rows(folder, "trials", live.parts).slice(0, 8)
        many = pa.concat_tables([table] * 12_500).combine_chunks()
        draws = np.random.default_rng(1)
        for name, values in (("index", np.arange(100_000)), ("sharpe", draws.normal(size=100_000))):
            at = many.schema.get_field_index(name)
            many = many.set_column(at, name, pa.array(values, many.schema.field(at).type))
        written = parts.write_parts(writer, "trials", [({}, many)])
        tables = dict(writer.commit.tables)
        tables["trials"] = parts.replace("trials", live, [part.path for part in live.parts], written)
        writer.publish("test", tables, bars=writer.commit.bars)
    asked = 'SELECT "index", params, sharpe FROM trials WHERE sharpe > 0 ORDER BY sharpe DESC LIMIT 20'
    with lake.connect(folder) as connection:
        assert connection.execute("SELECT count(*) FROM trials").fetchall() == [(100_000,)]
        took = []
        for _ in range(5):
            began = time.perf_counter()
            assert len(connection.execute(asked).fetchall()) == 20
            took.append(time.perf_counter() - began)
    assert min(took) < 0.1, took


def test_a_recorded_command_has_its_trials_with_engine_and_label(tmp_path: Path) -> None:
    run = recorded(tmp_path / "results", result())
    sealed = manifest.decode((run / "manifest.json").read_bytes())
    content = (
        b"index,chosen,engine,version,strategy,label,params,status,error,sharpe,equity_digest,trades_digest,duration_s\n"
        b'0,false,other,2,S,first,"{""n"":1}",done,,0.5,ab,cd,0.25\n'
        b"1,true,other,2,S,second,,failed,no idea,,,,\n"
    )
    table = trials_of(run, sealed, "trials.csv", content)
    columns = ["index", "chosen", "engine", "label", "params", "status", "error", "sharpe", "fold"]
    assert table.select(columns).to_pylist() == [
        {"index": 0, "chosen": False, "engine": "other 2", "label": "first", "params": '{"n":1}', "status": "done",
         "error": None, "sharpe": 0.5, "fold": None},
        {"index": 1, "chosen": True, "engine": "other 2", "label": "second", "params": None, "status": "failed",
         "error": "no idea", "sharpe": None, "fold": None},
    ]  # fmt: skip


def test_a_sweep_of_a_command_is_in_the_lake_with_its_trials(tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(
        "import datetime, math, sys\nimport peak_trade.record\nn = int(sys.argv[1])\n"
        "days = [datetime.date(2020, 1, 1) + datetime.timedelta(days=day) for day in range(60)]\n"
        "equity = [1000 + n * day + 10 * math.sin(day / n) for day in range(60)]\n"
        'peak_trade.record.equity(equity, index=days, symbol="X")\n',
        "utf-8",
    )
    root = Path(__file__).resolve().parents[2]
    words = ["--grid", "n=3,5", "--results-dir", str(tmp_path / "results"), "--", sys.executable, "mine.py", "{n}"]
    subprocess.run([sys.executable, str(root / "scripts" / "sweep.py"), *words], cwd=tmp_path, check=True)
    evidence = Evidence(tmp_path, tmp_path / "results", {})
    folder = made(evidence)
    asked = """SELECT t.index, t.params, t.sharpe IS NOT NULL FROM trials t JOIN runs r USING (run_id)
               WHERE r.kind = 'swept'"""
    found = rows(folder, asked)
    assert sorted(found) == [(0, '{"n":3}', True), (1, '{"n":5}', True)]
    assert rows(folder, "SELECT count(*) FROM runs WHERE parent IS NOT NULL AND kind = 'recorded'") == [(2,)]
