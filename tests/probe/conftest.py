"""Bars, and a probe of a function over them that needs no run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peak_trade.market.bars import Bars
from peak_trade.probe import Asking, Search
from peak_trade.probe.asking import quiet
from peak_trade.probe.watch import Watch


def walk(count: int, seed: int = 1, step: str = "1D") -> Bars:
    lot = np.random.default_rng(seed)
    close = np.round(100 * np.exp(np.cumsum(lot.normal(0.0003, 0.015, count))), 2)
    open_ = np.concatenate([[100.0], close[:-1]])
    high = np.round(np.maximum(open_, close) * (1 + lot.uniform(0, 0.01, count)), 2) + 0.01
    low = np.round(np.minimum(open_, close) / (1 + lot.uniform(0, 0.01, count)), 2) - 0.01
    amount, unit = int(step[:-1]), step[-1]
    times = np.datetime64("2020-01-01", "ns") + np.arange(count) * np.timedelta64(amount, unit)
    volume = lot.uniform(10, 100, count)
    return Bars(times, open_, high, low, close, volume, symbol="TEST", timeframe=step.lower()).freeze()


@pytest.fixture(scope="session")
def bars() -> Bars:
    return walk(600)


@pytest.fixture(scope="session")
def walks() -> Any:
    return walk


@pytest.fixture
def probe() -> Callable[..., Any]:
    """Return a function that probes a strategy as a run does, or in full, and returns the search."""

    def probed(
        function: Callable[..., Any], bars: Bars, *, full: bool = False, files: tuple[Path, ...] = (), **options: Any
    ) -> Search:
        asking = Asking(function, options.pop("params", {}), Watch(files))
        search = Search(asking, bars, asking.first(bars.apart()), **options)
        with quiet():
            list(search.fully()) if full else search.briefly(asking.took_s)
            search.settle()
        return search

    return probed
