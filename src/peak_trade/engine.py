"""The engine: bars and a target exposure in, equity and trades out; a pure function.

The rules, stated once:

- `target[i]` is the fraction of equity to hold after the close of bar i. When it differs from `target[i-1]` (before
  the first bar: 0), the change fills at the open of bar i+1. Between changes the units stay constant.
- A fill's price is its reference price (the open, a stop's level, the last close) moved against the trader by
  `slippage_bps`; its fee is `fee_bps` of the notional at that price. This holds for every fill, whatever its reason.
- After a fill the position, valued at the reference price, is exactly the target fraction of the equity that is left
  after slippage and fee. All-in therefore pays its own fee: cash ends at 0, never below.
- A change of sign closes the position and opens the other one at the same open.
- Stops are distances from the fill price that opened the position, looked for from the entry bar on. The trailing
  stop hangs that distance below the highest high of the bars before (above the lowest low, for a short).
  A bar that opens beyond a level fills at its open. Where one bar touches a stop and the target, the stop wins.
  After a stop the position stays flat until the target changes.
- Equity is marked at each close. What is open at the last bar is closed at its close; its decision fills nowhere.
- Changes worth less than `min_trade_value` are left out; a position too small to open waits until the target goes flat
  or turns. Closing always trades.
- Shorts pay `borrow_rate` a year (of 365 days) on their value at each close, for the time until the next bar opens.
- A position whose equity is used up is closed at its next fill, and nothing is traded after that.

How it computes: which fills happen depends on bars and target only, not on money (`_plan`). Between two fills equity
grows by a factor that depends on prices and fractions only, so all money follows from one cumulative product
(`_account`). Nothing loops over bars.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.config import Execution, Sizing, Stops
from peak_trade.errors import RunError
from peak_trade.market.bars import Bars
from peak_trade.market.excursions import excursions
from peak_trade.market.trades import EXIT_REASONS, Trades

__all__ = ["Result", "run"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SIGNAL, STOP_LOSS, TAKE_PROFIT, TRAILING_STOP, END_OF_DATA = range(len(EXIT_REASONS))
_AT_OPEN, _IN_BAR, _AT_CLOSE = range(3)  # the order of fills within one bar
_NANOSECONDS_PER_YEAR = 365 * 86_400 * 10**9  # actual/365, the day count of stock loans outside the money market
_DUST = 1e-12  # of a position: the rounding left over when lots are matched is not a lot
_FEW = 64  # stop searches still open after which each is searched by itself, in one go


class Result(Struct, frozen=True, eq=False):
    """What a backtest leaves: `equity` (quote) and `position` (signed units), both at each close, and the trades."""

    equity: Floats
    position: Floats
    trades: Trades


class _Orders(Struct, frozen=True, eq=False):
    """What is to happen, in order: the bar, the reference price, the fraction of equity to hold then, and why."""

    bar: Ints
    reference: Floats
    after: Floats
    reason: Ints

    def some(self, which: Ints | npt.NDArray[np.bool_]) -> _Orders:
        """Return those of an index or a mask."""
        return _Orders(self.bar[which], self.reference[which], self.after[which], self.reason[which])


class _Fills(Struct, frozen=True, eq=False):
    """K fills in order: the bar, the reference price, the fraction of equity before and after, and why."""

    bar: Ints
    reference: Floats
    before: Floats
    after: Floats
    reason: Ints


def run(
    bars: Bars,
    target: Floats,
    *,
    execution: Execution = Execution(),
    sizing: Sizing = Sizing(),
    stops: Stops = Stops(),
) -> Result:
    """Trade `target` (shape (N,), fractions in [-1, 1]) over `bars` and return equity, position and trades.

    Raises RunError where the target is short and `execution.allow_short` is false.
    """
    exposure = np.clip(target * sizing.scale, -sizing.max_exposure, sizing.max_exposure)
    if not execution.allow_short and len(exposure) and exposure.min() < 0:
        bar = int(np.argmax(exposure < 0))
        raise RunError(
            f"the strategy's target is short ({target[bar]:g} at bar {bar}) but execution.allow_short is false",
            hint="set execution.allow_short = true, or keep the target at or above 0",
        )
    borrow = _borrow_per_unit(bars, execution.borrow_rate)
    orders = _plan(bars, exposure, stops, execution.slippage_bps * 1e-4)
    if sizing.min_trade_value:
        orders = _without_small(orders, borrow, execution, sizing.min_trade_value)
    fills, units, cash = _account(_chain(orders), borrow, execution)
    equity, position = _mark(bars, fills, units, cash, borrow, execution.initial_cash)
    return Result(equity, position, _trades(bars, fills, units, borrow, execution))


def _borrow_per_unit(bars: Bars, rate: float) -> Floats | None:
    """Return what one borrowed unit has cost up to each bar's open, or None where borrowing is free."""
    if not rate:
        return None
    elapsed = np.diff(bars.timestamp).astype(np.int64) / _NANOSECONDS_PER_YEAR
    return np.concatenate([[0.0], np.cumsum(bars.close[:-1] * elapsed * rate)])


