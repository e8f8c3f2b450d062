"""What one track record shows of the Sharpe ratio behind it, before anybody asks how many others there were.

Two versions of the probabilistic Sharpe ratio are in circulation, and the same record gives 0.913 by the one and 0.987
by the other. The first puts the observed ratio into its standard error, the second the ratio that is tested against.
"""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct

from peak_trade.stats.sample import Sample
from peak_trade.stats.values import NOISE, Floats, NoValueError, finite, or_undefined

__all__ = [
    "Track",
    "above",
    "annual_factor",
    "autocorrelation",
    "chance",
    "minimum_length",
    "normal_cdf",
    "normal_quantile",
    "probabilistic",
    "probabilistic_2025",
    "standard_error",
    "track_of",
]


class Track(Struct, frozen=True):
    """A track record: its Sharpe ratio per bar, and the count, skew and raw kurtosis of its returns."""

    ratio: float
    count: int
    skew: float = 0.0
    kurtosis: float = 3.0


def normal_cdf(value: float) -> float:
    """Return the probability of a standard normal at or below `value`."""
    return 0.5 * math.erfc(-value / math.sqrt(2.0))


def normal_quantile(probability: float) -> float:
    """Return the value that a standard normal is below with this probability, between 0 and 1 and neither."""
    from statistics import NormalDist  # Wichura's AS 241, to 16 digits; a run has no use for it

    return NormalDist().inv_cdf(probability)


def track_of(returns: Floats, rate: float = 0.0) -> Track:
    """Return the track record of M returns over a risk-free `rate` per bar; population moments.

    Raises NoValueError where there are too few, or where they do not vary: by rounding alone, equal returns have a
    Sharpe ratio of some 5e15.

    >>> round(track_of(np.array([-0.01, 0.03, -0.01, 0.03])).kurtosis, 12)
    1.0
    """
    if len(returns) and np.ptp(returns) <= NOISE * (1.0 + float(np.abs(returns).max())):
        raise NoValueError("returns do not vary")
    sample = Sample(returns)
    skew, excess = sample.shape
    return Track(finite((sample.mean - rate) / sample.deviation), len(returns), skew, excess + 3.0)


def _variance(track: Track) -> float:
    """Return the variance of the Sharpe ratio's estimate, times the count: Mertens' of returns that are no normals."""
    variance = finite(1.0 - track.skew * track.ratio + (track.kurtosis - 1.0) / 4.0 * track.ratio * track.ratio)
    if variance <= 0.0:
        raise NoValueError("the standard error is zero")
    return variance


def standard_error(track: Track) -> float:
    """Return the standard error of a record's Sharpe ratio per bar, as `probabilistic` has it."""
    return math.sqrt(_variance(track)) / math.sqrt(track.count - 1)


def above(track: Track, against: float = 0.0) -> float:
    """Return by how many standard errors a record is above the ratio `against`, as `probabilistic` has them."""
    return (track.ratio - against) * math.sqrt(track.count - 1) / math.sqrt(_variance(track))


def chance(track: Track, against: float = 0.0) -> float:
    """Return the p-value of a record: 1 - `probabilistic`, whose small values keep their digits.

    >>> chance(Track(0.5, 1001)) < 1e-45 and 1.0 - normal_cdf(above(Track(0.5, 1001))) == 0.0
    True
    """
    return normal_cdf(-above(track, against))


@or_undefined
def probabilistic(track: Track, against: float = 0.0) -> float:
    """Probability that the true Sharpe ratio is above `against` (per bar), by the version of 2012.

    Formula: Phi((S - S0) sqrt(T - 1) / sqrt(1 - g3 S + (g4 - 1) / 4 S**2)).
    Source: D. Bailey, M. López de Prado, "The Sharpe Ratio Efficient Frontier", Journal of Risk 15(2), 2012, eq. 11.

    >>> round(probabilistic(Track(1.585 / 12**0.5, 24, -2.448, 10.164)), 3)
    0.913
    """
    return normal_cdf(above(track, against))


