"""What the run costs, measured side by side in one go: whole processes, the engine, the evidence, and other engines.

What is compared is shown to give the same result before it is timed. Every figure is the median of several runs;
ratios compare figures of the same call, as machines differ and drift.
Peers run where they are installed (`just setup dev`), over the same bars, strategy and costs.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from figures import Figure, children, config_of, figure, process, prove, random_bars

from peak_trade import config, engine, runner, stats, strategies
from peak_trade.config import Execution, Stops
from peak_trade.evidence import tables
from peak_trade.evidence.run_dir import read_manifest
from peak_trade.market.bars import Bars
from peak_trade.market.ohlcv import load_bars

__all__ = ["measure"]

_COSTS = Execution(fee_bps=1.0, slippage_bps=1.0)
_WATCHED = 'supervisor.stand_by(hand_on=os.environ.get("PEAK_OTEL_ENABLED") == "1")'
_FORMAT_1 = "3132551bc417"  # the last commit whose evidence is of format 1
_CAPTURE = """
import sys, time
from pathlib import Path
from peak_trade import config, runner
from peak_trade.runner import code
took, capture = [], code.capture
def timed(*args):
    start = time.perf_counter(); found = capture(*args); took.append(time.perf_counter() - start)
    return found
code.capture = timed
for _ in range(4):
    runner.run(config.load(Path(sys.argv[1])), root=Path(sys.argv[2]), results=Path(sys.argv[3]))
print(*took)
"""
_BACKTESTING = """
import sys, time, numpy as np, pandas as pd
from backtesting import Backtest, Strategy
a = np.load(sys.argv[1])
columns = ("open", "high", "low", "close", "volume")
frame = pd.DataFrame({name.title(): a[name] for name in columns}, index=pd.DatetimeIndex(a["timestamp"]))
class Cross(Strategy):
    def init(self):
        mean = lambda x, n: pd.Series(x).rolling(n).mean()
        self.fast, self.slow = self.I(mean, self.data.Close, 20), self.I(mean, self.data.Close, 50)
    def next(self):
        if self.fast[-1] > self.slow[-1]:
            self.position or self.buy()
        elif self.position:
            self.position.close()
test = Backtest(frame, Cross, cash=1e9, commission=2e-4, finalize_trades=True)
start = time.perf_counter(); made = test.run(); seconds = time.perf_counter() - start
print(seconds, len(made["_trades"]), made["_equity_curve"].Equity.iloc[-1] / 1e9)
"""
_VECTORBT = """
import sys, time, numpy as np, pandas as pd, vectorbt as vbt
a = np.load(sys.argv[1])
index = pd.DatetimeIndex(a["timestamp"])
close, opened = pd.Series(a["close"], index), pd.Series(a["open"], index)
def once():
    fast, slow = close.rolling(20).mean(), close.rolling(50).mean()
    held = (fast > slow).shift(1, fill_value=False)
    made = vbt.Portfolio.from_signals(
        close, held & ~held.shift(1, fill_value=False), ~held, price=opened, fees=1e-4, slippage=1e-4, freq="1min")
    return made.value(), made.trades.records
once()
start = time.perf_counter(); value, trades = once(); seconds = time.perf_counter() - start
print(seconds, len(trades), value.iloc[-1] / 100)
"""
# Each peer with the costs that mean the same in both; backtesting.py deals in whole units.
_PEERS = (
    ("backtesting.py", _BACKTESTING, Execution(fee_bps=2.0), 1e-5),
    ("vectorbt", _VECTORBT, _COSTS, 1e-9),
)


def measure(root: Path, *, repeat: int = 7, peers: bool = True) -> Iterator[Figure]:
    """Measure everything and yield each figure as soon as it is known."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        yield from _processes(root, folder, repeat)
        yield from _evidence(root, folder, repeat)
        yield from _engine(folder, repeat, peers)


def _timed(action: Callable[[], object], repeat: int) -> list[float]:
    action()  # the first call warms caches
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return seconds


