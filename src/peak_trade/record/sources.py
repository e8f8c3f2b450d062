"""Files that were exported elsewhere: read within bounds, told apart by their content, taken to tables and documents.

Nothing is executed, unpickled or written to a path that a file names.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from peak_trade.errors import InputError
from peak_trade.market.lists.files import distinct, head_of, page_rows
from peak_trade.record import workbook
from peak_trade.record.sheets import Column, Sheet
from peak_trade.text import as_utf8, escaped

__all__ = ["PICKLED", "Source", "columns_of", "read"]

_BYTES, _UNPACKED, _ROWS, _COLUMNS, _MEMBERS = 256 << 20, 512 << 20, 1_000_000, 500, 1_000
_LISTED = 16 << 20  # bytes of a column of lists that are read as names
_PREAMBLE = 12  # lines that may stand above a table's head
_PICKLES = (".pkl", ".pickle", ".p", ".joblib", ".dill", ".hyperopt_results")
PICKLED = (
    "export it as a table instead: frame.to_csv('equity.csv'), or to_parquet; of zipline,"
    " python -c \"import pandas as pd; pd.read_pickle('perf.pkl')[['portfolio_value']].to_csv('perf.csv')\""
)
"""What to do with a pickle: whoever trusts it opens it where it was made."""
_MARKUP = re.compile(r"\s*(<!doctype html|<html|<table|<\?xml[^>]*>\s*<!doctype html)", re.IGNORECASE)
_DATED = re.compile(r"\d{4}-\d\d-\d\d|\d{8}$|\d{10,19}$|\d\d?[./]\d\d?[./]\d{4}")
_NUMBER = re.compile(r"[-+]?\d*[.,]?\d+(e[-+]?\d+)?%?", re.IGNORECASE)
_COMMA = re.compile(r'(?:^|["\t|])[-+\u2212]?\d+,(?:\d{1,2}|\d{4,})(?=["\t|\r\n]|$)', re.MULTILINE)
"""A cell with a decimal comma: a row, a tab or a quote is what it stands between."""
_ENTITY = re.compile(r"<!ENTITY", re.IGNORECASE)


class Source(Struct, eq=False):
    """A file as it lies there, and what is in it: tables, documents (decoded JSON) and lines of labels with values."""

    name: str
    content: bytes
    sha256: str
    kind: str
    sheets: list[Sheet] = []
    documents: list[tuple[str, Any]] = []
    rows: list[list[str]] = []  # of a page or a workbook, all of them: what a report says above its tables


def read(path: Path) -> Source:
    """Read one file. InputError for what is not there, no regular file, too large, or nothing that is known."""
    content = _bytes(path)
    name = as_utf8(path.name)
    source = Source(name, content, hashlib.sha256(content).hexdigest(), "")
    if not content.strip(b" \t\r\n\0"):
        raise InputError(f"{name} is empty", hint="export it again")
    for kind, told, reader in _KINDS:
        if told(content, name):
            source.kind = kind
            reader(source)
            return source
    source.kind = "csv"
    _table(source)
    return source


def _bytes(path: Path) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe must not be waited for
        try:
            about = os.fstat(handle)
            if not stat.S_ISREG(about.st_mode):
                what = "a folder" if stat.S_ISDIR(about.st_mode) else "not a regular file"
                raise InputError(f"{escaped(str(path), 200)} is {what}", hint="name the file that was exported")
            if about.st_size > _BYTES:
                raise InputError(
                    f"{escaped(path.name, 100)} has {about.st_size:,} bytes, more than {_BYTES:,}",
                    hint="export a shorter range, or trades alone",
                )
            with open(handle, "rb", closefd=False) as stream:
                return stream.read(_BYTES + 1)
        finally:
            os.close(handle)
    except (OSError, ValueError) as error:
        why = (getattr(error, "strerror", "") or str(error)).lower()
        raise InputError(f"cannot read {escaped(str(path), 200)}: {why}", hint="check the path") from None


# --- kinds --------------------------------------------------------------------------------------------------------


def _is_pickle(content: bytes, name: str) -> bool:
    pickled = content[:1] == b"\x80" and content[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
    return pickled or name.lower().endswith(_PICKLES) or content[:4] in (b"(lp0", b"(dp0", b"ccop")


def _refuse_pickle(source: Source) -> None:
    raise InputError(f"{source.name} is a pickle, which runs code when it is opened: it is never opened", hint=PICKLED)


def _refuse_packed(source: Source) -> None:
    raise InputError(f"{source.name} is packed", hint=f"gunzip -k {source.name}, then import what comes of it")


def _refuse_feather(source: Source) -> None:
    raise InputError(f"{source.name} is a feather file", hint="export it as Parquet or CSV")


def _archive(source: Source) -> None:
    """Read a workbook, or the documents and tables of an archive; of what is packed in there again nothing."""
    name = source.name
    try:
        with zipfile.ZipFile(io.BytesIO(source.content)) as packed:
            members = packed.infolist()
            if len(members) > _MEMBERS:
                raise InputError(f"{name} has {len(members):,} members, more than {_MEMBERS:,}", hint="name one file")
            for one in members:
                if one.filename.startswith("/") or ".." in one.filename.replace("\\", "/").split("/"):
                    raise InputError(
                        f"{name} has a member that leads out of it: {escaped(one.filename, 60)}", hint="export it again"
                    )
            left = _UNPACKED

            def take(member: str) -> bytes:
                nonlocal left
                with packed.open(member) as stream:  # what it promises of its size is not believed
                    content = stream.read(left + 1)
                left -= len(content)
                if left < 0:
                    raise InputError(
                        f"{name} unpacks to more than {_UNPACKED:,} bytes", hint="name the file that is in it"
                    )
                return content

            if any(one.filename == "[Content_Types].xml" for one in members):
                source.kind = "xlsx"
                for title, rows in workbook.rows_of(packed, take, name):
                    source.rows += rows
                    source.sheets += _tables(rows, f"{name} [{escaped(title, 40)}]" if title else name, serial=True)
                return
            for one in members:
                if one.filename.lower().endswith(".json") and not one.is_dir():
                    content = take(one.filename)
                    source.documents.append((one.filename, _document(content, f"{one.filename} in {name}")))
    except InputError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError, OSError, KeyError):
        raise InputError(f"{name} is no whole archive", hint="fetch it again") from None
    if not source.documents:
        raise InputError(f"{name} has no JSON in it", hint="name the file that was exported, unpacked")


def _document(content: bytes, name: str) -> Any:
    try:
        try:
            return msgspec.json.decode(content)
        except ValueError:
            if b"NaN" not in content and b"Infinity" not in content:  # which are no JSON, and written all the same
                raise
            return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{name} is no whole JSON: {escaped(str(error).lower(), 200)}", hint="export it again"
        ) from None


def _json(source: Source) -> None:
    """Read a document, or one a line."""
    try:
        source.documents = [(source.name, _document(source.content, source.name))]
        return
    except InputError:
        lines = source.content.split(b"\n")
        if len(lines) < 2 or not lines[0].rstrip().endswith((b"}", b"]")):
            raise
    documents = []
    for at, line in enumerate(lines, 1):
        if line.strip():
            if at > _ROWS:
                raise InputError(f"{source.name} has more than {_ROWS:,} lines", hint="cut it into parts")
            documents.append((f"{source.name} line {at}", _document(line, f"{source.name} line {at}")))
    source.kind, source.documents = "lines", documents


def _page(source: Source) -> None:
    text = _text(source.content, source.name)
    if _ENTITY.search(text[:100_000]):
        raise InputError(f"{source.name} declares entities: no report does", hint="export it again")
    source.rows = page_rows(text)
    if len(source.rows) > _ROWS:
        raise InputError(f"{source.name} has more than {_ROWS:,} rows", hint="export a shorter range")
    source.sheets = _tables(source.rows, source.name)


def _tables(rows: list[list[str]], name: str, *, serial: bool = False) -> list[Sheet]:
    """Return the tables among rows, one below the other: each begins with a row of five names at least."""
    found: list[Sheet] = []
    names: list[str] = []
    body: list[list[str]] = []

    def close() -> None:
        if names and body:
            columns = {
                title: [row[at] if at < len(row) else "" for row in body] for at, title in enumerate(names) if title
            }
            found.append(Sheet(name, columns, len(body), serial=serial))  # type: ignore[arg-type]

    for row in rows:
        cells = [cell.strip() for cell in row]
        filled = [cell for cell in cells if cell]
        if len(filled) >= 5 and not any(_is_figure(cell) for cell in filled):
            close()
            names, body = distinct(cells), []
        elif (names and len(filled) == 1) or (filled and cells[0].endswith(":")):  # the title of what comes next
            close()
            names, body = [], []
        elif names and filled:
            body.append(cells)
    close()
    if not found:  # of fewer columns, as returns have them
        filled_rows = [row for row in rows if any(cell.strip() for cell in row)]
        if len(filled_rows) > 1 and 2 <= len(filled_rows[0]) < 5:
            names, body = distinct(filled_rows[0]), filled_rows[1:]
            close()
    return found


_AROUND_DIGITS = str.maketrans("", "", "-+.,:/ \u00a0%T")


def _is_figure(cell: str) -> bool:
    return cell.translate(_AROUND_DIGITS).isdigit()


def _text(content: bytes, name: str) -> str:
    wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    form = "utf-16" if wide else "utf-8-sig"
    if not wide and b"\0" in content[:100]:  # of UTF-16 without a mark, every second byte of what is plain
        form = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be" if content[:1] == b"\0" else form
    try:
        text = content.decode(form)
    except UnicodeDecodeError:
        raise InputError(f"{name} is neither text in UTF-8 nor in UTF-16", hint="save it as UTF-8") from None
    if "\0" in text:
        raise InputError(f"{name} is not a text file", hint="name a file that was exported, as CSV or JSON")
    return text


def _table(source: Source) -> None:
    text = _text(source.content, source.name)
    lines = text[:16_384].splitlines()[:_PREAMBLE] or [""]
    head, delimiter = head_of(lines)
    reader = csv.reader(io.StringIO(text, newline=None), delimiter=delimiter, skipinitialspace=True)
    try:
        for _ in range(head):
            next(reader, None)
        first = next(reader, [])
        rows = list(filter(any, reader))
        if len(first) == 2 and _DATED.match(first[0]) and _NUMBER.fullmatch(first[1].strip()):  # a series without names
            rows.insert(0, first)
            first = ["", "0"]
        names = distinct(first)
    except csv.Error as error:
        raise InputError(f"{source.name} row {reader.line_num}: {error}", hint="export it again") from None
    if len(rows) > _ROWS:
        raise InputError(f"{source.name} has more than {_ROWS:,} rows", hint="cut it into parts")
    if len(names) > _COLUMNS:
        raise InputError(f"{source.name} has more than {_COLUMNS} columns", hint="name a list of trades, or an equity")
    if rows and all(len(row) == 1 for row in rows):
        raise InputError(f"{source.name} is no table", hint="name a file that was exported, as CSV or JSON")
    width = len(names)
    if not set(map(len, rows)) <= {width}:
        for at, row in enumerate(rows, 1):
            if any(cell.strip() for cell in row[width:]):
                raise InputError(
                    f"{source.name} row {at} has {len(row)} cells below {width} names", hint="export it again"
                )
        rows = [[*row, *[""] * (width - len(row))][:width] for row in rows]
    columns: dict[str, Column] = dict(zip(names, map(list, zip(*rows, strict=True)), strict=False))
    plain = delimiter != ";" and not (("," != delimiter or '"' in text) and _COMMA.search(text))
    source.sheets = [Sheet(source.name, columns or {name: [] for name in names}, len(rows), plain=plain)]


def _parquet(source: Source) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise InputError(f"{source.name} is Parquet, which needs pyarrow", hint="just setup lake") from None
    try:
        about = pq.read_metadata(pa.BufferReader(source.content))
        sizes = (about.row_group(at).total_byte_size for at in range(about.num_row_groups))
        if about.num_rows > _ROWS or about.num_columns > _COLUMNS or sum(sizes) > _UNPACKED:
            raise InputError(f"{source.name} has more than {_ROWS:,} rows, or is too large", hint="cut it into parts")
        leaves = [about.schema.column(at) for at in range(about.num_columns)]
        texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY" and leaf.path == leaf.name]
        table = pq.ParquetFile(pa.BufferReader(source.content), read_dictionary=texts).read(use_threads=False)
        if sum(map(_spelled_out, table.columns)) > _UNPACKED:  # a text that is there once, and meant a million times
            raise InputError(f"{source.name} is too large once it is unpacked", hint="cut it into parts")
        columns: dict[str, Column] = {}
        for name, column in zip(table.column_names, table.columns, strict=True):
            columns[_index(name)] = _array(column, pa)
        zoned = {_index(field.name) for field in table.schema if getattr(field.type, "tz", None)}
    except (pa.ArrowException, OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{source.name} is no whole Parquet file: {escaped(str(error).lower(), 160)}", hint="export it again"
        ) from None
    source.sheets = [Sheet(source.name, columns, table.num_rows, zoned=frozenset(zoned))]


def _spelled_out(column: Any) -> int:
    """Return the bytes of a column of texts whose every cell holds its own; 0 of any other column."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type) or not (
        pa.types.is_string(column.type.value_type) or pa.types.is_binary(column.type.value_type)
    ):
        return 0
    lengths = (pc.sum(pc.take(pc.binary_length(one.dictionary), one.indices)).as_py() for one in column.chunks)
    return sum(length or 0 for length in lengths)


