"""Simple moving average crossover: follow the trend of two averages."""

from __future__ import annotations

from peak_trade.market.bars import Bars
from peak_trade.strategies.rolling import ROUNDING, rolling_mean
from peak_trade.strategies.signals import Floats, Window, above, check_order, exposure

__all__ = ["sma_crossover"]


def sma_crossover(bars: Bars, *, fast: Window = 20, slow: Window = 50, short: bool = False) -> Floats:
    """Hold 1 while the mean of the last `fast` closes is above that of the last `slow`.

    `short` holds -1 while it is below. Where the two are equal (in decimals) and on the first `slow - 1` bars: 0.

    Source: the variable-length moving average of Brock, Lakonishok and LeBaron (1992), "Simple Technical Trading Rules
    and the Stochastic Properties of Stock Returns", Journal of Finance 47(5).

    Raises:
        InputError: `fast` is not less than `slow`.
    """
    check_order("fast", fast, "slow", slow)
    fast_mean, slow_mean = rolling_mean(bars.close, fast), rolling_mean(bars.close, slow)
    slack = ROUNDING * slow_mean
    return exposure(above(fast_mean, slow_mean, slack), above(slow_mean, fast_mean, slack) if short else None)
