"""Whatever is wrong with telemetry, a run does, prints and seals what it does without, and says so once."""

from __future__ import annotations

import http.server
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import INVALID_SPAN_CONTEXT

from peak_trade.obs.farewell import FAREWELL_S, GRACE_S, Farewell
from peak_trade.obs.pipes import Pipe
from peak_trade.obs.session import Session
from peak_trade.obs.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.needs("observability")]

ENDPOINT = "PEAK_OTEL_EXPORTER_OTLP_ENDPOINT"
REFUSED = "(connection refused|no answer in time)"  # the latter on a machine that has no time for us
BOUND_MS = 6_000  # the promise is 2 s on a machine that does nothing else; unbounded, the SDK takes more than 10


@contextmanager
def silent() -> Iterator[int]:
    """A port at which connections are taken, and nothing is ever answered."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield listening.getsockname()[1]


@contextmanager
def refused() -> Iterator[int]:
    """A port at which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server that answers every request with an HTTP status."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_error(status)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def failed(ran: Any, reason: str, *, bounded: bool = True) -> None:
    """Hold that a run says in one warning, in its receipt and in its log why its telemetry failed."""
    [warning] = ran.said("warn")
    assert re.fullmatch(f"telemetry failed: {reason}", warning)
    assert len(ran.said("hint")) == 1
    assert "Traceback" not in ran.stderr
    assert len(ran.stderr.splitlines()) == 2
    receipt = ran.receipt()
    assert receipt["status"] == "failed"
    assert f"telemetry failed: {receipt['reason']}" == warning
    assert receipt["dropped"] > 0
    assert not bounded or receipt["ms"] < BOUND_MS
    last = ran.log()[-1]
    assert (last["level"], last["message"], last["run_id"]) == ("warning", warning, ran.run_id)


@pytest.mark.parametrize(
    ("collector", "scheme", "reason"),
    [
        (refused, "http", rf"http://127.0.0.1:\d+ does not take spans: {REFUSED}"),
        (refused, "grpc", rf"http://127.0.0.1:\d+ does not take spans: {REFUSED}"),
        (silent, "http", r"http://127.0.0.1:\d+ does not take spans: no answer in time"),
        (silent, "grpc", r"http://127.0.0.1:\d+ does not take spans: no answer in time"),
        (
            lambda: answering(500),
            "http",
            r"http://127.0.0.1:\d+ does not take spans: (it answers 500|no answer in time)",
        ),
        (
            lambda: answering(503),
            "http",
            r"http://127.0.0.1:\d+ does not take spans: (it answers 503|no answer in time)",
        ),
        (
            lambda: answering(302),
            "http",
            r"http://127.0.0.1:\d+ does not take spans: (it answers 302|no answer in time)",
        ),
    ],
    ids=["refused-http", "refused-grpc", "silent-http", "silent-grpc", "500", "503", "302"],
)
def test_a_collector_that_does_not_take_it(
    collector: Any, scheme: str, reason: str, case: Any, same_as_plain: Callable[[Any], None]
) -> None:
    with collector() as port:
        ran = case.run(**{ENDPOINT: f"{scheme}://127.0.0.1:{port}"})
    same_as_plain(ran)
    failed(ran, reason)


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_collector_whose_name_is_not_known(scheme: str, case: Any, same_as_plain: Callable[[Any], None]) -> None:
    ran = case.run(**{ENDPOINT: f"{scheme}://collector.invalid:4999"})
    same_as_plain(ran)
    failed(ran, r"http://collector\.invalid:4999 does not take spans: .+")


