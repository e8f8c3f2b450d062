"""An imported run made again: its files, which lie in the run, are read anew, and nothing is run."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from peak_trade.errors import InputError
from peak_trade.evidence import documents
from peak_trade.record.imported import import_files, options
from peak_trade.runner.limits import termination_raised
from peak_trade.trust import difference
from peak_trade.trust.replay.commanded import Made, held
from peak_trade.trust.replay.recorded import Whole
from peak_trade.trust.replay.scratch import Laid

__all__ = ["again"]

_ASKED = ("engine", "symbol", "strategy", "zone", "currency")
_PREFIX = "outputs/"


def again(run: Whole) -> tuple[dict[str, Any], float]:
    """Import a run's files again and return verdict, what differs and why, as fields of a Replay, and the seconds.

    Raises InputError where they can't be read.
    """
    tree = documents.decode(run.sealed.content("config_snapshot.json"), "config_snapshot.json")
    asked, data, stats = (_section(tree, name) for name in ("import", "data", "stats"))
    names = asked.get("files")
    if not isinstance(names, list) or not all(f"{_PREFIX}{name}" in run.sealed.manifest.files for name in names):
        raise InputError(f"run {run.name} does not hold the files that it was imported from")
    given = {name: value for name in _ASKED if isinstance(value := asked.get(name), str)}
    chosen = options(
        initial_cash=asked.get("initial_cash"), timeframe=data.get("timeframe"), calendar=data.get("calendar"),
        risk_free_rate=stats.get("risk_free_rate") or 0.0, **given,
    )  # fmt: skip
    chosen = msgspec.structs.replace(chosen, periods_per_year=stats.get("periods_per_year"))
    with tempfile.TemporaryDirectory(prefix="peak-replay-", ignore_cleanup_errors=True) as name, termination_raised():
        folder, paths = Path(name) / "files", []
        folder.mkdir()
        for one in names:
            if Path(one).name != one:
                raise InputError(f"run {run.name} has a file by the name {one!r}, which is none")
            paths.append(folder / one)
            paths[-1].write_bytes(run.sealed.content(f"{_PREFIX}{one}"))
        began = time.perf_counter()
        found = import_files(paths, chosen, results=Path(name) / "results", root=folder)
        seconds = time.perf_counter() - began
        return held(run.sealed, Made(difference.read(found.path, "the replay"), Laid(folder, None), seconds)), seconds


def _section(tree: Any, name: str) -> dict[str, Any]:
    found = tree.get(name) if isinstance(tree, dict) else None
    return found if isinstance(found, dict) else {}
