"""Bytes on disk: written whole, flushed, hashed on the way. Every write of a run goes through here."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from peak_trade.errors import RunError

__all__ = ["Written", "digest", "disk_errors", "drafted", "encode_json", "flush", "opened", "sync_folder", "write"]

_READ_ONLY = 0o444
_AT_A_TIME = 4  # flushes that are waited for: more would cost as much in threads as they save


class Written(NamedTuple):
    """What a write left: the sha256 of the content, in hex, and its size in bytes."""

    sha256: str
    size: int


def write(path: str | Path, chunks: Iterable[bytes], within: int | None = None, *, flush: bool = True) -> Written:
    """Create `path` (which must not exist) read-only from `chunks`, flushed to the disk.

    `within` is the descriptor of the folder that it counts from. Who writes many files flushes them together, later:
    see `flush`.
    """
    sha256, size = hashlib.sha256(), 0
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _READ_ONLY, dir_fd=within)
    try:
        for chunk in chunks:
            sha256.update(chunk)
            size += len(chunk)
            write_all(handle, chunk)
        if flush:
            os.fsync(handle)
    finally:
        os.close(handle)
    return Written(sha256.hexdigest(), size)


def write_all(handle: int, content: bytes) -> None:
    """Write all of `content`; a single call may write less, as it does on a full disk."""
    view = memoryview(content)
    while view:
        view = view[os.write(handle, view) :]


def flush(handles: Iterable[int]) -> None:
    """Flush files and folders to the disk together, which takes little longer than flushing the largest of them.

    All are on their way before the first is waited for, and a few are waited for at a time: a disk answers many at once
    as soon as one, where one flush after the other is one commit of the disk's after the other. No thread is left when
    this returns. Raises OSError where one can't be flushed.
    """
    handles = list(handles)
    if hasattr(os, "posix_fadvise"):  # not on macOS; what is not yet written is written, and what is stays
        for handle in handles:
            with suppress(OSError):  # a folder
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    left, failed = deque(handles), list[BaseException]()

    def wait() -> None:
        try:
            while left and not failed:
                with suppress(IndexError):  # another thread has taken the last one
                    os.fsync(left.popleft())
        except BaseException as error:  # noqa: BLE001 - raised below: what a thread raises is lost
            failed.append(error)

    threads: list[threading.Thread] = []
    try:
        with suppress(RuntimeError):  # a process that may have no more threads flushes by itself
            for _ in range(min(_AT_A_TIME, len(handles)) - 1):
                thread = threading.Thread(target=wait, daemon=True)
                thread.start()
                threads.append(thread)
        wait()
    finally:
        for thread in threads:
            thread.join()
    if failed:
        raise failed[0]


def sync_folder(path: Path) -> None:
    """Flush a folder, so that the names in it survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def opened(name: str | Path, flags: int, within: int | None = None) -> Iterator[int]:
    """Open a name, in the folder whose descriptor is `within`, and yield the descriptor."""
    handle = os.open(name, flags, dir_fd=within)
    try:
        yield handle
    finally:
        os.close(handle)


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """Yield a file beside `path`, new and empty, which takes its place once it is written, and is gone if it is not.

    Nobody can foretell its name: in a folder that others write to, nothing waits under it. Raises OSError.
    """
    draft = path.absolute().with_name(f".peak_trade-{os.urandom(8).hex()}.tmp")
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    try:
        yield draft
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def disk_errors(where: str) -> Iterator[None]:
    """Raise RunError in place of an OSError, by the file that it names, else by `where`."""
    try:
        yield
    except OSError as error:
        hint = "check the folder and the disk"
        raise RunError(f"{error.filename or where}: {error.strerror}", hint=hint) from None


def digest(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def encode_json(value: Any) -> bytes:
    """Encode as indented JSON with a final newline: the same bytes for the same value."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
