"""Fingerprint of bars as used: one digest of everything, and one a day or month that tells later where data changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from peak_trade.errors import RunError
from peak_trade.market.bars import COLUMNS, Bars
from peak_trade.market.instants import iso

__all__ = ["bytes_of", "compare", "content", "digest", "fingerprint", "parse", "unnamed"]

FORMAT = "peak_trade.bars/1"
_HEADER = 4_000  # bytes of the line that a content begins with
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


def unnamed(bars: Bars) -> str:
    """Return the digest that bars have where nobody names their symbol: the same bars have it, whatever the symbol.

    >>> from peak_trade.market.bars import Bars
    >>> columns = [np.ones(1, kind) for kind in ["M8[ns]", *["f8"] * 5]]
    >>> unnamed(Bars(*columns, symbol="A", timeframe="1d")) == digest(Bars(*columns, symbol="", timeframe="1d"))
    True
    """
    return digest(msgspec.structs.replace(bars, symbol=""))


def content(bars: Bars) -> Iterator[bytes | memoryview]:
    """Yield the bytes that the digest of bars is the sha256 of: a file of them is named by what is in it."""
    header, columns = _parts(bars)
    yield header
    yield from columns


def bytes_of(rows: int) -> int:
    """Return how many bytes the content of so many bars has at most."""
    return _HEADER + 8 * len(COLUMNS) * rows


def parse(found: bytes) -> Bars:
    """Return the bars of a `content`; RunError where it is none.

    >>> from peak_trade.market.bars import Bars
    >>> one = Bars(*(np.ones(1, kind) for kind in ["M8[ns]", *["f8"] * 5]), symbol="A", timeframe="1d")
    >>> parse(b"".join(content(one))).close
    array([1.])
    """
    end = found.find(b"\n", 0, _HEADER)
    try:
        header = msgspec.json.decode(found[: max(end, 0)], type=_Header)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise RunError(f"a file of bars does not begin as one does: {error}") from None
    rows, left = divmod(len(found) - end - 1, 8 * len(COLUMNS))
    if header != _Header(FORMAT, header.symbol, header.timeframe, _TYPES) or left or not rows:
        raise RunError(f"a file of bars is not of the format {FORMAT}, or not whole")
    columns: dict[str, Any] = {
        name: np.frombuffer(found, kind, rows, end + 1 + 8 * rows * at).astype(kind[1:])
        for at, (name, kind) in enumerate(_TYPES)
    }
    columns["timestamp"] = columns["timestamp"].view("M8[ns]")
    return Bars(**columns, symbol=header.symbol, timeframe=header.timeframe)


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    symbol: str
    timeframe: str
    columns: list[tuple[str, str]]


_TYPES = [(name, "<f8" if at else "<i8") for at, name in enumerate(COLUMNS)]


def _parts(bars: Bars) -> tuple[bytes, list[memoryview]]:
    """Return the header's line and the columns, as bytes."""
    arrays = [np.ascontiguousarray(getattr(bars, name)) for name in COLUMNS]
    arrays = [arrays[0].view(np.int64).astype("<i8", copy=False)] + [
        array.astype("<f8", copy=False) for array in arrays[1:]
    ]
    header = msgspec.json.encode(_Header(FORMAT, bars.symbol, bars.timeframe, _TYPES))
    return header + b"\n", [array.view(np.uint8).data for array in arrays]


def _digests(bars: Bars) -> Callable[[int, int], str]:
    """Return what digests the rows from one to another."""
    header, columns = _parts(bars)
    start = hashlib.sha256(header)

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
