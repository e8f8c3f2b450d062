"""A clean-up that is killed, whose calls fail, or that is one of many: each run is whole or removed, and none is lost.

Runs are removed by the real script in processes of the forge; what it leaves is judged by the readers.
"""

from __future__ import annotations

import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peak_trade.evidence import pins
from peak_trade.evidence.ledger import Ledger
from peak_trade.evidence.results import Results
from peak_trade.ops import removal, retention
from peak_trade.shown import listing
from peak_trade.trust import verify

KILLED = -9
CODES = ("ENOSPC", "EACCES", "EIO")
ALL = retention.Policy(keep=0, days=0)
Copies = Callable[[], Path]


@pytest.fixture
def copies(forge: Any, config: Path, ram: Path) -> Copies:
    """Return a function that makes a fresh results directory: two old runs, and a pinned one.

    The oldest has read-only folders, a link and telemetry; a clean-up that was killed early has left its mark too.
    """
    template = ram / "template"
    [made] = forge.ask({"do": "many", "runs": 3, "config": str(config), "results": str(template)})
    old, _, young = made.stdout.split()
    pins.pin(Results(template), young)
    plots = template / old / "plots" / "deep"
    plots.mkdir(parents=True)
    (plots / "equity.svg").write_text("<svg/>")
    (template / old / "report").symlink_to(ram)
    (template / ".telemetry" / old).mkdir(parents=True)
    (template / ".telemetry" / old / "traces.jsonl").write_text("{}")
    (template / ".removing" / young).mkdir(parents=True)

    def fresh() -> Path:
        results = ram / "results"
        shutil.rmtree(results, ignore_errors=True)
        shutil.copytree(template, results, symlinks=True)
        (results / old / "plots").chmod(0o555)
        return results

    return fresh


def clean_up(forge: Any, results: Path, **request: Any) -> Any:
    words = ["--results-dir", str(results), "--keep", "0", "--days", "0", "--apply"]
    script = {"do": "cli", "script": "cleanup_artifacts.py", "argv": words, "results": str(results)}
    return forge.ask(script | request)[0]


def tombstones(results: Path) -> list[str]:
    return [entry.run_id for entry in Ledger(results).read().entries if entry.event == "removed"]


def contents(results: Path, look: Any) -> dict[str, dict[str, str]]:
    """Return the digests of all files of each run."""
    return {path.name: look.photograph(path) for path in Results(results).runs()}


def wrong_with(results: Path, before: dict[str, dict[str, str]], look: Any) -> list[str]:
    """Return what is wrong with a results directory in which runs are being removed."""
    found = [
        f"{v.name}: {finding}"
        for v in verify.verify_all(Results(results), None, root=None)
        for finding in v.findings
        if not str(finding).startswith("report: expected a folder, found a symbolic link")  # which is planted there
    ]
    gone, now = tombstones(results), contents(results, look)
    found += [f"{run_id} has two tombstones" for run_id in set(gone) if gone.count(run_id) > 1]
    found += [f"{run_id} is removed, and shown" for run_id in now if run_id in gone]
    found += [f"{run_id} is neither whole nor removed" for run_id in before if run_id not in {*now, *gone}]
    found += [f"{run_id} has changed" for run_id in now if now[run_id] != before[run_id]]
    statuses = {row.run_id: row.status for row in listing.rows(Results(results))}
    told = {run_id: "removed" if run_id in gone else "sealed" for run_id in before}
    return found + ([] if statuses == told else [f"listed as {statuses}"])


def wrong_in_the_end(results: Path, before: dict[str, dict[str, str]], look: Any) -> list[str]:
    """Finish what was begun, clean up once more, and return what is wrong after each."""
    whole = set(before) - set(tombstones(results))
    removal.finish(Results(results))
    found = wrong_with(results, before, look)
    if {path.name for path in Results(results).runs()} != whole or os.listdir(results / ".removing"):
        found.append("finishing was not all that it did")
    plan = removal.apply(Results(results), ALL)
    found += wrong_with(results, before, look)
    found += [f"{item.run_id}: {item.why}" for item in plan.of("failed")]
    left = {path.name for path in Results(results).runs()}
    if left != Results(results).pinned() or os.listdir(results / ".removing") or os.listdir(results / ".telemetry"):
        found.append(f"a second clean-up left {left}")
    return found


