"""An archive is a stranger's: one that is as we write them is unpacked, and each kind of hostile one is not.

Each hostile archive is made from the honest one by one change, so that the honest one is the control.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peak_trade.errors import InputError, PeakError, RunError
from peak_trade.evidence import archive, door

FILES = {"README.md": b"read me", "runs/a/equity.csv": b"timestamp,equity\n" * 3, "runs/a/code/é.py": b"x = 1\n"}
Add = Callable[[zipfile.ZipFile], None]


def pack(path: Path, files: dict[str, bytes] = FILES) -> Path:
    archive.pack(path, {name: [content] for name, content in files.items()}, {n: len(c) for n, c in files.items()})
    return path


def packed_with(path: Path, add: Add, files: dict[str, bytes] = FILES) -> Path:
    """Return an archive of honest files, and of what `add` adds."""
    with zipfile.ZipFile(path, "w") as packed, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a name that is there twice
        for name, content in files.items():
            packed.writestr(zipfile.ZipInfo(name), content)
        add(packed)
    return path


def unpack(path: Path) -> list[str]:
    into = path.parent / "into"
    into.mkdir()
    try:
        return archive.unpack(path, into)
    finally:
        there = {str(file.relative_to(path.parent)) for file in path.parent.rglob("*")}
        assert {name for name in there if not name.startswith("into")} <= {path.name, "secret"}
        shutil.rmtree(into)


def info(name: str, mode: int = stat.S_IFREG | 0o644, **fields: int) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.create_system, made.external_attr = 3, mode << 16
    for key, value in fields.items():
        setattr(made, key, value)
    return made


def test_the_same_files_are_the_same_bytes(tmp_path: Path) -> None:
    first = pack(tmp_path / "a.zip").read_bytes()
    assert pack(tmp_path / "b.zip", dict(reversed(FILES.items()))).read_bytes() == first
    assert hashlib.sha256(first).hexdigest() == "d1310833f105fc56a990b588dc550784f934f51365721711d735efa7823ee029"


def test_what_was_packed_is_unpacked(tmp_path: Path) -> None:
    into = tmp_path / "into"
    into.mkdir()
    assert archive.unpack(pack(tmp_path / "a.zip"), into) == sorted(FILES)
    assert {name: (into / name).read_bytes() for name in FILES} == FILES


def test_other_programs_read_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(pack(tmp_path / "a.zip")) as packed:
        assert packed.testzip() is None
        assert {one.filename for one in packed.infolist() if one.is_dir()} == {"runs/", "runs/a/", "runs/a/code/"}
        assert {one.compress_type for one in packed.infolist()} == {zipfile.ZIP_STORED}
        assert {one.date_time for one in packed.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_what_others_packed_is_unpacked_too(tmp_path: Path) -> None:
    """Deflated, with folders, as `zip -r` makes them."""

    def add(packed: zipfile.ZipFile) -> None:
        packed.writestr(info("runs/", stat.S_IFDIR | 0o755), b"")
        packed.writestr("runs/b/stats.json", b"{}" * 1000, zipfile.ZIP_DEFLATED)

    assert unpack(packed_with(tmp_path / "a.zip", add)) == sorted([*FILES, "runs/b/stats.json"])


class _Pipe(io.RawIOBase):
    """A stream that can't go back, as `zip - | …` has it."""

    def __init__(self) -> None:
        self.content = b""

    def writable(self) -> bool:
        return True

    def write(self, chunk: Any) -> int:
        self.content += bytes(chunk)
        return len(chunk)


@pytest.mark.parametrize("far", [False, True])
def test_what_was_packed_into_a_pipe_or_as_for_large_files_is_unpacked(tmp_path: Path, far: bool) -> None:
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as packed:  # type: ignore[call-overload]
        for name, content in FILES.items():
            with packed.open(zipfile.ZipInfo(name), "w", force_zip64=far) as stream:
                stream.write(content)
    path = tmp_path / "a.zip"
    path.write_bytes(pipe.content)
    assert unpack(path) == sorted(FILES)


