"""Timeframes and calendars: how many bars a year has, and which bars are missing."""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from peak_trade.errors import InputError, did_you_mean
from peak_trade.market.timestamps import iso

__all__ = [
    "CALENDARS",
    "Calendar",
    "Gaps",
    "count_gaps",
    "find_calendar",
    "gap_assumptions",
    "nyse_holidays",
    "parse_timeframe",
    "periods_per_year",
    "spacing",
    "spacing_fits",
    "timeframe_seconds",
]

DAY = 86_400
UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": DAY, "w": 7 * DAY, "M": 365 * DAY // 12}
GAPS_SHOWN = 5

Times = npt.NDArray[np.datetime64]
_DAY = np.timedelta64(1, "D")


class Calendar(msgspec.Struct, frozen=True):
    """When a market trades: its name, its sessions per year and the other names it goes by."""

    name: str
    sessions: int
    aliases: tuple[str, ...] = ()


class Gaps(NamedTuple):
    """Bars missing against timeframe and calendar: how many, and the first few runs of them as text."""

    missing: int
    first: list[str]


# Exchanges: mean number of sessions per year, 2010 to 2024, rounded; a test measures them again.
CALENDARS = {
    calendar.name: calendar
    for calendar in (
        Calendar("24/7", 365),
        Calendar("24/5", 260),
        Calendar("XNYS", 252, ("NYSE",)),
        Calendar("XNAS", 252, ("NASDAQ",)),
        Calendar("XTSE", 251, ("TSX",)),
        Calendar("BVMF", 248, ("B3",)),
        Calendar("XLON", 253, ("LSE",)),
        Calendar("XETR", 254, ("XETRA",)),
        Calendar("XPAR", 256),
        Calendar("XAMS", 256),
        Calendar("XMIL", 254),
        Calendar("XSWX", 251, ("SIX",)),
        Calendar("XSTO", 251),
        Calendar("XTKS", 245, ("JPX",)),
        Calendar("XHKG", 246, ("HKEX",)),
        Calendar("XSHG", 243, ("SSE",)),
        Calendar("XKRX", 246, ("KRX",)),
        Calendar("XBOM", 246, ("BSE",)),
        Calendar("XSES", 251, ("SGX",)),
        Calendar("XASX", 253, ("ASX",)),
    )
}
NYSE_CALENDARS = ("XNYS", "XNAS")  # the Nasdaq keeps the New York Stock Exchange's holidays
NYSE_RULES_SINCE = 1999

# Closures that follow no rule: mourning, attack and storm.
NYSE_SPECIAL_CLOSURES = (
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


def find_calendar(name: str) -> Calendar:
    """Return the calendar of a name or alias, whatever its case; errors: `InputError` for an unknown one."""
    wanted = name.upper()
    for calendar in CALENDARS.values():
        if wanted == calendar.name or wanted in calendar.aliases:
            return calendar
    known = [known for calendar in CALENDARS.values() for known in (calendar.name, *calendar.aliases)]
    raise InputError(f"unknown calendar `{name}`", hint=did_you_mean(wanted, known))


def parse_timeframe(text: str) -> tuple[int, str]:
    """Split a timeframe into its count and unit: s, m (minute), h, d, w or M (month).

    >>> parse_timeframe("15m")
    (15, 'm')
    """
    count, unit = text[:-1], text[-1:]
    if unit not in UNIT_SECONDS or not (count.isascii() and count.isdigit()) or count[0] == "0" or len(count) > 4:
        raise InputError(
            f"`{text}` is not a timeframe",
            hint="write a number and one of s, m, h, d, w, M (month), such as 1m, 15m, 1h, 4h, 1d, 1w or 1M",
        )
    return int(count), unit


def timeframe_seconds(timeframe: str) -> int:
    """Return a timeframe's length in seconds; a month is a twelfth of 365 days.

    >>> timeframe_seconds("4h")
    14400
    """
    count, unit = parse_timeframe(timeframe)
    return count * UNIT_SECONDS[unit]


def spacing(timestamp: Times) -> float | None:
    """Return the lower median of the seconds between bars, None for fewer than two.

    The lower median, because two bars a day are as many steps within the day as over night.
    """
    if len(timestamp) < 2:
        return None
    steps = np.diff(timestamp.view(np.int64))
    middle = (len(steps) - 1) // 2
    return float(np.partition(steps, middle)[middle]) / 1e9


def spacing_fits(timeframe: str, seconds: float) -> bool:
    """Tell whether bars that many seconds apart can be of this timeframe.

    Months may be 28 to 31 days long; of several days, some may be a weekend.
    """
    count, unit = parse_timeframe(timeframe)
    if unit == "M":
        return 28 * count * DAY <= seconds <= 31 * count * DAY
    if unit == "d" and count > 1:
        return count * DAY <= seconds <= (count + 2 * -(-count // 5)) * DAY
    return seconds == count * UNIT_SECONDS[unit]


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
    if timestamp[0] < np.datetime64(f"{NYSE_RULES_SINCE}-01-01"):
        return [f"gaps on {found.name} before {NYSE_RULES_SINCE} are counted by today's rules for holidays"]
    return []


def nyse_holidays(first_year: int, last_year: int) -> list[dt.date]:
    """Return the weekdays on which New York is closed, from 1999 on as they were.

    Source: NYSE rule 7.2 (a holiday on Sunday moves to Monday, one on Saturday to Friday, but New Year's Day never
    into the old year), Martin Luther King Day since 1998, Juneteenth since 2022, and the special closures.
    """
    days = [day for day in NYSE_SPECIAL_CLOSURES if first_year <= day.year <= last_year]
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


def _nearest_timeframe(seconds: float) -> tuple[int, str]:
    """Name a spacing, for bars that are not what they were declared to be."""
    if seconds >= 28 * DAY:
        return max(round(seconds / UNIT_SECONDS["M"]), 1), "M"
    if seconds >= DAY:
        return (round(seconds / (7 * DAY)), "w") if seconds % (7 * DAY) == 0 else (round(seconds / DAY), "d")
    return max(round(seconds), 1), "s"


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
