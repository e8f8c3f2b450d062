"""`trials.parquet`, or `trials.csv` without pyarrow: a row a trial of a sweep, sealed; and beside it the blocks.

    index, chosen, fold, part, params, settings, seed, status, error, duplicate_of, a column for each statistic of
    stats.json, equity_digest, trades_digest

`params` are the strategy's parameters that were varied, `settings` other keys, both JSON with sorted keys. `status` is
`done` or `failed`; `duplicate_of` names the first trial with the same digests on the same bars, null for one that is
the first. A digest is empty where there is nothing to digest, as of trades that an engine does not say. How long each
took varies, and stands beside the sealed files: see `parent`.

`blocks` has the sum and the sum of squares of each trial's returns in 16 parts of its bars (`rows.Row`), of up to
10,000 trials: it is what the overfitting of the search is worked out from.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.evidence import tables
from peak_trade.evidence.run_dir import RunDir
from peak_trade.redact import Redactor
from peak_trade.sweep.axes import PARAMS
from peak_trade.sweep.rows import BLOCKS, KEYS, Rows, duplicates
from peak_trade.text import as_utf8

__all__ = ["BLOCKED", "settings_of", "write"]

BLOCKED = 10_000
"""Trials up to which a sweep keeps its blocks."""


class _Column(Struct, frozen=True, eq=False):
    """Values, or texts; `known` says which are there, None where all are."""

    values: npt.NDArray[Any] | list[str]
    known: npt.NDArray[np.bool_] | None = None


_Columns: TypeAlias = Iterator[tuple[str, _Column]]


def write(directory: RunDir, rows: Rows, chosen: int | None, seed: int | None, redactor: Redactor) -> str:
    """Write the tables into the directory of the parent; return why they are no Parquet, empty where they are.

    `seed` is that of trials that don't vary it, None where nobody knows one.
    """
    found: dict[str, Callable[[], _Columns]] = {"trials": lambda: _columns(rows, chosen, seed, redactor)}
    if len(rows) <= BLOCKED:
        found["blocks"] = lambda: _blocks(rows)
    why = ""
    for name, columns in found.items():
        try:
            content = _parquet(columns)
        except ImportError as error:
            directory.write(f"{name}.csv", _csv(columns()))
            why = f"{error}; wrote {' and '.join(f'{one}.csv' for one in found)} instead (just setup lake adds Parquet)"
        else:
            directory.write(f"{name}.parquet", [content])
    return why


def _columns(rows: Rows, chosen: int | None, seed: int | None, redactor: Redactor) -> _Columns:
    """Yield the columns one by one: the texts of all of them take more than the rows do."""
    count = len(rows)
    failed = np.zeros(count, np.bool_)
    failed[list(rows.error)] = True
    errors = {at: redactor.text(as_utf8(why)) for at, why in rows.error.items()}
    numbers = np.arange(count)
    yield "index", _Column(numbers)
    yield "chosen", _Column(numbers == (-1 if chosen is None else chosen))
    yield "fold", _Column(rows.fold, rows.fold >= 0)
    yield "part", _Column(rows.part)
    yield "params", _Column([settings_of(one, True) for one in rows.overrides])
    yield "settings", _Column([settings_of(one, False) for one in rows.overrides])
    seeds = np.array([one.get("run.seed", -1 if seed is None else seed) for one in rows.overrides], np.int64)
    yield "seed", _Column(seeds, seeds >= 0)
    yield "status", _Column(["failed" if one else "done" for one in failed.tolist()])
    yield "error", _Column([errors.get(at, "") for at in range(count)])
    same = duplicates(rows)
    yield "duplicate_of", _Column(same, same >= 0)
    for at, key in enumerate(KEYS):
        yield key, _number(rows.values[:, at])
    for at, name in enumerate(("equity_digest", "trades_digest")):
        digits = rows.digests[:, at].tobytes().hex()
        none = failed | ~rows.digests[:, at].any(axis=1)
        yield (
            name,
            _Column(["" if bad else digits[64 * row : 64 * row + 64] for row, bad in enumerate(none.tolist())]),
        )


def _blocks(rows: Rows) -> _Columns:
    yield "index", _Column(np.arange(len(rows)))
    for at, what in enumerate(("sum", "square")):
        for part in range(BLOCKS):
            yield f"{what}_{part}", _number(rows.blocks[:, at, part])


def _number(values: npt.NDArray[np.float64]) -> _Column:
    return _Column(values, ~np.isnan(values))


def settings_of(overrides: dict[str, Any], params: bool) -> str:
    """Return the strategy's parameters among some overrides, or with `params` false the other keys, as JSON."""
    told = {key.removeprefix(PARAMS): one for key, one in overrides.items() if key.startswith(PARAMS) is params}
    return _encode(told).decode()


_encode = msgspec.json.Encoder(order="deterministic").encode


def _parquet(columns: Callable[[], _Columns]) -> bytes:
    """Return the columns as Parquet, from buffers: pyarrow's own conversions import pandas. Raises ImportError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {np.dtype(np.int64): pa.int64(), np.dtype(np.bool_): pa.bool_(), np.dtype(np.float64): pa.float64()}
    arrays: dict[str, Any] = {}
    for name, column in columns():
        if isinstance(column.values, list):
            texts = [text.encode() for text in column.values]
            sizes = np.fromiter(map(len, texts), np.int64, len(texts))
            kind, parts = pa.string(), [np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32), b"".join(texts)]
        else:
            kind, packed = kinds[column.values.dtype], column.values.dtype == np.bool_
            parts = [np.packbits(column.values, bitorder="little") if packed else np.ascontiguousarray(column.values)]
        mask = None if column.known is None or column.known.all() else np.packbits(column.known, bitorder="little")
        buffers = [None if mask is None else pa.py_buffer(mask), *map(pa.py_buffer, parts)]
        arrays[name] = pa.Array.from_buffers(kind, len(column.values), buffers)
    floats = [name for name, array in arrays.items() if array.type == pa.float64()]
    repeated = [name for name in ("fold", "part", "settings", "seed", "status", "error") if name in arrays]
    sink = io.BytesIO()
    table = pa.Table.from_arrays(list(arrays.values()), names=list(arrays))
    pq.write_table(table, sink, compression="zstd", use_dictionary=repeated, use_byte_stream_split=floats)
    return sink.getvalue()


def _csv(columns: _Columns) -> Iterator[bytes]:
    cells = {name: list(_cells(column)) for name, column in columns}
    yield tables.rows_csv([dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]).encode()


def _cells(column: _Column) -> Iterator[str]:
    if isinstance(column.values, list):
        yield from column.values
        return
    known = [True] * len(column.values) if column.known is None else column.known.tolist()
    for value, there in zip(column.values.tolist(), known, strict=True):
        yield msgspec.json.encode(value).decode() if there else ""
