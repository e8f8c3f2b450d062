"""A strategy that uses worker processes ends as it ends in plain Python: no hang, no traceback, nothing left behind."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import uuid4

import pytest

from peak_trade import strategies, supervisor
from peak_trade.handlers import handling
from peak_trade.strategies import load_entrypoint

COMMAND = (sys.executable, Path(__file__).resolve().parents[2] / "scripts/run_strategy_from_config.py")

FORK = multiprocessing.get_context("fork")


def raises(signum: int, frame: FrameType | None) -> None:
    """Do as a run does at SIGTERM."""
    raise KeyboardInterrupt


@pytest.fixture
def plain() -> Iterator[None]:
    """Have SIGTERM and SIGUSR1 do what they do of themselves, whatever the tests are started by."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGTERM, signal.SIGUSR1)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def ended(pid: int) -> int:
    """Return how a child ended: minus its signal, or its exit code; it has a second."""
    for _ in range(200):
        if (found := os.waitpid(pid, os.WNOHANG))[0]:
            return os.waitstatus_to_exitcode(found[1])
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    pytest.fail("the child lives on")


def forked() -> int:
    """Fork a child that sleeps; exit code 7: it was interrupted by an exception."""
    if pid := os.fork():
        return pid
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        os._exit(7)
    os._exit(0)


@pytest.mark.usefixtures("plain")
def test_a_child_is_ended_by_a_signal_that_its_parent_handles() -> None:
    with handling({signal.SIGTERM: raises}):
        child = forked()
        time.sleep(0.05)
        os.kill(child, signal.SIGTERM)
        assert ended(child) == -signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    signal.signal(signal.SIGTERM, raises)  # the control: an inherited handler raises in the child
    child = forked()
    time.sleep(0.05)
    os.kill(child, signal.SIGTERM)
    assert ended(child) == 7


@pytest.mark.usefixtures("plain")
def test_a_signal_that_comes_while_a_child_is_being_forked_ends_it() -> None:
    with handling({signal.SIGTERM: raises}):
        for _ in range(50):
            child = forked()
            os.kill(child, signal.SIGTERM)  # at once: often before the child has run at all
            assert ended(child) == -signal.SIGTERM


@pytest.mark.usefixtures("plain")
def test_a_child_of_nested_blocks_has_what_was_before_the_first_and_what_a_strategy_has_set() -> None:
    with handling({signal.SIGTERM: raises, signal.SIGUSR1: raises}), handling({signal.SIGTERM: lambda *_: None}):
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # as a strategy may
        if not (child := os.fork()):
            code = (signal.getsignal(signal.SIGTERM) is signal.SIG_DFL) * 1
            code += (signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN) * 2
            code += (not signal.pthread_sigmask(signal.SIG_BLOCK, ())) * 4
            os._exit(code)
        assert ended(child) == 7
        assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.usefixtures("plain")
def test_a_pool_ends_with_no_word_of_its_workers(capfd: pytest.CaptureFixture[str]) -> None:
    with handling({signal.SIGTERM: raises}):
        for _ in range(10):
            with FORK.Pool(2) as pool:
                assert pool.map(abs, range(4)) == [0, 1, 2, 3]
    assert capfd.readouterr() == ("", "")


# --- in a run --------------------------------------------------------------------------------------------------------

HELPERS = """
def work(i): return float(i > 0)
def fails(i): raise ValueError(f"no to {i}")
"""
STRATEGY = """
import multiprocessing, time
from concurrent.futures import ProcessPoolExecutor
import numpy as np
import helpers_of_pools as helpers
def work(i): return float(i > 0)
def late(i):
    import late_of_pools
    return late_of_pools.work(i)
def inner(how):
    with ProcessPoolExecutor(1, multiprocessing.get_context(how)) as pool: return max(pool.map(helpers.work, range(2)))
def put(queue): queue.put(helpers.work(1))
def hang(i): time.sleep(600)
def all_kinds(bars, *, how="fork"):
    context = multiprocessing.get_context(how)
    with context.Pool(1) as pool:
        part = pool.map(work, range(4)) + pool.map(helpers.work, range(4)) + pool.map(late, range(4))
    with context.Pool(1, maxtasksperchild=1) as pool: part += pool.map(work, range(2), chunksize=1)
    with ProcessPoolExecutor(1, context) as pool: part += pool.map(inner, [how])
    queue = context.Queue()
    process = context.Process(target=put, args=(queue,))
    process.start()
    part.append(queue.get())
    process.join()
    with context.Manager() as manager: part.append(manager.Value("d", 1.0).value)
    assert part == [0.0, 1.0, 1.0, 1.0] * 3 + [0.0, 1.0, 1.0, 1.0, 1.0], part
    return np.ones(len(bars))
def one_pool(bars):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        part = pool.map(work, range(2)) + pool.map(helpers.work, range(2)) + pool.map(late, range(2))
    return np.full(len(bars), max(part))
def by_joblib(bars):
    from joblib import Parallel, delayed
    part = Parallel(2)(delayed(work)(i) for i in range(3)) + Parallel(2)(delayed(helpers.work)(i) for i in range(3))
    return np.full(len(bars), max(part))
def raising(bars):
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(helpers.fails, range(4)))
def hanging(bars, *, how="fork"):
    with ProcessPoolExecutor(2, multiprocessing.get_context(how)) as pool: return list(pool.map(hang, range(4)))
"""


