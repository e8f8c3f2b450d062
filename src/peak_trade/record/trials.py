"""The trials of a recorded command, out of what its processes have noted: each call of an engine, in order of start.

What the processes wrote is somebody else's: a frame that says nothing whole is told and left out, a trial whose frame
can't be read is a trial that failed, and what is too much to hold at once is counted without its equity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.market.timeframe import timeframe_of
from peak_trade.market.trades import EXIT_REASONS, Trades
from peak_trade.observer.spool import NO_TIME
from peak_trade.record.result import Result, Series
from peak_trade.record.spool import Frame, files_in, frames

__all__ = ["results"]

_HELD = 1 << 30  # bytes of columns of all trials together, in memory
_TEXT, _LONG = 200, 2_000  # characters of a name, and of an error or a note
_MANY = 10_000  # names, parameters, figures or notes of one trial
_DEEPEST = 8
_BROKEN = (ValueError, TypeError, KeyError, LookupError, AttributeError, ArithmeticError, EOFError, OSError,
           RecursionError, MemoryError, msgspec.MsgspecError)  # fmt: skip
_TRADE_FLOATS = (
    "entry_price", "exit_price", "quantity", "entry_fee", "exit_fee", "slippage", "pnl", "return",
)  # fmt: skip
_PRICES = ("open", "high", "low", "close", "volume")


class _Noted(Struct, frozen=True):
    """A trial's frame, when it began and where it was noted."""

    started: int
    file: str
    number: int
    frame: Frame


def results(spool: Path, warn: Callable[[str], None] | None = None) -> list[Result]:
    """Return the trials that processes have noted in the folder `spool`, in order of start.

    A trial that has an `id` is said again when more is known of it: the last counts. `warn` is called with a sentence
    for whatever could not be read.
    """
    tell = warn or (lambda sentence: None)
    noted: list[_Noted] = []
    bars: dict[str, Series] = {}
    held = 0
    for path in _files(spool, tell):
        try:
            for number, frame in enumerate(frames(path)):
                if frame.kind == "bars":
                    bars.setdefault(_text(frame.header.get("id")), _series(frame))
                elif frame.kind == "trial":
                    held += _size(frame)
                    if held > _HELD:
                        frame = Frame(frame.kind, frame.header | {"beyond": True}, {})
                    started = frame.header.get("started_ns")
                    noted.append(_Noted(started if type(started) is int else 0, path.name, number, frame))
        except _BROKEN as error:
            tell(f"{path.name}: {_why(error)}: what it says from there on is lost")
    again = {(one.file, one.frame.header["id"]): one.number for one in noted if "id" in one.frame.header}
    noted = [one for one in noted if again.get((one.file, one.frame.header.get("id")), one.number) == one.number]
    noted.sort(key=lambda one: (one.started, one.file, one.number))
    return [_result(one, bars, tell) for one in noted]


def _files(spool: Path, tell: Callable[[str], None]) -> list[Path]:
    """Return the files of frames; what is called so and is no plain file is told."""
    try:
        found, strange = files_in(spool)
    except OSError as error:
        tell(f"what the processes have noted can't be read: {error.strerror}")
        return []
    for name in strange:
        tell(f"{name} is no file that a process has noted anything in")
    return found


def _why(error: BaseException) -> str:
    return str(error)[:_TEXT] if isinstance(error, EOFError) else f"{type(error).__name__}: {str(error)[:_TEXT]}"


def _size(frame: Frame) -> int:
    return sum(column.nbytes for column in frame.columns.values() if isinstance(column, np.ndarray))


# --- one trial ------------------------------------------------------------------------------------------------------


def _result(noted: _Noted, bars: Mapping[str, Series], tell: Callable[[str], None]) -> Result:
    header = noted.frame.header
    try:
        return _read(header, noted.frame.columns, bars)
    except _BROKEN as error:
        tell(f"{noted.file}: trial {noted.number}: {_why(error)}: it counts as one that failed")
        why = f"what was noted of it can't be read: {_why(error)}"
        return _failed(header, why)


