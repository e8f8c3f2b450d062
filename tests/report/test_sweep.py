"""The report of a sweep: its numbers are those of the sealed table, and what flatters is said to do so."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peak_trade import config, sweep
from peak_trade.evidence import trials as evidence
from peak_trade.report.head import label_of
from peak_trade.report.heat import MODES, shown_as
from peak_trade.report.inline import script as heat_script
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
    "hostile": ("strategy.params.length=5:8:1", """strategy.params.kind="both","<script>alert(1)</script>","```{{< x >}}" """),
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
        source = config.load(self.root / "own.toml", ())
        return sweep.sweep(source, sweep.Wish(grid=grid, **asked), root=self.root, results=self.results)

    def __getitem__(self, kind: str) -> Path:
        if kind not in self.made:
            self.made[kind] = self.make(GRIDS[kind])
        return self.made[kind]


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> Sweeps:
    return Sweeps(tmp_path_factory.mktemp("sweeps"))


@pytest.fixture(scope="module")
def shown(sweeps: Sweeps, page: Any) -> Callable[[str], Any]:
    made: dict[str, Any] = {}
    return lambda kind: made.setdefault(kind, None) or made.__setitem__(kind, page(sweeps[kind])) or made[kind]


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


def data_of(page: Any) -> dict[str, Any]:
    (content,) = re.findall(r'<script type="application/json">(.*?)</script>', page.html, re.DOTALL)
    return dict(json.loads(content))


# --- the search -----------------------------------------------------------------------------------------------------


def test_a_sweep_has_the_sections_of_a_search_before_those_of_the_chosen_trial(shown: Any) -> None:
    assert shown("two").sections[:7] == [*SWEPT, "statistics"]
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
            assert said == ("failed" if value != value else number(value))
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
                    known = [one for one in own if one == one]
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
    assert [shown_as(one, "n") for one in told] == [number(None if one != one else one) for one in expected]


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
    assert heat_script() not in shown("one").html


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


def test_kept_runs_are_linked_where_they_are_there(sweeps: Sweeps, page: Any, runs: Any, tmp_path: Path) -> None:
    import shutil

    parent = tmp_path / sweeps["two"].name
    shutil.copytree(sweeps["two"], parent)
    there, gone = "11111111-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "22222222-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
    (tmp_path / there).mkdir()
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


# --- strangers, size and rendering ----------------------------------------------------------------------------------


def test_what_a_parameter_says_is_no_markup(shown: Any, sweeps: Sweeps) -> None:
    html = shown("hostile").html
    assert "<script>alert" not in html
    assert html.count("<script") == 2
    assert "{{<" not in html
    labels = dict(data_of(shown("hostile"))["axes"])["kind"]
    assert labels[1] == "<script>alert(1)</script>"


def test_the_statistics_of_the_map_are_labelled_as_elsewhere(shown: Any) -> None:
    for key, label, _ in data_of(shown("two"))["stats"]:
        assert label == label_of(key)


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
CELLS = "[...document.querySelectorAll('.heatmap .numbers tr')].map(row => [...row.cells].map(cell => cell.textContent))"
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
        how = {"highest": np.nanmax, "lowest": np.nanmin, "median": np.nanmedian}[mode]
        cells = by_cell(table, key, names[down], names[across])
        told = {(row[0], label): said for row in rows for label, said in zip(head[1:], row[1:], strict=True)}
        known = {place: [one for one in values if one == one] for place, values in cells.items()}
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
