"""The rows of a list as trades or fills: its times in UTC, its numbers, its words for long and short, its fees."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from peak_trade.errors import InputError
from peak_trade.market import numbers
from peak_trade.market.instants import NULLS, Unreadable
from peak_trade.market.lists.files import Cells
from peak_trade.market.lists.fills import Fill, Trip
from peak_trade.market.lists.maps import Map, simplified
from peak_trade.market.timestamps import Ambiguous, TimestampColumn
from peak_trade.text import counted, escaped

__all__ = ["LONG", "SHORT", "YES", "Table", "bare", "written"]

_LARGEST = 1e15  # of a price, a size, a fee or a profit
_DEAREST = 0.05  # of the value of a trade, that both its fees may be
_MILLISECONDS = 12  # digits of an epoch number that is not in seconds, at least
LONG = frozenset("long buy b bought 1 1.0 +1 entry_long bot open_long close_short buy_to_open buy_to_close cover "
                  "buy_to_cover advanced_trade_buy".split())  # fmt: skip
SHORT = frozenset("short sell s sold -1 -1.0 entry_short sld sell_short sellshort open_short close_long sell_to_open "
                   "sell_to_close advanced_trade_sell".split())  # fmt: skip
YES = frozenset("true 1 yes 1.0 t".split())
_SUFFIXED = re.compile(r"([-+]?[\d,.\u00a0 ]*\d)\s*([A-Za-z][A-Za-z0-9]{1,15})")
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})[;, T](\d{2}):?(\d{2}):?(\d{2})")
_COMMA = re.compile(r"(\d{4}-\d{2}-\d{2}),? +(\d{2}:)")  # 2024-01-31, 13:00:00
_DOTTED = re.compile(r"(\d{4})\.(\d{2})\.(\d{2})( |$)")
_PREFIXED = re.compile(r"([-+]?)\s*(?:[$€£¥₿₹₩]|[A-Z][A-Za-zč]{1,2}[$]?)\s*([-+]?[\d.,].*)")
_SET_APART = re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?")
_UNFILLED = re.compile(r"-*|0(\.0*)?|null|none", re.IGNORECASE)
_BACKWARDS = re.compile(r"(\d{2}:\d{2}(?::\d{2})?) (\d{4}-\d{2}-\d{2})")


class Table:
    """The rows of one symbol, read by a map."""

    def __init__(
        self, cells: Cells, where: Mapping[str, str], found: Map, file: str, quote: str, zone: str, said: list[str]
    ) -> None:
        self.cells, self.where, self.map, self.file, self.quote, self.said = cells, where, found, file, quote, said
        self.zone = zone or found.zone
        self.given = zone
        self.count = len(next(iter(cells.values()), []))
        self.has_fees = any("fee" in name for name in where)

    def trades(self) -> tuple[list[Trip], list[tuple[int, int]]]:
        """Return the trades of a list that has one a row, and side and time of entry of those that are not closed."""
        closed = self._closed()
        times = self._times(("entry_time", "exit_time"), closed)
        entry, leaves, size = (self._amounts(name, closed) for name in ("entry_price", "exit_price", "quantity"))
        sides = self._sides(closed, size)
        size = np.abs(size)
        pnl = self._numbers("pnl", closed) if "pnl" in self.where else np.full(len(closed), np.nan)
        if self.map.lots:
            size = size * self._unit_of_a_lot(sides * size * (leaves - entry), pnl)
        fees = [self._fee(one, price * size, closed) for one, price in (("entry", entry), ("exit", leaves))]
        if "fee" in self.where and not ({"entry_fee", "exit_fee"} & self.where.keys()):
            both = self._paid(self._money("fee", (entry + leaves) * size, closed))
            fees = [both / 2, both / 2]
        gross = sides * size * (leaves - entry)
        if self.map.gross:  # the profit is that of the prices alone
            pnl = pnl - fees[0] - fees[1] + (self._zeros("financing", closed) if "financing" in self.where else 0.0)
        if not self.has_fees:
            fees = [self._implied(gross, pnl, size * np.abs(entry)) / 2] * 2
        made = gross - fees[0] - fees[1]
        pnl = np.where(np.abs(pnl) < _LARGEST, pnl, made)
        columns = [sides, times[0], entry, times[1], leaves, size, fees[0], fees[1], pnl]
        trips = [Trip(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
        return [trip for trip in trips if trip.quantity > 0], self._still_open(closed)

    def _still_open(self, closed: Sequence[int]) -> list[tuple[int, int]]:
        """Return side and time of entry of the rows that are not closed."""
        done = set(closed)
        rows = [at for at in range(self.count) if at not in done]
        said = list(self.said)
        try:
            (times,) = self._times(("entry_time",), rows)
            sides = self._sides(rows, self._amounts("quantity", rows))
        except InputError:  # what is left out needs not be whole
            self.said[:] = said
            return [(0, 0) for _ in rows]
        return list(zip(sides.tolist(), times.tolist(), strict=True))

    def _unit_of_a_lot(self, gross: Any, pnl: Any) -> float:
        """Return how many units a lot has, which the profits tell: the median of theirs over what the prices make."""
        with np.errstate(all="ignore"):
            ratios = pnl / gross
        ratios = ratios[np.isfinite(ratios) & (ratios > 0)]
        unit = float(np.median(ratios)) if len(ratios) else 1.0
        near = 10.0 ** round(np.log10(unit))
        unit = near if abs(unit / near - 1) < 0.05 else unit  # a profit of few digits is no exact measure
        if unit != 1.0:
            self.said.append(f"a lot counts as {unit:,.6g} units, as its profits show")
        return unit

    def legs(self) -> tuple[list[Trip], list[tuple[int, int]]]:
        """Return the trades of a list that has two rows for each, and side and time of those that have one."""
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
        alone = [at for pair in pairs.values() if len(pair) == 1 for at in pair.values()]
        still = [(-1 if "short" in self._texts("leg")[at].lower() else 1, int(times[at])) for at in alone]
        return [trip for trip in trips if trip.quantity > 0], still

    def _implied(self, gross: Any, pnl: Any, notional: Any) -> Any:
        """Return the fees of a list that has none: what its profit is less than its prices make, where that may be."""
        with np.errstate(invalid="ignore"):
            fees = np.where((gross - pnl >= 0) & (gross - pnl <= _DEAREST * notional), gross - pnl, 0.0)
        what = "taken as what its profit is less than its prices make" if fees.any() else "none are counted"
        self.said.append(f"the list has no fees: {what}")
        return fees

    def fills(self) -> list[Fill]:
        """Return single buys and sells, in order of time."""
        self._drop_unfilled()
        rows = list(range(self.count))
        (times,), price = self._times(("time",), rows), self._amounts("price", rows)
        size = self._amounts("quantity", rows)
        sides = self._sides(rows, size)
        fee, spent = self._fill_fees(price, np.abs(size), sides)
        orders = self._texts("order") if "order" in self.where else [""] * self.count
        columns = (times.tolist(), sides.tolist(), price.tolist(), np.abs(size).tolist(), fee.tolist(), orders,
                   spent.tolist())  # fmt: skip
        fills = [Fill(*row) for row in zip(*columns, strict=True)]
        if fills and fills[0].time > fills[-1].time:  # the newest first: so are those of one second
            fills.reverse()
        return sorted(fills, key=lambda fill: fill.time)

    def _drop_unfilled(self) -> None:
        """Leave out rows that bought and sold nothing: orders that were cancelled, transfers, rewards."""
        dropped = [
            at for at, (price, size) in enumerate(zip(self._texts("price"), self._texts("quantity"), strict=True))
            if _UNFILLED.fullmatch(price) or _UNFILLED.fullmatch(size)
        ]  # fmt: skip
        if self.map.kinds and "side" in self.where:
            sides = self._texts("side")
            dropped += [at for at in range(self.count) if simplified(sides[at]) not in self.map.kinds]
        if dropped:
            out = set(dropped)
            keep = [at for at in range(self.count) if at not in out]
            self.cells = {name: [column[at] for at in keep] for name, column in self.cells.items()}
            self.count = len(keep)
            self.said.append(f"{counted(len(out), 'row')} in which nothing was bought or sold: left out")

    def _closed(self) -> list[int]:
        """Return the rows of trades that were closed."""
        keep = range(self.count)
        if "open" in self.where:
            cells = self._texts("open")
            keep = [at for at in keep if cells[at].lower() not in YES]  # type: ignore[assignment]
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
        texts = [_whole_epoch(written(cell)) for cell in cells]
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
        texts = [bare(cells[at]) for at in rows]
        return self._parsed(name, texts, rows)

    def _parsed(self, name: str, texts: list[str], rows: Sequence[int]) -> Any:
        if not self.map.local:  # 1,000 is a thousand
            texts = [text.replace(",", "") if _SET_APART.fullmatch(text) else text for text in texts]
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

    def _money(self, name: str, notional: Any, rows: Sequence[int]) -> Any:
        """Return amounts of money; a column of percentages is of what was traded."""
        texts = [bare(self._texts(name)[at]) for at in rows]
        filled = [text for text in texts if text.lower() not in NULLS]
        if filled and all(text.endswith("%") for text in filled):
            return self._parsed(name, [text.rstrip("% ") for text in texts], rows) / 100 * np.abs(notional)
        return self._parsed(name, texts, rows)

    def _zeros(self, name: str, rows: Sequence[int]) -> Any:
        values = self._numbers(name, rows)
        return np.where(np.abs(values) < _LARGEST, values, 0.0)

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
        for name, longs, shorts in (("short", frozenset(), YES), ("buyer", YES, frozenset())):
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
            if word not in LONG and word not in SHORT:
                raise self._bad(at, "side", "is neither long nor short, buy nor sell")
            sides.append(1 if word in LONG else -1)
        return np.array(sides, np.int64)

    def _fee(self, which: str, notional: Any, rows: Sequence[int]) -> Any:
        if f"{which}_fee" in self.where:
            return self._paid(self._money(f"{which}_fee", notional, rows))
        if f"{which}_fee_rate" in self.where:
            rates = self._numbers(f"{which}_fee_rate", rows)
            return np.where(np.abs(rates) < 1, rates, 0.0) * notional
        return np.zeros(len(rows))

    def _paid(self, fees: Any) -> Any:
        """Return fees as positive where they were paid; one that is none of an amount is none."""
        fees = np.where(np.abs(fees) < _LARGEST, fees, 0.0)
        sign = self.map.paid or (-1 if fees.sum() < 0 else 1)
        return fees * sign

    def _fill_fees(self, price: Any, size: Any, sides: Any) -> tuple[Any, Any]:
        """Return the fees of fills in quote currency, and those units of the base currency that went for them.

        What is in a third currency is left out, and said.
        """
        if "fee" not in self.where:
            if "fee_rate" in self.where:
                rates = self._zeros("fee_rate", range(self.count))
                return self._paid(np.where(np.abs(rates) < 1, rates, 0.0) * price * size), np.zeros(self.count)
            self.said.append("the list has no fees: none are counted")
            return np.zeros(self.count), np.zeros(self.count)
        fees = self._paid(self._money("fee", price * size, range(self.count)))
        if "fee_currency" in self.where:
            coins = [coin.upper() for coin in self._texts("fee_currency")]
        else:
            coins = [_coin(cell) for cell in self._texts("fee")]
            if self.map.received:
                coins = ["BASE" if side > 0 else "" for side in sides.tolist()]
        quotes = [one.upper() for one in self._texts("quote")] if "quote" in self.where else [self.quote] * self.count
        bases = {_coin(cell) for cell in self._texts("quantity")} - {""} | {"BASE"}
        symbol = self._texts("symbol")[0].upper() if "symbol" in self.where and self.count else ""
        out, spent, strange = np.zeros(self.count), np.zeros(self.count), dict[str, int]()
        holds = ":" not in symbol  # of a perpetual the fee is taken from the margin
        for at, (coin, quote) in enumerate(zip(coins, quotes, strict=True)):
            if coin in ("", quote):
                out[at] = fees[at]
            elif coin in bases or (
                quote and symbol.replace("/", "").replace("-", "").startswith(coin) and coin != quote
            ):
                out[at] = fees[at] * price[at]
                spent[at] = max(fees[at], 0.0) if holds else 0.0
            elif not quote:
                out[at] = fees[at]
            elif fees[at]:
                strange[coin] = strange.get(coin, 0) + 1
        for coin, count in strange.items():
            self.said.append(f"fees in {escaped(coin, 12)} of {counted(count, 'fill')}: left out, as no price is known")
        return out, spent


def written(cell: str) -> str:
    """Return a time as others write it too.

    >>> written("20240131;130000"), written("13:00 2024-01-31")
    ('2024-01-31T13:00:00', '2024-01-31 13:00')
    >>> written("2024-01-31, 13:00:00"), written("2024.01.31 13:00:00")
    ('2024-01-31 13:00:00', '2024-01-31 13:00:00')
    """
    cell = _COMPACT.sub(r"\1-\2-\3T\4:\5:\6", cell)
    return _BACKWARDS.sub(r"\2 \1", _COMMA.sub(r"\1 \2", _DOTTED.sub(r"\1-\2-\3\4", cell)))


def bare(cell: str) -> str:
    """Return a number without its currency: `0.5BTC` is 0.5, `$1,234.50` is 1,234.50."""
    if prefixed := _PREFIXED.fullmatch(cell.strip()):
        cell = prefixed[1] + prefixed[2]
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
