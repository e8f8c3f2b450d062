"""Rows of a list as trades: closed ones, those still open, and the columns that have no place of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.errors import InputError
from peak_trade.market.lists.maps import simplified
from peak_trade.market.lists.values import LONG, SHORT, YES
from peak_trade.market.trades import EXIT_REASONS, Trades
from peak_trade.record.found import Found
from peak_trade.record.sheets import MISSING, money_of
from peak_trade.text import counted

__all__ = ["Book", "book", "empty", "of_rows"]

Floats = npt.NDArray[np.float64]


class Book(Struct, eq=False):
    """Trades of a file: closed, open, and `extra`: further columns, as text, a row for each closed trade."""

    closed: Trades
    open_: Trades | None
    extra: dict[str, list[Any]]
    groups: npt.NDArray[np.str_] | None = None  # which of several backtests each closed trade is of


class Raw(Struct, eq=False):
    """Rows as arrays, whether the trade is closed (`closed`) and which row of the file each is for `extra`."""

    side: npt.NDArray[Any]
    symbol: list[str]
    entry_time: npt.NDArray[np.int64]
    entry_price: Floats
    exit_time: npt.NDArray[np.int64]
    exit_price: Floats
    quantity: Floats
    entry_fee: Floats
    exit_fee: Floats
    pnl: Floats
    return_: Floats
    bars_held: npt.NDArray[np.int64]
    exit_reason: npt.NDArray[np.int8]
    closed: npt.NDArray[np.bool_]
    currency: list[str]
    extra: dict[str, list[Any]]


def book(found: Found, *, symbol: str, zone: str, said: list[str]) -> Book:
    """Return the trades of a table that has one a row. InputError for a cell that can't be read."""
    sheet, where, one = found.sheet, found.where, found.map
    numeric = [where[name] for name in _NUMBERS if name in where]
    sheet.plain = sheet.plain and not one.local
    style = sheet.style(numeric)

    def number(name: str) -> Floats:
        values = sheet.numbers(where[name], style=style) if name in where else np.full(sheet.rows, np.nan, np.float64)
        return values / 100 if name in one.percent else values

    entry_time, exit_time = sheet.times([where["entry_time"], where["exit_time"]], zone or one.zone, said)
    entry, leave, size = number("entry_price"), number("exit_price"), number("quantity")
    closed = _closed(found, exit_time, leave)
    for name, column in (("entry_time", entry_time == MISSING), ("entry_price", np.isnan(entry)),
                         ("quantity", np.isnan(size))):  # fmt: skip
        if column.any():
            raise sheet.bad(where[name], int(np.argmax(column)), "is missing")
    bad = closed & (np.isnan(leave) | (exit_time == MISSING))
    if bad.any():
        raise sheet.bad(where["exit_price"], int(np.argmax(bad)), "is missing in a trade that is closed")
    early = closed & (exit_time < entry_time)
    if early.any():
        raise sheet.bad(where["exit_time"], int(np.argmax(early)), "is before the entry")
    side = _sides(found, size)
    size = np.abs(size)
    fees = _fees(found, number, size * entry, size * leave, said)
    pnl = number("pnl")
    gross = side * size * (leave - entry)
    if one.gross:
        pnl = pnl - np.nan_to_num(fees[0]) - np.nan_to_num(fees[1]) + np.nan_to_num(number("financing"))
    elif "pnl" not in where:
        pnl = gross - fees[0] - fees[1]
        said.append("the file has no profit of a trade: what prices, size and fees make")
    returns = number("return")
    if "return" not in where:
        returns = _over(pnl, size * np.abs(entry))
    held = np.full(sheet.rows, -1, np.int64)
    if "bars_held" in where:
        held = _whole(number("bars_held"))
    elif "entry_bar" in where and "exit_bar" in where:
        held = _whole(number("exit_bar") - number("entry_bar"))
    names = sheet.texts(where["symbol"]) if "symbol" in where else [symbol] * sheet.rows
    if symbol and "symbol" in where and set(names) == {""}:
        names = [symbol] * sheet.rows
    reasons = _reasons(sheet.texts(where["exit_reason"]), one.reasons) if "exit_reason" in where else None
    money = sheet.texts(where["currency"]) if "currency" in where else [money_in(found)] * sheet.rows
    if "column" in where and len(several := dict.fromkeys(sheet.texts(where["column"]))) > 1:
        names = sheet.texts(where["column"])
        said.append(
            f"its {len(several)} columns are taken as symbols of one account: import them apart if they are not"
        )
    theirs = ("exit_reason", "column")  # which say more than ours
    placed = {column for name, column in where.items() if name not in theirs}
    extra = {name: sheet.cells(name) for name in sheet.columns if name not in placed}
    raw = Raw(
        side, names, entry_time, entry, exit_time, leave, size, fees[0], fees[1], pnl, returns, held,
        np.full(sheet.rows, -1, np.int8) if reasons is None else reasons, closed, money, extra,
    )  # fmt: skip
    return of_rows(raw)


