"""The command of a recorded run as a process: started as a shell would, told what its recorder is told, and waited for.

    recorder ─▶ keeper ─▶ command ─▶ whatever it starts

All stand in one process group, so that a terminal treats them as the one program that a person has typed: what it sends
(Ctrl-C, Ctrl-Z) reaches the command by itself, and a command reads from it. The keeper is a process of a few lines in
between, which outlives its recorder for a moment: what the command has started is left to it, so it can end all of that
when the time is up, or when the recorder is gone.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Never

from msgspec import Struct

__all__ = ["Child", "Ended"]

_HEARD = tuple(
    one
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGWINCH")
    if (one := getattr(signal, name, None)) is not None
)
TOO_LATE = 124
_STOP = 0  # among the signals that a recorder hands on: end all of it, the time is up
_MOMENT_S = 0.1  # what a terminal, or `timeout`, sends to all of a group comes to each of it within that
_GRACE_S = 2.0  # between SIGTERM and SIGKILL
_LEAVE_S = 0.4  # for what a command has started to end, once it has ended itself, before it counts as left running
_HELPERS = tuple(b"%b import main" % name for name in (b"resource_tracker", b"semaphore_tracker", b".forkserver"))
_NEVER_STARTED, _ENDED = b"E", b"W"


class Ended(Struct, frozen=True):
    """How a command ended: its exit code, below zero by that signal; `error` is an errno where it never started.

    `left` counts the processes that it has left running.
    """

    code: int
    left: int = 0
    error: int = 0
    late: bool = False

    @property
    def exit_code(self) -> int:
        """The exit code of who has run it, as `timeout` and shells have it; below zero by that signal."""
        return TOO_LATE if self.late else self.code


class Child:
    """A command that runs. It has the terminal and stdin of its recorder, and writes to `out` and `err`."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], out: int, err: int, ours: Sequence[int] = ()
    ) -> None:
        """Start it; `ours` are the ends at which its recorder reads, which nobody else is to hold open."""
        self._heard: dict[int, float] = {}
        self.late = False
        self.wake, wake = os.pipe()
        orders, self._orders = os.pipe()
        self.news, news = os.pipe()
        for handle in (wake, self.wake, self.news):
            os.set_blocking(handle, False)
        self._before = {number: signal.getsignal(number) for number in _HEARD}
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of threads that telemetry has: they stay here
            self.pid = os.fork()
        if not self.pid:
            try:
                for number in _HEARD:
                    if self._before[number] is not signal.SIG_IGN:
                        signal.signal(number, _nothing)
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
                for handle in (self.wake, wake, self._orders, self.news, *ours):
                    os.close(handle)
                _keep(command, environment, (out, err), orders, news, self._before)
            finally:
                os._exit(70)
        os.close(orders)
        os.close(news)
        self._told = b""
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for number in _HEARD:
            if self._before[number] is not signal.SIG_IGN:  # else nobody is to be told (`nohup`)
                signal.signal(number, _nothing)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def hand_on(self) -> list[int]:
        """Hand on the signals that have come, and return them; two of a kind within a moment are one."""
        came, now = [], time.monotonic()
        with suppress(BlockingIOError):
            for number in os.read(self.wake, 512):
                if number in _HEARD and now - self._heard.get(number, -1.0) > _MOMENT_S:
                    self._heard[number] = now
                    came.append(number)
        self._order(bytes(came))
        return came

    def stop(self) -> None:
        """End the command, and all that it has started: the time is up."""
        self.late = True
        self._order(bytes([_STOP]))

    def _order(self, word: bytes) -> None:
        with suppress(OSError):  # the keeper is gone, as the news says
            os.write(self._orders, word)

    def ended(self) -> Ended | None:
        """Return how the command ended, None while it runs; to be asked when there is something to read in `news`."""
        gone = False
        try:
            while part := os.read(self.news, 512):
                self._told += part
            gone = True
        except BlockingIOError:
            pass
        if not gone:
            return None
        kind, _, rest = self._told.partition(b" ")
        os.waitpid(self.pid, 0)
        numbers = [int(word) for word in rest.split()]
        if kind == _NEVER_STARTED and numbers:
            return Ended(126 if numbers[0] != errno.ENOENT else 127, error=numbers[0])
        if kind == _ENDED and len(numbers) == 2:
            return Ended(os.waitstatus_to_exitcode(numbers[0]), numbers[1], late=self.late)
        return Ended(-signal.SIGKILL)  # somebody has killed the keeper, and with it the command

    def release(self) -> None:
        """Hear signals as before: until then none of them ends this process."""
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            if handler is not None:
                signal.signal(number, handler)


def _nothing(*_: object) -> None:
    pass


# --- the keeper ---------------------------------------------------------------------------------------------------


