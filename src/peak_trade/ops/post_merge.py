"""After a merge: is the base here, whole and as expected, do its tests pass, and is the evidence intact.

Steps come one after the other, each with its outcome; what can't be asked (no remote, no `gh`) is a warning. Nothing is
changed but the log of the merge, and that once: repeating it finds what the first time left.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from peak_trade.call import TIMED_OUT, call
from peak_trade.errors import PeakError
from peak_trade.evidence.results import Results
from peak_trade.ops import gh, git_state, merge_log
from peak_trade.ops.git import Git
from peak_trade.ops.merge_log import Result
from peak_trade.ops.words import counted

__all__ = ["Step", "verify"]

_TESTS_S, _EVIDENCE_S = 3600, 900
_ELSEWHERE = {"branch", "remote", "base", "behind", "diverged", "upstream"}  # checks with a step of their own


class Step(NamedTuple):
    """One step: its state is `ok`, `warn`, `failed` or `skipped`; `hint` is the command that mends it."""

    name: str
    state: str
    detail: str
    hint: str = ""

    def __str__(self) -> str:
        mend = f"  ({self.hint})" if self.hint else ""
        return f"{self.state:8}{self.name:14}{self.detail}{mend}"


def verify(
    root: Path,
    results: Results,
    *,
    expected: str | None = None,
    number: int | None = None,
    remote: str | None = None,
    branch: str | None = None,
    skip_tests: bool = False,
    echo: TextIO | None = None,
) -> Iterator[Step]:
    """Yield each step when it is done.

    `expected` is the commit that HEAD must be, `number` the pull request whose merge it is; `remote` and `branch` name
    the base as in `git_state.examine`. What the tests say goes to `echo`. Tests are left out where the checkout is not
    the merge: they would tell of something else.
    """
    git = Git(root)
    told = gh.view(root, number) if number is not None else ""
    steps = [*_checkout(git, remote, branch, number), _head(git, expected)]
    if number is not None:
        steps.append(_pull_request(git, number, told))
    yield from steps
    if skip_tests:
        tests = Step("tests", "skipped", "skipped, as asked")
    elif any(step.state == "failed" for step in steps):
        tests = Step("tests", "skipped", "skipped: the checkout is not the merge")
    else:
        tests = _run("tests", root, ["test"], _TESTS_S, _tests_said, echo)
    yield tests
    evidence = _run("evidence", root, ["verify", "--all"], _EVIDENCE_S, _verify_said, echo)
    yield evidence
    ledger = _ledger(results)
    yield ledger
    if number is not None:
        whole = all(step.state != "failed" for step in (*steps, tests, evidence, ledger))
        done = [Result("just test", tests.detail), Result("just verify --all", evidence.detail)]
        yield _log(git, number, told, results, done if whole else None)


def _checkout(git: Git, remote: str | None, branch: str | None, number: int | None) -> Iterator[Step]:
    """Tell whether the base is checked out, the tree clean, and the remote no further."""
    state = git_state.examine(git.root, remote=remote, branch=branch)
    found = {finding.check: finding for finding in state.findings}
    base, wanted = state.base, state.base.branch
    if state.branch == wanted:
        yield Step("branch", "ok", f"on {wanted}")
    else:
        yield Step("branch", "failed", f"on {state.branch or 'no branch'}, not on {wanted}", f"git switch {wanted}")
    # What an earlier call wrote, and nobody has committed yet, is no fault of the merge.
    ours = {"docs/ops/README.md", f"docs/ops/{merge_log.log_path(git.root, number).name}"} if number else set()
    faults = [
        it for it in state.findings if it.check not in _ELSEWHERE and not (it.files and ours.issuperset(it.files))
    ]
    yield from (Step("checkout", "failed" if it.level == "error" else "warn", it.message, it.hint) for it in faults)
    if not faults:
        yield Step("checkout", "ok", "clean, nothing half done, nothing stale")
    if base.behind:
        what = f"{counted(base.behind, 'commit')} of {base.name} not here"
        yield Step("up to date", "failed", what, "git pull --ff-only")
    elif base.ahead:
        what = f"{counted(base.ahead, 'commit')} here and not on {base.name}"
        yield Step("up to date", "failed", what, "git push")
    elif unknown := found.get("remote") or found.get("base"):
        yield Step("up to date", "warn", unknown.message, unknown.hint)
    else:
        yield Step("up to date", "ok", f"the same as {base.name}")


def _head(git: Git, expected: str | None) -> Step:
    head = git.commit("HEAD")
    commit = git.commit(expected) if expected else head
    if commit is None:
        return Step("head", "failed", f"there is no commit {expected or ''}".rstrip(), "git fetch")
    if commit != head:
        return Step("head", "failed", f"HEAD is {head}, not {commit}", "git pull --ff-only")
    return Step("head", "ok", f"{head}{', as expected' if expected else ''}")


def _pull_request(git: Git, number: int, told: dict[str, Any] | str) -> Step:
    """Tell whether GitHub says that it is merged, and the history agrees."""
    if isinstance(told, str):
        return Step(
            "pull request", "warn", f"GitHub was not asked: {told}", "gh auth login" if gh.installed() else "install gh"
        )
    state, commit = str(told.get("state")), gh.merge_commit(told)
    if state != "MERGED":
        return Step("pull request", "failed", f"PR {number} is {state.lower()}", f"gh pr merge {number}")
    if commit is None:
        return Step(
            "pull request", "warn", f"PR {number} is merged, GitHub does not say as what", f"gh pr view {number}"
        )
    if not (git.commit(commit) and git.holds("HEAD", commit)):
        return Step("pull request", "failed", f"PR {number} is {commit}, which is not in HEAD", "git pull --ff-only")
    return Step("pull request", "ok", f"PR {number} is merged as {commit}")


def _run(
    name: str, root: Path, words: list[str], limit_s: float, said: Callable[[str], str], echo: TextIO | None
) -> Step:
    done = call(os.environ.get("JUST", "just"), *words, cwd=root, timeout_s=limit_s, echo=echo)
    if done.code:
        outcome = f"no end after {limit_s:g} s" if done.code == TIMED_OUT else f"failed with exit code {done.code}"
        return Step(name, "failed", outcome, " ".join(["just", *words]))
    return Step(name, "ok", f"passed: {said(done.out)}")


def _tests_said(out: str) -> str:
    """Return what pytest's last line counts, without how long it took: that differs each time."""
    last = out.strip().rpartition("\n")[2]
    return ", ".join(re.findall(r"\d+ (?:passed|skipped|xfailed)\b", last)) or "no counts"


