"""Equity, benchmark and trades as files, and the digests of their typed values.

Floats are written in the shortest form that reads back as the same float, so a file holds the values exactly and a
digest over the values is the same whether they come from CSV or from Parquet. Tables are written in blocks of rows, so
that the text of a long run never stands in memory whole.
"""

from __future__ import annotations

import csv
import hashlib
import importlib
import io
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from peak_trade.errors import RunError
from peak_trade.evidence import footer
from peak_trade.market.trades import EXIT_REASONS, SIDES, Trades

__all__ = [
    "EXCURSIONS",
    "OF_SEVERAL",
    "TRADE_COLUMNS",
    "SeriesDigest",
    "Stamps",
    "import_parquet",
    "read_series",
    "read_trades",
    "rows_csv",
    "series_csv",
    "series_digest",
    "suits_trades",
    "trades_csv",
    "trades_digest",
]

_BLOCK = 1 << 16  # rows
_BLOCK_BYTES = 4 << 20
_HEADER = 1000  # bytes
_SHORT = 1 << 13  # bytes of a column that is copied before it is digested: to look at it in place takes longer
_UNPACKED = 1 << 20  # bytes that a Parquet file of trades may have when unpacked, whatever it has packed
_PACKING = 40  # times as many bytes, for a larger one
_ROW_BYTES = 4  # that a row of trades takes at least in a Parquet file: no two trades are the same
TRADE_COLUMNS = (
    "trade_id", "symbol", "side", "entry_time", "entry_price", "exit_time", "exit_price", "quantity",
    "entry_fee", "exit_fee", "slippage", "pnl", "return", "bars_held", "exit_reason", "mae", "mfe",
)  # fmt: skip
EXCURSIONS = ("mae", "mfe")
"""The columns that trades of versions before 0.3 don't have, nor those of engines whose bars nobody knows."""
OF_SEVERAL = ("currency", "group")
"""The columns of trades that are not all of one symbol, or whose money another engine has named."""
_OLDER = tuple(name for name in TRADE_COLUMNS if name not in EXCURSIONS)
_LAYOUTS = (TRADE_COLUMNS, _OLDER, (*TRADE_COLUMNS, *OF_SEVERAL), (*_OLDER, *OF_SEVERAL))
_TRADE_FLOATS = frozenset(
    ("entry_price", "exit_price", "quantity", "entry_fee", "exit_fee", "slippage", "pnl", "return", *EXCURSIONS)
)
_INTEGERS = ("trade_id", "bars_held")
_TIMES = ("entry_time", "exit_time")
_ISO = re.compile(r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{9})?\n)*+")
_PATTERN = b"0000-00-00T00:00:00.000000000"
_NO_STAMP = "a timestamp is not of the form 2024-01-31T13:00:00Z"
_NEWLINE, _COMMA, _SPACE, _DIGIT, _Z = b"\n, 0Z"
_SPECIAL = re.compile('[",\\r\\n]')
_EMPTY = re.compile(rb"(?<=,)(?=,|$)|(?<= )(?=,)|^(?=,)")

Columns = Mapping[str, npt.NDArray[Any]]


def iso(timestamps: npt.NDArray[np.datetime64]) -> list[str]:
    """Return timestamps as ISO 8601 in UTC, ending in Z: to the second, or to the nanosecond where one needs it.

    >>> iso(np.array(["2024-01-01", "2024-01-01T00:30"], "M8[ns]"))
    ['2024-01-01T00:00:00Z', '2024-01-01T00:30:00Z']
    """
    return _iso(timestamps, _unit(timestamps))


def _unit(timestamps: npt.NDArray[np.datetime64]) -> str:
    nanoseconds = timestamps.astype("M8[ns]", copy=False).view(np.int64)
    return "ns" if (nanoseconds % 1_000_000_000).any() else "s"


def _iso(timestamps: npt.NDArray[np.datetime64], unit: str) -> list[str]:
    text = np.datetime_as_string(timestamps.astype(f"M8[{unit}]"), unit=unit)  # type: ignore[call-overload]
    return [f"{stamp}Z" for stamp in text.tolist()]


