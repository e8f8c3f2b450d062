"""A strategy that uses worker processes ends as it ends in plain Python: no hang, no traceback, nothing left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from types import FrameType

import pytest

from peak_trade.handlers import handling

FORK = multiprocessing.get_context("fork")


def raises(signum: int, frame: FrameType | None) -> None:
    """Do as a run does at SIGTERM."""
    raise KeyboardInterrupt


@pytest.fixture
def plain() -> Iterator[None]:
    """Have SIGTERM and SIGUSR1 do what they do of themselves, whatever the tests are started by."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGTERM, signal.SIGUSR1)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def ended(pid: int) -> int:
    """Return how a child ended: minus its signal, or its exit code; it has a second."""
    for _ in range(200):
        if (found := os.waitpid(pid, os.WNOHANG))[0]:
            return os.waitstatus_to_exitcode(found[1])
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    pytest.fail("the child lives on")


def forked() -> int:
    """Fork a child that sleeps; exit code 7: it was interrupted by an exception."""
    if pid := os.fork():
        return pid
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        os._exit(7)
    os._exit(0)


@pytest.mark.usefixtures("plain")
def test_a_child_is_ended_by_a_signal_that_its_parent_handles() -> None:
    with handling({signal.SIGTERM: raises}):
        child = forked()
        time.sleep(0.05)
        os.kill(child, signal.SIGTERM)
        assert ended(child) == -signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    signal.signal(signal.SIGTERM, raises)  # the control: an inherited handler raises in the child
    child = forked()
    time.sleep(0.05)
    os.kill(child, signal.SIGTERM)
    assert ended(child) == 7


@pytest.mark.usefixtures("plain")
def test_a_signal_that_comes_while_a_child_is_being_forked_ends_it() -> None:
    with handling({signal.SIGTERM: raises}):
        for _ in range(50):
            child = forked()
            os.kill(child, signal.SIGTERM)  # at once: often before the child has run at all
            assert ended(child) == -signal.SIGTERM


@pytest.mark.usefixtures("plain")
def test_a_child_of_nested_blocks_has_what_was_before_the_first_and_what_a_strategy_has_set() -> None:
    with handling({signal.SIGTERM: raises, signal.SIGUSR1: raises}), handling({signal.SIGTERM: lambda *_: None}):
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # as a strategy may
        if not (child := os.fork()):
            code = (signal.getsignal(signal.SIGTERM) is signal.SIG_DFL) * 1
            code += (signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN) * 2
            code += (not signal.pthread_sigmask(signal.SIG_BLOCK, ())) * 4
            os._exit(code)
        assert ended(child) == 7
        assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.usefixtures("plain")
def test_a_pool_ends_with_no_word_of_its_workers(capfd: pytest.CaptureFixture[str]) -> None:
    with handling({signal.SIGTERM: raises}):
        for _ in range(10):
            with FORK.Pool(2) as pool:
                assert pool.map(abs, range(4)) == [0, 1, 2, 3]
    assert capfd.readouterr() == ("", "")
