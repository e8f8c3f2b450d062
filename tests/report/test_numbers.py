"""Figures beyond stats.json, against values worked out by hand or by another library."""

from __future__ import annotations

import math
import statistics
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from peak_trade.report.numbers import (
    changes,
    drawdowns,
    histogram,
    longest,
    period_returns,
    rolling,
    rolling_against,
    window_for,
)


def days(*stamps: str) -> np.ndarray:
    return np.array(stamps, "M8[ns]")


def test_a_month_is_compared_with_the_last_equity_before_it() -> None:
    stamps = days("2024-01-15", "2024-01-31", "2024-02-10", "2024-02-29", "2024-04-01")
    monthly = period_returns(stamps, np.array([100.0, 120.0, 60.0, 90.0, 99.0]), "M")
    assert {str(month): value for month, value in monthly.items()} == {
        "2024-01": pytest.approx(0.2),  # 120 / 100: the first month starts at its first bar
        "2024-02": pytest.approx(-0.25),  # 90 / 120
        "2024-04": pytest.approx(0.1),  # 99 / 90: March has no bars
    }


def test_years_compound_to_the_return_of_the_whole() -> None:
    stamps = np.arange("2019-03-01", "2023-09-01", dtype="M8[D]").astype("M8[ns]")
    equity = 100 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.01, len(stamps))))
    for unit in "MY":
        values = period_returns(stamps, equity, unit).values()
        assert math.prod(1 + value for value in values if value is not None) == pytest.approx(equity[-1] / equity[0])


def test_months_agree_with_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    stamps = np.arange("2022-01-05", "2023-02-20", dtype="M8[h]").astype("M8[ns]")
    equity = 100 + np.cumsum(np.random.default_rng(4).normal(0, 0.1, len(stamps)))
    last = pandas.Series(equity, index=stamps).resample("ME").last()
    expected = last.pct_change()
    expected.iloc[0] = last.iloc[0] / equity[0] - 1
    assert list(period_returns(stamps, equity, "M").values()) == pytest.approx(expected.tolist())


def test_there_is_no_return_on_nothing() -> None:
    stamps = days("2024-01-31", "2024-02-29", "2024-03-31")
    assert list(period_returns(stamps, np.array([100.0, -5.0, 10.0]), "M").values()) == [0.0, -1.05, None]


def test_a_bar_alone_has_a_return_of_zero() -> None:
    assert list(period_returns(days("2024-01-31"), np.array([100.0]), "Y").values()) == [0.0]


def test_rolling_ratios_agree_with_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    returns = np.random.default_rng(5).normal(0.0002, 0.01, 3_000)
    sharpe, volatility = rolling(returns, 252, 252.0, 0.03)
    moving = pandas.Series(returns).rolling(252)
    spread = moving.std()[251:]
    rate = 1.03 ** (1 / 252) - 1
    np.testing.assert_allclose(volatility, spread * math.sqrt(252), rtol=1e-10)
    np.testing.assert_allclose(sharpe, (moving.mean()[251:] - rate) / spread * math.sqrt(252), rtol=1e-8, atol=1e-12)


def test_a_window_in_which_nothing_happens_has_no_sharpe_ratio() -> None:
    returns = np.concatenate([np.full(20, 0.01), np.zeros(20), [0.02, -0.01] * 10])
    sharpe, volatility = rolling(returns, 10, 252.0)
    assert np.isnan(sharpe[20:31]).all()
    assert (volatility[20:31] == 0.0).all()
    assert np.isfinite(sharpe[31:]).all()


def test_the_whole_run_as_window_is_the_sharpe_ratio_of_stats() -> None:
    from peak_trade.stats import sharpe

    returns = np.random.default_rng(6).normal(0.001, 0.01, 400)
    assert rolling(returns, 400, 365.0, 0.02)[0][0] == pytest.approx(sharpe(returns, 365.0, 0.02))


@pytest.mark.parametrize("window", [10, 11, 16, 37, 63, 64])
def test_each_window_is_worked_out_as_if_it_were_alone(window: int) -> None:
    """Against the standard library, in exact fractions: no window knows what was before it."""
    returns = np.random.default_rng(window).normal(0.001, 0.01, 64 + window)
    sharpe, volatility = rolling(returns, window, 365.0)
    for place in range(len(returns) - window + 1):
        alone = [Fraction(value) for value in returns[place : place + window].tolist()]
        spread = statistics.stdev(alone)
        assert volatility[place] == pytest.approx(spread * math.sqrt(365.0), rel=1e-13)
        assert sharpe[place] == pytest.approx(float(statistics.fmean(alone)) / spread * math.sqrt(365.0), rel=1e-10)
    assert len(sharpe) == len(volatility) == 65


