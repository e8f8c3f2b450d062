"""The scripts, from a run to what MLflow shows of it: in a database, and through MLflow's own server."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from peak_trade.evidence.results import Results
from peak_trade.tracking.page import ask
from peak_trade.tracking.store import Store

pytestmark = pytest.mark.slow

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
CONFIG = """
[data]
path = "bars.csv"
symbol = "TEST"
timeframe = "1h"
[strategy]
name = "sma_crossover"
[tracking]
experiment = "mine"
timeout_s = 60
"""


@pytest.fixture
def config(tmp_path: Path, tools: Any) -> Path:
    tools.write_bars(tmp_path / "bars.csv", 60, "2024-01-01")
    (tmp_path / "config.toml").write_text(CONFIG)
    return tmp_path / "config.toml"


@pytest.fixture
def run(cli: Cli, config: Path, tmp_path: Path) -> Callable[..., Path]:
    """Run the config and return the run's directory, which holds on to what the process said as `said`."""

    def started(*argv: str, code: int = 0, **settings: str) -> Path:
        results = tmp_path / "results"
        words = ["--config", str(config), "--results-dir", str(results), *argv]
        done = cli("run_strategy_from_config.py", *words, **settings)
        assert done.returncode == code, done.stderr
        newest = max(results.glob("*-*"), key=lambda path: path.stat().st_mtime_ns)
        assert code or done.stdout == f"{newest.name}\n"
        return newest

    return started


def test_with_tracking_off_nothing_is_left_and_nothing_of_it_is_imported(run: Any, tools: Any, config: Path) -> None:
    assert not (run() / "tracking.json").exists()
    program = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    print(*(name for name in sys.modules if "mlflow" in name or "tracking" in name), file=sys.stderr)
