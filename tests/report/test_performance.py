"""The equity figure with its shaded drawdowns, and what ties a run to its benchmark over a moving window."""

from __future__ import annotations

import csv
import itertools
import json
import re
import statistics
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.record.portfolio import recorded, result
from tests.report.conftest import Html, bars_csv, toml

from peak_trade.report import performance
from peak_trade.report.page import Page


def read(path: Path) -> dict[datetime, float]:
    """The equity of a run's file by its times, without the package."""
    rows = csv.DictReader(path.read_text().splitlines())
    return {datetime.fromisoformat(row["timestamp"]): float(row["equity"]) for row in rows}


def shaded(html: str) -> list[tuple[int, int]]:
    """From where to where areas are drawn, in ten thousandths of the time axis, each as high as its panel."""
    paths = re.findall(r'<path class="span" d="([^"]*)"', html)
    assert len(paths) < 2
    found = []
    for x, y, steps in re.findall(r"M(\d+) (\d+)l([-\d ]*)z", "".join(paths)):
        numbers = list(map(int, steps.split()))
        wide = sum(numbers[::2])
        across = [0, wide, 0] if wide else [0, 0]  # what is shorter than a ten thousandth is a line
        assert y == "10000" and numbers[::2] == across
        assert numbers[1::2] == ([-10000, 0, 10000] if wide else [-10000, 10000])
        found.append((int(x), int(x) + wide))
    return found


def values(html: str) -> list[dict[str, Any]]:
    """What the figures of a section hold for the script: of each the times, and the values by their labels."""
    found = []
    for content in re.findall(r'<script type="application/json" class="values">(.*?)</script>', html):
        told = json.loads(content)
        made: dict[str, Any] = {"t": list(itertools.accumulate(told["t"]))}
        for column in told["columns"]:
            sums = itertools.accumulate(step or 0 for step in column["v"])
            made[column["label"]] = [
                None if step is None else total / 10 ** column["digits"]
                for step, total in zip(column["v"], sums, strict=True)
            ]
        found.append(made)
    return found


def made_of(stamps: Any, equity: Any, benchmark: Any) -> Any:
    """What stands for a run of these columns, 252 bars of it a year."""
    marked = np.array(equity, np.float64)
    return SimpleNamespace(
        equity={"timestamp": stamps, "equity": marked}, returns=np.diff(marked) / marked[:-1],
        benchmark=None if benchmark is None else {"timestamp": stamps, "equity": np.array(benchmark)},
        benchmark_name="Buy and hold", benchmark_inside="buy and hold", config={}, stats={"periods_per_year": 252.0},
    )  # fmt: skip


def walk(seed: int, count: int, spread: float = 0.01) -> np.ndarray:
    return 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0.0, spread, count)))


def daily(count: int) -> np.ndarray:
    return (np.datetime64("2020-01-01") + np.arange(count)).astype("M8[ns]")


# --- drawdowns on the equity ------------------------------------------------------------------------------------------


def test_the_deepest_five_drawdowns_are_shaded_from_peak_to_recovery() -> None:
    """Eleven bars, 0 to 10: under water at 1; at 3 to 4; at 6; at 8 to the end."""
    equity = [100.0, 90, 100, 80, 90, 110, 99, 110, 60, 70, 80]
    stamps = daily(11)
    depth = np.array(equity) / np.maximum.accumulate(equity) - 1
    run = made_of(stamps, equity, None)
    run.equity["drawdown"] = depth
    run.ours = True
    run.stats |= {"initial_equity": 100.0, "final_equity": 80.0, "total_return": -0.2, "max_drawdown": -0.4545}
    html = performance.equity(run)
    assert sorted(shaded(html)) == [(0, 2000), (2000, 5000), (5000, 7000), (7000, 10000)]
    assert '<li class="span">The 4 deepest drawdowns</li>' in html


@pytest.mark.parametrize("kind", ["usual", "sold", pytest.param("long", marks=pytest.mark.slow)])
def test_what_is_shaded_is_what_the_table_of_drawdowns_says(kind: str, runs: Any, page: Any) -> None:
    shown = page(runs[kind])
    equity = list(read(runs[kind] / "equity.csv"))
    first, whole = equity[0], equity[-1] - equity[0]

    def place(words: str) -> float:
        moment = datetime.fromisoformat(f"{words}+00:00" if ":" in words else f"{words} 00:00+00:00")
        return 10_000 * ((moment - first) / whole)

    rows = shown.section("extremes").rows("Worst drawdowns")[1:]
    expected = sorted((place(row[3]), 10_000 if row[5] == "not yet" else place(row[5])) for row in rows)
    assert np.array(sorted(shaded(shown.section("equity").html))) == pytest.approx(np.array(expected), abs=0.51)
    words = "The deepest drawdown" if len(rows) == 1 else f"The {len(rows)} deepest drawdowns"
    assert f'<li class="span">{words}</li>' in shown.section("equity").html


