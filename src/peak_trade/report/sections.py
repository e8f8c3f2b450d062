"""The sections of the report, in the order in which a sceptical reader asks: each makes HTML from a run's files."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from peak_trade.evidence import symbols
from peak_trade.evidence.manifest import COMPLETED, IMPORTED, RUINED, SWEPT
from peak_trade.report import code
from peak_trade.report.chance import luck
from peak_trade.report.exits import excursions, exits
from peak_trade.report.folds import FOLDS, PATHS, folds, paths
from peak_trade.report.grouped import groups
from peak_trade.report.head import statistics
from peak_trade.report.months import returns
from peak_trade.report.origin import configuration, failure, provenance, ruin
from peak_trade.report.performance import equity, rolling_ratios
from peak_trade.report.portfolio import by_symbol
from peak_trade.report.reconciled import reconciled
from peak_trade.report.run import RunFiles
from peak_trade.report.stress import costs
from peak_trade.report.swept import distribution, heat, kept, search, sensitivity, top, trials
from peak_trade.report.timing import there, timing
from peak_trade.report.trades import all_trades
from peak_trade.report.trading import exposure, extremes, price, trade_returns
from peak_trade.stats import reconcile

__all__ = ["SECTIONS", "Section"]


class Section(NamedTuple):
    """A section: its title, what makes its HTML, and which runs have it: by their status, and where it is `there`.

    What it `needs` (`portfolio.lacks`) may not be there in a run that another engine made: a line says why then.
    """

    title: str
    body: Callable[[RunFiles], str]
    of: tuple[str, ...] = COMPLETED
    there: Callable[[RunFiles], bool] = lambda run: True
    needs: str = ""


def _swept(run: RunFiles) -> bool:
    return run.kind == SWEPT


_ANY = (*COMPLETED, "failed", "unreadable")
SECTIONS = {
    "failure": Section("What happened", failure, ("failed",)),
    "ruin": Section("What happened", ruin, (RUINED, IMPORTED), there=lambda run: bool(run.ruined)),
    "search": Section("The search", search, there=_swept),
    "folds": Section("Walk-forward", folds, there=lambda run: _swept(run) and run.has(FOLDS)),
    "paths": Section("Cross-validation", paths, there=lambda run: _swept(run) and run.has(PATHS)),
    "heat": Section("Heat map", heat, there=_swept),
    "plateau": Section("How wide the top is", top, there=_swept),
    "sensitivity": Section("What matters", sensitivity, there=_swept),
    "distribution": Section("All trials and luck", distribution, there=_swept),
    "trials": Section("Best, worst and failed trials", trials, there=_swept),
    "kept": Section("Kept runs", kept, there=lambda run: _swept(run) and bool(run.kept)),
    "statistics": Section("Key statistics", statistics, needs="figures"),
    "reconciled": Section("The engine's own figures", reconciled, there=lambda run: run.has(reconcile.NAME)),
    "equity": Section("Equity and drawdown", equity, needs="equity"),
    "symbols": Section("By symbol", by_symbol, there=lambda run: run.has(symbols.NAME), needs="equity trades"),
    "returns": Section("Returns by month and year", returns, needs="equity"),
    "rolling": Section("Rolling ratios", rolling_ratios, needs="equity"),
    "luck": Section("How likely is it luck", luck, needs="equity"),
    "price": Section("Price, entries and exits", price, needs="prices"),
    "trade-returns": Section("Distribution of trade returns", trade_returns, needs="trades returns"),
    "exits": Section("How trades ended", exits, needs="trades pnl returns reasons"),
    "groups": Section("Trades by symbol, weekday and hour", groups, needs="trades pnl returns"),
    "excursions": Section("How far trades went", excursions, needs="trades excursions returns pnl"),
    "extremes": Section("Drawdowns and trades at the extremes", extremes, needs="equity trades returns"),
    "all-trades": Section("All trades", all_trades, needs="trades"),
    "exposure": Section("Exposure and turnover", exposure, needs="figures"),
    "costs": Section("Costs and delay", costs, needs="equity trades pnl"),
    "configuration": Section("Configuration as run", configuration, _ANY),
    "code": Section("The strategy’s own code", code.code, _ANY, code.there),
    "provenance": Section("Provenance", provenance, _ANY),
    "timing": Section("Where the time went", timing, _ANY, there),
}
