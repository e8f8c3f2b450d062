"""Bollinger reversion: buy below the lower band, until the middle."""

from __future__ import annotations

from typing import Annotated

import msgspec

from peak_trade.market.bars import Bars
from peak_trade.strategies.rolling import ROUNDING, rolling_mean, rolling_std
from peak_trade.strategies.signals import Floats, Window, above, exposure, hold, reaches

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
    `window - 1` bars: 0. A close at a band, in decimals, is not beyond it.

    Source: Bollinger (2001), "Bollinger on Bollinger Bands".
    """
    close = bars.close
    middle, band = rolling_mean(close, window), width * rolling_std(close, window)
    slack = ROUNDING * (1.0 + width) * middle
    long = hold(above(middle - band, close, slack), reaches(close, middle, slack))
    return exposure(long, hold(above(close, middle + band, slack), reaches(middle, close, slack)) if short else None)
