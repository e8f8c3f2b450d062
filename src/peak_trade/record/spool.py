"""Read what the processes of a recorded command have noted (`peak_trade.observer.spool` says how it lies there).

The files come out of somebody else's processes: what is torn or no frame ends the reading of its file, and is told.
"""

from __future__ import annotations

import json
import os
import stat
import zlib
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from peak_trade.observer.spool import HEAD, MAGIC

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Frame", "files_in", "frames", "has_kind"]

_HEADER, _PAYLOAD = 1 << 24, 1 << 31  # bytes of a header, and of all columns of a frame: what has more is none
_TYPES = {"f8": "<f8", "i8": "<i8"}


class Frame(Struct, frozen=True):
    """One thing noted: its kind, what belongs to it, and its columns (arrays, or lists of text)."""

    kind: str
    header: dict[str, Any]
    columns: dict[str, npt.NDArray[Any] | list[str | None]]


def files_in(spool: Path) -> tuple[list[Path], list[str]]:
    """Return the files of frames, and the names of what is called so and is no plain file: a pipe would wait for ever.

    Raises OSError where the folder can't be listed.
    """
    found: list[Path] = []
    strange: list[str] = []
    for name in sorted(name for name in os.listdir(spool) if name.endswith(".frames")):
        plain = False
        with suppress(OSError):
            plain = stat.S_ISREG((spool / name).lstat().st_mode)
        if plain:
            found.append(spool / name)
        else:
            strange.append(name)
    return found, strange


def frames(path: Path, kinds: Collection[str] | None = None) -> Iterator[Frame]:
    """Yield the frames of one process's file, of all `kinds` or of some.

    EOFError after the last whole one where the rest of the file is none, or where it is no plain file.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)  # a pipe would wait for somebody
    with open(handle, "rb") as file:
        told = os.fstat(handle)
        if not stat.S_ISREG(told.st_mode):
            raise EOFError(f"{path.name} is no file that a process has noted anything in")
        size = told.st_size
        while head := file.read(HEAD.size):
            if len(head) < HEAD.size:
                raise EOFError(f"{path.name} ends within a frame")
            magic, header_size, payload_size, crc = HEAD.unpack(head)
            if magic != MAGIC or header_size > _HEADER or payload_size > _PAYLOAD or header_size + payload_size > size:
                raise EOFError(f"{path.name} has what is no frame")
            header, payload = file.read(header_size), file.read(payload_size)
            if zlib.crc32(payload, zlib.crc32(header)) != crc:
                raise EOFError(f"{path.name} ends within a frame")
            try:
                told = json.loads(header)  # not msgspec's decoder: engines' figures may be NaN
                frame = _decode(told, payload) if kinds is None or told["kind"] in kinds else None
            except (ValueError, TypeError, LookupError, AttributeError, RecursionError, msgspec.MsgspecError) as error:
                raise EOFError(f"{path.name} has a frame that says nothing: {type(error).__name__}") from None
            if frame is not None:
                yield frame


def _decode(told: dict[str, Any], payload: bytes) -> Frame:
    columns: dict[str, npt.NDArray[Any] | list[str | None]] = {}
    start = 0
    for name, form, length in told.pop("columns"):
        part = payload[start : start + length]
        start += length
        columns[name] = msgspec.json.decode(part) if form == "text" else _array(part, _TYPES[form])
    return Frame(told.pop("kind"), told, columns)


def _array(part: bytes, form: str) -> npt.NDArray[Any]:
    import numpy as np  # what has no columns, as all but trials, is read without it

    return np.frombuffer(part, form).copy()


def has_kind(path: Path, kind: str) -> bool:
    """Tell whether a process has noted anything of a kind, by the heads alone; also where what is there is no frame."""
    with path.open("rb") as file:
        while head := file.read(HEAD.size):
            if len(head) < HEAD.size or head[:4] != MAGIC:
                return True
            _, header_size, payload_size, _ = HEAD.unpack(head)
            if header_size > _HEADER or f'"kind": "{kind}"'.encode() in file.read(header_size):
                return True
            file.seek(payload_size, 1)
    return False
