"""Functions of equity by calendar period: a day or a month, in UTC, of the bars' open times.

`timestamp` is datetime64, increasing, and `equity` float64 and finite, both of shape (N,).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from peak_trade.stats.timeline import Timeline, period_ends, timeline_of
from peak_trade.stats.values import Floats, NoValueError, Times, or_undefined

__all__ = ["Unit", "best_period", "period_ends", "period_returns", "worst_period"]

Unit = Literal["D", "M"]
"""A calendar day or month, by NumPy's letter."""


@or_undefined
def period_returns(timestamp: Times | Timeline, equity: Floats, unit: Unit) -> Floats:
    """Return the change of equity in each calendar period in which a bar has a return, as a fraction.

    A period's return compares its last equity with the last one of the period before; the first one starts at the first
    close, and is left out where that is its last. So the returns compound to that of the whole.
    Undefined where the bars themselves are longer than a period, at the median.

    >>> hours = np.arange("2024-01-01T00", "2024-01-02T12", 12, dtype="M8[h]")
    >>> period_returns(hours, np.array([100.0, 125.0, 100.0]), "D")
    array([ 0.25, -0.2 ])
    """
    if len(equity) < 2:
        raise NoValueError("fewer than two bars")
    if equity.min() <= 0.0:
        raise NoValueError("equity fell to zero or below")
    times = timeline_of(timestamp)
    closing = equity[times.day_closes if unit == "D" else times.month_closes]
    return np.diff(closing) / closing[:-1]


@or_undefined
def best_period(changes: Floats) -> float:
    """Highest return of a period; `changes` are `period_returns`.

    >>> best_period(np.array([0.25, -0.2]))
    0.25
    """
    return float(changes.max())


@or_undefined
def worst_period(changes: Floats) -> float:
    """Lowest return of a period; `changes` are `period_returns`.

    >>> worst_period(np.array([0.25, -0.2]))
    -0.2
    """
    return float(changes.min())
