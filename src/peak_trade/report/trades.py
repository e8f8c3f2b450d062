"""All trades of a run as one table: the first ones as HTML, all of them for the script that sorts and filters them.

Of more than `MOST` trades the page has the extremes alone (`trading.extremes`), and says where all of them are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from peak_trade.market.trades import EXIT_REASONS, SIDES, Trades
from peak_trade.report.carried import differences, digits_of, moments, whole
from peak_trade.report.levels import opened_at, stops_of
from peak_trade.report.markup import number, percent, table, text
from peak_trade.report.portfolio import lacks
from peak_trade.report.run import RunFiles
from peak_trade.report.values import encoded
from peak_trade.stats.values import Floats

__all__ = ["MOST", "SHOWN", "all_trades"]

MOST, SHOWN = 10_000, 200
"""Trades that a page carries at most, and rows of them that it has without scripts."""
_EXTREMES = "equity trades returns"  # what the section of them needs
_NOT_SAID = "–"
_MORE = 4  # digits of pnl and return beyond those that are shown


class _Column(NamedTuple):
    """A column: the key by which a filter asks for it, its title, its first cells, and what the script gets of it."""

    key: str
    title: str
    cells: list[str]
    carried: dict[str, Any]


def all_trades(run: RunFiles) -> str:
    """Every closed trade of a run, up to `MOST`."""
    trades = run.trades
    file = "trades.csv" if run.has("trades.csv") else "trades.parquet"
    where = f"<code>{text(run.path.name)}/{file}</code>"
    if not len(trades):
        return "<p>The run closed no trade.</p>"
    if len(trades) > MOST:
        return (
            f"<p>The run closed {len(trades):,} trades, more than the {MOST:,} that a page carries: "
            f"{'' if lacks(run, _EXTREMES) else 'those at the extremes stand above, '}all of them are in {where}.</p>"
        )
    columns = _columns(trades)
    count = min(len(trades), SHOWN)
    rows = [[f"{at + 1}", *(one.cells[at] for one in columns)] for at in range(count)]
    words = sum(one.carried["kind"] == "word" for one in columns)
    shown = table(["Trade", *(one.title for one in columns)], rows, label="All trades", name=f"log words{words}")
    left = f"The first {count:,} of {len(trades):,}; all" if len(trades) > count else "All"
    told = {"columns": [{"key": one.key} | one.carried for one in columns], "trades": len(trades)}
    told |= _base(trades) if stops_of(run) else {}
    return (
        f'<div class="all-trades">{shown}<p class="note">{left} of them are in {where}. Times are UTC, pnl is net, '
        "MAE and MFE are how far the price went against the trade and for it.</p>"
        f'<script type="application/json" class="trades">{encoded(told)}</script></div>'
    )


def _columns(trades: Trades) -> list[_Column]:
    """Return the columns of which at least one trade says something."""
    groups = _symbols(trades)
    found = [
        _words("symbol", "Symbol", trades.symbols) if trades.symbols is not None and len(groups) > 1 else None,
        _words("side", "Side", np.array([SIDES[side] for side in trades.side.tolist()])),
        _words("reason", "Exit reason", np.array([_reason(code) for code in trades.exit_reason.tolist()])),
        _words("currency", "Currency", trades.currencies)
        if trades.currencies is not None and len(np.unique(trades.currencies)) > 1
        else None,
        *_times(trades),
        *_each(groups, (("entry_price", "Entry price", trades.entry_price), ("exit_price", "Exit price",
                        trades.exit_price))),
        *_each(groups, (("quantity", "Quantity", trades.quantity),)),
        _numbers("pnl", "Pnl", trades.pnl, lambda value: number(value), more=_MORE),
        _numbers("return", "Return", trades.return_, percent, percent=True, more=_MORE),
        _numbers("mae", "MAE", trades.mae, percent, percent=True),
        _numbers("mfe", "MFE", trades.mfe, percent, percent=True),
        _numbers("bars", "Bars", np.where(trades.bars_held < 0, np.nan, trades.bars_held), lambda value:
                 number(value, 0), digits=0),
    ]  # fmt: skip
    return [one for one in found if one is not None]


def _reason(code: int) -> str:
    return EXIT_REASONS[code].replace("_", " ") if code >= 0 else _NOT_SAID


def _words(key: str, title: str, values: npt.NDArray[np.str_]) -> _Column | None:
    """Return a column of few words that come again, as their places in a list; None where no trade says one."""
    names, at = np.unique(values, return_inverse=True)
    if names.tolist() == [_NOT_SAID]:
        return None
    return _Column(
        key,
        title,
        [text(value) for value in values[:SHOWN].tolist()],
        {"kind": "word", "words": names.tolist(), "v": at.tolist()},
    )


def _times(trades: Trades) -> list[_Column]:
    """Return both times, as exact as the finest of them needs."""
    both = [("entry", "Entry", trades.entry_time), ("exit", "Exit", trades.exit_time)]
    there = np.concatenate([column for _, _, column in both])
    there = there[~np.isnat(there)].astype("M8[s]")
    unit = next(unit for unit in "Dms" if (there.astype(f"M8[{unit}]") == there).all())
    return [
        _Column(
            key,
            title,
            [_moment(one, unit) for one in column[:SHOWN]],
            {"kind": "time", "length": _LENGTHS[unit]} | moments(column),
        )
        for key, title, column in both
        if not np.isnat(column).all()
    ]


_LENGTHS = {"D": 10, "m": 16, "s": 19}  # characters of such a time


def _moment(moment: np.datetime64, unit: str) -> str:
    return _NOT_SAID if np.isnat(moment) else str(moment.astype(f"M8[{unit}]")).replace("T", " ")


def _symbols(trades: Trades) -> list[npt.NDArray[np.bool_]]:
    """Return the trades of each symbol, in the order of their names."""
    if trades.symbols is None:
        return [np.ones(len(trades), bool)]
    return [trades.symbols == name for name in np.unique(trades.symbols)]


def _each(groups: list[npt.NDArray[np.bool_]], columns: tuple[tuple[str, str, Floats], ...]) -> list[_Column]:
    """Return columns whose digits are those of the symbol: what is a price of one is dust of another."""
    digits = [_digits(np.concatenate([values[group] for _, _, values in columns])) for group in groups]
    of = np.zeros(len(columns[0][2]), np.int64)
    for place, group in enumerate(groups):
        of[group] = place
    own = [digits[place] for place in of.tolist()]
    return [
        _Column(
            key,
            title,
            [_written(value, places) for value, places in zip(values[:SHOWN].tolist(), own, strict=False)],
            {
                "kind": "number",
                "digits": digits,
                "more": 0,
                "sign": "",
                "v": differences(whole(value, places) for value, places in zip(values.tolist(), own, strict=True)),
            },
        )
        for key, title, values in columns
        if np.isfinite(values).any()
    ]


def _digits(values: Floats) -> int:
    there = values[np.isfinite(values)]
    return 0 if len(there) and (there == np.rint(there)).all() else digits_of(there)


def _written(value: float, digits: int) -> str:
    return number(value, digits) if np.isfinite(value) else _NOT_SAID


def _numbers(
    key: str, title: str, values: Floats | None, write: Callable[[float], str],
    *, digits: int = 2, percent: bool = False, more: int = 0,
) -> _Column | None:  # fmt: skip
    """Return a column of numbers; None where no trade says one."""
    if values is None or not np.isfinite(values).any():
        return None
    own = values * 100.0 if percent else values
    return _Column(
        key,
        title,
        [write(value) if np.isfinite(value) else _NOT_SAID for value in values[:SHOWN].tolist()],
        {
            "kind": "number",
            "digits": [digits],
            "more": more,
            "sign": " %" if percent else "",
            "v": differences(whole(value, digits, more) for value in own.tolist()),
        },
    )


def _base(trades: Trades) -> dict[str, Any]:
    """Return how far the price that opened each trade's position is from its own entry, where one of them is.

    Their stops and targets count from there.
    """
    apart = np.nan_to_num(opened_at(trades) - trades.entry_price)
    if not apart.any():
        return {}
    digits = digits_of(trades.entry_price)
    return {"base": [round(value, digits) if value else 0 for value in apart.tolist()]}
