"""Equity against equity, bar by bar: the first bar that differs, how many do, and by how much at most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.evidence.tables import iso

__all__ = ["Bar", "Series", "moved", "series"]

_COLUMNS = ("position", "equity", "drawdown")  # the order in which one bar's are named: what was held comes first
_FRACTIONS = ("drawdown",)


class Bar(Struct, frozen=True):
    """A bar and a column in which two runs differ, with both values; None where a run has no such bar."""

    time: str
    column: str
    a: float | None
    b: float | None


class Series(Struct, frozen=True):
    """What differs of two equity curves: `bars` are those that both have.

    `first` is the first bar that differs, `position` the first at which another position was held (None: none).
    `largest` is the largest difference of equity as a fraction of A's largest equity.
    """

    bars: int
    differ: int
    only_a: int
    only_b: int
    largest: float
    first: Bar | None
    position: Bar | None

    @property
    def same(self) -> bool:
        """Whether no bar differs, and both have the same ones."""
        return not (self.differ or self.only_a or self.only_b)


def series(a: Mapping[str, npt.NDArray[Any]], b: Mapping[str, npt.NDArray[Any]], tolerance: float = 0.0) -> Series:
    """Compare the columns of two equity curves; both in order of time, each time once.

    A value differs where it moved by more than `tolerance`, a fraction of the larger of the two; of a drawdown, which
    is a fraction itself, by more than `tolerance`.
    """
    times_a, times_b = a["timestamp"], b["timestamp"]
    if np.array_equal(times_a, times_b):
        rows_a = rows_b = np.arange(len(times_a))
        columns_a, columns_b, times = a, b, times_a
    else:
        times, rows_a, rows_b = np.intersect1d(times_a, times_b, assume_unique=True, return_indices=True)
        columns_a = {name: column[rows_a] for name, column in a.items()}
        columns_b = {name: column[rows_b] for name, column in b.items()}
    differs = {
        name: moved(columns_a[name], columns_b[name], tolerance, 1.0 if name in _FRACTIONS else None)
        for name in _COLUMNS
    }
    anywhere = np.logical_or.reduce([*differs.values()])
    at = int(np.argmax(anywhere)) if anywhere.any() else None
    first = None if at is None else _bar(columns_a, columns_b, times, at, next(n for n in _COLUMNS if differs[n][at]))
    held = differs["position"]
    position = _bar(columns_a, columns_b, times, int(np.argmax(held)), "position") if held.any() else None
    with np.errstate(all="ignore"):
        most = float(np.abs(columns_a["equity"]).max(initial=0.0))
        largest = float(np.abs(columns_a["equity"] - columns_b["equity"]).max(initial=0.0)) / (most or 1.0)
    only = [len(all_) - len(rows) for all_, rows in ((times_a, rows_a), (times_b, rows_b))]
    return Series(
        len(times), int(np.count_nonzero(anywhere)), only[0], only[1], largest if np.isfinite(largest) else 0.0,
        first, position,
    )  # fmt: skip


def _bar(a: Mapping[str, Any], b: Mapping[str, Any], times: Any, at: int, column: str) -> Bar:
    return Bar(iso(times[at : at + 1])[0], column, float(a[column][at]), float(b[column][at]))


def moved(a: Any, b: Any, tolerance: float, scale: Any = None) -> npt.NDArray[np.bool_]:
    """Tell where values differ by more than `tolerance` times `scale`: by default the larger of the two.

    >>> moved(np.array([1.0, 100.0, 0.0]), np.array([1.0, 100.1, 1e-12]), 0.01).tolist()
    [False, False, True]
    """
    differs = (a != b) & ~(np.isnan(a) & np.isnan(b))  # what neither says is the same
    if tolerance and differs.any():
        with np.errstate(all="ignore"):
            scale = np.maximum(np.abs(a), np.abs(b)) if scale is None else scale
            differs &= ~(np.abs(a - b) <= tolerance * scale)
    return np.asarray(differs, bool)