"""
    script = str(tools.root / "scripts" / "run_strategy_from_config.py")
    words = [script, "--quiet", "--config", str(config), "--results-dir", str(config.parent / "results")]
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, env=tools.clean())
    assert done.stderr.split() == ["peak_trade.tracking"]


def test_auto_gives_the_prompt_back_and_logs_the_run_later(run: Any, store: Store, forge: Any, tools: Any) -> None:
    parent = "11111111-1111-4111-8111-111111111111"
    run_dir = run("--tracking", "auto", MLFLOW_TRACKING_URI=store.uri, PEAK_PARENT_RUN_ID=parent)
    at_once = json.loads((run_dir / "tracking.json").read_bytes())
    assert (at_once["status"], at_once["parent"]) == ("started", parent)
    receipt = tools.receipt(run_dir)
    kept = (receipt["status"], receipt["experiment"], receipt["store"])
    assert kept == ("logged", "mine", f"sqlite:///{store.database}")
    (found,) = forge.look(store)
    assert (found["id"], found["experiment"]) == (receipt["mlflow_run_id"], "mine")
    assert (found["tags"]["run_id"], found["tags"]["parent_run_id"]) == (run_dir.name, parent)


def test_auto_holds_neither_the_terminal_nor_a_pipe(run: Any, config: Path, tools: Any, tmp_path: Path) -> None:
    (tmp_path / "mlflow.py").write_text("import time\ntime.sleep(600)\n")
    script = str(tools.root / "scripts" / "run_strategy_from_config.py")
    words = ["--config", str(config), "--results-dir", str(tmp_path / "results"), "--tracking", "auto"]
    command = [sys.executable, script, *words, "--set", "tracking.timeout_s=8"]
    environment = tools.clean(PYTHONPATH=str(tmp_path))
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=6)  # waits for the pipes
    assert done.returncode == 0
    tools.receipt(tmp_path / "results" / done.stdout.strip())


def test_a_run_that_fails_is_logged_as_failed(run: Any, store: Store, forge: Any, tools: Any, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def broken(bars):\n    raise ValueError('no idea')\n")
    words = ["--set", "strategy.entrypoint=own.py:broken", "--tracking", "strict"]
    text = (tmp_path / "config.toml").read_text().replace('name = "sma_crossover"', "")
    (tmp_path / "config.toml").write_text(text)
    run_dir = run(*words, code=1, MLFLOW_TRACKING_URI=store.uri)
    assert tools.receipt(run_dir)["status"] == "logged"
    (found,) = forge.look(store)
    assert (found["status"], found["tags"]["error"]) == (
        "FAILED",
        "the strategy raised ValueError: no idea, at own.py:2: raise ValueError('no idea')",
    )


def test_track_logs_what_is_pending_once(runs: Any, cli: Cli, store: Store, forge: Any) -> None:
    def track(*argv: str) -> subprocess.CompletedProcess[str]:
        words = [*argv, "--results-dir", str(runs.results), "--timeout", "60"]
        return cli("track_runs.py", *words, MLFLOW_TRACKING_URI=store.uri)

    last = Results(runs.results).find("last").name
    others = [run_id for run_id in runs.names.values() if run_id != last]
    first = track("last")
    assert (first.returncode, first.stdout.split()[:2]) == (0, ["logged", last])
    second = track("--pending")
    assert [line.split()[1] for line in second.stdout.splitlines()] == others  # the oldest first
    third = track("--pending", "--json")
    assert (third.returncode, json.loads(third.stdout)) == (0, [])
    again = track(others[0][:13], "--json")
    (receipt,) = json.loads(again.stdout)
    found = {one["tags"]["run_id"]: one["id"] for one in forge.look(store, deleted=True)}
    assert (receipt["status"], receipt["mlflow_run_id"]) == ("logged", found[others[0]])
    assert len(found) == len(runs.names)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--pending", "last"], "--pending stands for all runs: name no other"),
        (["nope"], "no run 'nope' in results/"),
        (["--timeout", "-1"], "--timeout -1 is not above 0"),
    ],
)
def test_track_says_what_is_wrong_with_its_arguments(words: list[str], said: str, run: Any, cli: Cli) -> None:
    results = run().parent
    done = cli("track_runs.py", *words, "--results-dir", results)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {said}\n")


def test_track_has_nothing_to_do_where_there_are_no_runs(cli: Cli, tmp_path: Path) -> None:
    done = cli("track_runs.py", "--pending", "--results-dir", tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("nothing to log")


@pytest.fixture(scope="module")
def page(
    forge: Any, tools: Any, made_once: Any, empty_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """The page of `just mlflow-ui` over a run in `shown`, on the port after one that is taken; Ctrl-C ends it."""
    folder = tmp_path_factory.mktemp("page") / "a 100%25 #1? ü"
    folder.mkdir()
    shutil.copy(empty_store, folder)
    store = tools.store_at(folder)
    forge.act(store, "create_experiment", "of others")
    forge.log(store, made_once["plain"], receipt={"experiment": "shown"})
    script = str(tools.root / "scripts" / "mlflow_ui.py")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        environment = tools.clean(MLFLOW_TRACKING_URI=f"sqlite:///{folder}/mlflow.db", PEAK_TEST_MARK=str(folder))
        with subprocess.Popen(
            [sys.executable, script, "--port", str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        ) as process:
            assert process.stdout and process.stderr
            address = process.stdout.readline().strip()
            yield address, port, folder
            os.kill(process.pid, signal.SIGINT)
            assert process.stdout.read() == ""
            assert process.wait(60) == 0
    if Path("/proc/self/environ").exists():
        assert [path for path in Path("/proc").glob("[0-9]*/environ") if names(path, str(folder))] == []


def names(environ: Path, word: str) -> bool:
    try:
        return word.encode() in environ.read_bytes()
    except OSError:
        return False


def server_of(page: Any) -> Store:
    address, _, folder = page
    url = address.partition("/#/")[0]
    return Store(url, url, folder)


def test_the_page_is_served_on_the_next_free_port_and_its_address_is_that_of_the_runs(page: Any) -> None:
    address, taken, _ = page
    url = server_of(page).uri
    assert url.startswith("http://127.0.0.1:")
    assert taken < int(url.rpartition(":")[2]) < taken + 100
    with urllib.request.urlopen(address, timeout=20) as answer:
        assert b"<title>MLflow</title>" in answer.read()
    names = {one["experiment_id"]: one["name"] for one in ask(url, "experiments/search", max_results=9)["experiments"]}
    assert set(names.values()) >= {"Default", "of others", "shown"}  # other tests log there too
    assert re.fullmatch(rf"{url}/#/experiments/(\d+)/runs\?workflowType=machine_learning", address)
    assert names[address.split("/")[-2]] == "shown"


def test_the_page_hands_out_the_artifacts_of_a_store_in_a_folder_of_any_name(
    page: Any, made_once: Any, forge: Any
) -> None:
    server = server_of(page)
    (there,) = [run for run in forge.look(server) if run["tags"]["run_id"] == made_once["plain"].name]
    address = f"{server.uri}/get-artifact?path=stats.json&run_uuid={there['id']}"
    with urllib.request.urlopen(address, timeout=20) as answer:
        assert answer.read() == (made_once["plain"] / "stats.json").read_bytes()


def test_mlflow_knows_the_address_of_the_runs(forge: Any) -> None:
    spec = find_spec("mlflow")
    assert spec and spec.origin
    scripts = Path(spec.origin).parent.glob("server/js/build/static/js/*.js")
    assert any(b'"/experiments/:experimentId/runs"' in path.read_bytes() for path in scripts)


def test_a_server_has_of_a_run_what_a_database_has(page: Any, run: Any, forge: Any, store: Store) -> None:
    server = server_of(page)
    run_dir = run("--tracking", "strict", MLFLOW_TRACKING_URI=server.uri)
    forge.log(store, run_dir)
    (there,) = [one for one in forge.look(server) if one["tags"]["run_id"] == run_dir.name]  # others log there too
    (here,) = forge.look(store)
    for key in (
        "name",
        "status",
        "started",
        "finished",
        "tags",
        "params",
        "metrics",
        "history",
        "artifacts",
        "datasets",
    ):
        assert there[key] == here[key]
    assert here["metrics"]["bars"] == 60
    (again,) = forge.log(server, run_dir)
    assert again["mlflow_run_id"] == there["id"]


def test_two_at_once_log_a_run_once_to_a_server(page: Any, run: Any, forge: Any) -> None:
    server, run_dir = server_of(page), run()
    answers = forge.ask(*(forge.logging(server, run_dir) for _ in range(2)))
    assert len({answer["found"][0]["mlflow_run_id"] for answer in answers}) == 1
    assert sum(one["tags"]["run_id"] == run_dir.name for one in forge.look(server, deleted=True)) == 1


def test_a_store_that_is_a_server_has_a_page_already(cli: Cli) -> None:
    done = cli("mlflow_ui.py", MLFLOW_TRACKING_URI="http://host:8080")
    assert (done.returncode, done.stdout) == (0, "http://host:8080\n")


def test_a_server_that_dies_is_an_error_in_words(cli: Cli, store: Store, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif 'server' in sys.orig_argv:\n    os.write(2, b'no server today\\n')\n    os._exit(3)\n"
    )
    done = cli("mlflow_ui.py", PYTHONPATH=str(tmp_path), MLFLOW_TRACKING_URI=store.uri)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "error: mlflow's server has ended: no server today"


def test_a_store_that_cannot_be_served_says_what_mends_it(cli: Cli, forge: Any, tools: Any, tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database, only text that is long enough to be looked at as one " * 9)
    done = cli("mlflow_ui.py", MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path}/mlflow.db")
    assert (done.returncode, done.stdout) == (1, "")
    error, hint = done.stderr.splitlines()[-2:]
    assert error == f"error: mlflow cannot open the store: {tmp_path}/mlflow.db is no SQLite database"
    assert hint == f"hint: `mv {tmp_path}/mlflow.db {tmp_path}/mlflow.db.2`, then `just track --pending`"


@pytest.mark.parametrize("port", ["0", "65536", "x"])
def test_what_is_no_port_is_refused(port: str, cli: Cli) -> None:
    assert cli("mlflow_ui.py", "--port", port).returncode == 2