def series_csv(columns: Columns, stamps: Stamps | None = None) -> Iterator[bytes]:
    """Yield the CSV of a table whose first column is `timestamp` and whose others are float64.

    `stamps` are those of the first column, where other tables have it too.
    """
    yield ",".join(columns).encode() + b"\n"
    timestamp, *floats = columns.values()
    stamps = stamps or Stamps(timestamp)
    width = len(columns)  # each cell has its separator: to join cells by rows, and then the rows, takes twice as long
    for start in range(0, len(timestamp), _BLOCK):
        texts = stamps.block(start)
        cells = texts * width
        cells[::width] = texts
        for at, column in enumerate(floats, 1):
            cells[at::width] = _numbers(column[start : start + _BLOCK], b"," if at + 1 < width else b"\n")
        yield b"".join(cells)


class Stamps:
    """The timestamps of a table as cells of text; of one that is no longer than a block they are made once."""

    def __init__(self, timestamp: npt.NDArray[np.datetime64]) -> None:
        self._timestamp, self._unit = timestamp, _unit(timestamp)  # of the whole table: its blocks must not differ
        self._kept: list[bytes] | None = None

    def block(self, start: int) -> list[bytes]:
        """Return those of the block that begins at a row."""
        if self._kept is not None:
            return self._kept
        texts = _stamps(self._timestamp[start : start + _BLOCK], self._unit)
        if len(texts) == len(self._timestamp):
            self._kept = texts
        return texts


# The JSON encoder writes floats and datetimes some ten times faster than repr and isoformat do.


def _numbers(values: npt.NDArray[np.float64], end: bytes) -> list[bytes]:
    """Return cells of text, each with what is to come after it."""
    bits = np.ascontiguousarray(values, np.float64).view(np.int64)  # by which -0.0 is not 0.0
    starts = np.flatnonzero(np.concatenate(([True], bits[1:] != bits[:-1])))
    if 2 * len(starts) > len(values):
        return _texts_of(values, end)
    lengths = np.diff(np.append(starts, len(values)))  # a position stays as it is for many bars
    cells: list[bytes] = np.array(_texts_of(values[starts], end), object).repeat(lengths).tolist()
    return cells


def _texts_of(values: npt.NDArray[np.float64], end: bytes) -> list[bytes]:
    listed = msgspec.json.encode(values.tolist())[1:-1] + b","
    if np.isnan(values).any():  # what another engine does not say
        listed = listed.replace(b"null", b"")
    return listed.replace(b",", end + b";").split(b";")[:-1]


def _stamps(timestamps: npt.NDArray[np.datetime64], unit: str) -> list[bytes]:
    plain = timestamps.astype(f"M8[{unit}]")
    texts = plain.tolist() if unit == "s" else np.datetime_as_string(plain).tolist()
    return (msgspec.json.encode(texts)[2:-2].replace(b'","', b"Z,;") + b"Z,").split(b";")


def read_series(
    path: Path, names: Sequence[str], content: bytes | None = None, *, gaps: bool = False
) -> dict[str, npt.NDArray[Any]]:
    """Read what `series_csv` wrote; RunError where the file is anything else.

    `content` is that of the file, where the caller has read it already. Empty cells, read as NaN, are allowed with
    `gaps` alone: a run of ours has none.
    """
    content = path.read_bytes() if content is None else content
    start = content.find(b"\n", 0, _HEADER) + 1
    if content[: start - 1 if start else _HEADER].decode("utf-8", "replace") != ",".join(names):
        raise RunError(f"{path.name}: its header is not {','.join(names)}")
    blocks = [[np.empty(0, "M8[ns]"), *([np.empty(0)] * (len(names) - 1))]]
    start = start or len(content)
    try:
        while start < len(content):  # in blocks: numbers are many times as large in Python as in the file
            end = content.find(b"\n", start + _BLOCK_BYTES) + 1 or len(content)
            blocks.append(_read_block(content[start:end].removesuffix(b"\n") + b"\n", len(names) - 1, gaps))
            start = end
    except (msgspec.DecodeError, ValueError) as error:
        raise RunError(f"{path.name}: {error}") from None
    return {name: np.concatenate(parts) for name, parts in zip(names, zip(*blocks, strict=True), strict=True)}


