"""The local pool: who works changes no byte; whatever a strategy does to its worker, the sweep goes on."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sweep.benches import bench, walk
from tests.sweep.conftest import Bed
from tests.sweep.test_join import until

from peak_trade import threads
from peak_trade.market.bars import Bars
from peak_trade.sweep.executor import Pool
from peak_trade.sweep.executor.pool import cores
from peak_trade.sweep.folder import Folder
from peak_trade.sweep.rows import Rows
from peak_trade.sweep.task import Task

GRID = ("--grid", "strategy.params.n=2:13:1")  # twelve trials


def does(what: str, when: str = "True") -> str:
    """Return a strategy that does something to its worker in the trial with n = 5, which is number 3."""
    return f"""
def traded(bars, *, n=3):
    if n == 5 and {when}:
        {what}
    return np.where(np.arange(len(bars)) % n < n // 2 + 1, 1.0, 0.0)
"""


def once(bed: Bed) -> str:
    """Return a condition that holds the first time alone."""
    return f"not os.path.exists({str(bed.home / 'mark')!r}) and open({str(bed.home / 'mark')!r}, 'w')"


def test_one_worker_and_three_make_the_same_bytes(bed: Bed) -> None:
    one, three = (bed.sweep(*GRID, "--jobs", jobs, results=bed.home / jobs) for jobs in ("1", "3"))
    assert one.sealed == three.sealed
    assert [row["status"] for row in one.rows] == ["done"] * 12


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "the interpreter crashed (SIGSEGV), twice"),
        ("import ctypes; ctypes.string_at(0)", "the interpreter crashed (SIGSEGV), twice"),
        ("os.abort()", "the interpreter crashed (SIGABRT), twice"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed (SIGKILL), twice"),
        ("os._exit(3)", "the strategy ended its process (exit code 3), twice"),
        ("os._exit(0)", "the strategy ended its process (exit code 0), twice"),
        ("sys.exit(4)", "the strategy raised SystemExit: 4"),
        ("raise KeyboardInterrupt", "the strategy raised KeyboardInterrupt"),
        ("os.closerange(0, 65536)", "the strategy closed the descriptor that its worker answers by, twice"),
    ],
)
def test_a_trial_that_ends_its_worker_is_a_failed_row(bed: Bed, what: str, why: str) -> None:
    control = bed.sweep(*GRID)
    bed.strategy(does(what))
    swept = bed.sweep(*GRID, "--jobs", "2", results=bed.home / "other")
    assert swept.errors == {3: why}
    same = [row["equity_digest"] for row in control.rows]
    assert [row["equity_digest"] for row in swept.rows] == [*same[:3], "", *same[4:]]


def test_a_trial_whose_worker_is_killed_once_is_made_again(bed: Bed) -> None:
    bed.strategy(does("os.kill(os.getpid(), signal.SIGKILL)", once(bed)))
    swept = bed.sweep(*GRID, "--jobs", "2")
    assert (bed.home / "mark").exists()
    assert swept.errors == {}


def test_every_trial_that_crashes_is_a_row_and_the_sweep_says_why_none_is_left(bed: Bed) -> None:
    bed.strategy("def traded(bars, *, n=3):\n    os.abort()\n")
    swept = bed.sweep(*GRID, "--jobs", "2")
    assert swept.code == 1
    assert "no trial came to its end: the interpreter crashed (SIGABRT), twice" in swept.stderr


def test_a_trial_that_hangs_is_stopped_and_says_so(bed: Bed) -> None:
    bed.strategy(does("time.sleep(60)"))
    swept = bed.sweep(*GRID, "--jobs", "2", "--timeout", "0.5")
    assert swept.errors == {3: "stopped after 0.5 s, its limit"}


def test_a_trial_that_hangs_where_no_signal_reaches_it_is_stopped_by_the_configs_limit(bed: Bed) -> None:
    bed.strategy(
        does("signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()); 'a' * 50 == [0 for _ in iter(int, 1)]")
    )
    config = bed.home / "config.toml"
    config.write_text("[run]\ntimeout_s = 0.5\n" + config.read_text())
    assert bed.sweep(*GRID).errors == {3: "stopped after 0.5 s, its limit"}


def test_memory_beyond_the_limit_fails_a_trial_and_no_other(bed: Bed) -> None:
    bed.strategy(does("np.ones(2**25)"))  # 256 MiB
    assert bed.sweep(*GRID).errors == {}
    errors = bed.sweep(*GRID, "--memory-limit", "100M", results=bed.home / "limited").errors
    assert list(errors) == [3]
    assert "Unable to allocate 256. MiB" in errors[3]


def test_a_limit_above_that_of_the_system_is_that_of_the_system(bed: Bed) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))

    assert bed.sweep(*GRID, "--memory-limit", "1T", preexec_fn=limited).errors == {}


def test_a_strategy_that_forks_is_one_trial(bed: Bed) -> None:
    bed.strategy(does("os.fork()"))
    swept = bed.sweep(*GRID, "--jobs", "2")
    assert swept.errors == {}
    assert len(swept.rows) == 12


def test_what_a_strategy_prints_is_not_on_stdout(bed: Bed) -> None:
    bed.strategy(does("print('hello'); os.write(1, b'there\\n')"))
    swept = bed.sweep(*GRID)
    assert swept.stdout == f"{swept.path.name}\n"
    assert "hello" in swept.stderr
    assert "there" in swept.stderr


def test_a_strategy_that_writes_into_every_descriptor_fails_alone(bed: Bed) -> None:
    sockets = "at for at in range(3, 1024) if os.path.realpath(f'/proc/self/fd/{at}').find('socket:') >= 0"
    what = f"[os.write(at, b'x' * 4096) for at in [{sockets}]]"
    bed.strategy(does(what))
    swept = bed.sweep(*GRID, "--jobs", "2")
    assert swept.errors == {3: "the strategy wrote into its worker's answer, twice"}


# --- what workers share, and how they end -------------------------------------------------------------------------


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """Return the children of a process that are workers: they have a session of their own."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[1]) == process.pid and fields[3] == path.parent.name:
                found.append(int(path.parent.name))
    return found


def is_there(pid: int) -> bool:
    """Tell whether a process runs, and is not a dead one that nobody has heard of."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def hanging(bed: Bed) -> tuple[subprocess.Popen[str], list[int]]:
    """Return a sweep whose two workers hang, and these."""
    bed.strategy(f"def traded(bars, *, n=3):\n    open({str(bed.home)!r} + f'/at{{n}}', 'w')\n    time.sleep(60)\n")
    process = bed.start(*GRID, "--jobs", "2")
    until(lambda: len(list(bed.home.glob("at*"))) == 2)
    workers = workers_of(process)
    assert len(workers) == 2
    return process, workers


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a worker ends with the trial that it is at")
def test_workers_end_with_their_parent_in_the_middle_of_a_trial(bed: Bed) -> None:
    process, workers = hanging(bed)
    assert all(map(is_there, workers))
    process.kill()
    process.wait()  # and not for its streams, which its workers hold
    until(lambda: not any(map(is_there, workers)), 10)
    process.communicate()


def test_an_interrupt_ends_workers_quietly(bed: Bed) -> None:
    process, workers = hanging(bed)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "error: interrupted: 0 trials are done and kept" in stderr
    assert "Traceback" not in stderr
    assert not any(map(is_there, workers))


def test_what_a_trial_has_started_ends_with_its_worker(bed: Bed) -> None:
    child = bed.home / "child"
    started = "__import__('subprocess').Popen(['sleep', '60'], stdout=-3, stderr=-3).pid"
    bed.strategy(does(f"open({str(child)!r}, 'w').write(str({started}))"))
    assert bed.sweep(*GRID, "--keep", "0").errors == {}
    assert not is_there(int(child.read_text()))


def pooled(bars: Bars, strategy: Callable[..., Any], where: Path, tasks: int, **work: Any) -> Rows:
    """Return the rows that a pool makes of trials that are all the same."""
    folder = Folder(where, "one")
    folder.begin(b"")
    list(Pool(bench(bars, strategy), folder, **work).run(0, [Task({}) for _ in range(tasks)]))
    return folder.rows(0, tasks)


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="there is nothing to measure memory by")
def test_bars_are_shared_and_not_copied(tmp_path: Path) -> None:
    count = 1_500_000  # of 8 bytes and six columns each: 72 MB
    minutes = np.datetime64("2020-01-01", "ns") + np.arange(count) * np.timedelta64(60, "s")
    columns = [np.linspace(100.0, 200.0, count) + at for at in (1, 2, 0, 1, 5)]
    bars = Bars(minutes, *columns, "TEST", "1m").freeze()

    def own() -> int:
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) // 1024

    def reads(bars: Bars) -> None:
        touched = sum(float(column.sum()) for column in (bars.open, bars.high, bars.low, bars.close, bars.volume))
        raise ValueError(f"{touched > 0} {own()}")

    def copies(bars: Bars) -> None:
        held = [column.copy() for column in (bars.open, bars.high, bars.low, bars.close, bars.volume, bars.timestamp)]
        raise ValueError(f"{len(held) > 0} {own()}")

    shared, copied = (
        [int(why.split()[-1]) for why in pooled(bars, strategy, tmp_path / strategy.__name__, 4, jobs=2).error.values()]
        for strategy in (reads, copies)
    )
    assert max(shared) < 25
    assert min(copied) > 70


COUNTS = """
def traded(bars, *, n=3):
    np.ones((600, 600)) @ np.ones((600, 600))
    raise ValueError(f"{len(os.listdir('/proc/self/task'))} threads")
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="there is nothing to count threads by")
def test_a_worker_has_one_thread_and_the_manifest_says_so(bed: Bed) -> None:
    bed.strategy(
        COUNTS.replace("    raise", "    if n == 5:\n        raise", 1).replace(
            'threads")', 'threads")\n    return np.ones(len(bars))'
        )
    )
    swept = bed.sweep(*GRID)
    assert swept.errors == {3: "the strategy raised ValueError: 1 threads"}
    manifest = json.loads((swept.path / "manifest.json").read_text())
    assert manifest["predicate"]["buildDefinition"]["internalParameters"]["environment"]["threads"] == 1


