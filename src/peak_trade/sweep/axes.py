"""What is varied: keys of a config, each with its values, and the combinations of them."""

from __future__ import annotations

import math
import random
import re
import tomllib
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import Struct

from peak_trade.errors import InputError

__all__ = ["PARAMS", "Axis", "Drawn", "Range", "Space", "axis", "described"]

_KEY = re.compile(r"[\w-]+(\.[\w-]+)*")
_QUOTED = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'[^']*')\s*(?=,|\Z)""")  # a TOML string, up to a comma or the end
_BARE = re.compile(r"""(?!\s*["'])[^,]*""")
PARAMS = "strategy.params."
_VALUES = 100_000  # of one key
_TRIES = 1_000  # combinations that are drawn for one that is valid


class Axis(Struct, frozen=True):
    """A key and the values that it takes, in order; `step` is what lies between two of them, of a range."""

    key: str
    values: tuple[Any, ...]
    step: int | float | None = None


class Range(Struct, frozen=True):
    """A key that takes any number from `low` to `high`: for what is drawn or searched, there are no combinations."""

    key: str
    low: float
    high: float


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

    def sampled(self, count: int, seed: int) -> Space:
        """Return `count` different combinations of all, drawn by a seed, in the order of all; all, if that is fewer.

        >>> Space((Axis("x", (1, 2, 3)),)).sampled(2, 1).chosen
        (0, 2)
        """
        drawn = random.Random(seed).sample(range(self.size), min(count, self.size))
        return Space(self.axes, tuple(sorted(drawn)), (count, seed))

    def describe(self) -> dict[str, Any]:
        """Return what was asked for, and how much of it was left out, as the manifest has it."""
        told = described(self.axes)
        told |= {} if self.chosen is None else {"chosen": list(self.chosen)}
        told |= dict(zip(("random", "seed"), self.drawn, strict=True)) if self.drawn else {}
        return told | ({"invalid": self.invalid} if self.invalid else {})


class Drawn(Struct, frozen=True):
    """Combinations that were drawn by a seed, of axes of which some are ranges; `invalid` counts those left out."""

    axes: tuple[Axis | Range, ...]
    chosen: tuple[tuple[Any, ...], ...]
    seed: int = 0
    invalid: int = 0

    @classmethod
    def of(cls, axes: Sequence[Axis | Range], count: int, seed: int, takes: Callable[[dict[str, Any]], bool]) -> Drawn:
        """Draw `count` combinations that are taken: of each axis a value, each as likely as the others."""
        draw, found, invalid = random.Random(seed), list[tuple[Any, ...]](), 0
        while len(found) < count and invalid < _TRIES * count:
            one = tuple(
                draw.uniform(axis.low, axis.high) if isinstance(axis, Range) else draw.choice(axis.values)
                for axis in axes
            )
            if takes(_combined(axes, one)):
                found.append(one)
            else:
                invalid += 1
        return cls(tuple(axes), tuple(found), seed, invalid)

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, at: int) -> dict[str, Any]:
        """Return a combination: value by key."""
        return _combined(self.axes, self.chosen[at])

    def describe(self) -> dict[str, Any]:
        """Return what was asked for, and how much of it was left out, as the manifest has it."""
        told = described(self.axes) | {"random": len(self), "seed": self.seed}
        return told | ({"invalid": self.invalid} if self.invalid else {})


def _combined(axes: Sequence[Axis | Range], values: Sequence[Any]) -> dict[str, Any]:
    return {one.key: value for one, value in zip(axes, values, strict=True)}


def described(axes: Sequence[Axis | Range]) -> dict[str, Any]:
    """Return axes as the manifest has them: the values of each, of a range its ends."""
    return {
        "grid": {
            one.key: {"low": one.low, "high": one.high} if isinstance(one, Range) else list(one.values) for one in axes
        }
    }


def axis(text: str) -> Axis | Range:
    """Return the axis of `KEY=a:b:step` (to `b`, that included where a step ends there) or of `KEY=a,b,c`.

    A key of one word is a parameter of the strategy: every other key of a config has two. Steps are taken in decimals,
    so that 0.1:0.3:0.1 has the values 0.1, 0.2 and 0.3. `KEY=a:b` is any number between, and where both are whole, any
    whole number. A value in quotes is a TOML string, in which commas and colons part nothing.

    >>> axis("fast=5:20:5")
    Axis(key='strategy.params.fast', values=(5, 10, 15, 20), step=5)
    >>> axis("share=0.1:0.5")
    Range(key='strategy.params.share', low=0.1, high=0.5)
    >>> axis('kind="a,b",c').values
    ('a,b', 'c')

    Raises InputError where it is none of these.
    """
    key, equals, said = text.partition("=")
    key = key.strip()
    if not equals or not _KEY.fullmatch(key) or not said.strip():
        raise InputError(f"--grid {text!r} is not of the form KEY=a:b:step or KEY=a,b,c", hint=_EXAMPLE)
    key, parts, listed = key if "." in key else f"{PARAMS}{key}", said.split(":"), _listed(text, said)
    if not any(map(_QUOTED.fullmatch, listed)):
        if (found := _range(key, parts)) is not None:
            return found
        if len(parts) == 3:
            return _steps(text, key, parts)
    values = tuple(map(_value, listed))
    if len({repr(one) for one in values}) != len(values):
        raise InputError(f"--grid {text!r} has a value twice", hint="name each value once")
    return Axis(key, values)


_EXAMPLE = "--grid fast=5:50:5"


def _range(key: str, parts: Sequence[str]) -> Axis | Range | None:
    """Return what `a:b` is; None where it is no such range, as of two words with a colon between."""
    try:
        low, high = (Decimal(part.strip()) for part in parts)
    except (InvalidOperation, ValueError):
        return None
    if not (low.is_finite() and high.is_finite() and low < high):
        return None
    if _is_whole(parts):
        return _steps(f"{key}={':'.join(parts)}", key, [*parts, "1"])
    return Range(key, float(low), float(high))


def _is_whole(parts: Sequence[str]) -> bool:
    return not any(set(".eE") & set(part) for part in parts)


def _steps(text: str, key: str, parts: Sequence[str]) -> Axis:
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
    as_typed: type[int] | type[float] = int if _is_whole((parts[0], parts[2])) else float
    return Axis(key, tuple(as_typed(first + step * n) for n in range(count)), as_typed(step))


def _listed(text: str, said: str) -> list[str]:
    """Return the values of a list as they were typed: it is parted by the commas outside of quotes."""
    parts, at = list[str](), -1  # where the comma before is
    while at < len(said):
        found = _QUOTED.match(said, at + 1) or _BARE.match(said, at + 1)
        if not found:
            key = text.partition("=")[0].strip()
            raise InputError(
                f"--grid {text!r} has a value that begins with a quote and does not end with it",
                hint=f"""--grid '{key}="a,b","c"' has two values""",
            )
        parts.append(found[0].strip())
        at = found.end()
    return parts


def _value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        if _QUOTED.fullmatch(text):
            raise InputError(
                f"--grid has the value {text}, which is no string of TOML: a backslash begins an escape there",
                hint="double it" + ("" if "'" in text else f", or take single quotes: '{text[1:-1]}'"),
            ) from None
        return text
    value = parsed["value"] if parsed.keys() == {"value"} else text
    return value if isinstance(value, bool | int | float | str) else text