def _index(name: str) -> str:
    """Return the name of a column; that of an index without one is empty, as in a CSV file."""
    return "" if re.fullmatch(r"__index_level_\d+__", name) else name


def _array(column: Any, pa: Any) -> Column:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return np.asarray(column.cast(pa.timestamp("ns", getattr(kind, "tz", None))).to_numpy()).astype("M8[ns]")
    if pa.types.is_floating(kind) or (pa.types.is_integer(kind) and not column.null_count):
        return np.asarray(column.to_numpy())
    if pa.types.is_integer(kind):
        return np.asarray(column.cast(pa.float64()).to_numpy())
    if pa.types.is_duration(kind):
        return np.asarray(column.cast(pa.int64()).fill_null(0).to_numpy()).astype(np.float64)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_boolean(kind):
        return list(column.to_pylist())
    if pa.types.is_decimal(kind):
        return np.asarray(column.cast(pa.float64()).to_numpy())
    if pa.types.is_list(kind) and column.nbytes < _LISTED:  # a name of several parts, as (10, 20)
        return [None if cell is None else f"({', '.join(map(str, cell))})" for cell in column.to_pylist()]
    return [""] * len(column)  # objects, lists, bytes: not opened, the file itself is kept


def columns_of(rows: Sequence[Any], name: str) -> Sheet:
    """Return objects of a document as a table; what is in a list or an object in one is left in the file."""
    kept = [row for row in rows if isinstance(row, dict)]
    if len(kept) > _ROWS:
        raise InputError(f"{name} has more than {_ROWS:,} rows", hint="cut it into parts")
    names = list(dict.fromkeys(key for row in kept[:1_000] for key in row))[:_COLUMNS]
    columns: dict[str, Column] = {}
    alike = len(set(map(tuple, kept))) == 1  # the same keys in the same order
    ready = dict(zip(names, map(list, zip(*map(dict.values, kept), strict=True)), strict=False)) if alike else {}
    for key in names:
        cells = ready[key] if alike else [row.get(key) for row in kept]
        if not set(map(type, cells)) & {list, dict}:
            columns[key] = cells
        else:
            with suppress(KeyError):
                columns[key] = [_inner(cell) for cell in cells]
    return Sheet(name, columns, len(kept))


