"""The holidays and half days of New York, by rule."""

from __future__ import annotations

import datetime as dt

import numpy as np

from peak_trade.market.timeframe import Times

__all__ = ["RULES_SINCE", "TELLING", "kept_holidays", "nyse_half_days", "nyse_holidays"]

RULES_SINCE = 1999
TELLING = 5  # days on which another calendar would differ

# Closures that follow no rule: mourning, attack and storm.
_SPECIAL_CLOSURES = (
    dt.date(2001, 9, 11),
    dt.date(2001, 9, 12),
    dt.date(2001, 9, 13),
    dt.date(2001, 9, 14),
    dt.date(2004, 6, 11),
    dt.date(2007, 1, 2),
    dt.date(2012, 10, 29),
    dt.date(2012, 10, 30),
    dt.date(2018, 12, 5),
    dt.date(2025, 1, 9),
)
_SPECIAL_HALF_DAYS = (dt.date(1999, 12, 31), dt.date(2002, 7, 5), dt.date(2003, 12, 26))


def nyse_holidays(first_year: int, last_year: int) -> list[dt.date]:
    """Return the weekdays on which New York is closed, from 1999 on as they were.

    Source: NYSE rule 7.2 (a holiday on Sunday moves to Monday, one on Saturday to Friday, but New Year's Day never
    into the old year), Martin Luther King Day since 1998, Juneteenth since 2022, and the special closures.
    """
    days = [day for day in _SPECIAL_CLOSURES if first_year <= day.year <= last_year]
    for year in range(first_year, last_year + 1):
        days += [
            _nth_weekday(year, 2, 0, 3),  # Washington's Birthday
            _easter(year) - dt.timedelta(days=2),  # Good Friday
            _nth_weekday(year, 6, 0, 1) - dt.timedelta(days=7),  # Memorial Day: the last Monday of May
            _observed(dt.date(year, 7, 4)),
            _nth_weekday(year, 9, 0, 1),  # Labor Day
            _nth_weekday(year, 11, 3, 4),  # Thanksgiving
            _observed(dt.date(year, 12, 25)),
        ]
        if dt.date(year, 1, 1).weekday() != 5:
            days.append(_observed(dt.date(year, 1, 1)))
        if year >= 1998:
            days.append(_nth_weekday(year, 1, 0, 3))
        if year >= 2022:
            days.append(_observed(dt.date(year, 6, 19)))
    return sorted(days)


def kept_holidays(days: Times) -> int:
    """Return on how many of New York's holidays between the first and the last of days (M8[D]) there is none of them.

    It is 0 where there is one on any: no other exchange has them all.
    """
    closed = np.array(nyse_holidays(*(int(str(day)[:4]) for day in (days[0], days[-1]))), "M8[D]")
    closed = closed[(days[0] < closed) & (closed < days[-1])]
    return len(closed) if not np.isin(closed, days).any() else 0


def nyse_half_days(first_year: int, last_year: int) -> list[dt.date]:
    """Return the days on which New York closes at 13:00, from 1999 on as they were.

    The day after Thanksgiving, and a Monday to Thursday that is the 24th of December or the 3rd of July; with three
    that followed no rule, and one in 2002 that was moved to the Friday after.
    """
    days = [day for day in _SPECIAL_HALF_DAYS if first_year <= day.year <= last_year]
    for year in range(first_year, last_year + 1):
        days.append(_nth_weekday(year, 11, 3, 4) + dt.timedelta(days=1))
        days += [day for day in (dt.date(year, 7, 3), dt.date(year, 12, 24)) if day.weekday() < 4]
    return sorted(set(days) - {dt.date(2002, 7, 3)})


def _nth_weekday(year: int, month: int, weekday: int, nth: int) -> dt.date:
    first = dt.date(year, month, 1)
    return first + dt.timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def _observed(day: dt.date) -> dt.date:
    """Move a holiday from Saturday to Friday and from Sunday to Monday."""
    return day + dt.timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0))


def _easter(year: int) -> dt.date:
    """Return Easter Sunday of the Gregorian calendar. Source: the anonymous algorithm in Meeus, Jones and Butcher."""
    golden = year % 19
    century, in_century = divmod(year, 100)
    epact = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (in_century // 4) - epact - in_century % 4) % 7
    late = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return dt.date(year, month, day + 1)
