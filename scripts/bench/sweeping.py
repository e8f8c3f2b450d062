"""What many runs cost: one trial by its parts, runs that are sealed together, whole sweeps beside vectorbt's own.

A whole sweep is a process, its start included; CPU time is that of all its processes, and holds on a busy machine.
vectorbt has its imports and the compilation of what it calls behind it when its clock starts, and leaves neither a
table of statistics nor evidence; total returns and counts of trades are shown to be the same before either is timed.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from figures import Figure, children, config_of, figure, prove, random_bars

from peak_trade import config, runner
from peak_trade.evidence.tables import SeriesDigest
from peak_trade.market.ohlcv import load_bars
from peak_trade.runner.many import Wanted
from peak_trade.runner.outcome import Prepared
from peak_trade.runner.shared import Shared
from peak_trade.strategies import resolve

__all__ = ["measure", "measure_long"]

_FAST, _SLOW = range(5, 45), range(50, 175, 5)
_GRID = ["--grid", "strategy.params.fast=5:44:1", "--grid", "strategy.params.slow=50:170:5"]
_CALENDAR = {"data.calendar": "24/7"}  # else a week of minutes annualises nothing
_TRIALS = len(_FAST) * len(_SLOW)
_COST = (1 - 1e-4) ** 2  # of the fill that closes what is open at the end, which vectorbt leaves open
_VECTORBT = """
import sys, time, numpy as np, pandas as pd, vectorbt as vbt
a, fasts, slows = np.load(sys.argv[1]), eval(sys.argv[2]), eval(sys.argv[3])
index = pd.DatetimeIndex(a["timestamp"])
close, opened = pd.Series(a["close"], index), pd.Series(a["open"], index)
def once(fasts, slows):
    means = {n: close.rolling(n).mean().to_numpy() for n in {*fasts, *slows}}
    pairs = [(fast, slow) for fast in fasts for slow in slows]
    above = np.column_stack([means[fast] > means[slow] for fast, slow in pairs])
    held = np.vstack([np.zeros(len(pairs), bool), above[:-1]])
    entered = held & ~np.vstack([np.zeros(len(pairs), bool), held[:-1]])
    made = vbt.Portfolio.from_signals(
        close, pd.DataFrame(entered, index), pd.DataFrame(~held, index), price=opened, fees=1e-4, slippage=1e-4,
        freq="1min")
    return made.total_return().to_numpy(), made.trades.count().to_numpy(), held[-1]
once(fasts[:2], slows[:2])
times = []
for _ in range(int(sys.argv[4])):
    start = time.perf_counter(); returns, trades, held = once(fasts, slows); times.append(time.perf_counter() - start)
