"""From conditions to a target: what the strategies share.

Conditions are bool arrays of shape (N,), one value a bar; a comparison with NaN is False, so that a bar on which an
indicator is not known yet leads to a target of 0.

Prices are decimals, and binary holds few of them: two averages that are equal on paper may differ in their last digits
here. So what is computed is compared by `above` and `reaches`, which take what differs by no more than rounding can
have made of it (`slack`; `rolling` says how much that is) for equal. Prices themselves are compared as they are.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt

from peak_trade.errors import InputError

__all__ = ["Flags", "Floats", "Window", "above", "check_order", "exposure", "hold", "in_doubt", "reaches"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

Window = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
"""A number of bars."""


def above(x: Floats, y: Floats | float, slack: Floats | float) -> Flags:
    """Return where `x` is above `y`, by more than `slack`.

    >>> above(np.array([0.1 + 0.2, 0.4]), 0.3, np.array([1e-15, 1e-15])).tolist()
    [False, True]
    """
    found: Flags = x - y > slack
    return found


def reaches(x: Floats, y: Floats | float, slack: Floats | float) -> Flags:
    """Return where `x` is at or above `y`: no more than `slack` below it.

    >>> reaches(np.array([0.3, 0.2]), 0.1 + 0.2, np.array([1e-15, 1e-15])).tolist()
    [True, False]
    """
    found: Flags = x - y >= -slack
    return found


def in_doubt(difference: Floats, most: float) -> bool:
    """Tell whether any difference is within `most`; where none is, slack below that decides nothing and can be 0.

    >>> in_doubt(np.array([np.nan, 0.5, -1e-16]), 1e-15)
    True
    """
    return bool((np.abs(difference) <= most).any())


def exposure(long: Flags, short: Flags | None = None) -> Floats:
    """Return the target: 1 where `long`, -1 where `short`, else 0. The two are never true together.

    >>> exposure(np.array([True, False, False]), np.array([False, False, True])).tolist()
    [1.0, 0.0, -1.0]
    """
    target = long.astype(np.float64)
    if short is not None:
        target -= short
    return target


def hold(enter: Flags, leave: Flags) -> Flags:
    """Return where a position is held: from each `enter` on, until `leave`. Where both are true, `enter` wins.

    >>> hold(np.array([False, True, False, False]), np.array([False, False, False, True])).tolist()
    [False, True, True, False]
    """
    held = np.zeros(len(enter), dtype=np.bool_)
    events = np.flatnonzero(enter | leave)
    if len(events):  # each event rules the bars up to the next
        held[events[0] :] = np.repeat(enter[events], np.diff(events, append=len(enter)))
    return held


def check_order(low_name: str, low: int, high_name: str, high: int) -> None:
    """Refuse two parameters of which the first is not less than the second.

    Raises:
        InputError: names both keys and values.
    """
    if low >= high:
        raise InputError(
            f"strategy.params.{low_name} is {low} and strategy.params.{high_name} is {high}: "
            f"{low_name} must be less than {high_name}"
        )
