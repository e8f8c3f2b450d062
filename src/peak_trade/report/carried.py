"""Numbers as a page carries them for its scripts: whole multiples of their last digit, in differences.

A script writes a number from its multiple as Python would have written the number itself: a page that is sorted or
filtered shows the digits that it has without scripts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from peak_trade.stats.values import Floats, Times

__all__ = ["digits_of", "differences", "moments", "whole"]

_LARGEST = 9e15  # from here on a script's numbers are not exact


def whole(value: float, digits: int, more: int = 0) -> int | None:
    """Return a number as a multiple of 10 ** -(digits + more), by which it is rounded to `digits` as Python does.

    `more` digits are for sums and comparisons: a multiple that would stand half-way between two of `digits` is moved by
    one to the side that the number is on. None for what is not finite, or too large to be exact.

    >>> whole(1.115, 2), whole(2.5, 0), whole(-0.0049999, 2, 2), whole(float("nan"), 2)
    (111, 2, -49, None)
    """
    if not math.isfinite(value) or abs(value) * 10.0 ** (digits + more) > _LARGEST:
        return None
    found = int(f"{value:.{digits + more}f}".replace(".", ""))
    step = 10**more
    if more and abs(found) % step * 2 == step:
        shown = abs(int(f"{value:.{digits}f}".replace(".", "")))
        found += (1 if shown > abs(found) // step else -1) * (1 if found > 0 else -1)
    return found


def differences(values: Iterable[int | None]) -> list[int | None]:
    """Return each value less the last one before it that is there.

    >>> differences([5, None, 7, 4])
    [5, None, 2, -3]
    """
    made: list[int | None] = []
    before = 0
    for value in values:
        made.append(None if value is None else value - before)
        before = before if value is None else value
    return made


def moments(times: Times) -> dict[str, Any]:
    """Return times as differences `v` in steps of `unit` seconds since 1970, the first from 1970 on; NaT as None.

    >>> moments(np.array(["1970-01-02", "NaT", "1970-01-01T12"], "M8[s]"))
    {'unit': 43200, 'v': [2, None, -1]}
    """
    seconds = times.astype("M8[s]")
    steps = differences(
        None if missing else at
        for at, missing in zip(seconds.astype(np.int64).tolist(), np.isnat(seconds).tolist(), strict=True)
    )
    unit = max(math.gcd(*(step for step in steps if step is not None)), 1)
    return {"unit": unit, "v": [None if step is None else step // unit for step in steps]}


def digits_of(values: Floats) -> int:
    """Return with how many digits a column is written: five that say something of its least value, two at least.

    >>> digits_of(np.array([1234.5, 99.0])), digits_of(np.array([0.00012345]))
    (3, 8)
    """
    there = np.abs(values[np.isfinite(values) & (values != 0.0)])
    least = float(there.min()) if len(there) else 1_000.0
    return min(max(2, 4 - math.floor(math.log10(least))), 12) if least < 1_000.0 else 2
