"""Reports of MetaTrader 5: deals are paired to trades, with partial closes, turns, and positions side by side."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tests.record.imports import metatrader as made
from tests.record.imports.conftest import Run

from peak_trade.errors import InputError

Take = Callable[..., Run]
FILES = {
    "report.html": made.page,
    "report.xlsx": lambda deals: made.workbook({"Sheet1": [*made.ABOVE, made.HEAD, *deals]}),
}


@pytest.mark.parametrize("name", FILES)
def test_partial_closes_and_turns_become_trades(take: Take, name: str) -> None:
    run = take({name: FILES[name](made.NETTING)})
    trades = run.trades
    assert trades.symbol == "EURUSD"
    assert trades.side.tolist() == [1, 1, -1]
    assert np.allclose(trades.quantity, [40_000, 60_000, 100_000])
    assert trades.entry_price.tolist() == [1.1, 1.1, 1.102]
    assert trades.exit_price.tolist() == [1.105, 1.102, 1.104]
    # commission 3.5 a lot and side: of the first trade 0.4 × 3.5 each way; profit 200, swap −1.2
    assert np.allclose(trades.entry_fee, [1.4, 2.1, 3.5])
    assert np.allclose(trades.exit_fee, [1.4, 2.1, 3.5])
    assert np.allclose(trades.pnl, [200 - 1.2 - 2.8, 120 - 2 - 4.2, -200 - 7.0])
    assert trades.pnl.sum() == pytest.approx(102.8)  # what the report calls the net profit
    assert [value for _, value in run.equity] == [10000.0, 9996.5, 10193.9, 10306.3, 10102.8]
    assert "a lot counts as 100,000 units, as its profits show" in run.said


def test_positions_side_by_side_close_by_their_sizes(take: Take) -> None:
    trades = take({"report.html": made.page(made.HEDGING)}).trades
    assert trades.side.tolist() == [1, -1, 1]
    assert trades.entry_price.tolist() == [1.102, 1.101, 1.1]
    assert np.allclose(trades.pnl, [100, 50, 600])


def test_the_reports_own_figures_are_taken_along(take: Take) -> None:
    run = take({"report.html": made.page(made.NETTING)})
    own = run.manifest.predicate.results["own"]
    assert (own["Profit Factor"], own["Sharpe Ratio"], own["Total Net Profit"]) == (1.52, 2.1, 102.8)
    assert own["Margin Level"] == "812.33%"
    assert run.config["strategy"]["name"] == "Moving Average"
    assert run.config["data"]["timeframe"] == "1h"
    assert run.manifest.predicate.results["account"]["initial_cash"] == 10000.0


def test_a_changed_direction_is_seen(take: Take) -> None:
    turned = [tuple("sell" if cell == "buy" else "buy" if cell == "sell" else cell for cell in row)
              for row in made.HEDGING]  # fmt: skip
    assert take({"report.html": made.page(turned)}).trades.side.tolist() == [-1, 1, -1]


def test_a_commission_of_the_other_sign_is_seen(take: Take) -> None:
    paid = take({"a.html": made.page(made.NETTING)}).trades
    got = take({"b.html": made.page([tuple(c.replace("-3.50", "3.50") for c in row) for row in made.NETTING])}).trades
    assert got.pnl.sum() - paid.pnl.sum() == pytest.approx(14.0)


def test_a_deal_that_closes_more_than_is_open_is_refused(take: Take) -> None:
    deals = [*made.HEDGING[:2], made.deal("03 11:00:00", 5, "sell", "out", 3.0, 1.104, 0, 0, 100, "1")]
    with pytest.raises(InputError, match="closes more than was open"):
        take({"report.html": made.page(deals)})


def test_a_position_that_is_open_at_the_end_is_kept_apart(take: Take) -> None:
    run = take({"report.html": made.page(made.HEDGING[:-1])})
    assert len(run.trades) == 2
    (still,) = run.rows("open_trades.csv")
    assert (still["side"], still["quantity"], still["exit_time"]) == ("long", "100000.0", "")


def test_tradingview_as_a_workbook_has_its_times_as_days(take: Take) -> None:
    rows = [
        ["Trade #", "Type", "Date and time", "Signal", "Price USDT", "Size (qty)", "Net P&L USDT"],
        [1, "Exit long", 45296.375, "Close", 110, 2, 19.6],
        [1, "Entry long", 45294.625, "Long", 100, 2, 19.6],
    ]
    book = made.workbook({"Performance": [["", "All USDT", "All %", "Long USDT", "Long %", "Short %"]],
                          "List of trades": rows})  # fmt: skip
    run = take({"list.xlsx": book}, initial_cash=100.0)
    assert str(run.trades.entry_time[0])[:16] == "2024-01-03T15:00"
    assert str(run.trades.exit_time[0])[:16] == "2024-01-05T09:00"
    assert run.trades.pnl.tolist() == [19.6]
