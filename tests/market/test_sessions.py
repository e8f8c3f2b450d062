"""Bars a year and gaps by session: every expected number is counted by hand from hours and days."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from peak_trade.errors import InputError
from peak_trade.market import clocks
from peak_trade.market.calendar import CALENDARS, find_calendar
from peak_trade.market.fitting import fitting_calendar
from peak_trade.market.gaps import count_gaps, find_gaps
from peak_trade.market.rate import observed_rate, periods_per_year, rate_finding

H = 60
NEW_YORK = ("America/New_York", [(9 * H + 30, 16 * H)])
SYDNEY = ("Australia/Sydney", [(10 * H, 16 * H)])
TOKYO = ("Asia/Tokyo", [(9 * H, 11 * H + 30), (12 * H + 30, 15 * H)])
HONG_KONG = ("Asia/Hong_Kong", [(9 * H + 30, 12 * H), (13 * H, 16 * H)])
FUTURES = ("America/New_York", [(-6 * H, 17 * H)])  # 18:00 of the evening before to 17:00


def bars(market: tuple[str, list[tuple[int, int]]], first: str, last: str, step: int, but: tuple[str, ...] = ()) -> Any:
    """Return the starts of whole sessions' bars; times are minutes of the local day, `but` names holidays."""
    zone, hours = market
    found, day = [], dt.date.fromisoformat(first)
    while day <= dt.date.fromisoformat(last):
        if day.weekday() < 5 and str(day) not in but:
            midnight = dt.datetime.combine(day, dt.time(), ZoneInfo(zone))
            local = [midnight + dt.timedelta(minutes=at) for open_, close in hours for at in range(open_, close, step)]
            found += [np.datetime64(at.astimezone(dt.UTC).replace(tzinfo=None), "ns") for at in local]
        day += dt.timedelta(1)
    return np.array(found)


def every(step: str, count: int, start: str = "2024-01-01") -> Any:
    unit = {"m": "m", "h": "h", "d": "D", "w": "W"}[step[-1]]
    return np.datetime64(start, "ns") + np.arange(count) * np.timedelta64(int(step[:-1]), unit)


# Bars a year, as the bars show them


def test_the_bars_own_rate_is_steps_over_years() -> None:
    assert observed_rate(every("1h", 8767)) == 8766.0  # 8,766 hours are 365.25 days
    assert observed_rate(every("1w", 53)) == pytest.approx(365.25 / 7, rel=1e-15)
    months = (np.datetime64("2020-01") + np.arange(49)).astype("M8[ns]")  # 1461 days
    assert observed_rate(months) == 12.0


def test_missing_bars_lower_the_bars_own_rate() -> None:
    kept = np.random.default_rng(1).random(8767) < 0.54
    kept[[0, -1]] = True
    assert observed_rate(every("1h", 8767)[kept]) == float(kept.sum() - 1)


def test_days_with_sundays_are_as_many_as_they_are() -> None:
    days = every("1d", 4 * 365 + 2, "2020-01-01")
    six = days[(days.astype("M8[D]").view(np.int64) + 3) % 7 != 5]  # no Saturday: 209 of them
    assert observed_rate(six) == pytest.approx(1252 / 4, abs=0.01)  # 313 a year


@pytest.mark.parametrize("stamps", [[], ["2024-01-01"], ["2024-01-01", "2024-01-31T10:29"]])
def test_less_than_a_twelfth_of_a_year_says_nothing_of_a_year(stamps: list[str]) -> None:
    assert observed_rate(np.array(stamps, "M8[ns]")) is None
    assert periods_per_year(np.array(stamps, "M8[ns]"), "1d", None) is None


def test_a_twelfth_of_a_year_is_enough() -> None:
    assert observed_rate(np.array(["2024-01-01", "2024-01-31T10:30"], "M8[ns]")) == pytest.approx(12, rel=1e-12)


# Bars a year, by hours


@pytest.mark.parametrize(
    ("count", "what"), [(30, "a morning"), (78, "a session"), (88, "a session and ten bars"), (780, "ten sessions")]
)
def test_five_minutes_of_new_york_are_19656_a_year_however_few_bars_there_are(count: int, what: str) -> None:
    assert periods_per_year(bars(NEW_YORK, "2024-03-04", "2024-03-15", 5)[:count], "5m", "XNYS") == 252 * 78


