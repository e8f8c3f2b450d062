"""A file of trades made elsewhere, as columns: which list it is, its times in UTC, its numbers, its words."""

from __future__ import annotations

import csv
import io
import os
import re
import sqlite3
import stat
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from peak_trade.errors import InputError, did_you_mean
from peak_trade.market import numbers
from peak_trade.market.instants import NULLS, Unreadable
from peak_trade.market.lists.fills import Fill, Trip, paired
from peak_trade.market.lists.maps import MAPS, OPTIONAL, OURS, Map, simplified
from peak_trade.market.timestamps import Ambiguous, TimestampColumn
from peak_trade.text import counted, escaped

__all__ = ["Listed", "read_list"]

_BYTES, _ROWS, _COLUMNS, _DEEPEST = 256 << 20, 1_000_000, 500, 6
_LARGEST = 1e15  # of a price, a size, a fee or a profit
_DEAREST = 0.05  # of the value of a trade, that both its fees may be
_MILLISECONDS = 12  # digits of an epoch number that is not in seconds, at least
_SQLITE = b"SQLite format 3\0"
_LONG = frozenset("long buy b bought 1 1.0 +1 entry_long bot".split())
_SHORT = frozenset("short sell s sold -1 -1.0 entry_short sld sell_short sellshort".split())
_YES = frozenset("true 1 yes 1.0 t".split())
_SUFFIXED = re.compile(r"([-+]?[\d,.\u00a0 ]*\d)\s*([A-Za-z][A-Za-z0-9]{1,15})")
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})[;, T](\d{2}):?(\d{2}):?(\d{2})")
_BACKWARDS = re.compile(r"(\d{2}:\d{2}(?::\d{2})?) (\d{4}-\d{2}-\d{2})")
_STABLE = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD", "EUR", "GBP", "JPY", "BTC", "ETH")

Cells = dict[str, list[str]]


class Listed(Struct, frozen=True):
    """Trades of one symbol from a list, by time of entry; `said` has what was assumed or left out, a sentence each.

    Fees are what was paid, in quote currency; `pnl` is net, as the list has it, else price, size and fees make it.
    """

    format: str
    symbol: str
    trips: list[Trip]
    said: list[str]


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
    cells = _cells(path)
    found, where = _map(cells, path.name, form, columns or {})
    said = [f"read as {found.title}"] if not columns else []
    chosen = _of_symbol(cells, where, other or symbol, path.name, said, given=bool(other))
    cells, quote = chosen.cells, _quote(chosen.name)
    table = _Table(cells, where, found, path.name, quote, zone, said)
    trips, pending = table.trades() if found.shape == "trades" else (
        table.legs() if found.shape == "legs" else paired(table.fills(), together)
    )  # fmt: skip
    if pending:
        said.append(f"{counted(pending, 'trade')} not closed yet: left out")
    if not trips:
        raise InputError(f"{path.name} has no trade that was closed", hint="name a list with exits in it")
    trips.sort(key=lambda trip: (trip.entry_time, trip.exit_time))
    return Listed(found.name, chosen.name, trips, said)


# --- cells --------------------------------------------------------------------------------------------------------


def _cells(path: Path) -> Cells:
    """Return a file's columns as text, by their names."""
    try:
        about = os.stat(path)
        if not stat.S_ISREG(about.st_mode):
            raise InputError(f"{path} is not a regular file", hint="name a file of trades")
        if about.st_size > _BYTES:
            raise InputError(f"{path} has {about.st_size:,} bytes, more than {_BYTES:,}", hint="cut it into parts")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {(error.strerror or '').lower()}", hint="check the path") from None
    if data.startswith(_SQLITE):
        rows = _database(path)
    else:
        text = _text(data, path.name)
        rows = _objects(text, path.name) if text.lstrip()[:1] in ("[", "{") else _table(text, path.name)
    if not rows:
        raise InputError(f"{path.name} has no rows", hint="name a list that has trades in it")
    if len(rows) > _ROWS:
        raise InputError(f"{path.name} has more than {_ROWS:,} rows", hint="cut it into parts")
    names = list(dict.fromkeys(name for row in rows[:1_000] for name in row))[:_COLUMNS]
    return {name: [row.get(name, "") for row in rows] for name in names}


