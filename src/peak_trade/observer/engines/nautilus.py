"""nautilus_trader: `BacktestEngine.run` and `end` after runs in batches.

The engine is compiled, and nothing of it can be replaced: a subclass takes its place in the module. Equity is what the
account's balance is, at each of its events; where the account pays for what it holds (a cash account) the balance is
none, and there is no equity.
"""

from __future__ import annotations

import hashlib
import time
from array import array

from ..spool import NO_TIME  # noqa: TID252 -- it is loaded under another name in a recorded process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from ..note import Note  # noqa: TID252 -- as in `frames`

_BARS = ("timestamp", "open", "high", "low", "close", "volume")
_UNMARKED = "equity is the account's balance: what open positions are worth between their fills is not in it"
_PAID = "a cash account's balance falls by what is bought: there is no equity, but what closed positions have earned"
_SEVERAL = "several accounts or currencies have no one equity"


def wrap(module: ModuleType, note: Note) -> None:
    """Put a subclass in place of the module's BacktestEngine."""
    from nautilus_trader import __version__ as version

    original = module.BacktestEngine

    class BacktestEngine(original):  # type: ignore[misc, valid-type]
        __doc__ = original.__doc__
        _began = 0

        def add_data(self, data: Any, *args: Any, **kwargs: Any) -> None:
            super().add_data(data, *args, **kwargs)
            with note.guard("nautilus_trader bars"):
                self.__dict__.setdefault("_given", []).append(data)

        def clear_data(self) -> None:
            super().clear_data()
            self.__dict__.pop("_given", None)

        def run(self, *args: Any, **kwargs: Any) -> None:
            self._began = self._began or time.time_ns()
            try:
                super().run(*args, **kwargs)
            except BaseException as error:
                with note.guard("nautilus_trader"):
                    header = _header(self, version) | {"status": "failed", "error": f"{type(error).__name__}: {error}"}
                    note.write("trial", header | _timed(self))
                self._began = 0
                raise

        def end(self) -> None:
            super().end()
            if self._began:
                with note.guard("nautilus_trader"):
                    _note(self, version, note)
                self._began = 0

    for name in ("__module__", "__qualname__", "__name__"):
        setattr(BacktestEngine, name, getattr(original, name))
    module.BacktestEngine = BacktestEngine  # type: ignore[attr-defined]
    note.engine("nautilus_trader", version)


def _timed(engine: Any) -> dict[str, Any]:
    return {"started_ns": engine._began, "duration_s": (time.time_ns() - engine._began) / 1e9}


def _header(engine: Any, version: str) -> dict[str, Any]:
    strategies = list(engine.trader.strategies())
    told = [one.config.json_primitives() for one in strategies]
    return {
        "engine": "nautilus_trader",
        "version": version,
        "call": "BacktestEngine.run",
        "strategy": ", ".join(dict.fromkeys(type(one).__name__ for one in strategies)),
        "params": told[0] if len(told) == 1 else {str(one.id): way for one, way in zip(strategies, told)},
        "status": "done",
    }


def _note(engine: Any, version: str, note: Note) -> None:
    cache = engine.cache
    header, columns = _header(engine, version) | _timed(engine), {}
    positions = [*cache.position_snapshots(), *cache.positions()]
    trades = [_trade(one) for one in positions if one.peak_qty.as_double()]
    for name, kind in _TRADE.items():
        columns[f"trade.{name}"] = (kind, [row[name] for row in trades])
    currency, cash, curve, said = _account(cache.accounts())
    if curve:
        columns["timestamp"] = ("i8", [at for at, _ in curve])
        columns["equity"] = ("f8", [total for _, total in curve])
    result = engine.get_result()
    own = dict(result.stats_returns)
    for code, figures in result.stats_pnls.items():
        own.update(figures if len(result.stats_pnls) == 1 else {f"{name} {code}": x for name, x in figures.items()})
    header.update(own=own, currency=currency, initial_cash=cash, notes=[said] if said else [], bars=[])
    header["symbols"] = sorted({str(one.instrument_id) for one in positions} | {str(i.id) for i in cache.instruments()})
    for symbol, timeframe, table in _series(engine.__dict__.get("_given", ())):
        parts = [table[name] for name in _BARS]
        key = hashlib.sha256(
            repr((symbol, timeframe)).encode() + b"".join(part.tobytes() for part in parts)
        ).hexdigest()
        if key not in _WRITTEN:
            _WRITTEN.add(key)
            kinds = {name: ("f8" if at else "i8", table[name]) for at, name in enumerate(_BARS)}
            note.write("bars", {"id": key, "symbol": symbol, "timeframe": timeframe}, kinds)
        header["bars"].append(key)
    note.write("trial", header, columns)


