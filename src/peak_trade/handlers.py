"""Handlers of signals that are of this process alone: a child that it forks has those that were there before.

A worker of a process pool is ended by SIGTERM, and expected to be gone. One that had inherited a handler of ours would
raise in the middle of what it does instead, print a traceback, or go on. A signal may come in the very moment of the
fork, and Python forgets what came until a child is set up: so ours are held back by the kernel meanwhile. What a
handler raises meanwhile Python ignores, so what comes then comes once more, when the fork has returned.
Standard library only.
"""

from __future__ import annotations

import _thread
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

__all__ = ["handling"]

Handler = Callable[[int, FrameType | None], Any]

_handling: list[dict[int, tuple[Handler, Any]]] = []
"""By signal, our handler and the one before it; the innermost last."""
_masks: dict[int, set[Any]] = {}
"""By thread that is forking, what it held back before."""
_late: list[int] | None = None
"""What came while a process forked, which threads that hold nothing back may hear of; None at any other time."""
_RETURN_S = 0.002  # for a fork to return


class handling:
    """Handle signals so within the block, which is of the main thread."""

    def __init__(self, handlers: Mapping[int, Handler]) -> None:
        self.before = {number: (_later(handler), signal.getsignal(number)) for number, handler in handlers.items()}

    def __enter__(self) -> None:
        _handling.append(self.before)
        for number, (handler, _) in self.before.items():
            signal.signal(number, handler)

    def __exit__(self, *told: object) -> None:
        for number, (_, before) in self.before.items():
            if before is not None:  # else it was none of Python's
                signal.signal(number, before)
        _handling[:] = [handlers for handlers in _handling if handlers is not self.before]


def _later(handler: Handler) -> Handler:
    def handle(signum: int, frame: FrameType | None) -> Any:
        return handler(signum, frame) if _late is None else _late.append(signum)

    return handle


def _hold() -> None:
    global _late
    if _handling:
        _late = []
        numbers = {number for handlers in _handling for number in handlers}
        _masks[threading.get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)


def _let_go() -> None:
    global _late
    if (mask := _masks.pop(threading.get_ident(), None)) is None:
        return
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    late, _late = _late, None
    if late:
        _thread.start_new_thread(_send, (late,))


def _send(numbers: list[int]) -> None:
    time.sleep(_RETURN_S)
    for number in numbers:
        os.kill(os.getpid(), number)


def _leave() -> None:
    """Put back, in a child, what was before all of ours, but for what a strategy has put in their place."""
    global _late
    _late = None  # it was not meant for the child
    for handlers in reversed(_handling):
        for number, (handler, before) in handlers.items():
            if signal.getsignal(number) is handler and before is not None:
                signal.signal(number, before)
    _handling.clear()
    _let_go()
    _masks.clear()


os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_leave)
