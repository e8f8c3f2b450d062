"""The process in front of a run, which sees that one end and brings the run to its end, whatever became of it.

    command ─▶ supervisor ─fork─▶ the run, with its strategy
                   ▲──────words──────┘

A time limit by signals stops what Python's interpreter does, between two of its instructions. It stops no long call
into C, nothing that blocks signals, and it can't seal a run whose process is gone. So the command's own process imports
nothing and runs no strategy: it forks the run, waits, hands signals on, and ends as that ended. What it would take to
seal the run as failed it is told once the run has started (`Line.started`); when the time is up and a grace is over it
kills the run and what that has started, and seals.

Signals are waited for, not handled, so that none interrupts a seal here. Where another tool has started threads before
us, as OpenTelemetry's own command does, those are given what is blocked here: each signal is written to a pipe then.
What a terminal sends reaches the run by itself, being of the same group; so does what is sent to the group, and
`limits` takes two of one kind for one.
If the supervisor dies, the last end of a pipe closes with it, and the kernel kills the run: no thread watches.
Standard library only, and little of it, and before all else: what this process holds when it forks, a run pays for
twice, as it copies each page that it touches.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import time
import warnings
from contextlib import suppress
from importlib import import_module

TYPE_CHECKING = False  # typing's own costs more than the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Never

    from peak_trade.errors import PeakError

__all__ = ["GRACE_S", "UNWATCHED", "Line", "end", "followers", "stand_by", "tie"]

GRACE_S = 3.0
"""Beyond the limit, for the run to end by the exception that comes first: it has the traceback, which is worth more."""
LEAVE_S = 10.0  # for a run with a limit to leave its process, once it has said its last word
_INSISTING, _INSISTING_S, _MOMENT_S = 3, 5.0, 0.1  # so many Ctrl-C within so many seconds; two within a moment are one
_LONGEST = 1 << 24  # bytes of what is heard at once, and so of a word
_NAME = "PEAK_SUPERVISOR"
_STARTED, _STRATEGY, _FREE, _BYE = b"WSFB"
_HANDED_ON = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
              signal.SIGCONT}  # fmt: skip
_HEARD = {*_HANDED_ON, signal.SIGCHLD, signal.SIGIO}
_TIMED = hasattr(signal, "sigtimedwait")  # not on macOS
if not _TIMED:
    _HEARD |= {signal.SIGALRM}

followers: list[Callable[[int], None]] = []
"""Called with the run's pid, in both processes: for what has noted that it belongs to the process before."""


def _mark(handle: int) -> tuple[int, int] | None:
    try:
        about = os.fstat(handle)
    except OSError:
        return None
    return about.st_dev, about.st_ino


class Line:
    """What a run tells its supervisor; one that has none, or has lost it, tells nobody."""

    def __init__(self, words: int = -1, life: int = -1) -> None:
        self._words, self._life = words, life
        self._mark = _mark(words)
        self._pid = os.getpid()

    def stay(self) -> None:
        """Tell that this program makes the run: no other is to take the line over, nor what is started from here."""
        if self._words >= 0 and os.environ.pop(_NAME, ""):
            for handle in (self._words, self._life):
                os.set_inheritable(handle, False)

    def started(self, will: bytes, place: str) -> None:
        """Tell that the run has started, what seals it as failed (`runner.testament`), and where it is once sealed."""
        self._tell(_STARTED, os.fsencode(place) + b"\0" + will)

    def strategy(self, limit_s: float | None, *, own: bool, bars: bytes = b"") -> None:
        """Tell that a strategy runs from here on, for so long at most, and over which bars; `own` may start processes.

        What a user's `own` strategy says later of bars is not heard.
        """
        self._tell(_STRATEGY, f"{limit_s or 0} {own:d}\n".encode() + bars)

    def free(self, stopped: str = "") -> None:
        """Tell that no user's code runs any more, and by what it was `stopped` (`TimeOut`, `KeyboardInterrupt`)."""
        self._tell(_FREE, stopped.encode())

    def lost(self) -> None:
        """Tell nothing any more: the run ends by what nobody has a word for, and is left to its supervisor."""
        self._mark = None

    def __enter__(self) -> Line:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is None or isinstance(error, SystemExit):  # else not even that could be said
            code = 0 if error is None else error.code
            self._tell(_BYE, str(code).encode())  # what is left is the way out

    def _tell(self, word: int, content: bytes = b"") -> None:
        # a descriptor that a strategy has closed may be another file by now, and a child that it has forked is not us
        if self._mark is None or _mark(self._words) != self._mark or os.getpid() != self._pid:
            return
        view = memoryview(bytes([word]) + len(content).to_bytes(4, "big") + content)
        with suppress(OSError):
            while view:
                view = view[os.write(self._words, view) :]


