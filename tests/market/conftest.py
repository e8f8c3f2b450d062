from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from peak_trade.market import exchanges
from peak_trade.market.bars import Bars

Write = Callable[..., Path]

# Four hours of bars that break no rule: timestamp, open, high, low, close, volume.
GOOD = """\
timestamp,open,high,low,close,volume
2024-01-01T00:00:00Z,10,12,9,11,100
2024-01-01T01:00:00Z,11,13,10,12,200
2024-01-01T02:00:00Z,12,14,11,13,300
2024-01-01T03:00:00Z,13,15,12,14,400
"""


@pytest.fixture
def good() -> str:
    return GOOD


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write text or bytes to a file of this test's own and return its path."""

    def to_file(content: str | bytes, name: str = "bars.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return to_file


@pytest.fixture
def hours() -> Callable[..., Bars]:
    """Make hourly bars that break no rule, with some columns replaced."""

    def make(count: int = 5, timeframe: str = "1h", **columns: list[float]) -> Bars:
        steps = np.arange(count, dtype=float)
        values = {
            "timestamp": np.datetime64("2024-01-01", "ns") + np.arange(count) * np.timedelta64(1, "h"),
            "open": 10 + steps,
            "high": 12 + steps,
            "low": 9 + steps,
            "close": 11 + steps,
            "volume": 100 * (1 + steps),
        }
        for name, column in columns.items():
            values[name] = np.array(column, "datetime64[ns]" if name == "timestamp" else float)
        return Bars(**values, symbol="TEST", timeframe=timeframe)

    return make


@pytest.fixture
def without_exchanges(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let Python find no exchange_calendars, as where the extra `calendars` is not installed."""
    caches = (exchanges._library, exchanges.facts, exchanges.schedule)
    for cached in caches:
        cached.cache_clear()
    monkeypatch.setitem(sys.modules, "exchange_calendars", None)
    yield
    for cached in caches:
        cached.cache_clear()
