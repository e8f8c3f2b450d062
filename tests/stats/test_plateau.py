"""The plateau of a search: every value here can be counted by hand on the grid that stands beside it."""

from __future__ import annotations

import numpy as np
import pytest

from peak_trade.stats.plateau import Plateau, plateau

NAN = float("nan")


def found(values: object, *ordered: bool, least: bool = False) -> Plateau:
    made = plateau(np.array(values, np.float64), ordered or (True, True), least=least)
    assert made is not None
    return made


WIDE = [
    [0.10, 0.20, 0.30, 0.20],
    [0.30, 0.85, 0.90, 0.10],
    [0.20, 0.80, 1.00, 0.79],
    [0.90, 0.10, 0.30, 0.95],
]  # of 1.00 at (2, 2): 0.80, 0.85, 0.90 hang together with it; 0.79 is too low, 0.90 and 0.95 are out of reach


def test_the_plateau_is_what_hangs_together_with_the_peak_and_is_at_least_four_fifths_of_it() -> None:
    made = found(WIDE)
    assert (made.peak, made.value, made.cells) == ((2, 2), 1.0, 4)
    assert made.floor == pytest.approx(0.8)
    assert np.argwhere(made.inside).tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]


def test_a_cell_as_good_that_touches_by_a_corner_alone_is_no_part_of_it() -> None:
    assert not found(WIDE).inside[3, 3]
    assert found([[1.0, 0.1], [0.1, 1.0]]).cells == 1


def test_its_width_is_told_along_each_axis_as_a_whole_and_through_the_peak() -> None:
    ridge = [
        [0.9, 0.9, 0.1, 0.1],
        [0.1, 0.9, 0.9, 0.1],
        [0.1, 0.1, 1.0, 0.9],
    ]
    made = found(ridge)
    assert made.extent == ((0, 2), (0, 3))
    assert made.through == ((1, 2), (2, 3))


def test_the_median_is_that_of_the_values_inside() -> None:
    assert found(WIDE).median == pytest.approx((0.85 + 0.90) / 2)


def test_the_peaks_neighbours_are_one_step_away_along_one_axis() -> None:
    made = found(WIDE)
    assert sorted(made.neighbours) == [0.30, 0.79, 0.80, 0.90]
    assert made.empty == 0


def test_a_peak_whose_neighbours_are_all_low_stands_alone() -> None:
    made = found([[0.2, 0.1, 0.3], [0.2, 1.0, 0.2], [0.1, 0.3, 0.1]])
    assert made.alone
    assert float(np.mean(made.neighbours)) == pytest.approx(0.2)
    assert not found(WIDE).alone


def test_a_peak_at_a_corner_has_two_neighbours() -> None:
    assert sorted(found([[1.0, 0.5], [0.4, 0.1]]).neighbours) == [0.4, 0.5]


def test_failed_neighbours_are_counted_and_are_no_zeros() -> None:
    made = found([[NAN, 0.1, NAN], [0.9, 1.0, NAN]])
    assert (sorted(made.neighbours), made.empty) == ([0.1, 0.9], 1)


def test_a_hole_parts_a_plateau() -> None:
    assert found([1.0, 0.9, NAN, 0.9], True).cells == 2
    assert found([1.0, 0.9, 0.9, 0.9], True).cells == 4


def test_values_without_an_order_have_no_neighbours() -> None:
    rows = [[1.0, 0.95, 0.2], [0.99, 0.98, 0.97]]
    assert found(rows, True, True).cells == 5
    made = found(rows, False, True)
    assert (made.cells, made.extent, made.neighbours) == (2, ((0, 0), (0, 1)), (0.95,))
    assert not found([1.0, 0.1, 0.1], False).alone


def test_the_lowest_is_the_best_where_less_is_wanted() -> None:
    made = found([0.30, 0.12, 0.10, 0.13], True, least=True)
    assert (made.peak, made.value, made.cells) == ((2,), 0.10, 2)
    assert made.floor == pytest.approx(0.12)


def test_below_zero_a_fifth_of_the_size_is_given_too() -> None:
    made = found([-0.13, -0.12, -0.10, -0.30], True)
    assert (made.value, made.cells, made.extent) == (-0.10, 2, ((1, 2),))


def test_of_equal_peaks_the_first_is_taken_and_zero_is_a_peak() -> None:
    assert found([0.5, 1.0, 0.1, 1.0], True).peak == (1,)
    assert (found([-1.0, 0.0, 0.0], True).peak, found([-1.0, 0.0, 0.0], True).cells) == ((1,), 2)


def test_three_axes_have_six_neighbours() -> None:
    grid = np.full((3, 3, 3), 0.1)
    grid[1, 1, 1], grid[1, 1, 2], grid[0, 1, 1] = 1.0, 0.9, 0.85
    made = plateau(grid, (True, True, True))
    assert made is not None
    assert (made.cells, len(made.neighbours), made.extent) == (3, 6, ((0, 1), (1, 1), (1, 2)))


def test_no_value_is_no_plateau_and_one_cell_is_one() -> None:
    assert plateau(np.full((2, 2), NAN), (True, True)) is None
    made = found([[0.4]])
    assert (made.cells, made.neighbours, made.alone) == (1, (), False)


def test_a_hundred_thousand_cells_take_seconds_at_most() -> None:
    import time

    snake = np.zeros((317, 317))
    snake[::2] = 1.0
    snake[1::4, -1] = snake[3::4, 0] = 1.0
    start = time.perf_counter()
    made = plateau(snake, (True, True))
    assert made is not None
    assert made.cells == 159 * 317 + 158
    assert time.perf_counter() - start < 5.0
