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
from peak_trade.config import Config, Execution
from peak_trade.evidence import tables
from peak_trade.market import rate
from peak_trade.market.bars import Bars, Floats

__all__ = ["Outcome", "Prepared"]

_BENCHMARKS = 16  # that are kept at once, each of some columns as long as the bars


class Prepared:
    """Bars to trade targets on, as the configs of any number of trials say; not to be shared by threads."""

    def __init__(self, bars: Bars) -> None:
        self.bars, self.times = bars, stats.Timeline(bars.timestamp)
        self.digest = tables.SeriesDigest("equity", {"timestamp": bars.timestamp})
        self._benchmarks: dict[Execution, stats.Curve] = {}
        self._rates: dict[tuple[str, str | None], float | None] = {}

    def trade(self, target: npt.NDArray[np.float64], config: Config) -> Outcome:
        """Trade `target` (shape (N,)) at the costs, size and stops of a config.

        Raises RunError where the target is short and may not be.
        """
        result = engine.run(self.bars, target, execution=config.execution, sizing=config.sizing, stops=config.stops)
        return Outcome(self, config, result)

    def benchmark(self, config: Config) -> stats.Curve | None:
        """Return the equity of who holds the bars from the first open on, at the config's costs.

        None where it has no benchmark.
        """
        if config.stats.benchmark == "none":
            return None
        found = self._benchmarks.pop(config.execution, None)  # to be the last again: the first makes way
        if found is None:
            held = engine.run(self.bars, np.ones(len(self.bars)), execution=config.execution)
            found = stats.Curve(held.equity, self.times)
            if len(self._benchmarks) == _BENCHMARKS:
                del self._benchmarks[next(iter(self._benchmarks))]
        self._benchmarks[config.execution] = found
        return found

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
