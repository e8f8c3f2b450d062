"""Engines that need an environment of their own: `NAUTILUS_PYTHON` and `ZIPLINE_PYTHON` name its Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from peak_trade.trust.verify import verify

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("engine", "trials", "symbols"), [("nautilus", 3, 1), ("zipline", 1, 2)])
def test_an_example_in_its_own_environment_is_a_sealed_run_with_its_trials(
    tmp_path: Path, engine: str, trials: int, symbols: int
) -> None:
    python = os.environ.get(f"{engine.upper()}_PYTHON")
    if not python:
        pytest.skip(f"{engine.upper()}_PYTHON names no Python that has it")
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
