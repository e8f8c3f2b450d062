"""What the tests of the lake share: real runs, a lake made of them, and rows to compare."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote

import numpy as np
import pytest

from peak_trade import config, runner
from peak_trade.data.lake import build, commit, query
from peak_trade.errors import PeakError
from peak_trade.evidence.results import Results
from peak_trade.market.bars import Bars


@pytest.fixture(scope="session", autouse=True)
def _extra(need: Callable[[str], None]) -> None:
    need("lake")


ROOT = Path(__file__).resolve().parents[2]
CONFIG = """\
[data]
path = "bars.csv"
symbol = "TEST"
timeframe = "1d"
calendar = "24/7"
source = "made up"

[strategy]
name = "sma_crossover"

[strategy.params]
fast = 2
slow = 5

[execution]
fee_bps = 1.0
"""
CLOSES = [100, 101, 102, 103, 104, 105, 106, 107, 104, 101, 98, 95, 92, 94, 97, 100, 103, 106, 109, 112]


def write_bars(path: Path, closes: list[int] = CLOSES) -> Path:
    rows = [f"2024-01-{day:02d},{c - 1},{c + 2},{c - 2},{c},{10 * day}" for day, c in enumerate(closes, 1)]
    path.write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]) + "\n")
    return path


def run(config_file: Path, results: Path, *overrides: str) -> str:
    """Make a run, and return its run_id; a strategy that fails makes one too."""
    try:
        return runner.run(config.load(config_file, list(overrides)), root=config_file.parent, results=results).name
    except PeakError as error:
        return str(error.run_id)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, otlp: Any) -> Path:
    """A folder with bars, a config, and `results/` of three sealed runs, one of them traced, and a failed one."""
    folder = tmp_path_factory.mktemp("lake")
    write_bars(folder / "bars.csv")
    (folder / "config.toml").write_text(CONFIG)
    (folder / "broken.py").write_text("def target(bars):\n    raise ValueError('no idea')\n")
    (folder / "broken.toml").write_text(CONFIG.split("[strategy]")[0] + '[strategy]\nentrypoint = "broken.py:target"\n')
    for fast in (2, 3, 4):
        traced = run(folder / "config.toml", folder / "results", f"strategy.params.fast={fast}")
    otlp.run(folder / "results", traced)
    run(folder / "broken.toml", folder / "results")
    return folder


@pytest.fixture
def place(template: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the template to change, in memory where there is some: what is tested is the order of calls."""
    folder = tempfile.mkdtemp(prefix="peak_trade-", dir="/dev/shm") if os.access("/dev/shm", os.W_OK) else tmp_path
    shutil.copytree(template, Path(folder) / "place")
    yield Path(folder) / "place"
    shutil.rmtree(folder)


@pytest.fixture
def lake(place: Path) -> Path:
    """The lake of the copy's runs."""
    build.build(Results(place / "results"), place / "lake", root=place)
    return place / "lake"


def rows(lake: Path, sql: str) -> list[tuple[Any, ...]]:
    """Return the answer to a question."""
    with query.connect(lake) as connection:
        return [tuple(row) for row in connection.execute(sql).fetchall()]


TABLES = ("runs", "params", "stats", "equity", "trades", "receipts", "ledger", "spans", "logs", "telemetry")


def contents(lake: Path, tables: tuple[str, ...] = TABLES) -> dict[str, Any]:
    """Return all rows of tables as text, in one order."""
    with query.connect(lake, questions=()) as connection:
        found = {}
        for name in tables:
            columns = ", ".join(f'CAST("{column}" AS VARCHAR)' for column in connection.tables[name])
            found[name] = connection.execute(f"SELECT {columns} FROM {name} ORDER BY ALL").fetchall()
        return found


