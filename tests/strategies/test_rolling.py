from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from peak_trade.errors import InputError
from peak_trade.strategies import rolling
from peak_trade.strategies.rolling import (
    Memo,
    ema,
    ema_lag,
    lag,
    rolling_max,
    rolling_mean,
    rolling_min,
    rolling_std,
    rolling_sum,
    wilder,
)

WINDOWED = [rolling_sum, rolling_mean, rolling_std, rolling_max, rolling_min, ema, ema_lag, wilder]
PRICES = st.lists(st.floats(0.01, 1e6), min_size=1, max_size=24)
WALK = 100.0 * np.exp(np.cumsum(np.random.default_rng(3).normal(0.0, 0.01, 40_000)))
WINDOWS = [1, 2, 3, 5, 20, 50, 63, 64, 65, 200, 5_000]

by_window = pytest.mark.parametrize("window", WINDOWS)
by_kernel = pytest.mark.parametrize("kernel", WINDOWED, ids=lambda kernel: kernel.__name__)


def _windows(x, window):
    return sliding_window_view(x, window)


@by_window
def test_a_mean_is_that_of_pandas(window):
    expected = pd.Series(WALK).rolling(window).mean().to_numpy()
    np.testing.assert_allclose(rolling_mean(WALK, window), expected, rtol=1e-11, equal_nan=True)


@by_window
def test_a_sum_is_that_of_pandas(window):
    expected = pd.Series(WALK).rolling(window).sum().to_numpy()
    np.testing.assert_allclose(rolling_sum(WALK, window), expected, rtol=1e-11, equal_nan=True)


@by_window
def test_a_deviation_is_that_of_numpy_over_each_window(window):
    x = WALK[:6_000]
    np.testing.assert_allclose(rolling_std(x, window)[window - 1 :], _windows(x, window).std(axis=1), rtol=1e-10)


@by_window
def test_an_extreme_is_exactly_that_of_numpy_over_each_window(window):
    x = WALK[:20_000]
    assert np.array_equal(rolling_max(x, window)[window - 1 :], _windows(x, window).max(axis=1))
    assert np.array_equal(rolling_min(x, window)[window - 1 :], _windows(x, window).min(axis=1))


@given(PRICES, st.integers(1, 24))
@settings(deadline=None)
def test_a_mean_is_within_a_few_roundings_of_the_exact_sum(prices, window):
    mean = rolling_mean(np.array(prices), window)
    for i in range(window - 1, len(prices)):
        part = prices[i - window + 1 : i + 1]
        assert mean[i] == pytest.approx(math.fsum(part) / window, rel=2e-15)


@given(PRICES, st.integers(1, 24))
@settings(deadline=None)
def test_a_deviation_is_that_of_exact_fractions(prices, window):
    std = rolling_std(np.array(prices), window)
    for i in range(window - 1, len(prices)):
        part = prices[i - window + 1 : i + 1]
        assert std[i] == pytest.approx(statistics.pstdev(part), rel=1e-10, abs=1e-14 * max(part))


@by_window
def test_an_exponential_average_is_that_of_pandas(window):
    expected = pd.Series(WALK).ewm(span=window, adjust=False).mean().to_numpy()
    np.testing.assert_allclose(ema(WALK, window)[window - 1 :], expected[window - 1 :], rtol=1e-12)


def test_an_exponential_average_by_hand():
    # span 3, a = 1/2: 4; 4 + (8 - 4)/2 = 6; 6 + (8 - 6)/2 = 7; 7 + (4 - 7)/2 = 5.5
    assert ema(np.array([4.0, 8.0, 8.0, 4.0]), 3)[2:].tolist() == [7.0, 5.5]


def test_the_lag_of_an_average_is_what_it_is_behind():
    np.testing.assert_allclose(ema_lag(WALK, 20)[19:], (WALK - ema(WALK, 20))[19:], atol=1e-12)


@by_window
def test_wilders_average_is_that_of_a_plain_loop(window):
    average = float(np.mean(WALK[:window]))
    expected = [average]
    for value in WALK[window:]:
        average += (value - average) / window
        expected.append(average)
    np.testing.assert_allclose(wilder(WALK, window)[window - 1 :], expected, rtol=1e-12)


def test_wilders_average_by_hand():
    # period 2: (1 + 3)/2 = 2; 2 + (4 - 2)/2 = 3; 3 + (1 - 3)/2 = 2
    assert wilder(np.array([1.0, 3.0, 4.0, 1.0]), 2)[1:].tolist() == [2.0, 3.0, 2.0]


@by_kernel
@pytest.mark.parametrize("window", [1, 2, 14, 50, 1_000])
def test_cutting_later_values_off_changes_no_bit(kernel, window):
    whole = kernel(WALK, window)
    for n in (1, window, 127, 128, 129, 1_000, 16_383, 16_384, 16_385, 16_384 + window, 32_768, 39_999):
        assert kernel(WALK[:n].copy(), window).tobytes() == whole[:n].tobytes(), n


