"""Rows to Parquet files and back; a table's files are merged as they come.

New rows take in the files that are no larger than they are, as a binary counter carries: after n builds of one run each
a table has about log2(n) files, and each row was rewritten about as often. A file is not merged past `FULL` rows.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from peak_trade.data.lake import schema
from peak_trade.data.lake.commit import Live, Part
from peak_trade.data.lake.writer import Writer
from peak_trade.errors import InputError, RunError

__all__ = [
    "FULL",
    "append",
    "from_numpy",
    "group_key",
    "live_of",
    "read_part",
    "read_rows",
    "replace",
    "to_numpy",
    "write_parts",
]

FULL = 4_000_000  # rows: about 100 MB of equity or bars
GROUP = 122_880  # rows of a row group: DuckDB's own size, so that a scan has work for every core
_T = TypeVar("_T")
_R = TypeVar("_R")


def in_threads(function: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
    """Return function(item) of each item, two at once on each core: while one waits for the disk, another computes."""
    with ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as pool:
        return list(pool.map(function, items))


def live_of(writer: Writer, name: str) -> Live:
    """Return a table's live files; none where the table is new."""
    table = schema.TABLES[name]
    found = writer.commit.tables.get(name)
    return found or Live(schema.duckdb_types(table), list(table.partitions))


def from_numpy(values: npt.NDArray[Any], kind: Any) -> Any:
    """Return an Arrow array over the same memory; `pa.array` of NumPy imports pandas, for half a second."""
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def to_numpy(column: Any, dtype: str) -> npt.NDArray[Any]:
    """Return the values of a column without nulls; of one with nulls, what they hold is not defined."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], whole.type)
    if not len(whole):
        return np.empty(0, dtype)
    return np.frombuffer(whole.buffers()[1], dtype, len(whole), whole.offset * np.dtype(dtype).itemsize)


def write_parts(writer: Writer, name: str, pieces: Sequence[tuple[Mapping[str, str], Any]]) -> list[Part]:
    """Write sorted Arrow tables, each to a file of its own, and return them as parts; the series of each is given."""
    wanted = []
    for series, rows in pieces:
        if rows.num_rows:
            folder = writer.folders.of(name, schema.TABLES[name].partitions, series)
            writer.prepare(folder)
            wanted.append((folder, series, rows))
    return in_threads(lambda piece: _write(writer, name, *piece), wanted)


def _write(writer: Writer, name: str, folder: str, series: Mapping[str, str], rows: Any) -> Part:
    table = schema.TABLES[name]
    if table.partitions:  # a folder's name may be cut off: the file says itself what it holds
        rows = rows.replace_schema_metadata({"peak_trade.series": msgspec.json.encode(dict(sorted(series.items())))})
    kinds = {column.name: column.kind for column in table.columns if column.name not in table.partitions}
    encodings = {"float": "BYTE_STREAM_SPLIT", "integer": "DELTA_BINARY_PACKED", "time": "DELTA_BINARY_PACKED"}
    sink = pa.BufferOutputStream()
    pq.write_table(
        rows,
        sink,
        compression="zstd",
        row_group_size=GROUP,
        use_dictionary=[column for column, kind in kinds.items() if kind == "text"],
        column_encoding={column: encodings[kind] for column, kind in kinds.items() if kind in encodings},
        store_schema=False,
    )
    path, sha256, size = writer.add(folder, sink.getvalue())
    first, last = ends(rows[table.sort[0]])
    return Part(path, sha256, size, rows.num_rows, first, last, dict(series))


def ends(column: Any) -> tuple[str, str]:
    """Return the first and the last value of a sorted column as text that sorts as the values do."""
    first, last = (_as_text(column[at].as_py()) for at in (0, len(column) - 1))
    return first, last


def _as_text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return f"{value:012}" if isinstance(value, int) else str(value)


def read_part(lake: Path, name: str, part: Part, columns: Sequence[str] | None = None) -> Any:
    """Return a file's rows; RunError where its bytes are not those that were written."""
    try:
        content = (lake / part.path).read_bytes()
    except OSError as error:
        raise RunError(f"{part.path}: {error.strerror}", hint="just lake-check shows what else is missing") from None
    if hashlib.sha256(content).hexdigest() != part.sha256:
        raise RunError(f"{part.path} is not what was written", hint="just lake-check, then just lake-build --rebuild")
    source = pa.BufferReader(content)
    texts = [field.name for field in schema.arrow_schema(name) if field.name == "run_id"]
    with pq.ParquetFile(source, read_dictionary=texts) as file:
        return file.read(columns=columns, use_threads=False)


