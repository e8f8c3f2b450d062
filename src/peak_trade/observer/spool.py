"""One file a process, to which a frame is appended whenever something is noted: a process may be killed at any time.

    frame = MAGIC, header's length, payload's length, crc32 of both (little-endian u32, u64, u32), header, payload

The header is JSON: `kind`, what belongs to it, and `columns`, a list of [name, type, bytes] in the payload's order. A
type is `f8` or `i8` (raw, little-endian; a time is in ns since 1970, UTC) or `text` (a JSON list of strings or nulls).
"""

from __future__ import annotations

import json
import os
import struct
import sys
import time
import zlib
from array import array

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["HEAD", "MAGIC", "NO_TIME", "Spool", "here"]

MAGIC = b"\x89PTF"
HEAD = struct.Struct("<4sIQI")
NO_TIME = -(1 << 63)
"""In place of a time that there is none of: the exit of an open trade."""


_HIGH = 700
_JSON = json.JSONEncoder(default=str).encode


class Spool:
    """Notes of this process, in a folder. A forked child begins a file of its own."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._handle = self._pid = -1
        self._file: tuple[int, int] | None = None

    def write(
        self, kind: str, header: dict[str, Any] | None = None, columns: dict[str, tuple[str, Any]] | None = None
    ) -> None:
        """Append a frame. `columns`: name -> (type, values), values a NumPy array or any sequence."""
        parts, told = [], []
        for name, (form, values) in (columns or {}).items():
            part = _encode(form, values)
            parts.append(part)
            told.append([name, form, len(part)])
        self.append(_JSON(dict(header or {}, kind=kind, columns=told)), b"".join(parts))

    def append(self, header: str, payload: bytes = b"") -> None:
        """Append a frame by its header as JSON text."""
        head = header.encode("utf-8", "backslashreplace")
        frame = HEAD.pack(MAGIC, len(head), len(payload), zlib.crc32(payload, zlib.crc32(head))) + head + payload
        handle = self._open()
        written = os.write(handle, frame)
        while written < len(frame):
            written += os.write(handle, memoryview(frame)[written:])

    def _open(self) -> int:
        if self._pid != os.getpid() or self._file != _file(self._handle):
            name = f"{os.getpid()}-{time.time_ns()}.frames"
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
            handle = os.open(os.path.join(self.folder, name), flags, 0o600)
            self._handle, self._pid = _out_of_the_way(handle), os.getpid()
            self._file = _file(self._handle)
        return self._handle


def here() -> str:
    """Return the folder that the process is in; empty where that is gone."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def _file(handle: int) -> tuple[int, int] | None:
    """Return which file a descriptor is of: a command may have closed ours, and have another by its number."""
    try:
        found = os.fstat(handle)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _out_of_the_way(handle: int) -> int:
    """Return the descriptor by a high number: those that a command gets are the ones that it gets without us."""
    try:
        import fcntl

        high = fcntl.fcntl(handle, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    except (ImportError, OSError, ValueError):
        return handle
    os.close(handle)
    return high


def _encode(form: str, values: Any) -> bytes:
    if form == "text":
        return json.dumps([None if value is None else str(value) for value in values]).encode("ascii")
    if hasattr(values, "astype"):  # NumPy's or pandas', whichever the engine has
        values = getattr(values, "to_numpy", lambda: values)()
        return bytes(values.astype("<" + form).tobytes())
    raw: array[Any] = array("d" if form == "f8" else "q", values)
    if sys.byteorder != "little":
        raw.byteswap()
    return raw.tobytes()
