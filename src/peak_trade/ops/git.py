"""Git, asked from outside: in English, without a terminal or locks, and within a time limit."""

from __future__ import annotations

import os
from pathlib import Path

from peak_trade.call import NOT_FOUND, Done, call
from peak_trade.errors import InputError

__all__ = ["Git"]

# A hook's git sets these for its own children; they would lead away from the repository that is asked about.
_OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR")
_SETTINGS = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


class Git:
    """The repository whose work tree begins at `root`."""

    def __init__(self, root: Path) -> None:
        """Look whether there is one.

        Raises:
            InputError: if `root` is no work tree's top, or git is missing.
        """
        if not root.is_dir():
            raise InputError(f"there is no folder {root}", hint="check --root")
        self.root = root
        asked = self.ask("rev-parse", "--show-toplevel")
        if asked.code == NOT_FOUND:
            raise InputError("git is missing", hint="install git")
        if asked.code:
            raise InputError(f"{root} is no git repository: {asked.reason}", hint=f"git -C {root} init")
        top = Path(asked.out.removesuffix("\n"))
        if top.resolve() != root.resolve():
            raise InputError(f"{root} lies in the repository {top} and is none itself", hint=f"--root {top}")

    def ask(self, *words: str, timeout_s: float = 60, stdin: str = "") -> Done:
        """Run a git command and return how it ended."""
        env = {name: value for name, value in os.environ.items() if name not in _OF_A_HOOK} | _SETTINGS
        return call(
            "git", "-c", "log.showSignature=false", *words, cwd=self.root, timeout_s=timeout_s, env=env, stdin=stdin
        )

    def read(self, *words: str, stdin: str = "") -> str:
        """Run a git command and return what it printed.

        Raises:
            InputError: if it failed: nothing can be said of such a repository.
        """
        done = self.ask(*words, stdin=stdin)
        if done.code:
            raise InputError(f"git {words[0]} failed: {done.reason}", hint=f"run it by hand in {self.root}")
        return done.out

    def names(self, *words: str) -> list[str]:
        """Run a git command with `-z` and return what it listed."""
        return self.read(*words).split("\0")[:-1]

    def commit(self, name: str) -> str | None:
        """Return the full hash of the commit that `name` stands for, None where there is none."""
        found = self.ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        return found.out.strip() if found.code == 0 else None

    def parent(self, commit: str) -> str:
        """Return the first parent of `commit`, or the empty tree if it has none."""
        return self.commit(f"{commit}^1") or self.read("hash-object", "-t", "tree", "--stdin").strip()

    def own(self, *names: str) -> dict[str, Path]:
        """Return those of git's own files and folders of these `names` that are there, also for a linked work tree."""
        asked = self.read("rev-parse", *(word for name in names for word in ("--git-path", name))).splitlines()
        paths = {name: self.root / path for name, path in zip(names, asked, strict=True)}
        return {name: path for name, path in paths.items() if path.exists()}

    def edge(self) -> set[str]:
        """Return the commits at which the history of a shallow clone ends: their parents are not here."""
        files = self.own("shallow").values()
        return {commit for file in files for commit in file.read_text(encoding="ascii").split()}

    def holds(self, commit: str, ancestor: str) -> bool:
        """Tell whether `ancestor` is in the history of `commit`."""
        return self.ask("merge-base", "--is-ancestor", ancestor, commit).code == 0
