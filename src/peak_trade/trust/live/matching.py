"""Trades of two lists that are the same trade: of one side, entered at nearly one time."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Container, Sequence
from statistics import median

import numpy as np

from peak_trade.market.lists.fills import Trip

__all__ = ["Lots", "gathered", "lots_of", "matched", "merged", "relation", "shift"]

Lots = tuple[Trip, ...]
"""The lots that make a trade."""

_HALF_HOUR = 1_800_000_000_000  # ns
_REMAINS = 0.02  # of a trade's size, that may be left later than the trade
_ALIKE = (0.8, 1.25)  # sizes over others' that are the same, but for rounding
_SAMPLE = 1_000  # trades by which a clock that is off is found
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


def lots_of(trips: Sequence[Trip]) -> list[Lots]:
    """Return trades in groups: the lots of one entry are one."""
    groups: dict[tuple[int, int], list[Trip]] = {}
    for trip in trips:
        groups.setdefault((trip.side, trip.entry_time), []).append(trip)
    return [tuple(lots) for lots in groups.values()]


def merged(lots: Lots) -> Trip:
    """Return lots as one trade: from the first entry to the last exit, but for small remains, at average prices.

    >>> lots = Trip(1, 0, 100.0, 5, 110.0, 1.0, 1.0, 1.0, 8.0), Trip(1, 0, 100.0, 9, 120.0, 3.0, 3.0, 3.0, 54.0)
    >>> one = merged(lots)
    >>> one.exit_time, one.exit_price, one.quantity, one.pnl
    (9, 117.5, 4.0, 62.0)
    """
    if len(lots) == 1:
        return lots[0]
    units = math.fsum(lot.quantity for lot in lots)
    entry, leave = (
        math.fsum(getattr(lot, name) * lot.quantity for lot in lots) / (units or 1.0)
        for name in ("entry_price", "exit_price")
    )
    sums = (math.fsum(getattr(lot, name) for lot in lots) for name in ("entry_fee", "exit_fee", "pnl"))
    rest, end = units, 0
    for lot in sorted(lots, key=lambda lot: lot.exit_time):
        rest, end = rest - lot.quantity, lot.exit_time
        if rest <= _REMAINS * units:
            break
    return Trip(lots[0].side, min(lot.entry_time for lot in lots), entry, end, leave, units, *sums)


def gathered(
    a: Sequence[Lots], b: Sequence[Lots], found: Sequence[tuple[int, int]], within: float, scale: float
) -> tuple[list[Lots], list[tuple[int, int]]]:
    """Return `b`, and the pairs, with in one piece what `a` has in one piece: one entry, filled in parts.

    What was entered while a matched trade of `a` was held, and matches no other, belongs to it where its size comes
    nearer by that, `scale` being the size of b's trades over that of a's.
    """
    taken = {j for _, j in found}
    free = sorted((lots[0].entry_time, j) for j, lots in enumerate(b) if j not in taken)
    times = [time for time, _ in free]
    groups, gone = dict(enumerate(b)), set[int]()
    for i, j in found:
        whole, most = merged(a[i]), int(within * 1e9)
        low, high = bisect_left(times, whole.entry_time - most), bisect_left(times, whole.exit_time)
        size, wanted = math.fsum(lot.quantity for lot in groups[j]), whole.quantity * scale
        for _, k in free[low : max(low, high)]:
            units = math.fsum(lot.quantity for lot in b[k])
            if k not in gone and b[k][0].side == whole.side and abs(size + units - wanted) < abs(size - wanted):
                groups[j], size = groups[j] + b[k], size + units
                gone.add(k)
    if not gone:
        return list(b), list(found)
    keep = [j for j in range(len(b)) if j not in gone]
    place = {j: at for at, j in enumerate(keep)}
    return [groups[j] for j in keep], [(i, place[j]) for i, j in found]


def relation(a: Sequence[Lots], b: Sequence[Lots], found: Sequence[tuple[int, int]], within: float) -> float:
    """Return the median of the sizes of `b` over those of `a`: of pairs, or, where those differ, of all held then."""
    sizes = [(math.fsum(lot.quantity for lot in a[i]), math.fsum(lot.quantity for lot in b[j])) for i, j in found]
    alone = [theirs / mine for mine, theirs in sizes if mine]
    if not alone or _ALIKE[0] < median(alone) < _ALIKE[1]:
        return 1.0
    free = [_alone(of, {pair[at] for pair in found}) for at, of in enumerate((a, b))]
    ratios = []
    for (i, j), sides in zip(found, sizes, strict=True):
        held = [merged(a[i]), merged(b[j])]
        low = min(one.entry_time for one in held) - int(within * 1e9)
        high = max(one.exit_time for one in held)
        mine, theirs = (
            size + math.fsum(units for _, side, units in _between(of, low, high) if side == held[0].side)
            for size, of in zip(sides, free, strict=True)
        )
        ratios += [theirs / mine] if mine else []
    return float(median(ratios)) if ratios else 1.0


def _alone(of: Sequence[Lots], taken: Container[int]) -> list[tuple[int, int, float]]:
    """Return time of entry, side and size of what has no pair, by time."""
    return sorted(
        (lots[0].entry_time, lots[0].side, math.fsum(lot.quantity for lot in lots))
        for at, lots in enumerate(of)
        if at not in taken
    )


def _between(of: Sequence[tuple[int, int, float]], low: int, high: int) -> Sequence[tuple[int, int, float]]:
    start = bisect_left(of, (low,))
    return of[start : max(start, bisect_left(of, (high,)))]


def shift(a: Sequence[Trip], b: Sequence[Trip], within: float) -> tuple[int, int]:
    """Return by how many half hours `b` has to be moved for most trades to match, and how many do; 0: none helps."""
    some = a[:_SAMPLE], b[:_SAMPLE]  # both in order of time: a clock that is off is so from the first trade on
    best, fits = 0, _fit(*some, within)
    for halves in sorted(range(-28, 29), key=abs):
        if (fit := _fit(some[0], _moved(some[1], halves), within)) > fits:
            best, fits = halves, fit
    return best, fits[0] if len(some[1]) == len(b) else _fit(a, _moved(b, best), within)[0]


def _moved(trips: Sequence[Trip], halves: int) -> list[Trip]:
    by = halves * _HALF_HOUR
    return [
        Trip(one.side, one.entry_time + by, one.entry_price, one.exit_time + by, one.exit_price, one.quantity)
        for one in trips
    ]


def _fit(a: Sequence[Trip], b: Sequence[Trip], within: float) -> tuple[int, int]:
    """Return how many trades match, and how near they are: the larger, the better."""
    found = matched(a, b, within)
    return len(found), -sum(abs(a[i].entry_time - b[j].entry_time) for i, j in found)
