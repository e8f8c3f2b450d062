"""Single buys and sells, and deals that go in and out, as trades from entry to exit: first in, first out."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.errors import InputError
from peak_trade.record.found import Found
from peak_trade.record.rows import Book, Raw, money_in, of_rows, sides_of
from peak_trade.record.sheets import MISSING
from peak_trade.text import counted

__all__ = ["Deals", "of_deals", "of_fills"]

_DUST = 1e-9  # of what was held: the rounding left over is no lot
_IN, _OUT, _TURN = "in", "out", "in/out"


class Deals(Struct, eq=False):
    """Trades of deals, with the balance after each of them, and what was deposited."""

    book: Book
    timestamp: npt.NDArray[np.datetime64] | None
    balance: npt.NDArray[np.float64] | None
    deposit: float | None


class Lot(Struct):
    """Units that were bought (side 1) or sold (-1) at once, and the fee and financing that came with each unit."""

    side: int
    time: int
    price: float
    units: float
    fee: float


class Trip(Struct, frozen=True):
    """A trade from a lot to the fill that closed it, or part of it; without an exit it is open."""

    symbol: str
    lot: Lot
    units: float
    time: int = MISSING
    price: float = np.nan
    fee: float = np.nan
    pnl: float = np.nan
    row: int = -1


def of_fills(found: Found, *, symbol: str, zone: str, said: list[str]) -> Book:
    """Return trades of single buys and sells: of each symbol the first in is the first out."""
    sheet, where, one = found.sheet, found.where, found.map
    (times,) = sheet.times([where["time"]], zone or one.zone, said)
    size, price = sheet.numbers(where["quantity"]), sheet.numbers(where["price"])
    side = sides_of(found, sheet.texts(where["side"])) if "side" in where else np.where(size < 0, -1, 1)
    fee = np.nan_to_num(sheet.numbers(where["fee"]) * one.paid) if "fee" in where else np.zeros(sheet.rows)
    names = sheet.texts(where["symbol"]) if "symbol" in where else [symbol] * sheet.rows
    size = np.abs(size)
    keep = np.flatnonzero((size > 0) & ~np.isnan(price) & (times != MISSING))
    if len(keep) < sheet.rows:
        said.append(f"{counted(sheet.rows - len(keep), 'row')} in which nothing was bought or sold: left out")
    if not len(keep):
        raise InputError(f"{sheet.name} has no row in which anything was bought or sold", hint="export it again")
    if "fee" not in where:
        said.append("the file has no fees: they are left unknown, and profits are before them")
    said.append("fills are closed first in, first out, symbol by symbol")
    order = keep[np.argsort(times[keep], kind="stable")]
    held: dict[str, deque[Lot]] = {}
    trips: list[Trip] = []
    for at in order.tolist():
        lots = held.setdefault(names[at], deque())
        left, each = float(size[at]), float(fee[at] / size[at])
        whole = left
        while left > _DUST * whole and lots and lots[0].side != side[at]:
            units = min(lots[0].units, left)
            lot = lots[0]
            pnl = lot.side * units * (float(price[at]) - lot.price) - units * (lot.fee + each)
            trips.append(Trip(names[at], lot, units, int(times[at]), float(price[at]), each * units, pnl, at))
            left -= units
            _take(lots, units)
        if left > _DUST * whole:
            lots.append(Lot(int(side[at]), int(times[at]), float(price[at]), left, each))
    trips += [Trip(name, lot, lot.units) for name, lots in held.items() for lot in lots]
    return _book(trips, {}, money_in(found), known="fee" in where)


def _take(lots: deque[Lot], units: float) -> None:
    """Take units from the first lot, which goes where nothing is left of it."""
    first = lots[0]
    left = first.units - units
    if left <= _DUST * first.units:
        lots.popleft()
    else:  # the trades that were made of it keep the lot that they had
        lots[0] = Lot(first.side, first.time, first.price, left, first.fee)


def of_deals(found: Found, *, zone: str, said: list[str]) -> Deals:
    """Return trades of deals that say whether they go in, out, or turn the position: with partial closes.

    Of several lots that are open on one side of a symbol, the one of the same size closes first, else the oldest.
    """
    sheet, where, one = found.sheet, found.where, found.map
    (times,) = sheet.times([where["time"]], zone or one.zone, said)
    words = [text.strip().lower() for text in sheet.texts(where["direction"])]
    kinds = [text.strip().lower() for text in sheet.texts(where["side"])]
    balance = sheet.numbers(where["balance"]) if "balance" in where else np.full(sheet.rows, np.nan)
    rows = [at for at in range(sheet.rows) if words[at] and kinds[at] in ("buy", "sell") and times[at] != MISSING]
    if not rows:
        raise InputError(f"{sheet.name} has no deal in which anything was bought or sold", hint="export it again")
    size, price = sheet.numbers(where["quantity"]), sheet.numbers(where["price"])
    zero = np.zeros(sheet.rows)
    fee, more, swap, gain = (
        np.nan_to_num(sheet.numbers(where[name])) if name in where else zero
        for name in ("fee", "further_fee", "financing", "pnl")
    )
    fee = fee + more
    names = sheet.texts(where["symbol"])
    held: dict[tuple[str, int], deque[Lot]] = {}
    trips: list[Trip] = []
    chosen = 0
    for at in sorted(rows, key=lambda row: (times[row], row)):
        side, left = (1 if kinds[at] == "buy" else -1), float(size[at])
        if not left > 0 or np.isnan(price[at]):
            raise sheet.bad(where["quantity"], at, "is no size of a deal")
        each = float(fee[at] * one.paid / left)
        lots = held.setdefault((names[at], -side), deque())
        if words[at] != _IN:
            open_units = sum(lot.units for lot in lots)
            closing = min(left, open_units)
            if words[at].startswith(_OUT) and left > open_units * (1 + _DUST):
                raise sheet.bad(where["quantity"], at, "closes more than was open")
            chosen += len(lots) > 1
            _same_size_first(lots, left)
            whole = closing
            while closing > _DUST * left and lots:
                lot = lots[0]
                units = min(lot.units, closing)
                net = (float(gain[at]) + float(swap[at])) * units / whole - units * (lot.fee + each)
                trips.append(Trip(names[at], lot, units, int(times[at]), float(price[at]), each * units, net, at))
                closing -= units
                left -= units
                _take(lots, units)
        if left > _DUST * float(size[at]) and words[at] in (_IN, _TURN):
            own = held.setdefault((names[at], side), deque())
            own.append(Lot(side, int(times[at]), float(price[at]), left, each))
        elif left > _DUST * float(size[at]):
            raise sheet.bad(where["direction"], at, "is neither in nor out")
    if chosen:
        said.append("of several positions of a symbol that of the same size closes first, else the oldest")
    trips += [Trip(name, lot, lot.units) for (name, _), lots in held.items() for lot in lots]
    closed = [trip for trip in trips if trip.row >= 0]
    unit = _units(closed, gain, fee, swap, said)
    extra: dict[str, list[str]] = {}
    for name in sheet.columns:
        if name not in where.values():
            cells = sheet.texts(name)
            extra[name] = [cells[trip.row] if trip.row >= 0 else "" for trip in trips]
    book = _book(trips, extra, "", unit)
    deposits = [at for at in range(sheet.rows) if kinds[at] == "balance"]
    known = [at for at in range(sheet.rows) if not np.isnan(balance[at]) and times[at] != MISSING]
    later = [at for at in deposits if known and at != known[0]]
    if later:
        said.append(
            f"{counted(len(later), 'deposit or withdrawal')} after the first: in the balance, no trade's profit"
        )
    if not known:
        return Deals(book, None, None, None)
    said.append("equity is the balance after each deal: profit that is not realised yet is not in it")
    first = float(balance[known[0]]) if kinds[known[0]] == "balance" else None
    return Deals(book, times[known].view("M8[ns]"), balance[known], first)


def _same_size_first(lots: deque[Lot], units: float) -> None:
    """Bring the lot that is as large as what closes to the front."""
    for at, lot in enumerate(lots):
        if abs(lot.units - units) <= _DUST * units:
            if at:
                del lots[at]
                lots.appendleft(lot)
            return


def _units(
    closed: list[Trip], gain: npt.NDArray[Any], fee: npt.NDArray[Any], swap: npt.NDArray[Any], said: list[str]
) -> float:
    """Return how many units a lot has, which the profits tell: the median of theirs over what the prices make."""
    moved = {trip.row: 0.0 for trip in closed}
    for trip in closed:
        moved[trip.row] += trip.lot.side * trip.units * (trip.price - trip.lot.price)
    ratios = [gain[row] / made for row, made in moved.items() if made and gain[row] / made > 0]
    if not ratios:
        return 1.0
    unit = float(np.median(ratios))
    near = float(10.0 ** round(np.log10(unit)))
    if abs(unit / near - 1) > 0.05:
        said.append("a lot's units are not known, as profits are in another currency: sizes are in lots")
        return 1.0
    if near != 1.0:
        said.append(f"a lot counts as {near:,.6g} units, as its profits show")
    return near


def _book(trips: list[Trip], extra: dict[str, list[str]], money: str, unit: float = 1.0, *, known: bool = True) -> Book:
    pick = {
        name: np.array([getattr(trip.lot, name) for trip in trips], kind)
        for name, kind in (("side", np.int64), ("time", np.int64), ("price", float), ("fee", float))
    }
    units = np.array([trip.units for trip in trips], float)
    pnl = np.array([trip.pnl for trip in trips], float)
    with np.errstate(divide="ignore", invalid="ignore"):
        returns = pnl / (units * unit * pick["price"])
    fees = pick["fee"] * units, np.array([trip.fee for trip in trips], float)
    if not known:
        fees = np.full(len(trips), np.nan), np.full(len(trips), np.nan)
    raw = Raw(
        pick["side"], [trip.symbol for trip in trips], pick["time"], pick["price"],
        np.array([trip.time for trip in trips], np.int64), np.array([trip.price for trip in trips], float),
        units * unit, *fees, pnl,
        returns, np.full(len(trips), -1), np.full(len(trips), -1, np.int8),
        np.array([trip.row >= 0 for trip in trips], bool), [money] * len(trips) if money else [], extra,
    )  # fmt: skip
    return of_rows(raw)
