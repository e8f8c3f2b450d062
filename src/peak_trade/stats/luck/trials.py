"""What the number of trials takes from the best of them: among enough trials of nothing, one looks like something."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from peak_trade.stats.luck.track import Track, above, normal_cdf, normal_quantile
from peak_trade.stats.values import NOISE, Floats, NoValueError, or_undefined

__all__ = [
    "Effective",
    "deflated",
    "effective_number",
    "expected_maximum",
    "hurdle",
    "most_trials",
    "shortest_backtest",
]

EULER = 0.5772156649015329
"""The Euler-Mascheroni constant."""


def expected_maximum(trials: float) -> float:
    """Return what the largest of independent standard normals is to be expected at, by extreme value theory.

    Formula: (1 - g) Z(1 - 1/N) + g Z(1 - 1/(N e)), g Euler's constant; 0 of one. N need not be whole.
    Source: D. Bailey, J. Borwein, M. López de Prado, Q. Zhu, "Pseudo-Mathematics and Financial Charlatanism",
    Notices of the AMS 61(5), 2014.

    >>> round(expected_maximum(10), 2), expected_maximum(1)
    (1.57, 0.0)
    """
    if trials <= 1.0:
        return 0.0
    high, higher = -normal_quantile(1.0 / trials), -normal_quantile(1.0 / (trials * math.e))  # 1 - p loses digits
    return max((1.0 - EULER) * high + EULER * higher, 0.0)


def hurdle(variance: float, trials: float) -> float:
    """Return the Sharpe ratio that the best of so many trials without skill would have: SR0.

    Formula: sqrt(V) E[max]; `variance` is that of the trials' Sharpe ratios, and the result is in its units, per bar or
    per year. Source: as for `deflated`.

    >>> round(hurdle(0.5 / 250, 100), 4)
    0.1132
    """
    return math.sqrt(variance) * expected_maximum(trials)


@or_undefined
def deflated(track: Track, variance: float, trials: float) -> float:
    """Probability that the true Sharpe ratio is above 0, of the best of so many trials: the deflated Sharpe ratio.

    Formula: the probabilistic Sharpe ratio of 2012 against `hurdle`; `variance` is that of the trials' ratios per bar.
    Source: D. Bailey, M. López de Prado, "The Deflated Sharpe Ratio", Journal of Portfolio Management 40(5), 2014.

    >>> round(deflated(Track(2.5 / 250**0.5, 1250, -3.0, 10.0), 0.5 / 250, 100), 4)
    0.9004
    """
    return normal_cdf(above(track, hurdle(variance, trials)))


def shortest_backtest(trials: float, ratio: float = 1.0) -> float:
    """Return how many years there have to be, so that the best of so many trials without skill stays below `ratio`.

    Formula: (E[max] / ratio)**2, `ratio` a year; its upper bound is 2 ln N / ratio**2.
    Source: as for `expected_maximum` (minimum backtest length).

    >>> round(shortest_backtest(45), 2)
    5.0
    """
    return (expected_maximum(trials) / ratio) ** 2


def most_trials(years: float, ratio: float = 1.0) -> int:
    """Return the most trials after which so many years are still enough, by `shortest_backtest`; a million at most.

    >>> most_trials(5)
    45
    """
    low, high = 1, 1_000_001
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if shortest_backtest(middle, ratio) <= years else (low, middle)
    return low


class Effective(NamedTuple):
    """How many independent trials M trials are worth, by two estimators; `correlation` is the mean one of pairs."""

    correlation: float
    by_correlation: float
    by_spectrum: float


def effective_number(returns: Floats) -> Effective:
    """Return how many independent trials the columns of `returns`, shape (T, M), are worth.

    By correlation: r + (1 - r) M, r the mean correlation of two trials (not below 0).
    By spectrum: (sum of eigenvalues)**2 / sum of their squares of the correlation matrix, which is M**2 / the sum of
    its squared entries; of each squared correlation what chance alone gives to it is taken off, (1 - r**2) / (T - 2).
    A trial whose returns do not vary is none. Raises NoValueError where fewer than two are left, or three returns.
    Sources: Bailey and López de Prado 2014 (see `deflated`), appendix A.3; C. Bretherton et al., "The Effective Number
    of Spatial Degrees of Freedom of a Time-Varying Field", Journal of Climate 12(7), 1999.

    >>> one = np.array([0.01, -0.01, 0.03, -0.02, 0.005])
    >>> [round(float(number), 12) for number in effective_number(np.column_stack([one, one, 2 * one]))]
    [1.0, 1.0, 1.0]
    """
    centred = returns - returns.mean(axis=0)
    size = np.sqrt((centred * centred).sum(axis=0))
    varies = size > NOISE * math.sqrt(len(returns)) * (1.0 + np.abs(returns.mean(axis=0)))
    scaled = centred[:, varies] / size[varies]
    count, trials = scaled.shape
    if trials < 2:
        raise NoValueError("fewer than two trials with returns")
    if count < 3:
        raise NoValueError("too few returns to draw from")
    pairs = trials * (trials - 1)
    matrix = scaled.T @ scaled
    np.fill_diagonal(matrix, 0.0)
    mean = min(max(float(matrix.sum()) / pairs, 0.0), 1.0)
    squares = matrix * matrix
    squares -= (1.0 - squares) / (count - 2) if count > 3 else 0.0
    np.fill_diagonal(squares, 0.0)
    by_spectrum = trials * trials / (trials + max(float(squares.sum()), 0.0))
    return Effective(mean, mean + (1.0 - mean) * trials, by_spectrum)
