"""`benchmark.csv`: closes, and what holding the bars would have made, at enough of the bars to draw and to check.

Both are a function of the bars, the costs and one number of units, so what lies between is no evidence of its own: a
file as long as equity.csv would say in half of a run's bytes what the data says already. Where what is held is no buy
and hold of the bars but a file's, its closes stand in a column more, and the equity follows them without costs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from peak_trade.evidence import tables
from peak_trade.stats.periods import period_ends

__all__ = ["BESIDE", "COLUMNS", "NAME", "evenly", "read", "rows"]

NAME = "benchmark.csv"
COLUMNS = ("timestamp", "close", "equity")
BESIDE = "benchmark"
"""The column that there is more of where the benchmark is a file: its last close at or before that of each bar."""
_EVENLY = 2_000  # more than a page has pixels across


def read(content: bytes) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of a file's content, the benchmark's own closes too where it has them; RunError of another."""
    more = content.startswith(",".join((*COLUMNS, BESIDE)).encode() + b"\n")
    return tables.read_series(Path(NAME), (*COLUMNS, BESIDE) if more else COLUMNS, content)


def rows(timestamp: npt.NDArray[np.datetime64]) -> npt.NDArray[np.int64]:
    """Return which bars have a row, by their index: all, up to 2,000.

    Of more, 2,000 at even distances from the first to the last, the one at whose open the units were bought, and the
    last of each month, by which returns of months and years are told.

    >>> minutes = np.datetime64("2024-01-31T00:00") + np.arange(10_000) * np.timedelta64(1, "m")
    >>> kept = rows(minutes)
    >>> len(kept), kept[:4].tolist(), 1439 in kept, int(kept[-1])
    (2002, [0, 1, 5, 10], True, 9999)
    """
    count = len(timestamp)
    if count <= _EVENLY:
        return np.arange(count)
    kept = np.zeros(count, np.bool_)  # `np.unique` does the same, and first imports a module of 10 ms
    for some in ([1], evenly(count), period_ends(timestamp, "M")):
        kept[some] = True
    return np.flatnonzero(kept)


def evenly(count: int) -> npt.NDArray[np.int64]:
    """Return those of the bars with a row that are at even distances, by their index: all, up to 2,000.

    >>> evenly(4).tolist(), evenly(10_000)[:4].tolist(), len(evenly(10_000))
    ([0, 1, 2, 3], [0, 5, 10, 15], 2000)
    """
    return np.arange(count) if count <= _EVENLY else np.arange(_EVENLY) * (count - 1) // (_EVENLY - 1)
