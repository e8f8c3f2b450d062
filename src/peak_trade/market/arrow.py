"""Parquet and Feather files of bars, through pyarrow: the typed columns as the text cells' reader has them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from peak_trade.config import Reading
from peak_trade.errors import InputError
from peak_trade.market.bars import Floats
from peak_trade.market.cells import chosen_symbol, merge_levels, other_symbol
from peak_trade.market.dialects import Layout, layout, show
from peak_trade.market.instants import MISSING, OUT_OF_RANGE, Unreadable
from peak_trade.market.numbers import Styled, plain_floats
from peak_trade.market.stamps import cell_error, finish_stamps, stamp_column, stamp_error
from peak_trade.market.timestamps import TimestampColumn
from peak_trade.text import escaped, one_line

__all__ = ["read"]

_LEVELS = re.compile(r"\('(.*)', '(.*)'\)")  # how pandas names the columns of two levels
_BOUNDS = [np.datetime64(day, "s").astype(np.int64) for day in ("1678-01-01", "2262-01-01")]
_A_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def read(
    data: bytes, path: str, reading: Reading, symbol: str
) -> tuple[Layout, dict[str, npt.NDArray[Any]], npt.NDArray[np.int64], list[str]]:
    """Return where a file's columns stand, the columns, its rows counted from 1, and what was assumed."""
    kind = "Parquet" if data[:4] == b"PAR1" or path.endswith((".parquet", ".pq")) else "Feather"
    try:
        import pyarrow as pa
    except ImportError:
        raise InputError(f"{path} is a {kind} file, and pyarrow is not installed", hint="just setup lake") from None
    try:
        names, top, load = _open(data, kind)
        first = ["" if value is None else str(value) for value in top]
        names, levels = _one_level(names, symbol, reading, path)
        found = layout(names, first, reading, path, levels)
        where = found.where
        table = dict(zip(where, load(list(where.values())), strict=True))
        rows = np.arange(1, len(next(iter(table.values()))) + 1)
        if not len(rows):
            raise InputError(f"{path} has no rows", hint="name a file that has rows")
        if "symbol" in table:
            of = ["" if one is None else str(one) for one in table["symbol"].to_pylist()]
            if len(counts := Counter(of)) > 1:
                chosen = chosen_symbol(counts, symbol, path)
                mine = np.array([one == chosen for one in of])
                table, rows = {name: column.filter(pa.array(mine)) for name, column in table.items()}, rows[mine]
                found.assumptions.append(f"the rows of {show(chosen)} are read, of several symbols")
            else:
                found.assumptions += other_symbol(of[0], symbol)
        stamps = _stamps(table, found, reading, rows, path)
        timestamp, assumed = finish_stamps(stamps, found, reading, lambda row: f"row {rows[row]}", path)
        columns: dict[str, npt.NDArray[Any]] = {"timestamp": timestamp}
        for name in ("open", "high", "low", "close", "volume", "adjust"):
            if name in table:
                columns[name] = _floats(table[name], rows, path, name)
        columns.setdefault("volume", np.zeros(len(rows)))
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        reason = escaped(one_line(str(error).lower()), 200)
        raise InputError(f"{path} cannot be read as {kind}: {reason}", hint="write it again") from None
    return found, columns, rows, assumed


def _one_level(names: list[str], symbol: str, reading: Reading, path: str) -> tuple[list[str], str]:
    """Return the names of columns where pandas had two levels of them, and how that is told."""
    pairs = [_LEVELS.fullmatch(name) for name in names]
    order = sorted(range(len(names)), key=lambda at: pairs[at] is not None)  # the index, wherever it stands, first
    if len(names) < 3 or pairs.count(None) > 1 or pairs[order[1]] is None:
        return names, ""
    lines = [[pair[level] if (pair := pairs[at]) else (names[at], "")[level - 1] for at in order] for level in (1, 2)]
    merged, levels = merge_levels(lines, symbol, reading, path)
    by_place = dict(zip(order, merged, strict=True))
    return [by_place[at] for at in range(len(names))], levels


def _open(data: bytes, kind: str) -> tuple[list[str], list[Any], Any]:
    """Return the names of a file's columns, the values of its first row, and a function that loads some columns."""
    import pyarrow as pa

    if kind == "Feather":
        import pyarrow.feather as feather

        whole = feather.read_table(pa.BufferReader(data), use_threads=False)
        return whole.schema.names, _top(whole), lambda at: [whole.column(place) for place in at]
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pa.BufferReader(data), pre_buffer=False)
    names = file.schema_arrow.names
    # no threads: one that still reads ahead when the process ends takes it down
    batches = file.iter_batches(batch_size=1, use_threads=False)
    batch = next(batches, None)
    batches.close()

    def load(at: list[int]) -> list[Any]:
        if len(set(names)) < len(names):
            whole = file.read(use_threads=False)
            return [whole.column(place) for place in at]
        table = file.read(columns=[names[place] for place in at], use_threads=False)
        return [table.column(names[place]) for place in at]

    return names, _top(batch) if batch is not None else [], load