def _read_block(text: bytes, floats: int, gaps: bool) -> list[npt.NDArray[Any]]:
    """Read whole rows of `timestamp,number,…`, all of whose timestamps are equally long.

    What stands between the timestamps is made one JSON list of numbers, which is by far the quickest to decode.
    """
    cells = np.frombuffer(text, np.uint8).copy()
    ends, marks = np.flatnonzero(cells == _NEWLINE), np.flatnonzero(cells == _COMMA)
    starts = np.concatenate(([0], ends[:-1] + 1))
    if len(marks) != len(ends) * floats:
        raise ValueError(f"a row has not {floats + 1} cells")
    commas = marks.reshape(-1, floats)
    width = int(commas[0, 0])
    if (commas[:, 0] != starts + width).any() or (commas[:, -1] > ends).any():
        raise ValueError(f"a row has not {floats + 1} cells, or a timestamp of another length than the first")
    if width < 1 or (cells[starts + width - 1] != _Z).any():
        raise ValueError("a timestamp does not end in Z")
    places = starts[:, None] + np.arange(width + 1)
    stamps = np.ascontiguousarray(cells[places[:, : width - 1]])
    cells[places] = _SPACE
    cells[ends] = _COMMA
    listed = cells[:-1].tobytes()
    if gaps:
        listed = _EMPTY.sub(b"null", listed)
    numbers: list[Any] = msgspec.json.decode(b"[" + listed + b"]", type=list[float | None] if gaps else list[float])
    table = np.array(numbers, np.float64).reshape(-1, floats)
    return [_parse_stamps(stamps), *(table[:, column] for column in range(floats))]


def _parse_stamps(stamps: npt.NDArray[np.uint8]) -> npt.NDArray[np.datetime64]:
    """Parse rows of the letters that `iso` returns, the Z at the end taken off."""
    letters = np.frombuffer(_PATTERN, np.uint8)[: stamps.shape[1]]
    digits = letters == _DIGIT
    fits = stamps.shape[1] in (len(_PATTERN), len("2024-01-31T13:00:00"))
    if not fits or (stamps[:, ~digits] != letters[~digits]).any() or (stamps[:, digits] - _DIGIT > 9).any():
        raise ValueError(_NO_STAMP)
    return stamps.view(f"S{stamps.shape[1]}").ravel().astype("M8[ns]")


def _parse_iso(texts: Sequence[str]) -> npt.NDArray[np.datetime64]:
    """Parse what `iso` returns, the Z at the end taken off."""
    if not _ISO.fullmatch("\n".join([*texts, ""])):
        raise ValueError(_NO_STAMP)
    return np.array(texts, "U29").astype("M8[ns]")


def _columns_of(trades: Trades) -> tuple[str, ...]:
    """Return the names of the columns that the trades have."""
    plain = trades.symbols is None and trades.currencies is None and trades.groups is None
    columns = _OLDER if trades.mae is None or trades.mfe is None else TRADE_COLUMNS
    return columns if plain else (*columns, *OF_SEVERAL)


def texts(trades: Trades) -> dict[str, list[str]]:
    """Return what each trade names: its symbol, the currency of its money, the group that it belongs to.

    Empty where nobody says it.
    """
    given = {"symbol": trades.symbols, "currency": trades.currencies, "group": trades.groups}
    unsaid = [""] * len(trades)
    return {
        name: [trades.symbol] * len(trades) if name == "symbol" and column is None
        else unsaid if column is None else column.tolist()
        for name, column in given.items()
    }  # fmt: skip


def _values(trades: Trades, name: str) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = getattr(trades, "return_" if name == "return" else name)
    return values


