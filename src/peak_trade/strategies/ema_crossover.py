"""Exponential moving average crossover: follow the trend of two averages that forget smoothly."""

from __future__ import annotations

import numpy as np

from peak_trade.market.bars import Bars
from peak_trade.strategies.rolling import ema_lag, ema_slack, most_slack
from peak_trade.strategies.signals import Floats, Window, above, check_order, exposure, in_doubt

__all__ = ["ema_crossover"]


def ema_crossover(bars: Bars, *, fast: Window = 20, slow: Window = 50, short: bool = False) -> Floats:
    """Hold 1 while the exponential average of span `fast` is above that of span `slow`.

    `short` holds -1 while it is below. Where the two are equal (in decimals) and on the first `slow - 1` bars: 0.

    Source: Baz, Granger, Harvey, Le Roux and Rattray (2015), "Dissecting Investment Strategies in the Cross Section and
    Time Series".

    Raises:
        InputError: `fast` is not less than `slow`.
    """
    check_order("fast", fast, "slow", slow)
    fast_lag, slow_lag = ema_lag(bars.close, fast), ema_lag(bars.close, slow)  # the lesser lag is the higher average
    lead, slack = slow_lag - fast_lag, np.zeros(1)
    if in_doubt(lead, 2.0 * most_slack(bars.close, slow)):
        slack = 2.0 * ema_slack(bars.close, slow)  # that of the slower one is the greater
    return exposure(above(lead, 0.0, slack), above(-lead, 0.0, slack) if short else None)