def _top(table: Any) -> list[Any]:
    """Return the values of the first row, a time as its text: pandas is not needed for nanoseconds."""
    import pyarrow as pa

    values = []
    for at in range(table.num_columns if table.num_rows else 0):
        column = table.column(at).slice(0, 1)
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
            values.append("1970-01-01" if column.null_count == 0 else None)  # that it is a time is what counts
        else:
            values.append(column[0].as_py())
    return values


def _stamps(
    table: dict[str, Any], found: Layout, reading: Reading, rows: npt.NDArray[np.int64], path: str
) -> TimestampColumn:
    import pyarrow as pa

    if "date" in table:
        parts = [column.cast(pa.string()).to_pylist() for name in ("date", "time") if (column := table.get(name))]
        texts = [" ".join(filter(None, cells)) for cells in zip(*parts, strict=True)]
        return _text_stamps(texts, found, reading, rows, path)
    column = table["timestamp"]
    kind = column.type
    stamps = TimestampColumn([reading.date_format] if reading.date_format in _A_SECOND else ())
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        stamps = TimestampColumn()
        zoned = pa.types.is_timestamp(kind) and kind.tz is not None
        unit = kind.unit if pa.types.is_timestamp(kind) else "s" if pa.types.is_date32(kind) else "ms"
        days = pa.types.is_date32(kind)
        raw = column.cast(pa.int32()).cast(pa.int64()) if days else column.cast(pa.int64())
        values = np.array(raw.fill_null(MISSING).to_numpy())
        stamps.add_nanoseconds(_nanoseconds(values, unit, 86_400 if days else 1, rows, path), zoned=zoned)
    elif pa.types.is_integer(kind) and reading.date_format not in (None, *_A_SECOND):
        texts = ["" if value is None else str(value) for value in column.to_pylist()]
        return _text_stamps(texts, found, reading, rows, path)
    elif pa.types.is_integer(kind):
        texts = column.cast(pa.int64())
        values = texts.fill_null(MISSING).to_numpy()
        if len(values) and (values >= 10_000_101).all() and (values <= 99_991_231).all():  # may be YYYYMMDD
            return _text_stamps([str(value) for value in values.tolist()], found, reading, rows, path)
        stamps.add_epochs(values)
    elif pa.types.is_floating(kind):
        stamps.add_epochs(column.cast(pa.float64()).to_numpy())
    elif (cells := _texts(column)) is not None:
        return _text_stamps(cells, found, reading, rows, path)
    else:
        raise InputError(f"{path} column timestamp holds {kind}, not times", hint="write its times as timestamps")
    return stamps


def _nanoseconds(
    values: npt.NDArray[np.int64], unit: str, factor: int, rows: npt.NDArray[np.int64], path: str
) -> npt.NDArray[np.int64]:
    """Return whole numbers of a unit as nanoseconds; errors: `InputError` for a year that they can't hold."""
    known = values != MISSING
    low, high = (bound * _A_SECOND[unit] // factor for bound in _BOUNDS) if unit != "ns" else (-(2**63) + 1, 2**63 - 1)
    if (far := known & ((values < low) | (values >= high))).any():
        at = int(np.argmax(far))
        value = int(values[at])
        text = str(np.array(value).astype(f"datetime64[{'D' if factor > 1 else unit}]"))
        raise stamp_error(path, f"row {rows[at]}", text, OUT_OF_RANGE)
    result = np.full(len(values), MISSING)
    result[known] = values[known] * (factor * (10**9 // _A_SECOND[unit]))
    return result


def _text_stamps(
    texts: Sequence[str], found: Layout, reading: Reading, rows: npt.NDArray[np.int64], path: str
) -> TimestampColumn:
    stamps = stamp_column(found.dialect, reading, texts[0])
    try:
        stamps.add(texts)
    except Unreadable as error:
        raise stamp_error(path, f"row {rows[error.index]}", texts[error.index], error.reason) from None
    return stamps


def _floats(column: Any, rows: npt.NDArray[np.int64], path: str, name: str) -> Floats:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_decimal(kind):  # pyarrow's own cast is a bit off for one in some hundred
        return np.array([np.nan if value is None else float(value) for value in column.to_pylist()])
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        values: Floats = np.array(column.cast(pa.float64(), safe=False).to_numpy())
        return values
    if pa.types.is_null(kind):
        return np.full(len(rows), np.nan)
    if (texts := _texts(column)) is not None:
        try:
            return plain_floats(texts)
        except Styled as error:
            row = f"row {rows[error.index]}"
            raise cell_error(path, row, name, texts[error.index], "is not a number", "write it as a number") from None
    raise InputError(f"{path} column {name} holds {kind}, not numbers", hint="write it as numbers")


def _texts(column: Any) -> list[str] | None:
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return None
    return [text or "" for text in column.to_pylist()]
