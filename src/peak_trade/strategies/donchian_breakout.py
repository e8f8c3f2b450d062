"""Donchian breakout: follow the close out of its channel."""

from __future__ import annotations

from peak_trade.errors import InputError
from peak_trade.market.bars import Bars
from peak_trade.strategies.rolling import lag, rolling_max, rolling_min
from peak_trade.strategies.signals import Floats, Window, exposure, hold

__all__ = ["donchian_breakout"]


def donchian_breakout(bars: Bars, *, entry: Window = 20, exit: Window = 10, short: bool = False) -> Floats:
    """Hold 1 from a close above the highs of the `entry` bars before it, until one below the lows of the `exit` before.

    `short` holds -1 from a close below the lows of the `entry` bars before it, until one above the highs of the `exit`
    before. The bar's own high and low are never part of its channel. The first `entry` bars: 0.

    Source: system 1 of the Turtles, after Richard Donchian: Faith (2007), "Way of the Turtle".

    Raises:
        InputError: `exit` is more than `entry`.
    """
    if exit > entry:  # else a close could enter one side without leaving the other
        raise InputError(
            f"strategy.params.exit is {exit} and strategy.params.entry is {entry}: exit must not be more than entry"
        )
    close, high, low = bars.close, bars.high, bars.low
    long = hold(close > lag(rolling_max(high, entry), 1), close < lag(rolling_min(low, exit), 1))
    if not short:
        return exposure(long)
    return exposure(long, hold(close < lag(rolling_min(low, entry), 1), close > lag(rolling_max(high, exit), 1)))
