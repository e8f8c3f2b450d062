"""Zip archives of runs: written with the same bytes for the same files everywhere, and read as a stranger's.

What is written is stored, not compressed: what compressors make of the same bytes changes with their version.

An archive that somebody hands over may name files outside, links, the same file twice, a name that two systems read in
two ways; it may list millions of names or unpack to terabytes. So its end is read before its list, the list before any
file, and what is not a plain file with a plain name of its own is refused, whole archive and all: a copy of half of it
is none. What is unpacked is bounded by what was declared, that by the size of the archive and the room on the disk.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from peak_trade.errors import InputError, RunError
from peak_trade.evidence import door, files
from peak_trade.text import escaped, printable

__all__ = ["NoRoom", "fault", "pack", "reading", "unpack"]

_CHUNK = 1 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first that zip knows: no clock is in an archive
_HERE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.EIO}
_NAMES = 50_000  # files and folders
_LIST = 32 << 20  # bytes of the list of them
_NAME, _PART, _DEEPEST = 1_000, 255, 40  # bytes of a name, bytes of a part of it, parts
_FREE, _RATIO = 256 << 20, 50  # bytes that any archive may unpack to, and how many for each of its own beyond them
_ROOM = 256 << 20  # bytes of the disk that are left alone
_END, _FAR, _END64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sLQL"), struct.Struct("<4sQ2H2L4Q")
_KINDS = {
    stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device", stat.S_IFDIR: "a folder under the name of a file",
}  # fmt: skip
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OverflowError, RuntimeError, ValueError,
)  # fmt: skip
_ENCRYPTED, _SIZES_BEHIND, _UTF8, _DOS_FOLDER = 0x1, 0x8, 0x800, 0x10
_STARTS = (b"PK\3\4", b"PK\5\6")
_HEADER = struct.Struct("<26x2H")  # of a file: the lengths of its name and of what else stands there
_BEHIND = (0, 12, 16, 20, 24)  # bytes behind a file whose sizes were not known in front of it


def pack(path: Path, contents: Mapping[str, Iterable[bytes | memoryview]], sizes: Mapping[str, int]) -> files.Written:
    """Write an archive of files by their names, in order of name, and return its sha256 and size.

    `sizes` has the bytes of each. It takes its name when it is whole. Raises OSError.
    """
    with files.drafted(path) as draft:
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED) as packed:
            for name in sorted(contents.keys() | {f"{folder}/" for folder in door.folders_of(contents)}):
                about = zipfile.ZipInfo(name, _EPOCH)
                about.create_system = 3
                if about.is_dir():
                    about.external_attr = (stat.S_IFDIR | 0o755) << 16 | _DOS_FOLDER
                    packed.writestr(about, b"")
                    continue
                about.external_attr, about.file_size = (stat.S_IFREG | 0o644) << 16, sizes[name]
                with packed.open(about, "w") as stream:
                    for chunk in contents[name]:
                        stream.write(chunk)
        with files.opened(draft, os.O_RDONLY) as handle:
            os.fsync(handle)
        return files.Written(files.digest(draft), draft.stat().st_size)


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file that a person names as an archive; InputError where it is no zip archive, or no regular file."""
    name = os.fspath(path)
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(f"{escaped(name)}: {error.strerror}", hint="name a run, its directory or an archive") from None
    if not (regular := stat.S_ISREG(os.fstat(handle).st_mode)) or os.pread(handle, 4, 0) not in _STARTS:
        os.close(handle)
        what = "no zip archive" if regular else "no regular file"
        raise InputError(f"{escaped(name)} is {what}", hint="just export makes one; or name a run's directory")
    with open(handle, "rb") as stream:
        yield stream


def unpack(path: str | os.PathLike[str], into: Path) -> list[str]:
    """Unpack an archive into an empty folder, and return the names of its files in order.

    Raises InputError where it is none, RunError where it is damaged, or holds what no archive of runs does.
    """
    shown = escaped(Path(path).name, 100)
    with reading(path) as stream:
        try:
            names, at = _end(stream)
            with zipfile.ZipFile(stream) as packed:
                if len(packed.infolist()) != names:
                    raise zipfile.BadZipFile("its list is not as long as it says")
                _check_whole(packed.infolist(), stream, at)
                members = _members(packed, os.fstat(stream.fileno()).st_size, into)
                for member in members:
                    written = door.create(into, member.filename, _chunks(packed, member), flushed=False)
                    if written.size != member.file_size:
                        raise _Refused(f"{written.size:,} bytes where it lists {member.file_size:,}", member.filename)
        except _Refused as error:
            where = f" as {escaped(error.name, 100)!r}" if error.name else ""
            raise RunError(
                f"the archive {shown} has {error}{where}", hint="it is not as it was made: ask for another copy"
            ) from None
        except _DAMAGED as error:
            raise RunError(
                f"the archive {shown} is damaged: {escaped(str(error), 200)}", hint="ask for another copy"
            ) from None
        except OSError as error:
            raise (NoRoom if error.errno in _HERE else RunError)(
                f"the archive {shown} can't be unpacked: {error.strerror or escaped(str(error), 200)}",
                hint="check the disk, and $TMPDIR",
            ) from None
    return sorted(member.filename for member in members)


class NoRoom(RunError):
    """An archive that can't be unpacked here, which says nothing of the archive."""


