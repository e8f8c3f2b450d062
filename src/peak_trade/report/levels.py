"""Where the stops and targets of trades stood: fractions of the price at which their position began.

What the engine watches follows from a run's config and its trades alone (docs/dev/engine.md): stop loss and take profit
are distances from the fill price that opened the position. A position that was added to closes as several trades; all
of them have the levels of the first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from peak_trade.errors import RunError
from peak_trade.evidence.manifest import SWEPT
from peak_trade.market.trades import Trades
from peak_trade.report.run import RunFiles
from peak_trade.stats.values import Floats

__all__ = ["Stops", "levels", "opened_at", "stops_of"]

_OURS = "stops."


class Stops(NamedTuple):
    """The distances of a run's config, as fractions; None where it asks for none."""

    stop_loss: float | None = None
    take_profit: float | None = None
    trailing_stop: float | None = None

    def __bool__(self) -> bool:
        return any(one is not None for one in self)


def stops_of(run: RunFiles) -> Stops:
    """Return the distances that a run had: of a sweep those of the trial whose result it has.

    None where they are not one set, as of folds that chose among them, or where the config can't be read.
    """
    try:
        told = dict(run.config.get("stops", {}))
    except RunError:
        return Stops()
    if run.kind == SWEPT and "stops." in str(run.searched):
        chosen = {key.removeprefix(_OURS): value for key, value in run.chosen.items() if key.startswith(_OURS)}
        if not chosen:
            return Stops()
        told |= chosen
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
    order = np.lexsort((trades.exit_time, trades.entry_time))
    columns = (trades.side, trades.entry_time.astype(np.int64), trades.exit_time.astype(np.int64))
    first, last_side, end = 0, 0, 0
    opened = []
    for at, side, enters, ends in zip(order.tolist(), *(column[order].tolist() for column in columns), strict=True):
        if not (side == last_side and (enters < end or enters == end == ends)):
            first, last_side, end = at, side, ends
        end = max(end, ends)
        opened.append(first)
    found[order] = trades.entry_price[opened]
    return found


def levels(trades: Trades, stops: Stops) -> tuple[Floats | None, Floats | None]:
    """Return the price of each trade's stop loss and of its take profit, shape (K,) each; None for what is not asked.

    NaN where there is no such price: a short can't gain all of it and more.
    """
    if stops.stop_loss is None and stops.take_profit is None:
        return None, None
    base, side = opened_at(trades), trades.side.astype(np.float64)
    stop = None if stops.stop_loss is None else base * (1.0 - side * stops.stop_loss)
    goal = None if stops.take_profit is None else base * (1.0 + side * stops.take_profit)
    return stop, None if goal is None else np.where(goal > 0.0, goal, np.nan)
