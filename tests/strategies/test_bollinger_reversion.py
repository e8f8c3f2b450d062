from __future__ import annotations

import numpy as np

from peak_trade.strategies.bollinger_reversion import bollinger_reversion

# bar         0   1   2    3      4      5      6
# close      10  10  10    7      8      9      8
# middle (3)  -   -  10    9    8.333    8    8.333
# deviation   -   -   0  1.414  1.247  0.816  0.471
# lower (1)   -   -  10  7.586  7.086  7.184  7.862
# upper (1)   -   -  10 10.414  9.581  8.816  8.805
CLOSE = [10.0, 10.0, 10.0, 7.0, 8.0, 9.0, 8.0]


def test_bought_below_the_lower_band_and_sold_at_the_middle(make_bars):
    assert bollinger_reversion(make_bars(CLOSE), window=3, width=1.0).tolist() == [0, 0, 0, 1, 1, 0, 0]


def test_sold_short_above_the_upper_band_until_the_middle(make_bars):
    target = bollinger_reversion(make_bars(CLOSE), window=3, width=1.0, short=True)
    assert target.tolist() == [0, 0, 0, 1, 1, -1, 0]


def test_wider_bands_trade_less(make_bars):
    assert bollinger_reversion(make_bars(CLOSE), window=3, width=1.5, short=True).tolist() == [0] * 7


def test_the_defaults_decide_as_a_loop_over_each_window_does(make_walk):
    bars = make_walk(2_000)
    state, expected = 0.0, [0.0] * 19
    for i in range(19, len(bars)):
        window = bars.close[i - 19 : i + 1]
        if state == 0.0 and bars.close[i] < window.mean() - 2.0 * window.std():
            state = 1.0
        elif state == 1.0 and bars.close[i] >= window.mean():
            state = 0.0
        expected.append(state)
    assert bollinger_reversion(bars).tolist() == expected
    assert 0 < np.sum(expected) < len(bars)


def test_a_position_ends_at_exactly_the_middle(make_bars):
    # bar 2: middle 9 (8), deviation 1.414; bar 3: middle (10 + 7 + 8.5) / 3 = (7 + 10 + 8.5) / 3 = 8.5, the close
    assert bollinger_reversion(make_bars([10.0, 10.0, 7.0, 8.5]), window=3, width=1.0).tolist() == [0, 0, 1, 0]
    short = bollinger_reversion(make_bars([7.0, 7.0, 10.0, 8.5]), window=3, width=1.0, short=True)
    assert short.tolist() == [0, 0, -1, 0]
