from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peak_trade.errors import InputError
from peak_trade.strategies.signals import check_order, exposure, hold

FLAGS = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60)


def _flags(*values):
    return np.array(values, dtype=np.bool_)


def test_a_position_is_held_from_its_entry_until_its_exit():
    enter, leave = _flags(0, 1, 0, 0, 0, 1), _flags(1, 0, 0, 1, 1, 0)
    assert hold(enter, leave).tolist() == [False, True, True, False, False, True]


def test_an_entry_wins_over_an_exit_on_the_same_bar():
    assert hold(_flags(1, 1), _flags(0, 1)).tolist() == [True, True]


def test_without_an_event_nothing_is_held():
    assert hold(_flags(0, 0), _flags(0, 0)).tolist() == [False, False]


@given(FLAGS)
def test_holding_is_what_a_loop_over_the_bars_does(flags):
    enter, leave = (np.array([pair[i] for pair in flags], dtype=np.bool_) for i in (0, 1))
    state, expected = False, []
    for goes_in, goes_out in flags:
        state = goes_in or (state and not goes_out)
        expected.append(state)
    assert hold(enter, leave).tolist() == expected


def test_a_target_is_one_where_long_and_minus_one_where_short():
    assert exposure(_flags(1, 0, 0), _flags(0, 0, 1)).tolist() == [1.0, 0.0, -1.0]


def test_a_target_without_shorts_is_one_or_zero():
    assert exposure(_flags(1, 0)).tolist() == [1.0, 0.0]


def test_equal_parameters_are_not_in_order():
    with pytest.raises(InputError, match="strategy.params.fast is 5 and strategy.params.slow is 5: fast must be less"):
        check_order("fast", 5, "slow", 5)
