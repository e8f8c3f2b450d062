"""Where a process notes what is seen in it. Whatever breaks on the way is one `warning` frame, and never its error."""

from __future__ import annotations

from _thread import _local, allocate_lock

from .spool import Spool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

__all__ = ["Note"]

_PATIENCE_S = 1.0
_LONGEST = 300  # characters of a reason


class Note:
    """Notes frames, of all threads of a process. What a thread does while its `busy.now` is set is our own."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.busy = Busy()
        self._spool = Spool(folder)
        self._lock = allocate_lock()
        self._warned: set[str] = set()

    def forked(self) -> None:
        """Begin anew in a forked child: another thread may have held the lock."""
        self._lock = allocate_lock()

    def write(
        self, kind: str, header: dict[str, Any] | None = None, columns: dict[str, tuple[str, Any]] | None = None
    ) -> None:
        """Append a frame (`spool.Spool.write`). What it raises is for a `guard` around it."""
        self._alone(self._spool.write, kind, header, columns)

    def append(self, header: str) -> None:
        """Append a frame without columns by its header as JSON text, as `write` does."""
        self._alone(self._spool.append, header)

    def _alone(self, write: Callable[..., None], *args: Any) -> None:
        busy = self.busy
        before, busy.now = busy.now, True
        held = self._lock.acquire(timeout=_PATIENCE_S)  # a signal's handler may come upon what it has interrupted
        try:
            write(*args)
        finally:
            if held:
                self._lock.release()
            busy.now = before

    def engine(self, name: str, version: str) -> None:
        """Note that an engine is there and watched."""
        self.write("engine", {"engine": name, "version": version})

    def warn(self, part: str, reason: object) -> None:
        """Note what could not be seen, and why: once for each `part`."""
        if part in self._warned:
            return
        self._warned.add(part)
        try:
            text = f"{type(reason).__name__}: {reason}" if isinstance(reason, BaseException) else str(reason)
            self.write("warning", {"part": part, "reason": text[:_LONGEST]})
        except Exception:  # noqa: BLE001 -- a full disk, a folder that is gone: there is nowhere left to say so
            pass

    def broken(self, part: str, error: Exception) -> None:
        """Note an error of our own; raise it again where it is the command's, of a signal's handler."""
        if _interrupted(error.__traceback__):
            raise error
        self.warn(part, error)

    def guard(self, part: str) -> Guard:
        """Return what to do the observer's own work in: `with note.guard("files"): …` ends in no error of it."""
        return Guard(self, part)


class Busy(_local):
    """Whether a thread does our own work."""

    now = False


class Guard:
    """Turns an error into a warning; not one that a signal's handler of the command has raised in between."""

    def __init__(self, note: Note, part: str) -> None:
        self.note, self.part = note, part

    def __enter__(self) -> None:
        self.before = self.note.busy.now
        self.note.busy.now = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.note.busy.now = self.before
        if not isinstance(error, Exception):
            return False
        self.note.broken(self.part, error)
        return True


def _interrupted(trace: TracebackType | None) -> bool:
    """Tell whether a signal's handler of the command raised: it may be called while we work."""
    import signal

    handlers = {getattr(signal.getsignal(number), "__code__", None) for number in range(1, signal.NSIG)} - {None}
    while trace is not None:
        if trace.tb_frame.f_code in handlers:
            return True
        trace = trace.tb_next
    return False
