"""One strategy, asked again and again as it was at first: with the same random numbers, and with nobody listening."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.errors import RunError
from peak_trade.handlers import handling
from peak_trade.market.bars import Bars
from peak_trade.probe.watch import Watch
from peak_trade.strategies import Manner, reaching

__all__ = ["NO_LOADING", "Answer", "Asking", "kept_alive", "quiet"]

NO_LOADING = "its module can't be loaded a second time"

_USUAL = Manner(signals="target")
_HIGH = 512  # descriptors that programs close to be on the safe side are below


class Answer(Struct, frozen=True, eq=False):
    """What a strategy decides, shape (N,), NaN where it decides nothing; or None, and why."""

    decisions: npt.NDArray[np.float64] | None
    why: str = ""


class Asking:
    """A strategy with its parameters. The first asking is the run's; what was drawn before it is drawn again after."""

    def __init__(
        self,
        function: Callable[..., Any],
        params: Mapping[str, Any],
        watch: Watch,
        load: Callable[[], Callable[..., Any]] | None = None,
        manner: Manner = _USUAL,
    ) -> None:
        """`manner` says how it is asked and what it answers.

        `load` returns the function as it is in a fresh process: what its module has kept is gone.
        """
        self.function, self.params, self.watch, self.load, self.manner = function, params, watch, load, manner
        self.anew = False  # load it each time
        self.process = os.getpid()
        self.draws: Callable[[], None] = lambda: None
        self.drew = False  # random numbers, of those that are set back
        self.took_s = 0.0

    def first(self, bars: Bars) -> npt.NDArray[np.float64]:
        """Return the target, as `Manner.target` does; raises what the strategy raises, and RunError."""
        drawn, self.draws, start = _drawn(), _draws(), time.perf_counter()
        with reaching(), self.watch.looking():
            answer = self.function(self.manner.handed(bars.apart()), **self.params)
        self.took_s = time.perf_counter() - start
        self.drew = _drawn() != drawn
        return self.manner.target(answer, bars)

    def again(self, bars: Bars) -> Answer:
        """Return what the strategy decides of other bars, whatever it does on the way. See `quiet`.

        Raises KeyboardInterrupt where a signal came to end this process, even if the strategy has kept it to itself.
        """
        answer = self._answer(bars)
        if _heard:
            raise KeyboardInterrupt
        return answer

    def _answer(self, bars: Bars) -> Answer:
        count = len(bars)
        try:
            with reaching(), self.watch.looking(effects=False):
                function = self._loaded() if self.anew else self.function
                if function is None:
                    return Answer(None, NO_LOADING)
                self.draws()
                answer = function(self.manner.handed(bars), **self.params)
                return Answer(self.manner.decisions(answer, count))
        except RunError as error:
            return Answer(None, error.message.partition(";")[0])
        except (Exception, SystemExit, GeneratorExit, KeyboardInterrupt) as error:  # whatever it raises
            if _heard:
                raise
            return Answer(None, f"it raised {type.__dict__['__name__'].__get__(type(error))}")
        finally:
            if os.getpid() != self.process:  # a child that it forked and did not end
                os._exit(1)

    def _loaded(self) -> Callable[..., Any] | None:
        try:
            return self.load() if self.load else None
        except (Exception, SystemExit, GeneratorExit):  # noqa: BLE001 - whatever a module does when it is loaded twice
            return None


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


def _drawn() -> list[Any]:
    """Return where the generators of random numbers are that are loaded, in a form to compare."""
    found: list[Any] = []
    if loaded := sys.modules.get("random"):
        found.append(loaded.getstate())
    if drawn := sys.modules.get("numpy.random"):
        found.append([part.tobytes() if isinstance(part, np.ndarray) else part for part in drawn.get_state()])
    return found


@contextmanager
def quiet() -> Iterator[None]:
    """Drop what is printed or logged within the block, by whom and however, and leave the generators as they were."""
    with ExitStack() as stack:
        stack.callback(_draws())
        stack.callback(logging.disable, logging.root.manager.disable)
        logging.disable(logging.CRITICAL)
        streams = sys.stdin, sys.stdout, sys.stderr
        stack.callback(_put_back, *streams)
        nowhere = os.open(os.devnull, os.O_RDWR)
        stack.callback(_close, nowhere)
        for stream in streams[1:]:
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()  # what is said before goes where it was meant to
        for number in range(3):
            stack.enter_context(_led_to(nowhere, number))
        stack.callback(_flush, *streams[1:])
        sys.stdin, sys.stdout, sys.stderr = (
            io.TextIOWrapper(_Nothing(number), encoding="utf-8", write_through=True)  # type: ignore[type-var] # it does
            for number in range(3)
        )
        stack.enter_context(kept_alive())
        stack.enter_context(_signals_heard())
        yield


class _Nothing(io.RawIOBase):
    """Has nothing to read, and drops what is written: for as long as anyone holds it, as a logger's handler may."""

    def __init__(self, number: int) -> None:
        self.number = number

    def fileno(self) -> int:
        return self.number

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        return 0

    def write(self, content: Any) -> int:
        return len(content)


_heard: list[int] = []
"""The signals to end this process that have come since the last `quiet` began."""


@contextmanager
def _signals_heard() -> Iterator[None]:
    _heard.clear()
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def hear(signum: int, frame: Any) -> Any:
        _heard.append(signum)
        return before[signum](signum, frame)

    try:
        with handling({number: hear for number, handler in before.items() if callable(handler)}):
            yield
    finally:
        _heard.clear()


@contextmanager
def kept_alive() -> Iterator[None]:
    """Let this process not be left within the block: what would end it at once is an exception in place of that."""
    process, leave = os.getpid(), os._exit

    def stay(status: int) -> Any:
        if os.getpid() != process:
            leave(status)  # a child that was forked
        raise SystemExit(status)

    os._exit = stay
    try:
        yield
    finally:
        os._exit = leave


def _put_back(stdin: Any, stdout: Any, stderr: Any) -> None:
    sys.stdin, sys.stdout, sys.stderr = stdin, stdout, stderr


def _close(number: int) -> None:
    with suppress(OSError):  # a strategy may have closed what it found open
        os.close(number)


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
