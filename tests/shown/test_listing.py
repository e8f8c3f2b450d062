"""What people see of runs: the list, one run, how a run is named; and what a broken run does to all that."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from peak_trade.errors import InputError, RunError
from peak_trade.evidence.ledger import Ledger
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import RunDir, recover
from peak_trade.shown import listing

Evidence = Any  # of conftest.py, which cannot be imported
FIRST = "11111111-0000-4000-8000-000000000000"
SECOND = "11111111-2222-4000-8000-000000000000"
THIRD = "33333333-0000-4000-8000-000000000000"
FOURTH = "44444444-0000-4000-8000-000000000000"


def write_ledger(results: Path, *entries: dict[str, Any]) -> None:
    """Write a ledger of these entries, a second after each other where they do not say when."""
    previous, lines = "0" * 64, []
    for second, entry in enumerate(entries):
        when = {"time": f"2024-05-01T12:00:{second:02}.000Z"}
        lines.append(msgspec.json.encode(when | entry | {"prev": previous}))
        previous = hashlib.sha256(lines[-1]).hexdigest()
    results.mkdir(exist_ok=True)
    (results / "ledger.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))


def start(run_id: str, **more: Any) -> dict[str, Any]:
    asked = {"strategy": "sma_crossover", "symbol": "BTC/USDT", "timeframe": "1h"}
    return {"event": "start", "run_id": run_id} | asked | more


def sealed(run_id: str, total_return: float | None, sharpe: float | None, drawdown: float | None) -> dict[str, Any]:
    figures = {"total_return": total_return, "sharpe": sharpe, "max_drawdown": drawdown}
    return {"event": "sealed", "run_id": run_id, "manifest": "0" * 64} | figures


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Three runs by the ledger alone: one sealed, one without figures, one failed; their directories are empty."""
    results = tmp_path / "results"
    write_ledger(
        results,
        start(FIRST),
        sealed(FIRST, 0.123456, 1.005, -0.25),
        start(THIRD, strategy="strategies/mine.py:my_target", symbol="SPX"),
        sealed(THIRD, None, None, None),
        start(FOURTH, strategy="macd"),
        {"event": "failed", "run_id": FOURTH, "manifest": "0" * 64, "message": "no"},
    )
    for run_id in (FIRST, THIRD, FOURTH):
        (results / run_id).mkdir()
    return results


def statuses(results: Path) -> dict[str, str]:
    return {row.run_id: row.status for row in listing.rows(Results(results))}


# --- the list -----------------------------------------------------------------------------------------------------


def test_the_list_is_newest_first(results: Path) -> None:
    assert listing.as_table(listing.rows(Results(results))).splitlines() == [
        "run_id    started (UTC)        strategy                      symbol        return  sharp"
        "e  max drawdown  status  reason",
        "44444444  2024-05-01 12:00:04  macd                          BTC/USDT 1h        –       "
        "–             –  failed  no",
        "33333333  2024-05-01 12:00:02  strategies/mine.py:my_target  SPX 1h             –       "
        "–             –  sealed",
        "11111111  2024-05-01 12:00:00  sma_crossover                 BTC/USDT 1h  12.35 %    1.0"
        "0      -25.00 %  sealed",
    ]


def test_run_ids_are_as_long_as_it_takes_to_tell_them_apart(results: Path) -> None:
    Ledger(results).append("start", SECOND)
    assert [line.split()[0] for line in listing.as_table(listing.rows(Results(results))).splitlines()[1:]] == [
        "11111111-2",
        "44444444-0",
        "33333333-0",
        "11111111-0",
    ]
    full = listing.as_table(listing.rows(Results(results)), full=True).splitlines()[1:]
    assert [line.split()[0] for line in full] == [SECOND, FOURTH, THIRD, FIRST]


def test_runs_of_the_same_moment_are_listed_newest_first_by_the_ledger(tmp_path: Path) -> None:
    moment = {"time": "2024-05-01T12:00:00.000Z"}
    write_ledger(tmp_path, *(start(run_id) | moment for run_id in (THIRD, FIRST, SECOND)))
    assert [row.run_id for row in listing.rows(Results(tmp_path))] == [SECOND, FIRST, THIRD]


