"""Buy and hold: the yardstick of every other strategy."""

from __future__ import annotations

import numpy as np

from peak_trade.market.bars import Bars
from peak_trade.strategies.signals import Floats

__all__ = ["buy_and_hold"]


def buy_and_hold(bars: Bars) -> Floats:
    """Hold 1 from the first bar on.

    Before costs, active trading as a whole earns what this earns: Sharpe (1991), "The Arithmetic of Active
    Management", Financial Analysts Journal 47(1).
    """
    return np.ones(len(bars))
