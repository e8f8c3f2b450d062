"""How far each trade went against its holder, and for him, before it ended: pure functions of bars and trades.

A trade's extremes are looked for among the prices at which it is known to have been held:

- the high and the low of each bar that it was held through whole, from open to close. A fill at an open holds that bar
  whole, unless the trade ends within it, one at a close none of it; an exit at a close holds its own bar whole; one at
  an open, or at a stop's level within a bar, holds none of it, for what came before the exit and what after can't be
  told apart;
- the price of the exit's fill.

So what a bar of exit showed before a stop was hit is not counted, and no price counts that came after the exit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from peak_trade.market.bars import Floats
from peak_trade.market.trades import EXIT_REASONS

__all__ = ["excursions", "held_whole"]

Ints = npt.NDArray[np.int64]
_SIGNAL, _AT_THE_END = (EXIT_REASONS.index(reason) for reason in ("signal", "end_of_data"))


def held_whole(entry_bar: Ints, exit_bar: Ints, reason: npt.NDArray[Any], at_close: bool) -> tuple[Ints, Ints]:
    """Return the first bar that each of K trades was held through whole, and the one past the last.

    All have shape (K,); `reason` are indices of EXIT_REASONS, and `at_close` tells that signals fill at closes.
    """
    return entry_bar + at_close, exit_bar + ((reason == _AT_THE_END) | (at_close & (reason == _SIGNAL)))


def excursions(
    high: Floats,
    low: Floats,
    side: npt.NDArray[np.int8],
    start: Ints,
    entry_price: Floats,
    end: Ints,
    exit_price: Floats,
) -> tuple[Floats, Floats]:
    """Return the maximum adverse and the maximum favourable excursion (MAE, MFE) of K trades.

    `high` and `low` are those of the N bars; all else has shape (K,): `side` is +1 or -1, `start` and `end` are the
    first bar held whole and the one past the last (`held_whole`), the prices are those of the fills.

    Formula: side * (price / entry_price - 1), its lowest and its highest value over the prices that count (see the
    module) and the entry itself. Both are fractions of the entry price, before fees: MAE <= 0 <= MFE.
    Source: J. Sweeney, "Maximum Adverse Excursion", Wiley, 1997.

    >>> high, low = np.array([105.0, 120.0, 200.0]), np.array([90.0, 95.0, 50.0])
    >>> trade = np.array([1], np.int8), np.array([0]), np.array([100.0]), np.array([2]), np.array([110.0])
    >>> mae, mfe = excursions(high, low, *trade)  # out at the open of the third bar, at 110
    >>> mae.round(12), mfe.round(12)
    (array([-0.1]), array([0.2]))
    """
    lowest, highest = np.minimum(entry_price, exit_price), np.maximum(entry_price, exit_price)
    held = np.flatnonzero(end > start)
    if len(held):
        pieces = _Pieces(len(high), start[held], end[held])
        lowest[held] = np.minimum(lowest[held], pieces.over(np.minimum, low))
        highest[held] = np.maximum(highest[held], pieces.over(np.maximum, high))
    down, up = lowest / entry_price - 1.0, highest / entry_price - 1.0
    short = side < 0
    return np.where(short, -up, down) + 0.0, np.where(short, -down, up) + 0.0  # + 0.0: no -0.0


class _Pieces:
    """Ranges [start, end) of N bars, none of them empty, cut at each other's edges: a range is a row of pieces.

    So each bar is looked at once, however many ranges it is in.
    """

    def __init__(self, bars: int, start: Ints, end: Ints) -> None:
        marked = np.zeros(bars + 1, bool)
        marked[start] = marked[end] = True
        self.edges = np.flatnonzero(marked)
        place = np.empty(bars + 1, np.int64)
        place[self.edges] = np.arange(len(self.edges))
        self.first, self.last = place[start], place[end]

    def over(self, extreme: np.ufunc, values: Floats) -> Floats:
        """Return the extreme of the values over each range.

        A row of pieces is covered by two of the same length, a power of two, which doubling makes of the pieces: with
        K ranges that is K log K, whatever their length.
        """
        row: Floats = extreme.reduceat(values[: self.edges[-1]], self.edges[:-1])
        found, count = row[self.first], self.last - self.first
        most, size = int(count.max()), 1
        while size < most:
            row, size = extreme(row[:-size], row[size:]), size * 2  # row[i] is the extreme of `size` pieces from i on
            covered = np.flatnonzero((count >= size) & (count < 2 * size))
            found[covered] = extreme(row[self.first[covered]], row[self.last[covered] - size])
        return found
