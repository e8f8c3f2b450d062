"""Bollinger reversion: buy below the lower band, until the middle."""

from __future__ import annotations

from typing import Annotated

import msgspec

from peak_trade.market.bars import Bars
from peak_trade.strategies.rolling import rolling_mean, rolling_std
from peak_trade.strategies.signals import Floats, Window, exposure, hold

__all__ = ["bollinger_reversion"]


def bollinger_reversion(
    bars: Bars,
    *,
    window: Window = 20,
    width: Annotated[float, msgspec.Meta(gt=0, le=10)] = 2.0,
    short: bool = False,
) -> Floats:
    """Hold 1 from a close below the lower band until a close at or above the middle.

    The middle is the mean of the last `window` closes, the bands lie `width` of their (population) standard deviations
    below and above. `short` holds -1 from a close above the upper band until a close at or below the middle. The first
    `window - 1` bars: 0.

    Source: Bollinger (2001), "Bollinger on Bollinger Bands".
    """
    close = bars.close
    middle, band = rolling_mean(close, window), width * rolling_std(close, window)
    long = hold(close < middle - band, close >= middle)
    return exposure(long, hold(close > middle + band, close <= middle) if short else None)
