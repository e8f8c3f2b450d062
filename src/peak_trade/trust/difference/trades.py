"""Trades against trades: those of both runs are one where side and time of entry are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.evidence.tables import iso
from peak_trade.market.trades import EXIT_REASONS, SIDES, Trades
from peak_trade.trust.difference.series import moved

__all__ = ["COLUMNS", "Pairs", "Trade", "TradesFound", "pairs", "trades"]

COLUMNS = ("exit_time", "entry_price", "exit_price", "quantity", "entry_fee", "exit_fee", "slippage", "pnl", "return",
           "exit_reason", "mae", "mfe")  # fmt: skip
"""What is compared of a trade that both have, in the order in which it is named."""
_RATIOS = ("return", "mae", "mfe")
_MONEY = ("entry_fee", "exit_fee", "slippage", "pnl")  # a tolerance counts from the value of the trade

Ints = npt.NDArray[np.int64]


class Trade(Struct, frozen=True, omit_defaults=True):
    """A trade that differs: `a` and `b` have its pnl and its `columns`; None where a run has no such trade.

    `number_a` and `number_b` are its trade_ids; `symbol` is said where a run holds several.
    """

    side: str
    entry_time: str
    number_a: int | None
    number_b: int | None
    columns: list[str]
    a: dict[str, Any] | None
    b: dict[str, Any] | None
    symbol: str = ""


class TradesFound(Struct, frozen=True):
    """What differs: `both` have that many trades, of which `differ` do; `columns` counts in how many each one does.

    `listed` are all that differ, by time of entry; the first of them is where the runs part.
    """

    both: int
    differ: int
    only_a: int
    only_b: int
    columns: dict[str, int]
    listed: list[Trade]
    symbols: tuple[str, str]

    @property
    def same(self) -> bool:
        """Whether all trades are the same."""
        return not (self.differ or self.only_a or self.only_b)

    @property
    def first(self) -> Trade | None:
        """The first trade, by time of entry, that is not the same."""
        return self.listed[0] if self.listed else None


class Pairs(Struct, frozen=True):
    """Rows of trades in A and in B that are the same trade, and of those that only one has."""

    a: Ints
    b: Ints
    only_a: Ints
    only_b: Ints


def pairs(a: Trades, b: Trades) -> Pairs:
    """Pair the trades that have side and time of entry in common; of several, the first with the first, and so on.

    Where a run holds several symbols, they have the symbol in common too.
    """
    codes: list[Any] = [0, 0]
    if a.symbols is not None or b.symbols is not None:
        named = [np.full(len(of), of.symbol) if of.symbols is None else of.symbols for of in (a, b)]
        codes = np.split(np.unique(np.concatenate(named), return_inverse=True)[1].ravel(), [len(a)])
    keys = [_keys(of, code) for of, code in zip((a, b), codes, strict=True)]
    _, in_a, in_b = np.intersect1d(keys[0], keys[1], assume_unique=True, return_indices=True)
    order = np.argsort(a.entry_time[in_a], kind="stable")
    in_a, in_b = in_a[order], in_b[order]
    rest = [np.setdiff1d(np.arange(len(of)), found) for of, found in ((a, in_a), (b, in_b))]
    return Pairs(in_a, in_b, rest[0], rest[1])


def trades(a: Trades, b: Trades, tolerance: float = 0.0, most: int = 1_000) -> TradesFound:
    """Compare the trades of two runs; `most` are listed. For `tolerance` see `series.series`."""
    found = pairs(a, b)
    differs = {name: _moved(name, a, b, found, tolerance) for name in COLUMNS}
    anywhere = np.logical_or.reduce([*differs.values()])
    rows = [(int(i), int(j)) for i, j in zip(found.a[anywhere], found.b[anywhere], strict=True)]
    at = np.flatnonzero(anywhere)
    listed: list[tuple[Any, Trade]] = []
    for place, (i, j) in zip(at[:most].tolist(), rows[:most], strict=True):
        columns = [name for name in COLUMNS if differs[name][place]]
        listed.append((a.entry_time[i], _trade(a, b, i, j, columns)))
    listed += [(a.entry_time[i], _trade(a, b, i, None, [])) for i in found.only_a[:most].tolist()]
    listed += [(b.entry_time[j], _trade(a, b, None, j, [])) for j in found.only_b[:most].tolist()]
    listed.sort(key=lambda one: one[0])
    return TradesFound(
        both=len(found.a),
        differ=len(rows),
        only_a=len(found.only_a),
        only_b=len(found.only_b),
        columns={name: int(np.count_nonzero(which)) for name, which in differs.items() if which.any()},
        listed=[trade for _, trade in listed[:most]],
        symbols=(a.symbol, b.symbol),
    )


def _keys(of: Trades, symbol: Any) -> npt.NDArray[Any]:
    """Return a key for each trade: side, entry, symbol by its code, and which of several it is."""
    keys = np.empty(len(of), [("entry", np.int64), ("side", np.int8), ("symbol", np.int64), ("nth", np.int64)])
    keys["entry"], keys["side"], keys["nth"] = of.entry_time.astype("M8[ns]").view(np.int64), of.side, 0
    keys["symbol"] = symbol
    order = np.argsort(keys, order=("entry", "side", "symbol"), kind="stable")
    ordered = keys[order]
    if len(keys) > 1:
        again = np.logical_and.reduce([ordered[key][1:] == ordered[key][:-1] for key in ("entry", "side", "symbol")])
        starts = np.maximum.accumulate(np.where(np.concatenate(([False], again)), 0, np.arange(len(keys))))
        ordered["nth"] = np.arange(len(keys)) - starts
        keys[order] = ordered
    return keys


def _column(of: Trades, name: str) -> Any:
    return of.return_ if name == "return" else getattr(of, name)


def _moved(name: str, a: Trades, b: Trades, found: Pairs, tolerance: float) -> npt.NDArray[np.bool_]:
    if _column(a, name) is None or _column(b, name) is None:  # excursions, which older versions did not keep
        return np.zeros(len(found.a), bool)
    old, new = _column(a, name)[found.a], _column(b, name)[found.b]
    if name in ("exit_time", "exit_reason"):
        return np.asarray(old != new, bool)
    scale: Any = None
    if name in _RATIOS:
        scale = 1.0
    elif name in _MONEY:
        with np.errstate(over="ignore"):
            scale = np.abs(a.entry_price * a.quantity)[found.a]
    return moved(old, new, tolerance, scale)


def _trade(a: Trades, b: Trades, i: int | None, j: int | None, columns: list[str]) -> Trade:
    of, row = (a, i) if i is not None else (b, j)
    assert row is not None
    shown = [*columns, "pnl"] if columns else ["entry_price", "exit_time", "exit_price", "quantity", "pnl"]
    return Trade(
        side=SIDES[int(of.side[row])],
        entry_time=iso(of.entry_time[row : row + 1])[0],
        number_a=None if i is None else i + 1,
        number_b=None if j is None else j + 1,
        columns=columns,
        a=None if i is None else {name: _value(a, name, i) for name in shown},
        b=None if j is None else {name: _value(b, name, j) for name in shown},
        symbol="" if of.symbols is None else str(of.symbols[row]),
    )


def _value(of: Trades, name: str, row: int) -> Any:
    value = _column(of, name)[row]
    if name == "exit_time":
        return iso(np.array([value]))[0]
    if name == "exit_reason":
        return EXIT_REASONS[int(value)] if value >= 0 else None
    return None if np.isnan(value) else float(value)
