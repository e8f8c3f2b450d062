"""A second engine, written from docs/dev/engine.md alone: bar by bar, in decimals, with cash, units and lots.

It shares no code and no method with the first: that one plans all fills, then multiplies ratios. Nothing here rounds
but division, to 40 digits, so that what is equal on paper is equal here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal, localcontext
from typing import Any

__all__ = ["Account", "Rules", "simulate"]

ZERO, ONE = Decimal(0), Decimal(1)
YEAR = Decimal(365 * 86_400 * 10**9)  # in nanoseconds
LEFT_OVER = Decimal("1e-12")  # of a position, or of what it was worth: nothing


@dataclass(frozen=True)
class Rules:
    """The config, by the symbols of the page; a stop is None where there is none."""

    cash: Decimal
    fee: Decimal = ZERO
    slippage: Decimal = ZERO
    borrow: Decimal = ZERO
    scale: Decimal = ONE
    cap: Decimal = ONE
    smallest: Decimal = ZERO
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    trailing_stop: Decimal | None = None
    at_close: bool = False


@dataclass(frozen=True)
class Bar:
    time: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


@dataclass
class Lot:
    """What one fill added, and what it has cost since: fee, and borrow."""

    bar: int
    units: Decimal
    reference: Decimal
    price: Decimal
    fee: Decimal
    borrow: Decimal = ZERO

    def cut(self, units: Decimal) -> Lot:
        """Take a part out, with its share of the costs."""
        share = units / self.units
        part = Lot(self.bar, units, self.reference, self.price, self.fee * share, self.borrow * share)
        self.units, self.fee, self.borrow = self.units - units, self.fee - part.fee, self.borrow - part.borrow
        return part


@dataclass
class Account:
    """What a run leaves: equity and units at each close, the trades, and the bar of its ruin."""

    rules: Rules
    cash: Decimal
    bars: Sequence[Bar] = ()
    side: int = 0
    lots: deque[Lot] = field(default_factory=deque)
    entry: Decimal = ZERO  # the slipped price that opened the position
    best: Decimal = ZERO  # its peak, or its trough
    equity: list[Decimal] = field(default_factory=list)
    position: list[Decimal] = field(default_factory=list)
    trades: list[dict[str, Any]] = field(default_factory=list)
    ruined: int | None = None

    @property
    def units(self) -> Decimal:
        return self.side * sum((lot.units for lot in self.lots), ZERO)

    def worth(self, price: Decimal) -> Decimal:
        return self.cash + self.units * price

    # --- fills ------------------------------------------------------------------------------------------------------

    def add(self, bar: int, reference: Decimal, units: Decimal) -> None:
        """Buy (or sell short, where `units` are negative)."""
        side = 1 if units > 0 else -1
        price = reference * (1 + side * self.rules.slippage)
        fee = abs(units) * price * self.rules.fee
        self.cash -= units * price + fee
        if not self.side:
            self.side, self.entry, self.best = side, price, price
        self.lots.append(Lot(bar, abs(units), reference, price, fee))

    def take(self, bar: int, reference: Decimal, units: Decimal, reason: str) -> None:
        """Sell `units` (or buy them back), the oldest first."""
        price = reference * (1 - self.side * self.rules.slippage)
        whole, side = abs(self.units), self.side
        while units > LEFT_OVER * whole:
            oldest = self.lots[0]
            lot = self.lots.popleft() if oldest.units <= units + LEFT_OVER * whole else oldest.cut(units)
            units -= lot.units
            fee = lot.units * price * self.rules.fee
            self.cash += side * lot.units * price - fee
            pnl = side * lot.units * (price - lot.price) - lot.fee - fee - lot.borrow
            self.trades.append(
                {
                    "side": side,
                    "entry_bar": lot.bar,
                    "entry_price": lot.price,
                    "exit_bar": bar,
                    "exit_price": price,
                    "quantity": lot.units,
                    "entry_fee": lot.fee,
                    "exit_fee": fee,
                    "slippage": lot.units * (abs(lot.price - lot.reference) + abs(price - reference)),
                    "pnl": pnl,
                    "return_": pnl / (lot.units * lot.price),
                    **self.excursions(lot, bar, price, reason),
                    "bars_held": bar - lot.bar,
                    "exit_reason": reason,
                }
            )
        if not self.lots:
            self.side = 0

    def excursions(self, lot: Lot, bar: int, price: Decimal, reason: str) -> dict[str, Decimal]:
        """Return how far a trade went against its holder, and for him."""
        late = self.rules.at_close
        whole = self.bars[lot.bar + late : bar + (reason == "end_of_data" or (late and reason == "signal"))]
        seen = [lot.price, price, *(bar.low for bar in whole), *(bar.high for bar in whole)]
        moves = [self.side * (each / lot.price - 1) for each in seen]
        return {"mae": min(moves), "mfe": max(moves)}

    def close(self, bar: int, reference: Decimal, reason: str) -> None:
        """Close everything; ruined is who found nothing there, or has nothing left."""
        found, nothing = self.worth(reference), LEFT_OVER * abs(self.units * reference)
        self.take(bar, reference, abs(self.units), reason)
        if abs(self.cash) <= nothing:
            self.cash = ZERO
        if found <= nothing or self.cash <= nothing:
            self.ruined = bar

    def change(self, bar: int, reference: Decimal, exposure: Decimal) -> None:
        """Fill a change of the exposure."""
        if self.side and exposure * self.side <= 0:
            self.close(bar, reference, "signal")
        if not exposure or self.ruined is not None:
            return
        equity, held = self.worth(reference), self.units * reference
        nothing = LEFT_OVER * abs(held)
        if equity <= nothing:
            self.close(bar, reference, "signal")
            return
        buying = (1 + self.rules.slippage) * (1 + self.rules.fee) - 1
        selling = 1 - (1 - self.rules.slippage) * (1 - self.rules.fee)
        gap = exposure * equity - held
        value = gap / (1 + exposure * buying) if gap > 0 else gap / (1 - exposure * selling)
        if equity - abs(value) * (buying if value > 0 else selling) <= nothing:  # its costs would leave nothing
            self.close(bar, reference, "signal")
            self.ruined = bar
        elif abs(value) < self.rules.smallest or abs(value) <= LEFT_OVER * abs(held):
            return
        elif value * (self.side or value) > 0:
            self.add(bar, reference, value / reference)
        else:
            self.take(bar, reference, abs(value) / reference, "signal")

    # --- stops ------------------------------------------------------------------------------------------------------

    def look(self, index: int, bar: Bar) -> None:
        """Look for the stops of the position held in one bar."""
        side, rules = self.side, self.rules
        worst, best = (bar.low, bar.high) if side > 0 else (bar.high, bar.low)
        levels = []
        if rules.stop_loss is not None:
            levels.append((self.entry * (1 - side * rules.stop_loss), "stop_loss"))
        if rules.trailing_stop is not None:
            levels.append((self.best * (1 - side * rules.trailing_stop), "trailing_stop"))
        for level, reason in sorted(levels, key=lambda pair: -side * pair[0]):  # stable: the stop loss first in a tie
            if side * worst <= side * level:
                self.close(index, side * min(side * level, side * bar.open), reason)
                return
        if rules.take_profit is not None:
            level = self.entry * (1 + side * rules.take_profit)
            if level > 0 and side * best >= side * level:
                self.close(index, side * max(side * level, side * bar.open), "take_profit")
                return
        self.best = side * max(side * self.best, side * best)


def simulate(bars: Sequence[Bar], target: Sequence[Decimal], rules: Rules) -> Account:
    """Run `target` over `bars`."""
    with localcontext(Context(prec=40)):
        account = Account(rules, rules.cash, bars)
        exposure = [max(-rules.cap, min(rules.cap, rules.scale * wanted)) for wanted in target]
        for index, bar in enumerate(bars):
            if account.ruined is None:
                _play(account, index, bar, bars, exposure)
            account.equity.append(account.worth(bar.close) if index else rules.cash)
            account.position.append(account.units)
        return account


def _play(account: Account, index: int, bar: Bar, bars: Sequence[Bar], exposure: Sequence[Decimal]) -> None:
    if index and account.side < 0:
        before = bars[index - 1]
        for lot in account.lots:
            owed = lot.units * before.close * account.rules.borrow * (bar.time - before.time) / YEAR
            lot.borrow += owed
            account.cash -= owed
    late = account.rules.at_close
    if not late and index and exposure[index - 1] != (exposure[index - 2] if index > 1 else ZERO):
        account.change(index, bar.open, exposure[index - 1])
    if account.side:
        account.look(index, bar)
    if late and index < len(bars) - 1 and exposure[index] != (exposure[index - 1] if index else ZERO):
        account.change(index, bar.close, exposure[index])
    if account.side and (index == len(bars) - 1 or _nothing_left(account, bar.close)):
        account.close(index, bar.close, "end_of_data")


def _nothing_left(account: Account, price: Decimal) -> bool:
    return account.worth(price) <= LEFT_OVER * abs(account.units * price)
