"""Figures beyond stats.json, against values worked out by hand or by another library."""

from __future__ import annotations

import math
import statistics
from fractions import Fraction

import numpy as np
import pytest

from peak_trade.report.numbers import drawdowns, histogram, period_returns, rolling, window_for


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
