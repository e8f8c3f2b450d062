"""Closed trades as columns, in the order and the units of the trades contract."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from msgspec import Struct

__all__ = ["EXIT_REASONS", "SIDES", "Trades", "no_trades"]

EXIT_REASONS = ("signal", "stop_loss", "take_profit", "trailing_stop", "end_of_data")
SIDES = {1: "long", -1: "short"}


class Trades(Struct, frozen=True, eq=False):
    """N closed trades, ordered by exit, then entry. Prices are fill prices; money is in quote currency.

    `side` holds +1 (long) or -1 (short); `exit_reason` an index into `EXIT_REASONS`;
    `return_` is the net pnl as a fraction of the entry notional; `bars_held` the exit bar's index less the entry bar's;
    `mae` and `mfe` are how far the price went against the holder and for him, as fractions of the entry price
    (`excursions` says which prices count), both None where trades were kept without.

    Another engine's account may hold several symbols: `symbols` are then those of the trades, `currencies` the money of
    each and `groups` the position of several legs that each belongs to ("" for none). What such an engine does not say
    is NaN, -1 in `bars_held` and `exit_reason`.
    """

    symbol: str
    side: npt.NDArray[np.int8]
    entry_time: npt.NDArray[np.datetime64]
    entry_price: npt.NDArray[np.float64]
    exit_time: npt.NDArray[np.datetime64]
    exit_price: npt.NDArray[np.float64]
    quantity: npt.NDArray[np.float64]
    entry_fee: npt.NDArray[np.float64]
    exit_fee: npt.NDArray[np.float64]
    slippage: npt.NDArray[np.float64]
    pnl: npt.NDArray[np.float64]
    return_: npt.NDArray[np.float64]
    bars_held: npt.NDArray[np.int64]
    exit_reason: npt.NDArray[np.int8]
    mae: npt.NDArray[np.float64] | None = None
    mfe: npt.NDArray[np.float64] | None = None
    symbols: npt.NDArray[np.str_] | None = None
    currencies: npt.NDArray[np.str_] | None = None
    groups: npt.NDArray[np.str_] | None = None

    def __len__(self) -> int:
        return len(self.pnl)


def no_trades() -> Trades:
    """Return trades of which there are none.

    >>> len(no_trades())
    0
    """
    none, times = np.empty(0), np.empty(0, "M8[ns]")
    word, count = np.empty(0, np.int8), np.empty(0, np.int64)
    return Trades("", word, times, none, times, none, none, none, none, none, none, none, count, word)
