"""Fingerprint of bars as used: one digest of everything, and one a day or month that tells later where data changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from peak_trade.market.bars import COLUMNS, Bars
from peak_trade.market.instants import iso

__all__ = ["compare", "digest", "fingerprint"]

FORMAT = "peak_trade.bars/1"
DAYS_AT_MOST = 366


def fingerprint(bars: Bars, by: str | None = None) -> dict[str, Any]:
    """Return the digest of bars, their number, first and last time, and a digest for each UTC day or month.

    A digest is the sha256 (hex) of a header, one line of JSON with format, symbol, timeframe and each column's name
    and type, and then the columns one after the other: timestamps as little-endian int64 nanoseconds since 1970, the
    rest as little-endian float64. `parts` holds the same of each period's rows alone, under `2024-01-31` where the
    bars span at most 366 UTC days (`by` is `day`), else under `2024-01` (`month`); `by` asks for one of them. Bars must
    be in order of time.
    """
    part = _digests(bars)
    days = bars.timestamp.astype("datetime64[D]")
    spans_days = not len(days) or int((days[-1] - days[0]).astype(np.int64)) < DAYS_AT_MOST
    by = by or ("day" if spans_days else "month")
    periods = days if by == "day" else days.astype("datetime64[M]")
    starts = np.flatnonzero(np.concatenate(([True], periods[1:] != periods[:-1])))[: len(bars)].tolist()
    return {
        "digest": part(0, len(bars)),
        "rows": len(bars),
        "start": iso(bars.timestamp[0]) if len(bars) else None,
        "end": iso(bars.timestamp[-1]) if len(bars) else None,
        "by": by,
        "parts": {str(periods[first]): part(first, end) for first, end in pairwise([*starts, len(bars)])},
    }


def digest(bars: Bars) -> str:
    """Return the digest of bars alone, in hex.

    >>> from peak_trade.market.bars import Bars
    >>> one = Bars(*(np.ones(1, kind) for kind in ["M8[ns]", *["f8"] * 5]), symbol="A", timeframe="1d")
    >>> digest(one) == fingerprint(one)["digest"]
    True
    """
    return _digests(bars)(0, len(bars))


def _digests(bars: Bars) -> Callable[[int, int], str]:
    """Return what digests the rows from one to another."""
    arrays = [np.ascontiguousarray(getattr(bars, name)) for name in COLUMNS]
    arrays = [arrays[0].view(np.int64).astype("<i8", copy=False)] + [
        array.astype("<f8", copy=False) for array in arrays[1:]
    ]
    columns = [array.view(np.uint8).data for array in arrays]
    types = [[name, "<f8" if at else "<i8"] for at, name in enumerate(COLUMNS)]
    header = msgspec.json.encode(
        {"format": FORMAT, "symbol": bars.symbol, "timeframe": bars.timeframe, "columns": types}
    )
    start = hashlib.sha256(header + b"\n")

    def part(first: int, end: int) -> str:
        sha = start.copy()
        for column in columns:
            sha.update(column[8 * first : 8 * end])
        return sha.hexdigest()

    return part


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return the periods in which two fingerprints differ, in order: changed, added or gone.

    Where one counts by days and the other by months, nothing can be matched, and each period of both is returned.

    >>> compare({"parts": {"2024-01": "a", "2024-02": "b"}}, {"parts": {"2024-01": "a", "2024-02": "c"}})
    ['2024-02']
    """
    before, after = old["parts"], new["parts"]
    return sorted(period for period in before.keys() | after.keys() if before.get(period) != after.get(period))