@or_undefined
def probabilistic_2025(track: Track, against: float = 0.0, autocorrelation: float = 0.0) -> float:
    """Probability that the true Sharpe ratio is above `against` (per bar), by the version of 2025.

    Formula: Phi((S - S0) sqrt(T) / sqrt(a - b g3 S0 + c (g4 - 1) / 4 S0**2)), with a = (1 + r) / (1 - r),
    b = (1 + r + r**2) / (1 - r**2) and c = (1 + r**2) / (1 - r**2) of returns that follow an AR(1) with the
    autocorrelation r. The standard error is the one under the hypothesis that is tested, and it has T for T - 1.
    Source: M. López de Prado, A. Lipton, V. Zoonekynd, "How to Use the Sharpe Ratio", SSRN 5520741, 2025.

    >>> round(probabilistic_2025(Track(1.585 / 12**0.5, 24, -2.448, 10.164)), 4)
    0.9875
    """
    r = autocorrelation
    if not -1.0 < r < 1.0:
        raise NoValueError("not a finite number")
    a, b, c = (1.0 + r) / (1.0 - r), (1.0 + r + r * r) / (1.0 - r * r), (1.0 + r * r) / (1.0 - r * r)
    variance = finite(a - b * track.skew * against + c * (track.kurtosis - 1.0) / 4.0 * against * against)
    if variance <= 0.0:
        raise NoValueError("the standard error is zero")
    return normal_cdf((track.ratio - against) * math.sqrt(track.count / variance))


@or_undefined
def minimum_length(track: Track, against: float = 0.0, error: float = 0.05) -> float:
    """Fewest returns of which this Sharpe ratio would show, with an error of 5 %, that it is above `against`.

    Formula: 1 + (1 - g3 S + (g4 - 1) / 4 S**2) (Z(1 - error) / (S - S0))**2, in bars.
    Source: as for `probabilistic`, eq. 13 (minimum track record length).

    >>> round(minimum_length(Track(2 / 12**0.5, 24), 1 / 12**0.5) / 12, 4)
    3.2398
    """
    if track.ratio <= against:
        raise NoValueError("the Sharpe ratio is not above the one to beat")
    return 1.0 + _variance(track) * (normal_quantile(1.0 - error) / (track.ratio - against)) ** 2


@or_undefined
def autocorrelation(returns: Floats) -> float:
    """Autocorrelation of the returns at one bar's distance.

    Formula: sum((r[t] - m) (r[t-1] - m)) / sum((r[t] - m)**2), m the mean of all.

    >>> autocorrelation(np.array([0.01, -0.01, 0.01, -0.01]))
    -0.75
    """
    sample = Sample(returns)
    if sample.deviation == 0.0:
        raise NoValueError("returns do not vary")
    centred = sample.centred
    return float((centred[1:] * centred[:-1]).sum() / (centred * centred).sum())


@or_undefined
def annual_factor(periods: float, autocorrelation: float = 0.0) -> float:
    """What a Sharpe ratio per bar is multiplied by to be one of `periods` bars, of returns that follow an AR(1).

    Formula: q / sqrt(q + 2 sum over k < q of (q - k) r**k), summed in closed form; sqrt(q) where r is 0.
    Returns that go on in their direction have less of it than sqrt(q), those that turn back have more.
    Source: A. Lo, "The Statistics of Sharpe Ratios", Financial Analysts Journal 58(4), 2002, eq. 20 and table 2.

    >>> round(annual_factor(12, 0.2), 2), round(annual_factor(12, 0.0), 2)
    (2.88, 3.46)
    """
    r, q = autocorrelation, periods
    if not (-1.0 < r < 1.0 and q > 0.0):
        raise NoValueError("not a finite number")
    if q <= 1.0 or r == 0.0:
        return math.sqrt(q)
    power = abs(r) ** q * (1.0 if r > 0.0 or round(q) % 2 == 0 else -1.0)
    drift = 2.0 * r / (1.0 - r) * (1.0 - (1.0 - power) / (q * (1.0 - r)))
    return math.sqrt(q / finite(1.0 + drift)) if 1.0 + drift > 0.0 else math.sqrt(q)
