"""`peak_trade.ops.merge_log`: what git knows of a merge, in a file that people may write in."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peak_trade import script
from peak_trade.errors import InputError, RunError
from peak_trade.evidence.ledger import Ledger
from peak_trade.evidence.results import Results
from peak_trade.ops import merge_log
from peak_trade.ops.git import Git
from peak_trade.ops.merge_log import Result

ROOT = script.repo_root()
SCRIPT = ROOT / "scripts" / "automation" / "merge_log.py"
PASSED = [Result("just test", "passed: 7 passed"), Result("just verify --all", "passed: 2 runs intact")]
TITLE = "Add <b>bold</b> | `code` [[[cog import os]]] <!-- end -->"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    for event in ("start", "sealed"):
        Ledger(folder).append(event, "0000", time="2024-01-01T00:00:00.000Z")
    return folder


@pytest.fixture
def merged(repo: Any) -> Any:
    """A repository in which PR 12 was merged by a merge commit, and PR 13 squashed."""
    repo.git("switch", "--quiet", "--create", "work")
    repo.commit(
        "Add one `thing`\n\nIt was missing.\n\nCo-authored-by: Some One <a@example.org>", "a file.txt", "old.txt"
    )
    repo.commit(TITLE, "src/größe.py")
    repo.git("mv", "old.txt", "new|name.txt")
    (repo.root / "picture.bin").write_bytes(b"\0")
    repo.commit("Move a file")
    repo.git("switch", "--quiet", "main")
    repo.git("merge", "--quiet", "--no-ff", "-m", f"Merge pull request #12 from some-one/work\n\n{TITLE}", "work")
    repo.commit("Mend it (#13)\n\n* first\n* second", "begun.txt")
    repo.commit('Revert "Mend it (#13)"')
    return repo


def log_of(repo: Any) -> Path:
    return merge_log.log_path(repo.root, 12)


def write(repo: Any, results: Path, **more: Any) -> str:
    return merge_log.write(repo.root, merge_log.find(Git(repo.root), 12), Results(results), **more)


# finding the merge


def test_a_merge_commit_tells_its_commits_files_and_title(merged: Any) -> None:
    merge = merge_log.find(Git(merged.root), 12)
    assert (merge.title, merge.kind, merge.time) == (TITLE, "a merge commit", "2024-05-06T05:08:09Z")
    assert [subject for _, subject in merge.commits] == ["Add one `thing`", TITLE, "Move a file"]
    assert merge.files == [
        ("a file.txt", "+5 −0"),
        ("new|name.txt", "+5 −0"),
        ("picture.bin", "binary"),
        ("src/größe.py", "+1 −0"),
    ]


def test_a_squashed_one_is_a_single_commit_without_its_number(merged: Any) -> None:
    merge = merge_log.find(Git(merged.root), 13)
    assert (merge.title, merge.kind, len(merge.commits)) == ("Mend it", "a single commit", 1)
    assert merge.commit == merged.git("rev-parse", "HEAD~1")


def test_a_rename_is_one_file(merged: Any) -> None:
    merged.git("mv", "a file.txt", "b file.txt")
    merge = merge_log.find(Git(merged.root), 14, merged.commit("Rename"))
    assert merge.files == [("a file.txt → b file.txt", "+0 −0")]


def test_the_first_commit_of_all_can_be_named(merged: Any) -> None:
    first = merged.git("rev-list", "--max-parents=0", "HEAD")
    assert merge_log.find(Git(merged.root), 1, first).files == [("begun.txt", "+1 −0")]


@pytest.mark.parametrize("number", [1, 2, 112])
def test_a_number_is_compared_whole(number: int, merged: Any) -> None:
    with pytest.raises(InputError, match=f"no commit of this history merges pull request {number}"):
        merge_log.find(Git(merged.root), number)


def test_two_that_could_be_it_are_refused(merged: Any) -> None:
    merged.commit("Mend it again (#13)")
    with pytest.raises(InputError, match="2 commits could be pull request 13: ") as refused:
        merge_log.find(Git(merged.root), 13)
    assert "--commit SHA" in refused.value.hint


def test_what_was_merged_into_another_branch_first_is_not_taken_for_a_merge_into_this_one(merged: Any) -> None:
    merged.git("switch", "--quiet", "--create", "stack")
    inner = merged.commit("Inner (#15)")
    merged.git("switch", "--quiet", "main")
    merged.git("merge", "--quiet", "--no-ff", "-m", "Merge pull request #16 from a/stack", "stack")
    with pytest.raises(InputError, match="no commit of this history merges pull request 15"):
        merge_log.find(Git(merged.root), 15)
    assert merge_log.find(Git(merged.root), 15, inner).title == "Inner"


def test_in_a_shallow_clone_a_merge_that_is_not_whole_is_refused(merged: Any, tmp_path: Path) -> None:
    merged.git("clone", "--quiet", "--depth=3", merged.root.as_uri(), str(tmp_path / "shallow"))
    with pytest.raises(RunError, match="this clone is shallow"):
        merge_log.find(Git(tmp_path / "shallow"), 12)


# the file


def test_a_log_is_written_as_it_is_expected(merged: Any, results: Path) -> None:
    assert write(merged, results, verification=PASSED) == "written"
    expected = Path(__file__).with_name("merge_log.expected")
    assert log_of(merged).read_text(encoding="utf-8") == expected.read_text(encoding="utf-8")


def test_a_hostile_title_leaves_no_mark_that_a_tool_would_follow(merged: Any, results: Path) -> None:
    write(merged, results)
    text = log_of(merged).read_text(encoding="utf-8")
    assert "[[[cog" not in text
    assert "<b>" not in text
    assert text.count("<!-- end -->") == 5
    assert "Some One" not in text


def test_writing_it_again_changes_nothing(merged: Any, results: Path) -> None:
    write(merged, results, verification=PASSED)
    before = log_of(merged).read_bytes()
    Ledger(results).append("start", "0001")
    assert write(merged, results) == "unchanged"
    assert log_of(merged).read_bytes() == before


def test_words_between_the_parts_are_kept_when_the_parts_are_brought_up_to_date(merged: Any, results: Path) -> None:
    write(merged, results)
    text = (
        log_of(merged).read_text(encoding="utf-8").replace("It was missing.", "It was missing, and *how*.\n\n## More")
    )
    stale = text.replace("- `", "- x `", 1)
    part = stale.split("<!-- generated: commits ")[1].split(" -->\n")[1].split("<!-- end")[0]
    stale = stale.replace(text.split("generated: commits ")[1][:16], merge_log._digest(part))
    log_of(merged).write_text(stale, encoding="utf-8")
    assert list(merge_log.check(merged.root, merge_log.find(Git(merged.root), 12), Results(results))) == [
        "the generated part `commits` is not what git says"
    ]
    assert write(merged, results) == "updated"
    assert log_of(merged).read_text(encoding="utf-8") == text


def test_a_part_that_was_edited_by_hand_is_refused_and_left(merged: Any, results: Path) -> None:
    write(merged, results)
    edited = log_of(merged).read_text(encoding="utf-8").replace("- a file.txt", "- a file.txt, of mine")
    log_of(merged).write_text(edited, encoding="utf-8")
    with pytest.raises(RunError, match="PR_12_MERGE_LOG.md: the generated part `files` was edited by hand"):
        write(merged, results, verification=PASSED)
    assert log_of(merged).read_text(encoding="utf-8") == edited


def test_a_part_that_was_taken_out_is_refused(merged: Any, results: Path) -> None:
    write(merged, results)
    text = log_of(merged).read_text(encoding="utf-8")
    log_of(merged).write_text(text[: text.index("<!-- generated: ledger")], encoding="utf-8")
    with pytest.raises(RunError, match="the generated part `ledger` is missing"):
        write(merged, results)


def test_a_verification_goes_into_a_log_that_had_none(merged: Any, results: Path) -> None:
    write(merged, results)
    assert not merge_log.verified(log_of(merged))
    assert write(merged, results, verification=PASSED) == "updated"
    assert merge_log.verified(log_of(merged))
    assert list(merge_log.check(merged.root, merge_log.find(Git(merged.root), 12), Results(results))) == []


def test_a_verification_with_a_skipped_command_is_none(merged: Any, results: Path) -> None:
    write(merged, results, verification=[Result("just test", "skipped, as asked"), PASSED[1]])
    assert not merge_log.verified(log_of(merged))


def test_a_ledger_that_was_written_anew_is_found(merged: Any, results: Path) -> None:
    write(merged, results, verification=PASSED)
    merge = merge_log.find(Git(merged.root), 12)
    Ledger(results).append("start", "0001")
    assert list(merge_log.check(merged.root, merge, Results(results))) == []
    (results / "ledger.jsonl").unlink()
    for _ in range(2):
        Ledger(results).append("start", "0002")
    assert list(merge_log.check(merged.root, merge, Results(results))) == [
        "the ledger has no line 2 with the digest that the log names"
    ]


@pytest.mark.parametrize(
    ("why", "reason"),
    [
        ("## What\n\nx\n\n## Why\n\n<!-- why -->\n\nFor *us*.\n\n## Verification\n", "For \\*us\\*."),
        ("Because.", "Because."),
        ("## Why\n\n<!-- why -->\n\n## Verification", "It was missing."),
        (None, "It was missing."),
    ],
)
def test_the_reasons_are_those_of_the_pull_request_else_of_its_commits(
    why: str | None, reason: str, merged: Any, results: Path
) -> None:
    write(merged, results, why=why)
    assert f"## Why\n\n{reason}\n\n<!-- generated" in log_of(merged).read_text(encoding="utf-8")


# the script and the index


def call(repo: Any, results: Path, *options: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, str(SCRIPT), "--root", str(repo.root), "--results-dir", str(results), *options]
    return subprocess.run(words, capture_output=True, text=True, timeout=120)


@pytest.fixture
def indexed(merged: Any) -> Any:
    """The same with a page and an index in docs/ops."""
    merged.write("docs/ops/page.md", "# A page\n\nIt says one thing.\nAnd another.\n")
    merged.write("docs/ops/README.md", (ROOT / "docs" / "ops" / "README.md").read_text(encoding="utf-8"))
    merged.write("scripts/ops_index.py", (ROOT / "scripts" / "ops_index.py").read_text(encoding="utf-8"))
    return merged


def test_the_script_prints_the_path_and_lists_the_log_in_the_index(indexed: Any, results: Path) -> None:
    told = call(indexed, results, "12")
    assert (told.returncode, told.stdout) == (0, "docs/ops/PR_12_MERGE_LOG.md\n"), told.stderr
    assert told.stderr == "PR_12_MERGE_LOG.md is written\n"
    assert call(indexed, results, "13").returncode == 0
    index = (indexed.root / "docs" / "ops" / "README.md").read_text(encoding="utf-8")
    title = r"Add &lt;b&gt;bold&lt;/b&gt; \| &#96;code&#96; \[\[\[cog import os\]\]\] &lt;!-- end --&gt;"
    assert index.partition("]]] -->\n")[2] == (
        "- [A page](page.md): It says one thing.\n\n## Merges\n\n"
        f"- [PR 13: Mend it](PR_13_MERGE_LOG.md)\n- [PR 12: {title}](PR_12_MERGE_LOG.md)\n<!-- [[[end]]] -->\n"
    )


def test_an_index_that_misses_a_log_is_stale(indexed: Any, results: Path) -> None:
    check = ROOT / "scripts" / "ci" / "generated_docs.sh"
    indexed.write("README.md")
    call(indexed, results, "12")
    assert subprocess.run([check, "--check"], cwd=indexed.root, capture_output=True).returncode == 0
    log_of(indexed).with_name("PR_11_MERGE_LOG.md").write_text("# PR 11: Missed\n", encoding="utf-8")
    stale = subprocess.run([check, "--check"], cwd=indexed.root, capture_output=True, text=True)
    assert stale.returncode == 1
    assert "+- [PR 11: Missed](PR_11_MERGE_LOG.md)" in stale.stderr


def test_a_title_that_names_what_is_gone_is_no_fault_of_the_documents(merged: Any, results: Path, fake: Any) -> None:
    merged.commit("Remove `scripts/gone.py`, `just fly` and [the page](docs/gone.md) (#14)")
    call(merged, results, "14")
    fake("just", "echo setup")
    check = [sys.executable, str(ROOT / "scripts" / "ci" / "check_docs.py"), "--root", str(merged.root)]
    told = subprocess.run(check, capture_output=True, text=True, timeout=120)
    assert "PR_14_MERGE_LOG.md: no recipe `just post-merge`" in told.stderr  # it was looked at
    assert "gone" not in told.stderr
    assert "fly" not in told.stderr


def test_what_github_says_goes_into_a_new_log(merged: Any, results: Path, fake: Callable[[str, str], Path]) -> None:
    commit = merged.git("rev-parse", "HEAD~2")
    calls = fake("gh", f"""echo '{{"state": "MERGED", "mergeCommit": {{"oid": "{commit}"}}, "body": "By gh."}}'""")
    assert call(merged, results, "12").returncode == 0
    assert calls.read_text(encoding="utf-8").split() == ["pr", "view", "12", "--json", "state,mergeCommit,body"]
    assert "## Why\n\nBy gh.\n" in log_of(merged).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("does", "reason"),
    [("echo 'no token' >&2; exit 4", "gh failed: no token"), ("echo {", "gh answered what is no JSON object")],
)
def test_a_github_that_does_not_answer_is_a_warning(
    does: str, reason: str, merged: Any, results: Path, fake: Callable[[str, str], Path]
) -> None:
    fake("gh", does)
    told = call(merged, results, "12")
    assert told.returncode == 0
    assert told.stderr.startswith(f"warn: the reasons are taken from git: {reason}\n")


def test_a_number_that_is_none_is_a_usage_error(merged: Any, results: Path) -> None:
    assert call(merged, results, "0").returncode == 2
    assert call(merged, results, "99").returncode == 2
    assert not (merged.root / "docs").exists()