_WRITTEN: set[str] = set()
_TRADE = {
    "symbol": "text", "side": "i8", "entry_time": "i8", "entry_price": "f8", "exit_time": "i8", "exit_price": "f8",
    "quantity": "f8", "entry_fee": "f8", "exit_fee": "f8", "pnl": "f8", "return": "f8", "currency": "text",
}  # fmt: skip


def _trade(position: Any) -> dict[str, Any]:
    """Return a position as a trade: of its fills, those on the side that it was opened on are its entry."""
    closed = position.is_closed
    fees = {True: 0.0, False: 0.0}
    for fill in position.events:
        if fill.commission is not None:
            fees[fill.order_side == position.entry] += fill.commission.as_double()
    pnl = position.realized_pnl
    return {
        "symbol": str(position.instrument_id),
        "side": 1 if position.entry.name == "BUY" else -1,
        "entry_time": position.ts_opened,
        "entry_price": float(position.avg_px_open),
        "exit_time": position.ts_closed if closed else NO_TIME,
        "exit_price": float(position.avg_px_close) if closed else float("nan"),
        "quantity": position.peak_qty.as_double(),
        "entry_fee": fees[True],
        "exit_fee": fees[False] if closed else float("nan"),
        "pnl": pnl.as_double() if closed and pnl is not None else float("nan"),
        "return": float(position.realized_return) if closed else float("nan"),
        "currency": pnl.currency.code if pnl is not None else position.quote_currency.code,
    }


def _account(accounts: list[Any]) -> tuple[str, float | None, list[tuple[int, float]], str]:
    """Return currency, initial cash and balances of the one account, and what is to be said of them."""
    codes = {money.currency.code for one in accounts for event in one.events for money in _totals(event)}
    if len(accounts) != 1 or len(codes) != 1:
        return "", None, [], _SEVERAL
    (code,) = codes
    curve = [(event.ts_event, money.as_double()) for event in accounts[0].events for money in _totals(event)]
    cash = curve[0][1] if curve else None
    if accounts[0].is_cash_account:
        return code, cash, [], _PAID
    return code, cash, curve, _UNMARKED


def _totals(event: Any) -> list[Any]:
    return [balance.total for balance in event.balances]


def _series(given: Any) -> list[tuple[str, str | None, dict[str, Any]]]:
    """Return the bars that the engine was given, of each kind of bar its own."""
    found: dict[str, Any] = {}
    for data in given:
        for bar in data:
            if type(bar).__name__ != "Bar":
                break
            rows = found.setdefault(
                str(bar.bar_type), (bar.bar_type, {name: array("d") for name in _BARS[1:]}, array("q"))
            )
            rows[2].append(bar.ts_event)
            for name in _BARS[1:]:
                rows[1][name].append(float(getattr(bar, name)))
    return [
        (str(kind.instrument_id), _timeframe(kind.spec), {"timestamp": times, **prices})
        for kind, prices, times in found.values()
    ]


_UNITS = {"SECOND": "s", "MINUTE": "m", "HOUR": "h", "DAY": "d", "WEEK": "w", "MONTH": "M"}


def _timeframe(spec: Any) -> str | None:
    unit = _UNITS.get(str(spec).split("-")[1])
    return f"{spec.step}{unit}" if unit else None
