"""One CSV or Parquet file of bars to columns: under which names, what the cells say, and in which row each stands."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from peak_trade import places
from peak_trade.errors import InputError, did_you_mean
from peak_trade.market.bars import COLUMNS, Floats
from peak_trade.market.timestamps import NULLS, TimestampColumn, Unreadable
from peak_trade.text import escaped, one_line

__all__ = ["SPELLINGS", "File", "SourceFile", "read_file"]

# How files spell our columns, once case and everything but letters is gone ("1. Open", "open_time", "<CLOSE>").
SPELLINGS = {
    "timestamp": ("timestamp", "time", "date", "datetime", "opentime", "ts", "t", "unix"),
    "open": ("open", "o", "openprice"),
    "high": ("high", "h", "highprice"),
    "low": ("low", "l", "lowprice"),
    "close": ("close", "c", "closeprice"),
    "volume": ("volume", "vol", "v"),
}
ROWS_AT_ONCE = 512  # rows are read in pieces small enough for the cache: half the time of one big list
_CELL = 60  # characters of a cell or a name in a sentence
TIMESTAMPS_AT_ONCE = 16 * ROWS_AT_ONCE


class SourceFile(msgspec.Struct, frozen=True):
    """A file as it was read: its path as given, the sha256 (hex) and number of its bytes."""

    path: str
    sha256: str
    bytes: int


_NUMBERS = msgspec.json.Decoder(list[float])


class File(msgspec.Struct, frozen=True):
    """One file's columns, with the number each row goes by in it."""

    source: SourceFile
    columns: dict[str, npt.NDArray[Any]]
    rows: npt.NDArray[np.int64]
    assumptions: list[str]


def read_file(path: str, mapping: Mapping[str, str]) -> File:
    """Read a file's columns; `mapping` says which they are where they are not spelled as usual. Raises InputError."""
    data = _read_bytes(path)
    source = SourceFile(path, hashlib.sha256(data).hexdigest(), len(data))
    if data[:4] == b"PAR1" or path.endswith((".parquet", ".pq")):
        columns, rows, assumptions = _read_parquet(data, path, mapping)
    else:
        columns, rows, assumptions = _read_csv(_unzip(data, path), path, mapping)
    return File(source, columns, rows, assumptions)


def _read_bytes(path: str) -> bytes:
    try:
        if stat.S_ISDIR(mode := os.stat(path).st_mode):
            raise InputError(f"{path} is a directory", hint=f"name a file or a pattern such as {path}/*.csv")
        if not stat.S_ISREG(mode):
            raise InputError(f"{path} is not a regular file")
        with open(path, "rb") as file:
            data = file.read()
    except (OSError, ValueError) as error:
        reason = str(error.strerror if isinstance(error, OSError) else error).lower()
        where = places.looked(path) if isinstance(error, FileNotFoundError) else ""
        raise InputError(f"cannot read {escaped(path, 300)}: {reason}{where}") from None
    if not data:
        raise InputError(f"{path} is empty")
    return data


def _unzip(data: bytes, path: str) -> bytes:
    if data[:2] != b"\x1f\x8b":
        return data
    import gzip
    import zlib

    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path} is not a whole gzip file: {str(error).lower()}") from None


def _read_csv(
    data: bytes, path: str, mapping: Mapping[str, str]
) -> tuple[dict[str, npt.NDArray[Any]], npt.NDArray[np.int64], list[str]]:
    """Return a CSV file's columns, the line number of each row, and what was assumed."""
    _refuse_binary(data, path)
    reader = csv.reader(
        io.TextIOWrapper(io.BytesIO(data), "utf-8-sig"),
        delimiter=_delimiter(data),
        skipinitialspace=True,
        strict=True,
    )
    stamps = TimestampColumn()
    pieces: dict[str, list[Floats]] = {name: [] for name in COLUMNS[1:]}
    rows: list[npt.NDArray[np.int64]] = []
    texts: list[str] = []
    try:
        header = next((row for row in reader if row), None)
        if header is None:
            raise InputError(f"{path} is empty")
        where, assumptions = _match_columns(header, mapping, path)
        for lines, cells in _columns_of(reader, len(header), path):
            rows.append(lines)
            texts += cells[where["timestamp"]]
            if len(texts) >= TIMESTAMPS_AT_ONCE:
                _add_stamps(stamps, texts, rows, path)
                texts = []
            for name, parts in pieces.items():
                if name in where:
                    parts.append(_floats(cells[where[name]], lines, path, name))
    except csv.Error as error:
        raise InputError(f"{path} row {reader.line_num}: {_show(str(error))}") from None
    if texts:
        _add_stamps(stamps, texts, rows, path)
    if not rows:
        raise InputError(f"{path} has a header and no rows")
    numbers = np.concatenate(rows)
    timestamp, assumed = _finish_stamps(stamps, lambda row: f"row {numbers[row]}", path)
    columns: dict[str, npt.NDArray[Any]] = {"timestamp": timestamp}
    for name, parts in pieces.items():
        columns[name] = np.concatenate(parts) if parts else np.zeros(len(timestamp))
    return columns, numbers, assumptions + assumed


