"""Which files are live: the commit markers, and how they are read.

    lake/_commits/00000000000000000007.json     names every live file; the newest one is the lake
    lake/_writing/                               files in the making
    lake/_lock                                   held by the one process that writes
    lake/ohlcv/symbol=BTCUSDT/timeframe=1h/year=2024/<digest>.parquet

A marker is written last and whole, so a reader sees all of a batch or none of it. Readers hold a shared lock on the
marker that they read, and its files stay as long as they do. Imports little: this is on the way of every question.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from peak_trade.errors import InputError, RunError

__all__ = ["FORMAT", "Commit", "Live", "Part", "Reader", "files_of", "marker", "newest", "numbers", "read", "reading"]

FORMAT = "peak_trade.lake/1"
COMMITS = "_commits"
_NAME = re.compile(r"[0-9]{20}\.json")
_SAFE = re.compile(r"[A-Za-z0-9 _.=%+,@~-]+")


class Part(Struct, frozen=True):
    """A file: its path in the lake, what it must be, and the columns that are constant in it.

    `first` and `last` are the least and the greatest value of the table's first sort column, as text.
    """

    path: str
    sha256: str
    bytes: int
    rows: int
    first: str
    last: str
    series: dict[str, str] = {}


class Live(Struct, frozen=True):
    """A table's live files: `columns` maps each name to DuckDB's type, `partitions` are those in the folders' names."""

    columns: dict[str, str]
    partitions: list[str] = []
    parts: list[Part] = []

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(part.rows for part in self.parts)


class Commit(Struct, frozen=True):
    """The lake at one moment; `bars` are the fingerprints of the runs' bars that have been taken in.

    `lake` is what it is told from other lakes by: hex digits that it keeps, none in one of an older version.
    """

    format: str
    number: int
    time: str
    by: str
    tables: dict[str, Live]
    bars: list[str] = []
    lake: str = ""

    @property
    def paths(self) -> set[str]:
        """The paths of all live files."""
        return {part.path for live in self.tables.values() for part in live.parts}


class _Format(Struct, frozen=True):
    format: str


_EMPTY = Commit(FORMAT, 0, "", "", {})
_COMMIT = msgspec.json.Decoder(Commit)


def numbers(lake: Path) -> list[int]:
    """Return the numbers of all markers, in order."""
    try:
        names = os.listdir(lake / COMMITS)
    except FileNotFoundError:
        return []
    return sorted(int(name[:20]) for name in names if _NAME.fullmatch(name))


def marker(lake: Path, number: int) -> Path:
    """Return the path of a marker."""
    return lake / COMMITS / f"{number:020}.json"


def read(lake: Path, number: int) -> Commit:
    """Read a marker; RunError where it is none, or leads out of the lake; FileNotFoundError where it is gone."""
    content = marker(lake, number).read_bytes()
    try:
        if (found := msgspec.json.decode(content, type=_Format).format) != FORMAT:
            raise RunError(
                f"the lake has the format {found!r}, this program knows {FORMAT!r}",
                hint="read it with the version of peak_trade that wrote it",
            )
        commit = _COMMIT.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RunError(f"{COMMITS}/{number:020}.json is not a commit marker: {error}") from None
    for path in commit.paths:
        if path.startswith("/") or not all(_SAFE.fullmatch(part) and part != ".." for part in path.split("/")):
            raise RunError(f"{COMMITS}/{number:020}.json names {path!r}, which is not a file of the lake")
    return commit


def newest(lake: Path) -> Commit:
    """Return the newest commit; number 0 and no tables where there is none."""
    while there := numbers(lake):
        with suppress(FileNotFoundError):  # removed since it was listed: there is a newer one
            return read(lake, there[-1])
    return _EMPTY


class Reader(Struct):
    """A commit, and the lock that keeps its files."""

    lake: Path
    commit: Commit
    handle: int

    def close(self) -> None:
        """Let its files go."""
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1


def reading(lake: str | os.PathLike[str]) -> Reader:
    """Take hold of the newest commit: none of its files is removed until the reader is closed.

    Raises InputError where there is no lake, or nothing in it.
    """
    lake = Path(lake)
    while there := numbers(lake):
        try:
            handle = os.open(marker(lake, there[-1]), os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            with suppress(OSError):  # a file system without locks: the grace must do
                _shared(handle)
            if os.fstat(handle).st_nlink:
                return Reader(lake, read(lake, there[-1]), handle)
        except (BlockingIOError, FileNotFoundError):
            pass  # it is being removed: there is a newer one
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
    if not lake.is_dir():
        raise InputError(f"there is no lake in {lake.absolute()}", hint="just lake-build makes one from results/")
    raise InputError(f"the lake in {lake} is empty", hint="just lake-build fills it from results/")


def _shared(handle: int) -> None:
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            if not os.fstat(handle).st_nlink:
                return None
            time.sleep(0.001)  # a writer is looking whether the marker can go


def files_of(lake: Path) -> Iterator[str]:
    """Yield the path, in the lake, of every Parquet file that is there."""
    for folder, names, found in os.walk(lake):
        if Path(folder) == lake:
            names[:] = [name for name in names if not name.startswith("_")]
        for name in found:
            if name.endswith(".parquet"):
                yield os.path.relpath(os.path.join(folder, name), lake)
