"""The engine: bars and a target exposure in, equity and trades out; a pure function.

The rules in short; docs/dev/engine.md has all of them, to the rounding, with worked examples:

- `target[i]` is the fraction of equity to hold after the close of bar i. When it differs from `target[i-1]` (before
  the first bar: 0), the change fills at the open of bar i+1, or with `fill = "close"` at the close of bar i itself.
  Between changes the units stay constant.
- A fill's price is its reference price (the open, a stop's level, a close) moved against the trader by
  `slippage_bps`; its fee is `fee_bps` of the notional at that price. This holds for every fill, whatever its reason.
- After a fill the position, valued at the reference price, is exactly the target fraction of the equity that is left
  after slippage and fee. All-in therefore pays its own fee: cash ends at 0, never below.
- A change of sign closes the position and opens the other one at the same price.
- Stop loss and take profit are distances from the fill price that opened the position; the trailing stop is a fraction
  below its peak: the highest of that price and the highs of the bars before (above the trough, for a short). All are
  looked for from the entry bar on (of a fill at a close, from the bar after), and a price that is the level's own
  decimal touches it, whatever binary makes of it. A bar that opens beyond a level fills at its open. Where one bar
  touches a stop and the target, the stop wins. After a stop the position stays flat until the target changes.
- Equity is marked at each close, after what fills there; the first mark is the initial cash. What is open at the last
  bar is closed at its close; its decision fills nowhere.
- A change worth less than `min_trade_value`, measured from the position held, is left out: what is held stays as it
  is, until a later change is worth as much. Closing always trades.
- Shorts pay `borrow_rate` a year (of 365 days) on their value at each close, for the time until the next bar opens.
- An account whose equity is at or below zero at a close, or at an open that fills, is ruined: what is open is closed
  there, and nothing is traded after that.

How it computes: which fills happen depends on bars and target only, not on money (`_plan`), but for a minimum trade
value (`_plan_of_large`). Between two fills equity grows by a factor that depends on prices and fractions only, so all
money follows from one cumulative product (`_account`). Nothing loops over bars.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.config import Execution, Sizing, Stops
from peak_trade.errors import RunError
from peak_trade.market.bars import Bars
from peak_trade.market.excursions import excursions, held_whole
from peak_trade.market.trades import EXIT_REASONS, Trades

__all__ = ["RULES", "Result", "run"]

RULES = 2
"""The edition of the rules above, which every manifest names; that of versions 0.1 and 0.2, which name none, was 1."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SIGNAL, STOP_LOSS, TAKE_PROFIT, TRAILING_STOP, END_OF_DATA = range(len(EXIT_REASONS))
_AT_OPEN, _IN_BAR, _AT_CLOSE = range(3)  # the order of fills within one bar
_NANOSECONDS_PER_YEAR = 365 * 86_400 * 10**9  # actual/365, the day count of stock loans outside the money market
_DUST = 1e-12  # of a position: the rounding left over when lots are matched is not a lot
_FEW = 64  # stop searches still open after which each is searched by itself, in one go
# Relative: a level that is a product of three decimals is at most 2**-51 off it in binary, and a price 2**-53 off its
# own. Prices that differ in 14 digits are more than ten times as far from each other.
_SAME = 2.0**-50


class Result(Struct, frozen=True, eq=False):
    """What a backtest leaves: `equity` (quote) and `position` (signed units), both at each close, and the trades.

    `ruined` is the bar at whose close equity was at or below zero for the first time, and ever after; None: never.
    """

    equity: Floats
    position: Floats
    trades: Trades
    ruined: int | None = None


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
            hint='strategy.signals = "events" where -1 means to leave, execution.allow_short = true where it is short',
        )
    borrow = _borrow_per_unit(bars, execution.borrow_rate)
    changes, after = _changes(exposure, execution.at_close)
    watch = _Watch(bars, stops, execution)
    if sizing.min_trade_value:
        orders = _plan_of_large(bars, changes, after, watch, borrow, execution, sizing.min_trade_value)
    else:
        orders = _plan(bars, changes, after, watch)
    fills, units, cash = _account(_chain(orders), borrow, execution)
    equity, position = _mark(bars, fills, units, cash, borrow, execution.initial_cash)
    ruined = _first_at_or_below_zero(equity, units)
    if ruined is not None and position[ruined]:  # what came after it never was: an account goes by its own past only
        orders = _cut(orders, ruined, bars.close)
        fills, units, cash = _account(_chain(orders), borrow, execution)
        equity, position = _mark(bars, fills, units, cash, borrow, execution.initial_cash)
    return Result(equity, position, _trades(bars, fills, units, borrow, execution), ruined)


