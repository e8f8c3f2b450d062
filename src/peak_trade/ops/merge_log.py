"""The log of a merge: docs/ops/PR_<N>_MERGE_LOG.md, what was merged, why, how it was verified, and the ledger's head.

The parts between markers are generated, and each marker holds the digest of its part: one that was edited by hand is
found, and never overwritten. All that stands outside the markers, the reasons above all, is its reader's to edit.
What git tells (merge, commits, files) is written anew each time and is the same on every machine; what was seen at the
time (verification, ledger) stays as it was seen.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from peak_trade.call import call
from peak_trade.errors import InputError, RunError
from peak_trade.evidence.results import Results
from peak_trade.ops.git import Git
from peak_trade.ops.words import counted, markdown, paragraphs

__all__ = ["Merge", "Result", "check", "find", "index", "ledger_head", "log_path", "verified", "write"]

_MOST = 200  # commits or files in a list
_PART = re.compile(r"^<!-- generated: (?P<name>\w+) (?P<digest>\w+) -->\n(?P<body>.*?)^<!-- end -->$", re.M | re.S)
_HEAD = re.compile(r"^- Line (\d+), sha256 `([0-9a-f]{64})`$", re.M)
_PARTS = ("merge", "commits", "files", "verification", "ledger")
_WHY = re.compile(r"^#+ *Why\b.*?$(.*?)(?=^#|\Z)", re.M | re.S | re.I)
_NO_REASON = "Nobody has said yet; write it here."


class Result(NamedTuple):
    """What became of one command of the verification."""

    command: str
    outcome: str


class Merge(Struct, frozen=True):
    """What git tells of a merged pull request."""

    number: int
    title: str
    commit: str
    kind: str
    time: str  # of the merge, ISO 8601, UTC
    reason: str  # the rest of the merge's message
    commits: list[tuple[str, str]]  # hash and subject, oldest first
    files: list[tuple[str, str]]  # name and what changed


def log_path(root: Path, number: int) -> Path:
    """Return where the log of pull request `number` is kept."""
    return root / "docs" / "ops" / f"PR_{number}_MERGE_LOG.md"


def find(git: Git, number: int, commit: str | None = None) -> Merge:
    """Return the merge of pull request `number`: in the history of HEAD, or the `commit` that is named.

    Knows GitHub's merge commits (`Merge pull request #N from …`) and squashed ones (`… (#N)`).

    Raises:
        InputError: if there is none, or more than one.
    """
    if commit is not None:
        merge = git.commit(commit)
        if merge is None:
            raise InputError(f"there is no commit `{commit}` here", hint="git fetch")
        return _read(git, number, merge)
    subjects = [entry.split("\t", 1) for entry in git.names("log", "-z", "--first-parent", "--format=%H%x09%s")]
    merged = [found for found, subject in subjects if re.match(rf"Merge pull request #{number}\b", subject)]
    squashed = [found for found, subject in subjects if subject.endswith(f"(#{number})")]
    found = merged or squashed
    if len(found) != 1:
        what = f"no commit of this history merges pull request {number}"
        if found:
            what = f"{counted(len(found), 'commit')} could be pull request {number}: " + ", ".join(
                one[:12] for one in found[:3]
            )
        raise InputError(what, hint=f"git fetch, or name it: just merge-log {number} --commit SHA")
    return _read(git, number, found[0])


def _read(git: Git, number: int, commit: str) -> Merge:
    raw_time, _, message = git.read("show", "-s", "--date=unix", "--format=%cd%n%B", commit).partition("\n")
    subject, _, body = message.strip().partition("\n")
    edge = git.edge()
    merge = git.commit(f"{commit}^2") is not None
    commits = [[commit, subject]]
    if merge:
        merged = ("log", "-z", "--reverse", f"{commit}^1..{commit}^2")
        commits = [entry.split("\t", 1) for entry in git.names(*merged, "--format=%H%x09%s")]
        if subject.startswith("Merge pull request #"):
            subject, _, body = body.strip().partition("\n")  # GitHub puts the title there
        body = body.strip() or "\n\n".join(git.names(*merged, "--format=%b"))
    if not edge.isdisjoint([commit, *(one for one, _ in commits)]):
        raise RunError("this clone is shallow: it does not hold all that was merged", hint="git fetch --unshallow")
    return Merge(
        number,
        subject.removesuffix(f"(#{number})").strip() or "without a title",
        commit,
        "a merge commit" if merge else "a single commit",
        datetime.fromtimestamp(int(raw_time), UTC).isoformat().replace("+00:00", "Z"),
        body.strip(),
        [(one[:12], what) for one, what in commits],
        list(_files(git, git.parent(commit), commit)),
    )


def _files(git: Git, parent: str, commit: str) -> Iterator[tuple[str, str]]:
    entries = iter(git.names("diff", "--numstat", "-z", "--find-renames", "--no-ext-diff", parent, commit))
    for entry in entries:
        added, deleted, name = entry.split("\t", 2)
        if not name:  # a rename: the old and the new name follow
            name = f"{next(entries)} → {next(entries)}"
        yield name, "binary" if added == "-" else f"+{added} −{deleted}"


def write(
    root: Path, merge: Merge, results: Results, *, why: str | None = None, verification: list[Result] | None = None
) -> str:
    """Write the log of `merge`, or bring its generated parts up to date; return `written`, `updated` or `unchanged`.

    `why` (the pull request's own words) goes into a new log only. A log that exists keeps its verification and its
    ledger's head, unless a new `verification` is given.

    Raises:
        RunError: if a generated part was edited by hand, or taken out.
    """
    path = log_path(root, merge.number)
    old = path.read_text(encoding="utf-8") if path.exists() else None
    if old is None:
        text = _new(merge, results, why, verification)
    else:
        for fault in _tampered(old):
            hint = f"keep your words between the generated parts; git checkout -- docs/ops/{path.name}"
            raise RunError(f"{path.name}: {fault}", hint=hint)
        parts = _from_git(merge) | (_observed(results, verification) if verification else {})
        text = _PART.sub(lambda part: _part(part["name"], parts.get(part["name"], part["body"])), old)
    if text == old:
        return "unchanged"
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")  # a reader, or a crash, meets the old log or the new one
    fresh.write_text(text, encoding="utf-8")
    os.replace(fresh, path)
    return "written" if old is None else "updated"


def check(root: Path, merge: Merge, results: Results) -> Iterator[str]:
    """Yield what is wrong with the log of `merge`: parts that were edited or are stale, a ledger that is another."""
    text = log_path(root, merge.number).read_text(encoding="utf-8")
    yield from _tampered(text)
    fresh = _from_git(merge)
    for part in _PART.finditer(text):
        if part["body"] != fresh.get(part["name"], part["body"]) and part["digest"] == _digest(part["body"]):
            yield f"the generated part `{part['name']}` is not what git says"
    named = _HEAD.search(text)
    if named:
        entries = results.reading().entries
        line, sha256 = int(named[1]), named[2]
        if not any(entry.line == line and entry.sha256 == sha256 for entry in entries):
            yield f"the ledger has no line {line} with the digest that the log names"


def verified(path: Path) -> bool:
    """Tell whether the log at `path` holds a verification in which every command passed."""
    parts = {part["name"]: part["body"] for part in _PART.finditer(path.read_text(encoding="utf-8"))}
    outcomes = re.findall(r"^- `.+`: (.*)$", parts.get("verification", ""), re.M)
    return bool(outcomes) and all(outcome.startswith("passed") for outcome in outcomes)


def index(root: Path) -> str:
    """Bring docs/ops/README.md, the list of all logs and pages, up to date; return why not, or nothing."""
    readme = root / "docs" / "ops" / "README.md"
    if not readme.is_file():
        return "there is no docs/ops/README.md"
    done = call("cog", "-r", "-I", "scripts", str(readme), cwd=root, timeout_s=60)
    return f"cog: {done.reason}" if done.code else ""


def ledger_head(results: Results) -> str:
    """Return the ledger's last line as the log names it: its number and its digest."""
    reading = results.reading()
    return (
        f"Line {len(reading.entries)}, sha256 `{reading.head}`"
        if reading.entries
        else "There is no ledger here: no run was made."
    )


def _new(merge: Merge, results: Results, why: str | None, verification: list[Result] | None) -> str:
    parts = _from_git(merge) | _observed(results, verification)
    blocks = {name: _part(name, body) for name, body in parts.items()}
    said = _WHY.search(why or "")
    reason = paragraphs(said[1] if said else why or "") or paragraphs(merge.reason) or _NO_REASON
    return (
        "\n\n".join(
            [
                blocks["merge"],
                "<!-- Write between the generated parts, and not in them: `just merge-log` writes those anew. -->",
                f"## Why\n\n{reason}",
                *(blocks[name] for name in _PARTS[1:]),
            ]
        )
        + "\n"
    )


def _from_git(merge: Merge) -> dict[str, str]:
    commits = [f"- `{one}` {markdown(subject)}" for one, subject in merge.commits]
    files = [f"- {markdown(name)} ({change})" for name, change in merge.files]
    return {
        "merge": f"# PR {merge.number}: {markdown(merge.title)}\n\n"
        f"Merged as `{merge.commit}`, {merge.kind}, at {merge.time}: "
        f"{counted(len(commits), 'commit')}, {counted(len(files), 'file')}.\n",
        "commits": "## Commits\n\n" + _listing(commits),
        "files": "## Files\n\n" + _listing(files),
    }


def _observed(results: Results, verification: list[Result] | None) -> dict[str, str]:
    outcomes = [f"- `{command}`: {markdown(outcome)}" for command, outcome in verification or []]
    none = "Nothing was run for this log yet; `just post-merge` with `--pr` runs the checks and writes them here.\n"
    return {
        "verification": "## Verification\n\n" + (_listing(outcomes) if outcomes else none),
        "ledger": f"## Ledger\n\n- {ledger_head(results)}\n",
    }


def _tampered(text: str) -> Iterator[str]:
    parts = {part["name"]: part for part in _PART.finditer(text)}
    for name in _PARTS:
        if name not in parts:
            yield f"the generated part `{name}` is missing"
        elif parts[name]["digest"] != _digest(parts[name]["body"]):
            yield f"the generated part `{name}` was edited by hand"


def _listing(lines: list[str]) -> str:
    more = [f"- and {len(lines) - _MOST} more"] if len(lines) > _MOST else []
    return "\n".join([*lines[:_MOST], *more] or ["None."]) + "\n"


def _part(name: str, body: str) -> str:
    return f"<!-- generated: {name} {_digest(body)} -->\n{body}<!-- end -->"


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]
