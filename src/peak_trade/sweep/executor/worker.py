"""A worker: a fork of the sweep's process, with its bars and its strategy, that makes trials until it is let go.

It is asked for trials `first` up to `end` over a socket, and answers with their rows; which one it is at stands in a
slot of memory that both see, and is there still when the worker is not. It has a session of its own, so that what it
has started ends with it, and no terminal's Ctrl-C reaches it; it ends as its parent does. What it writes to stdout goes
to stderr.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import signal
import socket
import struct
import sys
import time
import warnings
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import NoReturn

from peak_trade.sweep.bench import Bench
from peak_trade.sweep.plan import Round
from peak_trade.sweep.rows import Row, Rows
from peak_trade.sweep.task import Task

__all__ = ["CLOSED", "HEAD", "SLOT", "ClosedError", "Line", "Slot", "fork", "serve", "settle"]

HEAD = struct.Struct("<qq")
"""What is asked: first and end. An answer begins with the size of what follows, twice."""
SLOT = struct.Struct("<qd")
CLOSED = 86
"""The exit code of a worker whose strategy closed the descriptor that it answers by."""
_HIGH = 512  # above the descriptors that programs close to be on the safe side


class Slot:
    """The trial that a worker is at, and since when by the machine's steady clock; -1 where it is at none."""

    def __init__(self, memory: mmap.mmap, place: int) -> None:
        self._memory, self._at = memory, place * SLOT.size

    def put(self, trial: int) -> None:
        """Say that a trial begins now."""
        SLOT.pack_into(self._memory, self._at, trial, time.monotonic())

    def get(self) -> tuple[int, float]:
        """Return the trial and its beginning."""
        trial, since = SLOT.unpack_from(self._memory, self._at)
        return int(trial), float(since)


def fork(be: Callable[[Collection[int]], NoReturn]) -> int:
    """Return the pid of a fork that is to `be` what it is for, with all signals blocked; it is handed those that were.

    Raises OSError where there can be none.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # closed by a strategy: what it holds must not be written twice
            stream.flush()
    held = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # none is a worker's, before it is one
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 of threads, which ours do not wait for
            pid = os.fork()
        if pid == 0:
            be(held)
        return pid
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def serve(
    asked: socket.socket,
    others: Sequence[socket.socket],
    bench: Bench,
    tasks: Round,
    slot: Slot,
    memory_limit: int | None,
    parent: int,
    mask: Collection[int],
) -> NoReturn:
    """Be a worker, forked with all signals blocked.

    `others` are sockets that are its parent's alone, `memory_limit` is how many bytes it may take beside what it shares
    with its parent, and `mask` the signals that were blocked before.
    """
    code = 1
    try:
        for other in others:
            other.close()
        settle(parent, memory_limit)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        line = Line(asked)
        while (head := line.read(HEAD.size)) is not None:
            rows = []
            for at in range(*HEAD.unpack(head)):
                slot.put(at)
                rows.append(_row(bench, tasks[at]))
            content = Rows.of(rows).encode()
            slot.put(-1)
            for stream in (sys.stdout, sys.stderr):
                with suppress(Exception):  # a strategy may have closed it
                    stream.flush()
            line.write(HEAD.pack(len(content), len(content)) + content)
        code = 0
    except ClosedError:
        code = CLOSED
    finally:
        os._exit(code)  # nothing of the parent's is to be tidied up in here


def _row(bench: Bench, task: Task) -> Row:
    """Make a trial. What is no Exception is a row's error too: a worker is not ended by `sys.exit`."""
    mine, start = os.getpid(), time.perf_counter()
    try:
        return bench.trial(task)
    except BaseException as error:  # noqa: BLE001 - as the bench does for an Exception
        why = f"the strategy raised {type(error).__name__}: {error}".removesuffix(": ")
        return Row(task.overrides, task.fold, task.part, why, None, None, None, time.perf_counter() - start)
    finally:
        if os.getpid() != mine:  # a child that the strategy forked and did not end
            os._exit(1)


def settle(parent: int, memory_limit: int | None = None) -> None:
    """Be a process that ends as its parent does, and that no terminal's Ctrl-C reaches."""
    os.setsid()
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):  # a handler of the parent's
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if memory_limit is not None:
        most, hard = _mapped() + memory_limit, resource.getrlimit(resource.RLIMIT_AS)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _mapped() -> int:
    """Return the size of this process's address space, most of which it shares with its parent; 0 where unknown."""
    try:
        with open("/proc/self/statm", encoding="ascii") as stream:
            return int(stream.read().split()[0]) * mmap.PAGESIZE
    except OSError:
        return 0


class ClosedError(Exception):
    """The descriptor is no longer that of the socket."""


class Line:
    """The worker's end of its socket, by a descriptor that is looked at before it is used."""

    def __init__(self, asked: socket.socket) -> None:
        import fcntl  # not where Windows is refused

        try:
            self._handle = fcntl.fcntl(asked.fileno(), fcntl.F_DUPFD_CLOEXEC, _HIGH)
        except OSError:  # more than this process may have
            self._handle = os.dup(asked.fileno())
        asked.close()
        self._mark = os.fstat(self._handle)

    def read(self, size: int) -> bytes | None:
        """Return so many bytes; None where the parent has closed its end."""
        content = b""
        while len(content) < size:
            self._look()
            if not (more := os.read(self._handle, size - len(content))):
                return None
            content += more
        return content

    def write(self, content: bytes) -> None:
        """Write all of it."""
        view = memoryview(content)
        while view:
            self._look()
            view = view[os.write(self._handle, view) :]

    def _look(self) -> None:
        try:
            there = os.fstat(self._handle)
        except OSError:
            raise ClosedError from None
        if not os.path.samestat(there, self._mark):
            raise ClosedError
