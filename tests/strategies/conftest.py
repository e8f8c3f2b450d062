"""Bars for the tests of strategies: by hand from closes, or a random walk from a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from peak_trade.market.bars import Bars

DAY = np.timedelta64(86_400, "s")


def _make_bars(
    close: Sequence[float],
    *,
    high: Sequence[float] | None = None,
    low: Sequence[float] | None = None,
    step: np.timedelta64 = DAY,
) -> Bars:
    closes = np.asarray(close, dtype=np.float64)
    highs = closes if high is None else np.asarray(high, dtype=np.float64)
    lows = closes if low is None else np.asarray(low, dtype=np.float64)
    start = np.datetime64("2020-01-01", "ns")
    timestamp = start + np.arange(len(closes)) * step.astype("timedelta64[ns]")
    return Bars(timestamp, closes, highs, lows, closes, np.ones(len(closes)), "TEST", "1d")


def _make_walk(n: int, seed: int = 7) -> Bars:
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, n)))
    return _make_bars(close, high=close * (1 + rng.uniform(0, 0.01, n)), low=close * (1 - rng.uniform(0, 0.01, n)))


def _cut(bars: Bars, n: int) -> Bars:
    columns: list[Any] = [bars.timestamp, bars.open, bars.high, bars.low, bars.close, bars.volume]
    return Bars(*[column[:n].copy() for column in columns], bars.symbol, bars.timeframe)


@pytest.fixture(scope="session")
def make_bars() -> Callable[..., Bars]:
    """Bars from closes; highs and lows are the closes unless given, one bar a day unless `step` says otherwise."""
    return _make_bars


@pytest.fixture(scope="session")
def make_walk() -> Callable[..., Bars]:
    """Daily bars of a random walk: `make_walk(n, seed)`."""
    return _make_walk


@pytest.fixture(scope="session")
def cut() -> Callable[[Bars, int], Bars]:
    """The first n bars: `cut(bars, n)`."""
    return _cut
