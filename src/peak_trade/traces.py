"""Tracebacks as text, of exceptions and code that may be anybody's.

Python shows a line of each file that a frame names, and reads that file whole: one that is compiled as `/dev/zero` has
no end, one of a pipe waits for ever. Here only regular files of moderate size are read.
"""

from __future__ import annotations

import linecache
import os
import stat
import traceback
from collections.abc import Iterator, Mapping

from peak_trade.places import is_pseudo

__all__ = ["formatted", "type_name"]

_LONGEST = 1 << 20  # bytes of a file: what is longer was not written by hand
_MOST = 200_000  # characters of a traceback


def formatted(error: BaseException, ran: Mapping[str, bytes] | None = None) -> str:
    """Return the traceback of an exception, whatever it makes of being asked; in the middle of a long one, a mark.

    `ran` is what files held when they were run: they may be others, or gone, by now.
    """
    try:
        text = "".join(_lines(error, ran or {}))
    except BaseException as second:  # noqa: BLE001 - what an exception of a person's own says may be anything
        return f"{type_name(error)}, whose traceback raised {type_name(second)}\n"
    return text if len(text) <= _MOST else f"{text[: _MOST // 2]}\n…\n{text[-_MOST // 2 :]}"


def type_name(error: BaseException) -> str:
    """Return the name of an exception's type, which a metaclass of a person's may not want to tell."""
    return str(type.__dict__["__name__"].__get__(type(error)))


def _lines(error: BaseException, ran: Mapping[str, bytes]) -> Iterator[str]:
    told = traceback.TracebackException(type(error), error, error.__traceback__, lookup_lines=False, compact=True)
    files = {frame.filename for each in _each(told) for frame in each.stack}
    instead = {file: _text(ran[file]) if file in ran else [] for file in files if file in ran or not _is_plain(file)}
    before = {file: linecache.cache.get(file) for file in instead}
    linecache.cache.update({file: (0, None, lines, file) for file, lines in instead.items()})
    try:
        yield from told.format()
    finally:
        for file, entry in before.items():
            linecache.cache.pop(file, None)
            if entry is not None:
                linecache.cache[file] = entry


def _each(told: traceback.TracebackException) -> Iterator[traceback.TracebackException]:
    """Yield an exception and all that it came of or holds."""
    left, seen = [told], set[int]()
    while left:
        one = left.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            left += [other for other in (one.__cause__, one.__context__, *(one.exceptions or ())) if other is not None]


def _text(content: bytes) -> list[str]:
    return content.decode("utf-8", "replace").splitlines(keepends=True)


def _is_plain(file: str) -> bool:
    """Tell whether a file can be read whole; what is none (`<string>`) is told by Python, which may know its text."""
    if file.startswith("<") and file.endswith(">"):
        return True
    try:
        about = os.stat(file)
    except (OSError, ValueError):  # Python would look for a file of this name along the path that it imports by
        return False
    return stat.S_ISREG(about.st_mode) and about.st_size <= _LONGEST and not is_pseudo(os.path.realpath(file))
