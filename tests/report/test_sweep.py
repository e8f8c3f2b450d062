"""The report of a sweep: its numbers are those of the sealed table, and what flatters is said to do so."""

from __future__ import annotations

import csv
import functools
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.report.conftest import without_ours

from peak_trade import config, sweep
from peak_trade.evidence import trials as evidence
from peak_trade.report.head import label_of
from peak_trade.report.heat import MODES, shown_as
from peak_trade.report.inline import script
from peak_trade.report.markup import figure_of, number, percent
from peak_trade.stats import STATS
from peak_trade.trust.handed import Handed
from peak_trade.trust.luck import assess

SWEPT = ["search", "heat", "plateau", "sensitivity", "distribution", "trials"]
UNITS = {stat.key: stat.unit for stat in STATS}
STRATEGY = """
import numpy as np


def steps(bars, *, length=7, level=1.0, kind="both", shift=0):
    if length == 9 and level == 0.5:
        raise ValueError("nine by a half")
    if kind == "none":
        return np.zeros(len(bars))
    low = {"both": -level, "long": 0.0}.get(kind, 0.0)
    return np.roll(np.resize(np.repeat([0.0, level, low], length), len(bars)), shift)
"""
CONFIG = """
[run]
name = "a search"
[data]
path = "bars.csv"
symbol = "X"
timeframe = "1h"
calendar = "24/7"
[execution]
allow_short = true
fee_bps = 5
[strategy]
entrypoint = "own.py:steps"
"""
GRIDS: dict[str, tuple[str, ...]] = {
    "one": ("strategy.params.length=5:12:1",),
    "two": ("strategy.params.length=5:12:1", "strategy.params.level=0.25:1:0.25"),
    "three": (
        "strategy.params.length=5:12:1", "strategy.params.level=0.25:1:0.25",
        'strategy.params.kind="both","long","none"',
    ),
    "costs": ("strategy.params.length=5:8:1", "execution.fee_bps=0:10:5"),
    "hostile": (
        "strategy.params.length=5:8:1",
        """strategy.params.kind="both","<script>alert(1)</script>","```{{< x >}}" """,
    ),
    "long": ("strategy.params.length=1:60:1", "strategy.params.shift=0:54:1"),
}  # fmt: skip


class Sweeps:
    """A results directory with a sweep of each kind."""

    def __init__(self, folder: Path) -> None:
        self.root, self.results = folder, folder / "results"
        (folder / "own.py").write_text(STRATEGY, encoding="utf-8")
        stamps = np.datetime64("2023-11-20", "s") + np.arange(900) * np.timedelta64(1, "h")
        closes = (100 + 8 * np.sin(np.arange(900) / 9) + 0.02 * np.arange(900)).round(2).tolist()
        rows = [f"{stamp}Z,{one},{one + 0.5},{one - 0.5},{one},1" for stamp, one in zip(stamps, closes, strict=True)]
        (folder / "bars.csv").write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]) + "\n")
        (folder / "own.toml").write_text(CONFIG, encoding="utf-8")
        self.made: dict[str, Path] = {}

    def make(self, grid: tuple[str, ...], **asked: Any) -> Path:
        source, again = config.load(self.root / "own.toml", ()), asked.pop("again", False)
        wish = sweep.Wish(grid=grid, **{"keep": 2, **asked})
        return sweep.sweep(source, wish, root=self.root, results=self.results, again=again)

    def __getitem__(self, kind: str) -> Path:
        if kind not in self.made:
            self.made[kind] = self.make(GRIDS[kind])
        return self.made[kind]


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> Sweeps:
    return Sweeps(tmp_path_factory.mktemp("sweeps"))


@pytest.fixture(scope="module")
def shown(sweeps: Sweeps, page: Any) -> Callable[[str], Any]:
    return functools.cache(lambda kind: page(sweeps[kind]))


def table_of(run_dir: Path) -> evidence.Trials:
    name = next(name for name in evidence.NAMES if (run_dir / name).exists())
    return evidence.read(name, (run_dir / name).read_bytes())


def by_cell(table: evidence.Trials, key: str, *names: str) -> dict[tuple[Any, ...], list[float]]:
    """The values of a statistic by those parameters, in the order of the trials."""
    found: dict[tuple[Any, ...], list[float]] = {}
    for at, value in enumerate(table.of_stat(key).tolist()):
        asked = table.overrides(at)
        place = tuple(asked.get(f"strategy.params.{name}", asked.get(name)) for name in names)
        found.setdefault(place, []).append(value)
    return found


def on_train(table: evidence.Trials) -> dict[int, float]:
    """The median Sharpe ratio of each length over all train windows."""
    found: dict[int, list[float]] = {}
    for at, part in enumerate(table.part):
        if part == "train":
            found.setdefault(table.params[at]["length"], []).append(float(table.of_stat("sharpe")[at]))
    return {length: float(np.median(values)) for length, values in found.items()}


def data_of(page: Any) -> dict[str, Any]:
    (content,) = re.findall(r'<script type="application/json">(.*?)</script>', page.html, re.DOTALL)
    return dict(json.loads(content))


# --- the search -----------------------------------------------------------------------------------------------------


def test_a_sweep_has_the_sections_of_a_search_before_those_of_the_chosen_trial(shown: Any) -> None:
    assert shown("two").sections[:8] == [*SWEPT, "kept", "statistics"]
    assert "Seal intact" in shown("two").words


def test_a_run_alone_has_none_of_them(runs: Any, page: Any) -> None:
    assert not set(page(runs["usual"]).sections) & {*SWEPT, "kept"}


