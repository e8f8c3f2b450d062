"""`peak_trade.ops.git_state`: what it says of real repositories in every state that it knows, and of sound ones."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peak_trade import script
from peak_trade.errors import InputError
from peak_trade.ops.git_state import LARGE, Base, Finding, State, examine

ROOT = script.repo_root()
SCRIPT = ROOT / "scripts" / "ci" / "validate_git_state.py"
LEFT, RIGHT = "<" * 7 + " HEAD", ">" * 7 + " work"  # so that these lines are no conflict marks themselves


def found(state: State) -> dict[str, Finding]:
    assert len({finding.check for finding in state.findings}) == len(state.findings)
    return {finding.check: finding for finding in state.findings}


def levels(state: State) -> dict[str, str]:
    return {check: finding.level for check, finding in found(state).items()}


def call(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), "--root", str(root), *options], capture_output=True, text=True, timeout=120
    )


# where it stands


def test_a_clean_pushed_branch_is_fit_and_nothing_is_found(pushed: Any) -> None:
    state = examine(pushed.root)
    assert (state.fit, state.branch, state.findings) == (True, "work", [])
    assert state.base == Base("main", "origin", ahead=1, behind=0)
    assert state.commit == pushed.git("rev-parse", "HEAD")


def test_commits_that_only_we_have_are_ahead_and_no_fault(repo: Any) -> None:
    repo.git("switch", "--quiet", "--create", "work")
    repo.commit("one")
    repo.commit("two")
    state = examine(repo.root)
    assert (state.base.ahead, state.base.behind) == (2, 0)
    assert levels(state) == {"upstream": "warn"}


def test_commits_that_only_the_base_has_are_behind(pushed: Any, upstream: Any) -> None:
    pushed.git("reset", "--quiet", "--hard", "main")
    pushed.git("push", "--quiet", "--force")
    for name in ("one", "two", "three"):
        upstream.commit(name)
    state = examine(pushed.root)
    assert (state.base.ahead, state.base.behind) == (0, 3)
    assert levels(state) == {"behind": "error"}
    assert found(state)["behind"].message == "3 commits of origin/main not here"
    pushed.git(*found(state)["behind"].hint.split()[1:])
    assert examine(pushed.root).base == Base("main", "origin", ahead=0, behind=0)


def test_a_branch_and_a_base_that_both_moved_on_have_diverged(pushed: Any, upstream: Any) -> None:
    upstream.commit("two", "theirs.txt")
    upstream.commit("three")
    state = examine(pushed.root)
    assert (state.base.ahead, state.base.behind) == (1, 2)
    assert levels(state) == {"diverged": "error"}
    pushed.git(*found(state)["diverged"].hint.split()[1:])
    assert examine(pushed.root).base == Base("main", "origin", ahead=1, behind=0)


def test_without_a_fetch_the_base_is_as_it_was_fetched_last(pushed: Any, upstream: Any) -> None:
    upstream.commit("later")
    assert examine(pushed.root, fetch=False).findings == []
    assert "diverged" in found(examine(pushed.root))


def test_another_base_can_be_named(pushed: Any, upstream: Any) -> None:
    upstream.git("branch", "release", "main")
    upstream.git("switch", "--quiet", "release")
    upstream.commit("released")
    state = examine(pushed.root, remote="origin", branch="release")
    assert state.base == Base("release", "origin", ahead=1, behind=1)


def test_the_base_is_what_the_remote_calls_its_head(upstream: Any, tmp_path: Path) -> None:
    upstream.git("branch", "--move", "trunk")
    upstream.git("clone", "--quiet", str(upstream.root), str(tmp_path / "clone"))
    assert examine(tmp_path / "clone").base.name == "origin/trunk"


def test_a_branch_that_the_remote_does_not_have_is_said(pushed: Any) -> None:
    state = examine(pushed.root, branch="nowhere")
    assert found(state)["base"].message == "origin has no branch nowhere"
    assert (state.fit, state.base.ahead, state.base.behind) == (True, None, None)


def test_a_remote_that_does_not_exist_is_a_usage_error(pushed: Any) -> None:
    with pytest.raises(InputError, match="there is no remote `orign`") as refused:
        examine(pushed.root, remote="orign")
    assert refused.value.hint == "did you mean `origin`?"


def test_a_folder_without_a_repository_is_a_usage_error(bin_dir: Path, tmp_path: Path) -> None:
    refused = call(tmp_path)
    assert refused.returncode == 2
    assert re.match(r"error: .* is no git repository: fatal: .*\nhint: git -C .* init\n$", refused.stderr)


def test_a_folder_that_is_not_there_is_said_to_be_missing(bin_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        examine(tmp_path / "none")


def test_what_can_be_no_branch_is_a_usage_error(pushed: Any) -> None:
    with pytest.raises(InputError, match=r"'x\\ny' can't be the name of a branch"):
        examine(pushed.root, branch="x\ny")


def test_a_repository_that_cannot_be_read_is_an_error_of_its_own(pushed: Any) -> None:
    (pushed.root / ".git" / "index").write_bytes(b"no index")
    assert call(pushed.root, "--json").returncode == 2


def test_a_folder_inside_a_repository_is_a_usage_error(pushed: Any) -> None:
    (pushed.root / "inner").mkdir()
    with pytest.raises(InputError, match="lies in the repository"):
        examine(pushed.root / "inner")


def test_a_hook_that_names_its_own_repository_does_not_lead_away(
    pushed: Any, upstream: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(upstream.root / ".git"))
    assert examine(pushed.root).branch == "work"


def test_colours_that_git_was_told_to_print_change_nothing(pushed: Any) -> None:
    for name in ("color.ui", "color.grep", "color.status"):
        pushed.git("config", name, "always")
    pushed.commit("marks", "a.txt")
    pushed.write("a.txt", f"{LEFT}\n")
    assert found(examine(pushed.root))["conflict"].files == ["a.txt"]


# remotes


def test_without_a_remote_the_local_main_is_the_base(bin_dir: Path, upstream: Any) -> None:
    upstream.git("switch", "--quiet", "--create", "work")
    upstream.commit("Work")
    state = examine(upstream.root)
    assert state.base == Base("main", None, ahead=1, behind=0)
    assert levels(state) == {"remote": "warn"}


def test_without_a_remote_main_itself_has_nothing_to_be_compared_with(bin_dir: Path, upstream: Any) -> None:
    state = examine(upstream.root)
    assert state.as_text().splitlines()[0] == f"fit    HEAD        main at {state.commit[:12]}"


def test_a_remote_that_cannot_be_reached_is_a_warning_with_its_reason(pushed: Any, tmp_path: Path) -> None:
    pushed.git("remote", "set-url", "origin", str(tmp_path / "gone"))
    state = examine(pushed.root)
    assert state.fit
    assert re.match(r"origin can't be reached: fatal: .*gone", found(state)["remote"].message)
    assert state.base == Base("main", "origin", ahead=1, behind=0)
    assert not examine(pushed.root, strict=True).fit


def test_a_remote_that_never_answers_is_left_after_a_limit(pushed: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        pushed.git("remote", "set-url", "origin", f"git://127.0.0.1:{silent.getsockname()[1]}/x")
        state = examine(pushed.root, fetch_s=0.5)
    assert found(state)["remote"].message == "origin can't be reached: no end after 0.5 s"
    assert state.fit


def test_commits_that_are_not_pushed_are_a_warning(pushed: Any) -> None:
    pushed.commit("more")
    finding = found(examine(pushed.root))["upstream"]
    assert (finding.level, finding.message, finding.hint) == ("warn", "1 commit not pushed to origin/work", "git push")


def test_an_upstream_that_was_deleted_is_a_warning(pushed: Any) -> None:
    pushed.git("update-ref", "-d", "refs/remotes/origin/work")
    assert found(examine(pushed.root))["upstream"].message == "origin/work is gone"


def test_an_upstream_that_somebody_pushed_to_is_a_warning(pushed: Any, upstream: Any) -> None:
    upstream.git("switch", "--quiet", "work")
    upstream.commit("theirs")
    pushed.git("fetch", "--quiet")
    assert found(examine(pushed.root))["upstream"].hint == "git pull --ff-only"
    pushed.commit("ours")
    assert found(examine(pushed.root))["upstream"].message == "origin/work went another way"


def test_a_base_branch_that_is_behind_is_told_once(repo: Any, upstream: Any) -> None:
    upstream.commit("later")
    assert levels(examine(repo.root)) == {"behind": "error"}


# the kinds of checkout


def test_a_detached_head_is_a_warning_and_still_compared(pushed: Any) -> None:
    pushed.git("switch", "--quiet", "--detach")
    state = examine(pushed.root)
    assert (state.branch, levels(state)) == (None, {"branch": "warn"})
    assert state.base == Base("main", "origin", ahead=1, behind=0)
    assert levels(examine(pushed.root, strict=True)) == {"branch": "error"}


def test_an_empty_repository_is_told_apart(bin_dir: Path, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(tmp_path / "new")], check=True)
    state = examine(tmp_path / "new")
    assert (state.commit, levels(state)) == (None, {"commit": "warn", "remote": "warn"})


def test_an_empty_clone_of_an_empty_remote_is_told_apart(bin_dir: Path, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", "--bare", str(tmp_path / "up")], check=True)
    subprocess.run(["git", "clone", "--quiet", str(tmp_path / "up"), str(tmp_path / "new")], check=True)
    assert levels(examine(tmp_path / "new")) == {"commit": "warn", "base": "warn"}


def test_in_a_shallow_clone_what_cannot_be_counted_is_said(pushed: Any, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    url = pushed.root.parent.joinpath("others work").as_uri()
    pushed.git("clone", "--quiet", "--depth=1", "--branch=work", url, str(shallow))
    state = examine(shallow)
    assert (state.fit, state.base.ahead, state.base.behind) == (True, None, None)
    assert "can't be told" in found(state)["base"].message
    pushed.git("-C", str(shallow), "fetch", "--quiet", "--depth=1", "origin", "main:refs/remotes/origin/main")
    state = examine(shallow)
    assert (state.base.ahead, "can't be told" in found(state)["base"].message) == (None, True)
    pushed.git("-C", str(shallow), "fetch", "--quiet", "--unshallow")
    assert examine(shallow).base == Base("main", "origin", ahead=1, behind=0)


def test_in_a_shallow_clone_what_can_be_counted_is_counted(upstream: Any, tmp_path: Path) -> None:
    upstream.commit("second")
    upstream.git("clone", "--quiet", "--depth=1", upstream.root.as_uri(), str(tmp_path / "shallow"))
    upstream.commit("third")
    upstream.commit("fourth")
    state = examine(tmp_path / "shallow")
    assert (state.base.ahead, state.base.behind) == (0, 2)


def test_a_linked_work_tree_has_its_own_state(pushed: Any, tmp_path: Path) -> None:
    linked = tmp_path / "linked tree"
    pushed.git("worktree", "add", "--quiet", "-b", "other", str(linked), "main")
    (linked / "new.txt").touch()
    pushed.git("-C", str(linked), "bisect", "start")
    assert set(found(examine(linked))) == {"untracked", "in progress", "upstream"}
    assert examine(linked).branch == "other"
    assert examine(pushed.root).findings == []


# the tree


@pytest.mark.parametrize(
    ("check", "files", "do"),
    [
        ("untracked", ["new.txt"], lambda repo: repo.write("new.txt")),
        ("unstaged", ["work.txt"], lambda repo: repo.write("work.txt")),
        ("unstaged", ["work.txt"], lambda repo: (repo.root / "work.txt").unlink()),
        ("unstaged", ["work.txt"], lambda repo: (repo.root / "work.txt").chmod(0o755)),
        ("staged", ["work.txt"], lambda repo: (repo.write("work.txt"), repo.git("add", "work.txt"))),
        ("staged", ["work.txt"], lambda repo: repo.git("rm", "--quiet", "work.txt")),
        ("staged", ["moved to.txt"], lambda repo: repo.git("mv", "work.txt", "moved to.txt")),
    ],
)
def test_a_change_is_told_by_where_it_stands(
    check: str, files: list[str], do: Callable[[Any], Any], pushed: Any
) -> None:
    do(pushed)
    state = examine(pushed.root)
    assert levels(state) == {check: "error"}
    assert found(state)[check].files == files


def test_an_untracked_file_is_told_where_git_was_set_not_to(pushed: Any) -> None:
    pushed.git("config", "status.showUntrackedFiles", "no")
    pushed.write("new.txt")
    assert found(examine(pushed.root))["untracked"].files == ["new.txt"]


def test_staged_unstaged_and_untracked_are_three_findings(pushed: Any) -> None:
    pushed.write("work.txt", "staged\n")
    pushed.git("add", "work.txt")
    pushed.write("work.txt", "and changed again\n")
    pushed.write("new.txt")
    state = examine(pushed.root)
    assert {check: finding.files for check, finding in found(state).items()} == {
        "staged": ["work.txt"],
        "unstaged": ["work.txt"],
        "untracked": ["new.txt"],
    }


def test_what_is_usual_on_a_branch_in_work_is_a_warning_where_that_is_asked_for(pushed: Any, upstream: Any) -> None:
    upstream.commit("later")
    pushed.write("new.txt")
    assert levels(examine(pushed.root)) == {"diverged": "error", "untracked": "error"}
    assert levels(examine(pushed.root, lenient=True)) == {"diverged": "warn", "untracked": "warn"}
    assert examine(pushed.root, lenient=True).fit
    assert not examine(pushed.root, lenient=True, strict=True).fit


def test_lenient_lets_no_conflict_and_no_result_pass(pushed: Any) -> None:
    pushed.write("work.txt", f"{LEFT}\n")
    pushed.commit("Keep a result", "results/stats.json")
    state = examine(pushed.root, lenient=True, fetch=False)
    assert {check: level for check, level in levels(state).items() if level == "error"} == {"results": "error"} | {
        "conflict": "error"
    }


HOSTILE = ["two words.txt", "größe 数.csv", 'quo"te\\.txt', "new\nline.txt", "tab\t'$(touch x)`.txt"]


def test_json_holds_every_name_as_it_is(pushed: Any) -> None:
    for name in HOSTILE:
        pushed.write(name)
    told = json.loads(call(pushed.root, "--json").stdout)
    assert sorted(told["findings"][0]["files"]) == sorted(HOSTILE)
    assert (told["fit"], told["branch"]) == (False, "work")
    assert told["base"] == {"branch": "main", "remote": "origin", "ahead": 1, "behind": 0}


def test_a_finding_is_one_line_whatever_the_files_are_called(pushed: Any) -> None:
    for name in HOSTILE:
        pushed.write(name)
        pushed.git("add", "--all")
        pushed.git("commit", "--quiet", "--message", name)
    pushed.git("push", "--quiet")
    for name in HOSTILE:
        pushed.write(name, "changed")
    told = call(pushed.root)
    head, only = told.stdout.splitlines()
    assert head.startswith("unfit  HEAD        work at ")
    assert only.startswith("error  unstaged    5 files changed and not staged: ")
    assert told.stderr == ""


@pytest.mark.skipif(sys.platform != "linux", reason="a file system that takes names that are no UTF-8")
def test_a_name_that_is_no_text_is_told_all_the_same(pushed: Any) -> None:
    open(os.fsencode(pushed.root) + b"/\xff.txt", "wb").close()
    told = call(pushed.root, "--json")
    assert json.loads(told.stdout)["findings"][0]["files"] == ["\\xff.txt"]
    assert "\\udcff.txt" in call(pushed.root).stdout


# what is half done


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (("merge", "origin/main"), "a merge"),
        (("rebase", "origin/main"), "a rebase"),
        (("rebase", "--apply", "origin/main"), "a rebase"),
        (("cherry-pick", "origin/main"), "a cherry-pick"),
        (("revert", "HEAD~1"), "a revert"),
    ],
)
def test_what_stopped_at_a_conflict_is_told_until_it_is_aborted(
    command: tuple[str, ...], what: str, pushed: Any, upstream: Any
) -> None:
    pushed.commit("More", "work.txt")
    pushed.commit("And more", "work.txt")
    pushed.git("push", "--quiet")
    upstream.commit("Theirs", "work.txt")
    pushed.git("fetch", "--quiet")
    pushed.git(*command, code=1)
    state = examine(pushed.root, fetch=False)
    assert found(state)["in progress"].message == f"{what} is not finished"
    assert found(state)["unmerged"].files == ["work.txt"]
    assert found(state)["conflict"].files == ["work.txt"]
    assert "branch" not in found(state)
    assert not examine(pushed.root, fetch=False, lenient=True).fit
    pushed.git(command[0], "--abort")
    assert levels(examine(pushed.root, fetch=False)) == {"diverged": "error"}


def test_a_bisect_is_told_until_it_is_reset(pushed: Any) -> None:
    pushed.git("bisect", "start", "HEAD", "main")
    assert found(examine(pushed.root))["in progress"].hint == "git bisect reset"
    pushed.git("bisect", "reset")
    assert examine(pushed.root).findings == []


@pytest.mark.parametrize("mark", [LEFT, RIGHT])
def test_one_conflict_mark_that_was_committed_is_enough(mark: str, pushed: Any) -> None:
    pushed.write("größe.txt", f"a\n{mark}\nb\n")
    pushed.commit("Marks")
    assert found(examine(pushed.root))["conflict"].files == ["größe.txt"]


def test_a_title_underlined_and_an_untracked_mark_are_no_conflict(pushed: Any) -> None:
    pushed.write("title.md", "Seventh\n=======\n\n    " + LEFT + "\n")
    pushed.commit("Title")
    pushed.write("untracked.txt", f"{LEFT}\n")
    assert "conflict" not in found(examine(pushed.root))


# what is tracked and should not be


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("results/a run/stats.json", "git rm -r --cached results"),
        ("data/lake/ohlcv/x.parquet", "git rm -r --cached data/lake"),
        ("mlflow.db", "git rm -r --cached mlflow.db"),
        ("uv.lock", "git rm -r --cached uv.lock"),
    ],
)
def test_a_result_that_is_tracked_is_an_error_and_its_hint_mends_it(name: str, hint: str, pushed: Any) -> None:
    pushed.commit("A result", name)
    assert found(examine(pushed.root))["results"].hint == hint
    pushed.git(*hint.split()[1:])
    assert "results" not in found(examine(pushed.root))


def test_what_is_only_called_like_a_result_is_none(pushed: Any) -> None:
    pushed.commit("Names", "results.md", "docs/results/page.md", "data/lakes.csv", "uv.lock.md")
    assert "results" not in found(examine(pushed.root))


def test_a_large_file_is_found_where_it_is_tracked(pushed: Any) -> None:
    (pushed.root / "just small enough.bin").write_bytes(b"\0" * LARGE)
    (pushed.root / "too large.bin").write_bytes(b"\0" * (LARGE + 1))
    pushed.commit("Large")
    (pushed.root / "untracked.bin").write_bytes(b"\0" * (LARGE + 1))
    assert found(examine(pushed.root))["large"].files == ["too large.bin"]


def test_the_hook_and_this_check_draw_the_same_line() -> None:
    hook = (ROOT / "scripts" / "ci" / "check_files.py").read_text(encoding="utf-8")
    assert f"MAX_BYTES = {LARGE:_}" in hook


# what is stale


@pytest.mark.parametrize(("code", "findings"), [(0, {}), (1, {"generated": "error"})])
def test_generated_documents_are_what_their_own_check_says(code: int, findings: dict[str, str], pushed: Any) -> None:
    pushed.write("scripts/ci/generated_docs.sh", f'#!/bin/sh\n[ "$*" = --check ] && exit {code}\nexit 9\n').chmod(0o755)
    pushed.commit("A check")
    pushed.git("push", "--quiet")
    assert levels(examine(pushed.root)) == findings


def test_generated_documents_that_cannot_be_checked_are_a_warning(pushed: Any, bin_dir: Path) -> None:
    pushed.write("scripts/ci/generated_docs.sh", "#!/bin/sh\nexit 1\n").chmod(0o755)
    (bin_dir / "cog").unlink()
    assert found(examine(pushed.root))["generated"].level == "warn"


def pinned(repo: Any, bound: str, pins: str) -> list[str]:
    extra = f'lake = ["{bound}"]\nall = ["peak[lake]"]\n'
    repo.write("pyproject.toml", f'[project]\nname = "peak"\n[project.optional-dependencies]\n{extra}')
    repo.write("constraints.txt", pins)
    repo.commit("Pins")
    return [finding.message for finding in examine(repo.root, fetch=False).findings if finding.check == "pins"]


@pytest.mark.parametrize(
    ("bound", "pins", "messages"),
    [
        ("duck-db>=1.1", "duck_db==1.1 \\\n    --hash=sha256:0\n", []),
        ("duckdb>=1.10", "duckdb==1.9\n", ["duckdb>=1.10 is pinned at 1.9"]),
        ("duckdb>=1.1", "duckdb-extra==2.0\n    # duckdb==1.1\n", ["duckdb>=1.1 is not pinned"]),
        ("otel>=0.60b0", "otel==0.66b0\n", []),
        ("otel>=0.66", "otel==0.66b0\n", ["otel>=0.66 is pinned at 0.66b0"]),
        (
            "a>=2",
            "a==1.0 ; python_version < '3.12'\na==2.0 ; python_version >= '3.12'\n",
            ["a>=2 is pinned at 1.0"],
        ),
    ],
)
def test_a_requirement_that_its_pins_do_not_meet_is_named(
    bound: str, pins: str, messages: list[str], pushed: Any
) -> None:
    assert pinned(pushed, bound, pins) == messages


def test_a_pyproject_that_cannot_be_read_is_a_finding(pushed: Any) -> None:
    (message,) = pinned(pushed, "==", "")
    assert message.startswith("pyproject.toml or constraints.txt can't be read: ")


def test_a_checkout_may_be_named_from_where_one_stands(pushed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed.write("scripts/ci/generated_docs.sh", "#!/bin/sh\nexit 0\n").chmod(0o755)
    pushed.commit("A check")
    monkeypatch.chdir(pushed.root.parent)
    assert call(Path(pushed.root.name), "--skip-fetch").returncode == 0


# the script


@pytest.mark.parametrize(
    ("options", "code"), [((), 1), (("--lenient",), 0), (("--strict",), 1), (("--strict", "--lenient"), 2)]
)
def test_the_exit_code_follows_the_options(options: tuple[str, ...], code: int, pushed: Any) -> None:
    pushed.write("new.txt")
    assert call(pushed.root, *options, "--skip-fetch").returncode == code


def test_a_fit_checkout_is_one_line_and_exit_0(pushed: Any) -> None:
    told = call(pushed.root, "--remote", "origin", "--branch", "main", "--strict")
    commit = pushed.git("rev-parse", "HEAD")[:12]
    assert told.stdout == f"fit    HEAD        work at {commit}, 1 ahead of origin/main and 0 behind\n"
    assert (told.stderr, told.returncode) == ("", 0)
