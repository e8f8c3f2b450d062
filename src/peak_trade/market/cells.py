"""Tables of text cells, from CSV and JSON: what stands above the rows, and the rows in pieces."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.config import Reading
from peak_trade.errors import InputError
from peak_trade.market.dialects import SPELLINGS, is_number, show
from peak_trade.market.hints import under_data
from peak_trade.market.instants import NULLS

__all__ = ["Head", "Piece", "Rows", "Table", "chosen_symbol", "csv_table", "json_table", "merge_levels", "other_symbol"]

ROWS_AT_ONCE = 512  # rows are read in pieces small enough for the cache: half the time of one big list
_HEAD = 12  # rows that are looked at to find out what a file is
_MARKS = b"\t;|,"
_QUOTED = re.compile(rb'"[^"]*"')
_LEVELS = frozenset({"", "ticker", "tickers", "price", "date", "datetime", "timestamp", "time", "symbol", "attributes"})

Piece = tuple[npt.NDArray[np.int64], list[Sequence[str]]]  # the numbers of the rows, and their cells by column


class Head(Struct):
    """What stands above the rows: the names (None: nothing), what a header of several lines told, and what was said."""

    names: list[str] | None
    first: list[str] = []
    levels: str = ""
    assumptions: list[str] = []


class Table:
    """A table of text cells that can be read from its start as often as needed."""

    head: Head

    def pieces(self) -> Iterator[Piece]:
        """Yield the rows in pieces."""
        raise NotImplementedError


class csv_table(Table):
    """A CSV file's bytes, in UTF-8."""

    def __init__(self, data: bytes, reading: Reading, path: str, symbol: str) -> None:
        self.data, self._path = data, path
        self.delimiter = _delimiter(data, reading)
        self.skip = 0
        self.head = self._look(symbol, reading)
        self.width = len(self.head.names if self.head.names is not None else self.head.first)

    def _reader(self) -> Any:
        text = io.TextIOWrapper(io.BytesIO(self.data), "utf-8-sig")
        return csv.reader(text, delimiter=self.delimiter, skipinitialspace=self.delimiter != " ", strict=True)

    def _look(self, symbol: str, reading: Reading) -> Head:
        reader = self._reader()
        try:
            rows = [_or_blank(row) for row in islice(reader, _HEAD)]
            while len(rows) % _HEAD == 0 and rows and not any(rows):  # a page of blank lines on top
                rows += [_or_blank(row) for row in islice(reader, _HEAD)]
        except csv.Error as error:
            raise _broken(self._path, reader.line_num, error, guided=reading.delimiter is not None) from None
        while rows and not rows[0]:
            del rows[0]
            self.skip += 1
        if not rows:
            raise InputError(f"{self._path} is empty", hint="name a file that has rows")
        said = []
        full = [row for row in rows if row]
        width = len(full[-1])
        while width > 1 and len(full) > 1 and len(full[0]) < width and _is_above(full[0]):
            said.append(f"the line `{show(self.delimiter.join(full[0]))}` above the table is skipped")
            at = next(at for at, row in enumerate(rows) if row)
            del rows[: at + 1], full[0]
            self.skip += at + 1
        first = full[0]
        if _is_row(first, reading):
            self.skip += next(at for at, row in enumerate(rows) if row)
            return Head(None, first, assumptions=said)
        lines = [first]
        for row in full[1:3]:
            if len(row) != len(first) or row[0].strip().lower() not in _LEVELS or any(map(is_number, row)):
                break
            lines.append(row)
        last = [at for at, row in enumerate(rows) if row][len(lines) - 1]
        self.skip += last + 1
        after: list[str] = next(iter(full[len(lines) : len(lines) + 1]), [])
        names, levels = merge_levels(lines, symbol, reading, self._path) if len(lines) > 1 else (first, "")
        if len(after) == len(names) + 1 and not after[-1].strip():
            names = [*names, ""]  # each row ends with a delimiter, and the header does not
        short = len(names) - len(after) if after else 0  # such a row is refused when it is read, by its number
        return Head(names, after + [""] * short, levels, said)

    def pieces(self) -> Iterator[Piece]:
        """Yield the rows in pieces; errors: `InputError` for a row that has not as many fields as the header."""
        reader, path, width = self._reader(), self._path, self.width
        try:
            for _ in range(self.skip):
                next(reader)
            line = reader.line_num
            while batch := list(islice(reader, ROWS_AT_ONCE)):
                numbers = np.arange(line + 1, line + 1 + len(batch))
                if reader.line_num - line != len(batch):  # cells with line breaks in them
                    numbers = line + np.cumsum([1, *(1 + "".join(row).count("\n") for row in batch)])[:-1]
                line = reader.line_num
                if set(map(len, batch)) - {width}:
                    batch = [_or_blank(row) for row in batch]
                if not all(batch):  # blank lines
                    numbers = numbers[[bool(row) for row in batch]]
                    batch = [row for row in batch if row]
                for at, row in enumerate(batch) if set(map(len, batch)) - {width} else ():
                    if len(row) != width:
                        what = "the header" if self.head.names is not None else "the first row"
                        raise InputError(
                            f"{path} row {numbers[at]} has {len(row)} fields, {what} has {width}",
                            hint=f"mend or take out row {numbers[at]}",
                        )
                if batch:
                    yield numbers, list(zip(*batch, strict=True))
        except csv.Error as error:
            raise _broken(path, reader.line_num, error) from None