def test_a_crash_leaves_nothing_behind_in_the_windows_after_it() -> None:
    """+-1e-6 in turn: mean 0, deviation 1e-6 * sqrt(10 / 9). Running sums hold 1e12 by then, and 1e-4 of rounding."""
    returns = np.concatenate([[1e6, -0.5, 1e3], np.tile([1e-6, -1e-6], 200)])
    _, volatility = rolling(returns, 10, 1.0)
    np.testing.assert_allclose(volatility[3:], 1e-6 * math.sqrt(10 / 9), rtol=1e-12)
    squares = np.cumsum(returns * returns)  # what the windows would be made of: the control that shows they fail
    by_sums = np.sqrt(np.maximum(squares[20:] - squares[10:-10], 0.0) / 9)
    assert not np.allclose(by_sums, 1e-6 * math.sqrt(10 / 9), rtol=0.5)


def test_a_large_offset_does_not_hide_a_small_spread() -> None:
    """4096 and 4096 + 2 ** -20 in turn, all exact in binary: the deviation is 2 ** -21 * sqrt(10 / 9)."""
    returns = np.tile([4096.0, 4096.0 + 2.0**-20], 50)
    sharpe, volatility = rolling(np.concatenate([np.full(100, 1e-3), returns]), 10, 1.0)
    np.testing.assert_allclose(volatility[100:], 2.0**-21 * math.sqrt(10 / 9), rtol=1e-12)
    np.testing.assert_allclose(sharpe[100:], (4096.0 + 2.0**-21) / (2.0**-21 * math.sqrt(10 / 9)), rtol=1e-12)


@pytest.mark.parametrize("level", [0.0, 0.1, 1 / 3, -0.7, 1e5])
def test_a_constant_window_has_no_value_after_whatever_came_before(level: float) -> None:
    noise = np.random.default_rng(8).normal(0.0, 1.0, 50) * 1e3
    sharpe, volatility = rolling(np.concatenate([noise, np.full(40, level)]), 13, 252.0)
    assert np.isnan(sharpe[50:]).all() and (volatility[50:] == 0.0).all()
    assert np.isfinite(sharpe[:50]).all()


@pytest.mark.parametrize(("bars", "window"), [(2_000, 252), (1_009, 252), (401, 100), (41, 10), (40, None), (1, None)])
def test_the_window_is_a_year_or_a_quarter_of_the_run(bars: int, window: int | None) -> None:
    assert window_for(bars, 252.0) == window


def test_drawdowns_come_deepest_first_with_their_dates() -> None:
    stamps = np.arange("2024-01-01", "2024-01-11", dtype="M8[D]").astype("M8[ns]")
    equity = np.array([100.0, 90.0, 100.0, 110.0, 55.0, 66.0, 110.0, 120.0, 108.0, 114.0])
    depth = equity / np.maximum.accumulate(equity) - 1
    first, second, third = drawdowns(stamps, depth, 5)
    assert [round(found.depth, 12) for found in (first, second, third)] == [-0.5, -0.1, -0.1]
    assert (str(first.peak)[:10], str(first.lowest)[:10], str(first.recovered)[:10], first.days) == (
        "2024-01-04", "2024-01-05", "2024-01-07", 3.0,
    )  # fmt: skip
    assert (str(second.peak)[:10], second.days) == ("2024-01-01", 2.0)
    assert third.recovered is None
    assert third.days == 2.0  # from the 8th to the last bar, the 10th


def test_the_deepest_drawdown_and_the_longest_agree_with_stats() -> None:
    from peak_trade.stats import drawdown, max_drawdown, max_drawdown_days

    stamps = np.arange("2020-01-01", "2023-01-01", dtype="M8[D]").astype("M8[ns]")
    depth = drawdown(100 * np.exp(np.cumsum(np.random.default_rng(7).normal(0, 0.01, len(stamps)))))
    assert isinstance(depth, np.ndarray)
    found = drawdowns(stamps, depth, 10_000)
    assert found[0].depth == max_drawdown(depth)
    assert max(each.days for each in found) == max_drawdown_days(depth, stamps)


