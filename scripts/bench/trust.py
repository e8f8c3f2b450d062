"""What is done with sealed runs costs: verify, replay, compare, export, luck, and lists of many of them.

Whole processes, as a person starts them, where one run or two are asked for; a run itself in turn with its replay.
"""

from __future__ import annotations

import hashlib
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
from figures import Figure, children, config_of, figure, process, prove, random_bars

from peak_trade import config, runner
from peak_trade.errors import RunError
from peak_trade.evidence.results import Results
from peak_trade.trust import verify

__all__ = ["measure"]

_RUNS, _LISTED, _LONG = 1_000, 10_000, 1_000_000


def measure(root: Path, *, repeat: int = 7) -> Iterator[Figure]:
    """Measure everything and yield each figure as soon as it is known."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        yield from _one_run(root, folder / "one", repeat)
        yield from _two_runs(root, folder / "two", repeat)
        yield from _many_runs(root, folder / "many", repeat)


def _words(root: Path, script: str, results: Path, *args: str) -> list[str]:
    return [sys.executable, str(root / "scripts" / script), *args, "--results-dir", str(results)]


def _run_id(words: list[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, env=children())
    if done.returncode:
        raise RunError(f"{' '.join(words)} failed: {done.stderr.strip()[-300:]}")
    return done.stdout.strip()


def _one_run(root: Path, folder: Path, repeat: int) -> Iterator[Figure]:
    """Replay and export a run of 10,000 bars."""
    folder.mkdir()
    results, file = folder / "results", str(config_of(folder, random_bars(10_000)))
    made = _words(root, "run_strategy_from_config.py", results, "--config", file)
    run_id = _run_id(made)
    replayed = _words(root, "replay_run.py", results, run_id)
    pairs = [(process(made)[0], process(replayed)[0]) for _ in range(2 * repeat + 1)][1:]  # the first compiles
    run, again = (list(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(replay / one for one, replay in pairs)
    yield figure("trust: a run's process, 10,000 bars, all extras", run)
    yield figure("trust: the process that replays it", again, f"{ratio:.2f} × the run")
    for name, more in (("export of it", ()), ("export of it with its bars", ("--with-data",))):
        words = _words(root, "export_runs.py", results, run_id, *more)
        packed = [folder / f"{len(more)}-{number}.zip" for number in range(repeat + 1)]
        seconds = [process([*words, "--output", str(one)])[0] for one in packed][1:]
        yield figure(f"trust: the process of an {name}", seconds, f"{packed[0].stat().st_size / 1e3:,.0f} kB")


def _two_runs(root: Path, folder: Path, repeat: int) -> Iterator[Figure]:
    """Compare two runs of 1 M bars that trade otherwise."""
    folder.mkdir()
    results, file = folder / "results", str(config_of(folder, random_bars(_LONG)))
    made = _words(root, "run_strategy_from_config.py", results, "--config", file)
    compared = _words(
        root, "compare_runs.py", results, _run_id(made), _run_id([*made, "--set=strategy.params.fast=10"])
    )
    seconds = [process(compared)[0] for _ in range(repeat + 1)][1:]
    yield figure("trust: the process that compares two runs of 1 M bars", seconds)


def _many_runs(root: Path, folder: Path, repeat: int) -> Iterator[Figure]:
    """Check 1,000 runs of 500 bars each, tell the luck of one and of all, and list 10,000."""
    folder.mkdir()
    path, results = config_of(folder, random_bars(500)), folder / "results"
    searched = [
        config.load(path, [f"strategy.params.fast={fast}"]) for fast in range(2, 42)
    ]  # 40 results, as of a grid
    made = [runner.run(searched[number % 40], root=root, results=results) for number in range(_RUNS)]
    seconds = []
    for _ in range(2):  # of which the first one imports
        start = time.perf_counter()
        states = [verdict.state for verdict in verify.verify_all(Results(results), None, root=root)]
        seconds.append(time.perf_counter() - start)
        prove("verify", states, ["intact"] * (_RUNS + 1))
    yield figure("verify: 1,000 runs of 500 bars", seconds[1:], "all intact, and the ledger")
    for name, args in (
        ("luck: the process for a run among 1,000, by the ledger alone", ("--quick",)),
        ("luck: the process for a run among 1,000, with all that is known", ()),
        ("luck: the process for all 1,000 of a family", ("--family",)),
    ):
        words = _words(root, "luck.py", results, made[-1].name, *args)
        yield figure(name, [process(words)[0] for _ in range(max(repeat // 2, 1) + 1)][1:])
    _multiply(results, _LISTED // _RUNS)
    listed = _words(root, "list_runs.py", results)
    prove("the list", len(_run_id(listed).splitlines()), _LISTED + 1)
    yield figure("runs: the process that lists 10,000", [process(listed)[0] for _ in range(repeat)])


def _multiply(results: Path, times: int) -> None:
    """Tell of each run again under other ids, in a ledger whose chain holds; lists read no more of runs than that."""
    ledger = results / "ledger.jsonl"
    lines = [msgspec.json.decode(line) for line in ledger.read_bytes().splitlines()]
    chain, previous = [], hashlib.sha256(ledger.read_bytes().splitlines()[-1]).hexdigest()
    for _ in range(times - 1):
        ids = {line["run_id"]: str(uuid.uuid4()) for line in lines}
        for line in lines:
            chain.append(msgspec.json.encode(line | {"run_id": ids[line["run_id"]], "prev": previous}))
            previous = hashlib.sha256(chain[-1]).hexdigest()
        for run_id in ids.values():
            (results / run_id).mkdir()
    with ledger.open("ab") as end:
        end.write(b"".join(line + b"\n" for line in chain))
