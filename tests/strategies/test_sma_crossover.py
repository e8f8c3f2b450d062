from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from peak_trade.errors import InputError
from peak_trade.strategies.sma_crossover import sma_crossover

# bar       0    1    2    3     4    5    6    7
# close     1    2    3    2     1    1    1    2
# SMA(2)    -   1.5  2.5  2.5   1.5   1    1   1.5
# SMA(3)    -    -    2   7/3    2   4/3   1   4/3
CLOSE = [1.0, 2.0, 3.0, 2.0, 1.0, 1.0, 1.0, 2.0]


def test_long_while_the_fast_average_is_above_the_slow_one(make_bars):
    assert sma_crossover(make_bars(CLOSE), fast=2, slow=3).tolist() == [0, 0, 1, 1, 0, 0, 0, 1]


def test_short_only_while_it_is_strictly_below(make_bars):
    assert sma_crossover(make_bars(CLOSE), fast=2, slow=3, short=True).tolist() == [0, 0, 1, 1, -1, -1, 0, 1]


def test_the_defaults_decide_as_pandas_averages_do(make_walk):
    bars = make_walk(3_000)
    close = pd.Series(bars.close)
    expected = (close.rolling(20).mean() > close.rolling(50).mean()).astype(float).to_numpy()
    assert np.array_equal(sma_crossover(bars), expected)
    assert 0 < expected.sum() < len(bars)


def test_a_fast_average_that_is_not_faster_is_refused_by_name_and_value(make_bars):
    with pytest.raises(InputError) as caught:
        sma_crossover(make_bars(CLOSE), fast=50, slow=20)
    assert caught.value.message == (
        "strategy.params.fast is 50 and strategy.params.slow is 20: fast must be less than slow"
    )
