"""What the benches share: a figure, the table that they go into, and the bars that are measured over."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct

from peak_trade.errors import InputError, RunError
from peak_trade.evidence import tables
from peak_trade.evidence.provenance import environment
from peak_trade.market.bars import Bars

__all__ = [
    "Figure",
    "as_markdown",
    "children",
    "config_of",
    "figure",
    "machine",
    "process",
    "prove",
    "random_bars",
    "write",
]


class Figure(Struct, frozen=True):
    """One measured thing: its median, least and most, in `unit`; `ratio` says what it is compared with."""

    name: str
    median: float
    least: float
    most: float
    unit: str
    ratio: str = ""


def machine() -> str:
    """Return the class of this machine in one line."""
    made, cores = environment(), os.cpu_count()
    return f"{made['cpu']}, {cores} cores; Python {made['python']}, NumPy {made['numpy']}, {made['system']}"


def random_bars(count: int, *, seed: int = 7) -> Bars:
    """Return `count` one-minute bars of a random walk, the same for the same seed."""
    draw = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(draw.normal(0, 1e-3, count)))
    opened = np.concatenate([[100.0], close[:-1]]) * np.exp(draw.normal(0, 1e-4, count))
    high = np.maximum(opened, close) * (1 + np.abs(draw.normal(0, 5e-4, count)))
    low = np.minimum(opened, close) * (1 - np.abs(draw.normal(0, 5e-4, count)))
    timestamp = np.datetime64("2000-01-01", "ns") + np.arange(count) * np.timedelta64(60, "s")
    return Bars(timestamp, opened, high, low, close, np.ones(count), "SYNTHETIC", "1m")


def figure(name: str, seconds: Sequence[float], ratio: str = "") -> Figure:
    """Return the figure of something that took these seconds, each time that it was done."""
    ordered = sorted(value * 1e3 for value in seconds)
    return Figure(name, statistics.median(ordered), ordered[0], ordered[-1], "ms", ratio)


def prove(what: str, ours: object, theirs: object, *, within: float = 1e-9) -> None:
    """Hold that two ways come to the same result, before they are timed. Raises RunError where they do not.

    Numbers of which one is a float may differ by the fraction `within`.
    """
    one, other = np.asarray(ours), np.asarray(theirs)
    same = one.shape == other.shape and (
        np.allclose(one, other, rtol=within, atol=0.0, equal_nan=True)
        if one.dtype.kind == "f"
        else (one == other).all()
    )
    if not same:
        raise RunError(f"{what} does not give the same result: {ours!r:.80} and {theirs!r:.80}")


def children(**settings: str) -> dict[str, str]:
    """Return the environment of what is timed: as Python comes, so that byte code is kept, whatever stands in ours."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PEAK_", "OTEL_", "PYTHON"))}
    return ours | settings


# A process inherits the peak memory of the one that starts it, so a small one does.
_LAUNCHER = """
import os, sys, time
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
start = time.perf_counter()
_, status, usage = os.wait4(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet), 0)
print(time.perf_counter() - start, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def process(command: Sequence[str]) -> tuple[float, float]:
    """Return wall seconds and peak memory in MB of one process."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command], capture_output=True, text=True, env=children()
    )
    if done.returncode:
        raise RunError(f"{' '.join(command)} failed: {done.stderr.strip()[-300:]}")
    seconds, kilobytes = done.stdout.split()
    return float(seconds), float(kilobytes) / 1e3


def config_of(folder: Path, bars: Bars) -> Path:
    """Write bars and a config for them into `folder`, and return the config's path."""
    columns = {name: getattr(bars, name) for name in ("timestamp", "open", "high", "low", "close", "volume")}
    (folder / "bars.csv").write_bytes(b"".join(tables.series_csv(columns)))
    path = folder / "config.toml"
    path.write_text(
        '[data]\npath = "bars.csv"\nsymbol = "SYNTHETIC"\ntimeframe = "1m"\n'
        '[strategy]\nname = "sma_crossover"\n[execution]\nfee_bps = 1.0\nslippage_bps = 1.0\n',
        encoding="utf-8",
    )
    return path


def as_markdown(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table."""
    rows = [f"| {f.name} | {f.median:,.1f} | {f.least:,.1f} – {f.most:,.1f} | {f.unit} | {f.ratio} |" for f in figures]
    return "\n".join(["| what | median | range | unit | beside |", "|---|---:|---:|---|---|", *rows])


def write(page: Path, figures: Sequence[Figure]) -> None:
    """Put the figures and this machine's class between the markers of a page; rows of what was not measured stay.

    Raises InputError where those are of another class of machine: figures of two are not to be compared.
    """
    text = page.read_text(encoding="utf-8")
    head, start, rest = text.partition(_START)
    old, end, tail = rest.partition(_END)
    if not (start and end):
        raise InputError(f"{page.name} has no {_START} … {_END}", hint="git checkout the page")
    title, *new = as_markdown(figures).splitlines()
    kept = [row for row in old.splitlines() if row.startswith("| ") and row != title]
    kept = [row for row in kept if _kind(row) not in {_kind(row) for row in new}]
    if kept and machine() not in old.splitlines():
        raise InputError(f"{page.name} has figures of another class of machine", hint="just bench --write")
    rows = sorted([*kept, *new[1:]], key=lambda row: _KINDS.index(_kind(row)))  # which keeps the order within a kind
    table = "\n".join([title, new[0], *rows])
    page.write_text(f"{head}{start}\n{machine()}\n\n{table}\n{end}{tail}", encoding="utf-8")


def _kind(row: str) -> str:
    return row.removeprefix("| ").partition(":")[0]


_START, _END = "<!-- measured -->", "<!-- /measured -->"
_KINDS = (
    *(
        "process",
        "in process",
        "engine",
        "peer",
        "trust",
        "record",
        "import",
        "verify",
        "luck",
        "runs",
        "sweep",
        "many",
        "data",
        "report",
        "tracking",
        "lake",
        "publish",
    ),
    "telemetry",
)
"""What rows begin with, in their order; all of a kind are measured together."""
