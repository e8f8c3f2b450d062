"""What one file says: trades, equity, the engine's figures and parameters, and how much of it was understood."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.errors import InputError
from peak_trade.record import deals, rows
from peak_trade.record.found import Found
from peak_trade.record.rows import Book
from peak_trade.record.sheets import MISSING, money_of
from peak_trade.text import counted, escaped

__all__ = ["Asked", "Part", "of_table"]


class Asked(Struct, frozen=True):
    """What a person has said of the files, by options."""

    engine: str = ""
    symbol: str = ""
    strategy: str = ""
    zone: str = ""
    currency: str = ""
    initial_cash: float | None = None


class Part(Struct, eq=False):
    """What came of one table or document. `engine` is the map's, `edition` its number, `title` what it is."""

    file: str
    engine: str
    title: str
    edition: int = 1
    book: Book | None = None
    timestamp: npt.NDArray[np.datetime64] | None = None
    equity: npt.NDArray[np.float64] | None = None
    returns: npt.NDArray[np.float64] | None = None
    position: npt.NDArray[np.float64] | None = None
    own: dict[str, Any] = {}
    params: dict[str, Any] = {}
    strategy: str = ""
    version: str = ""
    timeframe: str = ""
    currency: str = ""
    initial_cash: float | None = None
    symbols: tuple[str, ...] = ()
    columns: int = 0
    strange: list[str] = []
    said: list[str] = []


_SORTED = "the rows are not in order of time: they were put so"


def of_table(found: Found, asked: Asked) -> Part:
    """Return what a table says, by its map. InputError for what can't be read, or has no rows."""
    sheet = found.sheet
    part = Part(
        sheet.name, found.map.engine, found.map.title, found.map.edition,
        columns=len(sheet.columns), strange=found.strange, said=[], symbols=(asked.symbol,) if asked.symbol else (),
    )  # fmt: skip
    if not sheet.rows:
        raise rows.no_rows(sheet.name)
    _SHAPES[found.map.shape](found, asked, part)
    if part.book is not None and (sentence := rows.still_open(part.book.open_)):
        part.said.append(sentence)
    return part


def _trades(found: Found, asked: Asked, part: Part) -> None:
    part.book = rows.book(found, symbol=asked.symbol, zone=asked.zone, said=part.said)


def _legs(found: Found, asked: Asked, part: Part) -> None:
    part.book = rows.legs(found, symbol=asked.symbol, zone=asked.zone, said=part.said)
    part.currency = rows.money(found)


def _fills(found: Found, asked: Asked, part: Part) -> None:
    part.book = deals.of_fills(found, symbol=asked.symbol, zone=asked.zone, said=part.said)


def _deals(found: Found, asked: Asked, part: Part) -> None:
    told = deals.of_deals(found, zone=asked.zone, said=part.said)
    part.book, part.initial_cash = told.book, told.deposit
    part.timestamp, part.equity = told.timestamp, told.balance


def _equity(found: Found, asked: Asked, part: Part) -> None:
    sheet, where = found.sheet, found.where
    _marks(found, asked, part)
    part.equity = sheet.numbers(where["equity"])
    if "position" in where:
        part.position = sheet.numbers(where["position"])
    if found.map.engine == "returns":
        part.said.append(f"`{escaped(where['equity'], 40)}` is taken as the account's value: it has no returns")
    texts = sheet.columns[where["equity"]]
    if "currency" in where:
        _one_money(found, asked, part)
    elif isinstance(texts, list):
        part.currency = money_of(sheet.texts(where["equity"]))
    _known(found, part, part.equity, "equity")
    assert part.timestamp is not None
    if (np.diff(part.timestamp) < np.timedelta64(0, "ns")).any():
        part.said.append(_SORTED)
    if again := len(part.timestamp) - len(np.unique(part.timestamp)):
        part.said.append(f"{counted(again, 'time')} more than once: the last row of each counts")


