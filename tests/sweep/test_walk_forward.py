"""Walk-forward: what is chosen, on which bars, and what the test windows come to as one account.

The account is held against one by hand and against the second engine, written in decimals.
"""

from __future__ import annotations

import csv
import io
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.engine import decimal_simulator as simulator
from tests.sweep.benches import bench, flat_bars, gone_through, walk

from peak_trade import config, strategies, sweep
from peak_trade.errors import InputError, RunError
from peak_trade.evidence.results import Results
from peak_trade.market.bars import Bars, Floats
from peak_trade.shown import listing
from peak_trade.sweep.axes import Axis, Space
from peak_trade.sweep.bench import Bench
from peak_trade.sweep.choice import Choice, rank_correlation
from peak_trade.sweep.folds import Fold, Walk, Window, length, walk_forward
from peak_trade.sweep.heard import Heard
from peak_trade.sweep.plan import Outcome
from peak_trade.sweep.stitching import Leg, stitched
from peak_trade.sweep.task import Task
from peak_trade.sweep.walk_forward import WalkForward
from peak_trade.trust import verify

D = Decimal
SIDE = "strategy.params.side"


def held(bars: Bars, *, side: float = 1.0) -> Floats:
    """Hold one side, always."""
    return np.full(len(bars), side)


def stepped(bars: Bars, *, pace: int = 3, size: float = 0.8) -> Floats:
    """Long, flat and short in turn."""
    return np.resize(np.repeat([0.0, size, size / 2, -size, -size / 4], pace), len(bars))


def planned(
    bars: Bars, space: dict[str, tuple[Any, ...]], *, train: str = "8d", test: str = "4d", embargo: str = "",
    choose: str = "total_return", least: bool = False, carry: bool = False, anchored: bool = False,
) -> WalkForward:  # fmt: skip
    cut = length(embargo, "embargo") if embargo else None
    folds = walk_forward(bars.timestamp, length(train, "train"), length(test, "test"), cut, anchored=anchored)
    axes = tuple(Axis(key, values) for key, values in space.items())
    return WalkForward(Space(axes), folds, Choice(choose, least), carry)


def outcome_of(plan: WalkForward, made: Bench) -> tuple[Outcome, list[dict[str, str]]]:
    outcome = plan.outcome(made, gone_through(plan, made))
    return outcome, list(csv.DictReader(io.StringIO(outcome.files["folds.csv"].decode())))


# --- one account ------------------------------------------------------------------------------------------------------

PRICES = (100, 100, 110, 110, 110, 120, 120, 130, 130)
EDGES = (Leg((0, 3), {SIDE: 1.0}), Leg((3, 6), {SIDE: 1.0}), Leg((6, 9), {SIDE: 0.0}))


@pytest.fixture
def root() -> Path:
    return Path(__file__).resolve().parents[2]


def hand_bench() -> Bench:
    return bench(flat_bars(PRICES), held, initial_cash=10_201.0, fee_bps=100.0)