def _processes(root: Path, folder: Path, repeat: int) -> Iterator[Figure]:
    """Whole cold processes in an environment that holds the core alone, in turn with importing NumPy there."""
    environment_ = folder / "core"
    python = str(environment_ / "bin" / "python")
    install = ("pip", "install", "--python", python, "--compile-bytecode", "-c", "constraints.txt", "-e", ".")
    for words in (("venv", "--python", sys.executable, str(environment_)), install):
        subprocess.run(["uv", *words], check=True, capture_output=True, cwd=root)
    script = str(root / "scripts" / "run_strategy_from_config.py")
    file = str(config_of(folder, random_bars(10_000)))
    run = [python, script, "--config", file, "--results-dir", str(folder / "cold")]
    numpy = [python, "-c", "import numpy"]
    _prove_run(run, folder)
    trios = [(process(numpy), process(run), process([python, script, "--help"])) for _ in range(repeat + 1)][1:]
    pairs = [(bare, whole) for bare, whole, _ in trios]
    bare, whole, helped = (list(column) for column in zip(*trios, strict=True))
    ratio = statistics.median(one[0] / other[0] for other, one in pairs)
    extra = statistics.median(one[1] - other[1] for other, one in pairs)
    yield figure("process: import numpy", [seconds for seconds, _ in bare])
    yield figure("process: run, 10,000 bars, core only", [s for s, _ in whole], f"{ratio:.2f} × import numpy")
    yield figure("process: the same program's --help", [seconds for seconds, _ in helped])
    memory = sorted(megabytes for _, megabytes in whole)
    yield Figure("process: its peak memory", statistics.median(memory), memory[0], memory[-1], "MB",
                 f"{extra:.1f} MB above import numpy")  # fmt: skip
    text = Path(script).read_text(encoding="utf-8")
    prove("the script without its supervisor", text.count(_WATCHED), 1)
    modes = []
    for name, start in (("watched.py", _WATCHED), ("alone.py", "supervisor.UNWATCHED")):
        (folder / name).write_text(text.replace(_WATCHED, start), encoding="utf-8")
        modes.append([python, str(folder / name), *run[2:]])
    turns = [[process(words)[0] for words in modes] for _ in range(4 * repeat + 1)][1:]
    cost = statistics.median(watched - alone for watched, alone in turns)
    yield figure("process: the run with no supervisor in front", [alone for _, alone in turns],
                 f"in front: {cost * 1e3:+.1f} ms")  # fmt: skip
    yield from _code(root, folder, python, file, repeat)
    yield from _before(root, folder, run, repeat)


def _code(root: Path, folder: Path, python: str, file: str, repeat: int) -> Iterator[Figure]:
    """The capture of a run's code: in a process of its own, as a run is, and again in the same one."""
    words = [python, "-c", _CAPTURE, file, str(root), str(folder / "cold")]
    rows = []
    for _ in range(repeat):
        done = subprocess.run(words, capture_output=True, text=True, env=children(), check=True)
        rows.append([float(seconds) for seconds in done.stdout.split()])
    again = statistics.median(seconds for row in rows for seconds in row[1:])
    yield figure(
        "process: of it the capture of code", [row[0] for row in rows], f"{again * 1e3:.1f} ms in a second run"
    )


def _before(root: Path, folder: Path, run: list[str], repeat: int) -> Iterator[Figure]:
    """The same run by the last version whose evidence was of format 1, in turn with this one."""
    name, there, environment_ = "process: the same run with evidence of format 1", folder / "before", folder / "core-1"
    python = str(environment_ / "bin" / "python")
    for words in (
        ("git", "clone", "-q", "--shared", "--no-checkout", str(root), str(there)),
        ("git", "-C", str(there), "checkout", "-q", _FORMAT_1),
        ("uv", "venv", "--python", sys.executable, str(environment_)),
        ("uv", "pip", "install", "--python", python, "--compile-bytecode", "-c", str(there / "constraints.txt"),
         "-e", str(there)),
    ):  # fmt: skip
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            yield Figure(name, 0.0, 0.0, 0.0, "ms", f"not run: {(done.stderr.splitlines() or ['?'])[-1][:80]}")
            return
    older = [python, str(there / "scripts" / "run_strategy_from_config.py"), *run[2:]]
    older[older.index("--results-dir") + 1] = str(folder / "cold-1")
    pairs = [(process(run)[0], process(older)[0]) for _ in range(2 * repeat + 1)][1:]
    ratio = statistics.median(now / before for now, before in pairs)
    yield figure(name, [before for _, before in pairs], f"this version takes {ratio:.2f} × it")


def _prove_run(run: list[str], folder: Path) -> None:
    """The process seals what the functions give that `in process` is timed with."""
    done = subprocess.run(run, capture_output=True, text=True, env=children(), check=True)
    sealed = tables.read_series(
        folder / "cold" / done.stdout.strip() / "equity.csv", ("timestamp", "equity", "drawdown", "position")
    )
    bars = load_bars(str(folder / "bars.csv"), symbol="SYNTHETIC", timeframe="1m").bars
    prove("the run's process", sealed["equity"], _trade(bars, Stops()).equity)


