"""Bytes on disk: a file that takes the place of another once it is whole."""

from __future__ import annotations

import errno
import os
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
