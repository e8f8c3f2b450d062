"""Who works: an executor makes those trials of a round whose rows are not there yet, and says how far it is.

`worker` (a process that makes trials), `pool` (workers on this machine, and what becomes of the trials of one that
dies), `cluster` (other machines, by Dask), `seat` (what works there). Whatever a strategy does, it does it in a worker.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Protocol

from peak_trade.errors import InputError, did_you_mean
from peak_trade.sweep.bench import Bench
from peak_trade.sweep.executor import cluster
from peak_trade.sweep.executor.pool import Pool
from peak_trade.sweep.folder import Folder
from peak_trade.sweep.plan import Round
from peak_trade.sweep.wish import Work

__all__ = ["Executor", "Pool", "of"]

_NAMES = ("local", "dask")


class Executor(Protocol):
    """Makes trials, until the rows of all are in the folder."""

    def run(self, number: int, tasks: Round) -> Iterator[tuple[int, int]]:
        """Yield, again and again, how many trials of round `number` have been added and how many of these failed.

        Rows that are counted are on disk; those that were there before are counted first. Raises RunError where it
        can't go on.
        """


def of(work: Work) -> Callable[[Bench, Folder], Executor]:
    """Return what makes the executor of a work; InputError where there is none of that name."""
    if work.executor not in _NAMES:
        raise InputError(f"there is no executor {work.executor!r}", hint=did_you_mean(work.executor, _NAMES))
    if (work.executor == "dask") is not bool(work.scheduler):
        raise InputError("--executor dask and --scheduler go together", hint=_EXAMPLE)
    if work.memory_limit is not None and sys.platform != "linux":
        raise InputError("--memory-limit holds on Linux alone: this system limits no process's memory", hint="--jobs 1")
    if work.executor == "local":
        return lambda bench, folder: Pool(bench, folder, work.jobs, work.timeout, work.memory_limit)
    if work.jobs is not None:
        raise InputError("--jobs is for this machine: Dask has as many workers as it is given", hint=_EXAMPLE)
    cluster.check(work.scheduler)
    return lambda bench, folder: cluster.Dask(folder, work.scheduler, work.timeout, work.memory_limit)


_EXAMPLE = "--executor dask --scheduler tcp://localhost:8786"
