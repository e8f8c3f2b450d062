"""Functions of the K closed trades. Money is in quote currency; `pnl` is net of every cost, of shape (K,).

A trade wins with pnl > 0 and loses with pnl < 0; one that ends at exactly 0 does neither, but counts as a trade.
quantstats works out figures of the same names from bars, not trades, and so gives others.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from peak_trade.market.trades import Trades
from peak_trade.stats.timeline import Timeline, timeline_of
from peak_trade.stats.values import Floats, NoValueError, Times, finite, or_undefined

__all__ = [
    "average_bars_held",
    "average_loss",
    "average_win",
    "best_trade",
    "borrow_paid",
    "expectancy",
    "fees_paid",
    "payoff_ratio",
    "profit_factor",
    "slippage_paid",
    "turnover",
    "win_rate",
    "worst_trade",
]

T = TypeVar("T", np.float64, np.int64)


def _some(column: npt.NDArray[T]) -> npt.NDArray[T]:
    if len(column) == 0:
        raise NoValueError("no trades")
    return column


def _wins(pnl: Floats) -> Floats:
    wins = _some(pnl)[pnl > 0.0]
    if len(wins) == 0:
        raise NoValueError("no winning trades")
    return wins


def _losses(pnl: Floats) -> Floats:
    losses = _some(pnl)[pnl < 0.0]
    if len(losses) == 0:
        raise NoValueError("no losing trades")
    return losses


@or_undefined
def win_rate(pnl: Floats) -> float:
    """Share of the trades that win.

    >>> win_rate(np.array([50.0, -20.0, 0.0, 10.0]))
    0.5
    """
    return int(np.count_nonzero(_some(pnl) > 0.0)) / len(pnl)


@or_undefined
def profit_factor(pnl: Floats) -> float:
    """What the winners earned for each unit that the losers lost: sum(wins) / |sum(losses)|; 0 without winners.

    >>> profit_factor(np.array([50.0, -20.0, 0.0, 10.0]))
    3.0
    >>> profit_factor(np.array([50.0]))
    Undefined(reason='no losing trades')
    """
    return float(pnl[pnl > 0.0].sum()) / finite(-_losses(pnl).sum())


@or_undefined
def payoff_ratio(pnl: Floats) -> float:
    """Average win for each unit of the average loss: mean(wins) / |mean(losses)|.

    >>> payoff_ratio(np.array([50.0, -20.0, 0.0, 10.0]))
    1.5
    """
    return float(_wins(pnl).mean()) / finite(-_losses(pnl).mean())


@or_undefined
def expectancy(pnl: Floats) -> float:
    """Mean net profit of a trade.

    >>> expectancy(np.array([50.0, -20.0, 0.0, 10.0]))
    10.0
    """
    return float(_some(pnl).mean())


@or_undefined
def average_win(pnl: Floats) -> float:
    """Mean net profit of the winning trades.

    >>> average_win(np.array([50.0, -20.0, 0.0, 10.0]))
    30.0
    """
    return float(_wins(pnl).mean())


@or_undefined
def average_loss(pnl: Floats) -> float:
    """Mean net profit of the losing trades, a negative number.

    >>> average_loss(np.array([50.0, -20.0, 0.0, 10.0]))
    -20.0
    """
    return float(_losses(pnl).mean())


@or_undefined
def best_trade(trade_return: Floats) -> float:
    """Highest net return of a trade, as a fraction of its entry notional.

    >>> best_trade(np.array([0.05, -0.02]))
    0.05
    """
    return float(_some(trade_return).max())


@or_undefined
def worst_trade(trade_return: Floats) -> float:
    """Lowest net return of a trade, as a fraction of its entry notional.

    >>> worst_trade(np.array([0.05, -0.02]))
    -0.02
    """
    return float(_some(trade_return).min())


@or_undefined
def average_bars_held(bars_held: npt.NDArray[np.int64]) -> float:
    """Mean number of bars from entry to exit; 0 for a trade that a stop ends in its entry bar.

    >>> average_bars_held(np.array([3, 0, 6]))
    3.0
    """
    return float(_some(bars_held).mean())


@or_undefined
def turnover(trades: Trades, equity: Floats, timestamp: Times | Timeline) -> float:
    """How often a year the account is traded: the notional of every entry and exit over mean equity and years.

    Formula: sum(quantity (entry_price + exit_price)) / mean(equity) / years. Both sides count: a round trip
    of the whole account is about 2. Undefined under a twelfth of a year.
    """
    elapsed = timeline_of(timestamp).years_to_annualise
    mean = finite(equity.mean())
    if mean <= 0.0:
        raise NoValueError("mean equity is zero or below")
    notional = (trades.quantity * (trades.entry_price + trades.exit_price)).sum()
    return float(notional) / mean / elapsed


@or_undefined
def fees_paid(trades: Trades) -> float:
    """Sum of the entry and exit fees."""
    return float((trades.entry_fee + trades.exit_fee).sum())


@or_undefined
def slippage_paid(trades: Trades) -> float:
    """Sum of the slippage, which the fill prices already hold: it is a part of pnl, not one more cost."""
    return float(trades.slippage.sum())


@or_undefined
def borrow_paid(trades: Trades) -> float:
    """Sum of what was paid to borrow for the shorts: what neither prices nor fees explain of each trade's pnl.

    Formula: side * quantity * (exit_price - entry_price) - fees - pnl, and 0 where that is rounding only.
    """
    gross = trades.side * trades.quantity * (trades.exit_price - trades.entry_price)
    borrow = gross - trades.entry_fee - trades.exit_fee - trades.pnl
    rounding = 1e-14 * trades.quantity * (trades.entry_price + trades.exit_price)
    borrow[(trades.side > 0) | (np.abs(borrow) <= rounding)] = 0.0
    return float(borrow.sum())
