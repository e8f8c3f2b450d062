"""Which calendar fits bars, as far as they tell: nothing is named that another would fit as well."""

from __future__ import annotations

import numpy as np

from peak_trade.market import exchanges
from peak_trade.market.calendar import AROUND, CALENDARS, NYSE_CALENDARS, Calendar
from peak_trade.market.gaps import count_gaps
from peak_trade.market.holidays import TELLING, kept_holidays
from peak_trade.market.rate import TOLERANCE, observed_rate, periods_per_year
from peak_trade.market.sessions import expected_bars, grid_of, has_bar, sessions_between, trading_days
from peak_trade.market.timeframe import DAY, UNIT_SECONDS, Times, parse_timeframe
from peak_trade.market.usual import is_around

__all__ = ["fitting_calendar"]

_ODD = 0.02  # bars missing or too many, as a share of all, up to which a calendar fits
_WEEK = np.timedelta64(7, "D")
_LONGEST = np.timedelta64(3 * 366, "D")
_WEEKS = 52.18  # a year
_MORE = 4  # holidays a year that an exchange may have more or less than usual
_HALF_YEAR = np.timedelta64(182, "D")
_BY_RULE = (AROUND, "24/5", *NYSE_CALENDARS)


def fitting_calendar(timestamp: Times, timeframe: str) -> str | None:
    """Return the calendar that fits bars (shape (N,), strictly increasing), None where they don't tell.

    24/7 where they trade at weekends, 24/5 where they miss no weekday (or go on around the clock), else the one
    exchange of those built in whose hours and holidays they keep. Where New York fits, XNYS stands for both of its
    exchanges. The holidays of others are known with the extra `calendars` alone.
    """
    _, unit = parse_timeframe(timeframe)
    if len(timestamp) < 2 or unit in "wM":
        return None
    if is_around(timestamp):
        return AROUND if _rate_fits(timestamp, timeframe, AROUND) else None
    timestamp = timestamp[timestamp >= timestamp[-1] - _LONGEST]
    fitting = [name for name in CALENDARS if name != "XNAS" and _rate_fits(timestamp, timeframe, name)]
    odds = {name: _odd(timestamp, timeframe, CALENDARS[name]) for name in fitting if name in _BY_RULE}
    if "XNYS" in odds and odds["XNYS"] <= _ODD * len(timestamp) and kept_holidays(timestamp.astype("M8[D]")) >= TELLING:
        return "XNYS"
    if unit != "d" or timestamp[-1] - timestamp[0] >= _HALF_YEAR:  # fewer days show too few holidays to tell by
        others = [name for name in fitting if name not in _BY_RULE]
        possible = [name for name in others if _is_possible(timestamp, timeframe, CALENDARS[name])]
        odds |= {name: _odd(timestamp, timeframe, CALENDARS[name]) for name in possible}
    elif AROUND not in odds or odds[AROUND]:
        return None
    best = sorted(odds, key=lambda name: odds[name])[:2]
    if not best or odds[best[0]] > _ODD * len(timestamp):
        return None
    return best[0] if len(best) == 1 or odds[best[1]] - odds[best[0]] >= TELLING else None


def _rate_fits(timestamp: Times, timeframe: str, calendar: str) -> bool:
    observed, rate = observed_rate(timestamp), periods_per_year(timestamp, timeframe, calendar)
    return observed is None or (rate is not None and abs(rate - observed) <= TOLERANCE * max(rate, observed))


def _is_possible(timestamp: Times, timeframe: str, calendar: Calendar) -> bool:
    """Tell by the built-in rules whether an exchange may fit: its hours, and of days the number of its holidays."""
    if parse_timeframe(timeframe)[1] == "d":
        years = (timestamp[-1] - timestamp[0]) / _WEEK / _WEEKS
        holidays = np.busday_count(timestamp[0].astype("M8[D]"), timestamp[-1].astype("M8[D]")) - len(timestamp) + 1
        if abs(holidays / years - (5 * _WEEKS - calendar.sessions)) > _MORE:
            return False
    return _outside(timestamp, timeframe, calendar) <= _ODD * len(timestamp)


def _odd(timestamp: Times, timeframe: str, calendar: Calendar) -> int:
    """Return how many bars are missing by a calendar, and how many are outside its sessions."""
    missing = count_gaps(timestamp, timeframe, calendar.name).missing
    return missing + _outside(timestamp, timeframe, calendar, asked=exchanges.installed())


def _outside(timestamp: Times, timeframe: str, calendar: Calendar, *, asked: bool = False) -> int:
    count, unit = parse_timeframe(timeframe)
    step = count * UNIT_SECONDS[unit]
    sessions = sessions_between(calendar, timestamp[0] - _WEEK, timestamp[-1] + _WEEK, asked=asked, hourly=step < DAY)
    if step >= DAY:
        return int((~np.isin(trading_days(timestamp, calendar, sessions.days), sessions.days)).sum())
    seconds = timestamp.astype("M8[s]").view(np.int64)
    expected, _ = expected_bars(sessions, grid_of(seconds, sessions, step), int(seconds[0]), int(seconds[-1]))
    return len(timestamp) - int(has_bar(expected, seconds, step).sum())
