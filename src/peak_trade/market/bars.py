"""Bars: what a strategy sees, as one object of NumPy arrays."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib import import_module
from typing import Any

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

    @classmethod
    def from_frame(
        cls, frame: Any, *, symbol: str, timeframe: str | None = None, columns: Mapping[str, str] | None = None
    ) -> Bars:
        """Return the bars of a pandas or polars frame, or of a pandas series of closes.

        Columns are found whatever their case and usual spelling (`Date`, `Adj Close` is left alone); `columns` maps our
        names to others. The time is a column or, of pandas, the index; without a zone it is read as UTC. Rows may be in
        any order. Whole numbers and float32 are taken exactly; a frame that has closes alone gets them for open, high
        and low too, so that fills and stops are at closes; without a volume it is 0. `timeframe` is taken from the
        times where it is not given. What was assumed is logged as information by `peak_trade.bars`.

        The arrays are copies that can't be written to.

        Raises:
            InputError: a time is missing or occurs twice, a price is missing or none, a column is absent or of another
                type (text, Decimal, object), or the bars break the contract; with what helps.
        """
        frames = import_module("peak_trade.market.frames")  # by its name, when it is asked for: it is made of bars
        bars: Bars
        bars, assumed = frames.bars_of(frame, symbol=symbol, timeframe=timeframe, columns=columns)
        for line in assumed:
            logging.getLogger("peak_trade.bars").info("%s", line)
        return bars
