"""What a trade differs in from the same trade of a run, and what each difference did to its profit.

The parts of a trade's difference in profit sum to the whole: with side s (1 or -1), quantity q, prices p and fees f, a
run's trade (a) and the one that was made (b),

    size         (q_b - q_a) s (exit_a - entry_a)
    entry        -q_b s (entry_b - entry_a), of which timing is -q_b s (m(time_b) - m(time_a))
    exit          q_b s (exit_b - exit_a),   of which timing is  q_b s (m(time_b) - m(time_a))
    fees         f_a - f_b
    other        what is left: financing, funding, what the list's own profit has and its prices have not

where m is the market's price at a time: the open of the bar that it lies in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from peak_trade.market.lists.fills import Trip

__all__ = ["PARTS", "Pair", "pair"]

PARTS = {
    "entry_timing": "entered at another time",
    "entry_price": "entered at another price",
    "exit_timing": "left at another time",
    "exit_price": "left at another price",
    "size": "another size",
    "fees": "other fees",
    "other": "financing, funding, rounding",
    "missing": "trades of the run that were not made",
    "extra": "trades that the run has not",
}
"""What a difference in profit is made of."""


class Pair(Struct, frozen=True):
    """A trade of the run and the same trade as it was made: gaps, and what each did to the profit.

    Price gaps are fractions of the run's price, positive where it was worse than the run's; time gaps are seconds,
    positive where it was later; the size gap is a fraction of the run's size, the fee gap an amount.
    """

    a: Trip
    b: Trip
    entry_price: float
    exit_price: float
    entry_time: float
    exit_time: float
    size: float
    fees: float
    parts: dict[str, float]

    @property
    def difference(self) -> float:
        """By how much more the trade brought than that of the run."""
        return self.b.pnl - self.a.pnl


def pair(
    a: Trip, b: Trip, market: Callable[[Any], Any] | None, lots: tuple[Sequence[Trip], Sequence[Trip]] = ((), ())
) -> Pair:
    """Compare a run's trade with the same trade as it was made; without a `market` timing is part of the price.

    Where a trade is made of `lots`, the market's price at its time is the average of those at theirs.
    """
    side, units = a.side, b.quantity
    entry, leave = -units * side * (b.entry_price - a.entry_price), units * side * (b.exit_price - a.exit_price)
    timing = [0.0, 0.0]
    if market is not None:
        before, after = (
            _at(market, lots[1] or (b,), end) - _at(market, lots[0] or (a,), end) for end in ("entry_time", "exit_time")
        )
        timing = [-units * side * before, units * side * after]
    fees = (a.entry_fee + a.exit_fee) - (b.entry_fee + b.exit_fee)
    parts = {
        "entry_timing": timing[0],
        "entry_price": entry - timing[0],
        "exit_timing": timing[1],
        "exit_price": leave - timing[1],
        "size": (b.quantity - a.quantity) * side * (a.exit_price - a.entry_price),
        "fees": fees,
    }
    parts["other"] = math.fsum([b.pnl, -a.pnl, *(-part for part in parts.values())])
    return Pair(
        a, b,
        entry_price=_share(side * (b.entry_price - a.entry_price), a.entry_price),
        exit_price=_share(-side * (b.exit_price - a.exit_price), a.exit_price),
        entry_time=(b.entry_time - a.entry_time) / 1e9,
        exit_time=(b.exit_time - a.exit_time) / 1e9,
        size=_share(b.quantity - a.quantity, a.quantity),
        fees=-fees,
        parts=parts,
    )  # fmt: skip


def _at(market: Callable[[Any], Any], lots: Sequence[Trip], end: str) -> float:
    """Return the market's price at an end of lots, by their sizes."""
    if len(lots) == 1:
        return float(market(getattr(lots[0], end)))
    units = math.fsum(lot.quantity for lot in lots)
    return math.fsum(float(market(getattr(lot, end))) * lot.quantity for lot in lots) / (units or 1.0)


def _share(gap: float, of: float) -> float:
    """Return a gap as a fraction; 0 of a price of 0, which only a forged run has."""
    return gap / of if of else 0.0
