"""benchmark.csv: a row for each of a short run's bars, enough of a long one's, and what can be checked by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import CONFIGS, Evidence, ohlcv_csv

from peak_trade.api import open_run
from peak_trade.evidence import benchmark, tables
from peak_trade.report import months, performance, trading
from peak_trade.report.run import RunFiles

BARS = 5_000


def hours(count: int) -> Any:
    return np.datetime64("2023-12-31T20:00", "ns") + np.arange(count) * np.timedelta64(1, "h")


@pytest.fixture(scope="module")
def long_run(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """A repository with a run of 5,000 bars, long and short, without borrowing."""
    root = tmp_path_factory.mktemp("long")
    (root / "data").mkdir()
    (root / "data/bars.csv").write_text(ohlcv_csv(BARS))
    made = Evidence(root, root / "results", {})
    made.run("long", CONFIGS["builtin"])
    return made


@pytest.fixture
def long(long_run: Evidence, tmp_path: Path) -> Evidence:
    return long_run.copy(tmp_path / "copy")


def read(evidence: Evidence) -> dict[str, Any]:
    return tables.read_series(evidence.path("long") / benchmark.NAME, benchmark.COLUMNS)


@given(st.integers(0, 40_000))
def test_the_rows_are_few_and_have_what_a_reader_needs(count: int) -> None:
    stamps = hours(count)
    rows = benchmark.rows(stamps)
    months = stamps.astype("M8[M]")
    assert (np.diff(rows) > 0).all()
    if count <= 2_000:
        assert rows.tolist() == list(range(count))
        return
    assert len(rows) <= 2_001 + len(np.unique(months))
    assert {0, 1, count - 1} <= set(rows.tolist())
    assert set(np.flatnonzero(months[1:] != months[:-1]).tolist()) <= set(rows.tolist())
    assert np.diff(rows).max() <= count // 1_999 + 1, "no gap that a chart would show"


def test_a_million_bars_take_less_than_80_mb() -> None:
    minutes, part = np.datetime64("2022-01-01", "ns") + np.arange(1_000_000) * np.timedelta64(1, "m"), slice(100_000)
    equity = 10_000 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.0008, 1_000_000)))
    columns = {
        "timestamp": minutes[part],
        "equity": equity[part],
        "drawdown": (equity / np.maximum.accumulate(equity) - 1)[part],
        "position": np.full(100_000, 138.30990019404044),  # always in the market: most have zeros here and there
    }
    rows = benchmark.rows(minutes)
    market = {"timestamp": minutes[rows], "close": equity[rows], "equity": equity[rows]}
    series, thinned = (sum(map(len, tables.series_csv(each))) for each in (columns, market))
    assert thinned < 150_000
    assert 10 * series + thinned < 79_000_000, "and room for some 10,000 trades"
    # a control: with all rows it would be more
    assert 10 * series + thinned * 1_000_000 / len(rows) > 80_000_000


def test_it_is_that_of_the_run_at_those_bars(long: Evidence) -> None:
    found = read(long)
    equity = tables.read_series(long.path("long") / "equity.csv", ("timestamp", "equity", "drawdown", "position"))
    rows = benchmark.rows(equity["timestamp"])
    assert len(found["close"]) == len(rows) < 2_010
    assert found["timestamp"].tolist() == equity["timestamp"][rows].tolist()
    closes = [float(line.split(",")[4]) for line in (long.root / "data/bars.csv").read_text().splitlines()[1:]]
    assert found["close"].tolist() == np.array(closes)[rows].tolist()
    stats = open_run(long.path("long")).stats
    assert found["equity"][-1] / found["equity"][0] - 1 == pytest.approx(stats["benchmark_total_return"])


def test_with_the_data_all_of_it_is_verified(long: Evidence) -> None:
    verdict = long.verdicts()["long"]
    assert (verdict.state, verdict.unchecked) == ("intact", [])


def test_without_the_data_what_cannot_be_checked_is_named(long: Evidence) -> None:
    (long.root / "data/bars.csv").unlink()
    verdict = long.verdicts()["long"]
    assert verdict.state == "intact"
    told = [line for line in verdict.unchecked if "the data" in line]
    assert told[1:] == [
        "stats.json, what it compares with the benchmark: the closes between those of benchmark.csv are in the data "
        "alone",
        f"equity but at {len(read(long)['close']):,} of 5,000 bars: the closes are neither in a benchmark nor in the "
        "data",
    ]


@pytest.mark.parametrize("data", [True, False], ids=["with the data", "without"])
@pytest.mark.parametrize(("column", "found"), [("equity", "benchmark.csv row "), ("close", "benchmark.csv row ")])
def test_a_forged_row_is_found(long: Evidence, data: bool, column: str, found: str) -> None:
    if not data:
        (long.root / "data/bars.csv").unlink()
    long.edit_csv("long", benchmark.NAME, 700, **{column: "177.0"})
    long.forge("long")
    assert any(line.startswith(found) for line in long.findings("long"))


@pytest.mark.parametrize("data", [True, False], ids=["with the data", "without"])
def test_equity_that_is_forged_at_a_bar_that_has_a_row_is_found(long: Evidence, data: bool) -> None:
    bar = int(benchmark.rows(hours(BARS))[700])
    if not data:
        (long.root / "data/bars.csv").unlink()
    long.edit_csv("long", "equity.csv", bar + 1, equity="9999.0")
    long.forge("long")
    assert any(line.startswith(f"equity.csv row {bar + 2} equity") for line in long.findings("long"))


def test_statistics_beside_a_forged_benchmark_are_worked_out_from_the_data(long: Evidence) -> None:
    long.edit_json("long", "stats.json", lambda stats: stats.update(benchmark_sharpe=9.0))
    long.forge("long")
    assert any(line.startswith("stats.json benchmark_sharpe") for line in long.findings("long"))


def test_one_with_all_rows_is_not_of_this_format(long: Evidence) -> None:
    # a control: which rows there are is checked
    rows = read(long)
    short = {name: np.delete(column, 17) for name, column in rows.items()}
    long.rewrite("long", benchmark.NAME, b"".join(tables.series_csv(short)))
    long.forge("long")
    assert "benchmark.csv: expected the timestamps of equity.csv, found others" in long.findings("long")


def test_a_report_draws_it(long: Evidence) -> None:
    run = RunFiles(long.path("long"))
    shown = performance.equity(run) + months.returns(run) + trading.price(run) + trading.exposure(run)
    for mark in ('class="benchmark"', 'class="price"', 'class="exposure"'):
        assert mark in shown
    assert "Buy and hold" in shown
