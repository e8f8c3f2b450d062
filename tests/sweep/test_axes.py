"""What a person types of a key that is varied, and the combinations that follow, worked out by hand."""

from __future__ import annotations

import pytest

from peak_trade.errors import InputError
from peak_trade.sweep.axes import Axis, Space, axis


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("fast=5:20:5", (5, 10, 15, 20)),
        ("fast=5:19:5", (5, 10, 15)),  # a step does not end there
        ("fast=7:7:1", (7,)),
        ("fast=-2:2:2", (-2, 0, 2)),
        ("share=0.1:0.3:0.1", (0.1, 0.2, 0.3)),  # 0.1 + 0.1 + 0.1 is 0.30000000000000004 elsewhere
        ("share=0:1:0.25", (0.0, 0.25, 0.5, 0.75, 1.0)),
        ("fast=1e1:3e1:1e1", (10.0, 20.0, 30.0)),
        ("fast=3,1,2", (3, 1, 2)),
        ("short=true,false", (True, False)),
        ("kind=ema, sma", ("ema", "sma")),
        ("kind=2020-01-01,b", ("2020-01-01", "b")),  # a date of TOML is a word here
    ],
)
def test_the_values_of_a_key(text: str, values: tuple[object, ...]) -> None:
    found = axis(text).values
    assert found == values
    assert [type(one) for one in found] == [type(one) for one in values]


def test_a_key_of_one_word_is_a_parameter_of_the_strategy() -> None:
    assert axis("fast=1,2").key == "strategy.params.fast"
    assert axis("strategy.params.fast=1,2") == axis("fast=1,2")
    assert axis("execution.fee_bps=1,2").key == "execution.fee_bps"


@pytest.mark.parametrize(
    "text",
    ["fast", "fast=", "=1,2", "fast slow=1", "fast=3:1:1", "fast=1:3:0", "fast=1:3:-1", "fast=1:inf:1", "fast=1,1",
     "fast=a:b:c", "fast=1:100001:1", "fast=0:1:1e-9"],
)  # fmt: skip
def test_what_is_no_axis_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(InputError) as raised:
        axis(text)
    assert raised.value.hint


def test_the_last_key_varies_fastest() -> None:
    space = Space((Axis("a", (1, 2)), Axis("b", ("x", "y", "z"))))
    assert [tuple(space[at].values()) for at in range(len(space))] == [
        (1, "x"), (1, "y"), (1, "z"), (2, "x"), (2, "y"), (2, "z"),
    ]  # fmt: skip
    with pytest.raises(IndexError):
        space[6]


def test_chosen_combinations_keep_their_numbers() -> None:
    space = Space((Axis("a", (1, 2)), Axis("b", (3, 4, 5))), (1, 3, 5))
    assert [tuple(space[at].values()) for at in range(len(space))] == [(1, 4), (2, 3), (2, 5)]