def test_no_bar_of_an_hour_and_one_have_the_rate_of_the_hours() -> None:
    assert periods_per_year(np.array([], "M8[ns]"), "5m", "XNYS") == 252 * 78
    assert periods_per_year(bars(NEW_YORK, "2024-03-04", "2024-03-04", 5)[:1], "5m", "XNYS") == 252 * 78


def shifted(minutes: list[int], days: str = "2024-03-15") -> Any:
    """Return hourly bars of two weeks of New York that begin at these minutes of its day."""
    return np.sort(np.concatenate([bars((NEW_YORK[0], [(at, at + 1)]), "2024-03-04", days, 60) for at in minutes]))


@pytest.mark.parametrize(
    ("first", "last", "a_day"),
    [(9 * H + 30, 15 * H + 30, 7), (10 * H, 15 * H, 6), (9 * H, 15 * H, 7), (4 * H, 19 * H, 7)],
    ids=["from the open", "on the hour", "on the hour before the open", "with hours before and after"],
)
def test_hours_of_new_york_are_those_that_the_session_has(first: int, last: int, a_day: int) -> None:
    assert periods_per_year(shifted(list(range(first, last + 1, H))), "1h", "XNYS") == 252 * a_day


def test_four_hours_of_a_session_of_six_and_a_half_are_two() -> None:
    assert periods_per_year(bars(NEW_YORK, "2024-03-04", "2024-03-15", 240), "4h", "XNYS") == 504


def test_four_hours_by_the_clock_of_utc_are_two_in_summer_and_three_in_winter() -> None:
    # 13:30 to 20:00 holds the bars of 12:00 and 16:00, 14:30 to 21:00 that of 20:00 too
    opens = bars((NEW_YORK[0], [(9 * H + 30, 9 * H + 31)]), "2023-01-02", "2023-12-29", 1).astype("M8[D]")
    summer = (np.datetime64("2023-03-12") < opens) & (opens < np.datetime64("2023-11-05"))
    stamps = [
        opens + np.timedelta64(12, "h"),
        opens + np.timedelta64(16, "h"),
        opens[~summer] + np.timedelta64(20, "h"),
    ]
    times = np.sort(np.concatenate(stamps)).astype("M8[ns]")
    a_day = (2 * summer.sum() + 3 * (~summer).sum()) / len(opens)
    assert periods_per_year(times, "4h", "XNYS") == pytest.approx(252 * a_day, rel=3e-3)  # by weekdays, holidays too
    holidays = ["2023-01-02", "2023-01-16", "2023-02-20", "2023-04-07", "2023-05-29", "2023-06-19", "2023-07-04",
                "2023-09-04", "2023-11-23", "2023-12-25"]  # fmt: skip
    whole = times[~np.isin(times.astype("M8[D]"), np.array(holidays, "M8[D]"))]
    half = ["2023-07-03T20", "2023-11-24T20"]  # closed at 17:00 and 18:00
    assert count_gaps(whole[~np.isin(whole, np.array(half, "M8[ns]"))], "4h", "XNYS") == (0, [])


@pytest.mark.parametrize(
    ("market", "calendar", "timeframe", "step", "day", "a_day"),
    [
        (TOKYO, "XTKS", "5m", 5, "2024-02-05", 60),
        (TOKYO, "XTKS", "1h", 60, "2024-02-05", 6),
        (("Asia/Tokyo", [(9 * H, 11 * H + 30), (12 * H + 30, 15 * H + 30)]), "XTKS", "5m", 5, "2024-11-05", 66),
        (HONG_KONG, "XHKG", "5m", 5, "2024-02-05", 66),
        (HONG_KONG, "XHKG", "1h", 60, "2024-02-05", 6),
        (("Europe/Berlin", [(9 * H, 17 * H + 30)]), "XETR", "1h", 60, "2024-02-05", 9),
        (("Asia/Seoul", [(9 * H, 15 * H)]), "XKRX", "1m", 1, "2016-07-25", 360),
        (("Asia/Seoul", [(9 * H, 15 * H + 30)]), "XKRX", "1m", 1, "2016-08-01", 390),
        (SYDNEY, "XASX", "1h", 60, "2024-02-05", 6),
    ],
)
def test_a_session_has_the_bars_of_its_hours_in_its_time(
    market: Any, calendar: str, timeframe: str, step: int, day: str, a_day: int
) -> None:
    last = str(np.datetime64(day) + np.timedelta64(4, "D"))
    assert periods_per_year(bars(market, day, last, step), timeframe, calendar) == CALENDARS[calendar].sessions * a_day


