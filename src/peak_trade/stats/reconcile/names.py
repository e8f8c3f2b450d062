"""Which engine calls which figure what: its own name, the figures that it may be, the unit, and how it is worked out.

A row for any engine serves the names that many use. `way` is what the engine is known to do, tried after our own way
and before all others.
"""

from __future__ import annotations

from typing import NamedTuple

from peak_trade.stats.reconcile.ways import OURS, Way

__all__ = ["NAMES", "Named", "as_markdown", "named"]


class Named(NamedTuple):
    """A figure of an engine: `scale` is what one of ours is in its unit, `measures` what it may be, likeliest first."""

    engine: str
    name: str
    measures: tuple[str, ...]
    scale: float = 1.0
    way: Way = OURS


_PERCENT = 100.0
_DAYS_252, _DAYS_365 = OURS._replace(sample="day", year="252"), OURS._replace(sample="day", year="365")
_CASH_365 = OURS._replace(base="cash", year="spacing", growth="periods")
_GEOMETRIC = _DAYS_252._replace(mean="geometric", growth="periods")
_UNBIASED = OURS._replace(sample="day", bias="sample")


def _rows(engine: str, *rows: tuple[str, str] | tuple[str, str, float] | tuple[str, str, float, Way]) -> list[Named]:
    return [Named(engine, name, tuple(measures.split()), *rest) for name, measures, *rest in rows]