def test_a_run_is_listed_once_whatever_happened_to_it(results: Path) -> None:
    shutil.rmtree(results / FIRST)
    Ledger(results).append("removed", FIRST)
    (row,) = [row for row in listing.rows(Results(results)) if row.run_id == FIRST]
    assert (row.status, row.started, row.total_return) == ("removed", "2024-05-01T12:00:00.000Z", 0.123456)


def test_each_fate_of_a_run_has_its_word(results: Path) -> None:
    ledger = Ledger(results)
    running, dead, renamed = (RunDir.create(results, f"{n}-0000-4000-8000-000000000000", given=False)
                              for n in ("aaaaaaaa", "bbbbbbbb", "cccccccc"))  # fmt: skip
    for run in (running, dead, renamed):
        ledger.append("start", run.run_id)
    dead.release()  # as when its process has died
    ledger.append("sealed", renamed.run_id, manifest="0" * 64)
    renamed.release()  # died before the rename
    ledger.append("start", SECOND)
    ledger.append("abandoned", SECOND)  # its directory is gone
    shutil.rmtree(results / THIRD)
    shutil.rmtree(results / FOURTH)
    ledger.append("removed", FOURTH)
    assert statuses(results) == {
        FIRST: "sealed",
        THIRD: "missing",
        FOURTH: "removed",
        SECOND: "missing",
        running.run_id: "running",
        dead.run_id: "unfinished",
        renamed.run_id: "unfinished",
    }
    running.release()


def test_a_directory_that_the_ledger_does_not_know_is_read(evidence: Evidence) -> None:
    before = {row.run_id: row for row in listing.rows(Results(evidence.results))}
    (evidence.results / "ledger.jsonl").unlink()
    after = {row.run_id: row for row in listing.rows(Results(evidence.results))}
    assert after.keys() == before.keys() == set(evidence.runs.values())
    for run_id, row in after.items():
        known = msgspec.structs.asdict(before[run_id])
        assert (
            abs(int(row.started[20:23]) - int(known["started"][20:23])) < 1000
        )  # the ledger's line came a moment later
        # which keys a person has set to a default nobody knows without the ledger; what differs is the same
        assert msgspec.structs.asdict(row) | {"started": "", "settings": {}} == known | {"started": "", "settings": {}}


@pytest.mark.parametrize("file", ["manifest.json", "config_snapshot.json", "stats.json"])
@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"null",
        b"[]",
        b'{"a": 1}',
        b"\xff",
        b'{"a": ' + b"[" * 100_000,
        b'{"data": [], "strategy": 5, "run": ""}',
    ],
)
def test_a_directory_that_cannot_be_read_hides_no_other(evidence: Evidence, file: str, content: bytes | None) -> None:
    (evidence.results / "ledger.jsonl").unlink()
    (evidence.path("own") / file).unlink()
    if content is not None:
        evidence.rewrite("own", file, content)
    rows = {row.run_id: row for row in listing.rows(Results(evidence.results))}
    assert rows.keys() == set(evidence.runs.values())
    assert rows[evidence.runs["plain"]].status == "sealed"
    assert isinstance(listing.as_table(list(rows.values())), str)
    json.dumps([row.to_json_object() for row in rows.values()], allow_nan=False)


@pytest.mark.parametrize("key", ["status", "runDetails", "buildDefinition", "results", "receipts", "ledger"])
@pytest.mark.parametrize("value", [None, [], 5, "x", {"metadata": []}, {"resolvedDependencies": [5]}, [None]])
def test_a_manifest_of_another_shape_hides_no_other(evidence: Evidence, key: str, value: Any) -> None:
    (evidence.results / "ledger.jsonl").unlink()
    statement = evidence.manifest("own")
    statement["predicate"][key] = value
    evidence.write_manifest("own", statement)
    rows = {row.run_id: row.status for row in listing.rows(Results(evidence.results))}
    assert rows.keys() == set(evidence.runs.values())
    assert rows[evidence.runs["plain"]] == "sealed"
    with contextlib.suppress(RunError):  # the one error there may be
        listing.summary(evidence.path("own"))