def _refuse_binary(data: bytes, path: str) -> None:
    hint = "a data file is CSV in UTF-8 (also gzipped) or Parquet"
    if (at := data.find(b"\0")) >= 0:
        row = data.count(b"\n", 0, at) + 1
        raise InputError(f"{path} is not a text file: row {row} holds a NUL byte", hint=hint)
    if not data.isascii():
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            row = data.count(b"\n", 0, error.start) + 1
            raise InputError(
                f"{path} is not UTF-8: row {row} holds the byte 0x{data[error.start]:02x}", hint=hint
            ) from None


def _delimiter(data: bytes) -> str:
    """Return the most frequent of comma, semicolon and tab in the first line that is not blank."""
    line = data[: 1 << 16].lstrip().partition(b"\n")[0]
    return max(",;\t", key=lambda mark: line.count(mark.encode()))


def _columns_of(reader: Any, width: int, path: str) -> Iterator[tuple[npt.NDArray[np.int64], list[tuple[str, ...]]]]:
    """Yield a CSV file in pieces: the line numbers of the rows, and their cells by column."""
    line = reader.line_num
    while batch := list(islice(reader, ROWS_AT_ONCE)):
        numbers = np.arange(line + 1, line + 1 + len(batch))
        if reader.line_num - line != len(batch):  # cells with line breaks in them
            numbers = line + np.cumsum([1, *(1 + "".join(row).count("\n") for row in batch)])[:-1]
        line = reader.line_num
        if not all(batch):  # blank lines
            numbers = numbers[[bool(row) for row in batch]]
            batch = [row for row in batch if row]
        for at, row in enumerate(batch) if set(map(len, batch)) - {width} else ():
            if len(row) != width:
                raise InputError(f"{path} row {numbers[at]} has {len(row)} fields, the header has {width}")
        if batch:
            yield numbers, list(zip(*batch, strict=True))


def _floats(texts: Sequence[str], lines: npt.NDArray[np.int64], path: str, column: str) -> Floats:
    """Read cells as numbers, missing ones as NaN."""
    try:  # several times faster than float(); what is no number of JSON's goes the long way
        values = np.array(_NUMBERS.decode(f"[{','.join(texts)}]"))
    except msgspec.DecodeError:
        values = np.empty(0)
    if len(values) == len(texts):  # a cell such as 1,234 would be two
        return values
    values = np.empty(len(texts))
    for at, text in enumerate(texts):
        try:
            if "_" in text:
                raise ValueError
            values[at] = np.nan if text.strip().lower() in NULLS else float(text)
        except ValueError:
            hint = "write decimals with a point" if "," in text else ""
            raise _cell_error(path, f"row {lines[at]}", column, text, "is not a number", hint) from None
    return values


def _add_stamps(stamps: TimestampColumn, texts: list[str], rows: list[npt.NDArray[np.int64]], path: str) -> None:
    before = stamps.count
    try:
        stamps.add(texts)
    except Unreadable as error:
        row = np.concatenate(rows)[error.index]
        raise _stamp_error(path, f"row {row}", texts[error.index - before], error.reason) from None


def _finish_stamps(
    stamps: TimestampColumn, locate: Callable[[int], str], path: str
) -> tuple[npt.NDArray[np.datetime64], list[str]]:
    try:
        return stamps.finish()
    except Unreadable as error:
        raise InputError(f"{path} {locate(error.index)}, column timestamp: {error.reason}") from None


def _stamp_error(path: str, row: str, text: str, reason: str) -> InputError:
    hint = "write ISO 8601 such as 2024-01-31T13:00:00Z, or epoch numbers" if "not a timestamp" in reason else ""
    return _cell_error(path, row, "timestamp", text, reason, hint)


def _cell_error(path: str, row: str, column: str, text: str, reason: str, hint: str = "") -> InputError:
    return InputError(f"{path} {row}, column {column}: `{_show(text)}` {reason}", hint=hint)


