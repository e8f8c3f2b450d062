"""How many bars a year has: as the bars show it, and as a calendar says."""

from __future__ import annotations

import numpy as np

from peak_trade.market.calendar import AROUND, Calendar, find_calendar
from peak_trade.market.findings import Finding
from peak_trade.market.sessions import expected_bars, grid_of, pauses, sessions_between
from peak_trade.market.timeframe import (
    DAY,
    UNIT_SECONDS,
    Times,
    parse_timeframe,
    spacing,
    spacing_fits,
    steps_fit,
    timeframe_seconds,
)

__all__ = ["SHORTEST_YEARS", "observed_rate", "periods_per_year", "rate_assumption", "rate_finding"]

YEAR = 31_557_600  # seconds of 365.25 days
SHORTEST_YEARS = 1 / 12  # less says nothing of a year
TOLERANCE = 0.05
_EDGES = 8  # sessions that weekends and holidays may move in or out of a part of a year


def observed_rate(timestamp: Times) -> float | None:
    """Return bars a year as the bars show it (shape (N,)), None where they span less than a year's twelfth.

    Formula: (N - 1) / years from the first bar to the last, of 365.25 days.

    >>> observed_rate(np.datetime64("2020-01-01", "ns") + np.arange(1462) * np.timedelta64(1, "D"))
    365.25
    """
    years = _years(timestamp)
    return (len(timestamp) - 1) / years if years >= SHORTEST_YEARS else None


def _years(timestamp: Times) -> float:
    return float((timestamp[-1] - timestamp[0]) / np.timedelta64(YEAR, "s")) if len(timestamp) else 0.0


def periods_per_year(timestamp: Times, timeframe: str, calendar: str | None) -> float | None:
    """Return how many bars a year has, by the calendar; None given, by the bars, and None where they can't tell.

    24/7: a year of 365 days over the median spacing. Elsewhere: sessions over n for n days, 52/n for weeks, 12/n for
    months (everywhere), and for intraday bars sessions times the bars that a whole session has, by its hours.
    The timeframe's word is taken where the bars fit it or are fewer than two.

    >>> hours = np.datetime64("2024-01-01", "ns") + np.arange(48) * np.timedelta64(1, "h")
    >>> periods_per_year(hours, "1h", "24/7")
    8760.0
    >>> periods_per_year(hours, "1h", None) is None
    True
    """
    if calendar is None:
        return observed_rate(timestamp)
    found = find_calendar(calendar)
    count, unit = parse_timeframe(timeframe)
    seconds = spacing(timestamp)
    if seconds is not None and not steps_fit(timeframe, timestamp):
        count, unit = _nearest_timeframe(seconds)
    elif seconds is None or not spacing_fits(timeframe, seconds):
        seconds = float(timeframe_seconds(timeframe))
    if unit == "M":
        return 12 / count
    if found.name == AROUND:
        return 365 * DAY / seconds
    if unit == "w":
        return 52 / count
    if unit == "d" or seconds >= DAY:
        return found.sessions / (seconds / DAY if unit != "d" else count)
    return found.sessions * _bars_per_session(timestamp, max(round(seconds), 1), found)


def _bars_per_session(timestamp: Times, step: int, calendar: Calendar) -> float:
    """Return the mean number of bars of a whole session in the bars' time.

    Where they begin by the clock of UTC, which local hours move under, it is over a year at least. The pause that the
    bars keep is no part of a session around the clock (`sessions.pauses`).
    """
    seconds = timestamp.astype("M8[s]").view(np.int64)
    first = timestamp[0].astype("M8[D]") if len(timestamp) else np.datetime64("2024-01-01")
    last = max(timestamp[-1].astype("M8[D]"), first) if len(timestamp) else first
    one = np.timedelta64(1, "D")
    whole = sessions_between(calendar, first - one, max(last + one, first + 365 * one), regular=True)
    grid = grid_of(seconds, whole, step)
    within = (first <= whole.days) & (whole.days <= last)
    if grid.fixed is not None or not within.any():
        within[:] = True
    if grid.fixed is None:
        total = sum(int(mask[within].sum()) * len(starts) for mask, starts in grid.groups(whole))
    else:  # a bar of the clock may hold the end of a session and the open of the next: it is one
        base = whole.base[within]
        part = whole._replace(days=whole.days[within], kind=whole.kind[within], base=base)
        total = len(expected_bars(part, grid, int(base[0]) - 2 * DAY, int(base[-1]) + 2 * DAY)[0])
    mean = total / int(within.sum())
    if all(sum(end - start for start, end in hours) >= DAY for hours in whole.hours):
        mean -= len(pauses(seconds, whole, grid))
    return mean


def rate_assumption(timestamp: Times, calendar: str | None, given: float | None = None) -> list[str]:
    """Return what is taken for granted where no calendar says how many bars a year has, and no rate is given."""
    if calendar is not None or given is not None:
        return []
    rate = observed_rate(timestamp)
    if rate is None:
        return [
            "no calendar is given, and less than a twelfth of a year of bars can't tell how many make a year: "
            "what is annualised by bars has no value"
        ]
    return [f"no calendar is given: a year has {rate:,.6g} bars, as many as these bars show"]


def rate_finding(timestamp: Times, timeframe: str, calendar: str | None, given: float | None = None) -> list[Finding]:
    """Return a finding where the rate that annualises, `given` or the calendar's, is not what the bars show.

    They may differ by 5 %; in less than a year, also by what weekends and holidays at its edges explain.
    """
    observed = observed_rate(timestamp)
    rate = given if given is not None else periods_per_year(timestamp, timeframe, calendar) if calendar else None
    if observed is None or rate is None or abs(rate - observed) <= TOLERANCE * max(rate, observed):
        return []
    known = find_calendar(calendar) if calendar else None
    if known is None or known.name != AROUND:
        part = min(_years(timestamp), 1.0)
        slack = _EDGES * (1.0 - part) * rate / (known.sessions if known else 252)
        if abs(rate - observed) * part <= slack:
            return []
    of = "stats.periods_per_year" if given is not None else f"the calendar {known.name if known else ''}"
    other = "the calendar's rate does" if given is not None and calendar else "the bars' own rate does"
    text = (
        f"{of} says {rate:,.6g} bars a year, and the bars show {observed:,.6g}: what is annualised uses {rate:,.6g}; "
        f"without {'it' if given is not None else 'a calendar'} {other}"
    )
    return [Finding("rate", 1, text)]


def _nearest_timeframe(seconds: float) -> tuple[int, str]:
    """Name a spacing, for bars that are not what they were declared to be."""
    if seconds >= 28 * DAY:
        return max(round(seconds / UNIT_SECONDS["M"]), 1), "M"
    if seconds >= DAY:
        return (round(seconds / (7 * DAY)), "w") if seconds % (7 * DAY) == 0 else (round(seconds / DAY), "d")
    return max(round(seconds), 1), "s"
