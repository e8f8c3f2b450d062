"""What an engine says, brought into the order in which it is sealed; what was mended or made on the way is a receipt.

Nothing is invented. Without equity there is none, but for what the trades of an account whose cash is known have
realised, which is said.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import structs

from peak_trade.market.trades import Trades
from peak_trade.record.result import Result
from peak_trade.text import as_utf8

__all__ = ["tidied"]


def tidied(result: Result) -> tuple[Result, list[dict[str, Any]]]:
    """Return a result whose equity is finite and in order, whose trades are in order, and what was mended."""
    receipts: list[dict[str, Any]] = []

    def say(part: str, outcome: str, reason: str) -> None:
        receipts.append({"part": part, "outcome": outcome, "reason": reason})

    timestamp, equity = result.timestamp.astype("M8[ns]"), result.equity.astype(np.float64)
    position = None if result.position is None else result.position.astype(np.float64)
    trades, left = _in_order(result.trades), _in_order(result.open_)
    if trades is not None and np.isnat(trades.exit_time).any():
        still = np.isnat(trades.exit_time)
        left = _joined(left, _rows(trades, still))
        trades = _rows(trades, ~still)
    if not len(equity) and trades is not None and len(trades):
        made = _realised(result, trades)
        if isinstance(made, str):
            say("equity", "missing", made)
        else:
            timestamp, equity = made
            position = None
            say(
                "equity",
                "made",
                "no equity was given: it is the initial cash and what trades had earned at their exits",
            )
    elif not len(equity):
        say("equity", "missing", "no equity was given")
    keep = np.isfinite(equity) & ~np.isnat(timestamp)
    if not keep.all():
        say("equity", "dropped", f"{int((~keep).sum()):,} of {len(keep):,} marks have no time or no finite equity")
        timestamp, equity = timestamp[keep], equity[keep]
        position = None if position is None else position[keep]
    if len(timestamp) > 1 and not (timestamp[1:] > timestamp[:-1]).all():
        order = np.argsort(timestamp, kind="stable")
        last = np.append(timestamp[order][1:] != timestamp[order][:-1], True)
        order = order[last]
        say("equity", "sorted", f"times were not in order, or twice: the last mark of each of {len(order):,} is kept")
        timestamp, equity = timestamp[order], equity[order]
        position = None if position is None else position[order]
    if position is not None and not np.isfinite(position).all():
        position = None
        say("position", "missing", "it is not known at every mark")
    if trades is None:
        say("trades", "missing", "no trades were given")
    mended = structs.replace(
        result, timestamp=timestamp, equity=equity, position=position, trades=trades, open_=left,
        strategy=as_utf8(result.strategy), engine=as_utf8(result.engine), version=as_utf8(result.version),
        currency=as_utf8(result.currency), symbols=tuple(map(as_utf8, result.symbols)),
    )  # fmt: skip
    return mended, receipts


def _realised(result: Result, trades: Trades) -> tuple[npt.NDArray[np.datetime64], npt.NDArray[np.float64]] | str:
    """Return equity at the first entry and at each exit, or why there is none."""
    money = set(trades.currencies.tolist()) if trades.currencies is not None else set()
    if result.initial_cash is None:
        return "neither equity nor initial cash was given: what the account had is not known"
    if len(money) > 1 or not np.isfinite(trades.pnl).all() or np.isnat(trades.entry_time).all():
        return "no equity was given, and not every trade says its pnl in one currency"
    times, first = np.unique(trades.exit_time, return_index=True)
    earned = np.cumsum(trades.pnl)[np.append(first[1:], len(trades)) - 1]
    start = np.nanmin(trades.entry_time.astype("M8[ns]"))
    start = min(start, times[0] - np.timedelta64(1, "s"))
    return np.concatenate(([start], times)), np.concatenate(([0.0], earned)) + result.initial_cash


def _in_order(trades: Trades | None) -> Trades | None:
    """Return trades ordered by exit, then entry, with NaN for what is no finite number, named as files read back."""
    if trades is None:
        return None
    order = np.lexsort((trades.entry_time, trades.exit_time))
    sorted_ = _rows(trades, order)
    changed: dict[str, Any] = {}
    for name in trades.__struct_fields__:
        column = getattr(sorted_, name)
        if isinstance(column, np.ndarray) and column.dtype.kind == "f":
            changed[name] = np.where(np.isfinite(column), column, np.nan)
        elif isinstance(column, np.ndarray) and column.dtype.kind == "U":
            known = {text: as_utf8(text) for text in set(column.tolist())}
            if any(text != word for text, word in known.items()):
                changed[name] = np.array([known[text] for text in column.tolist()], np.str_)
    several = trades.symbols is not None or trades.currencies is not None or trades.groups is not None
    mended = structs.replace(sorted_, **changed)
    if several:
        unsaid = {"symbols": trades.symbol, "currencies": "", "groups": ""}
        for name, text in unsaid.items():
            if getattr(mended, name) is None:
                changed[name] = np.full(len(trades), text)
    named = changed.get("symbols", mended.symbols)
    own = {trades.symbol} if named is None else set(named.tolist())
    changed["symbol"] = as_utf8(own.pop()) if len(own) == 1 else ""
    return structs.replace(sorted_, **changed)


def _rows(trades: Trades, which: npt.NDArray[Any]) -> Trades:
    columns = {name: getattr(trades, name) for name in trades.__struct_fields__}
    return Trades(**{name: one[which] if isinstance(one, np.ndarray) else one for name, one in columns.items()})


def _joined(one: Trades | None, other: Trades) -> Trades:
    if one is None or not len(one):
        return other
    columns: dict[str, Any] = {}
    for name in other.__struct_fields__:
        ours, theirs = getattr(one, name), getattr(other, name)
        columns[name] = np.concatenate((ours, theirs)) if ours is not None and theirs is not None else None
    return Trades(**(columns | {"symbol": other.symbol}))
