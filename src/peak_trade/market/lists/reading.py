"""A file of trades made elsewhere, as columns: which list it is, its times in UTC, its numbers, its words."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from peak_trade.errors import InputError, did_you_mean
from peak_trade.market.lists.files import Cells, cells_of
from peak_trade.market.lists.fills import Trip, closed
from peak_trade.market.lists.maps import IDS, MAPS, OPTIONAL, OURS, Map, simplified
from peak_trade.market.lists.values import Table
from peak_trade.text import counted, escaped

__all__ = ["Listed", "read_list"]

_STABLE = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD", "EUR", "GBP", "JPY", "BTC", "ETH")

_KRAKEN = re.compile(r"[xz]([a-z]{3})[xz]([a-z]{3})")  # XXBTZUSD


class Listed(Struct, frozen=True):
    """Trades of one symbol from a list, by time of entry; `said` has what was assumed or left out, a sentence each.

    Fees are what was paid, in quote currency; `pnl` is net, as the list has it, else price, size and fees make it.
    `open` has side and time of entry of those that were not closed yet.
    """

    format: str
    symbol: str
    trips: list[Trip]
    said: list[str]
    open: list[tuple[int, int]] = []


def read_list(
    path: str | os.PathLike[str],
    symbol: str = "",
    *,
    form: str | None = None,
    columns: Mapping[str, str | int] | None = None,
    zone: str = "",
    together: float = 0.0,
    other: str = "",
) -> Listed:
    """Read a list of trades: CSV, JSON, or a freqtrade database.

    `symbol` chooses among the symbols of the list, `other` is what the list calls it where that is another name.
    `form` is the name of a map, by default that whose columns are there; `columns` names columns by ours; `zone` is
    that of times without one. Fills of one side that follow each other within `together` seconds are one.
    Raises InputError for what is not there, is no such list, or can't be read.
    """
    path = Path(path)
    cells = cells_of(path)
    found, where = _map(cells, path.name, form, columns or {})
    said = [f"read as {found.title}"] if not columns else []
    chosen = _of_symbol(cells, where, other or symbol, path.name, said, given=bool(other))
    table = Table(_once(chosen.cells, said), where, found, path.name, _quote(chosen.name) or _quote(symbol), zone, said)
    pending: list[tuple[int, int]]
    if found.shape == "trades":
        trips, pending = table.trades()
    elif found.shape == "legs":
        trips, pending = table.legs()
    else:
        made = closed(table.fills(), together)
        trips, pending = made.trips, made.open
        if made.remains:
            said.append(f"{made.remains:.6g} that was left over of trades was not sold: left out")
    if pending:
        said.append(f"{counted(len(pending), 'trade')} not closed yet: left out")
    if not trips:
        raise InputError(f"{path.name} has no trade that was closed", hint="name a list with exits in it")
    trips.sort(key=lambda trip: (trip.entry_time, trip.exit_time))
    return Listed(found.name, chosen.name, trips, said, pending)


# --- which list ---------------------------------------------------------------------------------------------------


def _map(cells: Cells, file: str, form: str | None, given: Mapping[str, str | int]) -> tuple[Map, dict[str, str]]:
    """Return the list's map, and its columns by our names."""
    if form is not None:
        found = next((one for one in MAPS if one.name == form), None)
        if found is None:
            raise InputError(f"no list is called {form!r}", hint=did_you_mean(form, [one.name for one in MAPS]))
        where = _where(found, cells)
        if where is None:
            lacks = ", ".join(name for name in OURS[found.shape] if not _column(found.columns.get(name, ()), cells))
            raise InputError(f"{file} is not of the form {form}: it has no {lacks}", hint=_say_how(cells))
        return found, where
    own = _given(cells, file, given)
    for one in MAPS:
        if all(_column((mark,), cells) for mark in one.marks) and (where := _where(one, cells, own)) is not None:
            return one, where
    raise InputError(
        f"{file} is no list of trades that is known: its columns are {escaped(', '.join(cells), 300)}",
        hint=_say_how(cells),
    )


def _say_how(cells: Cells) -> str:
    return "say which column is which: --columns entry_time=…,entry_price=…,exit_time=…,exit_price=…,quantity=…"


