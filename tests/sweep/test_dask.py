"""Sweeps by Dask's workers: a real scheduler, which is killed too, and real workers: one dies, one is slow."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.sweep.conftest import Bed, Swept, ledger
from tests.sweep.test_join import FOLDS, GRID, SLOW, done, killed, parent_of, until

from peak_trade.errors import InputError, RunError
from peak_trade.sweep import executor
from peak_trade.sweep.executor.cluster import Dask
from peak_trade.sweep.folder import Folder
from peak_trade.sweep.task import Task
from peak_trade.sweep.wish import Work

pytestmark = pytest.mark.needs("cluster")


class Cluster:
    """A scheduler of Dask's on loopback, and workers."""

    def __init__(self, home: Path) -> None:
        self.home, self.processes = home, list[subprocess.Popen[bytes]]()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"tcp://127.0.0.1:{self.port}"

    def start(self, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a command of Dask's."""
        log = (self.home / f"{len(self.processes)}-{words[0]}.log").open("wb")
        quiet = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s", "DASK_TEMPORARY_DIRECTORY": str(self.home)}
        with log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *words], cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=os.environ | quiet | environment, start_new_session=True,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def scheduler(self) -> subprocess.Popen[bytes]:
        """Start the scheduler."""
        process = self.start("scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard")
        until(self._answers)
        return process

    def worker(self, **environment: str) -> subprocess.Popen[bytes]:
        """Start a worker with one thread."""
        words = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
        return self.start("worker", self.url, *words, **environment)

    def _answers(self) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def end(self) -> None:
        """Kill all of it."""
        for process in self.processes:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler, with no workers yet."""
    home = tmp_path / "cluster"
    home.mkdir()
    made = Cluster(home)
    try:
        made.scheduler()
        yield made
    finally:
        made.end()


@pytest.fixture
def alone(bed: Bed) -> Swept:
    """The sweep as one machine makes it, without Dask."""
    bed.strategy(SLOW)
    return bed.sweep(*GRID, results=bed.home / "alone")


def rows(results: Path) -> int:
    """Return how many chunks of rows there are."""
    return len(list(results.glob(".sweeps/*/rows/[0-9]*")))


def begun(bed: Bed, cluster: Cluster, **more: Any) -> subprocess.Popen[str]:
    """Start a sweep by a cluster, and wait for its first rows."""
    process = bed.start(*GRID, "--executor", "dask", "--scheduler", cluster.url, **more)
    parent_of(bed.results)
    return process


def test_a_worker_that_dies_a_slow_one_and_a_new_scheduler_make_the_bytes_of_one_machine(
    bed: Bed, alone: Swept, cluster: Cluster
) -> None:
    dead, _ = cluster.worker(PACE="0.1"), cluster.worker(PACE="0.2")
    process = begun(bed, cluster)
    with killed(process):
        os.kill(dead.pid, signal.SIGKILL)
        before = rows(bed.results)
        until(lambda: rows(bed.results) > before)
        os.killpg(cluster.processes[0].pid, signal.SIGKILL)
        time.sleep(0.5)
        cluster.scheduler()
        cluster.worker()
        swept = done(process, bed.results)
    assert swept.sealed == alone.sealed
    warned = [line for line in swept.stderr.splitlines() if line.startswith("warn:") and "look-ahead" not in line]
    assert [line.partition(" is lost")[0] for line in warned] == [f"warn: the scheduler {cluster.url}"]
    events = [line["event"] for line in ledger(bed.results) if line["run_id"] == swept.path.name]
    assert events.count("sealed") == 1


def test_a_trial_that_ends_its_process_is_a_failed_row(bed: Bed, cluster: Cluster) -> None:
    bed.strategy(SLOW.replace("def traded(bars, *, n=3):\n", "def traded(bars, *, n=3):\n    n == 5 and os._exit(3)\n"))
    cluster.worker()
    swept = bed.sweep(*GRID, "--executor", "dask", "--scheduler", cluster.url)
    assert swept.errors == {3: "the strategy ended its process (exit code 3), twice"}


def test_a_scheduler_that_never_answers_is_a_sentence(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "one")
    folder.begin(b"")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(RunError, match=f"the scheduler {url} is lost") as caught:
        list(Dask(folder, url, patience=1.0).run(0, [Task({}), Task({})]))
    assert "then the same command goes on" in caught.value.hint


def test_what_a_cluster_has_begun_goes_on_without_it(bed: Bed, alone: Swept, cluster: Cluster) -> None:
    cluster.worker(PACE="0.1")
    process = begun(bed, cluster)
    with killed(process):
        cluster.end()
        process.kill()
        process.wait()
    before = rows(bed.results)
    swept = bed.sweep(*GRID)
    assert before
    assert swept.sealed == alone.sealed


def test_workers_that_do_not_have_the_same_code_are_refused(bed: Bed, cluster: Cluster) -> None:
    bed.strategy(SLOW)
    process = bed.start(*GRID, "--executor", "dask", "--scheduler", cluster.url)
    with killed(process):
        until(lambda: any(bed.results.glob(".sweeps/*/order.msgpack")))
        bed.strategy(SLOW + "\n# another\n")
        cluster.worker()
        swept = done(process, bed.results)
    assert (swept.code, swept.stdout) == (2, "")
    assert "error: cannot work along: the strategy's code is not the same here" in swept.stderr


@pytest.mark.parametrize(
    ("work", "why"),
    [
        (Work(executor="dusk", scheduler="tcp://x:1"), "there is no executor 'dusk'"),
        (Work(executor="dask"), "--executor dask and --scheduler go together"),
        (Work(scheduler="tcp://x:1"), "--executor dask and --scheduler go together"),
        (Work(executor="dask", scheduler="tcp://x:1", jobs=2), "--jobs is for this machine"),
        (Work(executor="dask", scheduler="http://x:1"), "'http://x:1' is no address of a scheduler"),
        (Work(executor="dask", scheduler="tcp://x"), "'tcp://x' is no address of a scheduler"),
    ],
)
def test_what_can_be_no_cluster_is_refused(work: Work, why: str) -> None:
    with pytest.raises(InputError, match=why):
        executor.of(work)


def test_a_limit_that_the_system_does_not_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    executor.of(Work(memory_limit=1 << 30))
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(InputError, match="--memory-limit holds on Linux alone"):
        executor.of(Work(memory_limit=1 << 30))


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)  # type: ignore[arg-type] # as where it is not installed
    with pytest.raises(InputError, match="--executor dask") as caught:
        executor.of(Work(executor="dask", scheduler="tcp://x:1"))
    assert caught.value.hint == "just setup cluster"


def test_a_walk_forward_by_a_cluster_has_the_bytes_of_one_machine(bed: Bed, cluster: Cluster) -> None:
    alone = bed.sweep(*FOLDS, results=bed.home / "alone")
    cluster.worker()
    assert bed.sweep(*FOLDS, "--executor", "dask", "--scheduler", cluster.url).sealed == alone.sealed
