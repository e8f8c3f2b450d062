"""The lake holds what `results/` holds: every run once, whatever way it came in."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peak_trade.data.lake import build, check, commit, compact, parts, schema
from peak_trade.data.lake.writer import writing
from peak_trade.evidence import run_dir, tables
from peak_trade.evidence.ledger import Ledger
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import RunDir, recover
from peak_trade.ops import removal, retention

Script = Callable[..., subprocess.CompletedProcess[bytes]]


def sealed(place: Path) -> list[Path]:
    return [path for path in Results(place / "results").runs() if (path / "stats.json").exists()]


def test_a_run_has_every_statistic_that_its_stats_json_has(place: Path, lake: Path, look: Any) -> None:
    columns = [stat.key for stat in schema.STATS]
    for path in sealed(place):
        figures = json.loads((path / "stats.json").read_text())
        [row] = look.rows(lake, f"SELECT {', '.join(columns)} FROM runs WHERE run_id = '{path.name}'")
        assert dict(zip(columns, row, strict=True)) == {key: figures[key] for key in columns}
        long = look.rows(lake, f"SELECT key, value, reason FROM stats WHERE run_id = '{path.name}'")
        reasons = figures.pop("reasons")
        assert sorted(long) == sorted((key, value, reasons.get(key)) for key, value in figures.items())


def test_equity_is_bit_for_bit_that_of_equity_csv(place: Path, lake: Path, look: Any) -> None:
    for path in sealed(place):
        lines = list(csv.reader(io.StringIO((path / "equity.csv").read_text())))[1:]
        expected = [(line[0], *map(float, line[1:])) for line in lines]
        stamp = "strftime(timestamp, '%Y-%m-%dT%H:%M:%SZ')"
        asked = (
            f"SELECT {stamp}, equity, drawdown, position FROM equity WHERE run_id = '{path.name}' ORDER BY timestamp"
        )
        assert look.rows(lake, asked) == expected


def test_trades_are_those_of_the_runs_file(place: Path, lake: Path, look: Any) -> None:
    for path in sealed(place):
        columns = tables.trade_columns(tables.read_trades(path / "trades.parquet"))
        asked = ", ".join(
            f"strftime({name}, '%Y-%m-%dT%H:%M:%SZ')" if name.endswith("_time") else f'"{name}"' for name in columns
        )
        rows = look.rows(lake, f"SELECT {asked} FROM trades WHERE run_id = '{path.name}' ORDER BY trade_id")
        assert rows == list(zip(*columns.values(), strict=True)) != []


def test_trades_in_csv_are_the_same_rows(place: Path, look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: object) -> bytes:
        raise ImportError("no pyarrow")

    monkeypatch.setattr(tables, "trades_parquet", absent)
    run_id = look.run(place / "config.toml", place / "results")
    assert (place / "results" / run_id / "trades.csv").exists()
    build.build(Results(place / "results"), place / "lake", root=None)
    one = "SELECT * EXCLUDE (run_id, entry_time, exit_time) FROM trades WHERE run_id"
    [(twin,)] = look.rows(
        place / "lake", f"SELECT run_id FROM params WHERE key = 'fast' AND value = '2' AND run_id <> '{run_id}'"
    )
    assert look.rows(place / "lake", f"{one} = '{run_id}'") == look.rows(place / "lake", f"{one} = '{twin}'") != []


def test_a_run_says_where_it_comes_from(place: Path, lake: Path, look: Any) -> None:
    path = sealed(place)[0]
    made = run_dir.read_manifest(path)
    parts_of = {part["name"]: part for part in made.predicate.build_definition["resolvedDependencies"]}
    asked = 'status, strategy, symbol, timeframe, source, config_digest, data_digest, "commit", strategy_digest, error'
    assert look.rows(lake, f"SELECT {asked} FROM runs WHERE run_id = '{path.name}'") == [
        (
            "sealed", "sma_crossover", "TEST", "1d", "made up", made.files["config_snapshot.toml"],
            parts_of["bars"]["digest"]["sha256"], parts_of["git"]["annotations"].get("commit"),
            parts_of["strategy"]["digest"]["sha256"], None,
        )
    ]  # fmt: skip


def test_params_are_the_resolved_config(place: Path, lake: Path, look: Any) -> None:
    path = sealed(place)[0]
    config = json.loads((path / "config_snapshot.json").read_text())
    found = dict(look.rows(lake, f"SELECT key, value FROM params WHERE run_id = '{path.name}'"))
    assert {key: json.loads(found[key]) for key in ("fast", "slow", "short")} == config["strategy"]["params"]
    assert found["execution.fee_bps"] == "1.0" and found["data.symbol"] == "TEST"
    asked = f"SELECT number FROM params WHERE run_id = '{path.name}' AND key IN ('slow', 'short') ORDER BY key"
    assert look.rows(lake, asked) == [(None,), (5.0,)]


def test_a_run_that_failed_is_there_with_its_error(lake: Path, look: Any) -> None:
    [(strategy, error, sharpe)] = look.rows(lake, "SELECT strategy, error, sharpe FROM runs WHERE status = 'failed'")
    assert strategy == "broken.py:target" and "no idea" in error and sharpe is None


def test_the_ledger_is_there_line_by_line(place: Path, lake: Path, look: Any) -> None:
    entries = Ledger(place / "results").read().entries
    found = look.rows(lake, "SELECT line, event, run_id, sha256, fields FROM ledger ORDER BY line")
    assert [row[:4] for row in found] == [(e.line, e.event, e.run_id, e.sha256) for e in entries]
    assert [json.loads(row[4]) for row in found] == [e.fields for e in entries]


def test_receipts_say_what_the_evidence_cost(place: Path, lake: Path, look: Any) -> None:
    path = sealed(place)[0]
    [cost] = [r for r in run_dir.read_manifest(path).predicate.receipts if r["part"] == "evidence"]
    asked = f"SELECT outcome, ms, bytes FROM receipts WHERE run_id = '{path.name}' AND part = 'evidence'"
    assert look.rows(lake, asked) == [("done", cost["ms"], cost["bytes"])]


def test_the_bars_of_runs_come_in_once(lake: Path, look: Any) -> None:
    first = "SELECT open, high, low, close, volume, source, calendar, revision FROM ohlcv ORDER BY timestamp LIMIT 1"
    assert look.rows(lake, "SELECT count(*) FROM ohlcv") == [(20,)]
    assert look.rows(lake, first) == [(99.0, 102.0, 98.0, 100.0, 10.0, "made up", "24/7", 0)]


def test_building_again_changes_no_file(place: Path, lake: Path, look: Any) -> None:
    before = look.photograph(lake)
    done = build.build(Results(place / "results"), lake, root=place)
    assert (done.runs, done.lines) == ({}, 0)
    assert look.photograph(lake) == before


def test_building_step_by_step_or_anew_gives_the_same_rows(place: Path, lake: Path, look: Any) -> None:
    for fast in (1, 3):
        look.run(place / "config.toml", place / "results", f"strategy.params.fast={fast}")
        build.build(Results(place / "results"), lake, root=place)
    look.run(place / "broken.toml", place / "results")
    build.build(Results(place / "results"), lake, root=place)
    step_by_step = look.contents(lake)
    assert len(step_by_step["runs"]) == 7
    build.build(Results(place / "results"), place / "other", root=place)
    assert look.contents(place / "other") == step_by_step
    done = build.build(Results(place / "results"), lake, root=place, anew=True)
    assert done.anew and done.runs == {"sealed": 5, "failed": 2}
    assert look.contents(lake) == step_by_step
    assert look.rows(lake, "SELECT count(*) FROM ohlcv") == [(20,)]


def test_small_batches_give_the_same_rows(place: Path, lake: Path, look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "RUNS", 1)
    build.build(Results(place / "results"), place / "other", root=place)
    assert commit.newest(place / "other").number == 4
    assert look.contents(place / "other") == look.contents(lake)


def remove(place: Path, keep: int = 0) -> list[str]:
    """Remove all runs but the last ones, and return the run_ids of the removed."""
    return [
        item.run_id
        for item in removal.apply(Results(place / "results"), retention.Policy(keep=keep, days=0)).of("removed")
    ]


def rows_of(look: Any, lake: Path, run_ids: list[str]) -> dict[str, list[Any]]:
    """Return all that the lake has of runs, but their status and the lines of the ledger."""
    tables = ("runs", "params", "stats", "equity", "trades", "receipts", "spans", "logs", "telemetry")
    found = look.contents(lake, tables)
    found["runs"] = [
        tuple(cell for cell in row if cell not in ("sealed", "failed", "removed")) for row in found["runs"]
    ]
    return {name: [row for row in rows if not set(row).isdisjoint(run_ids)] for name, rows in found.items()}


@pytest.mark.parametrize("anew", [False, True], ids=["step by step", "anew"])
def test_a_run_that_is_removed_keeps_its_rows(place: Path, lake: Path, look: Any, anew: bool) -> None:
    look.run(place / "config.toml", place / "results")  # the one that stays, and is not in the lake yet
    bars = look.rows(lake, "SELECT count(*), sum(close) FROM ohlcv")
    run_ids = [path.name for path in Results(place / "results").runs()]
    before = rows_of(look, lake, run_ids)
    gone = remove(place, keep=1)
    assert len(gone) == 4 and len(before["equity"]) == 60 and before["spans"] and before["telemetry"]
    done = build.build(Results(place / "results"), lake, root=place, anew=anew)
    assert done.runs == {"removed": 4, "sealed": 1} and done.broken == done.skipped == []
    assert rows_of(look, lake, gone) == before
    assert dict(look.rows(lake, "SELECT status, count(*) FROM runs GROUP BY status")) == {"removed": 4, "sealed": 1}
    assert look.rows(lake, "SELECT count(*) FROM ledger WHERE event = 'start'") == [(5,)]
    assert look.rows(lake, "SELECT count(*), sum(close) FROM ohlcv") == bars
    assert check.check(lake).findings == []
    whole = look.contents(lake)
    assert build.build(Results(place / "results"), lake, root=place).runs == {}
    build.build(Results(place / "results"), lake, root=place, anew=True)
    assert look.contents(lake) == whole


def test_a_lake_of_other_columns_keeps_the_rows_of_removed_runs(place: Path, lake: Path, look: Any) -> None:
    before = rows_of(look, lake, remove(place))
    with writing(lake) as made:
        live = made.commit.tables["stats"]
        made.publish("test", made.commit.tables | {"stats": commit.Live({"other": "DOUBLE"}, [], live.parts)})
    assert build.build(Results(place / "results"), lake, root=place).anew
    assert rows_of(look, lake, list({row[0] for row in before["runs"]})) == before


def test_a_damaged_lake_can_be_built_anew_though_runs_were_removed(place: Path, lake: Path, look: Any) -> None:
    gone = remove(place, keep=1)
    [part] = commit.newest(lake).tables["equity"].parts
    (lake / part.path).write_bytes(b"")
    done = build.build(Results(place / "results"), lake, root=place, anew=True)
    assert done.skipped[0] == ("removed runs", f"their rows can't be kept: {part.path} is not what was written")
    assert done.runs["removed"] == len(gone) == 3
    assert check.check(lake).findings == []


def test_a_run_that_was_removed_before_it_came_in_has_the_row_that_the_ledger_gives(place: Path, look: Any) -> None:
    path = sealed(place)[0]
    figures = json.loads((path / "stats.json").read_text())
    remove(place)
    done = build.build(Results(place / "results"), place / "lake", root=place)
    assert done.runs == {"removed": 4}
    asked = "status, strategy, symbol, sharpe, trades, cagr, finished_at IS NULL"
    assert look.rows(place / "lake", f"SELECT {asked} FROM runs WHERE run_id = '{path.name}'") == [
        ("removed", "sma_crossover", "TEST", figures["sharpe"], figures["trades"], None, False)
    ]
    assert look.rows(place / "lake", "SELECT count(*) FROM equity") == [(0,)]
    assert check.check(place / "lake").findings == []


def test_a_run_that_is_removed_while_the_lake_is_built_is_neither_broken_nor_missing(
    place: Path, lake: Path, look: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = look.run(place / "config.toml", place / "results")
    read = build.read_run

    def remove_first(path: Path, seal: str | None) -> Any:
        remove(place)
        return read(path, seal)

    with monkeypatch.context() as patch:
        patch.setattr(build, "read_run", remove_first)
        done = build.build(Results(place / "results"), lake, root=place)
    assert (done.runs, done.broken) == ({}, [])
    assert look.rows(lake, f"SELECT status FROM runs WHERE run_id = '{run_id}'") == []

    assert build.build(Results(place / "results"), lake, root=place).runs == {"removed": 5}
    assert check.check(lake).findings == []


def test_a_run_whose_folder_is_missing_is_told_as_that_until_it_is_back(place: Path, lake: Path, look: Any) -> None:
    whole, path = look.contents(lake), sealed(place)[0]
    path.rename(place / "aside")
    build.build(Results(place / "results"), lake, root=place)
    assert look.rows(lake, f"SELECT status FROM runs WHERE run_id = '{path.name}'") == [("missing",)]
    (place / "aside").rename(path)
    build.build(Results(place / "results"), lake, root=place)
    assert look.contents(lake) == whole


@pytest.mark.parametrize(
    "name", ["stats.json", "equity.csv", "trades.parquet", "config_snapshot.json", "manifest.json"]
)
def test_a_run_that_is_not_what_was_sealed_stays_out(place: Path, look: Any, name: str) -> None:
    file = sealed(place)[0] / name
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content.replace(b"1", b"2", 1))
    done = build.build(Results(place / "results"), place / "lake", root=place)
    [(run_id, reason)] = done.broken
    assert run_id == file.parent.name and ("not what was sealed" in reason or "not the one in the ledger" in reason)
    assert look.rows(place / "lake", "SELECT count(*) FROM runs") == [(3,)]
    file.write_bytes(content)
    assert build.build(Results(place / "results"), place / "lake", root=place).runs == {"sealed": 1}
    assert len(look.rows(place / "lake", "SELECT DISTINCT run_id FROM equity")) == 3


def test_the_command_warns_of_a_run_that_stays_out_and_fails(place: Path, script: Script) -> None:
    file = sealed(place)[0] / "stats.json"
    file.chmod(0o644)
    file.write_bytes(b"{}")
    done = script("build_lake_from_results", "--results-dir", place / "results", "--lake-dir", place / "lake")
    assert done.returncode == 1
    assert f"warn: {file.parent.name} stays out: stats.json is not what was sealed" in done.stderr.decode()
    assert f"hint: just verify {file.parent.name[:8]}" in done.stderr.decode()


def test_bars_that_have_changed_since_stay_out_with_a_reason(place: Path, look: Any) -> None:
    look.write_bars(place / "bars.csv", [2 * close for close in range(100, 120)])
    done = build.build(Results(place / "results"), place / "lake", root=place)
    assert [reason for _, reason in done.skipped] == ["its bars stay out: bars.csv has changed since the run"]
    assert done.broken == [] and done.runs["sealed"] == 3
    assert look.rows(place / "lake", "SELECT count(*) FROM ohlcv") == [(0,)]


def test_many_small_builds_leave_few_files(tmp_path: Path) -> None:
    kinds = schema.arrow_schema("params")
    import pyarrow as pa

    with writing(tmp_path / "lake") as made:
        live = parts.live_of(made, "params")
        for n in range(300):
            rows = pa.table([[f"{n * 7919 % 300:036}"] * 20, ["k"] * 20, ["v"] * 20, [1.0] * 20], schema=kinds)
            live = parts.append(made, "params", live, [({}, rows)])
            assert len(live.parts) <= 10  # log2(300) = 8.2
        made.publish("test", {"params": live})
        together = parts.read_rows(tmp_path / "lake", "params", live.parts)
    assert live.rows == 6_000
    assert sorted(set(together["run_id"].to_pylist())) == [f"{n:036}" for n in range(300)]
    for part in live.parts:
        run_ids = parts.read_part(tmp_path / "lake", "params", part, ["run_id"])["run_id"].to_pylist()
        assert run_ids == sorted(run_ids) and (part.first, part.last) == (run_ids[0], run_ids[-1])


def lines_of(first: int, count: int) -> Any:
    import pyarrow as pa

    run_ids = [f"{number:036}" for number in range(first, first + count)]
    return pa.table([run_ids, ["k"] * count, ["v"] * count, [1.0] * count], schema=schema.arrow_schema("params"))


def test_full_files_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that new rows would make larger than a full one is not merged."""
    monkeypatch.setattr(parts, "FULL", 100)
    left: set[str] = set()
    with writing(tmp_path / "lake") as made:
        live = parts.live_of(made, "params")
        for number in range(40):
            live = parts.append(made, "params", live, [({}, lines_of(17 * number, 17))])
            paths = {part.path for part in live.parts}
            assert left <= paths, "a file that could take no more was written again"
            left |= {part.path for part in live.parts if part.rows > 100 // 2}
            assert max(part.rows for part in live.parts) <= 100
        assert len(left) > 3 and live.rows == 40 * 17, "files do get full"


def test_a_compaction_makes_no_file_larger_than_a_full_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "FULL", 100)
    with writing(tmp_path / "lake") as made:
        written = parts.write_parts(made, "params", [({}, lines_of(17 * number, 17)) for number in range(20)])
        live = parts.replace("params", parts.live_of(made, "params"), [], written)
        made.publish("test", {"params": live})
    compact.compact(tmp_path / "lake", grace_s=0)
    after = commit.newest(tmp_path / "lake").tables["params"]
    assert [part.rows for part in after.parts] == [85] * 4  # five of seventeen fit, six don't


