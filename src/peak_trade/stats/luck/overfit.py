"""Does choosing the best of trials carry over to bars that it was not chosen by?"""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

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
    offset = used.mean(axis=0)
    parts = (used - offset).reshape(blocks, length, trials)  # so that sums of squares do not cancel
    return _overfitting(parts.sum(axis=1), (parts * parts).sum(axis=1), offset, np.full(blocks, float(length)))


def of_sums(sums: Floats, squares: Floats, counts: npt.NDArray[Any]) -> Overfitting:
    """Return the same of trials of which no returns are kept, but their sums and sums of squares in each block.

    `sums` and `squares` have shape (blocks, M), `counts`, the returns in each block, (blocks,): they are all that a
    Sharpe ratio over any of the blocks together needs. Blocks need not be of one length, and none is left out.
    Raises NoValueError as `backtest_overfitting` does.
    """
    if sums.shape[1] < 2:
        raise NoValueError("fewer than two trials with returns")
    if counts.min() < 2:
        raise NoValueError("too few bars to cut into blocks")
    offset, count = sums.sum(axis=0) / counts.sum(), counts[:, None]
    centred = np.maximum(squares - 2.0 * offset * sums + count * offset * offset, 0.0)
    return _overfitting(sums - count * offset, centred, offset, counts.astype(np.float64))


def _overfitting(sums: Floats, squares: Floats, offset: Floats, counts: Floats) -> Overfitting:
    """Go through all splits; sums, shape (blocks, M), are those of returns less `offset`, shape (M,)."""
    blocks, trials = sums.shape
    splits = symmetric_splits(blocks)
    chosen = np.zeros((splits // 2, blocks))  # of each pair of halves, which is two splits, that with the first block
    for row, members in zip(range(splits // 2), itertools.combinations(range(blocks), blocks // 2), strict=False):
        chosen[row, list(members)] = 1.0
    step, ranks = max(_AT_ONCE // trials, 1), []
    for at in range(0, len(chosen), step):
        one, other = (
            _ratios(half @ sums, half @ squares, offset, (half @ counts)[:, None])
            for half in (chosen[at : at + step], 1.0 - chosen[at : at + step])
        )
        ranks += [_ranks(one, other), _ranks(other, one)]
    share = np.concatenate(ranks) / (trials + 1.0)
    return Overfitting(float((share <= 0.5).mean()), splits, trials, int(counts.sum()), float(share.mean()))


def _ranks(inside: Floats, outside: Floats) -> Floats:
    """Return the rank of each split's winner on the other half, from 1; the mean one where trials tie."""
    of_winner = np.take_along_axis(outside, inside.argmax(axis=1)[:, None], axis=1)
    below, same = (outside < of_winner).sum(axis=1), (outside == of_winner).sum(axis=1)
    return np.asarray(below + (same + 1) / 2.0)


def _ratios(sums: Floats, squares: Floats, offset: Floats, count: Floats) -> Floats:
    """Return Sharpe ratios per bar, from sums of `count` returns less `offset`; 0 of returns that do not vary."""
    mean = sums / count
    deviation = np.sqrt(np.maximum(squares - sums * mean, 0.0) / (count - 1))
    mean = mean + offset
    return np.divide(mean, deviation, out=np.zeros_like(mean), where=deviation > 1e-6 * np.abs(mean) + NOISE)
