"""Functions of the K closed trades. Money is in quote currency; `pnl` is net of every cost, of shape (K,).

A trade wins with pnl > 0 and loses with pnl < 0; one that ends at exactly 0 does neither, but counts as a trade. Where
several figures share the work, `pnl` is a `Pnl` of it.
quantstats works out figures of the same names from bars, not trades, and so gives others.
"""

from __future__ import annotations

from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from peak_trade.market.trades import Trades
from peak_trade.stats.timeline import Timeline, timeline_of
from peak_trade.stats.values import Floats, NoValueError, Times, finite, mean_of, or_undefined

__all__ = [
    "Pnl",
    "average_bars_held",
    "average_loss",
    "average_win",
    "best_trade",
    "borrow_paid",
    "expectancy",
    "fees_paid",
    "payoff_ratio",
    "pnl_of",
    "profit_factor",
    "slippage_paid",
    "turnover",
    "win_rate",
    "worst_trade",
]

T = TypeVar("T", np.float64, np.int64)


class Pnl:
    """The net profit of K trades, shape (K,), and its two sides, each worked out once, when it is first asked for."""

    def __init__(self, pnl: Floats) -> None:
        self.pnl = pnl

    @cached_property
    def won(self) -> npt.NDArray[np.bool_]:
        """Which trades won, shape (K,)."""
        return self.pnl > 0.0

    @cached_property
    def lost(self) -> npt.NDArray[np.bool_]:
        """Which trades lost, shape (K,)."""
        return self.pnl < 0.0

    @cached_property
    def gains(self) -> tuple[float, int]:
        """What the winners earned together, and how many they are."""
        wins = self.pnl[self.won]
        return float(np.add.reduce(wins)), len(wins)

    @cached_property
    def losses(self) -> tuple[float, int]:
        """What the losers lost together, a negative number, and how many they are."""
        losses = self.pnl[self.lost]
        return float(np.add.reduce(losses)), len(losses)

    @property
    def average_win(self) -> float:
        """Mean of the winners; needs one."""
        _some(self.pnl)
        total, count = self.gains
        if not count:
            raise NoValueError("no winning trades")
        return total / count

    @property
    def average_loss(self) -> float:
        """Mean of the losers, a negative number; needs one."""
        return self.total_loss / self.losses[1]

    @property
    def total_loss(self) -> float:
        """Sum of the losers, a negative number; needs one."""
        _some(self.pnl)
        total, count = self.losses
        if not count:
            raise NoValueError("no losing trades")
        return total


def pnl_of(pnl: Floats | Pnl) -> Pnl:
    """Return the `Pnl` of `pnl`, which may be one already."""
    return pnl if isinstance(pnl, Pnl) else Pnl(pnl)


def _some(column: npt.NDArray[T]) -> npt.NDArray[T]:
    if len(column) == 0:
        raise NoValueError("no trades")
    return column


@or_undefined
def win_rate(pnl: Floats | Pnl) -> float:
    """Share of the trades that win.

    >>> win_rate(np.array([50.0, -20.0, 0.0, 10.0]))
    0.5
    """
    trades = pnl_of(pnl)
    return int(np.count_nonzero(trades.won)) / len(_some(trades.pnl))


@or_undefined
def profit_factor(pnl: Floats | Pnl) -> float:
    """What the winners earned for each unit that the losers lost: sum(wins) / |sum(losses)|; 0 without winners.

    >>> profit_factor(np.array([50.0, -20.0, 0.0, 10.0]))
    3.0
    >>> profit_factor(np.array([50.0]))
    Undefined(reason='no losing trades')
    """
    trades = pnl_of(pnl)
    return trades.gains[0] / finite(-trades.total_loss)


@or_undefined
def payoff_ratio(pnl: Floats | Pnl) -> float:
    """Average win for each unit of the average loss: mean(wins) / |mean(losses)|.

    >>> payoff_ratio(np.array([50.0, -20.0, 0.0, 10.0]))
    1.5
    """
    trades = pnl_of(pnl)
    return trades.average_win / finite(-trades.average_loss)


@or_undefined
def expectancy(pnl: Floats | Pnl) -> float:
    """Mean net profit of a trade.

    >>> expectancy(np.array([50.0, -20.0, 0.0, 10.0]))
    10.0
    """
    return mean_of(_some(pnl_of(pnl).pnl))


@or_undefined
def average_win(pnl: Floats | Pnl) -> float:
    """Mean net profit of the winning trades.

    >>> average_win(np.array([50.0, -20.0, 0.0, 10.0]))
    30.0
    """
    return pnl_of(pnl).average_win


@or_undefined
def average_loss(pnl: Floats | Pnl) -> float:
    """Mean net profit of the losing trades, a negative number.

    >>> average_loss(np.array([50.0, -20.0, 0.0, 10.0]))
    -20.0
    """
    return pnl_of(pnl).average_loss


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
    return mean_of(_some(bars_held))


@or_undefined
def turnover(trades: Trades, equity: Floats, timestamp: Times | Timeline) -> float:
    """How often a year the account is traded: the notional of every entry and exit over mean equity and years.

    Formula: sum(quantity (entry_price + exit_price)) / mean(equity) / years. Both sides count: a round trip
    of the whole account is about 2. Undefined under a twelfth of a year.
    """
    elapsed = timeline_of(timestamp).years_to_annualise
    mean = finite(mean_of(equity))
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
    if len(trades) and int(np.minimum.reduce(trades.side)) > 0:  # nobody borrows what he buys
        return 0.0
    gross = trades.side * trades.quantity * (trades.exit_price - trades.entry_price)
    borrow = gross - trades.entry_fee - trades.exit_fee - trades.pnl
    rounding = 1e-14 * trades.quantity * (trades.entry_price + trades.exit_price)
    borrow[(trades.side > 0) | (np.abs(borrow) <= rounding)] = 0.0
    return float(borrow.sum())
