"""Files as other engines export them, and the run that comes of importing them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from peak_trade.evidence import tables
from peak_trade.evidence.run_dir import read_manifest
from peak_trade.market.trades import Trades
from peak_trade.record import imported

ROOT = Path(__file__).resolve().parents[3]


class Run(Struct):
    """An imported run, opened."""

    path: Path
    said: list[str]

    @property
    def equity(self) -> list[tuple[str, float]]:
        with (self.path / "equity.csv").open() as file:
            return [(row["timestamp"], float(row["equity"])) for row in csv.DictReader(file)]

    @property
    def trades(self) -> Trades:
        name = "trades.parquet" if (self.path / "trades.parquet").exists() else "trades.csv"
        return tables.read_trades(self.path / name, gaps=True)

    @property
    def stats(self) -> Any:
        return json.loads((self.path / "stats.json").read_text())

    @property
    def config(self) -> Any:
        return json.loads((self.path / "config_snapshot.json").read_text())

    @property
    def manifest(self) -> Any:
        return read_manifest(self.path)

    def rows(self, name: str) -> list[dict[str, str]]:
        with (self.path / name).open(newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture
def take(tmp_path: Path) -> Callable[..., Run]:
    """Import files: `take({"a.csv": "…"}, initial_cash=1000)`."""

    def _take(files: dict[str, str | bytes], **options: Any) -> Run:
        folder = tmp_path / "exported"
        folder.mkdir(exist_ok=True)
        paths = []
        for name, content in files.items():
            (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
            paths.append(folder / name)
        found = imported.import_files(
            paths, imported.options(**options), results=tmp_path / "results", root=tmp_path, argv=["import"]
        )
        return Run(found.path, found.said())

    return _take


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the script with arguments, in an empty folder."""

    def _command(*args: str | Path, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "scripts/import_run.py"), *map(str, args), "--results-dir",
             str(tmp_path / "results")],
            cwd=tmp_path, capture_output=True, text=True, timeout=timeout, env=os.environ | {"PEAK_STRICT": "0"},
        )  # fmt: skip

    return _command
