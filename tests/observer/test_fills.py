"""Fills become trades first in, first out, by hand."""

from __future__ import annotations

import math

from peak_trade.observer.engines.fills import columns, round_trips
from peak_trade.observer.spool import NO_TIME

SHOWN = ("side", "entry_time", "exit_time", "quantity", "entry_price", "exit_price", "pnl")


def _shown(trades: list[dict[str, object]]) -> list[tuple[object, ...]]:
    return [tuple(trade[name] for name in SHOWN) for trade in trades]


def test_one_exit_closes_two_entries_in_their_order() -> None:
    trades = round_trips([("A", 1, 10, 5.0, 1.0), ("A", 2, 10, 6.0, 1.0), ("A", 3, -15, 8.0, 3.0)])
    assert _shown(trades[:2]) == [(1, 1, 3, 10, 5.0, 8.0, 30 - 1 - 2), (1, 2, 3, 5, 6.0, 8.0, 10 - 0.5 - 1)]
    (left,) = trades[2:]
    assert (left["quantity"], left["exit_time"], left["entry_fee"]) == (5, NO_TIME, 0.5)
    assert math.isnan(left["pnl"])


def test_a_reversal_closes_and_opens_at_one_price() -> None:
    trades = round_trips([("A", 1, 10, 5.0, 0.0), ("A", 2, -15, 4.0, 0.0), ("A", 3, 5, 3.0, 0.0)])
    assert _shown(trades) == [(1, 1, 2, 10, 5.0, 4.0, -10.0), (-1, 2, 3, 5, 4.0, 3.0, 5.0)]


def test_symbols_do_not_close_each_other() -> None:
    trades = round_trips([("A", 1, 1, 5.0, 0.0), ("B", 2, -1, 4.0, 0.0)])
    assert [trade["symbol"] for trade in trades] == ["A", "B"]
    assert all(trade["exit_time"] == NO_TIME for trade in trades)


def test_what_rounding_leaves_of_a_position_is_none() -> None:
    thirds = [("A", at, 0.1, 1.0, 0.0) for at in range(3)]
    assert len(round_trips([*thirds, ("A", 9, -0.3, 2.0, 0.0)])) == 3


def test_a_fee_that_nobody_knows_is_unknown_and_so_is_the_pnl() -> None:
    (trade,) = round_trips([("A", 1, 1, 5.0, math.nan), ("A", 2, -1, 6.0, 0.0)], "USD")
    assert math.isnan(trade["pnl"]) and trade["currency"] == "USD"
    assert columns([trade])["trade.side"] == ("i8", [1])