def test_an_archive_with_a_list_as_for_many_names_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    path = pack(tmp_path / "a.zip")
    assert b"PK\6\6" in path.read_bytes()
    assert unpack(path) == sorted(FILES)


def test_two_names_of_the_same_bytes_are_refused(tmp_path: Path) -> None:
    """Files that overlap: how a few kilobytes list petabytes."""
    path = packed_with(tmp_path / "a.zip", lambda packed: packed.writestr(info("runs/a/x"), b"read me"))
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\1\2")
    content[at + 42 : at + 46] = struct.pack("<L", 0)
    path.write_bytes(content)
    with pytest.raises(RunError, match="between its files"):
        unpack(path)


def test_bytes_that_no_name_leads_to_are_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip")
    content = path.read_bytes()
    at = content.index(b"PK\1\2")
    end = bytearray(content[at:])
    end[-6:-2] = struct.pack("<L", at + 4)
    path.write_bytes(content[:at] + b"more" + bytes(end))
    with pytest.raises(RunError, match="between its files"):
        unpack(path)


NAMES = {
    "../secret": "leads elsewhere",
    "runs/../../secret": "leads elsewhere",
    "/tmp/secret": "leads elsewhere",
    "//secret": "leads elsewhere",
    "C:/secret": "leads elsewhere",
    "c:secret": "leads elsewhere",
    "runs/./secret": "leads elsewhere",
    "runs//secret": "leads elsewhere",
    "..": "leads elsewhere",
    "..\\secret": "marks that names have not",
    "runs\\secret": "marks that names have not",
    "runs/a\nb": "marks that names have not",
    "runs/\x1b[2Jb": "marks that names have not",
    "runs/\u202egnp.py": "marks that names have not",
    "runs/" + "a" * 256: "too long",
    "a/" * 41 + "b": "too long",
    "a" * 250 + "/" + "b" * 250 + "/" + "c" * 250 + "/" + "d" * 250 + "/e": "too long",
}


@pytest.mark.parametrize("name", NAMES, ids=[ascii(name)[:30] for name in NAMES])
def test_a_name_that_leads_elsewhere_or_is_odd_is_refused(tmp_path: Path, name: str) -> None:
    made = info("x")
    made.filename = name  # as it is: ZipInfo would mend some
    path = packed_with(tmp_path / "a.zip", lambda packed: packed.writestr(made, b"1"))
    with pytest.raises(RunError, match=NAMES[name]):
        unpack(path)


def test_a_name_with_a_nul_is_refused(tmp_path: Path) -> None:
    path = packed_with(tmp_path / "a.zip", lambda packed: packed.writestr(info("runs/aXb"), b"1"))
    path.write_bytes(path.read_bytes().replace(b"runs/aXb", b"runs/a\0b"))
    with pytest.raises(RunError, match=r"damaged|two ways"):
        unpack(path)


def test_a_name_that_two_places_of_the_archive_spell_otherwise_is_refused(tmp_path: Path) -> None:
    path = packed_with(tmp_path / "a.zip", lambda packed: packed.writestr(info("runs/aXb"), b"1"))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"runs/aXb", b"runs/aYb", 1))  # in front of the file alone
    with pytest.raises(RunError, match="damaged"):
        unpack(path)


@pytest.mark.parametrize(
    ("second", "what"),
    [
        ("README.md", "two files under one name"),
        ("readme.MD", "two files under one name"),  # one file on a disk that tells no case
        ("runs/a/code/e\u0301.py", "two files under one name"),  # and on one that composes marks
        ("README.md/a", "a file and a folder under one name"),
        ("Runs", "a file and a folder under one name"),
        ("README.md/", "no file"),
    ],
)
def test_two_files_of_one_name_are_refused(tmp_path: Path, second: str, what: str) -> None:
    path = packed_with(tmp_path / "a.zip", lambda packed: packed.writestr(info(second), b""))
    with pytest.raises(RunError, match=what):
        unpack(path)


