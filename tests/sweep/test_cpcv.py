"""Combinatorial purged cross-validation: choices of splits, paths, and the probability of overfitting."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.conftest import ohlcv_csv
from tests.sweep.benches import bench, flat_bars, gone_through, walk

from peak_trade import config, sweep
from peak_trade.errors import InputError, RunError
from peak_trade.market.bars import Bars, Floats
from peak_trade.sweep.axes import Axis, Space
from peak_trade.sweep.bench import Bench
from peak_trade.sweep.choice import Choice
from peak_trade.sweep.cpcv import Purged, planned
from peak_trade.sweep.folds import Window
from peak_trade.sweep.plan import Outcome
from peak_trade.sweep.rows import Rows
from peak_trade.sweep.task import Task

SIDE, NUMBER, BACK = "strategy.params.side", "strategy.params.number", "strategy.params.back"


def held(bars: Bars, *, side: float = 1.0) -> Floats:
    """Hold one side, always."""
    return np.full(len(bars), side)


def tossed(bars: Bars, *, number: int = 0) -> Floats:
    """Long or flat by the toss of a coin at each bar: every number another strategy of nothing."""
    return np.random.default_rng(number).integers(0, 2, len(bars)).astype(np.float64)


def turning(bars: Bars, *, back: int = 2) -> Floats:
    """Long where the close is above that of some bars before."""
    before = np.concatenate([np.full(back, np.inf), bars.close[:-back]])[: len(bars)]
    return np.asarray(np.where(bars.close > before, 1.0, 0.0))


def plan_of(
    made: Bench, space: dict[str, tuple[Any, ...]], asked: str = "6,2", embargo: str = "", by: str = "sharpe"
) -> Purged:
    axes = Space(tuple(Axis(key, values) for key, values in space.items()))
    return planned(axes, Choice(by), made.bars, made.source.config, asked, embargo)


def table(outcome: Outcome, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(outcome.files[name].decode())))


def returns_of(made: Bench, overrides: dict[str, Any], windows: list[Window]) -> Floats:
    """Return the returns of a trial over windows, one after the other."""
    found = []
    for window in windows:
        equity = made.make(Task(overrides, window.span)).result.equity
        found.append(equity[1:] / equity[:-1] - 1)
    return np.concatenate(found)


def sharpe(returns: Floats, rate: float = 0.0) -> float:
    """By the book, of days around the clock."""
    a_bar = (1 + rate) ** (1 / 365) - 1
    return float((returns.mean() - a_bar) / returns.std(ddof=1) * math.sqrt(365))


TOSSES = {NUMBER: tuple(range(5))}


@pytest.fixture(scope="module")
def noise() -> tuple[Bench, Purged, Rows, Outcome]:
    """Five strategies of nothing, with a rate without risk, and an embargo of two days."""
    made = bench(walk(240, 3), tossed, fee_bps=5.0)
    source = made.source
    stats = msgspec.structs.replace(source.config.stats, risk_free_rate=0.05)
    made = Bench(
        msgspec.structs.replace(source, config=msgspec.structs.replace(source.config, stats=stats)), made.bars, tossed
    )
    plan = plan_of(made, TOSSES, embargo="2d")
    rows = gone_through(plan, made)
    return made, plan, rows, plan.outcome(made, rows)


def test_each_combination_is_made_once_a_group_and_each_choice_once_a_group_that_it_is_tested_on(noise: Any) -> None:
    _, _, rows, outcome = noise
    assert rows.part[:30] == ["train"] * 30
    assert rows.fold[:30].tolist() == [group for group in range(6) for _ in range(5)]
    tested = {
        (group, json.loads(split["params"])["number"])
        for split in table(outcome, "splits.csv")
        for group in map(int, split["tested"].split())
    }
    assert rows.part[30:] == ["test"] * len(tested)
    made = [(int(rows.fold[at]), rows.overrides[at][NUMBER]) for at in range(30, len(rows))]
    assert made == sorted(tested)


def test_how_many_trials_there_are_at_least_and_at_most_is_known_before(noise: Any) -> None:
    """Each of six groups is tested by five of 15 splits; of one combination, or of one path, nothing is left open."""
    made, plan, rows, _ = noise
    assert plan.trials() == (30, 60)
    assert 30 < len(rows) <= 60
    for space, asked, least, most in (
        ({NUMBER: (1, 2)}, "6,2", 12, 24),  # five splits, but two combinations
        ({NUMBER: (1,)}, "6,2", 6, 12),
        (TOSSES, "4,1", 20, 24),
    ):
        plan = plan_of(made, space, asked)
        assert plan.trials() == (least, most)
        assert len(gone_through(plan, made)) == most or (asked == "6,2" and len(space[NUMBER]) > 1)


def test_six_and_two_are_fifteen_splits_and_five_paths(noise: Any) -> None:
    outcome = noise[3]
    assert [split["tested"] for split in table(outcome, "splits.csv")] == [
        f"{a} {b}" for a, b in combinations(range(6), 2)
    ]
    assert len(table(outcome, "paths.csv")) == 5
    assert {outcome.results["cpcv"][key] for key in ("splits", "paths")} == {15, 5}


def test_a_split_chooses_by_the_sharpe_ratio_of_all_returns_of_its_train_groups(noise: Any) -> None:
    made, plan, _, outcome = noise
    for split in table(outcome, "splits.csv"):
        tested = list(map(int, split["tested"].split()))
        windows = [plan.groups.train[group] for group in range(6) if group not in tested]
        ratios = [sharpe(returns_of(made, {NUMBER: number}, windows), 0.05) for number in range(5)]
        best = int(np.argmax(ratios))
        assert int(split["combination"]) == best
        np.testing.assert_allclose(float(split["train"]), ratios[best], rtol=1e-9)
        whole = [plan.groups.whole[group] for group in tested]
        np.testing.assert_allclose(
            float(split["test"]), sharpe(returns_of(made, {NUMBER: best}, whole), 0.05), rtol=1e-9
        )
        np.testing.assert_allclose(
            float(split["degradation"]), float(split["train"]) - float(split["test"]), rtol=1e-12
        )


def test_by_total_return_what_compounds_over_the_train_groups_is_compared() -> None:
    made = bench(walk(240, 4), tossed)
    plan = plan_of(made, TOSSES, by="total_return")
    outcome = plan.outcome(made, gone_through(plan, made))
    for split in table(outcome, "splits.csv"):
        windows = [plan.groups.train[group] for group in range(6) if str(group) not in split["tested"].split()]
        grown = [math.prod(1 + returns_of(made, {NUMBER: number}, windows)) - 1 for number in range(5)]
        assert int(split["combination"]) == int(np.argmax(grown))
        np.testing.assert_allclose(float(split["train"]), max(grown), rtol=1e-9)


def test_a_path_trades_each_group_by_a_split_that_had_not_seen_it(noise: Any) -> None:
    made, plan, _, outcome = noise
    chosen = [int(split["combination"]) for split in table(outcome, "splits.csv")]
    for path in table(outcome, "paths.csv"):
        equity, splits = 10_000.0, list(map(int, path["splits"].split()))
        for group, split in enumerate(splits):
            assert group in plan.groups.splits[split]
            grown = returns_of(made, {NUMBER: chosen[split]}, [plan.groups.whole[group]])
            equity *= math.prod(1 + grown)
        np.testing.assert_allclose(float(path["final_equity"]), equity, rtol=1e-10)


def test_the_parent_is_the_path_in_the_middle(noise: Any) -> None:
    outcome = noise[3]
    paths = table(outcome, "paths.csv")
    ratios = [float(path["sharpe"]) for path in paths]
    (middle,) = (path for path in paths if path["chosen"] == "true")
    assert float(middle["sharpe"]) == sorted(ratios)[2] == outcome.came.figures["sharpe"]
    assert int(middle["path"]) == outcome.results["cpcv"]["path"]
    assert len(outcome.came.result.equity) == 240
    told = outcome.results["cpcv"]["sharpe"]
    assert (told["least"], told["median"], told["most"]) == (min(ratios), sorted(ratios)[2], max(ratios))
    np.testing.assert_allclose([told["mean"], told["deviation"]], [np.mean(ratios), np.std(ratios, ddof=1)], rtol=1e-12)
    assert told["above_zero"] == sum(ratio > 0 for ratio in ratios) / 5


def test_of_an_even_number_of_paths_the_lower_one_in_the_middle_is_the_parents() -> None:
    made = bench(walk(240, 7), tossed)
    plan = plan_of(made, TOSSES, "5,2")
    paths = table(plan.outcome(made, gone_through(plan, made)), "paths.csv")
    ratios = [float(path["sharpe"]) for path in paths]
    assert len(ratios) == len(set(ratios)) == 4
    (middle,) = (float(path["sharpe"]) for path in paths if path["chosen"] == "true")
    assert middle == sorted(ratios)[1]


# --- leaks ------------------------------------------------------------------------------------------------------------


def changed_in(bars: Bars, first: int, end: int) -> Bars:
    """Return bars with other prices in some of them."""
    other = walk(len(bars), 99)
    columns = {}
    for name in ("open", "high", "low", "close"):
        column = getattr(bars, name).copy()
        column[first:end] = getattr(other, name)[first:end] * 3
        columns[name] = column
    return Bars(bars.timestamp, **columns, volume=bars.volume, symbol="TEST", timeframe="1d").freeze()


def touched(plan: Purged, function: Callable[..., Any], bars: Bars, group: int) -> set[int]:
    """Return the train groups, but for `group` itself, whose trials are others when that one's bars are."""
    other = changed_in(bars, *plan.groups.whole[group].span)
    one, two = (bench(each, function) for each in (bars, other))
    tasks = plan.round(0, Rows.joined([]))
    rows = [
        (task, one.trial(task).digests, two.trial(task).digests) for task in (tasks[at] for at in range(len(tasks)))
    ]
    return {task.fold for task, first, second in rows if first != second} - {group}