def test_a_collector_that_dies_while_the_run_is_made(case: Any, same_as_plain: Callable[[Any], None]) -> None:
    asks = "import os, socket\nimport numpy as np\n"
    asks += "def ends(bars):\n    port = int(os.environ['COLLECTOR'])\n"
    asks += "    socket.create_connection(('127.0.0.1', port)).recv(1)\n    return np.ones(len(bars))\n"
    case.strategy("ends", asks, '[run]\nprobe = "off"\n')  # which would say that it asks another program
    with socket.socket() as listening, socket.socket() as for_plain:
        for taken in (listening, for_plain):
            taken.bind(("127.0.0.1", 0))
            taken.listen(1)
            threading.Thread(target=close_when_asked, args=(taken,), daemon=True).start()
        port = listening.getsockname()[1]
        ran = case.run(**{ENDPOINT: f"http://127.0.0.1:{port}", "COLLECTOR": str(port)})
        case.settings["COLLECTOR"] = str(for_plain.getsockname()[1])
        same_as_plain(ran)
    failed(ran, rf"http://127.0.0.1:\d+ does not take spans: {REFUSED}")


def close_when_asked(listening: socket.socket) -> None:
    """Take one connection, and die."""
    connection, _ = listening.accept()
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    connection.close()


def test_a_dead_collector_does_not_keep_the_file_from_being_written(case: Any) -> None:
    with refused() as port:
        ran = case.run(PEAK_OTEL_FILE="1", **{ENDPOINT: f"http://127.0.0.1:{port}"})
    failed(ran, rf"http://127.0.0.1:\d+ does not take spans: {REFUSED}")
    assert ran.spans()[0].name == "run"
    assert len(ran.spans()) == ran.receipt()["spans"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is always full is Linux's")
def test_a_disk_that_is_full(case: Any, same_as_plain: Callable[[Any], None]) -> None:
    run_id = "6f0c1a52-58b4-4d7e-9d0b-8f3f5c3b9a01"
    folder = case.results / ".telemetry" / run_id
    folder.mkdir(parents=True)
    for name in ("traces", "logs", "metrics"):
        (folder / f"{name}.jsonl").symlink_to("/dev/full")
    ran = case.call(case.command("--run-id", run_id), run_id)
    same_as_plain(ran)
    failed(ran, r".+ does not take spans: No space left on device")


def test_a_folder_that_cannot_be_made(case: Any, same_as_plain: Callable[[Any], None]) -> None:
    case.results.mkdir()
    (case.results / ".telemetry").write_text("in the way")
    ran = case.run()
    same_as_plain(ran)
    failed(ran, r".+ does not take spans: .+")


def skipped(ran: Any, reason: str, hint: str) -> None:
    """Hold that a run says in one warning, and in its manifest, why nothing was recorded."""
    [warning] = ran.said("warn")
    assert re.fullmatch(f"telemetry skipped: {reason}", warning)
    assert ran.said("hint") == [hint]
    assert len(ran.stderr.splitlines()) == 2
    [receipt] = [r for r in ran.manifest()["predicate"]["receipts"] if r["part"] == "telemetry"]
    assert receipt == {"part": "telemetry", "outcome": "skipped", "reason": warning.partition(": ")[2]}
    assert not ran.telemetry.exists()


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("file_format: '1.0'\ntracer_provider: 7\n", r"ConfigurationError: .*tracer_provider.*"),
        ("file_format: '9.0'\n", r"ConfigurationError: Unsupported file_format.*"),
    ],
)
def test_settings_that_are_not_valid(file: str, reason: str, case: Any, same_as_plain: Callable[[Any], None]) -> None:
    (case.folder / "otel.yaml").write_text(file)
    ran = case.run(OTEL_CONFIG_FILE=str(case.folder / "otel.yaml"))
    same_as_plain(ran)
    skipped(ran, reason, "PEAK_OTEL_ENABLED=0 leaves it out")


def test_an_endpoint_that_is_none(case: Any, same_as_plain: Callable[[Any], None]) -> None:
    ran = case.run(**{ENDPOINT: "ftp://somewhere"})
    same_as_plain(ran)
    skipped(ran, f"{ENDPOINT}=ftp://somewhere is no endpoint", "as http://localhost:4318, or grpc://localhost")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise ImportError('libfoo.so.7: no such file')\n", r"ImportError: libfoo\.so\.7: no such file"),
        ("this is no Python\n", r"SyntaxError: .*"),
    ],
)
def test_an_sdk_that_cannot_be_imported(
    code: str, reason: str, case: Any, same_as_plain: Callable[[Any], None]
) -> None:
    (case.folder / "opentelemetry").mkdir()
    (case.folder / "opentelemetry" / "__init__.py").write_text(code)
    ran = case.run(PYTHONPATH=str(case.folder))
    same_as_plain(ran)
    skipped(ran, reason, "PEAK_OTEL_ENABLED=0 leaves it out")


