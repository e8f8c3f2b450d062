"""What a clean-up makes of sweeps: a parent and what was kept of it stay or go together, and no count goes down."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.conftest import CONFIGS, Evidence
from tests.trust.sweeping import sweep_of_csv

from peak_trade.evidence import pins
from peak_trade.evidence.results import Results
from peak_trade.ops import removal, retention
from peak_trade.ops.retention import Policy
from peak_trade.trust.luck.family import Families

LATER = datetime.now(UTC) + timedelta(days=100)


@pytest.fixture(scope="module")
def swept_once(sealed_once: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """An older run, and after it a sweep with two kept runs."""
    root = tmp_path_factory.mktemp("swept")
    shutil.copytree(sealed_once.root / "data", root / "data")
    made = Evidence(root, root / "results", {})
    made.run("older", CONFIGS["builtin"])
    sweep_of_csv(made, "parent", keep=2)
    return made


@pytest.fixture
def swept(swept_once: Evidence, tmp_path: Path) -> Evidence:
    """A copy of them."""
    return swept_once.copy(tmp_path / "repository")


def kept(evidence: Evidence) -> list[str]:
    return list(evidence.manifest("parent")["predicate"]["runDetails"]["metadata"]["kept"].values())


def fate(evidence: Evidence, policy: Policy) -> dict[str, tuple[str, str]]:
    plan = retention.plan(Results(evidence.results), policy, now=LATER)
    return {item.run_id: (item.action, item.why) for item in plan.items}


def trials(evidence: Evidence) -> int:
    return sum(one.trials for one in Families(Results(evidence.results).reading()).every())


def test_a_sweep_is_one_among_the_last_runs_whatever_was_kept_of_it(swept: Evidence) -> None:
    found = fate(swept, Policy(keep=2, days=1))
    assert {action for action, _ in found.values()} == {"keep"}
    for run_id in kept(swept):
        assert found[run_id] == ("keep", f"kept of {swept.runs['parent'][:8]}, which stays")
    assert fate(swept, Policy(keep=1, days=1))[swept.runs["older"]][0] == "remove"  # the control


def test_what_was_kept_goes_with_its_parent_and_every_trial_counts_on(swept: Evidence) -> None:
    before = trials(swept)
    assert before == 8 + 1
    removal.apply(Results(swept.results), Policy(keep=0, days=1), now=LATER)
    assert Results(swept.results).runs() == []
    assert trials(swept) == before


def test_a_pinned_sweep_keeps_what_was_kept_of_it(swept: Evidence) -> None:
    pins.pin(Results(swept.results), swept.runs["parent"])
    found = fate(swept, Policy(keep=0, days=1))
    assert found[swept.runs["parent"]] == ("keep", "pinned")
    assert {found[run_id][0] for run_id in kept(swept)} == {"keep"}
    assert found[swept.runs["older"]][0] == "remove"


def test_a_kept_run_that_is_pinned_outlives_its_parent(swept: Evidence) -> None:
    first, second = kept(swept)
    pins.pin(Results(swept.results), first)
    found = fate(swept, Policy(keep=0, days=1))
    assert (found[first], found[second][0]) == (("keep", "pinned"), "remove")
    removal.apply(Results(swept.results), Policy(keep=0, days=1), now=LATER)
    assert [path.name for path in Results(swept.results).runs()] == [first]
    assert trials(swept) == 8 + 1


def test_what_a_sweep_that_has_ended_left_of_its_trials_goes_and_of_one_under_way_stays(swept: Evidence) -> None:
    results = Results(swept.results)
    going = "11111111-2222-4333-8444-555555555555"
    results.ledger.append("start", going, kind="swept")
    for run_id in (swept.runs["parent"], going):
        folder = swept.results / ".sweeps" / run_id / "rows"
        folder.mkdir(parents=True)
        (folder / "0-000000").write_bytes(b"rows")
    plan = removal.apply(results, Policy(), now=datetime.now(UTC))
    assert [(item.run_id, item.status, item.action) for item in plan.items if item.status == "sweep"] == [
        (swept.runs["parent"], "sweep", "removed")
    ]
    assert [path.name for path in (swept.results / ".sweeps").iterdir()] == [going]
    assert swept.path("parent").is_dir()
