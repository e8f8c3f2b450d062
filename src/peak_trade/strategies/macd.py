"""MACD: follow the trend while it gains speed."""

from __future__ import annotations

import numpy as np

from peak_trade.market.bars import Bars
from peak_trade.strategies.rolling import ema_lag, ema_slack, ema_slack_of, most_slack
from peak_trade.strategies.signals import Floats, Window, above, check_order, exposure, in_doubt

__all__ = ["macd"]


def macd(bars: Bars, *, fast: Window = 12, slow: Window = 26, signal: Window = 9, short: bool = False) -> Floats:
    """Hold 1 while the MACD line is above its signal line.

    The line is `ema(close, fast) - ema(close, slow)`, known from bar `slow` on; the signal line is the `ema` of span
    `signal` of the line. `short` holds -1 while the line is below. Where the two are equal (in decimals) and on the
    first `slow + signal - 2` bars: 0.

    Source: Appel (2005), "Technical Analysis: Power Tools for Active Investors".

    Raises:
        InputError: `fast` is not less than `slow`.
    """
    check_order("fast", fast, "slow", slow)
    line = ema_lag(bars.close, slow) - ema_lag(bars.close, fast)
    lead, slack = np.full(len(bars), np.nan), np.zeros(len(bars))
    lead[slow - 1 :] = ema_lag(line[slow - 1 :], signal)  # how far the line is above its signal line
    if in_doubt(lead, 4.0 * most_slack(bars.close, slow) * (signal + 1.0) / 2.0):
        noise = 4.0 * ema_slack(bars.close, slow)[slow - 1 :]  # a change of the line: twice two averages
        slack[slow - 1 :] = ema_slack_of(noise, signal)
    return exposure(above(lead, 0.0, slack), above(-lead, 0.0, slack) if short else None)