# --- which fills happen ------------------------------------------------------------------------------------------


def _plan(bars: Bars, exposure: Floats, stops: Stops, slippage: float) -> _Orders:
    """Return the orders of signals, stops and the end of data, from bars and exposure alone."""
    last = len(bars) - 1
    changed = np.flatnonzero(exposure[1:-1] != exposure[:-2]) + 1 if last > 1 else np.empty(0, np.int64)
    if last > 0 and exposure[0] != 0:
        changed = np.concatenate([[0], changed])
    bar, after = changed + 1, exposure[changed]
    reference, reason = bars.open[bar], np.full(len(bar), SIGNAL)
    if stops.stop_loss or stops.take_profit or stops.trailing_stop:
        stop_bar, stop_price, stop_reason = _stopped(bars, bar, after, stops, slippage)
        order = np.lexsort((np.repeat([_AT_OPEN, _IN_BAR], [len(bar), len(stop_bar)]), np.concatenate([bar, stop_bar])))
        bar = np.concatenate([bar, stop_bar])[order]
        reference = np.concatenate([reference, stop_price])[order]
        after = np.concatenate([after, np.zeros(len(stop_bar))])[order]
        reason = np.concatenate([reason, stop_reason])[order]
    if len(after) and after[-1] != 0:
        bar = np.append(bar, last)
        reference = np.append(reference, bars.close[last])
        after = np.append(after, 0.0)
        reason = np.append(reason, END_OF_DATA)
    turns = np.flatnonzero(after[1:] * after[:-1] < 0) + 1
    if len(turns):  # a reversal is two fills: close, then open
        bar, reference, reason = (np.insert(column, turns, column[turns]) for column in (bar, reference, reason))
        after = np.insert(after, turns, 0.0)
    return _Orders(bar, reference, after, reason)


def _chain(orders: _Orders) -> _Fills:
    """Link each order to the one before, leaving out those that find the position flat and leave it flat."""
    before = np.concatenate([[0.0], orders.after[:-1]])
    real = (before != 0) | (orders.after != 0)
    orders = orders.some(real)
    return _Fills(orders.bar, orders.reference, before[real], orders.after, orders.reason)


def _stopped(bars: Bars, bar: Ints, after: Floats, stops: Stops, slippage: float) -> tuple[Ints, Floats, Ints]:
    """Return bar, reference price and reason of every stop that is hit.

    A span is a row of changes with one sign: one position, unless a stop ends it; the changes that are left then make
    a new span with an entry of their own, until no stop is hit any more.
    """
    sign = np.sign(after).astype(np.int64)
    starts = np.flatnonzero((sign != 0) & (sign != np.concatenate([[0], sign[:-1]])))
    turns = np.flatnonzero(sign[1:] != sign[:-1]) + 1
    nexts = np.append(turns, len(sign))[np.searchsorted(turns, starts, side="right")]
    found: list[tuple[Ints, Floats, Ints]] = []
    while len(starts):
        ends = np.append(bar, len(bars))[nexts]  # the open of that bar closes the position; n: the end of data
        hit, price, reason = _first_touch(bars, bar[starts], ends, sign[starts], stops, slippage)
        stopped = hit >= 0
        found.append((hit[stopped], price[stopped], reason[stopped]))
        restart = np.searchsorted(bar, hit[stopped], side="right")
        nexts = nexts[stopped]
        starts, nexts = restart[restart < nexts], nexts[restart < nexts]
    if not found:
        return np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64)
    return tuple(np.concatenate(column) for column in zip(*found, strict=True))  # type: ignore[return-value]