UNWATCHED = Line()
"""Of a run that has no supervisor, as from Python."""


def stand_by(*, hand_on: bool = False) -> Line:
    """Go on as the process of a run, with this one as its supervisor, which ends as the run does.

    It never returns there. `hand_on`: the run is made by another program, which this one is about to become, and which
    calls this again.
    """
    if (line := _handed_on()) or sys.platform == "win32":
        return line or UNWATCHED
    words, tell = os.pipe()
    alive, life = os.pipe()
    before = {number: signal.getsignal(number) for number in _HEARD}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()  # what is not out yet would come out twice
    me = os.getpid()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads, where another tool has started some: they stay here
        try:
            pid = os.fork()
        except OSError:  # no more processes: better a run that is not watched than none
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            for handle in (words, tell, alive, life):
                os.close(handle)
            return UNWATCHED
    for follow in followers:
        follow(pid or os.getpid())
    if pid:
        os.close(tell)
        os.close(alive)
        woken = _heard_by_all() if _has_threads() else -1
        for number in _HEARD:
            signal.signal(number, _nothing)  # else some systems drop, rather than keep, what is ignored by default
        if woken >= 0:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
        _Supervisor(pid, words, woken).watch()
    os.close(words)
    os.close(life)
    for number, handler in before.items():
        if signal.getsignal(number) is not handler and handler is not None:
            signal.signal(number, handler)
    tie(alive)
    if os.getppid() != me:
        os._exit(1)
    if hand_on:
        for handle in (tell, alive):
            os.set_inheritable(handle, True)
        os.environ[_NAME] = f"{me} {tell} {alive}"
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return Line(tell, alive)


def _handed_on() -> Line | None:
    """Return the line that the program before this one, in this process, had: its supervisor is our parent."""
    try:
        parent, tell, alive = map(int, os.environ.get(_NAME, "").split())
        if parent == os.getppid():
            return Line(tell, alive)
    except ValueError:
        pass
    os.environ.pop(_NAME, None)  # of a run that has started this one
    return None


