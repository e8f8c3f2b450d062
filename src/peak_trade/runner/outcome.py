"""What comes of a target: equity and trades, what holding would have made, the statistics, and the digests of it all.

What depends on the bars alone, and on sections of a config that many trials share, is worked out once and kept in a
`Prepared`: of a sweep by all its trials, of a run by itself. Nothing of it is kept elsewhere.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from peak_trade import engine, stats
from peak_trade.config import NO_BENCHMARK, Config, Execution
from peak_trade.errors import InputError
from peak_trade.evidence import benchmark, tables
from peak_trade.market import rate
from peak_trade.market.bars import Bars, Floats
from peak_trade.market.benchmark import Benchmark

__all__ = ["Outcome", "Prepared"]

_BENCHMARKS = 16  # that are kept at once, each of some columns as long as the bars


class Prepared:
    """Bars to trade targets on, as the configs of any number of trials say; not to be shared by threads."""

    def __init__(self, bars: Bars, benchmark: Benchmark | None = None) -> None:
        """`benchmark` is that of the configs that have a file of one."""
        self.bars, self.times, self._market = bars, stats.Timeline(bars.timestamp), benchmark
        self.digest = tables.SeriesDigest("equity", {"timestamp": bars.timestamp})
        self._benchmarks: dict[tuple[Execution, str], stats.Curve] = {}
        self._rates: dict[tuple[str, str | None], float | None] = {}

    def trade(self, target: npt.NDArray[np.float64], config: Config) -> Outcome:
        """Trade `target` (shape (N,)) at the costs, size and stops of a config.

        Raises RunError where the target is short and may not be.
        """
        result = engine.run(self.bars, target, execution=config.execution, sizing=config.sizing, stops=config.stops)
        return Outcome(self, config, result)

    def benchmark(self, config: Config) -> stats.Curve | None:
        """Return the equity of who holds the bars from the first open on, at the config's costs.

        Of a config whose benchmark is a file it is that of who holds what this is of. None where it has no benchmark.
        """
        if config.stats.benchmark == NO_BENCHMARK:
            return None
        key = config.execution, config.stats.benchmark
        found = self._benchmarks.pop(key, None)  # to be the last again: the first makes way
        if found is None:
            found = stats.Curve(self._held(config), self.times)
            if len(self._benchmarks) == _BENCHMARKS:
                del self._benchmarks[next(iter(self._benchmarks))]
        self._benchmarks[key] = found
        return found

    def _held(self, config: Config) -> Floats:
        if config.stats.benchmark_file:
            return self._beside(config).equity(self.bars, config.execution.initial_cash)
        return engine.run(self.bars, np.ones(len(self.bars)), execution=config.execution).equity

    def _beside(self, config: Config) -> Benchmark:
        if self._market is None:
            raise InputError(f"the benchmark {config.stats.benchmark} was not loaded with the bars")
        return self._market

    def benchmark_rows(self, config: Config, equity: Floats) -> dict[str, npt.NDArray[Any]]:
        """Return the columns of benchmark.csv, thinned; `equity` (shape (N,)) is that of the config's benchmark."""
        at = benchmark.rows(self.bars.timestamp)
        columns = {"timestamp": self.bars.timestamp[at], "close": self.bars.close[at], "equity": equity[at]}
        if config.stats.benchmark_file:
            columns[benchmark.BESIDE] = self._beside(config).closes(self.bars)[at]
        return columns

    def periods_per_year(self, config: Config) -> float | None:
        """Return how many bars a year has, as config and calendar say; None where nothing tells it."""
        if config.stats.periods_per_year:
            return config.stats.periods_per_year
        key = config.data.timeframe, config.data.calendar
        if key not in self._rates:
            self._rates[key] = rate.periods_per_year(self.bars.timestamp, *key)
        return self._rates[key]


class Outcome:
    """What came of one target; statistics and digests are worked out when they are asked for."""

    def __init__(self, prepared: Prepared, config: Config, result: engine.Result) -> None:
        self.prepared, self.config, self.result = prepared, config, result
        self.curve = stats.Curve(result.equity, prepared.times)

    @cached_property
    def benchmark(self) -> Floats | None:
        """What holding the bars would have made, shape (N,); None where the config has no benchmark."""
        held = self.prepared.benchmark(self.config)
        return None if held is None else held.equity

    @cached_property
    def figures(self) -> stats.Stats:
        """Every statistic, annualised as config and calendar say."""
        return stats.of_curve(
            self.curve,
            self.result.position,
            self.result.trades,
            risk_free_rate=self.config.stats.risk_free_rate,
            periods_per_year=self.prepared.periods_per_year(self.config),
            benchmark=self.prepared.benchmark(self.config),
        )

    @cached_property
    def equity(self) -> dict[str, npt.NDArray[Any]]:
        """The columns of equity.csv."""
        return {
            "timestamp": self.prepared.bars.timestamp,
            "equity": self.result.equity,
            "drawdown": self.curve.depth,
            "position": self.result.position,
        }

    @cached_property
    def digests(self) -> dict[str, str]:
        """`equity_digest` and `trades_digest`, over typed values, as a manifest has them."""
        columns = {name: column for name, column in self.equity.items() if name != "timestamp"}
        return {
            "equity_digest": self.prepared.digest.with_columns(columns),
            "trades_digest": tables.trades_digest(self.result.trades),
        }