def peeking(bars: Bars, *, back: int = 2) -> Floats:
    """Long where the close some bars later is higher: as far as the bars that it is handed tell."""
    later = np.append(bars.close[back:], np.full(min(back, len(bars)), bars.close[-1]))
    return np.asarray(np.where(later > bars.close, 1.0, 0.0))


def reaching(plan: Purged, bars: Bars) -> Purged:
    """The same plan with the mistake that is looked for: train groups that reach one bar into the next."""
    train = tuple(Window.of(bars.timestamp, one.first, min(one.end + 1, len(bars))) for one in plan.groups.train)
    return msgspec.structs.replace(plan, groups=msgspec.structs.replace(plan.groups, train=train))


def test_no_bar_of_a_tested_group_touches_the_trials_of_a_group_before_it() -> None:
    bars = walk(240, 8)
    plan = plan_of(bench(bars, peeking), {BACK: (1, 2)})
    assert touched(plan, peeking, bars, 3) == set()
    assert touched(reaching(plan, bars), peeking, bars, 3) == {2}  # and were it otherwise, it would be seen


def test_an_embargo_as_long_as_indicators_look_back_parts_a_tested_group_from_the_one_after_it() -> None:
    bars = walk(240, 8)
    made = bench(bars, turning)
    assert touched(plan_of(made, {BACK: (1, 2)}, embargo="2bars"), turning, bars, 3) == set()
    assert touched(plan_of(made, {BACK: (1, 2)}), turning, bars, 3) == {4}


