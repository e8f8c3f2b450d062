"""What is equal on decimal prices is equal to every strategy: held against the same rules in whole fractions.

On a grid of cents averages, bands and RSI levels are met exactly, again and again; binary has none of these prices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from peak_trade import strategies
from peak_trade.market.bars import Bars

SIZE = 120
Prices = list[Fraction]
Decisions = Iterator[tuple[int, int]]  # what a comparison is: -1, 0, 1, at each bar that knows it


def cents(seed: int, digits: int = 2) -> Prices:
    """Return a walk of few and small steps, with flat stretches, so that it often comes back to where it was."""
    random = np.random.default_rng(seed)
    steps = random.integers(-3, 4, SIZE) * random.choice([0, 1, 1, 5], SIZE)
    start = int(random.integers(300, 3_000))
    ticks = np.maximum(start + np.cumsum(steps), 20).tolist()
    return [Fraction(tick, 10**digits) for tick in ticks]


def bars_of(close: Prices) -> Bars:
    price = np.array([float(value) for value in close])
    time = np.datetime64("2024-01-01", "ns") + np.arange(len(close)) * np.timedelta64(1, "h")
    return Bars(time, price, price, price, price, np.ones(len(close)), "TEST", "1h")


def sign(value: Fraction | int) -> int:
    return (value > 0) - (value < 0)


def compared(decided: dict[int, int]) -> list[float]:
    return [float(decided.get(bar, 0)) for bar in range(SIZE)]


def held(enter: Callable[[int], bool], leave: Callable[[int], bool], known: range) -> list[bool]:
    """Return where a position is held, bar by bar."""
    now, found = False, [False] * SIZE
    for bar in known:
        now = enter(bar) or (now and not leave(bar))
        found[bar] = now
    return found


# --- the rules, in fractions ------------------------------------------------------------------------------------------


def sma_crossover(close: Prices, fast: int, slow: int) -> list[float]:
    def mean(bar: int, window: int) -> Fraction:
        return sum(close[bar - window + 1 : bar + 1], Fraction(0)) / window

    return compared({bar: sign(mean(bar, fast) - mean(bar, slow)) for bar in range(slow - 1, SIZE)})


def ema(values: Prices, span: int) -> Prices:
    weight, found = Fraction(2, span + 1), [values[0]]
    for value in values[1:]:
        found.append(found[-1] + weight * (value - found[-1]))
    return found


def ema_crossover(close: Prices, fast: int, slow: int) -> list[float]:
    quick, steady = ema(close, fast), ema(close, slow)
    return compared({bar: sign(quick[bar] - steady[bar]) for bar in range(slow - 1, SIZE)})


def macd(close: Prices, fast: int, slow: int, signal: int) -> list[float]:
    line = [quick - steady for quick, steady in zip(ema(close, fast), ema(close, slow), strict=True)][slow - 1 :]
    over = [own - mean for own, mean in zip(line, ema(line, signal), strict=True)]
    return compared({bar: sign(over[bar - slow + 1]) for bar in range(slow + signal - 2, SIZE)})


def bollinger_reversion(close: Prices, window: int, width: Fraction) -> list[float]:
    def beyond(bar: int) -> tuple[int, int]:
        """Return on which side of the middle the close is, and how it compares with the band there."""
        last = close[bar - window + 1 : bar + 1]
        middle = sum(last, Fraction(0)) / window
        variance = sum(((value - middle) ** 2 for value in last), Fraction(0)) / window
        gap = close[bar] - middle
        return sign(gap), sign(gap**2 - width**2 * variance)

    known = range(window - 1, SIZE)
    at = {bar: beyond(bar) for bar in known}
    long = held(lambda bar: at[bar] == (-1, 1), lambda bar: at[bar][0] >= 0, known)
    short = held(lambda bar: at[bar] == (1, 1), lambda bar: at[bar][0] <= 0, known)
    return [float(up) - float(down) for up, down in zip(long, short, strict=True)]


def rsi_reversion(close: Prices, period: int, lower: int, upper: int) -> list[float]:
    change = [after - before for before, after in pairwise(close)]
    gain = sum((max(value, Fraction(0)) for value in change[:period]), Fraction(0)) / period
    loss = sum((max(-value, Fraction(0)) for value in change[:period]), Fraction(0)) / period
    strength = {}
    for bar in range(period, SIZE):
        if bar > period:
            gain += (max(change[bar - 1], Fraction(0)) - gain) / period
            loss += (max(-change[bar - 1], Fraction(0)) - loss) / period
        strength[bar] = 100 * gain / (gain + loss) if gain + loss else Fraction(50)
    known = range(period, SIZE)
    long = held(lambda bar: strength[bar] < lower, lambda bar: strength[bar] >= 50, known)
    short = held(lambda bar: strength[bar] > upper, lambda bar: strength[bar] <= 50, known)
    return [float(up) - float(down) for up, down in zip(long, short, strict=True)]


CASES: list[tuple[str, Callable[..., list[float]], dict[str, Any]]] = [
    ("sma_crossover", sma_crossover, {"fast": 1, "slow": 2}),
    ("sma_crossover", sma_crossover, {"fast": 2, "slow": 3}),
    ("sma_crossover", sma_crossover, {"fast": 3, "slow": 8}),
    ("sma_crossover", sma_crossover, {"fast": 5, "slow": 20}),
    ("ema_crossover", ema_crossover, {"fast": 1, "slow": 3}),
    ("ema_crossover", ema_crossover, {"fast": 2, "slow": 5}),
    ("ema_crossover", ema_crossover, {"fast": 3, "slow": 9}),
    ("macd", macd, {"fast": 1, "slow": 3, "signal": 1}),
    ("macd", macd, {"fast": 1, "slow": 3, "signal": 3}),
    ("macd", macd, {"fast": 2, "slow": 5, "signal": 4}),
    ("bollinger_reversion", bollinger_reversion, {"window": 2, "width": 1.0}),
    ("bollinger_reversion", bollinger_reversion, {"window": 5, "width": 1.0}),
    ("bollinger_reversion", bollinger_reversion, {"window": 4, "width": 1.5}),
    ("bollinger_reversion", bollinger_reversion, {"window": 9, "width": 2.0}),
    ("rsi_reversion", rsi_reversion, {"period": 2, "lower": 25, "upper": 75}),
    ("rsi_reversion", rsi_reversion, {"period": 3, "lower": 30, "upper": 70}),
    ("rsi_reversion", rsi_reversion, {"period": 5, "lower": 50, "upper": 50}),
]
SEEDS = 40


def target_of(name: str, close: Prices, params: dict[str, Any]) -> list[float]:
    return strategies.resolve(name)(bars_of(close), **params, short=True).tolist()


def expected_of(rule: Callable[..., list[float]], close: Prices, params: dict[str, Any]) -> list[float]:
    return rule(close, **{key: Fraction(value) if isinstance(value, float) else value for key, value in params.items()})


@pytest.mark.parametrize(
    ("name", "rule", "params"), CASES, ids=["-".join([name, *map(str, params.values())]) for name, _, params in CASES]
)
@pytest.mark.parametrize("digits", [2, 4])
def test_every_decision_is_that_of_the_decimals(
    name: str, rule: Callable[..., list[float]], params: dict[str, Any], digits: int
) -> None:
    for seed in range(SEEDS):
        close = cents(seed, digits)
        assert target_of(name, close, params) == expected_of(rule, close, params), seed


@pytest.mark.parametrize("name", sorted({case[0] for case in CASES}))
def test_without_slack_binary_would_decide(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the same comparisons, left to rounding, go wrong on these very prices."""
    import importlib

    module = importlib.import_module(f"peak_trade.strategies.{name}")
    monkeypatch.setattr(module, "above", lambda x, y, slack: x > y)
    if hasattr(module, "reaches"):
        monkeypatch.setattr(module, "reaches", lambda x, y, slack: x >= y)
    wrong = sum(
        target_of(name, cents(seed), params) != expected_of(rule, cents(seed), params)
        for own, rule, params in CASES
        if own == name
        for seed in range(SEEDS)
    )
    assert wrong > 0