@pytest.mark.parametrize("kind", ["idle", "one"])
def test_equity_that_never_fell_has_nothing_shaded_and_no_legend_of_it(kind: str, runs: Any, page: Any) -> None:
    shown = page(runs[kind]).section("equity")
    assert shaded(shown.html) == []
    assert "deepest" not in shown.words.replace("the deepest drawdown is", "") and "Shaded" not in shown.words
    assert "1.0 %" not in shown.words.replace("−1.0 %", "")  # no axis above what a drawdown can be


def test_the_dates_are_linked_where_they_are_shown(runs: Any, page: Any, tmp_path: Path) -> None:
    assert 'href="#extremes"' in page(runs["usual"]).section("equity").html
    without = Page(recorded(tmp_path, result(trades=None, open_=None)))
    body = without.section("equity")
    assert body is not None and "Shaded" in body.content and "#extremes" not in body.content


# --- beta and correlation ---------------------------------------------------------------------------------------------


def test_beta_and_correlation_are_those_of_the_files(runs: Any, page: Any) -> None:
    """Each value that is drawn, by the standard library from the two files; a window of a quarter of the run's bars."""
    figure = values(page(runs["usual"]).section("rolling").html)[1]
    own, market = (list(read(runs["usual"] / f"{name}.csv").values()) for name in ("equity", "benchmark"))
    returns, theirs = ([b / a - 1 for a, b in itertools.pairwise(column)] for column in (own, market))
    moments = [int(moment.timestamp()) for moment in read(runs["usual"] / "equity.csv")]
    window = (len(own) - 1) // 4
    checked = 0
    for at, (moment, beta, correlation) in enumerate(
        zip(figure["t"], figure["Beta"], figure["Correlation"], strict=True)
    ):
        if at % 20 or beta is None:
            continue
        bar = moments.index(moment)
        pair = returns[bar - window : bar], theirs[bar - window : bar]
        assert beta == pytest.approx(statistics.linear_regression(pair[1], pair[0]).slope, abs=0.00501)
        assert correlation == pytest.approx(statistics.correlation(*pair), abs=0.00501)
        checked += 1
    assert checked > 30
    assert next(t for t, beta in zip(figure["t"], figure["Beta"], strict=True) if beta is not None) == moments[window]


@pytest.mark.slow
def test_a_benchmark_that_is_kept_at_fewer_bars_is_compared_over_those(runs: Any, page: Any) -> None:
    """100,000 bars: a row about each 50th; a year of 8,766 bars is 175 returns between those at even distances."""
    shown = page(runs["long"]).section("rolling")
    assert (
        "A return is over 50 bars on average, as the run keeps buy and hold at 2,000 of its 100,000 bars" in shown.words
    )
    figure = values(shown.html)[1]
    equity, market = (read(runs["long"] / f"{name}.csv") for name in ("equity", "benchmark"))
    moments = list(equity)
    even = [moments[number * 99_999 // 1_999] for number in range(2_000)]
    returns, theirs = ([of[b] / of[a] - 1 for a, b in itertools.pairwise(even)] for of in (equity, market))
    places = {int(moment.timestamp()): at for at, moment in enumerate(even)}
    known = [
        (t, beta, tie) for t, beta, tie in zip(figure["t"], figure["Beta"], figure["Correlation"], strict=True) if tie
    ]
    assert len(known) > 500
    for moment, beta, correlation in known[::50]:
        at = places[moment]
        pair = returns[at - 175 : at], theirs[at - 175 : at]
        assert beta == pytest.approx(statistics.linear_regression(pair[1], pair[0]).slope, abs=0.00501)
        assert correlation == pytest.approx(statistics.correlation(*pair), abs=0.00501)


def test_a_run_that_holds_half_its_benchmark_has_a_beta_of_a_half() -> None:
    """Its returns are half of the benchmark's at each bar: beta is 0.5 and the correlation 1, in every window."""
    market = walk(1, 200)
    own = np.append(100.0, 100.0 * np.cumprod(1 + 0.5 * (np.diff(market) / market[:-1])))
    (figure,) = values(performance.rolling_ratios(made_of(daily(200), own, market)))[1:]
    assert {one for one in figure["Beta"] if one is not None} == {0.5}
    assert {one for one in figure["Correlation"] if one is not None} == {1.0}


def test_a_benchmark_that_stands_still_leaves_a_gap() -> None:
    """49 bars to a window; the benchmark does not move from bar 60 to 130: the windows that end in 109 to 130."""
    market, stamps = walk(2, 200), daily(200)
    market[60:131] = market[60]
    html = performance.rolling_ratios(made_of(stamps, walk(3, 200), market))
    drawn = re.findall(r'<path class="(beta|correlation)" d="([^"]*)"', html)
    assert [(name, d.count("M")) for name, d in drawn] == [("beta", 2), ("correlation", 2)]
    seconds = stamps.astype("M8[s]").astype(np.int64)
    figure = values(html)[1]
    known = {moment for moment, beta in zip(figure["t"], figure["Beta"], strict=True) if beta is not None}
    assert known == set(seconds[49:109].tolist()) | set(seconds[131:].tolist())
    assert "A gap is a window in which one of both did not vary." in Html(html).words


def test_without_a_benchmark_there_is_no_beta(runs: Any, page: Any) -> None:
    shown = page(runs["unpriced"]).section("rolling")
    assert "Nothing tells how many bars make a year" in shown.words and "eta" not in shown.words.replace("less", "")
    run = made_of(daily(200), walk(4, 200), None)
    assert len(values(performance.rolling_ratios(run))) == 1
    run.benchmark = {"timestamp": daily(200), "equity": walk(5, 200)}
    assert len(values(performance.rolling_ratios(run))) == 2  # the control


def test_beta_needs_no_bars_of_a_year(runs: Any, page: Any) -> None:
    shown = page(runs["hostile"]).section("rolling")
    assert "nothing is annualised" in shown.words
    assert [sorted(one) for one in values(shown.html)] == [["Beta", "Correlation", "t"]]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("one", "too few returns for a moving window"),
        ("two", "too few returns for a moving window"),
        ("sold", "Equity fell to zero or below"),
        ("idle", "In no window did both vary: there is no beta to buy and hold."),
    ],
)
def test_a_run_with_nothing_to_draw_says_why(kind: str, words: str, runs: Any, page: Any) -> None:
    shown = page(runs[kind]).section("rolling")
    assert words in shown.words
    assert "Beta" not in shown.words


