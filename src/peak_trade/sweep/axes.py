"""What is varied: keys of a config, each with its values, and the combinations of them."""

from __future__ import annotations

import math
import random
import re
import tomllib
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import Struct

from peak_trade.errors import InputError

__all__ = ["Axis", "Space", "axis"]

_KEY = re.compile(r"[\w-]+(\.[\w-]+)*")
_MOST = 10_000_000  # combinations


class Axis(Struct, frozen=True):
    """A key and the values that it takes, in order."""

    key: str
    values: tuple[Any, ...]


class Space(Struct, frozen=True):
    """All combinations of some axes, the last one varying fastest; or `chosen` of them, by their numbers."""

    axes: tuple[Axis, ...]
    chosen: tuple[int, ...] | None = None

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
        number = at if self.chosen is None else self.chosen[at]
        found: dict[str, Any] = {}
        for one in reversed(self.axes):
            number, place = divmod(number, len(one.values))
            found[one.key] = one.values[place]
        return dict(reversed(found.items()))

    def sampled(self, count: int, seed: int) -> Space:
        """Return `count` different combinations of these, drawn by a seed, in the order of all; all, if that is fewer.

        >>> Space((Axis("x", (1, 2, 3)),)).sampled(2, 1).chosen
        (0, 2)
        """
        drawn = random.Random(seed).sample(range(self.size), min(count, self.size))
        return Space(self.axes, tuple(sorted(drawn)))


def axis(text: str) -> Axis:
    """Return the axis of `KEY=a:b:step` (to `b`, that included where a step ends there) or of `KEY=a,b,c`.

    Steps are taken in decimals, so that 0.1:0.3:0.1 has the values 0.1, 0.2 and 0.3.

    >>> axis("strategy.params.fast=5:20:5").values
    (5, 10, 15, 20)

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
    return Axis(key, values)


_EXAMPLE = "--grid strategy.params.fast=5:50:5"


def _steps(text: str, parts: Sequence[str]) -> tuple[int | float, ...]:
    no_range = InputError(f"--grid {text!r} is no range: a:b:step goes up from a to b", hint=_EXAMPLE)
    try:
        first, last, step = (Decimal(part.strip()) for part in parts)
    except InvalidOperation:
        raise no_range from None
    if not all(one.is_finite() for one in (first, last, step)) or step <= 0 or last < first:
        raise no_range
    count = int((last - first) / step) + 1
    if count > _MOST:
        raise InputError(f"--grid {text!r} has {count:,} values, allowed: {_MOST:,}", hint="take a larger step")
    whole = not any(set(".eE") & set(part) for part in (parts[0], parts[2]))
    steps = [first + step * n for n in range(count)]
    return tuple(int(one) if whole else float(one) for one in steps)


def _value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text.strip()}")
    except (ValueError, RecursionError):
        return text.strip()
    return parsed["value"] if parsed.keys() == {"value"} else text.strip()
