"""Single buys and sells as trades from entry to exit: first in, first out, as the engine's own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from msgspec import Struct

__all__ = ["Fill", "Trip", "paired"]

_DUST = 1e-9  # of what was held: the rounding left over when lots are matched is no lot


class Fill(Struct, frozen=True):
    """A buy (`side` 1) or a sell (-1): its time in ns since 1970, price, units, and the fee that was paid, in quote."""

    time: int
    side: int
    price: float
    quantity: float
    fee: float = 0.0
    order: str = ""


class Trip(Struct, frozen=True):
    """A trade from entry to exit: side 1 or -1, times in ns since 1970, fees paid and net pnl in quote currency."""

    side: int
    entry_time: int
    entry_price: float
    exit_time: int
    exit_price: float
    quantity: float
    entry_fee: float = 0.0
    exit_fee: float = 0.0
    pnl: float = 0.0


def paired(fills: Sequence[Fill], together: float = 0.0) -> tuple[list[Trip], int]:
    """Return trades, and how many lots were never closed.

    Fills of one order, or of one side within `together` seconds of each other, are one first.

    >>> bought, sold = Fill(0, 1, 100.0, 2.0, 0.2), Fill(60_000_000_000, -1, 110.0, 1.0, 0.1)
    >>> trips, pending = paired([bought, sold])
    >>> trips[0].quantity, round(trips[0].pnl, 9), pending
    (1.0, 9.8, 1)
    """
    lots: deque[Fill] = deque()
    trips: list[Trip] = []
    for fill in _joined(fills, together):
        left, fee = fill.quantity, fill.fee
        while left > 0 and lots and lots[0].side != fill.side:
            lot = lots.popleft()
            units = min(lot.quantity, left)
            part_in, part_out = units / lot.quantity, units / left
            trips.append(_trip(lot, fill, units, lot.fee * part_in, fee * part_out))
            if lot.quantity - units > _DUST * lot.quantity:
                lots.appendleft(_rest(lot, lot.quantity - units, lot.fee * (1 - part_in)))
            fee *= 1 - part_out
            left = left - units if left - units > _DUST * fill.quantity else 0.0
        if left > 0:
            lots.append(_rest(fill, left, fee))
    return trips, len(lots)


def _trip(lot: Fill, fill: Fill, units: float, entry_fee: float, exit_fee: float) -> Trip:
    pnl = lot.side * units * (fill.price - lot.price) - entry_fee - exit_fee
    return Trip(lot.side, lot.time, lot.price, fill.time, fill.price, units, entry_fee, exit_fee, pnl)


def _rest(fill: Fill, quantity: float, fee: float) -> Fill:
    return Fill(fill.time, fill.side, fill.price, quantity, fee, fill.order)


def _joined(fills: Sequence[Fill], together: float) -> Iterable[Fill]:
    """Yield fills, those of one order or of one side at one time as one, at their average price and first time."""
    last: Fill | None = None
    until = 0
    for fill in fills:
        if last and fill.side == last.side and ((fill.order and fill.order == last.order) or fill.time <= until):
            units = last.quantity + fill.quantity
            price = (last.price * last.quantity + fill.price * fill.quantity) / units if units else fill.price
            last = Fill(last.time, last.side, price, units, last.fee + fill.fee, last.order)
        else:
            if last and last.quantity:
                yield last
            last = fill
            until = fill.time + int(together * 1e9)
    if last and last.quantity:
        yield last
