"""What the tests of tracking share: runs, stores of MLflow's own making, and the forge (see forge.py)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peak_trade import config, runner
from peak_trade.errors import RunError
from peak_trade.tracking.store import Store

ROOT = Path(__file__).resolve().parents[2]
SECRET = "s3cr3t-Passw0rd"
BARS = 1_500
STRATEGY = '''"""Long, flat and long in turn; or no strategy at all."""

import numpy as np


def steps(bars, *, length=50, labels=("a", "b"), api_key=None, nothing=None):
    return np.resize(np.repeat([0.0, 1.0], length), len(bars))


def broken(bars):
    raise ValueError("no idea what to do")
'''
HEAD = """
[data]
path = "bars.csv"
symbol = "TEST"
timeframe = "1h"
source = "made up"
[execution]
fee_bps = 10
"""
CONFIGS = {
    "plain": '[run]\nname = "A plain one"\ntags = { desk = "equities" }\n[strategy]\nname = "sma_crossover"\n'
    "params = { fast = 5, slow = 20 }\n",
    "flat": '[strategy]\nentrypoint = "own.py:steps"\nparams = { length = 100000 }\n[stats]\nbenchmark = "none"\n',
    "secret": f'[run]\ntags = {{ api_key = "{SECRET}", desk = "x" }}\n[strategy]\nentrypoint = "own.py:steps"\n'
    f'params = {{ api_key = "{SECRET}" }}\n',
    "failed": '[strategy]\nentrypoint = "own.py:broken"\n',
}


def write_bars(path: Path, bars: int, start: str) -> None:
    """Write hourly bars whose close is a random walk."""
    stamps = np.datetime64(start, "s") + np.arange(bars) * np.timedelta64(1, "h")
    closes = np.round(100 * np.exp(np.cumsum(np.random.default_rng(7).normal(0, 0.01, bars))), 2)
    rows = [f"{t}Z,{c},{c + 1},{c - 1},{c},{10}" for t, c in zip(stamps, closes.tolist(), strict=True)]
    path.write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]) + "\n")


class Runs:
    """A results directory, by the names that runs have here."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.results = folder, folder / "results"
        self.names: dict[str, str] = {}

    def make(self, name: str, text: str, *overrides: str) -> Path:
        """Run a config, and keep the run under a name."""
        file = self.folder / f"{name}.toml"
        file.write_text(text + HEAD)
        try:
            made = runner.run(config.load(file, list(overrides)), root=self.folder, results=self.results).name
        except RunError as error:
            made = str(error.run_id)
        self.names[name] = made
        return self.results / made

    def __getitem__(self, name: str) -> Path:
        return self.results / self.names[name]

    def copy(self, folder: Path) -> Runs:
        """Copy everything."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        other = Runs(folder)
        other.names = dict(self.names)
        return other


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    runs = Runs(tmp_path_factory.mktemp("made"))
    write_bars(runs.folder / "bars.csv", BARS, "2024-01-01")
    (runs.folder / "own.py").write_text(STRATEGY)
    for name, text in CONFIGS.items():
        runs.make(name, text)
    return runs


@pytest.fixture
def runs(made_once: Runs, tmp_path: Path) -> Runs:
    """Runs of one's own: `plain`, `flat` (no trade), `secret` and `failed`."""
    return made_once.copy(tmp_path / "repository")


