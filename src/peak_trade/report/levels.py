"""Where the stops and targets of trades stood: fractions of the price at which their position began.

What the engine watches follows from a run's config and its trades alone (docs/dev/engine.md): stop loss and take profit
are distances from the fill price that opened the position. A position that was added to closes as several trades; all
of them have the levels of the first.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from peak_trade.market.trades import Trades
from peak_trade.stats.values import Floats

__all__ = ["Stops", "levels", "opened_at", "stops_of"]


class Stops(NamedTuple):
    """The distances of a run's config, as fractions; None where it asks for none."""

    stop_loss: float | None = None
    take_profit: float | None = None
    trailing_stop: float | None = None

    def __bool__(self) -> bool:
        return any(one is not None for one in self)


def stops_of(config: dict[str, Any]) -> Stops:
    """Return the distances that a resolved config has under `stops`."""
    told = config.get("stops", {})
    return Stops(*(float(one) if isinstance(one := told.get(key), int | float) else None for key in Stops._fields))


def opened_at(trades: Trades) -> Floats:
    """Return the fill price that opened each trade's position, shape (K,).

    Trades of one side belong to one position where each is entered before the last of those before it has ended, or in
    the very bar in which a stop ends them all. Trades of one symbol, as the engine makes them.

    >>> from peak_trade.market.trades import no_trades
    >>> opened_at(no_trades())
    array([], dtype=float64)
    """
    found = trades.entry_price.copy()
    price, side, end = np.nan, 0, trades.exit_time[:0]
    order = np.lexsort((trades.exit_time, trades.entry_time))
    for at in order.tolist():
        enters, ends = trades.entry_time[at : at + 1], trades.exit_time[at : at + 1]
        same = len(end) and side == trades.side[at] and (enters < end or (enters == end and ends == end))
        if not same:
            price, side, end = trades.entry_price[at], int(trades.side[at]), ends
        end = max(end, ends)
        found[at] = price
    return found


def levels(trades: Trades, stops: Stops) -> tuple[Floats | None, Floats | None]:
    """Return the price of each trade's stop loss and of its take profit, shape (K,) each; None for what is not asked.

    NaN where there is no such price: a short can't gain all of it and more.
    """
    base, side = opened_at(trades), trades.side.astype(np.float64)
    stop = None if stops.stop_loss is None else base * (1.0 - side * stops.stop_loss)
    goal = None if stops.take_profit is None else base * (1.0 + side * stops.take_profit)
    return stop, None if goal is None else np.where(goal > 0.0, goal, np.nan)
