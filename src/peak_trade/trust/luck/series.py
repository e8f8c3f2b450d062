"""The returns of runs, each file held against the seal: what was changed since has no part in a figure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from peak_trade.errors import PeakError, RunError
from peak_trade.evidence import door, manifest, tables
from peak_trade.evidence.ledger import Reading
from peak_trade.stats.values import Floats, NoValueError, Times

__all__ = ["Gathered", "gather", "read_equity", "read_manifest", "read_sealed", "returns_of"]

_MOST = 20_000_000  # returns of all trials together, in memory
_EQUITY = "equity.csv"


def read_manifest(path: Path, seal: str | None) -> manifest.Manifest:
    """Return the manifest of a run, by the digest that the ledger has of it; RunError where it is another."""
    try:
        content = door.read(path, manifest.NAME)
    except OSError as error:
        raise RunError(f"{manifest.NAME}: {error.strerror}") from None
    if hashlib.sha256(content).hexdigest() != seal:
        raise RunError("its manifest is not the one in the ledger", hint=f"just verify {path.name[:8]}")
    return manifest.decode(content)


def read_sealed(path: Path, sealed: manifest.Manifest, name: str) -> bytes:
    """Return a sealed file of a run; RunError where it is not what was sealed."""
    try:
        content = door.read(path, name, sealed.predicate.promised)
    except OSError as error:
        raise RunError(f"{name}: {error.strerror}") from None
    if hashlib.sha256(content).hexdigest() != sealed.files.get(name):
        raise RunError(f"{name} is not what was sealed", hint=f"just verify {path.name[:8]}")
    return content


def read_equity(path: Path, sealed: manifest.Manifest) -> tuple[Times, Floats]:
    """Return times and equity of a run, both of shape (N,); RunError where they are not what was sealed."""
    content = read_sealed(path, sealed, _EQUITY)
    header = content[: content.find(b"\n") if b"\n" in content[:1000] else 0].decode("ascii", "replace").split(",")
    if len(header) > 16 or not {"timestamp", "equity"} <= set(header) or header[0] != "timestamp":
        raise RunError(f"{_EQUITY}: its header is not that of equity")
    columns: dict[str, Any] = tables.read_series(Path(_EQUITY), header, content, gaps=sealed.predicate.gaps)
    return columns["timestamp"], columns["equity"]


def returns_of(equity: Floats) -> Floats:
    """Return the returns per bar; raises NoValueError where equity fell to zero or below, or has one bar."""
    if len(equity) < 2:
        raise NoValueError("fewer than two bars")
    if not np.isfinite(equity).all() or equity.min() <= 0.0:
        raise NoValueError("equity fell to zero or below")
    return np.asarray(equity[1:] / equity[:-1] - 1.0)


class Gathered(Struct, frozen=True):
    """The returns of trials side by side, shape (T, M), a column for each different result; and what was left out.

    `digests` are those of their equity. `missing` are those whose directories are gone, `unfit` those with other bars,
    other bytes than sealed, or ruin, `beyond` those that are too many to hold.
    """

    returns: Floats
    digests: tuple[str, ...] = ()
    missing: int = 0
    unfit: int = 0
    beyond: int = 0

    def to_json_object(self) -> dict[str, Any]:
        """Return of how many results the returns are there, as `--json` prints it."""
        return {
            "results": self.returns.shape[1],
            "missing": self.missing,
            "unfit": self.unfit,
            "beyond": self.beyond,
        }


def gather(results: Path, reading: Reading, run_ids: Iterable[str], like: Times) -> Gathered:
    """Return the returns of runs that were made on the times `like`, newest first, each result once."""
    columns: list[Floats] = []
    seen: dict[str, None] = {}
    missing = unfit = beyond = 0
    for run_id in reversed(list(run_ids)):
        path = results / run_id
        if not path.is_dir():
            missing += 1
            continue
        if (len(columns) + 1) * len(like) > _MOST:
            beyond += 1
            continue
        try:
            sealed = read_manifest(path, reading.of(run_id).manifest)
            result = str(sealed.predicate.results.get("equity_digest"))
            if result in seen:
                continue
            times, equity = read_equity(path, sealed)
            if not np.array_equal(times, like):
                raise RunError("it has other bars")
            columns.append(returns_of(equity))
        except (PeakError, NoValueError):
            unfit += 1
        else:
            seen[result] = None
    made = np.column_stack(columns) if columns else np.empty((max(len(like) - 1, 0), 0))
    return Gathered(made, tuple(seen), missing, unfit, beyond)
