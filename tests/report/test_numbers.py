"""Figures beyond stats.json, against values worked out by hand or by another library."""

from __future__ import annotations

import math

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
