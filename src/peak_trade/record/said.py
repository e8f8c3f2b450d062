"""What a script says of itself, where no engine can be watched: its equity, its trades, its parameters.

Outside a recorded command the functions do nothing. In one, they never end the script: what they can't take is one WARN
on stderr and in the evidence. What is said before an equity belongs to it, and where nothing was, what is said after.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterable
from datetime import date, datetime
from types import SimpleNamespace
from typing import Any

from peak_trade import __version__, terminal
from peak_trade.observer.engines.frames import DAY, NO_TIME, NO_ZONE, TRADE, Book, plain, stamps

__all__ = ["equity", "param", "returns", "trades"]

_COLUMNS = {
    "symbol": ("symbol", "ticker", "pair", "asset", "instrument"),
    "side": ("side", "direction", "type"),
    "entry_time": ("entrytime", "entrydate", "entrytimestamp", "opentime", "opendate", "entry"),
    "entry_price": ("entryprice", "avgentryprice", "openprice", "openrate"),
    "exit_time": ("exittime", "exitdate", "exittimestamp", "closetime", "closedate", "exit"),
    "exit_price": ("exitprice", "avgexitprice", "closeprice", "closerate"),
    "quantity": ("quantity", "qty", "size", "amount", "shares", "volume"),
    "entry_fee": ("entryfee", "entryfees", "entrycommission"),
    "exit_fee": ("exitfee", "exitfees", "exitcommission"),
    "slippage": ("slippage",),
    "pnl": ("pnl", "profit", "netprofit", "netpnl", "profitabs"),
    "return": ("return", "returnpct", "profitratio"),
    "bars_held": ("barsheld", "bars"),
    "exit_reason": ("exitreason", "reason"),
    "currency": ("currency",),
    "group": ("group", "tag"),
}
"""Column of a trade -> the names it may have, without case, blanks and signs."""
_SIDES = {"long": 1, "buy": 1, "1": 1, "1.0": 1, "short": -1, "sell": -1, "-1": -1, "-1.0": -1}


class _Said:
    """What this process has said, and the trial that is written again when more of it is."""

    def __init__(self) -> None:
        self.book: Book | None = None
        self.count = 0
        self.params: dict[str, Any] = {}
        self.trades: dict[str, Any] | None = None
        self.trial: dict[str, Any] | None = None


_said = _Said()


def equity(
    values: Any, *, index: Any = None, symbol: str = "", label: str = "", strategy: str = "", currency: str = ""
) -> None:
    """Say the account's value over time: a trial of its own. `index`: its times, where `values` have none."""
    _safely("equity", lambda: _equity(values, index, symbol, label, strategy, currency))


def returns(
    values: Any,
    *,
    index: Any = None,
    initial_cash: float = 1.0,
    symbol: str = "",
    label: str = "",
    strategy: str = "",
    currency: str = "",
) -> None:
    """Say the returns of each bar, as fractions; the equity that they make of `initial_cash` is the trial's."""
    _safely("returns", lambda: _returns(values, index, initial_cash, symbol, label, strategy, currency))


def trades(frame: Any) -> None:
    """Say the trades: a frame (or dict of columns, or list of dicts) with entry_time, entry_price, quantity, pnl …."""
    _safely("trades", lambda: _trades(frame))


def param(*pair: Any, **values: Any) -> None:
    """Say parameters: `param(fast=10)`, `param("fast", 10)` or `param({"fast": 10})`."""
    _safely("param", lambda: _param(pair, values))


def _safely(part: str, work: Callable[[], None]) -> None:
    if not os.environ.get("PEAK_RECORD_SPOOL"):
        return
    try:
        work()
    except Exception as error:  # noqa: BLE001 - a script is not ended by what it says of itself
        reason = str(error) if isinstance(error, _Wrong) else f"{type(error).__name__}: {error}"
        terminal.say(f"peak_trade.record.{part}: {reason}", label="warn")
        try:
            _note().warn(f"record.{part}", reason)
        except Exception:  # noqa: BLE001 - there is nowhere left to say it
            return


class _Wrong(Exception):
    """A call that says nothing usable, in a sentence."""


