"""The runs of a command's trials, recorded in `results/.sweeps/<run_id>/runs/`: a results folder of their own.

Each has its START in the ledger there before its command runs. What they came to is a row each; the best stay until
they are taken over into the results, and of the others the directory is removed once it is sure that they are none of
these. What all of them count as trials is what their ledger says, also of those that were cut short.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.errors import RunError
from peak_trade.evidence import door, files, manifest, seal, tables
from peak_trade.evidence.ledger import RECEIVED, SEALED, History, Reading
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import read_manifest
from peak_trade.record.picking import UNSEEN
from peak_trade.sweep.bench import blocks
from peak_trade.sweep.rows import KEYS, Row
from peak_trade.sweep.task import Task

__all__ = ["NOTHING", "RUNS", "counted", "remove", "row_of", "sealed_line", "take_over"]

RUNS = "runs"
"""The folder of a sweep in which its trials are recorded."""
NOTHING = "00" * 32
"""In place of a digest of what an engine does not say, as of trades."""
_EQUITY = ("timestamp", "equity", "drawdown", "position")
_SERIES = ("symbol", "timeframe", "data", "unnamed")


def row_of(run: Path, task: Task, took: float) -> Row:
    """Return what a sealed run of a trial came to. RunError where it can't be read."""
    predicate = read_manifest(run).predicate
    results = predicate.results
    error = (predicate.error or {}).get("message", "it failed") if predicate.status == "failed" else ""
    if not error and "engine" not in results:
        error = UNSEEN
    if error:
        return Row(task.overrides, task.fold, task.part, error, None, None, None, took)
    try:
        figures: dict[str, Any] = msgspec.json.decode(door.read(run, "stats.json"))
        equity = np.empty(0)
        if "equity_digest" in results:
            equity = tables.read_series(Path("equity.csv"), _EQUITY, door.read(run, "equity.csv"), gaps=True)["equity"]
    except (OSError, msgspec.MsgspecError) as problem:
        raise RunError(f"{run.name} can't be read: {problem}", hint="check the disk") from None
    values = np.array([np.nan if figures.get(key) is None else figures[key] for key in KEYS], np.float64)
    digests = results.get("equity_digest", NOTHING), results.get("trades_digest", NOTHING)
    return Row(task.overrides, task.fold, task.part, "", values, digests, _blocks(equity), took)


def _blocks(equity: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    with np.errstate(all="ignore"):  # of an account that was at zero
        found = blocks(equity) if len(equity) else blocks(np.ones(1))
    return found if np.isfinite(found).all() else np.full_like(found, np.nan)


# --- what they count ------------------------------------------------------------------------------------------------


class _Batch(Struct):
    """Trials on one series: how many, how many failed, different results, and how the Sharpe ratios of these spread."""

    count: int = 0
    failed: int = 0
    results: int = 0
    known: int = 0
    mean: float = 0.0
    squares: float = 0.0
    best: float | None = None

    def add(self, told: dict[str, Any], *, new: bool) -> None:
        """Take a line's batch in; where it is not `new`, another trial has the same result."""
        self.count += told["count"]
        self.failed += told["failed"]
        if not new:
            return
        self.results += told["results"]
        ratios = told["ratios"]
        if count := ratios["count"]:
            total, apart = self.known + count, ratios["mean"] - self.mean
            self.squares += ratios["variance"] * count + apart * apart * self.known * count / total
            self.mean += apart * count / total
            self.known = total
            self.best = max([one for one in (self.best, told.get("best")) if one is not None], default=None)

    def told(self) -> dict[str, Any]:
        """Return it as a line has it."""
        variance = self.squares / self.known if self.known else 0.0
        ratios = {"count": self.known, "mean": self.mean, "variance": variance}
        counts = {"count": self.count, "failed": self.failed, "results": self.results, "ratios": ratios}
        return counts | ({"best": self.best} if self.best is not None else {})


def counted(reading: Reading, same: frozenset[int] = frozenset()) -> dict[str, Any]:
    """Return what the ledger's line of a parent tells of all trials that its commands made, by their own ledger.

    A command that makes many trials counts as these, and one that makes none that is seen, or was cut short, as one.
    `same` are the trials that came to the result of another: they count, and their ratio stands once.
    """
    batches: dict[tuple[str, ...], _Batch] = {}
    total = failed = 0
    for history in reading.runs.values():
        fields = history.end.fields if history.end else {}
        told = [one for one in fields.get("trials_on", ()) if isinstance(one, dict)]
        if not told:
            told = [{"count": 1, "failed": int(history.end is not None), "results": 0, "ratios": {"count": 0}}]
        for one in told:
            key = tuple(str(one.get(name) or "") for name in _SERIES)
            batches.setdefault(key, _Batch()).add(one, new=history.fields.get("trial") not in same)
            total, failed = total + one["count"], failed + one["failed"]
    on = [
        {name: value for name, value in zip(_SERIES, key, strict=True) if value or name != "unnamed"} | batch.told()
        for key, batch in sorted(batches.items(), key=lambda item: (-item[1].count, item[0]))
    ]
    return {"kind": manifest.SWEPT, "trials": total} | ({"trials_failed": failed} if failed else {}) | {"trials_on": on}


def sealed_line(history: History) -> dict[str, Any]:
    """Return what the line that sealed a run tells of it, but for its trials and its name."""
    fields = history.end.fields if history.end else {}
    aside = ("manifest", "kind", "trials", "trials_failed", "trials_on", "parent", "trial")
    return {key: value for key, value in fields.items() if key not in aside}


# --- those that are kept ----------------------------------------------------------------------------------------------


def take_over(runs: Results, results: Results, run_id: str, whence: str) -> None:
    """Give a run its place among the results, once the ledger there has received it; again, it changes nothing.

    Raises OSError where that can't be.
    """
    if not results.reading().of(run_id).entries:
        start, end = seal.lines(seal.of(runs.ledger, run_id))
        sha256 = door.digest(runs.path / run_id, manifest.NAME)
        results.ledger.append(RECEIVED[SEALED], run_id, start=start, end=end, file=whence, sha256=sha256)
    if not os.path.lexists(results.path / run_id) and os.path.isdir(runs.path / run_id):
        os.rename(runs.path / run_id, results.path / run_id)
        files.sync_folder(results.path)


def remove(runs: Path, run_ids: Sequence[str]) -> None:
    """Remove the directories of runs that are kept no longer: their rows, and their lines in the ledger, stay."""
    for run_id in run_ids:
        shutil.rmtree(runs / run_id, ignore_errors=True)