def test_no_trade_has_a_part_in_two_groups() -> None:
    """A position that is never left is closed at the last close of each group, and opened anew in the next."""
    bars = walk(240, 8)
    made = bench(bars, held)
    plan = plan_of(made, {SIDE: (1.0, 0.5)})
    trades = plan.outcome(made, gone_through(plan, made)).came.result.trades
    assert len(trades) == 6
    edges = [window.span for window in plan.groups.whole]
    assert trades.entry_time.tolist() == [bars.timestamp[first + 1].astype(int) for first, _ in edges]
    assert trades.exit_time.tolist() == [bars.timestamp[end - 1].astype(int) for _, end in edges]


# --- what can't be chosen ---------------------------------------------------------------------------------------------


def test_a_split_without_a_choice_is_flat_and_named() -> None:
    """Prices that move in the last group alone: who tests it has nothing to choose by, and its groups are flat."""
    bars = flat_bars([100.0] * 100 + [100.0 + bar % 3 for bar in range(20)])
    made = bench(bars, held)
    plan = plan_of(made, {SIDE: (1.0, 0.5)})
    outcome = plan.outcome(made, gone_through(plan, made))
    splits = table(outcome, "splits.csv")
    unknown = [int(split["split"]) for split in splits if "5" in split["tested"]]
    assert outcome.results["cpcv"]["flat"] == unknown
    assert all(splits[at]["combination"] == splits[at]["test"] == "" for at in unknown)
    assert (outcome.came.result.position[100:] == 0.0).all()


