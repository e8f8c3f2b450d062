"""The examples of docs/dev/engine.md, as they stand there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from peak_trade.config import Execution, Sizing, Stops
from peak_trade.engine import RULES, Result, run
from peak_trade.market.bars import Bars

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "dev" / "engine.md").read_text()
SHORT = Execution(allow_short=True)


def played(
    rows: Sequence[tuple[float, float, float, float] | float],
    target: Sequence[float],
    execution: Execution = Execution(),
    sizing: Sizing = Sizing(),
    days: Sequence[int] | None = None,
    **stops: float,
) -> Result:
    """Run a target over bars, each its four prices, or one price for all four."""
    prices = np.array([row if isinstance(row, tuple) else (row,) * 4 for row in rows], np.float64)
    after = np.array(range(len(rows)) if days is None else days) * np.timedelta64(1, "D")
    bars = Bars(np.datetime64("2024-01-01", "ns") + after, *prices.T.copy(), np.ones(len(rows)), "TEST", "1d")
    return run(bars, np.array(target, np.float64), execution=execution, sizing=sizing, stops=Stops(**stops))


def test_all_in_with_costs() -> None:
    costs = Execution(initial_cash=1020.1, fee_bps=100.0, slippage_bps=100.0)
    result = played([100.0, 100.0, (100.0, 150.0, 100.0, 150.0)], [1, 1, 1], costs)
    assert (result.position[1], result.equity[1]) == pytest.approx((10, 1000), rel=1e-14)
    assert result.trades.entry_fee[0] == pytest.approx(10.10) and result.equity[2] == pytest.approx(1470.15)


def test_a_reversal() -> None:
    cash = Execution(initial_cash=1000.0, allow_short=True)
    result = played([100.0, 100.0, (120.0, 120.0, 100.0, 100.0), 100.0], [1, -1, -1, -1], cash)
    assert (result.position[2], result.equity[2]) == pytest.approx((-10, 1400), rel=1e-14)


def test_the_minimum() -> None:
    """Also the bars of a case in which nothing was ever traded: a small first target blocked the large second one."""
    rows = [(100.0, 101.0, 99.0, 100.0)] * 3
    rows += [(100.0, 110.0, 99.0, 110.0), (110.0, 120.0, 109.0, 120.0), (120.0, 130.0, 119.0, 130.0)]
    result = played(rows, [0.1, 1, 1, 1, 1, 1], sizing=Sizing(min_trade_value=2000.0))
    assert result.position.tolist() == [0, 0, 100, 100, 100, 0] and result.equity[-1] == 13_000


def test_at_the_close() -> None:
    """The bars open elsewhere, which none of it hangs on."""
    rows = [(90.0, 100.0, 90.0, 100.0), (105.0, 110.0, 95.0, 110.0), (109.0, 121.0, 99.0, 121.0), 100.0]
    result = played(rows, [1, 1, 0, 0], Execution(fill="close"))
    assert result.equity.tolist() == [10_000, 11_000, 12_100, 12_100]
    assert result.position.tolist() == [100, 100, 0, 0]
    trades = result.trades
    assert (trades.entry_price.tolist(), trades.exit_price.tolist(), trades.bars_held.tolist()) == ([100], [121], [2])
    assert trades.mae is not None and trades.mfe is not None
    assert (trades.mae[0], trades.mfe[0]) == pytest.approx((-0.05, 0.21))  # 95 in bar 1, 121 in bar 2; bar 0 not


def test_costs_of_a_fill_at_the_first_close_show_at_the_second() -> None:
    """1 %: 10,000 / 1.01 at 100 is 9,900.99 of value; a stop at 5 % below is looked for from the next bar on."""
    rows = [(100.0, 100.0, 10.0, 100.0), 100.0, (100.0, 100.0, 90.0, 98.0), 98.0]
    costs = Execution(fill="close", fee_bps=100.0)
    result = played(rows, [1, 1, 1, 1], costs, stop_loss=0.05)
    assert result.equity[:2] == pytest.approx([10_000, 10_000 / 1.01])
    assert result.trades.exit_price.tolist() == [95.0] and result.trades.bars_held.tolist() == [2]
    assert result.equity[-1] == pytest.approx(10_000 / 1.01 * 0.95 * 0.99)


def test_after_a_stop_the_change_of_that_bars_own_close_fills_there() -> None:
    rows = [100.0, (100.0, 100.0, 90.0, 98.0), 98.0, 98.0]
    result = played(rows, [1, 0.5, 0.5, 0.5], Execution(fill="close"), stop_loss=0.05)
    assert result.trades.exit_price.tolist() == [95.0, 98.0]
    assert result.position.tolist() == pytest.approx([100, 0.5 * 9_500 / 98, 0.5 * 9_500 / 98, 0])


def test_a_trailing_stop() -> None:
    rows = [100.0, (100.0, 1000.0, 100.0, 1000.0), (1000.0, 1000.0, 985.0, 990.0), (990.0, 995.0, 900.0, 990.0)]
    trades = played(rows, [1, 1, 1, 1], trailing_stop=0.1).trades
    assert (trades.bars_held.tolist(), trades.exit_price.tolist()) == ([2], [900.0])


def test_an_exact_touch() -> None:
    for low, exit_price in ((10.64, 10.64), (10.65, 10.8)):
        result = played([11.2, 11.2, (11.2, 11.2, low, 10.8), 10.8], [1, 1, 1, 1], stop_loss=0.05)
        assert result.trades.exit_price.tolist() == [exit_price]


def test_ruin() -> None:
    result = played([100.0, (100.0, 250.0, 100.0, 250.0), 255.0, 120.0, 50.0, 50.0], [-1] * 6, SHORT)
    assert (result.equity.tolist(), result.ruined) == ([10_000.0, *[-5_000.0] * 5], 1)


def test_borrow() -> None:
    """1 at the second open, so that the close of 110 marks 899; 3.30 over the weekend, so that 100 leaves 995.70."""
    rate = Execution(initial_cash=1000.0, allow_short=True, borrow_rate=0.365)
    result = played([100.0, 100.0, 110.0, 100.0], [-1, -1, 0, 0], rate, days=[0, 1, 2, 5])
    assert result.equity.tolist() == pytest.approx([1000, 1000, 899, 995.7], rel=1e-14)


def test_the_page_has_this_edition_s_row() -> None:
    assert f"\n| {RULES} | " in PAGE and "this page |" in PAGE
