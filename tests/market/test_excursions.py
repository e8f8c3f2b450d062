"""MAE and MFE, against values worked out by hand, a plain loop, and pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from peak_trade import engine
from peak_trade.config import Execution, Stops
from peak_trade.market.bars import Bars
from peak_trade.market.excursions import excursions
from peak_trade.market.trades import EXIT_REASONS, Trades

#             bar:      0      1      2      3      4      5
OPEN = np.array([100.0, 100.0, 104.0, 103.0, 110.0, 108.0])
HIGH = np.array([101.0, 105.0, 106.0, 112.0, 111.0, 109.0])
LOW = np.array([99.0, 96.0, 102.0, 101.0, 107.0, 90.0])
CLOSE = np.array([100.0, 104.0, 103.0, 110.0, 108.0, 95.0])


def bars(rows: int = 6, **columns: np.ndarray) -> Bars:
    prices = {"open": OPEN, "high": HIGH, "low": LOW, "close": CLOSE} | columns
    stamps = np.datetime64("2024-01-01", "ns") + np.arange(rows) * np.timedelta64(1, "h")
    return Bars(timestamp=stamps, volume=np.ones(rows), symbol="X", timeframe="1h", **{
        name: values[:rows] for name, values in prices.items()
    })  # fmt: skip


def traded(target: list[float], rows: int = 6, stops: Stops = Stops(), **execution: float) -> Trades:
    settings = Execution(allow_short=True, **execution)
    return engine.run(bars(rows), np.array(target), execution=settings, stops=stops).trades


def found(trades: Trades) -> list[tuple[float, float]]:
    assert trades.mae is not None and trades.mfe is not None
    return list(zip(trades.mae.tolist(), trades.mfe.tolist(), strict=True))


def near(*pairs: tuple[float, float]) -> list[object]:
    return [pytest.approx(pair, rel=1e-12, abs=1e-15) for pair in pairs]


def test_a_long_counts_the_bars_it_held_whole_and_the_price_of_its_exit() -> None:
    """In at the open of bar 1 (100), out at the open of bar 3 (103): bars 1 and 2 count, 96 to 106; not bar 3's 112."""
    trades = traded([1, 1, 0, 0, 0, 0])
    assert (trades.entry_price[0], trades.exit_price[0]) == (100.0, 103.0)
    assert found(trades) == near((-0.04, 0.06))


def test_a_short_is_hurt_by_the_highs_and_helped_by_the_lows() -> None:
    assert found(traded([-1, -1, 0, 0, 0, 0])) == near((-0.06, 0.04))


def test_an_exit_at_the_last_close_counts_the_whole_bar_of_the_exit() -> None:
    """In at the open of bar 4 (110), out at the close of bar 5 (95): 90 to 111."""
    trades = traded([0, 0, 0, 1, 1, 1])
    assert trades.exit_reason.tolist() == [EXIT_REASONS.index("end_of_data")]
    assert found(trades) == near((90 / 110 - 1, 111 / 110 - 1))
    assert found(traded([0, 0, 0, -1, -1, -1])) == near((1 - 111 / 110, 1 - 90 / 110))


def test_a_trade_that_begins_and_ends_with_the_last_bar_counts_that_bar() -> None:
    """In at the open of bar 5 (108), out at its close (95): 90 to 109."""
    assert found(traded([0, 0, 0, 0, 1, 1])) == near((90 / 108 - 1, 109 / 108 - 1))


def test_of_the_bar_in_which_a_stop_ends_a_trade_the_stops_price_counts_alone() -> None:
    """In at 100, stopped at 97 in bar 1, whose low is 96 and whose high is 105: before or after, nobody knows."""
    trades = traded([1, 1, 1, 0, 0, 0], stops=Stops(stop_loss=0.03))
    assert (trades.exit_price[0], trades.bars_held[0]) == (97.0, 0)
    assert found(trades) == near((-0.03, 0.0))


def test_a_take_profit_counts_the_bars_before_its_own_and_its_price() -> None:
    """In at 100, out at 108 in bar 3 (high 112, low 101): 96 of bar 1 is the worst, 108 the best."""
    trades = traded([1, 1, 1, 1, 1, 0], stops=Stops(take_profit=0.08))
    assert (trades.exit_price[0], trades.bars_held[0]) == (pytest.approx(108.0), 2)
    assert found(trades) == near((-0.04, 0.08))


def test_slippage_is_in_the_fill_prices_and_so_in_the_excursions() -> None:
    """1 %: in at 101, out at 101.97. The lows and highs are as the bars have them: 96 and 106."""
    assert found(traded([1, 1, 0, 0, 0, 0], slippage_bps=100.0)) == near((96 / 101 - 1, 106 / 101 - 1))


def test_a_fill_beyond_the_bars_prices_counts() -> None:
    """In at 110 * 1.1 = 121, above every high; out at 108 * 0.9 = 97.2, below the low of bar 4, 107."""
    assert found(traded([0, 0, 0, 1, 0, 0], slippage_bps=1000.0)) == near((97.2 / 121 - 1, 0.0))


