"""A results folder: the runs that are there, and what its ledger says of them.

Runs end and are removed at any time, by other processes. So nothing here is kept but the ledger as it was last read,
and that is read again whenever the file has changed: each call answers for the moment of the call. Whoever compares
folder and ledger asks in the order that makes what happens in between harmless, and says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from peak_trade.errors import InputError, RunError
from peak_trade.evidence.ledger import SEALED, Ledger, Reading, is_run_id

__all__ = ["Results", "is_run_id", "run_ids"]

WORKING = ".working"  # where runs are made
REMOVING = ".removing"  # where `retention` takes a run whose removal is in the ledger
LEFT = ".left"  # what a strategy left in the directory of its run, by run_id: no part of the evidence
BARS = ".bars"  # files of bars that came with runs received, each named by its digest
IMPORTING = ".importing"  # where runs that are received wait for their line in the ledger
SWEEPS = ".sweeps"  # what the trials of a sweep under way came to, by the run_id of its parent
PINS = ".pins"  # a file for each run that retention leaves, with its run_id as name: runs are pinned after their seal


def run_ids(folder: Path) -> set[str]:
    """Return all run_ids that are names in a folder; none where there is no folder."""
    try:
        return {entry.name for entry in os.scandir(folder) if is_run_id(entry.name)}
    except (FileNotFoundError, NotADirectoryError):
        return set()


class Results:
    """The folder at `path`, which need not exist: it has no runs then."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.ledger = Ledger(self.path)
        self._mark: tuple[int, ...] | None = None
        self._reading = Reading()

    def __repr__(self) -> str:
        return f"Results({str(self.path)!r})"

    def reading(self) -> Reading:
        """Return the ledger as it is now; OSError where it can't be read.

        Who needs one moment for several questions keeps the reading: it does not change.
        """
        try:
            info = self.ledger.path.stat()
            mark = (info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
        except FileNotFoundError:
            mark = None
        if mark != self._mark:
            self._reading, self._mark = self.ledger.read(), mark  # a line since then changes the mark again
        return self._reading if mark else Reading()

    def whole_reading(self) -> Reading:
        """Return the ledger as it is now, to act by what it says; RunError where its chain is broken."""
        reading = self.reading()
        if reading.broken:
            line = reading.broken[0][0]
            raise RunError(
                f"the ledger is not whole at line {line}, and nothing is removed by what it says",
                hint="just verify --all",
            )
        return reading

    def runs(self) -> list[Path]:
        """Return the directories of all finished runs, in order of run_id; what is left of a removed one is none."""
        return [self.path / name for name in sorted(run_ids(self.path) - self.half_removed())]

    def pinned(self) -> set[str]:
        """Return the runs that retention leaves."""
        return run_ids(self.path / PINS)

    def half_removed(self) -> set[str]:
        """Return the runs whose removal is in the ledger and was begun, but not brought to its end."""
        begun = run_ids(self.path / REMOVING)
        with suppress(OSError):  # a ledger that can't be read is for others to tell
            return self.removed(begun)
        return set()

    def removed(self, run_ids: Iterable[str]) -> set[str]:
        """Return those of `run_ids` that the ledger, as it is now, has as removed; OSError where it can't be read."""
        wanted = set(run_ids)
        return wanted & self.reading().removed if wanted else set()

    def find(self, which: str) -> Path:
        """Return the directory of one run: by `last` (sealed last, by the ledger), a run_id or a unique start of one.

        Raises InputError where there is none, or more than one.
        """
        if which == "last":
            return self._last()
        folder, _, text = which.strip().rstrip("/").rpartition("/")  # a path to the directory is as good as its name
        if folder and Path(folder).resolve() != self.path.resolve():  # a path's end is a run only where it leads here
            if os.path.isdir(which):
                raise InputError(f"{which!r} is not in {self.path.name}/", hint=f"--results-dir {folder}")
            what = "is no run" if os.path.lexists(which) else "does not exist"
            raise InputError(f"{which!r} {what}", hint="just runs lists the runs that are here")
        text = text.lower()
        matches = [path for path in self.runs() if text and path.name.startswith(text)]
        if len(matches) == 1:
            return matches[0]
        if not matches:
            raise self._not_there(which, text)
        shown = ", ".join(path.name for path in matches[:5]) + (", …" if len(matches) > 5 else "")
        raise InputError(f"{which!r} is the start of {len(matches)} runs: {shown}", hint="give more of the run_id")

    def _not_there(self, which: str, text: str) -> InputError:
        with suppress(OSError):
            reading = self.reading()
            for run_id in sorted(reading.removed) if text else ():
                since = reading.of(run_id).since
                if since and run_id.startswith(text):
                    return InputError(
                        f"run {run_id} was removed on {since.time[:10]}", hint="just runs shows what the ledger keeps"
                    )
        return InputError(f"no run {which!r} in {self.path.name}/", hint="just runs lists them")

    def _last(self) -> Path:
        sealed = [
            (history.received is None, history.end.line, run_id)  # what was received comes after what was made here
            for run_id, history in self.reading().runs.items()
            if history.end and history.state == SEALED
        ]
        for *_, run_id in sorted(sealed, reverse=True):
            if (self.path / run_id).is_dir():
                return self.path / run_id
        raise InputError(f"no sealed run in {self.path.name}/", hint="just run config/my_strategy.toml makes one")
