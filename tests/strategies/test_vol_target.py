from __future__ import annotations

import numpy as np
import pytest

from peak_trade.strategies.vol_target import vol_target

HALF_YEAR = np.timedelta64(15_778_800, "s")  # half of 365.25 days, so that a window of two bars is a year

# bar               0     1     2      3      4      5
# return            -   +10%  -10%   +30%     0      0
# variance a year   -     -   0.02   0.10   0.09     0
# volatility        -     -   0.141  0.316  0.30     0
# 0.1 / volatility  -     -   0.707  0.316  0.333  at most 1
CLOSE = [100.0, 110.0, 99.0, 128.7, 128.7, 128.7]


def test_the_exposure_is_the_target_over_the_realised_volatility_in_steps(make_bars):
    bars = make_bars(CLOSE, step=HALF_YEAR)
    assert vol_target(bars, window=2, target_vol=0.1).tolist() == [0.0, 0.0, 0.7, 0.3, 0.35, 1.0]


def test_a_finer_step_is_closer(make_bars):
    bars = make_bars(CLOSE, step=HALF_YEAR)
    fine = vol_target(bars, window=2, target_vol=0.1, step=1e-6)
    assert fine[2:] == pytest.approx([0.1 / 0.02**0.5, 0.1 / 0.1**0.5, 1 / 3, 1.0], abs=1e-6)


def test_the_exposure_is_never_above_one(make_bars):
    assert vol_target(make_bars(CLOSE, step=HALF_YEAR), window=2, target_vol=5.0).tolist() == [0, 0, 1, 1, 1, 1]


def test_the_same_moves_in_a_quarter_of_the_time_are_twice_the_volatility(make_bars):
    slow = vol_target(make_bars(CLOSE, step=HALF_YEAR), window=2, target_vol=0.1, step=1e-9)
    fast = vol_target(make_bars(CLOSE, step=HALF_YEAR // 4), window=2, target_vol=0.1, step=1e-9)
    assert fast[2:5] == pytest.approx(slow[2:5] / 2, abs=1e-8)


def test_a_gap_in_the_bars_counts_as_time(make_bars):
    bars = make_bars(CLOSE, step=HALF_YEAR)
    later = bars.timestamp.copy()
    later[2:] += np.timedelta64(3 * 31_557_600, "s")  # the window of bar 2 now spans four years: half the volatility
    gapped = make_bars(CLOSE, step=HALF_YEAR)
    gapped = type(gapped)(later, *[gapped.close] * 4, gapped.volume, "TEST", "1d")
    assert vol_target(gapped, window=2, target_vol=0.05)[2] == vol_target(bars, window=2, target_vol=0.1)[2] == 0.7


def test_a_market_that_does_not_move_is_held_in_full(make_bars):
    assert vol_target(make_bars([0.1] * 5), window=2).tolist() == [0, 0, 1, 1, 1]


def test_the_defaults_decide_as_plain_arithmetic_does(make_walk):
    bars = make_walk(300)
    expected = [0.0] * 20
    for i in range(20, len(bars)):
        returns = bars.close[i - 19 : i + 1] / bars.close[i - 20 : i] - 1
        volatility = np.sqrt(np.sum(returns**2) * 365.25 / 20)
        expected.append(min(1.0, round(0.15 / volatility / 0.05) * 0.05))
    assert vol_target(bars) == pytest.approx(expected, abs=1e-12)
    assert len(set(expected)) > 5


@pytest.mark.parametrize(
    ("step", "most"),
    [(0.3, 0.9), (0.4, 0.8), (0.6, 0.6), (0.7, 0.7), (0.15, 0.9), (1 / 3, 1.0), (0.05, 1.0), (1.0, 1.0)],
)
def test_a_step_that_does_not_divide_one_holds_its_largest_multiple_at_most(make_bars, step, most):
    """0.6 is nearest to 1 as 2 * 0.6, which is more than all: 0.6. A market that does not move is held as much."""
    for closes in (CLOSE, [0.1] * 6):
        target = vol_target(make_bars(closes, step=HALF_YEAR), window=2, target_vol=5.0, step=step)
        assert target[2:].tolist() == pytest.approx([most] * 4, abs=1e-14)


@pytest.mark.parametrize("step", [0.3, 0.07, 0.15, 0.6, 0.0123])
def test_every_target_is_a_multiple_of_the_step_and_its_decimal(make_walk, step):
    target = vol_target(make_walk(400), window=5, target_vol=0.12, step=step)
    multiples = {round(k * step, 12) for k in range(int(1 / step) + 1)}
    assert set(target.tolist()) <= multiples and len(set(target.tolist())) > 1
