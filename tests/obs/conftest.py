"""What the tests of telemetry share: small bars, a config, runs with and without telemetry, and what they leave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
WRAPPER = str(ROOT / "scripts" / "utils" / "with_telemetry.sh")
SCRIPT = str(ROOT / "scripts" / "run_strategy_from_config.py")
LIMIT_S = 120  # a process that takes longer hangs
CONFIG = '[data]\npath = "bars.csv"\nsymbol = "TEST"\ntimeframe = "1d"\n[strategy]\n'
USER = """
import numpy as np
def held(bars): return np.ones(len(bars))
"""


class Span(NamedTuple):
    """A span as a file or a receiver has it; times in ns, ids in hex, attributes by name."""

    name: str
    trace: str
    id: str
    parent: str
    start: int
    end: int
    attributes: dict[str, Any]
    status: int
    events: list[dict[str, Any]]
    resource: dict[str, Any]


class Ran(NamedTuple):
    """What became of a process."""

    code: int
    stdout: str
    stderr: str
    results: Path
    run_id: str

    @property
    def run_dir(self) -> Path:
        return self.results / self.run_id

    @property
    def telemetry(self) -> Path:
        """Where the run's telemetry is."""
        inside = self.run_dir / "telemetry"
        return inside if inside.is_dir() else self.results / ".telemetry" / self.run_id

    def said(self, label: str) -> list[str]:
        """The lines of stderr that begin with `error:`, `warn:` or `hint:`."""
        return [line.partition(": ")[2] for line in self.stderr.splitlines() if line.startswith(f"{label}: ")]

    def manifest(self) -> dict[str, Any]:
        return json.loads((self.run_dir / "manifest.json").read_bytes())  # type: ignore[no-any-return]

    def sealed(self) -> dict[str, str]:
        """The digests of the sealed files."""
        return {subject["name"]: subject["digest"]["sha256"] for subject in self.manifest()["subject"]}

    def receipt(self) -> dict[str, Any]:
        return json.loads((self.telemetry / "receipt.json").read_bytes())  # type: ignore[no-any-return]

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.run_dir / "run.log").read_text().splitlines()]

    def spans(self, name: str = "traces.jsonl") -> list[Span]:
        return spans_of([json.loads(line) for line in (self.telemetry / name).read_text().splitlines()])

    def text(self) -> str:
        """All that was recorded."""
        return "".join(path.read_text("utf-8") for path in self.telemetry.iterdir())


def value_of(value: dict[str, Any]) -> Any:
    """Return a value of OTLP's JSON."""
    [(kind, inner)] = value.items()
    if kind == "arrayValue":
        return [value_of(item) for item in inner.get("values", [])]
    return int(inner) if kind == "intValue" else inner


def attributes_of(listed: list[dict[str, Any]]) -> dict[str, Any]:
    return {item["key"]: value_of(item["value"]) for item in listed}


def spans_of(requests: list[dict[str, Any]]) -> list[Span]:
    """Return the spans of OTLP/JSON requests, in the order of their starts."""
    found = []
    for request in requests:
        for of_resource in request["resourceSpans"]:
            resource = attributes_of(of_resource["resource"]["attributes"])
            for of_scope in of_resource["scopeSpans"]:
                for span in of_scope["spans"]:
                    found.append(
                        Span(
                            span["name"],
                            span["traceId"],
                            span["spanId"],
                            span.get("parentSpanId", ""),
                            int(span["startTimeUnixNano"]),
                            int(span["endTimeUnixNano"]),
                            attributes_of(span.get("attributes", [])),
                            span.get("status", {}).get("code", 0),
                            [
                                {"name": event["name"], **attributes_of(event["attributes"])}
                                for event in span.get("events", [])
                            ],
                            resource,
                        )
                    )
    return sorted(found, key=lambda span: (span.start, -span.end))


class Case:
    """A folder with bars and a strategy of the user's, and ways to run it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / "results"
        self.settings: dict[str, str] = {}
        self.strategy("held", USER)
        self.bars(20)

    def bars(self, count: int) -> None:
        rows = [
            f"{1990 + i // 336}-{i // 28 % 12 + 1:02d}-{i % 28 + 1:02d}" + f",{100 + i % 7}" * 4 + ",10"
            for i in range(count)
        ]
        (self.folder / "bars.csv").write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]) + "\n")

    def strategy(self, name: str, code: str = "", lines: str = "") -> None:
        """Choose the strategy; `code` is the user's module, `lines` are added to the config."""
        if code:
            (self.folder / "user.py").write_text(code)
        (self.folder / "config.toml").write_text(CONFIG + f'entrypoint = "user.py:{name}"\n{lines}')

    def environment(self, **settings: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PEAK_", "OTEL_", "PYTHON", "TRACEPARENT"))}
        return {**kept, "PYTHONDONTWRITEBYTECODE": "1", **self.settings, **settings}

    def command(self, *argv: str, python: str = sys.executable) -> list[str]:
        words = ["--config", str(self.folder / "config.toml"), "--results-dir", str(self.results), "--quiet"]
        return [WRAPPER, python, SCRIPT, *words, *argv]

    def run(self, *argv: str, python: str = sys.executable, **settings: str) -> Ran:
        """Run the config under a run_id of its own; telemetry is on unless PEAK_OTEL_ENABLED says otherwise."""
        run_id = str(uuid.uuid4())
        return self.call(self.command("--run-id", run_id, *argv, python=python), run_id, **settings)

    def call(self, command: list[str], run_id: str = "", **settings: str) -> Ran:
        environment = self.environment(**{"PEAK_OTEL_ENABLED": "1", **settings})
        done = subprocess.run(
            command, env=environment, cwd=self.folder, capture_output=True, text=True, timeout=LIMIT_S
        )
        return Ran(done.returncode, done.stdout, done.stderr, self.results, run_id or done.stdout.strip())

    def plain(self, *argv: str, python: str = sys.executable, **settings: str) -> Ran:
        return self.run(*argv, python=python, **{"PEAK_OTEL_ENABLED": "0", **settings})


@pytest.fixture(scope="session", autouse=True)
def _extra(need: Callable[[str], None]) -> None:
    need("observability")


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


@pytest.fixture(scope="module")
def module_case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """One for runs that several tests look at."""
    return Case(tmp_path_factory.mktemp("case"))


@pytest.fixture(scope="session")
def tools() -> Any:
    """What tests cannot import from a conftest."""

    class Tools:
        root = ROOT
        wrapper = WRAPPER
        script = SCRIPT
        limit_s = LIMIT_S
        spans_of = staticmethod(spans_of)
        attributes_of = staticmethod(attributes_of)

    return Tools


@pytest.fixture
def same_as_plain(case: Case) -> Iterator[Callable[[Ran], None]]:
    """Return a check that a run did, printed and sealed what one without telemetry does."""
    plain: list[Ran] = []

    def check(traced: Ran) -> None:
        if not plain:
            plain.append(case.plain())
        assert traced.code == plain[0].code, traced.stderr
        assert traced.stdout == plain[0].stdout.replace(plain[0].run_id, traced.run_id)
        assert traced.sealed() == plain[0].sealed()

    yield check
    assert plain, "a check that is not used proves nothing"