def test_a_broken_ledger_lists_what_can_be_read(results: Path) -> None:
    path = results / "ledger.jsonl"
    path.write_bytes(b"garbage\n" + path.read_bytes() + b'{"torn')
    assert statuses(results) == {FIRST: "sealed", THIRD: "sealed", FOURTH: "failed"}


def test_a_ledger_that_cannot_be_read_is_a_sentence(results: Path) -> None:
    (results / "ledger.jsonl").unlink()
    (results / "ledger.jsonl").mkdir()
    with pytest.raises(RunError, match=r"^results/ledger.jsonl: a folder in place of a file$"):
        listing.rows(Results(results))


def test_without_results_there_is_nothing_to_list(tmp_path: Path) -> None:
    assert listing.rows(Results(tmp_path / "results")) == []
    assert not (tmp_path / "results").exists()


def test_text_that_would_break_the_table_is_made_harmless(tmp_path: Path) -> None:
    write_ledger(tmp_path, start(FIRST, symbol="A\nB\x1b[31m\tC", strategy="日本"))
    assert len(listing.as_table(listing.rows(Results(tmp_path))).splitlines()) == 2


def test_odd_values_in_the_ledger_do_no_harm(tmp_path: Path) -> None:
    write_ledger(tmp_path, start(FIRST, symbol=5, strategy=None), sealed(FIRST, "high", [1], {}))  # type: ignore[arg-type]
    (tmp_path / FIRST).mkdir()
    line = listing.as_table(listing.rows(Results(tmp_path))).splitlines()[1]
    assert line.split() == ["11111111", "2024-05-01", "12:00:00", "1h", "–", "–", "–", "sealed"]


def test_a_ledger_of_10_000_entries_is_listed_at_once(tmp_path: Path) -> None:
    ids = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(5_000)]
    moments = (f"2024-05-{1 + at // 400:02}T{at % 24:02}:00:00.000Z" for at in range(10_000))
    entries = [
        {**entry, "time": next(moments)} for run_id in ids for entry in (start(run_id), sealed(run_id, 0.1, 1.0, 0.0))
    ]
    write_ledger(tmp_path, *entries)
    before = time.process_time()
    table = listing.as_table(listing.rows(Results(tmp_path)))
    assert (
        time.process_time() - before < 2
    )  # 0.1 s, with room for a slow machine: what grows as the square would take 10
    assert len(table.splitlines()) == 5_001


