"""Figures, each worked out in one way: NaN where that way has none."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np

from peak_trade.market.trades import Trades
from peak_trade.stats.reconcile.ways import Material, Way
from peak_trade.stats.values import Floats

__all__ = ["MEASURES", "Measure"]

_Function = Callable[[Material, Trades | None, Way], Any]


class Measure(NamedTuple):
    """A figure: its key in stats.json (empty where there is none), the axes it can differ on, its definition."""

    stat: str
    axes: tuple[str, ...]
    of: _Function
    words: str = ""


def _deviation(values: Floats, way: Way) -> float:
    return float(values.std(ddof=int(way.spread))) if len(values) > int(way.spread) else math.nan


def _compounded(found: Floats, periods: float, way: Way) -> tuple[float, float]:
    """Return growth and spread a year of returns that compound: E[X] and the standard deviation of their product."""
    mean = math.exp(float(np.log1p(found).mean())) - 1.0
    growth = (1.0 + mean) ** periods
    variance = _deviation(found, way) ** 2
    return growth - 1.0, math.sqrt((variance + (1.0 + mean) ** 2) ** periods - (1.0 + mean) ** (2.0 * periods))


def _sharpe(material: Material, trades: Trades | None, way: Way) -> float:
    found, periods = material.returns(way), material.periods(way)
    if way.mean == "geometric":
        growth, spread = _compounded(found, periods, way)
        return (growth - material.yearly(way)) / spread
    return (float(found.mean()) - material.per_period(way)) / _deviation(found, way) * math.sqrt(periods)


def _sortino(material: Material, trades: Trades | None, way: Way) -> float:
    found, periods = material.returns(way), material.periods(way)
    if way.mean == "geometric":
        down = math.sqrt(float((np.minimum(found, 0.0) ** 2).mean()) * periods)
        return (_compounded(found, periods, way)[0] - material.yearly(way)) / down
    excess = found - material.per_period(way)
    return float(excess.mean()) / math.sqrt(float((np.minimum(excess, 0.0) ** 2).mean())) * math.sqrt(periods)


def _volatility(material: Material, trades: Trades | None, way: Way) -> float:
    found, periods = material.returns(way), material.periods(way)
    if way.mean == "geometric":
        return _compounded(found, periods, way)[1]
    return _deviation(found, way) * math.sqrt(periods)


def _cagr(material: Material, trades: Trades | None, way: Way) -> float:
    curve = material.curve(way)
    logarithm = math.log(float(curve[-1] / curve[0])) / material.years(way)
    return logarithm if way.mean == "log" else math.expm1(logarithm)


def _mean_return(material: Material, trades: Trades | None, way: Way) -> float:
    return float(material.returns(way).mean()) * material.periods(way)


def _total_return(material: Material, trades: Trades | None, way: Way) -> float:
    curve = material.curve(way)
    growth = float(curve[-1] / curve[0])
    return math.log(growth) if way.mean == "log" else growth - 1.0


def _net_profit(material: Material, trades: Trades | None, way: Way) -> float:
    curve = material.curve(way)
    return float(curve[-1] - curve[0])


def _drawdown(material: Material, trades: Trades | None, way: Way) -> float:
    curve = material.curve(way)
    return float((curve / np.maximum.accumulate(curve)).min()) - 1.0


def _drawdown_money(material: Material, trades: Trades | None, way: Way) -> float:
    """Return the fall in money at the deepest drawdown as a fraction."""
    curve = material.curve(way)
    peak = np.maximum.accumulate(curve)
    at = int((curve / peak).argmin())
    return float(curve[at] - peak[at])


def _calmar(material: Material, trades: Trades | None, way: Way) -> float:
    at = way if way.depth == "sample" else way._replace(sample="bar")
    return _cagr(material, trades, way) / abs(_drawdown(material, trades, at))


def _skew(material: Material, trades: Trades | None, way: Way) -> float:
    return _moment(material, way, 3)


def _kurtosis(material: Material, trades: Trades | None, way: Way) -> float:
    return _moment(material, way, 4)


def _moment(material: Material, way: Way, power: int) -> float:
    """Return skew (power 3) or excess kurtosis (4)."""
    found = material.returns(way)
    count = len(found)
    scaled = (found - found.mean()) / found.std()
    raw = float((scaled**power).mean())
    if way.bias == "population":
        return raw if power == 3 else raw - 3.0
    if power == 3:
        return raw * math.sqrt(count * (count - 1.0)) / (count - 2.0)
    return ((count + 1.0) * (raw - 3.0) + 6.0) * (count - 1.0) / ((count - 2.0) * (count - 3.0))


def _omega(material: Material, trades: Trades | None, way: Way) -> float:
    excess = material.returns(way) - (material.per_period(way) if way.rate != "0" and material.rate else 0.0)
    return float(excess[excess > 0.0].sum()) / -float(excess[excess < 0.0].sum())


def _extreme(choose: Callable[[Floats], float]) -> _Function:
    return lambda material, trades, way: float(choose(material.returns(way)))


# --- of trades ------------------------------------------------------------------------------------------------------


def _of(trades: Trades | None, material: Material, way: Way) -> Floats:
    taken = [one for one in (trades, material.left if way.open == "all" else None) if one is not None and len(one)]
    if not taken:
        raise ValueError("no trades")
    if way.trades == "cash":
        return np.concatenate([one.pnl for one in taken]) / (material.cash or math.nan)
    return np.concatenate([one.return_ if way.trades == "return" else one.pnl for one in taken])


def _count(material: Material, trades: Trades | None, way: Way) -> float:
    if trades is None:
        return math.nan
    return len(trades) + (len(material.left) if material.left is not None and way.open == "all" else 0)


def _fees(material: Material, trades: Trades | None, way: Way) -> float:
    if trades is None:
        return math.nan
    paid = float((trades.entry_fee + trades.exit_fee).sum())
    return paid + (float(material.left.entry_fee.sum()) if material.left is not None and way.open == "all" else 0.0)


def _of_trades(work: Callable[[Floats, Way], Any]) -> _Function:
    return lambda material, trades, way: work(_of(trades, material, way), way)


def _mean(values: Floats) -> float:
    if not len(values):
        raise ValueError("no values")
    return float(values.mean())


def _exposure(material: Material, trades: Trades | None, way: Way) -> float:
    """Return the share of bars in a trade, by its times."""
    if trades is None:
        return math.nan
    count = np.zeros(len(material.timestamp) + 1, np.int64)
    last: Literal["left", "right"] = "right" if way.held == "through" else "left"
    times, entry, exits = (
        one.astype("M8[ns]").view(np.int64) for one in (material.timestamp, trades.entry_time, trades.exit_time)
    )
    np.add.at(count, np.searchsorted(times, entry), 1)
    np.add.at(count, np.searchsorted(times, exits, last), -1)
    return float((np.cumsum(count)[:-1] > 0).mean())


def _of_returns(choose: Callable[[Floats], Floats]) -> _Function:
    return lambda material, trades, way: _mean(choose(_of(trades, material, way._replace(trades="return"))))


def _factor(values: Floats, way: Way) -> float:
    return float(values[values > 0.0].sum()) / -float(values[values < 0.0].sum())


def _payoff(values: Floats, way: Way) -> float:
    return _mean(values[values > 0.0]) / -_mean(values[values < 0.0])


def _sqn(values: Floats, way: Way) -> float:
    return math.sqrt(len(values)) * float(values.mean()) / _deviation(values, way)


def _kelly(values: Floats, way: Way) -> float:
    wins = float((values > 0.0).mean())
    return wins - (1.0 - wins) / _payoff(values, way)


def _geometric(material: Material, trades: Trades | None, way: Way) -> float:
    return math.expm1(_mean(np.log1p(_of(trades, material, way._replace(trades="return")))))


def _by_days(downside: bool) -> _Function:
    """Return freqtrade's ratio: profits of trades on the initial cash, a day, over the spread of those profits."""

    def work(material: Material, trades: Trades | None, way: Way) -> float:
        if trades is None or not len(trades) or not material.cash:
            return math.nan
        profits = trades.pnl / material.cash
        days = max(int((material.timestamp[-1] - material.timestamp[0]) / np.timedelta64(1, "D")), 1)
        spread = profits[profits < 0.0] if downside else profits
        return float(profits.sum()) / days / _deviation(spread, way) * math.sqrt(365.0)

    return work