def test_a_combination_that_fails_on_a_train_group_is_not_chosen_by_who_trains_on_it() -> None:
    def moody(bars: Bars, *, side: float = 1.0) -> Floats:
        if side == 1.0 and len(bars) == 120:  # the end of the third group
            raise ValueError("not today")
        return held(bars, side=side)

    bars = walk(240, 5, drift=0.01)
    made = bench(bars, moody)
    plan = plan_of(made, {SIDE: (1.0, 0.5)}, by="total_return")
    for split in table(plan.outcome(made, gone_through(plan, made)), "splits.csv"):
        assert split["combination"] == ("0" if "2" in split["tested"].split() else "1")


@pytest.mark.parametrize("by", ["sharpe", "total_return"])
def test_a_combination_that_is_ruined_on_train_groups_is_not_chosen(by: str) -> None:
    """Twice the short of a price that trebles: twice a loss of more than all there is is no gain."""
    bars = flat_bars(np.concatenate([np.linspace(100, 300, 20)] * 3 + [np.linspace(100, 99, 20)] * 3))
    made = bench(bars, held, allow_short=True)
    plan = plan_of(made, {SIDE: (-1.0, -0.1)}, by=by)
    rows = gone_through(plan, made)
    assert (rows.of_stat("total_return")[:12:2] <= -1).sum() == 3
    splits = table(plan.outcome(made, rows), "splits.csv")
    assert [split["combination"] for split in splits if split["tested"] not in ("0 1", "0 2", "1 2")] == ["1"] * 12


def test_nothing_that_could_be_chosen_ends_in_a_sentence() -> None:
    bars = flat_bars([100.0] * 120)
    made = bench(bars, held)
    plan = plan_of(made, {SIDE: (1.0, 0.5)})
    with pytest.raises(
        RunError, match="nothing could be chosen and traded in any split: no trial has the statistic sharpe"
    ):
        plan.outcome(made, gone_through(plan, made))


@pytest.mark.parametrize("asked", ["", "6", "6,6", "1,1", "6,0", "6;2", "6,2,1", "a,b", "6, 2", "9999,2"])
def test_what_does_not_say_groups_and_how_many_are_tested_is_refused(asked: str) -> None:
    with pytest.raises(InputError, match="is not how many groups there are, and how many of them are tested"):
        plan_of(bench(walk(240, 1), held), {SIDE: (1.0, 0.5)}, asked)