def test_fees_are_not_part_of_an_excursion() -> None:
    assert found(traded([1, 1, 0, 0, 0, 0], fee_bps=50.0)) == near((-0.04, 0.06))


def test_lots_of_one_position_have_their_own_excursions() -> None:
    """Half in at 100 (bar 1), half at 104 (bar 2), all out at 110 (bar 4): 96 to 112 and 101 to 112."""
    trades = traded([0.5, 1, 1, 0, 0, 0])
    assert trades.entry_price.tolist() == [100.0, 104.0]
    assert found(trades) == near((-0.04, 0.12), (101 / 104 - 1, 112 / 104 - 1))


def test_a_ruined_account_is_closed_at_a_close_and_so_counts_that_bar_whole() -> None:
    """A short in at 100 (bar 1); bar 2 opens at 104, goes to 250 and closes at 220, nothing is left: 96 to 250."""
    high, close = HIGH.copy(), CLOSE.copy()
    high[2], close[2] = 250.0, 220.0
    result = engine.run(bars(high=high, close=close), np.full(6, -1.0), execution=Execution(allow_short=True))
    assert (result.ruined, result.trades.exit_price.tolist()) == (2, [220.0])
    assert found(result.trades) == near((-1.5, 0.04))


def test_no_trades_have_no_excursions() -> None:
    trades = traded([0] * 6)
    assert trades.mae is not None and trades.mfe is not None
    assert (len(trades.mae), len(trades.mfe), trades.mae.dtype) == (0, 0, np.float64)


def test_what_never_went_wrong_is_zero_without_a_sign() -> None:
    flat = np.full(6, 100.0)
    level = bars(open=flat, high=flat, low=flat, close=flat)
    trades = engine.run(level, np.array([1.0, -1.0, 0.0, 0.0, 0.0, 0.0]), execution=Execution(allow_short=True)).trades
    assert not np.signbit(np.concatenate([trades.mae, trades.mfe])).any()
    assert found(trades) == [(0.0, 0.0)] * 2


def random_bars(count: int, seed: int) -> Bars:
    random = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(random.normal(0, 0.01, count)))
    opens = np.append(100.0, close[:-1]) * np.exp(random.normal(0, 0.002, count))
    high = np.maximum(opens, close) * (1 + random.random(count) * 0.01)
    low = np.minimum(opens, close) * (1 - random.random(count) * 0.01)
    return bars(count, open=opens, high=high, low=low, close=close)


@pytest.mark.parametrize("seed", range(6))
def test_every_trade_of_an_engine_run_is_as_pandas_has_it(seed: int) -> None:
    """Scaling in and out, reversals and stops over 500 bars: each trade looked up by its times in a frame."""
    market, random = random_bars(500, seed), np.random.default_rng(seed)
    target = np.repeat(random.choice([-1.0, -0.5, 0.0, 0.3, 0.7, 1.0], 125), 4)
    stops = Stops(stop_loss=0.02, take_profit=0.04) if seed % 2 else Stops()
    settings = Execution(allow_short=True, fee_bps=3.0, slippage_bps=2.0)
    trades = engine.run(market, target, execution=settings, stops=stops).trades
    frame = pd.DataFrame({"high": market.high, "low": market.low}, index=pd.DatetimeIndex(market.timestamp))
    assert len(trades) > 50
    for row in range(len(trades)):
        held = frame.loc[trades.entry_time[row] : trades.exit_time[row]]
        if EXIT_REASONS[trades.exit_reason[row]] != "end_of_data":
            held = held.iloc[:-1]
        entry, exit_ = trades.entry_price[row], trades.exit_price[row]
        prices = [entry, exit_, *held["low"], *held["high"]]
        gains = [trades.side[row] * (price / entry - 1) for price in prices]
        assert (trades.mae[row], trades.mfe[row]) == (min(gains), max(gains))
    gross = trades.side * (trades.exit_price / trades.entry_price - 1)
    assert (trades.mae <= gross).all() and (gross <= trades.mfe).all()
    assert (trades.mae <= 0).all() and (trades.mfe >= 0).all()


@pytest.mark.parametrize("seed", range(8))
def test_ranges_that_overlap_in_any_way_are_those_of_a_plain_loop(seed: int) -> None:
    random = np.random.default_rng(seed)
    for _ in range(60):
        count, many = int(random.integers(1, 50)), int(random.integers(0, 30))
        low = random.random(count) + 1.0
        high = low + random.random(count)
        entry = random.integers(0, count, many)
        exit_ = np.array([random.integers(first, count) for first in entry.tolist()], np.int64)
        at_close, side = random.random(many) < 0.3, random.choice([-1, 1], many).astype(np.int8)
        entry_price, exit_price = random.random(many) + 1.0, random.random(many) + 1.0
        mae, mfe = excursions(high, low, side, entry, entry_price, exit_ + at_close, exit_price)
        for row in range(many):
            held = slice(entry[row], exit_[row] + int(at_close[row]))
            prices = [entry_price[row], exit_price[row], *low[held], *high[held]]
            gains = [side[row] * (price / entry_price[row] - 1.0) for price in prices]
            assert (mae[row], mfe[row]) == (min(gains), max(gains))