def test_a_session_around_the_clock_has_no_bars_in_the_pause_that_it_keeps() -> None:
    assert periods_per_year(bars(FUTURES, "2024-02-05", "2024-02-29", 60), "1h", "24/5") == 260 * 23
    assert periods_per_year(bars(FUTURES, "2024-02-05", "2024-02-06", 60)[:10], "1h", "24/5") == 260 * 24


# Rates that differ


def test_a_calendar_that_the_bars_bear_out_is_no_finding() -> None:
    for calendar, times, timeframe in (
        ("24/7", every("1h", 8000), "1h"),
        ("XNYS", bars(NEW_YORK, "2024-01-02", "2024-12-31", 30), "30m"),
        ("24/5", bars(FUTURES, "2024-01-02", "2024-12-31", 60), "1h"),
    ):
        assert rate_finding(times, timeframe, calendar) == []


def test_a_month_with_holidays_is_no_finding_and_a_month_of_another_market_is() -> None:
    days = bars((NEW_YORK[0], [(0, 1)]), "2024-12-16", "2025-01-17", 1, ("2024-12-25", "2025-01-01", "2025-01-09"))
    assert rate_finding(days.astype("M8[D]").astype("M8[ns]"), "1d", "XNYS") == []
    [finding] = rate_finding(days.astype("M8[D]").astype("M8[ns]"), "1d", "24/7")
    assert finding.kind == "rate" and "24/7 says 365 bars a year" in finding.text


def test_hours_before_and_after_are_a_finding_of_an_exchange_whose_hours_are_shorter() -> None:
    times = bars((NEW_YORK[0], [(4 * H, 20 * H)]), "2024-01-02", "2024-12-31", 60)
    [finding] = rate_finding(times, "1h", "XNYS")
    assert "XNYS says 1,764 bars a year, and the bars show 4," in finding.text


def test_a_rate_that_is_forced_is_held_against_the_bars_in_place_of_the_calendars() -> None:
    assert rate_finding(every("1d", 800), "1d", "XNYS", 365.0) == []
    [finding] = rate_finding(every("1d", 800), "1d", "24/7", 252.0)
    assert "stats.periods_per_year says 252 bars a year, and the bars show 365.25" in finding.text


def test_what_is_too_short_to_tell_is_no_finding() -> None:
    assert rate_finding(every("1d", 30), "1d", "XNYS") == []
    assert len(rate_finding(every("1d", 60), "1d", "XNYS")) == 1


# Gaps of sessions that belong to their own day

WHOLE = [
    pytest.param(SYDNEY, "XASX", "1h", 60, "2024-02-05", "2024-03-01", (), id="Sydney"),
    pytest.param(SYDNEY, "XASX", "1h", 60, "2024-03-25", "2024-04-19", ("2024-03-29", "2024-04-01"), id="its clock"),
    pytest.param(TOKYO, "XTKS", "5m", 5, "2024-02-13", "2024-02-22", (), id="Tokyo"),
    pytest.param(HONG_KONG, "XHKG", "1h", 60, "2024-02-19", "2024-03-01", (), id="Hong Kong"),
    pytest.param(NEW_YORK, "XNYS", "5m", 5, "2024-03-04", "2024-03-15", (), id="New York"),
    pytest.param(FUTURES, "24/5", "1h", 60, "2024-02-05", "2024-02-29", (), id="futures"),
    pytest.param(FUTURES, "CMES", "1h", 60, "2024-03-04", "2024-03-22", (), id="futures of the CME"),
    pytest.param(FUTURES, "xcme", "1h", 60, "2024-03-04", "2024-03-22", (), id="by its MIC"),
]


