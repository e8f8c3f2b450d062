"""A pull request, from what git knows: its title, its body by the repository's template, the commands that open it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from peak_trade.errors import InputError
from peak_trade.evidence.results import Results
from peak_trade.ops.git import Git
from peak_trade.ops.git_state import Base
from peak_trade.ops.merge_log import ledger_head
from peak_trade.ops.words import counted, markdown, paragraphs

__all__ = ["SKIPPED", "Change", "body", "commands", "read"]

TEMPLATE = Path(".github") / "pull_request_template.md"
SKIPPED = [("just git-state --strict", "skipped"), ("just validate", "skipped")]
_MOST = 50  # commits in a list; the page of a pull request lists them all
_TYPE = re.compile(r"^(?:feature|feat|fix|bugfix|hotfix|docs|chore|refactor|test|ci|perf)/", re.IGNORECASE)


class Change(Struct, frozen=True):
    """What a branch adds to its base."""

    branch: str
    base: Base
    commits: list[tuple[str, str]]  # subject and body, oldest first
    areas: dict[str, int]  # folder: number of changed files

    @property
    def title(self) -> str:
        """The subject of a single commit; else the branch's name in words."""
        if len(self.commits) == 1:
            return self.commits[0][0]
        words = " ".join(re.split(r"[-_/\s]+", _TYPE.sub("", self.branch))).strip()
        return words[:1].upper() + words[1:]


def read(git: Git, base: Base) -> Change:
    """Return what the branch that is checked out adds to `base`.

    Raises:
        InputError: if no branch is checked out, it is the base itself, or it adds nothing.
    """
    branch = git.ask("symbolic-ref", "--quiet", "--short", "HEAD").out.strip()
    if branch in ("", base.branch):
        where = f"`{branch}` is the base itself" if branch else "no branch is checked out"
        raise InputError(where, hint="git switch --create NAME")
    if git.commit(base.ref) is None:
        raise InputError(f"there is no base `{base.name}` here", hint="git fetch, or name another: --base NAME")
    messages = git.names("log", "-z", "--reverse", "--no-merges", "--format=%B", f"{base.ref}..HEAD")
    if not messages:
        raise InputError(f"`{branch}` adds no commit to {base.name}", hint="git log, or git switch BRANCH")
    parts = (message.strip().partition("\n") for message in messages)
    changed = git.names("diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", f"{base.ref}...HEAD")
    areas = dict(sorted(Counter(map(_area, changed)).items()))
    return Change(branch, base, [(subject, rest.strip()) for subject, _, rest in parts], areas)


def body(root: Path, change: Change, verification: list[tuple[str, str]], results: Results) -> str:
    """Return the template of `root` with what is known filled in after its markers.

    Raises:
        InputError: if there is no template.
    """
    try:
        text = (root / TEMPLATE).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"there is no {TEMPLATE}", hint=f"git checkout -- {TEMPLATE}") from None
    subjects = [f"- {markdown(subject)}" for subject, _ in change.commits[:_MOST]]
    if len(change.commits) > _MOST:
        subjects.append(f"- and {len(change.commits) - _MOST} more")
    areas = ", ".join(f"{markdown(area)} ({counted(number, 'file')})" for area, number in change.areas.items())
    outcomes = [f"- `{command}`: {outcome}" for command, outcome in verification]
    return _filled(
        text,
        {
            "what": "\n".join([*subjects, "", f"Changed: {areas or 'nothing'}."]),
            "why": "\n\n".join(filter(None, (paragraphs(rest) for _, rest in change.commits))),
            "verification": "\n".join([*outcomes, f"- Ledger: {ledger_head(results)}"]),
        },
    )


def commands(change: Change, title: str, text: str, *, draft: bool, push: bool) -> list[list[str]]:
    """Return the commands that open the pull request: a push, if it needs one, and the call of `gh`."""
    pushes = (
        [["git", "push", "--set-upstream", change.base.remote, change.branch]] if push and change.base.remote else []
    )
    create = ["gh", "pr", "create", "--base", change.base.branch, "--head", change.branch]
    create += ["--title", title, "--body", text, *(["--draft"] if draft else [])]
    return [*pushes, create]


def _filled(template: str, parts: Mapping[str, str]) -> str:
    for name, part in parts.items():
        marker = f"<!-- {name} -->\n"
        if part:
            template = template.replace(marker, f"{marker}\n{part}\n", 1)
    return template


def _area(name: str) -> str:
    """Return the folder that a change is told under: two levels deep, or the file itself at the top."""
    folders = name.split("/")[:-1]
    return "/".join(folders[:2]) if folders else name
