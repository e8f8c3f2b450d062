"""What is varied: keys of a config, each with its values, and the combinations of them."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import Struct

from peak_trade.errors import InputError

__all__ = ["PARAMS", "Axis", "Space", "axis"]

_KEY = re.compile(r"[\w-]+(\.[\w-]+)*")
PARAMS = "strategy.params."
_VALUES = 100_000  # of one key


class Axis(Struct, frozen=True):
    """A key and the values that it takes, in order."""

    key: str
    values: tuple[Any, ...]


class Space(Struct, frozen=True):
    """All combinations of some axes, the last one varying fastest; or `chosen` of them, by their numbers.

    `drawn` are how many were asked for of all, and the seed that they were drawn by; `invalid` counts those that were
    left out.
    """

    axes: tuple[Axis, ...]
    chosen: tuple[int, ...] | None = None
    drawn: tuple[int, int] | None = None
    invalid: int = 0

    @property
    def size(self) -> int:
        """How many combinations there are, whether or not all are chosen."""
        return math.prod(len(axis.values) for axis in self.axes)

    def __len__(self) -> int:
        return self.size if self.chosen is None else len(self.chosen)

    def __getitem__(self, at: int) -> dict[str, Any]:
        """Return a combination: value by key."""
        if not 0 <= at < len(self):
            raise IndexError(at)
        return self.numbered(at if self.chosen is None else self.chosen[at])

    def numbered(self, number: int) -> dict[str, Any]:
        """Return the combination with a number, whether or not it is chosen."""
        found: dict[str, Any] = {}
        for one in reversed(self.axes):
            number, place = divmod(number, len(one.values))
            found[one.key] = one.values[place]
        return dict(reversed(found.items()))

    def describe(self) -> dict[str, Any]:
        """Return what was asked for, and how much of it was left out, as the manifest has it."""
        told: dict[str, Any] = {"grid": {one.key: list(one.values) for one in self.axes}}
        told |= {} if self.chosen is None else {"chosen": list(self.chosen)}
        told |= dict(zip(("random", "seed"), self.drawn, strict=True)) if self.drawn else {}
        return told | ({"invalid": self.invalid} if self.invalid else {})


def axis(text: str) -> Axis:
    """Return the axis of `KEY=a:b:step` (to `b`, that included where a step ends there) or of `KEY=a,b,c`.

    A key of one word is a parameter of the strategy: every other key of a config has two. Steps are taken in decimals,
    so that 0.1:0.3:0.1 has the values 0.1, 0.2 and 0.3.

    >>> axis("fast=5:20:5")
    Axis(key='strategy.params.fast', values=(5, 10, 15, 20))

    Raises InputError where it is neither.
    """
    key, equals, said = text.partition("=")
    key = key.strip()
    if not equals or not _KEY.fullmatch(key) or not said.strip():
        raise InputError(f"--grid {text!r} is not of the form KEY=a:b:step or KEY=a,b,c", hint=_EXAMPLE)
    parts = said.split(":")
    values = _steps(text, parts) if len(parts) == 3 else tuple(map(_value, said.split(",")))
    if len({repr(one) for one in values}) != len(values):
        raise InputError(f"--grid {text!r} has a value twice", hint="name each value once")
    return Axis(key if "." in key else f"{PARAMS}{key}", values)


_EXAMPLE = "--grid fast=5:50:5"


def _steps(text: str, parts: Sequence[str]) -> tuple[int | float, ...]:
    no_range = InputError(f"--grid {text!r} is no range: a:b:step goes up from a to b", hint=_EXAMPLE)
    try:
        first, last, step = (Decimal(part.strip()) for part in parts)
    except InvalidOperation:
        raise no_range from None
    if not all(one.is_finite() for one in (first, last, step)) or step <= 0 or last < first:
        raise no_range
    count = int((last - first) / step) + 1
    if count > _VALUES:
        raise InputError(f"--grid {text!r} has {count:,} values, allowed: {_VALUES:,}", hint="take a larger step")
    whole = not any(set(".eE") & set(part) for part in (parts[0], parts[2]))
    steps = [first + step * n for n in range(count)]
    return tuple(int(one) if whole else float(one) for one in steps)


def _value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text.strip()}")
    except (ValueError, RecursionError):
        return text.strip()
    value = parsed["value"] if parsed.keys() == {"value"} else text
    return value if isinstance(value, bool | int | float) else str(value if isinstance(value, str) else text).strip()
