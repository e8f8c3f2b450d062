"""What is written as TOML reads back as the same, whatever it holds."""

from __future__ import annotations

import datetime as dt
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peak_trade import toml
from peak_trade.errors import InputError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
LEAVES = (
    TEXT
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.dates(min_value=dt.date(1000, 1, 1))
    | st.datetimes(min_value=dt.datetime(1000, 1, 1))  # noqa: DTZ001 - TOML has times without a zone
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))


@given(st.dictionaries(TEXT, VALUES, max_size=5))
def test_every_tree_reads_back(tree: dict[str, Any]) -> None:
    assert tomllib.loads(toml.dumps(toml.plain(tree))) == tree


def test_every_float_keeps_its_bits() -> None:
    values = [0.1, 1e-300, 1e22, -0.0, 5e-324, 1.7976931348623157e308]
    back = tomllib.loads(toml.dumps({"a": {"b": values}}))["a"]["b"]
    assert np.array(back).tobytes() == np.array(values).tobytes()


def test_what_is_plain_by_another_name_is_taken_for_it() -> None:
    tree = {
        "a": np.float64(0.1),
        "b": np.int32(3),
        "c": np.bool_(True),
        "d": np.array([1, 2]),
        "e": (1, "x"),
        "f": Path("g"),
    }
    plain = toml.plain(tree)
    assert plain == {"a": 0.1, "b": 3, "c": True, "d": [1, 2], "e": [1, "x"], "f": "g"}
    assert [type(value) for value in plain.values()] == [float, int, bool, list, list, str]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "a.b is None"),
        (object(), "a.b is of type object"),
        (b"x", "a.b is of type bytes"),
        ("\ud800", "not UTF-8"),
    ],
)
def test_what_toml_cannot_hold_is_refused_by_its_key(value: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        toml.plain({"a": {"b": value}})
