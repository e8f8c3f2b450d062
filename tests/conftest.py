"""What tests of several parts share: Ctrl-C as on a terminal, sealed runs, and telemetry as OpenTelemetry writes it."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import math
import os
import re
import shutil
import signal
import sys
import venv
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import pytest

from peak_trade import config, runner
from peak_trade.errors import PeakError, RunError
from peak_trade.evidence import seal, settings, tables
from peak_trade.evidence.results import Results
from peak_trade.trust import verify
from peak_trade.trust.verify import Verdict

BARS = 48
OWN_STRATEGY = '''"""Long, flat and short in turn, in parts."""

import numpy as np


def steps(bars, *, length=5, size=0.8):
    pattern = np.repeat([0.0, size, size / 2, -size, -size / 4], length)
    return np.resize(pattern, len(bars))


def broken(bars):
    raise ValueError("no idea what to do")
'''


def ohlcv_csv(bars: int = BARS, *, start: str = "2024-01-01") -> str:
    """Return hourly bars whose close swings, so that averages cross several times."""
    import numpy as np

    lines = ["timestamp,open,high,low,close,volume"]
    stamps = np.datetime64(start, "s") + np.arange(bars) * np.timedelta64(1, "h")
    before = 100.0
    for hour, stamp in enumerate(stamps):
        close = round(100 + 8 * math.sin(hour / 3) + 0.1 * hour, 2)
        high, low = round(max(before, close) + 0.5, 2), round(min(before, close) - 0.5, 2)
        lines.append(f"{stamp}Z,{before},{high},{low},{close},{1000 + hour}")
        before = close
    return "\n".join(lines) + "\n"


CONFIGS = {
    "builtin": """
        [data]
        path = "data/bars.csv"
        symbol = "TEST"
        timeframe = "1h"
        calendar = "24/7"
        [strategy]
        name = "sma_crossover"
        params = { fast = 3, slow = 8 }
        [execution]
        fee_bps = 10
        slippage_bps = 5
    """,
    "own": """
        [run]
        name = "our own"
        [data]
        path = "data/bars.csv"
        symbol = "TEST"
        timeframe = "1h"
        calendar = "24/7"
        [strategy]
        entrypoint = "strategies/own.py:steps"
        [execution]
        fee_bps = 10
        slippage_bps = 5
        allow_short = true
        borrow_rate = 0.5
    """,
    "bare": """
        [data]
        path = "data/bars.csv"
        symbol = "TEST"
        timeframe = "1h"
        calendar = "24/7"
        [strategy]
        name = "buy_and_hold"
        [stats]
        benchmark = "none"
    """,
    "failed": """
        [data]
        path = "data/bars.csv"
        symbol = "TEST"
        timeframe = "1h"
        calendar = "24/7"
        [strategy]
        entrypoint = "strategies/own.py:broken"
    """,
}


class Evidence(msgspec.Struct):
    """A repository with its results; `runs` maps what a run is called here to its run_id."""

    root: Path
    results: Path
    runs: dict[str, str]

    def path(self, name: str) -> Path:
        """Return the directory of a run."""
        return self.results / self.runs[name]

    def copy(self, root: Path) -> Evidence:
        """Copy everything to `root`."""
        shutil.copytree(self.root, root, symlinks=True, dirs_exist_ok=True)
        return Evidence(root, root / "results", dict(self.runs))

    def run(self, name: str, text: str, *overrides: str, **options: Any) -> Path:
        """Run a config in this repository, and keep the run under a name."""
        file = self.root / "config" / f"{name}.toml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
        loaded = config.load(file, list(overrides))
        try:
            run_dir = runner.run(loaded, root=self.root, results=self.results, **options)
        except RunError as error:
            run_dir = self.results / str(error.run_id)
        self.runs[name] = run_dir.name
        return run_dir

    def verdicts(self) -> dict[str, Verdict]:
        """Verify everything, and return the verdicts by what a run is called here (or by its own name)."""
        names = {run_id: name for name, run_id in self.runs.items()}
        found = verify.verify_all(Results(self.results), None, root=self.root)
        return {names.get(verdict.name, verdict.name): verdict for verdict in found}

    def findings(self, *names: str) -> list[str]:
        """Return the findings on these runs (none given: on everything) as lines."""
        verdicts = self.verdicts()
        return [str(finding) for name in names or verdicts for finding in verdicts[name].findings]

    def broken(self) -> set[str]:
        """Return what is not intact."""
        return {name for name, verdict in self.verdicts().items() if verdict.state != "intact"}

    def ledger(self) -> list[bytes]:
        """Return the lines of the ledger."""
        return (self.results / "ledger.jsonl").read_bytes().splitlines()

    def write_ledger(self, lines: list[bytes]) -> None:
        """Put the ledger's lines in place of what is there, in the runs that carry theirs too."""
        (self.results / "ledger.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
        for path in self.results.glob("*/seal.json"):
            own = [line for line in lines if f'"run_id":"{path.parent.name}"'.encode() in line]
            if len(own) == 2:
                rewrite(path, seal.encode(*own))

    def manifest(self, name: str) -> Any:
        """Return a run's manifest as plain JSON."""
        return json.loads((self.path(name) / "manifest.json").read_bytes())

    def write_manifest(self, name: str, content: Any) -> None:
        """Put a manifest in place of the one there is."""
        rewrite(self.path(name) / "manifest.json", as_json(content))

    def rewrite(self, name: str, file: str, content: bytes) -> None:
        """Put other content in a sealed file, which is read-only."""
        rewrite(self.path(name) / file, content)

    def edit_csv(self, name: str, file: str, row: int, **cells: str) -> None:
        """Change cells of a row (from 1, without the header) of a CSV file."""
        with (self.path(name) / file).open(encoding="utf-8", newline="") as stream:
            table = list(csv.reader(stream))
        for column, text in cells.items():
            table[row][table[0].index(column)] = text
        self.rewrite(name, file, "".join(",".join(line) + "\n" for line in table).encode())

    def edit_json(self, name: str, file: str, edit: Callable[[Any], None]) -> None:
        """Change a JSON file in place."""
        content = json.loads((self.path(name) / file).read_bytes())
        edit(content)
        self.rewrite(name, file, as_json(content))

    def forge(self, name: str, edit: Callable[[Any], None] = lambda statement: None) -> None:
        """Make a run whose files were edited look sealed: new digests, a new seal, a ledger chained anew.

        `edit` may change the manifest on the way. What a forger cannot do is to make numbers agree that do not.
        """
        run, statement = self.path(name), self.manifest(name)
        for subject in statement["subject"]:
            subject["digest"]["sha256"] = sha256((run / subject["name"]).read_bytes())
        results, files = statement["predicate"]["results"], {subject["name"] for subject in statement["subject"]}
        try:
            equity = tables.read_series(run / "equity.csv", ("timestamp", "equity", "drawdown", "position"))
            results["equity_digest"] = tables.series_digest("equity", equity)
            trades = tables.read_trades(run / ("trades.csv" if "trades.csv" in files else "trades.parquet"))
            results["trades_digest"] = tables.trades_digest(trades)
        except (RunError, OSError):
            pass
        edit(statement)
        self.write_manifest(name, statement)
        self.rechain()

    def rechain(self) -> None:
        """Chain the ledger anew, with the seals and figures that the manifests have, and the manifests to it."""
        previous, lines = "0" * 64, []
        for line in self.ledger():
            entry = json.loads(line) | {"prev": previous}
            path = self.results / entry["run_id"] / "manifest.json"
            if path.exists() and entry["event"] == "start":
                entry |= asked(path.parent)
            if path.exists() and entry["event"] in ("sealed", "failed"):
                content = path.read_bytes()
                entry |= {"manifest": sha256(content)} | json.loads(content)["predicate"]["results"].get("summary", {})
            lines.append(msgspec.json.encode(entry))
            previous = sha256(lines[-1])
            if path.exists() and entry["event"] == "start":
                statement = json.loads(path.read_bytes())
                statement["predicate"]["ledger"]["follows"] = previous
                rewrite(path, as_json(statement))
        self.write_ledger(lines)


def asked(run_dir: Path) -> dict[str, Any]:
    """Return what a ledger's start tells of a run's config, as far as that can be read."""
    with contextlib.suppress(OSError, PeakError, ValueError, LookupError, AttributeError, TypeError, RecursionError):
        file = (run_dir / "config_snapshot.toml").read_bytes()
        overrides = json.loads((run_dir / "config_snapshot.json").read_bytes())["overrides"]
        given = config.parse(file, overrides)
        return settings.named(json.loads(msgspec.json.encode(given, enc_hook=repr)), settings.keys(file, overrides))
    return {}


def as_json(value: Any) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def rewrite(path: Path, content: bytes) -> None:
    """Put other content in a sealed file, which is read-only."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    path.chmod(0o444)


@pytest.fixture(scope="session")
def sealed_once(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """The repository that every test gets a copy of: the runs of CONFIGS, and `plain`; it and `own` have trades.csv."""
    root = tmp_path_factory.mktemp("evidence")
    for folder in ("data", "strategies"):
        (root / folder).mkdir()
    (root / "data" / "bars.csv").write_text(ohlcv_csv(), encoding="utf-8")
    (root / "strategies" / "own.py").write_text(OWN_STRATEGY, encoding="utf-8")
    made = Evidence(root, root / "results", {})
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PEAK_STRICT", raising=False)
        made.run("builtin", CONFIGS["builtin"])
        with pytest.MonkeyPatch.context() as without:
            without.setitem(sys.modules, "pyarrow", None)  # type: ignore[arg-type] # as where it is not installed
            made.run("own", CONFIGS["own"])
            made.run("plain", CONFIGS["builtin"], "strategy.params.slow=12")
        made.run("bare", CONFIGS["bare"])
        made.run("failed", CONFIGS["failed"])
    return made


@pytest.fixture
def evidence(sealed_once: Evidence, tmp_path: Path) -> Evidence:
    """A copy of the runs, to be broken."""
    return sealed_once.copy(tmp_path / "repository")


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Take away root's right to read everything, so that file modes count."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's job in the background: each child would ignore it too
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Otlp:
    """OTLP/JSON: ids in hex, 64-bit integers as text, values as unions. Times are in ms after 2023-11-14T22:13:20Z."""

    start = 1_700_000_000_000_000_000

    def at(self, ms: float) -> str:
        return str(self.start + round(ms * 1e6))

    def value(self, value: Any) -> dict[str, Any]:
        if isinstance(value, list):
            return {"arrayValue": {"values": [self.value(item) for item in value]}}
        if isinstance(value, bool):
            return {"boolValue": value}
        if isinstance(value, int):
            return {"intValue": str(value)}
        return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}

    def attributes(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"key": key, "value": self.value(value)} for key, value in given.items()]

    def span(
        self, name: str, number: int, start: float, ms: float, parent: int = 0, *, trace: int = 1, error: str = "",
        **attributes: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """A span from `start` on, `ms` long; `error` is `Type: message`."""
        made: dict[str, Any] = {
            "traceId": f"{trace:032x}", "spanId": f"{number:016x}", "name": name, "kind": 1,
            "startTimeUnixNano": self.at(start), "endTimeUnixNano": self.at(start + ms),
            "attributes": self.attributes(attributes), "status": {},
        }  # fmt: skip
        if parent:
            made["parentSpanId"] = f"{parent:016x}"
        if error:
            kind, _, message = error.partition(": ")
            told = self.attributes({"exception.type": kind, "exception.message": message})
            made["events"] = [{"name": "exception", "timeUnixNano": self.at(start + ms), "attributes": told}]
            made["status"] = {"code": 2, "message": error}
        return made

    def log(
        self, message: str, at: float, span: int = 0, *, severity: int = 13, trace: int = 1, **attributes: Any
    ) -> Any:
        made = {
            "timeUnixNano": self.at(at), "severityNumber": severity, "body": {"stringValue": message},
            "attributes": self.attributes(attributes),
        }  # fmt: skip
        return made | ({"traceId": f"{trace:032x}", "spanId": f"{span:016x}"} if span else {})

    def line(self, run_id: str, *, spans: Any = (), logs: Any = (), **resource: Any) -> bytes:
        """One line of a file: a request with spans, or with log records."""
        about = {"attributes": self.attributes({"service.name": "peak-trade", "run_id": run_id} | resource)}
        if logs:
            sent: Any = {
                "resourceLogs": [{"resource": about, "scopeLogs": [{"scope": {"name": "a"}, "logRecords": logs}]}]
            }
        else:
            sent = {"resourceSpans": [{"resource": about, "scopeSpans": [{"scope": {"name": "s"}, "spans": spans}]}]}
        return json.dumps(sent).encode() + b"\n"

    def write(self, folder: Path, name: str, *lines: bytes) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_bytes(b"".join(lines))
        return path

    def run(self, results: Path, run_id: str) -> None:
        """The telemetry of a run of 100 ms: five spans, one of which failed, and two log records."""
        spans = [
            self.span("load_bars", 2, 5, 40, 1, rows=20),
            self.span("contract", 3, 30, 10, 2),
            self.span("strategy", 4, 50, 20, 1, error="ValueError: no idea"),
            self.span("write", 5, 80, 4, 1, file="stats.json"),
            self.span("run", 1, 0, 100, strategy="sma_crossover", run_id=run_id),
        ]
        logs = [self.log("few bars", 10, 2), self.log("sealed", 99, 1, severity=9)]
        self.write(
            results / run_id / "telemetry", "traces.jsonl", self.line(run_id, spans=spans, **{"service.version": "1"})
        )
        self.write(results / run_id / "telemetry", "logs.jsonl", self.line(run_id, logs=logs))


@pytest.fixture(scope="session")
def otlp() -> Otlp:
    return Otlp()


@pytest.fixture(scope="session")
def core_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the core alone, of the packages that are here: none is fetched."""
    folder = tmp_path_factory.mktemp("core") / "environment"
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob("lib/python3*/site-packages")
    needed = [line for line in metadata.requires("peak_trade") or () if "extra ==" not in line]
    for line in ("peak_trade", *needed):
        distribution = metadata.distribution(re.split(r"[^\w.-]", line)[0])
        for part in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            (site / part).symlink_to(Path(str(distribution.locate_file(part))))
    return folder / "bin" / "python"