_NUMBERS = ("entry_price", "exit_price", "quantity", "entry_fee", "exit_fee", "entry_rate", "exit_rate", "fee", "pnl",
            "return", "financing", "price", "balance", "notional")  # fmt: skip


def of_rows(raw: Raw) -> Book:
    """Return rows as trades, ordered by exit, then entry; those still open by entry."""
    at = np.flatnonzero(raw.closed)
    order = at[np.lexsort((raw.entry_time[at], raw.exit_time[at]))]
    rest = np.flatnonzero(~raw.closed)
    rest = rest[np.argsort(raw.entry_time[rest], kind="stable")]
    places = order.tolist()
    extra = {name: list(map(cells.__getitem__, places)) for name, cells in raw.extra.items()}
    return Book(_trades(raw, order), _trades(raw, rest, still=True) if len(rest) else None, extra)


def _trades(raw: Raw, rows: npt.NDArray[Any], *, still: bool = False) -> Trades:
    symbols = np.array([raw.symbol[row] for row in rows.tolist()] or [""], np.str_)[: len(rows)]
    names = list(dict.fromkeys(symbols.tolist()))
    nothing = np.full(len(rows), np.nan)
    money = np.array([raw.currency[row] for row in rows.tolist()], np.str_) if any(raw.currency) else None
    return Trades(
        symbol=names[0] if len(names) == 1 else "",
        side=raw.side[rows].astype(np.int8),
        entry_time=raw.entry_time[rows].view("M8[ns]"),
        entry_price=raw.entry_price[rows],
        exit_time=(np.full(len(rows), MISSING) if still else raw.exit_time[rows]).view("M8[ns]"),
        exit_price=nothing if still else raw.exit_price[rows],
        quantity=raw.quantity[rows],
        entry_fee=raw.entry_fee[rows],
        exit_fee=nothing if still else raw.exit_fee[rows],
        slippage=nothing,
        pnl=nothing if still else raw.pnl[rows],
        return_=nothing if still else raw.return_[rows],
        bars_held=np.full(len(rows), -1) if still else raw.bars_held[rows],
        exit_reason=np.full(len(rows), -1, np.int8) if still else raw.exit_reason[rows],
        symbols=symbols if len(names) > 1 else None,
        currencies=money,
    )


def empty() -> Trades:
    """Return no trades."""
    nothing, times = np.empty(0), np.empty(0, "M8[ns]")
    whole, small = np.empty(0, np.int64), np.empty(0, np.int8)
    return Trades("", small, times, nothing, times, nothing, nothing, nothing, nothing, nothing, nothing, nothing,
                  whole, small)  # fmt: skip


def _closed(found: Found, exit_time: npt.NDArray[np.int64], leave: Floats) -> npt.NDArray[np.bool_]:
    where, sheet = found.where, found.sheet
    closed: npt.NDArray[np.bool_] = (exit_time != MISSING) & ~np.isnan(leave)
    if "status" in where:
        closed = np.array([text.strip().lower() != "open" for text in sheet.texts(where["status"])], bool)
    if "open" in where:
        closed &= np.array([text.strip().lower() not in YES for text in sheet.texts(where["open"])], bool)
    return closed


