from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from peak_trade.errors import InputError
from peak_trade.strategies.macd import macd

# bar        0   1   2     3      4      5
# close      4   8   8     4      4     12
# EMA(1)     4   8   8     4      4     12
# EMA(3)     4   6   7    5.5   4.75   8.375
# line       -   -   1   -1.5  -0.75   3.625
# signal(3)  -   -   1   -0.25 -0.5    1.5625   told from bar slow + signal - 2 = 4 on
CLOSE = [4.0, 8.0, 8.0, 4.0, 4.0, 12.0]


def test_long_while_the_line_is_above_its_signal(make_bars):
    assert macd(make_bars(CLOSE), fast=1, slow=3, signal=3).tolist() == [0, 0, 0, 0, 0, 1]


def test_short_while_it_is_below(make_bars):
    assert macd(make_bars(CLOSE), fast=1, slow=3, signal=3, short=True).tolist() == [0, 0, 0, 0, -1, 1]


def test_the_defaults_decide_as_pandas_averages_do(make_walk):
    bars = make_walk(3_000)
    close = pd.Series(bars.close)
    line = close.ewm(span=12, adjust=False).mean() - close.ewm(span=26, adjust=False).mean()
    signal = line[25:].ewm(span=9, adjust=False).mean()
    expected = (line > signal.reindex(line.index)).to_numpy(dtype=np.float64)
    expected[:33] = 0.0
    assert np.array_equal(macd(bars), expected)
    assert 0 < expected.sum() < len(bars)


def test_a_fast_average_that_is_not_faster_is_refused(make_bars):
    with pytest.raises(InputError, match="strategy.params.fast is 26 and strategy.params.slow is 12"):
        macd(make_bars(CLOSE), fast=26, slow=12)
