"""The money of a run, worked out again from its trades bar by bar: each step is one rule of the accounts.

Amounts may differ by `cent`, which is far below a cent: the rounding that another processor's summation may change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from peak_trade import stats
from peak_trade.config import Config
from peak_trade.market.trades import EXIT_REASONS, Trades
from peak_trade.stats.values import Floats, need
from peak_trade.trust.verdict import Verdict

__all__ = ["Closes", "check"]

_CLOSE = 1e-9  # relative
_NO_CLOSES = "the closes are neither in a benchmark nor in the data"
_NANOSECONDS_PER_YEAR = 365 * 86_400 * 10**9  # as the engine charges borrowed units


class Closes(NamedTuple):
    """The closes that are known: of the bars `at` these indices, in order, with the first and the last among them."""

    at: npt.NDArray[np.int64]
    close: Floats

    @property
    def all(self) -> bool:
        """Whether none is left out."""
        return len(self.at) == 0 or int(self.at[-1]) == len(self.at) - 1


def check(
    verdict: Verdict, file: str, config: Config, equity: dict[str, Any], trades: Trades, closes: Closes | None,
    ends: Sequence[int] = (),
) -> None:  # fmt: skip
    """Hold the trades, from `file`, and the columns of equity.csv against each other; closes may be unknown.

    `ends` are bars at which data ended too, as that of a window does that others follow.

    Notes in the verdict what does not agree, and what can't be checked without the closes.
    """
    books = _Books(verdict, file, config, equity, trades, closes, ends)
    with np.errstate(all="ignore"):  # what is no number agrees with nothing
        books.check_drawdown()
        books.check_initial_cash()
        books.check_symbol()
        books.check_profit()
        if not books.check_times():
            return  # what happened at no bar can't be laid beside the bars
        books.check_bars_held()
        books.check_exit_reasons()
        books.check_position()
        books.check_fees()
        books.check_slippage()
        books.check_returns()
        if config.execution.borrow_rate and not (closes and closes.all):
            verdict.skip("pnl and equity bar by bar", _NO_CLOSES)
            return
        books.check_pnl()
        if closes is None:
            verdict.skip("equity bar by bar", _NO_CLOSES)
            return
        books.check_equity(closes)
        if not closes.all:
            verdict.skip(f"equity but at {len(closes.at):,} of {len(books.stamps):,} bars", _NO_CLOSES)


class _Books:
    """The columns of a run, one method a rule. `bought` are units, negative where they were sold short."""

    def __init__(
        self,
        verdict: Verdict,
        file: str,
        config: Config,
        equity: dict[str, Any],
        trades: Trades,
        closes: Closes | None,
        ends: Sequence[int],
    ) -> None:
        self.verdict, self.file, self.config, self.execution = verdict, file, config, config.execution
        self.stamps, self.equity, self.position = equity["timestamp"], equity["equity"], equity["position"]
        self.drawdown, self.trades, self.closes = equity["drawdown"], trades, closes
        self.ends = [*ends, len(self.stamps) - 1]
        self.cent = _CLOSE * max(float(np.abs(self.equity).max()), self.execution.initial_cash)
        self.entry = np.searchsorted(self.stamps, trades.entry_time)  # the bar of each trade's entry, and of its exit
        self.exit = np.searchsorted(self.stamps, trades.exit_time)
        self.bought = trades.side * trades.quantity

    def check_drawdown(self) -> None:
        """Drawdown is equity over its highest so far, less 1."""
        self.verdict.agree("equity.csv", "drawdown", need(stats.drawdown(self.equity)), self.drawdown, _CLOSE)

    def check_initial_cash(self) -> None:
        """The account begins with the initial cash: nothing fills before the first close, and nothing costs at it."""
        cash = self.execution.initial_cash
        if not abs(self.equity[0] - cash) <= self.cent:
            self.verdict.add("equity.csv row 2 equity", f"the initial cash, {cash}", self.equity[0])

    def check_symbol(self) -> None:
        """What was traded is what the bars are of."""
        if len(self.trades):
            self.verdict.compare(f"{self.file} symbol", self.config.data.symbol, self.trades.symbol)

    def check_profit(self) -> None:
        """What the trades earned is what the account gained: the last bar closes what is open."""
        earned, gained = float(self.trades.pnl.sum()), float(self.equity[-1] - self.equity[0])
        if not abs(earned - gained) <= self.cent:
            self.verdict.add(self.file, f"pnl that sums to the change of equity, {gained!r}", repr(earned))

    def check_times(self) -> bool:
        """Every trade begins and ends at a bar, and does not end before it begins; return whether that holds."""
        last = len(self.stamps) - 1
        begins = self.stamps[np.minimum(self.entry, last)] == self.trades.entry_time
        ends = self.stamps[np.minimum(self.exit, last)] == self.trades.exit_time
        if (begins & ends & (self.entry <= self.exit)).all():
            return True
        self.verdict.add(self.file, "entry and exit times that are bars, in order", "others")
        return False

    def check_bars_held(self) -> None:
        """A trade is held for the bars from its entry to its exit."""
        self.verdict.agree(self.file, "bars_held", self.exit - self.entry, self.trades.bars_held, 0.0)

    def check_exit_reasons(self) -> None:
        """A trade ends by a signal, by a stop that the config has, or where the data or the account ends."""
        stops = self.config.stops
        possible = ["signal", *(name for name in stops.__struct_fields__ if getattr(stops, name))]
        reason = np.array(EXIT_REASONS)[self.trades.exit_reason]
        last = int(np.argmax(self.equity <= 0)) if (self.equity <= 0).any() else len(self.stamps) - 1
        at_the_end = (reason == "end_of_data") & (np.isin(self.exit, self.ends) | (self.exit == last))
        if not (np.isin(reason, possible) | at_the_end).all():
            expected = f"{', '.join(possible)}, or end_of_data at the last bar or in ruin"
            self.verdict.add(f"{self.file} exit_reason", expected, "others")

    def check_position(self) -> None:
        """What is held after a bar is all that was bought until then, less what was sold."""
        held = self._sum_by_bar(self.bought, -self.bought)
        self.verdict.agree("equity.csv", "position", held, self.position, _CLOSE * float(np.abs(held).max()))

    def check_fees(self) -> None:
        """Each side pays the fee on its notional."""
        rate = self.execution.fee_bps * 1e-4
        for price, fee in (("entry_price", "entry_fee"), ("exit_price", "exit_fee")):
            expected = self.trades.quantity * getattr(self.trades, price) * rate
            self.verdict.agree(self.file, fee, expected, getattr(self.trades, fee), self.cent)

    def check_slippage(self) -> None:
        """Each side is slipped against the trader: a fill price is its reference, up when buying, down when selling."""
        rate = self.execution.slippage_bps * 1e-4 * self.trades.side
        reference = self.trades.entry_price / (1 + rate) + self.trades.exit_price / (1 - rate)
        slippage = self.trades.quantity * np.abs(rate) * reference
        self.verdict.agree(self.file, "slippage", slippage, self.trades.slippage, self.cent)

    def check_returns(self) -> None:
        """A trade's return is its pnl over its notional at entry."""
        notional = self.trades.quantity * self.trades.entry_price
        self.verdict.agree(self.file, "return", self.trades.pnl / notional, self.trades.return_, _CLOSE)

    def check_pnl(self) -> None:
        """A trade earns the move of its price, less both fees, less what its borrowed units cost meanwhile."""
        trades, cost = self.trades, self._borrow_cost()
        pnl = self.bought * (trades.exit_price - trades.entry_price) - trades.entry_fee - trades.exit_fee
        pnl += np.minimum(self.bought, 0) * (cost[self.exit] - cost[self.entry])
        self.verdict.agree(self.file, "pnl", pnl, trades.pnl, self.cent)

    def check_equity(self, closes: Closes) -> None:
        """Equity is the initial cash, all that was paid and received since, and the position at the close."""
        trades = self.trades
        paid = -self.bought * trades.entry_price - trades.entry_fee
        received = self.bought * trades.exit_price - trades.exit_fee
        cash = self.execution.initial_cash + self._sum_by_bar(paid, received)
        cash[1:] += np.cumsum(np.minimum(self.position[:-1], 0) * np.diff(self._borrow_cost()))
        expected = self.equity.copy()
        expected[closes.at] = cash[closes.at] + self.position[closes.at] * closes.close
        expected[0] = self.execution.initial_cash  # what a fill at the first close cost shows at the second
        self.verdict.agree("equity.csv", "equity", expected, self.equity, self.cent)

    def _sum_by_bar(self, at_entry: Floats, at_exit: Floats) -> Floats:
        """Return, for each bar, the sum of what happened at entries and exits up to it."""
        change = np.zeros(len(self.stamps))
        np.add.at(change, self.entry, at_entry)
        np.add.at(change, self.exit, at_exit)
        return np.cumsum(change)

    def _borrow_cost(self) -> Floats:
        """Return what one borrowed unit has cost up to each bar's open, charged on the close before it."""
        cost = np.zeros(len(self.stamps))
        if self.execution.borrow_rate and self.closes is not None:
            years = np.diff(self.stamps).astype(np.int64) / _NANOSECONDS_PER_YEAR
            cost[1:] = np.cumsum(self.closes.close[:-1] * years * self.execution.borrow_rate)
        return cost
