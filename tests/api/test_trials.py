"""The trials of a sweep for a notebook: columns by the names of what was varied."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import Evidence
from tests.trust.sweeping import rows_of, sweep_of_csv

import peak_trade


def test_the_trials_of_a_sweep_are_columns_by_the_names_of_what_was_varied(
    sealed_once: Evidence, tmp_path: Path
) -> None:
    shutil.copytree(sealed_once.root / "data", tmp_path / "data")
    made = Evidence(tmp_path, tmp_path / "results", {})
    sweep_of_csv(made, "parent", keep=1)
    opened = peak_trade.open_run(made.path("parent"))
    found = opened.trials
    assert opened.kind == "swept" and found is not None
    rows = rows_of(made.path("parent") / "trials.csv")
    assert found.rows == 8
    assert found["fast"].tolist() == [3, 3, 3, 3, 8, 8, 8, 8]
    assert found["stops.stop_loss"].tolist() == [0.9, 0.95] * 4
    told = [float(row["sharpe"]) if row["sharpe"] else np.nan for row in rows]
    assert np.array_equal(found["sharpe"], told, equal_nan=True)
    assert found.to_pandas().query("status == 'done'")["sharpe"].max() == pytest.approx(opened.stats["sharpe"])
    kept = next(iter(made.manifest("parent")["predicate"]["runDetails"]["metadata"]["kept"].values()))
    assert peak_trade.open_run(made.results / kept).trials is None
    listed = peak_trade.runs(made.results)
    assert listed["parent"].tolist().count(opened.run_id) == 1
