"""The closed trades in their order, and how each of them ended, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from peak_trade import stats
from peak_trade.market.trades import EXIT_REASONS
from peak_trade.stats import STATS, Undefined

pnl = np.array([5.0, 1.0, -2.0, 0.0, 3.0, 4.0, 7.0, -1.0, -1.0])
reasons = np.array([0, 2, 1, 0, 2, 2, 0, 1, 4], np.int8)


def test_a_streak_is_the_longest_row_of_trades_that_won_or_lost() -> None:
    assert (stats.longest_winning_streak(pnl), stats.longest_losing_streak(pnl)) == (3, 2)


def test_a_trade_that_breaks_even_breaks_the_row() -> None:
    assert stats.longest_winning_streak(np.array([1.0, 1.0, 0.0, 1.0])) == 2
    assert stats.longest_losing_streak(np.array([-1.0, 0.0, -1.0])) == 1


@pytest.mark.parametrize(("only", "won", "lost"), [([2.0] * 4, 4, 0), ([-2.0] * 4, 0, 4), ([0.0], 0, 0)])
def test_a_row_may_be_all_trades_or_none(only: list[float], won: int, lost: int) -> None:
    assert (stats.longest_winning_streak(np.array(only)), stats.longest_losing_streak(np.array(only))) == (won, lost)


def test_streaks_are_those_of_a_plain_loop() -> None:
    random = np.random.default_rng(4)
    for count in range(1, 60):
        some = random.choice([-1.0, 0.0, 1.0], count)
        best = run = 0
        for value in some.tolist():
            run = run + 1 if value > 0 else 0
            best = max(best, run)
        assert stats.longest_winning_streak(some) == stats.longest_losing_streak(-some) == best


def test_without_trades_there_is_no_streak() -> None:
    assert stats.longest_winning_streak(np.array([])) == Undefined("no trades")


def test_exits_are_counted_and_their_pnl_is_summed_by_reason() -> None:
    counts = [stats.exits(reasons, index) for index in range(5)]
    sums = [stats.pnl_of_exits(pnl, reasons, index) for index in range(5)]
    assert counts == [3, 2, 3, 0, 1] and sum(counts) == len(pnl)
    assert sums == [12.0, -3.0, 8.0, 0.0, -1.0] and sum(sums) == pnl.sum()


def test_every_exit_reason_has_its_two_keys() -> None:
    keys = [stat.key for stat in STATS if stat.key.startswith(("exits_", "pnl_"))]
    assert keys == [f"{what}_{reason}" for reason in EXIT_REASONS for what in ("exits", "pnl")]


def test_the_average_excursions_are_means_over_the_trades() -> None:
    assert stats.average_mae(np.array([-0.5, 0.0, -0.25])) == -0.25
    assert stats.average_mfe(np.array([0.5, 0.0, 0.25])) == 0.25


def test_trades_without_excursions_have_no_average_of_them() -> None:
    assert stats.average_mae(None) == stats.average_mfe(None) == Undefined("no excursions")
    assert stats.average_mae(np.array([])) == stats.average_mfe(np.array([])) == Undefined("no trades")
