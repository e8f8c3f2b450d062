"""Functions of the returns' distribution, its two sides against each other: no figure here is annualised.

Each takes the returns, shape (M,), or a `Sample` of them; see `sample` for what they may be.
"""

from __future__ import annotations

import numpy as np

from peak_trade.stats.sample import Sample, rate_per_period, sample_of
from peak_trade.stats.values import NOISE, Floats, NoValueError, finite, mean_of, or_undefined

__all__ = ["best_bar", "common_sense_ratio", "omega", "tail_ratio", "worst_bar"]


def _gained_and_lost(sample: Sample, threshold: float, reason: str) -> tuple[float, float]:
    """Return the mean of what lies above a threshold, and of what lies below it, both over all returns."""
    if threshold:
        excess = sample.returns - threshold
        gained, lost = mean_of(np.maximum(excess, 0.0)), -mean_of(np.minimum(excess, 0.0))
    else:
        gained, lost = sample.gained_and_lost
    if finite(lost) <= NOISE * (1.0 + abs(sample.mean)):
        raise NoValueError(reason)
    return finite(gained), lost


@or_undefined
def omega(returns: Floats | Sample, periods_per_year: float = 1.0, risk_free_rate: float = 0.0) -> float:
    """Omega ratio: what was gained above the risk-free rate for each unit that was lost below it.

    Formula: sum(max(excess, 0)) / sum(max(-excess, 0)), excess = returns - rate per bar. It is above 1 where the mean
    return is above the rate. At a rate of 0 `periods_per_year` has no part in it; empyrical and quantstats take a
    threshold of 0 where none is given.
    Source: C. Keating, W. Shadwick, "A Universal Performance Measure", Journal of Performance Measurement 6(3), 2002.

    >>> omega(np.array([0.03, -0.01, 0.01, -0.01]))
    2.0
    """
    sample = sample_of(returns)
    if len(sample.returns) == 0:
        raise NoValueError("fewer than two bars")
    rate = rate_per_period(risk_free_rate, periods_per_year) if risk_free_rate else 0.0
    gained, lost = _gained_and_lost(sample, rate, "no return below the risk-free rate")
    return gained / lost


def _tail_ratio(sample: Sample) -> float:
    low, high = sample.quantiles
    if low >= -NOISE:
        raise NoValueError("no losing tail")
    return high / -low


@or_undefined
def tail_ratio(returns: Floats | Sample) -> float:
    """How far the best twentieth of the returns begins from 0, for each unit that the worst twentieth does.

    Formula: 95 % quantile / |5 % quantile|, both linear between neighbours, as in `value_at_risk`. empyrical, pyfolio
    and quantstats take the absolute value of both: the same where there are gains and losses, while a sample that only
    loses has a negative ratio here, and one that only gains has none.
    Source: Quantopian's pyfolio, which has it under this name, and after it empyrical and quantstats.

    >>> tail_ratio(np.arange(-20, 61) / 64)
    3.5
    """
    return _tail_ratio(sample_of(returns))


@or_undefined
def common_sense_ratio(returns: Floats | Sample) -> float:
    """Common sense ratio: how gains compare with losses, on the whole times at the extremes.

    Formula: (sum of the returns above 0 / |sum of those below 0|) * tail_ratio. The first factor is the profit factor
    of the bars (`omega` at a threshold of 0), not `profit_factor`, which is that of the trades; as quantstats.
    Source: L. Bernut, "Algorithmic Short Selling with Python", Packt, 2021.

    >>> common_sense_ratio(np.array([0.03, -0.01, 0.03, -0.01]))
    9.0
    """
    sample = sample_of(returns)
    ratio = _tail_ratio(sample)
    gained, lost = _gained_and_lost(sample, 0.0, "no losing tail")
    return gained / lost * ratio


@or_undefined
def best_bar(returns: Floats | Sample) -> float:
    """Highest return of a bar.

    >>> best_bar(np.array([0.03, -0.01]))
    0.03
    """
    return float(_some(sample_of(returns).returns).max())


@or_undefined
def worst_bar(returns: Floats | Sample) -> float:
    """Lowest return of a bar.

    >>> worst_bar(np.array([0.03, -0.01]))
    -0.01
    """
    return float(_some(sample_of(returns).returns).min())


def _some(returns: Floats) -> Floats:
    if len(returns) == 0:
        raise NoValueError("fewer than two bars")
    return returns
