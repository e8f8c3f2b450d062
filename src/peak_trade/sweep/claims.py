"""Who makes which trials of a round, where several processes work on one sweep by its folder alone.

    workers/<member>          who works: host, process, and a count that goes up every second; locked while it lives
    claims/<round>-000012     the twelfth claim: a member's, of the trials from `first` up to `end`

Claims are a list that only grows: a claim is a link that is made under the next free number, which one alone can make.
The last claim of a trial is the one that counts. A trial is free where nobody has claimed it, or where its claim's
member is gone and its row is not there. A member is gone where its file is, where it lives on this host and its lock is
free, or where its count has not changed for `STALE` seconds as this process sees it: clocks of machines differ. That
can be wrong, of one that is slow or cut off; then trials are made twice, which costs time and changes nothing.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import time
import uuid
from contextlib import suppress

import msgspec
from msgspec import Struct

from peak_trade.sweep.folder import Folder
from peak_trade.sweep.spans import Span, gaps, merged

__all__ = ["STALE", "Claims", "Member"]

STALE = 30.0
"""Seconds after which a member whose count stands still has gone."""
_BEAT = 1.0  # seconds
_COUNT = struct.Struct("<q")


class _Claim(Struct, frozen=True, array_like=True):
    first: int
    end: int
    member: str


class Member:
    """This process, among those that work on a sweep."""

    def __init__(self, folder: Folder) -> None:
        self.name = f"{os.getpid()}-{uuid.uuid4().hex}-{socket.gethostname()}"
        self.path = folder.path / "workers" / self.name
        self.path.parent.mkdir(exist_ok=True)
        self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        with suppress(OSError):  # a file system without locks: the count alone tells
            fcntl.lockf(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._count, self._beaten = 0, float("-inf")
        self.beat()

    def beat(self) -> None:
        """Show that this process lives, once a second at most."""
        if (now := time.monotonic()) - self._beaten >= _BEAT:
            self._count, self._beaten = self._count + 1, now
            with suppress(OSError):  # a full disk, or a strategy that closed it
                os.pwrite(self._handle, _COUNT.pack(self._count), 0)

    def leave(self) -> None:
        """Give back what it has claimed."""
        with suppress(OSError):
            self.path.unlink()
        with suppress(OSError):
            os.close(self._handle)


class Claims:
    """The claims of one round of `count` trials, as a member sees them."""

    def __init__(self, folder: Folder, number: int, count: int, member: Member, stale: float = STALE) -> None:
        self._folder, self._number, self._member, self._stale = folder, number, member, stale
        self._place = folder.path / "claims"
        self._place.mkdir(exist_ok=True)
        self._free = gaps(folder.done(number), 0, count)
        self._claims: list[_Claim] = []
        self._seen: dict[str, tuple[bytes, float]] = {}  # by member: its count, and since when
        self._gone: set[str] = set()
        self._read()

    def free(self) -> int:
        """Return how many trials can be claimed, as far as is known."""
        return sum(end - first for first, end in self._free)

    def beat(self) -> None:
        """Show that this member lives."""
        self._member.beat()

    def take(self, most: int) -> Span | None:
        """Claim the first trials that are free, up to `most`, for this member; None where none are."""
        while self._free:
            first, end = self._free[0]
            claim = _Claim(first, min(end, first + most), self._member.name)
            if self._append(claim):
                self._add(claim)
                return claim.first, claim.end
            self._read()
        return None

    def look(self) -> None:
        """See who has gone, and free what they had claimed and not made.

        Raises FileNotFoundError where the sweep's folder is no more.
        """
        os.stat(self._place)
        self._read()
        done = self._folder.done(self._number)
        last = self._last()
        for name in {claim.member for claim in last if gaps(done, claim.first, claim.end)} - {self._member.name}:
            if self._is_gone(name):
                self._gone.add(name)
        left = [span for one in last if one.member in self._gone for span in gaps(done, one.first, one.end)]
        self._free = merged([*self._free, *left])

    def _last(self) -> list[_Claim]:
        """Return the claims that count: of each trial the last."""
        covered: list[Span] = []
        found: list[_Claim] = []
        for claim in reversed(self._claims):
            found += [_Claim(first, end, claim.member) for first, end in gaps(covered, claim.first, claim.end)]
            covered = merged([*covered, (claim.first, claim.end)])
        return found

    def _name(self, at: int) -> str:
        return f"{self._number}-{at:06}"

    def _read(self) -> None:
        """Read the claims that have been added."""
        while True:
            try:
                content = (self._place / self._name(len(self._claims))).read_bytes()
            except FileNotFoundError:
                return
            try:
                claim = msgspec.msgpack.decode(content, type=_Claim)
            except msgspec.MsgspecError:  # torn by a power cut: it claims nothing
                claim = _Claim(0, 0, "")
            self._add(claim)

    def _add(self, claim: _Claim) -> None:
        self._claims.append(claim)
        self._free = [span for free in self._free for span in gaps([(claim.first, claim.end)], *free)]

    def _append(self, claim: _Claim) -> bool:
        """Add a claim as the next; False where another has been added first."""
        draft = self._place / f".{uuid.uuid4().hex}"
        try:
            draft.write_bytes(msgspec.msgpack.encode(claim))
            os.link(draft, self._place / self._name(len(self._claims)))
        except FileExistsError:
            return False
        finally:
            draft.unlink(missing_ok=True)
        return True

    def _is_gone(self, name: str) -> bool:
        """Tell whether a member is gone."""
        path, (process, _, host) = self._folder.path / "workers" / name, name.split("-", 2)
        if (process, host) == (str(os.getpid()), socket.gethostname()):  # to close its file would let its lock go
            return not path.exists()
        try:
            handle = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return True
        try:
            count = os.pread(handle, _COUNT.size, 0)
            if host == socket.gethostname():
                with suppress(OSError):
                    fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return True
        finally:
            os.close(handle)
        now = time.monotonic()
        before, since = self._seen.get(name, (None, now))
        if count != before:
            self._seen[name] = count, now
            return False
        return now - since > self._stale
