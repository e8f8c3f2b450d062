"""Other bars in place of those that came after a moment: what a strategy decided before must not know the difference.

Their number and times stay as they were. A strategy that fits on a share of all bars, or draws a random number for
each, decides otherwise when there are fewer of them, and looks ahead no more than any other: here it does not.
"""

from __future__ import annotations

import numpy as np

from peak_trade.market.bars import Bars, Floats
from peak_trade.probe.lot import uniform

__all__ = ["HOW", "nearly", "other_times", "others"]

HOW = ("mirrored", "above", "below")
"""The future upside down, or beyond all that was: by each, something differs that a leak could hang on."""
_SLIGHTLY = 2e-7  # of a price: the last digit that a float32 keeps


def others(bars: Bars, count: int, how: str, seed: int) -> Bars:
    """Return the first `count` bars, followed by as many other ones as there were."""
    rest, part = len(bars) - count, slice(count, None)
    if how == "mirrored":
        anchor, volume = bars.close[count - 1] ** 2, bars.volume[part][::-1] * 1.5
        open_, high, low, close = (anchor / x[part] for x in (bars.open, bars.low, bars.high, bars.close))
    else:
        level, side = (1.3 * bars.high.max(), 1.0) if how == "above" else (0.7 * bars.low.min(), -1.0)
        lot = uniform(rest, seed + count)
        steps = np.abs(np.clip(np.cumsum(0.06 * (lot - 0.5)), -3.0, 3.0))
        close = level * np.exp(side * steps)
        open_ = np.concatenate([[level], close[:-1]])
        wide = 1.0 + 0.01 * lot
        high, low = np.maximum(open_, close), np.minimum(open_, close)
        high, low = (high * wide, low) if how == "above" else (high, low / wide)  # beyond the level on its own side
        volume = (2.0 + lot) * bars.volume.max() if how == "above" else 0.5 * lot * bars.volume.min()
    columns = {"open": open_, "high": high, "low": low, "close": close, "volume": volume}
    return Bars(
        timestamp=bars.timestamp,
        **{name: _after(getattr(bars, name), count, column) for name, column in columns.items()},
        symbol=bars.symbol,
        timeframe=bars.timeframe,
    ).apart()


def other_times(bars: Bars) -> Bars:
    """Return the same bars at another time of year, month, week and day."""
    made = bars.between(0, len(bars))
    return Bars(
        timestamp=made.timestamp + np.timedelta64(499 * 24 + 7, "h"),
        **{name: getattr(made, name) for name in ("open", "high", "low", "close", "volume", "symbol", "timeframe")},
    ).freeze()


def nearly(bars: Bars, seed: int, side: float) -> Bars:
    """Return the same bars but for the last digits of their prices and volumes, each by lot to one `side` or, by -1.0,
    to the other."""
    lots = (uniform(len(bars), seed + shift) for shift in (0, 1))
    prices, volumes = (1.0 + side * _SLIGHTLY * (2.0 * lot - 1.0) for lot in lots)
    columns = {name: getattr(bars, name) * prices for name in ("open", "high", "low", "close")}
    return Bars(
        timestamp=bars.timestamp,
        **columns,
        volume=bars.volume * volumes,
        symbol=bars.symbol,
        timeframe=bars.timeframe,
    ).freeze()


def _after(column: Floats, count: int, values: Floats) -> Floats:
    """Return a column of frozen bars with other values after the first `count`, as frozen."""
    content: bytes = column.base  # type: ignore[assignment] # as of all frozen bars
    return np.frombuffer(b"".join((memoryview(content)[: count * column.itemsize], np.ascontiguousarray(values).data)))