def test_a_position_is_closed_at_the_edge_of_a_fold_and_the_next_begins_with_what_is_left() -> None:
    """10,201 / 1.01 buys 101 units at 100; sold at 110 they leave 11,110 × 0.99 = 10,998.90, which buys 99 at 110.

    Those leave 11,880 × 0.99 = 11,761.20 at 120.
    """
    came = stitched(hand_bench(), EDGES)
    expected = [10_201, 10_100, 10_998.90, 10_998.90, 10_890, 11_761.20, 11_761.20, 11_761.20, 11_761.20]
    np.testing.assert_allclose(came.result.equity, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(came.result.position, [0, 101, 0, 0, 99, 0, 0, 0, 0], rtol=0, atol=1e-12)
    trades = came.result.trades
    np.testing.assert_allclose(trades.quantity, [101, 99], rtol=1e-14)
    np.testing.assert_allclose(trades.entry_fee, [101, 108.90], rtol=1e-14)
    np.testing.assert_allclose(trades.exit_fee, [111.10, 118.80], rtol=1e-14)
    np.testing.assert_allclose(trades.pnl, [797.90, 762.30], rtol=1e-12)
    assert trades.bars_held.tolist() == [1, 1]
    assert abs(trades.pnl.sum() - (11_761.20 - 10_201)) < 1e-9


def test_a_position_that_is_carried_is_left_alone_until_a_decision_is_another() -> None:
    """101 units at 100, held over the edge at bar 3. The third fold decides to leave at its first close, bar 6.

    They are sold at the next open, 130: 13,130 × 0.99 = 12,998.70.
    """
    came = stitched(hand_bench(), EDGES, carry=True)
    expected = [10_201, 10_100, 11_110, 11_110, 11_110, 12_120, 12_120, 12_998.70, 12_998.70]
    np.testing.assert_allclose(came.result.equity, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(came.result.position, [0, 101, 101, 101, 101, 101, 101, 0, 0], rtol=0, atol=1e-12)
    trades = came.result.trades
    assert len(trades) == 1
    np.testing.assert_allclose([trades.entry_fee[0], trades.exit_fee[0]], [101, 131.30], rtol=1e-14)


def test_the_example_in_the_documents_is_what_comes_of_both(root: Path) -> None:
    text = (root / "docs/dev/walk-forward.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").replace(",", "").split(" | ") for line in text.splitlines() if re.match(r"\| \d \|", line)]
    bars = np.array(rows, np.float64)
    assert bars[:, 2].tolist() == list(PRICES)
    for carry, equity, units in ((False, 3, 4), (True, 5, 6)):
        came = stitched(hand_bench(), EDGES, carry=carry).result
        np.testing.assert_allclose(came.equity, bars[:, equity], rtol=0, atol=1e-9)
        np.testing.assert_allclose(came.position, bars[:, units], rtol=0, atol=1e-9)


def test_filled_at_closes_a_window_that_goes_on_has_paid_for_its_first_fill_at_once() -> None:
    """101 units bought at the first close are 11,110 at the third, sold for 10,998.90.

    That buys 99 at the fourth close, for a fee of 108.90: 10,890 are left there, and not only at the bar after it.
    """
    made = bench(flat_bars(PRICES), held, initial_cash=10_201.0, fee_bps=100.0, fill="close")
    came = stitched(made, EDGES[:2])
    expected = [10_201, 10_100, 10_998.90, 10_890, 10_890, 11_761.20]
    np.testing.assert_allclose(came.result.equity, expected, rtol=0, atol=1e-9)


def test_what_closing_at_an_edge_costs_is_what_the_two_ways_differ_by() -> None:
    """With no costs and the same target they are the same account."""
    free = bench(flat_bars(PRICES), held, initial_cash=10_201.0)
    same = (*EDGES[:2], Leg((6, 9), {SIDE: 1.0}))
    closed, carried = (stitched(free, same, carry=carry).result.equity for carry in (False, True))
    assert abs(carried[-1] - 10_201 * 1.3) < 1e-9
    np.testing.assert_allclose(closed[:7], carried[:7], rtol=1e-14)
    assert (
        abs(closed[-1] - 10_201 * 1.2) < 1e-9
    )  # bar 7 opens 10 higher, and what is closed at bar 5 has not got in yet


def test_a_window_without_a_choice_is_flat() -> None:
    none = (EDGES[0], Leg((3, 6), None), Leg((6, 9), {SIDE: 1.0}))
    for carry in (False, True):
        came = stitched(hand_bench(), none, carry=carry)
        assert came.result.position[5] == 0.0
        assert came.result.equity[5] == came.result.equity[4]
    closed = stitched(hand_bench(), none).result
    assert (closed.position[3:7] == 0.0).all()


def test_bars_between_windows_are_flat() -> None:
    apart = (EDGES[0], Leg((5, 9), {SIDE: 1.0}))
    closed = stitched(hand_bench(), apart).result
    assert closed.equity[2] == closed.equity[3] == closed.equity[5]
    assert closed.position[6] > 0
    carried = stitched(hand_bench(), apart, carry=True).result
    assert carried.position[2] > 0
    assert (carried.position[4:6] == 0.0).all()


def test_the_benchmark_holds_the_test_bars_at_the_costs_of_the_base() -> None:
    came = stitched(hand_bench(), EDGES)
    assert came.benchmark is not None
    assert abs(came.benchmark[-1] - 101 * 130 * 0.99) < 1e-9


def test_the_costs_of_a_fold_are_those_that_it_chose() -> None:
    cheap = (Leg((0, 3), {SIDE: 1.0, "execution.fee_bps": 0.0}), Leg((3, 6), {SIDE: 1.0}))
    came = stitched(hand_bench(), cheap)
    np.testing.assert_allclose(came.result.trades.exit_fee[0], 0.0)
    assert abs(came.result.equity[2] - 10_201 * 1.1) < 1e-9
    assert came.result.trades.exit_fee[1] > 0


def test_an_account_that_is_ruined_stays_so() -> None:
    """Short all-in at 100, and the price rises to 250: nothing is left for the folds that follow."""
    ruinous = bench(flat_bars((100, 100, 250, 100, 100, 100)), held, initial_cash=1000.0, allow_short=True)
    came = stitched(ruinous, (Leg((0, 3), {SIDE: -1.0}), Leg((3, 6), {SIDE: 1.0})))
    assert came.result.ruined == 2
    assert came.result.equity.tolist() == [1000, 1000, -500, -500, -500, -500]


def test_a_borrow_and_a_stop_are_as_in_the_engine_on_each_window() -> None:
    bars = walk(40, 5)
    made = bench(bars, stepped, allow_short=True, borrow_rate=0.3, fee_bps=10.0, slippage_bps=5.0)
    came = stitched(made, (Leg((10, 25), {"strategy.params.pace": 2, "stops.stop_loss": 0.005}), Leg((25, 40), {})))
    equity = in_decimals(bars, made, [(10, 25, 2, "0.005"), (25, 40, 3, None)])
    np.testing.assert_allclose(came.result.equity, equity, rtol=1e-11)
    assert 1 in came.result.trades.exit_reason  # a stop loss


def in_decimals(bars: Bars, made: Bench, windows: list[tuple[int, int, int, str | None]]) -> list[float]:
    """Return the equity of windows (first, end, pace, stop loss), each with the cash that the one before left."""
    execution = made.source.config.execution
    cash, found = D(repr(execution.initial_cash)), []
    for first, end, pace, stop in windows:
        rules = simulator.Rules(
            cash,
            fee=D(repr(execution.fee_bps)) / 10_000,
            slippage=D(repr(execution.slippage_bps)) / 10_000,
            borrow=D(repr(execution.borrow_rate)),
            stop_loss=None if stop is None else D(stop),
        )
        account = simulator.simulate(decimal_bars(bars)[first:end], targets(end, pace)[first:end], rules)
        found += map(float, account.equity)
        cash = account.equity[-1]
    return found


def decimal_bars(bars: Bars) -> list[Any]:
    columns = (bars.timestamp.astype(np.int64), bars.open, bars.high, bars.low, bars.close)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [simulator.Bar(time, *(D(repr(price)) for price in prices)) for time, *prices in rows]


def targets(count: int, pace: int) -> list[Decimal]:
    """The decisions of `stepped`, in decimals."""
    pattern = [D(0), D("0.8"), D("0.4"), D("-0.8"), D("-0.2")]
    return [pattern[bar // pace % 5] for bar in range(count)]


@pytest.mark.parametrize("seed", range(8))
def test_closed_at_the_edges_is_what_the_second_engine_makes_window_by_window(seed: int) -> None:
    bars = walk(90, seed)
    made = bench(bars, stepped, allow_short=True, borrow_rate=0.1, fee_bps=10.0, slippage_bps=5.0)
    windows: list[tuple[int, int, int, str | None]] = [(20, 45, 2, None), (45, 70, 5, None), (70, 90, 3, None)]
    legs = [Leg((first, end), {"strategy.params.pace": pace}) for first, end, pace, _ in windows]
    came = stitched(made, legs)
    np.testing.assert_allclose(came.result.equity, in_decimals(bars, made, windows), rtol=1e-11)


@pytest.mark.parametrize("seed", range(8))
def test_carried_is_what_the_second_engine_makes_of_one_target(seed: int) -> None:
    bars = walk(90, seed)
    made = bench(bars, stepped, allow_short=True, borrow_rate=0.1, fee_bps=10.0, slippage_bps=5.0)
    windows = [(20, 45, 2), (45, 70, 5), (70, 90, 3)]
    came = stitched(made, [Leg((a, b), {"strategy.params.pace": pace}) for a, b, pace in windows], carry=True)
    target = [one for a, b, pace in windows for one in targets(b, pace)[a:b]]
    rules = simulator.Rules(D(10_000), fee=D("0.001"), slippage=D("0.0005"), borrow=D("0.1"))
    account = simulator.simulate(decimal_bars(bars)[20:], target, rules)
    np.testing.assert_allclose(came.result.equity, [float(one) for one in account.equity], rtol=1e-11)
    np.testing.assert_allclose(came.result.trades.pnl, [float(one["pnl"]) for one in account.trades], atol=1e-8)


# --- the choice -------------------------------------------------------------------------------------------------------


def test_the_best_of_a_train_window_trades_its_test_window() -> None:
    """The price falls for eight days, rises for four, and so on: short is best on the first train window alone."""
    prices = [*range(200, 192, -1), *range(192, 232, 10), *range(232, 240)]
    bars = flat_bars(prices)
    made = bench(bars, held, allow_short=True)
    outcome, folds = outcome_of(planned(bars, {SIDE: (1.0, -1.0)}), made)
    assert [json.loads(fold["params"])["side"] for fold in folds] == [-1.0, 1.0, 1.0]
    assert [fold["train_trial"] for fold in folds] == ["1", "2", "4"]
    assert [fold["test_trial"] for fold in folds] == ["6", "7", "8"]
    assert outcome.index is None
    """Short from 202 (the open after the first decision) to 222, then long from 233 to 235, 237 to 239."""
    first = 10_000 * (2 - 222 / 202)
    np.testing.assert_allclose(outcome.came.result.equity[3], first, rtol=1e-13)
    np.testing.assert_allclose(outcome.came.result.equity[-1], first * 235 / 233 * 239 / 237, rtol=1e-13)


def test_how_many_trials_there_are_is_known_before_but_for_folds_without_a_choice() -> None:
    """Of 28 days, test windows begin at 8, 12, 16, 20 and 24: three combinations on five folds, and five choices."""

    def picky(bars: Bars, *, side: float = 1.0) -> Floats:
        if len(bars) == 12:  # where the second fold's train window ends, and the first one's test window
            raise ValueError("no")
        return np.full(len(bars), side)

    made = bench(walk(28, 4), held)
    plan = planned(made.bars, {SIDE: (1.0, 0.5, 0.0)})
    assert plan.trials() == (15, 20)
    assert len(gone_through(plan, made)) == 20
    assert len(gone_through(plan, bench(made.bars, picky))) == 19


def test_a_fold_tells_its_windows_and_what_was_lost_from_train_to_test() -> None:
    prices = [*range(200, 192, -1), *range(192, 232, 10), *range(232, 240)]
    bars = flat_bars(prices)
    outcome, folds = outcome_of(planned(bars, {SIDE: (1.0, -1.0)}), bench(bars, held, allow_short=True))
    fold = folds[0]
    assert (fold["train_start"], fold["train_end"]) == ("2024-01-01T00:00:00Z", "2024-01-08T00:00:00Z")
    assert (fold["test_start"], fold["test_end"]) == ("2024-01-09T00:00:00Z", "2024-01-12T00:00:00Z")
    train, test = 1 - 193 / 199, 1 - 222 / 202  # short: what the price fell by, of what was sold at the second open
    np.testing.assert_allclose([float(fold["train"]), float(fold["test"])], [train, test], rtol=1e-12)
    np.testing.assert_allclose(float(fold["degradation"]), train - test, rtol=1e-12)
    told = outcome.results["walk_forward"]
    assert told["sample"] == "out of sample"
    assert told["folds"] == 3
    assert told["above_zero"] == 2 / 3
    np.testing.assert_allclose(told["train_mean"], sum(float(one["train"]) for one in folds) / 3)
    np.testing.assert_allclose(told["degradation"], told["train_mean"] - told["test_mean"])


def test_efficiency_is_growth_on_test_bars_by_growth_on_train_bars() -> None:
    """Each year's growth by its own days: of the account over all tests, and of each choice on its train window."""
    bars = walk(400, 12, drift=0.002)
    plan = planned(bars, {SIDE: (1.0, 0.5)}, train="120d", test="60d", choose="sharpe")
    made = bench(bars, held, fee_bps=10.0)
    outcome, folds = outcome_of(plan, made)
    grown = []
    for fold, window in zip(folds, plan.walk.folds, strict=True):
        years = (len(window.train) - 1) / 365.25
        grown.append((1 + float(fold["train_return"])) ** (1 / years) - 1)
    equity = outcome.came.result.equity
    test = (equity[-1] / equity[0]) ** (365.25 / (len(equity) - 1)) - 1
    assert np.mean(grown) > 0
    np.testing.assert_allclose(outcome.results["walk_forward"]["efficiency"], test / np.mean(grown), rtol=1e-10)


def test_there_is_no_efficiency_where_train_bars_lost_money() -> None:
    bars = flat_bars(np.linspace(200, 100, 300))
    outcome, _ = outcome_of(planned(bars, {SIDE: (1.0, 0.5)}, train="120d", test="60d"), bench(bars, held))
    assert outcome.results["walk_forward"]["efficiency"] is None


def test_the_rank_correlation_is_that_of_ranks() -> None:
    random = np.random.default_rng(2)
    for _ in range(20):
        pairs = random.integers(0, 8, (12, 2)).astype(float)
        ranks = pd.DataFrame(pairs).rank()
        expected = ranks[0].corr(ranks[1])
        np.testing.assert_allclose(rank_correlation([(a, b) for a, b in pairs.tolist()]), expected, atol=1e-12)
    assert rank_correlation([(1.0, 2.0), (2.0, 3.0), (None, 4.0)]) is None
    assert rank_correlation([(1.0, 2.0), (1.0, 3.0), (1.0, 4.0)]) is None


def test_of_equal_trials_the_first_is_chosen_and_the_least_where_that_is_asked() -> None:
    bars = walk(40, 3)
    plan = planned(bars, {SIDE: (0.5, 0.25, 0.5)}, choose="volatility", least=True)
    _, folds = outcome_of(plan, bench(bars, held))
    assert {json.loads(fold["params"])["side"] for fold in folds} == {0.25}
    plan = planned(bars, {SIDE: (0.5, 0.25), "strategy.params.other": (1, 2)}, choose="volatility")
    _, folds = outcome_of(plan, bench(bars, lambda bars, *, side=1.0, other=0: np.full(len(bars), side)))
    assert {fold["params"] for fold in folds} == {'{"other":1,"side":0.5}'}
    assert all(float(fold["degradation"]) == float(fold["train"]) - float(fold["test"]) for fold in folds)


def test_degradation_of_what_is_minimized_is_how_much_it_grew() -> None:
    bars = walk(40, 3)
    _, folds = outcome_of(planned(bars, {SIDE: (0.5, 0.25)}, choose="volatility", least=True), bench(bars, held))
    assert all(float(fold["degradation"]) == float(fold["test"]) - float(fold["train"]) for fold in folds)


def test_a_fold_where_no_trial_has_the_statistic_is_flat_and_named() -> None:
    """Nothing moves for ten days: no trial has a Sharpe ratio on the first train window."""
    bars = flat_bars([100.0] * 9 + [100 + day % 4 for day in range(23)])
    plan = planned(bars, {SIDE: (1.0, 0.5)}, choose="sharpe")
    outcome, folds = outcome_of(plan, bench(bars, held))
    assert (folds[0]["train_trial"], folds[0]["params"], folds[0]["test"]) == ("", "", "")
    assert outcome.results["walk_forward"]["flat"] == [0]
    assert (outcome.came.result.position[:4] == 0.0).all()
    assert (outcome.came.result.position[4:] != 0.0).any()


def test_a_choice_that_fails_on_its_test_window_is_flat_and_named() -> None:
    def moody(bars: Bars, *, side: float = 1.0) -> Floats:
        if len(bars) == 12:
            raise ValueError("not today")
        return held(bars, side=side)

    bars = walk(20, 3)
    outcome, folds = outcome_of(planned(bars, {SIDE: (1.0, 0.5)}), bench(bars, moody))
    assert folds[0]["train_trial"]
    assert folds[0]["test"] == ""
    assert outcome.results["walk_forward"]["flat"] == [0, 1]  # the second one's train window ends at that bar too
    assert (outcome.came.result.position[:4] == 0.0).all()


def test_nothing_that_could_be_chosen_ends_in_a_sentence() -> None:
    bars = flat_bars([100.0] * 20)
    plan = planned(bars, {SIDE: (1.0, 0.5)}, choose="sharpe")
    made = bench(bars, held)
    with pytest.raises(
        RunError, match="nothing could be chosen and traded in any fold: no trial has the statistic sharpe"
    ):
        plan.outcome(made, gone_through(plan, made))


# --- leaks ------------------------------------------------------------------------------------------------------------


def peeking(bars: Bars, *, ahead: int = 3, side: float = 1.0) -> Floats:
    """Long where the close some bars later is higher: as far as the bars that it is handed tell."""
    later = np.append(bars.close[ahead:], np.full(min(ahead, len(bars)), bars.close[-1]))
    return np.asarray(np.where(later > bars.close, side, 0.0))


def changed_from(bars: Bars, at: int) -> Bars:
    """Return bars with other prices from one on."""
    other = walk(len(bars), 99)
    columns = {}
    for name in ("open", "high", "low", "close"):
        column = getattr(bars, name).copy()
        column[at:] = getattr(other, name)[at:] * 3
        columns[name] = column
    return Bars(bars.timestamp, **columns, volume=bars.volume, symbol="TEST", timeframe="1d").freeze()


def train_digests(plan: WalkForward, made: Bench, fold: int) -> list[bytes]:
    count = len(plan.space)
    tasks = plan.round(0, gone_through(WalkForward(plan.space, Walk(()), plan.choice), made))
    rows = [made.trial(tasks[at]) for at in range(fold * count, (fold + 1) * count)]
    return [repr(row.digests).encode() for row in rows]


def leaky(plan: WalkForward, bars: Bars) -> WalkForward:
    """The same plan with the mistake that is looked for: train windows that reach one bar into their test."""
    folds = [
        Fold(Window.of(bars.timestamp, fold.train.first, fold.test.first + 1), fold.test) for fold in plan.walk.folds
    ]
    return WalkForward(plan.space, Walk(tuple(folds)), plan.choice)


@pytest.mark.parametrize("anchored", [False, True])
def test_no_bar_from_a_test_window_on_touches_a_train_trial(anchored: bool) -> None:
    """Not even of a strategy that looks ahead: it is handed the bars up to its train window's end, and no more."""
    bars = walk(40, 11)
    plan = planned(bars, {"strategy.params.ahead": (0, 1, 3)}, anchored=anchored)
    for at, fold in enumerate(plan.walk.folds):
        other = changed_from(bars, fold.test.first)
        assert train_digests(plan, bench(bars, peeking), at) == train_digests(plan, bench(other, peeking), at)
        wrong = leaky(plan, bars)  # and were it otherwise, it would be seen
        assert train_digests(wrong, bench(bars, peeking), at) != train_digests(wrong, bench(other, peeking), at)


def registered(bars: Bars) -> Bench:
    tree = {
        "data": {"path": "bars.csv", "symbol": "TEST", "timeframe": "1d", "calendar": "24/7"},
        "strategy": {"name": "sma_crossover", "params": {"fast": 2, "slow": 6}},
    }
    return Bench(config.compose(tree), bars, strategies.resolve("sma_crossover"))


def test_what_is_remembered_of_an_indicator_over_other_windows_touches_no_train_trial() -> None:
    """Windows of indicators are worked out once for all trials of a search: for each stretch of bars by itself."""
    bars = walk(60, 11)
    plan = planned(bars, {"strategy.params.fast": (2, 3), "strategy.params.slow": (6, 9)})
    made = registered(bars)
    made.trial(Task({}))  # over all bars, before any window
    rows, count = gone_through(plan, made), len(plan.space)
    for at, fold in enumerate(plan.walk.folds):
        fresh = registered(changed_from(bars, fold.test.first))
        tasks = plan.round(0, rows)
        for number in range(at * count, (at + 1) * count):
            digests = fresh.trial(tasks[number]).digests
            assert digests is not None
            assert [row.tobytes().hex() for row in rows.digests[number]] == list(digests)


def test_no_bar_of_the_embargo_touches_a_train_trial() -> None:
    bars = walk(40, 11)
    plan, without = (planned(bars, {"strategy.params.ahead": (1, 3)}, embargo=cut) for cut in ("2d", ""))
    for at, fold in enumerate(plan.walk.folds):
        other = changed_from(bars, fold.test.first - 2)
        assert train_digests(plan, bench(bars, peeking), at) == train_digests(plan, bench(other, peeking), at)
        assert train_digests(without, bench(bars, peeking), at) != train_digests(without, bench(other, peeking), at)


def test_a_leak_at_the_edge_would_change_the_choice() -> None:
    """The first bar of each test doubles in price, and what came before fell: who has seen it goes long."""
    prices: list[float] = []
    for _ in range(5):
        prices += [(prices[-1] * 2 if prices else 100.0), *[0.0] * 3]
        for back in (3, 2, 1):
            prices[-back] = prices[-back - 1] * 0.83
    bars = flat_bars(prices)
    plan = planned(bars, {SIDE: (1.0, 0.0)}, train="4d", test="4d")
    made = bench(bars, held)
    _, folds = outcome_of(plan, made)
    assert {json.loads(fold["params"])["side"] for fold in folds} == {0.0}
    _, seen = outcome_of(leaky(plan, bars), made)
    assert {json.loads(fold["params"])["side"] for fold in seen} == {1.0}


@pytest.mark.parametrize("carry", [False, True])
def test_the_account_before_a_bar_is_the_same_whatever_follows(carry: bool) -> None:
    """Every choice, and what it came to, is of the past alone: from the choices to the account."""
    bars = walk(60, 11)
    for at in (24, 31, 44):
        accounts = []
        for seen in (bars, changed_from(bars, at)):
            made = bench(seen, stepped, allow_short=True, fee_bps=10.0)
            plan = planned(seen, {"strategy.params.pace": (1, 2, 3, 5)}, carry=carry, embargo="1d")
            accounts.append(outcome_of(plan, made)[0].came.result.equity)
        one, other = (account[: at - 8] for account in accounts)
        assert one.tobytes() == other.tobytes()
        assert accounts[0][at - 8 :].tobytes() != accounts[1][at - 8 :].tobytes()


def test_indicators_are_warm_at_the_first_bar_of_a_test() -> None:
    """A strategy is handed the bars from the first of all on: a mean of six days is known at once in a test of four."""
    lengths: list[int] = []

    def mean_of_six(bars: Bars, *, side: float = 1.0) -> Floats:
        lengths.append(len(bars))
        means = np.convolve(bars.close, np.ones(6) / 6)[: len(bars)]
        return np.where(np.arange(len(bars)) < 5, 0.0, np.where(means > 0, side, 0.0))

    bars = walk(20, 4)
    plan = planned(bars, {SIDE: (1.0, 0.5)})
    made = bench(bars, mean_of_six)
    rows = gone_through(plan, made)
    assert lengths == [8, 8, 12, 12, 16, 16, 12, 16, 20]
    outcome = plan.outcome(made, rows)
    # decided at the first close of the first test, and filled at the next open
    assert outcome.came.result.position[1] != 0.0


# --- what goes together -----------------------------------------------------------------------------------------------


def test_initial_cash_is_not_varied_for_it_is_what_the_fold_before_left() -> None:
    with pytest.raises(InputError, match="execution.initial_cash can't be varied here: each fold begins with"):
        planned(walk(40, 1), {"execution.initial_cash": (1.0, 2.0)})


@pytest.mark.parametrize("key", ["execution.fee_bps", "sizing.scale", "stops.stop_loss"])
def test_carried_folds_have_the_same_rules(key: str) -> None:
    assert planned(walk(40, 1), {key: (0.1, 0.2)})
    with pytest.raises(
        InputError, match=f"{key} can't be varied here: with --carry all folds are traded as one account"
    ):
        planned(walk(40, 1), {key: (0.1, 0.2)}, carry=True)


def test_no_trial_of_a_walk_forward_is_kept_as_a_run_over_all_bars() -> None:
    bars = walk(40, 1)
    plan = planned(bars, {SIDE: (1.0, 0.5)})
    assert plan.best(gone_through(plan, bench(bars, held))) == []


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"walk_forward": ("train=8d",)}, "does not say train=… and test=…"),
        ({"walk_forward": ("train=8d", "train=9d")}, "does not say train=… and test=…"),
        ({"walk_forward": ("train=8d", "test=4")}, "--walk-forward test is '4'"),
        ({"walk_forward": ("train=8d", "test=4d"), "embargo": "x"}, "--embargo is 'x'"),
        ({"walk_forward": ("train=8d", "test=4d"), "cpcv": "6,2"}, "are two plans"),
        ({"walk_forward": ("train=8d", "test=4d"), "choose": "sharp"}, "there is no statistic 'sharp'"),
        (
            {"walk_forward": ("train=8d", "test=4d"), "choose": "sharpe", "minimize": "volatility"},
            "--choose chooses what has most",
        ),
        (
            {"walk_forward": ("train=8d", "test=4d"), "choose": "sharpe", "maximize": "calmar"},
            "both say what is chosen",
        ),
        ({"anchored": True}, "--anchored goes with --walk-forward"),
        ({"carry": True, "cpcv": "6,2"}, "--carry goes with --walk-forward"),
        ({"embargo": "5d"}, "--embargo goes with --walk-forward"),
        ({"choose": "sharpe"}, "--choose goes with --walk-forward"),
    ],
)
def test_options_that_do_not_go_together_are_refused(wish: dict[str, Any], said: str) -> None:
    bars = walk(40, 1)
    with pytest.raises(InputError, match=said):
        plan_of(sweep.Wish(grid=(f"{SIDE}=1.0,0.5",), **wish), bars)


