"""By what the same command finds its sweep again, after whatever ended the process that was making it.

A sweep is known by what was asked, by its bars, by its code and by the program that makes it: what its START in the
ledger says of all four must be the same. Where only what was asked is, somebody has changed one of the others since.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from peak_trade import stats
from peak_trade.config import Source
from peak_trade.engine import RULES
from peak_trade.evidence import provenance
from peak_trade.evidence.ledger import SEALED, STARTED, Reading
from peak_trade.redact import Redactor
from peak_trade.runner.snapshot import plain
from peak_trade.strategies.sources import sources

__all__ = ["Found", "Marks", "find", "marks_of"]

_PROGRAM = ("peak_trade", "python", "implementation", "numpy")


class Marks(Struct, frozen=True):
    """Digests, short ones: of what was asked, the bars, the code, and the program and its rules."""

    asked: str
    data: str
    code: str
    program: str

    @property
    def told(self) -> dict[str, str]:
        """As ledger and manifest hold them."""
        return msgspec.structs.asdict(self)


class Found(Struct, frozen=True):
    """A sweep that the same command has begun, or sealed; or, with `changed`, one that it would have been."""

    run_id: str
    sealed: bool
    changed: str = ""


def marks_of(
    source: Source,
    redactor: Redactor,
    plan: Mapping[str, Any],
    data: str,
    function: Callable[..., Any],
    before: Collection[str],
) -> Marks:
    """Return the marks of a sweep over bars with the fingerprint `data`; `before` are the modules before it was loaded.

    Secrets are no part of them: a digest of one would tell it to who tries all that it may be.
    """
    config = redactor.tree(plain(msgspec.to_builtins(source.config)))
    overrides = redactor.tree(plain(source.overrides))
    environment = provenance.environment()
    return Marks(
        _short([plain(dict(plan)), config, list(overrides.items()), redactor.toml(source.content)]),
        data[:16],
        _short(sorted(one.content or b"" for one in sources(function, before, workers=True))),
        _short([[environment[key] for key in _PROGRAM], RULES, stats.editions()]),
    )


def find(reading: Reading, results: Path, marks: Marks, *, again: bool = False) -> Found | None:
    """Return the sweep that has these marks: one under way first, then (but for `again`) the last that is sealed.

    Where there is none, that which was asked for by the same command and is of other data, code or program.
    """
    best: Found | None = None
    for run_id, history in reading.runs.items():
        told = history.start.fields.get("sweep") if history.start else None
        if not isinstance(told, dict) or told.get("asked") != marks.asked:
            continue
        other = [name for name, mark in marks.told.items() if told.get(name) != mark]
        changed = " and ".join(other)
        if history.state == STARTED and not changed:
            return Found(run_id, False)
        if history.state == STARTED or (history.state == SEALED and (results / run_id).is_dir() and not again):
            if best is None or changed == "" or best.changed:
                best = Found(run_id, history.state == SEALED, changed)
    return best


def _short(value: Any) -> str:
    return hashlib.sha256(msgspec.msgpack.encode(value, order="deterministic")).hexdigest()[:16]
