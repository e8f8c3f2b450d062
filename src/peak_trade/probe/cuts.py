"""Where bars are cut off: around changes of the target, at ends of months, before gaps, and anywhere by seed."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from peak_trade.market.bars import Bars, Floats
from peak_trade.probe.lot import uniform

__all__ = ["by_the_calendar", "changes", "cuts"]

_BITS = 4.0  # of what chance does once in sixteen times
_PATTERN = "change anywhere change month change gap change anywhere".split()
"""The kinds in turn. Most is told by the bar at which a decision changes: without what comes after, it must be made."""


def changes(exposure: Floats) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the bars, from 0, at which another exposure is decided on than at the bar before; 0 before the first."""
    return np.flatnonzero(np.diff(exposure, prepend=0.0))


def by_the_calendar(bars: Bars, changed: np.ndarray[tuple[int], np.dtype[np.int64]]) -> bool:
    """Tell whether changes all come as a day, a week or a month begins, after a gap, or a whole number of steps apart.

    Not where chance may well have put them there: as few as they are, or as many such bars as there are.
    """
    steps = np.diff(bars.timestamp.view(np.int64))
    days = bars.timestamp.astype("datetime64[D]").view(np.int64)
    periods = (days, (days + 3) // 7, (days + 4) // 7, bars.timestamp.astype("datetime64[M]").view(np.int64))
    begins = [np.diff(period) > 0 for period in periods] + [steps > np.median(steps)]
    for begin in begins:
        if begin[changed - 1].all() and len(changed) * -math.log2(begin.mean()) >= _BITS:
            return True
    apart = int(np.gcd.reduce(np.diff(changed))) if len(changed) > 1 else 1
    return (len(changed) - 2) * math.log2(apart) >= _BITS  # the first and the step may be any


def cuts(bars: Bars, exposure: Floats, count: int, seed: int) -> list[int]:
    """Return at most `count` numbers of bars to leave, each from 1 to N - 1, those that tell most first.

    The same for the same bars, exposure (shape (N,)) and seed.
    """
    last = len(bars) - 1
    if last < 1:
        return []
    kinds = {
        "change": _at_changes(exposure),
        "month": _spread(_ends(bars)),
        "gap": _before_gaps(bars),
        "anywhere": _anywhere(last, seed),
    }
    found: dict[int, None] = {}
    empty: set[str] = set()
    turn = 0
    while len(found) < min(count, last) and len(empty) < len(kinds):
        kind = _PATTERN[turn % len(_PATTERN)]
        turn += 1
        if (cut := next(kinds[kind], None)) is None:
            empty.add(kind)
        elif 1 <= cut <= last:
            found[cut] = None
    return list(found)


def _at_changes(exposure: Floats) -> Iterator[int]:
    """Yield cuts right after the bars at which a position is decided on, and one in four right before or at its end."""
    changed = changes(exposure)
    begun, ended = changed[exposure[changed] != 0], changed[exposure[changed] == 0]
    rest = (bar for pair in zip(_spread(ended + 1), _spread(begun), strict=False) for bar in pair)
    for number, cut in enumerate(_spread(begun + 1), 1):
        yield cut
        if number % 3 == 0:
            yield from [another for another in [next(rest, None)] if another is not None]
    yield from rest


def _ends(bars: Bars) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return how many bars there are up to each end of a month; of bars within one month, to each end of a UTC day."""
    for unit in ("M", "D"):
        first, last = bars.timestamp[[0, -1]].astype(f"datetime64[{unit}]")
        begins = np.arange(first + np.timedelta64(1, unit), last + np.timedelta64(1, unit)).astype(bars.timestamp.dtype)
        if len(begins):
            ends = np.searchsorted(bars.timestamp, begins)
            return ends[np.diff(ends, prepend=-1) > 0]  # each once; `np.unique` would first import a module of 10 ms
    return np.empty(0, np.int64)


def _before_gaps(bars: Bars) -> Iterator[int]:
    steps = np.diff(bars.timestamp.view(np.int64))
    usual = int(np.median(steps[:: 1 + len(steps) // 4096]))
    longer = np.flatnonzero(steps > usual)
    yield from (longer[np.argsort(-steps[longer], kind="stable")[:64]] + 1).tolist()


def _anywhere(last: int, seed: int) -> Iterator[int]:
    yield (last + 1) // 2
    yield from (1 + np.floor(uniform(4096, seed) * last).astype(np.int64)).tolist()


def _spread(values: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Iterator[int]:
    """Yield values from all over, however few are taken: each in the largest hole that those before have left."""
    seen: set[int] = set()
    for number in range(4096):
        share, place, rest = 0.0, 0.5, number
        while rest:
            share, place, rest = share + place * (rest & 1), place / 2, rest >> 1
        at = int(share * len(values))
        if at < len(values) and at not in seen:
            seen.add(at)
            yield int(values[at])
        if len(seen) == len(values):
            return