def plan_of(asked: sweep.Wish, bars: Bars) -> Any:
    asked.check()
    return asked.plan(bench(bars, held).source, bars, asked.space())


# --- sealed -----------------------------------------------------------------------------------------------------------

CONFIG = """
[data]
path = "bars.csv"
symbol = "TEST"
timeframe = "1h"
calendar = "24/7"
[strategy]
name = "sma_crossover"
params = { fast = 3, slow = 8 }
[execution]
fee_bps = 10
"""
GRID = ("strategy.params.fast=2,3,4", "strategy.params.slow=8,12")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    from tests.conftest import ohlcv_csv

    (tmp_path / "bars.csv").write_text(ohlcv_csv(480))
    (tmp_path / "config.toml").write_text(CONFIG)
    return tmp_path


def swept(place: Path, results: str, **wish: Any) -> Path:
    asked = sweep.Wish(grid=GRID, walk_forward=("train=8d", "test=4d"), **wish)
    return sweep.sweep(config.load(place / "config.toml"), asked, root=place, results=place / results)


def test_two_walk_forwards_of_the_same_are_the_same_bytes(place: Path) -> None:
    made = [swept(place, results, carry=True) for results in ("one", "two")]
    named = [json.loads((path / "manifest.json").read_text())["subject"] for path in made]
    assert named[0] == named[1]
    assert {"folds.csv", "equity.csv", "stats.json"} <= {one["name"] for one in named[0]}


