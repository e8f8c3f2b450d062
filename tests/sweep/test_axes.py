"""What a person types of a key that is varied, and the combinations that follow, worked out by hand."""

from __future__ import annotations

import shlex

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
        ('kind="a,b","c"', ("a,b", "c")),
        ('kind="a,b"', ("a,b",)),
        ("kind='a,b' , \"c\",d", ("a,b", "c", "d")),
        (r'kind="a\",b",c', ('a",b', "c")),  # an escaped quote ends nothing
        (r"kind='a\',b", ("a\\", "b")),  # in single quotes nothing is escaped
        ('kind="it\'s, so",\'say "x,y"\'', ("it's, so", 'say "x,y"')),
        ("kind=it's,so", ("it's", "so")),  # a quote within a word is a letter of it
        ('kind="5",5,"true",true', ("5", 5, "true", True)),
        ('kind="",a', ("", "a")),
        ('kind=" a",a', (" a", "a")),  # as it stands in the quotes
        ('kind="9:30:00"', ("9:30:00",)),  # no range, and no a:b:step
        ('kind="1:2"', ("1:2",)),
        ('kind="a:b","c:d"', ("a:b", "c:d")),
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


@pytest.mark.parametrize("values", ['"a,b', "'a,b", 'a,"b', '"a"b,c', "\"a,b',c", "'a','b,c", '"a""b"', '"a\\"', '"'])
def test_a_quote_that_is_not_closed_is_refused_with_a_hint_that_works(values: str) -> None:
    with pytest.raises(InputError, match="begins with a quote and does not end with it") as raised:
        axis(f"kind={values}")
    option, told = shlex.split(str(raised.value.hint).partition(" has two values")[0])
    assert option == "--grid"
    assert axis(told) == Axis("strategy.params.kind", ("a,b", "c"))


def test_an_escape_that_is_none_of_toml_is_refused_with_a_hint_that_works() -> None:
    with pytest.raises(InputError, match="is no string of TOML") as raised:
        axis(r'kind="\d,\d",c')
    assert axis(f"kind={str(raised.value.hint).rpartition(': ')[2]},c") == axis(r'kind="\\d,\\d",c')
    assert axis(r'kind="\\d,\\d",c') == Axis("strategy.params.kind", (r"\d,\d", "c"))


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