def test_the_search_says_how_many_trials_there_were_how_many_failed_and_which_was_chosen(
    shown: Any, sweeps: Sweeps
) -> None:
    table = table_of(sweeps["three"])
    words = shown("three").section("search").words
    same = int((table.duplicate_of >= 0).sum())
    assert (len(table), int(table.failed.sum())) == (96, 3)
    assert words.startswith(f"The search 96 trials, 3 failed, {same} duplicates of another's result")
    assert f"Chosen: trial {table.best}, length = " in words
    assert shown("three").rows("What was varied")[1:] == [
        ["length", "5, 6, 7, 8, 9, 10, 11, 12", "8", str(table.params[table.best or 0]["length"])],
        ["level", "0.25, 0.5, 0.75, 1.0", "4", str(table.params[table.best or 0]["level"])],
        ["kind", "both, long, none", "3", str(table.params[table.best or 0]["kind"])],
    ]


def test_the_head_says_that_it_is_the_best_of_many(shown: Any) -> None:
    assert "The best of 96 trials: what was chosen looks better than it is." in shown("three").words


# --- heat map -------------------------------------------------------------------------------------------------------


def test_each_cell_of_two_parameters_is_the_value_of_its_trial(shown: Any, sweeps: Sweeps) -> None:
    cells = by_cell(table_of(sweeps["two"]), "sharpe", "level", "length")
    head, *rows = shown("two").rows("Sharpe ratio by length and level")
    assert head == ["length \\ level", "0.25", "0.5", "0.75", "1.0"]
    assert [row[0] for row in rows] == ["12", "11", "10", "9", "8", "7", "6", "5"]
    for length, *values in rows:
        for level, said in zip((0.25, 0.5, 0.75, 1.0), values, strict=True):
            (value,) = cells[level, int(length)]
            assert said == ("failed" if math.isnan(value) else number(value))
    assert sum(row.count("failed") for row in rows) == 1


