"""Which bars are missing."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from peak_trade.market.calendar import NYSE_CALENDARS, Calendar, find_calendar
from peak_trade.market.holidays import RULES_SINCE, nyse_holidays
from peak_trade.market.timeframe import DAY, UNIT_SECONDS, Times, parse_timeframe
from peak_trade.market.timestamps import iso

__all__ = ["Gaps", "count_gaps", "gap_assumptions"]

GAPS_SHOWN = 5
_DAY = np.timedelta64(1, "D")


class Gaps(NamedTuple):
    """Bars missing against timeframe and calendar: how many, and the first few runs of them as text."""

    missing: int
    first: list[str]


def count_gaps(timestamp: Times, timeframe: str, calendar: str) -> Gaps:
    """Count the bars missing between the first and the last (shape (N,), strictly increasing).

    24/7, weeks and months: steps longer than the timeframe. Days on a calendar with sessions: the sessions without a
    bar, by New York's holidays for XNYS and XNAS and by weekdays elsewhere. Intraday there: long steps within one UTC
    day, so that nights, weekends and holidays are none, and a lunch break is one.
    """
    found = find_calendar(calendar)
    count, unit = parse_timeframe(timeframe)
    if len(timestamp) < 2:
        return Gaps(0, [])
    times = timestamp.view(np.int64)
    if unit == "M":
        months = timestamp.astype("datetime64[M]").view(np.int64)
        return _gaps_of_steps(timestamp, np.diff(months), count)
    if unit == "d" and found.name != "24/7":
        return _gaps_of_sessions(timestamp, count, found)
    steps = np.diff(times)
    if unit in "smh" and found.name != "24/7":
        days = times // (DAY * 10**9)
        steps = np.where(days[1:] == days[:-1], steps, 0)
    return _gaps_of_steps(timestamp, steps, count * UNIT_SECONDS[unit] * 10**9)


def gap_assumptions(timestamp: Times, timeframe: str, calendar: str) -> list[str]:
    """Return what `count_gaps` takes for granted where the calendar's holidays are not known to it."""
    found = find_calendar(calendar)
    if parse_timeframe(timeframe)[1] != "d" or found.name in ("24/7", "24/5") or not len(timestamp):
        return []
    if found.name not in NYSE_CALENDARS:
        return [f"gaps on {found.name} are counted by weekdays: its holidays count as gaps"]
    if timestamp[0] < np.datetime64(f"{RULES_SINCE}-01-01"):
        return [f"gaps on {found.name} before {RULES_SINCE} are counted by today's rules for holidays"]
    return []


def _gaps_of_steps(timestamp: Times, steps: npt.NDArray[np.int64], step: int) -> Gaps:
    missing = np.maximum((steps + step // 2) // step - 1, 0)
    rows = np.flatnonzero(missing)[:GAPS_SHOWN]
    return Gaps(int(missing.sum()), [f"{_bars(missing[row])} after {iso(timestamp[row])}" for row in rows])


def _gaps_of_sessions(timestamp: Times, count: int, calendar: Calendar) -> Gaps:
    days = timestamp.astype("datetime64[D]")
    weekdays = (days.view(np.int64) + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0
    if (weekdays == 6).any() and not (weekdays == 4).any():
        # East of Greenwich a session's midnight is the evening before in UTC: Monday's bar is stamped Sunday.
        days = days + _DAY
    holidays: npt.NDArray[Any] = np.array([], "datetime64[D]")
    if calendar.name in NYSE_CALENDARS:
        first_year, last_year = (int(str(day)[:4]) for day in (days[0], days[-1]))
        holidays = np.array(nyse_holidays(first_year, last_year), "datetime64[D]")
    if count > 1:
        return _gaps_of_steps(timestamp, np.busday_count(days[:-1], days[1:], holidays=holidays), count)
    span = np.arange(days[0], days[-1] + _DAY)
    missing = np.is_busday(span, holidays=holidays)
    missing[(days - days[0]).view(np.int64)] = False
    absent = span[missing]
    return Gaps(len(absent), [f"no bar on {day}" for day in absent[:GAPS_SHOWN]])


def _bars(count: int) -> str:
    return "1 bar missing" if count == 1 else f"{count} bars missing"
