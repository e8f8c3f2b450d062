"""Which bars are missing, by a calendar's sessions, or by the days and hours that the bars usually keep."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from peak_trade.errors import InputError
from peak_trade.market import exchanges
from peak_trade.market.calendar import AROUND, CALENDARS, NYSE_CALENDARS, Calendar, find_calendar
from peak_trade.market.clocks import local_days, local_seconds
from peak_trade.market.holidays import RULES_SINCE, TELLING, kept_holidays, nyse_half_days, nyse_holidays
from peak_trade.market.instants import iso
from peak_trade.market.sessions import (
    Sessions,
    expected_bars,
    grid_of,
    has_bar,
    is_built_in,
    pauses,
    rules_suffice,
    sessions_between,
    trading_days,
)
from peak_trade.market.timeframe import DAY, UNIT_SECONDS, Times, parse_timeframe
from peak_trade.market.usual import is_around, usual_days, usual_gaps

__all__ = ["Gaps", "count_gaps", "find_gaps"]

GAPS_SHOWN = 5
_EARLY_CLOSE = 13 * 3600  # of New York's half days
_WEEK = np.timedelta64(7, "D")


class Gaps(NamedTuple):
    """Bars missing against timeframe and calendar: how many, and the first few runs of them as text."""

    missing: int
    first: list[str]


def count_gaps(timestamp: Times, timeframe: str, calendar: str | None = None) -> Gaps:
    """Count the bars missing between the first and the last (shape (N,), strictly increasing).

    24/7, weeks and months: steps longer than the timeframe. Elsewhere what a session should have and has not: days
    without a bar, and intraday each bar of its hours, whole sessions included. A bar that no session of at least three
    has is no gap, where such are a tenth of the session at most: an instrument's own pause.
    Without a calendar: the bars of the days and hours that are usual among these; see `usual`.
    """
    return find_gaps(timestamp, timeframe, calendar)[0]


def find_gaps(timestamp: Times, timeframe: str, calendar: str | None = None) -> tuple[Gaps, list[str]]:
    """Return the gaps, as `count_gaps` does, and sentences that say what the count takes for granted."""
    count, unit = parse_timeframe(timeframe)
    found = find_calendar(calendar) if calendar else None
    if len(timestamp) < 2:
        return Gaps(0, []), []
    if unit == "M":
        months = timestamp.astype("M8[M]").view(np.int64)
        return _gaps_of_steps(timestamp, np.diff(months), count), []
    step = count * UNIT_SECONDS[unit]
    if unit == "w" or (found and found.name == AROUND):
        return _gaps_of_steps(timestamp, np.diff(timestamp.view(np.int64)), step * 10**9), []
    if found is None:
        return _usual(timestamp, step)
    gaps = _of_calendar(timestamp, step, found, asked=not is_built_in(found))
    if rules_suffice(found, timestamp[0]):
        return gaps, []
    if not exchanges.installed():
        return gaps, _assumed(found, step)
    if gaps.missing and is_built_in(found):
        gaps = _of_calendar(timestamp, step, found, asked=True)
    return gaps, _beyond(timestamp, found) if gaps.missing else []


def _assumed(calendar: Calendar, step: int) -> list[str]:
    if calendar.name in NYSE_CALENDARS:
        return [f"gaps on {calendar.name} before {RULES_SINCE} are counted by today's rules for holidays"]
    half_days = " and half days" if step < DAY else ""
    return [f"gaps on {calendar.name} are counted by weekdays: its holidays{half_days} count as gaps"]


def _beyond(timestamp: Times, calendar: Calendar) -> list[str]:
    first, last = timestamp[0].astype("M8[D]") - _WEEK, timestamp[-1].astype("M8[D]") + _WEEK
    known = exchanges.schedule(calendar.name, first, last)
    if known is None or (known.first <= first + _WEEK and last - _WEEK <= known.last):
        return []
    return [f"holidays of {calendar.name} are known from {known.first} to {known.last}: beyond, they count as gaps"]


def _of_calendar(timestamp: Times, step: int, calendar: Calendar, *, asked: bool) -> Gaps:
    first, last = timestamp[0].astype("M8[D]"), timestamp[-1].astype("M8[D]")
    sessions = sessions_between(calendar, first - _WEEK, last + _WEEK, asked=asked, hourly=step < DAY)
    if step >= DAY:
        return _gaps_of_days(timestamp, trading_days(timestamp, calendar, sessions.days), sessions.days, step)
    return _gaps_in_sessions(timestamp, step, sessions)


def _gaps_of_days(timestamp: Times, days: Times, sessions: Times, step: int) -> Gaps:
    """Count the sessions without a bar, or, of bars of several days, the steps that are longer."""
    if step > DAY:
        return _gaps_of_steps(timestamp, np.diff(np.searchsorted(sessions, days)), step // DAY)
    within = sessions[(days.min() <= sessions) & (sessions <= days.max())]
    absent = within[~np.isin(within, days)]
    return Gaps(len(absent), [f"no bar on {day}" for day in absent[:GAPS_SHOWN]])


def _gaps_in_sessions(timestamp: Times, step: int, sessions: Sessions) -> Gaps:
    seconds = timestamp.astype("M8[s]").view(np.int64)
    grid = grid_of(seconds, sessions, step)
    expected, places = expected_bars(sessions, grid, seconds[0], seconds[-1])
    seen = has_bar(expected, seconds, step)
    paused = pauses(seconds, sessions, grid)
    return gaps_at(timestamp, expected[~seen & ~np.isin(places, paused)])


def _usual(timestamp: Times, step: int) -> tuple[Gaps, list[str]]:
    how = "no calendar is given: gaps are counted "
    if is_around(timestamp):
        gaps = _gaps_of_steps(timestamp, np.diff(timestamp.view(np.int64)), step * 10**9)
        return gaps, [f"{how}around the clock, as there are bars at weekends"]
    if step >= DAY:
        days, expected = usual_days(timestamp)
        if kept_holidays(days) >= TELLING:
            return _of_calendar(timestamp, step, CALENDARS["XNYS"], asked=False), [
                f"{how}by the days of XNYS, as there are no bars on its holidays"
            ]
        gaps = _gaps_of_days(timestamp, days, expected, step)
        return gaps, [f"{how}by the days of the week that usually have bars: an exchange's holidays count as gaps"]
    missing = usual_gaps(timestamp, step)
    closed = _new_york_closed(timestamp, missing)
    if closed is not None:
        return gaps_at(timestamp, missing[~closed]), [
            f"{how}by the hours of the week that usually have bars, but for the holidays of XNYS, which they keep"
        ]
    gaps = gaps_at(timestamp, missing)
    return gaps, [f"{how}by the hours of the week that usually have bars: an exchange's holidays count as gaps"]


def _new_york_closed(timestamp: Times, missing: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_] | None:
    """Return which instants, in seconds, lie on a holiday of New York or after its early close; None if bars do too."""
    if not len(missing):
        return None
    try:
        days = local_days("America/New_York", timestamp)
        if kept_holidays(days) < TELLING:
            return None
        local = local_seconds("America/New_York", missing)
    except InputError:  # a machine without time zones
        return None
    years = [int(str(day)[:4]) for day in (days[0], days[-1])]
    on = (local // DAY).view("M8[D]")
    early = np.isin(on, np.array(nyse_half_days(*years), "M8[D]")) & (local % DAY >= _EARLY_CLOSE)
    closed: npt.NDArray[np.bool_] = np.isin(on, np.array(nyse_holidays(*years), "M8[D]")) | early
    return closed


def gaps_at(timestamp: Times, missing: npt.NDArray[np.int64]) -> Gaps:
    """Return gaps from the starts of the bars that are missing, in seconds."""
    after = np.searchsorted(timestamp.astype("M8[s]").view(np.int64), missing) - 1
    rows, counts = np.unique(after, return_counts=True)
    first = [f"{_bars(int(count))} after {iso(timestamp[row])}" for row, count in zip(rows, counts, strict=True)]
    return Gaps(len(missing), first[:GAPS_SHOWN])


def _gaps_of_steps(timestamp: Times, steps: npt.NDArray[Any], step: int) -> Gaps:
    missing = np.maximum((steps + step // 2) // step - 1, 0)
    rows = np.flatnonzero(missing)[:GAPS_SHOWN]
    return Gaps(int(missing.sum()), [f"{_bars(missing[row])} after {iso(timestamp[row])}" for row in rows])


def _bars(count: int) -> str:
    return "1 bar missing" if count == 1 else f"{count} bars missing"
