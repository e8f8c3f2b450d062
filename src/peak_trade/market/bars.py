"""Bars: what a strategy sees, as one object of NumPy arrays."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

__all__ = ["COLUMNS", "Bars", "Floats"]

Floats = npt.NDArray[np.float64]
COLUMNS = ("timestamp", "open", "high", "low", "close", "volume")


class Bars(msgspec.Struct, frozen=True, eq=False):
    """N bars of one symbol, in order of time.

    `timestamp` is datetime64[ns] in UTC, the bar's open time; the prices and `volume` are float64, all of shape (N,).
    """

    timestamp: npt.NDArray[np.datetime64]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    symbol: str
    timeframe: str

    def __len__(self) -> int:
        return len(self.timestamp)
