"""Folders of partitions: what a series is called on disk, in the way of Hive.

A name is data: whatever it is, the folder reads back as it, and fits into what a file system takes. Letters, digits and
`_.-~` stand as they are, all else as `%` and two hex digits of each UTF-8 byte. Where the name would mean something
else (Hive's word for NULL, what some disks cut off, another series' folder on a disk that ignores case), every byte
is written so. What is longer than a component may be is its beginning, `~` and a digest; the name itself is in the
marker and in the file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

from peak_trade.data.lake.commit import Part

__all__ = ["NULL", "Folders", "component", "is_null", "reads_back"]

NULL = "__HIVE_DEFAULT_PARTITION__"
LONGEST = 255  # bytes of a component, as file systems have it
_HEAD = 120
_PLAIN = re.compile(r"[A-Za-z0-9_.~ -]")


def component(key: str, value: str, *, bare: bool = True) -> str:
    """Return the folder's name for one partition; not `bare`: every byte is written as hex.

    >>> component("symbol", "BTC/USDT"), component("symbol", "é."), component("symbol", "1M", bare=False)
    ('symbol=BTC%2FUSDT', 'symbol=%C3%A9%2E', 'symbol=%31%4D')
    """
    bare = bare and value.upper() != NULL
    marks = [mark if bare and _PLAIN.match(mark) else _hex(mark) for mark in value]
    if marks and value[-1] in ". ":
        marks[-1] = _hex(value[-1])
    if marks and value[0] == " ":
        marks[0] = _hex(" ")
    name = f"{key}={''.join(marks)}"
    if len(name) <= LONGEST:
        return name
    head = ""
    for mark in marks:
        if len(head) + len(mark) > _HEAD:
            break
        head += mark
    return f"{key}={head}~{hashlib.sha256(value.encode()).hexdigest()[:32]}"


def _hex(mark: str) -> str:
    return "".join(f"%{byte:02X}" for byte in mark.encode())


def reads_back(part: Part, partitions: Iterable[str]) -> bool:
    """Tell whether every engine reads the partitions' values from the folder's name."""
    steps = part.path.split("/")[1:-1]
    wanted = [f"{key}={part.series[key]}" for key in partitions]
    return (steps == wanted or list(map(_decoded, steps)) == wanted) and not is_null(part)


def is_null(part: Part) -> bool:
    """Tell whether an engine takes a partition's value for NULL, by the folder's name."""
    return NULL in part.path and any(step.partition("=")[2] == NULL for step in part.path.split("/"))


def _decoded(text: str) -> str:
    if "%" not in text:
        return text
    content = re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes.fromhex(found[1].decode()), text.encode())
    return content.decode("utf-8", "replace")


class Folders:
    """The folders that a lake has, and those that it gets: no two series share one, on any disk."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}  # by the path, case ignored

    def know(self, parts: Iterable[Part], partitions: Iterable[str]) -> None:
        """Take note of the folders of files that are there."""
        for part in parts:
            name, *steps = part.path.split("/")
            at = name
            for key, step in zip(partitions, steps, strict=False):
                at = f"{at}/{step}"
                self._values.setdefault(at.lower(), part.series[key])

    def of(self, name: str, partitions: Iterable[str], series: Mapping[str, str]) -> str:
        """Return the folder of a series: `ohlcv/symbol=BTC%2FUSDT/timeframe=1h/year=2024`."""
        at = name
        for key in partitions:
            value = series[key]
            step = f"{at}/{component(key, value)}"
            if self._values.get(step.lower(), value) != value:
                step = f"{at}/{component(key, value, bare=False)}"
            self._values[step.lower()] = value
            at = step
        return at
