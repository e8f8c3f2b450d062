"""Where things lie, with a checkout and without one.

The root is the checkout that holds this package, else the current folder: `results/`, `data/lake/` and `mlflow.db`
lie below it, and relative paths of a config are looked for there after the config's own folder.
What ships beside the package (scripts, the report's source, telemetry's configurations) is taken from the checkout;
in an installed package it lies in `shipped/`, under the same names.
"""

from __future__ import annotations

import os
from pathlib import Path

from peak_trade.errors import InputError

__all__ = ["checkout", "lake", "looked", "results", "root", "shipped"]

_PACKAGE = Path(__file__).resolve().parent


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


def shipped(name: str | os.PathLike[str]) -> Path:
    """Return a file or folder that ships beside the package, by its name in the checkout.

    Raises:
        InputError: if it is not there, as in a package that was installed in parts.
    """
    path = (checkout() or _PACKAGE / "shipped") / name
    if not path.exists():
        raise InputError(f"{name} did not come with this installation", hint="install peak-trade anew")
    return path
