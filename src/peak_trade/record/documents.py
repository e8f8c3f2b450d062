"""Results as documents: freqtrade's, of a backtest or a hyperopt, and Lean's, in whatever version they are spelled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from peak_trade.errors import InputError, did_you_mean
from peak_trade.record.found import detect, unknown
from peak_trade.record.maps import TABLES
from peak_trade.record.parts import Asked, Part, of_table
from peak_trade.record.result import Result
from peak_trade.record.sheets import LARGEST
from peak_trade.record.sources import Source, columns_of
from peak_trade.text import counted, escaped

__all__ = ["of_documents"]

_NAMED, _LONG = 200, 100  # figures of an engine, and characters of a name
_DEEPEST = 4  # of parameters within parameters
_EPOCHS = 100_000


def of_documents(source: Source, asked: Asked) -> tuple[list[Part], list[Result]]:
    """Return what the documents of a file say, and the trials that they tell of. InputError where they are unknown."""
    trees = [(name, tree) for name, tree in source.documents if isinstance(tree, dict)]
    if source.kind == "lines" or (trees and _of(trees[0][1], "params_dict") is not None):
        if trees and _of(trees[0][1], "params_dict") is not None and _of(trees[0][1], "loss") is not None:
            return _hyperopt(source.name, [tree for _, tree in trees], asked)
    for _, tree in trees:
        if isinstance(strategies := _of(tree, "strategy"), dict) and strategies and asked.engine in ("", "freqtrade"):
            return _freqtrade(source, tree, strategies, asked)
    for _, tree in trees:
        lean = isinstance(_of(tree, "charts"), dict) or isinstance(_of(tree, "totalPerformance"), dict)
        if lean and asked.engine in ("", "lean"):
            return _lean(source.name, tree, asked), []
    sheets = [columns_of(rows, source.name) for _, tree in source.documents if (rows := _rows(tree))]
    if source.kind == "lines" and trees:
        sheets = [columns_of([tree for _, tree in trees], source.name)]
    for sheet in sheets:
        if found := detect(sheet, TABLES, asked.engine):
            return [of_table(found, asked)], []
    if any(isinstance(tree, list) and tree and isinstance(tree[0], list) for _, tree in source.documents):
        raise InputError(
            f"{source.name} is a list of lists, as freqtrade wrote it before 2020: it does not say what is what",
            hint="run the backtest again with a later version",
        )
    raise unknown(source.name, sheets, TABLES, asked.engine)


def _rows(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        tree = next((tree[key] for key in ("trades", "data") if isinstance(tree.get(key), list)), [])
    return tree if isinstance(tree, list) and tree and isinstance(tree[0], dict) else []


def _of(tree: Any, name: str) -> Any:
    """Return what a document has under a name, however that is spelled: `TotalPerformance` is `totalPerformance`."""
    if not isinstance(tree, dict):
        return None
    if name in tree:
        return tree[name]
    return next((value for key, value in tree.items() if isinstance(key, str) and key.lower() == name.lower()), None)


def _figures(tree: Any) -> dict[str, Any]:
    """Return the figures of a document: its numbers, and texts that are one."""
    figures: dict[str, Any] = {}
    for key, value in tree.items() if isinstance(tree, dict) else ():
        if len(figures) < _NAMED and isinstance(key, str) and (number := _figure(value)) is not None:
            figures[key[:_LONG]] = number
    return figures


def _figure(value: Any) -> Any:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value if abs(value) < LARGEST and math.isfinite(value) else None
    if isinstance(value, str) and len(value) < 40 and any(map(str.isdigit, value)):
        try:
            number = float(value)
        except ValueError:
            return value
        return number if abs(number) < LARGEST else None
    return None


def _settings(tree: Any, depth: int = 0) -> dict[str, Any]:
    """Return parameters as JSON can have them, those within others by both names."""
    found: dict[str, Any] = {}
    for key, value in tree.items() if isinstance(tree, dict) else ():
        name = str(key)[:_LONG]
        if isinstance(value, dict):
            if depth < _DEEPEST:
                found |= {f"{name}.{inner}": one for inner, one in _settings(value, depth + 1).items()}
        elif value is None or isinstance(value, bool | str) or _figure(value) is not None:
            found[name] = value if not isinstance(value, str) else value[:_NAMED]
        elif isinstance(value, list):
            found[name] = escaped(repr(value), _NAMED)
    return dict(list(found.items())[:_NAMED])


# --- freqtrade ----------------------------------------------------------------------------------------------------


def _freqtrade(
    source: Source, tree: Mapping[str, Any], strategies: Mapping[str, Any], asked: Asked
) -> tuple[list[Part], list[Result]]:
    names = [name for name, one in strategies.items() if isinstance(one, dict)]
    if asked.strategy and asked.strategy not in names:
        raise InputError(
            f"{source.name} has no strategy {escaped(asked.strategy, 60)}", hint=did_you_mean(asked.strategy, names)
        )
    if not asked.strategy and len(names) != 1:
        shown = escaped(", ".join(names[:8]), 200) or "none"
        raise InputError(
            f"{source.name} has {counted(len(names), 'strategy').replace('strategys', 'strategies')}: {shown}",
            hint=f"--strategy {escaped(names[0], 60)}" if names else "export the result again",
        )
    name = asked.strategy or names[0]
    part = _strategy(source, name, strategies[name], asked)
    params = next((one for _, one in source.documents if _of(one, "strategy_name") == name), None)
    part.params = _settings(_of(params, "params")) if params else {}
    others = [other for other in names if other != name]
    if others:
        part.said.append(f"{counted(len(others), 'further strategy')} in the file: left out".replace("ys ", "ies "))
    return [part], []


def _strategy(source: Source, name: str, tree: Mapping[str, Any], asked: Asked) -> Part:
    title = f"{source.name}: {escaped(name, 60)}"
    rows = tree.get("trades")
    if not isinstance(rows, list):
        raise InputError(f"{title} has no list of trades", hint="freqtrade backtesting --export trades")
    found = detect(columns_of(rows, source.name), TABLES, "freqtrade") if rows else None
    if rows and found is None:
        raise unknown(source.name, [columns_of(rows, source.name)], TABLES, "freqtrade")
    part = of_table(found, asked) if found else Part(source.name, "freqtrade", "without a trade", said=[])
    part.said = [text for text in part.said if "zone" not in text]  # its times are epoch numbers
    part.strategy, part.own = name, _figures(tree)
    part.timeframe = str(tree.get("timeframe") or "")[:20]
    part.currency = str(tree.get("stake_currency") or "")[:20]
    cash = _figure(tree.get("starting_balance")) or _figure(tree.get("dry_run_wallet"))
    part.initial_cash = float(cash) if isinstance(cash, int | float) else None
    version = tree.get("freqtrade_version")
    part.version = version[:40] if isinstance(version, str) else ""
    return part


def _hyperopt(name: str, epochs: Sequence[Mapping[str, Any]], asked: Asked) -> tuple[list[Part], list[Result]]:
    """Return every epoch as a trial, and of the best what is known of it: a loss, parameters, figures; no trades."""
    if len(epochs) > _EPOCHS:
        raise InputError(f"{name} has more than {_EPOCHS:,} epochs", hint="cut it into parts")
    trials, losses = [], []
    for at, epoch in enumerate(epochs, 1):
        params, metrics = _of(epoch, "params_dict"), _of(epoch, "results_metrics")
        lost = _of(epoch, "loss")
        loss = math.inf if isinstance(lost, float) and not math.isfinite(lost) else _figure(lost)
        if not isinstance(params, dict) or not isinstance(loss, int | float):
            raise InputError(f"{name} line {at} is no epoch of a hyperopt", hint="export it again")
        losses.append(float(loss))
        trials.append(_trial(at, epoch, params, metrics, float(loss)))
    best = int(np.argmin(losses))
    chosen = trials[best]
    part = Part(name, "freqtrade", "hyperopt: .fthypt", said=[])
    part.params, part.own, part.strategy = chosen.params, chosen.own, chosen.strategy
    part.initial_cash = chosen.initial_cash
    part.said = [
        f"{counted(len(trials), 'epoch')}, each a trial: the run is the best of them, number {best + 1} by its loss",
        "a hyperopt keeps neither trades nor equity of an epoch: `freqtrade backtesting` with its parameters has them",
    ]
    return [part], trials


def _trial(at: int, epoch: Mapping[str, Any], params: Mapping[str, Any], metrics: Any, loss: float) -> Result:
    cash = _figure(_of(metrics, "starting_balance"))
    strategy = _of(metrics, "strategy_name")
    nothing = np.empty(0)
    return Result(
        engine="freqtrade", version="", strategy=strategy[:_LONG] if isinstance(strategy, str) else "",
        params=_settings(params), timestamp=nothing.astype("M8[ns]"), equity=nothing, position=None, trades=None,
        own=_figures(metrics) | ({"loss": loss} if math.isfinite(loss) else {}),
        label=f"epoch {_figure(_of(epoch, 'current_epoch')) or at}",
        initial_cash=float(cash) if isinstance(cash, int | float) else None,
    )  # fmt: skip


# --- Lean ---------------------------------------------------------------------------------------------------------


def _lean(name: str, tree: Mapping[str, Any], asked: Asked) -> list[Part]:
    performance = _of(tree, "totalPerformance")
    parts: list[Part] = []
    closed, orders = _of(performance, "closedTrades"), _of(tree, "orders")
    if isinstance(closed, list) and closed:
        parts.append(_lean_table(name, closed, asked))
    elif isinstance(orders, dict) and orders:
        done = [one for one in orders.values() if _figure(_of(one, "status")) in (2, 3)]
        if done:
            parts.append(_lean_table(name, done, asked))
    values = _of(_of(_of(_of(_of(tree, "charts"), "Strategy Equity"), "series"), "Equity"), "values")
    if isinstance(values, list) and values:
        parts.append(_lean_equity(name, values))
    if not parts:
        raise InputError(
            f"{name} is a result of Lean without trades or equity",
            hint="import the large file, as BasicTemplate.json: not the summary or the log",
        )
    first = parts[0]
    first.own = _figures(_of(tree, "statistics")) | _figures(_of(performance, "portfolioStatistics"))
    cash = _figure(_of(_of(performance, "portfolioStatistics"), "startEquity"))
    first.initial_cash = float(cash) if isinstance(cash, int | float) else None
    settings = _of(tree, "algorithmConfiguration")
    first.params = _settings(_of(settings, "parameters"))
    strategy = _of(settings, "name")
    first.strategy = strategy[:_LONG] if isinstance(strategy, str) else ""
    money = _of(settings, "accountCurrency")
    first.currency = money[:20] if isinstance(money, str) else ""
    return parts


def _lean_table(name: str, rows: Sequence[Any], asked: Asked) -> Part:
    sheet = columns_of([_plain(row) for row in rows], name)
    found = detect(sheet, TABLES, "lean")
    if found is None:
        raise unknown(name, [sheet], TABLES, "lean")
    return of_table(found, asked)


def _plain(row: Any) -> Any:
    """Return a trade with its side as a word: 0 is long, 1 short."""
    if not isinstance(row, dict):
        return row
    words = {0: "long", 1: "short"}
    return {key: words.get(value, value) if str(key).lower() == "direction" else value for key, value in row.items()}


def _lean_equity(name: str, values: Sequence[Any]) -> Part:
    """Return the account's value by the chart of it: points are `{x, y}`, `[x, y]` or `[x, open, high, low, close]`."""
    pairs: list[tuple[float, float]] = []
    for at, one in enumerate(values, 1):
        time, value = map(_figure, _point(one))
        if not isinstance(time, int | float) or not isinstance(value, int | float) or not 0 < time < 9e9:
            raise InputError(f"{name}: point {at} of the equity is none", hint="export it again")
        pairs.append((float(time), float(value)))
    part = Part(name, "lean", "the chart `Strategy Equity`", said=[])
    part.timestamp = (np.array([time for time, _ in pairs]) * 1e9).astype(np.int64).view("M8[ns]")
    part.equity = np.array([value for _, value in pairs])
    return part


def _point(one: Any) -> tuple[Any, Any]:
    if isinstance(one, dict):
        return _of(one, "x"), _of(one, "close") if _of(one, "y") is None else _of(one, "y")
    return (one[0], one[-1]) if isinstance(one, list) and len(one) > 1 else (None, None)
