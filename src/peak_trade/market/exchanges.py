"""What the package `exchange_calendars` knows of exchanges: any MIC code, holidays, half days. The extra `calendars`.

It is slow to import, for it brings pandas: nothing here is asked unless a calendar is not built in, or the built-in
rules leave gaps that a holiday could explain.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from peak_trade.errors import InputError

__all__ = ["Facts", "Schedule", "facts", "installed", "names", "schedule"]

Days = npt.NDArray[np.datetime64]

MEASURED = (2010, 2024)  # the years over which sessions a year are counted
MICS = dict.fromkeys(("GLBX", "XCME", "XCBT", "XNYM", "XCEC"), "CMES") | {"IFUS": "IEPA"}
"""Codes of ISO 10383 for what the package knows by other names."""
_MARGIN = np.timedelta64(10, "D")  # it refuses a range without a session


class Facts(NamedTuple):
    """An exchange: its name, mean sessions a year, time zone, regular hours and week; see `calendar.Calendar`."""

    name: str
    sessions: int
    zone: str
    hours: tuple[tuple[str, str], ...]
    week: str


class Schedule(NamedTuple):
    """The sessions between two days, and of those with other hours than most open and close in seconds from midnight.

    `first` and `last` are the days between which the package knows them.
    """

    days: Days
    short: dict[np.datetime64, tuple[int, int]]
    first: np.datetime64
    last: np.datetime64


def installed() -> bool:
    """Tell whether the package is there, without importing it."""
    return importlib.util.find_spec("exchange_calendars") is not None


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what pandas deprecates is theirs to mend
        yield


@cache
def _library() -> Any:
    """Import the package, None where it is not installed or does not work."""
    try:
        with _quiet():
            import exchange_calendars
    except ImportError:
        return None
    return exchange_calendars


def names() -> list[str]:
    """Return every name that it knows."""
    library = _library()
    return [] if library is None else [*library.get_calendar_names(include_aliases=True), *MICS]


def _ask(name: str, **bounds: str) -> Any:
    try:
        with _quiet():
            return _library().get_calendar(name, **bounds)
    except Exception as error:  # noqa: BLE001 - pandas raises anything when a rule of theirs does not fit the range
        reason = str(error).partition(" [")[0][:100] or type(error).__name__
        raise InputError(
            f"exchange_calendars cannot make the calendar {name}: {reason}", hint="leave `calendar` out"
        ) from None


@cache
def facts(wanted: str) -> Facts | None:
    """Return what is known of a name in capitals, None where nothing is."""
    if (library := _library()) is None:
        return None
    known = {name.upper(): name for name in library.get_calendar_names(include_aliases=True)} | MICS
    if wanted not in known:
        return None
    name = str(library.resolve_alias(known[wanted]))
    calendar = _ask(name)
    low, high = _bounds(calendar)
    years = [
        year
        for year in range(MEASURED[0], MEASURED[1] + 1)
        if low <= _day(f"{year}-01-01") and _day(f"{year}-12-31") <= high
    ]
    counted = _ask(name, start=f"{years[0]}-01-01", end=f"{years[-1]}-12-31").sessions if years else calendar.sessions
    sessions = len(counted) / len(years) if years else len(counted) / ((counted[-1] - counted[0]).days / 365.25)
    return Facts(name, round(sessions), str(calendar.tz), _hours(calendar), str(calendar.weekmask))


def _day(day: Any) -> np.datetime64:
    return np.datetime64(str(day)[:10], "D")


def _bounds(calendar: Any) -> tuple[np.datetime64, np.datetime64]:
    low, high = calendar.bound_min(), calendar.bound_max()
    return _day(low or "1800-01-01"), _day(high or "2200-01-01")


def _hours(calendar: Any) -> tuple[tuple[str, str], ...]:
    columns = [
        [("" if since is None else str(since)[:10], time) for since, time in column or ()]
        for column in (
            calendar.open_times,
            calendar.break_start_times,
            calendar.break_end_times,
            calendar.close_times,
        )
    ]
    changes = sorted({since for column in columns for since, _ in column})
    hours = []
    for day in changes:
        times = [[time for since, time in column if since <= day] for column in columns]
        opening, pause, back, closing = (f"{at[-1]:%H:%M}" if at and at[-1] else "" for at in times)
        hours.append((day, f"{opening}-{pause} {back}-{closing}" if pause else f"{opening}-{closing}"))
    return tuple(hours)


@cache
def schedule(name: str, first: np.datetime64, last: np.datetime64) -> Schedule | None:
    """Return the sessions from one day to another, as far as they are known; None where the package is absent.

    `name` is a calendar's, built in or not.
    """
    library = _library()
    if library is None:
        return None
    key = str(library.resolve_alias(name))
    start, end = first - _MARGIN, last + _MARGIN
    try:
        calendar = _ask(key, start=str(start), end=str(end))
    except InputError:  # beyond what it knows, and what it knows takes a calendar to ask
        low, high = _bounds(_ask(key))
        start, end = max(start, low), min(end, high)
        if start >= end:
            return Schedule(np.array([], "M8[D]"), {}, low, high)
        calendar = _ask(key, start=str(start), end=str(end))
    days = calendar.sessions.to_numpy().astype("M8[D]")
    ends = np.column_stack([_seconds(moments, days, calendar.tz) for moments in (calendar.opens, calendar.closes)])
    _, of, counts = np.unique(ends, axis=0, return_inverse=True, return_counts=True)
    # what the package calls early or late leaves days out on which both ends are moved
    short = {days[at]: (int(ends[at, 0]), int(ends[at, 1])) for at in np.flatnonzero(of.ravel() != counts.argmax())}
    return Schedule(days[(first <= days) & (days <= last)], short, *_bounds(calendar))


def _seconds(moments: Any, days: Days, zone: Any) -> npt.NDArray[np.int64]:
    """Return what the clock of a zone shows at a moment of each day, in seconds from its midnight."""
    shown = moments.dt.tz_convert(zone).dt.tz_localize(None).to_numpy().astype("M8[s]")
    seconds: npt.NDArray[np.int64] = (shown - days.astype("M8[s]")).astype(np.int64)
    return seconds
