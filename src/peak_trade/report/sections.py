"""The sections of the report, in the order in which a sceptical reader asks: each makes HTML from a run's files."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from peak_trade.evidence.manifest import COMPLETED, RUINED
from peak_trade.report.chance import luck
from peak_trade.report.exits import excursions, exits
from peak_trade.report.head import statistics
from peak_trade.report.origin import configuration, failure, provenance, ruin
from peak_trade.report.performance import equity, returns, rolling_ratios
from peak_trade.report.run import RunFiles
from peak_trade.report.timing import there, timing
from peak_trade.report.trading import costs, exposure, extremes, price, trade_returns

__all__ = ["SECTIONS", "Section"]


class Section(NamedTuple):
    """A section: its title, what makes its HTML, and which runs have it: by their status, and where it is `there`."""

    title: str
    body: Callable[[RunFiles], str]
    of: tuple[str, ...] = COMPLETED
    there: Callable[[RunFiles], bool] = lambda run: True


_ANY = (*COMPLETED, "failed", "unreadable")
SECTIONS = {
    "failure": Section("What happened", failure, ("failed",)),
    "ruin": Section("What happened", ruin, (RUINED,)),
    "statistics": Section("Key statistics", statistics),
    "equity": Section("Equity and drawdown", equity),
    "returns": Section("Returns by month and year", returns),
    "rolling": Section("Rolling Sharpe ratio and volatility", rolling_ratios),
    "luck": Section("How likely is it luck", luck),
    "price": Section("Price, entries and exits", price),
    "trade-returns": Section("Distribution of trade returns", trade_returns),
    "exits": Section("How trades ended", exits),
    "excursions": Section("How far trades went", excursions),
    "extremes": Section("Drawdowns and trades at the extremes", extremes),
    "exposure": Section("Exposure and turnover", exposure),
    "costs": Section("Costs", costs),
    "configuration": Section("Configuration as run", configuration, _ANY),
    "provenance": Section("Provenance", provenance, _ANY),
    "timing": Section("Where the time went", timing, _ANY, there),
}
