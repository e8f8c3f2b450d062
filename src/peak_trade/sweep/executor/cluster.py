"""Workers on other machines, by dask.distributed: chunks of trials as tasks, rows by way of the folder that all share.

A task names its sweep, its round and its trials, and no more: the worker of Dask's that gets it has a process of its
own for the sweep (`seat`), which reads the order in the sweep's folder, and has workers as a sweep on one machine has.
So what a strategy does to its process is a row here too, and a worker of Dask's that is killed has its tasks made by
another. What tasks return is how long they took: what counts is what the folder holds.

Where the scheduler is lost, all that was asked of it is forgotten, and asked again of the one that answers next.
"""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

from peak_trade.errors import InputError, PeakError, RunError
from peak_trade.sweep.executor.pool import Tally
from peak_trade.sweep.folder import Folder
from peak_trade.sweep.plan import Round
from peak_trade.sweep.spans import Span, gaps, merged, total
from peak_trade.threads import ONE

__all__ = ["Dask", "check"]

_ADDRESS = re.compile(r"(?:tcp|tls|wss?)://[^\s/]+:\d+")
_LOG = logging.getLogger("peak_trade.sweep")
_WORK = 1.0  # seconds in a task
_GROWTH = 4  # times the last task, at most
_MOST = 4096  # trials in a task
_AHEAD = 2  # tasks a thread of Dask's
_LOOK = 0.1  # seconds between looks at what has come
_CONNECT = 5.0  # seconds for one try
_PATIENCE = 60.0  # seconds to wait for a scheduler that is lost, or for its first worker


def check(scheduler: str) -> None:
    """Raise InputError where that is no address of a scheduler, or Dask is not installed."""
    if not _ADDRESS.fullmatch(scheduler):
        raise InputError(f"{scheduler!r} is no address of a scheduler", hint="--scheduler tcp://localhost:8786")
    try:
        import distributed  # noqa: F401 - to see whether it is there
    except ImportError as error:
        raise InputError(f"--executor dask: {error}", hint="just setup cluster") from None


class Dask(Struct, frozen=True):
    """Threads of Dask's workers, as many as there are; `timeout` and `memory_limit` are those of a `Pool`."""

    folder: Folder
    scheduler: str
    timeout: float | None = None
    memory_limit: int | None = None
    patience: float = _PATIENCE

    def run(self, number: int, tasks: Round) -> Iterator[tuple[int, int]]:
        """Yield what there is, then what has been added.

        Raises RunError where the scheduler is lost for good, or a worker can't do what it is asked.
        """
        tally = Tally(self.folder, number, 0, len(tasks))
        yield tally.look()
        if tally.left:
            crew = _Crew(self, number, tally)
            try:
                yield from crew.work()
            finally:
                crew.close()


class _Asked(Struct, frozen=True, eq=False):
    span: Span
    future: Any


class _LostError(Exception):
    """The scheduler is lost."""


