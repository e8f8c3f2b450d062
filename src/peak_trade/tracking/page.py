"""MLflow's own page over a store, served on this machine alone."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from peak_trade.errors import InputError, RunError
from peak_trade.tracking import condition, database
from peak_trade.tracking.content import SOURCE
from peak_trade.tracking.store import Store, redactor
from peak_trade.tracking.worker import failure

__all__ = ["ask", "free_port", "runs_page", "served", "wait"]

_HOST, _TRIED = "127.0.0.1", 100
_SHOWN = "workflowType=machine_learning"  # else the frame around the runs is that for traces of language models
_QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_LOGGING_LEVEL": "WARNING"}
_PATIENCE_S, _FAREWELL_S = 120.0, 5.0  # until it answers; until it is killed
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def served(store: Store, first_port: int) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Serve a store at the first free port, and yield the address and the process once it answers; end it at last.

    Raises RunError where the server dies or does not answer, InputError where no port is free.
    """
    with tempfile.TemporaryFile() as log:
        try:
            _checked(condition.check, store)
            store.folder.mkdir(parents=True, exist_ok=True)
            with store.turn(store.folder.resolve()):  # a database is made by one process at a time
                if store.database and not condition.has_tables(store.database):
                    _checked(database.opened, store)
                url, server = _start(store, free_port(first_port), log)
                try:
                    _wait_for(f"{url}/health", server, log, store)
                except BaseException:
                    _end(server)
                    raise
        except OSError as error:
            raise RunError(f"{store.shown} cannot be served: {error.strerror}", hint="check its folder") from None
        try:
            yield url, server
        finally:
            _end(server)


def ask(url: str, method: str, **question: Any) -> dict[str, Any]:
    """Return what MLflow's server answers to a method of its REST interface, as `experiments/search`."""
    body, headers = json.dumps(question).encode(), {"Content-Type": "application/json"}
    with _DIRECT.open(urllib.request.Request(f"{url}/api/2.0/mlflow/{method}", body, headers), timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def runs_page(url: str) -> str | None:
    """Return the address that shows the runs beside the last one that was logged from here; None before the first."""
    experiments = [one["experiment_id"] for one in ask(url, "experiments/search", max_results=1_000)["experiments"]]
    ours = {"filter": f"tags.`mlflow.source.name` = '{SOURCE}'", "order_by": ["attribute.start_time DESC"]}
    runs = ask(url, "runs/search", experiment_ids=experiments, max_results=1, **ours).get("runs")
    return f"{url}/#/experiments/{runs[0]['info']['experiment_id']}/runs?{_SHOWN}" if runs else None


def _checked(opens: Callable[[Store], Any], store: Store) -> None:
    os.environ |= _QUIET
    try:
        opens(store)
    except Exception as error:  # noqa: BLE001 - MLflow may raise anything
        reason, hint, _ = failure(error)
        raise RunError(f"mlflow cannot open the store: {reason}", hint=hint or "check its folder") from None


def _start(store: Store, port: int, log: IO[bytes]) -> tuple[str, subprocess.Popen[bytes]]:
    settings = {
        "MLFLOW_BACKEND_STORE_URI": store.local,  # no argument: it may hold a password, and arguments are everybody's
        "MLFLOW_ARTIFACTS_DESTINATION": store.artifacts,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # nine processes that runs have no use for
    }
    server = subprocess.Popen(
        [sys.executable, "-P", "-m", "mlflow", "server", "--host", _HOST, "--port", str(port), "--workers", "1"],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd=store.folder,
        env=os.environ | _QUIET | settings,
        start_new_session=True,  # Ctrl-C is for us, and what the server starts is ended with it
    )
    return f"http://{_HOST}:{port}", server


def _wait_for(url: str, server: subprocess.Popen[bytes], log: IO[bytes], store: Store) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            _checked(database.opened, store)  # where that is why, it says so in words
            log.seek(0)
            lines = log.read().decode("utf-8", "replace").split("\n")
            last = next((line.strip() for line in reversed(lines) if line.strip()), f"exit code {server.returncode}")
            raise RunError(f"mlflow's server has ended: {redactor().text(last)[:300]}")
        with suppress(OSError), _DIRECT.open(url, timeout=5):
            return
        time.sleep(0.1)
    raise RunError(f"mlflow's server did not answer within {_PATIENCE_S:g} s")


def wait(server: subprocess.Popen[bytes]) -> int:
    """Return the server's exit code once it has ended; a signal is heard, also where another thread has caught it."""
    while (code := server.poll()) is None:
        time.sleep(0.1)
    return code


def _end(server: subprocess.Popen[bytes]) -> None:
    """End the server and all that it has started: politely, then not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        with suppress(subprocess.TimeoutExpired):
            server.wait(_FAREWELL_S)


def free_port(first: int) -> int:
    """Return the first port that nobody listens on; InputError where `first` and the hundred after it are taken."""
    for port in range(first, min(first + _TRIED, 65_536)):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: what only lingers is free
            probe.bind((_HOST, port))
            return port
    raise InputError(f"no port from {first} on is free", hint="just mlflow-ui --port 8000")