def _first_touch(
    bars: Bars, first: Ints, end: Ints, sign: Ints, stops: Stops, slippage: float
) -> tuple[Ints, Floats, Ints]:
    """Return, for positions opened at the open of bar `first`, the bar in [first, end) that stops them, price, reason.

    The bar is -1 for those that no stop ends.
    A short is a long in negated prices: highs become lows, and every comparison below stands.
    """
    hit, price, reason = np.full(len(first), -1), np.zeros(len(first)), np.zeros(len(first), np.int64)
    for side in (1, -1):
        chosen = np.flatnonzero(sign == side)
        if not len(chosen):
            continue
        opens, highs, lows = (bars.open, bars.high, bars.low) if side > 0 else (-bars.open, -bars.low, -bars.high)
        search = _Search(opens, highs, lows, stops, np.abs(bars.open[first[chosen]]) * (1 + side * slippage), side)
        hit[chosen], levels, reason[chosen] = search.run(first[chosen], end[chosen])
        price[chosen] = side * levels
    return hit, price, reason


class _Search:
    """The search for the first bar that touches a stop, over many long positions at once (prices may be negated)."""

    def __init__(
        self, opens: Floats, highs: Floats, lows: Floats, stops: Stops, entry_price: Floats, side: int
    ) -> None:
        self.opens, self.highs, self.lows = opens, highs, lows
        entry = side * entry_price
        self.peak = entry.copy()
        self.trail = entry_price * stops.trailing_stop if stops.trailing_stop else None
        self.floor = entry - entry_price * stops.stop_loss if stops.stop_loss else np.full(len(entry), -np.inf)
        self.goal = entry + entry_price * stops.take_profit if stops.take_profit else np.full(len(entry), np.inf)
        self.hit = np.full(len(entry), -1)
        self.level = np.zeros(len(entry))
        self.reason = np.zeros(len(entry), np.int64)

    def run(self, first: Ints, end: Ints) -> tuple[Ints, Floats, Ints]:
        """Go bar by bar over all positions while they are many, then position by position."""
        active = np.arange(len(first))
        now = first.copy()
        while len(active) > _FEW:
            done = self._step(active, now)
            now = now + 1
            keep = ~done & (now < end[active])
            active, now = active[keep], now[keep]
        for index, start in zip(active.tolist(), now.tolist(), strict=True):
            self._scan(index, start, int(end[index]))
        return self.hit, self.level, self.reason

    def _step(self, active: Ints, now: Ints) -> npt.NDArray[np.bool_]:
        """Check bar `now[j]` for position `active[j]`; return which are done."""
        stop = self.floor[active]
        if self.trail is not None:
            stop = np.maximum(stop, self.peak[active] - self.trail[active])
            self.peak[active] = np.maximum(self.peak[active], self.highs[now])
        stopped = self.lows[now] <= stop
        done: npt.NDArray[np.bool_] = stopped | (self.highs[now] >= self.goal[active])
        which = np.flatnonzero(done)
        if len(which):
            self._record(active[which], now[which], stop[which], stopped[which])
        return done

    def _scan(self, index: int, start: int, end: int) -> None:
        """Check the bars [start, end) of one position, in pieces that double, as most stops are hit early."""
        size = 256
        while start < end:
            piece = slice(start, min(start + size, end))
            highs = self.highs[piece]
            stop = np.full(len(highs), self.floor[index])
            if self.trail is not None:
                peaks = np.maximum.accumulate(np.concatenate([[self.peak[index]], highs]))
                stop = np.maximum(stop, peaks[:-1] - self.trail[index])
                self.peak[index] = peaks[-1]
            stopped = self.lows[piece] <= stop
            done = stopped | (highs >= self.goal[index])
            at = int(np.argmax(done))
            if done[at]:
                one = slice(at, at + 1)
                self._record(np.array([index]), np.array([start + at]), stop[one], stopped[one])
                return
            start, size = start + size, size * 2

    def _record(self, index: Ints, bar: Ints, stop: Floats, stopped: npt.NDArray[np.bool_]) -> None:
        """Note the exits: a bar that opens beyond the level fills at its open; the stop wins over the goal."""
        opened = self.opens[bar]
        self.hit[index] = bar
        self.level[index] = np.where(stopped, np.minimum(stop, opened), np.maximum(self.goal[index], opened))
        trailing = stop > self.floor[index]
        self.reason[index] = np.where(stopped, np.where(trailing, TRAILING_STOP, STOP_LOSS), TAKE_PROFIT)


