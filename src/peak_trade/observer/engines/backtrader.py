"""backtrader: each `Cerebro.runstrategies` is a trial, also in the workers of `optstrategy`.

The account's value is read as a strategy comes to the end of each bar: its observers may be absent, doubled or cut.
"""

from __future__ import annotations

import sys
from math import nan

from .frames import NO_TIME, NO_ZONE, Book, flat, plain
from .tap import after, tap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EPOCH = 719_163  # the ordinal of 1970-01-01: backtrader's times are ordinals with a fraction
PRICES = ("open", "high", "low", "close", "volume")


def wrap(module: Any, note: Any) -> None:
    """Take the module `backtrader.cerebro`."""
    watch = Watch(Book.of(note, "backtrader"))
    strategy, trade = module.Strategy, sys.modules["backtrader.trade"].Trade
    for name in ("_next", "_oncepost"):
        after(vars(strategy)[name], note, f"backtrader.Strategy.{name}", watch.bar)
    tap(trade.update, note, "backtrader.Trade.update", watch.fill)
    tap(
        module.Cerebro.runstrategies,
        note,
        "backtrader.Cerebro.runstrategies",
        watch.book.counted("Cerebro.run", watch.ended),
    )


class Watch:
    """What is kept of the runs that are under way: an account's value by strategy, and the fills of each trade."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.marks: dict[int, Any] = {}  # times and values; of a strategy that is not the first, None
        self.fills: dict[int, list[tuple[Any, ...]]] = {}

    def bar(self, strategy: Any) -> None:
        """Mark the account; of several strategies, at the first."""
        marks: Any = self.marks.get(id(strategy))
        if marks is None:
            first = strategy is strategy.env.runningstrats[0]
            marks = self.marks[id(strategy)] = ([], []) if first else (None, None)
        if marks[0] is not None:
            marks[0].append(strategy.lines.datetime[0])
            marks[1].append(strategy.broker.getvalue())

    def fill(self, call: Any) -> None:
        """Keep one fill of a trade: its size, price and commission."""
        given = call.arguments
        if given["size"]:
            self.fills.setdefault(given["self"].ref, []).append((given["size"], given["price"], given["commission"]))

    def ended(self, call: Any) -> None:
        """Write the trial."""
        cerebro = call.arguments["self"]
        made = list(getattr(cerebro, "runningstrats", ()))
        marks = [self.marks.pop(id(strategy), ((), ())) for strategy in made]
        asked = list(call.arguments.get("iterstrat") or ())
        if not made and (call.error is None or not asked):
            return None  # each was skipped by StrategySkipError
        kinds = [type(strategy) for strategy in made] or [kind for kind, _, _ in asked]
        names = [kind.__qualname__ for kind in kinds]
        settings = [strategy.p._getkwargs() for strategy in made] or [dict(given) for _, _, given in asked]
        settings = [{key: plain(value) for key, value in given.items() if key[:1] != "_"} for given in settings]
        params = settings[0] if len(settings) == 1 else dict(zip(_distinct(names), settings))
        shown = (f"{name}({', '.join(f'{k}={v}' for k, v in given.items())})" for name, given in zip(names, settings))
        told: dict[str, Any] = {
            "strategy": ", ".join(names),
            "label": " ".join(shown),
            "params": params,
            "initial_cash": plain(getattr(cerebro.broker, "startingcash", None)),
        }
        if call.error is not None:
            return self.book.trial(call, "Cerebro.run", **told)
        told["own"] = {
            name: value
            for strategy in made
            for analyzer, one in zip(strategy.analyzers.getnames(), strategy.analyzers)
            for name, value in flat(analyzer, _analysis(one)).items()
        }
        told["notes"] = [NO_ZONE]
        told["symbols"] = [data._name for data in cerebro.datas if data._name]
        told["bars"] = [name for name in map(self._bars, cerebro.datas) if name]
        if len(told["bars"]) < len(cerebro.datas):
            told["notes"].append("its bars were not all in memory at the end")
        times, values = marks[0]
        return self.book.trial(
            call, "Cerebro.run", timestamp=_ns(times), equity=values, trades=self._trades(made), **told
        )

    def _bars(self, data: Any) -> str | None:
        times = list(data.lines.datetime.array)
        columns = {name: list(getattr(data.lines, name).array) for name in PRICES}
        whole = [index for index, time in enumerate(times) if time > 0]  # beyond the last there are NaN
        if len(whole) < len(data) or any(len(values) != len(times) for values in columns.values()):
            return None  # exactbars keeps the last ones alone
        kept = {name: [values[index] for index in whole] for name, values in columns.items()}
        return self.book.bars(data._name or "", _ns([times[index] for index in whole]), kept)

    def _trades(self, strategies: list[Any]) -> dict[str, Any]:
        found = [
            trade
            for strategy in strategies
            for by_id in strategy._trades.values()
            for trades in by_id.values()
            for trade in trades
            if trade.status != trade.Created
        ]
        rows = {name: [] for name in ("quantity", "entry_price", "exit_price", "entry_fee", "exit_fee")}  # type: Any
        for trade in found:
            fills = self.fills.pop(trade.ref, [])
            side = 1 if trade.long else -1
            entry = [(abs(size), price, fee) for size, price, fee in fills if size * side > 0]
            exit_ = [(abs(size), price, fee) for size, price, fee in fills if size * side < 0]
            for part, prefix in ((entry, "entry"), (exit_, "exit")):
                size = sum(size for size, _, _ in part)
                known = size and (prefix == "entry" or trade.isclosed)
                rows[prefix + "_price"].append(sum(s * p for s, p, _ in part) / size if known else nan)
                rows[prefix + "_fee"].append(sum(fee for _, _, fee in part) if known else nan)
            rows["quantity"].append(sum(size for size, _, _ in entry) or nan)
        closed = [trade.isclosed for trade in found]
        return {
            "symbol": [trade.getdataname() or None for trade in found],
            "side": [1 if trade.long else -1 for trade in found],
            "entry_time": _ns([trade.dtopen for trade in found]),
            "exit_time": [time if done else NO_TIME for time, done in zip(_ns([t.dtclose for t in found]), closed)],
            "pnl": [trade.pnlcomm if done else nan for trade, done in zip(found, closed)],
            "bars_held": [trade.barlen if done else -1 for trade, done in zip(found, closed)],
            **rows,
        }


def _ns(days: Any) -> list[int]:
    """Times in ns since 1970, as backtrader's `num2date` has them: within 10 µs of a second they are that second."""
    made = []
    for day in days:
        whole = int(day)
        hours, rest = divmod(24 * (day - whole), 1)
        minutes, rest = divmod(60 * rest, 1)
        seconds, rest = divmod(60 * rest, 1)
        micros = int(1e6 * rest)
        micros = 0 if micros < 10 else 1_000_000 if micros > 999_990 else micros
        total = (whole - EPOCH) * 86_400 + int(hours) * 3600 + int(minutes) * 60 + int(seconds)
        made.append((total * 1_000_000 + micros) * 1000)
    return made


def _distinct(names: list[str]) -> list[str]:
    return [name if names.count(name) == 1 else f"{name}.{index}" for index, name in enumerate(names)]


def _analysis(analyzer: Any) -> Any:
    try:
        return analyzer.get_analysis()
    except Exception:  # noqa: BLE001 -- the user's own, which may want what optreturn takes from it
        return None
