"""Parts of one or several files as results: the run, and every trial that the files tell of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from peak_trade.errors import InputError
from peak_trade.market.trades import Trades
from peak_trade.record import sealing
from peak_trade.record.parts import Asked, Part
from peak_trade.record.result import Result

__all__ = ["merged"]

_PLAIN = ("equity", "returns", "pyfolio")  # of no engine: what goes with anybody's trades


def merged(parts: Sequence[Part], asked: Asked) -> tuple[Result, dict[str, list[str]]]:
    """Return what parts say together, and the trades' further columns. InputError where two say the same thing."""
    engines = list(dict.fromkeys(part.engine for part in parts if part.engine not in _PLAIN))
    if len(engines) > 1:
        raise InputError(
            f"the files are of {' and of '.join(engines)}: one run has one engine", hint="import them one by one"
        )
    for what, has in (("trades", _has_trades), ("equity", _has_equity)):
        several = [part.file for part in parts if has(part)]
        if len(several) > 1 and what == "trades":
            raise InputError(
                f"{' and '.join(several[:3])} both have trades: one run has one list", hint="import them one by one"
            )
    equity = _one_equity(parts)
    traded = next((part for part in parts if part.book is not None), None)
    notes = list(dict.fromkeys(said for part in parts for said in part.said))
    cash = asked.initial_cash
    if cash is None:
        cash = next((part.initial_cash for part in parts if part.initial_cash is not None), None)
    book = traded.book if traded else None
    result = Result(
        engine=engines[0] if engines else (parts[0].engine if parts[0].engine in _PLAIN[2:] else ""),
        version=_first(parts, "version"),
        strategy=_first(parts, "strategy"),
        params=next((part.params for part in parts if part.params), {}),
        timestamp=np.empty(0, "M8[ns]"),
        equity=np.empty(0),
        position=None,
        trades=book.closed if book else None,
        open_=book.open_ if book else None,
        own={name: value for part in parts for name, value in part.own.items()},
        symbols=_symbols(parts, book.closed if book else None, asked),
        currency=asked.currency or _first(parts, "currency") or _currency(book.closed if book else None),
        initial_cash=cash,
    )
    if equity is not None and equity.equity is not None and equity.timestamp is not None:
        result.timestamp, result.equity, result.position = equity.timestamp, equity.equity, equity.position
    elif equity is not None and equity.returns is not None and equity.timestamp is not None:
        result.timestamp, result.equity, said = sealing.equity_of_returns(equity.timestamp, equity.returns, cash)
        notes.append(said)
    result.notes = tuple(notes)
    return result, book.extra if book else {}


def _has_trades(part: Part) -> bool:
    return part.book is not None


def _has_equity(part: Part) -> bool:
    return part.equity is not None or part.returns is not None


def _one_equity(parts: Sequence[Part]) -> Part | None:
    """Return the part whose equity is the account's: one that has equity before one that has returns."""
    having = [part for part in parts if part.equity is not None] or [part for part in parts if part.returns is not None]
    if len(having) > 1:
        names = " and ".join(part.file for part in having[:3])
        raise InputError(f"{names} both have an account's value: one run has one", hint="import them one by one")
    return having[0] if having else None


def _first(parts: Sequence[Part], name: str) -> str:
    return next((str(text) for part in parts if (text := getattr(part, name))), "")


def _symbols(parts: Sequence[Part], trades: Trades | None, asked: Asked) -> tuple[str, ...]:
    named = {name for part in parts for name in part.symbols} | ({asked.symbol} if asked.symbol else set())
    if trades is not None:
        named |= set(trades.symbols.tolist()) if trades.symbols is not None else {trades.symbol}
    return tuple(sorted(named - {""}))


def _currency(trades: Trades | None) -> str:
    found = set(trades.currencies.tolist()) - {""} if trades is not None and trades.currencies is not None else set()
    return found.pop() if len(found) == 1 else ""
