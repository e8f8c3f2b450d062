"""How much a parameter matters, on grids that are worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from peak_trade.stats.effects import Level, effect

# two parameters, a and b, of two and three values: rows are a, columns b
GRID = np.array([[1.0, 2.0, 6.0], [3.0, 4.0, 8.0]])
A, B = np.repeat([0, 1], 3), np.tile([0, 1, 2], 2)
# mean 4; a: means 3 and 5, 3 (1 + 1) = 6; b: means 2, 3, 7, 2 (4 + 1 + 9) = 28; whole 9 + 4 + 4 + 1 + 0 + 16 = 34


def test_the_shares_of_a_sum_of_two_effects_are_those_of_its_variance() -> None:
    values = GRID.ravel()
    assert effect(A, values, 2).share == pytest.approx(6 / 34)
    assert effect(B, values, 3).share == pytest.approx(28 / 34)


def test_an_effect_that_lies_in_both_together_is_explained_by_neither() -> None:
    values = np.array([1.0, -1.0, -1.0, 1.0])
    assert effect(np.array([0, 0, 1, 1]), values, 2).share == pytest.approx(0.0)
    assert effect(np.array([0, 1, 0, 1]), values, 2).share == pytest.approx(0.0)


def test_quartiles_are_those_of_the_trials_at_a_value() -> None:
    made = effect(np.array([0, 0, 0, 0, 1]), np.array([1.0, 2.0, 3.0, 10.0, 7.0]), 3)
    assert made.levels == (Level(4, 1.75, 2.5, 4.75), Level(1, 7.0, 7.0, 7.0), Level(0, None, None, None))


def test_what_failed_and_what_has_no_such_parameter_has_no_part_in_it() -> None:
    values = np.append(GRID.ravel(), [np.nan, 100.0])
    assert effect(np.append(A, [0, -1]), values, 2).share == pytest.approx(6 / 34)


def test_the_largest_and_the_smallest_numbers_have_the_same_share() -> None:
    for unit in (1e-6, 1e300):
        assert effect(A, GRID.ravel() * unit, 2).share == pytest.approx(6 / 34)


def test_values_that_do_not_vary_are_explained_by_nothing() -> None:
    assert effect(np.array([0, 1]), np.array([0.1 + 0.2, 0.3]), 2).share is None
    assert effect(np.array([0]), np.array([1.0]), 1).share is None
    assert effect(np.array([0, 1]), np.array([np.nan, np.nan]), 2).share is None


def test_it_is_what_scipy_says_of_a_one_way_analysis() -> None:
    scipy = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(1)
    level, values = rng.integers(0, 4, 60), rng.normal(size=60)
    f = scipy.f_oneway(*(values[level == one] for one in range(4))).statistic
    assert effect(level, values, 4).share == pytest.approx(3 * f / (3 * f + 56))  # F = (B / 3) / (W / 56)