def _one_money(found: Found, asked: Asked, part: Part) -> None:
    """Keep the rows of one money, where an account has several."""
    texts = found.sheet.texts(found.where["currency"])
    several = sorted(set(texts))
    part.currency = asked.currency if asked.currency in several else several[0]
    if len(several) > 1:
        if asked.currency not in several:
            shown = escaped(", ".join(several[:8]), 100)
            raise InputError(f"{found.sheet.name} has an account in {shown}", hint=f"--currency {several[0]}")
        keep = np.array([text == asked.currency for text in texts], bool)
        assert part.timestamp is not None and part.equity is not None
        part.timestamp, part.equity = part.timestamp[keep], part.equity[keep]
        part.said.append(f"{counted(int((~keep).sum()), 'row')} in other money: left out")


def _positions(found: Found, asked: Asked, part: Part) -> None:
    """Take what is held and the cash together as the account's value."""
    _marks(found, asked, part)
    names = [name for name in found.sheet.columns if name != found.where["time"]]
    held = {name: np.nan_to_num(found.sheet.numbers(name)) for name in names}
    cash = held.pop(found.where["cash"])
    invested = np.sum(list(held.values()), axis=0)
    part.equity = cash + invested
    if len(held) == 1:
        with np.errstate(divide="ignore", invalid="ignore"):
            part.position = np.where(part.equity > 0, invested / part.equity, np.nan)
    part.symbols = tuple(held)
    part.said.append("what is held and the cash together are the account's value")


def _returns(found: Found, asked: Asked, part: Part) -> None:
    sheet, where = found.sheet, found.where
    _marks(found, asked, part)
    cells = sheet.columns[where["returns"]]
    values = sheet.numbers(where["returns"])
    if isinstance(cells, list) and any(isinstance(cell, str) and cell.strip().endswith("%") for cell in cells):
        values = values / 100
        part.said.append("returns are written in percent")
    elif np.nanmax(np.abs(values), initial=0.0) > 1 and np.nanmedian(np.abs(values)) > 0.2:
        raise InputError(
            f"{sheet.name} has returns such as {values[int(np.nanargmax(np.abs(values)))]:g}: they are no fractions",
            hint="divide them by 100 where they are percent; an account's value is a column `equity`",
        )
    if (values < -1).any():
        raise sheet.bad(where["returns"], int(np.argmax(values < -1)), "loses more than all there is")
    missing = np.isnan(values)
    if missing.any():
        part.said.append(f"{counted(int(missing.sum()), 'return')} missing: taken as 0")
        values = np.where(missing, 0.0, values)
    part.returns = values
    _in_order(found, part, values)


def _marks(found: Found, asked: Asked, part: Part) -> None:
    (times,) = found.sheet.times([found.where["time"]], asked.zone or found.map.zone, part.said)
    if (times == MISSING).any():
        raise found.sheet.bad(found.where["time"], int(np.argmax(times == MISSING)), "is no time")
    part.timestamp = times.view("M8[ns]")


def _known(found: Found, part: Part, values: npt.NDArray[np.float64], what: str) -> None:
    """Leave out rows without a value, and say so."""
    assert part.timestamp is not None
    keep = ~np.isnan(values)
    if not keep.any():
        raise InputError(f"{found.sheet.name} has no {what} in any row", hint="check what was exported")
    if not keep.all():
        part.said.append(f"{counted(int((~keep).sum()), 'row')} without {what}: left out")
        part.timestamp, part.equity = part.timestamp[keep], values[keep]
        part.position = part.position[keep] if part.position is not None else None


def _in_order(found: Found, part: Part, values: npt.NDArray[np.float64]) -> None:
    """Put returns into the order of time. InputError where one time has two."""
    assert part.timestamp is not None
    order = np.argsort(part.timestamp, kind="stable")
    if (order[1:] < order[:-1]).any():
        part.said.append(_SORTED)
    part.timestamp, part.returns = part.timestamp[order], values[order]
    if (again := part.timestamp[1:] == part.timestamp[:-1]).any():
        at = int(order[int(np.argmax(again)) + 1])
        raise found.sheet.bad(found.where["time"], at, "comes twice")


_SHAPES: dict[str, Callable[[Found, Asked, Part], None]] = {
    "trades": _trades,
    "legs": _legs,
    "fills": _fills,
    "deals": _deals,
    "equity": _equity,
    "positions": _positions,
    "returns": _returns,
}
