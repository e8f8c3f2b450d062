"""`just pr`: what is checked, what is filled in, and which commands open the pull request."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peak_trade import script
from peak_trade.errors import InputError
from peak_trade.evidence.ledger import Ledger
from peak_trade.evidence.results import Results
from peak_trade.ops import pull_request
from peak_trade.ops.git import Git
from peak_trade.ops.git_state import Base

ROOT = script.repo_root()
SCRIPT = ROOT / "scripts" / "automation" / "open_pr.py"
MAIN = Base("main", "origin")
SECTIONS = "## What\n\n<!-- what -->\n\n## Why\n\n<!-- why -->\n\n## Verification\n\n<!-- verification -->\n\n"
TEMPLATE = f"Intro.\n\n{SECTIONS}## End\n"


@pytest.fixture
def repo(repo: Any) -> Any:
    """The clone with a template, on a branch `fix/odd_fills-twice` of its own."""
    repo.write(".github/pull_request_template.md", TEMPLATE)
    repo.commit("Add a template")
    repo.git("push", "--quiet", "origin", "main:main-2")
    repo.git("update-ref", "refs/remotes/origin/main", "HEAD")
    repo.git("switch", "--quiet", "--create", "fix/odd_fills-twice")
    return repo


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


def call(repo: Any, results: Path, *options: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, str(SCRIPT), "--root", str(repo.root), "--results-dir", str(results), *options]
    return subprocess.run(words, capture_output=True, text=True, timeout=120)


# what is filled in


def test_a_branch_of_one_commit_is_called_after_it(repo: Any) -> None:
    repo.commit("Fill twice no more\n\nIt cost money.", "a.txt")
    assert pull_request.read(Git(repo.root), MAIN).title == "Fill twice no more"


def test_a_branch_of_more_is_called_by_its_name_in_words(repo: Any) -> None:
    repo.commit("one")
    repo.commit("two")
    assert pull_request.read(Git(repo.root), MAIN).title == "Odd fills twice"


def test_commits_are_those_since_the_base_oldest_first_without_merges_of_it(repo: Any, upstream: Any) -> None:
    repo.commit("one", "a.txt")
    repo.git("switch", "--quiet", "main")
    moved_on = repo.commit("Of others", "b.txt")
    repo.git("update-ref", "refs/remotes/origin/main", moved_on)
    repo.git("switch", "--quiet", "-")
    repo.git("merge", "--quiet", "--no-edit", "main")
    repo.commit("two", "c.txt")
    change = pull_request.read(Git(repo.root), MAIN)
    assert [subject for subject, _ in change.commits] == ["one", "two"]
    assert change.areas == {"a.txt": 1, "c.txt": 1}


def test_what_the_base_changed_meanwhile_is_no_change_of_the_branch(repo: Any) -> None:
    repo.commit("one", "a.txt")
    repo.git("switch", "--quiet", "main")
    repo.git("update-ref", "refs/remotes/origin/main", repo.commit("Of others", "b.txt"))
    repo.git("switch", "--quiet", "-")
    assert pull_request.read(Git(repo.root), MAIN).areas == {"a.txt": 1}


def test_areas_are_folders_two_levels_deep(repo: Any) -> None:
    repo.commit("All over", "src/peak/a/b.py", "src/peak/c.py", "docs/d.md", "justfile", "tests/größe.py")
    areas = {"docs": 1, "justfile": 1, "src/peak": 2, "tests": 1}
    assert pull_request.read(Git(repo.root), MAIN).areas == areas


def test_the_template_is_filled_in_after_its_markers(repo: Any, results: Path) -> None:
    repo.commit("Fill <b>once</b>\n\nIt cost money.\n\nSigned-off-by: A <b@c>", "src/peak/a.py")
    repo.commit("Test it", "tests/b.py")
    Ledger(results).append("start", "0000", time="2024-01-01T00:00:00.000Z")
    change = pull_request.read(Git(repo.root), MAIN)
    text = pull_request.body(repo.root, change, [("just validate", "passed")], Results(results))
    head = Ledger(results).read().head
    assert text == (
        "Intro.\n\n## What\n\n<!-- what -->\n\n- Fill &lt;b&gt;once&lt;/b&gt;\n- Test it\n\n"
        "Changed: src/peak (1 file), tests (1 file).\n\n"
        "## Why\n\n<!-- why -->\n\nIt cost money.\n\n"
        f"## Verification\n\n<!-- verification -->\n\n- `just validate`: passed\n- Ledger: Line 1, sha256 `{head}`\n\n"
        "## End\n"
    )


def test_without_a_reason_its_place_stays_empty(repo: Any, results: Path) -> None:
    repo.commit("one")
    text = pull_request.body(repo.root, pull_request.read(Git(repo.root), MAIN), [], Results(results))
    assert "<!-- why -->\n\n## Verification" in text


def test_our_own_template_has_every_marker() -> None:
    text = (ROOT / pull_request.TEMPLATE).read_text(encoding="utf-8")
    assert [text.count(f"\n<!-- {name} -->\n\n") for name in ("what", "why", "verification")] == [1, 1, 1]


@pytest.mark.parametrize(
    ("do", "message"),
    [
        (lambda repo: None, "`fix/odd_fills-twice` adds no commit to origin/main"),
        (lambda repo: repo.git("switch", "--quiet", "main"), "`main` is the base itself"),
        (lambda repo: repo.git("switch", "--quiet", "--detach"), "no branch is checked out"),
        (lambda repo: repo.git("update-ref", "-d", "refs/remotes/origin/main"), "there is no base `origin/main` here"),
    ],
)
def test_where_there_is_nothing_to_open_that_is_said(do: Callable[[Any], Any], message: str, repo: Any) -> None:
    do(repo)
    with pytest.raises(InputError) as refused:
        pull_request.read(Git(repo.root), MAIN)
    assert refused.value.message == message


def test_without_a_template_nothing_is_made_up(repo: Any, results: Path) -> None:
    shutil.rmtree(repo.root / ".github")
    repo.commit("Remove it")
    with pytest.raises(InputError, match=r"there is no \.github/pull_request_template\.md"):
        pull_request.body(repo.root, pull_request.read(Git(repo.root), MAIN), [], Results(results))


# what is called


@pytest.fixture
def work(repo: Any, upstream: Any) -> Any:
    """The branch with a commit, not pushed; its base is on the remote."""
    upstream.git("merge", "--quiet", "main-2")
    repo.commit("It's a `fill`\n\nIt cost money.", "a.txt")
    return repo


def test_without_gh_the_commands_are_printed_and_can_be_pasted(
    work: Any, results: Path, fake: Callable[[str, str], Path]
) -> None:
    told = call(work, results, "--skip-checks", "--draft")
    assert told.returncode == 0
    assert told.stderr.startswith("warn: gh is missing")
    calls = fake("gh", "")
    subprocess.run(["sh", "-euc", told.stdout], cwd=work.root, check=True, capture_output=True, timeout=120)
    assert work.git("rev-parse", "origin/fix/odd_fills-twice") == work.git("rev-parse", "HEAD")
    given = calls.read_text(encoding="utf-8")
    assert given.startswith(
        "pr\ncreate\n--base\nmain\n--head\nfix/odd_fills-twice\n--title\nIt's a `fill`\n--body\nIntro.\n"
    )
    assert "\nIt cost money.\n" in given
    assert "- `just validate`: skipped\n" in given
    assert given.endswith("## End\n\n--draft\n")


def test_with_gh_it_is_pushed_and_opened_and_the_address_is_printed(
    work: Any, results: Path, fake: Callable[[str, str], Path]
) -> None:
    checked = fake("just", "echo validated")
    fake("gh", "echo https://example.org/pull/7")
    told = call(work, results, "--title", "Mine")
    assert (told.returncode, told.stdout) == (0, "https://example.org/pull/7\n"), told.stderr
    assert checked.read_text(encoding="utf-8") == "validate\n"
    assert "validated" in told.stderr
    assert work.git("rev-parse", "origin/fix/odd_fills-twice") == work.git("rev-parse", "HEAD")


def test_a_dry_run_opens_nothing_and_says_what_passed(
    work: Any, results: Path, fake: Callable[[str, str], Path]
) -> None:
    fake("just", "")
    calls = fake("gh", "")
    told = call(work, results, "--dry-run")
    push, create = told.stdout.split("\n", 1)
    assert push == "git push --set-upstream origin fix/odd_fills-twice"
    text = shlex.split(create)[shlex.split(create).index("--body") + 1]
    assert "- `just git-state --strict`: fit\n- `just validate`: passed\n- Ledger: There is no ledger here" in text
    assert not calls.exists()
    assert "fix/odd_fills-twice" not in work.git("ls-remote", "origin")


def test_a_branch_that_is_pushed_is_not_pushed_again(work: Any, results: Path) -> None:
    work.git("push", "--quiet", "--set-upstream", "origin", "HEAD")
    assert call(work, results, "--skip-checks").stdout.startswith("gh pr create ")


def test_a_tree_that_is_not_clean_stops_it_before_the_tests(
    work: Any, results: Path, fake: Callable[[str, str], Path]
) -> None:
    checked = fake("just", "")
    work.write("new.txt")
    told = call(work, results)
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.startswith("error  untracked   1 file untracked: new.txt")
    assert "error: the checkout is not fit for a pull request\nhint: " in told.stderr
    assert not checked.exists()


def test_checks_that_fail_stop_it(work: Any, results: Path, fake: Callable[[str, str], Path]) -> None:
    fake("just", "echo broken; exit 1")
    calls = fake("gh", "")
    told = call(work, results)
    assert (told.returncode, told.stdout) == (1, "")
    assert "broken\nerror: `just validate` failed\n" in told.stderr
    assert not calls.exists()


def test_a_gh_that_fails_is_a_failure(work: Any, results: Path, fake: Callable[[str, str], Path]) -> None:
    fake("gh", "echo 'already exists' >&2; exit 1")
    told = call(work, results, "--skip-checks")
    assert told.returncode == 1
    assert "already exists\nerror: gh pr create failed\n" in told.stderr
