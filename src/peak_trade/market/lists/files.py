"""A file of trades as a table of text: CSV, JSON, a page, a statement, an archive or a database, whoever wrote it."""

from __future__ import annotations

import csv
import io
import os
import re
import sqlite3
import stat
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from html import unescape
from pathlib import Path
from typing import Any

import msgspec

from peak_trade.errors import InputError
from peak_trade.text import escaped

__all__ = ["Cells", "cells_of", "distinct", "head_of", "page_rows"]

Cells = dict[str, list[str]]
"""Columns of text by their names."""

_BYTES, _ROWS, _COLUMNS, _DEEPEST, _MEMBERS = 256 << 20, 1_000_000, 500, 6, 1_000
_SQLITE, _ZIP = b"SQLite format 3\0", b"PK\x03\x04"
_PREAMBLE = 12  # lines that may stand above a table's head
_FLEX = re.compile(r'<Trade\s((?:[^<>"]|"[^"<]*")*)>')
_MARKUP = re.compile(
    r"<(td|th)\b([^<>]*)>([^<]*)</\1\s*>"  # a cell of text alone, at once
    r"|<(/?)(tr|td|th)\b([^<>]*)>|<[^<>]*>?|([^<]+)",
    re.IGNORECASE,
)
_HIDDEN = re.compile(r"""class\s*=\s*["']?hidden\b""", re.IGNORECASE)
_ATTRIBUTE = re.compile(r'([A-Za-z]\w*)="([^"]*)"')

Rows = list[dict[str, str]]


def cells_of(path: Path) -> Cells:
    """Return a file's columns as text, by their names.

    Raises InputError for what is not there, is too large, has no rows, or is no list that is known.
    """
    try:
        about = os.stat(path)
        if not stat.S_ISREG(about.st_mode):
            raise InputError(f"{path} is not a regular file", hint="name a file of trades")
        if about.st_size > _BYTES:
            raise InputError(f"{path} has {about.st_size:,} bytes, more than {_BYTES:,}", hint="cut it into parts")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {(error.strerror or '').lower()}", hint="check the path") from None
    rows = _rows(data, path)
    if not rows:
        raise InputError(f"{path.name} has no rows", hint="name a list that has trades in it")
    if len(rows) > _ROWS:
        raise InputError(f"{path.name} has more than {_ROWS:,} rows", hint="cut it into parts")
    names = list(dict.fromkeys(name for row in rows[:1_000] for name in row))[:_COLUMNS]
    return {name: [row.get(name, "") for row in rows] for name in names}


def _rows(data: bytes, path: Path) -> Rows:
    if data.startswith(_SQLITE):
        return _database(path)
    if data.startswith(_ZIP):
        return _archive(data, path.name)
    text = _text(data, path.name)
    start = text.lstrip()[:200].lower()
    if start[:1] in ("[", "{"):
        return _objects(text, path.name)
    if "<html" in start or "<!doctype html" in start or start.startswith("<table"):
        return _page(text)
    if start.startswith("<"):
        return _flex(text, path.name)
    return _table(text, path.name)


def _text(data: bytes, name: str) -> str:
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{name} is not text in UTF-8", hint="a list of trades is CSV or JSON") from None
    if "\0" in text:
        raise InputError(f"{name} is not a text file", hint="a list of trades is CSV or JSON")
    return text


# --- tables -------------------------------------------------------------------------------------------------------


def _table(text: str, name: str) -> Rows:
    lines = text[:16_384].splitlines()[:_PREAMBLE] or [""]
    if any(line.startswith("Trades,Header,") for line in text.splitlines()):
        return _statement(text, name)
    head, delimiter = head_of(lines)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    try:
        for _ in range(head):
            next(reader, None)
        names = distinct(next(reader, []))
        return [dict(zip(names, map(str.strip, row), strict=False)) for row in reader if any(row)]
    except csv.Error as error:
        raise InputError(f"{name} row {reader.line_num}: {error}", hint=f"mend row {reader.line_num}") from None


