"""MACD: follow the trend while it gains speed."""

from __future__ import annotations

import numpy as np

from peak_trade.market.bars import Bars
from peak_trade.strategies.rolling import ema_lag
from peak_trade.strategies.signals import Floats, Window, check_order, exposure

__all__ = ["macd"]


def macd(bars: Bars, *, fast: Window = 12, slow: Window = 26, signal: Window = 9, short: bool = False) -> Floats:
    """Hold 1 while the MACD line is above its signal line.

    The line is `ema(close, fast) - ema(close, slow)`, known from bar `slow` on; the signal line is the `ema` of span
    `signal` of the line. `short` holds -1 while the line is below. Where the two are equal (a flat market) and on the
    first `slow + signal - 2` bars: 0.

    Source: Appel (2005), "Technical Analysis: Power Tools for Active Investors".

    Raises:
        InputError: `fast` is not less than `slow`.
    """
    check_order("fast", fast, "slow", slow)
    line = ema_lag(bars.close, slow) - ema_lag(bars.close, fast)
    above = np.full(len(bars), np.nan)  # how far the line is above its signal line
    above[slow - 1 :] = ema_lag(line[slow - 1 :], signal)
    return exposure(above > 0.0, above < 0.0 if short else None)