# --- what they cost and leave ------------------------------------------------------------------------------------


def _rates(execution: Execution) -> tuple[float, float]:
    """Return the whole cost, slippage and fee, of buying and of selling, per unit of notional at the reference."""
    fee, slippage = execution.fee_bps * 1e-4, execution.slippage_bps * 1e-4
    return (1 + slippage) * (1 + fee) - 1, 1 - (1 - slippage) * (1 - fee)


def _without_small(orders: _Orders, borrow: Floats | None, execution: Execution, smallest: float) -> _Orders:
    """Leave out the orders whose value at the reference price is below `smallest`.

    A position too small to open waits until the target goes flat or turns; closing always trades. What is too small
    depends on equity, and equity on what was traded, so this one goes order by order.
    """
    buying, selling = _rates(execution)
    accrued = borrow[orders.bar].tolist() if borrow is not None else [0.0] * len(orders.bar)
    keep = np.ones(len(orders.bar), bool)
    cash, units, paid, waiting = execution.initial_cash, 0.0, 0.0, 0.0
    columns = zip(orders.reference.tolist(), orders.after.tolist(), orders.reason.tolist(), accrued, strict=True)
    for index, (price, after, reason, cost) in enumerate(columns):
        if waiting and reason == SIGNAL and after * waiting <= 0:
            waiting = 0.0
        if units < 0:
            cash += units * (cost - paid)
        paid = cost
        gap = after * (cash + units * price) - units * price
        value = gap / (1 + after * buying) if gap > 0 else gap / (1 - after * selling)
        if (after and abs(value) < smallest) or waiting or (not after and not units):
            keep[index] = False
            waiting = waiting or (after if not units else 0.0)
            continue
        cash -= value * (1 + buying) if value > 0 else value * (1 - selling)
        units = units + value / price if after else 0.0
    return orders.some(keep)


def _account(fills: _Fills, borrow: Floats | None, execution: Execution) -> tuple[_Fills, Floats, Floats]:
    """Return the fills that can be paid for, and the units and cash after each.

    With equity h after a fill at reference price R, fraction b held, the next fill at R' finds the equity
    e = h * (1 + b * (R'/R - 1) - borrow) of which w = b * R'/R * h/e is held. Bringing w to the fraction a means to
    trade d = (a - w) / (1 + a * buying) of e when buying (selling: / (1 - a * selling)), which costs |d| times the rate
    and leaves exactly a: a * e * (1 - d * buying) = e * (w + d).
    """
    if not len(fills.bar):
        return fills, np.empty(0), np.empty(0)
    buying, selling = _rates(execution)
    reference, before, after = fills.reference, fills.before, fills.after
    earlier = np.concatenate([reference[:1], reference[:-1]])
    move = before * (reference / earlier)
    growth = 1 - before + move
    if borrow is not None:
        accrued = borrow[fills.bar]
        growth -= np.maximum(-before, 0) * np.diff(accrued, prepend=accrued[0]) / earlier
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        gap = after - move / growth
        bought = gap > 0
        cost = np.where(bought, gap * (buying / (1 + after * buying)), -gap * (selling / (1 - after * selling)))
        factor = growth * (1 - cost)
    ruined = np.flatnonzero(~((growth > 0) & (factor > 0)))
    if len(ruined):
        end = int(ruined[0])
        after = np.append(after[:end], 0.0)
        some = slice(end + 1)
        fills = _Fills(fills.bar[some], reference[some], before[some], after, fills.reason[some])
        rate = buying if before[end] < 0 else selling
        factor = np.append(factor[:end], growth[end] - abs(move[end]) * rate)
        reference = fills.reference
    equity = execution.initial_cash * np.cumprod(factor)
    return fills, after * equity / reference + 0.0, (1 - after) * equity  # + 0.0: no -0.0 after ruin


