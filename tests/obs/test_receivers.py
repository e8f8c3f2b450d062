"""What real receivers of OTLP get: everything, with the run_id on every resource."""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

pytestmark = [pytest.mark.slow, pytest.mark.needs("observability")]

ENDPOINT = "PEAK_OTEL_EXPORTER_OTLP_ENDPOINT"
PATIENT = {"PEAK_OTEL_TIMEOUT_S": "60"}  # what is asked is what arrives, not when
SIGNALS = {
    "traces": (trace_service_pb2.ExportTraceServiceRequest, "resource_spans"),
    "logs": (logs_service_pb2.ExportLogsServiceRequest, "resource_logs"),
    "metrics": (metrics_service_pb2.ExportMetricsServiceRequest, "resource_metrics"),
}


class Received:
    """The requests that came, by signal, and their headers."""

    def __init__(self) -> None:
        self.requests: dict[str, list[Any]] = {signal: [] for signal in SIGNALS}
        self.headers: list[dict[str, str]] = []

    def resources(self) -> list[tuple[str, dict[str, str]]]:
        """The attributes of every resource, with the signal that it came with."""
        return [
            (signal, {item.key: item.value.string_value for item in one.resource.attributes})
            for signal, requests in self.requests.items()
            for request in requests
            for one in getattr(request, SIGNALS[signal][1])
        ]

    def spans(self) -> list[Any]:
        return [
            span
            for request in self.requests["traces"]
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@contextmanager
def by_grpc(received: Received) -> Iterator[str]:
    """Receive over gRPC; yield the endpoint."""
    server = grpc.server(futures.ThreadPoolExecutor(4))

    def serve(signal: str, base: type, add: Any, answer: Any) -> None:
        def export(self: Any, request: Any, context: Any) -> Any:
            received.headers.append(dict(context.invocation_metadata()))
            received.requests[signal].append(request)
            return answer()

        add(type("Servicer", (base,), {"Export": export})(), server)

    of = trace_service_pb2_grpc, logs_service_pb2_grpc, metrics_service_pb2_grpc
    serve("traces", of[0].TraceServiceServicer, of[0].add_TraceServiceServicer_to_server,
          trace_service_pb2.ExportTraceServiceResponse)  # fmt: skip
    serve("logs", of[1].LogsServiceServicer, of[1].add_LogsServiceServicer_to_server,
          logs_service_pb2.ExportLogsServiceResponse)  # fmt: skip
    serve("metrics", of[2].MetricsServiceServicer, of[2].add_MetricsServiceServicer_to_server,
          metrics_service_pb2.ExportMetricsServiceResponse)  # fmt: skip
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"grpc://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


@contextmanager
def by_http(received: Received) -> Iterator[str]:
    """Receive over HTTP, as protobuf; yield the endpoint."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            signal = self.path.removeprefix("/v1/")
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.headers.append({key.lower(): value for key, value in self.headers.items()})
            received.requests[signal].append(SIGNALS[signal][0].FromString(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("receiver", [by_grpc, by_http])
def test_every_signal_arrives_and_every_resource_names_the_run(receiver: Any, case: Any, same_as_plain: Any) -> None:
    received = Received()
    with receiver(received) as endpoint:
        ran = case.run(**PATIENT, **{ENDPOINT: endpoint}, OTEL_EXPORTER_OTLP_HEADERS="x-desk=rates")
    same_as_plain(ran)
    assert ran.stderr == ""
    found = received.resources()
    assert {signal for signal, _ in found} == {"traces", "logs", "metrics"}
    assert {attributes["run_id"] for _, attributes in found} == {ran.run_id}
    assert len(received.spans()) == ran.receipt()["spans"]
    assert {headers["x-desk"] for headers in received.headers} == {"rates"}
    assert sorted(path.name for path in ran.telemetry.iterdir()) == ["receipt.json"]


def test_the_file_is_written_too_where_that_is_asked_for(case: Any) -> None:
    received = Received()
    with by_http(received) as endpoint:
        ran = case.run(PEAK_OTEL_FILE="1", **PATIENT, **{ENDPOINT: endpoint})
    assert {span.span_id.hex() for span in received.spans()} == {span.id for span in ran.spans()}


def test_the_stock_command_without_settings_of_ours_names_the_run_on_every_resource(case: Any) -> None:
    received = Received()
    instrument = str(Path(sys.executable).with_name("opentelemetry-instrument"))
    with by_http(received) as endpoint:
        ran = case.call(
            [instrument, "--", *case.command()[1:]],
            PEAK_OTEL_ENABLED="",
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        )
    assert (ran.code, len(ran.stdout.splitlines())) == (0, 1)
    found = received.resources()
    assert {signal for signal, _ in found} == {"traces", "logs", "metrics"}
    assert {(one["run_id"], one["service.name"]) for _, one in found} == {(ran.run_id, "peak-trade")}
    assert "run" in [span.name for span in received.spans()]


def test_a_service_name_that_is_given_to_the_stock_command_stays(case: Any) -> None:
    received = Received()
    instrument = str(Path(sys.executable).with_name("opentelemetry-instrument"))
    with by_http(received) as endpoint:
        case.call(
            [instrument, "--", *case.command()[1:]],
            PEAK_OTEL_ENABLED="",
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
            OTEL_SERVICE_NAME="desk",
            OTEL_RESOURCE_ATTRIBUTES="team=rates,run_id=mine",
        )
    assert {(one["service.name"], one["team"], len(one["run_id"])) for _, one in received.resources()} == {
        ("desk", "rates", 36)
    }


def test_no_secret_is_sent(case: Any) -> None:
    case.strategy("raises", "def raises(bars): raise ValueError('not with sk-verysecret')\n",
                  '[run.tags]\napi_key = "sk-verysecret"\n')  # fmt: skip
    received = Received()
    with by_http(received) as endpoint:
        assert case.run(**PATIENT, **{ENDPOINT: endpoint}).code == 1
    text = "".join(str(request) for requests in received.requests.values() for request in requests)
    assert "not with [redacted]" in text
    assert "sk-verysecret" not in text


# --- a real backend -----------------------------------------------------------------------------------------------


@pytest.fixture
def mlflow(need: Any, tmp_path: Path, tools: Any) -> Iterator[str]:
    """A real MLflow server with a database of its own; its address."""
    need("experiments")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", address.rpartition(":")[2]]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db", "--workers", "1"]
    command += ["--default-artifact-root", str(tmp_path / "artifacts")]
    with (tmp_path / "mlflow.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + tools.limit_s
        while time.monotonic() < deadline:
            assert server.poll() is None, (tmp_path / "mlflow.log").read_text()
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.2)
        yield address
    finally:
        os.killpg(server.pid, 15)
        server.wait(tools.limit_s)


def ask(address: str, path: str, question: dict[str, Any]) -> Any:
    """Ask MLflow's REST API."""
    request = urllib.request.Request(
        f"{address}/api/{path}", json.dumps(question).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_mlflow_shows_the_trace_of_a_run_under_its_run_id(case: Any, mlflow: str) -> None:
    made = ask(mlflow, "2.0/mlflow/experiments/create", {"name": "traces"})["experiment_id"]
    headers = f"x-mlflow-experiment-id={made}"
    ran = case.run(**PATIENT, **{ENDPOINT: mlflow}, OTEL_EXPORTER_OTLP_HEADERS=headers)
    assert (ran.code, ran.stderr) == (0, "")
    assert (ran.receipt()["status"], ran.receipt()["untaken"]) == ("done", ["logs", "metrics"])
    where = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": made}}]
    every = ask(mlflow, "3.0/mlflow/traces/search", {"locations": where})["traces"]
    [found] = [trace for trace in every if trace["tags"]["run_id"] == ran.run_id]
    assert found["state"] == "OK"
    # in a filter MLflow takes `tags.run_id` for a run of its own
    wanted = f"tags.service.instance.id = '{ran.run_id}'"
    [same] = ask(mlflow, "3.0/mlflow/traces/search", {"locations": where, "filter": wanted})["traces"]
    assert same["trace_id"] == found["trace_id"]
