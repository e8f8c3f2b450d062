"""What comes of a target: equity and trades, what holding would have made, and the statistics. Pure functions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from peak_trade import engine, stats
from peak_trade.config import Config
from peak_trade.market import rate
from peak_trade.market.bars import Bars, Floats

__all__ = ["figures", "trade"]


def trade(bars: Bars, target: npt.NDArray[np.float64], config: Config) -> tuple[engine.Result, Floats | None]:
    """Trade `target` (shape (N,)) at the costs, size and stops of a config; beside it, the benchmark's equity.

    The benchmark holds the bars from the first open on, at the same costs; None where the config has none.
    Raises RunError where the target is short and may not be.
    """
    result = engine.run(bars, target, execution=config.execution, sizing=config.sizing, stops=config.stops)
    if config.stats.benchmark == "none":
        return result, None
    return result, engine.run(bars, np.ones(len(bars)), execution=config.execution).equity


def figures(bars: Bars, result: engine.Result, benchmark: Floats | None, config: Config) -> stats.Stats:
    """Return every statistic, annualised as config and calendar say."""
    per_year = config.stats.periods_per_year or rate.periods_per_year(
        bars.timestamp, config.data.timeframe, config.data.calendar
    )
    return stats.compute(
        bars.timestamp,
        result.equity,
        result.position,
        result.trades,
        risk_free_rate=config.stats.risk_free_rate,
        periods_per_year=per_year,
        benchmark_equity=benchmark,
    )
