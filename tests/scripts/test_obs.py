"""`just obs-up`, `obs-down` and `obs-check` say what is the matter, with a docker of our own on PATH."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
COMPOSE = "--file ops/observability/docker-compose.yml"
IMAGE = re.search(r"image: (\S+)", (ROOT / "ops/observability/docker-compose.yml").read_text(encoding="utf-8"))
TOOLS = ("bash", "cat", "date", "od", "sed", "tr")
# Answers as the real one does for a stack whose state stands in files beside it.
DOCKER = """#!/usr/bin/env bash
here=${0%/*} last=${!#}
printf '%s\\n' "$*" >>"$here/calls"
said() { cat "$here/$1" 2>/dev/null; }
case "$*" in
info) [[ ! -e $here/silent ]] ;;
"compose version") [[ ! -e $here/no-plugin ]] ;;
*" ps --quiet"*) said container || true ;;
*" up --detach"*) [[ ! -e $here/sick ]] ;;
"inspect "*) printf '%s %s\\n' "$(said image)" "$(said state)" ;;
*" port lgtm "*) printf '127.0.0.1:%s\\n' "$(said "port-$last")" ;;
*" printenv "*) [[ $* != *"$(said broken)"* ]] && printf 'v1.2.3\\n' ;;
*"/api/traces/"*) [[ ! -e $here/lost && -e $here/trace-${last##*/} ]] ;;
esac
"""


class Machine:
    """A machine with the tools that the scripts need, and with a docker or without."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(str(shutil.which(tool)))
        self.program("sleep", "#!/usr/bin/env bash\n")

    def program(self, name: str, text: str) -> None:
        """Put a program on PATH."""
        (self.bin / name).write_text(text, encoding="utf-8")
        (self.bin / name).chmod(0o755)

    def say(self, **files: str) -> None:
        """Put the stack into a state."""
        for name, text in files.items():
            (self.bin / name.replace("_", "-")).write_text(text, encoding="utf-8")

    def calls(self) -> list[str]:
        """Return what docker was asked for, but for whether it is there."""
        lines = (self.bin / "calls").read_text(encoding="utf-8").splitlines()
        return [line for line in lines if line not in ("info", "compose version")]

    def run(self, script: str, *args: str, **settings: str) -> tuple[int, str, str]:
        """Run one of scripts/obs; return its exit code, stdout and stderr."""
        environment = {"PATH": str(self.bin), "HOME": os.devnull, **settings}
        done = subprocess.run(
            [str(ROOT / "scripts" / "obs" / script), *args],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def bare(tmp_path: Path) -> Machine:
    """A machine without docker."""
    return Machine(tmp_path)


@pytest.fixture
def machine(bare: Machine) -> Machine:
    """A machine with docker, on which nothing is started."""
    bare.program("docker", DOCKER)
    return bare


@pytest.fixture
def ports() -> Iterator[dict[str, str]]:
    """Three ports on which nobody listens, and nobody else can."""
    names = ("PEAK_GRAFANA_PORT", "PEAK_OTLP_GRPC_PORT", "PEAK_OTLP_HTTP_PORT")
    with ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in names]
        for one in held:
            one.bind(("127.0.0.1", 0))
        yield {name: str(one.getsockname()[1]) for name, one in zip(names, held, strict=True)}