def killed_everywhere(
    forge: Any, copies: Copies, look: Any, *, half: bool = False, first_fault: bool = False, **request: Any
) -> tuple[list[str], list[str]]:
    """Kill a clean-up at its first, second, … call until it completes (or until the `first_fault` is found).

    Return where it died and what was wrong.
    """
    places: list[str] = []
    wrong: list[str] = []
    for n in range(1, 300):
        results = copies()
        before = contents(results, look)
        outcome = clean_up(forge, results, fault={"n": n, "half": half}, **request)
        wrong += [call for call in outcome.calls if call.startswith("uncounted")]
        if outcome.code != KILLED:
            assert (outcome.code, len(outcome.calls)) == (0, n - 1), outcome.stderr
            return places, wrong
        places.append(outcome.calls[-1])
        if outcome.calls[-1].startswith("read "):
            continue  # nothing has changed since the call before
        problems = wrong_with(results, before, look) + wrong_in_the_end(results, before, look)
        wrong += [f"killed at call {n} ({outcome.calls[-1]}): {problem}" for problem in problems]
        if wrong and first_fault:
            return places, wrong
    raise AssertionError("the clean-up did not complete")


def test_a_clean_up_killed_at_any_call_leaves_each_run_whole_or_removed(forge: Any, copies: Copies, look: Any) -> None:
    places, wrong = killed_everywhere(forge, copies, look)
    assert not wrong, "\n".join(wrong)
    steps = [re.sub(r"[0-9a-f-]{36}", "RUN", place) for place in places]
    assert {"mkdir .removing/RUN", "write ledger.jsonl", "rename RUN", "rmdir .removing/RUN"} <= set(steps)
    assert {"unlink .removing/RUN/plots/deep/equity.svg", "unlink .removing/RUN/report"} <= set(steps)
    assert "unlink .telemetry/RUN/traces.jsonl" in steps and "fchmod .removing/RUN/plots" in steps


def test_a_clean_up_killed_half_way_through_a_tombstone_leaves_the_run_whole(
    forge: Any, copies: Copies, look: Any
) -> None:
    places, wrong = killed_everywhere(forge, copies, look, half=True)
    assert not wrong, "\n".join(wrong)
    assert places == ["write ledger.jsonl"] * 2


@pytest.mark.hostile(share=3)
@pytest.mark.parametrize("number", range(40))
def test_a_clean_up_killed_at_any_instant_leaves_each_run_whole_or_removed(
    forge: Any, copies: Copies, look: Any, number: int
) -> None:
    results = copies()
    before = contents(results, look)
    look.killed_at_an_instant(
        "a clean-up", random.Random(number), copies, lambda **more: clean_up(forge, results, **more)
    )
    assert wrong_with(results, before, look) + wrong_in_the_end(results, before, look) == []


@pytest.mark.parametrize(
    "sabotage, found", [("delete_first", "has changed"), ("delete_in_place", "is removed, and shown")]
)
def test_control_a_clean_up_in_another_order_is_found_out(
    forge: Any, copies: Copies, look: Any, sabotage: str, found: str
) -> None:
    _, wrong = killed_everywhere(forge, copies, look, first_fault=True, sabotage=sabotage)
    assert any(found in problem for problem in wrong), wrong


def test_each_step_is_on_the_disk_before_the_next(forge: Any, copies: Copies) -> None:
    results = copies()
    run_ids = [path.name for path in Results(results).runs() if path.name not in Results(results).pinned()]
    calls = clean_up(forge, results, fault={"n": 0}).calls
    for run_id in run_ids:
        marked, renamed = calls.index(f"mkdir .removing/{run_id}"), calls.index(f"rename {run_id}")
        assert calls[marked + 1] == "fsync .removing"
        noted = calls.index("write ledger.jsonl", marked)
        assert calls[noted + 1] == "fsync ledger.jsonl"
        assert noted + 1 < renamed
        assert calls[renamed + 1] == "fsync ."
        deleted = [i for i, call in enumerate(calls) if re.match(rf"(unlink|rmdir) \S*{run_id}", call)]
        assert min(deleted) > renamed + 1


def test_any_call_of_a_clean_up_may_fail(forge: Any, copies: Copies, look: Any) -> None:
    places, wrong = set(), []
    for n in range(1, 300):
        results = copies()
        before = contents(results, look)
        outcome = clean_up(forge, results, fault={"n": n, "code": CODES[n % 3]})
        if len(outcome.calls) < n:
            assert outcome.code == 0
            break
        place = re.sub(r"[0-9a-f-]{36}", "RUN", outcome.calls[n - 1])
        places.add(place)
        problems = wrong_with(results, before, look)
        if outcome.code == 1:
            told = outcome.said("error") and outcome.said("hint") and "internal" not in outcome.stderr
            problems += [] if told else [f"not a sentence and a hint: {outcome.stderr}"]
        elif len(tombstones(results)) < 2:  # what it kept is in the table, with the reason
            problems += [] if "can't be read" in outcome.stdout else [f"said {outcome.stdout}"]
        if place in ("write ledger.jsonl", "fsync ledger.jsonl"):
            problems += [] if outcome.code == 1 else [f"exit {outcome.code}"]
        problems += wrong_in_the_end(results, before, look)
        wrong += [f"{CODES[n % 3]} at call {n} ({place}): {problem}" for problem in problems]
    assert not wrong, "\n".join(wrong)
    assert {"write ledger.jsonl", "fsync ledger.jsonl", "rename RUN", "fsync .", "fsync .removing"} <= places


