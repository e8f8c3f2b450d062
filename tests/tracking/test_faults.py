"""Whatever is wrong with MLflow: with `auto` a run is as it would be without it, with `strict` it is exit 1."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

CONFIG = """
[data]
path = "bars.csv"
symbol = "TEST"
timeframe = "1h"
[strategy]
name = "sma_crossover"
[tracking]
"""
STAND_INS = {
    "broken": "raise ImportError('libfoo.so.7: no such file')\n",
    "raising": "raise RuntimeError('not today')\n",
    "hanging": "import time\ntime.sleep(600)\n",
    "holding the interpreter": "import ctypes\nctypes.PyDLL(None).sleep(600)\n",
    "crashing": "import os, sys\nprint('Fatal: out of ideas', file=sys.stderr, flush=True)\nos.abort()\n",
    "talking": "import os\nos.write(1, b'{\"failed\": \"\"}\\n' * 3)\nraise ImportError('said enough')\n",
}
Cli = Callable[..., "subprocess.CompletedProcess[str]"]


class Case:
    """A config to run, with what is wrong in its environment."""

    def __init__(self, folder: Path, cli: Cli, tools: Any) -> None:
        self.folder, self.cli, self.tools = folder, cli, tools
        self.settings: dict[str, str] = {}
        tools.write_bars(folder / "bars.csv", 60, "2024-01-01")

    def run(
        self, mode: str, *, timeout_s: float = 3.0, **settings: str
    ) -> tuple[subprocess.CompletedProcess[str], Path]:
        """Run the config; return what became of the process, and the run's directory."""
        config = self.folder / "config.toml"
        config.write_text(CONFIG + f'mode = "{mode}"\ntimeout_s = {timeout_s}\n')
        results = self.folder / mode
        done = self.cli(
            "run_strategy_from_config.py", "--config", config, "--results-dir", results, **self.settings | settings
        )
        return done, results / done.stdout.strip()

    def stand_in(self, name: str) -> None:
        """Put another mlflow first on the path."""
        (self.folder / "mlflow.py").write_text(STAND_INS[name])
        self.settings["PYTHONPATH"] = str(self.folder)

    def holds(self, reason: str, *, timeout_s: float = 3.0, patience: float = 60.0, hint: str = "just track ") -> None:
        """Run with tracking off, auto and strict; hold that off and auto are the same, and strict fails, and why."""
        off, run_off = self.run("off")
        assert off.returncode == 0, off.stderr
        assert not (run_off / "tracking.json").exists()
        auto, run_auto = self.run("auto", timeout_s=timeout_s)
        start = time.monotonic()
        strict, run_strict = self.run("strict", timeout_s=timeout_s)
        waited = time.monotonic() - start
        assert (auto.returncode, strict.returncode) == (0, 1)
        assert re.fullmatch(r"[0-9a-f-]{36}\n", auto.stdout)
        assert re.fullmatch(r"[0-9a-f-]{36}\n", strict.stdout)
        assert sealed(run_off) == sealed(run_auto) == sealed(run_strict)
        for run_dir in (run_auto, run_strict):
            receipt = self.tools.receipt(run_dir, patience)
            assert receipt["status"] == "failed"
            assert re.search(reason, receipt["reason"])
            last = json.loads((run_dir / "run.log").read_text().splitlines()[-1])
            assert (last["level"], last["message"]) == ("warning", f"tracking failed: {receipt['reason']}")
        error, found = strict.stderr.splitlines()[-2:]
        assert error == f"error: the run is sealed, but not logged: {receipt['reason']}"
        assert found.startswith(f"hint: {hint}")
        assert waited < timeout_s + 15


def sealed(run_dir: Path) -> dict[str, str]:
    """Return the digests of the sealed files; but the resolved config names the mode."""
    subjects = json.loads((run_dir / "manifest.json").read_bytes())["subject"]
    digests = {subject["name"]: subject["digest"]["sha256"] for subject in subjects}
    return {name: sha256 for name, sha256 in digests.items() if not name.startswith("config_snapshot")}


@pytest.fixture
def case(tmp_path: Path, cli: Cli, tools: Any) -> Case:
    return Case(tmp_path, cli, tools)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("broken", r"^ImportError: libfoo.so.7: no such file$"),
        ("raising", r"^RuntimeError: not today$"),
        ("hanging", r"^mlflow took more than 1\.5 s \(importing mlflow\)$"),
        ("holding the interpreter", r"^mlflow took more than 1\.5 s \(importing mlflow\)$"),
        ("crashing", r"^mlflow's process died \(importing mlflow\): Fatal: out of ideas$"),
        ("talking", r"^ImportError: said enough$"),
    ],
)
def test_an_mlflow_that_cannot_be_imported(name: str, reason: str, case: Case) -> None:
    case.stand_in(name)
    case.holds(reason, timeout_s=1.5)