@pytest.mark.parametrize("module", ["yaml", "opentelemetry/configuration/__init__"])  # the command does without
def test_an_sdk_of_which_a_part_is_broken(module: str, case: Any, same_as_plain: Callable[[Any], None]) -> None:
    path = case.folder / f"{module}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("raise ImportError('half of it')\n")
    ran = case.run(PYTHONPATH=str(case.folder))
    same_as_plain(ran)
    skipped(ran, ".*(half of it|yaml).*", ran.said("hint")[0])


def test_an_instrumentor_that_raises_at_every_span(case: Any, same_as_plain: Callable[[Any], None]) -> None:
    (case.folder / "sitecustomize.py").write_text(
        "import sys\nedges = sys.modules['peak_trade.obs.edges']\n"
        "def raises(*_): raise RuntimeError('a bug of ours')\nedges._enter = edges._run_ends = raises\n"
    )
    ran = case.run(PYTHONPATH=str(case.folder))
    case.settings.pop("PYTHONPATH", None)
    same_as_plain(ran)
    assert ran.said("warn") == ["telemetry failed: the span run could not begin: RuntimeError: a bug of ours"]
    assert ran.receipt()["status"] == "failed"


def test_an_instrumentor_that_raises_at_the_exit(case: Any, same_as_plain: Callable[[Any], None]) -> None:
    (case.folder / "sitecustomize.py").write_text(
        "import sys\nfarewell = sys.modules['peak_trade.obs.farewell']\n"
        "def raises(*_): raise RuntimeError('a bug of ours')\nfarewell.Farewell._send = raises\n"
    )
    ran = case.run(PYTHONPATH=str(case.folder))
    same_as_plain(ran)
    assert ran.said("warn") == ["telemetry failed: it could not be finished: RuntimeError: a bug of ours"]


def test_an_environment_without_the_extra(case: Any, core_python: Path) -> None:
    ran, plain = case.run(python=str(core_python)), case.plain(python=str(core_python))
    assert (ran.code, ran.stdout, ran.sealed()) == (0, plain.stdout.replace(plain.run_id, ran.run_id), plain.sealed())
    others = plain.said("warn")
    assert [line for line in ran.said("warn") if line not in others] == [
        "telemetry skipped: the extra observability is not installed"
    ]
    assert ran.said("hint") == ["just setup observability"]


def test_strict_makes_a_failure_of_it(case: Any, core_python: Path) -> None:
    ran = case.run(python=str(core_python), PEAK_STRICT="1")
    assert (ran.code, ran.stdout) == (1, "")
    assert ran.said("error") == ["telemetry was skipped: the extra observability is not installed"]
    [hint] = ran.said("hint")
    assert hint.startswith("just setup observability; just show ")
    assert ran.manifest()["predicate"]["status"] == "failed"


def test_a_command_that_is_no_run_says_it_too(case: Any, tools: Any, core_python: Path) -> None:
    listed = case.call([tools.wrapper, str(core_python), str(tools.root / "scripts/list_runs.py"), "--json"], "x",
                       PEAK_RESULTS_DIR=str(case.results))  # fmt: skip
    assert (listed.code, json.loads(listed.stdout)) == (0, [])
    assert listed.said("warn") == ["telemetry skipped: the extra observability is not installed"]


def test_control_with_nothing_wrong_nothing_is_said(case: Any) -> None:
    ran = case.run()
    assert (ran.code, ran.stderr, ran.receipt()["status"]) == (0, "", "done")


def test_a_server_for_traces_alone_is_no_fault(case: Any) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        ran = case.run(**{ENDPOINT: f"http://127.0.0.1:{server.server_port}"})
        server.shutdown()
        thread.join()
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.receipt()["untaken"] == ["logs", "metrics"]