def read_rows(lake: Path, name: str, parts: Sequence[Part], columns: Sequence[str] | None = None) -> Any:
    """Return the rows of files, in the order of the files."""
    tables = in_threads(lambda part: read_part(lake, name, part, columns), parts)
    if tables:
        return pa.concat_tables(tables)
    empty = schema.arrow_schema(name).empty_table()
    return empty.select(columns) if columns else empty


def group_key(part: Part) -> tuple[tuple[str, str], ...]:
    """Return what two files must share to be merged."""
    return tuple(sorted(part.series.items()))


def append(writer: Writer, name: str, live: Live, pieces: Sequence[tuple[Mapping[str, str], Any]]) -> Live:
    """Return `live` with rows added, each piece of one series, merged with files that are no larger.

    The rows of a piece are an Arrow table in the table's order, or several, of which they are put in order together.
    """
    taken: set[str] = set()
    merged = []
    for series, rows in pieces:
        tables = rows if isinstance(rows, list) else [rows]
        added = sum(table.num_rows for table in tables)
        if victims := _victims([part for part in live.parts if part.series == series], added):
            taken |= {part.path for part in victims}
            tables = [read_rows(writer.lake, name, victims), *tables]
        merged.append((series, sort_rows(name, tables) if len(tables) > 1 else tables[0]))
    written = write_parts(writer, name, merged)
    return replace(name, live, taken, written)


def replace(name: str, live: Live, taken: Iterable[str], written: Iterable[Part]) -> Live:
    """Return `live` without the files at the paths `taken` and with those `written`."""
    gone, table = set(taken), schema.TABLES[name]
    parts = {part.path: part for part in (*(part for part in live.parts if part.path not in gone), *written)}
    return Live(
        schema.duckdb_types(table),
        list(table.partitions),
        sorted(parts.values(), key=lambda part: (group_key(part), part.first, part.path)),
    )


def _victims(parts: Iterable[Part], rows: int) -> list[Part]:
    victims = []
    for part in sorted(parts, key=lambda part: part.rows):
        if part.rows > rows or rows + part.rows > FULL:
            break
        victims.append(part)
        rows += part.rows
    return victims


def sort_rows(name: str, tables: Sequence[Any]) -> Any:
    """Return the rows of all tables in the table's order."""
    keys = schema.TABLES[name].sort
    tables = [_uniform(name, table) for table in tables]
    if keys != ("run_id",):
        return pa.concat_tables(tables).sort_by([(key, "ascending") for key in keys])
    # A run is known by its place in the dictionary: one for all tables, or a merge of n runs costs n² names
    together = pa.concat_tables(tables).unify_dictionaries()
    chunks = together["run_id"].chunks
    if not chunks:
        return together
    places = pc.rank(chunks[0].dictionary, tiebreaker="dense").to_numpy().astype(np.int32)
    rows = places[np.concatenate([to_numpy(chunk.indices, "i4") for chunk in chunks])]
    if (rows[1:] >= rows[:-1]).all():
        return together
    return together.take(from_numpy(np.argsort(rows, kind="stable"), pa.int64()))  # stable: a run's own order stays


def _uniform(name: str, table: Any) -> Any:
    """Return a table with its texts as the table's other files have them: run_ids coded, all else plain."""
    for at, field in enumerate(table.schema):
        kind = schema.arrow_schema(name).field(field.name).type
        if field.name == "run_id":
            if not pa.types.is_dictionary(field.type):
                table = table.set_column(at, "run_id", table["run_id"].dictionary_encode())
        elif field.type != kind:
            table = table.set_column(at, field.name, table[field.name].cast(kind))
    return table.replace_schema_metadata(None)


def run_slices(table: Any) -> list[tuple[str, int, int]]:
    """Return (run_id, first row, number of rows) for each stretch of rows of one run."""
    found: list[tuple[str, int, int]] = []
    start = 0
    for chunk in table["run_id"].chunks:
        coded = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
        names = coded.dictionary.to_pylist()
        codes = to_numpy(coded.indices, "i4")
        starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])[: len(codes)].tolist()
        for first, end in zip(starts, [*starts[1:], len(codes)], strict=True):
            run_id = names[codes[first]]
            if found and found[-1][0] == run_id:  # the run goes on from the chunk before
                found[-1] = (run_id, found[-1][1], found[-1][2] + end - first)
            else:
                found.append((run_id, start + first, end - first))
        start += len(chunk)
    return found


def microseconds(times: npt.NDArray[np.datetime64], what: str) -> Any:
    """Return nanosecond times as an Arrow column; InputError where one lies between two microseconds."""
    nanos = times.view(np.int64)
    micros = nanos // 1000
    if not (micros * 1000 == nanos).all():
        raise InputError(f"{what} has times between two microseconds, which the lake does not hold")
    return from_numpy(micros, pa.timestamp("us", "UTC"))
