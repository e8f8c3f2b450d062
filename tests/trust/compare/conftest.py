"""Runs of the same bars and strategy, each with one thing changed, so that what explains a difference is known."""

from __future__ import annotations

from typing import Any

import pytest

Evidence = Any  # of conftest.py, which cannot be imported
CONFIG = """
[data]
path = "data/bars.csv"
symbol = "TEST"
timeframe = "1h"
calendar = "24/7"
[strategy]
entrypoint = "strategies/two.py:above"
params = { level = 100 }
[execution]
fee_bps = 10
slippage_bps = 5
"""
STRATEGY = '''"""Long above a level."""

import numpy as np
from helper import share


def above(bars, *, level):
    return np.where(bars.close > level, share(), 0.0)
'''
CHANCE = """
import os
import numpy as np


def above(bars, *, level):
    return np.where(bars.close > level, np.frombuffer(os.urandom(len(bars)), np.uint8) / 255, 0.0)
"""
AHEAD = """
import numpy as np


def above(bars, *, level):
    return np.append(np.where(bars.close[1:] > bars.close[:-1], 1.0, 0.0), 0.0)
"""
HELPER = "def share():\n    return 0.5\n"


@pytest.fixture(scope="module")
def made(sealed_once: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """Runs of one config, each with one thing changed, by that thing's name."""
    evidence = sealed_once.copy(tmp_path_factory.mktemp("differences"))
    strategy, helper, bars = (
        evidence.root / name for name in ("strategies/two.py", "strategies/helper.py", "data/bars.csv")
    )
    strategy.write_text(STRATEGY, encoding="utf-8")
    helper.write_text(HELPER, encoding="utf-8")
    (evidence.root / "strategies" / "chance.py").write_text(CHANCE, encoding="utf-8")
    for name, overrides in {
        "base": [],
        "again": ['run.name="again"'],
        "parameter": ["strategy.params.level=104"],
        "fees": ["execution.fee_bps=20"],
        "slippage": ["execution.slippage_bps=20"],
        "cash": ["execution.initial_cash=20000"],
        "figures": ["stats.risk_free_rate=0.05"],
        "seed": ["run.seed=7"],
        "later": ['data.start="2024-01-01T12:00:00Z"'],
    }.items():
        evidence.run(name, CONFIG, *overrides)
    for name, level in (("failed", "'high'"), ("failed too", "[1,2,3]")):
        evidence.run(name, CONFIG, f"strategy.params.level={level}")
    for name in ("chance", "luck"):
        evidence.run(name, CONFIG, 'strategy.entrypoint="strategies/chance.py:above"', "strategy.params.level=101")
    (evidence.root / "strategies" / "ahead.py").write_text(AHEAD, encoding="utf-8")
    evidence.run("ahead", CONFIG, 'strategy.entrypoint="strategies/ahead.py:above"')
    helper.write_text(HELPER.replace("0.5", "0.75"), encoding="utf-8")
    evidence.run("code", CONFIG)
    helper.write_text(f"# half\n{HELPER}", encoding="utf-8")
    evidence.run("comment", CONFIG)
    helper.write_text(HELPER, encoding="utf-8")
    lines = bars.read_text(encoding="utf-8").splitlines()
    cells = lines[25].split(",")
    cells[4] = "80.0"
    cells[3] = "79.0"
    lines[25] = ",".join(cells)
    bars.write_text("\n".join(lines) + "\n", encoding="utf-8")
    evidence.run("data", CONFIG)
    return evidence
