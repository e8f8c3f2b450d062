"""The statistics of a trial, by the definitions of stats.json, and the digests of its equity and trades.

What an engine does not say has no figure: without trades none of what is worked out from them, without a single
position no exposure. They annualise by the rate that is given, or as the equity's own times show it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade import stats
from peak_trade.evidence import tables
from peak_trade.market.rate import observed_rate
from peak_trade.record.result import Result
from peak_trade.record.tidying import tidied

__all__ = ["Figures", "columns_of", "work_out"]


class Figures(Struct, frozen=True):
    """A trial's statistics, and the digests by which two are the same: both empty of one that has no equity."""

    stats: dict[str, float | int | None] = {}
    equity_digest: str = ""
    trades_digest: str = ""


def columns_of(result: Result) -> dict[str, npt.NDArray[Any]]:
    """Return equity as equity.csv has it: position is NaN where there is no single one."""
    nothing = np.full(len(result.equity), np.nan)
    depth = stats.drawdown(result.equity)
    return {
        "timestamp": result.timestamp,
        "equity": result.equity,
        "drawdown": nothing if isinstance(depth, stats.Undefined) else depth,
        "position": nothing if result.position is None else result.position,
    }


def work_out(result: Result, *, risk_free_rate: float = 0.0, periods_per_year: float | None = None) -> Figures:
    """Return a trial's figures; none of one that has no equity."""
    result, _ = tidied(result)
    if not len(result.equity):
        return Figures()
    rate = periods_per_year if periods_per_year is not None else observed_rate(result.timestamp)
    worked = stats.compute(
        result.timestamp, result.equity, result.position, result.trades,
        risk_free_rate=risk_free_rate, periods_per_year=rate,
    )  # fmt: skip
    return Figures(
        dict(worked),
        tables.series_digest("equity", columns_of(result)),
        "" if result.trades is None else tables.trades_digest(result.trades),
    )