def test_a_cell_of_many_trials_shows_their_median_at_first_and_not_their_best(shown: Any, sweeps: Sweeps) -> None:
    found, table = data_of(shown("three")), table_of(sweeps["three"])
    assert found["modes"] == list(MODES)
    names = [name for name, _ in found["axes"]]
    values = dict(found["axes"])
    for pair in found["pairs"]:
        down, across = names[pair["down"]], names[pair["across"]]
        for place, (key, _, sign) in enumerate(found["stats"]):
            cells = by_cell(table, key, down, across)
            for mode, how in (("median", np.nanmedian), ("highest", np.nanmax), ("lowest", np.nanmin)):
                told = pair["values"][place][found["modes"].index(mode)]
                for at, value in enumerate(told):
                    labels = values[down][at // len(values[across])], values[across][at % len(values[across])]
                    (own,) = [ones for cell, ones in cells.items() if tuple(map(str, cell)) == labels]
                    known = [one for one in own if math.isfinite(one)]
                    expected = figure_of(float(how(known)), UNITS[key]) if known else "–"
                    assert shown_as(value, sign) == expected, (down, across, key, mode, labels)


def test_the_slice_of_the_chosen_one_holds_those_trials_alone_that_have_its_other_parameters(
    shown: Any, sweeps: Sweeps
) -> None:
    found, table = data_of(shown("three")), table_of(sweeps["three"])
    kind = table.params[table.best or 0]["kind"]
    (pair,) = [one for one in found["pairs"] if (one["down"], one["across"]) == (0, 1)]
    told = pair["values"][0][found["modes"].index("chosen")]
    cells = by_cell(table, "sharpe", "length", "level", "kind")
    expected = [
        cells[length, level, kind][0] for length in range(5, 13) for level in (0.25, 0.5, 0.75, 1.0)
    ]  # fmt: skip
    assert [shown_as(one, "n") for one in told] == [number(None if math.isnan(one) else one) for one in expected]


def test_the_chosen_trial_and_failed_cells_and_duplicates_are_marked(shown: Any, sweeps: Sweeps) -> None:
    heat, table = shown("two").section("heat").html, table_of(sweeps["two"])
    assert heat.count('class="ring" d="M') == 1
    assert heat.count('<path class="failed"') == 1
    assert "level 0.5, length 9: failed" in heat
    best = table.params[table.best or 0]
    sharpe = number(float(table.of_stat("sharpe")[table.best or 0]))
    assert f"level {best['level']}, length {best['length']}: {sharpe} (chosen)" in heat
    assert re.search(r"duplicates?\)", shown("three").section("heat").html)


def test_a_setting_of_the_config_is_an_axis_by_its_whole_name(shown: Any) -> None:
    assert [name for name, _ in data_of(shown("costs"))["axes"]] == ["length", "execution.fee_bps"]


def test_one_parameter_alone_has_no_map_but_a_plateau(shown: Any) -> None:
    assert "Fewer than two parameters differ" in shown("one").section("heat").words
    assert "The peak is length" in shown("one").section("plateau").words
    assert script("heat") not in shown("one").html


def test_an_axis_of_very_many_values_is_put_together_and_the_page_says_so(shown: Any) -> None:
    found = data_of(shown("long"))
    assert [len(labels) for _, labels in found["axes"]] == [30, 28]
    assert found["axes"][0][1][0] == "1–2"
    assert found["axes"][1][1][-1] == "54"
    assert "of length, shift, values that follow each other are put together" in shown("long").section("heat").words
    assert sum(found["pairs"][0]["count"]) == 60 * 55


# --- plateau and sensitivity ----------------------------------------------------------------------------------------


def test_the_peak_of_the_plateau_is_the_chosen_trial(shown: Any, sweeps: Sweeps) -> None:
    table = table_of(sweeps["two"])
    best = table.params[table.best or 0]
    words = shown("two").section("plateau").words
    sharpe = number(float(table.of_stat("sharpe")[table.best or 0]))
    assert f"The peak is length {best['length']}, level {best['level']}, with Sharpe ratio {sharpe} ." in words


def test_a_random_search_says_that_the_width_can_not_be_told(sweeps: Sweeps, page: Any) -> None:
    made = page(sweeps.make(GRIDS["two"], random=9, seed=3))
    assert "The width of the top can't be told: 9 of " in made.section("plateau").words
    assert made.rows("How much each parameter matters")[0][:2] == ["Parameter", "Share of the variance"]


def test_combinations_that_were_left_out_as_invalid_are_no_holes_in_the_search(sweeps: Sweeps, page: Any) -> None:
    text = (sweeps.root / "own.toml").read_text().replace('entrypoint = "own.py:steps"', 'name = "sma_crossover"')
    (sweeps.root / "averages.toml").write_text(text)
    source = config.load(sweeps.root / "averages.toml", ())
    grid = ("strategy.params.fast=5:20:5", "strategy.params.slow=10:25:5")
    run_dir = sweep.sweep(source, sweep.Wish(grid=grid, keep=0), root=sweeps.root, results=sweeps.results)
    made, table = page(run_dir), table_of(run_dir)
    assert len(table) == 10  # of 16: fast is less than slow
    assert "6 more combinations left out as invalid" in made.section("search").words
    assert "of 10 (" in made.section("plateau").words or "of 10: no neighbour" in made.section("plateau").words
    assert made.section("heat").html.count("not tried</title>") == 6
    assert [row.count("not tried") for row in made.rows("Sharpe ratio by fast and slow")[1:]] == [3, 2, 1, 0]
    best = table.params[table.best or 0]
    assert f"sma_crossover (fast = {best['fast']}, slow = {best['slow']}" in made.words


def test_the_share_of_a_parameter_is_that_of_the_variance_of_all_trials(shown: Any, sweeps: Sweeps) -> None:
    table = table_of(sweeps["costs"])
    values = table.of_stat("sharpe")
    for name in ("length", "execution.fee_bps"):
        groups = [np.array(one) for one in by_cell(table, "sharpe", name).values()]
        share = (
            sum(len(one) * (one.mean() - values.mean()) ** 2 for one in groups) / ((values - values.mean()) ** 2).sum()
        )
        (row,) = [row for row in shown("costs").rows("How much each parameter matters") if row[0] == name]
        assert row[1] == percent(float(share), 1)


# --- distribution, luck and trials ----------------------------------------------------------------------------------


def test_the_hurdle_is_that_of_luck_and_trials_above_it_are_counted(sweeps: Sweeps, page: Any) -> None:
    from peak_trade.evidence.results import Results

    run_dir = sweeps["two"]
    luck = assess.assess(Handed(run_dir, Results(sweeps.results)), thorough=False)
    hurdle, table = luck.figures["hurdle"], table_of(run_dir)
    assert hurdle is not None
    assert luck.family is not None
    ratios = table.of_stat("sharpe")[table.duplicate_of < 0]
    words = page(run_dir).section("distribution").words
    assert f"The best of {luck.family.trials:,} trials without any skill is to be expected at {number(hurdle)}" in words
    assert f": {int((ratios > hurdle).sum())} of these lie above that." in words
    assert f"{int(np.isfinite(ratios).sum())} different results" in words


def test_each_number_of_the_tables_of_trials_is_that_of_the_sealed_table(shown: Any, sweeps: Sweeps) -> None:
    for kind in ("two", "three", "long"):
        table = table_of(sweeps[kind])
        section = shown(kind).section("trials")
        cells = re.findall(r'data-trial="(\d+)" data-stat="(\w+)" data-value="([^"]*)">([^<]*)<', section.html)
        assert len(cells) >= 4 * 8
        for at, key, value, said in cells:
            own = float(table.of_stat(key)[int(at)])
            assert (value, said) == (repr(own), figure_of(own, UNITS[key]))


def test_the_best_come_first_each_result_once_and_then_the_worst(shown: Any, sweeps: Sweeps) -> None:
    table = table_of(sweeps["long"])
    ratios = np.where(table.duplicate_of < 0, table.of_stat("sharpe"), np.nan)
    order = np.argsort(-ratios, kind="stable")[: np.isfinite(ratios).sum()]
    best = [row[0].replace(",", "").removesuffix(" chosen") for row in shown("long").rows("Best trials")[1:]]
    worst = [row[0].replace(",", "") for row in shown("long").rows("Worst trials")[1:]]
    assert best == [str(one) for one in order[:50]]
    assert worst == [str(one) for one in order[:-11:-1]]


def test_failed_trials_are_grouped_by_their_reason(shown: Any) -> None:
    head, *rows = shown("three").rows("Trials that failed")
    assert head == ["Trials", "Reason", "First", "Asked for"]
    assert rows == [
        ["3", "the strategy raised ValueError: nine by a half", "51", "length = 9, level = 0.5, kind = both"]
    ]


def test_the_worst_is_chosen_last_where_less_is_asked_for(sweeps: Sweeps, page: Any) -> None:
    run_dir = sweeps.make(GRIDS["two"], minimize="volatility")
    made, table = page(run_dir), table_of(run_dir)
    assert "chosen for the lowest Volatility" in made.section("search").words
    lowest = float(np.nanmin(table.of_stat("volatility")))
    assert f"with Volatility {percent(lowest)}" in made.section("plateau").words
    assert made.rows("Best trials")[1][3] == percent(lowest)


# --- kept runs ------------------------------------------------------------------------------------------------------


def test_a_sweep_and_the_runs_that_were_kept_of_it_link_to_each_other(sweeps: Sweeps, page: Any) -> None:
    parent, table = sweeps["two"], table_of(sweeps["two"])
    kept = json.loads((parent / "manifest.json").read_text())["predicate"]["runDetails"]["metadata"]["kept"]
    assert len(kept) == 2
    rows = page(parent).rows("Kept runs")[1:]
    assert {row[0]: row[1] for row in rows} == {at: run_id[:8] for at, run_id in kept.items()}
    assert rows[0][0] == str(table.best)
    run_id = kept[str(table.best)]
    assert f'<a href="../../{run_id}/"><code>{run_id[:8]}</code></a>' in page(parent).section("trials").html
    head = page(sweeps.results / run_id)
    assert f"Trial {table.best} of the sweep {parent.name[:8]} ." in head.words
    assert f'<a href="../../{parent.name}/' in head.html
    assert "search" not in head.sections


def test_kept_runs_are_linked_where_they_are_there(sweeps: Sweeps, page: Any, runs: Any, tmp_path: Path) -> None:
    import shutil

    parent = tmp_path / sweeps["two"].name
    shutil.copytree(sweeps["two"], parent)
    there, gone = "11111111-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "22222222-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
    (tmp_path / there).mkdir()
    (tmp_path / there / "manifest.json").write_text("{}")
    path = parent / "manifest.json"
    path.chmod(0o644)
    sealed = json.loads(path.read_text())
    best = table_of(parent).best
    sealed["predicate"]["runDetails"]["metadata"]["kept"] = {
        str(best): there, "3": gone, "x": there, "5": "../../etc/passwd", "6": 7,
    }  # fmt: skip
    path.write_text(json.dumps(sealed))
    section = page(parent).section("kept")
    assert f'<a href="../../{there}/"><code>11111111</code></a>' in section.html
    assert "<code>22222222</code>" in section.html
    assert gone not in section.html
    assert "etc" not in section.html
    (tmp_path / there / "report").mkdir()
    (tmp_path / there / "report" / "backtest_report.html").write_text("")
    assert f'<a href="../../{there}/report/backtest_report.html">' in page(parent).section("kept").html


# --- walk-forward and cross-validation ------------------------------------------------------------------------------

FOLDS = """fold,train_start,train_end,test_start,test_end,train_bars,test_bars,complete,train_trial,test_trial,params,\
settings,train,test,degradation,train_return,test_return,trades
0,2023-11-20T00:00:00Z,2023-11-29T23:00:00Z,2023-11-30T00:00:00Z,2023-12-04T23:00:00Z,240,120,true,3,32,\
"{""length"":5}",{},1.2345,0.5,0.7345,0.1,0.0234,7
1,2023-11-25T00:00:00Z,2023-12-04T23:00:00Z,2023-12-05T00:00:00Z,2023-12-09T23:00:00Z,240,120,true,4,33,\
"{""length"":7}",{},2.0,-1.5,3.5,0.2,-0.05,4
2,2023-11-30T00:00:00Z,2023-12-09T23:00:00Z,2023-12-10T00:00:00Z,2023-12-14T23:00:00Z,240,120,false,,,,,,,,,,
"""
WALKED = {"train_mean": 1.61725, "test_mean": -0.5, "degradation": 2.11725, "above_zero": 0.5, "flat": [2],
          "rank_correlation": -1.0, "efficiency": None, "incomplete": [2]}  # fmt: skip
_ENDS = ("train_start", "train_end", "test_start", "test_end")
PATHS = """path,chosen,splits,sharpe,total_return,cagr,volatility,max_drawdown,trades,final_equity
0,false,0 0 1,-0.25,-0.1,-0.2,0.1,-0.3,12,9000
1,true,1 2 2,0.75,0.2,0.3,0.1,-0.2,9,12000
"""
SPLITS = """split,tested,combination,params,settings,train,test,degradation
0,0 1,2,"{""length"":5}",{},1.5,0.25,1.25
1,0 2,,,,,,
2,1 2,1,"{""length"":9}",{},1.0,1.5,-0.5
"""
CROSSED = {"sharpe": {"least": -0.25, "median": 0.25, "most": 0.75, "above_zero": 0.5}, "train_mean": 1.25,
           "test_mean": 0.875, "degradation": 0.375, "overfitting": {"probability": 0.3125}, "flat": [1]}  # fmt: skip


@pytest.fixture
def folded(sweeps: Sweeps, tmp_path: Path) -> Callable[..., Path]:
    """A parent with further files, as one that says so: its seal is broken, and the page is made all the same."""
    import shutil

    def made(results: dict[str, Any], **files: str) -> Path:
        parent = tmp_path / sweeps["two"].name
        shutil.copytree(sweeps["two"], parent)
        path = parent / "manifest.json"
        path.chmod(0o644)
        sealed = json.loads(path.read_text())
        for name, content in files.items():
            (parent / f"{name}.csv").write_text(content, encoding="utf-8")
            sealed["subject"].append({"name": f"{name}.csv", "digest": {"sha256": "0" * 64}})
        sealed["predicate"]["results"] |= results
        path.write_text(json.dumps(sealed))
        return parent

    return made


def test_each_fold_has_a_row_with_its_choice_on_train_and_on_test_bars(folded: Any, page: Any) -> None:
    made = page(folded({"walk_forward": WALKED}, folds=FOLDS))
    head, *rows = made.rows("Folds")
    assert head[4:] == ["Sharpe ratio, train", "… test", "Lost", "Test return", "Trades"]
    assert rows == [
        [
            "0",
            "2023-11-20 – 2023-11-29",
            "2023-11-30 – 2023-12-04",
            "length = 5",
            "1.23",
            "0.50",
            "0.73",
            "2.34 %",
            "7",
        ],
        [
            "1",
            "2023-11-25 – 2023-12-04",
            "2023-12-05 – 2023-12-09",
            "length = 7",
            "2.00",
            "−1.50",
            "3.50",
            "−5.00 %",
            "4",
        ],
        ["2", "2023-11-30 – 2023-12-09", "2023-12-10 – 2023-12-14", "nothing", "–", "–", "–", "–", "–"],
    ]
    words = made.section("folds").words
    assert "a Sharpe ratio of 1.62 where they were chosen and −0.50 after that: 2.12 is lost." in words
    assert "50 % of the tests earned something." in words
    assert "In 1 of them nothing could be traded. In 1 of them the bars end before the test does." in words
    assert "out of sample" in made.words


def test_folds_stand_on_the_time_axis_where_their_bars_are(folded: Any, page: Any) -> None:
    html = page(folded({"walk_forward": WALKED}, folds=FOLDS)).section("folds").html
    (train,) = re.findall(r'<path class="train" d="([^"]*)"', html)
    (test,) = re.findall(r'<path class="test" d="([^"]*)"', html)
    hours = 899  # from the first train bar to the last of the account, which is longer here than the tests
    assert re.findall(r"M(\d+) \d+h(\d+)", train) == [
        (str(round(10_000 * start / hours)), str(round(10_000 * (start + 239) / hours) - round(10_000 * start / hours)))
        for start in (0, 120, 240)
    ]
    assert [int(x) for x, _ in re.findall(r"M(\d+) \d+h(\d+)", test)] == [
        round(10_000 * start / hours) for start in (240, 360, 480)
    ]


def test_the_account_of_all_tests_stands_under_the_folds_by_the_same_time(sweeps: Sweeps, page: Any) -> None:
    run_dir = sweeps.make(GRIDS["one"], walk_forward=("train=300bars", "test=150bars"))
    rows = list(csv.DictReader((run_dir / "folds.csv").read_text().splitlines()))
    equity = list(csv.DictReader((run_dir / "equity.csv").read_text().splitlines()))
    html = page(run_dir).section("folds").html
    hours = [np.datetime64(row[key].removesuffix("Z"), "h").astype(int) for row in rows for key in _ENDS]
    first, last = min(hours), max(hours)
    assert last == np.datetime64(equity[-1]["timestamp"].removesuffix("Z"), "h").astype(int)
    (spans,) = re.findall(r'<path class="fold-span" d="([^"]*)"', html)
    starts = [round((test - first) / (last - first) * 10_000) for test in hours[2::4]]
    found = [(int(x), int(x) + int(width)) for x, width in re.findall(r"M(\d+) 0h(\d+)", spans)]
    assert found == list(zip(starts[1::2], [*starts[2::2], 10_000][: len(found)], strict=True))
    (told,) = re.findall(r'class="values">(.*?)</script>', html)
    fold, account = json.loads(told)["columns"]
    seconds = np.cumsum(json.loads(told)["t"])
    assert (seconds[0], seconds[-1]) == (first * 3600, last * 3600)
    assert (fold["label"], fold["v"][0]) == ("Fold", None), "nothing is tested in the first train bars"
    assert sum(one or 0 for one in fold["v"]) == len(rows) - 1
    assert sum(one or 0 for one in account["v"]) == round(float(equity[-1]["equity"]) * 100)


def test_each_path_has_a_row_and_overfitting_is_told(folded: Any, page: Any) -> None:
    made = page(folded({"cpcv": CROSSED}, paths=PATHS, splits=SPLITS))
    assert made.rows("Paths")[1:] == [
        ["0", "−0.25", "−10.00 %", "−20.00 %", "−30.00 %", "12", "0 0 1"],
        ["1 the result", "0.75", "20.00 %", "30.00 %", "−20.00 %", "9", "1 2 2"],
    ]
    assert made.rows("Splits")[1:] == [
        ["0", "0 1", "length = 5", "1.50", "0.25", "1.25"],
        ["1", "0 2", "nothing", "–", "–", "–"],
        ["2", "1 2", "length = 9", "1.00", "1.50", "−0.50"],
    ]
    words = made.section("paths").words
    assert "Sharpe ratios from −0.25 to 0.75, half of them below 0.25; 50 % are above zero." in words
    assert "The probability that the choice is overfitted is 31.25 %." in words


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("fold,train\n0,1\n", "folds.csv has no column 'train_start'"),
        (FOLDS.replace("2023-11-20T00:00:00Z", "<script>"), "is no time"),
        (FOLDS + "3,x\n", "one of another length"),
        (FOLDS.splitlines()[0] + "\n", "There is no fold."),
        ('"', "folds.csv"),
    ],
)
def test_a_table_of_folds_that_is_none_is_said_to_be_none(content: str, said: str, folded: Any, page: Any) -> None:
    section = page(folded({"walk_forward": {"flat": 3, "train_mean": "x"}}, folds=content)).section("folds")
    assert said in section.words
    assert "<script>" not in section.html


