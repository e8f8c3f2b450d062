"""The door into a run directory: what lies there is read and written, what it only names is not."""

from __future__ import annotations

import hashlib
import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from peak_trade.evidence import door


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    (folder / "report").mkdir(parents=True)
    (folder / "stats.json").write_bytes(b"{}")
    (folder / "report" / "page.html").write_bytes(b"<p>")
    (tmp_path / "secret").write_bytes(b"key")
    (tmp_path / "outside").mkdir()
    return folder


def _link(at: Path) -> None:
    at.symlink_to(at.parents[1] / "secret")


def _hard(at: Path) -> None:
    os.link(at.parents[1] / "secret", at)


def _socket(at: Path) -> None:
    here = os.getcwd()
    os.chdir(at.parent)  # the name of a socket may have a hundred bytes
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(at.name)
    os.chdir(here)


PLANTED = {
    "a symbolic link": _link,
    "a hard link": _hard,
    "a named pipe": os.mkfifo,
    "a socket": _socket,
    "a folder": os.mkdir,
}


def test_what_lies_there_is_read_and_written(run: Path) -> None:
    assert door.read(run, "stats.json") == b"{}"
    assert door.read(run, "report/page.html") == b"<p>"
    door.append(run, "run.log", b"one\n")
    door.append(run, "run.log", b"two\n")
    door.overwrite(run, "tracking.json", b"longer")
    door.overwrite(run, "tracking.json", b"new")
    door.replace(run, "plots/a.svg", b"<svg>")
    door.replace(run, "report/page.html", b"<h1>")
    assert (run / "run.log").read_bytes() == b"one\ntwo\n"
    assert (run / "tracking.json").read_bytes() == b"new"
    assert door.read(run, "plots/a.svg") == b"<svg>"
    assert [entry.name for entry in door.entries(run, "report")] == ["page.html"], "no draft is left"
    assert door.read(run, "report/page.html") == b"<h1>"
    assert door.exists(run, "report/page.html")
    assert not door.exists(run, "report/none.html")


@pytest.mark.parametrize("kind", PLANTED)
def test_what_is_no_file_of_its_own_is_refused_and_named(run: Path, kind: str) -> None:
    PLANTED[kind](run / "run.log")
    for use in (
        lambda: door.read(run, "run.log"),
        lambda: list(door.lines(run, "run.log")),
        lambda: door.tail(run, "run.log", 10),
        lambda: door.append(run, "run.log", b"x"),
        lambda: door.overwrite(run, "run.log", b"x"),
        lambda: door.digest(run, "run.log"),
        lambda: door.changing(run, "run.log").__enter__(),
    ):
        with pytest.raises(OSError, match=f"{kind} in place of a file"):
            use()
    assert (run.parent / "secret").read_bytes() == b"key"
    assert not door.exists(run, "run.log")
    assert {entry.name: entry.kind for entry in door.entries(run)}["run.log"] == kind