@contextmanager
def answering(status: int, body: bytes = b"") -> Iterator[int]:
    """Answer every request on a port with an HTTP status, and what it is given."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

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


def test_a_server_that_is_absent(case: Case, forge: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    case.settings["MLFLOW_TRACKING_URI"] = f"http://me:{case.tools.secret}@127.0.0.1:{port}"
    case.holds(r"Connection refused", timeout_s=40)
    kept = [path for path in case.folder.rglob("*") if path.is_file()]
    assert [path for path in kept if case.tools.secret.encode() in path.read_bytes()] == []


def test_a_server_that_answers_500(case: Case, forge: Any) -> None:
    with answering(500) as port:
        case.settings["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{port}"
        case.holds(r"500", timeout_s=40)


@pytest.mark.parametrize("body", [b"<p>hello</p>", b'{"a": 1}'])
def test_a_server_that_answers_something_else(body: bytes, case: Case, forge: Any) -> None:
    with answering(200, body) as port:
        case.settings["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{port}"
        reason = rf"^http://127.0.0.1:{port} answers, but is no server of mlflow's$"
        case.holds(reason, timeout_s=40, hint="check MLFLOW_TRACKING_URI")


def test_a_server_that_accepts_and_never_answers(case: Case, forge: Any) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        case.settings["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
        case.holds(r"^mlflow took more than 6 s \([\w, ]+\)$", timeout_s=6)


def test_a_store_that_is_locked(case: Case, empty_store: Path) -> None:
    database = shutil.copy(empty_store, case.folder)
    holder = sqlite3.connect(database)
    try:
        holder.execute("BEGIN EXCLUSIVE")
        case.settings["MLFLOW_TRACKING_URI"] = f"sqlite:///{database}"
        hint = "end that program, then `just track --pending`"
        case.holds(rf"^{database} is locked by another program$", timeout_s=6, hint=hint)
    finally:
        holder.close()


def test_a_store_that_is_read_only(case: Case, empty_store: Path) -> None:
    database = shutil.copy(empty_store, case.folder)
    case.settings["MLFLOW_TRACKING_URI"] = f"sqlite:///file:{database}?mode=ro&uri=true"
    case.holds(r"attempt to write a readonly database", timeout_s=40)


@pytest.mark.needs("experiments")
def test_a_folder_in_which_no_store_can_be_made(case: Case) -> None:
    case.settings["MLFLOW_TRACKING_URI"] = "sqlite:////proc/none/mlflow.db"
    hint = "check the folder, and MLFLOW_TRACKING_URI"
    case.holds(r"^the folder /proc/none cannot be made: No such file or directory$", timeout_s=40, hint=hint)


@pytest.fixture
def bare(case: Case, core_python: Path) -> Case:
    """Like `case`, where mlflow is not installed."""
    real = case.cli
    case.cli = lambda *words, **settings: real(*words, python=core_python, **settings)
    return case


def test_without_mlflow_auto_warns_and_leaves_a_receipt_at_once(bare: Case) -> None:
    off, run_off = bare.run("off")
    auto, run_auto = bare.run("auto")
    assert (off.returncode, auto.returncode) == (0, 0)
    assert sealed(run_off) == sealed(run_auto)
    receipt = json.loads((run_auto / "tracking.json").read_bytes())
    assert (receipt["status"], receipt["reason"]) == ("skipped", "mlflow is not installed")
    assert auto.stderr.splitlines()[-2:] == [
        "warn: tracking skipped: mlflow is not installed",
        "hint: just setup experiments, then just track --pending",
    ]
    assert "mlflow" not in off.stderr


def test_a_folder_that_is_called_mlflow_is_no_mlflow(bare: Case) -> None:
    (bare.folder / "mlflow").mkdir()
    _, run_dir = bare.run("auto", PYTHONPATH=str(bare.folder))
    assert json.loads((run_dir / "tracking.json").read_bytes())["reason"] == "mlflow is not installed"


def test_without_mlflow_strict_fails_and_the_run_stays_sealed(bare: Case) -> None:
    done, run_dir = bare.run("strict")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2:] == [
        "error: the run is sealed, but not logged: mlflow is not installed",
        "hint: just setup experiments",
    ]
    assert sealed(run_dir)
    assert json.loads((run_dir / "tracking.json").read_bytes())["status"] == "skipped"


def test_peak_strict_makes_strict_of_auto_and_leaves_off_alone(case: Case) -> None:
    case.stand_in("broken")
    auto, run_dir = case.run("auto", PEAK_STRICT="1")
    off, _ = case.run("off", PEAK_STRICT="1")
    assert (auto.returncode, off.returncode) == (1, 0)
    assert "not logged: ImportError" in auto.stderr
    assert sealed(run_dir)


def test_without_mlflow_track_says_what_installs_it(bare: Case) -> None:
    _, run_dir = bare.run("off")
    done = bare.cli("track_runs.py", "--results-dir", run_dir.parent)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: mlflow is not installed\nhint: just setup experiments\n"
    assert not (run_dir / "tracking.json").exists()


def test_without_mlflow_there_is_no_page(bare: Case) -> None:
    done = bare.cli("mlflow_ui.py")
    assert (done.returncode, done.stderr) == (1, "error: mlflow is not installed\nhint: just setup experiments\n")


def processes_named(word: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (path / "environ").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_running_when_track_is_killed(how: signal.Signals, case: Case) -> None:
    _, run_dir = case.run("off")
    case.stand_in("hanging")
    word = f"PEAK_TEST_MARK={run_dir.name}"
    environment = case.tools.clean(**case.settings) | dict([word.split("=")])
    command = [sys.executable, str(case.tools.root / "scripts" / "track_runs.py"), "--results-dir", str(run_dir.parent)]
    with subprocess.Popen([*command, "--timeout", "60"], env=environment, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: len(processes_named(word)) == 2)
        os.kill(process.pid, how)
    wait_until(lambda: processes_named(word) == [])


def wait_until(done: Callable[[], bool], patience: float = 20.0) -> None:
    end = time.monotonic() + patience
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_store_that_fails_is_given_up_after_three_runs(case: Case) -> None:
    for _ in range(5):
        case.run("off")
    case.stand_in("broken")
    done = case.cli("track_runs.py", "--pending", "--results-dir", case.folder / "off", **case.settings)
    assert done.returncode == 1
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["failed"] * 3
    assert done.stderr.splitlines() == [
        "warn: given up with 2 runs left: the store fails",
        "hint: just track --pending",
    ]
    assert len(list((case.folder / "off").glob("*/tracking.json"))) == 3
