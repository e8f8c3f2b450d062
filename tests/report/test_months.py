"""Returns by calendar beside the benchmark's, the best and worst days and months, the longest streaks."""

from __future__ import annotations

import csv
import itertools
import math
import re
import statistics
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.record.portfolio import DAYS, closed, recorded, result
from tests.report.conftest import HOSTILE, Html

from peak_trade.evidence import tables
from peak_trade.report import months
from peak_trade.report.markup import counted, number, percent
from peak_trade.report.page import Page
from peak_trade.report.run import RunFiles

TRADES = re.compile(r"streak: \d+ trade")
SPANS = "Best, worst and longest streaks"


def read(path: Path, column: str = "equity") -> list[tuple[datetime, float]]:
    """A column of a run's file by its times, without the package."""
    return [
        (datetime.fromisoformat(row["timestamp"]), float(row[column]))
        for row in csv.DictReader(path.read_text().splitlines())
    ]


def by(rows: list[tuple[datetime, float]], period: str) -> dict[str, float]:
    """The return of each `strftime` period: its last value over the last before; the first from its first."""
    made, before = {}, rows[0][1]
    for name, group in itertools.groupby(rows, lambda row: row[0].strftime(period)):
        last = list(group)[-1][1]
        made[name], before = last / before - 1, last
    return made


def longest_row(which: list[bool]) -> list[int]:
    """The places of the first longest row of true ones, by walking."""
    best: list[int] = []
    row: list[int] = []
    for at, true in enumerate(which):
        row = [*row, at] if true else []
        best = max(best, row, key=len)
    return best


def made_of(stamps: Any, equity: Any, benchmark: Any = None, trades: Any = None) -> Any:
    """What stands for a run of these columns."""
    stamps = np.array(stamps, "M8[ns]")
    market = None if benchmark is None else {"timestamp": stamps, "equity": np.array(benchmark)}
    return SimpleNamespace(
        equity={"timestamp": stamps, "equity": np.array(equity)}, benchmark=market, benchmark_name="Buy and hold",
        benchmark_inside="buy and hold", has=lambda *names: trades is not None, trades=trades,
    )  # fmt: skip


def returns_of(run_dir: Path) -> Html:
    body = Page(run_dir).section("returns")
    assert body is not None
    return Html(body.content)


def spans(html: str) -> dict[str, list[str]]:
    return {row[0]: row[1:] for row in Html(html).rows(SPANS)[1:]}


# --- by month ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["usual", pytest.param("long", marks=pytest.mark.slow)])
def test_the_benchmarks_months_are_those_of_its_file(kind: str, runs: Any, page: Any) -> None:
    shown = page(runs[kind]).section("returns")
    for label, name in (
        ("Returns by month and year", "equity.csv"),
        ("Buy and hold by month and year", "benchmark.csv"),
    ):
        rows = read(runs[kind] / name)
        monthly, yearly = by(rows, "%Y-%m"), by(rows, "%Y")
        head, *cells = shown.rows(label)
        assert len(head) == 14
        assert [row[0] for row in cells] == list(yearly)
        for year, *values, whole in cells:
            written = [monthly.get(f"{year}-{month:02}") for month in range(1, 13)]
            assert values == ["" if value is None else number(value * 100) for value in written]
            assert whole == number(yearly[year] * 100)


def test_the_months_in_which_the_run_was_ahead_are_counted() -> None:
    """Run: +10, 0, -10 %; benchmark: +5, +5, -20 %: ahead in the first and the last."""
    run = made_of(
        ["2024-01-01", "2024-01-31", "2024-02-29", "2024-03-31"], [100, 110, 110, 99], [100, 105, 110.25, 88.2]
    )
    assert "ahead of buy and hold in 2 of 3 months" in months.returns(run)


def test_a_month_of_the_first_bar_alone_is_not_compared() -> None:
    run = made_of(["2024-01-31", "2024-02-29", "2024-03-31"], [100, 110, 99], [100, 90, 99])
    assert "ahead of buy and hold in 1 of 2 months" in months.returns(run)


def test_one_colour_is_one_size_in_both_tables() -> None:
    run = made_of(["2024-01-01", "2024-01-31", "2024-02-29"], [100, 110, 99], [100, 110, 121])
    tables = months.returns(run).partition("<h3>")
    cells = [part.partition("2024</th>")[2].partition("</td>")[0] for part in (tables[0], tables[2])]
    assert cells[0] == cells[1]
    assert "10.00" in cells[0] and "--heat:0." in cells[0]


def test_without_a_benchmark_there_is_one_table(runs: Any, page: Any) -> None:
    html = page(runs["unpriced"]).section("returns").html
    assert html.count('<table class="heat">') == 1
    assert "Buy and hold" not in html and "Both tables" not in html
    assert page(runs["usual"]).section("returns").html.count('<table class="heat">') == 2  # the control


