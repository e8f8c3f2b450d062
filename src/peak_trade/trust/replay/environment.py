"""A throw-away environment of the versions that a run was made with, by uv.

Python, NumPy and each package that the run had imported are those that its manifest names; this package itself is the
one that is asked, for it is what compares.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

import peak_trade
from peak_trade.errors import InputError
from peak_trade.runner.limits import termination_raised
from peak_trade.trust.replay import apart
from peak_trade.trust.replay.apart import End
from peak_trade.trust.replay.order import Order
from peak_trade.trust.replay.recorded import Recorded

__all__ = ["Python", "of", "requirements"]

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")  # of a distribution: PEP 508
_VERSION = re.compile(r"[0-9A-Za-z.!+_-]{1,60}")  # loosely PEP 440: nothing that a resolver takes for anything else
_PYTHON = re.compile(r"3\.\d{1,3}\.\d{1,3}")
_OURS = ("msgspec", "numpy")  # what this package needs
_LIMIT_S = 600


class Python(Struct, frozen=True):
    """An interpreter with the recorded versions; `said` is what could not be had as it was."""

    path: Path
    said: list[str] = []

    def make(self, order: Order, place: Path, limit_s: float | None) -> End:
        """Make a run by it, in a process of its own."""
        file = place / "order"
        file.write_bytes(order.encode())
        env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        words = [str(self.path), "-I", "-B", "-m", "peak_trade.trust.replay", str(file)]
        return apart.command(words, env | {"PYTHONDONTWRITEBYTECODE": "1"}, limit_s)


def requirements(recorded: Recorded) -> tuple[str, list[str]]:
    """Return the version of Python, and `name==version` of each package, that a run was made with.

    Raises InputError where the manifest names something else.
    """
    named = recorded.sealed.made.internal_parameters.environment
    python, packages = str(named.get("python")), named.get("distributions")
    wanted = {name: str(named.get(name)) for name in _OURS}
    wanted |= {str(name): str(version) for name, version in packages.items()} if isinstance(packages, dict) else {}
    wanted = {name: version for name, version in wanted.items() if name.lower().replace("_", "-") != "peak-trade"}
    odd = [f"{name} {version}" for name, version in wanted.items()
           if not (_NAME.fullmatch(name) and _VERSION.fullmatch(version))]  # fmt: skip
    if odd or not _PYTHON.fullmatch(python):
        raise InputError(f"the manifest names no version that can be installed: {(odd or [f'python {python}'])[0]}")
    return python, [f"{name}=={version}" for name, version in sorted(wanted.items())]


@contextmanager
def of(recorded: Recorded) -> Iterator[Python]:
    """Yield an interpreter with the versions that a run was made with; it is gone afterwards.

    Packages come as wheels alone: nothing of theirs runs before a strategy imports it. Raises InputError where there is
    no uv, or a version can't be had.
    """
    python, packages = requirements(recorded)
    uv = shutil.which("uv")
    if uv is None:
        raise InputError(
            "an environment of the recorded versions is made by uv, which is not here", hint="pip install uv"
        )
    away = tempfile.TemporaryDirectory(prefix="peak-environment-", ignore_cleanup_errors=True)
    with termination_raised(), away as name:
        place, said = Path(name) / "venv", list[str]()
        if error := _failed([uv, "venv", "--quiet", "--no-project", "--python", python, str(place)]):
            minor = python.rpartition(".")[0]
            if _failed([uv, "venv", "--quiet", "--no-project", "--python", minor, str(place)]):
                raise InputError(f"there is no Python {python} to be had: {error}", hint="uv python install")
            said.append(f"Python {python} is not to be had: another {minor} is taken")
        wheels = ["--only-binary", ":all:", "--no-deps", "--python", str(place / "bin" / "python")]
        if error := _failed([uv, "pip", "install", "--quiet", *wheels, *packages]):
            raise InputError(f"the recorded packages can't be installed: {error}", hint="leave --environment out")
        for folder in place.glob("lib/python3*/site-packages"):
            (folder / "peak_trade").symlink_to(Path(peak_trade.__file__).resolve().parent)
        yield Python(place / "bin" / "python", said)


def _failed(words: list[str]) -> str:
    """Run a command, and return why it failed; empty where it did not."""
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    told = [line.strip(" ×╰─▶") for line in done.stderr.splitlines() if line.strip(" ×╰─▶")]
    return "" if not done.returncode else " ".join(told)[:300] or f"exit code {done.returncode}"