_BACKTESTING = _rows(
    "backtesting",
    ("Exposure Time [%]", "exposure", _PERCENT, OURS._replace(held="through")),
    ("Equity Final [$]", "final_equity"),
    ("Equity Peak [$]", "peak_equity"),
    ("Commissions [$]", "fees_paid"),
    ("Return [%]", "total_return", _PERCENT),
    ("Return (Ann.) [%]", "cagr", _PERCENT, _DAYS_252._replace(growth="periods")),
    ("Volatility (Ann.) [%]", "volatility", _PERCENT, _GEOMETRIC),
    ("CAGR [%]", "cagr", _PERCENT),
    ("Sharpe Ratio", "sharpe", 1.0, _GEOMETRIC),
    ("Sortino Ratio", "sortino", 1.0, _GEOMETRIC),
    ("Calmar Ratio", "calmar", 1.0, _DAYS_252._replace(growth="periods")),
    ("Max. Drawdown [%]", "max_drawdown", _PERCENT),
    ("# Trades", "trades"),
    ("Win Rate [%]", "win_rate", _PERCENT),
    ("Best Trade [%]", "best_trade", _PERCENT, OURS._replace(trades="return")),
    ("Worst Trade [%]", "worst_trade", _PERCENT, OURS._replace(trades="return")),
    ("Avg. Trade [%]", "geometric_trade", _PERCENT),
    ("Profit Factor", "profit_factor", 1.0, OURS._replace(trades="return")),
    ("Expectancy [%]", "mean_trade", _PERCENT),
    ("SQN", "sqn"),
    ("Kelly Criterion", "kelly"),
)
_VECTORBT = _rows(
    "vectorbt",
    ("Start Value", "initial_equity", 1.0, _CASH_365),
    ("End Value", "final_equity"),
    ("Total Return [%]", "total_return", _PERCENT, _CASH_365),
    ("Max Drawdown [%]", "max_drawdown", -_PERCENT, _CASH_365),
    ("Total Closed Trades", "trades"),
    ("Total Trades", "trades", 1.0, OURS._replace(open="all")),
    ("Total Fees Paid", "fees_paid", 1.0, OURS._replace(open="all")),
    ("Win Rate [%]", "win_rate", _PERCENT),
    ("Best Trade [%]", "best_trade", _PERCENT, OURS._replace(trades="return")),
    ("Worst Trade [%]", "worst_trade", _PERCENT, OURS._replace(trades="return")),
    ("Avg Winning Trade [%]", "mean_win", _PERCENT),
    ("Avg Losing Trade [%]", "mean_loss", _PERCENT),
    ("Profit Factor", "profit_factor"),
    ("Expectancy", "expectancy"),
    ("Sharpe Ratio", "sharpe", 1.0, _CASH_365),
    ("Sortino Ratio", "sortino", 1.0, _CASH_365),
    ("Calmar Ratio", "calmar", 1.0, _CASH_365),
    ("Omega Ratio", "omega", 1.0, _CASH_365),
)
_YEARS = OURS._replace(sample="year", base="cash", year="1", spread="0", rate="0.01")
_LOG = OURS._replace(base="cash", mean="log")
_BACKTRADER = _rows(
    "backtrader",
    ("sharperatio", "sharpe", 1.0, _YEARS),
    ("rtot", "total_return", 1.0, _LOG),
    ("rnorm", "cagr", 1.0, OURS._replace(base="cash", growth="periods", year="252")),
    ("rnorm100", "cagr", _PERCENT, OURS._replace(base="cash", growth="periods", year="252")),
    ("max.drawdown", "max_drawdown", -_PERCENT, OURS._replace(base="cash")),
    ("max.moneydown", "max_drawdown_money", -1.0, OURS._replace(base="cash")),
    ("sqn", "sqn", 1.0, OURS._replace(spread="0")),
    ("total.closed", "trades"),
    ("trades", "trades"),
    ("pnl.net.average", "expectancy"),
    ("won.pnl.average", "average_win"),
    ("lost.pnl.average", "average_loss"),
)
_FFN = _rows(
    "bt",
    ("total_return", "total_return"),
    ("cagr", "cagr", 1.0, OURS._replace(sample="day")),
    ("max_drawdown", "max_drawdown", 1.0, OURS._replace(sample="day")),
    ("incep", "cagr", 1.0, OURS._replace(sample="day")),
    ("calmar", "calmar", 1.0, OURS._replace(sample="day", depth="sample")),
    *((f"{name}_sharpe", "sharpe", 1.0, way) for name, way in (
        ("daily", _DAYS_252), ("monthly", OURS._replace(sample="month", year="12")),
        ("yearly", OURS._replace(sample="year", year="1")),
    )),
    *((f"{name}_sortino", "sortino", 1.0, way) for name, way in (
        ("daily", _DAYS_252), ("monthly", OURS._replace(sample="month", year="12")),
        ("yearly", OURS._replace(sample="year", year="1")),
    )),
    *((f"{name}_vol", "volatility", 1.0, way) for name, way in (
        ("daily", _DAYS_252), ("monthly", OURS._replace(sample="month", year="12")),
        ("yearly", OURS._replace(sample="year", year="1")),
    )),
    *((f"{name}_mean", "mean_return", 1.0, way) for name, way in (
        ("daily", _DAYS_252), ("monthly", OURS._replace(sample="month", year="12")),
        ("yearly", OURS._replace(sample="year", year="1")),
    )),
    ("daily_skew", "skew", 1.0, _UNBIASED),
    ("daily_kurt", "kurtosis", 1.0, _UNBIASED),
    ("monthly_skew", "skew", 1.0, _UNBIASED._replace(sample="month")),
    ("monthly_kurt", "kurtosis", 1.0, _UNBIASED._replace(sample="month")),
    ("best_day", "best_day", 1.0, OURS._replace(sample="day")),
    ("worst_day", "worst_day", 1.0, OURS._replace(sample="day")),
    ("best_month", "best_month", 1.0, OURS._replace(sample="month")),
    ("worst_month", "worst_month", 1.0, OURS._replace(sample="month")),
)  # fmt: skip
_ZIPLINE = _rows(
    "zipline",
    ("sharpe", "sharpe", 1.0, OURS._replace(base="cash", year="252", rate="0")),
    ("sortino", "sortino", 1.0, OURS._replace(base="cash", year="252", rate="0")),
    ("algo_volatility", "volatility", 1.0, OURS._replace(base="cash", year="252")),
    ("max_drawdown", "max_drawdown", 1.0, OURS._replace(base="cash")),
    ("algorithm_period_return", "total_return", 1.0, OURS._replace(base="cash")),
)
_NAUTILUS = _rows(
    "nautilus_trader",
    ("Sharpe Ratio (252 days)", "sharpe_of_exits sharpe", 1.0, OURS._replace(year="252")),
    ("Sortino Ratio (252 days)", "sortino_of_exits sortino", 1.0, OURS._replace(year="252")),
    ("Returns Volatility (252 days)", "volatility_of_exits volatility", 1.0, OURS._replace(year="252")),
    ("PnL (total)", "net_profit", 1.0, OURS._replace(base="cash")),
    ("PnL% (total)", "total_return", _PERCENT, OURS._replace(base="cash")),
    ("Average (Return)", "mean_trade"),
    ("Average Win (Return)", "mean_win"),
    ("Average Loss (Return)", "mean_loss"),
    ("Profit Factor", "profit_factor", 1.0, OURS._replace(trades="return")),
    ("Win Rate", "win_rate"),
    ("Expectancy", "expectancy"),
    ("Avg Winner", "average_win"),
    ("Avg Loser", "average_loss"),
)
_FREQTRADE = _rows(
    "freqtrade",
    ("sharpe", "sharpe_of_trades sharpe", 1.0, OURS._replace(spread="0")),
    ("sortino", "sortino_of_trades sortino", 1.0, OURS._replace(spread="0")),
    ("calmar", "calmar_of_trades calmar"),
    ("profit_total", "total_return", 1.0, OURS._replace(base="cash")),
    ("profit_total_abs", "net_profit", 1.0, OURS._replace(base="cash")),
    ("final_balance", "final_equity"),
    ("starting_balance", "initial_equity", 1.0, OURS._replace(base="cash")),
    ("max_drawdown_account", "max_drawdown", -1.0, OURS._replace(sample="exits", base="cash")),
    ("max_drawdown_abs", "max_drawdown_money", -1.0, OURS._replace(sample="exits", base="cash")),
    ("profit_mean", "mean_trade"),
    ("total_trades", "trades"),
    ("winrate", "win_rate"),
    ("profit_factor", "profit_factor"),
    ("expectancy", "expectancy"),
    ("sqn", "sqn", 1.0, OURS._replace(trades="cash")),
    ("cagr", "cagr", 1.0, OURS._replace(base="cash", growth="days")),
)
_ANY = _rows(
    "",
    ("sharpe", "sharpe"),
    ("sharpe_ratio", "sharpe"),
    ("sortino", "sortino"),
    ("sortino_ratio", "sortino"),
    ("calmar", "calmar"),
    ("calmar_ratio", "calmar"),
    ("omega_ratio", "omega"),
    ("volatility", "volatility"),
    ("annual_volatility", "volatility"),
    ("cagr", "cagr"),
    ("annual_return", "cagr"),
    ("total_return", "total_return"),
    ("cumulative_return", "total_return"),
    ("max_drawdown", "max_drawdown"),
    ("win_rate", "win_rate"),
    ("profit_factor", "profit_factor"),
    ("skew", "skew"),
    ("kurtosis", "kurtosis"),
    ("trades", "trades"),
    ("sqn", "sqn"),
)

