"""Packed files of bars: gzip, and zip with one file in it."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib

from peak_trade.errors import InputError
from peak_trade.text import escaped

__all__ = ["unpack"]


def unpack(data: bytes, path: str) -> bytes:
    """Return what a gzip or zip file holds; errors: `InputError` where it is not whole, or holds several files."""
    if data[:2] == b"\x1f\x8b":
        try:
            return gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise InputError(f"{path} is not a whole gzip file: {str(error).lower()}", hint="fetch it again") from None
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/") and _is_meant(name)]
            if any(name == "[Content_Types].xml" for name in names):
                raise InputError(f"{path} is a workbook, not a table of bars", hint="save its sheet as CSV")
            if len(names) != 1:
                shown = ", ".join(escaped(name, 60) for name in names[:5]) or "nothing"
                raise InputError(
                    f"{path} holds {len(names)} files: {shown}", hint="unpack it and name its files, as folder/*.csv"
                )
            inner = archive.read(names[0])
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"{path} is not a whole zip file: {escaped(str(error).lower(), 200)}", hint="fetch or unpack it again"
        ) from None
    if not inner:
        raise InputError(f"{path} holds an empty file", hint="name a file that has rows")
    return inner


def _is_meant(name: str) -> bool:
    """Tell whether a member is one that a person put there, and not a system's own note."""
    last = name.rpartition("/")[2]
    return not name.startswith("__MACOSX/") and not last.startswith(".")