def test_the_benchmarks_name_is_text(runs: Any, page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = page(runs["usual"])
    monkeypatch.setattr(RunFiles, "benchmark_name", property(lambda run: HOSTILE))
    named = page(runs["usual"])
    assert "alert(1)</" not in named.html and "{{<" not in named.html and "**b**" in named.words
    assert named.html.count("```") == plain.html.count("```")
    for tag in ("<table", "<script", "<p>", "<li"):
        assert named.html.count(tag) == plain.html.count(tag)
    for name in ("equity", "returns", "rolling"):
        assert "alert(1)" in named.section(name).words


# --- days, months and streaks at the extremes -------------------------------------------------------------------------


def test_days_and_streaks_by_hand() -> None:
    """Each day's last close after 100: +12, +10, 0, -10, -13, +10 %; in all 6.11216 %."""
    stamps = [f"2024-01-{day:02}T12" for day in (1, 2, 3, 4, 5, 8, 9)]
    found = spans(months.returns(made_of(stamps, [100, 112, 123.2, 123.2, 110.88, 96.4656, 106.11216])))
    assert found == {
        "Best day": ["12.00 %", "2024-01-02"],
        "Worst day": ["−13.00 %", "2024-01-08"],
        "Best month": ["6.11 %", "2024-01"],
        "Worst month": ["6.11 %", "2024-01"],
        "Longest winning streak: 2 days": ["23.20 %", "2024-01-02 to 2024-01-03"],
        "Longest losing streak: 2 days": ["−21.70 %", "2024-01-05 to 2024-01-08"],
    }


def test_a_day_without_a_change_ends_a_streak() -> None:
    stamps = [f"2024-01-0{day}" for day in range(1, 7)]
    found = spans(months.returns(made_of(stamps, [100, 101, 102, 102, 103, 104])))
    assert found["Longest winning streak: 2 days"][1] == "2024-01-02 to 2024-01-03"
    unbroken = spans(months.returns(made_of(stamps, [100, 101, 102, 102.5, 103, 104])))
    assert unbroken["Longest winning streak: 5 days"][1] == "2024-01-02 to 2024-01-06"  # the control


def test_a_day_is_of_utc_and_has_many_bars() -> None:
    """The day's closes are 90, 99 and 108.9: -10, +10 and +10 %, whatever the bars inside do."""
    stamps = ["2024-01-01T00", "2024-01-01T23", "2024-01-02T00", "2024-01-02T23", "2024-01-03T00", "2024-01-03T12"]
    found = spans(months.returns(made_of(stamps, [100, 90, 200, 99, 50, 108.9])))
    assert found["Worst day"] == ["−10.00 %", "2024-01-01"]
    assert found["Longest winning streak: 2 days"] == ["21.00 %", "2024-01-02 to 2024-01-03"]


def test_streaks_of_trades_by_hand() -> None:
    """In the order of their exits: won, lost, lost, nothing, lost, won, won, won."""
    pnl = np.array([5.0, -1, -2, 0, -3, 1, 2, 4])
    day = np.datetime64("2024-01-01", "ns") + np.arange(8) * np.timedelta64(10, "D")
    trades = SimpleNamespace(pnl=pnl, entry_time=day, exit_time=day + np.timedelta64(9, "D"), currencies=None)
    run = made_of(["2024-01-01", "2024-01-02"], [100, 101], trades=trades)
    found = spans(months.returns(run))
    assert found["Longest losing streak: 2 trades"] == ["−3.00", "2024-01-11 to 2024-01-30"]
    assert found["Longest winning streak: 3 trades"] == ["7.00", "2024-02-20 to 2024-03-20"]


def test_money_of_several_currencies_is_not_added() -> None:
    day = np.array(["2024-01-01", "2024-01-03"], "M8[ns]")
    of = {"pnl": np.array([5.0, 6.0]), "entry_time": day, "exit_time": day}
    for currencies, earned in ((["USD", "EUR"], "–"), (["USD", "USD"], "11.00")):
        trades = SimpleNamespace(**of, currencies=np.array(currencies))
        found = spans(months.returns(made_of(["2024-01-01", "2024-01-02"], [100, 101], trades=trades)))
        assert found["Longest winning streak: 2 trades"][0] == earned


@pytest.mark.parametrize("kind", ["usual", "stopped", "unpriced"])
def test_the_extremes_are_those_of_stats_and_of_the_files(kind: str, runs: Any, page: Any) -> None:
    shown = page(runs[kind])
    stats, found = shown.section("statistics").values(), spans(shown.section("returns").html)
    equity = read(runs[kind] / "equity.csv")
    for unit, name in (("day", "%Y-%m-%d"), ("month", "%Y-%m")):
        changes = by(equity, name)
        for word, pick in (("Best", max), ("Worst", min)):
            when = pick(changes, key=lambda period: changes[period])
            assert found[f"{word} {unit}"] == [percent(stats[f"{word.lower()}_{unit}"]), when]
            assert stats[f"{word.lower()}_{unit}"] == pytest.approx(changes[when], rel=1e-9)
    trades, days = tables.read_trades(next(runs[kind].glob("trades.*"))), by(equity, "%Y-%m-%d")
    for word, sign in (("winning", 1), ("losing", -1)):
        row = longest_row([pnl * sign > 0 for pnl in trades.pnl.tolist()])
        assert len(row) == stats[f"longest_{word}_streak"]
        earned = math.fsum(trades.pnl[row].tolist())
        assert found[f"Longest {word} streak: {counted(len(row), 'trade')}"][0] == number(earned)
        best = [list(days)[at] for at in longest_row([change * sign > 0 for change in days.values()])]
        value, when = found[f"Longest {word} streak: {counted(len(best), 'day')}"]
        assert when == " to ".join(dict.fromkeys([best[0], best[-1]]))
        assert value == percent(math.prod(1 + days[day] for day in best) - 1)


def test_omega_tail_ratio_and_ulcer_index_follow_from_the_equity_by_other_ways(runs: Any, page: Any) -> None:
    """As quantstats and empyrical define them, with the standard library: the threshold of omega is 0, as no
    risk-free rate was asked for; the ulcer index is over all bars, where quantstats divides by two less."""
    stats = page(runs["usual"]).section("statistics").values()
    equity = [value for _, value in read(runs["usual"] / "equity.csv")]
    returns = [b / a - 1 for a, b in itertools.pairwise(equity)]
    gained, lost = (math.fsum(max(one * sign, 0.0) for one in returns) for sign in (1, -1))
    assert stats["omega"] == pytest.approx(gained / lost, rel=1e-9)
    cuts = statistics.quantiles(returns, n=20, method="inclusive")
    assert stats["tail_ratio"] == pytest.approx(cuts[-1] / abs(cuts[0]), rel=1e-9)
    peaks = itertools.accumulate(equity, max)
    squares = math.fsum((value / peak - 1) ** 2 for value, peak in zip(equity, peaks, strict=True))
    assert stats["ulcer_index"] == pytest.approx(math.sqrt(squares / len(equity)), rel=1e-9)


# --- runs with little to say ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["idle", "one"])
def test_a_run_that_did_nothing_has_no_best_and_no_worst(kind: str, runs: Any, page: Any) -> None:
    assert "longest streaks" not in page(runs[kind]).section("returns").words


def test_ruin_leaves_the_trades_streaks_and_no_days(runs: Any, page: Any) -> None:
    found = spans(page(runs["sold"]).section("returns").html)
    assert list(found) == ["Longest losing streak: 1 trade"]


def test_bars_longer_than_a_day_have_no_best_day() -> None:
    weeks = np.arange("2024-01-01", "2024-04-01", 7, dtype="M8[D]")
    found = spans(months.returns(made_of(weeks, np.linspace(100, 110, len(weeks)))))
    assert list(found) == ["Best month", "Worst month"]


@pytest.mark.parametrize(("told", "streaks"), [({}, True), ({"trades": None, "open_": None}, False)])
def test_a_recorded_run_has_streaks_of_the_trades_it_says(tmp_path: Path, told: dict[str, Any], streaks: bool) -> None:
    shown = returns_of(recorded(tmp_path, result(**told)))
    assert bool(TRADES.search(shown.words)) == streaks
    assert '<table class="heat">' in shown.html and "Buy and hold" not in shown.html


def test_trades_of_which_one_does_not_say_what_it_earned_have_no_streaks(tmp_path: Path) -> None:
    trades = closed()
    trades.pnl[1] = np.nan
    words = returns_of(recorded(tmp_path, result(trades=trades))).words
    assert not TRADES.search(words) and re.search(r"streak: \d+ day", words)


def test_returns_are_shown_where_the_trades_cannot_be_read(copy_of: Callable[[str], Path], page: Any) -> None:
    run_dir = copy_of("usual")
    file = next(run_dir.glob("trades.*"))
    file.unlink()
    shown = page(run_dir).section("returns")
    assert shown.html.count('<table class="heat">') == 2
    assert not TRADES.search(shown.words)
    assert "Not shown" in page(run_dir).section("extremes").words


def test_a_single_mark_has_no_return(tmp_path: Path) -> None:
    told = result(timestamp=DAYS[:1], equity=np.array([5.0]))
    assert "One bar has no return." in returns_of(recorded(tmp_path, told)).words