def _mark(
    bars: Bars, fills: _Fills, units: Floats, cash: Floats, borrow: Floats | None, initial_cash: float
) -> tuple[Floats, Floats]:
    """Return equity and signed units at each close."""
    lengths = np.diff(np.concatenate([[0], fills.bar, [len(bars)]]))
    position = np.repeat(np.concatenate([[0.0], units]), lengths)
    if borrow is not None:
        cash = cash - np.minimum(units, 0) * borrow[fills.bar]
    equity = np.repeat(np.concatenate([[initial_cash], cash]), lengths)
    equity += position * bars.close
    if borrow is not None:
        equity += np.minimum(position, 0) * borrow
    return equity, position


def _lots(fills: _Fills, units: Floats) -> tuple[Ints, Ints, Floats]:
    """Match entries with exits, first in, first out: the index of the entry fill, of the exit fill, and the units."""
    opening, closing = np.flatnonzero(fills.before == 0), np.flatnonzero(fills.after == 0)
    plain = closing == opening + 1
    entries, exits, quantities = [opening[plain]], [closing[plain]], [np.abs(units[opening[plain]])]
    held = np.abs(units)
    for first, last in zip(opening[~plain].tolist(), closing[~plain].tolist(), strict=True):
        matched = _first_in_first_out(held[first : last + 1].tolist())
        entry, exit_, quantity = zip(*matched, strict=True)
        entries.append(np.array(entry) + first)
        exits.append(np.array(exit_) + first)
        quantities.append(np.array(quantity))
    entry_fill, exit_fill = np.concatenate(entries), np.concatenate(exits)
    order = np.lexsort((entry_fill, exit_fill))
    return entry_fill[order], exit_fill[order], np.concatenate(quantities)[order]


def _first_in_first_out(held: list[float]) -> list[tuple[int, int, float]]:
    """Match the lots of one position from the units held after each of its fills, the last of which is flat."""
    lots: deque[tuple[int, float]] = deque()
    matched: list[tuple[int, int, float]] = []
    before = 0.0
    for fill, now in enumerate(held):
        if now > before * (1 + _DUST):
            lots.append((fill, now - before))
        sold, dust = before - now, _DUST * before
        while lots and (now == 0 or sold > dust):
            entry, quantity = lots.popleft()
            if now and quantity > sold + dust:
                lots.appendleft((entry, quantity - sold))
                quantity = sold
            matched.append((entry, fill, quantity))
            sold -= quantity
        before = now
    return matched


def _trades(bars: Bars, fills: _Fills, units: Floats, borrow: Floats | None, execution: Execution) -> Trades:
    """Return the closed trades with their prices, costs and results."""
    fee, slippage = execution.fee_bps * 1e-4, execution.slippage_bps * 1e-4
    direction = np.sign(np.diff(units, prepend=0.0))
    price = fills.reference * (1 + direction * slippage)
    entry, exit_, quantity = _lots(fills, units)
    side = np.sign(units[entry]).astype(np.int8)
    entry_bar, exit_bar = fills.bar[entry], fills.bar[exit_]
    entry_price, exit_price = price[entry], price[exit_]
    entry_fee, exit_fee = quantity * entry_price * fee, quantity * exit_price * fee
    pnl = quantity * (exit_price - entry_price) * side - entry_fee - exit_fee
    if borrow is not None:
        pnl -= np.where(side < 0, quantity * (borrow[exit_bar] - borrow[entry_bar]), 0.0)
    at_close = fills.reason[exit_] == END_OF_DATA
    mae, mfe = excursions(bars.high, bars.low, side, entry_bar, entry_price, exit_bar, exit_price, at_close)
    return Trades(
        symbol=bars.symbol,
        side=side,
        entry_time=bars.timestamp[entry_bar],
        entry_price=entry_price,
        exit_time=bars.timestamp[exit_bar],
        exit_price=exit_price,
        quantity=quantity,
        entry_fee=entry_fee,
        exit_fee=exit_fee,
        slippage=quantity * slippage * (fills.reference[entry] + fills.reference[exit_]),
        pnl=pnl,
        return_=pnl / (quantity * entry_price),
        bars_held=exit_bar - entry_bar,
        exit_reason=fills.reason[exit_].astype(np.int8),
        mae=mae,
        mfe=mfe,
    )
