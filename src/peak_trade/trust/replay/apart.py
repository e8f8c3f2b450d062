"""A run made in a process of its own, which may do what it likes: what is said of the run is worked out in this one.

Beside it stands no supervisor: nobody waits for such a run but who asked for it. What it started dies with it.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Never

import msgspec
from msgspec import Struct

from peak_trade.errors import InputError, PeakError
from peak_trade.evidence.files import write_all
from peak_trade.supervisor import GRACE_S, tie
from peak_trade.terminal import say

__all__ = ["GONE", "End", "command", "forked", "report"]

GONE = "the strategy ended the process that it ran in"
_LONGEST = 1 << 16  # bytes of what a process says of its end
_LOOK_S = 0.05  # a process that was started by it may hold the pipe open


class End(Struct):
    """How the making of a run ended: `refused` before it began, for it was asked for wrongly; `late`, or `gone`.

    `message` and `hint` are those of the error, where there was one; a run that failed has its own evidence too.
    """

    refused: bool = False
    late: bool = False
    gone: bool = False
    message: str = ""
    hint: str = ""


def forked(make: Callable[[], None], limit_s: float | None) -> End:
    """Make a run in a copy of this process, and wait for its end; with a limit, no longer than that and a grace."""
    heard, tell = os.pipe()
    alive, life = os.pipe()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()  # what is not out yet would come out twice
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads: those of a library for linear algebra, which sees to it
        pid = os.fork()
    if not pid:
        os.close(heard)
        os.close(life)
        _make(make, tell, alive)
    os.close(tell)
    os.close(alive)
    try:
        return _waited(pid, heard, limit_s)
    finally:
        os.close(life)


def command(words: Sequence[str], env: dict[str, str], limit_s: float | None) -> End:
    """Make a run by a command that is told where to `report` as its last word."""
    heard, tell = os.pipe()
    process = subprocess.Popen(
        [*words, str(tell)], stdin=subprocess.DEVNULL, stdout=2, stderr=2, env=env, pass_fds=[tell], process_group=0
    )
    os.close(tell)
    end = _waited(process.pid, heard, limit_s)
    process.returncode = 0  # it is waited for
    return end


def report(make: Callable[[], None], tell: int) -> None:
    """Make a run, and tell how that ended."""
    end = End()
    try:
        make()
    except PeakError as error:
        end = End(isinstance(error, InputError) and not error.run_id, False, False, error.message, error.hint)
    with suppress(OSError):
        write_all(tell, msgspec.msgpack.encode(end)[:_LONGEST])


def _make(make: Callable[[], None], tell: int, alive: int) -> Never:
    try:
        with suppress(OSError):
            os.setpgid(0, 0)
        tie(alive)
        nowhere = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nowhere, 0)
        os.dup2(2, 1)  # what a strategy prints is no result
        report(make, tell)
    except BaseException as error:  # noqa: BLE001 - what it is stands in what the process leaves: nothing
        with suppress(BaseException):
            say(f"{type(error).__name__}: {error}", label="error")
    finally:
        os._exit(0)


def _waited(pid: int, heard: int, limit_s: float | None) -> End:
    """Wait for a process that leads a group of its own, end the group, and return what it said of its end."""
    with suppress(OSError):
        os.setpgid(pid, pid)  # whoever comes first
    until = None if limit_s is None else time.monotonic() + limit_s + GRACE_S
    said, late, status = b"", False, None
    try:
        while status is None:
            ready = select.select([heard], [], [], _LOOK_S)[0] if len(said) < _LONGEST else []
            part = os.read(heard, _LONGEST) if ready else b""
            said += part
            if ready and not part:  # it is about to leave
                status = _reaped(pid, until)
                late = status is None
            else:
                status = _looked(pid)
                late = status is None and until is not None and time.monotonic() > until
            if late:
                break
        if status is not None and len(said) < _LONGEST:
            while select.select([heard], [], [], 0)[0] and (part := os.read(heard, _LONGEST)):
                said += part
    finally:
        os.close(heard)
        with suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
        if status is None:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
    if late:
        return End(late=True, message=f"the strategy ran longer than run.timeout_s = {limit_s:g} s")
    with suppress(msgspec.DecodeError):
        return msgspec.msgpack.decode(said, type=End)
    return End(gone=True, message=GONE)


def _looked(pid: int) -> int | None:
    found, status = os.waitpid(pid, os.WNOHANG)
    return status if found else None


def _reaped(pid: int, until: float | None) -> int | None:
    """Wait for a process that has closed its end of the pipe; None where the time is up."""
    pause = 1e-4
    while (status := _looked(pid)) is None and (until is None or time.monotonic() < until):
        time.sleep(pause)
        pause = min(2 * pause, _LOOK_S)
    return status