def _sides(found: Found, size: Floats) -> npt.NDArray[Any]:
    """Return 1 for long and -1 for short: by a word, a flag, or the sign of the quantity."""
    where, sheet = found.where, found.sheet
    if "short" in where:
        return np.where([text.lower() in YES for text in sheet.texts(where["short"])], -1, 1)
    if "side" not in where:
        return np.where(size < 0, -1, 1)
    return sides_of(found, sheet.texts(where["side"]))


def sides_of(found: Found, texts: Sequence[str]) -> npt.NDArray[Any]:
    """Return 1 for words of buying or long, -1 for others. InputError for a word that is neither."""
    known: dict[str, int] = {}
    sides = np.empty(len(texts), np.int64)
    for at, text in enumerate(texts):
        if text not in known:
            word = simplified(text)
            if word not in LONG and word not in SHORT:
                raise found.sheet.bad(found.where["side"], at, "is neither long nor short, buy nor sell")
            known[text] = 1 if word in LONG else -1
        sides[at] = known[text]
    return sides


def _fees(found: Found, number: Any, entered: Floats, left: Floats, said: list[str]) -> tuple[Floats, Floats]:
    """Return the fees of entry and exit, positive where they were paid; NaN where the file has none."""
    where, one = found.where, found.map
    if "entry_fee" in where or "exit_fee" in where:
        fees = number("entry_fee"), number("exit_fee")
    elif "entry_rate" in where or "exit_rate" in where:
        fees = number("entry_rate") * entered, number("exit_rate") * left
    elif "fee" in where:
        half = number("fee") / 2
        said.append("the file has one fee for each trade: half of it is taken for either side")
        fees = half, half
    else:
        said.append("the file has no fees: they are left unknown")
        return number("entry_fee"), number("exit_fee")
    sign = one.paid or (-1 if np.nansum(fees[0]) + np.nansum(fees[1]) < 0 else 1)
    return fees[0] * sign + 0.0, fees[1] * sign + 0.0


