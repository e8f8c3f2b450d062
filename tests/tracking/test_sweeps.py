"""A sweep in MLflow: its parent is a run that says what was chosen, its kept runs stand under it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.conftest import Evidence
from tests.trust.sweeping import sweep_of_csv

from peak_trade.tracking.content import run_content


def test_kept_runs_stand_under_their_parent_which_says_what_was_chosen(sealed_once: Evidence, tmp_path: Path) -> None:
    shutil.copytree(sealed_once.root / "data", tmp_path / "data")
    made = Evidence(tmp_path, tmp_path / "results", {})
    parent = sweep_of_csv(made, "parent", keep=2)
    told = made.manifest("parent")["predicate"]
    content = run_content(parent)
    chosen = told["results"]["chosen"]
    assert content.status == "FINISHED"
    assert (content.tags["kind"], content.tags["trials"]) == ("swept", "8")
    assert content.tags["chosen"].startswith(f"trial {chosen['index']}: strategy.params.fast=")
    assert "parent_run_id" not in content.tags
    assert {key: value for key, value, *_ in content.metrics}["sharpe"] == told["results"]["summary"]["sharpe"]
    kept = told["runDetails"]["metadata"]["kept"]
    for at, run_id in kept.items():
        child = run_content(made.results / run_id)
        assert (child.tags["parent_run_id"], child.tags["trial"]) == (parent.name, at)