class _Refused(Exception):
    """An archive holds what is not taken: the message says what, `name` under which name."""

    def __init__(self, what: str, name: str = "") -> None:
        super().__init__(what)
        self.name = name


def _end(stream: BinaryIO) -> tuple[int, int]:
    """Return how many names the list has and where it starts; refused where it has too many, before it is read."""
    size = stream.seek(0, os.SEEK_END)
    end = _record(stream, _END, size - _END.size)
    if end is None or end[0] != b"PK\5\6" or end[-1] != 0:
        raise zipfile.BadZipFile("it does not end as an archive does")
    names, length, at, behind = end[4], end[5], end[6], size - _END.size
    far = _record(stream, _FAR, size - _END.size - _FAR.size)
    if far and far[0] == b"PK\6\7":
        end64 = _record(stream, _END64, size - _END.size - _FAR.size - _END64.size)
        if end64 is None or end64[0] != b"PK\6\6":
            raise zipfile.BadZipFile("it does not end as an archive does")
        names, length, at = end64[7], end64[8], end64[9]
        behind -= _FAR.size + _END64.size
    if names > _NAMES or length > _LIST:
        raise _Refused(f"a list of {names:,} names in {length:,} bytes: more than {_NAMES:,} or {_LIST:,}")
    if at + length != behind:
        raise zipfile.BadZipFile("its list does not stand at its end")
    return names, at


def _check_whole(members: list[zipfile.ZipInfo], stream: BinaryIO, end: int) -> None:
    """Check that an archive is its files, one after the other, and nothing else: all who read it read the same."""
    at = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        gap = member.header_offset - at
        if gap:
            raise _Refused("something between its files", member.orig_filename)
        stream.seek(at)
        header = stream.read(_HEADER.size)
        if len(header) < _HEADER.size:
            raise zipfile.BadZipFile("a file of it is cut off")
        at += _HEADER.size + sum(_HEADER.unpack(header)) + member.compress_size
        if member.flag_bits & _SIZES_BEHIND:
            at += next((size for size in _BEHIND if _starts(stream, at + size, end)), 0)
    if at != end:
        raise _Refused("something between its files and its list")


def _starts(stream: BinaryIO, at: int, end: int) -> bool:
    """Tell whether a file, or the list, starts here."""
    stream.seek(at)
    return at == end or stream.read(4) == _STARTS[0]


def _record(stream: BinaryIO, kind: struct.Struct, at: int) -> tuple[Any, ...] | None:
    if at < 0:
        return None
    stream.seek(at)
    return kind.unpack(stream.read(kind.size))


def _members(packed: zipfile.ZipFile, size: int, into: Path) -> list[zipfile.ZipInfo]:
    """Return the files of an archive, all of which are looked at before one is read."""
    members, seen = [], dict[str, str]()
    if len(packed.infolist()) > _NAMES:
        raise _Refused(f"more than {_NAMES:,} names")
    for member in packed.infolist():
        _check_member(member)
        key = unicodedata.normalize("NFKC", member.filename.rstrip("/")).casefold()  # one file, on some systems
        if key in seen:
            raise _Refused("two files under one name", member.filename)
        seen[key] = member.filename
        if not member.is_dir():
            members.append(member)
    plain = {key for key, name in seen.items() if not name.endswith("/")}
    if clash := plain & door.folders_of(seen):
        raise _Refused("a file and a folder under one name", seen[min(clash)])
    total = sum(member.file_size for member in members)
    if total > (most := _FREE + _RATIO * size):
        raise _Refused(f"{total:,} bytes in {size:,}: more than the {most:,} that are unpacked")
    if total > (room := shutil.disk_usage(into).free - _ROOM):
        raise OSError(errno.ENOSPC, f"{total:,} bytes, and {into} has room for {max(room, 0):,}")
    return members


def _check_member(member: zipfile.ZipInfo) -> None:
    """Refuse what is no plain file or folder, whose name could lead elsewhere, or be read in two ways."""
    name, kind = member.filename, stat.S_IFMT(member.external_attr >> 16)
    if (wrong := fault(name.removesuffix("/"))) or name != member.orig_filename:
        raise _Refused(wrong or "a name that can be read in two ways", member.orig_filename)
    if not name.isascii() and not member.flag_bits & _UTF8:
        raise _Refused("a name in no known encoding", name)
    if kind not in (0, stat.S_IFDIR if member.is_dir() else stat.S_IFREG):
        raise _Refused(_KINDS.get(kind, "no file"), name)
    if member.is_dir() and member.file_size:
        raise _Refused("a folder that holds bytes", name)
    if member.flag_bits & _ENCRYPTED or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _Refused("a file that is encrypted or packed in a way that runs are not", name)
    if member.file_size > door.limit_of(name):
        raise _Refused(f"{member.file_size:,} bytes, more than the {door.limit_of(name):,} of such a file", name)


def fault(name: str) -> str:
    """Say what is wrong with a name; nothing where it leads to one place on every system."""
    parts = name.split("/")
    if "\\" in printable(name, "\\"):
        return "a name with marks that names have not"
    if name.startswith("/") or ":" in parts[0] or any(part in ("", ".", "..") for part in parts):
        return "a name that leads elsewhere"
    if len(name.encode()) > _NAME or len(parts) > _DEEPEST or any(len(part.encode()) > _PART for part in parts):
        return "a name that is too long"
    return ""


def _chunks(packed: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    with packed.open(member) as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk
