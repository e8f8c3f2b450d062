"""Whole series, made from an independent package's sessions: no bar is missing, and each that is taken out is."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from peak_trade.market.bars import Bars
from peak_trade.market.contract import check_ohlcv
from peak_trade.market.gaps import count_gaps
from peak_trade.market.rate import periods_per_year
from peak_trade.market.timeframe import Times

Session = tuple[dt.date, np.datetime64, np.datetime64]


@cache
def sessions(name: str, first: str, last: str) -> list[Session]:
    """Day, open and close (UTC) of an exchange's sessions."""
    import exchange_calendars

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas of its own future, as the package calls it
        found = exchange_calendars.get_calendar(name, start=first, end=last).schedule
        rows = zip(found.index.date, found["open"].tolist(), found["close"].tolist(), strict=True)
        return [(day, *(np.datetime64(time.tz_localize(None), "m") for time in times)) for day, *times in rows]  # type: ignore[misc]


def from_open(name: str, first: str, last: str, minutes: int) -> Times:
    step = np.timedelta64(minutes, "m")
    return np.concatenate([np.arange(opens, closes, step) for _, opens, closes in sessions(name, first, last)]).astype(
        "M8[ns]"
    )


def by_clock(name: str, first: str, last: str, minutes: int) -> Times:
    """The bars of UTC's clock that hold a minute of a session, as resampled trades are."""
    found: set[int] = set()
    for _, opens, closes in sessions(name, first, last):
        inside = np.arange(opens, closes, np.timedelta64(1, "m")).astype(np.int64)
        found.update((inside // minutes * minutes).tolist())
    return np.array(sorted(found)).astype("M8[m]").astype("M8[ns]")


Made = Callable[[str, str, str, int], Times]


@pytest.mark.parametrize(
    ("made", "calendar", "first", "last", "timeframe"),
    [
        (from_open, "XKRX", "2023-12-11", "2024-01-19", "1h"),  # the year begins an hour late, and ends as late
        (from_open, "XKRX", "2018-10-15", "2018-12-14", "5m"),  # the day of the exam
        (from_open, "XNYS", "2015-01-02", "2016-12-30", "4h"),
        (from_open, "XHKG", "2015-01-05", "2016-12-30", "4h"),
        (by_clock, "CMES", "2024-12-23", "2025-01-03", "4h"),
        (by_clock, "CMES", "2024-06-24", "2024-07-12", "4h"),
        (by_clock, "XLON", "2024-01-02", "2024-04-30", "4h"),
        (by_clock, "XETR", "2024-02-05", "2024-04-26", "2h"),
        (by_clock, "XASX", "2023-01-03", "2023-12-29", "3h"),
    ],
)
def test_each_bar_that_is_taken_out_is_missing(
    made: Made, calendar: str, first: str, last: str, timeframe: str
) -> None:
    minutes = int(timeframe[:-1]) * {"m": 1, "h": 60}[timeframe[-1]]
    whole = made(calendar, first, last, minutes)
    assert count_gaps(whole, timeframe, calendar).missing == 0
    rows = np.random.default_rng(3).choice(np.arange(1, len(whole) - 1), 4, replace=False)
    assert count_gaps(np.delete(whole, rows), timeframe, calendar).missing == 4


@pytest.mark.parametrize("last", ["2024-03-28", "2024-04-30", "2024-12-31"])
def test_a_clock_that_is_moved_changes_no_rate(last: str) -> None:
    assert periods_per_year(by_clock("XLON", "2024-01-02", last, 240), "4h", "XLON") == 253 * 3


def flat(timestamp: Times, timeframe: str) -> Bars:
    ones = np.ones(len(timestamp))
    return Bars(timestamp, ones, ones, ones, ones, ones, "X", timeframe)


@pytest.mark.parametrize(("calendar", "rate"), [("XNYS", 252 * 2), ("XHKG", 246 * 2)])
def test_two_bars_a_session_are_of_their_timeframe(calendar: str, rate: int) -> None:
    whole = from_open(calendar, "2015-01-05", "2016-12-30", 240)
    assert not check_ohlcv(flat(whole, "4h"))
    assert periods_per_year(whole, "4h", calendar) == rate


def test_days_around_holidays_are_days() -> None:
    days = np.array(["2024-12-23", "2024-12-27", "2024-12-30", "2025-01-02", "2025-01-03"], "M8[ns]")
    assert not check_ohlcv(flat(days, "1d"))
    assert periods_per_year(days, "1d", "XETR") == 254
    apart = np.array(["2024-12-02", "2024-12-05", "2024-12-08", "2024-12-11", "2024-12-14"], "M8[ns]")
    assert check_ohlcv(flat(apart, "1d")).by_rule == {"timeframe_spacing": 1}


def test_an_odd_short_step_makes_no_timeframe() -> None:
    hours = np.datetime64("2024-01-01", "ns") + np.array([0, 1, 5, 9, 13, 17, 21]) * np.timedelta64(1, "h")
    assert check_ohlcv(flat(hours, "1h")).by_rule == {"timeframe_spacing": 1}
    assert not check_ohlcv(flat(hours, "4h"))


def test_midnights_of_the_east_are_the_days_after_where_no_sunday_tells() -> None:
    stamps = np.array([f"2024-01-{day:02}T15:00" for day in (3, 4, 8, 9, 10, 11)], "M8[ns]")  # 8 was a holiday in Tokyo
    assert count_gaps(stamps, "1d", "XTKS").missing == 0
    assert count_gaps(np.delete(stamps, 3), "1d", "XTKS").missing == 1