def test_a_strategy_that_logs_without_end_costs_no_more_than_its_oldest_records(case: Any) -> None:
    code = "import logging\nimport numpy as np\ndef talks(bars):\n    log = logging.getLogger('mine')\n"
    code += "    for i in range(6_000): log.error('line %d', i)\n    return np.ones(len(bars))\n"
    case.strategy("talks", code)
    with refused() as port:
        ran = case.run(PEAK_OTEL_FILE="1", **{ENDPOINT: f"http://127.0.0.1:{port}"})
    text = (ran.telemetry / "logs.jsonl").read_text()
    assert ran.code == 0
    assert text.count('"line ') == 6_000, "the file has all of them"
    assert ran.receipt()["dropped"] >= 6_000


def test_nothing_is_removed_at_the_exit_least_of_all_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    for number in range(210):
        (outside / f"{number:03}").mkdir(parents=True)
        (outside / f"{number:03}" / "thesis.txt").write_text("mine\n")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / ".telemetry").symlink_to(outside)
    session = Session(Settings.read({"PEAK_RESULTS_DIR": str(tmp_path / "results")}, []))
    session.make_folder()
    Farewell(session, []).finish()
    assert (session.folder / "receipt.json").is_file()
    assert len(list(outside.glob("*/thesis.txt"))) == 210


def span() -> ReadableSpan:
    return ReadableSpan("write", INVALID_SPAN_CONTEXT, resource=Resource({}))