def _borrow_per_unit(bars: Bars, rate: float) -> Floats | None:
    """Return what one borrowed unit has cost up to each bar's open, or None where borrowing is free."""
    if not rate:
        return None
    elapsed = np.diff(bars.timestamp).astype(np.int64) / _NANOSECONDS_PER_YEAR
    return np.concatenate([[0.0], np.cumsum(bars.close[:-1] * elapsed * rate)])


# --- which fills happen ------------------------------------------------------------------------------------------


def _changes(exposure: Floats, at_close: bool) -> tuple[Ints, Floats]:
    """Return where the exposure changes: the bar at whose open, or close, it fills, and the exposure from then on."""
    last = len(exposure) - 1
    changed = np.flatnonzero(exposure[1:-1] != exposure[:-2]) + 1 if last > 1 else np.empty(0, np.int64)
    if last > 0 and exposure[0] != 0:
        changed = np.concatenate([[0], changed])
    return changed + (not at_close), exposure[changed]


def _plan(bars: Bars, bar: Ints, after: Floats, watch: _Watch) -> _Orders:
    """Return the orders of signals, stops and the end of data, from bars and changes of exposure alone."""
    last = len(bars) - 1
    reference, reason = watch.prices[bar], np.full(len(bar), SIGNAL)
    rounds = [(hit >= 0, hit, *what) for _, hit, *what in _stopped(bars, bar, after, watch)] if watch.stops else []
    if rounds:
        hits, *columns = zip(*rounds, strict=True)
        stop_bar, stop_price, stop_reason = (
            np.concatenate([part[hit] for part, hit in zip(column, hits, strict=True)]) for column in columns
        )
        moment = np.repeat([_AT_CLOSE if watch.at_close else _AT_OPEN, _IN_BAR], [len(bar), len(stop_bar)])
        order = np.lexsort((moment, np.concatenate([bar, stop_bar])))
        bar = np.concatenate([bar, stop_bar])[order]
        reference = np.concatenate([reference, stop_price])[order]
        after = np.concatenate([after, np.zeros(len(stop_bar))])[order]
        reason = np.concatenate([reason, stop_reason])[order]
    if len(after) and after[-1] != 0:
        bar = np.append(bar, last)
        reference = np.append(reference, bars.close[last])
        after = np.append(after, 0.0)
        reason = np.append(reason, END_OF_DATA)
    sign = np.sign(after)
    turns = np.flatnonzero(sign[1:] * sign[:-1] < 0) + 1
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


def _cut(orders: _Orders, ruined: int, close: Floats) -> _Orders:
    """Return the orders up to a bar, at whose close everything is closed."""
    kept = orders.some(orders.bar <= ruined)
    return _Orders(
        np.append(kept.bar, ruined),
        np.append(kept.reference, close[ruined]),
        np.append(kept.after, 0.0),
        np.append(kept.reason, END_OF_DATA),
    )


def _spans(after: Floats) -> tuple[Ints, Ints, Ints]:
    """Return the rows of changes with one sign: the sign of each change, where a row starts, and where the next does.

    A span is one position, unless a stop ends it.
    """
    sign = np.sign(after).astype(np.int64)
    starts = np.flatnonzero((sign != 0) & (sign != np.concatenate([[0], sign[:-1]])))
    turns = np.flatnonzero(sign[1:] != sign[:-1]) + 1
    return sign, starts, np.append(turns, len(sign))[np.searchsorted(turns, starts, side="right")]


def _stopped(bars: Bars, bar: Ints, after: Floats, watch: _Watch) -> Iterator[tuple[Ints, Ints, Floats, Ints]]:
    """Yield positions, as the changes that open them, and the bar (-1: none), price and reason of their stops.

    Where a stop ends a span, the changes that are left make a new span with an entry of their own, until no stop is hit
    any more.
    """
    sign, starts, nexts = _spans(after)
    while len(starts):
        hit, price, reason = watch.first_touch(bar[starts], np.append(bar, len(bars))[nexts], sign[starts])
        yield starts, hit, price, reason
        stopped = hit >= 0
        restart = np.searchsorted(bar, hit[stopped], side="left" if watch.at_close else "right")
        nexts = nexts[stopped]
        starts, nexts = restart[restart < nexts], nexts[restart < nexts]


