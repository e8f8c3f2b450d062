"""Makes trials of a command, each recorded in a process of its own (`record.apart`), so many of them at once.

It stands where a bench does for a config: a task in, a row out. A command is not deterministic by promise, so what it
came to once is not asked for again: a run that was sealed before its row was on disk is the trial.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import msgspec

from peak_trade.errors import RunError
from peak_trade.evidence.ledger import SEALED, STARTED
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import recover
from peak_trade.record.apart import Job
from peak_trade.record.asked import Order
from peak_trade.sweep.keeping import kept_id
from peak_trade.sweep.plan import Round
from peak_trade.sweep.records import row_of
from peak_trade.sweep.rows import Row
from peak_trade.sweep.task import Task
from peak_trade.sweep.words import filled

__all__ = ["Recorder", "Stopping", "order_of"]

_TIMES = 1_000  # that a trial is begun
_PATIENCE_S = 20.0  # for all that are told to end; a recorder ends what does not after half of it
_NOT_THEIRS = ("PEAK_RUN_ID", "PEAK_RUN_DIR", "PEAK_RECORD_SPOOL", "PEAK_RECORD_ENGINE", "PEAK_OTEL_ENABLED",
               "PEAK_SKIPPED", "PEAK_RENEWED")  # fmt: skip


class Stopping(Exception):
    """A trial was cut short since the sweep is stopped: it has no row, and counts in the ledger."""


class Recorder:
    """Records the trials of one command; `order` is what is noted of it, with its words as they were typed."""

    def __init__(self, order: Order, runs: Path, parent: str, jobs: int | None) -> None:
        self.order, self.runs, self.parent = order, Results(runs), parent
        self.jobs = jobs or _cores()
        self._there = self.runs.reading()  # as it was when this process came
        self._alive: set[subprocess.Popen[bytes]] = set()
        self._stopping = threading.Event()

    def run(self, tasks: Round, left: Sequence[int], first: int) -> Generator[tuple[int, Row], None, None]:
        """Make those of a round's tasks that are `left`; yield place and row of each, as they are done.

        `first` is the number of the round's first trial. Stopped by any exception, it ends the commands that run.
        """
        self._stopping.clear()
        with ThreadPoolExecutor(self.jobs) as pool:
            waiting = list(reversed(left))
            doing: dict[Future[Row], int] = {}
            try:
                while waiting or doing:
                    while waiting and len(doing) < self.jobs:
                        at = waiting.pop()
                        doing[pool.submit(self.trial, tasks[at], first + at)] = at
                    for one in wait(doing, return_when=FIRST_COMPLETED).done:
                        yield doing.pop(one), one.result()
            finally:
                self.stop()

    def trial(self, task: Task, number: int) -> Row:
        """Make one trial. RunError where no evidence of it can be written, Stopping where it was cut short."""
        run_id, there = self._next(number)
        start = time.perf_counter()
        if not there:
            self._record(order_of(self.order, task.overrides), run_id, number)
        return row_of(self.runs.path / run_id, task, time.perf_counter() - start)

    def run_id(self, number: int) -> str:
        """Return the run of a trial that is done: the last that was begun."""
        reading, found = self.runs.reading(), kept_id(self.parent, number)
        for times in range(1, _TIMES):
            if not reading.of(one := kept_id(self.parent, number, times)).entries:
                break
            found = one
        return found

    def stop(self) -> None:
        """Tell all commands that run to end, as Ctrl-C does, and wait until what they have left is sealed."""
        self._stopping.set()
        for process in list(self._alive):
            with suppress(OSError):
                _line(process).close()
        deadline = time.monotonic() + _PATIENCE_S
        for process in list(self._alive):
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            if process.poll() is None:
                process.kill()  # its keeper ends the command
                process.wait()

    def _next(self, number: int) -> tuple[str, bool]:
        """Return the run_id of a trial's run, and whether it is whole: one that was cut short is begun anew."""
        for times in range(_TIMES):
            run_id = kept_id(self.parent, number, times)
            state = self._there.of(run_id).state
            if not state:
                return run_id, False
            if state == STARTED:
                recover(self.runs, run_id)
            if self.runs.reading().of(run_id).state == SEALED and (self.runs.path / run_id).is_dir():
                return run_id, True
        raise RunError(f"trial {number} was begun {_TIMES} times, and cut short each time")

    def _record(self, order: Order, run_id: str, number: int) -> None:
        job = Job(order, str(self.runs.path), run_id, (self.parent, number))
        environment = {key: value for key, value in os.environ.items() if key not in _NOT_THEIRS}
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "peak_trade.record.apart"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, bufsize=0,
            process_group=0,  # what ends it comes by its line, and not from a terminal before it is known here
        ) as process:  # fmt: skip
            self._alive.add(process)
            try:
                if self._stopping.is_set():
                    process.kill()
                with suppress(BrokenPipeError):
                    _line(process).write(msgspec.json.encode(job) + b"\n")
                said = process.stderr.read() if process.stderr else b""
                code = process.wait()
            finally:
                self._alive.discard(process)
        if self._stopping.is_set():
            raise Stopping
        if code < 0:  # somebody has killed it: what it has left is sealed as failed
            recover(self.runs, run_id)
        if not (self.runs.path / run_id).is_dir():
            why = said.decode("utf-8", "replace").strip().splitlines()
            raise RunError(
                f"trial {number} could not be recorded: {why[-1] if why else f'exit code {code}'}",
                hint="check the disk",
            )


def order_of(order: Order, values: Mapping[str, Any]) -> Order:
    """Return what is recorded of one trial: the order with a value for each placeholder."""
    collect = zip((role for role, _ in order.collect), filled([one for _, one in order.collect], values), strict=True)
    return msgspec.structs.replace(order, command=filled(order.command, values), collect=list(collect))


def _line(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdin is not None
    return process.stdin


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
