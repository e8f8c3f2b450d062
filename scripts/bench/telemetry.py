"""What telemetry costs: a run without it, with a file, a live receiver and dead ones; the command's part; each span."""

from __future__ import annotations

import http.server
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from figures import Figure, config_of, figure, random_bars

from peak_trade.errors import RunError

__all__ = ["measure"]

# In a process of its own: nothing but the wrapper loads peak_trade.obs.
_SPANS = """
import sys, time
from peak_trade.obs import edges, pipes
from peak_trade.obs.farewell import Farewell
from peak_trade.obs.session import Session
from peak_trade.obs.settings import Settings
session = Session(Settings.read({"PEAK_RESULTS_DIR": sys.argv[1]}, []))
Farewell(session, pipes.configure(session))
bare = lambda symbol, rows: None
spanned = edges._watched(session, edges.Edge("write", "", "", lambda session, given: dict(given)))(bare)
for _ in range(int(sys.argv[2]) + 1):
    start = time.perf_counter()
    for rows in range(400): spanned("SYNTHETIC", rows)
    made = time.perf_counter()
    session.save()
    saved = time.perf_counter()
    for rows in range(400): bare("SYNTHETIC", rows)
    print((made - start - (time.perf_counter() - saved)) / 400, (saved - made) / 400)
if session.fault or not session.spans: sys.exit(session.fault or "no span was made")
"""


def measure(root: Path, *, repeat: int = 7) -> Iterator[Figure]:
    """Yield each figure; nothing without the extra `observability`. Raises RunError where a run fails."""
    if find_spec("opentelemetry.configuration") is None:
        return
    with tempfile.TemporaryDirectory() as made, _receiver() as live, _silence() as silent:
        folder = Path(made)
        script, wrapper = (
            root / "scripts" / "run_strategy_from_config.py",
            root / "scripts" / "utils" / "with_telemetry.sh",
        )
        words = [
            "--quiet",
            "--config",
            str(config_of(folder, random_bars(10_000))),
            "--results-dir",
            str(folder / "runs"),
        ]
        run = [sys.executable, str(script), *words]
        traced, on = [str(wrapper), *run], {"PEAK_OTEL_ENABLED": "1"}
        instrument = str(Path(sys.executable).with_name("opentelemetry-instrument"))
        alone = {"OTEL_PYTHON_DISTRO": "none", "OTEL_PYTHON_CONFIGURATOR": "none"}
        alone["OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"] = "*"
        cases: dict[str, tuple[list[str], dict[str, str]]] = {
            "a run, plain": (run, {}),
            "a run, through the wrapper, off": (traced, {"PEAK_OTEL_ENABLED": "0"}),
            "a run, into a file": (traced, on),
            "a run, to a live receiver": (traced, on | _to(live)),
            "a run, to a dead receiver": (traced, on | _to("127.0.0.1:9")),
            "a run, to a silent receiver": (traced, on | _to(silent)),
            "a run, into a file, started without the wrapper": (run, on),
            "a program of nothing, through the wrapper": ([str(wrapper), sys.executable, "-c", ""], on),
            "a program of nothing, through opentelemetry-instrument alone": (
                [instrument, "--", sys.executable, "-c", ""],
                alone,
            ),
            "opentelemetry-instrument before it becomes the program": ([instrument, "--", "true"], {}),
            "a program of nothing": ([sys.executable, "-c", ""], {}),
        }
        seconds: dict[str, list[float]] = {name: [] for name in cases}
        for number in range(repeat + 1):
            for name, (command, settings) in cases.items():
                took = _process(command, settings | {"PEAK_RESULTS_DIR": str(folder / "runs")})
                seconds[name] += [took] if number else []  # the first warms the caches
        for name in cases:
            base = seconds["a run, plain" if name.startswith("a run") else "a program of nothing"]
            more = statistics.median(one - other for one, other in zip(seconds[name], base, strict=True))
            ratio = statistics.median(one / other for one, other in zip(seconds[name], base, strict=True))
            yield figure(
                f"telemetry: {name}",
                seconds[name],
                f"{more * 1e3:+.0f} ms, {ratio:.2f} ×" * (base is not seconds[name]),
            )
        yield from _spans(folder, repeat)


def _to(address: str) -> dict[str, str]:
    return {"PEAK_OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{address}"}


def _process(command: list[str], settings: dict[str, str]) -> float:
    """Return the wall seconds of a process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PEAK_OTEL_", "OTEL_"))}
    start = time.perf_counter()
    done = subprocess.run(command, env=kept | settings, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RunError(f"{' '.join(command)} failed: {done.stderr.strip()[-300:]}")
    return seconds


def _spans(folder: Path, repeat: int) -> Iterator[Figure]:
    """Measure 400 spans at a time: what each costs where it is made, and where it is written."""
    command = [sys.executable, "-c", _SPANS, str(folder / "spans"), str(repeat)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RunError(f"no span could be measured: {done.stderr.strip()[-300:]}")
    rows = [[float(word) * 1e6 for word in line.split()] for line in done.stdout.splitlines()[1:]]
    for name, column in zip(
        ("each span, where it is made", "each span, where it is written"), zip(*rows, strict=True), strict=True
    ):
        yield Figure(f"telemetry: {name}", statistics.median(column), min(column), max(column), "µs")


@contextmanager
def _receiver() -> Iterator[str]:
    """Receive over HTTP and answer at once; yield the address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def _silence() -> Iterator[str]:
    """Take connections and never answer; yield the address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"127.0.0.1:{listening.getsockname()[1]}"
