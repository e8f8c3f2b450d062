"""Which bars are usual, and so missing, in short samples without a calendar. Every count is told by the dates alone."""

from __future__ import annotations

import numpy as np
import pytest

from peak_trade.market.gaps import count_gaps
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
    both = np.concatenate([hours(f"{monday}T00", 4 * 24 + 22), hours(f"{monday + 6}T22", 26)])  # Friday 22:00 on
    assert count_gaps(both, "1h").missing == 0
    assert count_gaps(np.delete(both, [50, 51]), "1h").missing == 2
    assert count_gaps(np.delete(both, np.s_[30:60]), "1h").missing == 30  # in a week, and over a night


def test_nights_between_sessions_are_none() -> None:
    sessions = np.concatenate([hours(f"2024-01-{day:02}T14", 7) for day in (8, 9, 10, 11, 12)])
    assert count_gaps(sessions, "1h").missing == 0
    assert count_gaps(np.delete(sessions, 10), "1h").missing == 1
