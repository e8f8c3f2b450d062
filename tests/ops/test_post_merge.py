"""`just post-merge`: each step, where it passes and where it must not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peak_trade import script
from peak_trade.evidence.ledger import Ledger
from peak_trade.evidence.results import Results
from peak_trade.ops.post_merge import Step, verify

SCRIPT = script.repo_root() / "scripts" / "automation" / "post_merge_verify.py"
JUST = """case $1 in
test) echo '4 failed once'; echo '=== 7 passed, 1 skipped, 2 warnings in 3.21s ===' ;;
verify) echo 'intact      ledger.jsonl'; echo 'intact      0000'; echo 'intact      0001' ;;
esac"""


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    Ledger(folder).append("start", "0000", time="2024-01-01T00:00:00.000Z")
    return folder


@pytest.fixture
def calls(fake: Callable[[str, str], Path]) -> Path:
    return fake("just", JUST)


@pytest.fixture
def merged(repo: Any, upstream: Any) -> Any:
    """The clone on main, where PR 12 was merged last, with docs/ops under version control."""
    upstream.git("switch", "--quiet", "--create", "work")
    upstream.commit("Work", "docs/ops/page.md")
    upstream.git("switch", "--quiet", "main")
    upstream.git("merge", "--quiet", "--no-ff", "-m", "Merge pull request #12 from a/work\n\nTitle", "work")
    repo.git("pull", "--quiet", "--ff-only")
    return repo


def steps(repo: Any, results: Path, **options: Any) -> dict[str, Step]:
    return {step.name: step for step in verify(repo.root, Results(results), **options)}


def states(found: dict[str, Step]) -> dict[str, str]:
    return {name: step.state for name, step in found.items() if step.state != "ok"}


def test_a_merge_that_is_here_and_passes_is_all_ok(merged: Any, results: Path, calls: Path) -> None:
    found = steps(merged, results, expected=merged.git("rev-parse", "HEAD")[:9])
    assert states(found) == {}
    assert list(found) == ["branch", "checkout", "up to date", "head", "tests", "evidence", "ledger"]
    assert found["tests"].detail == "passed: 7 passed, 1 skipped"
    assert found["evidence"].detail == "passed: 2 runs intact"
    assert found["ledger"].detail == f"line 1, sha256 {Ledger(results).read().head}"
    assert calls.read_text(encoding="utf-8") == "test\nverify\n--all\n"


@pytest.mark.parametrize(
    ("do", "failed"),
    [
        (lambda repo, others: repo.git("switch", "--quiet", "--create", "other"), "branch"),
        (lambda repo, others: repo.write("begun.txt", "changed\n"), "checkout"),
        (lambda repo, others: others.commit("later"), "up to date"),
        (lambda repo, others: repo.commit("of ours"), "up to date"),
    ],
)
def test_a_checkout_that_is_not_the_merge_fails_and_is_not_tested(
    do: Callable[[Any, Any], Any], failed: str, merged: Any, upstream: Any, results: Path, calls: Path
) -> None:
    do(merged, upstream)
    assert states(steps(merged, results)) == {failed: "failed", "tests": "skipped"}
    assert "test\n" not in calls.read_text(encoding="utf-8")


@pytest.mark.parametrize(("expected", "detail"), [("HEAD~1", "HEAD is "), ("0123abc", "there is no commit 0123abc")])
def test_another_head_than_expected_fails(expected: str, detail: str, merged: Any, results: Path, calls: Path) -> None:
    head = steps(merged, results, expected=expected)["head"]
    assert head.state == "failed"
    assert head.detail.startswith(detail)


def test_a_remote_that_cannot_be_reached_is_a_warning(merged: Any, results: Path, calls: Path, tmp_path: Path) -> None:
    merged.git("remote", "set-url", "origin", str(tmp_path / "gone"))
    assert states(steps(merged, results)) == {"up to date": "warn"}


@pytest.mark.parametrize(("recipe", "step"), [("test", "tests"), ("verify", "evidence")])
def test_a_recipe_that_fails_is_a_step_that_fails(
    recipe: str, step: str, merged: Any, results: Path, fake: Callable[[str, str], Path]
) -> None:
    fake("just", f"[ $1 != {recipe} ] || exit 3")
    found = steps(merged, results)
    assert states(found) == {step: "failed"}
    assert found[step].detail == "failed with exit code 3"


def test_a_ledger_that_is_broken_fails_and_none_is_a_warning(merged: Any, results: Path, calls: Path) -> None:
    (results / "ledger.jsonl").write_text("{}\n", encoding="utf-8")
    assert states(steps(merged, results)) == {"ledger": "failed"}
    (results / "ledger.jsonl").unlink()
    assert states(steps(merged, results)) == {"ledger": "warn"}


# the pull request and its log


def log_of(repo: Any) -> Path:
    return Path(repo.root / "docs" / "ops" / "PR_12_MERGE_LOG.md")


def answer(state: str, commit: str) -> str:
    return f"""echo '{{"state": "{state}", "mergeCommit": {{"oid": "{commit}"}}, "body": "Because."}}'"""


def test_a_log_is_written_once_and_then_checked(
    merged: Any, results: Path, calls: Path, fake: Callable[[str, str], Path]
) -> None:
    fake("gh", answer("MERGED", merged.git("rev-parse", "HEAD")))
    merged.write("docs/ops/README.md", "# Index\n")
    merged.commit("Add an index")
    merged.git("push", "--quiet", "origin", "HEAD:main-2")
    merged.git("remote", "set-head", "origin", "--delete")
    first = steps(merged, results, number=12, branch="main-2")
    assert first.pop("branch").state == "failed"  # main is not called main-2; nothing is written for it
    assert not log_of(merged).exists()
    merged.git("branch", "--move", "main-2")
    first = steps(merged, results, number=12, branch="main-2")
    assert states(first) == {}
    assert first["merge log"].detail == "PR_12_MERGE_LOG.md is written"
    before = log_of(merged).read_bytes()
    assert b"- `just test`: passed: 7 passed, 1 skipped\n- `just verify --all`: passed: 2 runs intact\n" in before
    assert b"## Why\n\nBecause.\n" in before
    Ledger(results).append("start", "0001")
    second = steps(merged, results, number=12, branch="main-2")
    assert states(second) == {}
    assert second["merge log"].detail == "PR_12_MERGE_LOG.md is as git says"
    assert log_of(merged).read_bytes() == before


def test_a_log_that_was_forged_fails(merged: Any, results: Path, calls: Path) -> None:
    steps(merged, results, number=12)
    log_of(merged).write_text(log_of(merged).read_text(encoding="utf-8").replace("Title", "Titles"), encoding="utf-8")
    found = steps(merged, results, number=12)
    assert found["merge log"].state == "failed"
    assert found["merge log"].detail == "PR_12_MERGE_LOG.md: the generated part `merge` was edited by hand"


def test_a_log_is_not_written_where_a_step_failed(merged: Any, results: Path, fake: Callable[[str, str], Path]) -> None:
    fake("just", "[ $1 != test ]")
    assert steps(merged, results, number=12)["merge log"].state == "skipped"
    assert not log_of(merged).exists()


def test_tests_that_were_skipped_are_run_for_the_log_the_next_time(merged: Any, results: Path, calls: Path) -> None:
    assert states(steps(merged, results, number=12, skip_tests=True))["tests"] == "skipped"
    assert "- `just test`: skipped, as asked" in log_of(merged).read_text(encoding="utf-8")
    assert "is updated" in steps(merged, results, number=12)["merge log"].detail
    assert "- `just test`: passed: 7 passed" in log_of(merged).read_text(encoding="utf-8")


def test_without_gh_the_history_alone_tells(merged: Any, results: Path, calls: Path) -> None:
    found = steps(merged, results, number=12)
    assert found["pull request"] == Step("pull request", "warn", "GitHub was not asked: gh is missing", "install gh")
    assert log_of(merged).exists()


@pytest.mark.parametrize(
    ("state", "commit", "detail"),
    [
        ("OPEN", "HEAD", "PR 12 is open"),
        ("MERGED", "origin/work", None),
        ("MERGED", "unknown", "PR 12 is unknown, which is not in HEAD"),
    ],
)
def test_what_github_says_is_compared_with_the_history(
    state: str,
    commit: str,
    detail: str | None,
    merged: Any,
    results: Path,
    calls: Path,
    fake: Callable[[str, str], Path],
) -> None:
    fake("gh", answer(state, commit if commit == "unknown" else merged.git("rev-parse", commit)))
    step = steps(merged, results, number=12)["pull request"]
    assert step.state == ("failed" if detail else "ok")
    assert step.detail == detail or not detail


@pytest.mark.parametrize("said", [r"printf '\377'", """echo '{"state": "MERGED", "mergeCommit": {"oid": null}}'"""])
def test_an_answer_of_github_that_does_not_tell_is_a_warning(
    said: str, merged: Any, results: Path, calls: Path, fake: Callable[[str, str], Path]
) -> None:
    fake("gh", said)
    assert steps(merged, results, number=12)["pull request"].state == "warn"


def test_a_number_that_no_merge_has_fails(merged: Any, results: Path, calls: Path) -> None:
    found = steps(merged, results, number=13)
    assert found["merge log"].detail == "no commit of this history merges pull request 13"


# the script


def call(repo: Any, results: Path, *options: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, str(SCRIPT), "--root", str(repo.root), "--results-dir", str(results), *options]
    return subprocess.run(words, capture_output=True, text=True, timeout=120)


def test_it_prints_a_line_a_step_and_a_summary(merged: Any, results: Path, calls: Path) -> None:
    told = call(merged, results, "--skip-tests")
    head, line = merged.git("rev-parse", "HEAD"), Ledger(results).read().head
    assert told.stdout == (
        "ok      branch        on main\n"
        "ok      checkout      clean, nothing half done, nothing stale\n"
        "ok      up to date    the same as origin/main\n"
        f"ok      head          {head}\n"
        "skipped tests         skipped, as asked\n"
        "ok      evidence      passed: 2 runs intact\n"
        f"ok      ledger        line 1, sha256 {line}\n"
        "ok      post-merge    7 steps: 6 ok, 1 skipped\n"
    )
    assert told.returncode == 0
    assert "intact      0001" in told.stderr


def test_json_holds_the_steps_and_the_exit_code_follows(merged: Any, results: Path, calls: Path) -> None:
    told = call(merged, results, "--json", "--expected", "0123abc")
    answered = json.loads(told.stdout)
    assert (told.returncode, answered["state"]) == (1, "failed")
    assert answered["steps"][3] == {
        "name": "head",
        "state": "failed",
        "detail": "there is no commit 0123abc",
        "hint": "git fetch",
    }


def test_strict_makes_a_warning_fail(merged: Any, results: Path, calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(merged, results, "--pr", "12").returncode == 0
    monkeypatch.setenv("PEAK_STRICT", "1")
    assert call(merged, results, "--pr", "12").returncode == 1


def test_no_repository_is_a_usage_error(bin_dir: Path, tmp_path: Path, results: Path) -> None:
    told = subprocess.run(
        [sys.executable, str(SCRIPT), "--root", str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert told.returncode == 2
