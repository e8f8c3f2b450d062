"""Single buys and sells as trades from entry to exit: first in, first out, as the engine's own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from msgspec import Struct

__all__ = ["Closed", "Fill", "Trip", "closed", "paired"]

_SMALL = 0.02  # of the largest size of a position: less than that remains where sizes come in steps
_DUST = 1e-9  # of what was held: the rounding left over when lots are matched is no lot


class Fill(Struct, frozen=True):
    """A buy (`side` 1) or a sell (-1): its time in ns since 1970, price, units, and the fee that was paid, in quote.

    `spent` are units of the base currency that went for the fee, which is in `fee` too: they can't be sold any more.
    """

    time: int
    side: int
    price: float
    quantity: float
    fee: float = 0.0
    order: str = ""
    spent: float = 0.0


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


class Closed(Struct, frozen=True):
    """What comes of fills: trades, side and time of entry of what is open, and the units of small `remains`."""

    trips: list[Trip]
    open: list[tuple[int, int]]
    remains: float


def paired(fills: Sequence[Fill], together: float = 0.0) -> tuple[list[Trip], int]:
    """Return trades, and how many lots were never closed: what `closed` finds.

    >>> bought, sold = Fill(0, 1, 100.0, 2.0, 0.2), Fill(60_000_000_000, -1, 110.0, 1.0, 0.1)
    >>> trips, pending = paired([bought, sold])
    >>> trips[0].quantity, round(trips[0].pnl, 9), pending
    (1.0, 9.8, 1)
    """
    found = closed(fills, together)
    return found.trips, len(found.open)


def closed(fills: Sequence[Fill], together: float = 0.0) -> Closed:
    """Return fills as trades from entry to exit.

    Fills of one order, or of one side within `together` seconds of each other, are one first.
    What a fee in the base currency took is not waited for: with it, the position is closed.
    What then remains of a position because sizes come in steps is sold after all that was bought later: else each trade
    would end with the next one's exit.

    >>> buy, sell = Fill(0, 1, 100.0, 1.0, 0.1, spent=0.001), Fill(9, -1, 110.0, 0.999, 0.10989)
    >>> (trip,), pending = paired([buy, sell])
    >>> trip.quantity, round(trip.pnl, 9), pending
    (0.999, 9.78011, 0)
    """
    lots: deque[Fill] = deque()
    remains: deque[Fill] = deque()
    trips: list[Trip] = []
    most = spent = held = 0.0
    for fill in _joined(fills, together):
        left, fee = fill.quantity, fill.fee
        if not lots:
            most = spent = held = 0.0
        while left > 0 and (of := next((one for one in (lots, remains) if one and one[0].side != fill.side), None)):
            lot = of.popleft()
            units = min(lot.quantity, left)
            part_in, part_out = units / lot.quantity, units / left
            trips.append(_trip(lot, fill, units, lot.fee * part_in, fee * part_out))
            if lot.quantity - units > _DUST * lot.quantity:
                of.appendleft(_rest(lot, lot.quantity - units, lot.fee * (1 - part_in)))
            held -= units if of is lots else 0.0
            fee *= 1 - part_out
            left = left - units if left - units > _DUST * fill.quantity else 0.0
        if left > 0:
            held = left + (held if lots else 0.0)
            lots.append(_rest(fill, left, fee))
        spent += fill.spent
        most = max(most, held)
        if lots and trips and lots[0].side == 1 and held <= spent * (1 + _DUST) + _DUST * most:
            trips[-1] = _with_fee(trips[-1], sum(lot.fee for lot in lots))
            lots.clear()
        elif lots and held <= _SMALL * most:
            remains.extend(lots)
            lots.clear()
    return Closed(trips, [(lot.side, lot.time) for lot in lots], sum(lot.quantity for lot in remains))


def _with_fee(trip: Trip, fee: float) -> Trip:
    return Trip(
        trip.side, trip.entry_time, trip.entry_price, trip.exit_time, trip.exit_price, trip.quantity,
        trip.entry_fee + fee, trip.exit_fee, trip.pnl - fee,
    )  # fmt: skip


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
            last = Fill(last.time, last.side, price, units, last.fee + fill.fee, last.order, last.spent + fill.spent)
        else:
            if last and last.quantity:
                yield last
            last = fill
            until = fill.time + int(together * 1e9)
    if last and last.quantity:
        yield last
