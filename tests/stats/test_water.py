"""The time below the highest equity so far, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from peak_trade import stats
from peak_trade.stats import Undefined
from peak_trade.stats.values import NOISE

depth = stats.drawdown(np.array([100.0, 80.0, 100.0, 90.0, 120.0, 90.0]))  # 0, -0.2, 0, -0.1, 0, -0.25
never_down = stats.drawdown(np.array([100.0, 100.0, 110.0]))


def test_the_ulcer_index_is_the_quadratic_mean_of_the_drawdown() -> None:
    assert stats.ulcer_index(depth) == pytest.approx(((0.04 + 0.01 + 0.0625) / 6) ** 0.5, rel=1e-12)


def test_a_line_that_never_falls_has_an_ulcer_index_of_zero_and_no_performance_index() -> None:
    assert stats.ulcer_index(never_down) == 0.0
    assert stats.ulcer_performance_index(0.1, 0.0) == Undefined("no drawdown")


def test_the_performance_index_is_yearly_growth_above_the_rate_over_the_ulcer_index() -> None:
    assert stats.ulcer_performance_index(0.12, 0.05, 0.02) == pytest.approx(2.0, rel=1e-12)
    assert stats.ulcer_performance_index(-0.08, 0.05, 0.02) == pytest.approx(-2.0, rel=1e-12)


def test_time_under_water_counts_the_closes_below_the_peak() -> None:
    assert stats.time_under_water(depth) == 0.5
    assert stats.time_under_water(never_down) == 0.0


def test_what_is_lost_and_never_won_back_is_under_water_to_the_end() -> None:
    assert stats.time_under_water(stats.drawdown(np.array([100.0, 90.0, 90.0, 99.0]))) == 0.75


def test_a_rounding_of_equity_is_no_loss_to_divide_by() -> None:
    result = stats.calmar(0.45, -1.1102230246251565e-16)
    assert isinstance(result, stats.Undefined) and result.reason == "no drawdown"
    assert stats.calmar(0.45, -1e-9) == 0.45 / 1e-9


def test_without_a_rate_the_performance_index_is_growth_over_the_ulcer_index() -> None:
    assert stats.ulcer_performance_index(0.25, 0.125) == 2.0


def test_an_ulcer_index_of_rounding_is_none_to_divide_by() -> None:
    assert stats.ulcer_performance_index(0.25, NOISE) == Undefined("no drawdown")
    assert stats.ulcer_performance_index(0.25, 2 * NOISE) == 0.25 / (2 * NOISE)
