"""The one door into a run directory: whatever is read or written in one goes through here.

A run directory may come from a stranger. A name in it may be a link that leads out, one of two names of a file
elsewhere, a pipe that nobody writes to, a device without an end, or a file of terabytes that takes no room. So each
name is opened relative to the descriptor of the folder that holds it, no link is followed on the way from the run
directory on (nor is the directory itself one), what is opened must be a regular file with one name, and the size is
looked at before a byte is taken. Opening never waits.

A run directory is given by its path, or by the descriptor of who has it open: its name may have another holder then.

What is refused is an OSError like any other, whose `strerror` says what there is instead: who can say that a file is
unreadable can say this.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from peak_trade.evidence.files import Written, opened, write, write_all
from peak_trade.evidence.files import flush as flush_all_of

__all__ = [
    "Entry",
    "append",
    "changing",
    "create",
    "digest",
    "entries",
    "entry",
    "exists",
    "flush",
    "flush_all",
    "folder",
    "folders_of",
    "limit_of",
    "lines",
    "overwrite",
    "read",
    "reading",
    "remove",
    "replace",
    "tail",
]

_MB = 1 << 20
_LIMITS = {
    ".csv": 4096 * _MB,
    ".parquet": 4096 * _MB,
    ".bars": 4096 * _MB,
    ".jsonl": 1024 * _MB,
    ".log": 1024 * _MB,
    ".html": 256 * _MB,
}
_LIMIT = 16 * _MB  # of any other kind: what is read whole and decoded
_LINE = 4 * _MB  # bytes of one line; a record of ours is under 100 kB
_TOGETHER = 64  # files that are open at once
_NAMES = 100_000  # in one folder
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Entry(NamedTuple):
    """A name in a run directory: `kind` is one of `_KINDS`, or `a hard link`; `size` in bytes, `modified` in ns."""

    name: str
    kind: str
    size: int
    modified: int

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file of one name: what can be read."""
        return self.kind == "a file"


def limit_of(name: str) -> int:
    """Return how many bytes a file of this name may have.

    >>> limit_of("manifest.json") < limit_of("telemetry/main.traces.jsonl") < limit_of("equity.csv")
    True
    """
    return _LIMITS.get(os.path.splitext(name)[1], _LIMIT)


def entries(run: Path | int, below: str = "", most: int | None = None) -> list[Entry]:
    """Return all names in a run directory, or in the folder `below` in it, sorted.

    Raises OSError, also where there are more than `most`, which is by default what a stranger's folder may have.
    """
    found, most = [], _NAMES if most is None else most
    with folder(run, *(below.split("/") if below else [])) as handle, os.scandir(handle) as names:
        for one in islice(names, most + 1):
            with suppress(FileNotFoundError):  # it went while the others were looked at
                found.append(entry(one.name, handle))
    if len(found) > most:
        raise OSError(errno.EFBIG, f"more than {most:,} names in one folder", below)
    return sorted(found)


def entry(name: str, within: int) -> Entry:
    """Return what a name is, in the folder of this descriptor. Raises OSError."""
    return _entry(name, os.stat(name, dir_fd=within, follow_symlinks=False))


def exists(run: Path | int, name: str) -> bool:
    """Tell whether there is a file of this name that can be read through the door."""
    with suppress(OSError), _parent(run, name) as (handle, last):
        return _entry(last, os.stat(last, dir_fd=handle, follow_symlinks=False)).is_file
    return False


@contextmanager
def reading(run: Path | int, name: str, limit: int | None = None) -> Iterator[BinaryIO]:
    """Open a file of a run directory, `name` in it (with `/` between folders).

    Raises OSError where there is none, what is there is no regular file of one name, or it is larger than `limit` or
    than `limit_of` its name: what a stranger promises can lower that, and never raise it.
    """
    with _file(run, name, os.O_RDONLY) as file:
        size = os.fstat(file).st_size
        most = limit_of(name) if limit is None else min(limit, limit_of(name))
        if size > most:
            raise OSError(errno.EFBIG, f"{size:,} bytes, more than the {most:,} that such a file may have", name)
        with open(file, "rb", closefd=False) as stream:
            yield stream


