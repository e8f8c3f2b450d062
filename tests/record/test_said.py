"""What a script says of itself becomes a trial; what it says wrongly is told, and never ends it."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from peak_trade import record
from peak_trade.record import said
from peak_trade.record.spool import frames
from peak_trade.record.trials import results

DAYS = pd.date_range("2024-01-01", periods=3)
NS = DAYS.as_unit("ns").asi8.tolist()
VALUES = [100.0, 101.5, 99.0]


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PEAK_RECORD_SPOOL", str(tmp_path))
    monkeypatch.setattr(said, "_said", said._Said())
    return tmp_path


def warnings(spool: Path) -> list[str]:
    return [
        frame.header["reason"] for path in spool.glob("*.frames") for frame in frames(path) if frame.kind == "warning"
    ]


@pytest.mark.parametrize(
    ("values", "index"),
    [
        (pd.Series(VALUES, DAYS), None),
        (pd.Series(VALUES, DAYS.tz_localize("UTC").tz_convert("Asia/Tokyo")), None),
        (pd.Series(VALUES[::-1], DAYS[::-1]), None),
        (pd.DataFrame({"equity": VALUES, "drawdown": [0.0, 0, -2]}, DAYS), None),
        (pd.DataFrame({"date": DAYS, "value": VALUES}), None),
        (pl.DataFrame({"date": DAYS, "value": VALUES}), None),
        (pl.DataFrame({"date": DAYS, "value": VALUES}).lazy(), None),
        (pl.Series(VALUES), pl.Series(DAYS)),
        (np.array(VALUES), DAYS),
        (dict(zip(DAYS.strftime("%Y-%m-%dT00:00:00Z"), VALUES, strict=True)), None),
        ({dt.date(2024, 1, day): value for day, value in enumerate(VALUES, 1)}, None),
        (list(zip([dt.datetime(2024, 1, day, tzinfo=dt.UTC) for day in (1, 2, 3)], VALUES, strict=True)), None),
        (VALUES, ["2024-01-01", "2024-01-02", "2024-01-03"]),
    ],
)
def test_an_equity_is_taken_of_whatever_holds_it(spool: Path, values: Any, index: Any) -> None:
    record.equity(values, index=index)
    (trial,) = results(spool)
    assert trial.timestamp.astype("i8").tolist() == NS
    assert trial.equity.tolist() == VALUES
    assert warnings(spool) == []


def test_returns_begin_a_bar_before_the_first(spool: Path) -> None:
    record.returns(pd.Series([0.5, -0.5], DAYS[1:]), initial_cash=200, symbol="X")
    (trial,) = results(spool)
    assert trial.equity.tolist() == [200.0, 300.0, 150.0]
    assert trial.timestamp.astype("i8").tolist() == NS
    assert trial.symbols == ("X",)


def test_what_is_said_before_an_equity_belongs_to_it(spool: Path) -> None:
    for fast in (np.int64(10), 20):
        record.param(fast=fast)
        record.trades(
            [{"EntryTime": "2024-01-01", "Entry Price": 1.0, "Size": -2, "PnL": float(fast), "ExitTime": DAYS[2]}]
        )
        record.equity(VALUES, index=DAYS)
    first, second = results(spool)
    assert (first.params, second.params) == ({"fast": 10}, {"fast": 20})
    assert first.trades is not None
    assert second.trades is not None
    assert (first.trades.pnl.tolist(), second.trades.pnl.tolist()) == ([10.0], [20.0])
    assert (first.trades.side.tolist(), first.trades.quantity.tolist()) == ([-1], [2.0])


def test_what_is_said_after_an_equity_belongs_to_it_where_nothing_was_before(spool: Path) -> None:
    frame = pd.DataFrame({"entry_time": DAYS[:2], "exit_time": [DAYS[1], pd.NaT], "entry_price": [1, 2], "qty": [3, 4]})
    for fast in (10, 20):
        record.equity(pd.Series(VALUES, DAYS))
        record.param("fast", fast)
        record.trades(frame)
    trials = results(spool)
    assert [trial.params for trial in trials] == [{"fast": 10}, {"fast": 20}]
    for trial in trials:
        assert trial.trades is not None
        assert trial.open_ is not None
        assert (len(trial.trades), len(trial.open_)) == (1, 1)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: record.equity("nonsense"), "takes"),
        (lambda: record.equity([[1, 2, 3]]), "one series"),
        (lambda: record.equity([]), "one series"),
        (lambda: record.equity(VALUES, index=DAYS[:2]), "3 numbers and 2 times"),
        (lambda: record.equity(pd.DataFrame({"a": VALUES, "b": VALUES}, DAYS)), "2 columns of numbers"),
        (lambda: record.trades(3), "takes a frame"),
        (lambda: record.trades({"pnl": [1.0]}), "has no column entry_time"),
        (lambda: record.trades({"entry_time": DAYS, "entry_price": VALUES, "qty": VALUES, "side": "abc"}),
         "neither long nor short"),
        (lambda: record.param(3), "takes name=value"),
    ],
)  # fmt: skip
def test_a_wrong_call_is_told_and_ends_nothing(
    spool: Path, capsys: pytest.CaptureFixture[str], call: Any, told: str
) -> None:
    call()
    assert told in capsys.readouterr().err
    assert told in warnings(spool)[0]


def test_outside_a_recorded_command_nothing_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PEAK_RECORD_SPOOL", raising=False)
    monkeypatch.chdir(tmp_path)
    record.equity("nonsense")
    record.param(3)
    assert capsys.readouterr() == ("", "")
    assert os.listdir(tmp_path) == []
