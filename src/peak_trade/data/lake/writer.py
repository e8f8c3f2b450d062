"""The one process that changes a lake: how files and markers are written, and what may be removed.

A file gets its name, the digest of its content, when it is whole and on disk; the marker that makes it live is written
after it, under a number that nobody else can take (`link` fails where the name exists). So a writer that is killed has
changed nothing, and what it left is swept up later. A file goes only when no marker names it that is the newest,
younger than the grace, or read by somebody.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from peak_trade.data.lake import names
from peak_trade.data.lake.commit import COMMITS, FORMAT, Commit, Live, files_of, marker, newest, numbers, read
from peak_trade.errors import RunError
from peak_trade.evidence import files
from peak_trade.evidence.ledger import now

__all__ = ["GRACE_S", "Writer", "writing"]

GRACE_S = 900.0  # for engines that do not hold our lock on the marker whose files they read
WRITING, LOCK = "_writing", "_lock"


class Writer:
    """The one process that changes a lake; `commit` is the newest commit."""

    def __init__(self, lake: Path) -> None:
        self.lake = lake
        self.commit = newest(lake)
        self.folders = names.Folders()
        for live in self.commit.tables.values():
            self.folders.know(live.parts, live.partitions)
        self._last = datetime.min.replace(tzinfo=UTC)
        if self.commit.number:  # a marker's time has no microseconds
            self._last = datetime.fromisoformat(self.commit.time) + timedelta(milliseconds=1)

    def tick(self) -> datetime:
        """Return a time for a change: now, and later than all that came before, whatever the clock does."""
        self._last = max(datetime.now(UTC), self._last + timedelta(microseconds=1))
        return self._last

    def add(self, folder: str, content: Any) -> tuple[str, str, int]:
        """Write a file, named by its digest, and return its path in the lake, its sha256 and its size."""
        draft = self.lake / WRITING / os.urandom(16).hex()
        written = files.write(draft, [content])
        path = f"{folder}/{written.sha256[:24]}.parquet"
        os.rename(draft, self.lake / path)
        return path, written.sha256, written.size

    def prepare(self, folder: str) -> None:
        """Make a folder for files, where there is none."""
        at = self.lake
        if (at / folder).is_dir():
            return
        for name in folder.split("/"):
            with suppress(FileExistsError):
                os.mkdir(at / name)
                files.sync_folder(at)
            at /= name

    def publish(self, by: str, tables: Mapping[str, Live], *, bars: list[str] | None = None) -> Commit:
        """Make `tables` the lake: write the marker that names them all, after what they name is on disk."""
        before, after = self.commit.paths, {part.path for live in tables.values() for part in live.parts}
        for folder in sorted({path.rpartition("/")[0] for path in after - before}):
            files.sync_folder(self.lake / folder)
        number = self.commit.number + 1
        known = self.commit.bars if bars is None else bars
        lake = self.commit.lake or os.urandom(16).hex()
        commit = Commit(FORMAT, number, now(), by, dict(tables), known, lake)
        draft = self.lake / WRITING / os.urandom(16).hex()
        files.write(draft, [msgspec.json.encode(commit)])
        try:
            os.link(draft, marker(self.lake, number))
        except FileExistsError:
            raise RunError("another process has changed the lake meanwhile", hint="try again") from None
        files.sync_folder(self.lake / COMMITS)
        os.unlink(draft)
        self.commit = commit
        return commit

    def expire(self, grace_s: float = GRACE_S) -> int:
        """Remove the markers that nobody reads, and the files that only they name; return how many files went."""
        there = numbers(self.lake)
        gone: set[str] = set()
        for number, successor in pairwise(there):
            if time.time() - marker(self.lake, successor).stat().st_mtime < grace_s:
                break
            named = read(self.lake, number).paths
            if _remove_unread(marker(self.lake, number)):
                gone |= named
        if not gone:
            return 0
        files.sync_folder(self.lake / COMMITS)  # no marker names what is removed now
        kept = set[str]().union(*(read(self.lake, number).paths for number in numbers(self.lake)))
        return sum(_removed(self.lake / path) for path in gone - kept)

    def sweep(self) -> int:
        """Remove every file that no marker names: what killed writers left; return how many went."""
        kept = set[str]().union(*(read(self.lake, number).paths for number in numbers(self.lake)))
        drafts = [self.lake / WRITING / name for name in os.listdir(self.lake / WRITING)]
        strays = [self.lake / path for path in files_of(self.lake) if path not in kept]
        return sum(_removed(path) for path in drafts + strays)


def _remove_unread(path: Path) -> bool:
    """Remove a marker, unless somebody holds it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


def _removed(path: Path) -> bool:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


@contextmanager
def writing(lake: str | os.PathLike[str], *, waiting: Callable[[], None] = lambda: None) -> Iterator[Writer]:
    """Hold the right to change a lake, made where there is none; `waiting` is called where another process has it.

    Raises RunError where the lake can't be written.
    """
    lake = Path(lake)
    try:
        for folder in (lake, lake / COMMITS, lake / WRITING):
            folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(lake / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise RunError(f"cannot write to {lake}: {error.strerror}", hint="check the folder and the disk") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield Writer(lake)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise RunError(
            f"cannot write to {lake}: {error.strerror or error}",
            hint="nothing of the batch is visible; check the disk, then try again",
        ) from None
    finally:
        os.close(handle)
