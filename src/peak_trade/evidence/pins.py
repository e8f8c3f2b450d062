"""Pins: the runs that retention leaves, a file each in `results/.pins/`, as runs are pinned after their seal."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from peak_trade.errors import InputError
from peak_trade.evidence import door, files
from peak_trade.evidence.results import PINS, Results

__all__ = ["held", "pin", "unpin"]


def pin(results: Results, which: str) -> str:
    """Keep a run from being removed, from when this returns; return its run_id.

    Raises InputError where there is no such run.
    """
    with files.disk_errors(results.path.name):
        run_id = results.find(which).name
        with held(results) as pinned:
            if results.removed([run_id]):
                raise InputError(f"run {run_id} has just been removed", hint="just runs")
            if run_id not in pinned:
                files.write(results.path / PINS / run_id, [])
                files.sync_folder(results.path / PINS)
        return run_id


def unpin(results: Results, which: str) -> str:
    """Take a pin away, and return the run_id.

    Raises InputError where no pinned run, or more than one, is meant.
    """
    with files.disk_errors(results.path.name):
        run_id = results.find(which).name if which == "last" else which.strip().rstrip("/").rpartition("/")[2].lower()
        with held(results) as pinned:
            matches = [name for name in pinned if run_id and name.startswith(run_id)]
            if len(matches) != 1:
                found = f"is the start of {len(matches)} pinned runs" if matches else "is not pinned"
                shown = f"run {run_id}" if which == "last" else repr(which)
                raise InputError(f"{shown} {found}", hint="just pin --list")
            os.unlink(results.path / PINS / matches[0])
            files.sync_folder(results.path / PINS)
            return matches[0]


@contextmanager
def held(results: Results) -> Iterator[set[str]]:
    """Yield the pinned runs, which stay as they are as long as this is held."""
    (results.path / PINS).mkdir(exist_ok=True)
    with door.folder(results.path / PINS) as folder:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield results.pinned()
