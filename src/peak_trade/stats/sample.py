"""Functions of the returns: M simple returns per bar, as fractions, float64 and finite, of shape (M,).

Each takes the array itself, or a `Sample` of it where several figures share the work.

A risk-free rate is given per year and turned into a rate per bar geometrically, as quantstats and ffn do:
(1 + rate) ** (1 / periods_per_year) - 1. Libraries that divide (rate / periods_per_year) subtract a little more
per bar: 0.01984 % instead of 0.01936 % at 5 % a year and 252 bars; empyrical wants the rate per bar from its caller.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from peak_trade.errors import InputError
from peak_trade.stats.values import NOISE, Floats, NoValueError, finite, mean_of, or_undefined

__all__ = [
    "Sample",
    "check_rates",
    "expected_shortfall",
    "kurtosis",
    "probabilistic_sharpe",
    "rate_per_period",
    "sample_of",
    "sharpe",
    "skew",
    "sortino",
    "value_at_risk",
    "volatility",
]

TAIL = 0.05  # the worst twentieth: what 95 % confidence leaves out


class Sample:
    """Returns with their moments, each worked out once, when it is first asked for.

    Sums are NumPy's pairwise ones: accurate, and in a fixed order, unlike a dot product that a BLAS may split.
    """

    def __init__(self, returns: Floats) -> None:
        self.returns = returns
        self._beside: tuple[Sample, float] | None = None

    @cached_property
    def mean(self) -> float:
        """Arithmetic mean; needs one return."""
        if len(self.returns) == 0:
            raise NoValueError("fewer than two bars")
        return finite(mean_of(self.returns))

    @cached_property
    def centred(self) -> Floats:
        """Returns less their mean, shape (M,)."""
        return self.returns - self.mean

    @cached_property
    def deviation(self) -> float:
        """Sample standard deviation (ddof = 1), and exactly 0 where the returns differ by rounding only."""
        if len(self.returns) < 2:
            raise NoValueError("fewer than two bars" if len(self.returns) == 0 else "fewer than two returns")
        deviation = finite(math.sqrt((self.centred * self.centred).sum() / (len(self.returns) - 1)))
        return deviation if deviation > NOISE * (1.0 + abs(self.mean)) else 0.0

    @cached_property
    def shape(self) -> tuple[float, float]:
        """Skew and excess kurtosis; see `skew` and `kurtosis`."""
        if self.deviation == 0.0:
            raise NoValueError("returns do not vary")
        count = len(self.returns)
        # in units of the population's standard deviation (ddof = 0), so that the fourth power cannot overflow
        scaled = self.centred / (self.deviation * math.sqrt((count - 1) / count))
        squared = scaled * scaled
        scaled *= squared
        skew = mean_of(scaled)
        squared *= squared
        return skew, mean_of(squared) - 3.0

    @cached_property
    def losses(self) -> Floats:
        """The returns below 0, and 0 in place of the others, shape (M,)."""
        return np.minimum(self.returns, 0.0)

    @cached_property
    def gained_and_lost(self) -> tuple[float, float]:
        """The mean of the returns above 0, and of those below it, both over all returns; needs one return."""
        return mean_of(np.maximum(self.returns, 0.0)), -mean_of(self.losses)

    def covariance(self, other: Sample) -> float:
        """Covariance with as many other returns (ddof = 1), kept for the last that were asked for."""
        if self._beside is None or self._beside[0] is not other:
            self._beside = other, float((self.centred * other.centred).sum() / (len(self.returns) - 1))
        return self._beside[1]

    @cached_property
    def tails(self) -> tuple[Floats, Floats]:
        """The worst returns from the worst on, and the best ones from the best on.

        Each are the ceil(M / 20) at its end, and the next one to them, if any, which the quantile may lie short of.
        """
        last = len(self.returns) - 1
        if last < 0:
            raise NoValueError("fewer than two bars")
        next_one = min(int(TAIL * last) + 1, last)
        parted = np.partition(self.returns, sorted({next_one, last - next_one}))
        return np.sort(parted[: next_one + 1]), np.sort(parted[last - next_one :])[::-1]

    @cached_property
    def quantiles(self) -> tuple[float, float]:
        """The 5 % and the 95 % quantile, linear between neighbours; see `value_at_risk`."""
        place = TAIL * (len(self.returns) - 1)
        low, high = (
            float(tail[int(place)] + (tail[-1] - tail[int(place)]) * (place - int(place))) for tail in self.tails
        )
        return low, high


def sample_of(returns: Floats | Sample) -> Sample:
    """Return the `Sample` of `returns`, which may be one already."""
    return returns if isinstance(returns, Sample) else Sample(returns)


def check_rates(risk_free_rate: float, periods_per_year: float) -> None:
    """Raise `InputError` for a rate of -1 or below, and for a number of periods that is not above 0."""
    if not (math.isfinite(risk_free_rate) and risk_free_rate > -1.0):
        raise InputError(f"the risk-free rate is {risk_free_rate}, not a fraction per year above -1")
    if not (math.isfinite(periods_per_year) and periods_per_year > 0.0):
        raise InputError(f"periods per year is {periods_per_year}, not a number above 0")


def rate_per_period(risk_free_rate: float, periods_per_year: float) -> float:
    """Turn a rate per year into the rate per bar that compounds to it; for errors see `check_rates`.

    >>> round(rate_per_period(0.1025, 2), 12)
    0.05
    """
    check_rates(risk_free_rate, periods_per_year)
    return math.expm1(math.log1p(risk_free_rate) / periods_per_year)


@or_undefined
def volatility(returns: Floats | Sample, periods_per_year: float) -> float:
    """Annualised standard deviation of the returns.

    Formula: std(returns, ddof=1) * sqrt(periods_per_year). Exactly 0 for returns that do not vary.

    >>> round(volatility(np.array([0.01, -0.01, 0.03, 0.01]), 6), 12)
    0.04
    """
    return sample_of(returns).deviation * math.sqrt(periods_per_year)


@or_undefined
def sharpe(returns: Floats | Sample, periods_per_year: float, risk_free_rate: float = 0.0) -> float:
    """Sharpe ratio, annualised.

    Formula: (mean(returns) - rate per bar) / std(returns, ddof=1) * sqrt(periods_per_year);
    the rate per bar is geometric (see the module).
    Source: W. F. Sharpe, "The Sharpe Ratio", Journal of Portfolio Management 21(1), 1994.

    >>> round(sharpe(np.array([0.01, -0.01, 0.03, 0.01]), 6), 12)
    1.5
    >>> sharpe(np.full(250, 0.001), 252)
    Undefined(reason='returns do not vary')
    """
    return _ratio(sample_of(returns), rate_per_period(risk_free_rate, periods_per_year)) * math.sqrt(periods_per_year)


def _ratio(sample: Sample, rate: float) -> float:
    """Sharpe ratio per bar."""
    if sample.deviation == 0.0:
        raise NoValueError("returns do not vary")
    return (sample.mean - rate) / sample.deviation


@or_undefined
def sortino(returns: Floats | Sample, periods_per_year: float, risk_free_rate: float = 0.0) -> float:
    """Sortino ratio, annualised: the Sharpe ratio with the downside deviation, over all bars, as its divisor.

    Formula: mean(excess) / sqrt(mean(min(excess, 0) ** 2)) * sqrt(periods_per_year), excess = returns - rate per bar.
    Source: F. Sortino, L. Price, "Performance Measurement in a Downside Risk Framework",
    Journal of Investing 3(3), 1994.

    >>> sortino(np.array([0.02, -0.02, 0.04, 0.0]), 4)
    2.0
    """
    sample = sample_of(returns)
    rate = rate_per_period(risk_free_rate, periods_per_year)
    excess = sample.mean - rate
    loss = np.minimum(sample.returns - rate, 0.0) if rate else sample.losses
    downside = finite(math.sqrt(mean_of(loss * loss)))
    if downside <= NOISE * (1.0 + abs(sample.mean)):
        raise NoValueError("no return below the risk-free rate")
    return excess / downside * math.sqrt(periods_per_year)


@or_undefined
def skew(returns: Floats | Sample) -> float:
    """Skewness of the returns, as of a population (g1): negative where the losses have the longer tail.

    Formula: mean(((returns - mean) / std(ddof=0)) ** 3), as scipy.stats.skew; pandas and quantstats correct
    for bias, a factor of sqrt(m (m-1)) / (m-2).
    Source: D. Joanes, C. Gill, "Comparing measures of sample skewness and kurtosis", The Statistician 47(1), 1998.

    >>> round(skew(np.array([-0.03, 0.01, 0.01, 0.01])), 12)
    -1.154700538379
    """
    return sample_of(returns).shape[0]


@or_undefined
def kurtosis(returns: Floats | Sample) -> float:
    """Excess kurtosis of the returns, as of a population (g2): 0 for normal returns, above it for fat tails.

    Formula: mean(((returns - mean) / std(ddof=0)) ** 4) - 3, as scipy.stats.kurtosis; pandas and quantstats
    correct for bias. Source: as for `skew`.

    >>> round(kurtosis(np.array([-0.01, 0.01, -0.01, 0.01])), 12)
    -2.0
    """
    return sample_of(returns).shape[1]


@or_undefined
def value_at_risk(returns: Floats | Sample) -> float:
    """Value at risk at 95 %, historical: the return that one bar in twenty falls below; a loss is negative.

    Formula: the 5 % quantile of the returns, linear between neighbours, as numpy.percentile and empyrical.
    quantstats and ffn take a normal distribution's quantile instead.
    Source: R. Hyndman, Y. Fan, "Sample Quantiles in Statistical Packages", type 7,
    The American Statistician 50(4), 1996.

    >>> value_at_risk(np.arange(-20, 21) / 64)
    -0.28125
    """
    return sample_of(returns).quantiles[0]


@or_undefined
def expected_shortfall(returns: Floats | Sample) -> float:
    """Expected shortfall at 95 %, historical: the mean of the worst twentieth of the returns; a loss is negative.

    Formula: mean of the ceil(m / 20) lowest of m returns. They are counted, not compared with a quantile: of several
    that tie at the end only as many are in as the count has room for. So it is the estimator by order statistics of
    Acerbi and Tasche, whose point it is that the mean of all returns at or below the value at risk, as quantstats takes
    (method "historical"), is another number where returns tie. They round the count down, which leaves none of fewer
    than 20; we round it up, as empyrical does. Rockafellar and Uryasev weigh the last return by the part of it that
    fills the twentieth. Where m / 20 is whole, all of them but quantstats agree.
    Source: C. Acerbi, D. Tasche, "On the coherence of expected shortfall", Journal of Banking & Finance 26(7), 2002;
    R. Rockafellar, S. Uryasev, "Conditional value-at-risk for general loss distributions", in the same issue.

    >>> expected_shortfall(np.arange(-20, 21) / 64)
    -0.296875
    >>> expected_shortfall(np.repeat([-0.5, -0.25, 0.125], [1, 5, 34]))  # of 40: the lowest and one of the five
    -0.375
    """
    sample = sample_of(returns)
    return mean_of(sample.tails[0][: int(TAIL * (len(sample.returns) - 1)) + 1])


@or_undefined
def probabilistic_sharpe(returns: Floats | Sample, periods_per_year: float, risk_free_rate: float = 0.0) -> float:
    """Probability that the true Sharpe ratio is above 0, given this many returns with this skew and kurtosis.

    Formula: Phi(S sqrt(m-1) / sqrt(1 - g1 S + (g2 + 2) / 4 * S ** 2)), where S is the Sharpe ratio per bar,
    not annualised, g1 the skew, g2 the excess kurtosis (the paper's is g2 + 3) and Phi the normal distribution
    function. quantstats differs by its bias-corrected skew and kurtosis.
    Source: D. Bailey, M. Lopez de Prado, "The Sharpe Ratio Efficient Frontier", Journal of Risk 15(2), 2012.

    >>> probabilistic_sharpe(np.array([-0.01, 0.01, -0.01, 0.01]), 252)
    0.5
    """
    sample = sample_of(returns)
    ratio = _ratio(sample, rate_per_period(risk_free_rate, periods_per_year))
    skew, kurtosis = sample.shape
    variance = finite(1.0 - skew * ratio + (kurtosis + 2.0) / 4.0 * ratio * ratio)
    if variance <= 0.0:
        raise NoValueError("the standard error is zero")
    z = ratio * math.sqrt((len(sample.returns) - 1) / variance)
    return 0.5 * math.erfc(-z / math.sqrt(2.0))