def _failed(header: dict[str, Any], why: str) -> Result:
    empty = np.empty(0)
    return Result(
        engine=_text(header.get("engine")),
        version=_text(header.get("version")),
        strategy=_text(header.get("strategy")),
        label=_text(header.get("label")),
        params=_settings(header.get("params")),
        timestamp=empty.astype("M8[ns]"),
        equity=empty,
        position=None,
        trades=None,
        error=why,
    )


def _read(header: dict[str, Any], columns: Mapping[str, Any], bars: Mapping[str, Series]) -> Result:
    notes = _texts(header.get("notes"), _LONG)
    found = _failed(header, "")
    if header.get("beyond"):
        notes += ("its equity and trades are left out: there is too much of all trials to be held at once",)
    elif "equity" in columns:
        times, equity, position, said = _curve(columns)
        found.timestamp, found.equity, found.position = times, equity, position
        notes += said
    symbols = _texts(header.get("symbols"))
    if "trade.side" in columns:
        found.trades, found.open_ = _trades(columns, symbols)
    ids = header.get("bars")
    found.series = tuple(bars[name] for name in _texts(ids) if name in bars)
    found.symbols = symbols or tuple(dict.fromkeys(one.symbol for one in found.series if one.symbol))
    found.currency, found.own, found.notes = _text(header.get("currency")), _settings(header.get("own")), notes
    found.initial_cash, found.duration_s = _number(header.get("initial_cash")), _number(header.get("duration_s"))
    found.repeated = header.get("repeated") is True
    if header.get("status") == "failed":
        found.error = _text(header.get("error"), _LONG) or "the engine gave no reason"
    return found


def _curve(
    columns: Mapping[str, Any],
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any] | None, tuple[str, ...]]:
    """Return times, equity and position: of one time the last that was noted, and none without a number."""
    times, equity = _column(columns, "timestamp", "i"), _column(columns, "equity", "f")
    position = _column(columns, "position", "f") if "position" in columns else None
    if len({len(times), len(equity), len(equity) if position is None else len(position)}) != 1:
        raise ValueError("its columns are not equally long")
    said = []
    known = np.isfinite(equity) & (times != NO_TIME)
    if not known.all():
        said.append(f"{int((~known).sum()):,} of {len(known):,} rows of equity have no number or no time")
    order = np.flatnonzero(known)
    if (np.diff(times[order]) < 0).any():
        order = order[np.argsort(times[order], kind="stable")]
        said.append("equity was not in order of time")
    last = np.append(np.diff(times[order]) > 0, True)[: len(order)]
    if not last.all():
        said.append(f"{int((~last).sum()):,} rows of equity have the time of the next: the last of each time counts")
    order = order[last]
    return times[order].view("M8[ns]"), equity[order], None if position is None else position[order], tuple(said)


