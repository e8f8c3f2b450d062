"""A signal that comes while a process forks reaches its handler where what it raises is heard."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType

import pytest

from peak_trade import handlers


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def test_what_comes_as_signals_are_let_go_comes_once_more() -> None:
    with handlers.handling({signal.SIGUSR1: _interrupt}):
        handlers._hold()
        os.kill(os.getpid(), signal.SIGUSR1)
        handlers._let_go()  # whatever is raised in here, Python ignores after a fork
        with pytest.raises(KeyboardInterrupt):
            time.sleep(5)


def test_control_at_any_other_time_it_comes_at_once() -> None:
    with handlers.handling({signal.SIGUSR1: _interrupt}), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGUSR1)
