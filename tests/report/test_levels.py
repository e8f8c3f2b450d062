"""Where stops and targets stood: by hand, and by where the engine filled."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.report import handmade

from peak_trade.evidence import tables
from peak_trade.report.levels import Stops, levels, opened_at, stops_of


def trades_of(run_dir: Path) -> Any:
    return tables.read_trades(next(run_dir.glob("trades.*")))


@pytest.fixture(scope="module")
def trades(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return trades_of(handmade.made(tmp_path_factory.mktemp("hand")))


def test_the_trades_are_those_that_are_worked_out_by_hand(trades: Any) -> None:
    assert trades.entry_price.tolist() == [100.0, 111.0, 113.0, 112.0]
    assert trades.exit_price.tolist() == [105.0, 113.22, 112.0, 112.0]
    assert trades.pnl == pytest.approx(handmade.PNL, abs=1e-9)


def test_a_position_that_was_added_to_has_the_levels_of_its_first_fill(trades: Any) -> None:
    assert opened_at(trades).tolist() == [100.0, 111.0, 113.0, 113.0]
    stop, goal = levels(trades, Stops(0.02, 0.05))
    assert stop == pytest.approx([98.0, 113.22, 110.74, 110.74], abs=1e-9)
    assert goal == pytest.approx([105.0, 105.45, 118.65, 118.65], abs=1e-9)


def test_control_a_new_position_of_the_same_side_has_levels_of_its_own(trades: Any) -> None:
    days = np.array([0, 2, 4, 6])
    apart = msgspec.structs.replace(
        trades,
        side=np.ones(4, np.int8),
        entry_time=trades.entry_time[0] + days * np.timedelta64(1, "D"),
        exit_time=trades.entry_time[0] + (days + 1) * np.timedelta64(1, "D"),
    )
    assert opened_at(apart).tolist() == apart.entry_price.tolist()


def test_what_is_added_in_the_very_bar_of_the_stop_is_of_that_position(trades: Any) -> None:
    first = trades.entry_time[0]
    day = np.timedelta64(1, "D")
    same = msgspec.structs.replace(
        trades,
        side=np.ones(4, np.int8),
        entry_time=np.array([first, first + 2 * day, first + 5 * day, first + 7 * day]),
        exit_time=np.array([first + 2 * day, first + 2 * day, first + 7 * day, first + 9 * day]),
    )
    assert opened_at(same).tolist() == [100.0, 100.0, 113.0, 112.0]  # the last one: closed, and opened at that close


def test_a_short_has_no_target_where_a_price_would_be_zero_or_below(trades: Any) -> None:
    stop, goal = levels(trades, Stops(None, 1.0))
    assert stop is None
    assert goal is not None
    assert goal[[0, 2, 3]].tolist() == [200.0, 226.0, 226.0]
    assert np.isnan(goal[1])


def run(**more: Any) -> Any:
    return SimpleNamespace(**{"config": {"stops": {"stop_loss": 0.02, "take_profit": None}}, "kind": "run"} | more)


def test_stops_are_read_off_the_resolved_config() -> None:
    assert stops_of(run()) == Stops(0.02, None, None)
    assert not stops_of(run(config={}))


def test_of_a_sweep_they_are_those_of_the_trial_that_it_chose() -> None:
    searched = {"grid": {"stops.stop_loss": [0.02, 0.05]}}
    assert stops_of(run(kind="swept", searched=searched, chosen={"stops.stop_loss": 0.05})) == Stops(0.05, None, None)
    assert not stops_of(run(kind="swept", searched=searched, chosen={}))  # folds, each with a choice of its own
    other = {"grid": {"fast": [3, 5]}}
    assert stops_of(run(kind="swept", searched=other, chosen={})) == Stops(0.02, None, None)


@pytest.mark.parametrize(("reason", "which"), [("stop_loss", 0), ("take_profit", 1)])
def test_the_engine_filled_at_these_levels_or_beyond_them_at_an_open(reason: str, which: int, runs: Any) -> None:
    from peak_trade.market.trades import EXIT_REASONS

    trades = trades_of(runs["stopped"])
    level = levels(trades, Stops(0.02, 0.03))[which]
    assert level is not None
    ended = trades.exit_reason == EXIT_REASONS.index(reason)
    assert ended.sum() > 20
    reference = trades.exit_price / (1.0 - trades.side * 2e-4)  # two basis points of slippage on the way out
    beyond = (trades.side * (reference - level) / level * (-1 if which == 0 else 1))[ended]
    assert beyond.min() > -1e-12
    assert (np.abs(beyond) < 1e-12).mean() > 0.5
    other = levels(trades, Stops(0.021, 0.031))[which]
    assert other is not None
    assert (np.abs((reference - other) / other)[ended] > 1e-12).all()
