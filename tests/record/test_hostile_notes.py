"""A command can write anything into the folder of notes: what comes of it is bounded, named and harmless."""

from __future__ import annotations

import hashlib
import json
import os
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from peak_trade.observer.spool import HEAD, MAGIC
from peak_trade.record import observed
from peak_trade.record.observed import KINDS, Observed
from peak_trade.redact import Redactor

FIELDS = (
    "path to access state copy folder top module host port local what count how program words python blind part reason "
    "pid ppid argv executable implementation"
).split()
VALUES: list[Any] = [5, -1, None, [], {}, [[1]], "x", "\ud800", float("nan"), 10**30, "a\0b", "x" * 100_000]


def frame(header: Any, payload: bytes = b"") -> bytes:
    head = header if isinstance(header, bytes) else json.dumps({"columns": [], **header}).encode()
    return HEAD.pack(MAGIC, len(head), len(payload), zlib.crc32(payload, zlib.crc32(head))) + head + payload


class Notes:
    """A folder of notes, and the one that the command ran in, which has `data.csv`, read by it."""

    def __init__(self, tmp_path: Path) -> None:
        self.spool, self.folder = tmp_path / "spool", tmp_path / "work"
        self.spool.mkdir()
        self.folder.mkdir()
        data = self.folder / "data.csv"
        data.write_text("1\n")
        told = data.stat()
        state = [told.st_size, told.st_mtime_ns, told.st_ino, told.st_dev]
        self.put("1-1", frame({"kind": "file", "path": str(data), "access": "read", "state": state}))

    def put(self, name: str, *frames: bytes) -> None:
        (self.spool / f"{name}.frames").write_bytes(b"".join(frames))

    def source(self, name: str, copy: str | None = None) -> bytes:
        return frame({"kind": "source", "path": str(self.folder / name), "state": [1, 1, 1, 1], "copy": copy})

    def seen(self) -> Observed:
        return observed.look(
            self.spool, self.folder, ["python"], redactor=Redactor(environment={}), since_ns=time.time_ns()
        )

    def said(self) -> str:
        """Return what is said of a look that still knows what was read."""
        found = self.seen()
        (data,) = (one for one in found.materials if one["name"] == "data.csv")
        assert data["digest"] == {"sha256": hashlib.sha256(b"1\n").hexdigest()}
        assert len(json.dumps([found.materials, found.written, found.effects, found.environment])) < 1 << 20
        json.dumps([found.receipts, found.effects, found.environment], ensure_ascii=False).encode()
        return "\n".join(" ".join(one) for one in found.receipts)


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    return Notes(tmp_path)


def test_notes_that_are_as_they_should_be_are_told_of_nothing(notes: Notes) -> None:
    assert "observer" not in notes.said().replace("observer saw nothing", "")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_fields_of_another_type_spoil_no_other_note(notes: Notes, kind: str) -> None:
    notes.put("9-9", *(frame({"kind": kind, field: value}) for field in FIELDS for value in VALUES))
    assert "no process of ours wrote" in notes.said()


def test_a_pipe_in_place_of_a_file_is_not_waited_for(notes: Notes) -> None:
    os.mkfifo(notes.spool / "9-9.frames")
    os.mkfifo(notes.spool / "1-1-1.source")
    notes.put("8-8", notes.source("own.py", "1-1-1.source"))
    assert "1 file of notes" in notes.said()


@pytest.mark.parametrize(
    "content",
    [
        frame(b'{"kind": "file", "columns": [], "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        frame(b'{"kind": "file", "columns": [], "a": ' + b"9" * 10_000 + b"}"),
        frame({"kind": "file", "columns": [["x", "no type", 0]]}),
        frame({"kind": "file", "columns": 5}),
        frame(b"[1]"),
        frame(b"\xff"),
    ],
    ids=["deep", "long number", "type", "columns", "list", "bytes"],
)
def test_a_frame_that_says_nothing_ends_its_file_alone(notes: Notes, content: bytes) -> None:
    notes.put("9-9", content)
    notes.put("9-²", frame({"kind": "below", "module": "polars"}))
    assert "1 file of notes" in notes.said()


def test_a_frame_of_more_than_memory_holds_is_not_read(notes: Notes) -> None:
    with (notes.spool / "9-9.frames").open("wb") as file:
        file.write(HEAD.pack(MAGIC, 20, 200 << 30, 0))
        file.truncate(201 << 30)
    assert "1 file of notes" in notes.said()


def test_thousands_of_warnings_are_counted(notes: Notes) -> None:
    notes.put("9-9", *(frame({"kind": "warning", "part": f"p{n}", "reason": "r" * 5_000}) for n in range(3_000)))
    said = notes.said()
    assert "2,980 more" in said and len(said) < 10_000


def test_a_file_elsewhere_is_no_code_because_a_note_says_so(notes: Notes, tmp_path: Path) -> None:
    (tmp_path / "private").write_text("x = 1\n")
    (notes.folder / "link.py").symlink_to(tmp_path / "private")
    (notes.spool / "1-1-1.source").symlink_to(tmp_path / "private")
    (notes.folder / "own.py").write_text("y = 2\n")
    named = ["../private", "link.py", "own.py"]
    notes.put(
        "9-9", *map(notes.source, named), notes.source("x.py", "1-1-1.source"), notes.source("z", "../../private")
    )
    assert notes.seen().code.files == {"own.py": b"y = 2\n"}


def test_names_that_no_file_system_takes_are_others(notes: Notes) -> None:
    (notes.spool / "1-1-1.source").write_text("x = 1\n")
    half = os.fsdecode(b"\xff" * 200 + b".py")  # three bytes each, written out
    notes.put("9-9", *(notes.source(name, "1-1-1.source") for name in ("a" * 3_000 + ".py", half, "b", "b/c")))
    files = notes.seen().code.files
    assert len(files) == 4 and all(len(part.encode()) < 255 for name in files for part in name.split("/"))
    assert not any(one.startswith(f"{other}/") for one in files for other in files)
