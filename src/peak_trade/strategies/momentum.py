"""Time-series momentum: what has risen keeps rising."""

from __future__ import annotations

from peak_trade.market.bars import Bars
from peak_trade.strategies.rolling import lag
from peak_trade.strategies.signals import Floats, Window, exposure

__all__ = ["momentum"]


def momentum(bars: Bars, *, lookback: Window = 252, short: bool = False) -> Floats:
    """Hold 1 while the close is above the close `lookback` bars ago (252: about a year of an exchange's days).

    `short` holds -1 while it is below. Where the two are equal and on the first `lookback` bars: 0.

    Source: Moskowitz, Ooi and Pedersen (2012), "Time Series Momentum", Journal of Financial Economics 104(2).
    """
    before = lag(bars.close, lookback)
    return exposure(bars.close > before, bars.close < before if short else None)
