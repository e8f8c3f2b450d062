"""Functions of the equity curve: N values in quote currency, marked at each bar's close.

`equity` is float64 and finite, `timestamp` datetime64, both of shape (N,); where several figures share the work, it is
a `Timeline` of them.
Equity may be zero or negative, for a short can lose more than the account holds:
what compounds is undefined then, what only compares two values is not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from peak_trade.stats.timeline import SECONDS_PER_YEAR, Timeline, timeline_of
from peak_trade.stats.values import NOISE, Floats, NoValueError, Times, or_undefined

__all__ = [
    "DAY",
    "SECONDS_PER_YEAR",
    "cagr",
    "calmar",
    "drawdown",
    "exposure",
    "max_drawdown",
    "max_drawdown_days",
    "returns",
    "total_return",
    "years",
]

DAY = np.timedelta64(1, "D")


@or_undefined
def returns(equity: Floats) -> Floats:
    """Simple return of each bar over the one before, shape (N - 1,).

    Formula: (equity[i] - equity[i-1]) / equity[i-1]. The difference comes first because it is exact for
    near values, while equity[i] / equity[i-1] - 1 would lose the last digits of a small return.

    >>> returns(np.array([100.0, 110.0, 99.0]))
    array([ 0.1, -0.1])
    >>> returns(np.array([100.0, -5.0]))
    Undefined(reason='equity fell to zero or below')
    """
    if len(equity) < 2:
        raise NoValueError("fewer than two bars")
    if equity.min() <= 0.0:
        raise NoValueError("equity fell to zero or below")
    change = equity[1:] - equity[:-1]
    change /= equity[:-1]
    return change


@or_undefined
def total_return(equity: Floats) -> float:
    """Change of equity as a fraction of the first value.

    Formula: equity[-1] / equity[0] - 1. It compares two values, so it holds below zero too: -1.2 is 120 % lost.

    >>> total_return(np.array([100.0, 90.0, 125.0]))
    0.25
    """
    if len(equity) == 0:
        raise NoValueError("no bars")
    if equity[0] <= 0.0:
        raise NoValueError("initial equity is zero or below")
    return float(equity[-1] / equity[0] - 1.0)


@or_undefined
def years(timestamp: Times | Timeline) -> float:
    """Time from the first bar to the last, in years of 365.25 days; 0 for one bar.

    >>> years(np.array(["2020-01-01", "2022-01-01"], dtype="datetime64[ns]"))
    2.001368925393566
    """
    return timeline_of(timestamp).years


@or_undefined
def cagr(equity: Floats, timestamp: Times | Timeline) -> float:
    """Compound annual growth rate: the constant yearly rate that leads from the first equity to the last.

    Formula: (equity[-1] / equity[0]) ** (1 / years) - 1, with `years` as elapsed. Undefined under a twelfth of a year.
    Libraries that count bars instead (empyrical, quantstats: number of returns / periods per year) agree
    only where no bar is missing and the year has as many bars as they assume; ffn takes elapsed time, as here.

    >>> two_years = np.array(["2021-01-01T00", "2023-01-01T12"], dtype="datetime64[ns]")
    >>> round(cagr(np.array([100.0, 121.0]), two_years), 12)
    0.1
    """
    if len(equity) < 2:
        raise NoValueError("fewer than two bars")
    if equity.min() <= 0.0:
        raise NoValueError("equity fell to zero or below")
    growth: float = float(equity[-1] / equity[0]) ** (1.0 / timeline_of(timestamp).years_to_annualise)
    return growth - 1.0


@or_undefined
def drawdown(equity: Floats) -> Floats:
    """Distance below the highest equity so far, as a fraction of it, shape (N,): 0 at a peak, else negative.

    Formula: equity / running maximum of equity - 1. Below -1 where equity is negative.
    Source: M. Magdon-Ismail, A. Atiya, "Maximum drawdown", Risk 17(10), 2004.

    >>> drawdown(np.array([100.0, 80.0, 100.0, 110.0, 55.0]))
    array([ 0. , -0.2,  0. ,  0. , -0.5])
    """
    if len(equity) == 0:
        raise NoValueError("no bars")
    if equity[0] <= 0.0:
        raise NoValueError("initial equity is zero or below")
    peak = np.maximum.accumulate(equity)
    depth = np.divide(equity, peak, out=peak)
    depth -= 1.0
    return depth


@or_undefined
def max_drawdown(depth: Floats) -> float:
    """Return the lowest value of a `drawdown`: a negative fraction, or 0.

    >>> max_drawdown(drawdown(np.array([100.0, 80.0, 100.0, 110.0, 55.0])))
    -0.5
    """
    return float(depth.min())


@or_undefined
def max_drawdown_days(depth: Floats, timestamp: Times) -> float:
    """Longest time under water, in days: from a peak to the first bar that reaches it again, or to the last bar.

    `depth` is a `drawdown`; the longest need not be the deepest.
    ffn and quantstats start at the first bar below the peak, one bar later.

    >>> daily = np.arange("2024-01-01", "2024-01-06", dtype="M8[D]")
    >>> max_drawdown_days(drawdown(np.array([100.0, 80.0, 90.0, 100.0, 99.0])), daily)
    3.0
    """
    peaks = np.flatnonzero(depth == 0.0)
    under = np.flatnonzero(peaks[1:] - peaks[:-1] > 1)
    start = np.concatenate((peaks[under], peaks[-1:]))
    end = np.concatenate((peaks[under + 1], [len(depth) - 1]))
    return float((timestamp[end] - timestamp[start]).max() / DAY)


@or_undefined
def calmar(growth: float, deepest: float) -> float:
    """Growth per unit of the worst loss: `cagr` / |`max_drawdown`|.

    Source: T. Young, "Calmar Ratio: A Smoother Tool", Futures, October 1991; over the whole run, not 36 months.

    >>> calmar(0.25, -0.5)
    0.5
    """
    if deepest >= -NOISE:  # a rounding of equity is no loss
        raise NoValueError("no drawdown")
    return growth / abs(deepest)


@or_undefined
def exposure(position: npt.NDArray[np.generic]) -> float:
    """Time in the market: the share of bars after whose close a position is held.

    >>> exposure(np.array([0.0, 2.0, -1.5, 0.0]))
    0.5
    """
    if len(position) == 0:
        raise NoValueError("no bars")
    return int(np.count_nonzero(position != 0)) / len(position)
