"""What may end a run from outside: its time limit, SIGTERM and Ctrl-C, and the moments in which none of them may.

All of it works by signals, which reach the main thread alone; in another thread a run has no limit and holds none back.
It is all of this process alone: what a strategy forks, as the workers of a pool, is ended as it would be without us.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from peak_trade.handlers import handling

__all__ = ["TimeOut", "termination_raised", "uninterrupted", "within"]

_T = TypeVar("_T")
_MOMENT_S = 0.5  # as long as a supervisor may be kept waiting on a machine that is busy


class TimeOut(BaseException):
    """The strategy took too long. Not an Exception, so that a strategy's own `except Exception` does not swallow it."""


def within(seconds: float | None, strategy: Callable[[], _T]) -> _T:
    """Return what `strategy` returns; raise TimeOut in it once it has taken `seconds`.

    One that swallows the exception has a second to end, then gets it again and again, at changing intervals, until one
    of them comes between two of its handlers. It never comes in this module: what tidies up here is not interrupted.
    """
    if seconds is None:
        return strategy()
    rung = 0

    def ring(signum: int, frame: FrameType | None) -> None:
        nonlocal rung
        if frame is None or frame.f_code.co_filename == __file__:
            return
        rung += 1
        if rung > 1:
            signal.setitimer(signal.ITIMER_REAL, rung % 64 * 1e-6 + 1e-6, 1e-3)
        raise TimeOut

    with handling({signal.SIGALRM: ring}):
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
            return strategy()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


_holding: list[list[int]] = []  # what `uninterrupted` has held back, by how deep it is


@contextmanager
def termination_raised(*, hangup: bool = False) -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does, with evidence; two of a kind within a moment are one.

    With `hangup`, a terminal that is closed does too, but for who was started not to mind (`nohup`).
    `timeout` tells a process and then its group, and a supervisor hands on what came by both ways.
    """
    if threading.current_thread() is not threading.main_thread() or _holding:
        yield  # what is held back around this is not to be let through
        return
    last: dict[int, float] = {}

    def interrupt(signum: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - last.get(signum, -math.inf) > _MOMENT_S:
            last[signum] = now
            raise KeyboardInterrupt

    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, or a notebook's own
        numbers.append(signal.SIGINT)
    if hangup and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        numbers.append(signal.SIGHUP)
    with handling(dict.fromkeys(numbers, interrupt)):
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold signals back while a run is being sealed: it is a matter of milliseconds.

    By handlers, since one that is masked in this thread reaches the process by another (NumPy's libraries have some).
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    _holding.append(held)
    try:
        with handling(dict.fromkeys((signal.SIGINT, signal.SIGTERM), lambda signum, frame: held.append(signum))):
            yield
    finally:
        _holding.pop()
        for signum in held:
            signal.raise_signal(signum)
