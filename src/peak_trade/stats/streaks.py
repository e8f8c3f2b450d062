"""Functions of the closed trades in their order, and of how each of them went: `pnl` and the like have shape (K,)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from peak_trade.stats.closed import Pnl, pnl_of
from peak_trade.stats.values import Floats, NoValueError, mean_of, or_undefined

__all__ = [
    "average_mae",
    "average_mfe",
    "exits",
    "longest_losing_streak",
    "longest_winning_streak",
    "pnl_of_exits",
]


@or_undefined
def longest_winning_streak(pnl: Floats | Pnl) -> int:
    """Most trades in a row, in the order of their exits, that won; one that ends at exactly 0 breaks the row.

    quantstats' consecutive_wins counts bars, not trades.

    >>> longest_winning_streak(np.array([5.0, 1.0, 0.0, 2.0, -1.0]))
    2
    """
    return _longest(pnl_of(pnl).won)


@or_undefined
def longest_losing_streak(pnl: Floats | Pnl) -> int:
    """Most trades in a row, in the order of their exits, that lost; one that ends at exactly 0 breaks the row.

    >>> longest_losing_streak(np.array([5.0, -1.0, -2.0, -3.0, 1.0]))
    3
    """
    return _longest(pnl_of(pnl).lost)


def _longest(which: npt.NDArray[np.bool_]) -> int:
    if len(which) == 0:
        raise NoValueError("no trades")
    turns = np.flatnonzero(which[1:] != which[:-1]) + 1
    lengths = np.diff(np.concatenate(([0], turns, [len(which)])))  # of rows that are and that are not, in turns
    return int(lengths[0 if which[0] else 1 :: 2].max(initial=0))


@or_undefined
def exits(exit_reason: npt.NDArray[np.int8], reason: int) -> int:
    """Number of trades that ended for a reason, which is an index into `EXIT_REASONS`.

    >>> exits(np.array([0, 1, 1, 4], np.int8), 1)
    2
    """
    return int(np.count_nonzero(exit_reason == reason))


@or_undefined
def pnl_of_exits(pnl: Floats, exit_reason: npt.NDArray[np.int8], reason: int) -> float:
    """Sum of the net profit of the trades that ended for a reason, which is an index into `EXIT_REASONS`.

    >>> pnl_of_exits(np.array([50.0, -20.0, -5.0, 10.0]), np.array([0, 1, 1, 4], np.int8), 1)
    -25.0
    """
    return float(np.add.reduce(pnl[exit_reason == reason]))


@or_undefined
def average_mae(mae: Floats | None) -> float:
    """Mean maximum adverse excursion of the trades; `peak_trade.market.excursions` says what one is.

    Each trade counts the same, as in `expectancy`, whatever its size. None are the excursions of trades that have none.

    >>> average_mae(np.array([-0.25, 0.0]))
    -0.125
    """
    return _mean(mae)


@or_undefined
def average_mfe(mfe: Floats | None) -> float:
    """Mean maximum favourable excursion of the trades; see `average_mae`.

    >>> average_mfe(np.array([0.25, 0.0]))
    0.125
    """
    return _mean(mfe)


def _mean(excursion: Floats | None) -> float:
    if excursion is None:
        raise NoValueError("no excursions")
    if len(excursion) == 0:
        raise NoValueError("no trades")
    return mean_of(excursion)