def test_equity_that_never_falls_has_no_drawdown() -> None:
    assert drawdowns(days("2024-01-01", "2024-01-02"), np.zeros(2), 5) == []


def test_a_histogram_counts_every_value_and_has_zero_as_an_edge() -> None:
    values = np.array([-0.049, -0.02, -0.011, 0.0, 0.004, 0.019, 0.02, 0.083])
    found = histogram(values)
    edges = [found.edge(index) for index in range(len(found.counts) + 1)]
    assert sum(found.counts) == len(values)
    assert any(abs(edge) < 1e-12 for edge in edges)
    for index, count in enumerate(found.counts):
        inside = (values >= edges[index] - 1e-12) & (values < edges[index + 1] - 1e-12)
        assert count == np.count_nonzero(inside)


@pytest.mark.parametrize("values", [[0.6], [0.0, 0.0], [1e-7, 2e-7], [-1.0, 50.0], [-0.3] * 99 + [4.0]])
def test_a_histogram_has_a_sensible_number_of_bins(values: list[float]) -> None:
    found = histogram(np.array(values))
    assert 1 <= len(found.counts) <= 50
    assert sum(found.counts) == len(values)


def test_a_day_is_compared_with_the_last_close_of_the_day_before() -> None:
    stamps = days("2024-01-30T06", "2024-01-30T18", "2024-01-31T12", "2024-02-02T00", "2024-02-02T12")
    equity = np.array([100.0, 110.0, 99.0, 198.0, 148.5])
    found = [(str(one.period), one.change) for one in changes(stamps, equity, "D")]
    assert found == [  # 1 February has no bars
        ("2024-01-30", pytest.approx(0.1)), ("2024-01-31", pytest.approx(-0.1)), ("2024-02-02", pytest.approx(0.5)),
    ]  # fmt: skip
    monthly = [(str(one.period), one.change) for one in changes(stamps, equity, "M")]
    assert monthly == [("2024-01", pytest.approx(-0.01)), ("2024-02", pytest.approx(0.5))]


@pytest.mark.parametrize("unit", ["D", "M"])
def test_the_changes_are_those_that_the_statistics_are_made_of(unit: Any) -> None:
    from peak_trade import stats

    stamps = np.arange("2022-01-31T20", "2022-04-03", dtype="M8[h]").astype("M8[ns]")
    equity = 100 * np.exp(np.cumsum(np.random.default_rng(9).normal(0, 0.01, len(stamps))))
    found = changes(stamps, equity, unit)
    assert [one.change for one in found] == stats.period_returns(stamps, equity, unit).tolist()
    assert str(found[0].period) == {"D": "2022-01-31", "M": "2022-01"}[unit]
    assert len({one.period for one in found}) == len(found)


def test_no_period_has_a_change_where_the_statistics_have_none() -> None:
    weeks = np.arange("2024-01-01", "2024-03-01", 7, dtype="M8[D]").astype("M8[ns]")
    rising = np.linspace(100.0, 109.0, len(weeks))
    assert changes(weeks, rising, "D") == []
    assert len(changes(weeks, rising, "M")) == 2  # the control: weeks are shorter than months
    assert changes(weeks[:1], rising[:1], "D") == []
    assert changes(weeks[:2], np.array([100.0, -1.0]), "M") == []


def test_the_longest_row_is_the_first_of_those_of_its_length() -> None:
    assert longest(np.array([True, False, True, True, False, True, True])) == slice(2, 4)
    assert longest(np.array([False, True])) == slice(1, 2)
    assert longest(np.ones(5, np.bool_)) == slice(0, 5)
    assert longest(np.zeros(5, np.bool_)) == longest(np.zeros(0, np.bool_)) == slice(0, 0)


def test_the_longest_row_is_the_one_that_words_show() -> None:
    for seed in range(50):
        which = np.random.default_rng(seed).random(seed) < 0.6
        words = "".join("x" if one else " " for one in which)
        best = max(words.split(), key=len, default="")
        found = longest(which)
        assert (found.start, found.stop - found.start) == (words.find(best), len(best))


