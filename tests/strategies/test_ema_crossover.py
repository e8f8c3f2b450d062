from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from peak_trade.errors import InputError
from peak_trade.strategies.ema_crossover import ema_crossover

# bar      0   1   2    3     4     5
# close    4   8   8    4     4    12
# EMA(1)   4   8   8    4     4    12      a = 1: the close itself
# EMA(3)   4   6   7   5.5  4.75  8.375    a = 1/2; told from bar 2 on
CLOSE = [4.0, 8.0, 8.0, 4.0, 4.0, 12.0]


def test_long_while_the_fast_average_is_above_the_slow_one(make_bars):
    assert ema_crossover(make_bars(CLOSE), fast=1, slow=3).tolist() == [0, 0, 1, 0, 0, 1]


def test_short_while_it_is_below(make_bars):
    assert ema_crossover(make_bars(CLOSE), fast=1, slow=3, short=True).tolist() == [0, 0, 1, -1, -1, 1]


def test_the_defaults_decide_as_pandas_averages_do(make_walk):
    bars = make_walk(3_000)
    close = pd.Series(bars.close)
    fast, slow = (close.ewm(span=span, adjust=False).mean() for span in (20, 50))
    expected = (fast > slow).to_numpy(dtype=np.float64)
    expected[:49] = 0.0
    assert np.array_equal(ema_crossover(bars), expected)
    assert 0 < expected.sum() < len(bars)


def test_a_fast_average_that_is_not_faster_is_refused(make_bars):
    with pytest.raises(InputError, match="strategy.params.fast is 9 and strategy.params.slow is 9"):
        ema_crossover(make_bars(CLOSE), fast=9, slow=9)
