"""What a command says: passed on byte for byte as it comes, and kept, as far as there is room for it.

Where a terminal is behind a stream, the command gets a terminal too, so that it says what it would say: colours, a bar
of progress. Where both streams lead to one place it gets one for both, so that the order stays what it was.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import stat
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from msgspec import Struct, field

from peak_trade.record.child import Child, Ended
from peak_trade.redact import Redactor

__all__ = ["Kept", "Stream", "follow", "streams"]

_HEAD = _TAIL = 2 << 20  # bytes of a stream that are kept
_PIECE = 1 << 16
_LINGER_S, _LAST_S = 0.2, 1.0  # how long a stream may be silent before it counts as over, once its command has ended
_ROOM = 4096  # bytes that fit where `select` says that there is room: a pipe's PIPE_BUF


class Kept(Struct):
    """The first and the last of what a stream said, and how many bytes it said in all."""

    size: int = 0
    head: bytearray = field(default_factory=bytearray)
    tail: deque[bytes] = field(default_factory=deque)
    held: int = 0  # bytes in the tail

    def add(self, piece: bytes) -> None:
        """Take in what it said next."""
        self.size += len(piece)
        if (room := _HEAD - len(self.head)) > 0:
            self.head += piece[:room]
            piece = piece[room:]
        if piece:
            self.tail.append(piece)
            self.held += len(piece)
            while self.held - len(self.tail[0]) >= _TAIL:
                self.held -= len(self.tail.popleft())

    @property
    def left_out(self) -> int:
        """How many bytes between the first and the last are not kept."""
        return self.size - len(self.head) - self.held

    def content(self, redactor: Redactor) -> bytes:
        """Return what is kept, secrets masked, and all else as it was."""
        middle = f"\n[{self.left_out:,} bytes are left out here]\n".encode() if self.left_out else b""
        said = bytes(self.head) + middle + b"".join(self.tail)
        text = said.decode("utf-8", "surrogateescape")
        masked = redactor.text(text)
        return said if masked == text else masked.encode("utf-8", "surrogateescape")


class Stream:
    """One stream of a command: `theirs` is the end that it writes to, `target` where that goes."""

    def __init__(self, name: str, target: int) -> None:
        self.name, self.target, self.kept = name, target, Kept()
        self.terminal = os.isatty(target)
        self._pending = b""
        mode = os.fstat(target).st_mode
        self._waits = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)  # a file, or a terminal, is written to at once
        if self.terminal:
            import pty
            import tty

            self.ours, self.theirs = pty.openpty()
            tty.setraw(self.theirs)  # the terminal behind it does what terminals do
            self.resize()
        else:
            self.ours, self.theirs = os.pipe()
        os.set_blocking(self.ours, False)

    def resize(self) -> None:
        """Give the command's terminal the size that the real one has."""
        if self.terminal:
            import fcntl
            import termios

            with suppress(OSError):
                size = fcntl.ioctl(self.target, termios.TIOCGWINSZ, bytes(8))
                fcntl.ioctl(self.ours, termios.TIOCSWINSZ, size)

    @property
    def open(self) -> bool:
        """Whether the command may still say something here."""
        return self.ours >= 0

    @property
    def wants(self) -> tuple[list[int], list[int]]:
        """The descriptors that it waits for: to read from, to write to."""
        if self._pending:
            return [], [self.target]
        return ([self.ours], []) if self.open else ([], [])

    def move(self, readable: list[int], writable: list[int]) -> bool:
        """Move what can be moved; tell whether anything was."""
        if self._pending and self.target in writable:
            self._push()
            return True
        if self.open and self.ours in readable:
            return self.pull()
        return False

    def pull(self) -> bool:
        """Take what the command has said; tell whether that was anything."""
        try:
            piece = os.read(self.ours, _PIECE)
        except BlockingIOError:
            return False
        except OSError as error:  # a terminal that nobody has open any more
            if error.errno != errno.EIO:
                raise
            piece = b""
        if not piece:
            self.close()
            return True
        self.kept.add(piece)
        self._pending = piece
        if not self._waits:
            self._push()
        return True

    def _push(self) -> None:
        try:
            sent = os.write(self.target, self._pending[:_ROOM] if self._waits else self._pending)
            self._pending = self._pending[sent:]
            if self._pending and not self._waits:
                self._push()
        except BlockingIOError:  # whoever has the other end made it so: it is waited for
            self._waits = True
        except OSError:  # nobody reads it any more, or a full disk: the command learns of it as it would
            self._pending = b""
            self.close()

    def finish(self) -> None:
        """Pass on what is still to be passed on, waiting for room where there is none."""
        while self._pending:
            select.select([], [self.target], [], None)
            self._push()

    def close(self) -> None:
        """Take nothing more: who writes here has nobody that reads it."""
        if self.open:
            os.close(self.ours)
            self.ours = -1


def streams(out: int, err: int) -> list[Stream]:
    """Return the streams of a command: one for both where they lead to one place."""
    if out == err or os.path.samestat(os.fstat(out), os.fstat(err)):
        return [Stream("stdout", out)]
    return [Stream("stdout", out), Stream("stderr", err)]


def follow(child: Child, them: Sequence[Stream], deadline: float | None) -> Ended:
    """Pass on what a command says, and what it is told, until it has ended; end it where it has not by the deadline."""
    ended = None
    while ended is None:
        left = max(0.0, deadline - time.monotonic()) if deadline is not None and not child.late else None
        reads = [child.news, child.wake, *(one for stream in them for one in stream.wants[0])]
        writes = [one for stream in them for one in stream.wants[1]]
        readable, writable, _ = select.select(reads, writes, [], left)
        if child.wake in readable and signal.SIGWINCH in child.hand_on():
            for stream in them:
                stream.resize()
        if deadline is not None and not child.late and time.monotonic() >= deadline:
            child.stop()
        for stream in them:
            stream.move(readable, writable)
        if child.news in readable:
            ended = child.ended()
    _drain(them, ended)
    return ended


def _drain(them: Sequence[Stream], ended: Ended) -> None:
    """Pass on what is still on its way; not what a process that was left running may say some day."""
    for stream in them:
        stream.finish()
        while stream.open:
            patience = _LINGER_S if ended.left else _LAST_S
            if not select.select([stream.ours], [], [], patience)[0]:
                break
            stream.pull()
            stream.finish()
        stream.close()