def test_beta_and_correlation_by_hand() -> None:
    returns, market = np.array([0.02, 0.0, 0.01, 0.0]), np.array([0.03, 0.0, 0.03, 0.02])
    beta, correlation = rolling_against(returns, market, 3)
    # first: own 1, -1, 0; benchmark 1, -2, 1: 3 / 6 and 3 / sqrt(2 * 6)
    # second, in thirds: own -1, 2, -1; benchmark -5, 4, 1: 12 / 42 and 12 / sqrt(6 * 42)
    assert beta == pytest.approx([3 / 6, 12 / 42])
    assert correlation == pytest.approx([3 / math.sqrt(12), 12 / math.sqrt(252)])


@pytest.mark.parametrize("window", [10, 37])
def test_beta_and_correlation_agree_with_the_standard_library(window: int) -> None:
    random = np.random.default_rng(window)
    market = random.normal(0.0003, 0.01, 120)
    returns = 0.6 * market + random.normal(0.0, 0.008, 120)
    beta, correlation = rolling_against(returns, market, window)
    for place in range(120 - window + 1):
        own, theirs = returns[place : place + window].tolist(), market[place : place + window].tolist()
        assert beta[place] == pytest.approx(statistics.linear_regression(theirs, own).slope, rel=1e-10)
        assert correlation[place] == pytest.approx(statistics.correlation(own, theirs), rel=1e-10)
    assert len(beta) == len(correlation) == 120 - window + 1


def test_the_whole_run_as_window_is_the_beta_of_stats() -> None:
    from peak_trade.stats import beta

    random = np.random.default_rng(12)
    market, returns = random.normal(0, 0.01, 300), random.normal(0, 0.01, 300)
    assert rolling_against(returns, market, 300)[0][0] == pytest.approx(beta(returns, market), rel=1e-12)


@pytest.mark.parametrize("level", [0.0, 0.1, -1 / 3])
def test_a_benchmark_that_does_not_vary_leaves_a_gap_of_the_windows_in_it_alone(level: float) -> None:
    random = np.random.default_rng(13)
    market, returns = random.normal(0, 0.01, 60), random.normal(0, 0.01, 60)
    market[20:40] = level
    beta, correlation = rolling_against(returns, market, 10)
    inside = np.arange(51)
    inside = (inside >= 20) & (inside <= 30)
    assert np.isnan(beta[inside]).all() and np.isnan(correlation[inside]).all()
    assert np.isfinite(beta[~inside]).all() and np.isfinite(correlation[~inside]).all()


def test_returns_that_do_not_vary_have_a_beta_of_zero_and_no_correlation() -> None:
    beta, correlation = rolling_against(np.full(20, 0.001), np.random.default_rng(14).normal(0, 0.01, 20), 10)
    assert beta == pytest.approx(np.zeros(11), abs=1e-12)
    assert np.isnan(correlation).all()


def test_returns_that_are_the_benchmarks_are_not_more_than_wholly_correlated() -> None:
    market = np.random.default_rng(15).normal(0, 0.01, 500)
    beta, correlation = rolling_against(3.0 * market, market, 25)
    assert beta == pytest.approx(np.full(476, 3.0))
    assert correlation.max() <= 1.0 and correlation == pytest.approx(np.ones(476))


def test_the_deepest_drawdowns_are_those_that_walking_finds() -> None:
    """Bar by bar, with a running peak: another way than by the places where the depth is zero."""
    stamps = np.arange("2020-01-01", "2021-06-01", dtype="M8[D]").astype("M8[ns]")
    equity = 100 * np.exp(np.cumsum(np.random.default_rng(16).normal(0.0005, 0.01, len(stamps))))
    depth = equity / np.maximum.accumulate(equity) - 1
    walked: list[list[Any]] = []  # depth, peak, lowest, recovered
    peak, under = 0, False
    for bar in range(len(equity)):
        if equity[bar] >= equity[peak]:
            if under:
                walked[-1][3] = bar
            peak, under = bar, False
            continue
        if not under:
            walked.append([0.0, peak, bar, None])
            under = True
        if depth[bar] < walked[-1][0]:
            walked[-1][0], walked[-1][2] = depth[bar], bar
    walked.sort(key=lambda one: one[0])
    found = drawdowns(stamps, depth, 7)
    assert [(d.depth, d.peak, d.lowest, d.recovered) for d in found] == [
        (one[0], stamps[one[1]], stamps[one[2]], None if one[3] is None else stamps[one[3]]) for one in walked[:7]
    ]