class Stuck:
    """An exporter that takes nothing, and gives up when it is closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def export(self, items: list[Any]) -> Any:
        self.closed.wait(60)
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self.closed.set()


class Deaf(Stuck):
    """One that does not even give up then."""

    def shutdown(self) -> None:
        """Nothing."""


def test_all_senders_share_one_limit(tmp_path: Path) -> None:
    settings = Settings.read({"PEAK_RESULTS_DIR": str(tmp_path), "PEAK_OTEL_TIMEOUT_S": "0.05"}, [])
    session = Session(settings)
    pipes = [Pipe(session, "spans", Deaf, to_file=False) for _ in range(60)]
    for pipe in pipes:
        pipe.export([span()])
    Farewell(session, pipes).finish()
    receipt = json.loads((session.folder / "receipt.json").read_bytes())
    assert receipt["dropped"] == 60
    assert receipt["ms"] < BOUND_MS  # each waiting by itself they take 15 s more


def test_the_default_limit_is_what_the_runbook_says() -> None:
    assert Settings.read({}, []).timeout_s + GRACE_S + FAREWELL_S == pytest.approx(1.2)


def test_what_is_given_up_and_fails_then_is_dropped_once(tmp_path: Path) -> None:
    session = Session(Settings.read({"PEAK_RESULTS_DIR": str(tmp_path), "PEAK_OTEL_TIMEOUT_S": "0.05"}, []))
    pipe = Pipe(session, "spans", Stuck, to_file=False)
    pipe.export([span()] * 20)
    Farewell(session, [pipe]).finish()
    assert session.dropped == 20


def test_an_answer_without_end_is_not_read(case: Any) -> None:
    over = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "1000000000")
            self.end_headers()
            self.wfile.flush()
            over.wait(60)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            ran = case.run(PEAK_OTEL_TIMEOUT_S="20", **{ENDPOINT: f"http://127.0.0.1:{server.server_port}"})
        finally:
            over.set()
            server.shutdown()
            thread.join()
    assert (ran.code, ran.stderr, ran.receipt()["status"], ran.receipt()["dropped"]) == (0, "", "done", 0)


INTERRUPTED = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nraise ImportError('not today')\n"


def test_an_interrupt_while_telemetry_starts_is_what_it_is_without(case: Any) -> None:
    (case.folder / "opentelemetry").mkdir()
    (case.folder / "opentelemetry" / "__init__.py").write_text(INTERRUPTED)
    ran = case.run(PYTHONPATH=str(case.folder))
    assert (ran.code, ran.stdout, ran.stderr) == (1, "", "error: interrupted\n")
    assert not ran.results.exists()


def test_an_interrupt_that_is_ignored_stays_ignored(case: Any) -> None:
    (case.folder / "opentelemetry").mkdir()
    (case.folder / "opentelemetry" / "__init__.py").write_text(INTERRUPTED)
    case.settings["PYTHONPATH"] = str(case.folder)
    command = case.command("--run-id", run_id := str(uuid.uuid4()))
    ran = case.call(["bash", "-c", "trap '' INT; exec \"$@\"", "bash", *command], run_id)
    assert ran.code == 0
    skipped(ran, "ImportError: not today", "PEAK_OTEL_ENABLED=0 leaves it out")


FORMAT = 'file_format: "1.0"\n'
TRACES = "tracer_provider:\n  processors:\n    - batch:\n        exporter:\n          otlp_file/development:\n"
TRACES += "            output_stream: file://${PEAK_OTEL_DIR}/traces.jsonl\n"


@pytest.mark.parametrize(
    ("file", "left"),
    [
        (FORMAT, ["receipt.json"]),
        (FORMAT + TRACES, ["receipt.json", "traces.jsonl"]),
        (FORMAT + TRACES + "disabled: true\n", []),
    ],
    ids=["nothing", "traces", "disabled"],
)
def test_settings_of_ones_own_may_leave_signals_out(file: str, left: list[str], case: Any) -> None:
    (case.folder / "otel.yaml").write_text(file)
    ran = case.run(OTEL_CONFIG_FILE=str(case.folder / "otel.yaml"))
    assert (ran.code, ran.stderr) == (0, "")
    assert sorted(path.name for path in ran.run_dir.glob("telemetry/*")) == left
    if left:
        assert ran.receipt()["logs"] == 0
        assert ran.receipt()["spans"] == (len(ran.spans()) if "traces.jsonl" in left else 0)


def test_the_switch_of_opentelemetry_turns_it_off(case: Any) -> None:
    ran = case.run(OTEL_SDK_DISABLED="true")
    assert (ran.code, ran.stderr, ran.telemetry.exists()) == (0, "", False)


def test_a_process_that_is_terminated_while_it_waits_for_a_collector_leaves_a_receipt(case: Any, tools: Any) -> None:
    asked, terminated, run_id = threading.Event(), threading.Event(), str(uuid.uuid4())

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.set()
            terminated.wait(60)
            self.send_error(400)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            process = subprocess.Popen(
                case.command("--run-id", run_id),
                env=case.environment(
                    PEAK_OTEL_ENABLED="1",
                    PEAK_OTEL_TIMEOUT_S="60",
                    **{ENDPOINT: f"http://127.0.0.1:{server.server_port}"},
                ),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            assert asked.wait(tools.limit_s)
            process.terminate()
            terminated.set()
            stdout, stderr = process.communicate(timeout=tools.limit_s)
        finally:
            terminated.set()
            server.shutdown()
            thread.join()
    assert (process.returncode, stdout) == (-signal.SIGTERM, f"{run_id}\n")
    receipt = json.loads((case.results / run_id / "telemetry" / "receipt.json").read_bytes())
    assert (receipt["status"], receipt["reason"].partition(": ")[2]) == ("failed", "it answers 400")
    assert f"warn: telemetry failed: {receipt['reason']}\n" in stderr


def test_files_on_another_file_system_are_taken_to_the_run_at_the_exit(case: Any, same_as_plain: Any) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == case.folder.stat().st_dev:
        pytest.skip("there is no other file system")
    with tempfile.TemporaryDirectory(dir=other) as folder:
        case.results.mkdir()
        (case.results / ".telemetry").symlink_to(folder)
        ran = case.run()
        same_as_plain(ran)
        assert list(Path(folder).iterdir()) == []
    assert (ran.stderr, ran.telemetry) == ("", ran.run_dir / "telemetry")
    assert len(ran.spans()) == ran.receipt()["spans"] > 0
    assert (ran.telemetry / "logs.jsonl").is_file()
