"""What evidence of other people's commands and files costs: recording beside the bare command, and importing.

The bare command and the recorded one run in turn, so that a machine that drifts, drifts for both.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from figures import Figure, children, figure, process, prove, random_bars

from peak_trade import script
from peak_trade.commands import COMMANDS

__all__ = ["measure_import", "measure_record"]

_TRADES = 100_000
_ENGINE = """
import sys, numpy as np, pandas as pd
from backtesting import Backtest, Strategy
a = np.load(sys.argv[1])
names = ("open", "high", "low", "close", "volume")
frame = pd.DataFrame({name.title(): a[name] for name in names}, index=pd.DatetimeIndex(a["timestamp"]))
class Cross(Strategy):
    def init(self):
        mean = lambda x, n: pd.Series(x).rolling(n).mean()
        self.fast, self.slow = self.I(mean, self.data.Close, 20), self.I(mean, self.data.Close, 50)
    def next(self):
        if self.fast[-1] > self.slow[-1]:
            self.position or self.buy()
        elif self.position:
            self.position.close()
made = Backtest(frame, Cross, cash=1e9, commission=2e-4, finalize_trades=True).run()
print(len(made["_trades"]), repr(made["Equity Final [$]"]))
"""
_SECONDS = """
import csv, json, sys, time
until, count, total = time.process_time() + 2, 0, 0.0
while time.process_time() < until:
    with open(sys.argv[1], newline="") as stream:
        total += sum(float(row["close"]) for row in csv.DictReader(stream))
    for name in ("one", "two"):
        with open(name + ".json", "w") as stream:
            json.dump(list(range(1_000)), stream)
    count += 1
print(json.dumps(count))
"""


def measure_record(root: Path, *, repeat: int = 7, peers: bool = True) -> Iterator[Figure]:
    """Measure what `just record` adds to a command, and yield each figure as soon as it is known."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        bars = random_bars(20_000)
        columns = {name: getattr(bars, name) for name in ("timestamp", "open", "high", "low", "close", "volume")}
        np.savez(folder / "bars.npz", **columns)
        np.savetxt(folder / "bars.csv", bars.close[:2_000], header="close", comments="")
        for name, text in (("engine", _ENGINE), ("seconds", _SECONDS)):
            (folder / f"{name}.py").write_text(text, encoding="utf-8")
        command = _Command(root, folder)
        yield from command.beside("python -c pass", ["-c", "pass"], repeat)
        if peers:
            yield from command.beside("a script of backtesting.py, 20,000 bars", ["engine.py", "bars.npz"], repeat)
        yield from command.observed("seconds.py", "bars.csv", repeat=repeat)


class _Command:
    """A Python command in a folder, bare and recorded."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.folder = folder
        script = str(root / "scripts" / "record_run.py")
        self.record = [sys.executable, script, "--quiet", "--results-dir", str(folder / "results")]

    def beside(self, name: str, words: Sequence[str], repeat: int) -> Iterator[Figure]:
        """Measure a command bare and recorded, each as a whole process."""
        bare, recorded = self._in_folder(), self._in_folder(self.record, "--")
        prove(f"{name}, recorded,", self._said([*recorded, *words]), self._said([*bare, *words]))
        pairs = [(process([*bare, *words])[0], process([*recorded, *words])[0]) for _ in range(repeat + 1)][1:]
        alone, watched = (list(column) for column in zip(*pairs, strict=True))
        more = statistics.median(after - before for before, after in pairs) * 1e3
        ratio = statistics.median(after / before for before, after in pairs)
        yield figure(f"record: {name}, bare", alone)
        yield figure(f"record: {name}, recorded", watched, f"{ratio:.2f} ×, {more:,.0f} ms more")

    def observed(self, *words: str, repeat: int) -> Iterator[Figure]:
        """Measure what a script itself gets done in two seconds of its own, bare and under the observer."""
        bare, recorded = self._in_folder(), self._in_folder(self.record, "--")
        done = [
            [json.loads(self._said([*way, *words])) for way in (bare, recorded)] for _ in range(max(repeat // 2, 1))
        ]
        share = statistics.median(alone / watched - 1 for alone, watched in done)
        seconds = [2 / count for _, count in done]
        yield figure("record: a round of a script that reads and writes files for 2 s, observed", seconds,
                     f"{share:+.1%} time")  # fmt: skip

    def _in_folder(self, before: Sequence[str] = (), *more: str) -> list[str]:
        # of a folder that is no repository, as the results are not
        enter = "import os, sys; os.chdir(sys.argv[1]); os.execv(sys.argv[2], sys.argv[2:])"
        return [sys.executable, "-I", "-S", "-c", enter, str(self.folder), *before, *more, sys.executable]

    def _said(self, words: Sequence[str]) -> str:
        done = subprocess.run(words, capture_output=True, text=True, env=children(), check=True)
        return done.stdout


def measure_import(root: Path, *, repeat: int = 7) -> Iterator[Figure]:
    """Measure the import of 100,000 trades of backtesting.py, as a whole process."""
    if "import" not in COMMANDS:
        script.note("import: this version has none")
        return
    program = root / "scripts" / COMMANDS["import"].script
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        file = _trades(folder / "trades.csv")
        words = [sys.executable, str(program), str(file), "--engine", "backtesting.py", "--symbol", "X",
                 "--initial-cash", "1000000", "--results-dir", str(folder / "results")]  # fmt: skip
        seconds = [process(words)[0] for _ in range(max(repeat // 2, 1) + 1)][1:]
        yield figure(f"import: {_TRADES:,} trades as CSV, the process", seconds)


def _trades(path: Path) -> Path:
    """Write trades one after the other, in the columns that backtesting.py gives them."""
    lot = np.random.default_rng(7)
    times = np.datetime64("2000-01-01T00:00:00") + np.arange(2 * _TRADES) * np.timedelta64(3600, "s")
    prices = (100 * np.exp(np.cumsum(lot.normal(0, 1e-4, 2 * _TRADES)))).round(4)
    lines = ["Size,EntryBar,ExitBar,EntryPrice,ExitPrice,PnL,ReturnPct,EntryTime,ExitTime,Duration,Tag"]
    for at in range(0, 2 * _TRADES, 2):
        entry, exit_ = prices[at], prices[at + 1]
        lines.append(
            f"10,{at},{at + 1},{entry},{exit_},{10 * (exit_ - entry):.4f},{exit_ / entry - 1:.10f},"
            f"{str(times[at]).replace('T', ' ')},{str(times[at + 1]).replace('T', ' ')},0 days 01:00:00,"
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