@pytest.mark.parametrize("kernel", [rolling_sum, rolling_mean, rolling_std, rolling_max, rolling_min])
def test_the_size_of_a_block_changes_no_bit(kernel, monkeypatch):
    whole = kernel(WALK, 50)
    monkeypatch.setattr(rolling, "_BLOCK", 1_000)
    assert kernel(WALK, 50).tobytes() == whole.tobytes()


@by_kernel
def test_what_has_no_full_window_is_undefined(kernel):
    out = kernel(WALK[:100], 30)
    assert np.isnan(out[:29]).all()
    assert np.isfinite(out[29:]).all()


@by_kernel
def test_a_series_shorter_than_the_window_is_all_undefined(kernel):
    assert np.isnan(kernel(WALK[:5], 6)).tolist() == [True] * 5


@by_kernel
def test_an_empty_series_stays_empty(kernel):
    assert kernel(np.empty(0), 3).shape == (0,)


@by_kernel
def test_the_input_is_left_as_it_was(kernel):
    x = WALK[:500].copy()
    kernel(x, 1)
    kernel(x, 7)
    assert x.tobytes() == WALK[:500].tobytes()


@by_kernel
def test_a_window_of_no_bars_is_refused(kernel):
    with pytest.raises(InputError, match="a window is 0, allowed: 1 or more bars"):
        kernel(WALK[:10], 0)


@pytest.mark.parametrize("price", [0.1, 1 / 3, 100.1, 7e-9, 123_456.789])
@pytest.mark.parametrize("window", [3, 20, 50, 99])
def test_a_flat_stretch_after_any_history_has_exactly_its_own_mean_and_no_deviation(price, window):
    x = np.concatenate([WALK[:5_000] * 1_000.0, np.full(300, price)])
    flat = slice(5_000 + window - 1, None)
    assert set(rolling_mean(x, window)[flat].tolist()) == {price}
    assert set(rolling_std(x, window)[flat].tolist()) == {0.0}


def test_a_running_cumulative_sum_would_not_have_kept_the_flat_mean():
    x = np.concatenate([WALK[:5_000] * 1_000.0, np.full(300, 0.1)])
    total = np.cumsum(x)
    naive = (total[50:] - total[:-50]) / 50
    assert set(naive[-200:].tolist()) != {0.1}  # the control of the test above


def test_the_lag_behind_a_constant_price_is_exactly_zero():
    assert set(ema_lag(np.full(1_000, 0.1), 7)[6:].tolist()) == {0.0}


def test_the_lag_fades_on_a_flat_stretch_without_a_change_of_sign():
    x = np.concatenate([WALK[:1_000], np.full(30_000, WALK[999] + 5.0)])
    fast, slow = ema_lag(x, 20)[1_050:], ema_lag(x, 50)[1_050:]
    assert (np.diff(fast) <= 0).all() and (fast >= 0).all()
    assert (slow >= fast).all()


def test_a_lag_of_two_bars_is_the_value_two_bars_ago():
    assert lag(np.array([1.0, 2.0, 3.0]), 2)[2:].tolist() == [1.0]
    assert np.isnan(lag(np.array([1.0, 2.0, 3.0]), 2)[:2]).all()


def test_a_lag_longer_than_the_series_is_all_undefined():
    assert np.isnan(lag(np.array([1.0, 2.0]), 5)).all()


@pytest.mark.parametrize("kernel", [rolling_sum, rolling_mean, rolling_std, rolling_max, rolling_min])
def test_what_is_remembered_has_the_bytes_of_what_is_worked_out(kernel: Any) -> None:
    frozen = np.frombuffer(np.random.default_rng(3).normal(100, 1, 500).tobytes())
    plain = kernel(frozen, 13)
    memo = Memo()
    with memo.used():
        first, second = kernel(frozen, 13), kernel(np.frombuffer(frozen.base), 13)
        part = kernel(frozen[100:], 13)
    assert first is second
    assert first.tobytes() == plain.tobytes()
    assert not first.flags.writeable
    assert part.tobytes() == kernel(frozen[100:].copy(), 13).tobytes()
    assert kernel(frozen, 13) is not first  # outside of the block


def test_what_can_be_written_to_is_not_remembered() -> None:
    values = np.arange(10.0)
    with Memo().used():
        before = rolling_sum(values, 3)
        values[:] = 1.0
        assert rolling_sum(values, 3).tolist()[2:] == [3.0] * 8
    assert before.tolist()[2:4] == [3.0, 6.0]
    assert before.flags.writeable


def test_the_oldest_makes_way_where_a_memo_is_full() -> None:
    frozen = np.frombuffer(np.arange(100.0).tobytes())
    memo = Memo(most=2 * 800)
    with memo.used():
        first = rolling_sum(frozen, 2)
        rolling_sum(frozen, 3)
        assert rolling_sum(frozen, 2) is first
        rolling_sum(frozen, 4)
        assert rolling_sum(frozen, 2) is not first
