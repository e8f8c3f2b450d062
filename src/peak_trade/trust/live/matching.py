"""Trades of two lists that are the same trade: of one side, entered at nearly one time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from peak_trade.market.lists.fills import Trip

__all__ = ["matched", "shift"]

_HALF_HOUR = 1_800_000_000_000  # ns
_NEAREST = 8  # on each side in time, that are looked at


def matched(a: Sequence[Trip], b: Sequence[Trip], within: float) -> list[tuple[int, int]]:
    """Return the places in `a` and `b` of trades that are one, by time of entry.

    Each trade is in one pair at most; those nearest in time of entry, then of exit, come together first, and none that
    are further apart than `within` seconds.
    """
    most = int(within * 1e9)
    candidates: list[tuple[int, int, int, int]] = []
    for side in (1, -1):
        theirs = sorted((trip.entry_time, at) for at, trip in enumerate(b) if trip.side == side)
        times = np.array([time for time, _ in theirs], np.int64)
        for i, trip in enumerate(a):
            if trip.side != side:
                continue
            at = int(np.searchsorted(times, trip.entry_time))
            for time, j in theirs[max(0, at - _NEAREST) : at + _NEAREST]:
                apart = abs(time - trip.entry_time)
                if apart <= most:
                    candidates.append((apart, abs(b[j].exit_time - trip.exit_time), i, j))
    pairs, taken_a, taken_b = [], set[int](), set[int]()
    for _, _, i, j in sorted(candidates):
        if i not in taken_a and j not in taken_b:
            taken_a.add(i)
            taken_b.add(j)
            pairs.append((i, j))
    return sorted(pairs, key=lambda pair: a[pair[0]].entry_time)


def shift(a: Sequence[Trip], b: Sequence[Trip], within: float) -> tuple[int, int]:
    """Return by how many half hours `b` has to be moved for most trades to match, and how many do; 0: none helps."""
    best, fits = 0, _fit(a, b, within)
    for halves in sorted(range(-28, 29), key=abs):
        by = halves * _HALF_HOUR
        moved = [
            Trip(one.side, one.entry_time + by, one.entry_price, one.exit_time + by, one.exit_price, one.quantity)
            for one in b
        ]
        if (fit := _fit(a, moved, within)) > fits:
            best, fits = halves, fit
    return best, fits[0]


def _fit(a: Sequence[Trip], b: Sequence[Trip], within: float) -> tuple[int, int]:
    """Return how many trades match, and how near they are: the larger, the better."""
    found = matched(a, b, within)
    return len(found), -sum(abs(a[i].entry_time - b[j].entry_time) for i, j in found)
