"""P-values held against the number of trials: what is left of a ratio when the chance of one false find is kept."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from peak_trade.stats.luck.track import normal_quantile
from peak_trade.stats.values import Floats, NoValueError

__all__ = ["haircut", "holm", "sidak"]


def sidak(p: float, trials: float) -> float:
    """Return the p-value of the best of so many independent trials.

    Formula: 1 - (1 - p)**N, by way of logarithms, so that small ones keep their digits.
    Source: Z. Šidák, "Rectangular Confidence Regions for the Means of Multivariate Normal Distributions",
    Journal of the American Statistical Association 62, 1967.

    >>> round(sidak(0.01, 10), 6)
    0.095618
    """
    return 1.0 if p >= 1.0 else -math.expm1(trials * math.log1p(-p))


def holm(p: Sequence[float] | Floats, trials: int | None = None) -> Floats:
    """Return p-values adjusted step by step, whatever the trials have to do with each other; shape as `p`.

    Formula: of the k-th smallest, the largest of (N - j + 1) p[j] over j up to k, and 1 at most. `trials` is N where
    there are more than have a p-value: those that failed, or nobody measured.
    Source: S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6(2),
    1979.

    >>> holm([0.01, 0.04, 0.03]).round(12).tolist()
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(p, np.float64)
    order = np.argsort(given, kind="stable")
    number = max(trials or 0, len(given))
    stepped = np.minimum(np.maximum.accumulate(given[order] * (number - np.arange(len(given)))), 1.0)
    adjusted = np.empty(len(given))
    adjusted[order] = stepped
    return adjusted


def haircut(adjusted: float, error: float) -> float:
    """Return the Sharpe ratio that would have a p-value by itself, at its standard error; 0 from one half on.

    Formula: Z(1 - p) times the standard error, which is some 1 / sqrt(T - 1) per bar. So the ratio of one trial alone
    is left as it is. Raises NoValueError for a p-value that is too small to be a number.
    Source: C. Harvey, Y. Liu, "Backtesting", Journal of Portfolio Management 42(1), 2015.

    >>> haircut(0.5, 0.1), round(haircut(0.05, 1 / 250**0.5), 4)
    (0.0, 0.104)
    """
    if adjusted >= 0.5:
        return 0.0
    if adjusted <= 0.0:
        raise NoValueError("not a finite number")
    return -normal_quantile(adjusted) * error
