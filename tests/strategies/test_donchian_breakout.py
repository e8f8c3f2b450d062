from __future__ import annotations

import numpy as np
import pytest

from peak_trade.errors import InputError
from peak_trade.strategies.donchian_breakout import donchian_breakout

# bar                     0   1    2    3    4    5   6    7
HIGH = [10.0, 11.0, 12.0, 13.0, 12.0, 10.0, 9.0, 10.0]
LOW = [8.0, 9.0, 10.0, 11.0, 9.0, 6.0, 7.0, 8.0]
CLOSE = [9.0, 10.0, 11.5, 12.0, 10.5, 7.0, 8.0, 9.5]
# highest high of 2 before  -   -   11   12   13   13  12   10
# lowest low of 1 before    -   8    9   10   11    9   6    7
# lowest low of 2 before    -   -    8    9   10    9   6    6
# highest high of 1 before  -  10   11   12   13   12  10    9


@pytest.fixture
def bars(make_bars):
    return make_bars(CLOSE, high=HIGH, low=LOW)


def test_bought_above_the_earlier_highs_and_sold_below_the_earlier_lows(bars):
    assert donchian_breakout(bars, entry=2, exit=1).tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


def test_sold_short_below_the_earlier_lows_until_above_the_earlier_highs(bars):
    assert donchian_breakout(bars, entry=2, exit=1, short=True).tolist() == [0, 0, 1, 1, 0, -1, -1, 0]


def test_a_close_at_the_earlier_high_is_no_breakout(make_bars):
    assert donchian_breakout(make_bars([1.0, 2.0, 2.0, 2.5]), entry=2, exit=1).tolist() == [0, 0, 0, 1]


def test_the_channels_may_have_the_same_length(bars):
    assert donchian_breakout(bars, entry=2, exit=2).tolist() == [0, 0, 1, 1, 1, 0, 0, 0]


def test_the_defaults_decide_as_a_loop_over_the_bars_does(make_walk):
    bars = make_walk(2_000)
    state, expected = 0.0, [0.0] * 20
    for i in range(20, len(bars)):
        if bars.close[i] > bars.high[i - 20 : i].max():
            state = 1.0
        elif state == 1.0 and bars.close[i] < bars.low[i - 10 : i].min():
            state = 0.0
        elif state == -1.0 and bars.close[i] > bars.high[i - 10 : i].max():
            state = 0.0
        if bars.close[i] < bars.low[i - 20 : i].min():
            state = -1.0
        expected.append(state)
    assert donchian_breakout(bars, short=True).tolist() == expected
    assert donchian_breakout(bars).tolist() == np.maximum(expected, 0.0).tolist()
    assert {-1.0, 0.0, 1.0} == set(expected)


def test_an_exit_channel_longer_than_the_entry_channel_is_refused(bars):
    with pytest.raises(InputError, match="strategy.params.exit is 3 and strategy.params.entry is 2: exit must not be"):
        donchian_breakout(bars, entry=2, exit=3)