def _over(pnl: Floats, notional: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(notional > 0, pnl / notional, np.nan)


def _whole(values: Floats) -> npt.NDArray[np.int64]:
    return np.where(np.isnan(values), -1, np.nan_to_num(values)).astype(np.int64)


def _reasons(texts: Sequence[str], theirs: Mapping[str, str]) -> npt.NDArray[np.int8]:
    """Return why trades were closed in our words, -1 where theirs has none."""
    places = {word: EXIT_REASONS.index(ours) for word, ours in theirs.items()}
    places |= {word: at for at, word in enumerate(EXIT_REASONS)}
    return np.array([places.get(text.strip().lower(), -1) for text in texts], np.int8)


def legs(found: Found, *, symbol: str, zone: str, said: list[str]) -> Book:
    """Return the trades of a list that has two rows for each, in either order; what has an entry alone is open."""
    sheet, where, one = found.sheet, found.where, found.map
    sheet.plain = sheet.plain and not one.local
    style = sheet.style([where[name] for name in ("price", "quantity", "pnl", "fee") if name in where])
    (times,) = sheet.times([where["time"]], zone or one.zone, said)

    def number(name: str) -> Floats:
        if name not in where:
            return np.full(sheet.rows, np.nan)
        values = sheet.numbers(where[name], style=style)
        return values / 100 if name in one.percent else values

    price, size = number("price"), np.abs(number("quantity"))
    kinds = {text: _leg(text) for text in set(sheet.texts(where["leg"]))}
    signals = sheet.texts(where["exit_reason"]) if "exit_reason" in where else [""] * sheet.rows
    words = sheet.texts(where["leg"])
    pairs: dict[str, list[int]] = {}
    for at, (key, word) in enumerate(zip(sheet.texts(where["number"]), words, strict=True)):
        end, side_of = kinds[word]
        if end < 0 or not side_of:
            raise sheet.bad(where["leg"], at, "is no entry or exit, long or short")
        pair = pairs.setdefault(key, [-1, -1])
        if pair[end] >= 0:
            raise sheet.bad(where["number"], at, "is a trade with two entries or two exits")
        pair[end] = at
    for _, at in (pair for pair in pairs.values() if pair[0] < 0):
        raise sheet.bad(where["number"], at, "is a trade without an entry")
    ins = np.array([pair[0] for pair in pairs.values()], np.int64)
    outs = np.array([pair[1] for pair in pairs.values()], np.int64)
    still = [row < 0 or signals[row].strip().lower() == "open" or times[row] == MISSING for row in outs.tolist()]
    closed = ~np.array(still, bool)
    last = np.where(outs < 0, ins, outs)
    side = np.array([kinds[words[at]][1] for at in ins.tolist()], np.int64)
    for rows, values, name in ((ins, times == MISSING, "time"), (ins, np.isnan(price), "price"),
                               (last[closed], np.isnan(price), "price")):  # fmt: skip
        if values[rows].any():
            raise sheet.bad(where[name], int(rows[int(np.argmax(values[rows]))]), "is missing")
    if "quantity" not in where:
        said.append("the file has no sizes: they are left unknown")
    fee = number("fee")[last] * one.paid / 2
    if "fee" in where:
        said.append("the file has one fee for each trade: half of it is taken for either side")
    else:
        said.append("the file has no fees: they are left unknown")
    pnl = number("pnl")[last]
    names = [name for name in sheet.columns if name not in set(where.values()) - {where.get("exit_reason")}]
    extra: dict[str, list[str]] = {}
    entered, left = ins.tolist(), last.tolist()
    for name in names:
        cells = sheet.texts(name)
        first, second = (list(map(cells.__getitem__, places)) for places in (entered, left))
        if first == second:
            extra[name] = second
        elif any(first):
            extra |= {f"entry: {name}": first, f"exit: {name}": second}
        else:
            extra[name] = second
    quantity = np.where(np.isnan(size[last]), size[ins], size[last])
    returns = number("return")[last] if "return" in where else _over(pnl, quantity * price[ins])
    count = len(pairs)
    raw = Raw(
        side, [symbol] * count, times[ins], price[ins], times[last], price[last], quantity, fee, fee, pnl, returns,
        _whole(number("bars_held")[last]), _reasons([signals[row] for row in last.tolist()], one.reasons), closed,
        [money(found)] * count if money(found) else [], extra,
    )  # fmt: skip
    early = closed & (raw.exit_time < raw.entry_time)
    if early.any():
        raise sheet.bad(where["time"], int(last[int(np.argmax(early))]), "is before the entry")
    return of_rows(raw)


def _leg(text: str) -> tuple[int, int]:
    """Return which end of a trade a row is (0 entry, 1 exit, -1 neither) and its side, 0 for none."""
    first, *rest = text.strip().lower().split() or [""]
    end = {"entry": 0, "open": 0, "exit": 1, "close": 1}.get(first, -1)
    return end, -1 if "short" in rest else 1 if "long" in rest else 0


def money(found: Found) -> str:
    """Return the money that a column has in its name, as `Price USDT`; empty where it has none."""
    for name in ("pnl", "price"):
        word = found.where.get(name, "").rpartition(" ")[2]
        if 2 < len(word) < 12 and word.isalnum() and word.isupper():
            return word
    return ""


def money_in(found: Found) -> str:
    """Return the money that profits or fees name, as `1_000.00 USD` does; empty where they name none."""
    for name in ("pnl", "fee"):
        column = found.where.get(name)
        if column and isinstance(found.sheet.columns[column], list) and (text := money_of(found.sheet.texts(column))):
            return text
    return ""


def still_open(trades: Trades | None) -> str:
    """Return the sentence that says how many trades are still open; empty where none is."""
    return f"{counted(len(trades), 'trade')} not closed at the end: kept apart" if trades is not None else ""


def no_rows(name: str) -> InputError:
    """Return the error that a table without rows is."""
    return InputError(f"{name} has no rows", hint="name a file that has something in it")