def _note() -> Any:
    """Return the observer's notes of this process; of one that it could not enter, new ones."""
    noted = getattr(sys.modules.get("peak_observer.start"), "NOTE", None)
    if noted is not None:
        return noted
    from peak_trade.observer.note import Note

    return Note(os.environ["PEAK_RECORD_SPOOL"])


def _book() -> Book:
    if _said.book is None:
        _said.book = Book(_note(), "peak_trade.record", __version__)
    return _said.book


# --- what is said ---------------------------------------------------------------------------------------------------


def _equity(values: Any, index: Any, symbol: str, label: str, strategy: str, currency: str) -> None:
    timestamp, numbers, notes = _series(values, index)
    _begin(timestamp, numbers, notes, symbol, label, strategy, currency, None)


def _returns(values: Any, index: Any, cash: float, symbol: str, label: str, strategy: str, currency: str) -> None:
    import numpy as np

    timestamp, numbers, notes = _series(values, index)
    made = float(cash) * np.cumprod(np.concatenate(([1.0], 1.0 + np.nan_to_num(numbers))))
    step = timestamp[1] - timestamp[0] if len(timestamp) > 1 else DAY
    notes = [*notes, "the equity is made of returns, and begins a bar before the first of them"]
    _begin(np.concatenate(([timestamp[0] - step], timestamp)), made, notes, symbol, label, strategy, currency, cash)


def _begin(timestamp: Any, numbers: Any, notes: list[str], symbol: str, label: str, strategy: str, currency: str,
           cash: float | None) -> None:  # fmt: skip
    _said.count += 1
    _said.trial = {
        "id": f"{os.getpid()}-{_said.count}",
        "timestamp": timestamp,
        "equity": numbers,
        "symbols": [str(symbol)] if symbol else [],
        "label": str(label),
        "strategy": str(strategy),
        "currency": str(currency) or None,
        "initial_cash": cash,
        "notes": notes,
        "params": dict(_said.params),
        "trades": _said.trades,
        "after": not _said.params,
    }
    _said.trades = None
    _write()


def _trades(frame: Any) -> None:
    said = _table(frame)
    if _said.trial is not None and _said.trial["trades"] is None:
        _said.trial["trades"] = said
        _write()
    else:
        _said.trades = said


def _param(pair: tuple[Any, ...], values: dict[str, Any]) -> None:
    if len(pair) == 2 and isinstance(pair[0], str):
        values = {pair[0]: pair[1], **values}
    elif len(pair) == 1 and isinstance(pair[0], dict):
        values = {**{str(name): value for name, value in pair[0].items()}, **values}
    elif pair:
        raise _Wrong("takes name=value, a name and a value, or a dict")
    told = {name: plain(value) for name, value in values.items()}
    if _said.trial is not None and _said.trial["after"]:
        _said.trial["params"] |= told
        _write()
    else:
        _said.params |= told


def _write() -> None:
    told = {name: value for name, value in (_said.trial or {}).items() if name != "after"}
    call = SimpleNamespace(error=None, started_ns=time.time_ns(), duration_s=None)
    _book().trial(call, "peak_trade.record", **told)


# --- what it is said with -------------------------------------------------------------------------------------------


def _series(values: Any, index: Any) -> tuple[Any, Any, list[str]]:
    """Return times (ns), numbers and what was assumed, of whatever holds numbers over time."""
    import numpy as np

    if hasattr(values, "collect_schema") and hasattr(values, "collect"):  # polars, lazily
        values = values.collect()
    if index is None and hasattr(values, "index") and not callable(values.index):  # pandas
        index = values.index
    if hasattr(values, "columns"):
        index, values = _column(values, index)
    if isinstance(values, dict):
        index, values = (list(values), list(values.values())) if index is None else (index, list(values.values()))
    elif (
        isinstance(values, (list, tuple))
        and values
        and all(isinstance(v, (list, tuple)) and len(v) == 2 for v in values)
    ):
        index, values = [each[0] for each in values], [each[1] for each in values]
    try:
        numbers = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise _Wrong(f"takes numbers over time, not {type(values).__name__} of something else") from None
    if numbers.ndim != 1 or not len(numbers):
        raise _Wrong(f"takes one series of numbers, not an array of shape {list(numbers.shape)}")
    timestamp, notes = _times(np.arange(len(numbers)) if index is None else index)
    if len(timestamp) != len(numbers):
        raise _Wrong(f"has {len(numbers)} numbers and {len(timestamp)} times")
    order = np.argsort(timestamp, kind="stable")
    return timestamp[order], numbers[order], notes


