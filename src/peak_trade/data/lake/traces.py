"""Telemetry to rows: the files of a folder to `spans`, `logs` and `telemetry`.

A folder is read as a whole, and again as a whole when one of its files has changed: its rows take the place of those it
had. So what the report or the tracker records after its run came into the lake is added by the next build, nothing
stands there twice, and the rows are those that a build from nothing gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from peak_trade.data.lake import parts, schema
from peak_trade.shown.otlp import Key, Log, Span
from peak_trade.shown.telemetry import File, Telemetry, folders
from peak_trade.text import as_utf8

__all__ = ["TABLES", "State", "changed", "keys", "path_of", "state_of", "to_tables"]

TABLES = ("spans", "logs", "telemetry")
State = dict[str, set[tuple[str, int, int]]]
"""By folder, its files: path, bytes, and the time of the last write in microseconds since 1970."""


def state_of(results: Path) -> State:
    """Return the files that are there now."""
    return {
        folder: {(path_of(file, results), file.bytes, file.modified // 1000) for file in files}
        for folder, files in folders(results).items()
    }


def changed(before: Any, now: State) -> set[str]:
    """Return the folders to read again, and those that have gone; `before` is what the table `telemetry` holds.

    Those whose spans another folder had already are read again with them: the other one may be what has gone.
    """
    known: State = {}
    repeated = set()
    columns = (before[name].to_pylist() for name in ("folder", "file", "bytes", "repeated"))
    times = parts.to_numpy(before["modified"], "i8").tolist()
    for folder, file, size, twice, modified in zip(*columns, times, strict=True):
        known.setdefault(folder, set()).add((file, size, modified))
        if twice:
            repeated.add(folder)
    found = {folder for folder in known.keys() | now.keys() if known.get(folder) != now.get(folder)}
    return found | repeated if found else found


def keys(spans: Any) -> set[Key]:
    """Return the keys of rows of the table `spans`."""
    columns = (spans[name].to_pylist() for name in ("run_id", "trace_id", "span_id"))
    return set(zip(*columns, strict=True))


def to_tables(told: Sequence[Telemetry], results: Path) -> dict[str, Any]:
    """Return the rows of folders as Arrow tables, by name."""
    spans = [(span, one.folder) for one in told for span in one.spans]
    logs = [(log, one.folder) for one in told for log in one.logs]
    spans.sort(key=lambda item: item[0].run_id)  # within a run they are in order of time already
    logs.sort(key=lambda item: item[0].run_id)
    files = sorted(((file, one.folder) for one in told for file in one.files), key=lambda item: item[1])
    return {
        "spans": _table("spans", _SPAN, spans),
        "logs": _table("logs", _LOG, logs),
        "telemetry": _table("telemetry", _FILE | {"file": lambda file: path_of(file, results)}, files),
    }


def _table(name: str, of: dict[str, Callable[[Any], Any]], items: Sequence[tuple[Any, str]]) -> Any:
    kinds = schema.arrow_schema(name)
    columns = {"folder": [folder for _, folder in items]}
    for column in set(kinds.names) - columns.keys():
        read = of.get(column) or attrgetter(column)
        columns[column] = [read(item) for item, _ in items]
    return pa.table([pa.array(columns[field.name], field.type) for field in kinds], schema=kinds)


def path_of(file: File, results: Path) -> str:
    """Return a file's path within `results`."""
    return as_utf8(file.path.relative_to(results).as_posix())


def _json(value: Any) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()


# Columns that are no attribute of that name.
_SPAN: dict[str, Callable[[Span], Any]] = {
    "start": lambda span: span.start // 1000,
    "message": lambda span: span.error,
    "attributes": lambda span: _json(span.attributes),
    "process": lambda span: _json(span.process),
}
_LOG: dict[str, Callable[[Log], Any]] = {
    "time": lambda log: log.time // 1000,
    "attributes": lambda log: _json(log.attributes),
}
_FILE: dict[str, Callable[[File], Any]] = {"modified": lambda file: file.modified // 1000}
