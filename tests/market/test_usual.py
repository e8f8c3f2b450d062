"""Which bars are usual, and so missing, in short samples without a calendar. Every count is told by the dates alone."""

from __future__ import annotations

import datetime as dt
import warnings

import numpy as np
import pytest

from peak_trade.market.gaps import count_gaps, find_gaps
from peak_trade.market.timeframe import Times


def hours(first: str, count: int) -> Times:
    return np.datetime64(first, "ns") + np.arange(count) * np.timedelta64(1, "h")


def test_a_hole_in_one_day_is_one() -> None:
    day = hours("2024-01-01T00", 24)
    assert count_gaps(day, "1h").missing == 0
    assert count_gaps(np.delete(day, [7, 8, 9]), "1h").missing == 3


def test_a_hole_in_two_days_that_cover_the_clock_is_one() -> None:
    days = hours("2024-01-01T00", 48)
    gaps = count_gaps(np.delete(days, np.s_[20:26]), "1h")
    assert (gaps.missing, gaps.first) == (6, ["6 bars missing after 2024-01-01T19:00:00Z"])


@pytest.mark.parametrize("week", ["2024-01-08", "2024-07-08"])
def test_a_weekend_between_days_that_cover_the_clock_is_none(week: str) -> None:
    monday = np.datetime64(week, "D")
    both = np.concatenate(
        [hours(f"{monday}T00", 4 * 24 + 22), hours(f"{monday + np.timedelta64(6, 'D')}T22", 26)]
    )  # Friday 22:00 on
    assert count_gaps(both, "1h").missing == 0
    assert count_gaps(np.delete(both, [50, 51]), "1h").missing == 2
    assert count_gaps(np.delete(both, np.s_[30:60]), "1h").missing == 30  # in a week, and over a night


def test_nights_between_sessions_are_none() -> None:
    sessions = np.concatenate([hours(f"2024-01-{day:02}T14", 7) for day in (8, 9, 10, 11, 12)])
    assert count_gaps(sessions, "1h").missing == 0
    assert count_gaps(np.delete(sessions, 10), "1h").missing == 1


@pytest.fixture(scope="module")
def schedule() -> list[tuple[dt.date, dt.datetime, dt.datetime]]:
    """Day, open and close of New York's sessions 2010 to 2019, by an independent package."""
    import exchange_calendars

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas of its own future, as the package calls it
        found = exchange_calendars.get_calendar("XNYS", start="2010-01-01", end="2019-12-31").schedule
        rows = list(zip(found.index.date, found["open"].tolist(), found["close"].tolist(), strict=True))
    return [(day, *(time.to_pydatetime().replace(tzinfo=None) for time in times)) for day, *times in rows]


Schedule = list[tuple[dt.date, dt.datetime, dt.datetime]]


def test_days_that_keep_the_holidays_of_new_york_miss_none_of_them(schedule: Schedule) -> None:
    days = np.array([day for day, *_ in schedule], "M8[ns]")
    assert count_gaps(days, "1d").missing == 0
    gaps, (told,) = find_gaps(np.delete(days, [100, 101, 700]), "1d")
    assert (gaps.missing, told.partition(": ")[2]) == (
        3, "gaps are counted by the days of XNYS, as there are no bars on its holidays"
    )  # fmt: skip
    worked = np.sort(np.append(days, np.datetime64("2012-07-04", "ns")))  # a bar on a holiday: some other exchange
    weekdays = np.busday_count("2010-01-04", "2020-01-01")
    assert count_gaps(worked, "1d").missing == weekdays - len(worked) == 90


def test_hours_that_keep_the_holidays_of_new_york_miss_none_of_them(schedule: Schedule) -> None:
    step = np.timedelta64(5, "m")
    last = [session for session in schedule if session[0].year >= 2018]
    bars = np.concatenate([np.arange(opens, closes, step, dtype="M8[m]") for _, opens, closes in last]).astype("M8[ns]")
    assert count_gaps(bars, "5m").missing == 0
    assert count_gaps(np.delete(bars, [500, 501, 20_000]), "5m").missing == 3


def test_a_bar_of_the_next_day_hides_no_hole() -> None:
    assert count_gaps(np.delete(hours("2024-05-06T00", 25), [2, 12, 13]), "1h").missing == 3


def test_the_pause_that_futures_make_each_day_is_none() -> None:
    days = [hours(f"2024-01-{day:02}T23", 23) for day in (7, 8, 9, 10, 11)]
    assert count_gaps(np.concatenate(days), "1h").missing == 0
    assert count_gaps(np.delete(np.concatenate(days), np.s_[30:60]), "1h").missing == 30
