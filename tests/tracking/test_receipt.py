"""A receipt says what became of tracking, in the run's directory and in its log, and never gets in the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from peak_trade.tracking import receipt
from peak_trade.tracking.receipt import Receipt
from peak_trade.trust import verify


def made(status: Any, **fields: Any) -> Receipt:
    return Receipt(run_id="r", status=status, store="s", experiment="e", **fields)


def test_a_receipt_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = made("logged", mlflow_run_id="m", report="x", parent="p", ms=12.5)
    assert receipt.write(tmp_path, written)
    assert receipt.read(tmp_path) == written


def test_a_shorter_receipt_leaves_nothing_of_a_longer_one(tmp_path: Path) -> None:
    receipt.write(tmp_path, made("failed", reason="x" * 500))
    receipt.write(tmp_path, made("logged"))
    assert json.loads((tmp_path / "tracking.json").read_bytes())["status"] == "logged"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"status": "splendid"}', b"\xff"])
def test_what_is_no_receipt_counts_as_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "tracking.json").write_bytes(content)
    assert receipt.read(tmp_path) is None


def test_the_outcome_is_a_line_of_the_log_like_the_others(tmp_path: Path) -> None:
    receipt.write(tmp_path, made("started"))
    receipt.write(tmp_path, made("failed", reason="no such host"))
    receipt.write(tmp_path, made("logged", mlflow_run_id="m", ms=81.2))
    lines = [json.loads(line) for line in (tmp_path / "run.log").read_text().splitlines()]
    assert [(line["level"], line["run_id"], line["message"]) for line in lines] == [
        ("warning", "r", "tracking failed: no such host"),
        ("info", "r", "logged to s as m in 81 ms"),
    ]


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "tracking.json").mkdir()
    assert not receipt.write(tmp_path, made("logged"))
    assert not receipt.write(tmp_path / "none", made("logged"))


def test_a_run_with_a_receipt_is_as_intact_as_before(runs: Any) -> None:
    receipt.write(runs["plain"], made("failed", reason="x"))
    assert verify.verify(runs["plain"]).findings == []