def test_without_a_number_of_bars_a_year_there_is_no_ratio_to_choose_by() -> None:
    made = bench(flat_bars([100.0] * 20), held)
    data = msgspec.structs.replace(made.source.config.data, calendar=None)
    source = msgspec.structs.replace(made.source, config=msgspec.structs.replace(made.source.config, data=data))
    with pytest.raises(InputError, match="nothing tells how many bars make a year"):
        plan_of(Bench(source, made.bars, held), {SIDE: (1.0, 0.5)})


@pytest.mark.parametrize("key", ["execution.initial_cash", "stats.risk_free_rate"])
def test_what_trials_are_compared_by_is_not_varied(key: str) -> None:
    with pytest.raises(InputError, match=f"{key} can't be varied here"):
        plan_of(bench(walk(240, 1), held), {key: (0.1, 0.2)})


@pytest.mark.parametrize("statistic", ["sortino", "max_drawdown", "cagr"])
def test_a_statistic_that_does_not_follow_from_those_of_groups_is_refused(statistic: str) -> None:
    with pytest.raises(InputError, match=f"{statistic} of several groups does not follow") as caught:
        sweep.Wish(grid=(f"{SIDE}=1.0,0.5",), cpcv="6,2", choose=statistic).check()
    assert caught.value.hint == "--choose sharpe or --choose total_return"


# --- overfitting ------------------------------------------------------------------------------------------------------


def overfitting(seed: int, strategy: Callable[..., Any] = tossed, count: int = 8) -> float:
    made = bench(walk(300, seed), strategy)
    plan = plan_of(made, {NUMBER: tuple(range(seed * 100, seed * 100 + count))})
    tasks = plan.round(0, Rows.joined([]))
    told = plan.overfitting(Rows.of([made.trial(tasks[at]) for at in range(len(tasks))]))
    assert (told["splits"], told["trials"]) == (12_870, count)
    assert told["returns"] == 300 - 6
    return float(told["probability"])


def test_the_best_of_nothing_is_overfitted_half_the_time() -> None:
    found = [overfitting(seed) for seed in range(16)]
    assert abs(np.mean(found) - 0.5) < 0.12


def test_the_best_of_something_is_not() -> None:
    def knowing(bars: Bars, *, number: int = 0) -> Floats:
        """One of them knows what the next bar brings."""
        if number % 100 == 3:
            return np.append((bars.close[1:] > bars.open[1:]).astype(np.float64), 0.0)
        return tossed(bars, number=number)

    assert overfitting(1, knowing) < 0.01


def test_one_combination_is_chosen_from_among_no_others() -> None:
    made = bench(walk(240, 1), held)
    plan = plan_of(made, {SIDE: (1.0,)})
    told = plan.outcome(made, gone_through(plan, made)).results["cpcv"]["overfitting"]
    assert told == {"probability": None, "reason": "fewer than two trials with returns"}


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
"""


def test_two_cross_validations_of_the_same_are_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "bars.csv").write_text(ohlcv_csv(480))
    (tmp_path / "config.toml").write_text(CONFIG)
    asked = sweep.Wish(grid=("strategy.params.fast=2,3,4", "strategy.params.slow=8,12"), cpcv="6,2", embargo="6h")
    named = []
    for results in ("one", "two"):
        path = sweep.sweep(config.load(tmp_path / "config.toml"), asked, root=tmp_path, results=tmp_path / results)
        manifest = json.loads((path / "manifest.json").read_text())
        named.append(manifest["subject"])
    assert named[0] == named[1]
    assert {"splits.csv", "paths.csv", "equity.csv"} <= {one["name"] for one in named[0]}
    told = manifest["predicate"]["buildDefinition"]["externalParameters"]["sweep"]["cpcv"]
    assert told["groups"][1] == {
        "bars": [80, 160], "train": [86, 154], "from": "2024-01-04T08:00:00Z", "to": "2024-01-07T15:00:00Z"
    }  # fmt: skip
