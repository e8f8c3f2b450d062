"""What holds for every market, costs, stops and sizing: invariants that need no second engine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from peak_trade import engine
from peak_trade.config import Execution, Sizing, Stops
from peak_trade.engine import Result, run
from peak_trade.market.bars import Bars
from peak_trade.market.trades import EXIT_REASONS

Markets = Callable[..., Any]
Floats = np.ndarray[Any, np.dtype[np.float64]]
END_OF_DATA, STOPPED = EXIT_REASONS.index("end_of_data"), [1, 2, 3]
NANOSECONDS_PER_YEAR = 365 * 86_400 * 10**9


def fill_bars(result: Result, bars: Bars) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the bar of entry and of exit of every trade."""
    trades = result.trades
    return np.searchsorted(bars.timestamp, trades.entry_time), np.searchsorted(bars.timestamp, trades.exit_time)


def rebuilt(result: Result, market: Any) -> tuple[Floats, Floats]:
    """Return cash and units at each close, from the trades' own prices, quantities and fees and the borrow rate."""
    bars, trades = market.bars, result.trades
    entry, exit_ = fill_bars(result, bars)
    signed = trades.side * trades.quantity
    flow, moved = np.zeros(len(bars)), np.zeros(len(bars))
    np.add.at(flow, entry, -signed * trades.entry_price - trades.entry_fee)
    np.add.at(flow, exit_, signed * trades.exit_price - trades.exit_fee)
    np.add.at(moved, entry, signed)
    np.add.at(moved, exit_, -signed)
    units = np.cumsum(moved)
    years = np.diff(bars.timestamp).astype(np.int64) / NANOSECONDS_PER_YEAR
    flow[1:] -= np.maximum(-units[:-1], 0) * bars.close[:-1] * years * market.execution.borrow_rate
    return market.execution.initial_cash + np.cumsum(flow), units


def at_stake(market: Any, units: Floats) -> float:
    """Return the largest sum of money that was moved or held: what rounding is relative to."""
    return float(market.execution.initial_cash + np.max(np.abs(units) * market.bars.high))


@given(data=st.data())
def test_cash_and_position_make_up_equity_at_every_bar(data: st.DataObject, markets: Markets) -> None:
    market = data.draw(markets())
    result = market.run()
    cash, units = rebuilt(result, market)
    np.testing.assert_allclose(result.position, units, rtol=1e-9, atol=1e-9 * max(1e-9, np.abs(units).max()))
    np.testing.assert_allclose(
        result.equity, cash + units * market.bars.close, rtol=1e-9, atol=1e-9 * at_stake(market, units)
    )


@given(data=st.data())
def test_the_sum_of_pnl_is_the_change_of_equity(data: st.DataObject, markets: Markets) -> None:
    market = data.draw(markets())
    result = market.run()
    change = result.equity[-1] - market.execution.initial_cash
    assert change == pytest.approx(result.trades.pnl.sum(), rel=1e-9, abs=1e-9 * at_stake(market, result.position))
    assert result.position[-1] == 0


@given(data=st.data(), power=st.integers(-20, 20))
def test_scaling_prices_leaves_equity_and_returns_unchanged(data: st.DataObject, power: int, markets: Markets) -> None:
    """By a power of two, which no rounding touches: the same fills, ties with stop levels included.

    Equal to the last bit but for stops, whose levels are rounded as decimals.
    """
    market = data.draw(markets())
    bars, factor = market.bars, 2.0**power
    prices = {name: getattr(bars, name) * factor for name in ("open", "high", "low", "close")}
    scaled = replace(market, bars=rebuild(bars, **prices)).run()
    result = market.run()
    assert scaled.trades.exit_time.tolist() == result.trades.exit_time.tolist()
    assert scaled.trades.exit_reason.tolist() == result.trades.exit_reason.tolist()
    exact = not np.isin(result.trades.exit_reason, STOPPED).any()
    slack = {"rtol": 0.0, "atol": 0.0} if exact else {"rtol": 1e-12, "atol": 1e-12 * at_stake(market, result.position)}
    np.testing.assert_allclose(scaled.equity, result.equity, **slack)
    np.testing.assert_allclose(scaled.trades.return_, result.trades.return_, rtol=slack["rtol"], atol=slack["rtol"])
    units = np.abs(result.position).max()
    np.testing.assert_allclose(
        scaled.position * factor, result.position, rtol=slack["rtol"], atol=slack["rtol"] * units
    )


