"""Bars: what a strategy sees, as one object of NumPy arrays."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

__all__ = ["COLUMNS", "Bars", "Floats", "unmasked"]

Floats = npt.NDArray[np.float64]
COLUMNS = ("timestamp", "open", "high", "low", "close", "volume")


class Bars(msgspec.Struct, frozen=True, eq=False):
    """N bars of one symbol, in order of time.

    `timestamp` is datetime64[ns] in UTC, the bar's open time; the prices and `volume` are float64, all of shape (N,).
    What a masked array masks is missing: NaN, or NaT.
    """

    timestamp: npt.NDArray[np.datetime64]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    symbol: str
    timeframe: str

    def __post_init__(self) -> None:
        for name in COLUMNS:
            if type(column := getattr(self, name)) is not np.ndarray:
                msgspec.structs.force_setattr(self, name, unmasked(column))

    def __len__(self) -> int:
        return len(self.timestamp)

    def freeze(self) -> Bars:
        """Move the columns to memory that can't be written to, one after the other, and return these bars.

        `setflags(write=False)` can be taken back by whoever has the array. An array over `bytes` is read-only for good,
        and so is all that is made from it without a copy.
        """
        for name in COLUMNS:
            column = getattr(self, name)
            content = column.base
            whole = isinstance(content, bytes) and len(content) == column.nbytes and column.flags.c_contiguous
            if not whole:
                msgspec.structs.force_setattr(self, name, _over(column.tobytes(), column))
        return self

    def apart(self) -> Bars:
        """Return frozen bars as other objects over the same memory.

        For who is handed them: an array's shape and type can be changed in place, and all that hold it see that.
        """
        columns = {name: _over(column.base, column) for name in COLUMNS for column in [getattr(self, name)]}
        return Bars(**columns, symbol=self.symbol, timeframe=self.timeframe)

    def between(self, first: int, end: int) -> Bars:
        """Return some of these frozen bars, from `first` up to `end`, in memory of their own: it leads to no others."""
        columns = {}
        for name in COLUMNS:
            column = getattr(self, name)
            content = column.base[first * column.itemsize : end * column.itemsize]
            columns[name] = np.ndarray((end - first,), column.dtype, buffer=content)
        return Bars(**columns, symbol=self.symbol, timeframe=self.timeframe)

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

        The arrays are copies that can't be written to (`freeze`).

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


def _over(content: bytes, like: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ndarray(like.shape, like.dtype, buffer=content)


def unmasked(values: Any) -> Any:
    """Return a plain array in which what a masked array masks is NaN (of times, NaT); anything else as it is.

    >>> unmasked(np.ma.array([1, 2], mask=[False, True]))
    array([ 1., nan])
    """
    masked = sys.modules.get("numpy.ma")  # without which there is no such array
    if masked is None:
        return values
    if isinstance(values, list | tuple) and any(isinstance(value, masked.MaskedArray) for value in values):
        values = [unmasked(value) for value in values]
    if not isinstance(values, masked.MaskedArray):
        return values
    kind = values.dtype.kind
    if kind in "biu":
        values, kind = values.astype(np.float64), "f"
    return values.filled({"M": np.datetime64("NaT", "ns"), "f": np.nan, "O": np.nan, "c": np.nan}.get(kind))
