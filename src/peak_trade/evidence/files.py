"""Bytes on disk: written whole, flushed, hashed on the way. Every write of a run goes through here."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

__all__ = ["Written", "digest", "encode_json", "size", "sync_folder", "write"]

_READ_ONLY = 0o444


class Written(NamedTuple):
    """What a write left: the sha256 of the content, in hex, and its size in bytes."""

    sha256: str
    size: int


def write(path: Path, chunks: Iterable[bytes]) -> Written:
    """Create `path` (which must not exist) read-only from `chunks`, flushed to the disk."""
    sha256, size = hashlib.sha256(), 0
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _READ_ONLY)
    try:
        for chunk in chunks:
            sha256.update(chunk)
            size += len(chunk)
            write_all(handle, chunk)
        os.fsync(handle)
    finally:
        os.close(handle)
    return Written(sha256.hexdigest(), size)


def write_all(handle: int, content: bytes) -> None:
    """Write all of `content`; a single call may write less, as it does on a full disk."""
    view = memoryview(content)
    while view:
        view = view[os.write(handle, view) :]


def sync_folder(path: Path) -> None:
    """Flush a folder, so that the names in it survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def digest(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def size(number: float) -> str:
    """Return a number of bytes for people.

    >>> size(999), size(1_234_567)
    ('999 B', '1 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def encode_json(value: Any) -> bytes:
    """Encode as indented JSON with a final newline: the same bytes for the same value."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
