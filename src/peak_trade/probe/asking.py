"""One strategy, asked again and again as it was at first: with the same random numbers, and with nobody listening."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.errors import RunError
from peak_trade.market.bars import Bars
from peak_trade.probe.watch import Watch
from peak_trade.strategies import as_decisions, check_target

__all__ = ["Answer", "Asking", "quiet"]

_HIGH = 512  # descriptors that programs close to be on the safe side are below


class Answer(Struct, frozen=True, eq=False):
    """What a strategy decides, shape (N,), NaN where it decides nothing; or None, and why."""

    decisions: npt.NDArray[np.float64] | None
    why: str = ""


class Asking:
    """A strategy with its parameters. The first asking is the run's; what was drawn before it is drawn again after."""

    def __init__(self, function: Callable[..., Any], params: Mapping[str, Any], watch: Watch) -> None:
        self.function, self.params, self.watch = function, params, watch
        self.process = os.getpid()
        self.draws: Callable[[], None] = lambda: None
        self.took_s = 0.0

    def first(self, bars: Bars) -> npt.NDArray[np.float64]:
        """Return the target, as `check_target` does; raises what the strategy raises, and RunError."""
        self.draws, start = _draws(), time.perf_counter()
        with self.watch.looking():
            target = self.function(bars, **self.params)
        self.took_s = time.perf_counter() - start
        return check_target(target, len(bars))

    def again(self, bars: Bars) -> Answer:
        """Return what the strategy decides of other bars, whatever it does on the way. See `quiet`."""
        self.draws()
        count = len(bars)
        try:
            with self.watch.looking(effects=False):
                return Answer(as_decisions(self.function(bars, **self.params), count))
        except RunError as error:
            return Answer(None, error.message.partition(";")[0])
        except (Exception, SystemExit, GeneratorExit) as error:  # noqa: BLE001 - whatever a strategy makes of fewer bars
            return Answer(None, f"it raised {type.__dict__['__name__'].__get__(type(error))}")
        finally:
            if os.getpid() != self.process:  # a child that it forked and did not end
                os._exit(1)


def _draws() -> Callable[[], None]:
    """Return what sets the generators of random numbers back to where they are now."""
    back: list[Callable[[], Any]] = []
    if loaded := sys.modules.get("random"):
        state = loaded.getstate()
        back.append(lambda: loaded.setstate(state))
    if drawn := sys.modules.get("numpy.random"):
        numbers = drawn.get_state()
        back.append(lambda: drawn.set_state(numbers))
    if torch := sys.modules.get("torch"):
        with suppress(Exception):
            tensor = torch.random.get_rng_state()
            back.append(lambda: torch.random.set_rng_state(tensor))

    def set_back() -> None:
        for each in back:
            each()

    return set_back


@contextmanager
def quiet() -> Iterator[None]:
    """Drop what is printed or logged within the block, by whom and however, and leave the generators as they were."""
    with ExitStack() as stack:
        stack.callback(_draws())
        stack.callback(logging.disable, logging.root.manager.disable)
        logging.disable(logging.CRITICAL)
        streams = sys.stdin, sys.stdout, sys.stderr
        stack.callback(_put_back, *streams)
        nowhere = open(os.devnull, "r+", encoding="utf-8")  # noqa: SIM115 - closed by the stack
        stack.callback(_close, nowhere)
        for stream in streams[1:]:
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()  # what is said before goes where it was meant to
        for number in range(3):
            stack.enter_context(_led_to(nowhere.fileno(), number))
        stack.callback(_flush, *streams[1:])
        sys.stdin = sys.stdout = sys.stderr = nowhere
        yield


def _put_back(stdin: Any, stdout: Any, stderr: Any) -> None:
    sys.stdin, sys.stdout, sys.stderr = stdin, stdout, stderr


def _close(stream: Any) -> None:
    with suppress(OSError):  # a strategy may have closed what it found open
        stream.close()


def _flush(*streams: Any) -> None:
    for stream in streams:
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()


@contextmanager
def _led_to(nowhere: int, number: int) -> Iterator[None]:
    """Lead a descriptor elsewhere: what C and children print goes by it."""
    import fcntl

    try:
        kept = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    except OSError:  # it is closed, or this process may have no more
        yield
        return
    os.dup2(nowhere, number)
    try:
        yield
    finally:
        with suppress(OSError):
            os.dup2(kept, number)
            os.close(kept)
