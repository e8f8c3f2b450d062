"""The statistics of a run: pure functions on NumPy arrays, and one table that names them all.

May import market and the leaves.

In reading order:

- `values`: what a statistic may be, a finite number or `Undefined(reason)`, and never NaN, infinity or a crash;
- `timeline`: the bars' times, and what statistics take from them alone;
- `equity`: functions of the equity curve, such as `returns`, `cagr` and `drawdown`;
- `sample`: functions of the returns, such as `sharpe`, `value_at_risk` and `probabilistic_sharpe`;
- `shape`: functions of the two sides of their distribution, such as `omega` and `tail_ratio`;
- `water`: functions of the drawdown at each bar, such as `ulcer_index` and `time_under_water`;
- `periods`: functions of equity by calendar day and month, such as `period_returns`;
- `against`: functions of the returns beside a benchmark's, such as `beta` and `information_ratio`;
- `closed`: functions of the closed trades, such as `profit_factor`, `turnover` and `borrow_paid`;
- `streaks`: functions of their order, their exits and their excursions, such as `longest_losing_streak`;
- `curve`: an equity curve and what several statistics take from it;
- `plateau` and `effects`: functions of a statistic over many trials, how wide its top is and what it depends on;
- `table`: `STATS`, one row for each key of `stats.json`, and `compute`, which fills it (`of_curve`, where others share
  the curves).

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
from peak_trade.stats.curve import Curve
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
from peak_trade.stats.periods import best_period, period_returns, worst_period
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
from peak_trade.stats.shape import best_bar, common_sense_ratio, omega, tail_ratio, worst_bar
from peak_trade.stats.streaks import (
    average_mae,
    average_mfe,
    exits,
    longest_losing_streak,
    longest_winning_streak,
    pnl_of_exits,
)
from peak_trade.stats.table import (
    STATS,
    Stat,
    Stats,
    compute,
    editions,
    of_curve,
    reasons_as_markdown,
    stats_as_markdown,
)
from peak_trade.stats.timeline import Timeline
from peak_trade.stats.values import REASONS, Undefined
from peak_trade.stats.water import time_under_water, ulcer_index, ulcer_performance_index

__all__ = [
    "REASONS",
    "STATS",
    "Curve",
    "Sample",
    "Stat",
    "Stats",
    "Timeline",
    "Undefined",
    "alpha",
    "average_bars_held",
    "average_loss",
    "average_mae",
    "average_mfe",
    "average_win",
    "best_bar",
    "best_period",
    "best_trade",
    "beta",
    "borrow_paid",
    "cagr",
    "calmar",
    "common_sense_ratio",
    "compute",
    "drawdown",
    "editions",
    "exits",
    "expectancy",
    "expected_shortfall",
    "exposure",
    "fees_paid",
    "information_ratio",
    "kurtosis",
    "longest_losing_streak",
    "longest_winning_streak",
    "max_drawdown",
    "max_drawdown_days",
    "of_curve",
    "omega",
    "payoff_ratio",
    "period_returns",
    "pnl_of_exits",
    "probabilistic_sharpe",
    "profit_factor",
    "reasons_as_markdown",
    "returns",
    "sharpe",
    "skew",
    "slippage_paid",
    "sortino",
    "stats_as_markdown",
    "tail_ratio",
    "time_under_water",
    "total_return",
    "turnover",
    "ulcer_index",
    "ulcer_performance_index",
    "value_at_risk",
    "volatility",
    "win_rate",
    "worst_bar",
    "worst_period",
    "worst_trade",
    "years",
]
