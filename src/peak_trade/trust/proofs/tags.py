"""The ledger's head as a tag of git: whoever has the repository, or a copy of the tag, can say what the head was.

The tag is of a blob that holds the sha256 and nothing of what the ledger says, not of a commit: it goes to a remote
without one, and `git describe` passes it over.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from msgspec import Struct

from peak_trade.errors import InputError, RunError
from peak_trade.text import escaped
from peak_trade.trust.proofs.anchors import Head

__all__ = ["NoGit", "Tag", "of", "repository", "tag"]

_BELOW = "peak-trade/"
_TEXT = re.compile(r"line (\d{1,12}) of a ledger\n\nsha256 ([0-9a-f]{64})\nbegins ([0-9a-f]{64})\n", re.ASCII)
_OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR")
_WAIT_S = 120  # for the passphrase of a key that git signs with


class NoGit(RunError):
    """There is no git, no repository, or nobody that git knows by name: a tag is skipped."""


class Tag(Struct, frozen=True):
    """A tag that names a line: the line's number and sha256, and that of the first line of the ledger it is of."""

    name: str
    time: str
    line: int
    sha256: str
    begins: str


def repository(given: str | None, results: Path) -> Path:
    """Return where tags are: the folder given, else the one of the results; InputError where that is none."""
    if given is not None and not os.path.isdir(given):
        raise InputError(f"there is no folder {given}", hint="--repository DIR names one in a git repository")
    return results if given is None else Path(given)


def tag(repository: Path, head: Head) -> tuple[str, bool]:
    """Tag a ledger's head; return the tag's name, and whether it is new. Raises NoGit where git does not."""
    name = f"{_BELOW}{head.name}"
    text = f"line {head.entry.line} of a ledger\n\nsha256 {head.entry.sha256}\nbegins {head.begins}\n"
    if any(one.name == name and one.sha256 == head.entry.sha256 for one in of(repository)):
        return name, False
    blob = _git(repository, "hash-object", "-w", "--stdin", given=text).strip()
    _git(repository, "tag", "--annotate", "--file=-", name, blob, given=text)
    return name, True


def of(repository: Path) -> list[Tag]:
    """Return all tags of ledgers in a repository. Raises NoGit."""
    form = "%(refname:strip=2)%00%(taggerdate:iso-strict)%00%(contents:subject)%0a%0a%(contents:body)%00%00"
    found = []
    for one in _git(repository, "for-each-ref", f"--format={form}", f"refs/tags/{_BELOW}").split("\0\0\n"):
        name, _, rest = one.partition("\0")
        time, _, text = rest.partition("\0")
        if match := _TEXT.match(text):
            found.append(Tag(escaped(name, 100), escaped(time, 40), int(match[1]), match[2], match[3]))
    return found


def _git(repository: Path, *words: str, given: str = "") -> str:
    import subprocess  # only where there is a repository to ask

    env = {name: value for name, value in os.environ.items() if name not in _OF_A_HOOK} | {"LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", "-C", os.fspath(repository), *words],
            input=given.encode(), capture_output=True, timeout=_WAIT_S, check=False, env=env,
        )  # fmt: skip
    except FileNotFoundError:
        raise NoGit("git is missing", hint="install git") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoGit(f"git {words[0]} does not end: {error}") from None
    if done.returncode:
        said = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
        reason = next((line for line in said if line.startswith(("fatal:", "error:"))), (said or ["it failed"])[0])
        who = "git config --global user.email and user.name say who tags"
        hint = who if words[0] == "tag" else "--repository DIR names another, or git init"
        raise NoGit(f"git {words[0]}: {escaped(reason, 200)}", hint=hint)
    return done.stdout.decode("utf-8", "replace")