def test_averages_one_cent_apart_are_no_tie() -> None:
    """Bitcoin at 100,000.00, and one close of 10,000 a cent higher: means that are 10^-6 apart are not equal."""
    price = np.full(10_001, 100_000.0)
    price[-1] = 100_000.01
    time = np.datetime64("2024-01-01", "ns") + np.arange(len(price)) * np.timedelta64(1, "h")
    bars = Bars(time, price, price, price, price, np.ones(len(price)), "TEST", "1h")
    target = strategies.resolve("sma_crossover")(bars, fast=5_000, slow=10_000)
    assert target[-2:].tolist() == [0.0, 1.0]
    assert strategies.resolve("ema_crossover")(bars, fast=20, slow=50)[-2:].tolist() == [0.0, 1.0]
    assert strategies.resolve("macd")(bars)[-2:].tolist() == [0.0, 1.0]


def test_a_lead_that_fades_on_a_flat_stretch_stays_a_lead() -> None:
    """After one step up the faster average stays above, however little is left: (4/5)^400 of a cent at the end."""
    price = np.full(500, 10.01)
    price[100:] = 10.02
    time = np.datetime64("2024-01-01", "ns") + np.arange(len(price)) * np.timedelta64(1, "h")
    bars = Bars(time, price, price, price, price, np.ones(len(price)), "TEST", "1h")
    assert strategies.resolve("ema_crossover")(bars, fast=3, slow=9).tolist() == [0.0] * 100 + [1.0] * 400
