"""The statistics of a run: pure functions on NumPy arrays, and one table that names them all.

May import market and the leaves.

In reading order:

- `values`: what a statistic may be, a finite number or `Undefined(reason)`, and never NaN, infinity or a crash;
- `equity`: functions of the equity curve, such as `returns`, `cagr` and `drawdown`;
- `sample`: functions of the returns, such as `sharpe`, `value_at_risk` and `probabilistic_sharpe`;
- `against`: functions of the returns beside a benchmark's, such as `beta` and `information_ratio`;
- `closed`: functions of the closed trades, such as `profit_factor`, `turnover` and `borrow_paid`;
- `table`: `STATS`, one row for each key of `stats.json`, and `compute`, which fills it.

Everything is a fraction, never a percentage. Every sum runs in one fixed order,
so the same arrays give the same bits on the same machine, however often they are recomputed.
"""

from __future__ import annotations

from peak_trade.stats.against import alpha, beta, information_ratio
from peak_trade.stats.closed import (
    average_bars_held,
    average_loss,
    average_win,
    best_trade,
    borrow_paid,
    expectancy,
    fees_paid,
    payoff_ratio,
    profit_factor,
    slippage_paid,
    turnover,
    win_rate,
    worst_trade,
)
from peak_trade.stats.equity import (
    cagr,
    calmar,
    drawdown,
    exposure,
    max_drawdown,
    max_drawdown_days,
    returns,
    total_return,
    years,
)
from peak_trade.stats.sample import (
    Sample,
    expected_shortfall,
    kurtosis,
    probabilistic_sharpe,
    sharpe,
    skew,
    sortino,
    value_at_risk,
    volatility,
)
from peak_trade.stats.table import STATS, Stat, Stats, compute, editions, reasons_as_markdown, stats_as_markdown
from peak_trade.stats.values import REASONS, Undefined

__all__ = [
    "REASONS",
    "STATS",
    "Sample",
    "Stat",
    "Stats",
    "Undefined",
    "alpha",
    "average_bars_held",
    "average_loss",
    "average_win",
    "best_trade",
    "beta",
    "borrow_paid",
    "cagr",
    "calmar",
    "compute",
    "drawdown",
    "editions",
    "expectancy",
    "expected_shortfall",
    "exposure",
    "fees_paid",
    "information_ratio",
    "kurtosis",
    "max_drawdown",
    "max_drawdown_days",
    "payoff_ratio",
    "probabilistic_sharpe",
    "profit_factor",
    "reasons_as_markdown",
    "returns",
    "sharpe",
    "skew",
    "slippage_paid",
    "sortino",
    "stats_as_markdown",
    "total_return",
    "turnover",
    "value_at_risk",
    "volatility",
    "win_rate",
    "worst_trade",
    "years",
]
