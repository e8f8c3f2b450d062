"""Is a checkout fit for a pull request: clean, on a branch, in step with its base, with nothing stale or stray in it.

Reads only, but for one bounded fetch of the base. What can't be known (no remote, no network, a shallow clone, a
detached head as in CI) is a warning; what is wrong is an error. Each finding names the command that mends it.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from peak_trade.call import call
from peak_trade.errors import InputError, did_you_mean
from peak_trade.ops import pins
from peak_trade.ops.git import Git
from peak_trade.ops.words import counted, listed, plain
from peak_trade.text import one_line

__all__ = ["LARGE", "Base", "Finding", "State", "examine"]

LARGE = 2_000_000  # bytes; scripts/ci/check_files.py has the same limit for what is about to be committed
_RESULTS = ("results", "data/lake", "mlruns", "mlflow.db", "mlflow.db.lock", "uv.lock")
_USUAL_WHILE_WORKING = {"staged", "unstaged", "untracked", "behind", "diverged"}
_IN_PROGRESS = {
    "MERGE_HEAD": ("a merge", "git merge --continue, or git merge --abort"),
    "rebase-merge": ("a rebase", "git rebase --continue, or git rebase --abort"),
    "rebase-apply": ("a rebase", "git rebase --continue, or git rebase --abort"),
    "CHERRY_PICK_HEAD": ("a cherry-pick", "git cherry-pick --continue, or git cherry-pick --abort"),
    "REVERT_HEAD": ("a revert", "git revert --continue, or git revert --abort"),
    "BISECT_LOG": ("a bisect", "git bisect reset"),
}


class Finding(Struct, frozen=True):
    """One thing that is not as it should be: `level` is error or warn, `check` names what was looked at."""

    level: str
    check: str
    message: str
    hint: str
    files: list[str] = []

    def __str__(self) -> str:
        return f"{self.level:6} {self.check:12}{self.message}  ({self.hint})"


class Base(Struct, frozen=True):
    """The branch that the work is compared with: that of the `remote`, or the local one where there is none.

    `ahead` counts the commits that only HEAD has, `behind` those that only the base has; None where the history at hand
    does not tell.
    """

    branch: str
    remote: str | None = None
    ahead: int | None = None
    behind: int | None = None

    @property
    def name(self) -> str:
        """What git calls it here."""
        return f"{self.remote}/{self.branch}" if self.remote else self.branch

    @property
    def ref(self) -> str:
        """Its full name, which no other branch or tag can have."""
        return f"refs/remotes/{self.name}" if self.remote else f"refs/heads/{self.name}"


class State(Struct, frozen=True):
    """Where the checkout stands, and what was found."""

    branch: str | None  # None: a detached head
    commit: str | None  # None: an empty repository
    base: Base
    findings: list[Finding]

    @property
    def fit(self) -> bool:
        """Whether nothing found is an error."""
        return all(finding.level != "error" for finding in self.findings)

    def as_text(self) -> str:
        """Return a line that says where we are, and one for each finding."""
        where = f"{self.branch or 'a detached head'} at {self.commit[:12] if self.commit else 'no commit'}"
        if self.base.ahead is not None and self.base.name != self.branch:
            where += f", {self.base.ahead} ahead of {self.base.name} and {self.base.behind} behind"
        return "\n".join([f"{'fit' if self.fit else 'unfit':6} {'HEAD':12}{plain(where)}", *map(str, self.findings)])

    def to_json_object(self) -> dict[str, Any]:
        """Return the state as `--json` prints it."""
        fields: dict[str, Any] = msgspec.to_builtins(self)
        return {"fit": self.fit, **fields}


def examine(
    root: Path,
    *,
    remote: str | None = None,
    branch: str | None = None,
    fetch: bool = True,
    strict: bool = False,
    lenient: bool = False,
    fetch_s: float = 30,
) -> State:
    """Look at the checkout `root`.

    `remote` and `branch` name the base (default: origin, and what its HEAD is, else main); `fetch` asks the remote for
    it first, for `fetch_s` seconds at most. `strict` makes every warning an error; `lenient` makes a warning of what is
    usual on a branch in work: a tree that is not clean, a base that has moved on.

    Raises:
        InputError: if `root` is no repository or `remote` none of its remotes.
    """
    git = Git(root)
    base = _base(git, remote, branch)
    found = list(_fetch(git, base, fetch_s)) if fetch else []
    status = git.names("status", "--porcelain=v2", "--branch", "--untracked-files=normal", "-z")
    head = dict(line[2:].split(" ", 1) for line in status if line.startswith("# "))
    commit = None if head["branch.oid"] == "(initial)" else head["branch.oid"]
    on = None if head["branch.head"] == "(detached)" else head["branch.head"]
    going_on = list(_in_progress(git))
    found += [*_tree([line for line in status if not line.startswith("# ")]), *going_on]
    if commit is None:
        found.append(Finding("warn", "commit", "there is no commit yet", "git add --all && git commit"))
    elif on is None and not going_on:
        found.append(Finding("warn", "branch", "the head is detached: on no branch", "git switch --create NAME"))
    if base.remote is None:
        found.append(Finding("warn", "remote", "there is no remote to compare with", "git remote add origin URL"))
    if commit:
        base = _counted(git, base)
        found += [*_compared(base, found), *_upstream(head, on, base)]
    found += [*_conflict_marks(git), *_stray(git), *_generated(root), *_pins(root)]
    raised = {"warn"} if strict else set()
    lowered = _USUAL_WHILE_WORKING if lenient and not strict else set()
    for number, finding in enumerate(found):
        level = "error" if finding.level in raised else "warn" if finding.check in lowered else finding.level
        found[number] = msgspec.structs.replace(finding, level=level, files=[plain(name) for name in finding.files])
    return State(plain(on) if on else None, commit, base, found)


def _base(git: Git, remote: str | None, branch: str | None) -> Base:
    """Return the base without its counts: as named, else as the remote has it."""
    remotes = git.read("remote").splitlines()
    if remote and remote not in remotes:
        hint = did_you_mean(remote, remotes) if remotes else f"git remote add {shlex.quote(remote)} URL"
        raise InputError(f"there is no remote `{remote}`", hint=hint)
    if branch and git.ask("check-ref-format", f"refs/heads/{branch}").code:
        raise InputError(f"{branch!r} can't be the name of a branch", hint="git branch --list --all")
    remote = remote or ("origin" if "origin" in remotes else next(iter(remotes), None))
    default = git.ask("symbolic-ref", "--quiet", "--short", f"refs/remotes/{remote}/HEAD").out.strip()
    return Base(branch or default.removeprefix(f"{remote}/") or "main", remote)


def _fetch(git: Git, base: Base, timeout_s: float) -> Iterator[Finding]:
    # Without the base at hand, a shallow clone would get its whole history, and was made to avoid that.
    if base.remote is None or (git.commit(base.ref) is None and git.edge()):
        return
    refspec = f"+refs/heads/{base.branch}:{base.ref}"
    asked = git.ask("fetch", "--quiet", "--no-tags", "--", base.remote, refspec, timeout_s=timeout_s)
    if "couldn't find remote ref" in asked.err:
        yield Finding("warn", "base", f"{base.remote} has no branch {base.branch}", "name the base: --branch NAME")
    elif asked.code:
        message = plain(f"{base.remote} can't be reached: {asked.reason}")
        yield Finding("warn", "remote", message, f"git fetch {base.remote}, or leave it: --skip-fetch")


def _counted(git: Git, base: Base) -> Base:
    """Return the base with what HEAD and it have that the other has not, where that can be told."""
    if git.commit(base.ref) is None:
        return base
    between = git.read("rev-list", "--left-right", f"{base.ref}...HEAD").split()
    # Where the walk meets the edge of a shallow clone, commits that are not here could be common to both.
    if not git.edge().isdisjoint(line[1:] for line in between):
        return base
    behind = sum(line.startswith("<") for line in between)
    return msgspec.structs.replace(base, ahead=len(between) - behind, behind=behind)


def _compared(base: Base, known: list[Finding]) -> Iterator[Finding]:
    if base.ahead is None or base.behind is None:
        if not any(finding.check in ("base", "remote") for finding in known):
            message = f"ahead or behind of {base.name} can't be told: the history is not here"
            yield Finding(
                "warn", "base", message, f"git fetch {base.remote} {base.branch}, in a shallow clone --unshallow"
            )
    elif base.behind:
        message = f"{counted(base.behind, 'commit')} of {base.name} not here"
        if base.ahead:
            message += f", {counted(base.ahead, 'commit')} here and not there"
            yield Finding("error", "diverged", message, f"git rebase {base.name}")
        else:
            yield Finding("error", "behind", message, f"git merge --ff-only {base.name}")


def _tree(changes: list[str]) -> Iterator[Finding]:
    """Tell apart what `git status --porcelain=v2 -z` lists."""
    staged, unstaged, untracked, unmerged = [], [], [], []
    lines = iter(changes)
    for line in lines:
        kind, _, rest = line.partition(" ")
        if kind == "?":
            untracked.append(rest)
        elif kind == "u":
            unmerged.append(rest.split(" ", 9)[9])
        else:
            name = rest.split(" ", 8 if kind == "2" else 7)[-1]
            if kind == "2":
                next(lines)  # a rename: its old name
            if rest[0] != ".":
                staged.append(name)
            if rest[1] != ".":
                unstaged.append(name)
    for check, files, what, hint in (
        ("unmerged", unmerged, "with conflicts", "mend them, then git add FILE…"),
        ("staged", staged, "staged and not committed", "git commit"),
        ("unstaged", unstaged, "changed and not staged", "git add --update && git commit, or git stash"),
        ("untracked", untracked, "untracked", "git add --all && git commit, or name it in .gitignore"),
    ):
        if files:
            yield _finding(check, files, what, hint)


def _in_progress(git: Git) -> Iterator[Finding]:
    there = git.own(*_IN_PROGRESS)
    if "rebase-merge" in there:
        there.pop("CHERRY_PICK_HEAD", None)  # how a rebase applies its commits
    for what, hint in (_IN_PROGRESS[name] for name in there):
        yield Finding("error", "in progress", f"{what} is not finished", hint)


def _upstream(head: dict[str, str], on: str | None, base: Base) -> Iterator[Finding]:
    """Tell whether the branch is where others can see it; what its upstream has beyond the base, the base tells."""
    if on is None or base.remote is None:
        return
    if "branch.upstream" not in head:
        hint = f"git push --set-upstream {shlex.quote(base.remote)} {shlex.quote(plain(on))}"
        yield Finding("warn", "upstream", f"{plain(on)} is on no remote yet", hint)
        return
    upstream = plain(head["branch.upstream"])
    if "branch.ab" not in head:
        yield Finding("warn", "upstream", f"{upstream} is gone", "git branch --unset-upstream")
        return
    ahead, behind = (abs(int(number)) for number in head["branch.ab"].split())
    if upstream == base.name:
        behind = 0
    if ahead and behind:
        hint = "git pull --rebase, or git push --force-with-lease"
        yield Finding("warn", "upstream", f"{upstream} went another way", hint)
    elif ahead:
        yield Finding("warn", "upstream", f"{counted(ahead, 'commit')} not pushed to {upstream}", "git push")
    elif behind:
        yield Finding("warn", "upstream", f"{counted(behind, 'commit')} of {upstream} not here", "git pull --ff-only")


def _conflict_marks(git: Git) -> Iterator[Finding]:
    searched = git.ask("grep", "-l", "-z", "-I", "--no-color", "-E", "^(<{7}|>{7}) ")
    files = searched.out.split("\0")[:-1]
    if files:
        yield _finding("conflict", files, "with conflict marks", "choose a side, then git add FILE…")


def _stray(git: Git) -> Iterator[Finding]:
    """Tell of tracked files that are too large, or are what runs leave behind."""
    results = git.names("ls-files", "-z", "--", *_RESULTS)
    if results:
        tops = [top for top in _RESULTS if any(name == top or name.startswith(f"{top}/") for name in results)]
        yield _finding("results", results, "a result, and tracked", "git rm -r --cached " + " ".join(tops))
    blobs: dict[str, str] = {}
    for entry in git.names("ls-files", "-s", "-z"):
        mode, blob, rest = entry.split(" ", 2)
        if mode != "160000":  # another repository's commit
            blobs[rest.partition("\t")[2]] = blob
    asked = git.read("cat-file", "--batch-check=%(objectsize)", stdin="".join(f"{blob}\n" for blob in blobs.values()))
    sizes = dict(zip(blobs, asked.splitlines(), strict=True))
    large = [name for name, size in sizes.items() if size.isdigit() and int(size) > LARGE]
    if large:
        what = f"larger than {LARGE // 1_000_000} MB"
        yield _finding("large", large, what, "git rm --cached FILE…, and keep it outside the repository")


def _generated(root: Path) -> Iterator[Finding]:
    check = root / "scripts" / "ci" / "generated_docs.sh"
    if not check.is_file():
        return
    if not shutil.which("cog"):
        yield Finding("warn", "generated", "generated documents are unchecked: cog is missing", "just setup dev")
    elif call(str(check), "--check", cwd=root, timeout_s=300).code:
        yield Finding("error", "generated", "generated documents are stale", "just fix")


def _pins(root: Path) -> Iterator[Finding]:
    if not ((root / "pyproject.toml").is_file() and (root / "constraints.txt").is_file()):
        return
    try:
        for astray in pins.astray(root):
            yield Finding("error", "pins", astray, "just update-pins")
    except ImportError:
        yield Finding("warn", "pins", "the pins are unchecked: packaging is missing", "just setup dev")
    except (ValueError, KeyError) as error:
        message = f"pyproject.toml or constraints.txt can't be read: {one_line(error)}"
        yield Finding("error", "pins", message, "correct it, then just update-pins")


def _finding(check: str, files: list[str], what: str, hint: str) -> Finding:
    return Finding("error", check, f"{counted(len(files), 'file')} {what}: {listed(files)}", hint, files)
