"""Bytes on disk: a file that takes the place of another once it is whole, and files that are flushed together."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from peak_trade.evidence import files


def write(draft: Path, text: str) -> None:
    """Write as on a disk that is full at the end."""
    draft.write_text(text)
    raise OSError(errno.ENOSPC, "no space left")


def test_a_draft_takes_the_place_of_its_file_once_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "answer.csv"
    path.write_text("old")
    with files.drafted(path) as draft:
        draft.write_text("new")
        assert path.read_text() == "old"
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("answer.csv", "new")]


def test_a_draft_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "answer.csv"
    path.write_text("old")
    with pytest.raises(OSError, match="no space left"), files.drafted(path) as draft:
        write(draft, "half")
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("answer.csv", "old")]


def test_a_draft_is_written_through_no_link_that_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("kept")
    monkeypatch.setattr(os, "urandom", bytes)  # else its name can't be foretold
    (tmp_path / f".peak_trade-{'00' * 8}.tmp").symlink_to(theirs)
    with pytest.raises(FileExistsError), files.drafted(tmp_path / "answer.csv"):
        pass
    assert theirs.read_text() == "kept"


def test_two_drafts_of_a_file_have_names_of_their_own(tmp_path: Path) -> None:
    with files.drafted(tmp_path / "a") as one, files.drafted(tmp_path / "a") as other:
        assert one != other


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The descriptors that have been flushed; one of 99 can't be."""
    done: list[int] = []

    def fsync(handle: int) -> None:
        if handle == 99:
            raise OSError(errno.EIO, "input/output error")
        done.append(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    return done


@pytest.mark.parametrize("count", [0, 1, 2, 4, 40])
def test_each_file_is_flushed_once_and_no_thread_is_left(flushed: list[int], count: int) -> None:
    before = threading.active_count()
    files.flush(range(1000, 1000 + count))
    assert sorted(flushed) == list(range(1000, 1000 + count))
    assert threading.active_count() == before


@pytest.mark.parametrize("place", range(8))
def test_one_that_cannot_be_flushed_is_an_error_whoever_waits_for_it(flushed: list[int], place: int) -> None:
    handles = [*range(1000, 1008)]
    handles[place] = 99
    with pytest.raises(OSError, match="input/output error"):
        files.flush(handles)
    assert 99 not in flushed


def test_an_error_of_another_kind_is_not_lost_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(handle: int) -> None:
        if threading.current_thread() is not threading.main_thread():
            failed.set()
            raise MemoryError
        assert failed.wait(10)

    failed = threading.Event()
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(MemoryError):
        files.flush(range(1000, 1008))


@pytest.mark.parametrize("most", [0, 1])
def test_files_are_flushed_where_a_process_may_have_no_more_threads(
    flushed: list[int], monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def refused(thread: threading.Thread) -> None:
        if len(started) == most:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refused)
    files.flush(range(1000, 1008))
    assert sorted(flushed) == list(range(1000, 1008))
    assert len(started) == most


def test_a_file_that_is_closed_is_no_file_that_was_flushed(tmp_path: Path) -> None:
    with (tmp_path / "a").open("w") as one, (tmp_path / "b").open("w") as other:
        files.flush([one.fileno(), other.fileno()])
        gone = os.dup(other.fileno())
        os.close(gone)
        with pytest.raises(OSError, match="[Bb]ad file descriptor"):
            files.flush([one.fileno(), gone, other.fileno()])