def _evidence(root: Path, folder: Path, repeat: int) -> Iterator[Figure]:
    """The same 10,000-bar run in process, with and without evidence; git is asked once for all."""
    source = config.load(config_of(folder, random_bars(10_000)))

    def bare() -> None:
        bars = load_bars(str(folder / "bars.csv"), symbol="SYNTHETIC", timeframe="1m").bars
        _trade(bars, Stops())

    made: list[Path] = []
    full = _timed(lambda: made.append(runner.run(source, root=root, results=folder / "results")), repeat)
    plain = _timed(bare, repeat)
    cost = statistics.median(full) - statistics.median(plain)
    yield figure("in process: bare backtest with statistics, 10,000 bars", plain)
    yield figure("in process: the same as a sealed run", full, f"evidence and probe {cost * 1e3:.1f} ms")
    sealed = [read_manifest(path).predicate for path in made[1:]]
    for name, seconds in (
        ("the evidence, by its own receipts", [one.run_details["milliseconds"]["evidence"] / 1e3 for one in sealed]),
        ("the probe", [one.run_details["milliseconds"]["probe"] / 1e3 for one in sealed]),
    ):
        yield figure(f"in process: of it {name}", seconds)


def _trade(bars: Bars, stops: Stops, **params: int) -> engine.Result:
    target = strategies.resolve("sma_crossover")(bars, **params)
    result = engine.run(bars, target, execution=_COSTS, stops=stops)
    stats.compute(bars.timestamp, result.equity, result.position, result.trades,
                  risk_free_rate=0.0, periods_per_year=525_600.0)  # fmt: skip
    return result


def _engine(folder: Path, repeat: int, peers: bool) -> Iterator[Figure]:
    """Strategy and engine over 1 M and 10 M bars, and other engines over the same 1 M."""
    bars = random_bars(1_000_000)
    function = strategies.resolve("sma_crossover")

    def crossing(over: Bars, stops: Stops = Stops(), **params: int) -> Any:
        return engine.run(over, function(over, **params), execution=_COSTS, stops=stops).trades

    ours = _timed(lambda: crossing(bars), repeat)
    yield figure("engine: 1 M bars, SMA crossover with costs", ours, f"{len(crossing(bars)):,} trades")
    tight = Stops(stop_loss=0.002, take_profit=0.004, trailing_stop=0.003)
    count = len(crossing(bars, tight, fast=4, slow=12))
    stopped = _timed(lambda: crossing(bars, tight, fast=4, slow=12), repeat)
    yield figure("engine: 1 M bars, three stops", stopped, f"{count:,} trades")
    long = random_bars(10_000_000)
    ten = _timed(lambda: crossing(long), max(3, repeat // 2))
    yield figure("engine: 10 M bars, SMA crossover with costs", ten,
                  f"{statistics.median(ten) / statistics.median(ours):.1f} × 1 M")  # fmt: skip
    if peers:
        np.savez(folder / "bars.npz", **{name: getattr(bars, name) for name in
                                         ("timestamp", "open", "high", "low", "close", "volume")})  # fmt: skip
        for name, program, costs, within in _PEERS:
            yield _peer(name, program, folder / "bars.npz", bars, costs, within, statistics.median(ours))


def _peer(
    name: str, program: str, file: Path, bars: Bars, costs: Execution, within: float, ours: float
) -> Figure:  # fmt: skip
    words = [sys.executable, "-W", "ignore", "-c", program, str(file)]
    done = subprocess.run(words, capture_output=True, text=True, env=children())
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["?"])[-1]
        return Figure(f"peer: {name}, 1 M bars, SMA crossover", 0.0, 0.0, 0.0, "ms", f"did not run: {reason[:80]}")
    seconds, trades, end = map(float, done.stdout.split())
    result = engine.run(bars, strategies.resolve("sma_crossover")(bars), execution=costs)
    prove(f"{name}, in the number of its trades,", len(result.trades), int(trades))
    prove(f"{name}, in its last equity,", result.equity[-1] / costs.initial_cash, end, within=within)
    remark = f"{seconds / ours:.0f} × ours, the same {int(trades):,} trades and equity to {within:g}"
    return figure(f"peer: {name}, 1 M bars, SMA crossover", [seconds], remark)