def test_a_benchmark_that_fell_to_nothing_has_no_returns() -> None:
    market = walk(6, 200)
    market[100:] = 0.0
    assert "Buy and hold fell to zero or below" in performance.rolling_ratios(made_of(daily(200), walk(7, 200), market))


def test_a_window_shorter_than_ten_kept_bars_is_not_shown() -> None:
    """10,000 bars of a year of 20: the benchmark is kept at every fifth, four to a window."""
    stamps = daily(10_000)
    run = made_of(stamps, walk(8, 10_000), walk(9, 10_000))
    run.stats["periods_per_year"] = 20.0
    assert "keeps buy and hold at too few bars" in performance.rolling_ratios(run)
    run.stats["periods_per_year"] = 50.0  # the control: ten to a window
    assert len(values(performance.rolling_ratios(run))) == 2


def test_a_benchmark_of_a_file_has_its_name_wherever_it_is_told_of(runs: Any, page: Any) -> None:
    (runs.root / "other_index.csv").write_text(bars_csv(1500), encoding="utf-8")
    run_dir = runs.make("beside", toml("steps", bars=1500, more='[stats]\nbenchmark = "other_index.csv"'))
    shown = page(run_dir)
    assert "Buy and hold" not in shown.html and "buy and hold" not in shown.html
    assert "Beta to other_index" in shown.section("rolling").words
    assert "The run was ahead of other_index in" in shown.section("returns").words
    market = list(read(run_dir / "benchmark.csv").values())
    assert f"other_index, {market[-1]:,.2f}" in shown.section("equity").words
    assert shown.section("returns").rows("other_index by month and year")[-1][-1] != ""
    figure = values(shown.section("rolling").html)[1]
    own = list(read(run_dir / "equity.csv").values())
    pair = [[b / a - 1 for a, b in itertools.pairwise(column[-375:])] for column in (own, market)]
    assert figure["Beta"][-1] == pytest.approx(statistics.linear_regression(pair[1], pair[0]).slope, abs=0.00501)


# --- in a browser -----------------------------------------------------------------------------------------------------


def test_keys_read_beta_and_correlation_and_a_zoom_takes_the_shade_along(
    browser: Any, rendered: Any, runs: Any, page: Any
) -> None:
    browser.open(rendered("usual"))
    browser.ask("document.querySelectorAll('#rolling svg.plot')[1].focus()")
    for kind in ("keyDown", "keyUp"):
        browser.send("Input.dispatchKeyEvent", type=kind, key="End")
    words = browser.ask("document.querySelectorAll('#rolling .readout')[1].textContent")
    figure = values(page(runs["usual"]).section("rolling").html)[1]
    assert words.endswith(f"Beta {figure['Beta'][-1]:.2f} · Correlation {figure['Correlation'][-1]:.2f}")
    for key in ("+", "+"):
        browser.send("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
        browser.send("Input.dispatchKeyEvent", type="keyUp", key=key)
    view = "document.querySelector('#%s svg.panel:has(.%s)').getAttribute('viewBox')"
    assert (
        browser.ask(view % ("equity", "span")).split()[2]
        == browser.ask(view % ("rolling", "beta")).split()[2]
        == "2500"
    )
    assert browser.complaints == []
