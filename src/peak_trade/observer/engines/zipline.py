"""zipline-reloaded: `TradingAlgorithm.run`, which `run_algorithm` and the command line end in.

Equity is the portfolio's value at each day's end, trades are its transactions paired first in, first out, with the
commissions of their orders. It names no parameters: they are in the script's own variables.
"""

from __future__ import annotations

import hashlib
import time
from importlib import metadata

from ..wrapping import watch  # noqa: TID252 -- as in `frames`
from . import fills

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType
    from typing import Any

    from ..note import Note  # noqa: TID252 -- as in `frames`

_BARS = ("open", "high", "low", "close", "volume")
_OWN = (
    "sharpe", "sortino", "alpha", "beta", "max_drawdown", "algo_volatility", "algorithm_period_return",
    "benchmark_period_return", "benchmark_volatility", "max_leverage",
)  # fmt: skip
_WRITTEN: set[str] = set()


def wrap(module: ModuleType, note: Note) -> None:
    """Watch `TradingAlgorithm.run` of the module."""
    version = metadata.version("zipline-reloaded")  # the package itself is only half imported by now

    def run(self: Any, data_portal: Any = None) -> Generator[None, Any, None]:
        began = time.time_ns()
        portal = data_portal or self.data_portal  # which is gone after the run
        header = {
            "engine": "zipline",
            "version": version,
            "call": "TradingAlgorithm.run",
            "strategy": _named(self),
            "params": {},
            "status": "done",
            "started_ns": began,
            "currency": "USD",
            "initial_cash": float(self.sim_params.capital_base),
            "bars": [],
        }
        try:
            perf = yield
        except BaseException as error:
            header["error"] = f"{type(error).__name__}: {error}"
            note.write("trial", {**header, "status": "failed", "duration_s": (time.time_ns() - began) / 1e9})
            raise
        header["duration_s"] = (time.time_ns() - began) / 1e9
        last = perf.iloc[-1]
        header["own"] = {name: last[name] for name in _OWN if name in perf.columns}
        assets = {one["sid"] for day in perf["transactions"] for one in day}
        header["symbols"] = sorted(str(asset.symbol) for asset in assets)
        with note.guard("zipline bars"):
            header["bars"] = [_note_bars(portal, asset, self.sim_params, note) for asset in sorted(assets)]
        trades = fills.round_trips(_fills(perf), "USD")
        equity = {
            "timestamp": ("i8", _nanoseconds(perf["period_close"])),
            "equity": ("f8", perf["portfolio_value"].astype(float)),
        }
        note.write("trial", header, {**equity, **fills.columns(trades)})

    watch(module.TradingAlgorithm, "run", run, note)
    note.engine("zipline", version)


def _named(algorithm: Any) -> str:
    made = getattr(algorithm, "_initialize", None)
    script = getattr(algorithm, "algoscript", None)
    file = str(getattr(algorithm, "namespace", {}).get("__file__", "")) if script else ""
    return file or f"{getattr(made, '__module__', '')}.{getattr(made, '__qualname__', '')}".strip(".")


def _nanoseconds(times: Any) -> Any:
    return times.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("M8[ns]").view("i8")


def _fills(perf: Any) -> list[tuple[str, int, float, float, float]]:
    """Return the transactions, each with its share of its order's commission."""
    orders: dict[Any, tuple[float, float]] = {}
    for day in perf["orders"]:
        for order in day:  # each day tells of an order as it is by then
            orders[order["id"]] = (float(order["commission"] or 0.0), float(order["filled"] or 0.0))
    found = []
    for day in perf["transactions"]:
        for one in day:
            commission, filled = orders.get(one["order_id"], (float("nan"), 0.0))
            amount = float(one["amount"])
            fee = commission * abs(amount / filled) if filled else commission
            found.append((str(one["sid"].symbol), one["dt"].value, amount, float(one["price"]), fee))
    return found


def _note_bars(portal: Any, asset: Any, about: Any, note: Note) -> str:
    """Write the daily bars of an asset between the run's sessions, and return their id."""
    sessions = about.sessions
    table = {
        name: portal.get_history_window([asset], sessions[-1], len(sessions), "1d", name, "daily")[asset]
        for name in _BARS
    }
    times = table["close"].index
    times = (times.tz_convert("UTC").tz_localize(None) if times.tz is not None else times).to_numpy().astype("M8[ns]")
    columns = {"timestamp": ("i8", times.view("i8"))}
    columns.update({name: ("f8", table[name].to_numpy().astype("f8")) for name in _BARS})
    parts = b"".join(column.tobytes() for _, column in columns.values())
    key = hashlib.sha256(str(asset.symbol).encode() + parts).hexdigest()
    if key not in _WRITTEN:
        _WRITTEN.add(key)
        note.write("bars", {"id": key, "symbol": str(asset.symbol), "timeframe": "1d"}, columns)
    return key
