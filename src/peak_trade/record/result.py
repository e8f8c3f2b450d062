"""What one call of an engine, or one file, says: an account's equity, its trades, parameters, the engine's figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.market.trades import Trades

__all__ = ["Result", "Series"]


class Series(Struct, frozen=True, eq=False):
    """Bars that an engine was given, of one symbol, as `market.fingerprint` takes them."""

    symbol: str
    timeframe: str | None
    timestamp: npt.NDArray[np.datetime64]
    open: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    close: npt.NDArray[np.float64]
    volume: npt.NDArray[np.float64]


class Result(Struct, eq=False):
    """One trial: what came of one call of an engine (one column of it, where it makes several at once).

    `equity` (shape (N,)) is the account's, marked at `timestamp` (UTC, strictly increasing), in `currency`. `position`
    is the fraction of it that is held after each, None where there is no single one. `trades` are closed; `open_` are
    those that were not at the end, whose exit is unknown. `own` are the engine's figures, by its own names and units.
    `params` are JSON values. A trial that failed has an `error` and no equity (N = 0).
    """

    engine: str
    version: str
    strategy: str
    params: dict[str, Any]
    timestamp: npt.NDArray[np.datetime64]
    equity: npt.NDArray[np.float64]
    position: npt.NDArray[np.float64] | None
    trades: Trades | None
    open_: Trades | None = None
    own: dict[str, Any] = {}
    label: str = ""
    symbols: tuple[str, ...] = ()
    series: tuple[Series, ...] = ()
    currency: str = ""
    initial_cash: float | None = None
    error: str = ""
    duration_s: float | None = None
    notes: tuple[str, ...] = ()
    """What was assumed or could not be had, a sentence each."""
    repeated: bool = False
    """Whether the engine made a trial once more, as an optimiser does its best one: no trial of its own."""