def _calmar_by_days(material: Material, trades: Trades | None, way: Way) -> float:
    """Return freqtrade's ratio: profits on the initial cash, a day, in percent, over the deepest drawdown in money."""
    if trades is None or not len(trades) or not material.cash:
        return math.nan
    days = max(int((material.timestamp[-1] - material.timestamp[0]) / np.timedelta64(1, "D")), 1)
    curve = material.curve(way._replace(sample="exits"))
    peak = np.maximum.accumulate(curve)
    at = int((curve - peak).argmin())
    return float(trades.pnl.sum()) / material.cash / days * 100.0 / float(1.0 - curve[at] / peak[at]) * math.sqrt(365.0)


def _of_exits(work: Callable[[Floats, float, Way], float]) -> _Function:
    """Return nautilus_trader's figure: of the trades' returns, added up for each day on which some were closed."""

    def of(material: Material, trades: Trades | None, way: Way) -> float:
        if trades is None or not len(trades):
            return math.nan
        days, which = np.unique(trades.exit_time.astype("M8[D]"), return_inverse=True)
        added: Floats = np.bincount(which, trades.return_, len(days)).astype(np.float64)
        return work(added, material.periods(way), way)

    return of


def _ratio_of(values: Floats, periods: float, way: Way) -> float:
    return _mean(values) / _deviation(values, way) * math.sqrt(periods)


def _downside_of(values: Floats, periods: float, way: Way) -> float:
    return _mean(values) / math.sqrt(_mean(np.minimum(values, 0.0) ** 2)) * math.sqrt(periods)