NAMES = [*_BACKTESTING, *_VECTORBT, *_BACKTRADER, *_FFN, *_ZIPLINE, *_NAUTILUS, *_FREQTRADE, *_ANY]
"""Every figure of every engine that is known."""


def named(engine: str, name: str) -> Named | None:
    """Return what an engine's figure is; of a name in parts, as nested results have it, its last parts tell.

    >>> named("backtrader", "SharpeRatio.sharperatio").measures
    ('sharpe',)
    >>> named("whoever", "Sharpe Ratio").name
    'sharpe_ratio'
    """
    parts = name.split(".")
    ends = [".".join(parts[at:]) for at in range(len(parts))]
    for called in [name, *ends]:
        if found := _BY_NAME.get((_plain(engine), called)):
            return found
    return _BY_NAME.get(("", "_".join(ends[-1].lower().split())))


def _plain(engine: str) -> str:
    """Return an engine's name without what comes after it: `zipline-reloaded` is `zipline`."""
    engine = engine.lower().replace("-", "_")
    return next(
        (known for known in _ENGINES if engine in (known, f"{known}_reloaded", f"{known}.py", f"{known}_trader")),
        engine,
    )


_BY_NAME = {(row.engine, row.name): row for row in reversed(NAMES)}
_ENGINES = {row.engine for row in NAMES}


def as_markdown() -> str:
    """Return the table as Markdown, for docs/reports/reconciled.md."""
    from peak_trade.stats.reconcile.measures import MEASURES

    rows = ["| engine | its name | ours | how the engine works it out |", "|---|---|---|---|"]
    for row in NAMES:
        if row.engine:
            measure = MEASURES[row.measures[0]]
            words = "; ".join(part for part in (measure.words, row.way.words(measure.axes)) if part) or "as ours"
            rows.append(f"| {row.engine} | `{row.name}` | `{measure.stat or '–'}` | {words} |")
    return "\n".join(rows)
