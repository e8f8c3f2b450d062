"""Functions of the time that equity spends below its highest so far; `depth` is a `drawdown`, of shape (N,)."""

from __future__ import annotations

import math

import numpy as np

from peak_trade.stats.values import NOISE, Floats, NoValueError, mean_of, or_undefined

__all__ = ["time_under_water", "ulcer_index", "ulcer_performance_index"]


@or_undefined
def time_under_water(depth: Floats) -> float:
    """Share of the bars at whose close equity is below its highest so far.

    >>> time_under_water(np.array([0.0, -0.2, -0.1, 0.0]))
    0.5
    """
    return int(np.count_nonzero(depth < 0.0)) / len(depth)


@or_undefined
def ulcer_index(depth: Floats) -> float:
    """Ulcer index: the quadratic mean of the drawdown, so deep ones weigh more, and long ones as long as they last.

    Formula: sqrt(mean(drawdown ** 2)) over all N bars, a fraction. ffn is the same in percent; quantstats divides the
    sum by two less than N.
    Source: P. Martin, B. McCann, "The Investor's Guide to Fidelity Funds", Wiley, 1989.

    >>> ulcer_index(np.array([0.0, -0.25, -0.25, 0.0, -0.5, 0.0]))
    0.25
    """
    return math.sqrt(mean_of(depth * depth))


@or_undefined
def ulcer_performance_index(growth: float, ulcer: float, risk_free_rate: float = 0.0) -> float:
    """Ulcer performance index (Martin ratio): yearly growth above the risk-free rate for each unit of `ulcer_index`.

    Formula: (cagr - risk_free_rate) / ulcer_index, as ffn; quantstats takes the total return instead of the growth a
    year, and so another number for every length of the run. Source: as for `ulcer_index`.

    >>> ulcer_performance_index(0.25, 0.125)
    2.0
    """
    if ulcer <= NOISE:
        raise NoValueError("no drawdown")
    return (growth - risk_free_rate) / ulcer
