from __future__ import annotations

import datetime as dt
import warnings
from functools import cache
from typing import Any

import numpy as np
import pytest

from peak_trade.errors import InputError
from peak_trade.market.calendar import CALENDARS, find_calendar
from peak_trade.market.gaps import count_gaps
from peak_trade.market.holidays import nyse_half_days, nyse_holidays
from peak_trade.market.rate import periods_per_year
from peak_trade.market.timeframe import parse_timeframe, spacing, spacing_fits, timeframe_seconds

EXCHANGES = [
    pytest.param(name, marks=pytest.mark.slow) if name == "XKRX" else name  # its holidays follow the moon
    for name in CALENDARS
    if name not in ("24/7", "24/5")
]


def times(*stamps: str) -> Any:
    return np.array(stamps, "datetime64[ns]")


def every(step: str, count: int, start: str = "2024-01-01") -> Any:
    unit = {"m": "m", "h": "h", "d": "D", "w": "W"}[step[-1]]
    return np.datetime64(start, "ns") + np.arange(count) * np.timedelta64(int(step[:-1]), unit)


@cache
def sessions(name: str, start: str, end: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what pandas deprecates is theirs to mend
        import exchange_calendars  # slow to import, and only needed here

        calendar = exchange_calendars.get_calendar(name, start=start, end=end)
    return calendar.sessions.to_numpy().astype("datetime64[ns]")


# Timeframes


@pytest.mark.parametrize(
    ("text", "parsed", "seconds"),
    [
        ("30s", (30, "s"), 30),
        ("1m", (1, "m"), 60),
        ("15m", (15, "m"), 900),
        ("4h", (4, "h"), 14_400),
        ("1d", (1, "d"), 86_400),
        ("2w", (2, "w"), 1_209_600),
        ("1M", (1, "M"), 2_628_000),
        ("9999s", (9999, "s"), 9999),
    ],
)
def test_a_timeframe_is_a_number_and_a_unit(text: str, parsed: tuple[int, str], seconds: int) -> None:
    assert parse_timeframe(text) == parsed
    assert timeframe_seconds(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "h", "1", "0h", "01h", "-1h", "1.5h", "1H", "1D", "60min", "1 h", "10000s", "²h", "1y"]
)
def test_what_is_no_timeframe_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_timeframe(text)
    assert caught.value.message == f"`{text}` is not a timeframe"
    assert "such as 1m, 15m, 1h" in caught.value.hint


# Calendars


@pytest.mark.parametrize(("name", "found"), [("24/7", "24/7"), ("nyse", "XNYS"), ("Nasdaq", "XNAS"), ("xetr", "XETR")])
def test_a_calendar_goes_by_its_name_or_an_alias_in_any_case(name: str, found: str) -> None:
    assert find_calendar(name).name == found


def test_an_unknown_calendar_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        find_calendar("NASDQ")
    assert (caught.value.message, caught.value.hint) == ("unknown calendar `NASDQ`", "did you mean `NASDAQ`?")


