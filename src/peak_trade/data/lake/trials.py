"""The rows of a run's table of trials: of a sweep's parent, and of a recorded command that ran its engine often.

Each table is read as `evidence.trials` reads it, and has nothing in it that such a table can't have. How long a trial
of a sweep took stands beside the sealed files, by a digest in the manifest: where that file is another, nobody knows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from peak_trade.data.lake import schema
from peak_trade.errors import RunError
from peak_trade.evidence import door, manifest, trials

__all__ = ["trials_of"]

_LARGEST = 1 << 30  # bytes of durations


def trials_of(path: Path, sealed: manifest.Manifest, name: str, content: bytes) -> Any:
    """Return the trials of a run as an Arrow table without its run_id; RunError where the file is no such table."""
    swept = sealed.predicate.kind == manifest.SWEPT
    columns = _of_sweep(path, sealed, name, content) if swept else _of_command(trials.recorded(name, content))
    count = len(columns["index"])
    if not np.array_equal(columns["index"], np.arange(count)):
        raise RunError(f"{name} does not number its trials 0, 1, 2, …")
    kinds = [field for field in schema.arrow_schema("trials") if field.name != "run_id"]
    return pa.table([_array(columns.get(field.name), field.type, count) for field in kinds], schema=pa.schema(kinds))


def _of_sweep(path: Path, sealed: manifest.Manifest, name: str, content: bytes) -> dict[str, Any]:
    table = trials.read(name, content)
    kept = manifest.kept(sealed)
    found: dict[str, Any] = {
        "index": table.index,
        "chosen": table.chosen,
        "kept": [kept.get(at) for at in range(len(table))],
        "fold": table.fold,
        "part": _or_null(table.part),
        "params": _texts(table.params),
        "settings": _texts(table.settings),
        "seed": table.seed,
        "status": table.status,
        "error": _or_null(table.error),
        "duplicate_of": table.duplicate_of,
        "equity_digest": _or_null(table.equity_digest),
        "trades_digest": _or_null(table.trades_digest),
        "duration_s": _durations(path, sealed, len(table)),
    }
    return found | {key: table.values[:, at] for at, key in enumerate(table.keys)}


def _of_command(columns: dict[str, Any]) -> dict[str, Any]:
    engines = [" ".join(filter(None, pair)) for pair in zip(columns["engine"], columns["version"], strict=True)]
    texts = {key: _or_null(columns[key]) for key in ("params", "error", "label", *trials.TAIL)}
    return columns | texts | {"engine": _or_null(engines)}


def _or_null(texts: Sequence[str]) -> list[str | None]:
    return [text or None for text in texts]


def _texts(trees: Sequence[dict[str, Any]]) -> list[str]:
    return [msgspec.json.encode(one, order="deterministic").decode() for one in trees]


def _durations(path: Path, sealed: manifest.Manifest, count: int) -> npt.NDArray[np.float64] | None:
    """Return how long each trial took; None where the file is not the one that the manifest names."""
    name = "durations.csv"
    expected = manifest.byproducts(sealed).get(name)
    try:
        content = door.read(path, name, _LARGEST) if expected else b""
        if not expected or hashlib.sha256(content).hexdigest() != expected:
            return None
        found = np.array([line.partition(b",")[2] for line in content.splitlines()[1:]]).astype(np.float64)
    except (OSError, ValueError):
        return None
    return found if len(found) == count else None


def _array(column: Any, kind: Any, count: int) -> Any:
    """Return a column as an Arrow array: null where it has NaN, or -1 where it has none in whole numbers."""
    if column is None:
        return pa.nulls(count, kind)
    if isinstance(column, list):
        return pa.array(column, kind)
    if column.dtype == np.bool_:
        return pa.array(column.tolist(), kind)
    missing = np.isnan(column) if column.dtype.kind == "f" else column < 0
    values = np.where(missing, 0, column)
    if kind == pa.int64() and not np.array_equal(values, np.trunc(values)):
        raise RunError("a count of a trial is no whole number")
    plain = np.ascontiguousarray(values.astype(np.int64 if kind == pa.int64() else np.float64))
    known = pa.py_buffer(np.packbits(~missing, bitorder="little").tobytes()) if missing.any() else None
    return pa.Array.from_buffers(kind, count, [known, pa.py_buffer(plain)])
