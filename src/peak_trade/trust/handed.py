"""What a verb is handed: a run of the results folder by its name, or the directory of one, wherever that lies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from peak_trade.evidence import manifest
from peak_trade.evidence.results import Results

__all__ = ["Handed", "handed"]


class Handed(Struct, frozen=True):
    """A run's directory, and the results folder that it belongs to: None where it stands alone."""

    run: Path
    results: Results | None


@contextmanager
def handed(which: str, results: Results) -> Iterator[Handed]:
    """Yield the run that `which` names: `last`, a run_id or a unique start of one in `results`, or a path to one.

    Raises InputError where there is none, or more than one.
    """
    path = Path(which)
    elsewhere = os.path.isfile(path / manifest.NAME) and path.resolve().parent != results.path.resolve()
    if elsewhere:
        yield Handed(path.absolute(), None)
    else:
        yield Handed(results.find(which), results)