_EXITS = "of the trades' returns, added up for each day of exits"
_CURVE = ("sample", "base")
_RATIO = ("sample", "base", "year", "spread", "rate", "mean")
_GROWTH = ("sample", "base", "growth", "year", "mean")

MEASURES = {
    "sharpe": Measure("sharpe", _RATIO, _sharpe),
    "sortino": Measure("sortino", ("sample", "base", "year", "rate", "mean"), _sortino),
    "volatility": Measure("volatility", ("sample", "base", "year", "spread", "mean"), _volatility),
    "cagr": Measure("cagr", _GROWTH, _cagr),
    "mean_return": Measure("", ("sample", "base", "year"), _mean_return, "mean return, times the periods of a year"),
    "calmar": Measure("calmar", (*_GROWTH, "depth"), _calmar),
    "total_return": Measure("total_return", ("base", "mean"), _total_return),
    "net_profit": Measure("net_profit", ("base",), _net_profit),
    "final_equity": Measure("final_equity", (), lambda material, trades, way: float(material.equity[-1])),
    "initial_equity": Measure("initial_equity", ("base",), lambda material, trades, way: float(material.curve(way)[0])),
    "peak_equity": Measure("", ("base",), lambda m, trades, way: float(m.curve(way).max()), "highest equity"),
    "max_drawdown": Measure("max_drawdown", _CURVE, _drawdown),
    "max_drawdown_money": Measure("", _CURVE, _drawdown_money, "fall from the peak at the deepest drawdown"),
    "skew": Measure("skew", ("sample", "base", "bias"), _skew),
    "kurtosis": Measure("kurtosis", ("sample", "base", "bias"), _kurtosis),
    "omega": Measure("omega", ("sample", "base", "rate"), _omega),
    "best_day": Measure("best_day", _CURVE, _extreme(np.max)),
    "worst_day": Measure("worst_day", _CURVE, _extreme(np.min)),
    "best_month": Measure("best_month", _CURVE, _extreme(np.max)),
    "worst_month": Measure("worst_month", _CURVE, _extreme(np.min)),
    "exposure": Measure("exposure", ("held",), _exposure),
    "trades": Measure("trades", ("open",), _count),
    "win_rate": Measure("win_rate", ("trades", "open"), _of_trades(lambda values, way: float((values > 0.0).mean()))),
    "profit_factor": Measure("profit_factor", ("trades", "open"), _of_trades(_factor)),
    "payoff_ratio": Measure("payoff_ratio", ("trades", "open"), _of_trades(_payoff)),
    "expectancy": Measure("expectancy", ("trades", "open"), _of_trades(lambda values, way: _mean(values))),
    "mean_trade": Measure("", (), _of_returns(lambda values: values), "mean return of the trades"),
    "mean_win": Measure("", (), _of_returns(lambda values: values[values > 0.0]), "mean return of the winning trades"),
    "mean_loss": Measure("", (), _of_returns(lambda values: values[values < 0.0]), "mean return of the losing trades"),
    "best_trade": Measure("best_trade", ("trades", "open"), _of_trades(lambda values, way: float(values.max()))),
    "worst_trade": Measure("worst_trade", ("trades", "open"), _of_trades(lambda values, way: float(values.min()))),
    "average_win": Measure("average_win", ("trades",), _of_trades(lambda values, way: _mean(values[values > 0.0]))),
    "average_loss": Measure("average_loss", ("trades",), _of_trades(lambda values, way: _mean(values[values < 0.0]))),
    "fees_paid": Measure("fees_paid", ("open",), _fees),
    "sqn": Measure(
        "", ("trades", "spread", "open"), _of_trades(_sqn), "sqrt(trades) * mean / standard deviation of their pnl"
    ),
    "kelly": Measure("", ("trades",), _of_trades(_kelly), "win rate - (1 - win rate) / payoff ratio"),
    "geometric_trade": Measure("", (), _geometric, "geometric mean of the trades' returns"),
    "sharpe_of_exits": Measure("sharpe", ("year", "spread"), _of_exits(_ratio_of), _EXITS),
    "sortino_of_exits": Measure("sortino", ("year",), _of_exits(_downside_of), _EXITS),
    "volatility_of_exits": Measure(
        "volatility", ("year", "spread"),
        _of_exits(lambda values, periods, way: _deviation(values, way) * math.sqrt(periods)), _EXITS,
    ),
    "sharpe_of_trades": Measure(
        "sharpe", ("spread",), _by_days(False),
        "sum of the trades' pnl on the initial cash a day, over its standard deviation, * sqrt(365)",
    ),
    "calmar_of_trades": Measure(
        "calmar", (), _calmar_by_days,
        "sum of the trades' pnl on the initial cash a day, in percent, over the drawdown where it is deepest in money, "
        "of the initial cash and what trades had earned at their exits, * sqrt(365)",
    ),
    "sortino_of_trades": Measure(
        "sortino", ("spread",), _by_days(True),
        "sum of the trades' pnl on the initial cash a day, over the standard deviation of the losses, * sqrt(365)",
    ),
}  # fmt: skip
"""Every figure that an engine's is held against."""
