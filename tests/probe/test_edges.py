"""Last digits: sums that are rounded otherwise when there are fewer bars are no look-ahead, and hide none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from peak_trade.market.bars import Bars, Floats


def in_ticks(bars: Bars, tick: float) -> Bars:
    """Return bars whose prices are often the same, so that a price is often its own mean."""
    prices = {name: np.round(getattr(bars, name) / tick) * tick for name in ("open", "high", "low", "close")}
    highest, lowest = np.maximum.reduce([*prices.values()]), np.minimum.reduce([*prices.values()])
    return Bars(
        bars.timestamp, prices["open"], highest, lowest, prices["close"], bars.volume, bars.symbol, bars.timeframe
    ).freeze()


def mean_by_fft(bars: Bars, window: int = 4) -> Floats:
    size, kernel = len(bars) + window, np.full(window, 1.0 / window)
    return np.fft.irfft(np.fft.rfft(bars.close, size) * np.fft.rfft(kernel, size), size)[: len(bars)]


def above_its_mean(bars: Bars) -> Floats:
    target = (bars.close > mean_by_fft(bars)).astype(float)
    target[:4] = 0.0
    return target


def held_until_its_mean(bars: Bars) -> Floats:
    target, held = np.zeros(len(bars)), 0.0
    for bar, (close, mean) in enumerate(zip(bars.close, mean_by_fft(bars), strict=True)):
        held = 1.0 if close > 1.01 * mean else 0.0 if close <= mean else held
        target[bar] = held if bar >= 4 else 0.0
    return target


def with_a_leak(bars: Bars) -> Floats:
    falls = np.append(bars.close[1:], bars.close[-1:]) < 0.985 * bars.close
    return np.where(falls, 0.0, above_its_mean(bars))


def by_last_digits_of_the_next(bars: Bars) -> Floats:
    following = np.append(bars.close[1:], bars.close[-1:])
    return (np.floor(1e9 * (bars.close + following)) % 2 == 0).astype(float)


FULL = pytest.mark.parametrize("full", [False, True], ids=["in a run", "in full"])


@FULL
@pytest.mark.parametrize("tick", [0.5, 1.0, 5.0])
@pytest.mark.parametrize("strategy", [above_its_mean, held_until_its_mean])
def test_a_tie_that_falls_to_either_side_is_no_look_ahead(
    probe: Callable[..., Any], walks: Any, strategy: Callable[[Bars], Floats], tick: float, full: bool
) -> None:
    found = probe(strategy, in_ticks(walks(700, 7), tick), full=full).probe()
    assert found.verdict == "PASS", found


def test_such_ties_there_are(walks: Any) -> None:
    bars = in_ticks(walks(700, 7), 1.0)
    whole = above_its_mean(bars)
    fewer = [count for count in range(5, 700) if (above_its_mean(bars.between(0, count)) != whole[:count]).any()]
    assert len(fewer) > 100  # a control: without leave for ties most cuts are an alarm


@FULL
@pytest.mark.parametrize("strategy", [with_a_leak, by_last_digits_of_the_next])
def test_a_leak_among_ties_is_caught(
    probe: Callable[..., Any], walks: Any, strategy: Callable[[Bars], Floats], full: bool
) -> None:
    search = probe(strategy, in_ticks(walks(700, 7), 1.0), full=full)
    found = search.probe()
    assert found.verdict == "FAIL", found
    if strategy is with_a_leak:  # it is the leak that is named, of one bar, and no tie
        bars, bar = search.bars, found.first.bar
        assert bar == found.first.bars - 1
        assert abs(bars.close[bar] / bars.close[bar - 3 : bar + 1].mean() - 1.0) > 1e-9


@FULL
def test_a_leak_of_the_volume_alone_is_caught(probe: Callable[..., Any], walks: Any, full: bool) -> None:
    def busier_next(bars: Bars) -> Floats:
        following = np.append(bars.volume[1:], bars.volume[-1:])
        return ((following > 1.5 * bars.volume) & (bars.close > bars.open)).astype(float)

    for seed in range(5, 9):
        assert probe(busier_next, walks(1000, seed), full=full).probe().verdict == "FAIL"


@FULL
def test_dice_alone_pass_and_what_hangs_on_nothing_is_not_assessed(
    probe: Callable[..., Any], bars: Bars, full: bool
) -> None:
    np.random.seed(3)  # noqa: NPY002 - what a run does for the strategies of users
    assert probe(lambda bars: np.random.rand(len(bars)).round(), bars, full=full).probe().verdict == "PASS"  # noqa: NPY002
    found = probe(lambda bars: np.resize([0.0, 1.0, 1.0], len(bars)), bars, full=full).probe()
    assert (found.verdict, found.reason[:30]) == ("NOT_ASSESSED", "its decisions hang neither on ")
    found = probe(lambda bars: np.resize([0.0, 1.0, 1.0], len(bars))[::-1], bars, full=full).probe()
    assert (found.verdict, found.reason[-37:]) == ("NOT_ASSESSED", "hang on how many bars there are alone")
