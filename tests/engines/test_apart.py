"""Engines that need an environment of their own: `.engines/NAME`, or the Python that `NAME_PYTHON` names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from peak_trade.record.trials import results
from peak_trade.trust.verify import verify

ROOT = Path(__file__).parents[2]


def python_of(engine: str) -> str:
    """Return the Python that has an engine; skip where there is none."""
    made = ROOT / f".engines/{engine}/bin/python"
    python = os.environ.get(f"{engine.upper()}_PYTHON") or (str(made) if made.exists() else "")
    if not python:
        pytest.skip(f"{engine} is not set up: scripts/utils/setup_engines.sh {engine}")
    return python


@pytest.mark.parametrize(("engine", "trials", "symbols"), [("nautilus", 3, 1), ("zipline", 1, 2)])
def test_an_example_in_its_own_environment_is_a_sealed_run_with_its_trials(
    tmp_path: Path, engine: str, trials: int, symbols: int
) -> None:
    python = python_of(engine)
    script = ROOT / "examples" / f"{engine}_.py"
    alone = subprocess.run([python, script], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    command = [sys.executable, ROOT / "scripts/record_run.py", "--results-dir", tmp_path / "results", "--"]
    told = subprocess.run([*command, python, script], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert told.returncode == alone.returncode == 0, told.stderr
    assert told.stdout == alone.stdout
    end = json.loads((tmp_path / "results/ledger.jsonl").read_text().splitlines()[-1])
    assert (end["event"], end["trials"], end["symbols"]) == ("sealed", trials, symbols)
    assert end["engine"].startswith(engine)
    run = tmp_path / "results" / end["run_id"]
    assert verify(run).findings == []
    rows = json.loads((run / "reconciliation.json").read_bytes())["figures"]
    assert {"same", "explained"} <= {row["status"] for row in rows}


@pytest.mark.parametrize(("mode", "trials"), [("backtesting", 1), ("hyperopt", 4)])
def test_freqtrade_s_own_figures_are_those_of_its_trials(tmp_path: Path, mode: str, trials: int) -> None:
    script, spool = ROOT / "tests/engines/freqtrade_offline.py", tmp_path / "spool"
    spool.mkdir()
    watched = os.environ | {"PEAK_RECORD_SPOOL": str(spool), "PYTHONPATH": str(ROOT / "src/peak_trade/observer/site")}
    done = subprocess.run(
        [python_of("freqtrade"), script, mode], cwd=tmp_path, env=watched, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    found = results(spool)
    assert len(found) == trials
    assert all(trial.trades is not None and len(trial.trades) and "window" in trial.params for trial in found)
    if mode == "hyperopt":
        assert all(isinstance(trial.own["loss"], float) for trial in found)
        return
    count, final, sharpe = json.loads(done.stdout.splitlines()[-1])
    (trial,) = found
    assert trial.trades is not None
    assert (len(trial.trades), trial.equity[-1], trial.own["sharpe"]) == (count, final, sharpe)
    assert trial.trades.pnl.sum() == pytest.approx(final - 1000)
