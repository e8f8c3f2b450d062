"""`just obs-local`: what it prints is enough to send a trace to a real MLflow server and to find it by its run_id."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from peak_trade.tracking.page import runs_page

pytestmark = pytest.mark.slow
RUN_ID = "0b7f9a52-3c1d-4e8f-9a6b-1c2d3e4f5a6b"


@pytest.fixture(scope="module")
def lines(tools: Any, forge: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The settings that the server's start prints, by name, over a store that it makes; it is ended by Ctrl-C."""
    folder = tmp_path_factory.mktemp("local")
    with subprocess.Popen(
        [sys.executable, str(tools.root / "scripts" / "obs" / "local.py"), "--port", "5400", "--experiment", "spans"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=tools.clean(MLFLOW_TRACKING_URI=f"sqlite:///{folder}/mlflow.db"),
    ) as process:
        assert process.stdout
        printed = [process.stdout.readline() for _ in range(3)]
        matches = [re.fullmatch(r"export (\w+)=(\S+)\n", line) for line in printed]
        yield {match[1]: match[2] for match in matches if match}
        os.kill(process.pid, signal.SIGINT)
        assert process.stdout.read() == ""
        assert process.wait(60) == 0


def test_the_lines_turn_telemetry_on_and_name_the_server(lines: dict[str, str]) -> None:
    assert list(lines) == ["PEAK_OTEL_ENABLED", "PEAK_OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS"]
    assert lines["PEAK_OTEL_ENABLED"] == "1"
    assert re.fullmatch(r"http://127\.0\.0\.1:54\d\d", lines["PEAK_OTEL_EXPORTER_OTLP_ENDPOINT"])


def test_before_a_run_is_logged_there_is_no_page_of_runs(lines: dict[str, str]) -> None:
    assert runs_page(lines["PEAK_OTEL_EXPORTER_OTLP_ENDPOINT"]) is None


def post(url: str, body: bytes, **headers: str) -> Any:
    request = urllib.request.Request(url, body, {name.replace("_", "-"): value for name, value in headers.items()})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer) if answer.headers["Content-Type"] == "application/json" else answer.read()


def test_a_trace_that_is_sent_as_the_lines_say_is_found_by_its_run_id(lines: dict[str, str]) -> None:
    url = lines["PEAK_OTEL_EXPORTER_OTLP_ENDPOINT"]
    name, _, experiment = lines["OTEL_EXPORTER_OTLP_HEADERS"].partition("=")
    now = time.time_ns()
    span = {
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "spanId": "b7ad6b7169203331",
        "name": "run",
        "startTimeUnixNano": str(now),
        "endTimeUnixNano": str(now + 1_000_000),
    }
    resource = {"attributes": [{"key": "run_id", "value": {"stringValue": RUN_ID}}]}
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
    post(f"{url}/v1/traces", json.dumps(body).encode(), Content_Type="application/json", **{name: experiment})
    where = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
    asked = json.dumps({"locations": [where]}).encode()  # MLflow keeps `run_id` in a filter for runs of its own
    found = post(f"{url}/api/3.0/mlflow/traces/search", asked, Content_Type="application/json")
    assert [trace["tags"]["run_id"] for trace in found["traces"]] == [RUN_ID]


def test_a_store_that_is_a_server_needs_none_of_ours(cli: Any) -> None:
    done = cli("obs/local.py", MLFLOW_TRACKING_URI="http://127.0.0.1:1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: MLFLOW_TRACKING_URI is the server http://127.0.0.1:1\nhint: unset it, or send to it yourself\n"
    )
