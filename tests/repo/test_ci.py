"""CI calls recipes and nothing else, with actions pinned by commit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

WORKFLOWS = sorted((Path(__file__).parents[2] / ".github" / "workflows").glob("*.yml"))
SET_UP = "pip install uv rust-just"

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def steps(path: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


def commands(path: Path) -> list[str]:
    return [step["run"] for step in steps(path) if "run" in step]


def test_there_are_workflows() -> None:
    assert [path.stem for path in WORKFLOWS] == ["ci", "evidence", "lint", "retention"]


@each_workflow
def test_a_workflow_sets_up_and_calls_recipes(path: Path, recipes: dict[str, Any]) -> None:
    assert commands(path)[0] == SET_UP
    for command in commands(path)[1:]:
        just, recipe, *_ = command.split()
        assert just == "just"
        assert recipe in recipes


@each_workflow
def test_an_action_is_pinned_by_commit_with_its_version_beside_it(path: Path) -> None:
    used = re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))
    assert len(used) == sum("uses" in step for step in steps(path)) > 0
    assert [line for line in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


@each_workflow
def test_a_workflow_has_no_rights_but_to_read(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {}
    assert {
        name: job["permissions"] for name, job in workflow["jobs"].items() if job["permissions"] != {"contents": "read"}
    } == {}


@each_workflow
def test_a_checkout_leaves_no_credentials(path: Path) -> None:
    checkouts = [step for step in steps(path) if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_ci_yml_and_ci_run_and_just_ci_do_the_same(root: Path, recipes: dict[str, Any]) -> None:
    in_workflow = [command for command in commands(root / ".github/workflows/ci.yml") if command != SET_UP]
    in_script = re.findall(r"^part \w+ (just .*)$", (root / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)
    in_recipe = [dependency["recipe"] for dependency in recipes["ci"]["dependencies"]]
    assert in_workflow == in_script
    assert [command.split()[1] for command in in_script] == in_recipe


def test_the_tests_run_last_so_that_their_closing_line_does_too(recipes: dict[str, Any]) -> None:
    assert recipes["ci"]["dependencies"][-1]["recipe"] == "test"
