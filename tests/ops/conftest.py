"""Real repositories to look at: made in a moment, on no machine's settings, with the same hashes each time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TOOLS = ("bash", "cat", "cog", "env", "git", "grep", "python", "sed", "sh", "sleep", "xargs")


class Repo:
    """A git repository at `root`, with what tests do to it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def git(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(["git", "-C", str(self.root), *words], capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stderr
        return done.stdout.strip()

    def write(self, name: str, text: str = "x\n") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def commit(self, message: str, *names: str) -> str:
        for name in names:
            self.write(name, f"{message}\n")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def bin_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH: the tools that are needed, and no `gh`, whatever this machine has."""
    folder = tmp_path / "bin"
    folder.mkdir()
    ours = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for tool in TOOLS:
        (folder / tool).symlink_to(shutil.which(tool, path=ours) or pytest.fail(f"{tool} is missing"))
    monkeypatch.setenv("PATH", str(folder))
    for name in ("PEAK_STRICT", "JUST", "GH_TOKEN", *(name for name in os.environ if name.startswith("GIT_"))):
        monkeypatch.delenv(name, raising=False)
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Nobody")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "nobody@example.org")
        monkeypatch.setenv(f"GIT_{who}_DATE", "2024-05-06T07:08:09+0200")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return folder


@pytest.fixture
def fake(bin_dir: Path) -> Callable[[str, str], Path]:
    """Put a program on PATH: its name and what its shell does; each call's arguments go to the file it returns."""

    def put(name: str, does: str) -> Path:
        calls = bin_dir.parent / f"{name}.calls"
        program = bin_dir / name
        program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >> {calls}\n{does}\n", encoding="utf-8")
        program.chmod(0o755)
        return calls

    return put


@pytest.fixture
def upstream(bin_dir: Path, tmp_path: Path) -> Repo:
    """What others have: a repository with one commit on main."""
    there = Repo(tmp_path / "others work")
    there.root.mkdir()
    there.git("init", "--quiet", "--initial-branch=main")
    there.commit("Begin", "begun.txt")
    return there


@pytest.fixture
def repo(upstream: Repo, tmp_path: Path) -> Repo:
    """A clone of it, on main, whose path has a space and an umlaut."""
    subprocess.run(["git", "clone", "--quiet", str(upstream.root), str(tmp_path / "mein Übung")], check=True)
    return Repo(tmp_path / "mein Übung")


@pytest.fixture
def pushed(repo: Repo) -> Repo:
    """The clone on a branch `work` that is pushed, one commit ahead of main."""
    repo.git("switch", "--quiet", "--create", "work")
    repo.commit("Work", "work.txt")
    repo.git("push", "--quiet", "--set-upstream", "origin", "work")
    return repo