def test_two_builds_at_once_take_each_run_in_once(place: Path, look: Any) -> None:
    program = (
        "import sys; from pathlib import Path; from peak_trade.data.lake import build;"
        "from peak_trade.evidence.results import Results; build.RUNS = 1;"
        "p = Path(sys.argv[1]); build.build(Results(p / 'results'), p / 'lake', root=p)"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program, str(place)]) for _ in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    assert look.rows(place / "lake", "SELECT count(*), count(DISTINCT run_id) FROM runs") == [(4, 4)]
    assert check.check(place / "lake").findings == []


def test_a_lake_of_other_columns_is_built_anew(place: Path, lake: Path, look: Any) -> None:
    whole = look.contents(lake)
    with writing(lake) as made:
        live = made.commit.tables["runs"]
        older = commit.Live({name: kind for name, kind in live.columns.items() if name != "beta"}, [], live.parts)
        made.publish("test", made.commit.tables | {"runs": older})
    assert build.build(Results(place / "results"), lake, root=place).anew
    assert look.contents(lake) == whole


def without_excursions(lake: Path) -> None:
    """Make the trades of a lake those of a version before 0.3, in several files."""
    with writing(lake) as made:
        live = made.commit.tables["trades"]
        rows = parts.read_rows(lake, "trades", live.parts).drop_columns(["mae", "mfe"])
        pieces = [({}, rows.slice(start, length)) for _, start, length in parts.run_slices(rows)]
        columns = {name: kind for name, kind in live.columns.items() if name not in ("mae", "mfe")}
        older = commit.Live(columns, [], sorted(parts.write_parts(made, "trades", pieces), key=lambda part: part.first))
        made.publish("test", made.commit.tables | {"trades": older})