class Rows(Table):
    """The rows of a table that have one symbol, in the column `at`."""

    def __init__(self, table: Table, at: int, symbol: str) -> None:
        self._table, self._at, self._symbol = table, at, symbol
        first = next(zip(*cells, strict=True) for _, cells in self.pieces())
        said = f"the rows of {show(symbol)} are read, of several symbols"
        self.head = Head(table.head.names, list(next(first)), table.head.levels, [*table.head.assumptions, said])

    def pieces(self) -> Iterator[Piece]:
        """Yield those rows in pieces."""
        for numbers, cells in self._table.pieces():
            mine = [at for at, symbol in enumerate(cells[self._at]) if symbol == self._symbol]
            if mine:
                yield numbers[mine], [[column[at] for at in mine] for column in cells]


def chosen_symbol(rows: Mapping[str, int], symbol: str, path: str) -> str:
    """Return which of a file's symbols, of which each has so many rows, the one asked for is.

    Case and punctuation don't count. Errors: `InputError` where none is.
    """
    alike = [one for one in rows if one == symbol] or [one for one in rows if _plain(one) == _plain(symbol)]
    if len(alike) == 1 and _plain(symbol):
        return alike[0]
    usual = sorted((one for one in rows if one.strip()), key=lambda one: -rows[one])[:2]
    shown = " and ".join(f"`{show(one)}`" for one in list(rows)[:2])
    choices = [{"symbol": one} for one in usual if 2 * rows[one] >= rows[usual[0]]]
    none = f", and none is {show(symbol)}" if _plain(symbol) else ""
    raise InputError(
        f"{path} holds bars of several symbols, such as {shown}{none}",
        hint=under_data(*choices, lead="take one of them"),
    )


def other_symbol(theirs: str, symbol: str) -> list[str]:
    """Return a sentence where the one symbol that a file names is not the one asked for."""
    if not _plain(symbol) or not _plain(theirs) or _plain(theirs) == _plain(symbol):
        return []
    return [f"the file names its symbol `{show(theirs)}`: taken as {show(symbol)}"]


def _plain(symbol: str) -> str:
    return "".join(filter(str.isalnum, symbol)).casefold()


class json_table(Table):
    """A JSON file's bytes: a list of lists or of objects, by itself or as the one list within an object."""

    def __init__(self, data: bytes, path: str) -> None:
        self._path = path
        try:
            found = _rows_of(_decoded(data))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InputError(f"{path} is not whole JSON: {show(str(error).lower())}", hint="fetch it again") from None
        if not found:
            raise InputError(f"{path} holds no list of bars", hint="a list of lists, or of objects with names")
        names, self._rows = found
        if not self._rows:
            raise InputError(f"{path} has no rows", hint="name a file that has rows")
        self._names = list(map(str, names)) if names is not None else None
        self.width = len(self._names if self._names is not None else self._rows[0])
        self.head = Head(self._names, self._cells(self._rows[0], 1))

    def _cells(self, row: Any, number: int) -> list[str]:
        if isinstance(row, Mapping):
            row = [row.get(name) for name in self._names or ()]
        if not isinstance(row, list) or len(row) != self.width:
            raise InputError(f"{self._path} row {number} is not like the first", hint=f"mend or take out row {number}")
        return [value if isinstance(value, str) else "" if value is None else repr(value) for value in row]

    def pieces(self) -> Iterator[Piece]:
        """Yield the rows in pieces; rows count from 1."""
        for start in range(0, len(self._rows), ROWS_AT_ONCE):
            part = self._rows[start : start + ROWS_AT_ONCE]
            cells = [self._cells(row, start + at) for at, row in enumerate(part, 1)]
            yield np.arange(start + 1, start + 1 + len(part)), list(zip(*cells, strict=True))


def _or_blank(row: list[str]) -> list[str]:
    """Return a line as it is, one of spaces alone (or of the mark with which CP/M ended a file) as a blank one."""
    return [] if len(row) == 1 and not row[0].strip(" \t\x1a") else row


def _is_above(row: Sequence[str]) -> bool:
    """Tell whether a line that is shorter than the rows is none of the table: one cell, a comment, or Excel's mark."""
    return len(row) == 1 or row[0][:1] == "#" or (len(row) == 2 and row[0].lower() == "sep=")


def _broken(path: str, line: int, error: csv.Error, *, guided: bool = False) -> InputError:
    hint = "leave delimiter out, or mend the row" if guided else f"mend row {line}"
    return InputError(f"{path} row {line}: {show(str(error))}", hint=hint)