class _Watch:
    """The stops of a run, looked for in its bars: of longs, and of shorts in negated prices, which are longs there."""

    def __init__(self, bars: Bars, stops: Stops, execution: Execution) -> None:
        self.bars, self.slippage_bps, self.at_close = bars, execution.slippage_bps, execution.at_close
        self.prices = bars.close if execution.at_close else bars.open  # at which signals fill
        self.stops = stops if stops != Stops() else None
        self.sides: dict[int, _Side] = {}

    def side(self, side: int) -> _Side:
        """Return what is looked for in positions of one side: 1 or -1."""
        if side not in self.sides:
            self.sides[side] = _Side(self.bars, self.prices, self.stops or Stops(), self.slippage_bps, side)
        return self.sides[side]

    def first_touch(self, first: Ints, end: Ints, sign: Ints) -> tuple[Ints, Floats, Ints]:
        """Return, for positions that signals open in bar `first` and close in bar `end` (N: none), what stops them.

        The bar (-1 for those that no stop ends), price and reason. A position opened at an open is held from that bar
        on and until the one before `end`; one opened at a close from the next bar on, and through `end`.
        """
        hit, price, reason = np.full(len(first), -1), np.zeros(len(first)), np.zeros(len(first), np.int64)
        held, until = first + self.at_close, np.minimum(end + self.at_close, len(self.bars))
        for side in (1, -1):
            chosen = np.flatnonzero(sign == side)
            if len(chosen):
                search = _Search(self.side(side), first[chosen])
                hit[chosen], levels, reason[chosen] = search.run(held[chosen], until[chosen])
                price[chosen] = side * levels
        return hit, price, reason


class _Side:
    """The bars as a position of one side sees them, and its levels as factors of the price at which it began.

    A short is a long in negated prices: highs become lows, and every comparison stands. Each factor is worked out in
    decimals and rounded once, so that a level is off by no more than `_SAME` allows for.
    """

    def __init__(self, bars: Bars, prices: Floats, stops: Stops, slippage_bps: float, side: int) -> None:
        from decimal import Decimal  # a run without stops has no use for it

        self.entries, self.opens, self.highs, self.lows = prices, bars.open, bars.high, bars.low
        if side < 0:
            self.entries, self.opens, self.highs, self.lows = -prices, -bars.open, -bars.low, -bars.high

        def beyond(distance: float | None, entry: Decimal) -> float | None:
            return float(entry * (1 + side * Decimal(repr(float(distance))))) if distance else None

        entry = 1 + side * Decimal(repr(float(slippage_bps))) / 10_000  # a fill price, as a factor of its reference
        less = {name: -distance for name in ("stop_loss", "trailing_stop") if (distance := getattr(stops, name))}
        self.loss, self.profit = beyond(less.get("stop_loss"), entry), beyond(stops.take_profit, entry)
        self.trail = beyond(less.get("trailing_stop"), entry)
        self.trail_of_peak = beyond(less.get("trailing_stop"), Decimal(1))
        self.looser = 1 + side * _SAME  # of a stop's level, to be compared with lows
        self.sooner = 1 - side * _SAME  # of a goal, to be compared with highs