def test_a_lake_whose_trades_have_no_excursions_is_read_checked_and_compacted_as_it_is(lake: Path, look: Any) -> None:
    asked = "SELECT trade_id, pnl FROM trades ORDER BY ALL"
    whole = look.rows(lake, asked)
    without_excursions(lake)
    compact.compact(lake)
    assert (look.rows(lake, asked), check.check(lake).findings) == (whole, [])


def test_it_takes_new_trades_in_with_theirs(place: Path, lake: Path, look: Any) -> None:
    whole = look.contents(lake)
    without_excursions(lake)
    compact.compact(lake)
    assert build.build(Results(place / "results"), lake, root=place).anew
    assert look.contents(lake) == whole
    count, there = look.rows(lake, "SELECT count(*), count(mae + mfe) FROM trades")[0]
    assert count == there > 0


def test_a_removed_run_keeps_its_trades_without_excursions(place: Path, lake: Path, look: Any) -> None:
    without_excursions(lake)
    asked = "SELECT run_id, trade_id, pnl FROM trades ORDER BY ALL"
    whole = look.rows(lake, asked)
    gone = remove(place, keep=2)
    assert build.build(Results(place / "results"), lake, root=place).skipped == []
    assert look.rows(lake, asked) == whole
    there = dict(look.rows(lake, "SELECT run_id, count(mae) FROM trades GROUP BY run_id"))
    assert {run_id: count > 0 for run_id, count in there.items()} == {run_id: run_id not in gone for run_id in there}
    assert gone and set(there) - set(gone)
    assert check.check(lake).findings == []


def test_an_empty_results_folder_makes_no_marker(tmp_path: Path) -> None:
    build.build(Results(tmp_path / "results"), tmp_path / "lake", root=None)
    assert commit.newest(tmp_path / "lake").number == 0


def test_a_run_that_was_killed_has_what_its_start_says(tmp_path: Path, look: Any) -> None:
    results, run_id = Results(tmp_path / "results"), "11111111-2222-4000-8000-000000000000"
    run = RunDir.create(results.path, run_id, given=False)
    results.ledger.append("start", run_id, strategy="macd", symbol="SPX", timeframe="1d")
    run.release()  # as when its process has died
    recover(results)
    assert build.build(results, tmp_path / "lake", root=None).broken == []
    asked = "SELECT status, strategy, symbol, timeframe FROM runs"
    assert look.rows(tmp_path / "lake", asked) == [("failed", "macd", "SPX", "1d")]
