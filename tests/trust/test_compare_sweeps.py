"""Two sweeps side by side: what was searched, how the trials moved, and which trials of both came to something else."""

from __future__ import annotations

import shutil
import statistics
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Evidence
from tests.trust.sweeping import edit_rows, rows_of, sweep_of_csv

from peak_trade.trust import compare, difference


@pytest.fixture(scope="module")
def made_once(sealed_once: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """`a` and `same` are one sweep made twice, `wider` has more values of one key, `dearer` other costs."""
    root = tmp_path_factory.mktemp("compared")
    shutil.copytree(sealed_once.root / "data", root / "data")
    made = Evidence(root, root / "results", {})
    sweep_of_csv(made, "a", keep=1)
    sweep_of_csv(made, "same")
    sweep_of_csv(
        made, "wider", grid=("strategy.params.fast=3,4,8", "strategy.params.slow=8,12", "stops.stop_loss=0.9,0.95")
    )
    return made


@pytest.fixture
def made(made_once: Evidence, tmp_path: Path) -> Evidence:
    """A copy of them."""
    return made_once.copy(tmp_path / "repository")


def compared(evidence: Evidence, *names: str, **options: Any) -> compare.Comparison:
    return compare.compare([difference.read(evidence.path(name)) for name in names], **options)


def test_a_sweep_made_twice_is_the_same_trial_by_trial(made: Evidence) -> None:
    found = compared(made, "a", "same")
    assert found.same
    (one,) = found.searches
    assert (one.common, one.differ, one.only_a, one.only_b) == (8, 0, 0, 0)
    assert one.a == one.b
    assert "8 trials in both (0 came to something else)" in compare.as_text(found)
    assert found.to_json_object()["searches"][0]["common"] == 8


def test_what_one_of_them_searched_beside_is_named_and_counted(made: Evidence) -> None:
    found = compared(made, "a", "wider")
    (one,) = found.searches
    assert not found.same
    assert (one.common, one.differ, one.only_a, one.only_b) == (8, 0, 0, 4)
    axis = next(row for row in found.inputs if row.name == "search strategy.params.fast")
    assert axis.values == [[3, 8], [3, 4, 8]]
    ratios = sorted(float(row["sharpe"]) for row in rows_of(made.path("wider") / "trials.csv")
                    if row["status"] == "done" and not row["duplicate_of"])  # fmt: skip
    assert (one.b.least, one.b.most) == (ratios[0], ratios[-1])
    assert one.b.median == pytest.approx(statistics.median(ratios))


def test_a_trial_that_came_to_something_else_is_named_by_its_values(made: Evidence) -> None:
    edit_rows(made, "same", lambda rows: rows[2].update(sharpe="0.25", equity_digest="ab" * 32))
    made.forge("same")
    found = compared(made, "a", "same")
    (one,) = found.searches
    assert (one.common, one.differ) == (8, 1)
    assert (one.others[0].index_a, one.others[0].b) == (2, 0.25)
    assert not found.same
    assert "trial 2 (fast=3, slow=12, stops.stop_loss=0.9): sharpe" in compare.as_text(found)


def test_a_sweep_and_a_run_are_compared_by_what_was_chosen_and_that_is_said(made: Evidence) -> None:
    kept = made.manifest("a")["predicate"]["runDetails"]["metadata"]["kept"]
    made.runs["kept"] = next(iter(kept.values()))
    found = compared(made, "a", "kept")
    assert found.searches == [] and found.same
    assert "A is the parent of a sweep: its figures are those of what was chosen there" in compare.as_text(found)


def test_two_kept_runs_are_compared_as_any_others(made: Evidence) -> None:
    kept = made.manifest("a")["predicate"]["runDetails"]["metadata"]["kept"]
    made.runs["kept"] = next(iter(kept.values()))
    found = compared(made, "kept", "kept")
    assert (found.same, found.said, found.searches) == (True, [], [])
