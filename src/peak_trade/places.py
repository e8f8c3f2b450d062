"""Where things lie, with a checkout and without one.

The root is the checkout that holds this package, else the current folder: `results/`, `data/lake/` and `mlflow.db`
lie below it, and relative paths of a config are looked for there after the config's own folder.
What ships beside the package (scripts, the report's source, telemetry's configurations) is taken from the checkout;
in an installed package it lies in `shipped/`, under the same names.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from peak_trade.errors import InputError

__all__ = ["checkout", "is_pseudo", "lake", "looked", "results", "root", "shipped", "taken"]

_PACKAGE = Path(__file__).resolve().parent
_PSEUDO = re.compile(r"/(?:proc|sys|dev(?!/shm/))(?:/|$)")


def checkout() -> Path | None:
    """Return the checkout that holds this package; None where the package was installed without one."""
    above = _PACKAGE.parents[1]
    return above if (above / "pyproject.toml").is_file() and _PACKAGE.parent.name == "src" else None


def root() -> Path:
    """Return the checkout, else the current folder."""
    return checkout() or Path.cwd()


def results(given: str | os.PathLike[str] | None = None, below: Path | None = None) -> Path:
    """Return where runs are kept: `given`, else `$PEAK_RESULTS_DIR`, else `results/` below the root or another."""
    chosen = given or os.environ.get("PEAK_RESULTS_DIR")
    return Path(chosen) if chosen else (below or root()) / "results"


def lake(given: str | os.PathLike[str] | None = None) -> Path:
    """Return where the lake is: `given`, else `$PEAK_LAKE_DIR`, else `data/lake/` below the root."""
    chosen = given or os.environ.get("PEAK_LAKE_DIR")
    return Path(chosen) if chosen else root() / "data" / "lake"


def looked(path: str | os.PathLike[str]) -> str:
    """Return what an error adds of a relative path that leads nowhere: where was looked; nothing of an absolute one."""
    return "" if os.path.isabs(path) else f"; looked in {Path.cwd()}"


def is_pseudo(path: str | os.PathLike[str]) -> bool:
    """Tell whether a path lies where the system's devices and processes are, which are no files.

    >>> is_pseudo("/dev/stdout"), is_pseudo("/proc/self/mem"), is_pseudo("/dev/shm/a"), is_pseudo("a/dev/null")
    (True, True, False, False)
    """
    return bool(_PSEUDO.match(os.path.abspath(path)))


def taken(path: str | os.PathLike[str]) -> str:
    """Say what is in the place of a file that a person wants written, as `a folder`; empty where one can be put there.

    A file is put in place by renaming: whoever may do so in /dev would take the machine's devices away.
    Raises OSError as `os.stat` does, FileNotFoundError where there is nothing.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        return "a folder"
    folder = os.path.realpath(os.path.dirname(os.path.abspath(path)))
    if not stat.S_ISREG(mode) or is_pseudo(path) or is_pseudo(os.path.join(folder, os.path.basename(path))):
        return "no regular file"
    return ""


def shipped(name: str | os.PathLike[str]) -> Path:
    """Return a file or folder that ships beside the package, by its name in the checkout.

    Raises:
        InputError: if it is not there, as in a package that was installed in parts.
    """
    path = (checkout() or _PACKAGE / "shipped") / name
    if not path.exists():
        raise InputError(f"{name} did not come with this installation", hint="install peak-trade anew")
    return path
