"""What a Parquet file says of itself at its end, held against what is promised, before any of it is decoded.

A few kB can stand for any number of equal rows, or for a text of any length in each of them. So the footer is read
first: it must be small, have as many rows as are promised, and no more bytes in them than such rows can need; and texts
that repeat stay coded until their length is known. A footer may lie too: so no more than one column is unpacked before
what it really takes is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from peak_trade.errors import RunError

__all__ = ["columns", "numbers", "table"]

_FOOTER = 1 << 16  # bytes; of a run 3,500, and 2,000 more for each million trades. Deep columns overflow the stack
_ROW = 1 << 10  # bytes of a row when it is unpacked; a trade has about 150
_FIRST = 1 << 20  # of any file, beside its rows
_TEXT = 256  # bytes of a text that repeats: a symbol, a side, a reason


def table(content: bytes, rows: int, fits: Callable[[Any], bool]) -> Any:
    """Return the Arrow table of a Parquet file of trades that must have `rows` rows and a schema that `fits`.

    Texts that repeat stay coded.

    Raises RunError where the footer says otherwise or promises more than such a table takes; ArrowException, OSError or
    ValueError where it is no Parquet file; ImportError without pyarrow.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if content[-4:] != b"PAR1" or int.from_bytes(content[-8:-4], "little") > _FOOTER:
        raise RunError("it is no Parquet file with a footer of usual size")
    texts = ["symbol", "side", "exit_reason"]
    with pq.ParquetFile(pa.BufferReader(content), read_dictionary=texts) as file:
        about = file.metadata
        if about.num_rows != rows:
            raise RunError(f"its footer has {about.num_rows:,} rows, and {rows:,} are promised")
        groups = [about.row_group(at) for at in range(about.num_row_groups)]
        size = sum(max(group.total_byte_size, 0) for group in groups)
        if sum(group.num_rows for group in groups) != rows:
            raise RunError("its footer has groups of another number of rows")
        if size > _FIRST + _ROW * rows:
            raise RunError(f"its footer has {size:,} bytes for {rows:,} rows")
        if not fits(file.schema_arrow):
            raise RunError("its columns are not those of a run's trades")
        found = columns(file, _FIRST + _ROW * rows)
    for name, column in zip(found.column_names, found.columns, strict=True):
        words = (chunk.dictionary for chunk in column.chunks if pa.types.is_dictionary(column.type))
        if any(len(word or "") > _TEXT for dictionary in words for word in dictionary.to_pylist()):
            raise RunError(f"{name} has a text of more than {_TEXT} characters")
    return found


def columns(file: Any, most: int) -> Any:
    """Return the table of an open Parquet file, read column by column of each group of rows.

    Raises RunError at the first that takes, with those before it, more than `most` bytes: no more are then unpacked.
    """
    import pyarrow as pa

    taken, groups, names = 0, [], file.schema_arrow.names
    for group in range(file.num_row_groups):
        parts = []
        for at, name in enumerate(names):
            part = column(file, group, at, name)
            taken += part.nbytes
            if taken > most:
                raise RunError(f"{name} has {taken:,} bytes when unpacked, more than the footer says")
            parts.append(part)
        groups.append(pa.Table.from_arrays(parts, names=names))
    if len(groups) == 1:
        return groups[0]
    return pa.concat_tables(groups) if groups else file.read(use_threads=False)


def column(file: Any, group: int, at: int, name: str) -> Any:
    """Return one column, number `at`, of one group of an open Parquet file whose columns are not nested."""
    if file.num_row_groups == 1:  # as in every file of ours: half the time of the other way
        return file.reader.read_column(at)
    return file.read_row_group(group, [name], use_threads=False).column(0)  # threads cost more than they save


def numbers(part: Any, kind: Any) -> npt.NDArray[Any]:
    """Return numbers or times of an Arrow array: NaN, NaT or -1 where it has null."""
    missing: Any = {np.float64: np.nan, np.int64: -1}.get(kind, np.datetime64("NaT", "ns"))
    if part.null_count == len(part):
        return np.full(len(part), missing, kind)
    values = np.frombuffer(part.buffers()[1], kind, len(part), 8 * part.offset)
    if not part.null_count:
        return values
    bits = np.unpackbits(np.frombuffer(part.buffers()[0], np.uint8), bitorder="little")
    known = bits[part.offset : part.offset + len(part)].astype(np.bool_)
    return np.where(known, values, missing)
