"""Parents of sweeps for tests: eight trials of which two fail and three are the same as others."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import CONFIGS, Evidence, rewrite

from peak_trade import config, sweep
from peak_trade.evidence import tables

GRID = ("strategy.params.fast=3,8", "strategy.params.slow=8,12", "stops.stop_loss=0.9,0.95")
"""A fast average that is no faster than the slow one is an error: trials 4 and 5. No stop is ever touched."""
CROSSING = """
import numpy as np


def crossing(bars, *, fast=3, slow=8):
    if fast >= slow:
        raise ValueError("fast is no faster than slow")
    means = [np.convolve(bars.close, np.ones(n) / n)[: len(bars)] for n in (fast, slow)]
    return (means[0] > means[1]).astype(float)
"""
TEXT = CONFIGS["builtin"].replace('name = "sma_crossover"', 'entrypoint = "strategies/crossing.py:crossing"')


def sweep_of(evidence: Evidence, name: str, *overrides: str, text: str = TEXT, **wish: Any) -> Path:
    """Sweep a config in a repository, and keep the parent under a name."""
    file = evidence.root / "config" / f"{name}.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    (evidence.root / "strategies").mkdir(exist_ok=True)
    (evidence.root / "strategies" / "crossing.py").write_text(CROSSING, encoding="utf-8")
    asked = sweep.Wish(**{"grid": GRID, "keep": 0} | wish)
    source = config.load(file, list(overrides))
    path = sweep.sweep(source, asked, root=evidence.root, results=evidence.results, again=True)
    evidence.runs[name] = path.name
    return path


def sweep_of_csv(evidence: Evidence, name: str, **wish: Any) -> Path:
    """The same, as where pyarrow is not installed: its tables are CSV."""
    with pytest.MonkeyPatch.context() as without:
        without.setitem(sys.modules, "pyarrow", None)  # type: ignore[arg-type]
        without.delenv("PEAK_STRICT", raising=False)
        return sweep_of(evidence, name, **wish)


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV."""
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"), newline="")))


def edit_rows(
    evidence: Evidence, name: str, edit: Callable[[list[dict[str, str]]], None], file: str = "trials.csv"
) -> None:
    """Change the rows of a table of a parent."""
    path = evidence.path(name) / file
    rows = rows_of(path)
    edit(rows)
    rewrite(path, tables.rows_csv(rows).encode())


def edit_end(evidence: Evidence, name: str, edit: Callable[[dict[str, Any]], None]) -> None:
    """Change the ledger's line that seals a run; the chain is to be made anew afterwards."""
    lines = []
    for line in evidence.ledger():
        entry = json.loads(line)
        if entry["run_id"] == evidence.runs[name] and entry["event"] == "sealed":
            edit(entry)
        lines.append(json.dumps(entry).encode())
    evidence.write_ledger(lines)
