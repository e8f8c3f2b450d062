"""What each symbol earned of an account's change, and how much of the account was in it.

An account's change is what its closed trades earned, net, and what is open at the end by its last mark, and the rest:
financing, fees that no trade names, open positions that nobody has marked. The rest is never spread over symbols. Money
of two currencies is never added: a symbol traded in another currency than the account's has no share, and an account
with trades of several currencies no rest.

Exposure is at the trades' own prices: a position counts from its entry on, up to its exit, with its quantity * entry
price, over the equity at each mark (marks with equity at or below zero are left out). `gross` adds the amounts, `net`
adds longs and takes shorts off; both are means over the marks, and `gross_max` is the highest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from peak_trade.market.trades import Trades
from peak_trade.stats.values import Floats, Times

__all__ = ["ACCOUNT", "REST", "SYMBOL", "Part", "attribution", "exposures", "of_one_money", "symbols_of"]

SYMBOL, REST, ACCOUNT = "symbol", "rest", "account"
_WORDS = ("symbol", "symbols", "currencies", "groups")


class Part(NamedTuple):
    """A row: a `symbol` in one currency, the `rest` that no symbol earned, or the `account` whole.

    None is what nobody knows. `pnl` is net and realised, `open_pnl` what the positions that were open at the end had
    earned by then, `fees` are all that trades name. `share` is of the account's change.
    """

    kind: str
    symbol: str
    currency: str
    trades: int | None = None
    open: int | None = None
    pnl: float | None = None
    fees: float | None = None
    open_pnl: float | None = None
    share: float | None = None
    gross: float | None = None
    net: float | None = None
    gross_max: float | None = None
    first: np.datetime64 | None = None
    last: np.datetime64 | None = None


def symbols_of(*some: Trades | None) -> list[str]:
    """Return the symbols of trades, in order of their names."""
    found: set[str] = set()
    for trades in some:
        if trades is not None and len(trades):
            found.update([trades.symbol] if trades.symbols is None else trades.symbols.tolist())
    return sorted(found)


def of_one_money(currency: str, *some: Trades | None) -> bool:
    """Tell whether all that trades name is the account's `currency`, or one, where nobody says what the account's is.

    Only then may their amounts be added, or held against its equity.
    """
    known = {money for trades in some if trades is not None for _, money in _keys(trades) if money}
    return len(known) <= 1 and (not currency or known <= {currency})


def attribution(
    timestamp: Times, equity: Floats, trades: Trades, left: Trades | None, currency: str, initial: float | None
) -> list[Part]:
    """Return a row for each symbol (and currency) in order of names, then the rest, then the account.

    `left` are the positions that were open at the end, whose `pnl` is by the last mark; `currency` is the account's,
    empty where nobody says it; `initial` is what it began with, else its first equity.
    """
    closed, still_open = _by_key(trades), {} if left is None else _by_key(left)
    keys = sorted(closed.keys() | still_open.keys())
    one = of_one_money(currency, trades, left)
    begun = initial if initial is not None else float(equity[0]) if len(equity) else None
    change = float(equity[-1]) - begun if len(equity) and begun is not None else None
    parts = []
    for symbol, money in keys:
        own, still = closed.get((symbol, money), _none_of(trades)), still_open.get((symbol, money))
        ours = one or (bool(currency) and money == currency)
        parts.append(_part(symbol, money, own, still, timestamp, equity, change if one else None, ours=ours))
    return [*parts, *_account(parts, change, currency, timestamp, equity, (trades, left), one=one)]


def _account(
    parts: list[Part], change: float | None, currency: str, timestamp: Times, equity: Floats,
    all_: tuple[Trades, Trades | None], *, one: bool,
) -> Iterator[Part]:  # fmt: skip
    amounts = [_sum_known(part.pnl, part.open_pnl, part.open) for part in parts]
    earned = sum(amount for amount in amounts if amount is not None) if None not in amounts else None
    rest = change - earned if one and change is not None and earned is not None else None
    marked = not any(part.open and part.open_pnl is None for part in parts)
    named = "financing and fees of no trade" if marked else "open positions, financing and fees of no trade"
    yield Part(REST, named, currency, pnl=rest, share=_share(rest, change))
    trades, left = all_
    gross, net, most = _exposure(timestamp, equity, [trades, left]) if one else (None, None, None)
    spans = [(part.first, part.last) for part in parts if part.first is not None and part.last is not None]
    yield Part(
        ACCOUNT,
        "",
        currency,
        len(trades),
        0 if left is None else len(left),
        change,
        _total([part.fees for part in parts]) if one else None,
        None,
        1.0 if change else None,
        gross,
        net,
        most,
        min((first for first, _ in spans), default=None),
        max((last for _, last in spans), default=None),
    )


def _part(
    symbol: str, currency: str, own: Trades, left: Trades | None, timestamp: Times, equity: Floats,
    change: float | None, *, ours: bool,
) -> Part:  # fmt: skip
    pnl = _known(own.pnl)
    open_pnl = _known(left.pnl) if left is not None and len(left) else None
    fees = [_known(own.entry_fee + own.exit_fee)]
    fees += [_known(left.entry_fee)] if left is not None and len(left) else []
    count = 0 if left is None else len(left)
    gross, net, most = _exposure(timestamp, equity, [own, left]) if ours else (None, None, None)
    times = [own.entry_time, own.exit_time, *([left.entry_time] if left is not None else [])]
    stamps = np.concatenate(times)
    stamps = stamps[~np.isnat(stamps)]
    return Part(
        SYMBOL,
        symbol,
        currency,
        len(own),
        count,
        pnl,
        _total(fees),
        open_pnl,
        _share(_sum_known(pnl, open_pnl, count), change),
        gross,
        net,
        most,
        stamps.min() if len(stamps) else None,
        stamps.max() if len(stamps) else None,
    )


def _keys(trades: Trades) -> list[tuple[str, str]]:
    """Return symbol and currency of each trade."""
    count = len(trades)
    symbols = [trades.symbol] * count if trades.symbols is None else trades.symbols.tolist()
    money = [""] * count if trades.currencies is None else trades.currencies.tolist()
    return list(zip(symbols, money, strict=True))


def _by_key(trades: Trades) -> dict[tuple[str, str], Trades]:
    """Return the trades of each symbol in each currency."""
    keys = _keys(trades)
    known = {key: code for code, key in enumerate(dict.fromkeys(keys))}
    codes = np.array([known[key] for key in keys], np.int64)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(known)))
    columns = {name: getattr(trades, name) for name in trades.__struct_fields__ if name not in _WORDS}
    sorted_ = {name: None if column is None else column[order] for name, column in columns.items()}
    found = {}
    for key, start, end in zip(known, [0, *ends.tolist()], ends.tolist(), strict=False):
        part: dict[str, Any] = {name: None if column is None else column[start:end] for name, column in sorted_.items()}
        found[key] = Trades(symbol=key[0], **part)
    return found


def _none_of(trades: Trades) -> Trades:
    columns: dict[str, Any] = {name: getattr(trades, name) for name in trades.__struct_fields__ if name not in _WORDS}
    empty: dict[str, Any] = {name: None if column is None else column[:0] for name, column in columns.items()}
    return Trades(symbol="", **empty)


def exposures(timestamp: Times, equity: Floats, some: list[Trades | None]) -> tuple[Floats, Floats]:
    """Return gross and net exposure at each mark, shape (N,): NaN where equity is not above zero, or all is unknown."""
    gross, net = np.zeros(len(timestamp) + 1), np.zeros(len(timestamp) + 1)
    for trades in some:
        if trades is None:
            continue
        amount = np.abs(trades.quantity * trades.entry_price)
        entry = np.searchsorted(timestamp, trades.entry_time, "left")
        end = np.where(np.isnat(trades.exit_time), len(timestamp), 0)
        gone = np.maximum(np.searchsorted(timestamp, trades.exit_time, "left"), entry)
        exit_ = np.where(end > 0, end, gone)
        for total, part in ((gross, amount), (net, amount * trades.side)):
            np.add.at(total, entry, part)
            np.add.at(total, exit_, -part)
    with np.errstate(all="ignore"):
        shares = [np.where(equity > 0, np.cumsum(total)[:-1] / equity, np.nan) for total in (gross, net)]
    return shares[0], shares[1]


def _exposure(
    timestamp: Times, equity: Floats, some: list[Trades | None]
) -> tuple[float | None, float | None, float | None]:
    given = [trades for trades in some if trades is not None]
    lacking = any(np.isnan(one.quantity * one.entry_price).any() or np.isnat(one.entry_time).any() for one in given)
    if lacking or not len(equity):
        return None, None, None
    gross, net = exposures(timestamp, equity, some)
    counted = ~np.isnan(gross)
    if not counted.any():
        return None, None, None
    return float(gross[counted].mean()), float(net[counted].mean()), float(gross[counted].max())


def _known(column: npt.NDArray[np.float64]) -> float | None:
    return None if np.isnan(column).any() else float(column.sum())


def _total(amounts: list[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if len(known) == len(amounts) else None


def _sum_known(pnl: float | None, open_pnl: float | None, count: int | None) -> float | None:
    """Return what a symbol earned: without what is open, where nobody has marked that, which is a part of the rest."""
    return None if pnl is None else pnl + (open_pnl or 0.0 if count else 0.0)


def _share(amount: float | None, change: float | None) -> float | None:
    return None if amount is None or not change else amount / change
