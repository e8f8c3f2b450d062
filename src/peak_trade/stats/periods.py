"""Functions of equity by calendar period: a day or a month, in UTC, of the bars' open times.

`timestamp` is datetime64, increasing, and `equity` float64 and finite, both of shape (N,).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from peak_trade.stats.values import Floats, NoValueError, Times, or_undefined

__all__ = ["Unit", "best_period", "period_ends", "period_returns", "worst_period"]

Ints = npt.NDArray[np.int64]
Unit = Literal["D", "M"]
"""A calendar day or month, by NumPy's letter."""

_LONGEST = {"D": np.timedelta64(1, "D"), "M": np.timedelta64(31, "D")}
_TOO_LONG = {"D": "bars are longer than a day", "M": "bars are longer than a month"}


def period_ends(timestamp: Times, unit: str) -> Ints:
    """Return the index of the last bar of each calendar period that has bars; `unit` is NumPy's letter.

    >>> period_ends(np.array(["2024-01-30", "2024-01-31", "2024-02-29"], "M8[D]"), "M")
    array([1, 2])
    """
    if len(timestamp) == 0:
        return np.empty(0, np.int64)
    period = timestamp.astype(f"M8[{unit}]")
    return np.append(np.flatnonzero(period[1:] != period[:-1]), len(period) - 1)


@or_undefined
def period_returns(timestamp: Times, equity: Floats, unit: Unit, days: Ints | None = None) -> Floats:
    """Return the change of equity in each calendar period in which a bar has a return, as a fraction.

    A period's return compares its last equity with the last one of the period before; the first one starts at the first
    close, and is left out where that is its last. So the returns compound to that of the whole.
    Undefined where the bars themselves are longer than a period, at the median. `days` are `period_ends` of the days,
    where they are known.

    >>> hours = np.arange("2024-01-01T00", "2024-01-02T12", 12, dtype="M8[h]")
    >>> period_returns(hours, np.array([100.0, 125.0, 100.0]), "D")
    array([ 0.25, -0.2 ])
    """
    if len(equity) < 2:
        raise NoValueError("fewer than two bars")
    if equity.min() <= 0.0:
        raise NoValueError("equity fell to zero or below")
    short = int(np.count_nonzero(np.diff(timestamp) <= _LONGEST[unit]))
    if 2 * short < len(timestamp) - 1:
        raise NoValueError(_TOO_LONG[unit])
    ends = period_ends(timestamp, "D") if days is None else days
    if unit == "M":  # a month's last bar is its last day's: there are fewer of those
        ends = ends[period_ends(timestamp[ends], "M")]
    closing = equity[ends if ends[0] == 0 else np.append(0, ends)]
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
