"""How many bars a year has."""

from __future__ import annotations

import numpy as np

from peak_trade.market.calendar import find_calendar
from peak_trade.market.timeframe import (
    DAY,
    UNIT_SECONDS,
    Times,
    parse_timeframe,
    spacing,
    spacing_fits,
    timeframe_seconds,
)

__all__ = ["periods_per_year"]


def periods_per_year(timestamp: Times, timeframe: str, calendar: str) -> float:
    """Return how many bars a year has, from the bars' real frequency (shape (N,)) and the calendar.

    24/7: a year of 365 days over the median spacing. Elsewhere: sessions over n for n days, 52/n for weeks, 12/n for
    months (everywhere), and for intraday bars sessions times the median number of bars on a day that has any.
    The timeframe's word is taken where the bars fit it or are fewer than two.

    >>> hours = np.datetime64("2024-01-01", "ns") + np.arange(48) * np.timedelta64(1, "h")
    >>> periods_per_year(hours, "1h", "24/7")
    8760.0
    """
    found = find_calendar(calendar)
    count, unit = parse_timeframe(timeframe)
    seconds = spacing(timestamp)
    if seconds is None:
        seconds = float(timeframe_seconds(timeframe))
    elif not spacing_fits(timeframe, seconds):
        count, unit = _nearest_timeframe(seconds)
    if unit == "M":
        return 12 / count
    if found.name == "24/7":
        return 365 * DAY / seconds
    if unit == "w":
        return 52 / count
    if unit == "d":
        return found.sessions / count
    _, bars = np.unique(timestamp.astype("datetime64[D]"), return_counts=True)
    return float(found.sessions * np.median(bars)) if bars.size else float(found.sessions)


def _nearest_timeframe(seconds: float) -> tuple[int, str]:
    """Name a spacing, for bars that are not what they were declared to be."""
    if seconds >= 28 * DAY:
        return max(round(seconds / UNIT_SECONDS["M"]), 1), "M"
    if seconds >= DAY:
        return (round(seconds / (7 * DAY)), "w") if seconds % (7 * DAY) == 0 else (round(seconds / DAY), "d")
    return max(round(seconds), 1), "s"
