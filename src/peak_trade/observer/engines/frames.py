"""What an adapter writes: bars that an engine was given, and a trial a call, in the words of the spool's contract."""

from __future__ import annotations

import hashlib
import math
import re
import sys
from array import array
from datetime import date, timedelta

from ..spool import NO_TIME, _encode  # noqa: TID252 -- it is loaded under another name in a recorded process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["NO_TIME", "NO_ZONE", "Book", "attributes", "flat", "plain", "rounds", "stamps"]

NO_ZONE = "times without a zone are taken as UTC"
TRADE = {
    "symbol": "text",
    "side": "i8",
    "entry_time": "i8",
    "entry_price": "f8",
    "exit_time": "i8",
    "exit_price": "f8",
    "quantity": "f8",
    "entry_fee": "f8",
    "exit_fee": "f8",
    "slippage": "f8",
    "pnl": "f8",
    "return": "f8",
    "bars_held": "i8",
    "exit_reason": "text",
    "currency": "text",
    "group": "text",
}
DAY = 86_400 * 10**9


class Book:
    """The trials of one engine in this process. It says that the engine is watched, and as which version."""

    def __init__(self, note: Any, engine: str, which: str = "") -> None:
        self.note, self.engine, self.version = note, engine, which or version(engine)
        self._known: set[str] = set()
        self._written = 0
        note.engine(engine, self.version)

    @classmethod
    def of(cls, note: Any, engine: str) -> Book:
        """Return the engine's one book, which several of its modules write to."""
        if engine not in _books:
            _books[engine] = cls(note, engine)
        return _books[engine]

    def counted(self, name: str, seen: Any) -> Any:
        """Return `seen(call)`; where it breaks before it has written a trial, the call is one all the same."""

        def read(call: Any) -> None:
            before = self._written
            try:
                seen(call)
            except Exception as error:
                if self._written == before:
                    reason = f"what came of it could not be read: {type(error).__name__}: {error}"
                    self.trial(call, name, notes=[reason[:300]])
                raise

        return read

    def bars(self, symbol: str, timestamp: Any, columns: dict[str, Any]) -> str:
        """Write bars (any of open, high, low, close, volume) unless they are already, and return their id."""
        nothing = array("d", [math.nan]) * len(timestamp)
        parts: dict[str, tuple[str, Any]] = {"timestamp": ("i8", timestamp)}
        for name in ("open", "high", "low", "close", "volume"):
            values = columns.get(name)
            parts[name] = "f8", nothing if values is None else values
        hashed = hashlib.blake2b(symbol.encode("utf-8", "replace"), digest_size=16)
        for form, values in parts.values():
            hashed.update(_encode(form, values))
        name = hashed.hexdigest()
        if name not in self._known:  # a forked child's parent has written what is known here
            self._known.add(name)
            self.note.write("bars", {"id": name, "symbol": symbol, "timeframe": None}, parts)
        return name

    def trial(
        self,
        call: Any,
        name: str,
        *,
        timestamp: Any = (),
        equity: Any = (),
        position: Any = None,
        trades: dict[str, Any] | None = None,
        **told: Any,
    ) -> None:
        """Write what came of a call; `trades` are columns by the names of `TRADE`, `told` what else the header has."""
        error = "" if call.error is None else f"{type(call.error).__name__}: {call.error}"[:2000]
        header = {
            "engine": self.engine,
            "version": self.version,
            "call": name,
            "column": None,
            "label": "",
            "strategy": "",
            "params": {},
            "own": {},
            "symbols": [],
            "bars": [],
            "currency": None,
            "initial_cash": None,
            "status": "failed" if error else "done",
            "error": error,
            "started_ns": call.started_ns,
            "duration_s": call.duration_s,
            "notes": [],
        }
        columns: dict[str, tuple[str, Any]] = {"timestamp": ("i8", timestamp), "equity": ("f8", equity)}
        if position is not None:
            columns["position"] = "f8", position
        for column, values in (trades or {}).items():
            columns["trade." + column] = TRADE[column], values
        self.note.write("trial", {**header, **told}, columns)
        self._written += 1


_books: dict[str, Book] = {}


def version(package: str) -> str:
    """Return the version that a package says it has, else the one that was installed, else nothing."""
    said = getattr(sys.modules.get(package), "__version__", None)
    if isinstance(said, str):
        return said
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def stamps(values: Any) -> tuple[Any, list[str]]:
    """Return times in ns since 1970, UTC, of a pandas index or column (NaT: NO_TIME), and what was assumed."""
    import numpy as np

    if str(getattr(values, "dtype", "")).startswith("period"):
        values = getattr(values, "dt", values).to_timestamp()
    zone = getattr(values, "tz", None) or getattr(getattr(values, "dt", None), "tz", None)
    if zone is not None:
        values = (values if hasattr(values, "tz") else values.dt).tz_convert("UTC")
        values = (values if hasattr(values, "tz") else values.dt).tz_localize(None)
    array = np.asarray(values)
    if array.dtype.kind == "O":  # dates, and what pandas has not made times of
        try:
            array = array.astype("datetime64[ns]")
        except (TypeError, ValueError):
            array = np.arange(len(array))
    if array.dtype.kind == "M":
        return array.astype("datetime64[ns]").astype("<i8"), [] if zone is not None else [NO_ZONE]
    return np.arange(len(array)) * DAY, ["the bars have no times: they are numbered as days since 1970-01-01"]


