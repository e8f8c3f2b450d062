"""The engine against a naive one that goes bar by bar and keeps cash, units and lots in plain floats.

The reference shares no code and no method with the engine: it solves each fill for units from cash, checks stops as
it walks, and pays borrow day by day, where the engine plans all fills first and multiplies ratios.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from peak_trade.config import Execution, Sizing, Stops
from peak_trade.engine import Result, run
from peak_trade.market.bars import Bars
from peak_trade.market.trades import EXIT_REASONS

TOLERANCE = 1e-9
DAYS_PER_YEAR = 365
NANOSECONDS_PER_DAY = 86_400 * 10**9

Outcome = tuple[list[float], list[float], list[dict[str, Any]]]  # equity, position, trades


@dataclass
class Lot:
    """Units bought or sold short in one fill, with what they have cost since."""

    units: float
    bar: int
    reference: float
    price: float
    fee: float
    borrow: float = 0.0

    def take(self, units: float) -> Lot:
        """Cut `units` off this lot, with their part of its costs."""
        part = units / self.units
        taken = replace(self, units=units, fee=self.fee * part, borrow=self.borrow * part)
        self.units, self.fee, self.borrow = self.units - units, self.fee * (1 - part), self.borrow * (1 - part)
        return taken


@dataclass
class Account:
    """Cash and lots; `units` is signed, `side` its sign."""

    bars: Bars
    execution: Execution
    cash: float
    side: int = 0
    lots: deque[Lot] = field(default_factory=deque)
    trades: list[dict[str, Any]] = field(default_factory=list)

    @property
    def units(self) -> float:
        return self.side * sum(lot.units for lot in self.lots)

    def fill_price(self, reference: float, buying: bool) -> float:
        slippage = self.execution.slippage_bps / 10_000
        return reference * (1 + slippage) if buying else reference * (1 - slippage)

    def paid_for_one(self, reference: float, buying: bool) -> float:
        """Return the cash that buying one unit takes, or that selling one brings, fee included."""
        fee = self.execution.fee_bps / 10_000
        return self.fill_price(reference, buying) * (1 + fee if buying else 1 - fee)

    def open(self, bar: int, reference: float, units: float) -> None:
        """Add `units` (signed) in one lot."""
        price = self.fill_price(reference, units > 0)
        fee = abs(units) * price * self.execution.fee_bps / 10_000
        self.cash -= units * price + fee
        self.side = 1 if units > 0 else -1
        self.lots.append(Lot(abs(units), bar, reference, price, fee))

    def close(self, bar: int, reference: float, units: float, reason: str) -> None:
        """Take `units` (unsigned) out of the oldest lots."""
        everything = sum(lot.units for lot in self.lots)
        price = self.fill_price(reference, self.side < 0)
        fee_rate = self.execution.fee_bps / 10_000
        left = units
        while self.lots and left > 1e-12 * everything:
            lot = self.lots[0]
            if lot.units <= left + 1e-12 * everything:
                taken = self.lots.popleft()
            else:
                taken = lot.take(left)
            left -= taken.units
            fee = taken.units * price * fee_rate
            self.cash += self.side * taken.units * price - fee
            earned = self.side * taken.units * (price - taken.price) - taken.fee - fee - taken.borrow
            self.trades.append(
                {
                    "side": self.side,
                    "entry_bar": taken.bar,
                    "entry_price": taken.price,
                    "exit_bar": bar,
                    "exit_price": price,
                    "quantity": taken.units,
                    "entry_fee": taken.fee,
                    "exit_fee": fee,
                    "slippage": taken.units * (abs(taken.price - taken.reference) + abs(price - reference)),
                    "pnl": earned,
                    "return_": earned / (taken.units * taken.price),
                    "bars_held": bar - taken.bar,
                    "exit_reason": EXIT_REASONS.index(reason),
                }
            )
        if not self.lots:
            self.side = 0

    def close_all(self, bar: int, reference: float, reason: str) -> None:
        self.close(bar, reference, abs(self.units), reason)

    def units_for(self, fraction: float, reference: float) -> float:
        """Return the units u with u * reference = fraction * (the cash left by trading to u, plus u * reference).

        With p the cash that one more unit takes: u * reference = fraction * (cash - (u - held) * p + u * reference).
        """
        held = self.units
        for buying in (True, False):
            p = self.paid_for_one(reference, buying)
            units = fraction * (self.cash + held * p) / (reference + fraction * (p - reference))
            if (units > held) == buying:
                return units
        return held


def reference_run(
    bars: Bars, target: np.ndarray[Any, Any], *, execution: Execution, sizing: Sizing, stops: Stops
) -> Outcome:
    """Return equity and position at each close and the trades, one dict each."""
    account = Account(bars, execution, execution.initial_cash)
    opens, highs, lows, closes = (column.tolist() for column in (bars.open, bars.high, bars.low, bars.close))
    times = bars.timestamp.astype(np.int64).tolist()
    wanted = [max(-sizing.max_exposure, min(sizing.max_exposure, t * sizing.scale)) for t in target.tolist()]
    entry_price = best = 0.0  # of the position: the fill that opened it, and the best price since
    waiting = 0.0  # the target of a position that was too small to open
    ruined = False
    equity: list[float] = []
    position: list[float] = []

    def trade_to(fraction: float, bar: int) -> None:
        nonlocal entry_price, best, waiting, ruined
        reference = opens[bar]
        if account.side and fraction * account.side <= 0:
            account.close_all(bar, reference, "signal")
            ruined = account.cash <= 0
        if waiting * fraction <= 0:
            waiting = 0.0
        if fraction == 0 or waiting or ruined:
            return
        held = account.units
        if account.side < 0 and account.cash + held * account.paid_for_one(reference, True) <= 0:
            account.close_all(bar, reference, "signal")
            ruined = True
            return
        units = account.units_for(fraction, reference)
        if abs(units - held) * reference < sizing.min_trade_value:
            waiting = 0.0 if account.side else fraction
            return
        if not account.side:
            account.open(bar, reference, units)
            entry_price = best = account.lots[0].price
        elif abs(units) > abs(held) * (1 + 1e-12):
            account.open(bar, reference, units - held)
        else:
            account.close(bar, reference, abs(held) - abs(units), "signal")

    def look_for_stops(bar: int) -> None:
        nonlocal best, ruined
        side = account.side
        against, towards = (lows[bar], highs[bar]) if side > 0 else (highs[bar], lows[bar])
        levels = []
        if stops.stop_loss:
            levels.append((entry_price - side * entry_price * stops.stop_loss, "stop_loss"))
        if stops.trailing_stop:
            levels.append((best - side * entry_price * stops.trailing_stop, "trailing_stop"))
        if levels:
            level, reason = max(levels, key=lambda pair: side * pair[0])  # the nearer; stop_loss where both are equal
            if side * against <= side * level:
                worse = min(level, opens[bar]) if side > 0 else max(level, opens[bar])
                account.close_all(bar, worse, reason)
                ruined = account.cash <= 0
                return
        if stops.take_profit:
            goal = entry_price + side * entry_price * stops.take_profit
            if side * towards >= side * goal:
                account.close_all(bar, max(goal, opens[bar]) if side > 0 else min(goal, opens[bar]), "take_profit")
                ruined = account.cash <= 0
                return
        best = max(best, towards) if side > 0 else min(best, towards)

    for bar in range(len(bars)):
        if bar and account.side < 0:
            days = (times[bar] - times[bar - 1]) / NANOSECONDS_PER_DAY
            for lot in account.lots:
                charge = lot.units * closes[bar - 1] * execution.borrow_rate * days / DAYS_PER_YEAR
                lot.borrow += charge
                account.cash -= charge
        if bar and not ruined and wanted[bar - 1] != (wanted[bar - 2] if bar > 1 else 0.0):
            trade_to(wanted[bar - 1], bar)
        if account.side:
            look_for_stops(bar)
        if bar == len(bars) - 1 and account.side:
            account.close_all(bar, closes[bar], "end_of_data")
        equity.append(account.cash + account.units * closes[bar])
        position.append(account.units)
    return equity, position, account.trades


def differences(result: Result, bars: Bars, expected: Outcome) -> list[str]:
    """Return what differs by more than 1e-9 of the amounts at stake: all money of the bar or trade, all units held."""
    equity, position, trades = expected
    found = []
    at_stake = np.abs(equity) + np.abs(position) * bars.close
    units = max([1e-300, *(abs(units) for units in position), *(trade["quantity"] for trade in trades)])
    if not np.all(np.abs(result.equity - equity) <= TOLERANCE * at_stake):
        found.append(f"equity {result.equity.tolist()} != {equity}")
    if not np.allclose(result.position, position, rtol=TOLERANCE, atol=TOLERANCE * units):
        found.append(f"position {result.position.tolist()} != {position}")
    got = result.trades
    if len(got) != len(trades):
        return [*found, f"{len(got)} trades {got} != {trades}"]
    for name in ("side", "bars_held", "exit_reason"):
        if getattr(got, name).tolist() != [trade[name] for trade in trades]:
            found.append(f"{name} {getattr(got, name)} != {[trade[name] for trade in trades]}")
    for name, bar in (("entry_time", "entry_bar"), ("exit_time", "exit_bar")):
        if getattr(got, name).tolist() != bars.timestamp[[trade[bar] for trade in trades]].tolist():
            found.append(f"{name} {getattr(got, name)} != bars {[trade[bar] for trade in trades]}")
    for name in ("entry_price", "exit_price"):
        if not np.allclose(getattr(got, name), [trade[name] for trade in trades], rtol=TOLERANCE, atol=0):
            found.append(f"{name} {getattr(got, name)} != {[trade[name] for trade in trades]}")
    notional = np.array([trade["quantity"] * (trade["entry_price"] + trade["exit_price"]) for trade in trades])
    slack = {"quantity": units, "pnl": notional, "return_": 1.0}
    for name in ("quantity", "entry_fee", "exit_fee", "slippage", "pnl", "return_"):
        column = np.array([trade[name] for trade in trades])
        if not np.all(np.abs(getattr(got, name) - column) <= TOLERANCE * slack.get(name, column.max(initial=0.0))):
            found.append(f"{name} {getattr(got, name)} != {column}")
    return found


def compare(market: Any, engine: Callable[..., Result] = run) -> list[str]:
    """Return where `engine` differs from the reference on this market."""
    settings_ = {"execution": market.execution, "sizing": market.sizing, "stops": market.stops}
    expected = reference_run(market.bars, market.target, **settings_)
    return differences(engine(market.bars, market.target, **settings_), market.bars, expected)


@settings(max_examples=300)
@given(data=st.data())
def test_the_engine_agrees_with_the_reference(data: st.DataObject, markets: Callable[..., Any]) -> None:
    """Equity and position at every close, and every column of every trade, to 1e-9."""
    assert compare(data.draw(markets())) == []


@dataclass(frozen=True)
class LongMarket:
    """Too many bars to shrink; as many as it takes to meet every branch of the search for stops."""

    bars: Bars
    target: np.ndarray[Any, Any]
    execution: Execution
    sizing: Sizing
    stops: Stops


@pytest.mark.parametrize("stay", [2, 7, 400, 3_000], ids=lambda stay: f"{stay}_bars_each")
@pytest.mark.parametrize("distance", [0.01, 0.3], ids=["near_stops", "distant_stops"])
def test_long_runs_agree_with_the_reference(stay: int, distance: float) -> None:
    """4,000 bars: from a thousand positions at once to single ones that last for thousands of bars."""
    random = np.random.default_rng(stay)
    size = 4_000
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.01, size)))
    opened = np.concatenate([[100.0], close[:-1]]) * np.exp(random.normal(0, 0.003, size))
    high = np.maximum(opened, close) * (1 + random.exponential(0.004, size))
    low = np.minimum(opened, close) * (1 - random.exponential(0.004, size))
    time = np.datetime64("2020-01-01", "ns") + np.arange(size) * np.timedelta64(1, "h")
    market = LongMarket(
        Bars(time, opened, high, low, close, np.ones(size), "TEST", "1h"),
        np.repeat(random.choice([-1.0, -0.5, 0.0, 0.5, 0.8, 1.0], size // stay + 1), stay)[:size],
        Execution(fee_bps=2.0, slippage_bps=1.0, allow_short=True, borrow_rate=0.05),
        Sizing(),
        Stops(stop_loss=distance, take_profit=2 * distance, trailing_stop=1.5 * distance),
    )
    assert compare(market) == []


# --- negative controls: engines that are wrong in one thing, each of which the comparison must find -----------------


def sees_the_future(bars: Bars, target: np.ndarray[Any, Any], **options: Any) -> Result:
    """Fill each decision at the open of its own bar, before the close that made it."""
    return run(bars, np.append(target[1:], target[-1:]), **options)


def fills_late(bars: Bars, target: np.ndarray[Any, Any], **options: Any) -> Result:
    """Fill each decision one bar late."""
    return run(bars, np.append([0.0], target[:-1]), **options)


def charges_the_fee_once(bars: Bars, target: np.ndarray[Any, Any], *, execution: Execution, **options: Any) -> Result:
    """Charge half the fee on either side."""
    return run(bars, target, execution=msgspec.structs.replace(execution, fee_bps=execution.fee_bps / 2), **options)


def forgets_slippage(bars: Bars, target: np.ndarray[Any, Any], *, execution: Execution, **options: Any) -> Result:
    return run(bars, target, execution=msgspec.structs.replace(execution, slippage_bps=0.0), **options)


def lends_for_nothing(bars: Bars, target: np.ndarray[Any, Any], *, execution: Execution, **options: Any) -> Result:
    return run(bars, target, execution=msgspec.structs.replace(execution, borrow_rate=0.0), **options)


def never_stops(bars: Bars, target: np.ndarray[Any, Any], *, stops: Stops, **options: Any) -> Result:
    return run(bars, target, **options)


def stops_at_closes(bars: Bars, target: np.ndarray[Any, Any], **options: Any) -> Result:
    """Look for stops in opens and closes only."""
    high, low = np.maximum(bars.open, bars.close), np.minimum(bars.open, bars.close)
    columns = (bars.timestamp, bars.open, high, low, bars.close, bars.volume)
    return run(Bars(*columns, bars.symbol, bars.timeframe), target, **options)


def trades_however_small(bars: Bars, target: np.ndarray[Any, Any], *, sizing: Sizing, **options: Any) -> Result:
    return run(bars, target, sizing=msgspec.structs.replace(sizing, min_trade_value=0.0), **options)


@pytest.mark.parametrize(
    "engine",
    [
        sees_the_future,
        fills_late,
        charges_the_fee_once,
        forgets_slippage,
        lends_for_nothing,
        never_stops,
        stops_at_closes,
        trades_however_small,
    ],
)
def test_a_wrong_engine_is_found_out(engine: Callable[..., Result], markets: Callable[..., Any]) -> None:
    """The comparison can fail: some market among as many as above tells the wrong engine from the reference."""
    few = settings(max_examples=500, derandomize=True, database=None, phases=[Phase.generate])
    assert compare(find(markets(), lambda market: compare(market, engine) != [], settings=few), engine)


def test_the_comparison_reads_every_column_of_the_trades() -> None:
    """Change one column by a millionth, and the comparison names it."""
    price = np.array([100.0, 100.0, 120.0, 130.0])
    time = np.datetime64("2024-01-01", "ns") + np.arange(4) * np.timedelta64(1, "D")
    bars = Bars(time, price, price + 1, price - 1, price, np.ones(4), "TEST", "1d")
    target, execution = np.array([1.0, 0.0, 0.0, 0.0]), Execution(fee_bps=10.0, slippage_bps=10.0)
    expected = reference_run(bars, target, execution=execution, sizing=Sizing(), stops=Stops())
    result = run(bars, target, execution=execution)
    assert differences(result, bars, expected) == []
    (trade,) = expected[2]
    for name, value in trade.items():
        wrong = {**trade, name: value + 1 if isinstance(value, int) else value * (1 + 1e-6)}
        (found,) = differences(result, bars, (expected[0], expected[1], [wrong]))
        assert found.startswith(name.replace("_bar", "_time"))