class _Search:
    """The search for the first bar that touches a stop, over many positions of one side at once."""

    def __init__(self, side: _Side, first: Ints) -> None:
        self.side = side
        entry = side.entries[first]
        self.floor = np.full(len(first), -np.inf) if side.loss is None else entry * side.loss
        self.goal = np.full(len(first), np.inf) if side.profit is None else entry * side.profit
        self.trail = np.full(len(first), -np.inf) if side.trail is None else entry * side.trail  # before any high
        self.reach = np.maximum(self.floor, self.trail) * side.looser
        self.goal_reach = self.goal * side.sooner
        self.peak = np.full(len(first), -np.inf)  # the highest high of the bars before
        self.hit = np.full(len(first), -1)
        self.level = np.zeros(len(first))
        self.reason = np.zeros(len(first), np.int64)

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
        side, reach, peak, highs = self.side, self.reach[active], self.peak[active], self.side.highs[now]
        if side.trail_of_peak is not None:
            reach = np.maximum(reach, peak * (side.trail_of_peak * side.looser))
            self.peak[active] = np.maximum(peak, highs)
        stopped = side.lows[now] <= reach
        done: npt.NDArray[np.bool_] = stopped | (highs >= self.goal_reach[active])
        which = np.flatnonzero(done)
        if len(which):
            self._record(active[which], now[which], peak[which], stopped[which])
        return done

    def _scan(self, index: int, start: int, end: int) -> None:
        """Check the bars [start, end) of one position, in pieces that double, as most stops are hit early."""
        side, size = self.side, 256
        while start < end:
            piece = slice(start, min(start + size, end))
            highs = side.highs[piece]
            reach, peaks = self.reach[index], self.peak[index : index + 1]
            if side.trail_of_peak is not None:
                peaks = np.maximum.accumulate(np.concatenate([peaks, highs]))
                reach = np.maximum(reach, peaks[:-1] * (side.trail_of_peak * side.looser))
            stopped = side.lows[piece] <= reach
            done = stopped | (highs >= self.goal_reach[index])
            at = int(np.argmax(done))
            if done[at]:
                peak = peaks[at : at + 1] if len(peaks) > 1 else peaks
                self._record(np.array([index]), np.array([start + at]), peak, stopped[at : at + 1])
                return
            self.peak[index] = peaks[-1]
            start, size = start + size, size * 2

    def _record(self, index: Ints, bar: Ints, peak: Floats, stopped: npt.NDArray[np.bool_]) -> None:
        """Note the exits: a bar that opens beyond the level fills at its open; the stop wins over the goal.

        The trailing stop is the reason where it is the nearer one; where both are one level it is the stop loss.
        """
        side, stop = self.side, self.floor[index]
        opened, high, low = side.opens[bar], side.highs[bar], side.lows[bar]
        trailing = np.zeros(len(index), np.bool_)
        if side.trail_of_peak is not None:
            trail = np.maximum(self.trail[index], peak * side.trail_of_peak)
            trailing = trail > stop * side.looser
            stop = np.where(trailing, trail, stop)
        level = _to_decimal(np.where(stopped, stop, self.goal[index]))
        self.hit[index] = bar
        self.level[index] = np.where(
            stopped, np.maximum(np.minimum(level, opened), low), np.minimum(np.maximum(level, opened), high)
        )
        self.reason[index] = np.where(stopped, np.where(trailing, TRAILING_STOP, STOP_LOSS), TAKE_PROFIT)


def _to_decimal(price: Floats) -> Floats:
    """Return prices (not 0) rounded to 15 significant digits: 11.2 less 5 % is 10.64, not 10.639999999999999."""
    digits = np.clip(14 - np.floor(np.log10(np.abs(price))), -300, 300).astype(np.int64)
    plain = (digits >= 0) & (digits <= 22)  # a power of ten that is exact in binary: so is what is divided by it
    power = 10.0 ** np.where(plain, digits, 0)
    rounded: Floats = np.rint(price * power) / power
    for other in np.flatnonzero(~plain).tolist():
        rounded[other] = float(f"{price[other]:.15g}")
    return rounded


_Stop = tuple[int, float, int]  # the bar, -1 for none, the reference price and the reason
_NO_STOP: _Stop = (-1, 0.0, SIGNAL)


