"""What tests of several parts share: Ctrl-C as on a terminal, and telemetry as OpenTelemetry writes it."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

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
