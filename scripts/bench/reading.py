"""What loading bars from CSV costs, beside plain readers of the same file: here with checks, digest and gaps.

The readers are shown to find the same numbers before they are timed. A file is written once and read from the cache.
"""

from __future__ import annotations

import importlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from figures import Figure, figure, prove, random_bars

from peak_trade.evidence import tables
from peak_trade.market import bulk
from peak_trade.market.bars import Bars
from peak_trade.market.fingerprint import fingerprint
from peak_trade.market.ohlcv import load_bars

__all__ = ["measure"]

_SIZES = {"10,000": 10_000, "1 M": 1_000_000}
_PEERS: dict[str, Callable[[Any, str], Any]] = {
    "polars": lambda polars, path: polars.read_csv(path),
    "pandas": lambda pandas, path: pandas.read_csv(path),
    "duckdb": lambda duckdb, path: duckdb.sql(f"select * from read_csv('{path}')").fetchnumpy(),
}


def measure(*, repeat: int) -> Iterator[Figure]:
    """Yield the figures of loading 10,000 and 1 M rows, and of the peers that are installed."""
    with tempfile.TemporaryDirectory() as folder:
        for name, count in _SIZES.items():
            path, bars = _file(Path(folder), count)
            times = _alternately(_ways(path, bars, large=count > 100_000), 3 if count > 100_000 else repeat)
            ours = float(np.median(times["load_bars"]))
            for way, seconds in times.items():
                beside = ours / float(np.median(seconds))
                ratio = "" if way == "load_bars" else f"load_bars is {beside:.2f} × it"
                yield figure(f"data: {way}, {name} rows", seconds, ratio)


def _file(folder: Path, count: int) -> tuple[str, Bars]:
    bars = random_bars(count)
    columns = {name: getattr(bars, name) for name in ("timestamp", "open", "high", "low", "close", "volume")}
    (folder / f"{count}.csv").write_bytes(b"".join(tables.series_csv(columns)))
    return str(folder / f"{count}.csv"), bars


def _ways(path: str, bars: Bars, *, large: bool) -> dict[str, Callable[[], Any]]:
    """Return what is timed, each shown to give the same closes."""
    ways: dict[str, Callable[[], Any]] = {"load_bars": lambda: _load(path)}
    prove("load_bars", _load(path).close, bars.close, within=0)
    if large:
        ways["load_bars cell by cell"] = lambda: _load(path, at_least=1 << 60)
        prove("cell by cell", fingerprint(_load(path, at_least=1 << 60))["digest"], fingerprint(_load(path))["digest"])
    for name, read in _PEERS.items():
        try:
            peer = importlib.import_module(name)
        except ImportError:
            continue
        prove(name, np.asarray(read(peer, path)["close"]), bars.close)
        ways[f"{name} reading alone"] = lambda read=read, peer=peer: read(peer, path)  # type: ignore[misc]
    return ways


def _load(path: str, at_least: int = bulk.AT_LEAST) -> Bars:
    usual, bulk.AT_LEAST = bulk.AT_LEAST, at_least
    try:
        return load_bars(path, symbol="SYNTHETIC", timeframe="1m").bars
    finally:
        bulk.AT_LEAST = usual


def _alternately(ways: dict[str, Callable[[], Any]], repeat: int) -> dict[str, list[float]]:
    """Time each way in turn, so that a machine that drifts drifts for all of them."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeat):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - start)
    return times