@dataclass
class Ended:
    """How a run ended, and the command lines of what it left running."""

    code: int
    stdout: str
    stderr: str
    left: list[str]


class Pools:
    """A folder with a strategy that uses processes, and what runs it."""

    def __init__(self, ram: Path) -> None:
        self.config, self.folder, self.results = ram / "config.toml", ram / "mine", ram / "results"
        self.folder.mkdir()
        for name, text in (("pools", STRATEGY), ("helpers_of_pools", HELPERS), ("late_of_pools", HELPERS)):
            (self.folder / f"{name}.py").write_text(text)

    def start(self, entrypoint: str, *settings: str) -> tuple[subprocess.Popen[str], str]:
        """Start a run; return it with the mark that all it starts has in its environment."""
        text = self.config.read_text().partition("[strategy]")[0]
        self.config.write_text(f'{text}[strategy]\nentrypoint = "{entrypoint}"\n')
        words = [word for setting in settings for word in ("--set", setting)]
        mark = f"OF_POOLS={uuid4()}"
        return subprocess.Popen(
            [*COMMAND, "--config", self.config, "--results-dir", self.results, "--quiet", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | dict([mark.split("=")]),
            process_group=0,
        ), mark

    def end(self, started: tuple[subprocess.Popen[str], str]) -> Ended:
        """Wait for a run's end."""
        process, mark = started
        try:
            stdout, stderr = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            pytest.fail("the run never ends")
        return Ended(process.returncode, stdout, stderr, _marked(mark))

    def run(self, entrypoint: str, *settings: str) -> Ended:
        """Run a strategy to its end."""
        return self.end(self.start(entrypoint, *settings))

    def sealed(self, ended: Ended) -> dict[str, Any]:
        """Return the predicate of the last run."""
        run_id = ended.stdout.strip() or max(self.results.glob("*-*"), key=lambda path: path.stat().st_mtime).name
        predicate: dict[str, Any] = json.loads((self.results / run_id / "manifest.json").read_bytes())["predicate"]
        return predicate


def _marked(mark: str) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_text())
    return found


@pytest.fixture
def pools(config: Path, ram: Path) -> Pools:
    return Pools(ram)


@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver"])
def test_a_strategy_that_uses_every_kind_of_pool_ends_as_in_plain_python(pools: Pools, how: str) -> None:
    ended = pools.run("mine/pools.py:all_kinds", f"strategy.params.how={how}")
    assert (ended.code, ended.left) == (0, []), ended.stderr
    assert ended.stderr.splitlines() == [
        "warn: look-ahead not assessed: the strategy starts a process, so it was asked once; "
        'run.probe = "full" asks it again'
    ]
    assert {path.name for path in pools.folder.iterdir()} == {
        "pools.py", "helpers_of_pools.py", "late_of_pools.py"
    }  # fmt: skip


@pytest.mark.parametrize("entrypoint", ["mine.pools:one_pool", "{folder}/pools.py:one_pool"])
def test_a_module_and_an_absolute_path_do_too(pools: Pools, entrypoint: str) -> None:
    if entrypoint.startswith("mine."):  # a package of one's own, whose helpers lie beside the config
        for name in ("helpers_of_pools", "late_of_pools"):
            (pools.folder / f"{name}.py").rename(pools.folder.parent / f"{name}.py")
    ended = pools.run(entrypoint.format(folder=pools.folder))
    assert (ended.code, ended.left) == (0, []), ended.stderr


def test_joblib_does_too(pools: Pools) -> None:
    pytest.importorskip("joblib")
    ended = pools.run("mine/pools.py:by_joblib")
    assert (ended.code, ended.left) == (0, []), ended.stderr


TWO_RUNS = """
import sys
import peak_trade
if __name__ == "__main__":
    for name in ("one", "other"):
        config = {
            "data": {"path": sys.argv[1], "symbol": "SPX", "timeframe": "1d", "start": "2018-01-01"},
            "strategy": {"entrypoint": f"{name}/own.py:half"},
            "run": {"probe": "off"},
        }
        run = peak_trade.run(config, results="results")
        held = run.equity["position"][1] * run.benchmark["close"][1] / run.equity["equity"][1]
        print(round(float(held), 2))
"""


