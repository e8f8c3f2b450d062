"""Fills paired to trades, first in, first out: for engines that tell of nothing but fills."""

from __future__ import annotations

from collections import deque
from math import nan

from ..spool import NO_TIME  # noqa: TID252 -- it is loaded under another name in a recorded process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["COLUMNS", "columns", "round_trips"]

COLUMNS = {
    "symbol": "text", "side": "i8", "entry_time": "i8", "entry_price": "f8", "exit_time": "i8", "exit_price": "f8",
    "quantity": "f8", "entry_fee": "f8", "exit_fee": "f8", "pnl": "f8", "currency": "text",
}  # fmt: skip
_NOTHING = 1e-9  # of a quantity that was rounded


def round_trips(
    fills: Iterable[tuple[str, int, float, float, float]], currency: str = "", multiplier: float = 1.0
) -> list[dict[str, Any]]:
    """Return trades for fills (symbol, time in ns, signed quantity, price, fee) in order of time.

    A fill that closes several entries is a trade with each of them, and fees are shared out by quantity. What is left
    has no exit. NaN for a fee that nobody knows.
    """
    left: dict[str, deque[list[Any]]] = {}
    trades = []
    for symbol, when, quantity, price, fee in fills:
        entries = left.setdefault(symbol, deque())
        each = fee / abs(quantity) if quantity else 0.0
        open_ = quantity
        while entries and open_ and (entries[0][1] > 0) != (open_ > 0):
            entry = entries[0]
            part = min(abs(entry[1]), abs(open_))
            side = 1 if entry[1] > 0 else -1
            paid, due = part * entry[3], part * each
            earned = side * part * (price - entry[2]) * multiplier - paid - due
            trades.append(_trade(symbol, side, entry, part, currency) | {
                "exit_time": when, "exit_price": price, "exit_fee": due, "pnl": earned,
            })  # fmt: skip
            entry[1] -= side * part
            open_ += side * part
            if abs(entry[1]) <= _NOTHING * part:
                entries.popleft()
            if abs(open_) <= _NOTHING * part:
                open_ = 0.0
        if open_:
            entries.append([when, open_, price, each])
    for symbol, entries in left.items():
        for entry in entries:
            side = 1 if entry[1] > 0 else -1
            trades.append(_trade(symbol, side, entry, abs(entry[1]), currency))
    return trades


def _trade(symbol: str, side: int, entry: list[Any], quantity: float, currency: str) -> dict[str, Any]:
    return {
        "symbol": symbol, "side": side, "entry_time": entry[0], "entry_price": entry[2], "quantity": quantity,
        "entry_fee": quantity * entry[3], "exit_time": NO_TIME, "exit_price": nan, "exit_fee": nan, "pnl": nan,
        "currency": currency or None,
    }  # fmt: skip


def columns(trades: list[dict[str, Any]]) -> dict[str, tuple[str, Any]]:
    """Return trades as the columns of a frame."""
    return {f"trade.{name}": (kind, [trade[name] for trade in trades]) for name, kind in COLUMNS.items()}