def _text(data: bytes, name: str) -> str:
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{name} is not text in UTF-8", hint="a list of trades is CSV or JSON") from None
    if "\0" in text:
        raise InputError(f"{name} is not a text file", hint="a list of trades is CSV or JSON")
    return text


def _table(text: str, name: str) -> list[dict[str, str]]:
    head = text[:4096].splitlines()[:1] or [""]
    delimiter = max(",;\t|", key=head[0].count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    try:
        names = [column.strip() for column in next(reader, [])]
        rows = [dict(zip(names, map(str.strip, row), strict=False)) for row in reader if any(row)]
    except csv.Error as error:
        raise InputError(f"{name} row {reader.line_num}: {error}", hint=f"mend row {reader.line_num}") from None
    return rows


def _objects(text: str, name: str) -> list[dict[str, str]]:
    """Return the objects of a JSON file that are trades: its one list, or the lists called `trades` within it."""
    try:
        tree = msgspec.json.decode(text)
        several = tree.get("strategy") if isinstance(tree, dict) else None
        if isinstance(several, dict) and len(several) > 1:  # of a backtest by freqtrade
            names = escaped(", ".join(map(str, several)), 200)
            one = escaped(str(next(iter(several))), 60)
            raise InputError(
                f"{name} has the trades of {len(several)} strategies: {names}",
                hint=f"take one: jq '.strategy[\"{one}\"]' {name}",
            )
        lists = [tree] if isinstance(tree, list) else list(_lists(tree))
        rows = [row for one in lists for row in one if isinstance(row, dict)]
        return [_flat(row) for row in rows]
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise InputError(
            f"{name} is not whole JSON: {escaped(str(error).lower(), 200)}", hint="fetch it again"
        ) from None


def _lists(tree: Any, depth: int = 0) -> list[list[Any]]:
    if not isinstance(tree, dict) or depth > _DEEPEST:
        return []
    named = []
    for value in (tree[key] for key in ("trades", "fills", "data") if key in tree):
        if isinstance(value, dict) and value and all(isinstance(row, dict) for row in value.values()):
            named.append(list(value.values()))  # by their ids, as Kraken's API has them
        elif isinstance(value, list):
            named.append(value)
    return named or [one for value in tree.values() for one in _lists(value, depth + 1)]


def _flat(row: Mapping[str, Any], below: str = "", depth: int = 0) -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in row.items():
        if isinstance(value, dict):
            if depth < 2:
                flat |= _flat(value, f"{below}{key}.", depth + 1)
        elif not isinstance(value, list):
            text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
            flat[f"{below}{key}"] = text
    return flat


def _database(path: Path) -> list[dict[str, str]]:
    """Return the table `trades` of a freqtrade database, opened to be read alone; nothing that is in it runs."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.execute("PRAGMA query_only=ON")
            kind = connection.execute("SELECT type FROM sqlite_master WHERE name = 'trades'").fetchone()
            if kind != ("table",):
                raise InputError(f"{path.name} has no table of trades", hint="freqtrade's is tradesv3.sqlite")
            connection.row_factory = sqlite3.Row
            rows = connection.execute("SELECT * FROM trades LIMIT ?", (_ROWS + 1,)).fetchall()
    except sqlite3.Error as error:
        raise InputError(
            f"{path.name} can't be read: {error}", hint="a copy of a database that is not in use"
        ) from None
    return [{key: "" if row[key] is None else str(row[key]) for key in row.keys()} for row in rows]


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
    """Return a symbol as it is compared: BTC/USDT, BTC/USDT:USDT and btc-usdt are one."""
    return "".join(filter(str.isalnum, symbol.partition(":")[0])).casefold()


def _quote(symbol: str) -> str:
    """Return the quote currency that a symbol names; empty where it names none."""
    pair = symbol.partition(":")[0].upper()
    for mark in ("/", "-", "_"):
        if mark in pair:
            return pair.rpartition(mark)[2]
    return next((coin for coin in _STABLE if pair.endswith(coin) and pair != coin), "")


# --- values -------------------------------------------------------------------------------------------------------


class _Table:
    """The rows of one symbol, read by a map."""

    def __init__(
        self, cells: Cells, where: Mapping[str, str], found: Map, file: str, quote: str, zone: str, said: list[str]
    ) -> None:
        self.cells, self.where, self.map, self.file, self.quote, self.said = cells, where, found, file, quote, said
        self.zone = zone or found.zone
        self.given = zone
        self.count = len(next(iter(cells.values()), []))
        self.has_fees = any("fee" in name for name in where)

    def trades(self) -> tuple[list[Trip], int]:
        """Return the trades of a list that has one a row, and how many are not closed."""
        closed = self._closed()
        times = self._times(("entry_time", "exit_time"), closed)
        entry, leaves, size = (self._amounts(name, closed) for name in ("entry_price", "exit_price", "quantity"))
        sides = self._sides(closed, size)
        size = np.abs(size)
        fees = [self._fee(one, price * size, closed) for one, price in (("entry", entry), ("exit", leaves))]
        if "fee" in self.where and not ({"entry_fee", "exit_fee"} & self.where.keys()):
            both = self._paid(self._numbers("fee", closed))
            fees = [both / 2, both / 2]
        gross = sides * size * (leaves - entry)
        pnl = self._numbers("pnl", closed) if "pnl" in self.where else np.full(len(closed), np.nan)
        if not self.has_fees:
            fees = [self._implied(gross, pnl, size * np.abs(entry)) / 2] * 2
        made = gross - fees[0] - fees[1]
        pnl = np.where(np.abs(pnl) < _LARGEST, pnl, made)
        columns = [sides, times[0], entry, times[1], leaves, size, fees[0], fees[1], pnl]
        trips = [Trip(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
        return [trip for trip in trips if trip.quantity > 0], self.count - len(closed)

    def legs(self) -> tuple[list[Trip], int]:
        """Return the trades of a list that has two rows for each, and how many have one."""
        rows = list(range(self.count))
        (times,), price = self._times(("time",), rows), self._amounts("price", rows)
        size = np.abs(self._amounts("quantity", rows))
        pnl = self._numbers("pnl", rows) if "pnl" in self.where else np.full(self.count, np.nan)
        pairs: dict[str, dict[str, int]] = {}
        for at, (number, leg) in enumerate(zip(self._texts("number"), self._texts("leg"), strict=True)):
            pairs.setdefault(number, {})["exit" if leg.lower().startswith(("exit", "close")) else "entry"] = at
        whole = [pair for pair in pairs.values() if len(pair) == 2]
        ins, outs = (np.array([pair[end] for pair in whole], np.int64) for end in ("entry", "exit"))
        sides = np.array([-1 if "short" in self._texts("leg")[at].lower() else 1 for at in ins.tolist()], np.int64)
        gross = sides * size[outs] * (price[outs] - price[ins])
        fee = self._implied(gross, pnl[outs], size[outs] * np.abs(price[ins])) / 2
        net = np.where(np.abs(pnl[outs]) < _LARGEST, pnl[outs], gross)
        columns = [sides, times[ins], price[ins], times[outs], price[outs], size[outs], fee, fee, net]
        trips = [Trip(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
        return [trip for trip in trips if trip.quantity > 0], len(pairs) - len(whole)

    def _implied(self, gross: Any, pnl: Any, notional: Any) -> Any:
        """Return the fees of a list that has none: what its profit is less than its prices make, where that may be."""
        with np.errstate(invalid="ignore"):
            fees = np.where((gross - pnl >= 0) & (gross - pnl <= _DEAREST * notional), gross - pnl, 0.0)
        what = "taken as what its profit is less than its prices make" if fees.any() else "none are counted"
        self.said.append(f"the list has no fees: {what}")
        return fees

    def fills(self) -> list[Fill]:
        """Return single buys and sells, in order of time."""
        rows = list(range(self.count))
        (times,), price = self._times(("time",), rows), self._amounts("price", rows)
        size = self._amounts("quantity", rows)
        sides = self._sides(rows, size)
        fee = self._fill_fees(price, np.abs(size), sides)
        orders = self._texts("order") if "order" in self.where else [""] * self.count
        columns = (times.tolist(), sides.tolist(), price.tolist(), np.abs(size).tolist(), fee.tolist(), orders)
        return sorted((Fill(*row) for row in zip(*columns, strict=True)), key=lambda fill: fill.time)

    def _closed(self) -> list[int]:
        """Return the rows of trades that were closed."""
        keep = range(self.count)
        if "open" in self.where:
            cells = self._texts("open")
            keep = [at for at in keep if cells[at].lower() not in _YES]  # type: ignore[assignment]
        if "status" in self.where:
            cells = self._texts("status")
            keep = [at for at in keep if cells[at].lower() != "open"]  # type: ignore[assignment]
        leaves, price = self._texts("exit_time"), self._texts("exit_price")
        return [at for at in keep if leaves[at].lower() not in NULLS and price[at].lower() not in NULLS]

    def _texts(self, name: str) -> list[str]:
        return self.cells[self.where[name]]

    def _times(self, names: Sequence[str], rows: Sequence[int]) -> list[Any]:
        """Return columns of times in nanoseconds since 1970, UTC; which of day and month is first, all of them tell."""
        if not rows:
            return [np.empty(0, np.int64) for _ in names]
        cells = [self._texts(name)[at].strip() for name in names for at in rows]
        texts = [_whole_epoch(_BACKWARDS.sub(r"\2 \1", _COMPACT.sub(r"\1-\2-\3T\4:\5:\6", cell))) for cell in cells]
        column = TimestampColumn()
        try:
            column.add(texts)
            values, assumed = column.finish(self.given)
        except Unreadable as error:
            index = min(error.index, len(texts) - 1)
            raise self._bad(rows[index % len(rows)], names[index // len(rows)], error.reason) from None
        except Ambiguous as error:
            raise InputError(
                f"{self.file}: `{escaped(error.text, 60)}` in {self.where[names[0]]} can be read in two ways",
                hint="write the dates as 2024-01-31",
            ) from None
        if np.isnat(values).any():
            index = int(np.argmax(np.isnat(values)))
            raise self._bad(rows[index % len(rows)], names[index // len(rows)], "is no time")
        if not self.map.zone:
            self.said += [text for text in assumed if "zone" in text and text not in self.said]
        return np.split(values.astype("M8[ns]").view(np.int64), len(names))

    def _numbers(self, name: str, rows: Sequence[int]) -> Any:
        cells = self._texts(name)
        texts = [_bare(cells[at]) for at in rows]
        try:
            values = numbers.plain_floats(texts)
        except numbers.Styled:
            try:
                values = numbers.styled_floats(texts, numbers.style_of(texts), suffixes=False)
            except numbers.Styled as error:
                raise self._bad(rows[error.index], name, "is no number") from None
            except numbers.Ambiguous as error:
                raise InputError(
                    f"{self.file}: `{escaped(str(error), 60)}` in {self.where[name]} can be read in two ways",
                    hint="write numbers with a decimal point, and nothing between thousands",
                ) from None
        return values

    def _amounts(self, name: str, rows: Sequence[int]) -> Any:
        """Return numbers that are all there, and no larger than any amount is."""
        values = self._numbers(name, rows)
        good = np.isfinite(values) & (np.abs(values) < _LARGEST)
        if not good.all():
            at = rows[int(np.argmin(good))]
            raise self._bad(at, name, "is no number" if not np.isfinite(values[~good]).all() else "is no amount")
        return values

    def _bad(self, at: int, name: str, reason: str) -> InputError:
        text = escaped(self._texts(name)[at], 60)
        return InputError(f"{self.file} row {at + 1}: {self.where[name]} `{text}` {reason}", hint="mend that row")

    def _sides(self, rows: Sequence[int], size: Any) -> Any:
        """Return 1 for long or buy, -1 for short or sell."""
        for name, longs, shorts in (("short", frozenset(), _YES), ("buyer", _YES, frozenset())):
            if name in self.where:
                cells = self._texts(name)
                flags = np.array([cells[at].lower() in (shorts or longs) for at in rows], bool)
                return np.where(flags, -1 if shorts else 1, 1 if shorts else -1)
        if "side" not in self.where:
            if self.map.shape == "fills" and not (size < 0).any():
                raise InputError(f"{self.file} does not say what was bought and what was sold", hint="--columns side=…")
            return np.where(size < 0, -1, 1)
        sides, cells = [], self._texts("side")
        for at in rows:
            word = simplified(cells[at])
            if word not in _LONG and word not in _SHORT:
                raise self._bad(at, "side", "is neither long nor short, buy nor sell")
            sides.append(1 if word in _LONG else -1)
        return np.array(sides, np.int64)

    def _fee(self, which: str, notional: Any, rows: Sequence[int]) -> Any:
        if f"{which}_fee" in self.where:
            return self._paid(self._numbers(f"{which}_fee", rows))
        if f"{which}_fee_rate" in self.where:
            rates = self._numbers(f"{which}_fee_rate", rows)
            return np.where(np.abs(rates) < 1, rates, 0.0) * notional
        return np.zeros(len(rows))

    def _paid(self, fees: Any) -> Any:
        """Return fees as positive where they were paid; one that is none of an amount is none."""
        fees = np.where(np.abs(fees) < _LARGEST, fees, 0.0)
        sign = self.map.paid or (-1 if fees.sum() < 0 else 1)
        return fees * sign

    def _fill_fees(self, price: Any, size: Any, sides: Any) -> Any:
        """Return the fees of fills in quote currency; what is in a third one is left out, and said."""
        if "fee" not in self.where:
            self.said.append("the list has no fees: none are counted")
            return np.zeros(self.count)
        fees = self._paid(self._numbers("fee", range(self.count)))
        if "fee_currency" in self.where:
            coins = [coin.upper() for coin in self._texts("fee_currency")]
        else:
            coins = [_coin(cell) for cell in self._texts("fee")]
            if self.map.received:
                coins = ["BASE" if side > 0 else "" for side in sides.tolist()]
        quotes = [one.upper() for one in self._texts("quote")] if "quote" in self.where else [self.quote] * self.count
        bases = {_coin(cell) for cell in self._texts("quantity")} - {""} | {"BASE"}
        symbol = self._texts("symbol")[0].upper() if "symbol" in self.where and self.count else ""
        out, strange = np.zeros(self.count), dict[str, int]()
        for at, (coin, quote) in enumerate(zip(coins, quotes, strict=True)):
            if coin in ("", quote):
                out[at] = fees[at]
            elif coin in bases or (
                quote and symbol.replace("/", "").replace("-", "").startswith(coin) and coin != quote
            ):
                out[at] = fees[at] * price[at]
            elif not quote:
                out[at] = fees[at]
            elif fees[at]:
                strange[coin] = strange.get(coin, 0) + 1
        for coin, count in strange.items():
            self.said.append(f"fees in {escaped(coin, 12)} of {counted(count, 'fill')}: left out, as no price is known")
        return out


def _bare(cell: str) -> str:
    """Return a number without the currency behind it: `0.5BTC` is 0.5."""
    found = _SUFFIXED.fullmatch(cell.strip())
    return found[1] if found and not re.fullmatch(r"[eE]\d+", found[2]) else cell.strip()


def _coin(cell: str) -> str:
    found = _SUFFIXED.fullmatch(cell.strip())
    return found[2].upper() if found else ""


def _whole_epoch(text: str) -> str:
    """Return epoch seconds with decimals in nanoseconds, as epoch numbers are whole elsewhere."""
    found = re.fullmatch(r"(\d{9,19})\.(\d{1,9})", text)
    if found is None:
        return text
    return f"{found[1]}{found[2]:0<9}" if len(found[1]) < _MILLISECONDS else found[1]