_QUOTED = re.compile(r'"[^"]*"')


def head_of(lines: Sequence[str]) -> tuple[int, str]:
    """Return which line names the columns, and what stands between them.

    It is the first, unless that has fewer than three columns, as a title has, and one of the next has more.
    """
    lines = [_QUOTED.sub('""', line) for line in lines]
    columns = [max((line.count(mark), mark) for mark in "|\t;,") for line in lines]
    at = 0 if columns[0][0] >= 2 else max(range(len(lines)), key=lambda at: (columns[at][0], -at))
    first = lines[at]
    return at, max(",;\t|", key=first.count)


def distinct(names: Sequence[str]) -> list[str]:
    """Return names of columns; one that comes again has a number behind it.

    >>> distinct(["Time", " Price", "Time"])
    ['Time', 'Price', 'Time.1']
    """
    seen: dict[str, int] = {}
    found = []
    for name in map(str.strip, names):
        count = seen[name] = seen.get(name, -1) + 1
        found.append(f"{name}.{count}" if count else name)
    return found


def _statement(text: str, name: str) -> Rows:
    """Return the trades of a statement in sections, each of whose lines begins with its section and its kind.

    Where a section lists orders as well as the executions that make them, it is the orders that count.
    """
    names: list[str] = []
    found: list[dict[str, str]] = []
    reader = csv.reader(io.StringIO(text))
    try:
        for row in reader:
            if row[:2] == ["Trades", "Header"]:
                names = distinct(row[2:])
            elif row[:2] == ["Trades", "Data"]:
                found.append(dict(zip(names, map(str.strip, row[2:]), strict=False)))
    except csv.Error as error:
        raise InputError(f"{name} row {reader.line_num}: {error}", hint=f"mend row {reader.line_num}") from None
    kinds = {row.get("DataDiscriminator", "") for row in found}
    kind = next((one for one in ("Order", "Trade", "Execution") if one in kinds), None)
    return [row for row in found if kind is None or row.get("DataDiscriminator") == kind]


def page_rows(text: str) -> list[list[str]]:
    """Return the rows of a page's tables, each a list of what its cells say; cells that are hidden are none."""
    rows: list[list[str]] = []
    cell: list[str] | None = None

    def end() -> None:
        if cell is not None and rows:
            rows[-1].append(" ".join(unescape("".join(cell)).split()))

    for found in _MARKUP.finditer(text):
        whole, hidden, text_, closing_, tag, attributes, said = found.groups()
        if whole:
            if cell is not None:
                end()
                cell = None
            if rows and not (hidden and _HIDDEN.search(hidden)):
                if "&" in text_:
                    text_ = unescape(text_)
                rows[-1].append(text_ if text_.isalnum() else " ".join(text_.split()))
        elif said is not None:
            if cell is not None:
                cell.append(said)
        elif tag:  # any other is none of ours
            end()
            cell = None
            if not closing_ and tag.lower() == "tr":
                rows.append([])
            elif not closing_ and not _HIDDEN.search(attributes):
                cell = []
    end()
    return rows


def _page(text: str) -> Rows:
    """Return the table of a page that has a time, a symbol and a price: of a report of MetaTrader, its positions."""
    names: list[str] = []
    found: Rows = []
    for row in page_rows(text):
        lowered = {cell.lower() for cell in row}
        if {"time", "symbol", "price"} <= lowered or {"open time", "price"} <= lowered:
            if found:
                break  # orders and deals are what the positions were made of
            names = distinct(row)
        elif names and len(row) == len(names):
            found.append(dict(zip(names, row, strict=True)))
        elif found:
            break
    return found


def _flex(text: str, name: str) -> Rows:
    """Return the attributes of each `<Trade …/>` of a Flex query in XML; no entity of it is looked up."""
    rows = [{key: unescape(one) for key, one in _ATTRIBUTE.findall(found)} for found in _FLEX.findall(text)]
    if not rows:
        raise InputError(f"{name} is XML with no trade in it", hint="a Flex query with the section Trades")
    return rows


