"""freqtrade: `Backtesting.backtest`, once for each strategy, and once for each epoch of a hyperopt, in its workers.

A backtest keeps what the wallet was worth, which is its equity; a hyperopt keeps nothing, and has what its trades had
earned at their exits. The parameters of a trial are those of its epoch, or the strategy's own.
"""

from __future__ import annotations

import hashlib
import threading
import time

from ..wrapping import watch  # noqa: TID252 -- as in `frames`

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType
    from typing import Any

    from ..note import Note  # noqa: TID252 -- as in `frames`

_BARS = ("open", "high", "low", "close", "volume")
_REASONS = {
    "stop_loss": "stop_loss", "trailing_stop_loss": "trailing_stop", "roi": "take_profit", "exit_signal": "signal",
    "force_exit": "end_of_data",
}  # fmt: skip
_WRITTEN: set[str] = set()


class _Epoch(threading.local):
    """What a hyperopt's epoch, which is around a backtest, has to add to it."""

    params: dict[str, Any] | None = None
    noted: tuple[dict[str, Any], dict[str, Any]] | None = None

    def begin(self, params: dict[str, Any]) -> None:
        self.params, self.noted = dict(params), None

    def end(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        noted, self.params, self.noted = self.noted, None, None
        return noted


_EPOCH = _Epoch()


def wrap(module: ModuleType, note: Note) -> None:
    """Watch `Backtesting.backtest` of the module."""
    from freqtrade import __version__ as version

    def backtest(self: Any, processed: Any, start_date: Any, end_date: Any) -> Generator[None, Any, None]:
        began, strategy = time.time_ns(), self.strategy
        header = {
            "engine": "freqtrade",
            "version": version,
            "call": "Backtesting.backtest",
            "strategy": strategy.get_strategy_name(),
            "params": _params(strategy) if _EPOCH.params is None else dict(_EPOCH.params),
            "symbols": sorted(processed),
            "currency": str(self.config["stake_currency"]),
            "status": "done",
            "started_ns": began,
            "bars": [],
        }
        with note.guard("freqtrade bars"):  # the engine takes them out while it runs
            header["bars"] = [
                _note_bars(pair, table, self.timeframe, note) for pair, table in sorted(processed.items())
            ]
        try:
            found = yield
        except BaseException as error:
            header["error"] = f"{type(error).__name__}: {error}"
            note.write("trial", {**header, "status": "failed", "duration_s": (time.time_ns() - began) / 1e9})
            raise
        header["duration_s"] = (time.time_ns() - began) / 1e9
        wallet = self.config.get("dry_run_wallet")
        whole = isinstance(wallet, (int, float))
        header["initial_cash"] = float(wallet if whole else self.wallets.get_starting_balance())
        equity = _equity(found.get("wallet_summary"), float(found["final_balance"]))
        columns = {**_trades(found["results"], header["currency"]), **equity}
        if _EPOCH.params is not None:
            _EPOCH.noted = header, columns  # the epoch knows the figures
            return
        with note.guard("freqtrade figures"):
            header["own"] = _figures(self, sorted(header["symbols"]), found, start_date, end_date)
        note.write("trial", header, columns)

    watch(module.Backtesting, "backtest", backtest, note)
    note.engine("freqtrade", version)


def wrap_hyperopt(module: ModuleType, note: Note) -> None:
    """Watch the epochs of `HyperOptimizer`."""

    def generate_optimizer(self: Any, params_dict: dict[str, Any]) -> Generator[None, Any, None]:
        _EPOCH.begin(params_dict)
        result: Any = None
        try:
            result = yield
        finally:
            noted = _EPOCH.end()
            if noted is not None:
                header, columns = noted
                if result is not None:
                    header["own"] = {**_numbers(result.get("results_metrics", {})), "loss": result.get("loss")}
                note.write("trial", header, columns)

    watch(module.HyperOptimizer, "generate_optimizer", generate_optimizer, note)


def _params(strategy: Any) -> dict[str, Any]:
    told = {name: one.value for name, one in strategy.enumerate_parameters()}
    return {**told, "stoploss": strategy.stoploss, "minimal_roi": dict(strategy.minimal_roi)}


def _numbers(figures: Any) -> dict[str, Any]:
    return {name: value for name, value in figures.items() if isinstance(value, (int, float))}


def _figures(backtesting: Any, pairs: list[str], found: Any, start: Any, end: Any) -> dict[str, Any]:
    """Return the figures that freqtrade makes of a result when all strategies have run, from a copy."""
    from freqtrade.optimize.optimize_reports.optimize_reports import generate_strategy_stats

    now = int(time.time())
    copied = {name: one.copy() if hasattr(one, "copy") else one for name, one in found.items()}
    content = {"run_id": "", "backtest_start_time": now, "backtest_end_time": now, **copied}
    name = backtesting.strategy.get_strategy_name()
    return _numbers(generate_strategy_stats(pairs, name, content, start, end, market_change=0.0))


def _trades(table: Any, currency: str) -> dict[str, tuple[str, Any]]:
    sides = [-1 if short else 1 for short in table["is_short"]]
    columns = {
        "symbol": ("text", table["pair"].tolist()),
        "side": ("i8", sides),
        "entry_time": ("i8", [int(ms) * 1_000_000 for ms in table["open_timestamp"]]),
        "exit_time": ("i8", [int(ms) * 1_000_000 for ms in table["close_timestamp"]]),
        "entry_price": ("f8", table["open_rate"].tolist()),
        "exit_price": ("f8", table["close_rate"].tolist()),
        "quantity": ("f8", table["amount"].tolist()),
        "entry_fee": ("f8", (table["fee_open"] * table["open_rate"] * table["amount"]).tolist()),
        "exit_fee": ("f8", (table["fee_close"] * table["close_rate"] * table["amount"]).tolist()),
        "pnl": ("f8", table["profit_abs"].tolist()),
        "exit_reason": ("text", [_REASONS.get(reason, reason) for reason in table["exit_reason"]]),
        "currency": ("text", [currency] * len(sides)),
    }
    return {f"trade.{name}": column for name, column in columns.items()}


def _equity(wallet: Any, final: float) -> dict[str, tuple[str, Any]]:
    """Return what all that is in the wallet was worth, at each time; at the last, after what was open is closed."""
    if wallet is None or not len(wallet):
        return {}
    worth = (wallet["rate"] * wallet["balance"]).groupby(wallet["date"]).sum()
    times = worth.index.tz_convert("UTC").tz_localize(None).to_numpy().astype("M8[ns]").view("i8")
    values = worth.to_numpy().astype("f8").copy()
    values[-1] = final
    return {"timestamp": ("i8", times), "equity": ("f8", values)}


def _note_bars(pair: str, table: Any, timeframe: str, note: Note) -> str:
    times = table["date"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("M8[ns]").view("i8")
    columns = {"timestamp": ("i8", times)}
    columns.update({name: ("f8", table[name].to_numpy().astype("f8")) for name in _BARS})
    parts = b"".join(column.tobytes() for _, column in columns.values())
    key = hashlib.sha256(f"{pair} {timeframe}".encode() + parts).hexdigest()
    if key not in _WRITTEN:
        _WRITTEN.add(key)
        note.write("bars", {"id": key, "symbol": pair, "timeframe": timeframe}, columns)
    return key