def trade_columns(trades: Trades) -> dict[str, list[Any]]:
    """Return the trades as plain Python columns, named and typed as in the trades contract.

    None is what nobody said, but for numbers, where it is NaN.
    """
    reasons = (*EXIT_REASONS, None)  # by -1, where nobody says it
    columns: dict[str, list[Any]] = texts(trades) | {
        "trade_id": list(range(1, len(trades) + 1)),
        "side": [SIDES[side] for side in trades.side.tolist()],
        **{name: _times(getattr(trades, name)) for name in _TIMES},
        "bars_held": [None if count < 0 else count for count in trades.bars_held.tolist()],
        "exit_reason": [reasons[code] for code in trades.exit_reason.tolist()],
    }
    return {
        name: _values(trades, name).tolist() if name in _TRADE_FLOATS else columns[name] for name in _columns_of(trades)
    }


def _times(timestamps: npt.NDArray[np.datetime64]) -> list[str | None]:
    unknown = np.isnat(timestamps)
    if not len(timestamps) or not unknown.any():
        return [*iso(timestamps)] if len(timestamps) else []
    known = iter(iso(timestamps[~unknown]) if not unknown.all() else [])
    return [None if one else next(known) for one in unknown.tolist()]


def trades_csv(trades: Trades) -> Iterator[bytes]:
    """Yield the CSV of the trades: an empty cell where nobody says what is there."""
    columns = trade_columns(trades)
    for name in columns.keys() & _TRADE_FLOATS:
        cells = msgspec.json.encode(columns[name])[1:-1].decode().split(",")
        columns[name] = ["" if cell == "null" else cell for cell in cells]
    columns |= {name: ["" if cell is None else str(cell) for cell in columns[name]] for name in _INTEGERS}
    columns |= {name: ["" if cell is None else cell for cell in columns[name]] for name in (*_TIMES, "exit_reason")}
    for name in columns.keys() & {"symbol", *OF_SEVERAL}:
        quoted = {text: _quoted(text) for text in set(columns[name])}
        columns[name] = [quoted[text] for text in columns[name]]
    yield ",".join(columns).encode() + b"\n"
    rows = zip(*columns.values(), strict=True) if len(trades) else iter(())
    while block := list(islice(rows, _BLOCK)):
        yield "".join(",".join(row) + "\n" for row in block).encode()


def rows_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows that may lack columns as CSV, the columns in the order in which they first come.

    >>> print(rows_csv([{"row": 3, "why": "a, b"}, {"row": 4, "close": 1.5}]), end="")
    row,why,close
    3,"a, b",
    4,,1.5
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, *([str(row.get(name, "")) for name in names] for row in rows)]
    return "".join(",".join(map(_quoted, line)) + "\n" for line in lines)


def _quoted(text: str) -> str:
    """Return a CSV cell; Python's own writer leaves a lone carriage return unquoted before 3.13."""
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


def import_parquet() -> None:
    """Import what writes Parquet, where it is installed: processes that are forked then need not, each for itself."""
    with suppress(ImportError):
        importlib.import_module("pyarrow.parquet")


