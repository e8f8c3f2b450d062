"""What GitHub reads: the template that `just pr` fills in, and workflows that are off until somebody turns them on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml


@pytest.fixture(scope="module")
def workflow(root: Path) -> Any:
    """Read a workflow by name, with its one job."""

    def read(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        text = yaml.safe_load((root / ".github" / "workflows" / name).read_text(encoding="utf-8"))
        (job,) = text["jobs"].values()
        return text, job

    return read


@pytest.mark.parametrize("marker", ["what", "why", "verification"])
def test_the_template_has_a_place_for_what_is_filled_in(marker: str, root: Path) -> None:
    text = (root / ".github" / "pull_request_template.md").read_text(encoding="utf-8")
    assert len(re.findall(rf"\n\n<!-- {marker} -->\n\n", text)) == 1


def test_nobody_is_asked_for_a_review_until_somebody_says_who(root: Path) -> None:
    places = [root / folder / "CODEOWNERS" for folder in (".", ".github", "docs")]
    assert [path for path in places if path.exists()] == []


def test_the_example_of_owners_names_what_exists(root: Path) -> None:
    lines = (root / ".github" / "CODEOWNERS.example").read_text(encoding="utf-8").splitlines()
    paths = [line.split()[0] for line in lines if line.startswith("/")]
    assert len(paths) > 5
    assert [path for path in paths if not (root / path.strip("/")).exists()] == []


def test_dependabot_looks_where_there_is_something(root: Path) -> None:
    settings = yaml.safe_load((root / ".github" / "dependabot.yml").read_text(encoding="utf-8"))
    ecosystems = {entry["package-ecosystem"]: entry["directory"] for entry in settings["updates"]}
    assert ecosystems.pop("github-actions") == "/"
    assert all((root / folder.strip("/") / "docker-compose.yml").is_file() for folder in ecosystems.values())
    assert {entry["cooldown"]["default-days"] >= 7 for entry in settings["updates"]} == {True}


def test_retention_is_off_until_a_folder_is_named(workflow: Any) -> None:
    _, job = workflow("retention.yml")
    assert job["if"] == "vars.PEAK_RESULTS_DIR != ''"
    assert job["env"]["PEAK_RESULTS_DIR"] == "${{ vars.PEAK_RESULTS_DIR }}"


def test_retention_plans_before_it_removes_and_removes_only_when_told(workflow: Any) -> None:
    _, job = workflow("retention.yml")
    plan, apply = [step for step in job["steps"] if step.get("run", "").startswith("just ")]
    assert plan == {"run": "just clean-artifacts"}
    assert apply == {"run": "just clean-artifacts --apply", "if": "vars.PEAK_RETENTION_APPLY == '1'"}


def test_evidence_of_both_stages_is_kept_and_nothing_may_be_skipped(workflow: Any) -> None:
    _, job = workflow("evidence.yml")
    ran = [step["run"] for step in job["steps"] if step.get("run", "").startswith("just ")]
    assert job["env"]["PEAK_STRICT"] == "1"
    assert ran == ["just setup all", "just p1 config/my_strategy.toml", "just p2", "just verify --all"]
    kept = job["steps"][-1]
    assert kept["uses"].startswith("actions/upload-artifact@")
    assert (kept["with"]["path"], kept["with"]["if-no-files-found"]) == ("results/", "error")
    assert kept["if"] == "${{ !cancelled() }}"
