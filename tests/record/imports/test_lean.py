"""Results of QuantConnect Lean, with the keys of old and of new versions."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.record.imports.conftest import Run

from peak_trade.errors import InputError

Take = Callable[..., Run]
TRADES = [
    {"entryTime": "2024-01-02T14:31:00Z", "entryPrice": 100.0, "direction": 0, "quantity": 10.0,
     "exitTime": "2024-01-03T20:59:00Z", "exitPrice": 105.0, "profitLoss": 50.0, "totalFees": 2.0, "mae": -5.0,
     "mfe": 60.0, "duration": "1.06:28:00", "endTradeDrawdown": -10.0},
    {"entryTime": "2024-01-04T14:31:00Z", "entryPrice": 200.0, "direction": 1, "quantity": 3.0,
     "exitTime": "2024-01-05T20:59:00Z", "exitPrice": 210.0, "profitLoss": -30.0, "totalFees": 2.0, "mae": -40.0,
     "mfe": 0.0, "duration": "1.06:28:00", "endTradeDrawdown": 0.0},
]  # fmt: skip
SYMBOLS = ("SPY R735QTJ8XC9X", "SPY"), ("QQQ RIWIV7K5Z9LX", "QQQ")


def new() -> dict[str, Any]:
    """Return a result of today: camelCase, points as lists, several symbols a trade, profits as text."""
    more: dict[str, Any] = {"orderIds": [1, 2], "isWin": True}
    trades = [
        one | more | {"symbols": [{"value": name, "id": long}], "profitLoss": str(one["profitLoss"])}
        for one, (long, name) in zip(TRADES, SYMBOLS, strict=True)
    ]
    return {
        "charts": {"Strategy Equity": {"name": "Strategy Equity", "series": {"Equity": {"name": "Equity", "values": [
            [1704171600, 100000.0, 100000.0, 100000.0, 100000.0],
            [1704315600, 100000.0, 100060.0, 99990.0, 100048.0],
            [1704488400, 100048.0, 100050.0, 100010.0, 100016.0],
        ]}}}},
        "totalPerformance": {"closedTrades": trades, "tradeStatistics": {},
                             "portfolioStatistics": {"startEquity": "100000", "sharpeRatio": "0.71"}},
        "statistics": {"Sharpe Ratio": "0.71", "Net Profit": "0.016%"},
        "algorithmConfiguration": {"name": "Basic", "accountCurrency": "USD", "parameters": {"fast": "10"}},
        "orders": {},
    }  # fmt: skip


def old() -> dict[str, Any]:
    """Return a result of before 2022: PascalCase, points as objects, one symbol a trade."""

    def pascal(tree: dict[str, Any]) -> dict[str, Any]:
        return {key[:1].upper() + key[1:]: value for key, value in tree.items()}

    values = [{"x": 1704171600, "y": 100000.0}, {"x": 1704315600, "y": 100048.0}, {"x": 1704488400, "y": 100016.0}]
    trades = [pascal(one) | {"Symbol": {"Value": name, "ID": long, "Permtick": name}}
              for one, (long, name) in zip(TRADES, SYMBOLS, strict=True)]  # fmt: skip
    series = {"Equity": {"Name": "Equity", "Unit": "$", "Index": 0, "Values": values}}
    return {
        "Charts": {"Strategy Equity": {"Name": "Strategy Equity", "Series": series}},
        "TotalPerformance": {"ClosedTrades": trades, "PortfolioStatistics": {"StartEquity": 100000}},
        "Statistics": {"Sharpe Ratio": "0.71", "Net Profit": "0.016%"},
    }  # fmt: skip


@pytest.mark.parametrize("tree", [new(), old()], ids=["camelCase", "PascalCase"])
def test_both_spellings_give_the_same(take: Take, tree: dict[str, Any]) -> None:
    run = take({"Basic.json": json.dumps(tree)})
    trades = run.trades
    assert trades.symbols is not None
    assert trades.symbols.tolist() == ["SPY", "QQQ"]
    assert trades.side.tolist() == [1, -1]
    assert trades.pnl.tolist() == [48.0, -32.0]  # its profit is before the fees
    assert trades.exit_fee.tolist() == [1.0, 1.0]
    assert np.allclose(trades.return_, [0.048, -32 / 600])
    assert run.equity == [("2024-01-02T05:00:00Z", 100000.0), ("2024-01-03T21:00:00Z", 100048.0),
                          ("2024-01-05T21:00:00Z", 100016.0)]  # fmt: skip
    assert run.manifest.predicate.results["own"]["Sharpe Ratio"] == 0.71


def test_a_changed_side_is_seen(take: Take) -> None:
    tree = new()
    tree["totalPerformance"]["closedTrades"][0]["direction"] = 1
    assert take({"b.json": json.dumps(tree)}).trades.side.tolist() == [-1, -1]


def test_parameters_and_money_are_taken_along(take: Take) -> None:
    run = take({"b.json": json.dumps(new())})
    assert run.config["strategy"] == {"name": "Basic", "params": {"fast": "10"}}
    assert run.manifest.predicate.results["account"] == {"currency": "USD", "initial_cash": 100000.0}


def test_orders_make_trades_where_there_are_no_closed_ones(take: Take) -> None:
    tree = new()
    del tree["totalPerformance"]["closedTrades"]
    tree["orders"] = {
        str(at): {"id": at, "symbol": {"value": "SPY", "id": "SPY R735"}, "quantity": size, "price": price,
                  "priceCurrency": "USD", "status": status, "lastFillTime": f"2024-01-0{at + 1}T15:00:00Z",
                  "time": "2024-01-01T15:00:00Z", "type": 0, "direction": 0}
        for at, (size, price, status) in enumerate(((10.0, 100.0, 3), (-4.0, 110.0, 3), (5.0, 1.0, 5)), 1)
    }  # fmt: skip
    run = take({"b.json": json.dumps(tree)})
    assert (run.trades.quantity.tolist(), run.trades.pnl.tolist()) == ([4.0], [40.0])
    (still,) = run.rows("open_trades.csv")
    assert still["quantity"] == "6.0"


def test_a_summary_is_refused(take: Take) -> None:
    with pytest.raises(InputError, match="without trades or equity"):
        take({"b.json": json.dumps({"charts": {}, "statistics": {}, "totalPerformance": {"closedTrades": []}})})
