"""Other bars in place of those that came after a moment: what a strategy decided before must not know the difference.

Their number and times stay as they were. A strategy that fits on a share of all bars, or draws a random number for
each, decides otherwise when there are fewer of them, and looks ahead no more than any other: here it does not.
"""

from __future__ import annotations

import numpy as np

from peak_trade.market.bars import Bars, Floats
from peak_trade.probe.lot import uniform

__all__ = ["HOW", "other_times", "others"]

HOW = ("mirrored", "above", "below")
"""The future upside down, or beyond all that was: by each, something differs that a leak could hang on."""


def others(bars: Bars, count: int, how: str, seed: int) -> Bars:
    """Return the first `count` bars, followed by as many other ones as there were."""
    rest = len(bars) - count
    if how == "mirrored":
        anchor = bars.close[count - 1] ** 2
        part = slice(count, None)
        open_, high, low, close = (anchor / x[part] for x in (bars.open, bars.low, bars.high, bars.close))
    else:
        lot = uniform(3 * rest, seed + count).reshape(3, rest)
        level = 1.3 * bars.high.max() if how == "above" else 0.7 * bars.low.min()
        steps = np.clip(np.cumsum(0.06 * (lot[0] - 0.5)), -3.0, 3.0)
        close = level * np.exp(steps if how == "above" else -np.abs(steps))
        if how == "above":
            close = np.maximum(close, level)
        open_ = np.concatenate([[level], close[:-1]])
        high, low = np.maximum(open_, close) * (1.0 + 0.02 * lot[1]), np.minimum(open_, close) / (1.0 + 0.02 * lot[2])
    volume = bars.volume[count:][::-1] * 1.5
    return Bars(
        timestamp=bars.timestamp.copy(),
        open=_after(bars.open, count, open_),
        high=_after(bars.high, count, high),
        low=_after(bars.low, count, low),
        close=_after(bars.close, count, close),
        volume=_after(bars.volume, count, volume),
        symbol=bars.symbol,
        timeframe=bars.timeframe,
    ).freeze()


def other_times(bars: Bars) -> Bars:
    """Return the same bars at another time of year, month, week and day."""
    made = bars.between(0, len(bars))
    return Bars(
        timestamp=made.timestamp + np.timedelta64(499 * 24 + 7, "h"),
        **{name: getattr(made, name) for name in ("open", "high", "low", "close", "volume", "symbol", "timeframe")},
    ).freeze()


def _after(column: Floats, count: int, values: Floats) -> Floats:
    return np.concatenate([column[:count], values])
