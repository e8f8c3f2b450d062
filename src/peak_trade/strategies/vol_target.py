"""Volatility target: hold less when the market moves more."""

from __future__ import annotations

import math
from typing import Annotated

import msgspec
import numpy as np

from peak_trade.market.bars import Bars
from peak_trade.strategies.rolling import lag, rolling_sum
from peak_trade.strategies.signals import Floats, Window

__all__ = ["vol_target"]

_DUST = 1e-9  # 1 / step is 2.9999999999999996 for some step of a third
_YEAR = np.timedelta64(31_557_600, "s")  # 365.25 days


def vol_target(
    bars: Bars,
    *,
    window: Window = 20,
    target_vol: Annotated[float, msgspec.Meta(gt=0, le=10)] = 0.15,
    step: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.05,
) -> Floats:
    """Hold `min(1, target_vol / realised volatility)`, rounded to the nearest multiple of `step`.

    The realised variance is the sum of the squared returns of the last `window` bars over the time they really took
    (nights, weekends and gaps included), in years of 365.25 days; its root and `target_vol` are fractions a year.
    `step` keeps a small change of volatility from trading on each bar; where it does not divide 1, the most that is
    held is its largest multiple below. A market that does not move at all has no volatility to bound: the most. The
    first `window` bars: 0.

    Source: Moreira and Muir (2017), "Volatility-Managed Portfolios", Journal of Finance 72(4), with volatility in place
    of variance and no leverage; realised variance as in Andersen, Bollerslev, Diebold and Labys (2003), "Modeling and
    Forecasting Realized Volatility", Econometrica 71(2).
    """
    returns = bars.close / lag(bars.close, 1) - 1.0
    years = np.full(len(bars), np.nan)
    years[window:] = (bars.timestamp[window:] - bars.timestamp[:-window]) / _YEAR
    realised = np.sqrt(rolling_sum(returns * returns, window) / years)
    most = math.floor(1.0 / step + _DUST)
    with np.errstate(divide="ignore"):
        multiple = np.minimum(np.rint(np.minimum(target_vol / realised, 1.0) / step), most)
    target: Floats = np.round(multiple * step, 15)  # 0.15 for 3 * 0.05, which is 0.15000000000000002
    target[:window] = 0.0
    return target
