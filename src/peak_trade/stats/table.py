"""The table of statistics: one row for each key of stats.json, which `compute` fills and the documents print."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from peak_trade.market.trades import EXIT_REASONS, Trades
from peak_trade.stats import against, closed, periods, shape, streaks, water
from peak_trade.stats import equity as curve
from peak_trade.stats import sample as spread
from peak_trade.stats.curve import Curve, check
from peak_trade.stats.values import REASONS, Floats, NoValueError, Times, Undefined, quiet

__all__ = [
    "STATS",
    "Stat",
    "Stats",
    "Unit",
    "compute",
    "editions",
    "of_curve",
    "reasons_as_markdown",
    "stats_as_markdown",
]

Unit = Literal["count", "bars", "days", "years", "per year", "quote", "fraction", "ratio", "probability"]
"""`quote` is an amount of quote currency, `fraction` of something (0.05 is 5 %), `ratio` a pure number."""


class Inputs:
    """What the statistics of one run are worked out from; `given` are periods_per_year and risk_free_rate."""

    def __init__(
        self,
        own: Curve,
        held: Floats | None,
        closed: Trades | None,
        given: tuple[float | None, float],
        market: Curve | None,
    ) -> None:
        self.own, self.held, self.closed, self.given, self.market = own, held, closed, given, market

    @property
    def position(self) -> Floats:
        if self.held is None:
            raise NoValueError("no position given")
        return self.held

    @property
    def trades(self) -> Trades:
        if self.closed is None:
            raise NoValueError("no trades given")
        return self.closed

    @cached_property
    def pnl(self) -> closed.Pnl:
        """The net profit of the trades."""
        return closed.Pnl(self.trades.pnl)

    @property
    def rates(self) -> tuple[float, float]:
        """What annualises: bars a year, and the risk-free rate."""
        bars, rate = self.given
        if bars is None:
            raise NoValueError("no calendar, and less than a twelfth of a year of bars")
        return bars, rate

    @property
    def rates_of_bar(self) -> tuple[float, float]:
        """The same, for what needs them for a rate per bar only: none needs bars a year to be none."""
        return self.rates if self.given[1] else (self.given[0] or 1.0, 0.0)

    @property
    def benchmark(self) -> Curve:
        if self.market is None:
            raise NoValueError("no benchmark")
        return self.market

    @property
    def pair(self) -> tuple[spread.Sample, spread.Sample]:
        market = self.benchmark.returns  # first, for having none is what there is to say
        return self.own.returns, market


class _Partial:
    """Trades of which some do not say all that is asked: what needs a column that has gaps has no value."""

    def __init__(self, trades: Trades) -> None:
        self._trades = trades

    def __len__(self) -> int:
        return len(self._trades)

    def __getattr__(self, name: str) -> object:
        column = getattr(self._trades, name)
        if _lacks(column, name):
            raise NoValueError("not every trade says it")
        return column


def _lacks(column: object, name: str) -> bool:
    if not isinstance(column, np.ndarray):
        return False
    if column.dtype.kind == "f":
        return not bool(np.isfinite(column).all())
    return name in ("bars_held", "exit_reason") and bool((column < 0).any())


def _partial(trades: Trades | None) -> Trades | None:
    """Return the trades so that no statistic passes over what they do not say."""
    gaps = trades is not None and _has_gaps(trades)
    return _Partial(trades) if trades is not None and gaps else trades  # type: ignore[return-value]


def _has_gaps(trades: Trades) -> bool:
    """Tell whether any column of them lacks a value.

    A sum is no number where one that it adds is none, and one look at all columns is quicker than one at each.
    """
    columns = {name: getattr(trades, name) for name in trades.__struct_fields__}
    floats = [column for column in columns.values() if isinstance(column, np.ndarray) and column.dtype.kind == "f"]
    with np.errstate(all="ignore"):
        if np.isfinite(np.add.reduce(np.concatenate(floats))):
            return any(_lacks(columns[name], name) for name in ("bars_held", "exit_reason"))
    return any(_lacks(column, name) for name, column in columns.items())


_ADDED = frozenset(("turnover", "profit_factor", "payoff_ratio"))
"""The statistics that add amounts of money of trades, beside those in quote currency."""


class Stat(NamedTuple):
    """One row: a key of stats.json, its unit, its definition in a line, and the function that works it out.

    A run is sealed with the `edition` of each definition. Who lets a key mean another value raises it, so that older
    runs are not held against what they never were.
    """

    key: str
    unit: Unit
    definition: str
    of: Callable[[Inputs], float | Undefined]
    edition: int = 1


def _exits(index: int, reason: str) -> tuple[Stat, Stat]:
    """Return the two rows of an exit reason."""
    return (
        Stat(
            f"exits_{reason}",
            "count",
            f"trades that ended by {reason}",
            lambda run: streaks.exits(run.trades.exit_reason, index),
        ),
        Stat(
            f"pnl_{reason}",
            "quote",
            f"sum of the pnl of the trades that ended by {reason}",
            lambda run: streaks.pnl_of_exits(run.trades.pnl, run.trades.exit_reason, index),
        ),
    )


STATS = (
    Stat("bars", "count", "bars in the run", lambda run: len(run.own.equity)),
    Stat(
        "years",
        "years",
        "time from the first bar to the last; a year is 365.25 days",
        lambda run: curve.years(run.own.times),
    ),
    Stat(
        "periods_per_year",
        "per year",
        "bars in a year, by the calendar, or as the bars show it where none is given; what is annualised uses it",
        lambda run: run.rates[0],
        edition=2,
    ),
    Stat("initial_equity", "quote", "equity at the first close", lambda run: run.own.at(0)),
    Stat("final_equity", "quote", "equity at the last close", lambda run: run.own.at(-1)),
    Stat("net_profit", "quote", "final_equity - initial_equity", lambda run: run.own.at(-1) - run.own.at(0)),
    Stat("total_return", "fraction", "final_equity / initial_equity - 1", lambda run: run.own.total_return),
    Stat(
        "cagr",
        "fraction",
        "compound annual growth rate: (final_equity / initial_equity) ** (1 / years) - 1",
        lambda run: run.own.cagr,
        edition=2,
    ),
    Stat(
        "volatility",
        "fraction",
        "standard deviation of the returns per bar (ddof = 1) * sqrt(periods_per_year)",
        lambda run: spread.volatility(run.own.returns, run.rates[0]),
    ),
    Stat(
        "sharpe",
        "ratio",
        "(mean return - risk-free rate per bar) / standard deviation (ddof = 1) * sqrt(periods_per_year)",
        lambda run: spread.sharpe(run.own.returns, *run.rates),
    ),
    Stat(
        "sortino",
        "ratio",
        "as sharpe, with the downside deviation, sqrt(mean(min(excess return, 0) ** 2)), as divisor",
        lambda run: spread.sortino(run.own.returns, *run.rates),
    ),
    Stat(
        "calmar",
        "ratio",
        "cagr / |max_drawdown|",
        lambda run: curve.calmar(run.own.cagr, run.own.max_drawdown),
        edition=2,
    ),
    Stat(
        "max_drawdown",
        "fraction",
        "lowest equity / running maximum of equity - 1, at closes; negative or 0",
        lambda run: run.own.max_drawdown,
    ),
    Stat(
        "max_drawdown_days",
        "days",
        "longest time from a peak of equity to the first close that reaches it again, or to the last",
        lambda run: curve.max_drawdown_days(run.own.depth, run.own.times.timestamp),
    ),
    Stat(
        "time_under_water",
        "fraction",
        "bars at whose close equity is below its highest so far / bars",
        lambda run: water.time_under_water(run.own.depth),
    ),
    Stat(
        "ulcer_index",
        "fraction",
        "square root of the mean of the squared drawdown at each close",
        lambda run: run.own.ulcer,
    ),
    Stat(
        "ulcer_performance_index",
        "ratio",
        "(cagr - risk-free rate a year) / ulcer_index; also called the Martin ratio",
        lambda run: water.ulcer_performance_index(run.own.cagr, run.own.ulcer, run.given[1]),
    ),
    Stat(
        "skew",
        "ratio",
        "skewness of the returns, as of a population (g1)",
        lambda run: spread.skew(run.own.returns),
    ),
    Stat(
        "kurtosis",
        "ratio",
        "excess kurtosis of the returns, as of a population (g2): 0 for a normal distribution",
        lambda run: spread.kurtosis(run.own.returns),
    ),
    Stat(
        "value_at_risk_95",
        "fraction",
        "5 % quantile of the returns per bar; a loss is negative",
        lambda run: spread.value_at_risk(run.own.returns),
    ),
    Stat(
        "expected_shortfall_95",
        "fraction",
        "mean of the lowest twentieth of the returns per bar, its count rounded up; a loss is negative",
        lambda run: spread.expected_shortfall(run.own.returns),
    ),
    Stat(
        "omega",
        "ratio",
        "sum of the excess returns above 0 / |sum of those below 0|, over the risk-free rate per bar",
        lambda run: shape.omega(run.own.returns, *run.rates_of_bar),
    ),
    Stat(
        "tail_ratio",
        "ratio",
        "95 % quantile / |5 % quantile| of the returns per bar",
        lambda run: shape.tail_ratio(run.own.returns),
    ),
    Stat(
        "common_sense_ratio",
        "ratio",
        "tail_ratio * sum of the returns per bar above 0 / |sum of those below 0|",
        lambda run: shape.common_sense_ratio(run.own.returns),
    ),
    Stat("best_bar", "fraction", "highest return of a bar", lambda run: shape.best_bar(run.own.returns)),
    Stat("worst_bar", "fraction", "lowest return of a bar", lambda run: shape.worst_bar(run.own.returns)),
    Stat(
        "best_day",
        "fraction",
        "highest change of equity from the last close of a day (UTC) to that of the next; the first day from its first",
        lambda run: periods.best_period(run.own.days),
    ),
    Stat(
        "worst_day",
        "fraction",
        "lowest change of equity over a day (UTC), as best_day",
        lambda run: periods.worst_period(run.own.days),
    ),
    Stat(
        "best_month",
        "fraction",
        "highest change of equity over a calendar month (UTC), as best_day",
        lambda run: periods.best_period(run.own.months),
    ),
    Stat(
        "worst_month",
        "fraction",
        "lowest change of equity over a calendar month (UTC), as best_day",
        lambda run: periods.worst_period(run.own.months),
    ),
    Stat(
        "probabilistic_sharpe",
        "probability",
        "probability that the true Sharpe ratio is above 0, given the count, skew and kurtosis of the "
        "returns, by the version of 2012 (Bailey, López de Prado)",
        lambda run: spread.probabilistic_sharpe(run.own.returns, *run.rates_of_bar),
    ),
    Stat(
        "exposure",
        "fraction",
        "bars after whose close a position is held / bars",
        lambda run: curve.exposure(run.position),
    ),
    Stat(
        "turnover",
        "per year",
        "notional of all entries and exits / mean equity / years",
        lambda run: closed.turnover(run.trades, run.own.equity, run.own.times),
        edition=2,
    ),
    Stat("trades", "count", "closed trades", lambda run: len(run.trades)),
    Stat("win_rate", "fraction", "trades with pnl > 0 / trades", lambda run: closed.win_rate(run.pnl)),
    Stat(
        "profit_factor",
        "ratio",
        "sum of the pnl of winning trades / |sum of the pnl of losing trades|",
        lambda run: closed.profit_factor(run.pnl),
    ),
    Stat(
        "payoff_ratio",
        "ratio",
        "average_win / |average_loss|",
        lambda run: closed.payoff_ratio(run.pnl),
    ),
    Stat("expectancy", "quote", "mean pnl of a trade, net", lambda run: closed.expectancy(run.pnl)),
    Stat("average_win", "quote", "mean pnl of the winning trades", lambda run: closed.average_win(run.pnl)),
    Stat(
        "average_loss",
        "quote",
        "mean pnl of the losing trades; negative",
        lambda run: closed.average_loss(run.pnl),
    ),
    Stat(
        "best_trade",
        "fraction",
        "highest net return of a trade on its entry notional",
        lambda run: closed.best_trade(run.trades.return_),
    ),
    Stat(
        "worst_trade",
        "fraction",
        "lowest net return of a trade on its entry notional",
        lambda run: closed.worst_trade(run.trades.return_),
    ),
    Stat(
        "average_bars_held",
        "bars",
        "mean number of bars from entry to exit",
        lambda run: closed.average_bars_held(run.trades.bars_held),
    ),
    Stat(
        "longest_winning_streak",
        "count",
        "most trades in a row, in the order of their exits, with pnl > 0",
        lambda run: streaks.longest_winning_streak(run.pnl),
    ),
    Stat(
        "longest_losing_streak",
        "count",
        "most trades in a row, in the order of their exits, with pnl < 0",
        lambda run: streaks.longest_losing_streak(run.pnl),
    ),
    Stat(
        "average_mae",
        "fraction",
        "mean maximum adverse excursion of a trade, on its entry price; negative or 0",
        lambda run: streaks.average_mae(run.trades.mae),
    ),
    Stat(
        "average_mfe",
        "fraction",
        "mean maximum favourable excursion of a trade, on its entry price; positive or 0",
        lambda run: streaks.average_mfe(run.trades.mfe),
    ),
    *(row for index, reason in enumerate(EXIT_REASONS) for row in _exits(index, reason)),
    Stat("fees_paid", "quote", "sum of entry and exit fees", lambda run: closed.fees_paid(run.trades)),
    Stat(
        "slippage_paid",
        "quote",
        "sum of slippage, which the fill prices and so pnl already hold",
        lambda run: closed.slippage_paid(run.trades),
    ),
    Stat(
        "borrow_paid",
        "quote",
        "sum of borrow cost of the shorts: side * quantity * (exit_price - entry_price) - fees - pnl",
        lambda run: closed.borrow_paid(run.trades),
    ),
    Stat(
        "benchmark_total_return",
        "fraction",
        "total_return of the benchmark's equity",
        lambda run: run.benchmark.total_return,
    ),
    Stat(
        "benchmark_cagr",
        "fraction",
        "cagr of the benchmark's equity",
        lambda run: run.benchmark.cagr,
        edition=2,
    ),
    Stat(
        "benchmark_sharpe",
        "ratio",
        "sharpe of the benchmark's equity",
        lambda run: spread.sharpe(run.benchmark.returns, *run.rates),
    ),
    Stat(
        "benchmark_max_drawdown",
        "fraction",
        "max_drawdown of the benchmark's equity",
        lambda run: run.benchmark.max_drawdown,
    ),
    Stat(
        "excess_return",
        "fraction",
        "total_return - benchmark_total_return",
        lambda run: run.own.total_return - run.benchmark.total_return,
    ),
    Stat(
        "beta",
        "ratio",
        "covariance of the returns with the benchmark's / variance of the benchmark's",
        lambda run: against.beta(*run.pair),
    ),
    Stat(
        "alpha",
        "fraction",
        "Jensen's: (mean excess return - beta * mean excess return of the benchmark) * periods_per_year",
        lambda run: against.alpha(*run.pair, *run.rates),
    ),
    Stat(
        "information_ratio",
        "ratio",
        "mean / standard deviation (ddof = 1) of the returns less the benchmark's * sqrt(periods_per_year)",
        lambda run: against.information_ratio(*run.pair, run.rates[0]),
    ),
)


class Stats(Mapping[str, "float | int | None"]):
    """The statistics of a run, by key in the order of `STATS`; `reasons` says why for each that is None."""

    def __init__(self, values: dict[str, float | int | None], reasons: dict[str, str]) -> None:
        self._values = values
        self.reasons = reasons

    def __getitem__(self, key: str) -> float | int | None:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Stats({self._values}, reasons={self.reasons})"

    def to_json_object(self) -> dict[str, float | int | dict[str, str] | None]:
        """Return what stats.json holds: every key with its number or null, then `reasons`."""
        return {**self._values, "reasons": dict(self.reasons)}


def compute(
    timestamp: Times,
    equity: Floats,
    position: Floats | None,
    trades: Trades | None,
    *,
    risk_free_rate: float,
    periods_per_year: float | None,
    benchmark_equity: Floats | None = None,
) -> Stats:
    """Work out every statistic of `STATS`: a finite number each, or None with a reason.

    `timestamp` (datetime64, increasing), `equity` (quote currency, at each close), `position` (0 when flat)
    and `benchmark_equity` have shape (N,); `risk_free_rate` is a fraction per year, `periods_per_year` None where
    nothing tells it: what is annualised by bars is None then. Of another engine, `position` and `trades` may be None,
    and trades may have gaps or be of several currencies: what needs what is not there is None.
    Raises `InputError` where the shapes differ, equity is not finite, or a rate is out of its range.
    """
    own = Curve(equity, timestamp)
    market = None if benchmark_equity is None else Curve(benchmark_equity, own.times)
    return of_curve(
        own, position, trades, risk_free_rate=risk_free_rate, periods_per_year=periods_per_year, benchmark=market
    )


def of_curve(
    own: Curve,
    position: Floats | None,
    trades: Trades | None,
    *,
    risk_free_rate: float,
    periods_per_year: float | None,
    benchmark: Curve | None = None,
) -> Stats:
    """Do as `compute`, of curves that others may share: what has been worked out of them is not worked out again."""
    own.check("equity")
    if position is not None:
        check("position", position, own.times)
    if benchmark is not None:
        benchmark.check("benchmark equity")
    spread.check_rates(risk_free_rate, 1.0 if periods_per_year is None else periods_per_year)
    run = Inputs(
        own=own,
        held=position,
        closed=_partial(trades),
        given=(None if periods_per_year is None else float(periods_per_year), float(risk_free_rate)),
        market=benchmark,
    )
    several = trades is not None and trades.currencies is not None and len(set(trades.currencies.tolist())) > 1
    values: dict[str, float | int | None] = {}
    reasons: dict[str, str] = {}
    with quiet():
        for stat in STATS:
            result = _MIXED if several and _adds(stat) else _work_out(stat, run)
            if isinstance(result, Undefined):
                values[stat.key], reasons[stat.key] = None, result.reason
            else:
                values[stat.key] = result + 0  # -0.0 becomes 0.0: nobody wants to read that a loss was nothing
    return Stats(values, reasons)


def _adds(stat: Stat) -> bool:
    """Tell whether a statistic adds amounts of money of trades, which must be of one currency then."""
    return stat.key in _ADDED or (
        stat.unit == "quote" and not stat.key.endswith("_equity") and stat.key != "net_profit"
    )


_MIXED = Undefined("trades of several currencies")


def _work_out(stat: Stat, run: Inputs) -> float | int | Undefined:
    """Return one statistic, by the rules of `or_undefined`, whose way would take as long as most statistics do."""
    try:
        result = stat.of(run)
    except NoValueError as missing:
        return Undefined(missing.reason)
    except ArithmeticError:
        return Undefined("not a finite number")
    if isinstance(result, float) and not math.isfinite(result):
        return Undefined("not a finite number")
    return result


def editions() -> dict[str, int]:
    """Return the edition of each statistic's definition, by key."""
    return {stat.key: stat.edition for stat in STATS}


def stats_as_markdown() -> str:
    """Return `STATS` as a Markdown table, for docs/reports/stats.md."""
    rows = (f"| `{stat.key}` | {stat.unit} | {stat.definition.replace('|', '&#124;')} |" for stat in STATS)
    return "\n".join(["| key | unit | definition |", "|---|---|---|", *rows])


def reasons_as_markdown() -> str:
    """Return `REASONS` as a Markdown table, for docs/reports/stats.md."""
    rows = (f"| `{reason}` | {meaning} |" for reason, meaning in REASONS.items())
    return "\n".join(["| reason | meaning |", "|---|---|", *rows])
