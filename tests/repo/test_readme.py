"""The README's examples, run as they stand."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from peak_trade import config, runner, script

ROOT = script.repo_root()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_the_strategy_of_ones_own_runs_and_seals(tmp_path: Path) -> None:
    (strategy,), (section,) = blocks("python"), blocks("toml")
    (tmp_path / "my_strategy.py").write_text(strategy, encoding="utf-8")
    data = ROOT / "data" / "samples" / "sp500_daily.csv"
    toml = f'[data]\npath = "{data}"\nsymbol = "SPX"\ntimeframe = "1d"\ncalendar = "XNYS"\n{section}'
    (tmp_path / "mine.toml").write_text(toml, encoding="utf-8")
    sealed = runner.run(config.load(tmp_path / "mine.toml"), root=ROOT, results=tmp_path / "results")
    snapshot = json.loads((sealed / "config_snapshot.json").read_text(encoding="utf-8"))
    assert snapshot["strategy"]["params"] == {"window": 200}
    assert json.loads((sealed / "stats.json").read_text(encoding="utf-8"))["trades"] > 0


@pytest.mark.needs("experiments", "lake")
def test_the_five_minutes_work_line_by_line(checkout: Path, tmp_path: Path) -> None:
    tour = "".join(block for block in blocks("bash") if "pip install" not in block)
    ours = {"PEAK_RESULTS_DIR": str(tmp_path), "PEAK_LAKE_DIR": str(tmp_path / "lake")}
    ours["PATH"] = os.pathsep.join((f"{checkout}/.venv/bin", f"{Path(sys.executable).parent}", os.environ["PATH"]))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", tour], cwd=checkout, env=os.environ | ours, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("intact") == 2 + 3 + 2, done.stdout  # a run with the ledger, both with it, an archive