def photograph(folder: Path) -> dict[str, str]:
    """Return the digest of every file below a folder."""
    return {
        str(path.relative_to(folder)): digest(path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file()
    }


def strays(lake: Path) -> set[str]:
    """Return the files that no marker names."""
    named = {path for number in commit.numbers(lake) for path in commit.read(lake, number).paths}
    drafts = {f"_writing/{path.name}" for path in (lake / "_writing").glob("*")}
    return (set(commit.files_of(lake)) - named) | drafts


def bars(closes: list[float], start: str = "2024-01-01", *, symbol: str = "TEST", timeframe: str = "1h") -> Bars:
    """Return bars with these closes, one after the other."""
    close = np.array(closes, float)
    step = {"1h": np.timedelta64(3600, "s"), "1d": np.timedelta64(86_400, "s")}[timeframe]
    times = np.datetime64(start, "ns") + np.arange(len(close)) * step
    return Bars(times, close, close + 1, close - 1, close, np.ones(len(close)), symbol, timeframe)


@pytest.fixture(scope="session")
def look() -> Any:
    """The helpers above, for tests (which cannot import a conftest)."""

    class Look:
        pass

    for function in (run, rows, contents, photograph, strays, bars, write_bars):
        setattr(Look, function.__name__, staticmethod(function))
    return Look


@pytest.fixture
def script() -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Return a function that runs one of the scripts, as a person does."""

    def start(name: str, *words: object, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, str(ROOT / "scripts" / f"{name}.py"), *map(str, words)],
            input=stdin,
            capture_output=True,
            env=os.environ | {"NO_COLOR": "1"} | environment,
            timeout=60,
        )

    return start


class Forge:
    """Asks forge.py, which starts once, to change a lake in a process that is killed at a call of one's choice."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("forge.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, do: str, lake: Path, **request: Any) -> tuple[int, list[str]]:
        """Return the exit code (minus the signal that killed it) and the calls that touched the lake."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"do": do, "lake": str(lake), **request}, default=str) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["code"], answer["calls"]


@pytest.fixture(scope="session")
def forge() -> Iterator[Forge]:
    made = Forge()
    yield made
    assert made.process.stdin and made.process.stdout
    made.process.stdin.close()
    made.process.stdout.close()
    made.process.wait(timeout=60)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Published:
    """What others read at an address, without us: the files that Delta's log names, and their rows."""

    _KNOWN: ClassVar[dict[tuple[str, ...], list[tuple[Any, ...]]]] = {}  # rows by the digests of the files, all read

    def __init__(self, uri: object) -> None:
        self.uri = str(uri)

    def table(self, name: str) -> Any:
        """The table as deltalake has it."""
        import deltalake

        return deltalake.DeltaTable(f"{self.uri}/{name}")

    def version(self, name: str) -> int:
        return int(self.table(name).version())

    def files(self, name: str) -> set[str]:
        """The paths that the log names, of a folder: by reading the log, as JSON is."""
        live: set[str] = set()
        for entry in sorted(Path(self.uri, name, "_delta_log").glob("0*.json")):
            for action in map(json.loads, entry.read_text().splitlines()):
                if add := action.get("add"):
                    live.add(unquote(add["path"]))
                if remove := action.get("remove"):
                    live.discard(unquote(remove["path"]))
        return live

    def rows(self, name: str, columns: dict[str, str]) -> list[tuple[Any, ...]]:
        """All rows as text, in one order, read by DuckDB from the files that the log names."""
        import duckdb

        paths = [str(Path(self.uri, name, path)) for path in sorted(self.files(name))]
        if not paths:
            return []
        digests = (f"{Path(path).relative_to(self.uri)}={digest(Path(path).read_bytes())}" for path in paths)
        key = (*columns, *digests)
        if known := self._KNOWN.get(key):
            return known
        shown = ", ".join(f'CAST(CAST("{column}" AS {kind}) AS VARCHAR)' for column, kind in columns.items())
        with duckdb.connect() as connection:
            connection.execute("SET timezone = 'UTC'")
            asked = f"SELECT {shown} FROM read_parquet(?, hive_partitioning = true, union_by_name = true) ORDER BY ALL"
            found = self._KNOWN[key] = connection.execute(asked, [paths]).fetchall()
            return found

    def contents(self, lake: Path) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of all tables that a lake has."""
        return {name: self.rows(name, live.columns) for name, live in commit.newest(lake).tables.items()}


@pytest.fixture(scope="session")
def published() -> type[Published]:
    return Published


class Publisher:
    """Asks publisher.py, which starts once, to publish in processes that die at a step of one's choice."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("publisher.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, *requests: dict[str, Any]) -> list[tuple[int, list[str]]]:
        """Return the exit code of each (minus the signal that killed it), and what it said."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(requests, default=str) + "\n")
        self.process.stdin.flush()
        return [(answer["code"], answer["said"]) for answer in json.loads(self.process.stdout.readline())]


@pytest.fixture(scope="session")
def publisher() -> Iterator[Publisher]:
    made = Publisher()
    yield made
    assert made.process.stdin and made.process.stdout
    made.process.stdin.close()
    made.process.stdout.close()
    made.process.wait(timeout=60)