def _column(frame: Any, index: Any) -> tuple[Any, Any]:
    """Of a frame, the one column of numbers (or the one that is called equity or returns), and its times."""
    names = list(frame.columns)
    kinds = {name: str(frame[name].dtype).lower() for name in names}
    dates = [name for name in names if kinds[name].startswith(("date", "timestamp"))]
    numbers = [name for name in names if kinds[name].startswith(("float", "int", "uint"))]
    named = [name for name in numbers if str(name).lower() in ("equity", "value", "returns", "return")]
    if len(named) != 1 and len(numbers) != 1:
        raise _Wrong(f"takes one series, and this frame has {len(numbers)} columns of numbers: choose one")
    if dates and (index is None or not str(getattr(index, "dtype", "")).startswith("datetime")):
        index = frame[dates[0]]
    return index, frame[(named if len(named) == 1 else numbers)[0]]


def _times(index: Any) -> tuple[Any, list[str]]:
    import numpy as np

    if hasattr(index, "dtype") or hasattr(index, "tz"):
        return stamps(index.to_numpy() if type(index).__module__.startswith("polars") else index)
    made, zoned = [], True
    for each in index:
        moment = datetime.fromisoformat(each) if isinstance(each, str) else each
        if isinstance(moment, date) and not isinstance(moment, datetime):
            moment = datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001 - taken as UTC, which is noted
        zoned = zoned and getattr(moment, "tzinfo", None) is not None
        if isinstance(moment, datetime) and moment.tzinfo is not None:
            moment = (moment - moment.utcoffset()).replace(tzinfo=None)  # type: ignore[operator]
        made.append(np.datetime64("NaT" if moment is None or moment != moment else moment, "ns"))  # noqa: PLR0124 - NaT is unlike itself
    return np.array(made, "M8[ns]").astype("<i8"), [] if zoned else [NO_ZONE]


def _table(frame: Any) -> dict[str, Any]:
    """Return columns of trades by the names of `TRADE`."""
    import numpy as np

    if hasattr(frame, "collect_schema") and hasattr(frame, "collect"):
        frame = frame.collect()
    if isinstance(frame, (list, tuple)) and all(isinstance(row, dict) for row in frame):
        frame = {name: [row.get(name) for row in frame] for row in frame[:1] for name in row}
    if not hasattr(frame, "columns") and not isinstance(frame, dict):
        raise _Wrong(f"takes a frame, a dict of columns or a list of dicts, not {type(frame).__name__}")
    names = frame if isinstance(frame, dict) else frame.columns
    there = {re.sub("[^a-z]", "", str(name).lower()): name for name in names}
    found = {ours: frame[there[name]] for ours, names in _COLUMNS.items() for name in names[::-1] if name in there}
    missing = [name for name in ("entry_time", "entry_price", "quantity") if name not in found]
    if missing:
        raise _Wrong(f"has no column {', '.join(missing)}; it has {', '.join(sorted(map(str, there.values())))}")
    told: dict[str, Any] = {}
    for name, values in found.items():
        if name in ("entry_time", "exit_time"):
            told[name] = _times(values)[0]
        elif TRADE[name] == "text":
            told[name] = [None if value is None or value != value else str(value) for value in values]  # noqa: PLR0124 - NaN is unlike itself
        elif name != "side":
            told[name] = np.array([np.nan if value is None else value for value in values], float)
    if "bars_held" in told:
        told["bars_held"] = np.where(np.isnan(told["bars_held"]), -1, told["bars_held"])
    told["side"] = _sides(found["side"]) if "side" in found else np.where(told["quantity"] < 0, -1, 1)
    told["quantity"] = np.abs(told["quantity"])
    told.setdefault("exit_time", np.full(len(told["quantity"]), NO_TIME))
    return told


def _sides(values: Iterable[Any]) -> list[int]:
    try:
        return [_SIDES[str(value).strip().lower()] for value in values]
    except KeyError as error:
        raise _Wrong(f"has a side that is neither long nor short: {error}") from None
