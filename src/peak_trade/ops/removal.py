"""The removal of runs, by a plan: in the ledger before anything of them is deleted.

A run is removed in this order, and each step is on disk before the next:

    an empty `results/.removing/<run_id>/` → REMOVED in the ledger → the run's directory renamed onto it → its files

The ledger's line, the tombstone, decides. A process that dies before it leaves the run whole; one that dies after it
leaves a removed run, which no reader shows (`Results.runs`), and the next clean-up or `just doctor` deletes what is
left. The empty directory tells that rest from a run that was removed and put back from a copy: that one is not ours.

Deletion follows descriptors, not paths, so that no link, however it got there, leads it out of the directory.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial

from peak_trade.errors import RunError
from peak_trade.evidence import pins
from peak_trade.evidence.files import disk_errors, opened
from peak_trade.evidence.results import LEFT, REMOVING, SWEEPS, Results
from peak_trade.ops import bars
from peak_trade.ops.retention import DEEPEST, Item, Plan, Policy, plan
from peak_trade.shown.telemetry import OPERATIONS

__all__ = ["apply", "finish"]

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def apply(
    results: Results,
    policy: Policy,
    *,
    now: datetime | None = None,
    waiting: Callable[[], None] = lambda: None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Plan:
    """Plan, remove what the plan says, and return it with what became of each run.

    One clean-up works at a time; `waiting` is called where there is another one. Where a tombstone can't be written
    nothing of its run is deleted, and no run after it.

    Raises RunError where the ledger is not whole, or `results` can't be written.
    """
    if not results.path.is_dir():
        return Plan()
    with disk_errors(results.path.name), _removing(results, waiting) as remover:
        done = plan(results, policy, now=now)
        remover.take_back()
        items = done.of("remove")
        items.sort(key=lambda item: item.status != "bars")  # which go when the runs are gone
        for number, item in enumerate(reversed(items), 1):  # the oldest first: it may stop on the way
            remover.carry_out(item)
            progress(number, len(items))
        return done


def finish(results: Results) -> list[tuple[str, str]]:
    """Bring the removals of dead processes to their end, and return (run_id, what was done) for each."""
    if not (results.path / REMOVING).is_dir():
        return []
    try:
        with disk_errors(results.path.name), _removing(results) as remover:
            results.whole_reading()
            remover.take_back()
            left = sorted(results.half_removed())
            return [(run_id, remover.finish(run_id) or "its removal was cut short: finished") for run_id in left]
    except _Busy:
        return []  # a clean-up is at it
    except RunError as error:
        return [(run_id, f"its removal is not finished: {error.message}") for run_id in sorted(results.half_removed())]


class _Busy(Exception):
    """Another clean-up is at work."""


@contextmanager
def _removing(results: Results, waiting: Callable[[], None] | None = None) -> Iterator[_Remover]:
    """Hold the right to remove runs; without `waiting`, _Busy where another process has it."""
    (results.path / REMOVING).mkdir(exist_ok=True)
    with (
        opened(results.path, os.O_RDONLY | os.O_DIRECTORY) as base,
        opened(REMOVING, _FOLDER, base) as aside,
    ):
        try:
            fcntl.flock(aside, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is None:
                raise _Busy from None
            waiting()
            fcntl.flock(aside, fcntl.LOCK_EX)
        yield _Remover(results, base, aside)


class _Remover:
    """Removes runs: `base` and `aside` are descriptors of `results` and of the place to which it takes them."""

    def __init__(self, results: Results, base: int, aside: int) -> None:
        self.results, self.base, self.aside = results, base, aside
        self.device = os.fstat(base).st_dev
        self.stopped = ""

    def take_back(self) -> None:
        """Remove the empty directories of removals that did not get as far as the ledger."""
        names = set(os.listdir(self.aside))
        for name in names - self.results.removed(names):
            with suppress(OSError):  # not empty: nobody knows what it is
                os.rmdir(name, dir_fd=self.aside)

    def carry_out(self, item: Item) -> None:
        """Remove a run, or what is left of one, and note in the item what became of it."""
        problem = self.stopped
        if item.status in ("bars", "sweep"):
            remove = self._remove_trials if item.status == "sweep" else partial(bars.remove, self.results)
            problem = problem or remove(item.run_id)
            item.action, item.why = ("failed", problem) if problem else ("removed", item.why)
            return
        try:
            if not problem and item.status not in ("removed", "telemetry") and not self._note(item):
                item.action, item.why = "keep", "pinned"
                return
        except OSError as error:
            problem = self.stopped = f"its removal can't be noted: {error.strerror}"
        problem = problem or self.finish(item.run_id, leftover=item.status == "telemetry")
        item.action, item.why = ("failed", problem) if problem else ("removed", item.why)

    def _remove_trials(self, run_id: str) -> str:
        """Delete what a sweep that has ended left of its trials; return what went wrong."""
        try:
            with opened(SWEEPS, _FOLDER, self.base) as folder:
                self._delete(folder, run_id)
        except OSError as error:
            return f"not finished: {error.strerror}"
        return ""

    def _note(self, item: Item) -> bool:
        """Write the tombstone, unless the run has been pinned since it was planned."""
        with pins.held(self.results) as pinned:
            if item.run_id in pinned:
                return False
            os.mkdir(item.run_id, dir_fd=self.aside)  # stays where the line fails: who knows what the disk has of it
            os.fsync(self.aside)
            self.results.ledger.append(
                "removed", item.run_id, manifest=item.manifest, bytes=item.bytes, reason=item.why
            )
            return True

    def finish(self, run_id: str, *, leftover: bool = False) -> str:
        """Delete a run that has its tombstone, or only the `leftover` of its telemetry; return what went wrong."""
        try:
            if not leftover:
                self._delete_run(run_id)
            for beside in (OPERATIONS, LEFT):
                with (
                    suppress(FileNotFoundError, NotADirectoryError),
                    opened(beside, _FOLDER, self.base) as folder,
                ):
                    self._delete(folder, run_id)
        except OSError as error:
            return f"not finished: {error.strerror}"
        return ""

    def _delete_run(self, run_id: str) -> None:
        with opened(run_id, _FOLDER, self.aside) as taken:
            if not os.listdir(taken):  # else it was taken aside before, and another of its name is a copy
                with suppress(FileNotFoundError):
                    self._take_aside(run_id)
        self._delete(self.aside, run_id)

    def _take_aside(self, run_id: str) -> None:
        with opened(run_id, _FOLDER, self.base) as folder:
            _make_writable(folder)  # as must be what gets another parent
        os.rename(run_id, run_id, src_dir_fd=self.base, dst_dir_fd=self.aside)
        os.fsync(self.base)

    def _delete(self, parent: int, name: str, depth: int = 0) -> None:
        if depth > DEEPEST:
            raise OSError(errno.ELOOP, f"more than {DEEPEST} folders deep", name)
        with opened(name, _FOLDER, parent) as folder:
            if os.fstat(folder).st_dev != self.device:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), name)
            _make_writable(folder)
            for entry in list(os.scandir(folder)):
                if entry.is_dir(follow_symlinks=False):
                    self._delete(folder, entry.name, depth + 1)
                else:
                    os.unlink(entry.name, dir_fd=folder)
        os.rmdir(name, dir_fd=parent)


def _make_writable(folder: int) -> None:
    mode = stat.S_IMODE(os.fstat(folder).st_mode)
    if mode & 0o700 != 0o700:
        os.fchmod(folder, mode | 0o700)