def _keep(
    command: Sequence[str], environment: Mapping[str, str], streams: tuple[int, int], orders: int, news: int,
    before: Mapping[int, object],
) -> Never:  # fmt: skip
    """Start the command, wait for it, and tell how it ended. Never returns."""
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    tie = _adopt()
    signal.signal(signal.SIGCHLD, _nothing)
    failed, fails = os.pipe()  # closed by the command's start
    me = os.getpid()
    pid = os.fork()
    if not pid:
        signal.set_wakeup_fd(-1)
        _become(command, environment, streams, fails, before, tie, me)
    os.close(fails)
    for handle in streams:
        with suppress(OSError):
            os.close(handle)
    if why := os.read(failed, 16):
        os.write(news, _NEVER_STARTED + b" " + why)
        os._exit(0)
    status, came, waiting = None, dict[int, float](), list[tuple[float, int]]()
    while status is None:
        left = max(0.0, min(at for at, _ in waiting) - time.monotonic()) if waiting else None
        ready, _, _ = select.select([wake, orders], [], [], left)
        now = time.monotonic()
        if wake in ready:
            with suppress(BlockingIOError):
                came |= dict.fromkeys(os.read(wake, 512), now)
        if orders in ready:
            words = os.read(orders, 512)
            if not words:  # the recorder is gone
                _bury()
                os._exit(1)
            if _STOP in words:
                status = _bury(pid)
            waiting += [(now + _MOMENT_S, number) for number in words if number != _STOP]
        for at, number in [one for one in waiting if one[0] <= now]:
            waiting.remove((at, number))
            if at - came.get(number, -1.0) > 3 * _MOMENT_S:  # else the command has got it as this process has
                with suppress(OSError):
                    os.kill(pid, number)
        status = _reaped(pid) if status is None else status
    patience = time.monotonic() + _LEAVE_S
    while (there := _children()) and time.monotonic() < patience:
        time.sleep(0.02)
        _reaped(0)
    os.write(news, _ENDED + b" %d %d" % (status, len([one for one in there if not _is_helper(one)])))
    os._exit(0)


def _become(
    command: Sequence[str], environment: Mapping[str, str], streams: tuple[int, int], fails: int,
    before: Mapping[int, object], tie: object, parent: int,
) -> Never:  # fmt: skip
    """Become the command, as a shell does: what is no program and no script of another's is one of the shell's."""
    try:
        if callable(tie):
            tie(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
        for number in (*_HEARD, signal.SIGCHLD, signal.SIGPIPE, getattr(signal, "SIGXFSZ", signal.SIGPIPE)):
            if before.get(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        for number, handle in zip((1, 2), streams, strict=True):
            os.dup2(handle, number)
        if os.getppid() != parent:
            os._exit(1)
        try:
            os.execvpe(command[0], list(command), dict(environment))
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            path = _found(command[0], environment)
            os.execve("/bin/sh", ["/bin/sh", path, *command[1:]], dict(environment))
    except OSError as error:
        os.write(fails, b"%d" % (error.errno or errno.EIO))
    except (ValueError, UnicodeError):  # a NUL in a word
        os.write(fails, b"%d" % errno.EINVAL)
    finally:
        os._exit(127)


def _found(name: str, environment: Mapping[str, str]) -> str:
    if "/" in name:
        return name
    folders = environment.get("PATH", os.defpath).split(os.pathsep)
    return next((path for folder in folders if os.access(path := os.path.join(folder, name), os.X_OK)), name)


def _adopt() -> object:
    """Have what the command starts, and leaves when it dies, left to this process. On Linux; elsewhere it goes its way.

    Returns the call that ties a process to the life of its parent.
    """
    if sys.platform != "linux":
        return None
    import ctypes

    call = ctypes.CDLL(None).prctl
    call(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    return call


def _reaped(pid: int) -> int | None:
    """Return how the command ended; None while it lives. What it has left to us is taken from the table."""
    ended = None
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            if found[0] == pid:
                ended = found[1]
    return ended


def _bury(pid: int = 0) -> int:
    """End all that descends from this process, kindly at first; return how the command ended."""
    status, deadline = 0, time.monotonic() + _GRACE_S
    told: set[int] = set()
    while there := _descendants():
        late = time.monotonic() >= deadline
        for one in there:
            if late or one not in told:
                told.add(one)
                with suppress(OSError):
                    os.kill(one, signal.SIGKILL if late else signal.SIGTERM)
                    os.kill(one, signal.SIGCONT)
        time.sleep(0.02)
        with suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                status = found[1] if found[0] == pid else status
    return status


def _children() -> list[int]:
    me = os.getpid()
    return [pid for pid, parent in _parents().items() if parent == me]


def _is_helper(pid: int) -> bool:
    """Tell whether a process is one that pools of Python have beside them, which ends by itself once they are gone."""
    with suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as stream:
        words = stream.read()
        return any(name in words for name in _HELPERS)
    return False


def _descendants() -> list[int]:
    """Return all processes that this one has started, and those that they have."""
    parents = _parents()
    found, last = set[int](), {os.getpid()}
    while last := {pid for pid, parent in parents.items() if parent in last} - found:
        found |= last
    return sorted(found)


def _parents() -> dict[int, int]:
    """Return the parent of each process."""
    found: dict[int, int] = {}
    if not os.path.exists("/proc/self/stat"):  # not on Linux
        import subprocess

        listed = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=False)
        me = [line.split() for line in listed.stdout.splitlines()]
        return {int(pid): int(parent) for pid, parent in me}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with (
                suppress(OSError, ValueError),
                open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as stream,
            ):
                state, parent = stream.read().rpartition(") ")[2].split()[:2]
                if state != "Z":
                    found[int(name)] = int(parent)
    return found
