"""An equity curve over its times, and what several statistics take from it: each is worked out once, when asked for."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from peak_trade.errors import InputError
from peak_trade.stats import equity as of_equity
from peak_trade.stats import periods, water
from peak_trade.stats.sample import Sample
from peak_trade.stats.timeline import Timeline, timeline_of
from peak_trade.stats.values import Floats, NoValueError, Times, need

__all__ = ["Curve"]


class Curve:
    """Equity at each of N closes (quote currency, shape (N,)), over its times.

    Where several runs are held against one benchmark, or lie over the same bars, they share its `Curve` and the
    `Timeline`. Properties that have no value raise NoValueError.
    """

    def __init__(self, equity: Floats, times: Times | Timeline) -> None:
        self.equity, self.times = equity, timeline_of(times)

    def check(self, name: str) -> None:
        """Raise InputError where it is not finite, or has another shape than its times; `name` is what it is called."""
        check(name, self.equity, self.times)

    @cached_property
    def returns(self) -> Sample:
        """Its returns from bar to bar, shape (N - 1,)."""
        return Sample(need(of_equity.returns(self.equity)))

    @cached_property
    def depth(self) -> Floats:
        """Its drawdown at each bar, shape (N,)."""
        return need(of_equity.drawdown(self.equity))

    @cached_property
    def days(self) -> Floats:
        """Its returns by day."""
        return need(periods.period_returns(self.times, self.equity, "D"))

    @cached_property
    def months(self) -> Floats:
        """Its returns by month."""
        return need(periods.period_returns(self.times, self.equity, "M"))

    @cached_property
    def ulcer(self) -> float:
        """The ulcer index."""
        return need(water.ulcer_index(self.depth))

    @cached_property
    def total_return(self) -> float:
        """The change of the whole, as a fraction."""
        return need(of_equity.total_return(self.equity))

    @cached_property
    def cagr(self) -> float:
        """Its growth a year."""
        return need(of_equity.cagr(self.equity, self.times))

    @cached_property
    def max_drawdown(self) -> float:
        """The lowest of its drawdown."""
        return need(of_equity.max_drawdown(self.depth))

    def at(self, bar: int) -> float:
        """Return equity at the close of a bar."""
        if len(self.equity) == 0:
            raise NoValueError("no bars")
        return float(self.equity[bar])


def check(name: str, column: Floats, times: Timeline) -> None:
    """Raise InputError where a column is not finite, or has another shape than the times of its bars."""
    if column.shape != times.timestamp.shape:
        raise InputError(f"{name} has shape {column.shape}, and timestamp {times.timestamp.shape}")
    if not np.isfinite(column).all():
        raise InputError(f"{name} is not finite at bar {int(np.argmin(np.isfinite(column)))}")