def _inner(cell: Any) -> Any:
    """Return the name that an object stands for, as a symbol's is its value; nothing of others."""
    if isinstance(cell, list) and len(cell) == 1:
        cell = cell[0]
    if isinstance(cell, dict):
        cell = next((cell[key] for key in ("value", "Value") if isinstance(cell.get(key), str)), None)
    return None if isinstance(cell, list | dict) else cell


def _is_json(content: bytes, name: str) -> bool:
    return content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")


def _is_page(content: bytes, name: str) -> bool:
    start = content[:4_000]
    if start[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in start[:100]:
        start = start.replace(b"\0", b"").lstrip(b"\xff\xfe")
    return _MARKUP.match(start.decode("utf-8", "replace").lstrip("\ufeff")) is not None


_KINDS: tuple[tuple[str, Callable[[bytes, str], bool], Callable[[Source], None]], ...] = (
    ("pickle", _is_pickle, _refuse_pickle),
    ("gzip", lambda content, _: content[:2] == b"\x1f\x8b", _refuse_packed),
    ("feather", lambda content, _: content[:6] in (b"ARROW1", b"FEA1\0\0"), _refuse_feather),
    ("parquet", lambda content, _: content[:4] == b"PAR1", _parquet),
    ("zip", lambda content, _: content[:4] in (b"PK\x03\x04", b"PK\x05\x06"), _archive),
    ("json", _is_json, _json),
    ("page", _is_page, _page),
)
"""Which content is what, the first that fits; all else is a table of text."""