def test_a_walk_forward_shows_its_own_folds_and_account(sweeps: Sweeps, page: Any) -> None:
    run_dir = sweeps.make(GRIDS["one"], walk_forward=("train=300bars", "test=150bars"))
    made, rows = page(run_dir), list(csv.DictReader((run_dir / "folds.csv").read_text().splitlines()))
    assert made.sections[:3] == ["search", "folds", "heat"]
    assert "Seal intact" in made.words
    assert "and traded on others: out of sample." in made.words
    assert [row[4:7] for row in made.rows("Folds")[1:]] == [
        [number(float(row[key])) for key in ("train", "test", "degradation")] for row in rows
    ]
    told = json.loads((run_dir / "stats.json").read_text())
    assert f"The result, out of sample, has {number(told['sharpe'])}." in made.section("distribution").words
    assert f"with Sharpe ratio {number(max(on_train(table_of(run_dir)).values()))} ." in made.section("plateau").words


def test_a_cross_validation_shows_its_own_paths(sweeps: Sweeps, page: Any) -> None:
    run_dir = sweeps.make(GRIDS["one"], cpcv="4,2")
    made, rows = page(run_dir), list(csv.DictReader((run_dir / "paths.csv").read_text().splitlines()))
    assert made.sections[:3] == ["search", "paths", "heat"]
    assert "Seal intact" in made.words
    assert len(rows) == 3
    assert [row[1] for row in made.rows("Paths")[1:]] == [number(float(row["sharpe"])) for row in rows]
    told = json.loads((run_dir / "manifest.json").read_text())["predicate"]["results"]["cpcv"]
    chance = percent(told["overfitting"]["probability"])
    assert f"The probability that the choice is overfitted is {chance}." in made.section("paths").words