def _plan_of_large(
    bars: Bars, bar: Ints, after: Floats, watch: _Watch, borrow: Floats | None, execution: Execution, smallest: float
) -> _Orders:
    """Return the orders as `_plan` does, without the changes that are worth less than `smallest`.

    A change is measured from the position held. What is held depends on equity, equity on what was traded, and the
    stops on when a position began, so this one goes change by change.
    """
    buying, selling = _rates(execution)
    sign, starts, nexts = _spans(after)
    known: dict[int, _Stop] = {}  # most positions begin with their span; of the others each is searched by itself
    for opened, *found in _stopped(bars, bar, after, watch) if watch.stops else ():
        known.update(zip(opened.tolist(), zip(*(column.tolist() for column in found), strict=True), strict=True))
    orders: list[tuple[int, float, float, int]] = []
    cash, units, paid = execution.initial_cash, 0.0, 0.0
    stop = _NO_STOP  # of the position held: where it will end, unless a signal ends it first

    def stop_of(index: int) -> _Stop:
        """Return the stop of a position that a change opens."""
        if not watch.stops:
            return _NO_STOP
        if index not in known:
            end = np.append(bar, len(bars))[nexts[np.searchsorted(starts, index, side="right") - 1]]
            hit, level, reason = watch.first_touch(bar[index : index + 1], end.reshape(1), sign[index : index + 1])
            known[index] = int(hit[0]), float(level[0]), int(reason[0])
        return known[index]

    def trade(at: int, price: float, fraction: float, reason: int) -> bool:
        """Trade to a fraction of equity, if that is worth it; return whether there is something left to go on with."""
        nonlocal cash, units, paid
        if not fraction and not units:
            return True
        cost = float(borrow[at]) if borrow is not None else 0.0
        if units < 0:
            cash += units * (cost - paid)
        paid = cost
        held = units * price
        equity, dust = cash + held, _DUST * abs(held)
        gap = fraction * equity - held
        value = gap / (1 + fraction * buying) if gap > 0 else gap / (1 - fraction * selling)
        if fraction and equity > dust and abs(value) < smallest - _DUST * (abs(cash) + abs(held)):
            return True
        orders.append((at, price, fraction, reason))
        cash -= value * (1 + buying) if value > 0 else value * (1 - selling)
        units = units + value / price if fraction else 0.0
        return equity > dust

    columns = (bar.tolist(), watch.prices[bar].tolist(), after.tolist())
    for index, (at, price, fraction) in enumerate(zip(*columns, strict=True)):
        if 0 <= stop[0] < at + watch.at_close:
            going, stop = trade(stop[0], stop[1], 0.0, stop[2]), _NO_STOP
            if not going:
                break
        if units * fraction < 0 and not trade(at, price, 0.0, SIGNAL):
            break
        flat = not units
        if not trade(at, price, fraction, SIGNAL):
            break
        if not units:
            stop = _NO_STOP
        elif flat:
            stop = stop_of(index)
    else:
        if stop[0] >= 0:
            trade(stop[0], stop[1], 0.0, stop[2])
        trade(len(bars) - 1, float(bars.close[-1]), 0.0, END_OF_DATA)
    rows = zip(*orders, strict=True) if orders else [()] * 4
    at_, price_, after_, reason_ = (np.array(column) for column in rows)
    return _Orders(at_.astype(np.int64), price_.astype(np.float64), after_.astype(np.float64), reason_.astype(np.int64))


# --- what they cost and leave ------------------------------------------------------------------------------------


def _rates(execution: Execution) -> tuple[float, float]:
    """Return the whole cost, slippage and fee, of buying and of selling, per unit of notional at the reference."""
    fee, slippage = execution.fee_bps * 1e-4, execution.slippage_bps * 1e-4
    return (1 + slippage) * (1 + fee) - 1, 1 - (1 - slippage) * (1 - fee)


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
    dust = _DUST * np.abs(move)
    ruined = np.flatnonzero(~((growth > dust) & (factor > dust)))
    if len(ruined):
        end = int(ruined[0])
        after = np.append(after[:end], 0.0)
        some = slice(end + 1)
        fills = _Fills(fills.bar[some], reference[some], before[some], after, fills.reason[some])
        rate = buying if before[end] < 0 else selling
        left = growth[end] - abs(move[end]) * rate
        factor = np.append(factor[:end], left if abs(left) > dust[end] else 0.0)
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
    equity[0] = initial_cash  # an account begins with it: what a fill at the first close cost shows at the second
    if borrow is not None:
        equity += np.minimum(position, 0) * borrow
    if len(units) and units.min() < 0 and equity.min() <= 2 * _DUST * np.abs(cash).max():
        equity[np.abs(equity) <= _DUST * np.abs(position * bars.close)] = 0.0  # what rounding has left of nothing
    return equity, position


def _first_at_or_below_zero(equity: Floats, units: Floats) -> int | None:
    """Return the first bar whose equity is at or below zero; a long can't lose more than it cost."""
    if not len(units) or units.min() >= 0 or equity.min() > 0:
        return None
    return int(np.argmax(equity <= 0))


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
    held, end = held_whole(entry_bar, exit_bar, fills.reason[exit_], execution.at_close)
    mae, mfe = excursions(bars.high, bars.low, side, held, entry_price, end, exit_price)
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