@pytest.mark.parametrize(("market", "calendar", "timeframe", "step", "first", "last", "but"), WHOLE)
def test_whole_sessions_have_no_gap_and_what_is_taken_out_is_missing(
    market: Any, calendar: str, timeframe: str, step: int, first: str, last: str, but: tuple[str, ...]
) -> None:
    times = bars(market, first, last, step, but)
    a_session = len(times) // len(np.unique(bars((market[0], [(720, 721)]), first, last, 1, but)))
    assert count_gaps(times, timeframe, calendar) == (0, [])
    for row in (1, len(times) // 2, len(times) // 2 + 1, len(times) - 2, a_session, a_session - 1):
        found = count_gaps(np.delete(times, row), timeframe, calendar)
        assert found.missing == 1 and found.first[0].startswith("1 bar missing after ")
    assert count_gaps(np.delete(times, slice(a_session, 2 * a_session)), timeframe, calendar).missing == a_session


def test_half_days_and_holidays_of_new_york_are_no_gaps_and_need_no_other_package(without_exchanges: None) -> None:
    # Thanksgiving of 2024 and the Friday after, closed at 13:00
    times = bars(NEW_YORK, "2024-11-25", "2024-12-03", 30, ("2024-11-28",))
    whole = times[~((times >= np.datetime64("2024-11-29T18:00")) & (times < np.datetime64("2024-11-29T22:00")))]
    assert find_gaps(whole, "30m", "XNYS") == ((0, []), [])
    assert count_gaps(whole[whole != np.datetime64("2024-11-29T17:30")], "30m", "XNYS").missing == 1


def test_half_days_and_holidays_elsewhere_are_known_with_the_extra_and_said_to_be_gaps_without(
    request: pytest.FixtureRequest,
) -> None:
    london = ("Europe/London", [(8 * H, 16 * H + 30)])
    times = bars(london, "2024-12-20", "2025-01-03", 30, ("2024-12-25", "2024-12-26", "2025-01-01"))
    short = [(f"2024-12-{day}T12:30", f"2024-12-{day}T20:00") for day in (24, 31)]  # closed at 12:30
    for start, end in short:
        times = times[(times < np.datetime64(start)) | (times > np.datetime64(end))]
    assert find_gaps(times, "30m", "XLON") == ((0, []), [])
    request.getfixturevalue("without_exchanges")
    found, said = find_gaps(times, "30m", "XLON")
    assert found.missing == 3 * 17 + 2 * 8
    assert said == ["gaps on XLON are counted by weekdays: its holidays and half days count as gaps"]


def test_where_no_weekday_is_missing_no_other_package_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr("peak_trade.market.exchanges.schedule", asked)
    assert count_gaps(bars(SYDNEY, "2024-02-05", "2024-03-01", 60), "1h", "XASX") == (0, [])
    with pytest.raises(AssertionError):  # the control: here it is
        count_gaps(bars(SYDNEY, "2024-03-25", "2024-04-19", 60, ("2024-03-29",)), "1h", "XASX")


@pytest.mark.parametrize(
    ("calendar", "zone", "at"),
    [
        ("24/5", "America/New_York", -7 * H),  # 17:00 of the evening before
        ("XTKS", "Asia/Tokyo", 0),
        ("XASX", "Australia/Sydney", 10 * H),
        ("XLON", "Europe/London", 0),  # 23:00 of the day before in summer
        ("XETR", "Europe/Berlin", 0),
        ("XNYS", "America/New_York", 16 * H),
        ("CMES", "America/Chicago", -7 * H),
    ],
)
def test_a_daily_bar_belongs_to_its_trading_day_however_it_is_stamped(calendar: str, zone: str, at: int) -> None:
    times = bars((zone, [(at, at + 1)]), "2024-03-04", "2024-04-25", 1, ("2024-03-29", "2024-04-01"))
    if calendar in ("24/5", "XTKS", "XNYS", "CMES"):
        times = bars(
            (zone, [(at, at + 1)]), "2024-03-04", "2024-03-28", 1, ("2024-03-20",) if calendar == "XTKS" else ()
        )
    assert count_gaps(times, "1d", calendar) == (0, [])
    assert count_gaps(np.delete(times, 10), "1d", calendar) == (1, ["no bar on 2024-03-18"])


# Without a calendar


def test_without_a_calendar_the_days_and_hours_that_are_usual_are_expected() -> None:
    for market, timeframe, step in ((SYDNEY, "1h", 60), (FUTURES, "1h", 60), (NEW_YORK, "5m", 5)):
        times = bars(market, "2024-02-05", "2024-04-26", step)  # clocks are moved within it
        assert count_gaps(times, timeframe).missing == 0
        assert count_gaps(np.delete(times, [200, 201, 330]), timeframe).missing == 3


def test_without_a_calendar_weekends_that_trade_are_no_pause() -> None:
    found, said = find_gaps(np.delete(every("1h", 24 * 40), [30, 31, 500]), "1h")
    assert found.missing == 3
    assert said == ["no calendar is given: gaps are counted around the clock, as there are bars at weekends"]


def test_without_a_calendar_two_days_with_a_quarter_missing_have_gaps() -> None:
    kept = np.random.default_rng(3).permutation(576) >= 150
    kept[[0, -1]] = True
    missing = 576 - int(kept.sum())
    assert count_gaps(every("5m", 576)[kept], "5m").missing == missing


def test_without_a_calendar_weekdays_are_expected_of_days() -> None:
    days = bars(("UTC", [(0, 1)]), "2024-01-01", "2024-06-28", 1)
    assert count_gaps(np.delete(days, [10, 50]), "1d") == (2, ["no bar on 2024-01-15", "no bar on 2024-03-11"])
    assert count_gaps(days[:5][[0, 1, 3, 4]], "1d").missing == 1


# Machines and names


def test_a_machine_without_time_zones_is_told_what_brings_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoneinfo.TZPATH", ())
    modules = __import__("sys").modules
    for name in ["tzdata", *(name for name in modules if name.startswith("tzdata."))]:  # other tests may have had them
        monkeypatch.setitem(modules, name, None)
    ZoneInfo.clear_cache()
    zoneinfo = __import__("zoneinfo")
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=[])
    try:
        with pytest.raises(InputError, match="time zone Asia/Tokyo is needed") as caught:
            clocks.midnights("Asia/Tokyo", np.array(["2024-01-01"], "M8[D]"))
        assert "just setup calendars" in caught.value.hint
        assert periods_per_year(every("1d", 400), "1d", "XTKS") == 245  # days need none
        assert count_gaps(every("1d", 5), "1d").missing == 0
    finally:
        zoneinfo.reset_tzpath(to=before or None)
        ZoneInfo.clear_cache()