def _verify_said(out: str) -> str:
    runs = re.findall(r"^intact +(?! |ledger)", out, re.MULTILINE)
    return f"{counted(len(runs), 'run')} intact"


def _ledger(results: Results) -> Step:
    reading = results.reading()
    if reading.broken:
        return Step("ledger", "failed", f"broken at line {reading.broken[0][0]}", "just verify --all")
    if not reading.entries:
        return Step("ledger", "warn", "there is no ledger: no run was made here", "just p1")
    return Step("ledger", "ok", f"line {len(reading.entries)}, sha256 {reading.head}")


def _log(
    git: Git, number: int, told: dict[str, Any] | str, results: Results, verification: list[Result] | None
) -> Step:
    """Write the log of the merge, or check the one that is there."""
    path = merge_log.log_path(git.root, number)
    try:
        merge = merge_log.find(git, number, gh.merge_commit(told))
        if path.exists() and (verification is None or merge_log.verified(path)):
            faults = list(merge_log.check(git.root, merge, results))
            if faults:
                return Step("merge log", "failed", f"{path.name}: {faults[0]}", f"just merge-log {number}")
            return Step("merge log", "ok", f"{path.name} is as git says")
        if verification is None:
            return Step("merge log", "skipped", f"{path.name} is not written: a step failed")
        why = str(told.get("body") or "") if isinstance(told, dict) else None
        done = merge_log.write(git.root, merge, results, why=why, verification=verification)
    except PeakError as error:
        return Step("merge log", "failed", error.message, error.hint)
    stale = merge_log.index(git.root)
    if stale:
        return Step("merge log", "warn", f"{path.name} is {done}, its index is not: {stale}", "just fix")
    return Step("merge log", "ok", f"{path.name} is {done}")