class Forge:
    """Asks forge.py to do things."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", Path(__file__).with_name("forge.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self.process.stdout
        assert self.process.stdout.readline() == "ready\n"

    def ask(self, *requests: dict[str, Any]) -> list[dict[str, Any]]:
        """Carry out requests at the same time, and return each one's exit code and what it found."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(requests) + "\n")
        self.process.stdin.flush()
        answers: list[dict[str, Any]] = json.loads(self.process.stdout.readline())
        return answers

    @staticmethod
    def logging(store: Store, *run_dirs: Path, **request: Any) -> dict[str, Any]:
        """Return a request to log runs; fields of every `job` and `receipt`, and `die_after`, may be given."""
        job = {"limit_s": 60, **request.pop("job", {})}
        receipt = {"status": "started", "store": "", "experiment": "peak_trade", **request.pop("receipt", {})}
        jobs = [{"run_dir": str(path), "receipt": {"run_id": path.name, **receipt}, **job} for path in run_dirs]
        return {"do": "log", "store": [part and str(part) for part in store], "jobs": jobs, **request}

    def log(self, store: Store, *run_dirs: Path, **request: Any) -> list[dict[str, Any]]:
        """Log runs in one process, and return its answers."""
        (answer,) = self.ask(self.logging(store, *run_dirs, **request))
        assert answer["code"] == 0
        found: list[dict[str, Any]] = answer["found"]
        return found

    def make(self, store: Store, **request: Any) -> int:
        """Have MLflow make a store by itself, and return how the process ended: see forge.py."""
        store.folder.mkdir(exist_ok=True)
        (answer,) = self.ask({"do": "make", "uri": store.local, "folder": str(store.folder), **request})
        code: int = answer["code"]
        return code

    def look_at(self, stores: Sequence[Store]) -> list[list[dict[str, Any]]]:
        """Return of each store the runs that it holds."""
        answers = self.ask(*({"do": "look", "uri": store.local, "folder": str(store.folder)} for store in stores))
        return [[run for run in answer["found"] if run["active"]] for answer in answers]

    def look(self, store: Store, *, deleted: bool = False) -> list[dict[str, Any]]:
        """Return the runs that a store holds."""
        (answer,) = self.ask({"do": "look", "uri": store.local, "folder": str(store.folder)})
        return [run for run in answer["found"] if deleted or run["active"]]

    def read(self, store: Store, run_id: str, name: str) -> str:
        """Return the text of an artifact as MLflow's client hands it out."""
        request = {"do": "read", "uri": store.local, "folder": str(store.folder), "run_id": run_id, "name": name}
        (answer,) = self.ask(request)
        return str(answer["found"])

    def act(self, store: Store, method: str, *args: Any, **named: Any) -> Any:
        """Call a method of MLflow's client on a store."""
        request = {"do": "act", "uri": store.local, "folder": str(store.folder), "method": method, "args": args}
        (answer,) = self.ask(request | {"named": named})
        assert answer["code"] == 0
        return answer["found"]


def clean(**settings: str) -> dict[str, str]:
    """Return this environment without what steers tracking, and with `settings`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PEAK_", "MLFLOW_"))}
    return kept | settings


@pytest.fixture(scope="session")
def forge(need: Callable[[str], None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    need("experiments")
    made = Forge(clean(TMPDIR=str(tmp_path_factory.mktemp("forge"))))  # what is killed leaves its own there
    yield made
    assert made.process.stdin and made.process.stdout
    made.process.stdin.close()
    made.process.stdout.close()
    made.process.wait(timeout=10)


def store_at(folder: Path) -> Store:
    """Return the store that is a database in a folder."""
    return Store.of(folder, {})


@pytest.fixture(scope="session")
def empty_store(forge: Forge, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a database as MLflow makes it, which takes it seconds: once, for all processes of the suite."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "empty-store"
    folder.mkdir(exist_ok=True)
    store = store_at(folder)
    assert store.database
    with store.turn(folder):
        if not store.database.exists():
            forge.look(store)
    return store.database


@pytest.fixture
def store(empty_store: Path, tmp_path: Path) -> Store:
    """A database of one's own."""
    (tmp_path / "store").mkdir()
    shutil.copy(empty_store, tmp_path / "store")
    return store_at(tmp_path / "store")


@pytest.fixture(scope="session")
def cli() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run one of the scripts as the command line does, with settings in its environment."""

    def run(script: str, *argv: str | Path, python: str | Path = sys.executable, **settings: str) -> Any:
        command = [str(python), str(ROOT / "scripts" / script), *map(str, argv)]
        return subprocess.run(command, env=clean(**settings), capture_output=True, text=True, timeout=120)

    return run


@pytest.fixture(scope="session")
def tools() -> Any:
    """The functions above, for tests (which cannot import a conftest)."""

    class Tools:
        root = ROOT
        secret = SECRET
        clean = staticmethod(clean)
        store_at = staticmethod(store_at)
        write_bars = staticmethod(write_bars)
        receipt = staticmethod(receipt)

    return Tools


def receipt(run_dir: Path, patience: float = 60.0) -> dict[str, Any]:
    """Return a run's receipt, once more is known than that a process was sent off."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found: dict[str, Any] = json.loads((run_dir / "tracking.json").read_bytes())
        if found["status"] != "started":
            return found
        time.sleep(0.05)
    raise AssertionError("the process that was sent off has left no receipt")
