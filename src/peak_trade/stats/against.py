"""Functions of the returns beside a benchmark's returns over the same bars; see `sample` for what each may be."""

from __future__ import annotations

import math

import numpy as np

from peak_trade.stats.sample import Sample, rate_per_period, sample_of
from peak_trade.stats.values import NOISE, Floats, NoValueError, or_undefined

__all__ = ["alpha", "beta", "information_ratio"]


def _beta(returns: Sample, benchmark: Sample) -> float:
    if benchmark.deviation == 0.0:
        raise NoValueError("benchmark returns do not vary")
    return returns.covariance(benchmark) / benchmark.deviation**2


@or_undefined
def beta(returns: Floats | Sample, benchmark: Floats | Sample) -> float:
    """Slope of the returns on the benchmark's.

    Formula: cov(returns, benchmark) / var(benchmark).
    Source: W. F. Sharpe, "Capital Asset Prices", Journal of Finance 19(3), 1964.

    >>> market = np.array([0.01, -0.02, 0.03])
    >>> round(beta(market / 2 + 0.001, market), 12)
    0.5
    """
    return _beta(sample_of(returns), sample_of(benchmark))


@or_undefined
def alpha(
    returns: Floats | Sample, benchmark: Floats | Sample, periods_per_year: float, risk_free_rate: float = 0.0
) -> float:
    """Jensen's alpha per year: the return that the benchmark and `beta` do not explain.

    Formula: (mean(returns) - rate - beta (mean(benchmark) - rate)) * periods_per_year, with the rate per bar.
    It is annualised by multiplication, as in quantstats; empyrical compounds: (1 + alpha per bar) ** periods - 1.
    Source: M. Jensen, "The Performance of Mutual Funds in the Period 1945-1964", Journal of Finance 23(2), 1968.

    >>> market = np.array([0.01, -0.02, 0.03])
    >>> round(alpha(market / 2 + 0.001, market, 252), 12)
    0.252
    """
    ours, theirs = sample_of(returns), sample_of(benchmark)
    rate = rate_per_period(risk_free_rate, periods_per_year)
    return (ours.mean - rate - _beta(ours, theirs) * (theirs.mean - rate)) * periods_per_year


@or_undefined
def information_ratio(returns: Floats | Sample, benchmark: Floats | Sample, periods_per_year: float) -> float:
    """Sharpe ratio of the difference from the benchmark, annualised.

    Formula: mean(active) / std(active, ddof=1) * sqrt(periods_per_year), active = returns - benchmark.
    empyrical's excess_sharpe and quantstats' information_ratio are the same per bar, not annualised.
    Source: R. Grinold, R. Kahn, "Active Portfolio Management", 2nd edition, 2000, chapter 5.

    >>> round(information_ratio(np.array([0.03, 0.01, 0.05, 0.03]), np.full(4, 0.02), 6), 12)
    1.5
    """
    ours, theirs = sample_of(returns), sample_of(benchmark)
    active = Sample(np.subtract(ours.returns, theirs.returns))
    if active.deviation <= NOISE * (1.0 + abs(ours.mean)):
        raise NoValueError("active returns do not vary")
    return active.mean / active.deviation * math.sqrt(periods_per_year)