# --- strangers, size and rendering ----------------------------------------------------------------------------------


def test_what_a_parameter_says_is_no_markup(shown: Any, sweeps: Sweeps) -> None:
    html = shown("hostile").html
    assert "<script>alert" not in html
    assert "<script" not in without_ours(html)
    assert "{{<" not in html
    labels = dict(data_of(shown("hostile"))["axes"])["kind"]
    assert labels[1] == "<script>alert(1)</script>"


def test_no_line_of_a_section_would_end_its_block_of_markup(sweeps: Sweeps) -> None:
    from peak_trade.report.page import open_page

    made = open_page(str(sweeps["hostile"]), results=sweeps.results)
    for name in SWEPT:
        shown = made.section(name)
        assert shown is not None
        first, *inside, last = shown.content.rstrip("\n").split("\n")
        assert (first, last) == ("```{=html}", "```")
        assert all(line.strip() and not line.lstrip().startswith("```") for line in inside)


def test_the_statistics_of_the_map_are_labelled_as_elsewhere(shown: Any) -> None:
    for key, label, _ in data_of(shown("two"))["stats"]:
        assert label == label_of(key)


@pytest.fixture
def told(sweeps: Sweeps, tmp_path: Path) -> Callable[..., Path]:
    """A parent whose table is another: its seal is broken, and the page is made all the same."""
    import shutil

    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")

    def made(params: list[dict[str, Any]], ratios: Any, **columns: Any) -> Path:
        parent = tmp_path / sweeps["two"].name
        shutil.copytree(sweeps["two"], parent)
        small, count = pq.read_table(parent / "trials.parquet"), len(params)
        known = np.isfinite(ratios)
        best = int(np.argmax(np.where(known, ratios, -np.inf)))
        given: dict[str, Any] = {
            "index": np.arange(count), "chosen": np.arange(count) == best, "settings": ["{}"] * count,
            "params": [json.dumps(one) for one in params], "part": [""] * count, "seed": np.zeros(count, int),
            "sharpe": [float(one) if has else None for one, has in zip(ratios, known, strict=True)],
            "status": ["done" if has else "failed" for has in known], "error": ["" if has else "no" for has in known],
            "fold": [None] * count, "duplicate_of": [None] * count,
            "equity_digest": ["0" * 64] * count, "trades_digest": ["0" * 64] * count,
        } | columns  # fmt: skip
        others = np.random.default_rng(7).normal(size=count)
        path, manifest = parent / "trials.parquet", parent / "manifest.json"
        for each in (path, manifest):
            each.chmod(0o644)
        arrays = [pa.array(given.get(field.name, others), field.type) for field in small.schema]
        pq.write_table(pa.table(arrays, schema=small.schema), path)
        sealed = json.loads(manifest.read_text())
        (receipt,) = [one for one in sealed["predicate"]["receipts"] if one.get("part") == "evidence"]
        receipt["bytes"] = 1 << 30
        sealed["predicate"]["buildDefinition"]["externalParameters"]["sweep"]["grid"] = {}
        manifest.write_text(json.dumps(sealed))
        return parent

    return made