def trades_parquet(trades: Trades) -> bytes:
    """Return the trades as a Parquet file, zstd, with UTC timestamps and dictionaries for what repeats.

    Raises ImportError without pyarrow.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema, reasons = _schema(_columns_of(trades)), (*EXIT_REASONS, None)
    words: dict[str, list[Any]] = texts(trades) | {
        "side": [SIDES[side] for side in trades.side.tolist()],
        "exit_reason": [reasons[code] for code in trades.exit_reason.tolist()],
    }
    arrays = []
    for field in schema:  # from buffers: pyarrow's conversions of lists and of NumPy's arrays import pandas
        name = field.name
        parts: list[Any]
        if name in words:
            coded = {text: (text or "").encode() for text in set(words[name])}
            cells = [coded[text] for text in words[name]]
            parts = [np.cumsum([0, *map(len, cells)]).astype(np.int32), b"".join(cells)]
            unsaid = name not in ("symbol", "side") and not all(coded)
            unknown = np.array([unsaid and not text for text in words[name]], np.bool_)
        elif name == "trade_id":
            parts, unknown = [np.arange(1, len(trades) + 1)], np.zeros(len(trades), np.bool_)
        else:
            column = _values(trades, name)
            kind: Any = np.float64 if name in _TRADE_FLOATS else np.int64
            parts = [np.ascontiguousarray(column.astype("M8[ns]") if name in _TIMES else column).astype(kind)]
            unknown = (
                np.isnan(column) if name in _TRADE_FLOATS else parts[0] < 0 if name == "bars_held" else np.isnat(column)
            )
        known = np.packbits(~unknown, bitorder="little").tobytes() if unknown.any() else None
        buffers = [known and pa.py_buffer(known), *map(pa.py_buffer, parts)]
        arrays.append(pa.Array.from_buffers(field.type, len(trades), buffers))
    sink = io.BytesIO()
    table = pa.Table.from_arrays(arrays, schema=schema)
    repeated = [name for name in ("symbol", "side", "exit_reason", *OF_SEVERAL) if name in schema.names]
    pq.write_table(table, sink, compression="zstd", use_dictionary=repeated)
    return sink.getvalue()


@cache
def _schema(names: tuple[str, ...], text: Any = None) -> Any:
    """Return the Arrow schema of trades with these columns; `text` is the type of their texts, if it is another."""
    import pyarrow as pa

    kinds = dict.fromkeys(_TRADE_FLOATS, pa.float64())
    kinds |= dict.fromkeys(_INTEGERS, pa.int64()) | dict.fromkeys(_TIMES, pa.timestamp("ns", "UTC"))
    return pa.schema([(name, kinds.get(name, text or pa.string())) for name in names])


def read_trades(path: Path, content: bytes | None = None, *, gaps: bool = False) -> Trades:
    """Read `trades.csv` or `trades.parquet`; RunError where the content is anything else.

    `content` is that of the file, where the caller has read it already. What is unknown, and several symbols, are
    allowed with `gaps` alone: a run of ours has neither. Raises ImportError for Parquet without pyarrow.
    """
    content = path.read_bytes() if content is None else content
    try:
        columns = _parquet_columns(content) if path.suffix == ".parquet" else _csv_columns(content)
        sides = {word: code for code, word in SIDES.items()}
        symbols = set(columns["symbol"])
        several = OF_SEVERAL[0] in columns
        if (len(symbols) > 1 and not (several and gaps)) or list(columns["trade_id"]) != list(
            range(1, len(columns["trade_id"]) + 1)
        ):
            raise ValueError("trade_id is not 1, 2, 3, … or there is more than one symbol")
        floats = {name: np.array(columns[name], np.float64) for name in columns if name in _TRADE_FLOATS}
        if any((np.isinf(one) | (np.isnan(one) & (not gaps))).any() for one in floats.values()):
            raise ValueError("a price or an amount is not a finite number")
        if not gaps and (several or any(np.isnat(columns[name]).any() for name in _TIMES)):
            raise ValueError("its columns are not those of a run's trades")
        reasons = {word: code for code, word in enumerate(EXIT_REASONS)} | ({"": -1} if gaps else {})
        named = {name: np.array(columns[name], np.str_) for name in ("symbol", *OF_SEVERAL)} if several else {}
        return Trades(
            symbol=symbols.pop() if len(symbols) == 1 else "",
            side=np.array([sides[word] for word in columns["side"]], np.int8),
            entry_time=columns["entry_time"],
            exit_time=columns["exit_time"],
            bars_held=np.array(columns["bars_held"], np.int64),
            exit_reason=np.array([reasons[word] for word in columns["exit_reason"]], np.int8),
            symbols=named.get("symbol"),
            currencies=named.get("currency"),
            groups=named.get("group"),
            **{("return_" if name == "return" else name): column for name, column in floats.items()},
        )
    except (ValueError, KeyError, OverflowError, csv.Error, msgspec.DecodeError) as error:
        raise RunError(f"{path.name}: {error}") from None


def _csv_columns(content: bytes) -> dict[str, Any]:
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(content), "utf-8", newline=""), strict=True)
    header = next(reader, [])
    if tuple(header) not in _LAYOUTS:
        raise ValueError(f"its header is not {','.join(TRADE_COLUMNS)}")
    blocks = [_typed(header, [])]
    while rows := list(islice(reader, _BLOCK)):  # in blocks: cells are many times as large in Python as in the file
        blocks.append(_typed(header, rows))
    return {
        name: np.concatenate([block[name] for block in blocks])
        if name in _TIMES or name in _TRADE_FLOATS or name in _INTEGERS
        else [cell for block in blocks for cell in block[name]]
        for name in header
    }


def _typed(header: Sequence[str], rows: list[list[str]]) -> dict[str, Any]:
    cells = zip(*rows, strict=True) if rows else [()] * len(header)
    columns: dict[str, Any] = dict(zip(header, cells, strict=True))
    for name in _TIMES:
        if not all(text.endswith("Z") or not text for text in columns[name]):
            raise ValueError("a timestamp does not end in Z")
        known = np.array([bool(text) for text in columns[name]], np.bool_)
        times = np.full(len(rows), "NaT", "M8[ns]")
        times[known] = _parse_iso([text[:-1] for text in columns[name] if text])
        columns[name] = times
    for name in [name for name in header if name in _TRADE_FLOATS or name in _INTEGERS]:
        kind: Any = int if name in _INTEGERS else float
        cells_of = [cell or "null" for cell in columns[name]]
        numbers: list[Any] = msgspec.json.decode(f"[{','.join(cells_of)}]", type=list[kind | None])
        if len(numbers) != len(rows):
            raise ValueError(f"a cell of {name} is not one number")
        if name in _INTEGERS:
            numbers = [-1 if number is None else number for number in numbers]
        columns[name] = np.array(numbers, np.int64 if name in _INTEGERS else np.float64)
    for name in header:  # of texts that repeat, one is kept
        if isinstance(columns[name], tuple):
            columns[name] = [*map(sys.intern, columns[name])]
    return columns


def _parquet_columns(content: bytes) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    words = ["symbol", "side", "exit_reason"]
    if all(name.encode() in content for name in OF_SEVERAL):  # as the footer has them, in plain letters
        words += OF_SEVERAL
    try:
        with pq.ParquetFile(pa.BufferReader(content), read_dictionary=words) as file:
            if not suits_trades(file.schema_arrow):  # before any of them is unpacked
                raise ValueError("its columns are not those of a run's trades")
            _check_promises(file.metadata, len(content))
            table = footer.columns(file, _UNPACKED + _PACKING * len(content))
        table.validate(full=True)  # that words are text, and each code is that of a word
    except RunError as error:
        raise ValueError(error.message) from None
    except (pa.ArrowException, OSError, KeyError) as error:  # a word that is no column
        raise ValueError(str(error).splitlines()[0]) from None
    if not suits_trades(table.schema) or any(table[name].null_count for name in ("trade_id", "symbol", "side")):
        raise ValueError("its columns are not those of a run's trades")
    columns: dict[str, Any] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name in words:
            columns[name] = [word for part in column.chunks for word in _worded(part)]
        else:
            kind = np.float64 if name in _TRADE_FLOATS else "M8[ns]" if name in _TIMES else np.int64
            parts = [footer.numbers(part, kind) for part in column.chunks]
            columns[name] = np.concatenate(parts) if parts else np.empty(0, kind)
    return columns


def suits_trades(schema: Any) -> bool:
    """Tell whether an Arrow schema is that of trades, whose texts may be coded."""
    import pyarrow as pa

    coded = pa.dictionary(pa.int32(), pa.string())
    if any(schema.equals(_schema(names, coded)) for names in _LAYOUTS):
        return True  # as they are read: field by field takes ten times as long
    plain = pa.schema([(field.name, pa.string() if field.type == coded else field.type) for field in schema])
    return any(plain.equals(_schema(names)) for names in _LAYOUTS)


def _check_promises(about: Any, size: int) -> None:
    """Check, before a page is unpacked, that a Parquet file promises no more than one of its size can hold.

    Equal rows pack to nothing and a page of zeros to a thousandth, and trades are neither. The parts of a group are not
    asked: one whose footer is not of their kind ends the process (`parquet::ParquetException`).
    """
    groups = [about.row_group(number) for number in range(about.num_row_groups)]
    unpacked = sum(max(group.total_byte_size, 0) for group in groups)
    if max(about.num_rows, sum(group.num_rows for group in groups)) * _ROW_BYTES > size:
        raise ValueError(f"{about.num_rows:,} rows, more than {size:,} bytes can hold")
    if unpacked > _UNPACKED + _PACKING * size:
        raise ValueError(f"{unpacked:,} bytes when unpacked, more than are packed in {size:,}")


def _worded(part: Any) -> list[str]:
    """Return a column of repeated words as a list that has each of them once."""
    words = part.dictionary.to_pylist()
    return ["" if code is None else words[code] for code in part.indices.to_pylist()]


class SeriesDigest:
    """The digest of a table, begun with the columns that it shares with others: they are hashed once."""

    def __init__(self, kind: str, columns: Columns) -> None:
        self._sha256 = hashlib.sha256(f"peak_trade {kind} v1 {len(next(iter(columns.values())))}\n".encode())
        self._add(self._sha256, columns)

    def with_columns(self, columns: Columns) -> str:
        """Return the digest of the table that has these columns too, after the others."""
        sha256 = self._sha256.copy()
        self._add(sha256, columns)
        return sha256.hexdigest()

    @staticmethod
    def _add(sha256: Any, columns: Columns) -> None:
        for name, column in columns.items():
            _take(sha256, name, _stamps_of(column) if column.dtype.kind == "M" else _floats(column))


def series_digest(kind: str, columns: Columns) -> str:
    """Return the sha256 over the typed values of a table: a header, then each column's little-endian bytes."""
    return SeriesDigest(kind, columns).with_columns({})