@pytest.fixture
def stack(machine: Machine) -> Iterator[Machine]:
    """A machine on which all is well: what the container would publish is answered by a server of ours."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/api/dashboards/uid/peak-trade-runs" else 404)
            self.end_headers()

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            (span,) = body["resourceSpans"][0]["scopeSpans"][0]["spans"]
            assert re.fullmatch("[0-9a-f]{16}", span["spanId"])
            (machine.bin / f"trace-{span['traceId']}").touch()
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    assert IMAGE
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        port = str(server.server_address[1])
        machine.say(container="c0ffee", image=IMAGE[1], state="running/healthy", broken="nothing is")
        machine.say(port_3000=port, port_4317=port, port_4318=port)
        yield machine
        server.shutdown()


@pytest.mark.parametrize("script", ["up.sh", "check.sh", "compose.sh"])
def test_without_docker_there_is_one_sentence_and_the_way_without(bare: Machine, script: str) -> None:
    assert bare.run(script, "down") == (
        1,
        "",
        "error: docker is not installed; an MLflow server needs none\nhint: just obs-local\n",
    )


def test_a_docker_that_does_not_answer_is_said(machine: Machine) -> None:
    machine.say(silent="")
    assert machine.run("up.sh") == (1, "", "error: docker does not answer\nhint: start it, or just obs-local\n")


def test_a_docker_without_compose_is_said(machine: Machine) -> None:
    machine.say(no_plugin="")
    assert machine.run("up.sh") == (1, "", "error: docker has no compose plugin\nhint: install it, or just obs-local\n")


def test_up_starts_the_stack_and_prints_the_lines_that_send_there(machine: Machine, ports: dict[str, str]) -> None:
    code, stdout, stderr = machine.run("up.sh", **ports)
    assert code == 0
    assert stdout == (
        "export PEAK_OTEL_ENABLED=1\n"
        f"export PEAK_OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:{ports['PEAK_OTLP_HTTP_PORT']}\n"
    )
    assert stderr.startswith(f"dashboard: http://127.0.0.1:{ports['PEAK_GRAFANA_PORT']} ")
    assert machine.calls() == [
        f"compose {COMPOSE} ps --quiet --status running",
        f"compose {COMPOSE} up --detach --wait --wait-timeout 300",
    ]


@pytest.mark.parametrize("taken", ["PEAK_GRAFANA_PORT", "PEAK_OTLP_GRPC_PORT", "PEAK_OTLP_HTTP_PORT"])
def test_a_port_in_use_is_named_with_the_variable_that_maps_it(
    machine: Machine, ports: dict[str, str], taken: str
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, stdout, stderr = machine.run("up.sh", **{**ports, taken: str(port)})
    assert (code, stdout) == (1, "")
    assert re.fullmatch(rf"error: port {port} is in use\nhint: {taken}=\d+ just obs-up\n", stderr)
    assert not any("up --detach" in call for call in machine.calls())


def test_up_again_leaves_the_ports_to_the_stack_that_holds_them(stack: Machine) -> None:
    port = (stack.bin / "port-3000").read_text()
    code, _, stderr = stack.run("up.sh", PEAK_GRAFANA_PORT=port)
    assert (code, "in use" in stderr) == (0, False)


def test_a_stack_that_does_not_become_healthy_is_an_error(machine: Machine, ports: dict[str, str]) -> None:
    machine.say(sick="")
    assert machine.run("up.sh", **ports) == (
        1,
        "",
        "error: the stack did not become healthy\nhint: just obs-check\n",
    )


def test_compose_passes_on_what_it_is_given(machine: Machine) -> None:
    assert machine.run("compose.sh", "down", "--volumes") == (0, "", "")
    assert machine.calls() == [f"compose {COMPOSE} down --volumes"]


def test_check_finds_all_well_and_the_span_in_the_store(stack: Machine) -> None:
    code, stdout, stderr = stack.run("check.sh")
    port = (stack.bin / "port-3000").read_text()
    (trace,) = (path.name.removeprefix("trace-") for path in stack.bin.glob("trace-*"))
    assert IMAGE
    assert stdout == "".join(
        f"ok      {name:22}{detail}\n"
        for name, detail in (
            ("image", IMAGE[1].partition("@")[0]),
            ("container", "running/healthy"),
            *((part, "v1.2.3 is ready") for part in ("grafana", "tempo", "loki", "prometheus", "collector")),
            ("dashboard", f"http://127.0.0.1:{port}/d/peak-trade-runs"),
            ("OTLP over gRPC", f"port {port} takes connections"),
            ("OTLP over HTTP", f"port {port} took a span"),
            ("test span", f"trace {trace} is in Tempo"),
        )
    )
    assert (code, stderr) == (0, "")


@pytest.mark.parametrize(
    ("state", "finding"),
    [
        ({"container": ""}, "failed  container             is not running  (just obs-up)"),
        (
            {"image": "grafana/otel-lgtm:0.1.0"},
            "failed  image                 grafana/otel-lgtm:0.1.0 is not the pinned",
        ),
        (
            {"state": "running/unhealthy"},
            "failed  container             running/unhealthy  (just obs-down && just obs-up)",
        ),
        ({"broken": "LOKI"}, "failed  loki                  is not ready  (just obs-down && just obs-up)"),
        (
            {"port_3000": "1"},
            "failed  dashboard             is not at http://127.0.0.1:1  (just obs-down && just obs-up)",
        ),
        (
            {"port_4317": "1"},
            "failed  OTLP over gRPC        port 1 takes no connection  (just obs-down && just obs-up)",
        ),
        (
            {"port_4318": "1"},
            "failed  OTLP over HTTP        port 1 did not take a span  (just obs-down && just obs-up)",
        ),
        ({"lost": ""}, "failed  test span             did not reach Tempo within 30 s  (just obs-down && just obs-up)"),
    ],
)
def test_check_names_what_is_wrong_and_what_mends_it(stack: Machine, state: dict[str, str], finding: str) -> None:
    stack.say(**state)
    code, stdout, _ = stack.run("check.sh")
    failures = [line for line in stdout.splitlines() if line.startswith("failed")]
    assert [line.startswith(finding) for line in failures] == [True]
    assert code == 1
