"""What differs between two sets of bars: bar by bar where both are there, else period by period of their fingerprints.

A bar is known by its time alone, so that zone, format and order of columns do not matter; days are those of UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.market.bars import COLUMNS, Bars

__all__ = ["Difference", "Period", "of_bars", "of_fingerprints"]


class Period(Struct, frozen=True):
    """A day, or a month of fingerprints, that is not the same: what became of its bars on the way from A to B.

    `columns` are those in which bars were revised, `close` is the largest change of a close as a fraction of A's (None
    where none changed). Of fingerprints only `change` is known, and the counts are None.
    """

    period: str
    change: str  # added, removed, revised, or mixed
    added: int | None = None
    removed: int | None = None
    revised: int | None = None
    close: float | None = None
    columns: list[str] = []


class Difference(Struct, frozen=True):
    """All that differs: `by` is bar, day or month; the counts are of bars, and None by fingerprints alone.

    `columns` has, by name, in how many bars a column was revised, and the largest change as a fraction of A's value
    (None where that was 0).
    """

    same: bool
    by: str
    periods: list[Period]
    unchanged: int | None = None
    added: int | None = None
    removed: int | None = None
    revised: int | None = None
    columns: dict[str, dict[str, Any]] = {}


def of_bars(a: Bars, b: Bars, tolerance: float = 0.0) -> Difference:
    """Compare bars with bars; a value is revised where it moved by more than `tolerance`, a fraction of A's value.

    Both must be in order of time, each time once.
    """
    times, in_a, in_b = _union(a.timestamp, b.timestamp)
    both = (in_a >= 0) & (in_b >= 0)
    rows_a, rows_b = in_a[both], in_b[both]
    moved: dict[str, npt.NDArray[np.float64]] = {}  # by how much, over the times that both have; 0 where not revised
    for name in COLUMNS[1:]:
        old, new = getattr(a, name)[rows_a], getattr(b, name)[rows_b]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(old == new, 0.0, np.abs(new - old) / np.abs(old))
        moved[name] = np.where(np.isnan(share) | (share > tolerance), share, 0.0)
    revised = np.zeros(len(times), bool)
    revised[both] = np.any([share != 0 for share in moved.values()], axis=0)
    added, removed = in_a < 0, in_b < 0
    at = np.cumsum(both) - 1  # where a time that both have stands among those
    periods = []
    days = times.astype("M8[D]")
    touched = np.flatnonzero(added | removed | revised)
    for rows in np.split(touched, np.flatnonzero(np.diff(days[touched].astype(np.int64))) + 1) if len(touched) else ():
        counts = {"added": added, "removed": removed, "revised": revised}
        found = {change: int(np.count_nonzero(which[rows])) for change, which in counts.items()}
        changes = [change for change, count in found.items() if count]
        here = at[rows[revised[rows]]]
        columns = [name for name, share in moved.items() if share[here].any()]
        close = _largest(moved["close"][here]) if "close" in columns else None
        change = changes[0] if len(changes) == 1 else "mixed"
        periods.append(Period(str(days[rows[0]]), change, **found, close=close, columns=columns))
    return Difference(
        same=not periods,
        by="bar",
        periods=periods,
        unchanged=int(np.count_nonzero(both & ~revised)),
        added=int(np.count_nonzero(added)),
        removed=int(np.count_nonzero(removed)),
        revised=int(np.count_nonzero(revised)),
        columns={
            name: {"bars": int(np.count_nonzero(share)), "largest": _largest(share)}
            for name, share in moved.items()
            if share.any()
        },
    )


def of_fingerprints(a: Mapping[str, Any], b: Mapping[str, Any]) -> Difference:
    """Compare two fingerprints; where one counts by days and the other by months, no period of them can be matched."""
    if a["digest"] == b["digest"]:
        return Difference(True, a["by"], [])
    before, after = (a["parts"], b["parts"]) if a["by"] == b["by"] else ({}, {})
    periods = [
        Period(period, "added" if period not in before else "removed" if period not in after else "revised")
        for period in sorted(before.keys() | after.keys())
        if before.get(period) != after.get(period)
    ]
    return Difference(False, a["by"], periods)


def _union(a: Any, b: Any) -> tuple[Any, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return all times, and for each the row in `a` and in `b`, -1 where it is not there."""
    times = np.union1d(a, b)
    places = []
    for of in (a, b):
        place = np.full(len(times), -1, np.int64)
        place[np.searchsorted(times, of)] = np.arange(len(of))
        places.append(place)
    return times, places[0], places[1]


def _largest(share: npt.NDArray[np.float64]) -> float | None:
    largest = float(np.max(share, initial=0.0))
    return largest if np.isfinite(largest) else None