def _trades(columns: Mapping[str, Any], symbols: tuple[str, ...]) -> tuple[Trades, Trades | None]:
    """Return the closed trades, in order of exit and entry, and those that are open; None where none is."""
    side = _column(columns, "trade.side", "i")
    count = len(side)

    def of(name: str, kind: str, otherwise: Any) -> npt.NDArray[Any]:
        name = f"trade.{name}"
        column = _column(columns, name, kind) if name in columns else np.full(count, otherwise, f"{kind}8")
        if len(column) != count:
            raise ValueError(f"{name} has {len(column):,} rows, and the trades are {count:,}")
        return column

    def words(name: str) -> list[str] | None:
        column = columns.get(f"trade.{name}")
        if column is None:
            return None
        if not isinstance(column, list) or len(column) != count:
            raise ValueError(f"trade.{name} is no text for each trade")
        return [_text(word) for word in column]

    if not np.isin(side, (1, -1)).all():
        raise ValueError("trade.side is neither 1 nor -1")
    floats = {name: of(name, "f", np.nan) for name in _TRADE_FLOATS}
    missing = np.isnan(floats["return"])
    with np.errstate(all="ignore"):
        floats["return"] = np.where(
            missing, floats["pnl"] / np.abs(floats["entry_price"] * floats["quantity"]), floats["return"]
        )
    entry, exits = of("entry_time", "i", NO_TIME), of("exit_time", "i", NO_TIME)
    codes = {word: code for code, word in enumerate(EXIT_REASONS)}
    reasons = np.array([codes.get(word, -1) for word in words("exit_reason") or [""] * count], np.int8)
    named = words("symbol") or [symbols[0] if len(symbols) == 1 else ""] * count
    several = {"symbols": named, "currencies": words("currency"), "groups": words("group")}
    several = {name: value for name, value in several.items() if value is not None and any(value)}
    held = of("bars_held", "i", -1)

    def part(rows: npt.NDArray[np.intp]) -> Trades:
        told: dict[str, Any] = {("return_" if name == "return" else name): column for name, column in floats.items()}
        told |= {name: np.array(value, np.str_) for name, value in several.items()}
        return Trades(
            symbol=named[rows[0]] if len(rows) and len({named[row] for row in rows}) == 1 else "",
            side=side[rows].astype(np.int8),
            entry_time=entry[rows].view("M8[ns]"),
            exit_time=exits[rows].view("M8[ns]"),
            bars_held=held[rows],
            exit_reason=reasons[rows],
            **{name: column[rows] for name, column in told.items()},
        )

    closed, left = np.flatnonzero(exits != NO_TIME), np.flatnonzero(exits == NO_TIME)
    closed = closed[np.lexsort((entry[closed], exits[closed]))]
    return part(closed), part(left) if len(left) else None


def _series(frame: Frame) -> Series:
    columns = {name: _column(frame.columns, name, "f") for name in _PRICES}
    times = _column(frame.columns, "timestamp", "i").view("M8[ns]")
    if {len(column) for column in columns.values()} != {len(times)}:
        raise ValueError("columns of bars are not equally long")
    timeframe = _text(frame.header.get("timeframe")) or timeframe_of(times)
    return Series(_text(frame.header.get("symbol")), timeframe or None, times, **columns)


# --- what is in a header or a column --------------------------------------------------------------------------------


def _column(columns: Mapping[str, Any], name: str, kind: str) -> npt.NDArray[Any]:
    column = columns[name]
    if not isinstance(column, np.ndarray) or column.dtype.kind != kind:
        raise ValueError(f"{name} is not of the type {kind}8")
    return column


def _text(value: Any, most: int = _TEXT) -> str:
    """Return a text that can be written anywhere: without half a character of those outside the basic plane."""
    return str(value)[:most].encode("utf-8", "replace").decode() if value is not None else ""


def _texts(value: Any, most: int = _TEXT) -> tuple[str, ...]:
    return tuple(_text(one, most) for one in value[:_MANY]) if isinstance(value, list) else ()


def _number(value: Any) -> float | None:
    fits = isinstance(value, int | float) and type(value) is not bool and abs(value) < 1e300
    return float(value) if fits and math.isfinite(value) else None


def _settings(value: Any) -> dict[str, Any]:
    """Return parameters or figures as JSON can have them: a number that is none is null, what is too deep a text."""
    found = _plain(value if isinstance(value, dict) else {}, 0)
    return found if isinstance(found, dict) else {}


def _plain(value: Any, depth: int) -> Any:
    if isinstance(value, dict | list) and depth >= _DEEPEST:
        return "…"
    if isinstance(value, dict):
        return {_text(key): _plain(one, depth + 1) for key, one in list(value.items())[:_MANY]}
    if isinstance(value, list):
        return [_plain(one, depth + 1) for one in value[:_MANY]]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if type(value) is int:
        return value if abs(value) < 1 << 63 else _text(value)
    return value if isinstance(value, bool) or value is None else _text(value, _LONG)
