"""Pages of every kind, of runs made from the samples that ship, in a folder of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
import zlib
from pathlib import Path

from peak_trade.errors import RunError
from peak_trade.evidence.results import Results
from peak_trade.report import render, run
from peak_trade.script import repo_root

ROOT = repo_root()
OWN = """
def broken(bars):
    raise ValueError("no idea what to do")


def sold(bars):
    return [-1.0] * len(bars)
"""
RETURNS = [f"20{10 + month // 12}-{month % 12 + 1:02}-28,{(month * 7 % 11 - 4.6) / 200:.4f}" for month in range(96)]
FILLS = [
    f"{year}-{month},{sign * amount},{price + year % 7 * (3 if sign < 0 else 4)},{symbol}"
    for year in range(2012, 2019)
    for month, sign in (("02-01", 1), ("09-03", -1))
    for symbol, amount, price in (("SPX", 10, 120), ("NDX", 20, 60), ("GLD", 15, 100))
]
FILES = {
    "own.py": OWN,
    "returns.csv": "\n".join(["date,returns", *RETURNS, ""]),
    "fills.csv": "\n".join(["date,amount,price,symbol", *FILLS, ""]),
}
RUN = ("run_strategy_from_config", "--config", "{config}")
SWEPT = ("sweep", "{config}", "--grid", "fast=10:50:10", "--grid", "slow=60:200:20")
KINDS = {  # the script that makes each, and the words for it
    "report": (*RUN, "--set", "stops.stop_loss=0.04"),
    "faster": (*RUN, "--set", "strategy.params.fast=10"),
    "hourly": ("run_strategy_from_config", "--config", "{root}/config/btcusdt_donchian.toml"),
    "ruined": ("run_strategy_from_config", "--config", "{folder}/sold.toml", "--set", "data.start=2009-03-06",
               "--set", "execution.allow_short=true"),
    "failed": ("run_strategy_from_config", "--config", "{folder}/broken.toml"),
    "recorded": ("record_run", "--", sys.executable, "{root}/examples/pandas_.py"),
    "imported": ("import_run", "{folder}/returns.csv", "--initial-cash", "10000", "--name", "Returns of a platform"),
    "portfolio": ("import_run", "{folder}/fills.csv", "--initial-cash", "10000", "--name", "Three symbols"),
    "sweep": SWEPT,
    "walk-forward": (*SWEPT, "--walk-forward", "train=4y", "test=2y"),
    "comparison": ("compare_runs", "{report}", "{faster}", "--html", "{folder}/comparison.html"),
    "comparison-many": ("compare_runs", "{report}", "{faster}", "{ruined}", "{failed}", "{recorded}", "{sweep}",
                        "--html", "{folder}/comparison-many.html"),
    "index": ("report_index",),
}  # fmt: skip


class Pages:
    """Pages by their kinds, each made when it is first asked for, with the runs that it speaks of."""

    def __init__(self, folder: Path, renderer: render.Renderer) -> None:
        self._folder, self._renderer, self._made = folder, renderer, dict[str, str]()
        config = (ROOT / "config" / "my_strategy.toml").read_text("utf-8")
        for name, content in FILES.items():
            (folder / name).write_text(content, "utf-8")
        for name in ("broken", "sold"):
            own = config.replace('\nname = "sma_crossover"', f'\nentrypoint = "own.py:{name}"')
            (folder / f"{name}.toml").write_text(own.replace("\nfast = 20\nslow = 50", ""), "utf-8")

    def __getitem__(self, kind: str) -> str:
        """Return the HTML of a kind of page."""
        made = Path(self._make(kind))
        if made.suffix != ".html":
            made = render.render(run.find(str(made), Results(self._folder / "results")), self._renderer).html
        return made.read_text("utf-8")

    def _make(self, kind: str) -> str:
        """Return the run_id of what a kind of page is about; its path, where it is about many."""
        if kind not in self._made:
            words = " ".join(KINDS[kind])
            places = {name: self._make(name) for name in re.findall(r"\{([\w-]+)\}", words) if name in KINDS}
            places |= {"root": str(ROOT), "folder": str(self._folder), "config": f"{ROOT}/config/my_strategy.toml"}
            program, *rest = (word.format(**places) for word in KINDS[kind])
            results, run_id = (
                self._folder / "results",
                str(uuid.UUID(int=zlib.crc32(kind.encode()) * 7**38 % 2**128, version=4)),
            )
            done = subprocess.run(
                [sys.executable, str(ROOT / "scripts" / f"{program}.py"), *rest],
                env={**os.environ, "PEAK_RESULTS_DIR": str(results), "PEAK_RUN_ID": run_id}, cwd=self._folder,
                capture_output=True, text=True,
            )  # fmt: skip
            said = done.stdout.strip().splitlines()
            self._made[kind] = run_id if (results / run_id).is_dir() else said[-1] if said else ""
            if not self._made[kind]:
                raise RunError(f"there is no {kind}: {done.stderr[-500:]}")
        return self._made[kind]