def read(run: Path | int, name: str, limit: int | None = None) -> bytes:
    """Return the content of a file; raises OSError as `reading` does."""
    with reading(run, name, limit) as stream:
        size = os.fstat(stream.fileno()).st_size
        return stream.read(size)  # what is added while it is read is not part of it


def digest(run: Path | int, name: str, limit: int | None = None) -> str:
    """Return the sha256 of a file, in hex, read piece by piece; raises OSError as `reading` does."""
    sha256 = hashlib.sha256()
    with reading(run, name, limit) as stream:
        left = os.fstat(stream.fileno()).st_size
        while left > 0 and (piece := stream.read(min(_MB, left))):
            left -= len(piece)
            sha256.update(piece)
    return sha256.hexdigest()


def lines(run: Path | int, name: str, limit: int | None = None) -> Iterator[bytes | None]:
    """Yield the lines of a file with their ends; None for one that is longer than any that is written here.

    Raises OSError as `reading` does.
    """
    with reading(run, name, limit) as stream:
        left = os.fstat(stream.fileno()).st_size
        while left > 0 and (line := stream.readline(min(_LINE, left))):
            left -= len(line)
            if line.endswith(b"\n") or left <= 0 or len(line) < _LINE:
                yield line
                continue
            yield None
            while left > 0 and line and not line.endswith(b"\n"):
                line = stream.readline(min(_LINE, left))
                left -= len(line)


def tail(run: Path | int, name: str, most: int) -> bytes:
    """Return the last `most` bytes of a file, or all of it; raises OSError as `reading` does, whatever its size."""
    with _file(run, name, os.O_RDONLY) as file:
        size = os.fstat(file).st_size
        return os.pread(file, most, max(0, size - most))


def create(run: Path | int, name: str, chunks: Iterable[bytes], *, flushed: bool = True) -> Written:
    """Write a file that is new, read-only and flushed, making the folder that it lies in. Raises OSError."""
    with _parent(run, name, make=True) as (handle, last):
        return write(last, chunks, handle, flush=flushed)


def flush(run: Path | int, names: Iterable[str]) -> None:
    """Flush files that are there, and all folders that they lie in, the run directory too. Raises OSError."""
    flush_all([(run, names)])


def flush_all(runs: Iterable[tuple[Path | int, Iterable[str]]]) -> None:
    """Flush files of several run directories, and all folders that they lie in. Raises OSError."""
    with ExitStack() as stack:
        opened: list[int] = []
        for run, names in runs:
            names = list(names)
            for start in range(0, max(len(names), 1), _TOGETHER):
                some = names[start : start + _TOGETHER]
                opened += [stack.enter_context(_file(run, name, os.O_RDONLY)) for name in some]
                opened += [stack.enter_context(folder(run, *below.split("/"))) for below in sorted(folders_of(some))]
                opened.append(stack.enter_context(folder(run)))
                if len(opened) >= _TOGETHER:
                    flush_all_of(opened)
                    opened.clear()
                    stack.close()
        flush_all_of(opened)


def append(run: Path | int, name: str, content: bytes) -> None:
    """Add to a file that may be new, making the folder that it lies in; raises OSError as `reading` does."""
    with _file(run, name, _WRITE | os.O_APPEND, make=True) as file:
        write_all(file, content)


@contextmanager
def changing(run: Path | int, name: str) -> Iterator[int]:
    """Yield a descriptor to read and change a file that may be new; raises OSError as `reading` does."""
    with _file(run, name, os.O_RDWR | os.O_CREAT) as file:
        yield file


def overwrite(run: Path | int, name: str, content: bytes) -> None:
    """Write a small file that may be there, in place; raises OSError as `reading` does.

    The end is cut off after the write: there is no instant at which it is empty.
    """
    with _file(run, name, _WRITE) as file:
        write_all(file, content)
        os.ftruncate(file, len(content))


