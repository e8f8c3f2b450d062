"""Benches for tests: bars in memory, a strategy that is a function, and a plan gone through to its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from peak_trade import config
from peak_trade.market.bars import Bars, Floats
from peak_trade.sweep.bench import Bench
from peak_trade.sweep.plan import Plan
from peak_trade.sweep.rows import Rows


def days(count: int, start: str = "2024-01-01") -> Any:
    """Return the times of daily bars."""
    return np.datetime64(start, "ns") + np.arange(count) * np.timedelta64(1, "D")


def flat_bars(prices: Sequence[float] | Floats) -> Bars:
    """Return daily bars of one price each."""
    price = np.asarray(prices, np.float64)
    return Bars(days(len(price)), price, price, price, price, np.ones(len(price)), "TEST", "1d").freeze()


def walk(count: int, seed: int, drift: float = 0.0) -> Bars:
    """Return daily bars that go up and down, opens apart from the closes before."""
    draws = np.random.default_rng(seed)
    close = np.round(100 * np.exp(np.cumsum(draws.normal(drift, 0.02, count))), 2)
    opened = np.round(np.concatenate([[100.0], close[:-1]]) * np.exp(draws.normal(0, 0.005, count)), 2)
    high, low = np.maximum(opened, close) + 0.5, np.minimum(opened, close) - 0.5
    return Bars(days(count), opened, high, low, close, np.ones(count), "TEST", "1d").freeze()


def bench(bars: Bars, strategy: Callable[..., Any], *, params: dict[str, Any] | None = None, **execution: Any) -> Bench:
    """Return a bench of a strategy over bars."""
    tree = {
        "data": {"path": "bars.csv", "symbol": "TEST", "timeframe": "1d", "calendar": "24/7"},
        "strategy": {"entrypoint": "mine.py:strategy", "params": params or {}, "signals": "target"},
        "execution": execution,
    }
    return Bench(config.compose(tree), bars, strategy)


def gone_through(plan: Plan, made: Bench) -> Rows:
    """Return the rows of all rounds of a plan."""
    rows = Rows.joined([])
    for number in range(plan.rounds()):
        tasks = plan.round(number, rows)
        rows = Rows.joined([rows, Rows.of([made.trial(tasks[at]) for at in range(len(tasks))])])
    return rows