def grid_of(rows: Any) -> tuple[list[dict[str, Any]], Any]:
    """Trials of a grid, from its first row on: `up` 10, 20, 30, … and `across` 1, 2, 3, …"""
    found = np.array(rows, float)
    params = [{"up": 10 * (up + 1), "across": across + 1} for up, across in np.ndindex(found.shape)]
    return params, found.ravel()


def test_a_peak_that_stands_alone_is_said_to(told: Any, page: Any) -> None:
    made = page(told(*grid_of([[0.2, 0.1, 0.3], [0.25, 1.0, 0.25], [0.1, 0.2, 0.1]])))
    words = made.section("plateau").words
    assert "The peak is up 20, across 2, with Sharpe ratio 1.00 ." in words
    assert "The peak stands alone : its 4 neighbours show 0.20 on average." in words  # (0.1 + 0.25 + 0.25 + 0.2) / 4
    assert "The plateau is 1 combination of 9: no neighbour is at least 0.80." in words


def test_the_width_of_a_plateau_is_told_in_the_unit_of_each_parameter(told: Any, page: Any) -> None:
    nan = math.nan
    made = page(told(*grid_of([[0.9, 0.9, 0.1, 0.1], [0.1, 0.9, 0.9, nan], [0.1, 0.1, 1.0, 0.9]])))
    words = made.section("plateau").words
    assert "Its 3 direct neighbours show 0.63 on average." in words  # (0.9 + 0.1 + 0.9) / 3
    assert "6 combinations of 12 (50.0 %) are at least 0.80 around it, half of them at least 0.90." in words
    assert "It reaches the edge of what was tried in up (10), up (30), across (1), across (4)" in words
    assert made.rows("The plateau") == [
        ["Parameter", "Plateau", "Wide", "… others as at the peak", "Tried"],
        ["up", "10–30", "20", "20–30", "10–30"],
        ["across", "1–4", "3", "3–4", "1–4"],
    ]
    (edge,) = re.findall(r'<path class="edge" d="([^"]*)"', made.html)
    assert len(re.findall("M", edge)) == 14  # six cells in a staircase have fourteen sides outside


