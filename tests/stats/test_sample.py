"""The moments and the ends of the returns, where they are few or do not vary, against values worked out by hand."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from peak_trade import stats
from peak_trade.stats import Undefined
from peak_trade.stats.values import NOISE, NoValueError, need

forty = np.random.default_rng(5).permutation(np.arange(40) / 8)  # 0 to 4.875


@pytest.mark.parametrize(
    "function", [stats.volatility, stats.sharpe, stats.sortino, stats.probabilistic_sharpe], ids=lambda f: f.__name__
)
def test_without_a_return_nothing_is_said_of_a_year(function: object) -> None:
    assert function(np.array([]), 252) == Undefined("fewer than two bars")


@pytest.mark.parametrize("function", [stats.skew, stats.kurtosis, stats.value_at_risk, stats.expected_shortfall])
def test_without_a_return_nothing_is_said_of_their_distribution(function: object) -> None:
    assert function(np.array([])) == Undefined("fewer than two bars")


def test_one_return_has_a_mean_and_no_deviation() -> None:
    assert stats.sortino(np.array([-0.25]), 1) == -1.0
    assert stats.volatility(np.array([-0.25]), 1) == Undefined("fewer than two returns")


def test_two_returns_have_a_deviation() -> None:
    # 0.25 to either side of 0.5: sqrt(2 * 0.25^2) * sqrt(2)
    assert stats.volatility(np.array([0.25, 0.75]), 2) == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize(
    ("mean", "step", "varies"),
    [(0.0, 1.0, False), (0.0, 2.0, True), (1.0, 1.5, False), (1.0, 2.5, True), (-1.0, 1.5, False)],
)
def test_a_deviation_of_rounding_is_none(mean: float, step: float, varies: bool) -> None:
    """A step to either side and one return at the mean deviate by the step: rounding up to NOISE * (1 + |mean|)."""
    returns = mean + np.array([step, 0.0, -step]) * NOISE
    assert stats.volatility(returns, 1) == (pytest.approx(step * NOISE, rel=0.02, abs=0) if varies else 0.0)


@pytest.mark.parametrize(
    ("returns", "ratio"),
    [
        ([2 * NOISE, 0.0, 0.0, -2 * NOISE], None),  # sqrt((2 NOISE)^2 / 4) is NOISE
        ([3 * NOISE, 0.0, 0.0, -3 * NOISE], 0.0),
        ([4.0, 0.0, 0.0, -3 * NOISE], None),  # beside a mean of 1
        ([4.0, 0.0, 0.0, -5 * NOISE], 1 / (2.5 * NOISE)),
    ],
)
def test_a_downside_of_rounding_is_none(returns: list[float], ratio: float | None) -> None:
    missing = Undefined("no return below the risk-free rate")
    assert stats.sortino(np.array(returns), 1) == (missing if ratio is None else pytest.approx(ratio, rel=1e-9))


def test_the_ends_are_the_worst_and_the_best_twentieth_and_one_more() -> None:
    low, high = stats.Sample(forty).tails
    np.testing.assert_array_equal(low, [0.0, 0.125, 0.25])
    np.testing.assert_array_equal(high, [4.875, 4.75, 4.625])


def test_a_quantile_lies_between_its_neighbours_beyond_the_first_too() -> None:
    # place 0.05 * 39 = 1.95, from either end
    low, high = stats.Sample(forty).quantiles
    assert (low, high) == (pytest.approx(1.95 / 8, rel=1e-12), pytest.approx((39 - 1.95) / 8, rel=1e-12))
    assert stats.value_at_risk(forty) == low


def test_the_shortfall_of_21_returns_is_that_of_two() -> None:
    assert stats.expected_shortfall(np.arange(21) / 8) == 0.0625


def test_a_standard_error_below_that_of_normal_returns_is_one() -> None:
    # 1 - 1 * 0.5 + 2 / 4 * 0.25 = 0.625
    sample = stats.Sample(np.zeros(10))
    sample.mean, sample.deviation, sample.shape = 0.5, 1.0, (1.0, 0.0)
    expected = NormalDist().cdf(0.5 * (9 / 0.625) ** 0.5)
    assert stats.probabilistic_sharpe(sample, 252) == pytest.approx(expected, rel=1e-12)


def test_an_error_is_told_by_its_reason() -> None:
    with pytest.raises(NoValueError, match=r"^no bars$") as caught:
        need(Undefined("no bars"))
    assert caught.value.reason == "no bars" and need(0.5) == 0.5