# --- one run by name ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["11111111", "1", FIRST, FIRST.upper(), f" {FIRST} ", f"results/{FIRST}", f"results/{FIRST}/"]
)
def test_a_unique_start_names_a_run(results: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(results.parent)
    assert Results(results).find(name) == results / FIRST


def test_a_path_that_leads_elsewhere_names_no_run_of_ours(results: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        Results(results).find(f"nowhere/{FIRST}")


def test_a_start_that_fits_more_than_one_names_them(results: Path) -> None:
    (results / SECOND).mkdir()
    with pytest.raises(InputError) as caught:
        Results(results).find("1111")
    assert str(caught.value) == f"'1111' is the start of 2 runs: {FIRST}, {SECOND}"
    assert caught.value.hint == "give more of the run_id"
    assert Results(results).find("11111111-2") == results / SECOND


def test_a_start_that_fits_a_thousand_names_a_few(tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / f"{number:08x}-0000-4000-8000-000000000000").mkdir()
    with pytest.raises(InputError, match=r"^'0000' is the start of 1000 runs: 0{8}-\S+, .*, …$") as caught:
        Results(tmp_path).find("0000")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["9", "", "  ", "/", "results", "..", ".working", "ledger.jsonl", "last "])
def test_a_name_that_fits_none_is_a_sentence(results: Path, name: str) -> None:
    with pytest.raises(InputError) as caught:
        Results(results).find(name)
    assert (str(caught.value), caught.value.hint) == (f"no run {name!r} in results/", "just runs lists them")


def test_last_goes_by_the_ledger_and_not_by_the_time_of_files(results: Path) -> None:
    os.utime(results / THIRD, (1, 1))
    os.utime(results / FIRST, (2e9, 2e9))
    assert Results(results).find("last") == results / THIRD


def test_last_is_a_sealed_run_that_is_there(results: Path) -> None:
    ledger = Ledger(results)
    ledger.append("start", SECOND)  # begun, not ended
    assert Results(results).find("last") == results / THIRD  # and the failed one does not count
    shutil.rmtree(results / THIRD)
    assert Results(results).find("last") == results / FIRST
    ledger.append("removed", FIRST)
    with pytest.raises(InputError, match="no sealed run in results/"):
        Results(results).find("last")


def test_last_is_the_run_that_was_sealed_last_not_begun_last(tmp_path: Path) -> None:
    write_ledger(tmp_path, start(FIRST), start(THIRD), sealed(THIRD, 0, 0, 0), sealed(FIRST, 0, 0, 0))
    for run_id in (FIRST, THIRD):
        (tmp_path / run_id).mkdir()
    assert Results(tmp_path).find("last") == tmp_path / FIRST


# --- one run ------------------------------------------------------------------------------------------------------


def without_cost(text: str) -> str:
    """Take out what differs from run to run: the run_id, and what the evidence cost."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "RUN_ID", text)
    return re.sub(r"(\d) files, .*", r"\1 files", text)


def test_a_run_is_shown_in_a_few_lines(evidence: Evidence) -> None:
    # bought at the second open, 100.0, the first close; sold at the last close: (105.03 / 100 - 1)
    assert (evidence.root / "data" / "bars.csv").read_text().splitlines()[-1].split(",")[4] == "105.03"
    assert without_cost(listing.summary(evidence.path("bare"))).splitlines() == [
        "run       RUN_ID  sealed",
        "strategy  buy_and_hold()",
        "bars      TEST 1h, 48 from 2024-01-01 to 2024-01-02",
        "probe     no look-ahead was found in 8 places",
        "return    5.03 %",
        "a year    –, volatility 172.74 %",
        "sharpe    6.14, max drawdown -13.88 %",
        "trades    1, won 100.00 %, profit factor –",
        "costs     fees 0.00, slippage 0.00",
        "evidence  7 files",
    ]


def test_a_run_is_shown_with_its_name_its_overrides_and_what_was_skipped(evidence: Evidence) -> None:
    own = without_cost(listing.summary(evidence.path("own"))).splitlines()
    assert own[:3] == [
        "run       RUN_ID  sealed",
        "name      our own",
        "strategy  strategies/own.py:steps(length=5, size=0.8)",
    ]
    assert any(line.startswith("skipped   trades.parquet: ") for line in own)
    assert any("(buy and hold 4.72 %)" in line for line in own)
    assert "overrides  strategy.params.slow=12" in listing.summary(evidence.path("plain")).splitlines()


def test_a_failed_run_is_shown_with_its_error(evidence: Evidence) -> None:
    assert without_cost(listing.summary(evidence.path("failed"))).splitlines() == [
        "run       RUN_ID  failed",
        "strategy  strategies/own.py:broken()",
        "bars      TEST 1h, 48 from 2024-01-01 to 2024-01-02",
        "error     the strategy raised ValueError: no idea what to do, at "
        'strategies/own.py:12: raise ValueError("no idea what to do")',
        "evidence  4 files",
    ]


def test_what_is_shown_as_json_is_all_that_the_run_says(evidence: Evidence) -> None:
    shown = listing.describe(evidence.path("own"))
    json.dumps(shown, allow_nan=False)
    statement = evidence.manifest("own")
    assert shown["run_id"] == evidence.runs["own"]
    assert shown["status"] == "sealed"
    assert shown["stats"] == json.loads((evidence.path("own") / "stats.json").read_bytes())
    assert shown["config"] == json.loads((evidence.path("own") / "config_snapshot.json").read_bytes())
    assert shown["receipts"] == statement["predicate"]["receipts"]
    assert shown["madeFrom"] == statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert shown["files"] == {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}


@pytest.mark.parametrize("file", ["manifest.json", "config_snapshot.json", "stats.json"])
@pytest.mark.parametrize(
    "content", [None, b"", b"[]", b"null", b"\xff", b'{"a": ' + b"[" * 100_000, b'{"reasons": {}}']
)
def test_a_run_that_cannot_be_read_is_a_sentence(evidence: Evidence, file: str, content: bytes | None) -> None:
    (evidence.path("own") / file).unlink()
    if content is not None:
        evidence.rewrite("own", file, content)
    with pytest.raises(RunError) as caught:
        listing.summary(evidence.path("own"))
    assert len(str(caught.value)) < 300 and "\n" not in str(caught.value)


# --- the commands -------------------------------------------------------------------------------------------------


def command(name: str, results: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = Path(__file__).parents[2] / "scripts" / f"{name}.py"
    return subprocess.run(
        [sys.executable, str(script), "--results-dir", str(results), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "NO_COLOR": "1"},
    )


def test_the_command_prints_the_table(results: Path) -> None:
    answered = command("list_runs", results)
    assert (answered.returncode, answered.stderr) == (0, "")
    assert answered.stdout == listing.as_table(listing.rows(Results(results))) + "\n"


def test_the_command_prints_the_newest_as_json(results: Path) -> None:
    answered = command("list_runs", results, "--json", "--limit", "2")
    assert answered.returncode == 0
    nothing: dict[str, Any] = dict.fromkeys(("total_return", "sharpe", "max_drawdown", "trades", "deflated"))
    nothing |= dict.fromkeys(("name", "start", "end", "reason", "lookahead"), "") | {"repeatable": None}
    nothing |= {
        "kind": "run",
        "command": "",
        "engine": "",
        "symbols": None,
        "trials": None,
        "exit_code": None,
        "parent": "",
        "trial": None,
    }
    nothing |= {key: {} for key in ("params", "settings", "differs", "findings")} | {"pinned": False}
    assert json.loads(answered.stdout) == [
        {"run_id": FOURTH, "started": "2024-05-01T12:00:04.000Z", "strategy": "macd", "symbol": "BTC/USDT",
         "timeframe": "1h", **nothing, "status": "failed", "reason": "no"},
        {"run_id": THIRD, "started": "2024-05-01T12:00:02.000Z", "strategy": "strategies/mine.py:my_target",
         "symbol": "SPX", "timeframe": "1h", **nothing, "status": "sealed"},
    ]  # fmt: skip


def test_the_command_says_that_there_is_nothing(tmp_path: Path) -> None:
    answered = command("list_runs", tmp_path / "results")
    assert (answered.returncode, answered.stdout) == (0, "")
    assert answered.stderr == "no runs in results/; just run config/my_strategy.toml makes one\n"
    assert json.loads(command("list_runs", tmp_path / "results", "--json").stdout) == []


def test_the_command_warns_of_what_a_dead_process_left(results: Path) -> None:
    left = RunDir.create(results, SECOND, given=False)
    left.release()
    answered = command("list_runs", results)
    assert answered.returncode == 0
    assert answered.stderr == (
        f"warn: 1 unfinished run(s) of dead processes: {SECOND}\nhint: just doctor seals them as failed\n"
    )


def test_the_command_shows_the_last_run(evidence: Evidence) -> None:
    answered = command("show_run", evidence.results)
    assert (answered.returncode, answered.stderr) == (0, "")
    assert answered.stdout == listing.summary(evidence.path("bare")) + "\n"


def test_the_command_shows_a_run_as_json(evidence: Evidence) -> None:
    answered = command("show_run", evidence.results, "--json", evidence.runs["own"][:13])
    assert answered.returncode == 0
    expected = listing.describe(evidence.path("own")) | {"tracking": None, "signed": [], "anchored": None}
    assert json.loads(answered.stdout) == json.loads(json.dumps(expected))


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"status": "logged", "mlflow_run_id": "ab12", "ms": 820.4}, "logged to sqlite:///mlflow.db as ab12 in 820 ms"),
        ({"status": "failed", "reason": "the store is locked"}, "failed: the store is locked"),
        ({"status": "started"}, "started"),
    ],
)
def test_the_command_says_where_a_run_is_tracked(evidence: Evidence, status: dict[str, Any], said: str) -> None:
    path = evidence.path("own")
    receipt = {"run_id": path.name, "store": "sqlite:///mlflow.db", "experiment": "e"} | status
    (path / "tracking.json").write_text(json.dumps(receipt))
    answered = command("show_run", evidence.results, path.name)
    assert answered.stdout == listing.summary(path) + f"\ntracking  {said}\n"
    shown = json.loads(command("show_run", evidence.results, "--json", path.name).stdout)
    assert receipt.items() <= shown["tracking"].items()


def test_the_command_refuses_a_run_that_is_not_there(evidence: Evidence) -> None:
    answered = command("show_run", evidence.results, "no-such-run")
    assert (answered.returncode, answered.stdout) == (2, "")
    assert answered.stderr == "error: no run 'no-such-run' in results/\nhint: just runs lists them\n"


def test_a_figure_without_measure_is_short() -> None:
    # 183 digits before: a year worked out from two days
    assert listing.percent(6.9e180) == "6.9e+182 %"
    assert listing.number(-1.7e308) == "-1.7e+308"
    assert listing.percent(9_999_999.0) == "999,999,900.00 %"


def test_a_run_that_was_killed_is_shown_by_what_its_start_says(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, SECOND, given=False)
    Ledger(tmp_path).append("start", SECOND, strategy="macd", symbol="SPX", timeframe="1d")
    run.release()  # as when its process has died
    recover(Results(tmp_path))
    lines = listing.summary(tmp_path / SECOND).splitlines()
    assert [line.split() for line in lines[1:3]] == [["strategy", "macd"], ["bars", "SPX", "1d"]]
    (tmp_path / "ledger.jsonl").unlink()  # the control: nothing else tells it
    assert listing.summary(tmp_path / SECOND).splitlines()[1].split() == ["strategy", "–"]


# --- what tells runs apart ----------------------------------------------------------------------------------------


LATER = {"event": "failed", "manifest": "0" * 64, "stage": "strategy", "type": "ValueError"}


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    """Thirty runs of one strategy with a parameter each; the last one failed."""
    results, entries = tmp_path / "results", []
    for number in range(30):
        run_id = f"{number:08x}-0000-4000-8000-000000000000"
        given = {"params": {"fast": number, "slow": 50}, "settings": {"execution.fee_bps": 1.0}, "name": "a study"}
        entries += [start(run_id, **given), sealed(run_id, number / 10, number / 100, -0.25)]
        (results / run_id).mkdir(parents=True)
    entries[-1] = LATER | {"run_id": run_id, "message": "the strategy raised ValueError: " + "no idea " * 20}
    write_ledger(results, *entries)
    return results


def test_a_list_for_programs_has_a_line_a_run_with_what_differs(grid: Path) -> None:
    head, first, second, *_ = listing.as_table(listing.rows(Results(grid))).splitlines()
    assert head.split("  ")[-2:] == ["differs in", "reason"] or head.rstrip().endswith("reason")
    assert "failed  a study  fast=29     the strategy raised ValueError: no idea" in first
    assert second.endswith("sealed  a study  fast=28")


@pytest.mark.parametrize("width", [200, 120, 100, 80, 60])
def test_in_a_terminal_each_run_is_told_apart_within_its_width(grid: Path, width: int) -> None:
    above, head, failed, *rest = listing.as_table(listing.rows(Results(grid)), width=width).splitlines()
    assert above == "a study, sma_crossover, BTC/USDT 1h"
    assert head.endswith("differs in")
    assert failed.endswith("failed  fast=29")
    why, lines = [line for line in rest if line.startswith(" ")], [line for line in rest if not line.startswith(" ")]
    assert " ".join(map(str.strip, why)).startswith("the strategy raised ValueError: no idea no idea")
    assert [line.rpartition("  ")[2] for line in lines] == [f"fast={number}" for number in range(28, -1, -1)]
    assert max(map(len, (head, failed, *rest))) <= width
    assert (" UTC" in head) is False and ("max drawdown" in head) is (width >= 80)


def test_in_a_narrow_terminal_what_has_no_room_stands_below(grid: Path) -> None:
    lines = listing.as_table(listing.rows(Results(grid)), width=40).splitlines()
    assert lines[-2:] == ["00000000    0.00 %    0.00  sealed", "          fast=0"]
    assert max(map(len, lines)) <= 40


def test_a_long_name_of_one_run_widens_no_line_of_others(tmp_path: Path) -> None:
    write_ledger(tmp_path, start(FIRST, name="x" * 1_000, params={"p": "y" * 1_000}), start(SECOND, params={"p": "z"}))
    rows = listing.rows(Results(tmp_path))
    assert max(map(len, listing.as_table(rows).splitlines())) < 400
    lines = listing.as_table(rows, width=80).splitlines()
    assert max(map(len, lines)) <= 80 and len(lines) <= 12


def test_a_run_of_an_older_version_is_told_apart_by_its_directory(evidence: Evidence) -> None:
    lines = []
    for line in evidence.ledger():
        entry = json.loads(line)
        lines.append({key: value for key, value in entry.items() if key not in ("params", "settings", "name", "prev")})
    write_ledger(evidence.results, *lines)
    rows = {row.run_id: row for row in listing.rows(Results(evidence.results))}
    assert rows[evidence.runs["plain"]].differs == {"slow": 12}
    assert rows[evidence.runs["own"]].name == "our own"
    (evidence.path("plain") / "config_snapshot.json").unlink()  # the control
    again = {row.run_id: row for row in listing.rows(Results(evidence.results))}
    assert again[evidence.runs["plain"]].differs == {}


def test_why_a_run_died_is_its_reason(tmp_path: Path) -> None:
    write_ledger(tmp_path, start(FIRST), {"event": "abandoned", "run_id": FIRST, "manifest": "0" * 64})
    (row,) = listing.rows(Results(tmp_path))
    assert row.reason == "the process died before the run was sealed"


@pytest.mark.parametrize("key", ["params", "settings"])
@pytest.mark.parametrize("value", [5, "x", [1], {"a": {"b": 1}}, {"a": 1 << 70}, {"a": [1]}, None])
def test_odd_settings_in_the_ledger_do_no_harm(tmp_path: Path, key: str, value: Any) -> None:
    write_ledger(tmp_path, start(FIRST, **{key: value}), start(SECOND, **{key: {"a": 1}}))
    first, second = sorted(listing.rows(Results(tmp_path)), key=lambda row: row.run_id)
    assert getattr(first, key) == {} and getattr(second, key) == {"a": 1}


def test_the_command_lists_what_is_asked_for(grid: Path) -> None:
    def ids(*arguments: str) -> list[str]:
        answered = command("list_runs", grid, "--json", *arguments)
        assert answered.returncode == 0, answered.stderr
        return [row["run_id"][6:8] for row in json.loads(answered.stdout)]

    assert ids("--strategy", "sma", "--symbol", "btc", "--where", "fast<3", "--where", "slow=50") == ["02", "01", "00"]
    assert ids("--since", "2024-05-01T12:00:54", "--where", "status=sealed") == ["1c", "1b"]
    assert ids("--where", "fast>5", "--limit", "1") == ["1d"]
    nothing = command("list_runs", grid, "--strategy", "macd")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert nothing.stderr == "none of 30 runs in results/ is like that; just runs lists them\n"
    wrong = command("list_runs", grid, "--where", "fsat=3")
    assert (wrong.returncode, wrong.stderr) == (2, "error: no run has a `fsat`\nhint: did you mean `fast`?\n")


def test_a_command_is_listed_without_the_folder_of_its_program_and_many_symbols_by_their_number(tmp_path: Path) -> None:
    told = {"kind": "recorded", "strategy": None, "symbol": None, "command": "/opt/envs/long/bin/python pairs.py --all"}
    few, many = "BTC,ETH", ",".join(f"S{at:03}" for at in range(30))
    write_ledger(
        tmp_path,
        start(FIRST, **told), sealed(FIRST, 0.1, 1.0, -0.1) | {"symbol": many, "symbols": 30, "timeframe": "1d"},
        start(THIRD, **told), sealed(THIRD, 0.1, 1.0, -0.1) | {"symbol": few, "symbols": 2, "timeframe": "1d"},
    )  # fmt: skip
    text = listing.as_table(listing.rows(Results(tmp_path)))
    assert text.count("python pairs.py --all") == 2
    assert "/opt" not in text
    assert "30 symbols 1d" in text
    assert "BTC,ETH 1d" in text
