"""Trades of two lists that are the same trade: of one side, entered at nearly one time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from peak_trade.market.lists.fills import Trip

__all__ = ["matched", "merged", "shift"]

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


def merged(trips: Sequence[Trip]) -> list[Trip]:
    """Return trades in which the lots of one entry are one: left at their average price, and at the last one's time.

    >>> lots = [Trip(1, 0, 100.0, 5, 110.0, 1.0, 1.0, 1.0, 8.0), Trip(1, 0, 100.0, 9, 120.0, 3.0, 3.0, 3.0, 54.0)]
    >>> one, = merged(lots)
    >>> one.exit_time, one.exit_price, one.quantity, one.pnl
    (9, 117.5, 4.0, 62.0)
    """
    groups: dict[tuple[int, int], list[Trip]] = {}
    for trip in trips:
        groups.setdefault((trip.side, trip.entry_time), []).append(trip)
    return [lots[0] if len(lots) == 1 else _one(lots) for lots in groups.values()]


def _one(lots: Sequence[Trip]) -> Trip:
    units = math.fsum(lot.quantity for lot in lots)
    entry, leave = (
        math.fsum(getattr(lot, name) * lot.quantity for lot in lots) / (units or 1.0)
        for name in ("entry_price", "exit_price")
    )
    sums = (math.fsum(getattr(lot, name) for lot in lots) for name in ("entry_fee", "exit_fee", "pnl"))
    return Trip(lots[0].side, lots[0].entry_time, entry, max(lot.exit_time for lot in lots), leave, units, *sums)


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
