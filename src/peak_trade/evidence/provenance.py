"""What a run was made from, beside its config and its bars: git state, pins, interpreter, machine."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

import peak_trade
from peak_trade.evidence.files import digest

__all__ = ["GitQuestion", "environment", "machine", "pins"]

_GIT = {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}  # a look must not write the index, and must speak English


class GitQuestion:
    """Asks git about a folder in the background, so that its answer costs no time by the moment it is needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._known = _ANSWERS.get(folder)
        if self._known is None:
            self._process = self._start("status", "--porcelain=v2", "--branch", "--untracked-files=all", "-z")

    def _start(self, *words: str) -> subprocess.Popen[bytes] | None:
        try:
            return subprocess.Popen(
                ["git", "-C", str(self.folder), *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | _GIT,
            )
        except OSError:
            return None

    def answer(self) -> dict[str, Any] | None:
        """Return commit, branch, dirty and, if dirty, the digest of the difference; None outside git.

        Asked once a process and folder: a batch of runs does not ask again.
        """
        if self._known is None:
            self._known = _ANSWERS.setdefault(self.folder, self._parse(_output(self._process)))
        return self._known or None

    def close(self) -> None:
        """Leave no process behind, if there was no need for the answer."""
        if self._known is None and self._process is not None:
            with suppress(OSError):
                self._process.kill()
                self._process.communicate()
            self._process = None

    def _parse(self, status: bytes) -> dict[str, Any]:
        lines = status.decode("utf-8", "surrogateescape").split("\0")
        head = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# ") and " " in line[2:])
        if "branch.oid" not in head:
            return {}
        changes = [line for line in lines if line and not line.startswith("# ")]
        state: dict[str, Any] = {
            "commit": None if head["branch.oid"] == "(initial)" else head["branch.oid"],
            "branch": head.get("branch.head", "").encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
            "dirty": bool(changes),
        }
        if changes:
            state["diff_sha256"] = self._difference(changes, "HEAD" if state["commit"] else "--")
        return state

    def _difference(self, changes: list[str], base: str) -> str:
        """Digest what the commit does not hold.

        That is: what is staged (the status names it by its content), what is changed, and the content of new files.
        """
        difference = self._start("diff", "--binary", "--no-ext-diff", "--no-textconv", "--no-color", base)
        root = self._start("rev-parse", "--show-toplevel")
        sha256 = hashlib.sha256("\0".join(changes).encode("utf-8", "surrogateescape"))
        sha256.update(_output(difference))
        top = Path(os.fsdecode(_output(root).rstrip(b"\n")) or self.folder)
        for new in (change[2:] for change in changes if change.startswith("? ")):
            path = top / new
            if path.is_file() and not path.is_symlink():
                sha256.update(digest(path).encode())
        return sha256.hexdigest()


_ANSWERS: dict[Path, dict[str, Any]] = {}


def _output(process: subprocess.Popen[bytes] | None) -> bytes:
    if process is None:
        return b""
    try:
        output, _ = process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return b""
    except OSError:  # a strategy has closed what it comes by
        return b""
    return output if process.returncode == 0 else b""


@cache
def pins(root: Path) -> str | None:
    """Return the sha256 of the repository's constraints.txt, None where there is none."""
    try:
        return digest(root / "constraints.txt")
    except OSError:
        return None


@cache
def machine() -> dict[str, Any]:
    """Return what there is beside Python and its packages: this program's version, the system and the processor."""
    return {"peak_trade": peak_trade.__version__, "system": f"{sys.platform}-{os.uname().machine}", "cpu": _cpu()}


@cache
def environment() -> dict[str, Any]:
    """Return the versions, the processor and the linear algebra library that numbers can depend on."""
    import numpy as np  # a recorder, whose command has an environment of its own, needs none

    here = machine()
    blas = np.__config__.CONFIG.get("Build Dependencies", {}).get("blas", {})
    return {
        "peak_trade": here["peak_trade"],
        "python": sys.version.split()[0],
        "implementation": sys.implementation.name,
        "numpy": np.__version__,
        "msgspec": msgspec.__version__,
        "system": here["system"],
        "cpu": here["cpu"],
        "blas": " ".join(str(blas[key]) for key in ("name", "version") if blas.get(key)) or None,
    }


def _cpu() -> str | None:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:
            names = (line.partition(":")[2].strip() for line in stream if line.startswith("model name"))
            return next(names, None)
    except OSError:
        return None