@pytest.mark.parametrize(
    ("mode", "what"),
    [
        (stat.S_IFLNK, "a symbolic link"),
        (stat.S_IFIFO, "a named pipe"),
        (stat.S_IFSOCK, "a socket"),
        (stat.S_IFCHR, "a device"),
        (stat.S_IFBLK, "a device"),
        (stat.S_IFDIR, "a folder under the name of a file"),
        (0o170000, "no file"),
    ],
)
def test_what_is_no_file_is_refused(tmp_path: Path, mode: int, what: str) -> None:
    path = packed_with(
        tmp_path / "a.zip", lambda packed: packed.writestr(info("runs/a/x", mode | 0o777), b"/etc/passwd")
    )
    with pytest.raises(RunError, match=what):
        unpack(path)


def test_no_file_is_written_through_a_link(tmp_path: Path) -> None:
    """Two entries: a link to a folder, and a file below it."""

    def add(packed: zipfile.ZipFile) -> None:
        packed.writestr(info("out", stat.S_IFLNK | 0o777), str(tmp_path).encode())
        packed.writestr(info("out/secret"), b"1")

    with pytest.raises(RunError):
        unpack(packed_with(tmp_path / "a.zip", add))


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = bytes(1 << 20)

    def add(packed: zipfile.ZipFile) -> None:
        for number in range(8):
            packed.writestr(info(f"{number}.csv"), zeros, zipfile.ZIP_DEFLATED)

    path = packed_with(tmp_path / "a.zip", add)
    assert path.stat().st_size < 100_000
    assert len(unpack(path)) == 8 + len(FILES)  # the control: small enough to be taken
    monkeypatch.setattr(archive, "_FREE", 1 << 20)
    monkeypatch.setattr(door, "create", lambda *given: pytest.fail("a file was unpacked"))
    with pytest.raises(RunError, match="more than the"):
        unpack(path)


def test_a_file_that_holds_more_than_it_lists_is_refused(tmp_path: Path) -> None:
    """A bomb that lies about its size: no more than is listed is ever unpacked."""
    path = packed_with(
        tmp_path / "a.zip", lambda packed: packed.writestr(info("0.csv"), bytes(1 << 20), zipfile.ZIP_DEFLATED)
    )
    content = path.read_bytes()
    size = struct.pack("<L", 1 << 20)
    assert content.count(size) == 2
    path.write_bytes(content.replace(size, struct.pack("<L", 10)))
    with pytest.raises(RunError, match=r"damaged|where it lists"):
        unpack(path)


def test_a_file_that_holds_less_than_it_lists_is_refused(tmp_path: Path) -> None:
    path = packed_with(
        tmp_path / "a.zip", lambda packed: packed.writestr(info("0.csv"), bytes(1 << 20), zipfile.ZIP_DEFLATED)
    )
    path.write_bytes(path.read_bytes().replace(struct.pack("<L", 1 << 20), struct.pack("<L", (1 << 20) + 1)))
    with pytest.raises(RunError, match="where it lists"):
        unpack(path)


def test_a_file_larger_than_its_kind_may_be_is_refused(tmp_path: Path) -> None:
    path = packed_with(
        tmp_path / "a.zip", lambda packed: packed.writestr(info("stats.json"), bytes(17 << 20), zipfile.ZIP_DEFLATED)
    )
    with pytest.raises(RunError, match="more than the 16,777,216 of such a file"):
        unpack(path)


def test_more_than_the_disk_has_room_for_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type(shutil.disk_usage("/"))(1 << 40, 1 << 40, archive._ROOM)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(archive.NoRoom, match="has room for 0$"):
        unpack(pack(tmp_path / "a.zip"))