@given(data=st.data(), power=st.integers(-10, 10))
def test_scaling_the_money_scales_equity_and_pnl(data: st.DataObject, power: int, markets: Markets) -> None:
    market = data.draw(markets())
    factor = 2.0**power
    richer = replace(
        market,
        execution=msgspec.structs.replace(market.execution, initial_cash=market.execution.initial_cash * factor),
        sizing=msgspec.structs.replace(market.sizing, min_trade_value=market.sizing.min_trade_value * factor),
    ).run()
    result = market.run()
    assert richer.equity.tolist() == (result.equity * factor).tolist()
    assert richer.trades.pnl.tolist() == (result.trades.pnl * factor).tolist()
    assert richer.trades.return_.tolist() == result.trades.return_.tolist()


def rebuild(bars: Bars, **columns: Floats) -> Bars:
    """Return the bars with some columns replaced."""
    names = ("timestamp", "open", "high", "low", "close", "volume", "symbol", "timeframe")
    return Bars(**{name: columns.get(name, getattr(bars, name)) for name in names})


@given(data=st.data())
def test_no_future_bar_changes_what_is_past(data: st.DataObject, markets: Markets) -> None:
    """Cut off after bar k, the run is the same up to there, except that the end of data closes what was open."""
    market = data.draw(markets())
    size = data.draw(st.integers(1, len(market.bars)), label="bars kept")
    bars = rebuild(
        market.bars,
        **{name: getattr(market.bars, name)[:size] for name in ("timestamp", "open", "high", "low", "close", "volume")},
    )
    whole, part = market.run(), replace(market, bars=bars, target=market.target[:size]).run()
    assert part.equity[:-1].tolist() == whole.equity[: size - 1].tolist()
    assert part.position[:-1].tolist() == whole.position[: size - 1].tolist()
    early = (fill_bars(whole, market.bars)[1] < size) & (whole.trades.exit_reason != END_OF_DATA)
    own = part.trades.exit_reason != END_OF_DATA
    for name in ("side", "entry_time", "exit_time", "entry_price", "exit_price", "quantity", "pnl", "exit_reason"):
        assert getattr(part.trades, name)[own].tolist() == getattr(whole.trades, name)[early].tolist(), name


@given(data=st.data())
def test_a_target_of_zero_leaves_equity_flat(data: st.DataObject, markets: Markets) -> None:
    market = data.draw(markets())
    result = replace(market, target=np.zeros(len(market.bars))).run()
    assert result.equity.tolist() == [market.execution.initial_cash] * len(market.bars)
    assert result.position.tolist() == [0.0] * len(market.bars)
    assert len(result.trades) == 0


@given(data=st.data(), more=st.sampled_from(["fee_bps", "slippage_bps", "borrow_rate"]))
def test_more_cost_never_leaves_more_equity(data: st.DataObject, more: str, markets: Markets) -> None:
    """For the same fills: no stops, which hang from the slipped price, and no minimum, which depends on equity.

    And only while there is equity: of a short in ruin, the larger one is the further below zero.
    """
    market = data.draw(markets(stops=False, sizing=False))
    rate = getattr(market.execution, more)
    dearer = replace(market, execution=msgspec.structs.replace(market.execution, **{more: rate * 1.5 + 0.5}))
    cheap, dear = market.run(), dearer.run()
    assume(cheap.equity.min() > 0 and dear.equity.min() > 0)
    assert np.all(dear.equity <= cheap.equity * (1 + 1e-9))
    if more != "borrow_rate" and len(cheap.trades):
        assert dear.equity[-1] < cheap.equity[-1]


@given(data=st.data())
def test_a_long_never_overdraws_cash(data: st.DataObject, markets: Markets) -> None:
    market = data.draw(markets(short=False))
    result = market.run()
    cash, units = rebuilt(result, market)
    assert cash.min() >= -1e-9 * at_stake(market, units)
    assert result.equity.min() > 0


@given(data=st.data())
def test_every_fill_lies_within_its_bar(data: st.DataObject, markets: Markets) -> None:
    """Before slippage, and whatever stop, gap or signal it comes from."""
    market = data.draw(markets())
    trades, slippage = market.run().trades, market.execution.slippage_bps * 1e-4
    for side, price, bar in zip(
        (trades.side, -trades.side),
        (trades.entry_price, trades.exit_price),
        fill_bars(market.run(), market.bars),
        strict=True,
    ):
        reference = price / (1 + side * slippage)
        assert np.all(reference <= market.bars.high[bar] * (1 + 1e-12))
        assert np.all(reference >= market.bars.low[bar] * (1 - 1e-12))


@given(data=st.data())
def test_a_stop_that_is_never_hit_changes_nothing(data: st.DataObject, markets: Markets) -> None:
    """Where no trade ends by a stop, the run is the run without stops."""
    market = data.draw(markets())
    distant = replace(market, stops=Stops(stop_loss=0.9, take_profit=50.0, trailing_stop=0.95))
    result = distant.run()
    assume(not np.isin(result.trades.exit_reason, STOPPED).any())
    without = replace(market, stops=Stops()).run()
    assert result.equity.tolist() == without.equity.tolist()
    assert result.trades.pnl.tolist() == without.trades.pnl.tolist()