def test_a_clean_up_interrupted_at_any_call_leaves_each_run_whole_or_removed(
    forge: Any, copies: Copies, look: Any
) -> None:
    calls = clean_up(forge, copies(), fault={"n": 0}).calls
    first, wrong = next(i for i, call in enumerate(calls, 1) if call.startswith("mkdir .removing/")), []
    for n in range(first, len(calls) + 1):
        results = copies()
        before = contents(results, look)
        outcome = clean_up(forge, results, fault={"n": n, "code": "SIGINT"})
        problems = wrong_with(results, before, look) + wrong_in_the_end(results, before, look)
        if (outcome.code, outcome.said("error")) != (1, ["interrupted"]):
            problems.append(f"exit {outcome.code}: {outcome.stderr}")
        wrong += [f"at call {n} ({calls[n - 1]}): {problem}" for problem in problems]
    assert not wrong, "\n".join(wrong)


def test_a_disk_that_fails_for_good_costs_no_run(forge: Any, copies: Copies, look: Any) -> None:
    results = copies()
    calls = clean_up(forge, results, fault={"n": 0}).calls
    for n in [i for i, call in enumerate(calls, 1) if call.startswith(("mkdir", "open", "write", "fsync", "rename"))]:
        results = copies()
        before = contents(results, look)
        outcome = clean_up(forge, results, fault={"n": n, "code": "EIO", "lasting": True})
        # a plan in which nothing can be read has nothing to remove, and says so
        assert outcome.code == 1 or "can't be read: " in outcome.stdout, outcome.calls[n - 1]
        # what could be said of the last line is not known to a process whose every call fails
        assert wrong_with(results, before, look) == [], outcome.calls[n - 1]


# --- several at once ----------------------------------------------------------------------------------------------


def test_clean_ups_runs_and_readers_go_on_side_by_side(forge: Any, config: Path, ram: Path) -> None:
    results = ram / "results"
    [first] = forge.ask({"do": "many", "runs": 3, "config": str(config), "results": str(results)})
    pinned = first.stdout.split()[0]
    pins.pin(Results(results), pinned)
    clean = {"do": "clean", "results": str(results), "keep": 2}
    many = {"do": "many", "runs": 8, "config": str(config), "results": str(results)}
    check = {"do": "check", "results": str(results)}
    outcomes = forge.ask(*(dict(request) for request in (clean, clean, clean, clean, many, many, check)))
    assert [outcome.code for outcome in outcomes] == [0] * 7, [outcome.stderr for outcome in outcomes]
    assert outcomes[-1].stdout == "", "what a reader saw"
    assert not [line for outcome in outcomes[:4] for line in outcome.stdout.splitlines() if "failed" in line]
    made = {*first.stdout.split(), *outcomes[4].stdout.split(), *outcomes[5].stdout.split()}
    gone, there = tombstones(results), {path.name for path in Results(results).runs()}
    assert len(made) == 19 and {*gone, *there} == made and len(gone) + len(there) == 19
    assert pinned in there and os.listdir(results / ".removing") == []
    starts = [entry for entry in Ledger(results).read().entries if entry.event == "start"]
    assert len(starts) == len(listing.rows(Results(results))) == 19
    removal.apply(Results(results), retention.Policy(keep=2, days=0))
    assert len(Results(results).runs()) in (2, 3)  # the pinned one may be among the last two
    assert [v.findings for v in verify.verify_all(Results(results), None, root=None) if v.findings] == []


def test_control_clean_ups_that_overlap_are_found_out(forge: Any, copies: Copies) -> None:
    results = copies()
    clean = {"do": "clean", "results": str(results), "rounds": 1, "keep": 0, "sabotage": "all_at_once"}
    outcomes = forge.ask(dict(clean), dict(clean))
    failed = [line for outcome in outcomes for line in outcome.stdout.splitlines() if line.startswith("failed")]
    assert failed or len(tombstones(results)) > 2 or any(outcome.code for outcome in outcomes)
