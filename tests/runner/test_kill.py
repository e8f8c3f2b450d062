"""A process that is killed at any of its calls leaves nothing that looks whole and is not, and nothing is lost."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peak_trade.evidence import run_dir
from peak_trade.evidence.results import Results

KILLED = -9
FILES = ("config_snapshot.toml", "config_snapshot.json", "stats.json", "equity.csv", "benchmark.csv", "trades.csv",
         "manifest.json", "code/peak_trade/strategies/sma_crossover.py")  # fmt: skip
Copies = Callable[[], Path]


def killed_everywhere(
    forge: Any,
    config: Path,
    copies: Copies,
    look: Any,
    *,
    first: int = 1,
    half: bool = False,
    code: int = 0,
    until: str = "",
    **request: Any,
) -> tuple[list[str], list[str]]:
    """Kill a run at its `first`, next, … call until it completes; return where it died, and what was wrong after.

    A control looks no further than the first fault that has `until` in it.
    """
    places: list[str] = []
    wrong: list[str] = []
    for n in range(first, 500):
        if until and any(until in fault for fault in wrong):
            return places, wrong
        results = copies()
        before = look.photograph(results)
        outcome = forge.cli(config, results, fault={"n": n, "half": half}, **request)
        wrong += [call for call in outcome.calls if call.startswith("uncounted")]
        if outcome.code != KILLED:
            assert (outcome.code, len(outcome.calls)) == (code, n - 1), outcome.stderr
            return places, wrong
        places.append(outcome.calls[-1])
        if outcome.calls[-1].startswith("read "):
            continue  # nothing has changed since the call before
        problems = after_a_kill(forge, config, results, before, look, **request)
        wrong += [f"killed at call {n} ({outcome.calls[-1]}): {problem}" for problem in problems]
    raise AssertionError("the run did not complete")


def after_a_kill(
    forge: Any, config: Path, results: Path, before: dict[str, str], look: Any, **request: Any
) -> list[str]:
    """Return what is wrong with a results directory in which a run died, through the next run and the recovery."""
    problems = [f"at once: {fault}" for fault in look.faults_of(results)]
    now = look.photograph(results)
    problems += [f"changed {name}" for name in before if name != "ledger.jsonl" and now.get(name) != before[name]]
    torn = not look.whole(results / "ledger.jsonl")
    dead = {path.name for path in (results / ".working").glob("*")}
    following = forge.cli(config, results, **request | {"env": {}})  # with the dead run beside it
    if following.code != 0:
        problems.append(f"the next run: {following.stderr}")
    if torn != any("torn" in line for line in following.said("warn")):
        problems.append(f"torn: {torn}, but the next run said {following.said('warn')}")
    if bool(dead) != any("unfinished" in line for line in following.said("warn")):
        problems.append(f"{len(dead)} unfinished, but the next run said {following.said('warn')}")
    if not dead <= {run_id for run_id, _ in run_dir.recover(Results(results))}:
        problems.append("recovery left out a dead run")
    return problems + after_recovery(results, look)


def after_recovery(results: Path, look: Any) -> list[str]:
    """Return what is wrong with a results directory that has been recovered."""
    problems = [f"after recovery: {fault}" for fault in look.unrecovered(results)]
    recovered = look.photograph(results)
    if run_dir.recover(Results(results)):
        problems.append("a second recovery found something to do")
    if look.photograph(results) != recovered:
        problems.append("a second recovery changed something")
    return problems


def test_a_run_killed_at_any_call_is_reported_and_recovered(
    forge: Any, config: Path, copies: Copies, look: Any
) -> None:
    places, wrong = killed_everywhere(forge, config, copies, look)
    assert not wrong, "\n".join(wrong)
    steps = {(call, path.rpartition("/")[2]) for call, _, path in (place.partition(" ") for place in places)}
    assert {(call, Path(name).name) for call in ("open", "write", "fsync") for name in FILES} <= steps
    assert {("write", "ledger.jsonl"), ("fsync", "ledger.jsonl"), ("write", "run.log"), ("fsync", ".")} <= steps
    assert {"mkdir", "rename"} <= {call for call, _ in steps}


def test_a_run_killed_half_way_through_any_write_is_reported_and_recovered(
    forge: Any, config: Path, copies: Copies, look: Any
) -> None:
    places, wrong = killed_everywhere(forge, config, copies, look, half=True)
    assert not wrong, "\n".join(wrong)
    assert sum(place == "write ledger.jsonl" for place in places) == 2  # both were torn: the start and the seal


def test_a_failing_run_killed_at_any_call_is_reported_and_recovered(
    forge: Any, config: Path, copies: Copies, look: Any
) -> None:
    places, wrong = killed_everywhere(forge, config, copies, look, first=24, code=1, env={"PEAK_STRICT": "1"})
    assert not wrong, "\n".join(wrong)
    assert any(place.startswith("unlink") and place.endswith("equity.csv") for place in places)
    assert any(place.startswith("write") and place.endswith("error.json") for place in places)


def test_the_first_run_of_all_may_be_killed_at_any_call(forge: Any, config: Path, ram: Path, look: Any) -> None:
    ended = None
    for n in range(1, 30):
        results = ram / "new" / str(n)
        ended = forge.cli(config, results, fault={"n": n})
        assert ended.code == KILLED
        if results.is_dir():
            assert after_a_kill(forge, config, results, {}, look) == [], ended.calls[-1]
        if "config_snapshot" in ended.calls[-1]:
            break  # what follows does not depend on other runs
    assert ended and "config_snapshot" in ended.calls[-1]


@pytest.mark.parametrize("half", [False, True], ids=["before a call", "half way through a write"])
def test_the_repair_of_a_torn_ledger_may_be_killed_at_any_call(
    forge: Any, config: Path, copies: Copies, look: Any, half: bool
) -> None:
    torn = b'{"event":"start","time":"2024-01-'
    repaired = 0
    for n in range(1, 40):
        results = copies()
        whole = (results / "ledger.jsonl").read_bytes()
        (results / "ledger.jsonl").write_bytes(whole + torn)
        died = forge.cli(config, results, fault={"n": n, "half": half})
        assert died.code == KILLED
        assert (results / "ledger.jsonl").read_bytes().startswith(whole)
        assert after_a_kill(forge, config, results, {}, look) == [], died.calls[-1]
        assert torn in (results / "ledger.torn").read_bytes(), died.calls[-1]
        repaired += "ledger.torn" in died.calls[-1]
        if died.calls[-1].endswith("config_snapshot.toml"):
            break
    assert repaired == (1 if half else 3)


@pytest.mark.parametrize("place", ["run.log", "equity.csv", "manifest.json", "rename"])
def test_a_recovery_killed_at_any_call_is_caught_up_on(
    forge: Any, config: Path, copies: Copies, ram: Path, look: Any, place: str
) -> None:
    complete = forge.cli(config, copies(), fault={"n": 0}).calls
    n = next(i for i, call in enumerate(complete, 1) if call.endswith(place) or call.startswith(place))
    results = copies()
    forge.cli(config, results, fault={"n": n})
    shutil.copytree(results, ram / "dead", copy_function=shutil.copy)
    wrong: list[str] = []
    for n in range(1, 300):
        shutil.rmtree(results)
        shutil.copytree(ram / "dead", results)
        died = forge.recover(results, fault={"n": n})
        wrong += [f"at call {n} ({died.calls[-1]}): {fault}" for fault in look.faults_of(results)]
        if died.code != KILLED:
            break
        run_dir.recover(Results(results))
        wrong += [f"at call {n} ({died.calls[-1]}): {fault}" for fault in after_recovery(results, look)]
    assert not wrong, "\n".join(wrong)
    assert died.code == 0
    assert n > 5


def test_a_run_whose_directory_was_lost_with_the_power_is_sealed_as_failed(
    forge: Any, config: Path, results: Path, look: Any
) -> None:
    forge.cli(config, results, fault={"n": 12})
    [left] = run_dir.unfinished(Results(results))
    shutil.rmtree(left.path)
    assert run_dir.recover(Results(results)) == [(left.run_id, "sealed as failed: its process died")]
    assert after_recovery(results, look) == []


@pytest.mark.parametrize("in_turn", [True, False], ids=["one by one", "some at a time"])
def test_everything_is_flushed_before_it_is_relied_on(forge: Any, config: Path, ram: Path, in_turn: bool) -> None:
    calls = forge.cli(config, ram / "results", fault={"n": 0, "in_turn": in_turn}).calls
    started, sealed = (i for i, call in enumerate(calls) if call == "write ledger.jsonl")
    assert calls[started + 1] == calls[sealed + 1] == "fsync ledger.jsonl"
    assert "fsync ." in calls[:started], "the ledger's name, before its first line"
    assert not any("config_snapshot" in call for call in calls[: started + 1]), "nothing of a run before its start"
    for name in FILES:
        written = max(i for i, call in enumerate(calls) if call.startswith("write ") and call.endswith(name))
        assert calls[written].replace("write", "fsync") in calls[written + 1 : sealed]
    working = "/".join(calls[written].removeprefix("write ").split("/")[:2])
    for folder in ("", "/code", "/code/peak_trade", "/code/peak_trade/strategies"):
        assert f"fsync {working}{folder}" in calls[written + 1 : sealed], "the names of the files, before the seal"
    renamed = calls.index(f"rename {working}")
    assert renamed > sealed + 1
    assert "fsync ." in calls[renamed:]


@pytest.mark.parametrize(
    "sabotage, half, found",
    [
        ("publish_first", False, "an entry that seals"),
        ("write_in_place", False, "has the events ['start']"),
        ("leave_torn", True, "a ledger entry"),
    ],
)
def test_control_a_program_with_a_gap_is_found_out(
    forge: Any, config: Path, copies: Copies, look: Any, sabotage: str, half: bool, found: str
) -> None:
    complete = forge.cli(config, copies(), sabotage=sabotage, fault={"n": 0, "half": half}).calls
    first = 1 if half else len(complete) - 40
    _, wrong = killed_everywhere(forge, config, copies, look, first=first, half=half, until=found, sabotage=sabotage)
    assert any(found in problem for problem in wrong), wrong


# --- at any instant -----------------------------------------------------------------------------------------------

KILLS = [(deed, n) for deed, count in {"a run": 150, "a run that fails": 50, "a recovery": 40}.items()
         for n in range(count)]  # fmt: skip
STRICT = {"env": {"PEAK_STRICT": "1"}}  # pyarrow is missing in the forge, which fails a run at its end then


def wrong_after_a_kill_at_an_instant(
    deed: str, number: int, forge: Any, config: Path, copies: Copies, look: Any, **request: Any
) -> list[str]:
    """Kill once, at an instant that is drawn by deed and number, and return what was wrong after."""
    lot = random.Random(f"{deed} {number}")
    results = copies()
    if deed == "a recovery":
        dead = lot.randrange(12, 60)

        def ready() -> None:
            copies()
            assert forge.cli(config, results, fault={"n": dead}).code == KILLED

        look.killed_at_an_instant(deed, lot, ready, lambda **more: forge.recover(results, **more))
        found = [f"at once: {fault}" for fault in look.faults_of(results)]
        run_dir.recover(Results(results))
        return found + after_recovery(results, look)
    request |= STRICT if deed == "a run that fails" else {}
    before = look.photograph(results)
    look.killed_at_an_instant(deed, lot, copies, lambda **more: forge.cli(config, results, **request, **more))
    return after_a_kill(forge, config, results, before, look, **request)


@pytest.mark.hostile(share=10)
@pytest.mark.parametrize(("deed", "number"), KILLS)
def test_a_run_killed_at_any_instant_is_reported_and_recovered(
    forge: Any, config: Path, copies: Copies, look: Any, deed: str, number: int
) -> None:
    assert wrong_after_a_kill_at_an_instant(deed, number, forge, config, copies, look) == []


@pytest.mark.hostile
def test_control_a_run_that_is_written_in_place_is_found_out_at_some_instant(
    forge: Any, config: Path, copies: Copies, look: Any
) -> None:
    found = (
        wrong_after_a_kill_at_an_instant("in place", n, forge, config, copies, look, sabotage="write_in_place")
        for n in range(60)
    )
    assert any(any("has the events ['start']" in fault for fault in wrong) for wrong in found)