def replace(run: Path | int, name: str, content: bytes) -> None:
    """Write a file in one step, making the folder that it lies in: a reader sees the old one or the new one.

    What has its name, if it is no folder, makes way; a link is replaced, not followed. Raises OSError.
    """
    with _parent(run, name, make=True) as (handle, last):
        draft = f".{last}.{os.urandom(6).hex()}.tmp"
        try:
            with opened(draft, _WRITE | os.O_EXCL | _FILE, handle) as file:
                write_all(file, content)
                os.fchmod(file, 0o644)
            os.rename(draft, last, src_dir_fd=handle, dst_dir_fd=handle)
        except BaseException:
            with suppress(OSError):
                os.unlink(draft, dir_fd=handle)
            raise


def remove(run: Path | int, name: str) -> None:
    """Remove a file, and each folder that it was the last name in. Raises OSError, also where there is a folder."""
    with _parent(run, name) as (handle, last):
        os.unlink(last, dir_fd=handle)
    *below, _ = name.split("/")
    with suppress(OSError):  # it has other names
        while below:
            with folder(run, *below[:-1]) as handle:
                os.rmdir(below.pop(), dir_fd=handle)


def folders_of(names: Iterable[str]) -> set[str]:
    """Return all folders that files of these names lie in.

    >>> sorted(folders_of(["a", "b/c", "d/e/f"]))
    ['b', 'd', 'd/e']
    """
    found: set[str] = set()
    for name in names:
        while (name := os.path.dirname(name)) and name not in found:
            found.add(name)
    return found


# --- how it is opened ---------------------------------------------------------------------------------------------


@contextmanager
def folder(base: Path | int, *below: str, make: bool = False) -> Iterator[int]:
    """Yield a descriptor of a run directory, or of the folder `below` it, one name after the other.

    Raises OSError where a name is none of a folder, but a link, say; with `make` those that are missing are made.
    """
    if bad := [name for name in below if name in ("", ".", "..")]:
        raise OSError(errno.EINVAL, "no name of a folder in it", bad[0])
    handle = os.dup(base) if isinstance(base, int) else _open_folder(os.fspath(base), None)
    try:
        for name in below:
            inner = _made_folder(name, handle) if make else _open_folder(name, handle)
            os.close(handle)
            handle = inner
        yield handle
    finally:
        os.close(handle)


def _made_folder(name: str, within: int) -> int:
    """Open a folder, which is made where it is not there: most are, as several files lie in one."""
    try:
        return _open_folder(name, within)
    except FileNotFoundError:
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=within)
        return _open_folder(name, within)


def _open_folder(name: str, within: int | None) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=within)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        there = _entry(name, os.stat(name, dir_fd=within, follow_symlinks=False)).kind
        raise NotADirectoryError(errno.ENOTDIR, f"{there} in place of a folder", name) from None


@contextmanager
def _parent(run: Path | int, name: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
    *below, last = name.split("/")
    if last in ("", ".", "..") or "\0" in name:
        raise OSError(errno.EINVAL, "no name of a file in it", name)
    with folder(run, *below, make=make) as handle:
        yield handle, last


@contextmanager
def _file(run: Path | int, name: str, flags: int, *, make: bool = False) -> Iterator[int]:
    """Yield a descriptor of a regular file of one name."""
    with _parent(run, name, make=make) as (handle, last):
        try:
            file = os.open(last, flags | _FILE, 0o644, dir_fd=handle)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENXIO, errno.EISDIR):  # a link, a pipe, a folder
                raise
            there = _entry(last, os.stat(last, dir_fd=handle, follow_symlinks=False))
            raise OSError(errno.EINVAL, f"{there.kind} in place of a file", name) from None
        try:
            there = _entry(last, os.fstat(file))
            if not there.is_file:
                raise OSError(errno.EINVAL, f"{there.kind} in place of a file", name)
            yield file
        finally:
            os.close(file)


def _entry(name: str, about: os.stat_result) -> Entry:
    kind = _KINDS.get(stat.S_IFMT(about.st_mode), "no file")
    if kind == "a file" and about.st_nlink > 1:
        kind = "a hard link"
    return Entry(name, kind, about.st_size, about.st_mtime_ns)
