"""The best trials as full runs of their own: each with the bytes that it has when it is run alone, and made once.

A run's id is made of its parent's and the number of its trial, so that going on finds those that are there. One whose
process died in the middle was sealed as failed under that id, by whoever came first: it is made again under the next.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from peak_trade import config
from peak_trade.config import Source
from peak_trade.errors import RunError
from peak_trade.evidence.ledger import FAILED, STARTED
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import read_manifest, recover
from peak_trade.runner.many import Wanted, run_many
from peak_trade.runner.shared import Shared
from peak_trade.sweep.rows import Rows

__all__ = ["Kept", "keep", "kept_id"]

_TOGETHER = 64
_TIMES = 8  # that a run may have failed under one id


class Kept(Struct, frozen=True):
    """A trial that was to be kept: its run, and why it is not as its row has it; empty where it is."""

    trial: int
    run_id: str
    wrong: str = ""


def keep(
    source: Source,
    shared: Shared,
    rows: Rows,
    best: Sequence[int],
    parent: str,
    *,
    root: Path,
    results: Path,
    heard: Callable[[int, int], None],
) -> list[Kept]:
    """Make a run of each of these trials, unless it is there; `heard` hears how many are, and of how many.

    Raises KeyboardInterrupt where that was sent, RunError where none can be written.
    """
    ledger = Results(results)
    kept: list[Kept] = []
    for start in range(0, len(best), _TOGETHER):
        some = {trial: _next(ledger, parent, trial) for trial in best[start : start + _TOGETHER]}
        wanted = [
            Wanted(_source(source, rows.overrides[trial]), run_id, parent, trial)
            for trial, (run_id, there) in some.items()
            if not there
        ]
        made = {one.run_id: one for one in run_many(wanted, root=root, results=results, shared=shared)}
        for trial, (run_id, _) in some.items():
            error = made[run_id].error if run_id in made else None
            kept.append(Kept(trial, run_id, error.message if error else _differs(results / run_id, rows, trial)))
        heard(len(kept), len(best))
    return kept


def kept_id(parent: str, trial: int, times: int = 0) -> str:
    """Return the run_id of a trial that is kept, `times` that it failed before.

    >>> kept_id("5a0c1a9e-0000-4000-8000-000000000000", 7)
    'c1a84bee-6ec1-4542-8e42-65adeaa04216'
    """
    name = f"{parent}/{trial}" + (f"/{times}" if times else "")
    return str(uuid.UUID(bytes=hashlib.sha256(name.encode()).digest()[:16], version=4))


def _next(results: Results, parent: str, trial: int) -> tuple[str, bool]:
    """Return the run_id of a trial's run, and whether it has come to its end, or was removed since."""
    run_id = ""
    for times in range(_TIMES):
        run_id = kept_id(parent, trial, times)
        if results.reading().of(run_id).state == STARTED:
            recover(results, run_id)
        state = results.reading().of(run_id).state
        if state != FAILED:
            return run_id, bool(state)
    raise RunError(f"trial {trial} was begun as a run {_TIMES} times, and failed each time", hint=f"just show {run_id}")


def _source(source: Source, overrides: dict[str, Any]) -> Source:
    """Return the config of a trial, as `just run` loads it with the trial's values as overrides."""
    together = {key: value for key, value in source.overrides.items() if key not in overrides} | overrides
    made = config.parse(source.content, together)
    data = msgspec.structs.replace(made.data, end=source.config.data.end)  # which a holdout has changed
    return msgspec.structs.replace(source, overrides=together, config=msgspec.structs.replace(made, data=data))


def _differs(path: Path, rows: Rows, trial: int) -> str:
    """Return how a run differs from the row of its trial; empty where it does not, or is no more."""
    if not path.is_dir():
        return ""
    results = read_manifest(path).predicate.results
    digests = zip(("equity", "trades"), (row.tobytes().hex() for row in rows.digests[trial]), strict=True)
    other = [name for name, digest in digests if results.get(f"{name}_digest") != digest]
    return f"it came to other {' and '.join(other)} when it was run again" if other else ""