def _match_columns(header: Sequence[str], mapping: Mapping[str, str], path: str) -> tuple[dict[str, int], list[str]]:
    """Return where our columns stand in a file's header, and what was assumed; errors: `InputError`."""
    names = [name.strip() for name in header]
    plain = ["".join(filter(str.isalpha, name.lower())) for name in names]
    shown = [_show(name) for name in names if name][:20]
    there = ", ".join(f"`{name}`" for name in shown) or "nothing"
    where: dict[str, int] = {}
    for ours in COLUMNS:
        if ours in mapping:
            wanted = mapping[ours]
            at = [i for i, name in enumerate(names) if name == wanted]
            at = at or [i for i, name in enumerate(names) if name.lower() == wanted.lower()]
            if not at:
                hint = did_you_mean(wanted, shown)
                raise InputError(f"{path} has no column `{_show(wanted)}` for {ours}; it has {there}", hint=hint)
        else:
            at = [i for i, name in enumerate(plain) if name in SPELLINGS[ours]]
        if len(at) > 1:
            which = ", ".join(f"`{_show(names[i])}`" for i in at)
            raise InputError(f"{path} has several columns for {ours}: {which}", hint=_columns_hint(ours))
        if at:
            where[ours] = at[0]
    missing = [ours for ours in COLUMNS[:5] if ours not in where]
    if missing and any(_is_value(name) for name in names):
        line = _show(", ".join(names))
        raise InputError(
            f"{path} has no header: its first line is `{line}`",
            hint=f"put a line of column names on top, such as {','.join(COLUMNS)}",
        )
    if missing:
        hint = f"{did_you_mean(missing[0], shown)}; {_columns_hint(missing[0])}" if shown else ""
        raise InputError(f"{path} has no column for {', '.join(missing)}; it has {there}", hint=hint)
    assumptions = []
    if "volume" not in where:
        if alike := [name for name, letters in zip(names, plain, strict=True) if "vol" in letters]:
            which = ", ".join(f"`{_show(name)}`" for name in alike)
            raise InputError(f"{path} has no column for volume, but {which}", hint=_columns_hint("volume"))
        assumptions.append("no volume column: filled with 0")
    used = [f"{ours} from `{names[at]}`" for ours, at in where.items() if names[at] != ours]
    if used:
        assumptions.insert(0, f"columns read: {', '.join(used)}")
    if (adjusted := [name for name, letters in zip(names, plain, strict=True) if letters.startswith("adj")]) and (
        "close" not in mapping
    ):
        assumptions.append(f"`{_show(adjusted[0])}` is not used: prices are as traded")
    return where, assumptions


def _columns_hint(ours: str) -> str:
    return f'say which under [data]: columns = {{ {ours} = "…" }}'


def _is_value(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text[:4].isdigit() and text[4:5] == "-"
    return True


def _read_parquet(
    data: bytes, path: str, mapping: Mapping[str, str]
) -> tuple[dict[str, npt.NDArray[Any]], npt.NDArray[np.int64], list[str]]:
    """Return a Parquet file's columns, its rows counted from 1, and what was assumed."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise InputError(f"{path} is a Parquet file, and pyarrow is not installed", hint="just setup lake") from None
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        header = file.schema_arrow.names
        where, assumptions = _match_columns(header, mapping, path)
        table = file.read(columns=[header[at] for at in where.values()])
        rows = np.arange(1, table.num_rows + 1)
        if not len(rows):
            raise InputError(f"{path} has no rows")
        stamps = TimestampColumn()
        _add_arrow_stamps(stamps, table.column(header[where["timestamp"]]), rows, path)
        timestamp, assumed = _finish_stamps(stamps, lambda row: f"row {rows[row]}", path)
        columns: dict[str, npt.NDArray[Any]] = {"timestamp": timestamp}
        for name in COLUMNS[1:]:
            if name in where:
                columns[name] = _arrow_floats(table.column(header[where[name]]), rows, path, name)
            else:
                columns[name] = np.zeros(len(rows))
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        reason = escaped(one_line(str(error).lower()), 200)
        raise InputError(f"{path} cannot be read as Parquet: {reason}") from None
    return columns, rows, assumptions + assumed


def _add_arrow_stamps(stamps: TimestampColumn, column: Any, rows: npt.NDArray[np.int64], path: str) -> None:
    import pyarrow as pa

    kind = column.type
    missing = int(np.iinfo(np.int64).min)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zone = kind.tz if pa.types.is_timestamp(kind) else None
        nanos = column.cast(pa.timestamp("ns", zone)).cast(pa.int64())
        stamps.add_nanoseconds(nanos.fill_null(missing).to_numpy(), zoned=zone is not None)
    elif pa.types.is_integer(kind):
        stamps.add_epochs(column.cast(pa.int64()).fill_null(missing).to_numpy())
    elif pa.types.is_floating(kind):
        stamps.add_epochs(column.cast(pa.float64()).to_numpy())
    elif (texts := _arrow_texts(column)) is not None:
        _add_stamps(stamps, texts, [rows], path)
    else:
        raise InputError(f"{path} column timestamp holds {kind}, not times")


def _arrow_floats(column: Any, rows: npt.NDArray[np.int64], path: str, name: str) -> Floats:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        values: Floats = np.array(column.cast(pa.float64(), safe=False).to_numpy())
        return values
    if (texts := _arrow_texts(column)) is not None:
        return _floats(texts, rows, path, name)
    raise InputError(f"{path} column {name} holds {kind}, not numbers")


def _arrow_texts(column: Any) -> list[str] | None:
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return None
    return [text or "" for text in column.to_pylist()]


def _show(text: str) -> str:
    """Return a cell or the name of a column as part of a sentence."""
    return escaped(text, _CELL)
