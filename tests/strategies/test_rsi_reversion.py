from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from peak_trade.strategies.rsi_reversion import rsi, rsi_reversion

# bar             0   1    2     3     4      5       6        7
# close          10   9    8     9   10.5    12      11        8
# gain            -   0    0     1    1.5   1.5       0        0
# loss            -   1    1     0     0      0       1        3
# mean gain (2)   -   -    0    0.5    1    1.25   0.625    0.3125
# mean loss (2)   -   -    1    0.5  0.25   0.125  0.5625   1.78125
# RSI             -   -    0    50    80    90.9    52.6     14.9
CLOSE = [10.0, 9.0, 8.0, 9.0, 10.5, 12.0, 11.0, 8.0]


def test_bought_when_oversold_and_sold_at_the_middle(make_bars):
    assert rsi_reversion(make_bars(CLOSE), period=2).tolist() == [0, 0, 1, 0, 0, 0, 0, 1]


def test_sold_short_when_overbought_until_the_middle(make_bars):
    assert rsi_reversion(make_bars(CLOSE), period=2, short=True).tolist() == [0, 0, 1, 0, -1, -1, -1, 1]


def test_the_levels_are_parameters(make_bars):
    target = rsi_reversion(make_bars(CLOSE), period=2, lower=10.0, upper=90.0, short=True)
    assert target.tolist() == [0, 0, 1, 0, 0, -1, -1, 0]


def test_the_index_by_hand():
    index = rsi(np.array(CLOSE), 2)
    assert np.isnan(index[:2]).all()
    assert index[2:] == pytest.approx(
        [0.0, 50.0, 80.0, 100 * 1.25 / 1.375, 100 * 0.625 / 1.1875, 100 * 0.3125 / 2.09375]
    )


def test_the_index_is_that_of_a_published_worked_example():
    # The 14-day example that charting manuals print (closes to 4 places, RSI to 2).
    close = [44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826]
    close += [45.8931, 46.0328, 45.6140, 46.2820, 46.2820, 46.0028, 46.0328, 46.4116, 46.2222, 45.6439]
    assert rsi(np.array(close), 14)[14:] == pytest.approx([70.53, 66.32, 66.55, 69.41, 66.36, 57.97], abs=0.005)


def test_the_index_is_that_of_a_recursion_in_pandas(make_walk):
    close = make_walk(2_000).close
    change = pd.Series(close).diff()
    averages = []
    for part in (change.clip(lower=0), (-change).clip(lower=0)):
        seeded = part[14:].copy()
        seeded.iloc[0] = part[1:15].mean()
        averages.append(seeded.ewm(alpha=1 / 14, adjust=False).mean())
    expected = 100 - 100 / (1 + averages[0] / averages[1])
    np.testing.assert_allclose(rsi(close, 14)[14:], expected, rtol=1e-11)


def test_a_price_that_never_changed_is_neither_strong_nor_weak():
    assert rsi(np.full(6, 0.1), 3)[3:].tolist() == [50.0, 50.0, 50.0]


def test_a_price_that_only_rises_has_the_full_strength():
    assert rsi(np.arange(1.0, 7.0), 3)[3:].tolist() == [100.0, 100.0, 100.0]


def test_a_flat_stretch_keeps_the_index_until_nothing_is_left_of_the_past(make_walk):
    history = make_walk(1_000).close
    index = rsi(np.concatenate([history, np.full(20_000, history[-1])]), 14)
    assert index[1_000:5_000] == pytest.approx(index[999], rel=1e-12)
    assert set(index[7_000:].tolist()) == {50.0}
    between = index[5_000:7_000]
    assert ((np.abs(between - index[999]) < 1e-9) | (between == 50.0)).all()


def test_an_index_at_the_lower_level_is_not_below_it(make_bars):
    assert rsi_reversion(make_bars(CLOSE), period=2, lower=50.0).tolist() == [0, 0, 1, 0, 0, 0, 0, 1]


def test_an_index_at_the_upper_level_is_not_above_it(make_bars):
    # The RSI of bar 4 is 80: sold at the 90.9 of bar 5 only, and held at 52.6.
    assert rsi_reversion(make_bars(CLOSE), period=2, upper=80.0, short=True).tolist() == [0, 0, 1, 0, 0, -1, -1, 1]
    assert rsi_reversion(make_bars(CLOSE), period=2, upper=79.9, short=True)[4] == -1


def test_a_short_ends_at_exactly_the_middle(make_bars):
    # period 1: 100 after a rise, 50 without a change, 0 after a fall
    assert rsi_reversion(make_bars([10.0, 11.0, 11.0, 10.0]), period=1, short=True).tolist() == [0, -1, 0, 1]