def test_workers_that_joblib_keeps_know_the_strategy_that_asks(tmp_path: Path) -> None:
    """Two strategies of one program, each with helpers of its own: the second was given the first one's by them."""
    pytest.importorskip("joblib")
    for name, share in (("one", 0.75), ("other", 0.25)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "helpers_of_mine.py").write_text(f"def share(number): return {share}\n")
        (tmp_path / name / "own.py").write_text(
            "import helpers_of_mine\nimport numpy as np\nfrom joblib import Parallel, delayed\n"
            "def half(bars):\n"
            "    parts = Parallel(n_jobs=2)(delayed(helpers_of_mine.share)(number) for number in range(4))\n"
            "    return np.full(len(bars), max(parts))\n"
        )
    (tmp_path / "program.py").write_text(TWO_RUNS)
    sample = COMMAND[1].parents[1] / "data/samples/sp500_daily.csv"
    done = subprocess.run(
        [sys.executable, "program.py", sample], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout.split() == ["0.75", "0.25"], done.stderr


def test_what_a_worker_raises_is_named(pools: Pools) -> None:
    ended = pools.run("mine/pools.py:raising")
    assert ended.code == 1 and ended.left == []
    assert ended.stderr.startswith("error: the strategy raised ValueError: no to 0, at mine/pools.py:"), ended.stderr
    assert pools.sealed(ended)["status"] == "failed"


def test_a_limit_ends_a_pool_that_hangs_and_leaves_no_process(pools: Pools) -> None:
    began = time.monotonic()
    ended = pools.run("mine/pools.py:hanging", "strategy.params.how=spawn", "run.timeout_s=1")
    assert time.monotonic() - began < 1 + supervisor.LEAVE_S  # what it had to leave in, when its workers kept it
    assert (ended.code, ended.left) == (1, [])
    assert ended.stderr.startswith("error: the strategy ran longer than run.timeout_s = 1 s"), ended.stderr
    assert pools.sealed(ended)["status"] == "failed"


def test_sigterm_ends_a_pool_that_hangs_and_leaves_no_process(pools: Pools) -> None:
    started = pools.start("mine/pools.py:hanging")
    for _ in range(500):
        if len(_marked(started[1])) >= 4:  # two of ours, and the workers
            break
        time.sleep(0.02)
    time.sleep(1)  # for the pool to have started: plain Python too prints a traceback of one that is ended half way
    os.kill(started[0].pid, signal.SIGTERM)
    ended = pools.end(started)
    assert (ended.code, ended.left) == (1, [])
    assert "error: interrupted\n" in ended.stderr, ended.stderr  # after what a busy machine may have skipped
    assert "Traceback" not in ended.stderr, ended.stderr
    assert pools.sealed(ended)["status"] == "failed"


def test_a_process_that_is_started_anew_finds_a_module_only_while_its_strategy_is_asked(pools: Pools) -> None:
    work = load_entrypoint("mine/pools.py:work", [pools.folder.parent])
    spawn = multiprocessing.get_context("spawn")
    with strategies.reaching(), ProcessPoolExecutor(1, spawn) as pool:
        assert list(pool.map(work, range(2))) == [0.0, 1.0]
    with ProcessPoolExecutor(1, spawn) as pool, pytest.raises(BrokenProcessPool):  # the control
        list(pool.map(work, range(2)))


PROGRAM = """
import peak_trade
def main():
    run = peak_trade.run("config.toml", results="results", strategy={"entrypoint": "mine/pools.py:one_pool"})
    print(run.run_id)
"""


def test_a_program_runs_it_too_and_one_without_a_guard_leaves_one_run(pools: Pools) -> None:
    text = pools.config.read_text().partition("[strategy]")[0]
    pools.config.write_text(f'{text}[strategy]\nentrypoint = "mine/pools.py:one_pool"\n')
    program = pools.folder.parent / "program.py"
    program.write_text(f"{PROGRAM}if __name__ == '__main__':\n    main()\n")
    done = subprocess.run([sys.executable, program], cwd=program.parent, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (pools.results / done.stdout.strip() / "manifest.json").is_file()

    began = len(pools.results.joinpath("ledger.jsonl").read_text().splitlines())
    program.write_text(f"{PROGRAM}main()\n".replace("pools.py:one_pool", "pools.py:raising"))
    done = subprocess.run([sys.executable, program], cwd=program.parent, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "BrokenProcessPool" in done.stderr  # as in plain Python
    assert "run below `if __name__" in done.stderr or "runs your program again from its top" in done.stderr
    assert len(pools.results.joinpath("ledger.jsonl").read_text().splitlines()) == began + 2  # that run's own


def test_a_replay_comes_to_the_same(pools: Pools) -> None:
    ended = pools.run("mine/pools.py:one_pool")
    assert ended.code == 0, ended.stderr
    replay = COMMAND[1].with_name("replay_run.py")
    words = [sys.executable, replay, ended.stdout.strip(), "--results-dir", pools.results]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "IDENTICAL" in done.stdout, done.stdout + done.stderr
    for file in pools.folder.iterdir():
        file.unlink()  # the control: what runs, in the workers too, is what was sealed
    again = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert again.returncode == 0 and "IDENTICAL" in again.stdout, again.stdout + again.stderr
