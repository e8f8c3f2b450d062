"""vectorbt: each call of `Portfolio.from_…` is seen, and each column of it is a trial (each group that shares cash).

What numba compiles (`simulate_…_nb` called by hand) can't be seen from Python.
"""

from __future__ import annotations

from .frames import NO_TIME, Book, plain, stamps
from .tap import tap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CALLS = ("from_signals", "from_orders", "from_order_func", "from_holding", "from_random_signals")
SYMBOL = ("symbol", "symbols", "asset", "assets", "ticker", "tickers", "instrument", "pair")
PRICES = ("open", "high", "low", "close", "adj close", "price", "volume")
KEPT = 1 << 29
"""Bytes of equity that a call's columns may have: of those after, there are figures alone."""


def wrap(module: Any, note: Any) -> None:
    """Take the module `vectorbt.portfolio.base`."""
    book = Book.of(note, "vectorbt")
    for name in CALLS:
        if name in vars(module.Portfolio):
            tap(vars(module.Portfolio)[name].__func__, note, "vectorbt.Portfolio", _seen(book, f"Portfolio.{name}"))


def _seen(book: Book, name: str) -> Any:
    def seen(call: Any) -> None:
        given = {
            key: plain(value)
            for key, value in {**call.arguments, **call.arguments.get("kwargs", {})}.items()
            if isinstance(value, (bool, int, float, str)) and key not in ("freq", "engine")
        }
        if call.error is not None:
            return book.trial(call, name, params=given)
        for index, told in enumerate(_columns(book, call.result, call.arguments.get("close"))):
            told["params"] = {**given, **told["params"]}
            book.trial(call, name, column=index, **told)
        return None

    return book.counted(name, seen)


def _columns(book: Book, made: Any, close: Any) -> Any:
    import numpy as np

    wrapper = made.wrapper
    timestamp, notes = stamps(wrapper.index)
    symbols, levels = _names(wrapper.columns, close)
    value = np.asarray(made.value()).reshape(len(timestamp), -1)
    # A group with shared cash is one account of several columns; of one without, each column has its own.
    shared = bool(getattr(made, "cash_sharing", False)) and wrapper.grouper.is_grouped()
    if wrapper.grouper.is_grouped() and not shared:
        made = made.regroup(False)
        value = np.asarray(made.value()).reshape(len(timestamp), -1)
    groups = wrapper.grouper.get_groups() if shared else np.arange(value.shape[1])
    names = wrapper.grouper.get_columns() if shared else wrapper.columns
    cash = np.broadcast_to(np.asarray(made.init_cash, float), (value.shape[1],))
    figures = _figures(made, value.shape[1])
    records = made.trades.values
    order = np.argsort(groups[records["col"]], kind="stable")
    ends = np.searchsorted(groups[records["col"]][order], np.arange(value.shape[1] + 1))
    bars: dict[int, str] = {}
    prices = np.asarray(made.close, float).reshape(len(timestamp), -1)
    kept = KEPT // max(1, 16 * len(timestamp))
    first: dict[str, int] = {}
    for index in range(value.shape[1]):
        columns = np.flatnonzero(groups == index).tolist() if shared else [index]
        for column in columns:
            # The same price beside other parameters is hashed once.
            twin = first.get(symbols[column])
            if twin is not None and np.array_equal(prices[:, twin], prices[:, column], equal_nan=True):
                bars[column] = bars[twin]
            else:
                first[symbols[column]] = column
                bars[column] = book.bars(symbols[column], timestamp, {"close": prices[:, column]})
        common = [level for level in levels if len({repr(levels[level][column]) for column in columns}) == 1]
        beyond = index >= kept
        yield {
            "label": " ".join(map(str, plain(names[index] if isinstance(names[index], tuple) else [names[index]]))),
            "params": {level: levels[level][columns[0]] for level in common},
            "own": {name: plain(values[index]) for name, values in figures.items()},
            "symbols": [symbol for symbol in dict.fromkeys(symbols[column] for column in columns) if symbol],
            "bars": list(dict.fromkeys(bars[column] for column in columns)),
            "initial_cash": plain(cash[index]),
            "notes": [*notes, *(["equity is not kept of so many columns"] if beyond else [])],
            "timestamp": () if beyond else timestamp,
            "equity": () if beyond else value[:, index],
            "trades": _trades(records[order[ends[index] : ends[index + 1]]], symbols, timestamp),
        }


def _names(columns: Any, close: Any) -> tuple[list[str], dict[str, list[Any]]]:
    """Return the symbol of each column, and what the other levels of their names say: the parameters."""
    of_close = getattr(close, "columns", None)
    known = set(map(str, getattr(of_close, "names", None) or ()))
    symbols = [""] * len(columns)
    levels: dict[str, list[Any]] = {}
    for number, name in enumerate(columns.names):
        values = list(columns.get_level_values(number))
        words = all(isinstance(value, str) for value in values)
        if str(name).lower() in SYMBOL or (words and (name is None or (of_close is not None and str(name) in known))):
            symbols = ["" if str(value).lower() in PRICES else str(value) for value in values]
        elif name is not None or (not words and len(columns) > 1):
            levels[str(name if name is not None else f"level_{number}")] = [plain(value) for value in values]
    name = getattr(close, "name", None)
    if isinstance(name, str) and name.lower() not in PRICES and not any(symbols):
        symbols = [name] * len(columns)
    return symbols, levels


def _figures(made: Any, width: int) -> dict[str, Any]:
    """What `stats()` shows of the account, by its names: those that come for all columns at once."""
    import numpy as np

    told: dict[str, Any] = {
        "Total Return [%]": lambda: np.asarray(made.total_return()) * 100,
        "Max Drawdown [%]": lambda: -np.asarray(made.max_drawdown()) * 100,
    }
    if made.wrapper.freq is not None:
        told["Sharpe Ratio"] = lambda: np.asarray(made.sharpe_ratio())
    return {name: np.broadcast_to(figure(), (width,)) for name, figure in told.items()}


def _trades(records: Any, symbols: list[str], timestamp: Any) -> dict[str, Any]:
    import numpy as np

    closed = records["status"] == 1

    def exits(name: str) -> Any:
        return np.where(closed, records[name], np.nan)

    return {
        "symbol": [symbols[column] or None for column in records["col"]],
        "side": 1 - 2 * records["direction"].astype("i8"),
        "entry_time": timestamp[records["entry_idx"]],
        "entry_price": records["entry_price"],
        "exit_time": np.where(closed, timestamp[records["exit_idx"]], NO_TIME),
        "exit_price": exits("exit_price"),
        "quantity": records["size"],
        "entry_fee": records["entry_fees"],
        "exit_fee": exits("exit_fees"),
        "pnl": exits("pnl"),
        "return": exits("return"),
        "bars_held": np.where(closed, records["exit_idx"] - records["entry_idx"], -1),
        "group": [str(parent) for parent in records["parent_id"]],
    }
