from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peak_trade.errors import InputError, RunError
from peak_trade.strategies import check_params, check_target, resolve

SMA = resolve("sma_crossover")


def _own(bars, fast=3, *, slow, style: Literal["a", "b"] = "a"):
    return bars, fast, slow, style


def _refused(function, params):
    with pytest.raises(InputError) as caught:
        check_params(function, params)
    return caught.value


def test_defaults_are_filled_in_so_that_what_was_used_can_be_recorded():
    assert check_params(SMA, {"fast": 10}) == {"fast": 10, "slow": 50, "short": False}


def test_the_parameters_come_in_the_order_of_the_function_whatever_was_given_first():
    assert list(check_params(SMA, {"slow": 60, "fast": 10})) == ["fast", "slow", "short"]


def test_an_unknown_parameter_is_refused_with_the_nearest():
    error = _refused(SMA, {"fats": 10})
    assert error.message == "unknown parameter strategy.params.fats"
    assert error.hint == "did you mean `fast`?"


def test_a_function_without_parameters_says_so():
    assert _refused(resolve("buy_and_hold"), {"fast": 1}).hint == "strategy `buy_and_hold` takes no parameters"


def test_the_bars_are_no_parameter():
    assert _refused(SMA, {"bars": 1}).message == "unknown parameter strategy.params.bars"
    assert _refused(lambda bars, **rest: bars, {"bars": 1}).message == "unknown parameter strategy.params.bars"


def test_a_missing_parameter_is_named():
    assert _refused(_own, {}).message == "strategy.params.slow is missing"


def test_a_function_with_open_keywords_takes_any_name():
    def strategy(bars, fast=3, **rest):
        return bars, fast, rest

    assert check_params(strategy, {"anything": "x"}) == {"fast": 3, "anything": "x"}


def test_a_value_out_of_range_is_refused_with_the_range():
    error = _refused(SMA, {"fast": 0})
    assert error.message == "strategy.params.fast is 0, allowed: int in 1..10000"
    assert error.hint == "its default is 20"


@pytest.mark.parametrize("value", [20.0, 20.5, True, "20", [20], None])
def test_an_int_is_nothing_but_an_int(value):
    assert _refused(SMA, {"fast": value}).message == f"strategy.params.fast is {value!r}, allowed: int in 1..10000"


def test_an_int_is_taken_for_a_float():
    params = check_params(resolve("rsi_reversion"), {"lower": 25})
    assert params["lower"] == 25.0 and type(params["lower"]) is float


def test_a_bool_is_not_taken_for_a_float():
    assert "allowed: float in 0..50" in _refused(resolve("rsi_reversion"), {"lower": True}).message


def test_a_number_is_not_taken_for_a_bool():
    assert _refused(SMA, {"short": 1}).message == "strategy.params.short is 1, allowed: bool"


def test_not_a_number_is_in_no_range():
    assert "is nan, allowed: float in 0..50" in _refused(resolve("rsi_reversion"), {"lower": float("nan")}).message


def test_an_open_range_is_told_in_words():
    message = _refused(resolve("vol_target"), {"step": 0}).message
    assert message == "strategy.params.step is 0, allowed: float above 0, at most 1"


def test_a_choice_is_told_as_its_values():
    assert _refused(_own, {"slow": 1, "style": "c"}).message == "strategy.params.style is 'c', allowed: 'a' or 'b'"


def test_a_long_value_is_shown_short():
    assert len(_refused(SMA, {"fast": "x" * 1_000}).message) < 130


def test_a_parameter_without_an_annotation_takes_any_value():
    assert check_params(_own, {"slow": "x", "fast": None}) == {"fast": None, "slow": "x", "style": "a"}


@pytest.mark.parametrize(
    "annotation", ["Nowhere.known", "1 +", np.int64, Callable[[int], int], "pd.Series", 42, "np.int64 | int", Any]
)
def test_an_annotation_that_cannot_be_checked_takes_any_value(annotation):
    def strategy(bars, size):
        return bars, size

    strategy.__annotations__["size"] = annotation
    assert check_params(strategy, {"size": 5}) == {"size": 5}


def test_an_annotation_that_cannot_be_checked_leaves_the_others_checked():
    def strategy(bars, a: Nowhere = 1, b: int = 2):  # noqa: F821 - the point of the test
        return bars, a, b

    assert "strategy.params.b is 'x'" in _refused(strategy, {"a": 5, "b": "x"}).message


