"""The times of the bars, and what statistics take from them alone: the same for every equity curve over them."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from peak_trade.market.rate import SHORTEST_YEARS
from peak_trade.stats.values import NoValueError, Times

__all__ = ["SECONDS_PER_YEAR", "Timeline", "period_ends", "timeline_of"]

Ints = npt.NDArray[np.int64]

SECONDS_PER_YEAR = 31_557_600  # 365.25 days, the Julian year
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


class Timeline:
    """The open times of N bars (datetime64, increasing, shape (N,)); each figure is worked out once, when asked for.

    Properties that have no value raise NoValueError.
    """

    def __init__(self, timestamp: Times) -> None:
        self.timestamp = timestamp

    def __len__(self) -> int:
        return len(self.timestamp)

    @cached_property
    def years(self) -> float:
        """Time from the first bar to the last, in years of 365.25 days; 0 for one bar."""
        if len(self.timestamp) == 0:
            raise NoValueError("no bars")
        return float((self.timestamp[-1] - self.timestamp[0]) / np.timedelta64(SECONDS_PER_YEAR, "s"))

    @property
    def years_to_annualise(self) -> float:
        """The same, where they are long enough to say anything about a year."""
        if self.years < SHORTEST_YEARS:
            raise NoValueError("less than a twelfth of a year of bars")
        return self.years

    @cached_property
    def day_closes(self) -> Ints:
        """The bars whose equity a return of a day (UTC) is between: the first bar, and the last of each day."""
        return self._closes("D", self._day_ends)

    @cached_property
    def month_closes(self) -> Ints:
        """The same of months."""
        ends = self._day_ends  # a month's last bar is its last day's: there are fewer of those
        return self._closes("M", ends[period_ends(self.timestamp[ends], "M")])

    @cached_property
    def _day_ends(self) -> Ints:
        return period_ends(self.timestamp, "D")

    @cached_property
    def _steps(self) -> npt.NDArray[np.timedelta64]:
        return np.diff(self.timestamp)

    def _closes(self, unit: str, ends: Ints) -> Ints:
        short = int(np.count_nonzero(self._steps <= _LONGEST[unit]))
        if 2 * short < len(self.timestamp) - 1:
            raise NoValueError(_TOO_LONG[unit])
        return ends if ends[0] == 0 else np.append(0, ends)


def timeline_of(times: Times | Timeline) -> Timeline:
    """Return the `Timeline` of `times`, which may be one already."""
    return times if isinstance(times, Timeline) else Timeline(times)
