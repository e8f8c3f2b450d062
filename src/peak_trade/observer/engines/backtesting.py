"""backtesting.py: each `Backtest.run` is a trial, also in the workers of `optimize` and `MultiBacktest`."""

from __future__ import annotations

from functools import partial

from .frames import NO_TIME, Book, attributes, plain, stamps
from .tap import tap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PICKS = ("_optimize_grid", "_optimize_skopt", "_optimize_sambo")
"""Within `optimize`, what runs the best combination once more."""


def wrap(module: Any, note: Any) -> None:
    """Take the module `backtesting.backtesting`."""
    book = Book.of(note, "backtesting")
    tap(module.Backtest.run, note, "backtesting.Backtest.run", _seen(book, module.Strategy))
    # The parent writes the bars, so that its workers need not, each for itself.
    tap(module.Backtest.optimize, note, "backtesting.Backtest.optimize", lambda call: None, partial(_bars, book))


def wrap_lib(module: Any, note: Any) -> None:
    """Take the module `backtesting.lib`, whose fractional backtest changes what `Backtest.run` returns."""
    fractional = getattr(module, "FractionalBacktest", None)
    if fractional is not None and "run" in vars(fractional):
        tap(fractional.run, note, "backtesting.Backtest.run", _seen(Book.of(note, "backtesting"), module.Strategy))


def _bars(book: Book, call: Any) -> tuple[str, Any, list[str]]:
    data = call.arguments["self"]._data
    timestamp, notes = stamps(data.index)
    columns = {
        name.lower(): data[name].to_numpy() for name in ("Open", "High", "Low", "Close", "Volume") if name in data
    }
    return book.bars("", timestamp, columns), timestamp, notes


def _seen(book: Book, base: Any) -> Any:
    def seen(call: Any) -> None:
        test, given = call.arguments["self"], call.arguments.get("kwargs", {})
        bars, timestamp, notes = _bars(book, call)
        strategy = test._strategy
        told: dict[str, Any] = {
            "strategy": strategy.__qualname__,
            "params": {**attributes(strategy, base), **{key: plain(value) for key, value in given.items()}},
            "bars": [bars],
            "initial_cash": plain(getattr(test._broker, "keywords", {}).get("cash")),
            "repeated": call.caller in PICKS,
            "notes": notes,
        }
        if call.error is not None:
            return book.trial(call, "Backtest.run", **told)
        stats = call.result
        told["label"] = str(stats["_strategy"])
        told["own"] = {str(name): plain(value) for name, value in stats.items() if not str(name).startswith("_")}
        broker, rows = stats["_strategy"]._broker, stats["_trades"]
        unit = getattr(test, "_fractional_unit", 1)
        trades = _trades(rows, broker.trades, timestamp, unit)
        if "Commission" in rows:
            told["notes"] = [*notes, *_fees(trades, rows, broker)]
        return book.trial(
            call,
            "Backtest.run",
            timestamp=timestamp,
            equity=stats["_equity_curve"]["Equity"].to_numpy(),
            trades=trades,
            **told,
        )

    return book.counted("Backtest.run", seen)


def _trades(rows: Any, left: list[Any], timestamp: Any, unit: float) -> dict[str, Any]:
    """Columns of the closed trades, then of those still open, of which only the entry is known."""
    import numpy as np

    nothing = [np.nan] * len(left)
    size = np.array([*rows["Size"], *(trade.size * unit for trade in left)], float)
    entered = [*rows["EntryBar"], *(trade.entry_bar for trade in left)]
    tags = [*rows["Tag"], *(trade.tag for trade in left)] if "Tag" in rows else [None] * len(size)
    return {
        "side": np.sign(size),
        "quantity": np.abs(size),
        "entry_time": timestamp[np.array(entered, "i8")],
        "entry_price": np.array([*rows["EntryPrice"], *(trade.entry_price / unit for trade in left)], float),
        "exit_time": np.array([*timestamp[rows["ExitBar"].to_numpy().astype("i8")], *[NO_TIME] * len(left)], "i8"),
        "exit_price": np.array([*rows["ExitPrice"], *nothing], float),
        "pnl": np.array([*rows["PnL"], *nothing], float),
        "return": np.array([*rows["ReturnPct"], *nothing], float),
        "bars_held": np.array([*(rows["ExitBar"] - rows["EntryBar"]), *[-1] * len(left)], "i8"),
        "group": [None if str(tag) in ("None", "nan") else str(tag) for tag in tags],
    }


def _fees(trades: dict[str, Any], rows: Any, broker: Any) -> list[str]:
    """Add the fees of entry and exit, as the broker's own formula has them; a function of the user's is not called."""
    import numpy as np

    fee, quantity, entry, exit_ = broker._commission, trades["quantity"], trades["entry_price"], trades["exit_price"]
    if getattr(fee, "__func__", None) is not getattr(type(broker), "_commission_func", fee):
        left = [np.nan] * (len(quantity) - len(rows))
        trades["entry_fee"] = np.zeros(len(quantity))
        trades["exit_fee"] = np.array([*rows["Commission"], *left], float)
        return ["the commission of a trade is known as a sum: it stands at the exit"]
    trades["entry_fee"] = np.array([fee(size, price) for size, price in zip(quantity, entry)], float)
    trades["exit_fee"] = np.array([fee(size, price) for size, price in zip(quantity, exit_)], float)
    return []