def test_a_digest_is_that_of_all_that_is_read(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_MB", 1)
    (run / "equity.csv").write_bytes(b"a few bytes")
    assert door.digest(run, "equity.csv") == hashlib.sha256(b"a few bytes").hexdigest()
    with pytest.raises(OSError, match="more than the 10 that"):
        door.digest(run, "equity.csv", limit=10)


def test_a_file_is_changed_in_place_and_may_be_new(run: Path) -> None:
    for expected in (b"", b"first"):
        with door.changing(run, "ledger.jsonl") as file:
            assert os.read(file, 100) == expected
            os.write(file, b"first" if not expected else b"")


def test_names_are_not_counted_without_an_end(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_NAMES", 2)
    assert len(door.entries(run)) == 2
    (run / "third").touch()
    with pytest.raises(OSError, match="more than 2 names in one folder"):
        door.entries(run)


def test_a_device_is_refused(run: Path) -> None:
    with pytest.raises(OSError, match="a device in place of a file"):
        door.read(Path("/dev"), "zero")


@pytest.mark.parametrize("kind", ["a symbolic link", "a hard link", "a named pipe", "a socket"])
def test_a_file_is_replaced_and_what_had_its_name_is_left_alone(run: Path, kind: str) -> None:
    PLANTED[kind](run / "index.html")
    door.replace(run, "index.html", b"page")
    assert door.read(run, "index.html") == b"page"
    assert (run.parent / "secret").read_bytes() == b"key"


def test_no_link_is_followed_on_the_way(run: Path) -> None:
    (run / "telemetry").symlink_to(run.parent / "outside")
    (run.parent / "outside" / "a.jsonl").write_bytes(b"{}\n")
    assert (run / "telemetry" / "a.jsonl").read_bytes() == b"{}\n", "the control: a path leads there"
    for use in (
        lambda: door.read(run, "telemetry/a.jsonl"),
        lambda: door.replace(run, "telemetry/b", b""),
        lambda: door.append(run, "telemetry/a.jsonl", b"x"),
        lambda: door.entries(run, "telemetry"),
    ):
        with pytest.raises(NotADirectoryError, match="a symbolic link in place of a folder"):
            use()
    assert sorted(os.listdir(run.parent / "outside")) == ["a.jsonl"]
    (run.parent / "again").symlink_to(run)
    with pytest.raises(NotADirectoryError, match="a symbolic link in place of a folder"):
        door.read(run.parent / "again", "stats.json")


@pytest.mark.parametrize(
    "name", ["../secret", "report/../../secret", "", ".", "..", "report/", "/etc/passwd", "a//b", "a\0b"]
)
def test_a_name_leads_nowhere_else(run: Path, name: str) -> None:
    with pytest.raises(OSError, match="no name of a f"):
        door.read(run, name)
    with pytest.raises(OSError, match="no name of a f"):
        door.replace(run, name, b"")


def test_a_folder_that_is_written_to_is_made_but_no_run_directory(run: Path) -> None:
    door.append(run, "telemetry/a.jsonl", b"one\n")
    door.append(run, "telemetry/a.jsonl", b"two\n")
    assert door.read(run, "telemetry/a.jsonl") == b"one\ntwo\n"
    for write in (door.append, door.replace):
        with pytest.raises(FileNotFoundError):
            write(run.parent / "removed", "telemetry/a.jsonl", b"one\n")


def test_a_run_directory_is_opened_itself_if_it_is_one(run: Path) -> None:
    with door.folder(run) as handle:
        assert os.path.samestat(os.fstat(handle), run.stat())
    for kind, plant in PLANTED.items():
        if kind in ("a folder", "a hard link"):
            continue
        plant(run / kind)
        with pytest.raises(NotADirectoryError, match=f"{kind} in place of a folder"), door.folder(run / kind):
            pass


def test_a_file_is_too_large_before_a_byte_is_taken(run: Path) -> None:
    with open(run / "equity.csv", "wb") as file:
        file.truncate(1 << 40)  # of no room at all
    with pytest.raises(OSError, match="1,099,511,627,776 bytes, more than the 4,294,967,296 that such a file may have"):
        door.read(run, "equity.csv")
    with pytest.raises(OSError, match="2 bytes, more than the 1 that"):
        door.read(run, "stats.json", limit=1)
    with pytest.raises(OSError, match="more than the 4,294,967,296 that"):
        door.read(run, "equity.csv", limit=1 << 50)  # as a stranger's manifest may promise
    assert door.read(run, "stats.json", limit=2) == b"{}"
    assert door.tail(run, "equity.csv", 3) == b"\0\0\0"


def test_a_line_without_an_end_is_told_and_passed_over(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_LINE", 8)
    (run / "a.jsonl").write_bytes(b"one\n" + b"x" * 100 + b"\n" + b"1234567\n" + b"12345678\n" + b"end")
    assert list(door.lines(run, "a.jsonl")) == [b"one\n", None, b"1234567\n", None, b"end"]
    (run / "a.jsonl").write_bytes(b"x" * 100)
    assert list(door.lines(run, "a.jsonl")) == [None]


def test_no_descriptor_is_left_open(run: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    (run / "run.log").symlink_to("nowhere")
    for name in ("stats.json", "run.log", "none", "none/none", "report/page.html", "stats.json/x"):
        for use in (door.read, door.tail, door.append):
            with suppress(OSError):
                use(run, name, *([10] if use is door.tail else [b""] if use is door.append else []))
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert after == before
