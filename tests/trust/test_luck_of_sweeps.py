"""The luck of a sweep's choice: the overfitting among its own trials, exact by the sums that its parent keeps."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import Evidence, rewrite
from tests.trust.sweeping import rows_of, sweep_of, sweep_of_csv

from peak_trade.evidence import tables
from peak_trade.evidence.results import Results
from peak_trade.stats.luck import overfit
from peak_trade.trust.handed import Handed
from peak_trade.trust.luck import assess
from peak_trade.trust.luck.result import Luck

BARS = 16 * 60 + 1
NOISE = """
import numpy as np

def coin(bars, *, seed=0, edge=0.0, skilled=7):
    draws = np.random.default_rng(seed)
    tossed = draws.integers(0, 2, len(bars)).astype(float)
    change = np.diff(bars.close, append=bars.close[-1])
    told = draws.random(len(bars)) < (edge if seed == skilled else 0.0)
    return np.where(told, (change > 0).astype(float), tossed)
"""
TEXT = """
[data]
path = "data/bars.csv"
symbol = "TEST"
timeframe = "1d"
calendar = "24/7"
[run]
probe = "off"
[strategy]
entrypoint = "strategies/coin.py:coin"
[execution]
fill = "close"
"""


def place(tmp_path: Path) -> Evidence:
    """A random walk without drift, and a strategy that tosses a coin; with an `edge`, one seed of it peeks."""
    (tmp_path / "data").mkdir()
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "coin.py").write_text(NOISE, "utf-8")
    draws = np.random.default_rng(5)
    close = np.round(100 * np.exp(np.cumsum(draws.normal(0, 0.01, BARS))), 4)
    stamps = np.datetime64("2020-01-01", "D") + np.arange(BARS)
    before = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(close, before) + 0.01, np.minimum(close, before) - 0.01
    lines = [f"{t}T00:00:00Z,{o},{h:.4f},{lo:.4f},{c},1" for t, o, h, lo, c in
             zip(stamps, before, high, low, close, strict=True)]  # fmt: skip
    (tmp_path / "data" / "bars.csv").write_text("timestamp,open,high,low,close,volume\n" + "\n".join(lines), "utf-8")
    return Evidence(tmp_path, tmp_path / "results", {})


def luck(evidence: Evidence, name: str, **options: bool) -> Luck:
    return assess.assess(Handed(evidence.path(name), Results(evidence.results)), **options)


def test_overfitting_of_a_parent_is_that_of_the_returns_of_all_its_trials(tmp_path: Path) -> None:
    made = place(tmp_path)
    sweep_of(made, "parent", text=TEXT, grid=("strategy.params.seed=1:12:1",), keep=None)
    kept = made.manifest("parent")["predicate"]["runDetails"]["metadata"]["kept"]
    assert len(kept) == 12
    columns = []
    for at in range(12):
        run = made.results / kept[str(at)] / "equity.csv"
        equity = tables.read_series(run, ("timestamp", "equity", "drawdown", "position"))["equity"]
        columns.append(equity[1:] / equity[:-1] - 1.0)
    expected = overfit.backtest_overfitting(np.column_stack(columns))
    assert expected.returns == BARS - 1
    found = luck(made, "parent", banded=False)
    assert found.figures["overfitting"] == pytest.approx(expected.probability, abs=1e-9)
    made.runs["kept"] = kept["3"]
    assert luck(made, "kept", banded=False).figures["overfitting"] == pytest.approx(expected.probability, abs=1e-9)
    independent = found.figures["independent_by_spectrum"]
    assert independent is not None and 1 < independent <= 12  # the returns of all are there


def test_a_sweep_of_pure_noise_is_a_coin_toss_and_does_not_pass(tmp_path: Path) -> None:
    made = place(tmp_path)
    sweep_of(made, "noise", text=TEXT, grid=("strategy.params.seed=1:60:1",), keep=0)
    found = luck(made, "noise", banded=False)
    probability = found.figures["overfitting"]
    assert probability is not None and 0.25 < probability < 0.8
    assert found.verdict == "FAIL"
    assert found.family is not None and found.family.trials == 60
    assert found.reasons["independent_by_spectrum"] == "the returns of a sweep's trials are not kept"


def test_a_sweep_with_a_real_edge_in_one_of_its_trials_passes(tmp_path: Path) -> None:
    made = place(tmp_path)
    sweep_of(made, "edge", "strategy.params.edge=0.8", text=TEXT, grid=("strategy.params.seed=1:40:1",), keep=0)
    found = luck(made, "edge", banded=False)
    assert made.manifest("edge")["predicate"]["results"]["chosen"]["overrides"] == {"strategy.params.seed": 7}
    assert found.figures["overfitting"] == pytest.approx(0.0, abs=0.01)
    assert found.verdict == "PASS"


def test_a_run_on_the_same_bars_counts_the_sweeps_trials_in_its_overfitting(tmp_path: Path) -> None:
    made = place(tmp_path)
    sweep_of(made, "parent", text=TEXT, grid=("strategy.params.seed=1:8:1",), keep=0)
    made.run("alone", TEXT, "strategy.params.seed=99")
    found = luck(made, "alone", banded=False)
    assert found.family is not None and found.family.trials == 9
    assert found.figures["overfitting"] is not None
    shutil.rmtree(made.path("parent"))
    found = luck(made, "alone", banded=False)
    assert found.family is not None and found.family.trials == 9
    assert found.figures["overfitting"] is None
    assert "not here" in found.reasons["overfitting"]


def test_sums_that_are_not_those_of_the_trials_are_found_by_verify(tmp_path: Path) -> None:
    made = place(tmp_path)
    sweep_of_csv(made, "parent", text=TEXT, grid=("strategy.params.seed=1:8:1",))
    assert made.findings("parent") == []
    made.forge("parent")
    assert made.findings("parent") == []  # the control
    path = made.path("parent") / "blocks.csv"
    rows = rows_of(path)
    chosen = next(at for at, row in enumerate(rows_of(made.path("parent") / "trials.csv")) if row["chosen"] == "true")
    before = path.read_bytes()
    for at, column in ((chosen, "sum_3"), ((chosen + 1) % 8, "square_3")):
        changed = [dict(row) for row in rows]
        changed[at][column] = "0.5"
        rewrite(path, tables.rows_csv(changed).encode())
        made.forge("parent")
        assert any(f"blocks.csv row {at}" in one for one in made.findings("parent")), column
        rewrite(path, before)


def test_a_sweep_without_sums_has_no_overfitting_and_says_why(tmp_path: Path) -> None:
    made = place(tmp_path)
    sweep_of_csv(made, "parent", text=TEXT, grid=("strategy.params.seed=1:4:1",))

    def without(statement: dict[str, object]) -> None:
        subjects = statement["subject"]
        assert isinstance(subjects, list)
        statement["subject"] = [one for one in subjects if one["name"] != "blocks.csv"]

    (made.path("parent") / "blocks.csv").rename(tmp_path / "blocks.csv")
    statement = made.manifest("parent")
    without(statement)
    made.write_manifest("parent", statement)
    made.rechain()
    found = luck(made, "parent", banded=False)
    assert found.figures["overfitting"] is None
    assert found.reasons["overfitting"] == "a sweep of so many trials keeps no sums of their returns"
