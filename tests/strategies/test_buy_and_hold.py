from __future__ import annotations

from peak_trade.strategies.buy_and_hold import buy_and_hold


def test_the_whole_equity_is_held_from_the_first_bar_on(make_bars):
    assert buy_and_hold(make_bars([3.0, 1.0, 2.0])).tolist() == [1.0, 1.0, 1.0]
