from __future__ import annotations

import numpy as np
import pandas as pd

from peak_trade.strategies.momentum import momentum

# bar            0  1  2  3  4  5  6
# close          3  4  3  2  3  2  5
# two bars ago   -  -  3  4  3  2  3
CLOSE = [3.0, 4.0, 3.0, 2.0, 3.0, 2.0, 5.0]


def test_long_while_the_close_is_above_the_earlier_one(make_bars):
    assert momentum(make_bars(CLOSE), lookback=2).tolist() == [0, 0, 0, 0, 0, 0, 1]


def test_short_only_while_it_is_strictly_below(make_bars):
    assert momentum(make_bars(CLOSE), lookback=2, short=True).tolist() == [0, 0, 0, -1, 0, 0, 1]


def test_the_default_decides_as_pandas_does(make_walk):
    bars = make_walk(3_000)
    expected = (pd.Series(bars.close).pct_change(252) > 0).to_numpy(dtype=np.float64)
    assert np.array_equal(momentum(bars), expected)
    assert 0 < expected.sum() < len(bars)
