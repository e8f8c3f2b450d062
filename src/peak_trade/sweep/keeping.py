"""The best trials as full runs of their own: each with the bytes that it has when it is run alone, and made once.

A run's id is made of its parent's and the number of its trial, so that going on finds those that are there, and takes
up one whose process died in the middle. One that failed is made again under the next id.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from peak_trade import config
from peak_trade.config import Source
from peak_trade.evidence import tables
from peak_trade.evidence.ledger import FAILED, STARTED, Reading
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import read_manifest
from peak_trade.runner.failure import UNWRITTEN
from peak_trade.runner.limits import uninterrupted
from peak_trade.runner.many import Wanted, run_many
from peak_trade.runner.shared import Shared
from peak_trade.sweep.executor.pool import cores
from peak_trade.sweep.keepers import spread
from peak_trade.sweep.rows import Rows

__all__ = ["Kept", "keep", "kept_id"]

_TOGETHER, _QUICK_S = 64, 0.5  # runs of a batch; and seconds that they may take together, by their rows


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
    jobs: int | None = None,
) -> list[Kept]:
    """Make a run of each of these trials, unless it is there; `heard` hears how many are, and of how many.

    They are made by so many processes, as many as this one may have cores where it is None.

    Raises KeyboardInterrupt where that was sent, RunError where none can be written.
    """
    took = float(np.median(rows.duration_s[list(best)])) if best else 0.0
    jobs = min(jobs or cores(), len(best))
    # quick ones go together, and all processes come to their ends at about the same time
    size = max(1, min(_TOGETHER, int(_QUICK_S / max(took, 1e-3)), -(-len(best) // max(jobs, 1))))
    batches = [best[start : start + size] for start in range(0, len(best), size)]
    reading = Results(results).reading()

    def make(at: int) -> list[Kept]:
        some = {trial: _of(reading, parent, trial) for trial in batches[at]}
        wanted = [
            Wanted(_source(source, rows.overrides[trial]), run_id, parent, trial, begun=state == STARTED)
            for trial, (run_id, state) in some.items()
            if state in ("", STARTED)
        ]
        # a quick batch comes to its end: an interrupt would leave its runs sealed as failed
        with uninterrupted() if size > 1 else nullcontext():
            made = {one.run_id: one for one in run_many(wanted, root=root, results=results, shared=shared)}
        kept: list[Kept] = []
        for trial, (run_id, _) in some.items():
            error = made[run_id].error if run_id in made else None
            if error and error.message.startswith(UNWRITTEN):  # which says nothing of the trial
                raise error
            kept.append(Kept(trial, run_id, error.message if error else _differs(results / run_id, rows, trial)))
        return kept

    if best:
        tables.import_parquet()
        shared.known.imported.versions()
    found: dict[int, Kept] = {}
    with closing(spread(make, len(batches), jobs)) as answers:
        for answer in answers:
            found |= {one.trial: one for one in msgspec.json.decode(answer, type=list[Kept])}
            heard(len(found), len(best))
    return [found[trial] for trial in best]


def kept_id(parent: str, trial: int, times: int = 0) -> str:
    """Return the run_id of a trial that is kept, `times` that it failed before.

    >>> kept_id("5a0c1a9e-0000-4000-8000-000000000000", 7)
    'c1a84bee-6ec1-4542-8e42-65adeaa04216'
    """
    name = f"{parent}/{trial}" + (f"/{times}" if times else "")
    return str(uuid.UUID(bytes=hashlib.sha256(name.encode()).digest()[:16], version=4))


def _of(reading: Reading, parent: str, trial: int) -> tuple[str, str]:
    """Return the run_id of a trial's run, and its state: of one that failed before, those of the next."""
    ids = (kept_id(parent, trial, times) for times in count())
    return next((run_id, state) for run_id in ids if (state := reading.of(run_id).state) != FAILED)


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
