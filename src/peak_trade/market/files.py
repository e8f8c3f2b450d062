"""One file of bars to columns: what it is, where our columns stand in it, what the cells say, and in which row.

Which source writes how is declared in `dialects`; here is what all have in common.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from peak_trade import places
from peak_trade.config import DETECTED, Reading
from peak_trade.errors import InputError
from peak_trade.market import bulk
from peak_trade.market.bars import Floats
from peak_trade.market.cells import ROWS_AT_ONCE, Rows, Table, chosen_symbol, csv_table, json_table, other_symbol
from peak_trade.market.dialects import PLAIN, SPELLINGS, Dialect, Layout, layout, show
from peak_trade.market.hints import under_data
from peak_trade.market.instants import MISSING, NULLS, Unreadable
from peak_trade.market.numbers import Style, Styled, plain_floats
from peak_trade.market.stamps import cell_error, finish_stamps, stamp_column, stamp_error
from peak_trade.market.timestamps import TimestampColumn
from peak_trade.text import escaped

__all__ = ["SPELLINGS", "File", "SourceFile", "read_file"]

TIMESTAMPS_AT_ONCE = 16 * ROWS_AT_ONCE
_FLOATS = ("open", "high", "low", "close", "volume", "adjust")


class SourceFile(msgspec.Struct, frozen=True):
    """A file as it was read: its path as given, the sha256 (hex) and number of its bytes."""

    path: str
    sha256: str
    bytes: int


class File(msgspec.Struct, frozen=True):
    """One file's columns, in order of time where it is newest first, with the number each row goes by in it.

    `columns` also has `adjust` where a column of adjusted closes was asked for; `format` names the dialect.
    """

    source: SourceFile
    columns: dict[str, npt.NDArray[Any]]
    rows: npt.NDArray[np.int64]
    assumptions: list[str]
    format: str = PLAIN.name


def read_file(path: str, reading: Reading = DETECTED, symbol: str = "") -> File:
    """Read a file's columns as `reading` says, and as the file says for the rest; `symbol` chooses among tickers.

    Raises InputError.
    """
    data = _read_bytes(path)
    digest = _digest(data)
    inner = data
    if data[:2] in (b"\x1f\x8b", b"PK"):
        from peak_trade.market import archives  # only for files that are packed

        inner = archives.unpack(data, path)
    if inner[:4] == b"PAR1" or inner[:6] == b"ARROW1" or path.endswith((".parquet", ".pq", ".feather")):
        from peak_trade.market import arrow

        found, columns, rows, assumed = arrow.read(inner, path, reading, symbol)
    else:
        table = _text_table(inner, path, reading, symbol)
        if table.head.names is not None and not table.head.first:
            layout(table.head.names, (), reading, path, table.head.levels)
            raise InputError(f"{path} has a header and no rows", hint="name a file that has rows")
        found = layout(table.head.names, table.head.first, reading, path, table.head.levels)
        columns, rows, assumed = _read_cells(table, found, reading, path, symbol)
    assumptions = [*found.assumptions, *assumed]
    if found.rivals:
        found.dialect = _settle_order(columns, found.rivals, path)
        assumptions[assumptions.index(f"read as {found.rivals[0].title}")] = f"read as {found.dialect.title}"
    if "volume" in found.where and np.isnan(columns["volume"]).all():
        columns["volume"] = np.zeros(len(rows))
        assumptions.append("the volume is empty in every row: filled with 0")
    columns, rows = _in_order(columns, rows, found.dialect, assumptions)
    return File(SourceFile(path, digest(), len(data)), columns, rows, assumptions, found.dialect.name)


def _digest(data: bytes) -> Callable[[], str]:
    """Return what gives the sha256 of bytes; of many it is worked out while they are read."""
    sha = hashlib.sha256()
    if len(data) < bulk.AT_LEAST:
        sha.update(data)
        return sha.hexdigest
    beside = threading.Thread(target=sha.update, args=(data,))
    beside.start()

    def wait() -> str:
        beside.join()
        return sha.hexdigest()

    return wait


def _read_bytes(path: str) -> bytes:
    try:
        if stat.S_ISDIR(mode := os.stat(path).st_mode):
            raise InputError(f"{path} is a directory", hint=f"name a file or a pattern such as {path}/*.csv")
        if not stat.S_ISREG(mode):
            raise InputError(f"{path} is not a regular file", hint="copy it into one")
        with open(path, "rb") as file:
            data = file.read()
    except (OSError, ValueError) as error:
        reason = str(error.strerror if isinstance(error, OSError) else error).lower()
        where = places.looked(path) if isinstance(error, FileNotFoundError) else ""
        hint = "check the path, or name a pattern such as data/*.csv"
        raise InputError(f"cannot read {escaped(path, 300)}: {reason}{where}", hint=hint) from None
    if not data:
        raise InputError(f"{path} is empty", hint="name a file that has rows")
    return data


def _text_table(data: bytes, path: str, reading: Reading, symbol: str) -> Table:
    """Return the table of a CSV or JSON file; errors: `InputError` where the bytes are no text."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):  # MetaTrader and Excel
        try:
            data = data.decode("utf-16").encode()
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not whole UTF-16: {error.reason}", hint="save it as UTF-8") from None
    elif order := _wide_order(data):
        data = data.decode(order).encode()
    _refuse_binary(data, path)
    top = data[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    if top[:1] in (b"[", b"{"):
        return json_table(data.removeprefix(b"\xef\xbb\xbf"), path)
    if top[:1] == b"<" and top[:15].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise InputError(f"{path} is a web page, not a table of bars", hint="download the data itself, as CSV")
    return csv_table(data, reading, path, symbol)


def _wide_order(data: bytes) -> str:
    """Return the order of UTF-16 without its mark: as every other byte on top is zero; nothing for what is none."""
    for order, zeros, others in (("utf-16-le", data[1:64:2], data[:64:2]), ("utf-16-be", data[:64:2], data[1:64:2])):
        if len(data) >= 16 and not any(zeros) and all(others):
            try:
                data.decode(order).encode()
            except UnicodeError:
                return ""
            return order
    return ""


def _refuse_binary(data: bytes, path: str) -> None:
    hint = "a data file is CSV or JSON in UTF-8 (also gzipped or zipped), Parquet or Feather"
    if (at := data.find(b"\0")) >= 0:
        row = data.count(b"\n", 0, at) + 1
        raise InputError(f"{path} is not a text file: row {row} holds a NUL byte", hint=hint)
    if not data.isascii():
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            row = data.count(b"\n", 0, error.start) + 1
            raise InputError(
                f"{path} is not UTF-8: row {row} holds the byte 0x{data[error.start]:02x}",
                hint="save it as UTF-8: iconv -f windows-1252 -t utf-8",
            ) from None


# --- text cells ---------------------------------------------------------------------------------------------------


def _read_cells(
    table: Table, found: Layout, reading: Reading, path: str, symbol: str
) -> tuple[dict[str, npt.NDArray[Any]], npt.NDArray[np.int64], list[str]]:
    """Return a table's columns, the number of each row, and what was assumed."""
    plain = reading.decimal != "," and reading.thousands != "."
    where = found.where
    if plain and isinstance(table, csv_table) and len(table.data) >= bulk.AT_LEAST:
        if (whole := _read_whole(table, found, reading, path, symbol)) is not None:
            return whole
    theirs = table.head.first[where["symbol"]] if "symbol" in where else ""
    stamps = _stamps(found, reading, table.head.first)
    pieces: dict[str, list[Floats]] = {name: [] for name in _FLOATS if name in where}
    rows: list[npt.NDArray[np.int64]] = []
    texts: list[str] = []
    for lines, cells in table.pieces():
        rows.append(lines)
        texts += _times(cells, where)
        if len(texts) >= TIMESTAMPS_AT_ONCE:
            _add_stamps(stamps, texts, rows, path)
            texts = []
        if "symbol" in where and cells[where["symbol"]].count(theirs) < len(lines):
            return _read_cells(_rows_of(table, where["symbol"], symbol, path), found, reading, path, symbol)
        if plain:
            try:
                for name, parts in pieces.items():
                    parts.append(plain_floats(cells[where[name]]))
            except Styled:
                plain = False
    if texts:
        _add_stamps(stamps, texts, rows, path)
    if not rows:
        raise InputError(f"{path} has a header and no rows", hint="name a file that has rows")
    numbers = np.concatenate(rows)
    timestamp, assumed = finish_stamps(stamps, found, reading, lambda row: f"row {numbers[row]}", path)
    columns: dict[str, npt.NDArray[Any]] = {"timestamp": timestamp}
    if plain:
        columns |= {name: np.concatenate(parts) for name, parts in pieces.items()}
    else:
        columns |= _styled(table, where, list(pieces), reading, numbers, path, assumed)
    columns.setdefault("volume", np.zeros(len(timestamp)))
    return columns, numbers, table.head.assumptions + other_symbol(theirs, symbol) + assumed


def _read_whole(
    table: csv_table, found: Layout, reading: Reading, path: str, symbol: str
) -> tuple[dict[str, npt.NDArray[Any]], npt.NDArray[np.int64], list[str]] | None:
    """Return what `_read_cells` does where the whole file can be read at once, else None."""
    if found.dialect.dates or reading.date_format:
        return None
    where, names = found.where, [name for name in _FLOATS if name in found.where]
    theirs = table.head.first[where["symbol"]] if "symbol" in where else ""
    read = bulk.read(table.data, table.skip, table.width, table.delimiter, where, names, theirs)
    if read is None:
        return None
    stamps, values = read
    numbers = np.arange(table.skip + 1, table.skip + 1 + stamps.count)
    timestamp, assumed = finish_stamps(stamps, found, reading, lambda row: f"row {numbers[row]}", path)
    columns: dict[str, npt.NDArray[Any]] = {"timestamp": timestamp, **values}
    columns.setdefault("volume", np.zeros(len(timestamp)))
    return columns, numbers, table.head.assumptions + other_symbol(theirs, symbol) + assumed


def _styled(
    table: Table,
    where: dict[str, int],
    names: Sequence[str],
    reading: Reading,
    numbers: npt.NDArray[np.int64],
    path: str,
    assumed: list[str],
) -> dict[str, npt.NDArray[Any]]:
    """Read numbers that are not written as most programs do, by the style that the whole file has."""
    from peak_trade.market import numbers as number_styles

    cells: dict[str, list[str]] = {name: [] for name in names}
    for _, piece in table.pieces():
        for name in names:
            cells[name] += piece[where[name]]
    try:
        style = number_styles.style_of(
            (cell for texts in cells.values() for cell in texts), reading.decimal, reading.thousands
        )
    except number_styles.Ambiguous as error:
        if "two ways" in str(error):
            raise InputError(f"{path}: {error}", hint="mend the rows that are unlike the others") from None
        raise InputError(
            f"{path} has numbers such as `{show(str(error))}`, which can be read in two ways",
            hint=under_data({"thousands": ","}, {"decimal": ","}, lead="say what the comma is"),
        ) from None
    columns: dict[str, npt.NDArray[Any]] = {}
    for name, texts in cells.items():
        try:
            columns[name] = number_styles.styled_floats(texts, style, suffixes=name == "volume")
        except Styled as error:
            text, row = texts[error.index], f"row {numbers[error.index]}"
            hint = "mend the cell, or leave it empty"
            if error.index == 0 and (reading.decimal or reading.thousands):
                hint = f"leave {'thousands' if reading.thousands else 'decimal'} out, or say what the file has"
            raise cell_error(path, row, name, text, "is not a number", hint) from None
    if style != Style() or any("," in cell for texts in cells.values() for cell in texts):
        assumed.append(
            f"numbers are written with `{style.decimal}` for decimals and `{style.thousands}` between digits"
        )
    return columns


def _times(cells: Sequence[Sequence[str]], where: dict[str, int]) -> Sequence[str]:
    if "date" not in where:
        return cells[where["timestamp"]]
    if "time" not in where:
        return cells[where["date"]]
    days, clocks = cells[where["date"]], cells[where["time"]]
    return [
        "" if day.strip().lower() in NULLS else f"{day.strip()} {clock.strip()}".strip()
        for day, clock in zip(days, clocks, strict=True)
    ]


def _stamps(found: Layout, reading: Reading, first: Sequence[str]) -> TimestampColumn:
    """Return an empty column for the times of a file whose first row is given."""
    cell = next(iter(_times([[text] for text in first], found.where)), "")
    return stamp_column(found.dialect, reading, cell)


def _add_stamps(stamps: TimestampColumn, texts: Sequence[str], rows: list[npt.NDArray[np.int64]], path: str) -> None:
    before = stamps.count
    try:
        stamps.add(texts)
    except Unreadable as error:
        row = np.concatenate(rows)[error.index]
        text = texts[error.index - before]
        raise stamp_error(path, f"row {row}", text, error.reason, first=error.index == 0) from None


def _rows_of(table: Table, at: int, symbol: str, path: str) -> Table:
    """Return the rows of the symbol that is asked for, of several in the column `at`; InputError where none is it."""
    rows: Counter[str] = Counter()
    for _, cells in table.pieces():
        rows.update(cells[at])
    return Rows(table, at, chosen_symbol(rows, symbol, path))


# --- the whole columns --------------------------------------------------------------------------------------------


def _settle_order(columns: dict[str, npt.NDArray[Any]], rivals: Sequence[Dialect], path: str) -> Dialect:
    """Put the prices of a file without a header under the names that they can only have; errors: `InputError`.

    An order counts where its high and low are the highest and lowest in nearly every row, and no other's are.
    """
    read_as = list(rivals[0].columns)[1:5]
    prices = [columns[name] for name in read_as]
    moved = np.ptp(prices, axis=0) > 0
    orders: dict[tuple[str, ...], Dialect] = {}
    for dialect in rivals:
        orders.setdefault(tuple(list(dialect.columns)[1:5]), dialect)
    broken = {}
    for order in orders:
        named = dict(zip(order, prices, strict=True))
        high, low = np.maximum(named["open"], named["close"]), np.minimum(named["open"], named["close"])
        wrong = moved & ((named["high"] < high) | (named["low"] > low))
        broken[order] = int(np.count_nonzero(wrong)) / max(int(np.count_nonzero(moved)), 1)
    best = min(broken, key=lambda order: broken[order])
    if broken[best] > 0.05 or any(share < 0.2 for order, share in broken.items() if order != best):
        hint = under_data(*({"format": dialect.name} for dialect in orders.values()), lead="say whose it is")
        raise InputError(f"{path} has no header, and its columns can be read in two ways", hint=hint)
    columns |= dict(zip(best, prices, strict=True))
    return orders[best]


def _in_order(
    columns: dict[str, npt.NDArray[Any]], rows: npt.NDArray[np.int64], dialect: Dialect, assumptions: list[str]
) -> tuple[dict[str, npt.NDArray[Any]], npt.NDArray[np.int64]]:
    """Put a file that is newest first in order: any that runs strictly backwards, and those of a source that does."""
    times = columns["timestamp"].view(np.int64)
    if len(times) < 2 or times[0] < times[-1]:
        return columns, rows
    known = times[times != MISSING]
    if len(known) < 2:
        return columns, rows
    steps = known[1:] < known[:-1]
    backwards = steps.all() or (dialect.newest_first and steps.any() and (known[1:] <= known[:-1]).all())
    if not backwards:
        return columns, rows
    assumptions.append("rows are newest first: put in order")
    order = np.argsort(times, kind="stable")  # of rows of one time, the first in the file stays the first
    return {name: column[order] for name, column in columns.items()}, rows[order]
