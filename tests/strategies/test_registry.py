"""What every registered strategy must hold, whatever it does."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peak_trade.errors import InputError
from peak_trade.strategies import check_params, check_target, names, resolve

# Parameters so small that a few dozen bars bring every strategy to all of its states.
SMALL = {
    "bollinger_reversion": {"window": 4, "width": 1.0},
    "buy_and_hold": {},
    "donchian_breakout": {"entry": 3, "exit": 2},
    "ema_crossover": {"fast": 2, "slow": 5},
    "macd": {"fast": 2, "slow": 4, "signal": 3},
    "momentum": {"lookback": 3},
    "rsi_reversion": {"period": 3},
    "sma_crossover": {"fast": 2, "slow": 5},
    "vol_target": {"window": 3},
}
BEARISH = [name for name in SMALL if "short" in inspect.signature(resolve(name)).parameters]
CASES = [(name, False) for name in SMALL] + [(name, True) for name in BEARISH]
# Prices on a coarse grid have ties and flat stretches, the others have neither.
CLOSES = st.lists(st.integers(1, 6).map(float) | st.floats(0.01, 1e6), min_size=2, max_size=60)

every_strategy = pytest.mark.parametrize("name", SMALL)
every_case = pytest.mark.parametrize("name, short", CASES)


def _decide(name, short, bars, **params):
    return resolve(name)(bars, **params, **({"short": True} if short else {}))


def test_the_registered_names_are_those_of_the_issue():
    assert names() == sorted(SMALL)


@every_strategy
def test_a_strategy_is_the_function_of_its_name(name):
    assert resolve(name).__name__ == name


@every_strategy
def test_a_strategy_names_the_year_of_its_source(name):
    assert re.search(r"\((19|20)\d\d\)", resolve(name).__doc__)


@every_strategy
def test_every_parameter_is_by_keyword_with_a_default_that_its_own_range_allows(name):
    _, *parameters = inspect.signature(resolve(name)).parameters.values()
    assert {parameter.kind for parameter in parameters} <= {inspect.Parameter.KEYWORD_ONLY}
    defaults = {parameter.name: parameter.default for parameter in parameters}
    assert check_params(resolve(name), defaults) == defaults


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="unknown strategy `sma_crosover`") as caught:
        resolve("sma_crosover")
    assert caught.value.hint == "did you mean `sma_crossover`?"


def test_only_the_strategy_asked_for_is_imported():
    code = "import sys; from peak_trade.strategies import resolve; resolve('macd'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    registered = {f"peak_trade.strategies.{name}" for name in SMALL}
    assert registered & set(loaded) == {"peak_trade.strategies.macd"}


@every_case
@given(data=st.data(), close=CLOSES)
@settings(deadline=None, max_examples=60)
def test_bars_to_come_change_no_earlier_decision(name, short, data, close, make_bars, cut):
    bars = make_bars(close, high=np.multiply(close, 1.01), low=np.multiply(close, 0.99))
    n = data.draw(st.integers(1, len(close)))
    whole = _decide(name, short, bars, **SMALL[name])
    assert _decide(name, short, cut(bars, n), **SMALL[name]).tobytes() == whole[:n].tobytes()


@every_case
def test_bars_to_come_change_no_earlier_decision_across_blocks(name, short, make_walk, cut):
    bars = make_walk(40_000)
    whole = _decide(name, short, bars)
    for n in (1, 127, 128, 129, 16_383, 16_385, 16_403, 16_434, 32_768, 39_999):
        assert _decide(name, short, cut(bars, n)).tobytes() == whole[:n].tobytes(), n


def test_a_strategy_that_looks_one_bar_ahead_would_not_pass(make_walk, cut):
    def peeking(bars):
        return np.append(bars.close[1:] > bars.close[:-1], False).astype(float)

    bars = make_walk(100)  # the control of the two tests above
    assert any(peeking(cut(bars, n)).tobytes() != peeking(bars)[:n].tobytes() for n in range(1, 100))


@every_case
@given(close=CLOSES)
@settings(deadline=None, max_examples=60)
def test_a_target_is_always_finite_and_within_one(name, short, close, make_bars):
    target = _decide(name, short, make_bars(close), **SMALL[name])
    assert np.array_equal(check_target(target, len(close)), target)
    assert short or (target >= 0).all()


@every_case
def test_a_strategy_that_may_be_short_is_so_at_some_time(name, short, make_walk):
    assert (_decide(name, short, make_walk(2_000)).min() == -1.0) == short


@every_case
def test_what_short_adds_is_only_below_zero(name, short, make_walk):
    bars = make_walk(2_000)
    assert np.array_equal(np.maximum(_decide(name, short, bars), 0.0), _decide(name, False, bars))


@every_case
@pytest.mark.parametrize("price", [0.1, 1 / 3, 100.1, 7e-9, 123_456.789])
def test_a_constant_price_gives_no_signal(name, short, price, make_bars):
    target = _decide(name, short, make_bars([price] * 400))
    always = {"buy_and_hold": [1.0] * 400, "vol_target": [0.0] * 20 + [1.0] * 380}
    assert target.tolist() == always.get(name, [0.0] * 400)


@every_case
@pytest.mark.parametrize("seed", range(5))
def test_a_flat_stretch_after_a_long_history_opens_no_position(name, short, seed, make_walk, make_bars):
    history = make_walk(2_000, seed).close
    target = _decide(name, short, make_bars(np.concatenate([history, np.full(30_000, history[-1])])))
    changes = np.flatnonzero(np.diff(target[2_300:])) + 2_301  # 300 bars: the longest window has passed
    assert len(changes) <= 1
    assert (target[changes] == 0.0).all()


@every_case
@given(close=CLOSES, power=st.integers(-20, 20))
@settings(deadline=None, max_examples=60)
def test_another_unit_of_price_changes_no_decision(name, short, close, power, make_bars):
    bars, scaled = make_bars(close), make_bars(np.multiply(close, 2.0**power))  # a power of 2 rounds nothing
    assert _decide(name, short, scaled, **SMALL[name]).tobytes() == _decide(name, short, bars, **SMALL[name]).tobytes()


@every_case
def test_no_bars_give_an_empty_target(name, short, make_bars):
    assert _decide(name, short, make_bars([])).shape == (0,)


@every_case
def test_one_bar_gives_one_decision(name, short, make_bars):
    assert _decide(name, short, make_bars([100.0])).tolist() == [1.0 if name == "buy_and_hold" else 0.0]
