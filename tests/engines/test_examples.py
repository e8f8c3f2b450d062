"""Each example, recorded as its first line says, is a sealed run with all its trials."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = {
    # backtesting.py: 3 x 3 settings, and the best of them once more; vectorbt: 6 pairs of windows on two indices.
    "backtesting_py": (9, ()),
    "vectorbt_": (12, ()),
    "backtrader_": (6, ("engines",)),
    "bt_": (1, ("engines",)),
    "pandas_": (3, ()),
}


def test_each_example_is_tried() -> None:
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} >= EXAMPLES.keys()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "trials"),
    [
        pytest.param(name, trials, marks=[pytest.mark.needs(*extras)] if extras else [])
        for name, (trials, extras) in EXAMPLES.items()
    ],
)
def test_an_example_is_a_sealed_run_with_its_trials(tmp_path: Path, name: str, trials: int) -> None:
    script = ROOT / "examples" / f"{name}.py"
    alone = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    command = [sys.executable, ROOT / "scripts/record_run.py", "--results-dir", tmp_path / "results", "--"]
    told = subprocess.run([*command, sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert told.returncode == alone.returncode == 0, told.stderr
    assert told.stdout == alone.stdout
    ledger = [json.loads(line) for line in (tmp_path / "results/ledger.jsonl").read_text().splitlines()]
    assert ledger[-1]["event"] == "sealed"
    assert ledger[-1].get("trials", 1) == trials
    assert "no engine" not in told.stderr