def test_what_each_parameter_explains_adds_up_where_they_do_not_act_together(told: Any, page: Any) -> None:
    made = page(told(*grid_of([[1.0, 2.0, 6.0], [3.0, 4.0, 8.0]])))
    assert made.rows("How much each parameter matters")[1:] == [
        ["across", "82.4 %", "2.00 1", "7.00 3"],  # 28 / 34, see tests/stats/test_effects.py
        ["up", "17.6 %", "2.00 10", "4.00 20"],
    ]
    assert "Each for itself, they explain 100.0 %" in made.section("sensitivity").words


def test_numbers_that_nobody_typed_are_shortened_on_an_axis(told: Any, page: Any) -> None:
    drawn = [0.123456789012, 2.0912408331182766, 7.5]
    made = page(told([{"x": one, "y": y} for one in drawn for y in (1, 2)], [0.1, 0.2, 0.3, 0.4, 0.5, 0.2]))
    assert dict(data_of(made)["axes"])["x"] == ["0.1235", "2.091", "7.5"]
    assert "x = 7.5, y = 1" in made.section("search").words
    assert made.rows("Best trials")[2][1] == "2.091"


@pytest.mark.parametrize("worst", [1e300, -1e300, 1e12])
def test_a_figure_of_any_size_is_drawn_or_left_out(worst: float, told: Any, page: Any) -> None:
    made = page(told(*grid_of([[0.2, worst, 0.3], [0.25, 1.0, math.nan]])))
    for name in SWEPT:
        if name != "distribution":  # luck does not answer where the seal is broken
            assert 'class="error"' not in made.section(name).html


def test_thousands_of_values_without_an_order_stay_few(told: Any, page: Any) -> None:
    params = [{"kind": f"<i>{at}</i>", "level": level} for at in range(3000) for level in (1, 2)]
    made = page(told(params, np.random.default_rng(3).normal(size=6000)))
    assert len(made.html) < 1_000_000
    assert "<i>" not in re.sub(r"<i class=\"c\\d\">", "", made.html)
    kinds = dict(data_of(made)["axes"])["kind"]
    assert (len(kinds), kinds[-1]) == (40, "2,961 others")


def test_a_parameter_that_some_trials_lack_has_no_plateau_and_the_page_holds(told: Any, page: Any) -> None:
    made = page(told([{"a": 1}, {"a": 2}, {"a": 1, "b": 3}, {"a": 2, "b": 4}], [0.1, 0.2, 0.3, 0.4]))
    assert "The width of the top can't be told" in made.section("plateau").words
    assert sum(data_of(made)["pairs"][0]["count"]) == 2


def test_a_statistic_that_no_trial_has_can_not_be_chosen_for_the_map(told: Any, page: Any) -> None:
    params, ratios = grid_of([[1.0, 2.0], [3.0, 4.0]])
    made = data_of(page(told(params, ratios, exposure=[None] * 4)))
    keys = [key for key, *_ in made["stats"]]
    assert keys[0] == "sharpe"
    assert "exposure" not in keys
    assert "trades" in keys


