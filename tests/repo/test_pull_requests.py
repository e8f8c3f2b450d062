"""Before, at and after a pull request: the recipes, their scripts and the index of docs/ops."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

STARTED = {
    "scripts/ci/validate_git_state.sh": "scripts/ci/validate_git_state.py",
    "scripts/automation/open_pr.sh": "scripts/automation/open_pr.py",
    "scripts/automation/post_merge_verify.sh": "scripts/automation/post_merge_verify.py",
}


def test_validate_looks_at_the_git_state_then_lints_replays_the_golden_runs_and_tests(recipes: dict[str, Any]) -> None:
    needed = [(needed["recipe"], needed["arguments"]) for needed in recipes["validate"]["dependencies"]]
    state = ("git-state", ["--lenient", "--skip-fetch"])  # as it is while working
    assert needed == [state, ("lint", []), ("golden", ["check"]), ("test", [])]


@pytest.mark.parametrize("shell", STARTED)
def test_the_help_of_a_shell_script_names_every_option_of_what_it_starts(shell: str, root: Path, run: Any) -> None:
    def options(text: str) -> set[str]:
        return set(re.findall(r"^ +(--[\w-]+)", text, re.MULTILINE))

    python = run("python", STARTED[shell], "--help").stdout
    assert options(run(shell, "--help").stdout) == options(python) - {"--debug"}
    assert len(options(python)) > 5
    assert f" python {STARTED[shell]} " in (root / shell).read_text(encoding="utf-8")


def test_the_git_state_is_told_from_any_folder(tmp_path: Path, checkout: Path, run: Any) -> None:
    run("git", "init", "--quiet", str(tmp_path))
    (tmp_path / "größe 1.txt").touch()
    told = run(
        str(checkout / "scripts" / "ci" / "validate_git_state.sh"), "--root", str(tmp_path), "--json", cwd=tmp_path
    )
    assert told.returncode == 1
    assert json.loads(told.stdout)["findings"][0]["files"] == ["größe 1.txt"]


def test_the_index_lists_every_page_and_every_log(root: Path) -> None:
    folder = root / "docs" / "ops"
    listed = re.findall(r"^- \[.+\]\((.+?\.md)\)", (folder / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(path.name for path in folder.glob("*.md") if path.name != "README.md")
