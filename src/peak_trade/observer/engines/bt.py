"""bt: each `Backtest` that is run is a trial."""

from __future__ import annotations

from .frames import Book, plain, rounds, stamps
from .tap import tap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ROUNDS = "a trade goes from no position to none, made of the fills, which are what bt has"
FEES = "bt has the fees of the account and not of a trade, so that no trade's pnl is known"


def wrap(module: Any, note: Any) -> None:
    """Take the module `bt.backtest`."""
    book = Book.of(note, "bt")
    # A second call of `run` on the same backtest does nothing.
    tap(module.Backtest.run, note, "bt.Backtest.run", _seen(book), lambda call: call.arguments["self"].has_run)


def _seen(book: Book) -> Any:
    def seen(call: Any) -> None:
        test = call.arguments["self"]
        if call.state:
            return None
        strategy = test.strategy
        told: dict[str, Any] = {
            "label": str(test.name),
            "strategy": type(strategy).__qualname__ if type(strategy).__module__ != "bt.core" else str(strategy.name),
            "params": _params(strategy),
            "initial_cash": plain(test.initial_capital),
        }
        if call.error is not None:
            return book.trial(call, "Backtest.run", **told)
        equity = strategy.values
        timestamp, notes = stamps(equity.index)
        names, fills = _fills(strategy)
        trades = rounds(fills)
        if trades["pnl"]:
            notes = [*notes, ROUNDS]
        if (strategy.fees != 0).any():
            notes, trades["pnl"] = [*notes, FEES], [float("nan")] * len(trades["pnl"])
        told["symbols"] = symbols = list(dict.fromkeys(names))
        data = test.data.iloc[1:]  # the first row is bt's own, of the day before
        own = {str(name): series for name, series in data.items()}
        at = timestamp[1:]
        told["bars"] = [book.bars(name, at, {"close": own[name].to_numpy(float)}) for name in symbols if name in own]
        figures = getattr(test.stats, "stats", None)
        told["own"] = {} if figures is None else {str(name): plain(value) for name, value in figures.items()}
        return book.trial(
            call, "Backtest.run", timestamp=timestamp, equity=equity.to_numpy(), trades=trades, **told, notes=notes
        )

    return book.counted("Backtest.run", seen)


def _fills(strategy: Any) -> tuple[list[str], Any]:
    """Return the symbols of its fills, and the fills; bt itself raises where there has been none."""
    if not len(strategy.positions.columns):
        return [], []
    traded = strategy.get_transactions()
    when, _ = stamps(traded.index.get_level_values("Date"))
    names = [str(name) for name in traded.index.get_level_values("Security")]
    return names, zip(names, when.tolist(), traded["price"].tolist(), traded["quantity"].tolist())


def _params(strategy: Any) -> dict[str, Any]:
    """What its algorithms are set to: {"algos": [names], "SelectN.n": 2}."""
    algos = list(getattr(getattr(strategy, "stack", None), "algos", ()))
    params: dict[str, Any] = {"algos": [type(algo).__name__ for algo in algos]}
    for algo in algos:
        for name, value in vars(algo).items():
            if not name.startswith("_") and name != "name" and isinstance(value, (bool, int, float, str, list, tuple)):
                params[f"{type(algo).__name__}.{name}"] = plain(value)
    return params