def test_any_exchange_of_the_extra_is_known_by_its_mic_and_aliases() -> None:
    assert find_calendar("XWBO").zone == "Europe/Vienna"
    assert find_calendar("cbot").name == find_calendar("XCME").name == find_calendar("GLBX").name == "CMES"


def test_without_the_extra_an_unknown_exchange_names_it(without_exchanges: None) -> None:
    with pytest.raises(InputError) as caught:
        find_calendar("XWBO")
    assert caught.value.hint.endswith("every other exchange comes with: just setup calendars")


def test_an_exchange_that_the_package_cannot_make_is_a_sentence() -> None:
    import exchange_calendars

    from peak_trade.market import exchanges

    with pytest.raises(InputError, match="exchange_calendars cannot make the calendar XNYS: ") as caught:
        exchanges._ask("XNYS", start="1066-01-01", end="1067-01-01")
    assert caught.value.hint and exchange_calendars


# Which calendar fits


def test_the_calendar_that_fits_is_named_only_where_the_bars_tell() -> None:
    assert fitting_calendar(every("1h", 1000), "1h") == "24/7"
    assert fitting_calendar(every("1h", 42, "2024-01-02"), "1h") is None  # two weekdays: 24/7 and 24/5 alike
    assert fitting_calendar(bars(FUTURES, "2024-02-05", "2024-02-29", 60), "1h") == "24/5"
    assert fitting_calendar(bars(SYDNEY, "2024-02-05", "2024-03-01", 60), "1h") == "XASX"
    assert fitting_calendar(bars(NEW_YORK, "2024-07-08", "2024-07-19", 30), "30m") is None  # Toronto trades them too
    assert fitting_calendar(bars(("UTC", [(0, 1)]), "2022-01-03", "2023-12-29", 1), "1d") == "24/5"
    assert fitting_calendar(bars(("UTC", [(0, 1)]), "2023-01-03", "2023-01-20", 1), "1d") is None


def test_days_without_the_holidays_of_new_york_are_new_yorks() -> None:
    from peak_trade.market.holidays import nyse_holidays

    closed = tuple(str(day) for day in nyse_holidays(2022, 2023))
    assert fitting_calendar(bars(("UTC", [(0, 1)]), "2022-01-03", "2023-12-29", 1, closed), "1d") == "XNYS"


# The table of hours against the package

_OURS = {"XSES", "XTKS", "XHKG", "XKRX"}  # hours before a change that the package does not know: held by day below


@pytest.mark.parametrize("name", [name for name in CALENDARS if name not in ("24/7", "24/5")])
def test_the_hours_of_an_exchange_today_are_those_of_the_package(name: str) -> None:
    from peak_trade.market import exchanges

    calendar = exchanges._ask(name, start="2024-01-01", end="2025-06-30")
    theirs = exchanges._hours(calendar)[-1][1]
    ours = CALENDARS[name].hours[-1][1]
    assert (ours, theirs) == (ours, "09:00-17:00" if name == "XSES" else ours)  # which has no break for Singapore
    assert str(calendar.tz) == CALENDARS[name].zone
