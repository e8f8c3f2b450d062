"""Does choosing the best of trials carry over to bars that it was not chosen by?"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from peak_trade.stats.values import NOISE, Floats, NoValueError

__all__ = ["Overfitting", "backtest_overfitting", "of_sums", "purged_paths", "symmetric_splits"]

BLOCKS = 16
_AT_ONCE = 4_000_000  # figures of splits and trials in memory


class Overfitting(NamedTuple):
    """The probability of backtest overfitting, of how many splits, trials and returns; and the winners' mean rank.

    A rank is a fraction: 1 of the best of the trials on the other half, 0.5 of one in the middle.
    """

    probability: float
    splits: int
    trials: int
    returns: int
    rank: float


def symmetric_splits(blocks: int) -> int:
    """Return in how many ways half of the blocks can be chosen.

    >>> symmetric_splits(16), symmetric_splits(10), symmetric_splits(8)
    (12870, 252, 70)
    """
    return math.comb(blocks, blocks // 2)


def purged_paths(groups: int, tested: int) -> tuple[int, int]:
    """Return the splits and the paths of a combinatorial purged cross-validation.

    Source: M. López de Prado, "Advances in Financial Machine Learning", 2018, section 12.4.

    >>> purged_paths(6, 2)
    (15, 5)
    """
    splits = math.comb(groups, tested)
    return splits, splits * tested // groups


def backtest_overfitting(returns: Floats, blocks: int = BLOCKS) -> Overfitting:
    """Return how often the best of the trials on one half of the bars is not above the median on the other.

    `returns` has shape (T, M): a column a trial. The bars are cut into `blocks` (even) of the same length, those of a
    rest at the end left out; each half of the blocks is taken once to choose by the Sharpe ratio, and the others to
    rank. Of trials that tie, the first is chosen, and each has the mean of their ranks. A trial whose returns do not
    vary in a half has the ratio 0 there: it has earned nothing, where other programs give up.
    Raises NoValueError for fewer than two trials, or fewer than two returns a block.
    Source: D. Bailey, J. Borwein, M. López de Prado, Q. Zhu, "The Probability of Backtest Overfitting", Journal of
    Computational Finance 20(4), 2017: combinatorially symmetric cross-validation. Its 12,780 splits are 12,870.
    """
    length, trials = len(returns) // blocks, returns.shape[1]
    if trials < 2:
        raise NoValueError("fewer than two trials with returns")
    if length < 2:
        raise NoValueError("too few bars to cut into blocks")
    used = returns[: length * blocks]
    used = used - used.mean(axis=0)  # so that sums of squares do not cancel
    offset = returns[: length * blocks].mean(axis=0)
    parts = used.reshape(blocks, length, trials)
    return _of_blocks(parts.sum(axis=1), (parts * parts).sum(axis=1), offset, np.full(blocks, float(length)))


def of_sums(sums: Floats, squares: Floats, counts: npt.NDArray[np.int64]) -> Overfitting:
    """Return what `backtest_overfitting` does, by the sums of the returns and of their squares in each block.

    Both have shape (S, M), a row a block, S even; `counts` (S,) are the returns of each block, which may differ.
    Raises NoValueError for fewer than two trials, or fewer than two returns a block.
    """
    if sums.shape[1] < 2:
        raise NoValueError("fewer than two trials with returns")
    if counts.min() < 2:
        raise NoValueError("too few bars to cut into blocks")
    offset, lengths = sums.sum(axis=0) / counts.sum(), counts.astype(np.float64)
    each = lengths[:, None]
    return _of_blocks(sums - each * offset, squares - 2.0 * offset * sums + each * offset * offset, offset, lengths)


def _of_blocks(sums: Floats, squares: Floats, offset: Floats, lengths: Floats) -> Overfitting:
    """Return what follows from sums of returns less `offset`, shape (S, M), of so many returns in each block."""
    blocks, trials = sums.shape
    chosen = np.zeros((symmetric_splits(blocks), blocks))
    for row, members in enumerate(itertools.combinations(range(blocks), blocks // 2)):
        chosen[row, list(members)] = 1.0
    step = max(_AT_ONCE // trials, 1)
    ranks = np.concatenate(
        [_ranks(chosen[at : at + step], sums, squares, offset, lengths) for at in range(0, len(chosen), step)]
    )
    share = ranks / (trials + 1.0)
    return Overfitting(float((share <= 0.5).mean()), len(chosen), trials, int(lengths.sum()), float(share.mean()))


def _ranks(chosen: Floats, sums: Floats, squares: Floats, offset: Floats, lengths: Floats) -> Floats:
    """Return the rank of each split's winner on the other half, from 1; the mean one where trials tie."""
    inside, outside = (
        _ratios(half @ sums, half @ squares, offset, (half @ lengths)[:, None]) for half in (chosen, 1.0 - chosen)
    )
    of_winner = np.take_along_axis(outside, inside.argmax(axis=1)[:, None], axis=1)
    below, same = (outside < of_winner).sum(axis=1), (outside == of_winner).sum(axis=1)
    return np.asarray(below + (same + 1) / 2.0)


def _ratios(sums: Floats, squares: Floats, offset: Floats, count: Floats) -> Floats:
    """Return Sharpe ratios per bar, from sums of returns less `offset`; 0 of returns that do not vary."""
    mean = sums / count
    deviation = np.sqrt(np.maximum(squares - sums * mean, 0.0) / (count - 1))
    mean = mean + offset
    return np.divide(mean, deviation, out=np.zeros_like(mean), where=deviation > 1e-6 * np.abs(mean) + NOISE)
