"""The bars of a run as candles, few enough for a page: taken from its data, where that still is what the run read."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from peak_trade import places
from peak_trade.errors import PeakError
from peak_trade.evidence.manifest import RUN, SWEPT
from peak_trade.evidence.results import BARS
from peak_trade.market.bars import Bars
from peak_trade.report.carried import moments, whole
from peak_trade.report.run import RunFiles
from peak_trade.stats.values import Floats, Times
from peak_trade.trust import difference

__all__ = ["FROM_DATA", "IN_SIGHT", "MOST", "Candles", "candles", "grouped", "told"]

MOST, IN_SIGHT = 6_000, 300
"""Candles that a page has at most (of more bars, each covers several), and that are drawn at once."""
FROM_DATA = "from-data"
"""The class of what says on a page that more than the run's own files was read for it."""


class Candles(NamedTuple):
    """K candles: the middle of the time of each and its prices, all of shape (K,), and how many bars each covers.

    The last one may cover fewer. `none` says why there are none.
    """

    times: Times
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    bars: int
    none: str = ""

    def __len__(self) -> int:
        return len(self.times)


def candles(run: RunFiles) -> Candles:
    """Return the candles of a run from the first to the last time of its equity."""
    bars = None
    if run.kind not in (RUN, SWEPT):
        return _none("another engine had the bars, and kept none")
    if not run.seal.holds:
        return _none("the seal is broken, and bars are looked for by what it says")
    try:
        bars = difference.bars_of(difference.read(run.path), places.root(), run.path.parent / BARS)
    except PeakError:
        bars = None
    if bars is None:
        return _none("the data is not where the run found it, or is not what the run read")
    stamps = run.equity["timestamp"]
    inside = slice(*np.searchsorted(bars.timestamp, [stamps[0], stamps[-1] + np.timedelta64(1, "ns")]).tolist())
    return grouped(bars, inside)


def grouped(bars: Bars, inside: slice) -> Candles:
    """Return bars as at most so many candles: of each the first open, the highest high, lowest low and last close."""
    times, opens, highs, lows, closes = (
        getattr(bars, name)[inside] for name in ("timestamp", "open", "high", "low", "close")
    )
    count = max(math.ceil(len(times) / MOST), 1)
    starts = np.arange(0, len(times), count)
    if not len(starts):
        return _none("the data has no bars of the run's time")
    ends = np.minimum(starts + count, len(times)) - 1
    middle = times[starts] + (times[ends] - times[starts]) // 2
    high, low = np.maximum.reduceat(highs, starts), np.minimum.reduceat(lows, starts)
    first, last = opens[starts], closes[ends]
    good = np.isfinite(np.stack((first, high, low, last))).all(axis=0) & (low > 0.0)  # some bars are kept with faults
    return Candles(middle[good], first[good], high[good], low[good], last[good], count)


def _none(why: str) -> Candles:
    nothing = np.empty(0)
    return Candles(np.empty(0, "M8[ns]"), nothing, nothing, nothing, nothing, 1, why)


def told(found: Candles, digits: int) -> dict[str, Any]:
    """Return candles as a page carries them: times as `moments`, prices as multiples of 10 ** -digits.

    `o` is from the close before, `c` from the open, `h` and `l` from the body: small numbers.
    """
    columns = [[whole(value, digits) for value in column.tolist()] for column in found[1:5]]
    parts: dict[str, list[int]] = {name: [] for name in "ohlc"}
    before = 0
    for row in zip(*columns, strict=True):
        opened, high, low, close = (0 if value is None else value for value in row)
        steps = (opened - before, high - max(opened, close), min(opened, close) - low, close - opened)
        for part, step in zip(parts.values(), steps, strict=True):
            part.append(step)
        before = close
    return parts | {"t": moments(found.times), "bars": found.bars}
