"""What tracking costs: a run with it and without it, and many runs that are logged at once."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from figures import Figure, config_of, figure, random_bars

from peak_trade import config, runner
from peak_trade.errors import RunError
from peak_trade.tracking import batch, receipt
from peak_trade.tracking.receipt import Receipt
from peak_trade.tracking.store import Store

__all__ = ["measure"]

_LIMIT_S = 300.0


def measure(root: Path, *, repeat: int, runs: int = 100) -> Iterator[Figure]:
    """Measure what tracking adds to a run, and `runs` that are logged at once; nothing without mlflow.

    Raises RunError where a run is not logged.
    """
    if not batch.installed():
        return
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for name, seconds, remark in _measure(root, config_of(folder, random_bars(10_000)), folder, repeat, runs):
            yield figure(name, seconds, remark)


def _measure(root: Path, file: Path, folder: Path, repeat: int, runs: int) -> Iterator[tuple[str, list[float], str]]:
    uri = f"sqlite:///{folder}/mlflow.db"
    store, source = Store.of(root, {"MLFLOW_TRACKING_URI": uri}), config.load(file)
    made = [runner.run(source, root=root, results=folder / "pending") for _ in range(runs)]
    logged = _logged(batch.track(made, store, timeout_s=_LIMIT_S))
    yield "tracking: the first run into a new store", [logged[0].ms / 1e3], "with the start of MLflow"
    yield f"tracking: each of {runs} pending runs, one process", [done.ms / 1e3 for done in logged[1:]], "into SQLite"
    off, auto, later = [], [], []
    for _ in range(repeat):
        off.append(_run(root, file, folder, "off", uri)[0])
        seconds, run_dir = _run(root, file, folder, "auto", uri)
        start = time.perf_counter()
        while (found := receipt.read(run_dir)) is None or found.status == "started":
            time.sleep(0.01)
        auto.append(seconds)
        later.append(seconds + time.perf_counter() - start)
        _logged([found])
    extra = sorted(one - other for one, other in zip(auto, off, strict=True))[repeat // 2]
    yield "tracking: a run's process, tracking off", off, ""
    yield "tracking: a run's process, tracking auto", auto, f"{extra * 1e3:+.1f} ms"
    yield "tracking: auto, until the run is logged", later, "in the background"


def _run(root: Path, file: Path, folder: Path, mode: str, uri: str) -> tuple[float, Path]:
    script = str(root / "scripts" / "run_strategy_from_config.py")
    words = [
        "--quiet",
        "--tracking",
        mode,
        "--results-dir",
        str(folder / mode),
        "--set",
        f"tracking.timeout_s={_LIMIT_S}",
    ]
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, script, "--config", str(file), *words],
        capture_output=True,
        text=True,
        env=os.environ | {"MLFLOW_TRACKING_URI": uri},
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RunError(f"the run failed: {done.stderr.strip()[-300:]}")
    return seconds, folder / mode / done.stdout.strip()


def _logged(receipts: Iterator[Receipt | None] | list[Receipt]) -> list[Receipt]:
    found = [one for one in receipts if one]
    for one in found:
        if one.status != "logged":
            raise RunError(f"a run was not logged: {one.reason}")
    return found
