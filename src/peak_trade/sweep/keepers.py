"""Processes that keep runs: forks of this one, which share its bars and get batches of runs one after the other.

A batch that a keeper is at comes to its end as it would in this process: where that is interrupted, its keepers are
told, and it waits for them. What one that was killed leaves is what any process leaves: the same command takes it up.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import socket
import traceback
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import suppress
from typing import NoReturn

import msgspec
from msgspec import Struct

from peak_trade.errors import PeakError, RunError
from peak_trade.runner.limits import termination_raised
from peak_trade.sweep.executor import worker
from peak_trade.sweep.executor.pool import has_ended, is_dead

__all__ = ["spread"]

_LOOK = 0.2  # seconds after which keepers are looked at, where none says anything
_AGAIN = "the same command goes on where it stopped"


class _Answer(Struct, frozen=True):
    """What came of a batch, or the error that it raised: its message and hint."""

    made: msgspec.Raw = msgspec.Raw(b"null")
    error: tuple[str, str] | None = None


class _Keeper(Struct, eq=False):
    pid: int
    line: socket.socket


def spread(make: Callable[[int], object], count: int, jobs: int) -> Generator[bytes, None, None]:
    """Make so many batches in up to `jobs` forks of this process; yield what `make` returns of each, in JSON.

    Raises the error that `make` does, as a RunError, and one where a keeper dies or there can be none; each once all
    that the others are at has come to its end. So it is where this process is interrupted; a second time ends them.
    """
    shift = _Shift(make, count)
    try:
        yield from shift.work(min(jobs, count))
    except (KeyboardInterrupt, GeneratorExit):  # in here, or in who hears of it
        shift.interrupt()
        raise
    finally:
        shift.end()


class _Shift:
    def __init__(self, make: Callable[[int], object], count: int) -> None:
        self.make, self.left = make, iter(range(count))
        self.keepers: list[_Keeper] = []
        self.selector = selectors.DefaultSelector()

    def work(self, jobs: int) -> Generator[bytes, None, None]:
        """Yield what came of the batches, in the order in which they come."""
        gc.freeze()  # else the first collection in a keeper writes into every page that has an object
        while len(self.keepers) < jobs and self._hire():
            pass
        while self.selector.get_map():
            for key, _ in self.selector.select(_LOOK):
                yield self._heard(key.data)
            for one in self.keepers:
                if one.line.fileno() >= 0 and is_dead(one.pid):  # a child that it left may hold its socket open
                    yield self._heard(one)

    def interrupt(self) -> None:
        """Tell the keepers what this process was told."""
        for one in self.keepers:
            with suppress(OSError):
                os.kill(one.pid, signal.SIGTERM)

    def end(self) -> None:
        """Let the keepers come to the end of what they are at, and wait for them."""
        for one in self.keepers:
            one.line.close()
        try:
            while self.keepers:
                os.waitpid(self.keepers[-1].pid, 0)
                self.keepers.pop()
        finally:
            for one in self.keepers:
                os.kill(one.pid, signal.SIGKILL)
                os.waitpid(one.pid, 0)
            self.selector.close()

    def _hire(self) -> bool:
        """Start a keeper, and tell whether there can be one more. Raises RunError where there can be none at all."""
        ours, theirs = socket.socketpair()
        parent, others = os.getpid(), [ours, *(other.line for other in self.keepers)]

        def be(held: Collection[int]) -> NoReturn:
            _serve(theirs, others, self.make, parent, held)

        try:
            one = _Keeper(worker.fork(be), ours)
        except OSError as error:
            ours.close()
            if not self.keepers:
                raise RunError(
                    f"no process can be started to keep runs: {error.strerror}",
                    hint=f"free memory or processes: {_AGAIN}",
                ) from None
            return False
        finally:
            theirs.close()
        self.keepers.append(one)
        self.selector.register(ours, selectors.EVENT_READ, one)
        self._ask(one)
        return True

    def _ask(self, one: _Keeper) -> None:
        """Give a keeper the next batch, or let it go."""
        if (at := next(self.left, None)) is None:
            self.selector.unregister(one.line)
            one.line.close()
            return
        with suppress(OSError):  # it is dead, which will be seen
            one.line.sendall(worker.HEAD.pack(at, at))

    def _heard(self, one: _Keeper) -> bytes:
        """Return what came of a keeper's batch. Raises RunError where it is gone, or where the batch did."""
        one.line.settimeout(_LOOK if is_dead(one.pid) else None)
        try:
            size, _ = worker.HEAD.unpack(_read(one.line, worker.HEAD.size))
            answer = msgspec.json.decode(_read(one.line, size), type=_Answer)
        except (OSError, EOFError):
            raise RunError(f"a process that kept runs has died{_how(one.pid)}", hint=_AGAIN) from None
        if answer.error:
            raise RunError(answer.error[0], hint=answer.error[1])
        self._ask(one)
        return bytes(answer.made)


def _read(line: socket.socket, size: int) -> bytes:
    content = bytearray()
    while len(content) < size:
        if not (more := line.recv(min(size - len(content), 1 << 20))):
            raise EOFError
        content += more
    return bytes(content)


def _how(pid: int) -> str:
    """Return how a keeper ended that has not been waited for, where that is known."""
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT) if has_ended(pid) else None
    if ended is None:
        return ""
    if ended.si_code == os.CLD_EXITED:
        return f" (exit code {ended.si_status})"
    return f" ({signal.Signals(ended.si_status).name})"


def _serve(
    asked: socket.socket,
    others: Sequence[socket.socket],
    make: Callable[[int], object],
    parent: int,
    mask: Collection[int],
) -> NoReturn:
    """Be a keeper, forked with all signals blocked; `others` are sockets that are its parent's alone."""
    code = 1
    try:
        for other in others:
            other.close()
        worker.settle(parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        line = worker.Line(asked)
        with termination_raised():
            while (head := line.read(worker.HEAD.size)) is not None:
                at, _ = worker.HEAD.unpack(head)
                try:
                    answer = _Answer(msgspec.Raw(msgspec.json.encode(make(at))))
                except PeakError as error:
                    answer = _Answer(error=(error.message, error.hint))
                content = msgspec.json.encode(answer)
                line.write(worker.HEAD.pack(len(content), len(content)) + content)
        code = 0
    except (KeyboardInterrupt, ConnectionError):  # as its parent was, or its parent waits for no answer
        code = 0
    except worker.ClosedError:
        code = worker.CLOSED
    except BaseException:  # noqa: BLE001 - nobody above it is there to say it
        traceback.print_exc()
    finally:
        os._exit(code)  # nothing of the parent's is to be tidied up in here