def test_the_parent_is_of_its_test_windows_alone_and_says_so(place: Path) -> None:
    path = swept(place, "results", embargo="1d")
    stats = json.loads((path / "stats.json").read_text())
    manifest = json.loads((path / "manifest.json").read_text())["predicate"]
    assert stats["bars"] == 480 - 8 * 24
    assert (path / "equity.csv").read_text().splitlines()[1].startswith("2024-01-09T00:00:00Z,10000.0")
    told = manifest["buildDefinition"]["externalParameters"]["sweep"]["walk_forward"]
    assert (told["train"], told["test"], told["embargo"], told["anchored"]) == ("8d", "4d", "1d", False)
    first = told["folds"][0]
    assert first["train"] == {"bars": [0, 168], "from": "2024-01-01T00:00:00Z", "to": "2024-01-07T23:00:00Z"}
    assert first["test"] == {"bars": [192, 288], "from": "2024-01-09T00:00:00Z", "to": "2024-01-12T23:00:00Z"}
    last = list(csv.DictReader(io.StringIO((path / "folds.csv").read_text())))[-1]
    assert (last["fold"], last["complete"], last["test_end"]) == ("2", "true", "2024-01-20T23:00:00Z")


@pytest.mark.parametrize(
    "wish",
    [
        {"walk_forward": ("train=8d", "test=4d")},
        {"walk_forward": ("train=8d", "test=4d"), "carry": True},
        {"walk_forward": ("train=200bars", "test=100bars"), "anchored": True, "embargo": "12h"},
        {"cpcv": "6,2", "embargo": "6h"},
    ],
)
def test_a_parent_of_folds_is_verified_against_its_bars(place: Path, wish: dict[str, Any]) -> None:
    path = sweep.sweep(
        config.load(place / "config.toml"), sweep.Wish(grid=GRID, **wish), root=place, results=place / "results"
    )
    (verdict,) = (
        one for one in verify.verify_all(Results(place / "results"), None, root=place) if one.name == path.name
    )
    assert not verdict.findings
    left = ["what the paths that are not the parent's own came to, only trading them again tells"]
    assert verdict.unchecked == [f"paths.csv: {one}" for one in left if "cpcv" in wish]