class _Crew:
    """The workers of Dask's, for one round."""

    def __init__(self, dask: Dask, number: int, tally: Tally) -> None:
        self.dask, self.number, self.tally = dask, number, tally
        self.client: Any = None
        self.asked: list[_Asked] = []
        self.size = 1

    def work(self) -> Iterator[tuple[int, int]]:
        """Yield what has been added, until all trials are there."""
        heard, told = time.monotonic(), False
        while self.tally.left:
            try:
                client = self.client = self.client or self._connected()
                threads = sum(client.nthreads().values())
                self._hear()
                self._ask(client, threads)
                if threads:
                    heard = time.monotonic()
                waited = "no worker of its has come"
            except (_LostError, OSError, TimeoutError) as error:
                waited = str(error) or "it does not answer"
                if self.client or not told:
                    _LOG.warning("the scheduler %s is lost, and waited for: %s", self.dask.scheduler, waited)
                told = True
                self.close()
            if (made := self.tally.look())[0]:
                heard = time.monotonic()
                yield made
            elif time.monotonic() - heard > self.dask.patience:
                raise RunError(
                    f"the scheduler {self.dask.scheduler} is lost: {waited}",
                    hint="start it, and workers: dask scheduler, dask worker; then the same command goes on",
                )
            time.sleep(_LOOK)

    def close(self) -> None:
        """Take back what was asked, and go."""
        client, self.client, self.asked = self.client, None, []
        if client is not None:
            try:
                client.close(timeout=1)
            except Exception as error:  # noqa: BLE001 - it is lost: whatever it says of that
                _LOG.debug("closing: %s", error)

    def _connected(self) -> Any:
        from distributed import Client

        for name in list(logging.root.manager.loggerDict):
            if name.partition(".")[0] in ("distributed", "tornado"):  # what is lost is told by us, once
                logging.getLogger(name).disabled = True
        return Client(self.dask.scheduler, timeout=_CONNECT, name="peak-trade")

    def _hear(self) -> None:
        """See which tasks have ended, and how. Raises _LostError where they are no more."""
        for one in list(self.asked):
            if one.future.status in ("cancelled", "lost"):
                raise _LostError("it has forgotten what it was asked")
            if one.future.status == "error":
                raise _refused(one.future.exception(timeout=_CONNECT))
            if one.future.status == "finished":
                took = one.future.result(timeout=_CONNECT) / total([one.span])
                self.size = max(1, min(int(_WORK / max(took, 1e-9)), self.size * _GROWTH, _MOST))
                self.asked.remove(one)

    def _ask(self, client: Any, threads: int) -> None:
        """Ask for trials that nobody has been asked for."""
        pending = merged(one.span for one in self.asked)
        left = [span for first, end in self.tally.left for span in gaps(pending, first, end)]
        while left and len(self.asked) < max(1, _AHEAD * threads):
            first, end = left.pop(0)
            stop = min(end, first + min(self.size, max(1, total([(first, end), *left]) // max(1, 2 * threads))))
            if stop < end:
                left.insert(0, (stop, end))
            folder = self.dask.folder
            future = client.submit(
                _made, str(folder.results), folder.run_id, self.number, (first, stop), self.dask.timeout,
                self.dask.memory_limit, pure=False, retries=2,
            )  # fmt: skip
            self.asked.append(_Asked((first, stop), future))


def _refused(error: BaseException) -> PeakError:
    """Return what a person is told of a task that ended in an error."""
    if isinstance(error, PeakError):
        return error
    return RunError(
        f"a worker of the scheduler's failed: {type(error).__name__}: {error}",
        hint="its log says more; then the same command goes on",
    )


# --- what a worker of Dask's does -----------------------------------------------------------------------------------

_SEATS: dict[tuple[str, str], list[subprocess.Popen[str]]] = {}  # that are free, by results and run_id
_TURN = threading.Lock()


def _made(results: str, run_id: str, number: int, span: Span, timeout: float | None, memory_limit: int | None) -> float:
    """Make trials, as a task of Dask's; return how long that took, in seconds."""
    if not Folder(Path(results), run_id).path.is_dir():
        raise InputError(
            f"a worker of the scheduler's does not see {results}", hint="share the results folder, by the same path"
        )
    seat = _taken(results, run_id)
    said = {"round": number, "first": span[0], "end": span[1], "timeout": timeout, "memory_limit": memory_limit}
    answer = ""
    with suppress(OSError, ValueError):
        if seat.stdin and seat.stdout:
            seat.stdin.write(f"{json.dumps(said)}\n")
            seat.stdin.flush()
            answer = seat.stdout.readline()
    if not answer:
        seat.kill()
        raise RuntimeError(f"its process ended ({seat.wait()})")  # and Dask tries again
    told = json.loads(answer)
    if "error" in told:
        seat.kill()
        seat.wait()
        raise (InputError if told["code"] == InputError.exit_code else RunError)(told["error"], hint=told["hint"])
    with _TURN:
        _SEATS.setdefault((results, run_id), []).append(seat)
    return float(told["took"])


def _taken(results: str, run_id: str) -> subprocess.Popen[str]:
    """Return a seat that is free, or a new one."""
    with _TURN:
        free = _SEATS.setdefault((results, run_id), [])
        while free:
            if (seat := free.pop()).poll() is None:
                return seat
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "peak_trade.sweep.executor.seat", results, run_id],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | ONE,
    )  # fmt: skip
