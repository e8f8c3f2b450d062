"""RSI reversion: buy what has fallen too fast, until it has recovered."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from peak_trade.market.bars import Bars
from peak_trade.strategies.rolling import wilder
from peak_trade.strategies.signals import Floats, Window, exposure, hold

__all__ = ["rsi", "rsi_reversion"]

_NOTHING = 1e-150
"""Gains and losses that have faded so far (4,500 flat bars at period 14) are no longer divided; `wilder` drops them."""


def rsi_reversion(
    bars: Bars,
    *,
    period: Window = 14,
    lower: Annotated[float, msgspec.Meta(ge=0, le=50)] = 30.0,
    upper: Annotated[float, msgspec.Meta(ge=50, le=100)] = 70.0,
    short: bool = False,
) -> Floats:
    """Hold 1 from an RSI below `lower` until it is back at 50.

    `short` holds -1 from an RSI above `upper` until it is back at 50 (`upper` matters only then). The first `period`
    bars: 0.

    Source: the oversold and overbought levels of Wilder (1978), "New Concepts in Technical Trading Systems".
    """
    strength = rsi(bars.close, period)
    long = hold(strength < lower, strength >= 50.0)
    return exposure(long, hold(strength > upper, strength <= 50.0) if short else None)


def rsi(close: Floats, period: int) -> Floats:
    """Return Wilder's relative strength index, 0 to 100: the share of the gains in all changes of `close`, averaged.

    `100 gains / (gains + losses)`, each Wilder's average over `period`; 50 where the close has never changed, or too
    long ago for anything to be left of it. The first `period` values are NaN: as many changes need one close more.

    Source: Wilder (1978), whose `100 - 100 / (1 + gains / losses)` this is.

    >>> rsi(np.array([10.0, 11.0, 10.0, 13.0]), 2).tolist()
    [nan, nan, 50.0, 87.5]
    """
    change = np.diff(close)
    gains, losses = wilder(np.maximum(change, 0.0), period), wilder(np.maximum(-change, 0.0), period)
    both = gains + losses
    strength = np.full(len(close), np.nan)
    with np.errstate(invalid="ignore"):  # 0 / 0
        strength[1:] = np.where(both < _NOTHING, 50.0, 100.0 * gains / both)
    return strength
