"""The two sides of the returns' distribution, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from peak_trade import stats
from peak_trade.stats import Undefined
from peak_trade.stats.values import NOISE

six = np.array([0.04, -0.01, 0.02, -0.03, 0.0, 0.01])
only_gains = np.array([0.01, 0.02, 0.03])
only_losses = np.array([-0.01, -0.02, -0.03])
nothing = np.array([])


def test_omega_divides_all_gains_by_all_losses() -> None:
    assert stats.omega(six) == pytest.approx(0.07 / 0.04, rel=1e-12)


def test_omega_counts_gains_and_losses_from_the_risk_free_rate_of_a_bar() -> None:
    # 2.01 % in two bars is 1 % each: excess 3, -2, 1, -4, -1, 0 %
    assert stats.omega(six, 2.0, 0.0201) == pytest.approx(0.04 / 0.07, rel=1e-9)


def test_omega_without_a_rate_does_not_depend_on_the_year() -> None:
    assert stats.omega(six, 252.0) == stats.omega(six, 8760.0) == stats.omega(six)


def test_omega_is_one_where_the_mean_is_the_rate() -> None:
    assert stats.omega(np.array([0.03, -0.01, -0.02])) == pytest.approx(1.0, rel=1e-12)


def test_omega_of_losses_alone_is_zero() -> None:
    assert stats.omega(only_losses) == 0.0


def test_omega_without_a_loss_is_undefined() -> None:
    assert stats.omega(only_gains) == Undefined("no return below the risk-free rate")


def test_omega_of_returns_that_are_the_rate_but_for_rounding_is_undefined() -> None:
    assert stats.omega(np.full(250, 0.1 / 250), 250.0, 1.0004**250 - 1.0) == Undefined(
        "no return below the risk-free rate"
    )


def test_the_tail_ratio_compares_the_quantiles_between_their_neighbours() -> None:
    # six returns: 0.05 * 5 = 0.25 from -3 % towards -1 %: -2.5 %; likewise from 4 % towards 2 %: 3.5 %
    assert stats.tail_ratio(six) == pytest.approx(3.5 / 2.5, rel=1e-12)


def test_the_tail_ratio_of_a_sample_and_its_mirror_are_each_others_inverse() -> None:
    returns = np.random.default_rng(1).standard_t(4, 999) * 0.01
    assert stats.tail_ratio(-returns) == pytest.approx(1 / stats.tail_ratio(returns), rel=1e-12)


def test_a_tail_ratio_of_losses_alone_is_negative() -> None:
    # 95 %: -1.1 %, 5 %: -2.9 %
    assert stats.tail_ratio(only_losses) == pytest.approx(-1.1 / 2.9, rel=1e-12)


@pytest.mark.parametrize("returns", [only_gains, np.zeros(50), np.array([0.0] * 98 + [-0.1, 0.1])])
def test_there_is_no_tail_ratio_where_the_worst_twentieth_does_not_begin_below_zero(returns: np.ndarray) -> None:
    assert stats.tail_ratio(returns) == Undefined("no losing tail")
    assert stats.common_sense_ratio(returns) == Undefined("no losing tail")


def test_the_common_sense_ratio_is_gains_over_losses_times_the_tail_ratio() -> None:
    assert stats.common_sense_ratio(six) == pytest.approx(7 / 4 * 3.5 / 2.5, rel=1e-12)


def test_the_best_and_the_worst_bar_are_the_extremes() -> None:
    assert (stats.best_bar(six), stats.worst_bar(six)) == (0.04, -0.03)


@pytest.mark.parametrize(
    "function", [stats.omega, stats.tail_ratio, stats.common_sense_ratio, stats.best_bar, stats.worst_bar]
)
def test_without_a_return_there_is_nothing_to_compare(function: object) -> None:
    assert function(nothing) == Undefined("fewer than two bars")


# --- expected shortfall, where returns tie


def test_of_returns_that_tie_at_the_quantile_only_as_many_count_as_fill_the_twentieth() -> None:
    """40 returns, so the lowest 2: -10 % and one of five times -2 %. All at or below the quantile: -3.33 %."""
    returns = np.random.default_rng(2).permutation(np.repeat([-0.10, -0.02, 0.01], [1, 5, 34]))
    assert stats.value_at_risk(returns) == -0.02
    assert stats.expected_shortfall(returns) == pytest.approx(-0.06, rel=1e-12)
    assert returns[returns <= -0.02].mean() == pytest.approx(-0.2 / 6, rel=1e-12)


def test_it_is_the_expected_shortfall_of_acerbi_and_tasche_where_the_twentieth_is_whole() -> None:
    """Their definition: (E[X; X <= q] - q (P[X <= q] - 5 %)) / 5 %; here (-0.2 / 40 + 0.02 (6 / 40 - 0.05)) / 0.05."""
    returns = np.repeat([-0.10, -0.02, 0.01], [1, 5, 34])
    quantile, share = -0.02, (returns <= -0.02).mean()
    by_definition = (returns[returns <= quantile].sum() / 40 - quantile * (share - 0.05)) / 0.05
    assert by_definition == pytest.approx(-0.06, rel=1e-12)
    assert stats.expected_shortfall(returns) == pytest.approx(by_definition, rel=1e-12)


def test_a_part_of_a_return_more_than_a_twentieth_takes_the_whole_return_in() -> None:
    """41 returns: 2.05 of them are a twentieth, and 3 count: -10 % and twice -2 %."""
    returns = np.repeat([-0.10, -0.02, 0.01], [1, 5, 35])
    assert stats.expected_shortfall(returns) == pytest.approx(-0.14 / 3, rel=1e-12)


@pytest.mark.parametrize(
    ("count", "counted"), [(1, 1), (19, 1), (20, 1), (21, 2), (40, 2), (41, 3), (100, 5), (140, 7)]
)
def test_the_count_is_rounded_up(count: int, counted: int) -> None:
    returns = np.arange(count) / 128.0
    assert stats.expected_shortfall(returns) == np.arange(counted).mean() / 128.0


def test_all_returns_alike_are_their_own_shortfall() -> None:
    assert stats.expected_shortfall(np.full(77, -0.25)) == -0.25


# --- what is rounding, and what is not


def test_omega_takes_a_bar_for_a_year_where_no_year_is_given() -> None:
    # 1 % a bar: excess 3, -2, 1, -4, -1, 0 %
    assert stats.omega(six, risk_free_rate=0.01) == pytest.approx(4 / 7, rel=1e-9)


def test_without_a_rate_the_year_is_not_even_looked_at() -> None:
    assert stats.omega(six, float("nan")) == stats.omega(six)


@pytest.mark.parametrize(
    ("returns", "ratio"),
    [
        ([2 * NOISE, -2 * NOISE], None),  # a mean loss of NOISE, beside a mean of 0
        ([3 * NOISE, -3 * NOISE], 1.0),
        ([2.0, -3 * NOISE], None),  # beside a mean of 1 the returns' own rounding is twice as large
        ([2.0, -5 * NOISE], 2.0 / (5 * NOISE)),
    ],
)
def test_a_mean_loss_of_rounding_is_none(returns: list[float], ratio: float | None) -> None:
    missing = Undefined("no return below the risk-free rate")
    assert stats.omega(np.array(returns)) == (missing if ratio is None else pytest.approx(ratio, rel=1e-12))


def test_a_tail_that_begins_within_rounding_does_not_lose() -> None:
    assert stats.tail_ratio(np.full(3, -NOISE)) == Undefined("no losing tail")
    assert stats.tail_ratio(np.full(3, -2 * NOISE)) == -1.0


def test_a_losing_tail_that_is_rounding_beside_the_gains_is_none() -> None:
    # five of 40 lose just more than rounding, as the quantile does; in the mean of all it is an eighth of that
    assert stats.common_sense_ratio(np.repeat([-1.25 * NOISE, 1.0], [5, 35])) == Undefined("no losing tail")