@pytest.mark.skipif(cores() < 2, reason="one core has one thread anyway")
def test_without_the_environment_there_would_be_more_threads() -> None:
    program = "import os\nimport numpy as np\n" + COUNTS.replace("raise ValueError(", "print(") + "traded(0)\n"
    environment = {name: value for name, value in os.environ.items() if name not in threads.ONE}
    said = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert int(said.stdout.split()[0]) > 1


def test_two_workers_take_half_the_time_of_one(tmp_path: Path) -> None:
    def waits(bars: Bars) -> None:
        time.sleep(0.02)
        raise ValueError

    took = []
    for jobs in (1, 2):
        start = time.monotonic()
        pooled(walk(50, 1), waits, tmp_path / str(jobs), 60, jobs=jobs)
        took.append(time.monotonic() - start)
    assert took[0] > 1.2
    assert took[1] < 0.7 * took[0]


def test_no_more_workers_are_started_than_there_are_trials(tmp_path: Path) -> None:
    def tells(bars: Bars) -> None:
        raise ValueError(os.getpid())

    assert len(set(pooled(walk(50, 1), tells, tmp_path / "two", 2, jobs=16).error.values())) <= 2
    assert len(set(pooled(walk(50, 1), tells, tmp_path / "one", 1, jobs=16).error.values())) == 1


def test_trials_are_all_made_whatever_many_of_them_do_to_their_workers(bed: Bed) -> None:
    bed.strategy(
        """
        def traded(bars, *, n=3):
            if n % 3 == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return np.where(np.arange(len(bars)) % n < n // 2 + 1, 1.0, 0.0)
        """
    )
    swept = bed.sweep("--grid", "n=2:41:1", "--jobs", "2", "--keep", "0")
    assert swept.errors == {n - 2: "killed (SIGKILL), twice" for n in range(3, 42, 3)}
    assert len(swept.rows) == 40