# --- objects ------------------------------------------------------------------------------------------------------


def _objects(text: str, name: str) -> list[dict[str, str]]:
    """Return the objects of a JSON file that are trades: its one list, or the lists called `trades` within it."""
    try:
        tree = msgspec.json.decode(text)
        several = tree.get("strategy") if isinstance(tree, dict) else None
        if isinstance(several, dict) and len(several) > 1:  # of a backtest by freqtrade
            names = escaped(", ".join(map(str, several)), 200)
            one = escaped(str(next(iter(several))), 60)
            raise InputError(
                f"{name} has the trades of {len(several)} strategies: {names}",
                hint=f"take one: jq '.strategy[\"{one}\"]' {name}",
            )
        lists = [tree] if isinstance(tree, list) else list(_lists(tree))
        rows = [row for one in lists for row in one if isinstance(row, dict)]
        return [_flat(row) for row in rows]
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise InputError(
            f"{name} is not whole JSON: {escaped(str(error).lower(), 200)}", hint="fetch it again"
        ) from None


def _lists(tree: Any, depth: int = 0) -> list[list[Any]]:
    if not isinstance(tree, dict) or depth > _DEEPEST:
        return []
    named = []
    for value in (tree[key] for key in ("trades", "fills", "data") if key in tree):
        if isinstance(value, dict) and value and all(isinstance(row, dict) for row in value.values()):
            named.append([{"txid": key} | row for key, row in value.items()])  # as Kraken's API has them
        elif isinstance(value, list):
            named.append(value)
    return named or [one for value in tree.values() for one in _lists(value, depth + 1)]


def _flat(row: Mapping[str, Any], below: str = "", depth: int = 0) -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in row.items():
        if isinstance(value, dict):
            if depth < 2:
                flat |= _flat(value, f"{below}{key}.", depth + 1)
        elif not isinstance(value, list):
            text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
            flat[f"{below}{key}"] = text
    return flat


def _database(path: Path) -> list[dict[str, str]]:
    """Return the table `trades` of a freqtrade database, opened to be read alone; nothing that is in it runs."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.execute("PRAGMA query_only=ON")
            kind = connection.execute("SELECT type FROM sqlite_master WHERE name = 'trades'").fetchone()
            if kind != ("table",):
                raise InputError(f"{path.name} has no table of trades", hint="freqtrade's is tradesv3.sqlite")
            connection.row_factory = sqlite3.Row
            rows = connection.execute("SELECT * FROM trades LIMIT ?", (_ROWS + 1,)).fetchall()
    except sqlite3.Error as error:
        raise InputError(
            f"{path.name} can't be read: {error}", hint="a copy of a database that is not in use"
        ) from None
    return [{key: "" if row[key] is None else str(row[key]) for key in row.keys()} for row in rows]


def _archive(data: bytes, name: str) -> Rows:
    """Return the trades of an archive, as freqtrade writes its results: of its documents, the one that has some."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            members = packed.infolist()[:_MEMBERS]
            if any(one.filename == "[Content_Types].xml" for one in members):
                raise InputError(f"{name} is a workbook", hint="save it as CSV, or the report as HTML")
            for one in members:
                if one.filename.lower().endswith((".json", ".csv")) and not one.is_dir():
                    with packed.open(one) as stream:  # what it promises of its size is not believed
                        content = stream.read(_BYTES + 1)
                    if len(content) > _BYTES:
                        raise InputError(f"{one.filename} in {name} is too large", hint="cut it into parts")
                    text = _text(content, one.filename)
                    rows = _objects(text, name) if one.filename.lower().endswith("json") else _table(text, name)
                    if rows:
                        return rows
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError, OSError):
        raise InputError(f"{name} is no whole archive", hint="fetch it again") from None
    return []