def tie(alive: int) -> None:
    """Have the kernel kill this process when the other end of a pipe closes."""
    import fcntl

    fcntl.fcntl(alive, fcntl.F_SETOWN, os.getpid())
    if hasattr(fcntl, "F_SETSIG"):  # on Linux; elsewhere it is SIGIO, which ends a process too
        fcntl.fcntl(alive, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(alive, fcntl.F_SETFL, fcntl.fcntl(alive, fcntl.F_GETFL) | os.O_ASYNC)


def _nothing(*_: object) -> None:
    pass


def _has_threads() -> bool:
    try:
        return len(os.listdir("/proc/self/task")) > 1
    except OSError:  # not on Linux: those that Python knows
        threading = sys.modules.get("threading")
        return threading is not None and threading.active_count() > 1


def _heard_by_all() -> int:
    """Have each signal that has a handler written to a pipe, whichever thread is given it; return the end to read."""
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    return heard


class _Supervisor:
    """Waits for one run."""

    def __init__(self, pid: int, words: int, woken: int) -> None:
        import fcntl

        self.pid, self.words, self.woken = pid, words, woken
        self.will = self.bars = b""
        self.limit = 0.0
        self.strategy = False  # a user's code is running
        self.bye: int | None = None  # the run's last word: the exit code that it is about to end with
        self.deadline: float | None = None
        self.patience = 0.0  # from when on an interrupted strategy has waited long enough for what it has started
        self.place = ""
        self.stopped = ""  # how a strategy was: what it started is to stop too
        self.interrupts: list[float] = []
        fcntl.fcntl(words, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(words, fcntl.F_SETFL, fcntl.fcntl(words, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)
        self.heard = b""

    def watch(self) -> Never:
        """Wait for the run's end, and end as it did; say what is wrong where it has to be sealed here."""
        self._listen()  # from here on each word comes with a signal
        late, status = False, self._reaped()
        while status is None:
            number, typed = self._wait()
            self._listen()
            if number in _HANDED_ON and not typed:
                os.kill(self.pid, number)
            if number in (signal.SIGINT, signal.SIGTERM) and self._insisted():
                self.stopped = self.stopped or "KeyboardInterrupt"
                self.deadline = min(self.deadline or math.inf, time.monotonic() + GRACE_S)
            if number in (signal.SIGINT, signal.SIGTERM):
                self.patience = self.patience or time.monotonic() + GRACE_S
            if number == signal.SIGCONT and self.deadline is not None:  # it could do nothing while it was stopped
                self.deadline = max(self.deadline, time.monotonic() + GRACE_S)
            status = self._reaped()
            if status is None and self.strategy and self.patience and time.monotonic() >= self.patience:
                self.patience = 0.0
                self._free()
            if status is None and self.deadline is not None and time.monotonic() >= self.deadline:
                late = True
                os.kill(self.pid, signal.SIGKILL)
                status = os.waitpid(self.pid, 0)[1]
        self._listen()
        code = os.waitstatus_to_exitcode(status)
        if late or self.stopped or self.bye is None:
            self._bury()
        if self.bye is not None and (self.bye or not self.will or os.path.isdir(self.place)):
            end(self.bye if late else code)
        if self.will:
            self._seal(late, code)
        end(code)

    def _wait(self) -> tuple[int, bool]:
        """Return the next signal, and whether the kernel sent it, to all of the group; 0 where the time is up."""
        moments = [moment for moment in (self.deadline, self.strategy and self.patience) if moment]
        left = max(0.0, min(moments) - time.monotonic()) if moments else None
        if self.woken >= 0:
            import select

            return (os.read(self.woken, 1)[0], False) if select.select([self.woken], [], [], left)[0] else (0, True)
        if _TIMED:
            about = signal.sigwaitinfo(_HEARD) if left is None else signal.sigtimedwait(_HEARD, left)
            return (about.si_signo, about.si_code > 0) if about else (0, True)
        if left is not None:
            signal.setitimer(signal.ITIMER_REAL, left + 1e-3)
        return signal.sigwait(_HEARD), False

    def _reaped(self) -> int | None:
        """Return how the run's process ended; None while it lives. What it has left to us is taken from the table."""
        ended = None
        with suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                if found[0] == self.pid:
                    ended = found[1]
        return ended

    def _listen(self) -> None:
        with suppress(BlockingIOError):
            while len(self.heard) < _LONGEST and (part := os.read(self.words, 1 << 16)):
                self.heard += part
        at = 0
        while len(self.heard) - at >= 5:
            end = at + 5 + int.from_bytes(self.heard[at + 1 : at + 5], "big")
            if end > len(self.heard):
                break
            with suppress(ValueError):  # whatever a strategy wrote there is none of our words
                self._heed(self.heard[at], self.heard[at + 5 : end])
            at = end
        self.heard = self.heard[at:]

    def _heed(self, word: int, content: bytes) -> None:
        if word == _STARTED and not self.will:  # there is one
            place, _, self.will = content.partition(b"\0")
            self.place = os.fsdecode(place)
        elif word == _STRATEGY:
            told, _, bars = content.partition(b"\n")
            limit, own = told.split()
            self.bars = self.bars or bars
            self.strategy, self.limit = True, float(limit)
            if own == b"1":
                _adopt()
            self.deadline = time.monotonic() + self.limit + GRACE_S if self.limit else None
        elif word == _FREE:
            self.strategy, self.stopped = False, self.stopped or content.decode()
            self.deadline = time.monotonic() + LEAVE_S if self.stopped else None
        elif word == _BYE:
            self.bye = int(content)
            self.deadline = time.monotonic() + LEAVE_S if self.limit else None
            if self.stopped:
                self._free()

    def _insisted(self) -> bool:
        """Tell whether a person has interrupted the run time and again: it does not heed that by itself."""
        now = time.monotonic()
        if not self.interrupts or now - self.interrupts[-1] > _MOMENT_S:
            self.interrupts = [*self.interrupts[1 - _INSISTING :], now]
        return len(self.interrupts) == _INSISTING and now - self.interrupts[0] < _INSISTING_S

    def _free(self) -> None:
        """End what the run has started, for it waits for the workers of a pool, which may hang, on its way out.

        By SIGTERM: what keeps account of their semaphores does not heed that, and is to end last.
        """
        parents = _parents()
        below = {self.pid}
        while more := {child for child, parent in parents.items() if parent in below} - below:
            below |= more
        for child in below - {self.pid}:
            with suppress(OSError):
                os.kill(child, signal.SIGTERM)

    def _bury(self) -> None:
        """Kill what the run has started and not waited for: it may hold the directory, and write to it."""
        for _ in range(1000):  # what is killed leaves its own children to us
            if not (children := _children()):
                return
            for child in children:
                with suppress(OSError):
                    os.kill(child, signal.SIGKILL)
            for child in children:
                with suppress(OSError):
                    os.waitpid(child, 0)

    def _seal(self, late: bool, code: int) -> None:
        stage = "strategy" if self.strategy else "evidence"
        if late and self.stopped == "KeyboardInterrupt":
            kind, text = "KeyboardInterrupt", "interrupted"
        elif late:
            kind, text = "TimeOut", f"the strategy ran longer than run.timeout_s = {self.limit:g} s"
        elif code < 0:
            name = next((one.name for one in signal.Signals if one == -code), f"signal {-code}")
            kind, text = "Killed", f"the run's process was ended by {name} before its run was sealed"
        else:
            who = "the strategy" if self.strategy else "something"
            kind, text = "Exited", f"{who} ended the run's process, with exit code {code}, before its run was sealed"
        testament = import_module("peak_trade.runner.testament")  # by its name, and now: nothing is imported before
        error: PeakError | None = testament.execute(
            self.will, {"stage": stage, "type": kind, "message": text}, self.bars
        )
        if error is not None:
            _fail(error, os.path.dirname(self.place))


def _fail(error: PeakError, folder: str) -> Never:
    """Say what is wrong, as scripts do, and leave this process."""
    script = import_module("peak_trade.script")

    def told() -> int:
        script.name_run(error, None if folder == str(script.results_dir().absolute()) else folder)
        raise error

    script.run(told)
    raise AssertionError  # it does not return


def _adopt() -> None:
    """Have what the run starts, and leaves when it dies, left to this process. On Linux; elsewhere it goes its way."""
    if sys.platform == "linux":
        import ctypes  # while the run goes on

        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def _children() -> list[int]:
    me = os.getpid()
    return [child for child, parent in _parents().items() if parent == me]


def _parents() -> dict[int, int]:
    """Return each process with its parent; none where the system has no `/proc`."""
    found = {}
    with suppress(OSError):
        for name in os.listdir("/proc"):
            if name.isdigit():
                with suppress(OSError), open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as stream:
                    found[int(name)] = int(stream.read().rpartition(") ")[2].split()[1])
    return found


def end(code: int) -> Never:
    """End as the run did: by its exit code, or by its signal."""
    if code < 0:
        import resource

        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the run's own is there
        with suppress(OSError, ValueError):  # SIGKILL has no handler
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {-code})
    os._exit(code if code >= 0 else 128 - code)