def _delimiter(data: bytes, reading: Reading) -> str:
    """Return what separates the fields: of tab, semicolon, bar and comma the one that each of the first rows has."""
    if reading.delimiter is not None:
        return "\t" if reading.delimiter == "tab" else reading.delimiter
    top = data[: 1 << 14].lstrip(b"\xef\xbb\xbf").lstrip()
    if top[:4].lower() == b"sep=" and top[4:5] in (b";", b",", b"\t", b"|"):
        return top[4:5].decode()
    lines = [_QUOTED.sub(b"", line) for line in re.split(rb"[\r\n]+", top)[: _HEAD + 1] if line.strip()]
    lines = lines[:-1] if len(lines) > _HEAD or (len(lines) > 2 and len(top) > 16_000) else lines
    counts = {mark: min(line.count(mark) for line in lines[-2:]) if lines else 0 for mark in _MARKS}
    best = next((mark for mark in b"\t;|" if counts[mark] >= 4), max(_MARKS, key=lambda mark: counts[mark]))
    return chr(best) if counts[best] else ","


def _is_row(cells: Sequence[str], reading: Reading) -> bool:
    """Tell whether a line is a row of values rather than a header."""
    values = sum(is_number(cell) or cell.strip().lower() in NULLS - {""} for cell in cells)
    return values >= 3 and values >= len(cells) - 3


def merge_levels(lines: Sequence[Sequence[str]], symbol: str, reading: Reading, path: str) -> tuple[list[str], str]:
    """Return one line of names for a header of several: of fields, of tickers, and of the index.

    Of several tickers the one of `symbol` counts; errors: `InputError` where there is none.
    """
    # in full words alone: T, C, O, V, H and L are tickers too
    ours_of = {name: ours for ours, names in SPELLINGS.items() for name in names if len(name) > 1}

    def fields(line: Sequence[str]) -> int:
        return len({ours_of.get("".join(filter(str.isalpha, cell.lower()))) for cell in line[1:]} - {None})

    named = max(lines, key=fields)
    index = next((line[0] for line in lines[1:] if line[0].strip() and not any(map(str.strip, line[1:]))), "Date")
    names = [index if named[0].strip().lower() in _LEVELS else named[0], *named[1:]]
    above = next((line for line in lines if line is not named and any(map(str.strip, line[1:]))), None)
    tickers = list(dict.fromkeys(cell.strip() for cell in (above or [])[1:] if cell.strip()))
    if len(tickers) > 1 and above is not None:
        chosen = next((ticker for ticker in tickers if ticker.lower() == symbol.lower()), None)
        if chosen is not None:
            names = [name if at == 0 or above[at].strip() == chosen else "" for at, name in enumerate(names)]
        elif not all(isinstance(reading.columns.get(name), int) for name in ("open", "high", "low", "close")):
            places: dict[str, int] = {"timestamp": 1}
            for at, name in enumerate(named):
                ours = ours_of.get("".join(filter(str.isalpha, name.lower())))
                if at and ours and above[at].strip() == tickers[0]:
                    places.setdefault(ours, at + 1)
            shown = ", ".join(map(show, tickers[:10]))
            raise InputError(
                f"{path} holds {len(tickers)} tickers, {shown}, and none is the symbol {show(symbol)}",
                hint=under_data(
                    {"columns": places}, lead=f"make one of them the symbol, or say where {show(tickers[0])} stands"
                ),
            )
    return names, f"header of {('two', 'three')[len(lines) - 2]} lines"


def _decoded(data: bytes) -> Any:
    """Return what a JSON file holds; of one value a line, all of them."""
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:
        try:
            lines = msgspec.json.Decoder().decode_lines(data)
        except msgspec.DecodeError:
            lines = []
        if len(lines) < 2:
            raise
        return lines


def _rows_of(value: Any) -> tuple[list[str] | None, list[Any]] | None:
    """Return the names (None for lists) and rows of the one table that a decoded JSON value holds."""
    if isinstance(value, list):
        if value and isinstance(value[0], Mapping):
            return list(value[0]), value
        return (None, value) if not value or isinstance(value[0], list) else None
    if isinstance(value, Mapping):
        if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
            index = value.get("index")
            if isinstance(index, list) and len(index) == len(value["data"]) and isinstance(value["data"][:1], list):
                rows = [[at, *row] for at, row in zip(index, value["data"], strict=True) if isinstance(row, list)]
                return ["", *value["columns"]], rows
            return value["columns"], value["data"]
        if value and all(isinstance(row, Mapping) and name[:4].isdigit() for name, row in value.items()):
            names = list(next(iter(value.values())))  # as Alpha Vantage has it: bars by their time
            return ["timestamp", *names], [[at, *(row.get(name) for name in names)] for at, row in value.items()]
        if isinstance(value.get("schema"), Mapping) and isinstance(value.get("data"), list):
            return _rows_of(value["data"])  # as pandas writes a table with its schema
        if len(value) > 3 and all(isinstance(column, Mapping) for column in value.values()):
            columns = list(value.values())  # as pandas writes it unless told otherwise: columns by the index
            if all(column.keys() == columns[0].keys() for column in columns):
                return ["", *value], [[at, *(column[at] for column in columns)] for at in columns[0]]
        inner = [found for name in value if (found := _rows_of(value[name])) and found[1]]
        return inner[0] if len(inner) == 1 else None
    return None