np.savez(sys.argv[5], returns=returns, trades=trades, held=held, times=times)
"""


def measure(root: Path, *, repeat: int = 7, peers: bool = True) -> Iterator[Figure]:
    """Yield the figures of a trial, of runs sealed together, and of sweeps of 1,000 trials."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        file = config_of(folder, random_bars(10_000))
        yield from _trial(file, repeat)
        yield from _sealed(root, folder, file, repeat)
        yield from _sweeps(root, folder, file, max(3, repeat // 2), peers)
        yield _scaling(root, folder, file, max(3, repeat // 2))


def measure_long(root: Path, *, trials: int = 100_000) -> Iterator[Figure]:
    """Yield what a sweep of 100,000 trials takes: time, memory, and its parent's file."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        file = config_of(folder, random_bars(10_000))
        fasts = trials // 500
        grid = ["--grid", f"strategy.params.fast=2:{fasts + 1}:1", "--grid", "strategy.params.slow=300:799:1"]
        seconds, cpu, parent, peak = _sweep(root, file, folder / "long", [*grid, "--jobs", "2", "--keep", "20"])
        size = (parent / "trials.parquet").stat().st_size / 1e6
        yield Figure(f"many: a sweep of {trials:,} trials of 10,000 bars", seconds, seconds, seconds, "s",
                     f"{cpu / trials * 1e3:.2f} ms of CPU a trial")  # fmt: skip
        yield Figure("many: the peak memory of its largest process", peak, peak, peak, "MB")
        yield Figure("many: its trials.parquet", size, size, size, "MB")


def _trial(file: Path, repeat: int) -> Iterator[Figure]:
    """The parts of one trial, in process, where what trials share is there."""
    source = config.load(file, _CALENDAR)
    bars = load_bars(str(file.parent / "bars.csv"), symbol="SYNTHETIC", timeframe="1m").bars.freeze()
    prepared, function = Prepared(bars), resolve("sma_crossover")
    target = function(bars)
    came = prepared.trade(target, source.config)
    alone = SeriesDigest("equity", came.equity).with_columns({})
    prove("the digest that trials share the beginning of", came.digests["equity_digest"], alone)
    parts: dict[str, list[float]] = {"the strategy": [], "the backtest": [], "the statistics": [], "the digests": []}
    for _ in range(repeat):
        times, digest = np.zeros((200, len(parts) + 1)), ""
        for at in range(200):  # one part after the other, as in a sweep
            times[at, 0] = time.process_time()
            target = function(bars)
            times[at, 1] = time.process_time()
            made = prepared.trade(target, source.config)
            times[at, 2] = time.process_time()
            made.figures  # noqa: B018 - worked out when it is asked for
            times[at, 3] = time.process_time()
            digest = made.digests["equity_digest"]
            times[at, 4] = time.process_time()
        prove("a trial that is made again", digest, alone)
        for seconds, took in zip(parts.values(), np.diff(times).mean(axis=0).tolist(), strict=True):
            seconds.append(took)
    for name, took in parts.items():
        count = f"{len(came.result.trades):,} trades" if name == "the backtest" else ""
        median, least, most = (1e6 * one for one in (statistics.median(took), min(took), max(took)))
        yield Figure(f"sweep: of a trial of 10,000 bars {name}, CPU time", median, least, most, "µs", count)


def _sealed(root: Path, folder: Path, file: Path, repeat: int) -> Iterator[Figure]:
    """Full runs that are sealed together, beside the same ones alone."""
    sources = [config.load(file, _CALENDAR | {"strategy.params.fast": fast}) for fast in range(3, 35)]
    shared = Shared(load_bars(str(file.parent / "bars.csv"), symbol="SYNTHETIC", timeframe="1m"))

    def together() -> list[Path]:
        made = runner.run_many([Wanted(one) for one in sources], root=root, results=folder / "many", shared=shared)
        return [one.path for one in made if one.path]

    def alone() -> list[Path]:
        return [runner.run(one, root=root, results=folder / "alone", bars=shared.loaded) for one in sources]

    for one, other in zip(together(), alone(), strict=True):
        for name in ("stats.json", "equity.csv", "config_snapshot.json"):
            prove(f"{name} of a run sealed with others", (one / name).read_bytes(), (other / name).read_bytes())
    times: dict[str, list[float]] = {"alone": [], "with 31 others": []}
    for _ in range(repeat):
        for name, way in (("alone", alone), ("with 31 others", together)):
            start = time.process_time()
            way()
            times[name].append((time.process_time() - start) / len(sources))
    ratio = statistics.median(one / other for one, other in zip(times["with 31 others"], times["alone"], strict=True))
    yield figure("sweep: a full run of 10,000 bars sealed alone, CPU time", times["alone"])
    yield figure("sweep: the same sealed with 31 others, CPU time", times["with 31 others"], f"{ratio:.2f} × alone")
    rates = sorted(1 / seconds for seconds in times["with 31 others"])
    yield Figure("sweep: sealed runs per second and core", statistics.median(rates), rates[0], rates[-1], "runs/s")


def _sweeps(root: Path, folder: Path, file: Path, repeat: int, peers: bool) -> Iterator[Figure]:
    """Whole sweeps of 1,000 trials as processes, and vectorbt's."""
    ways = {"two workers": ["--jobs", "2"], "one worker": ["--jobs", "1"],
            "two workers, all of them kept": ["--jobs", "2", "--keep", "all"]}  # fmt: skip
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    parents: dict[str, Path] = {}
    for turn in range(repeat):
        for name, words in ways.items():
            if turn and "kept" in name:
                continue
            seconds, cpu, parents[name], _ = _sweep(root, file, folder / f"{name} {turn}", [*_GRID, *words])
            took[name].append((seconds, cpu))
    vectorbt = _vectorbt(folder, parents["two workers"], repeat) if peers else None
    for name, rows in took.items():
        cpu = statistics.median(one for _, one in rows) / _TRIALS * 1e3
        walls = sorted(one for one, _ in rows)
        yield Figure(f"sweep: {_TRIALS:,} trials of 10,000 bars, {name}", statistics.median(walls), walls[0],
                     walls[-1], "s", f"{cpu:.2f} ms of CPU a trial")  # fmt: skip
    if vectorbt:
        ours = statistics.median(seconds for seconds, _ in took["two workers"])
        ratio = statistics.median(vectorbt) / ours
        yield figure("sweep: vectorbt's own, vectorised, warm", vectorbt, f"{ratio:.1f} × ours, the same returns")


def _scaling(root: Path, folder: Path, file: Path, repeat: int) -> Figure:
    """How much faster the trials of a sweep are with two workers: of its stages the one that they work in."""
    times: dict[str, list[float]] = {"1": [], "2": []}
    for turn in range(repeat):
        for jobs, took in times.items():
            words = ["--grid", "strategy.params.fast=2:21:1", "--grid", "strategy.params.slow=50:249:1", "--keep", "0"]
            parent = _sweep(root, file, folder / f"scaling {jobs} {turn}", [*words, "--jobs", jobs]).parent
            told = json.loads((parent / "manifest.json").read_text())["predicate"]["runDetails"]["milliseconds"]
            took.append(told["trials"])
    ratios = [one / two for one, two in zip(times["1"], times["2"], strict=True)]
    return Figure("sweep: one worker's time for 4,000 trials, in times of two workers'", statistics.median(ratios),
                  min(ratios), max(ratios), "×")  # fmt: skip


class _Swept(NamedTuple):
    """A sweep as processes: wall seconds, CPU seconds of all, its parent, and the largest one's memory in MB."""

    seconds: float
    cpu: float
    parent: Path
    peak: float


def _sweep(root: Path, file: Path, results: Path, words: list[str]) -> _Swept:
    program = [sys.executable, str(root / "scripts" / "sweep.py"), str(file), "--results-dir", str(results), "--quiet",
               "--set", *(f"{key}={value}" for key, value in _CALENDAR.items()), *words]  # fmt: skip
    start = time.perf_counter()
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=children()) as process:
        said = process.stdout.read() if process.stdout else ""
        _, status, used = os.wait4(process.pid, 0)  # of this one and what it waited for: others have been larger
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, program)
    seconds = time.perf_counter() - start
    return _Swept(seconds, used.ru_utime + used.ru_stime, results / said.split()[-1], used.ru_maxrss / 1e3)


def _vectorbt(folder: Path, parent: Path, repeat: int) -> list[float] | None:
    """Return the seconds of vectorbt's sweep, which is shown to come to what ours did; None where it is not installed.

    What is open at the end is closed by us, at its cost, and left open by vectorbt.
    """
    try:
        parquet: Any = importlib.import_module("pyarrow.parquet")
        importlib.import_module("vectorbt")
    except ImportError:
        return None
    bars = random_bars(10_000)
    np.savez(folder / "bars.npz", **{name: getattr(bars, name) for name in ("timestamp", "open", "close")})
    words = ["-W", "ignore", "-c", _VECTORBT, str(folder / "bars.npz"), repr(list(_FAST)), repr(list(_SLOW))]
    subprocess.run([sys.executable, *words, str(repeat), str(folder / "peer.npz")], env=children(), check=True)
    peer, table = np.load(folder / "peer.npz"), parquet.read_table(parent / "trials.parquet").to_pydict()
    settings = [json.loads(text) for text in table["params"]]
    keys = [(one["fast"], one["slow"]) for one in settings]
    ours = dict(zip(keys, zip(table["total_return"], table["trades"], strict=True), strict=True))
    mine = [ours[fast, slow] for fast in _FAST for slow in _SLOW]
    prove("vectorbt's sweep, in its counts of trades,", [int(trades) for _, trades in mine], peer["trades"])
    theirs = np.where(peer["held"], _COST, 1.0) * (1 + peer["returns"])
    prove("vectorbt's sweep, in its equity at the end,", [1 + one for one, _ in mine], theirs)
    return [float(seconds) for seconds in peer["times"]]
