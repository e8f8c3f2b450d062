"""RSI reversion: buy what has fallen too fast, until it has recovered."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from peak_trade.market.bars import Bars
from peak_trade.strategies.rolling import most_slack, wilder, wilder_slack
from peak_trade.strategies.signals import Floats, Window, above, exposure, hold, in_doubt, reaches

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

    An RSI of exactly a level, in decimals, is neither below nor above it. `short` holds -1 from an RSI above `upper`
    until it is back at 50 (`upper` matters only then). The first `period` bars: 0.

    Source: the oversold and overbought levels of Wilder (1978), "New Concepts in Technical Trading Systems".
    """
    gains, both = _averages(bars.close, period)
    strength, slack = _share(gains, both), np.zeros(len(bars))
    most = 300.0 * most_slack(bars.close, 1) / both.min(where=both >= _NOTHING, initial=np.inf)
    if any(in_doubt(strength - level, most) for level in (lower, 50.0, upper)):  # of the gains, and of all, in points
        slack = 300.0 * wilder_slack(bars.close, period) / np.maximum(both, _NOTHING)
    long = hold(above(-strength, -lower, slack), reaches(strength, 50.0, slack))
    return exposure(long, hold(above(strength, upper, slack), reaches(-strength, -50.0, slack)) if short else None)


def rsi(close: Floats, period: int) -> Floats:
    """Return Wilder's relative strength index, 0 to 100: the share of the gains in all changes of `close`, averaged.

    `100 gains / (gains + losses)`, each Wilder's average over `period`; 50 where the close has never changed, or too
    long ago for anything to be left of it. The first `period` values are NaN: as many changes need one close more.

    Source: Wilder (1978), whose `100 - 100 / (1 + gains / losses)` this is.

    >>> rsi(np.array([10.0, 11.0, 10.0, 13.0]), 2).tolist()
    [nan, nan, 50.0, 87.5]
    """
    return _share(*_averages(close, period))


def _averages(close: Floats, period: int) -> tuple[Floats, Floats]:
    """Return Wilder's average of the gains, and of all changes."""
    change = np.diff(close)
    gains, losses = np.full((2, len(close)), np.nan)
    gains[1:], losses[1:] = wilder(np.maximum(change, 0.0), period), wilder(np.maximum(-change, 0.0), period)
    return gains, gains + losses


def _share(gains: Floats, both: Floats) -> Floats:
    with np.errstate(invalid="ignore"):  # 0 / 0
        return np.where(both < _NOTHING, 50.0, 100.0 * gains / both)