def test_a_list_of_millions_of_names_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end says how many there are: that is looked at, and no more."""
    path = pack(tmp_path / "a.zip")
    content = bytearray(path.read_bytes())
    end = len(content) - 22
    content[end + 8 : end + 12] = struct.pack("<2H", 60_000, 60_000)
    path.write_bytes(content)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *given: pytest.fail("the list was read"))
    with pytest.raises(RunError, match="a list of 60,000 names"):
        unpack(path)


def test_a_long_list_is_not_read_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack(tmp_path / "a.zip")
    content = bytearray(path.read_bytes())
    content[-10:-6] = struct.pack("<L", 1 << 30)
    path.write_bytes(content)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *given: pytest.fail("the list was read"))
    with pytest.raises(RunError, match="a list of"):
        unpack(path)


@pytest.mark.parametrize("flag", [0x1, 0x41])
def test_what_is_encrypted_is_refused(tmp_path: Path, flag: int) -> None:
    path = packed_with(tmp_path / "a.zip", lambda packed: packed.writestr(info("x.csv"), b"1"))
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\1\2")
    content[at + 8 : at + 10] = struct.pack("<H", flag)
    path.write_bytes(content)
    with pytest.raises(RunError, match="encrypted"):
        unpack(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_ways_to_pack_that_runs_have_not_are_refused(tmp_path: Path, method: int) -> None:
    path = packed_with(tmp_path / "a.zip", lambda packed: packed.writestr(info("x.csv"), b"1", method))
    with pytest.raises(RunError, match="packed in a way"):
        unpack(path)


def test_something_before_the_first_file_is_refused(tmp_path: Path) -> None:
    """A picture or a program that is an archive too is read in two ways."""
    path = packed_with(tmp_path / "a.zip", lambda packed: None)
    honest = path.read_bytes()
    path.write_bytes(b"PK\3\4" + bytes(100) + honest)
    with pytest.raises(RunError, match="between its files|damaged"):
        unpack(path)


@pytest.mark.parametrize("tail", [b"\0", b"more", b"PK\5\6" + bytes(18)])
def test_something_after_its_end_is_refused(tmp_path: Path, tail: bytes) -> None:
    path = pack(tmp_path / "a.zip")
    path.write_bytes(path.read_bytes() + tail)
    with pytest.raises(PeakError):
        unpack(path)


def test_a_comment_is_refused(tmp_path: Path) -> None:
    """Another archive could stand in it."""

    def add(packed: zipfile.ZipFile) -> None:
        packed.comment = b"hello"

    with pytest.raises(RunError, match="damaged"):
        unpack(packed_with(tmp_path / "a.zip", add))


def test_every_cut_is_told(tmp_path: Path) -> None:
    whole = pack(tmp_path / "a.zip").read_bytes()
    for length in range(0, len(whole), 7):
        path = tmp_path / "a.zip"
        path.write_bytes(whole[:length])
        with pytest.raises(PeakError):
            unpack(path)


def test_no_flipped_byte_changes_a_file_or_stops_it_with_anything_but_a_sentence(tmp_path: Path) -> None:
    whole = pack(tmp_path / "a.zip").read_bytes()
    told = 0
    for at in range(0, len(whole), 3):
        path, into = tmp_path / "b.zip", tmp_path / "into"
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        into.mkdir()
        try:
            names = archive.unpack(path, into)
        except PeakError:
            told += 1
        else:
            assert {name: (into / name).read_bytes() for name in names} == FILES, at
        finally:
            shutil.rmtree(into)
    assert told > len(whole) / 3 * 0.3


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"text", b"\x1f\x8b\x08" + bytes(20), b"PK\3\4", b"PK\5\6" + bytes(17)]
)
def test_what_is_no_archive_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(PeakError) as told:
        unpack(path)
    assert told.value.hint and "internal" not in told.value.message


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.zip")
    with pytest.raises(InputError, match="no regular file"), archive.reading(tmp_path / "a.zip"):
        pass
    for path in ("/dev/zero", tmp_path, tmp_path / "none"):
        with pytest.raises(InputError), archive.reading(path):
            pass


def test_an_empty_archive_has_no_files(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w"):
        pass
    assert unpack(path) == []
