"""Runs of other engines side by side: causes, what each symbol earned, and what neither says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tests.record.portfolio import DAYS, closed, recorded, result

from peak_trade.record.result import Series
from peak_trade.trust.compare import Comparison, as_text, compare
from peak_trade.trust.difference import read


def compared(
    tmp_path: Path, one: dict[str, Any], other: dict[str, Any], kinds: tuple[str, str] = ("recorded",) * 2
) -> Comparison:
    runs = [recorded(tmp_path, result(**told), kind) for told, kind in zip((one, other), kinds, strict=True)]
    return compare([read(run) for run in runs])


def series(symbol: str, close: float) -> Series:
    prices = np.full(10, close)
    return Series(symbol, "1d", DAYS, prices, prices, prices, prices, prices)


def test_control_the_same_portfolio_is_the_same(tmp_path: Path) -> None:
    found = compared(tmp_path, {}, {})
    assert found.same
    assert found.differences[0].identical
    assert found.differences[0].symbols == []


def test_what_each_symbol_earned_is_told(tmp_path: Path) -> None:
    other = closed()
    other.pnl[3] += 10.0
    found = compared(tmp_path, {}, {"trades": other})
    assert not found.same
    (earned,) = found.differences[0].symbols
    assert (earned.symbol, earned.a, earned.b) == ("B", 90.0, 100.0)
    trade = found.differences[0].trade
    assert trade is not None
    assert (trade.symbol, trade.columns) == ("B", ["pnl"])
    assert "B 90 → 100" in as_text(found)


def test_a_trade_of_one_symbol_is_no_trade_of_another(tmp_path: Path) -> None:
    swapped = closed(symbols=np.array(["A", "B", "A", "B", "B", "B"]))
    found = compared(tmp_path, {}, {"trades": swapped}).differences[0].trades
    assert found is not None
    assert (found.both, found.only_a, found.only_b) == (5, 1, 1)


def test_bars_parameters_and_engine_are_causes(tmp_path: Path) -> None:
    one = {"series": (series("A", 1.0), series("B", 2.0)), "equity": np.linspace(1, 2, 10)}
    other = {"series": (series("A", 1.0), series("B", 3.0)), "params": {"fast": 4}, "version": "2"}
    names = {row.name: (row.kind, row.verdict) for row in compared(tmp_path, one, other).inputs}
    assert names["bars of B"][0] == "data"
    assert "bars of A" not in names
    assert names["strategy.params.fast"][0] == "parameters"
    assert names["the engine's version"][0] == "environment"


def test_a_run_without_trades_or_equity_is_compared_by_what_it_has(tmp_path: Path) -> None:
    nothing = {"timestamp": DAYS[:0], "equity": np.empty(0), "open_": None, "initial_cash": None}
    found = compared(tmp_path, {"trades": None, "open_": None}, nothing, ("recorded", "imported"))
    assert not found.same
    assert "what made the run" in [row.name for row in found.inputs]
    assert as_text(found)