def _given(cells: Cells, file: str, given: Mapping[str, str | int]) -> dict[str, str]:
    names = list(cells)
    ours = {name for shape in OURS.values() for name in shape} | set(OPTIONAL)
    found = {}
    for key, theirs in given.items():
        if key not in ours:
            raise InputError(f"no column is called {key!r}", hint=did_you_mean(key, ours))
        name = names[theirs - 1] if isinstance(theirs, int) and 0 < theirs <= len(names) else str(theirs)
        column = _column((name,), cells)
        if column is None:
            raise InputError(f"{file} has no column {theirs!r}", hint=did_you_mean(str(theirs), names))
        found[key] = column
    return found


def _column(names: Sequence[str], cells: Cells) -> str | None:
    simple = {simplified(name): name for name in reversed(list(cells))}
    for name in map(simplified, names):
        if name in simple:
            return simple[name]
        if name.endswith("_*"):
            found = [theirs for theirs in simple if theirs.startswith(name[:-1]) and "%" not in theirs]
            if found:
                return simple[min(found, key=len)]
    return None


def _where(one: Map, cells: Cells, given: Mapping[str, str] = {}) -> dict[str, str] | None:
    """Return a map's columns by our names; None where one that its shape needs is not there."""
    where = {ours: column for ours, names in one.columns.items() if (column := _column(names, cells))} | dict(given)
    return where if all(ours in where for ours in OURS[one.shape]) else None


# --- which symbol -------------------------------------------------------------------------------------------------


def _once(cells: Cells, said: list[str]) -> Cells:
    """Return rows without those that come again: two exports that overlap, put together, count once.

    Without a column that numbers what was made, two rows that are the same may well be two fills.
    """
    rows = list(zip(*cells.values(), strict=True))
    keep = sorted({row: at for at, row in reversed(list(enumerate(rows)))}.values())
    again = len(rows) - len(keep)
    if again and not any(_column((name,), cells) for name in IDS):
        said.append(f"{counted(again, 'row')} that came again: counted, as no column numbers them")
    elif again:
        said.append(f"{counted(again, 'row')} that came again: left out")
        return {name: [column[at] for at in keep] for name, column in cells.items()}
    return cells


class _Chosen(Struct):
    name: str
    cells: Cells


def _of_symbol(
    cells: Cells, where: Mapping[str, str], symbol: str, file: str, said: list[str], *, given: bool
) -> _Chosen:
    """Return the rows of one symbol."""
    if "symbol" not in where:
        return _Chosen(symbol, cells)
    counts: dict[str, int] = {}
    for name in cells[where["symbol"]]:
        counts[name] = counts.get(name, 0) + 1
    alike = [name for name in counts if _plain(name) == _plain(symbol)]
    if not alike and (base := _plain(symbol).removesuffix(_quote(symbol).casefold())):
        alike = [name for name in counts if _plain(name) == base]  # a list by coins, each against one currency
    if not alike:
        names = escaped(", ".join(sorted(counts, key=lambda name: -counts[name])[:8]), 200)
        wrong = f"{file} has no trade of {escaped(symbol, 60)}, but of {names}"
        raise InputError(wrong, hint="--symbol names the one that is the same" if not given else "check --symbol")
    rest = sum(count for name, count in counts.items() if name not in alike)
    if rest:
        said.append(f"{counted(rest, 'row')} of other symbols: left out")
    keep = [at for at, name in enumerate(cells[where["symbol"]]) if name in alike]
    return _Chosen(alike[0], {name: [column[at] for at in keep] for name, column in cells.items()})


def _plain(symbol: str) -> str:
    """Return a symbol as it is compared: BTC/USDT, BTC/USDT:USDT, btc-usdt and XBTUSDT are one.

    >>> _plain("BTC/USDT:USDT"), _plain("XXBTZUSD"), _plain("XBT/USD")
    ('btcusdt', 'btcusd', 'btcusd')
    """
    plain = "".join(filter(str.isalnum, symbol.partition(":")[0])).casefold()
    if found := _KRAKEN.fullmatch(plain):
        plain = found[1] + found[2]
    return f"btc{plain[3:]}" if plain.startswith("xbt") else plain


def _quote(symbol: str) -> str:
    """Return the quote currency that a symbol names; empty where it names none."""
    pair = symbol.partition(":")[0].upper()
    for mark in ("/", "-", "_"):
        if mark in pair:
            return pair.rpartition(mark)[2]
    return next((coin for coin in _STABLE if pair.endswith(coin) and pair != coin), "")