def plain(value: Any, depth: int = 0) -> Any:
    """Return what JSON can hold: 10 of NumPy is 10, what is not finite has no number, an object is its name."""
    if isinstance(value, timedelta) or str(getattr(value, "dtype", "")).startswith("timedelta64"):
        return _span(value)
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if value is None or isinstance(value, (bool, int)):
        return value if value is None or isinstance(value, bool) or abs(value) < 1 << 63 else str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else (None if math.isnan(value) else str(float(value)))
    if isinstance(value, str):
        return str(value)[:2000]
    if value is getattr(sys.modules.get("pandas"), "NaT", plain):
        return None
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict) and depth < 4 and len(value) <= 200:
        return {str(key): plain(each, depth + 1) for key, each in value.items()}
    if isinstance(value, (list, tuple, range)) and depth < 4 and len(value) <= 200:
        return [plain(each, depth + 1) for each in value]
    if isinstance(value, (set, frozenset)) and depth < 4 and len(value) <= 200:
        return sorted((plain(each, depth + 1) for each in value), key=repr)
    if isinstance(value, (dict, list, tuple, range, set, frozenset)):
        return f"{type(value).__name__} of {len(value)}"
    if hasattr(value, "tobytes") and hasattr(value, "shape"):
        return _array(value, value.tobytes(), depth)
    if hasattr(value, "to_numpy"):
        return _array(value.to_numpy(), value.to_numpy().tobytes(), depth)
    if isinstance(value, type) or hasattr(value, "__code__"):
        return f"{value.__module__}.{value.__qualname__}"
    shown: Any = type(value).__repr__
    if shown is object.__repr__:
        return type(value).__qualname__
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))[:200]


def _span(value: Any) -> str:
    pandas = sys.modules.get("pandas")
    return str(value if pandas is None else pandas.Timedelta(value))


def _array(array: Any, content: bytes, depth: int) -> Any:
    if array.size <= 32 and depth < 4:
        return plain(array.tolist(), depth + 1)
    return f"{array.dtype} {list(array.shape)} {hashlib.blake2b(content, digest_size=8).hexdigest()}"


def attributes(strategy: type, base: type) -> dict[str, Any]:
    """Return a strategy class's own settings: its public attributes that are numbers, words or lists of them."""
    found: dict[str, Any] = {}
    for kind in reversed(strategy.__mro__):
        if kind is not base and issubclass(kind, base):
            for name, value in vars(kind).items():
                if not name.startswith("_") and isinstance(value, (bool, int, float, str, list, tuple, type(None))):
                    found[name] = plain(value)
                elif not name.startswith("_") and type(value).__module__ == "numpy" and hasattr(value, "item"):
                    found[name] = plain(value)
                else:
                    found.pop(name, None)
    return found


def flat(name: str, value: Any) -> dict[str, Any]:
    """Return figures within figures under names with dots, as {"sharpe.sharperatio": 0.5}."""
    if not isinstance(value, dict):
        return {name: plain(value)}
    if len(value) > 200:
        return {}
    return {key: each for part, inner in value.items() for key, each in flat(f"{name}.{part}", inner).items()}


def rounds(fills: Any) -> dict[str, list[Any]]:
    """Return trades made of fills (symbol, time, price, quantity: bought above 0) of an engine that has fills alone.

    A trade goes from no position to none of its symbol, at the mean prices of what was bought and of what was sold; a
    fill that turns a position is the end of one and the start of another. Those still open come last.
    """
    columns = ("symbol", "side", "entry_time", "entry_price", "exit_time", "exit_price", "quantity", "pnl", "bars_held")
    trades: dict[str, list[Any]] = {name: [] for name in columns}
    held: dict[str, list[Any]] = {}

    def end(symbol: str, time: int | None) -> None:
        side, since, entered, cost, left, got = held.pop(symbol)
        mean = got / left if left else math.nan
        done = time is not None
        row = (symbol, side, since, cost / entered, time if done else NO_TIME, mean if done else math.nan, entered,
               side * (got - cost) if done else math.nan, -1)  # fmt: skip
        for name, value in zip(columns, row):
            trades[name].append(value)

    for symbol, time, price, quantity in fills:
        now = held.get(symbol)
        if now is not None and (quantity > 0) != (now[0] > 0):
            part = min(abs(quantity), now[2] - now[4])
            now[4], now[5] = now[4] + part, now[5] + part * price
            quantity = math.copysign(abs(quantity) - part, quantity)
            if now[2] - now[4] <= 1e-9 * now[2]:
                end(symbol, time)
            if abs(quantity) <= 1e-12 * part:
                continue
        now = held.setdefault(symbol, [1 if quantity > 0 else -1, time, 0.0, 0.0, 0.0, 0.0])
        now[2], now[3] = now[2] + abs(quantity), now[3] + abs(quantity) * price
    for symbol in list(held):
        end(symbol, None)
    return trades