def test_a_parent_shows_what_it_came_to_out_of_sample(place: Path) -> None:
    shown = listing.summary(swept(place, "results"))
    assert "folds     3; what stands above is of their test windows alone\n" in shown
    assert not re.search(r"^best ", shown, re.MULTILINE)  # of folds that would be a choice by their test bars
    assert re.search(
        r"test +sharpe -?[\d.]+ on train bars, -?[\d.]+ on test bars; [\d.]+ % of the folds above zero", shown
    )


class Interrupting(Heard):
    """Presses Ctrl-C once the trials of a round are under way."""

    def __init__(self, number: int) -> None:
        self.left = number

    def done(self, done: int, failed: int, of: int) -> None:
        if done == of:
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt


@pytest.mark.parametrize("number", [1, 2])
def test_a_walk_forward_that_was_interrupted_goes_on_to_the_same_bytes(place: Path, number: int) -> None:
    asked = sweep.Wish(grid=GRID, walk_forward=("train=8d", "test=4d"))
    source = config.load(place / "config.toml")
    whole = sweep.sweep(source, asked, root=place, results=place / "whole", work=sweep.Work(jobs=1))
    with pytest.raises(sweep.Stopped):
        sweep.sweep(source, asked, root=place, results=place / "cut", heard=Interrupting(number))
    gone_on = sweep.sweep(source, asked, root=place, results=place / "cut", work=sweep.Work(jobs=2))
    assert subjects(gone_on) == subjects(whole)
    lines = [json.loads(line) for line in (place / "cut" / "ledger.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines if line["event"] != "tried"] == ["start", "sealed"]
    assert lines[-1]["trials"] == 6 * 3 + 3


def test_ratios_of_folds_are_not_measured_against_those_of_all_bars(place: Path) -> None:
    swept(place, "results")
    last = json.loads((place / "results" / "ledger.jsonl").read_text().splitlines()[-1])
    assert (last["trials"], last["trials_on"][0]["count"], last["trials_on"][0]["ratios"]["count"]) == (21, 21, 0)


def subjects(path: Path) -> Any:
    return json.loads((path / "manifest.json").read_text())["subject"]
