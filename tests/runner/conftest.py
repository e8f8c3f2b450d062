"""What the tests of a run share: small bars, a config, a results directory, and the forge (see forge.py)."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from peak_trade.evidence import run_dir
from peak_trade.evidence.ledger import Ledger
from peak_trade.evidence.results import Results
from peak_trade.trust.verify import verify_all

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """\
[data]
path = "bars.csv"
symbol = "TEST"
timeframe = "1d"

[strategy]
name = "sma_crossover"

[strategy.params]
fast = 2
slow = 5
"""


@dataclass
class Outcome:
    """What became of a process: its exit code (minus the signal that killed it), its words and its counted calls."""

    code: int
    stdout: str
    stderr: str
    calls: list[str] = field(default_factory=list)

    @property
    def run_id(self) -> str:
        """The last line of stdout."""
        return self.stdout.splitlines()[-1]

    def said(self, label: str) -> list[str]:
        """The lines of stderr that begin with `error:`, `warn:` or `hint:`."""
        return [line.partition(": ")[2] for line in self.stderr.splitlines() if line.startswith(f"{label}: ")]


class Forge:
    """Asks forge.py to run things."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("forge.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={key: value for key, value in os.environ.items() if not key.startswith("PEAK_")}
            | {"OPENBLAS_NUM_THREADS": "1"},  # a process of one thread may fork as it likes
        )

    def ask(self, *requests: dict[str, Any]) -> list[Outcome]:
        """Carry out requests at the same time and return their outcomes."""
        assert self.process.stdin and self.process.stdout
        outputs = []
        for request in requests:
            self.count += 1
            outputs.append([self.folder / f"{self.count}.{stream}" for stream in ("stdout", "stderr")])
            for path in outputs[-1]:
                path.touch()  # a child may be killed before it opens them
            request |= {"stdout": str(outputs[-1][0]), "stderr": str(outputs[-1][1])}
        self.process.stdin.write(json.dumps(requests, default=str) + "\n")
        self.process.stdin.flush()
        answers = json.loads(self.process.stdout.readline())
        texts = [[path.read_text("utf-8") for path in pair] for pair in outputs]
        return [Outcome(answer["code"], *text, answer["calls"]) for answer, text in zip(answers, texts, strict=True)]

    def cli(self, config: Path, results: Path, *argv: str, **request: Any) -> Outcome:
        """Run a config with the script, as the command line does."""
        words = ["--config", str(config), "--results-dir", str(results), *argv]
        script = "run_strategy_from_config.py"
        return self.ask({"do": "cli", "script": script, "argv": words, "results": str(results), **request})[0]

    def recover(self, results: Path, **request: Any) -> Outcome:
        """Bring dead runs to their end, in a process."""
        return self.ask({"do": "recover", "results": str(results), **request})[0]


@pytest.fixture(scope="session")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    made = Forge(tmp_path_factory.mktemp("forge"))
    yield made
    assert made.process.stdin and made.process.stdout
    made.process.stdin.close()
    made.process.stdout.close()
    made.process.wait(timeout=60)


@pytest.fixture
def ram(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is one: what is tested is the order of calls, not the disk."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="peak_trade-", dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder)


def write_bars(path: Path) -> Path:
    """Write 20 daily bars that rise, fall and rise, so that an average of 2 crosses one of 5 both ways."""
    closes = [100, 101, 102, 103, 104, 105, 106, 107, 104, 101, 98, 95, 92, 94, 97, 100, 103, 106, 109, 112]
    rows = [f"2024-01-{day:02d},{c - 1},{c + 2},{c - 2},{c},{10 * day}" for day, c in enumerate(closes, 1)]
    path.write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]) + "\n")
    return path


@pytest.fixture
def config(ram: Path) -> Path:
    """A config with its bars beside it."""
    write_bars(ram / "bars.csv")
    path = ram / "config.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def results(forge: Forge, config: Path, ram: Path) -> Path:
    """A results directory that holds one sealed run."""
    assert forge.cli(config, ram / "results").code == 0
    return ram / "results"


def faults_of(results: Path) -> list[str]:
    """Return everything that is wrong with a results directory, which may hold runs that died.

    That one died between its seal and its name is right to be said, by who has no other way to know.
    """
    left = {run.run_id for run in run_dir.unfinished(Results(results))}
    found = [
        f"{verdict.name}: {finding}"
        for verdict in verify_all(Results(results), None, root=None)
        for finding in verdict.findings
        if not (finding.file in left and "finishes a run that died on the way" in finding.found)
    ]
    reading = Ledger(results).read()
    whole = {path.name for path in Results(results).runs()}
    found += [f"{run_id} is both finished and unfinished" for run_id in left & whole]
    told = {entry.run_id for entry in reading.entries}
    found += [f"{run_id} is neither finished nor reported" for run_id in told - left - whole]
    return found


def unrecovered(results: Path) -> list[str]:
    """Return everything that is wrong after a recovery: now each run has one end, and nothing is left lying about."""
    found = faults_of(results)
    found += [f"{run.run_id} is unfinished" for run in run_dir.unfinished(Results(results))]
    by_run: dict[str, list[str]] = {}
    for entry in Ledger(results).read().entries:
        by_run.setdefault(entry.run_id, []).append(entry.event)
    for run_id, events in by_run.items():
        if len(events) != 2 or events[0] != "start" or events[1] not in ("sealed", "failed", "abandoned"):
            found.append(f"{run_id} has the events {events}")
    return found


def photograph(results: Path) -> dict[str, str]:
    """Return the digest of every file below a folder."""
    return {
        str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(results.rglob("*"))
    }


TOOK: dict[str, float] = {}  # seconds of what was done once without being killed


def killed_at_an_instant(
    name: str, lot: random.Random, ready: Callable[[], Any], do: Callable[..., Outcome]
) -> Outcome:
    """Do something that `ready` prepares, and kill it at an instant that is drawn from all those that it takes.

    One that was quicker is done again, and killed earlier.
    """
    if name not in TOOK:
        ready()
        began = time.monotonic()
        assert do().code in (0, 1)
        TOOK[name] = time.monotonic() - began
    for _ in range(50):
        ready()
        if (outcome := do(kill_after_s=lot.uniform(0, TOOK[name]))).code == -signal.SIGKILL:
            return outcome
    raise AssertionError("it was never killed")


def whole(ledger: Path) -> bool:
    """Say whether a ledger ends with a whole line; one that is not there does."""
    return not ledger.exists() or ledger.read_bytes()[-1:] in (b"", b"\n")


@pytest.fixture(scope="session")
def look() -> Any:
    """The judgements above, for tests (which cannot import a conftest)."""

    class Look:
        faults_of = staticmethod(faults_of)
        unrecovered = staticmethod(unrecovered)
        photograph = staticmethod(photograph)
        whole = staticmethod(whole)
        killed_at_an_instant = staticmethod(killed_at_an_instant)
        unfinished = staticmethod(lambda results: run_dir.unfinished(Results(results)))
        write_bars = staticmethod(write_bars)

    return Look


@pytest.fixture
def copies(results: Path, ram: Path) -> Callable[[], Path]:
    """Return a function that makes a fresh copy of the results directory with one run, at the same path each time."""
    template = results.rename(ram / "template")

    def fresh() -> Path:
        shutil.rmtree(results, ignore_errors=True)
        shutil.copytree(template, results)
        return results

    return fresh