@given(data=st.data())
def test_no_position_outlives_the_touch_of_its_stop_loss(data: st.DataObject, markets: Markets) -> None:
    """Between entry and exit no bar's low (a short's high) reaches the level, so each loss is the stop's or a gap's."""
    market = data.draw(markets(sizing=False))
    distance = market.stops.stop_loss
    assume(distance is not None)
    stops = Stops(stop_loss=distance, take_profit=market.stops.take_profit)
    levels = np.unique(np.abs(market.target))  # one fraction only, so that every trade is a whole position
    target = np.sign(market.target) * levels[-1]
    market = replace(market, stops=stops, target=target)
    result = market.run()
    for side, price, entry, exit_ in zip(
        result.trades.side, result.trades.entry_price, *fill_bars(result, market.bars), strict=True
    ):
        held = slice(entry, exit_)
        if side > 0:
            assert np.all(market.bars.low[held] > price - price * distance)
        else:
            assert np.all(market.bars.high[held] < price + price * distance)


@given(data=st.data())
def test_units_change_only_where_the_target_changed_or_a_position_ended(data: st.DataObject, markets: Markets) -> None:
    """And then at the next bar: no fill comes from nowhere."""
    market = data.draw(markets())
    result = market.run()
    changed = np.flatnonzero(np.diff(market.target, prepend=0.0)) + 1
    moved = np.flatnonzero(np.diff(result.position, prepend=0.0))
    stopped = fill_bars(result, market.bars)[1][result.trades.exit_reason != 0]
    assert set(moved.tolist()) <= {*changed.tolist(), *stopped.tolist()}


@given(data=st.data())
def test_a_run_repeated_gives_the_same_bytes(data: st.DataObject, markets: Markets) -> None:
    """The arrays of the bars are read-only, so this also says that the engine writes to none of them."""
    market = data.draw(markets())
    first, second = market.run(), market.run()
    assert first.equity.tobytes() == second.equity.tobytes()
    assert first.trades.pnl.tobytes() == second.trades.pnl.tobytes()


def lines_run(bars: Bars, target: Floats, **settings_: Any) -> int:
    """Return how many lines of Python in the engine's file one run executes: a count, where time would be a guess."""
    count = 0

    def inside(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return inside

    def tracer(frame: FrameType, event: str, argument: object) -> Any:
        return inside if frame.f_code.co_filename == engine.__file__ else None

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        run(bars, target, **settings_)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    ("stops", "sizing", "extra"),
    [
        (Stops(), Sizing(), 0),
        (Stops(), Sizing(min_trade_value=1.0), 0),
        (Stops(stop_loss=0.5, take_profit=5.0, trailing_stop=0.5), Sizing(), 400),  # pieces that double: log(bars)
    ],
    ids=["plain", "minimum", "stops"],
)
def test_python_does_not_loop_over_bars(stops: Stops, sizing: Sizing, extra: int) -> None:
    """Two trades over 200,000 bars take as many lines of Python as over 2,000."""

    def lines(size: int) -> int:
        price = 100 + np.sin(np.arange(size) / 7)
        bars = Bars(
            np.datetime64("2024-01-01", "ns") + np.arange(size) * np.timedelta64(1, "m"),
            *(price, price + 1, price - 1, price),
            np.ones(size),
            "TEST",
            "1m",
        )
        target = np.zeros(size)
        target[size // 10 : size // 2], target[size // 2 : size - 10] = 1.0, -1.0
        execution = Execution(allow_short=True, fee_bps=1.0, borrow_rate=0.1)
        assert len(run(bars, target, execution=execution, sizing=sizing, stops=stops).trades) == 2
        return lines_run(bars, target, execution=execution, sizing=sizing, stops=stops)

    few, many = lines(2_000), lines(200_000)
    assert few > 50  # the tracer saw the engine
    assert many <= few + extra


def test_python_loops_over_trades_at_most() -> None:
    """A thousand positions with stops on 20,000 bars: fewer lines than a loop over the bars would take."""
    size = 20_000
    price = 100 + np.sin(np.arange(size) / 7)
    bars = Bars(
        np.datetime64("2024-01-01", "ns") + np.arange(size) * np.timedelta64(1, "m"),
        *(price, price + 1, price - 1, price),
        np.ones(size),
        "TEST",
        "1m",
    )
    target = (np.arange(size) // 10 % 2).astype(np.float64)
    assert len(run(bars, target, stops=Stops(stop_loss=0.5)).trades) == 1_000
    assert lines_run(bars, target, stops=Stops(stop_loss=0.5)) < size
