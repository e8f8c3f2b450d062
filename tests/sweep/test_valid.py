"""Which combinations are trials, and which are named and left out before anything starts."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.sweep.conftest import bars_csv

from peak_trade import config, strategies
from peak_trade.config import Source
from peak_trade.errors import InputError
from peak_trade.market.bars import Bars
from peak_trade.runner.order import load_bars
from peak_trade.sweep.axes import Space, axis
from peak_trade.sweep.valid import Invalid, checked

CONFIG = """
[data]
path = "bars.csv"
symbol = "TEST"
timeframe = "1h"
calendar = "24/7"
[strategy]
name = "sma_crossover"
"""


@pytest.fixture
def source(tmp_path: Path) -> Source:
    (tmp_path / "bars.csv").write_text(bars_csv(60))
    (tmp_path / "config.toml").write_text(CONFIG)
    return config.load(tmp_path / "config.toml")


@pytest.fixture
def bars(source: Source) -> Bars:
    return load_bars(source, source.path.parent).bars.freeze()


def asked(source: Source, bars: Bars, *grid: str, draw: tuple[int, int] | None = None) -> tuple[Space, list[Invalid]]:
    return checked(Space(tuple(map(axis, grid))), draw, source, bars, strategies.resolve("sma_crossover"))


def test_combinations_that_the_strategy_refuses_are_named_and_left_out(source: Source, bars: Bars) -> None:
    space, (invalid,) = asked(source, bars, "fast=2,4,6", "slow=3,5")
    assert [tuple(space[at].values()) for at in range(len(space))] == [(2, 3), (2, 5), (4, 5)]
    assert space.describe() == {
        "grid": {"strategy.params.fast": [2, 4, 6], "strategy.params.slow": [3, 5]}, "chosen": [0, 1, 3], "invalid": 3,
    }  # fmt: skip
    assert invalid.as_text(6) == (
        "3 of 6 combinations are invalid and left out: strategy.params.fast is 4 and strategy.params.slow is 3: "
        "fast must be less than slow; also fast=6 slow=3, fast=6 slow=5"
    )


def test_values_that_a_parameter_does_not_take_are_named_by_their_own_reason(source: Source, bars: Bars) -> None:
    space, invalid = asked(source, bars, "fast=0,2", "slow=1,5")
    assert [tuple(space[at].values()) for at in range(len(space))] == [(2, 5)]
    assert sorted((one.count, one.reason) for one in invalid) == [
        (1, "strategy.params.fast is 2 and strategy.params.slow is 1: fast must be less than slow"),
        (2, "strategy.params.fast is 0, allowed: int in 1..10000"),
    ]


def test_all_valid_combinations_need_no_numbers(source: Source, bars: Bars) -> None:
    space, invalid = asked(source, bars, "fast=2,3", "slow=5,6")
    assert (space.chosen, space.invalid, invalid) == (None, 0, [])


@pytest.mark.parametrize(
    "key",
    ["data.symbol", "data.start", "run.name", "run.tags", "run.probe", "run.holdout", "run.timeout_s", "tracking.mode",
     "lake.max_revised", "strategy.name", "strategy.signals", "stats.risk_free_rate", "strategy.params.api_key"],
)  # fmt: skip
def test_what_is_the_same_for_all_trials_is_refused(source: Source, bars: Bars, key: str) -> None:
    with pytest.raises(InputError, match=f"{key} can't be varied") as raised:
        asked(source, bars, f"{key}=1,2")
    assert raised.value.exit_code == 2


@pytest.mark.parametrize(
    ("grid", "message", "hint"),
    [
        ("fsat=1,2", "unknown parameter strategy.params.fsat", "did you mean `fast`?"),
        ("execution.fee_bip=1,2", "unknown key `fee_bip` in \\[execution\\]", "did you mean `fee_bps`?"),
        ("exekution.fee_bps=1,2", "unknown section \\[exekution\\]", "did you mean `execution`?"),
        ("fast=a,b", "none of the combinations is valid: strategy.params.fast is 'a'", "its default is 20"),
        ("fast=50,60", "none of the combinations is valid: strategy.params.fast is 50 and strategy.params.slow", ""),
    ],
)
def test_where_no_combination_is_valid_the_sweep_is_refused(
    source: Source, bars: Bars, grid: str, message: str, hint: str
) -> None:
    with pytest.raises(InputError, match=message) as raised:
        asked(source, bars, grid)
    assert raised.value.hint == hint


@pytest.mark.parametrize("draw", [None, (1_000_001, 0)])
def test_more_trials_than_a_sweep_can_have_are_refused_at_once(
    source: Source, bars: Bars, draw: tuple[int, int] | None
) -> None:
    start = time.perf_counter()
    with pytest.raises(InputError, match="more than the 1,000,000 trials"):
        asked(source, bars, "fast=1:1000:1", "slow=1:10000:1", draw=draw)
    assert time.perf_counter() - start < 1.0


def test_as_many_valid_combinations_are_drawn_as_are_asked_for(source: Source, bars: Bars) -> None:
    grid = ("fast=1:1000:1", "slow=1:1000:1")
    space, _ = asked(source, bars, *grid, draw=(40, 7))
    drawn = [tuple(space[at].values()) for at in range(len(space))]
    assert len(set(drawn)) == 40
    assert all(fast < slow for fast, slow in drawn)
    assert asked(source, bars, *grid, draw=(40, 7))[0] == space
    assert asked(source, bars, *grid, draw=(40, 8))[0].chosen != space.chosen


def test_of_fewer_valid_combinations_than_are_drawn_all_are_trials(source: Source, bars: Bars) -> None:
    space, (invalid,) = asked(source, bars, "fast=2,4,6", "slow=3,5", draw=(100, 1))
    assert (space.chosen, invalid.count) == ((0, 1, 3), 3)
