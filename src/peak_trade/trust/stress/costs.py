"""A result at a multiple of the costs that were booked: the same trades at the same sizes.

Nothing is run again. Of every trade the quantity and the prices before slippage stay as they were, and what was charged
for it is taken m times in place of once: with costs c, the profit p becomes p + (1 - m) c. For a whole account that
adds up, so the result falls in a straight line. What an account with other costs would have done with the money that
it had left, and whether a stop would have been hit elsewhere, needs the bars and the code (`again`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from peak_trade.market.trades import Trades
from peak_trade.stats import Curve, sharpe
from peak_trade.stats.timeline import Timeline, timeline_of
from peak_trade.stats.values import Floats, NoValueError, Times, need

__all__ = ["MULTIPLES", "Booked", "Costs", "Point", "booked", "break_even", "told"]

MULTIPLES = (0.0, 1.0, 2.0, 3.0, 5.0)
"""The multiples of the costs that are looked at."""

_SAME = 1e-9  # of what is added up: rounding


class Point(Struct, frozen=True):
    """A result at a multiple of the costs. What can't be told is None; `ruined` where equity was at or below zero."""

    multiple: float
    final_equity: float | None = None
    total_return: float | None = None
    sharpe: float | None = None
    max_drawdown: float | None = None
    ruined: bool = False


class Costs(Struct, frozen=True):
    """What an account began with and earned, and what it was charged of it, all in quote currency; None: nobody says.

    `final` and `total_return`, a fraction, are those of stats.json; None where it has none.
    """

    initial: float
    earned: float
    fees: float
    slippage: float | None = 0.0
    borrow: float | None = 0.0
    final: float | None = None
    total_return: float | None = None

    @property
    def paid(self) -> float:
        """All that was charged, as far as it is known."""
        return math.fsum(one or 0.0 for one in (self.fees, self.slippage, self.borrow))

    @property
    def break_even(self) -> float | None:
        """The multiple at which nothing is left, below zero where nothing was earned before costs; None without costs.

        >>> Costs(100.0, 30.0, fees=8.0, slippage=2.0).break_even
        4.0
        """
        return break_even(self.earned, self.paid)

    def at(self, multiple: float) -> Point:
        """Return the result at a multiple of the costs, as far as it adds up; None where the run has no such figure.

        >>> costs = Costs(100.0, 30.0, fees=8.0, slippage=2.0, final=130.0, total_return=0.3)
        >>> [(one.final_equity, round(one.total_return, 12)) for one in map(costs.at, (0.0, 1.0, 2.0, 5.0))]
        [(140.0, 0.4), (130.0, 0.3), (120.0, 0.2), (90.0, -0.1)]
        """
        saved = (1.0 - multiple) * self.paid
        return Point(
            multiple,
            None if self.final is None else self.final + saved,
            None if self.total_return is None or not self.initial > 0.0 else self.total_return + saved / self.initial,
        )


def break_even(earned: float, paid: float) -> float | None:
    """Return the multiple of what was paid at which nothing of what was earned is left; None where nothing was paid."""
    return 1.0 + earned / paid if paid > 0.0 else None


class Booked(Struct, frozen=True, eq=False):
    """Equity at each mark, shape (N,), and what had been charged by then."""

    times: Timeline
    equity: Floats
    charged: Floats

    def at(self, costs: Costs, multiple: float, periods_per_year: float | None, risk_free_rate: float) -> Point:
        """Return the result at a multiple of the costs: equity by equity, so ratio and drawdown are exact as well."""
        marked: Floats = self.equity + (1.0 - multiple) * self.charged
        ruined, curve = bool(marked.min() <= 0.0), Curve(marked, self.times)
        ratio = None
        if periods_per_year is not None and risk_free_rate > -1.0 and not ruined:
            ratio = _known(lambda: need(sharpe(curve.returns, periods_per_year, risk_free_rate)))
        return msgspec.structs.replace(
            costs.at(multiple), sharpe=ratio, max_drawdown=_known(lambda: curve.max_drawdown), ruined=ruined
        )


def _known(work_out: Callable[[], float]) -> float | None:
    try:
        return work_out()
    except NoValueError:
        return None


def booked(
    times: Times, equity: Floats, trades: Trades, costs: Costs, slippage_bps: float, *, first: bool = False
) -> Booked | None:
    """Return an account mark by mark, with what it had been charged by then: at the mark of each fill.

    None where that can't be told to the cent: borrowing is paid by the day, and marks may lack a fill's time or not add
    up to the trades. `first` says that fills at the first mark show at the second, as those at a close do.
    """
    if costs.borrow or not len(times) or costs.slippage is None:
        return None
    of_price = slippage_bps * 1e-4
    charged = np.zeros(len(times))
    for moment, price, fee, direction in (
        (trades.entry_time, trades.entry_price, trades.entry_fee, 1.0),
        (trades.exit_time, trades.exit_price, trades.exit_fee, -1.0),
    ):
        at = np.searchsorted(times, moment)
        if (at >= len(times)).any() or (times[at] != moment).any():
            return None
        slipped = trades.quantity * of_price * price / (1.0 + direction * trades.side * of_price)
        np.add.at(charged, np.maximum(at, 1) if first and len(times) > 1 else at, fee + slipped)
    charged = np.cumsum(charged)
    gained, total = float(equity[-1] - equity[0]), float(charged[-1])
    scale = abs(float(equity[0])) + float(np.abs(trades.pnl).sum()) + total
    if not (abs(total - costs.paid) <= _SAME * scale and abs(gained - costs.earned) <= _SAME * scale):
        return None
    return (
        Booked(timeline_of(times), equity, charged) if abs(float(trades.pnl.sum()) - gained) <= _SAME * scale else None
    )


def told(stats: dict[str, Any]) -> Costs | None:
    """Return the costs that stats.json tells; None where nobody said the fees, or what there was to begin with."""
    known = {
        key: float(value)
        for key in (
            "initial_equity",
            "net_profit",
            "fees_paid",
            "slippage_paid",
            "borrow_paid",
            "final_equity",
            "total_return",
        )
        if isinstance(value := stats.get(key), int | float) and type(value) is not bool
    }
    if not {"initial_equity", "net_profit", "fees_paid"} <= known.keys():
        return None
    return Costs(
        known["initial_equity"],
        known["net_profit"],
        known["fees_paid"],
        known.get("slippage_paid"),
        known.get("borrow_paid"),
        known.get("final_equity"),
        known.get("total_return"),
    )
