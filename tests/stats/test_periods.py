"""Equity by calendar day and month, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from peak_trade import stats
from peak_trade.market.trades import Trades
from peak_trade.stats import Undefined, periods


def every(step: str, start: str, count: int) -> np.ndarray:
    amount, unit = int(step[:-1]), step[-1]
    return np.datetime64(start, "ns") + np.arange(count) * np.timedelta64(amount, unit)


def test_a_days_return_is_from_the_last_close_of_the_day_before_to_its_own() -> None:
    stamps = every("8h", "2024-01-01T08", 6)  # two bars, three bars, one bar
    equity = np.array([100.0, 110.0, 90.0, 120.0, 99.0, 198.0])
    changes = stats.period_returns(stamps, equity, "D")
    np.testing.assert_allclose(changes, [0.1, -0.1, 1.0], rtol=1e-12)
    assert (stats.best_period(changes), stats.worst_period(changes)) == (changes[2], changes[1])


def test_the_first_bar_has_no_return_and_so_a_day_of_it_alone_has_none() -> None:
    stamps = every("1D", "2024-01-01", 3)
    np.testing.assert_allclose(stats.period_returns(stamps, np.array([100.0, 80.0, 60.0]), "D"), [-0.2, -0.25])


def test_days_without_bars_are_part_of_the_next_one() -> None:
    stamps = np.array(["2024-01-05T10", "2024-01-05T15", "2024-01-08T10", "2024-01-08T15"], "M8[ns]")  # a weekend
    changes = stats.period_returns(stamps, np.array([100.0, 110.0, 130.0, 121.0]), "D")
    np.testing.assert_allclose(changes, [0.1, 0.1], rtol=1e-12)


def test_a_month_is_compared_with_the_last_equity_before_it() -> None:
    stamps = np.array(["2024-01-31", "2024-02-01", "2024-02-29", "2024-03-01", "2024-03-02"], "M8[D]")
    changes = stats.period_returns(stamps, np.array([100.0, 70.0, 110.0, 100.0, 99.0]), "M")
    np.testing.assert_allclose(changes, [0.1, -0.1], rtol=1e-12)  # January is its first bar alone


@pytest.mark.parametrize("unit", ["D", "M"])
def test_the_periods_compound_to_the_whole(unit: str) -> None:
    stamps = every("7h", "2023-03-05T03", 900)
    equity = 100.0 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.01, 900)))
    changes = stats.period_returns(stamps, equity, unit)
    assert np.prod(1 + changes) == pytest.approx(equity[-1] / equity[0], rel=1e-12)


@pytest.mark.parametrize(
    ("step", "days", "months"),
    [
        ("5m", True, True),
        ("1D", True, True),
        ("25h", False, True),
        ("7D", False, True),
        ("31D", False, True),
        ("92D", False, False),
    ],
)
def test_bars_longer_than_a_period_have_no_return_of_one(step: str, days: bool, months: bool) -> None:
    stamps, equity = every(step, "2020-01-01", 40), np.linspace(100.0, 120.0, 40)
    by_day, by_month = (stats.period_returns(stamps, equity, unit) for unit in ("D", "M"))
    assert isinstance(by_day, np.ndarray) if days else by_day == Undefined("bars are longer than a day")
    assert isinstance(by_month, np.ndarray) if months else by_month == Undefined("bars are longer than a month")


def test_weekends_do_not_make_daily_bars_longer_than_a_day() -> None:
    stamps = every("1D", "2024-01-01", 60)
    weekdays = stamps[np.is_busday(stamps.astype("M8[D]"))]
    changes = stats.period_returns(weekdays, np.linspace(100.0, 120.0, len(weekdays)), "D")
    assert len(changes) == len(weekdays) - 1


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_bars_have_no_return(count: int) -> None:
    assert stats.period_returns(every("1D", "2024-01-01", count), np.full(count, 100.0), "D") == Undefined(
        "fewer than two bars"
    )


def test_an_account_that_went_through_zero_has_no_returns() -> None:
    assert stats.period_returns(every("1D", "2024-01-01", 3), np.array([100.0, -5.0, 10.0]), "D") == Undefined(
        "equity fell to zero or below"
    )


@pytest.mark.parametrize("step", ["1h", "1D", "3D", "40D"])
def test_the_months_are_the_same_whether_the_days_are_known_or_not(step: str) -> None:
    stamps = every(step, "2023-01-31T12", 300)
    times = stats.Timeline(stamps)
    stats.period_returns(times, np.full(300, 100.0), "D")
    equity = 100.0 * np.exp(np.cumsum(np.random.default_rng(2).normal(0, 0.01, 300)))
    plain = stats.period_returns(stamps, equity, "M")
    shared = stats.period_returns(times, equity, "M")
    assert np.array_equal(plain, shared) if isinstance(plain, np.ndarray) else plain == shared


def test_best_and_worst_are_keys_of_a_run() -> None:
    stamps = every("12h", "2024-01-30", 6)
    none = Trades("X", *(np.array([], kind) for kind in ["i1", "M8[ns]", "f8", "M8[ns]", *["f8"] * 7, "i8", "i1"]))
    result = stats.compute(
        stamps, np.array([100.0, 110.0, 99.0, 121.0, 242.0, 121.0]), np.zeros(6), none,
        risk_free_rate=0.0, periods_per_year=730.5,
    )  # fmt: skip
    keys = ("best_bar", "worst_bar", "best_day", "worst_day", "best_month", "worst_month")
    found = {key: result[key] for key in keys}
    assert found == {
        "best_bar": pytest.approx(1.0), "worst_bar": pytest.approx(-0.5),
        "best_day": pytest.approx(0.1), "worst_day": 0.0,  # 100 → 110 → 121 → 121
        "best_month": pytest.approx(0.21), "worst_month": 0.0,
    }  # fmt: skip


def test_without_bars_no_period_ends() -> None:
    ends = periods.period_ends(every("1D", "2024-01-01", 0), "D")
    assert (ends.shape, ends.dtype) == ((0,), np.int64)


def test_two_bars_are_enough() -> None:
    assert stats.period_returns(every("1D", "2024-01-01", 2), np.array([100.0, 80.0]), "D") == np.array([-0.2])


def test_an_account_at_zero_has_no_returns_and_one_of_less_than_1_has() -> None:
    stamps = every("1D", "2024-01-01", 3)
    assert stats.period_returns(stamps, np.array([1.0, 0.5, 0.0]), "D") == Undefined("equity fell to zero or below")
    np.testing.assert_array_equal(stats.period_returns(stamps, np.array([1.0, 0.5, 0.25]), "D"), [-0.5, -0.5])


@pytest.mark.parametrize(("days", "short"), [((1, 2, 2), False), ((1, 2), True), ((1, 1, 2), True), ((2, 2), False)])
def test_bars_are_short_where_at_least_half_of_the_steps_are(days: tuple[int, ...], short: bool) -> None:
    stamps = np.datetime64("2024-01-01", "ns") + np.cumsum([0, *days]) * np.timedelta64(1, "D")
    changes = stats.period_returns(stamps, np.full(len(stamps), 100.0), "D")
    if short:
        np.testing.assert_array_equal(changes, np.zeros(len(days)))
    else:
        assert changes == Undefined("bars are longer than a day")


def test_a_timeline_asks_for_its_days_once() -> None:
    stamps, equity = every("8h", "2024-01-01", 4), np.array([100.0, 110.0, 120.0, 150.0])
    times = stats.Timeline(stamps.copy())
    np.testing.assert_allclose(stats.period_returns(times, equity, "D"), [0.2, 0.25], rtol=1e-12)
    times.timestamp[:] = every("8h", "2024-01-01T23", 4)  # which nobody does: other days would be seen
    np.testing.assert_allclose(stats.period_returns(times, equity, "D"), [0.2, 0.25], rtol=1e-12)