def test_no_name_means_two_calendars() -> None:
    names = [name for calendar in CALENDARS.values() for name in (calendar.name, *calendar.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", EXCHANGES)
def test_an_exchange_has_as_many_sessions_a_year_as_it_had_from_2010_to_2024(name: str) -> None:
    assert CALENDARS[name].sessions == round(len(sessions(name, "2010-01-01", "2024-12-31")) / 15)


def test_new_york_has_252_sessions_a_year() -> None:
    assert find_calendar("NYSE").sessions == 252


# Holidays of New York


def test_the_holidays_of_2024_are_these() -> None:
    assert [str(day) for day in nyse_holidays(2024, 2024)] == [
        "2024-01-01",
        "2024-01-15",
        "2024-02-19",
        "2024-03-29",
        "2024-05-27",
        "2024-06-19",
        "2024-07-04",
        "2024-09-02",
        "2024-11-28",
        "2024-12-25",
    ]


def test_weekdays_less_holidays_are_the_sessions_of_1999_to_2025() -> None:
    days = np.arange(np.datetime64("1999-01-01"), np.datetime64("2026-01-01"))
    holidays = np.array(nyse_holidays(1999, 2025), "datetime64[D]")
    expected = sessions("XNYS", "1999-01-01", "2025-12-31").astype("datetime64[D]")
    assert (days[np.is_busday(days, holidays=holidays)] == expected).all()


def test_new_york_closes_early_on_the_days_of_1999_to_2026() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import exchange_calendars

        calendar = exchange_calendars.get_calendar("XNYS", start="1999-01-01", end="2026-12-31")
    assert [str(day) for day in nyse_half_days(1999, 2026)] == [str(day.date()) for day in calendar.early_closes]


def test_holidays_on_a_weekend_are_observed_as_the_exchange_does() -> None:
    # 2021: Christmas on a Saturday; 2022: New Year's Day on a Saturday, Juneteenth on a Sunday
    found = nyse_holidays(2021, 2022)
    assert dt.date(2021, 12, 24) in found
    assert dt.date(2021, 12, 31) not in found
    assert dt.date(2022, 6, 20) in found


def test_good_friday_is_two_days_before_easter_in_any_century() -> None:
    from dateutil.easter import easter

    for year in range(1700, 2262):
        assert easter(year) - dt.timedelta(days=2) in nyse_holidays(year, year)


def test_juneteenth_was_no_holiday_before_2022() -> None:
    assert dt.date(2021, 6, 18) not in nyse_holidays(2021, 2021)


# Spacing


def test_spacing_is_the_lower_median_of_the_steps() -> None:
    # steps of 1, 1, 5 and 7 hours: the lower of the two in the middle is 1
    assert spacing(times("2024-01-01T00", "2024-01-01T01", "2024-01-01T02", "2024-01-01T07", "2024-01-01T14")) == 3600


def test_one_bar_has_no_spacing() -> None:
    assert spacing(times("2024-01-01")) is None
    assert spacing(times()) is None


@pytest.mark.parametrize(
    ("timeframe", "days", "fits"),
    [
        ("1d", 1, True),
        ("1d", 1.5, False),
        ("24h", 1, True),
        ("1w", 7, True),
        ("1w", 8, False),
        ("1M", 28, True),
        ("1M", 31, True),
        ("1M", 32, False),
        ("3M", 92, True),
        ("5d", 7, True),  # five sessions
        ("5d", 4, False),
        ("3d", 5, True),  # three sessions over a weekend
        ("3d", 6, False),
        ("10d", 14, True),  # ten sessions over two weekends
        ("10d", 15, False),
        ("6d", 10, True),  # six sessions, and two weekends at the most
        ("6d", 11, False),
    ],
)
def test_a_spacing_fits_a_timeframe_or_not(timeframe: str, days: float, fits: bool) -> None:
    assert spacing_fits(timeframe, days * 86_400) is fits


# Bars a year


@pytest.mark.parametrize(
    ("timeframe", "calendar", "expected"),
    [
        ("1h", "24/7", 8760),
        ("1m", "24/7", 525_600),
        ("4h", "24/7", 2190),
        ("1d", "24/7", 365),
        ("1w", "24/7", 365 / 7),
        ("1d", "XNYS", 252),
        ("2d", "XNYS", 126),
        ("1w", "XNYS", 52),
        ("2w", "XLON", 26),
        ("1d", "24/5", 260),
        ("1h", "24/5", 260 * 24),
    ],
)
def test_bars_a_year_by_calendar(timeframe: str, calendar: str, expected: float) -> None:
    assert periods_per_year(every(timeframe, 200), timeframe, calendar) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("calendar", ["24/7", "XNYS"])
@pytest.mark.parametrize(("timeframe", "step", "expected"), [("1M", 1, 12), ("3M", 3, 4)])
def test_months_are_twelve_a_year_everywhere(calendar: str, timeframe: str, step: int, expected: int) -> None:
    months = (np.datetime64("2020-01") + np.arange(0, 24, step)).astype("datetime64[ns]")
    assert periods_per_year(months, timeframe, calendar) == expected


def test_intraday_bars_on_an_exchange_are_sessions_times_bars_a_day() -> None:
    # New York at 30 minutes has 13 bars a day; one of the three days is cut short
    days = [("2024-07-01", 13), ("2024-07-02", 13), ("2024-07-03", 7)]
    bars = np.concatenate([every("30m", count, f"{day}T13:30") for day, count in days])
    assert periods_per_year(bars, "30m", "XNYS") == 252 * 13


@pytest.mark.parametrize(
    ("timeframe", "calendar", "expected"),
    [("1h", "24/7", 8760), ("1d", "XNYS", 252), ("1w", "XNYS", 52), ("1M", "24/7", 12), ("1d", "24/5", 260)],
)
def test_one_bar_is_judged_by_its_timeframe(timeframe: str, calendar: str, expected: float) -> None:
    assert periods_per_year(times("2024-01-02"), timeframe, calendar) == expected


@pytest.mark.parametrize(
    ("declared", "real", "calendar", "expected"),
    [
        ("1d", "1h", "24/7", 8760),
        ("1d", "1h", "24/5", 260 * 24),
        ("1h", "1d", "XNYS", 252),
        ("1d", "1w", "XNYS", 52),
        ("1w", "1d", "XNYS", 252),
    ],
)
def test_bars_that_are_not_what_they_are_called_count_as_what_they_are(
    declared: str, real: str, calendar: str, expected: float
) -> None:
    assert periods_per_year(every(real, 200), declared, calendar) == expected


def test_ten_sessions_a_bar_are_a_tenth_of_the_sessions_a_year() -> None:
    """Every other Monday is ten sessions on: 252 a year make 25.2 bars, not the 18 of 14 days each."""
    mondays = np.datetime64("2024-01-01", "ns") + np.arange(50) * np.timedelta64(14, "D")
    assert periods_per_year(mondays, "10d", "XNYS") == 25.2
    assert periods_per_year(mondays, "2w", "XNYS") == 26


def test_months_that_are_called_days_count_as_months() -> None:
    months = (np.datetime64("2020-01") + np.arange(24)).astype("datetime64[ns]")
    assert periods_per_year(months, "1d", "XNYS") == 12


# Gaps


def test_bars_without_a_break_have_no_gap() -> None:
    assert count_gaps(every("1h", 1000), "1h", "24/7") == (0, [])


@pytest.mark.parametrize("count", [0, 1])
def test_one_bar_has_no_gap(count: int) -> None:
    assert count_gaps(every("1d", count), "1d", "XNYS") == (0, [])


def test_each_missing_bar_around_the_clock_is_counted() -> None:
    bars = np.delete(every("1h", 48), [5, 10, 11, 12])
    assert count_gaps(bars, "1h", "24/7") == (
        4,
        ["1 bar missing after 2024-01-01T04:00:00Z", "3 bars missing after 2024-01-01T09:00:00Z"],
    )


def test_a_bar_that_comes_a_little_late_leaves_no_gap() -> None:
    assert count_gaps(times("2024-01-01T00:00", "2024-01-01T01:20", "2024-01-01T02:00"), "1h", "24/7").missing == 0


def test_five_gaps_are_shown_and_all_are_counted() -> None:
    found = count_gaps(every("2h", 100), "1h", "24/7")
    assert found.missing == 99
    assert len(found.first) == 5


def test_weekends_are_gaps_around_the_clock_and_none_on_weekdays() -> None:
    bars = times("2024-01-04", "2024-01-05", "2024-01-08")
    assert count_gaps(bars, "1d", "24/7").missing == 2
    assert count_gaps(bars, "1d", "24/5").missing == 0


def test_missing_sessions_are_named_by_date() -> None:
    bars = times("2024-07-02", "2024-07-05", "2024-07-09")  # the 4th is a holiday, the 3rd and the 8th are sessions
    assert count_gaps(bars, "1d", "NYSE") == (2, ["no bar on 2024-07-03", "no bar on 2024-07-08"])


def test_a_bar_on_a_holiday_hides_no_gap() -> None:
    bars = times("2024-07-03", "2024-07-04", "2024-07-08")
    assert count_gaps(bars, "1d", "XNYS") == (1, ["no bar on 2024-07-05"])


def test_the_sessions_of_new_york_have_no_gap_however_they_are_stamped() -> None:
    days = sessions("XNYS", "1999-01-01", "2025-12-31")
    assert count_gaps(days, "1d", "XNAS") == (0, [])
    assert count_gaps(days + np.timedelta64(14, "h") + np.timedelta64(30, "m"), "1d", "XNYS") == (0, [])


def test_sessions_stamped_at_midnight_of_the_far_east_have_no_gap() -> None:
    # midnight of Monday in Tokyo is 15:00 on Sunday in UTC
    bars = times("2024-03-03", "2024-03-04", "2024-03-05", "2024-03-06", "2024-03-07", "2024-03-10")
    assert count_gaps(bars + np.timedelta64(15, "h"), "1d", "XTKS") == (0, [])


def test_two_sessions_a_bar_are_counted_by_session() -> None:
    # Tuesday, Thursday, Monday, Wednesday the week after: two sessions each but the last, which is seven
    bars = times("2024-07-09", "2024-07-11", "2024-07-15", "2024-07-24")
    assert count_gaps(bars, "2d", "XNYS").missing == 3


def test_nights_and_weekends_are_no_gaps_of_intraday_bars() -> None:
    days = ["2024-07-05", "2024-07-08"]
    bars = np.concatenate([every("30m", 13, f"{day}T13:30") for day in days])
    assert count_gaps(bars, "30m", "XNYS") == (0, [])
    assert count_gaps(np.delete(bars, [3, 4]), "30m", "XNYS") == (2, ["2 bars missing after 2024-07-05T14:30:00Z"])


def test_missing_weeks_and_months_are_counted() -> None:
    assert count_gaps(np.delete(every("1w", 10), 4), "1w", "XNYS").missing == 1
    months = (np.datetime64("2020-01") + np.array([0, 1, 2, 5, 6])).astype("datetime64[ns]")
    assert count_gaps(months, "1M", "24/7") == (2, ["2 bars missing after 2020-03-01T00:00:00Z"])
