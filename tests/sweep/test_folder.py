"""A sweep on disk: what has its name is whole, and what is not of it is neither followed nor waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from peak_trade.errors import RunError
from peak_trade.sweep.folder import Folder
from peak_trade.sweep.rows import Row, Rows

RUN = "5a0c1a9e-0000-4000-8000-000000000000"


def rows(*numbers: int) -> Rows:
    return Rows.of([Row({"n": number}, -1, "", "no", None, None, None, 0.5) for number in numbers])


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path, RUN)
    made.begin(b"order")
    return made


def numbers(found: Rows) -> list[int]:
    return [one["n"] for one in found.overrides]


def test_rows_are_read_in_order_and_each_once_where_chunks_overlap(folder: Folder) -> None:
    folder.keep(0, 4, rows(4, 5))
    folder.keep(0, 0, rows(0, 1, 2))
    folder.keep(0, 1, rows(1, 2, 3))
    folder.keep(1, 0, rows(10))
    assert numbers(folder.rows(0, 6)) == [0, 1, 2, 3, 4, 5]
    assert numbers(folder.all_rows()) == [0, 1, 2, 3, 4, 5, 10]
    assert folder.done(0) == [(0, 6)]
    assert folder.order() == b"order"


def test_what_is_missing_is_said(folder: Folder) -> None:
    folder.keep(0, 0, rows(0, 1))
    with pytest.raises(RunError, match="the rows of the sweep end at 2, not 3"):
        folder.rows(0, 3)
    assert Folder(folder.results, RUN.replace("5", "6")).order() == b""


@pytest.mark.parametrize("content", [b"", b"\x95", rows(0).encode()])
def test_a_file_that_is_not_what_was_written_is_named_with_what_mends_it(folder: Folder, content: bytes) -> None:
    (folder.path / "rows" / "0-00000000-00000002").write_bytes(content)
    with pytest.raises(RunError, match="0-00000000-00000002 of the sweep is damaged") as raised:
        folder.rows(0, 2)
    assert raised.value.hint.startswith("rm ")


def test_names_that_are_none_of_a_chunk_are_passed_over(folder: Folder) -> None:
    folder.keep(0, 0, rows(0))
    for name in ("x", "a-b-c", "0-1-2", ".0-00000000-00000001.draft", "0-00000000-00000001-00000002"):
        (folder.path / "rows" / name).touch()
    assert numbers(folder.all_rows()) == [0]


def test_a_pipe_or_a_link_in_place_of_rows_is_not_waited_for_or_followed(folder: Folder, tmp_path: Path) -> None:
    os.mkfifo(folder.path / "rows" / "0-00000000-00000001")
    with pytest.raises(RunError, match="a named pipe in place of a file"):
        folder.rows(0, 1)
    (tmp_path / "elsewhere").write_bytes(rows(7).encode())
    (folder.path / "rows" / "1-00000000-00000001").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="a symbolic link in place of a file"):
        folder.rows(1, 1)


def test_a_link_in_place_of_the_folder_leads_nothing_elsewhere(folder: Folder, tmp_path: Path) -> None:
    (folder.path / "rows").rmdir()
    (tmp_path / "elsewhere").mkdir()
    (folder.path / "rows").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="in place of a folder"):
        folder.keep(0, 0, rows(0))
    assert not any((tmp_path / "elsewhere").iterdir())
