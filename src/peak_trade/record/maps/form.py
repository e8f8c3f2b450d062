"""What a map of somebody's file says: declarations alone."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

__all__ = ["NEEDS", "OURS", "Map", "Shape"]

Shape = Literal["trades", "legs", "deals", "fills", "equity", "positions", "returns"]

NEEDS: dict[str, tuple[str, ...]] = {
    "trades": ("entry_time", "entry_price", "exit_time", "exit_price", "quantity"),
    "legs": ("number", "leg", "time", "price"),
    "deals": ("time", "symbol", "side", "direction", "quantity", "price"),
    "fills": ("time", "price", "quantity"),
    "equity": ("time", "equity"),
    "positions": ("time", "cash"),
    "returns": ("time", "returns"),
}
"""The columns of ours without which a table has not that shape.

A row of `trades` is a trade; of `legs` there are two a trade; `deals` say whether they go in or out; `fills` are single
buys and sells, closed first in, first out. `positions` are what each symbol and the cash are worth.
"""
OURS = {name for names in NEEDS.values() for name in names} | {
    "symbol", "side", "short", "open", "status", "entry_fee", "exit_fee", "entry_rate", "exit_rate", "fee",
    "further_fee", "pnl", "return", "entry_bar", "exit_bar", "bars_held", "exit_reason", "currency", "group",
    "financing", "balance", "position", "column", "notional",
}  # fmt: skip


class Map(Struct, frozen=True, kw_only=True):
    """One table of one engine.

    `columns` names theirs by ours, the first that is there counts, whatever its case; one that ends with a star stands
    for all that begin so, with the money that they are in behind. A table is this map's where all of its `marks` and
    what its shape needs are there. `known` are further columns whose meaning is clear and which follow from others:
    they are understood, and kept beside the trades as all that has no place of its own.

    `zone` is that of times which name none, empty where the file does not say. `percent` are ours that come as percent.
    `paid` is the sign of a fee that was paid, 0 where the larger part tells. `gross`: pnl is before fees and financing.
    `local`: numbers may be written as in any country. `reasons` takes their words for an exit to ours. `trials`: a
    column of it names one of several backtests. `lots`: quantities are lots, whose units the profits tell. `edition` is
    raised where the same file would come to other values.
    """

    engine: str
    title: str
    shape: Shape
    columns: dict[str, tuple[str, ...]]
    marks: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    zone: str = ""
    percent: frozenset[str] = frozenset()
    paid: int = 1
    gross: bool = False
    local: bool = False
    lots: bool = False
    reasons: dict[str, str] = {}
    edition: int = 1
