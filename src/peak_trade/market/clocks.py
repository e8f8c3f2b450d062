"""Local time: a time zone's days as instants, and instants as its days."""

from __future__ import annotations

import datetime as dt

import numpy as np
import numpy.typing as npt

from peak_trade.errors import InputError
from peak_trade.market.timeframe import DAY, Times

__all__ = ["local_days", "local_seconds", "midnights"]

_NOON = 12 * 3600


def _zone(name: str) -> dt.tzinfo:
    if name == "UTC":
        return dt.UTC
    from zoneinfo import ZoneInfo  # only where a calendar has hours

    try:
        return ZoneInfo(name)
    except (LookupError, OSError, ValueError):
        raise InputError(
            f"the time zone {name} is needed, and this machine does not know it",
            hint="just setup calendars brings the time zones (the package tzdata)",
        ) from None


def midnights(zone: str, days: Times) -> npt.NDArray[np.int64]:
    """Return the instants, in seconds of UTC, from which the clock of each day (M8[D]) counts; shape as `days`.

    It is 12 hours before noon, so that the hours of a day that moves the clock are right once it has moved.
    """
    numbers = days.astype("M8[D]").view(np.int64)
    if zone == "UTC":
        return numbers * DAY
    where = _zone(zone)
    distinct, back = np.unique(numbers, return_inverse=True)
    offsets = np.array([_offset(where, int(day) * DAY + _NOON) for day in distinct], np.int64)
    return numbers * DAY - offsets[back]


def local_seconds(zone: str, seconds: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return what a clock in a zone shows at instants in seconds of UTC, as seconds since 1970 of that clock."""
    if zone == "UTC":
        return seconds
    where = _zone(zone)
    hours, back = np.unique(seconds // 3600, return_inverse=True)
    days, of_day = np.unique(hours // 24, return_inverse=True)
    start, end = (np.array([_offset(where, (int(day) + i) * DAY) for day in days], np.int64) for i in (0, 1))
    offsets = start[of_day]
    for place in np.flatnonzero((start != end)[of_day]):  # the clock is moved within this day of UTC
        offsets[place] = _offset(where, int(hours[place]) * 3600)
    return seconds + offsets[back]


def _offset(where: dt.tzinfo, seconds: int) -> int:
    """Return how far a zone is ahead of UTC at an instant, in seconds."""
    shift = dt.datetime.fromtimestamp(seconds, where).utcoffset()
    return int(shift.total_seconds()) if shift else 0


def local_days(zone: str, timestamp: Times) -> Times:
    """Return the day (M8[D]) on which each instant falls in a zone."""
    return (local_seconds(zone, timestamp.astype("M8[s]").view(np.int64)) // DAY).view("M8[D]")
