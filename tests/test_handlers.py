"""A signal that comes while a process forks reaches its handler where what it raises is heard."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType

import pytest

from peak_trade import handlers


class _Heard(Exception):
    """What the handler raises."""


def _raise(signum: int, frame: FrameType | None) -> None:
    raise _Heard


def test_what_comes_as_signals_are_let_go_comes_once_more() -> None:
    returned = []

    def fork() -> None:
        handlers._hold()
        os.kill(os.getpid(), signal.SIGUSR1)
        handlers._let_go()  # whatever is raised up to here, Python ignores
        returned.append(True)
        time.sleep(5)

    with handlers.handling({signal.SIGUSR1: _raise}), pytest.raises(_Heard):
        fork()
    assert returned


def test_control_at_any_other_time_it_comes_at_once() -> None:
    with handlers.handling({signal.SIGUSR1: _raise}), pytest.raises(_Heard):
        os.kill(os.getpid(), signal.SIGUSR1)