def test_a_table_in_csv_makes_the_same_page(sweeps: Sweeps, page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    expected = page(sweeps["two"])
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    run_dir = sweeps.make(GRIDS["two"], again=True)
    assert (run_dir / "trials.csv").exists()
    assert run_dir != sweeps["two"]
    made = page(run_dir)
    assert 'href="../trials.csv"' in made.section("search").html
    for name in ("heat", "plateau", "sensitivity"):
        assert made.section(name).html == expected.section(name).html


def test_a_hundred_thousand_trials_make_a_page_of_less_than_five_megabytes(told: Any, page: Any) -> None:
    rng, count, at = np.random.default_rng(7), 100_000, np.arange(100_000)
    axes = {"fast": at % 1000, "slow": at // 1000 % 10, "wide": at // 10_000 % 5, "flag": at // 50_000}
    params = [{key: int(axis[one]) for key, axis in axes.items()} for one in range(count)]
    made = page(told(params, np.sin(axes["fast"] / 100) + rng.normal(size=count)))
    assert len(made.html) < 5_000_000
    assert "100,000 trials" in made.section("search").words
    assert "The plateau is 1 combination of 100,000" in made.section("plateau").words
    assert len(made.rows("Best trials")) == 51
    assert "99,940 trials between these" in made.section("trials").words
    found = data_of(made)
    assert all(len(labels) <= 40 for _, labels in found["axes"])
    assert {sum(pair["count"]) for pair in found["pairs"]} == {count}


# --- in a browser ---------------------------------------------------------------------------------------------------

CHOOSE = """
(choices => {
  for (const [name, value] of Object.entries(choices)) {
    const select = document.querySelector(`[data-choice=${name}]`);
    select.value = value;
    select.dispatchEvent(new Event("change"));
  }
})"""
REDRAWN = """
(() => {
  const seen = () => ["drawn", "numbers", "colours"].map(name => document.querySelector(`.heatmap .${name}`));
  const before = seen().map(each => each.cloneNode(true));
  document.querySelector("[data-choice=stat]").dispatchEvent(new Event("change"));
  return seen().map((each, at) => each.isEqualNode(before[at]));
})()
"""
CELLS = (
    "[...document.querySelectorAll('.heatmap .numbers tr')].map(row => [...row.cells].map(cell => cell.textContent))"
)
TITLES = "[...document.querySelectorAll('.heatmap rect title')].map(each => each.textContent)"


@pytest.fixture(scope="module")
def made(sweeps: Sweeps, builtin: Any) -> Callable[[str], Path]:
    from peak_trade.report import render

    kept: dict[str, Path] = {}

    def of(kind: str) -> Path:
        if kind not in kept:
            kept[kind] = render.render(sweeps[kind], builtin).html
        return kept[kind]

    return of


@pytest.mark.parametrize("kind", ["two", "three", "hostile", "long"])
def test_the_script_draws_first_what_was_there_without_it(kind: str, browser: Any, made: Any) -> None:
    browser.open(made(kind))
    assert browser.complaints == []
    assert browser.requests == [made(kind).as_uri()]
    assert browser.ask(REDRAWN) == [True, True, True]
    assert browser.complaints == []


def test_another_statistic_two_others_axes_and_another_mode_show_the_sealed_numbers(
    browser: Any, made: Any, sweeps: Sweeps
) -> None:
    browser.open(made("three"))
    assert browser.ask("document.querySelector('.choices').hidden") is False
    stats = browser.ask("[...document.querySelector('[data-choice=stat]').options].map(each => each.text)")
    names = ["length", "level", "kind"]
    table = table_of(sweeps["three"])
    for key, down, across, mode in (
        ("total_return", 2, 0, "highest"), ("trades", 0, 2, "lowest"), ("max_drawdown", 1, 0, "median"),
    ):  # fmt: skip
        asked = {"stat": stats.index(label_of(key)), "down": down, "across": across, "mode": list(MODES).index(mode)}
        browser.ask(f"{CHOOSE}({json.dumps(asked)})")
        head, *rows = browser.ask(CELLS)
        assert head[0] == f"{names[down]} \\ {names[across]}"
        how: Any = {"highest": np.nanmax, "lowest": np.nanmin, "median": np.nanmedian}[mode]
        cells = by_cell(table, key, names[down], names[across])
        told = {(row[0], label): said for row in rows for label, said in zip(head[1:], row[1:], strict=True)}
        known = {place: [one for one in values if math.isfinite(one)] for place, values in cells.items()}
        expected = {
            (str(one), str(other)): figure_of(float(how(values)), UNITS[key]) if values else "failed"
            for (one, other), values in known.items()
        }
        assert told == expected
        assert len(browser.ask(TITLES)) == len(cells)


def test_the_same_axis_twice_is_not_drawn(browser: Any, made: Any) -> None:
    browser.open(made("three"))
    browser.ask(f"{CHOOSE}({json.dumps({'down': 1, 'across': 1})})")
    down, across = (browser.ask(f"document.querySelector('[data-choice={one}]').value") for one in ("down", "across"))
    assert down != across
    assert browser.complaints == []


def test_a_script_of_another_does_not_run_in_the_page(browser: Any, made: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(made("two").read_text().replace("</main>", "<script>document.title = 'taken'</script></main>"))
    browser.open(page)
    assert browser.ask("document.title") != "taken"
    assert browser.ask("document.querySelector('.choices').hidden") is False
    assert browser.complaints


@pytest.mark.parametrize("width", [360, 400, 768, 1200])
@pytest.mark.parametrize("kind", ["three", "hostile", "long"])
def test_nothing_is_wider_than_the_screen(width: int, kind: str, browser: Any, made: Any) -> None:
    browser.open(made(kind), width=width)
    assert browser.ask("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_number_in_a_cell_can_be_read_on_its_colour(scheme: str, browser: Any, made: Any) -> None:
    browser.open(made("two"), scheme=scheme, width=1200)
    contrast = browser.ask(
        """(() => {
          const light = (colour) => {
            const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(Number)
              .map(each => each / 255).map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          return [...document.querySelectorAll('svg.heat text.cell')].map(each => {
            const step = each.getAttribute('class').match(/t(\\d)/)[1];
            const one = light(getComputedStyle(each).fill);
            const other = light(getComputedStyle(document.querySelector(`.colours .c${step}`)).backgroundColor);
            return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
          });
        })()"""
    )
    assert len(contrast) == 31
    assert min(contrast) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_steps_of_the_scale_are_equally_far_apart_for_the_eye(scheme: str, browser: Any, made: Any) -> None:
    browser.open(made("two"), scheme=scheme)
    colours = browser.ask(
        "[...document.querySelectorAll('.colours i')].map(each => getComputedStyle(each).backgroundColor)"
    )
    lightness = []
    for colour in colours:
        rgb = np.array([int(one) / 255 for one in re.findall(r"\d+", colour)[:3]])
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        cones = np.cbrt(np.array([
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]) @ linear)  # fmt: skip
        lightness.append(float(np.array([0.2104542553, 0.7936177850, -0.0040720468]) @ cones))  # L of OKLab
    steps = np.diff(lightness)
    assert len(colours) == 9
    assert np.abs(steps).min() > 0.075
    assert np.ptp(steps) < 0.01
