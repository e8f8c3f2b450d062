"""A process of its own for questions: what DuckDB does not stop doing ends with it, as does the memory that it took.

DuckDB looks at an interrupt and at its memory limit between one batch of rows and the next. A single call of a function
on a long text, a plan of a million parts or a parser deep in brackets looks at neither. So the one who asks stays out:
it waits, copies the answer on, and kills the child when time is up, at Ctrl-C, or when nobody reads any more. The child
takes no more address space than it had with the lake open, and the memory limit, and something over.
"""

from __future__ import annotations

import marshal
import os
import re
import resource
import select
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from peak_trade.errors import InputError, PeakError, RunError

__all__ = ["OUTPUT", "SMALLER", "Child", "bound_memory", "scratch"]

OUTPUT = "/dev/fd/{}"
SMALLER = "give it more with --memory-limit, or ask for less"
_OVER = 256 << 20  # bytes above DuckDB's own limit: what it and Python take beside the buffers that it counts
_BLOCK = 1 << 18
_UNITS = {name: 1024**power for power, name in enumerate(("BYTES", "KIB", "MIB", "GIB", "TIB", "PIB"))}
_ERRORS = {kind.__name__: kind for kind in (InputError, RunError)}

Answer = Callable[..., Any]


class _Late(Exception):
    """The time is up."""


def scratch() -> str:
    """Return a folder, not there yet, into which a question may spill; `tempfile` takes 5 ms to say the same."""
    return os.path.join(os.environ.get("TMPDIR") or "/tmp", f"peak_trade-lake-{os.urandom(8).hex()}")


class Child:
    """A forked process in which `answer` is called with each question and the number of a pipe for its output.

    Questions and answers are of what `marshal` knows. It ends with this process, however that ends.
    """

    def __init__(self, answer: Answer) -> None:
        self.scratch = scratch()
        questions, ask = os.pipe()
        said, say = os.pipe()
        self._output, output = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)  # until it is known who is who
        with warnings.catch_warnings():
            # Python warns where there are other threads (telemetry's): what they hold, the child does without
            warnings.simplefilter("ignore", DeprecationWarning)
            self._pid = os.fork()
        if not self._pid:
            with suppress(BaseException):
                for handle in (ask, said, self._output):
                    os.close(handle)
                _serve(answer, self.scratch, questions, say, output)
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)
        for handle in (questions, say, output):
            os.close(handle)
        self._ask, self._said = os.fdopen(ask, "wb"), os.fdopen(said, "rb")

    @property
    def alive(self) -> bool:
        """Whether it can be asked: it has not been killed, and has not died of a question."""
        return self._pid > 0

    def ask(self, question: tuple[Any, ...], write: Callable[[bytes], object], seconds: float | None) -> Any:
        """Return the answer to a question, with its output handed to `write` as it comes.

        Raises what `answer` raised in there, and RunError where it takes longer than `seconds` or dies. Whatever ends
        the waiting early ends the child.
        """
        try:
            with _alarm(seconds):
                kind, *rest = self._answer(question, write)
        except BaseException as error:
            self.kill()
            if not isinstance(error, _Late):
                raise
            late = RunError(f"no answer within {seconds:g} s", hint="ask for less, or give it longer with --timeout")
            raise late from None
        if kind == "answer":
            return rest[0]
        if kind in _ERRORS:
            raise _ERRORS[kind](rest[0], hint=rest[1])
        failed = RuntimeError(rest[0])
        failed.add_note(rest[1])
        raise failed

    def _answer(self, question: tuple[Any, ...], write: Callable[[bytes], object]) -> Any:
        try:
            marshal.dump(question, self._ask)
            self._ask.flush()
        except BrokenPipeError:
            raise self._died() from None
        self._copy(write)
        try:
            return marshal.load(self._said)
        except (EOFError, ValueError, TypeError):
            raise self._died() from None

    def _died(self) -> RunError:
        return RunError(f"DuckDB died of the question ({self.kill()})", hint=SMALLER)

    def _copy(self, write: Callable[[bytes], object]) -> None:
        """Hand the output on until an answer is there, which is sent after it."""
        waiting = select.poll()
        waiting.register(self._output, select.POLLIN)
        waiting.register(self._said, select.POLLIN)
        while True:
            if dict(waiting.poll()).get(self._output, 0) & select.POLLIN:
                write(os.read(self._output, _BLOCK))
            else:
                return

    def kill(self) -> str:
        """End it at once, with what it has spilled; return how it ended."""
        pid, self._pid = self._pid, 0
        if not pid:
            return ""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(self._output)
        self._said.close()
        with suppress(OSError):
            self._ask.close()
        if os.path.isdir(self.scratch):
            import shutil  # only where there is something

            shutil.rmtree(self.scratch, ignore_errors=True)
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


_HELD = {signal.SIGINT, signal.SIGALRM}


@contextmanager
def _alarm(seconds: float | None) -> Iterator[None]:
    """Raise _Late when the time is up, whatever is waited for."""
    if seconds is None:
        yield
        return

    def late(number: int, frame: FrameType | None) -> None:
        raise _Late

    before = signal.signal(signal.SIGALRM, late)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _serve(answer: Answer, folder: str, questions: int, say: int, output: int) -> None:
    """Answer until it is killed, or nobody is there to ask."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both, and the one who asks decides
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):  # the terminal is not its own: what a library says as it dies is no sentence
        os.dup2(nowhere, number)
    threading.Thread(target=_end_with, args=(questions,), daemon=True).start()
    asked, said = os.fdopen(questions, "rb"), os.fdopen(say, "wb")
    while True:
        question = marshal.load(asked)
        marshal.dump(_said(answer, (*question, folder, output)), said)
        said.flush()


def _said(answer: Answer, question: tuple[Any, ...]) -> tuple[Any, ...]:
    try:
        return "answer", answer(*question)
    except PeakError as error:
        return type(error).__name__, error.message, error.hint
    except MemoryError:
        return "RunError", "the answer does not fit into the memory that it may take", SMALLER
    except Exception as error:  # noqa: BLE001 - it is raised again where the question came from
        import traceback

        return "unknown", f"{type(error).__name__}: {error}", traceback.format_exc()


def _end_with(questions: int) -> None:
    """Wait until nobody can ask any more: the process that did has ended."""
    gone = select.poll()
    gone.register(questions, 0)
    gone.poll()
    os._exit(1)


def bound_memory(limit: str) -> bool:
    """Let this process take `limit` (as DuckDB writes it, 286.1 MiB) more than it has, and something over; no more.

    Returns whether it is so: not where the system does not say how much it has taken (macOS does not).
    """
    try:
        with open("/proc/self/statm", encoding="ascii") as stream:
            taken = int(stream.read().split()[0]) * resource.getpagesize()
        number, unit = re.fullmatch(r"([\d.]+) ?(\w+)", limit.upper()).groups()  # type: ignore[union-attr]
        most = taken + int(float(number) * _UNITS[unit]) + _OVER
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        if hard == resource.RLIM_INFINITY or most < hard:
            resource.setrlimit(resource.RLIMIT_AS, (min(most, sys.maxsize), hard))
    except (OSError, ValueError, AttributeError, KeyError):
        return False
    return True


def free_memory() -> None:
    """Take the bound away again."""
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (resource.getrlimit(resource.RLIMIT_AS)[1],) * 2)