def test_a_range_with_one_end_is_told():
    def strategy(bars, size: Annotated[int, msgspec.Meta(ge=2)] = 3):
        return bars, size

    strategy.__annotations__["size"] = Annotated[int, msgspec.Meta(ge=2)]
    assert _refused(strategy, {"size": 1}).message == "strategy.params.size is 1, allowed: int at least 2"


def test_a_decorated_function_has_the_parameters_of_the_one_inside():
    @functools.wraps(SMA)
    def wrapped(*args, **kwargs):
        return SMA(*args, **kwargs)

    assert "allowed: int in 1..10000" in _refused(wrapped, {"fast": 0}).message


def test_a_partial_has_the_values_it_was_given_as_defaults():
    assert check_params(functools.partial(SMA, fast=5), {})["fast"] == 5


def test_an_object_that_can_be_called_is_a_strategy_too():
    class Model:
        def __call__(self, bars, size: int = 2):
            return bars, size

    assert check_params(Model(), {}) == {"size": 2}
    assert "strategy.params.size is 'x', allowed: int" in _refused(Model(), {"size": "x"}).message


@pytest.mark.parametrize("function", [lambda: 0, lambda *, bars: bars, lambda **rest: rest])
def test_a_function_that_takes_no_bars_is_refused(function):
    assert _refused(function, {}).message == "strategy `<lambda>` takes no bars"


def _bad(target, n=3):
    with pytest.raises(RunError) as caught:
        check_target(target, n)
    return caught.value.message


@pytest.mark.parametrize(
    "target",
    [
        [0, 1, -1],
        (0.0, 1.0, -1.0),
        np.array([0, 1, -1], dtype=np.int8),
        np.array([0, 1, -1], dtype=np.float32),
        np.array([0, 1, -1], dtype=np.object_),
        pd.Series([0.0, 1.0, -1.0], index=[7, 8, 9]),
        pd.Series([0, 1, -1], dtype="Int64"),
    ],
    ids=lambda target: type(target).__name__,
)
def test_any_array_of_numbers_becomes_an_array_of_float64(target):
    checked = check_target(target, 3)
    assert checked.dtype == np.float64 and checked.tolist() == [0.0, 1.0, -1.0]


def test_a_condition_is_a_target():
    assert check_target(np.array([True, False]), 2).tolist() == [1.0, 0.0]


def test_the_result_is_a_copy():
    target = np.zeros(3)
    check_target(target, 3)[0] = 1.0
    assert target[0] == 0.0


def test_minus_zero_becomes_zero():
    assert not np.signbit(check_target([-0.0], 1)).any()


@given(st.lists(st.floats(-1, 1), max_size=20))
def test_every_target_within_one_is_kept_as_it_is(target):
    assert check_target(target, len(target)).tolist() == target


def test_none_is_refused():
    assert _bad(None) == "the strategy returned None; needed: one number in [-1, 1] for each of the 3 bars"


def test_the_wrong_length_is_refused():
    assert _bad([0.0, 1.0]).startswith("the strategy returned 2 values; needed")
    assert _bad([0.0] * 4).startswith("the strategy returned 4 values; needed")


def test_the_wrong_shape_is_refused():
    assert _bad(np.zeros((3, 1))).startswith("the strategy returned an array of shape (3, 1); needed")
    assert _bad(1.0).startswith("the strategy returned an array of shape (); needed")


@pytest.mark.parametrize("value, shown", [(float("nan"), "nan"), (float("inf"), "inf"), (1.5, "1.5"), (-1.01, "-1.01")])
def test_the_first_bad_value_is_named_with_its_row_and_all_are_counted(value, shown):
    assert _bad([0.0, value, value]).startswith(f"the strategy returned {shown} at row 1, in all 2 such values; needed")


def test_a_hole_in_a_list_is_a_bad_value():
    assert "nan at row 1" in _bad([0.0, None, 1.0])


@pytest.mark.parametrize(
    "target",
    ["long", ["a", "b", "c"], {"target": 1}, object(), [1j, 0, 0], [[1], [1, 2], 3], (x for x in (1, 2, 3))],
    ids=lambda target: type(target).__name__,
)
def test_what_holds_no_numbers_is_refused(target):
    assert f"a {type(target).__name__} that is no array of numbers" in _bad(target)
