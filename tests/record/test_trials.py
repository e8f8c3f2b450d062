"""Every call of an engine that a process noted is a trial, and nothing that lies in the spool ends the recorder."""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peak_trade.observer.spool import HEAD, MAGIC, NO_TIME
from peak_trade.record.trials import results

from .conftest import DAY, START

Note = Callable[..., None]
TRADES: dict[str, Any] = {
    "trade.side": ("i8", [1, -1, 1]),
    "trade.symbol": ("text", ["B", "A", "A"]),
    "trade.entry_time": ("i8", [START, START, START + DAY]),
    "trade.exit_time": ("i8", [START + 2 * DAY, START + DAY, NO_TIME]),
    "trade.entry_price": ("f8", [10.0, 20.0, 30.0]),
    "trade.quantity": ("f8", [2.0, 1.0, 1.0]),
    "trade.pnl": ("f8", [4.0, -5.0, float("nan")]),
    "trade.exit_reason": ("text", ["stop_loss", "roi", None]),
}


def test_trials_come_in_the_order_in_which_they_began(note: Note, tmp_path: Path) -> None:
    for seed in (3, 1, 2):
        note(seed)
    assert [one.params["a"] for one in results(tmp_path / "spool")] == [1, 2, 3]


def test_trades_are_closed_ones_by_exit_and_open_ones_apart(note: Note, tmp_path: Path) -> None:
    note(columns=TRADES)
    (one,) = results(tmp_path / "spool")
    assert one.trades is not None and one.open_ is not None
    assert one.trades.symbols is not None and one.trades.symbols.tolist() == ["A", "B"]
    assert one.trades.return_.tolist() == [-0.25, 0.2]  # pnl on the entry's notional
    assert one.trades.exit_reason.tolist() == [-1, 1]
    assert one.open_.entry_price.tolist() == [30.0]
    assert np.isnan(one.trades.entry_fee).all()  # nobody said


def test_a_figure_that_is_no_number_is_null(note: Note, tmp_path: Path) -> None:
    note(own={"Sharpe": float("nan"), "Return": 1.5, "deep": {"x": [float("inf"), 10**30]}})
    assert results(tmp_path / "spool")[0].own == {"Sharpe": None, "Return": 1.5, "deep": {"x": [None, str(10**30)]}}


def test_of_one_time_the_last_equity_counts_and_it_is_said(note: Note, tmp_path: Path) -> None:
    times = [START, START, START + DAY, START + 2 * DAY]
    note(columns={"timestamp": ("i8", times), "equity": ("f8", [1.0, 2.0, float("nan"), 3.0])})
    (one,) = results(tmp_path / "spool")
    assert one.equity.tolist() == [2.0, 3.0]
    assert len(one.notes) == 2


@pytest.mark.parametrize(
    "columns",
    [
        {"timestamp": ("i8", [1, 2]), "equity": ("f8", [1.0])},
        {"timestamp": ("f8", [1.0]), "equity": ("f8", [1.0])},
        {"equity": ("f8", [1.0])},
        {"trade.side": ("i8", [1, 2])},
        {"trade.side": ("i8", [1]), "trade.pnl": ("f8", [1.0, 2.0])},
        {"trade.side": ("i8", [1]), "trade.symbol": ("f8", [1.0])},
    ],
)
def test_a_trial_that_cannot_be_read_counts_as_one_that_failed(
    note: Note, tmp_path: Path, columns: dict[str, Any]
) -> None:
    note(1)
    note(2, columns=columns)
    said: list[str] = []
    good, bad = results(tmp_path / "spool", said.append)
    assert not good.error and bad.error.startswith("what was noted of it can't be read")
    assert bad.params["a"] == 2
    assert len(said) == 1


def _frame(head: bytes, payload: bytes = b"") -> bytes:
    return HEAD.pack(MAGIC, len(head), len(payload), zlib.crc32(payload, zlib.crc32(head))) + head + payload


HOSTILE = {
    "nothing": b"",
    "no frame": os.urandom(500),
    "a list": _frame(b"[1,2]"),
    "no kind": _frame(b'{"columns":[]}'),
    "no columns": _frame(b'{"kind":"trial"}'),
    "deep": _frame(b'{"kind":"trial","columns":[],"params":' + b"[" * 90_000 + b"]" * 90_000 + b"}"),
    "long integer": _frame(b'{"kind":"trial","columns":[],"started_ns":' + b"9" * 9_000 + b"}"),
    "unknown type": _frame(b'{"kind":"trial","columns":[["equity","O",8]]}', b"\0" * 8),
    "half a number": _frame(b'{"kind":"trial","columns":[["equity","f8",7]]}', b"\0" * 7),
    "negative length": _frame(b'{"kind":"bars","columns":[["open","f8",-8]]}', b"\0" * 8),
    "not UTF-8": _frame(b'{"kind":"\xff"}'),
    "too long": struct.pack("<4sIQI", MAGIC, 1 << 31, 1 << 62, 0),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_told_and_the_others_are_read(note: Note, tmp_path: Path, content: bytes) -> None:
    note(1)
    (tmp_path / "spool" / "0-0.frames").write_bytes(content)
    said: list[str] = []
    assert [one.params["a"] for one in results(tmp_path / "spool", said.append) if one.params] == [1]
    assert len(said) == (content != b"")


@pytest.mark.parametrize(
    "header",
    [
        {"engine": None, "version": ["x"], "strategy": {"a": 1}, "label": "\ud800", "params": 7, "own": "x"},
        {"bars": "x", "symbols": {"a": 1}, "notes": 3, "started_ns": "now", "initial_cash": "1e9", "duration_s": True},
        {"status": 5, "error": ["x"], "currency": 10**400, "repeated": "yes", "bars": [[1], None]},
    ],
)
def test_a_header_of_wrong_types_leaves_a_trial_that_can_be_written(
    note: Note, tmp_path: Path, header: dict[str, Any]
) -> None:
    note(1, **header)
    (one,) = results(tmp_path / "spool")
    json.dumps([one.params, one.own, one.label, one.currency, one.symbols, one.notes]).encode()
    f"{one.label}{one.engine}{one.error}".encode()


def test_what_is_no_plain_file_is_left_alone(note: Note, tmp_path: Path) -> None:
    note(1)
    os.mkfifo(tmp_path / "spool" / "a.frames")
    (tmp_path / "spool" / "b.frames").symlink_to("/dev/zero")
    (tmp_path / "spool" / "c.frames").mkdir()
    said: list[str] = []
    assert len(results(tmp_path / "spool", said.append)) == 1
    assert len(said) == 3
    assert results(tmp_path / "nowhere", said.append) == []
    assert len(said) == 4


def test_what_is_too_much_to_hold_still_counts(note: Note, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(4):
        note(seed)
    whole = results(tmp_path / "spool")
    assert all(len(one.equity) == 40 for one in whole)  # the control
    monkeypatch.setattr("peak_trade.record.trials._HELD", 1000)
    found = results(tmp_path / "spool")
    assert [len(one.equity) for one in found] == [40, 0, 0, 0]
    assert "left out" in found[3].notes[0]