def _take(sha256: Any, name: str, plain: npt.NDArray[Any]) -> None:
    header = f"{name} {plain.dtype.str}\n".encode()
    if plain.nbytes < _SHORT:
        sha256.update(header + plain.tobytes())
    else:
        sha256.update(header)
        sha256.update(np.ascontiguousarray(plain).view(np.uint8).data)


def _stamps_of(column: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    return column.astype("M8[ns]", copy=False).astype("<i8", copy=False)


def _floats(column: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return a column whose NaN all have the same bits."""
    plain = column.astype("<f8", copy=False)
    if math.isnan(np.minimum.reduce(plain, initial=np.inf)):  # quicker than to look at each
        plain = np.where(np.isnan(plain), np.nan, plain)
    return plain


def trades_digest(trades: Trades) -> str:
    """Return the sha256 over the typed values of the trades, whatever file they came from.

    It names the columns that it is over, so that trades without excursions, and those of one symbol, have the digest
    that they always had. What is unknown counts as one and the same NaN.
    """
    sha256 = hashlib.sha256(f"peak_trade trades v1 {len(trades)} {trades.symbol if len(trades) else ''}\n".encode())
    named = texts(trades)
    columns = _columns_of(trades)
    for name in [*columns[2:], *(["symbol"] if OF_SEVERAL[0] in columns else [])]:
        if name in named:
            sha256.update(f"{name} text\n".encode())
            sha256.update(msgspec.json.encode(named[name]))
            continue
        column = _values(trades, name)
        kind = {"side": "<i1", "exit_reason": "<i1", "bars_held": "<i8"}.get(name)
        times = name in _TIMES
        _take(
            sha256,
            name,
            _stamps_of(column) if times else column.astype(kind) if kind else _floats(column),
        )
    return sha256.hexdigest()
