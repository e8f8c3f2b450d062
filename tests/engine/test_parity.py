"""The engine against two independent ones, on seeded random bars: equity at every close to 1e-9 relative.

`backtesting.py` keeps whole units and cash, bar by bar. What has to be made equal first:

- Units: `FractionalBacktest` with a unit of 1e-12, so that rounding down to it stays below 1e-9.
- Costs: its `spread` moves entries only and is not part of the price that its commission is computed on, so it is left
  at 0. A fee is its `commission`. Our slippage alone costs `slippage * price` a unit on either side, which is again a
  commission; fee and slippage together are not, since buying then costs (1+s)(1+f)-1 and selling 1-(1-s)(1-f), and its
  commission function is not told which of the two it is asked for.
- The first bar: its strategy is first asked at bar 1, so targets start with 0.
- The end: it closes at the last *open*, where we close at the last close, so targets end with 0.
- Fractions: its `size=0.5` is half of the equity before the fee, ours after it, so fractions go without costs; and it
  sizes a change of an open position by the close before, so changes go from flat or by way of a reversal.
- Stops: its levels are given with the order, before the fill price is known, so the bars on which a position opens do
  so at the close before, without a gap; every other bar gaps. A trailing stop is its stop order, moved each close.

`vectorbt` fills one order per row. Each bar becomes three rows: at the open get out, at the open get in, at the close
mark. Fractions of equity are again meant before costs there: all-in is asked for by infinite size, which pays its own
fee. Its infinite short is valued at the slipped price and ours at the open, so a short with slippage s is asked for as
-1/(1+s) of equity, what a short of -1 is before its own slippage. Its stops are not compared: it looks for them from
the bar after the entry on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from peak_trade.config import Execution, Stops
from peak_trade.engine import Result, run
from peak_trade.market.bars import Bars

pd = pytest.importorskip("pandas")

pytestmark = pytest.mark.filterwarnings("ignore")  # the peers' own: what they deprecate or advise is not ours to mend

Floats = np.ndarray[Any, np.dtype[np.float64]]
CASH = 10_000.0
LONG_FLAT, LONG_SHORT, FRACTIONS = (0.0, 1.0), (-1.0, 0.0, 1.0), (-0.9, -0.3, 0.0, 0.4, 0.7)


def targets(levels: Sequence[float], seed: int, size: int = 600) -> Floats:
    """Return random stretches of `levels`, flat at both ends."""
    random = np.random.default_rng(seed)
    target = np.repeat(random.choice(levels, size), random.integers(1, 10, size))[:size].astype(np.float64)
    target[:3] = target[-3:] = 0.0
    return target


def via_flat(target: Floats) -> Floats:
    """Put one flat bar before every change from one fraction to another of the same sign."""
    target = target.copy()
    for bar in range(1, len(target) - 1):
        if target[bar] * target[bar - 1] > 0 and target[bar] != target[bar - 1]:
            target[bar] = 0.0
    return target


def random_bars(seed: int, size: int = 600, opened_at_the_close_before: Floats | None = None) -> Bars:
    """Return bars that gap at every open, except after a change of the target given."""
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.015, size)))
    before = np.concatenate([close[:1], close[:-1]])
    gap = random.normal(0, 0.01, size)
    if opened_at_the_close_before is not None:
        gap[1:][np.diff(opened_at_the_close_before, prepend=0.0)[:-1] != 0] = 0.0
    opened = before * np.exp(gap)
    high = np.maximum(opened, close) * (1 + random.exponential(0.005, size))
    low = np.minimum(opened, close) * (1 - random.exponential(0.005, size))
    time = np.datetime64("2024-01-01", "ns") + np.arange(size) * np.timedelta64(1, "D")
    return Bars(time, opened, high, low, close, np.ones(size), "TEST", "1d")


# --- backtesting.py -------------------------------------------------------------------------------------------------


def in_backtesting(bars: Bars, target: Floats, commission: float = 0.0, stops: Stops | None = None) -> Any:
    """Return the statistics of `backtesting.py` for the same decisions."""
    lib, backtesting = pytest.importorskip("backtesting.lib"), pytest.importorskip("backtesting")
    rules = stops or Stops()

    class Follow(backtesting.Strategy):  # type: ignore[misc, name-defined]
        def init(self) -> None:
            self.best: dict[int, float] = {}

        def next(self) -> None:
            bar, close = len(self.data) - 1, float(self.data.Close[-1])
            for trade in self.trades if rules.trailing_stop else ():
                side = 1 if trade.is_long else -1
                towards = float(self.data.High[-1] if trade.is_long else self.data.Low[-1])
                best = self.best.get(trade.entry_bar, trade.entry_price)
                self.best[trade.entry_bar] = best = side * max(side * best, side * towards)
                level = best * (1 - side * rules.trailing_stop)
                if side * level > side * trade.sl:
                    trade.sl = level
            now, was = target[bar], target[bar - 1]
            if now == was:
                return
            if now == 0:
                self.position.close()
                return
            side = 1 if now > 0 else -1
            nearest = min((d for d in (rules.stop_loss, rules.trailing_stop) if d), default=None)
            levels = {
                "sl": close * (1 - side * nearest) if nearest else None,
                "tp": close * (1 + side * rules.take_profit) if rules.take_profit else None,
            }
            size = {} if abs(now) == 1 else {"size": abs(now)}
            (self.buy if side > 0 else self.sell)(**size, **levels)

    frame = pd.DataFrame(
        {"Open": bars.open, "High": bars.high, "Low": bars.low, "Close": bars.close, "Volume": bars.volume},
        index=pd.DatetimeIndex(bars.timestamp),
    )
    return lib.FractionalBacktest(
        frame, Follow, cash=CASH, commission=commission, exclusive_orders=True, fractional_unit=1e-12
    ).run()


def same_as_backtesting(result: Result, stats: Any, bars: Bars, slipped: bool = False) -> None:
    """Equity at every close, the bars of every trade, and its prices where slippage is not in them."""
    theirs = stats["_trades"].sort_values(["ExitBar", "EntryBar"])
    np.testing.assert_allclose(result.equity, stats["_equity_curve"]["Equity"], rtol=1e-9)
    assert len(theirs) > 10
    assert np.searchsorted(bars.timestamp, result.trades.entry_time).tolist() == theirs["EntryBar"].tolist()
    assert np.searchsorted(bars.timestamp, result.trades.exit_time).tolist() == theirs["ExitBar"].tolist()
    assert result.trades.side.tolist() == np.sign(theirs["Size"]).tolist()
    if not slipped:
        np.testing.assert_allclose(result.trades.entry_price, theirs["EntryPrice"], rtol=1e-9)
        np.testing.assert_allclose(result.trades.exit_price, theirs["ExitPrice"], rtol=1e-9)
        np.testing.assert_allclose(result.trades.quantity, theirs["Size"].abs(), rtol=1e-9)


@pytest.mark.parametrize("levels", [LONG_FLAT, LONG_SHORT], ids=["long", "long_and_short"])
@pytest.mark.parametrize("fee_bps", [0.0, 25.0])
def test_all_in_with_a_fee_is_what_backtesting_makes_of_it(levels: tuple[float, ...], fee_bps: float) -> None:
    bars, target = random_bars(1), targets(levels, 2)
    result = run(bars, target, execution=Execution(initial_cash=CASH, fee_bps=fee_bps, allow_short=True))
    same_as_backtesting(result, in_backtesting(bars, target, fee_bps * 1e-4), bars)


@pytest.mark.parametrize("levels", [LONG_FLAT, LONG_SHORT], ids=["long", "long_and_short"])
def test_slippage_costs_what_a_commission_costs_in_backtesting(levels: tuple[float, ...]) -> None:
    bars, target = random_bars(3), targets(levels, 4)
    result = run(bars, target, execution=Execution(initial_cash=CASH, slippage_bps=15.0, allow_short=True))
    same_as_backtesting(result, in_backtesting(bars, target, 15e-4), bars, slipped=True)


def test_fractions_without_costs_are_what_backtesting_makes_of_them() -> None:
    bars, target = random_bars(5), via_flat(targets(FRACTIONS, 6))
    result = run(bars, target, execution=Execution(initial_cash=CASH, allow_short=True))
    same_as_backtesting(result, in_backtesting(bars, target), bars)


@pytest.mark.parametrize(
    "stops",
    [
        Stops(stop_loss=0.02),
        Stops(take_profit=0.03),
        Stops(stop_loss=0.02, take_profit=0.02),
        Stops(trailing_stop=0.03),
        Stops(stop_loss=0.02, take_profit=0.05, trailing_stop=0.03),
    ],
    ids=["stop_loss", "take_profit", "both", "trailing_stop", "all_three"],
)
@pytest.mark.parametrize("fee_bps", [0.0, 25.0])
def test_stops_are_what_backtesting_makes_of_them(stops: Stops, fee_bps: float) -> None:
    target = targets(LONG_SHORT, 8)
    bars = random_bars(7, opened_at_the_close_before=target)
    execution = Execution(initial_cash=CASH, fee_bps=fee_bps, allow_short=True)
    result = run(bars, target, execution=execution, stops=stops)
    assert np.count_nonzero(result.trades.exit_reason) > 8
    same_as_backtesting(result, in_backtesting(bars, target, fee_bps * 1e-4, stops), bars)


# --- vectorbt -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vectorbt() -> Any:
    """Import vectorbt without its compiler, which takes 10 to 30 s cold; interpreted, its engine takes 0.1 s a run."""
    config = pytest.importorskip("numba").config
    before, config.DISABLE_JIT = config.DISABLE_JIT, True
    try:
        return pytest.importorskip("vectorbt")
    finally:
        config.DISABLE_JIT = before


def in_vectorbt(vectorbt: Any, bars: Bars, target: Floats, execution: Execution) -> Any:
    """Return vectorbt's portfolio of the same decisions, three rows to a bar."""
    by_percent, by_amount = vectorbt.portfolio.enums.SizeType.TargetPercent, vectorbt.portfolio.enums.SizeType.Amount
    slippage = execution.slippage_bps * 1e-4
    rows = len(bars) * 3
    price = np.column_stack([bars.open, bars.open, bars.close]).ravel()
    size, kind = np.full(rows, np.nan), np.full(rows, by_percent)
    for bar in range(1, len(bars)):
        now, was = target[bar - 1], target[bar - 2] if bar > 1 else 0.0
        if now == was:
            continue
        if now * was <= 0:
            size[3 * bar] = 0.0
        if now == 0:
            continue
        if abs(now) < 1:
            size[3 * bar + 1] = now
        elif now < 0 and slippage:
            size[3 * bar + 1] = -1 / (1 + slippage)
        else:
            size[3 * bar + 1], kind[3 * bar + 1] = now * np.inf, by_amount
    size[-1] = 0.0  # the last close closes what is open
    return vectorbt.Portfolio.from_orders(
        pd.Series(price),
        size=size,
        size_type=kind,
        price=price,
        fees=execution.fee_bps * 1e-4,
        slippage=slippage,
        init_cash=execution.initial_cash,
        freq="8h",
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("levels", "costs"),
    [
        (LONG_FLAT, {}),
        (LONG_FLAT, {"fee_bps": 20.0, "slippage_bps": 7.0}),
        (LONG_SHORT, {}),
        (LONG_SHORT, {"fee_bps": 20.0}),
        (LONG_SHORT, {"slippage_bps": 7.0}),
        (FRACTIONS, {}),
    ],
    ids=["long", "long_with_costs", "long_and_short", "reversals_with_fee", "reversals_with_slippage", "fractions"],
)
def test_equity_is_what_vectorbt_makes_of_it(levels: tuple[float, ...], costs: dict[str, float], vectorbt: Any) -> None:
    """A position is left open at the end, which both close at the last close."""
    bars, target = random_bars(9), targets(levels, 10)
    target[-10:] = levels[-1]
    execution = Execution(initial_cash=CASH, allow_short=True, **costs)
    result, theirs = run(bars, target, execution=execution), in_vectorbt(vectorbt, bars, target, execution)
    assert len(result.trades) > 10
    np.testing.assert_allclose(result.equity, theirs.value().to_numpy()[2::3], rtol=1e-9)
    np.testing.assert_allclose(result.position, theirs.assets().to_numpy()[2::3], rtol=1e-9, atol=1e-9)
    assert result.trades.pnl.sum() == pytest.approx(theirs.trades.pnl.values.sum(), rel=1e-9)
    if levels is not FRACTIONS:  # whose partial exits vectorbt counts in its own way
        np.testing.assert_allclose(result.trades.pnl, theirs.trades.pnl.values, rtol=1e-7, atol=1e-7)
        np.testing.assert_allclose(result.trades.entry_price, theirs.trades.records["entry_price"], rtol=1e-9)
        np.testing.assert_allclose(result.trades.exit_price, theirs.trades.records["exit_price"], rtol=1e-9)


def test_the_comparison_finds_a_fill_that_is_one_bar_late() -> None:
    """The parity tests can fail."""
    bars, target = random_bars(1), targets(LONG_FLAT, 2)
    late = run(bars, np.append([0.0], target[:-1]), execution=Execution(initial_cash=CASH))
    with pytest.raises(AssertionError):
        same_as_backtesting(late, in_backtesting(bars, target), bars)
