"""What the tests of sweeps share: small bars, a config with a strategy of one's own, and sweeps in processes."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """\
[data]
path = "bars.csv"
symbol = "TEST"
timeframe = "1h"
calendar = "24/7"

[strategy]
entrypoint = "strategy.py:traded"

[strategy.params]
n = 3
"""
HONEST = """
def traded(bars, *, n=3):
    return np.where(np.arange(len(bars)) % n < n // 2 + 1, 1.0, 0.0)
"""


@dataclass
class Bed:
    """A folder with bars, a config and a strategy, where sweeps are made as a person makes them."""

    home: Path

    @property
    def results(self) -> Path:
        """Where the runs are."""
        return self.home / "results"

    def strategy(self, text: str) -> None:
        """Give the config another strategy `traded(bars, *, n)`."""
        head = "import os\nimport signal\nimport sys\nimport time\n\nimport numpy as np\n\n"
        (self.home / "strategy.py").write_text(head + textwrap.dedent(text))

    def command(self, *options: str, results: Path | None = None) -> list[str]:
        """Return the command of a sweep."""
        place = str(results or self.results)
        config = str(self.home / "config.toml")
        return [sys.executable, str(ROOT / "scripts/sweep.py"), config, "--results-dir", place, *options]

    def join(self, run_id: str, *options: str, results: Path | None = None) -> subprocess.Popen[str]:
        """Start to work along on a sweep."""
        script, place = str(ROOT / "scripts/sweep.py"), str(results or self.results)
        return self._popen([sys.executable, script, "--join", run_id, "--results-dir", place, *options])

    def start(self, *options: str, results: Path | None = None, **more: Any) -> subprocess.Popen[str]:
        """Start a sweep."""
        return self._popen(self.command(*options, results=results), **more)

    def _popen(self, command: list[str], **more: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, cwd=self.home, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            **more,
        )  # fmt: skip

    def sweep(self, *options: str, results: Path | None = None, **more: Any) -> Swept:
        """Make a sweep."""
        process = self.start(*options, results=results, **more)
        stdout, stderr = process.communicate(timeout=120)
        return Swept(process.returncode, stdout, stderr, results or self.results)


@dataclass
class Swept:
    """What became of a sweep."""

    code: int
    stdout: str
    stderr: str
    results: Path

    @property
    def path(self) -> Path:
        """The directory of the parent."""
        assert self.code == 0, self.stderr
        return self.results / self.stdout.splitlines()[-1]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of its trials."""
        return trials(self.path)

    @property
    def errors(self) -> dict[int, str]:
        """Why trials failed, by number."""
        return {row["index"]: row["error"] for row in self.rows if row["status"] == "failed"}

    @property
    def sealed(self) -> dict[str, str]:
        """The digests of the sealed files."""
        return sealed(self.path)


def trials(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a parent's trials."""
    if (path / "trials.parquet").exists():
        import pyarrow.parquet as pq

        rows: list[dict[str, Any]] = pq.read_table(path / "trials.parquet").to_pylist()
        return rows
    with (path / "trials.csv").open(encoding="utf-8") as stream:
        return [{**row, "index": int(row["index"])} for row in csv.DictReader(stream)]


def sealed(path: Path) -> dict[str, str]:
    """Return the digest of each sealed file of a run, as the file is now, once it is what the manifest says."""
    manifest = json.loads((path / "manifest.json").read_text())
    named = {one["name"]: one["digest"]["sha256"] for one in manifest["subject"]}
    assert named == {name: hashlib.sha256((path / name).read_bytes()).hexdigest() for name in named}
    return named


def ledger(results: Path) -> list[dict[str, Any]]:
    """Return the lines of a ledger."""
    return [json.loads(line) for line in (results / "ledger.jsonl").read_text().splitlines()]


def bars_csv(count: int) -> str:
    """Return hourly bars that go up and down."""
    import numpy as np

    draws = np.random.default_rng(5)
    close = 100 * np.exp(np.cumsum(draws.normal(0, 0.01, count)))
    opened = np.concatenate([[100.0], close[:-1]])
    times = np.datetime64("2020-01-01", "s") + np.arange(count) * np.timedelta64(3600, "s")
    high, low = np.maximum(opened, close) * 1.001, np.minimum(opened, close) * 0.999
    rows = zip(times, opened, high, low, close, strict=True)
    lines = [f"{t}Z,{o:.4f},{h:.4f},{low_:.4f},{c:.4f},1" for t, o, h, low_, c in rows]
    return "\n".join(["timestamp,open,high,low,close,volume", *lines]) + "\n"


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    """A folder for sweeps, with 400 bars and an honest strategy."""
    home = tmp_path / "bed"
    home.mkdir()
    (home / "bars.csv").write_text(bars_csv(400))
    (home / "config.toml").write_text(CONFIG)
    made = Bed(home)
    made.strategy(HONEST)
    return made
