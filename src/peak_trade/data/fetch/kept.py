"""What is kept of a fetch: the file of bars, the note beside it, and what an interrupted one leaves.

`NAME.parquet` holds the bars, and in its metadata where they came from; it gets its name when it is whole.
`NAME.parquet.json` is the note: request, digests, holes, revisions, and each fetch that changed something.
`NAME.parquet.part` holds what the exchange has given so far, until the file has it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from peak_trade.data.fetch.grid import VALUES, Rows, Times
from peak_trade.errors import InputError
from peak_trade.evidence.files import digest, disk_errors, drafted, encode_json, sync_folder
from peak_trade.market.bars import Bars

__all__ = [
    "FORMAT",
    "Held",
    "as_bars",
    "claimed",
    "describe",
    "note_of",
    "part_of",
    "read",
    "read_note",
    "write",
    "write_note",
]

FORMAT = "peak_trade.fetch/1"
KEY = b"peak_trade.fetch"
SERIES = ("exchange", "symbol", "timeframe")
_EMPTY = (np.empty(0, np.int64), np.empty((0, len(VALUES))))


class Held(msgspec.Struct, frozen=True):
    """A file's bars, and what its metadata says of them: nothing where there is no file, or nobody wrote it in."""

    times: Times
    values: Rows
    origin: dict[str, Any]


def note_of(path: Path) -> Path:
    """Return where the note of a file of bars is."""
    return path.with_name(path.name + ".json")


def part_of(path: Path) -> Path:
    """Return where an interrupted fetch of a file leaves what it has."""
    return path.with_name(path.name + ".part")


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Hold a file of bars for oneself, its folder made where there is none; InputError where another fetch has it."""
    lock = path.with_name(f".{path.name}.lock")
    made = not path.parent.exists()
    with disk_errors(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"another process is fetching {path}", hint="wait for it, or name another --output"
            ) from None
        try:
            yield
        finally:
            with suppress(OSError):
                os.unlink(lock)
                if made:
                    os.rmdir(path.parent)  # where nothing has come of it
    finally:
        os.close(handle)


def read(path: Path) -> Held:
    """Return what a file of bars holds; errors: InputError where it is none."""
    if not path.exists():
        return Held(*_EMPTY, {})
    import pyarrow as pa
    import pyarrow.parquet as pq

    hint = "another --output, or move it away"
    try:
        file = pq.ParquetFile(path, pre_buffer=False)
        origin = msgspec.json.decode((file.schema_arrow.metadata or {}).get(KEY, b"{}"))
        table = file.read(columns=["timestamp", *VALUES], use_threads=False)
        times = table["timestamp"].cast(pa.timestamp("ms", "UTC")).cast(pa.int64()).to_numpy()
        values = np.column_stack([table[name].cast(pa.float64()).to_numpy() for name in VALUES])
    except (pa.ArrowException, OSError, KeyError, ValueError, msgspec.DecodeError) as error:
        raise InputError(
            f"{path} can't be read as a file of bars: {str(error).splitlines()[0].lower()}", hint=hint
        ) from None
    if not np.isfinite(values).all() or not (times[1:] > times[:-1]).all():
        raise InputError(f"{path} holds bars that are out of order, twice there or no numbers", hint=hint)
    return Held(times.astype(np.int64), values, origin)


def read_note(path: Path) -> dict[str, Any]:
    """Return the note of a file of bars; an empty one where there is none that can be read."""
    try:
        note = msgspec.json.decode(note_of(path).read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}
    return note if isinstance(note, dict) and note.get("format") == FORMAT else {}


def write(path: Path, times: Times, values: Rows, origin: dict[str, Any]) -> dict[str, Any]:
    """Put bars in the place of a file, whole or not at all; return its name, sha256 and size."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [pa.array(times, pa.timestamp("ms", "UTC")), *(pa.array(column) for column in values.T)]
    schema = pa.schema(
        [("timestamp", columns[0].type), *((name, pa.float64()) for name in VALUES)],
        metadata={KEY: msgspec.json.encode(origin)},
    )
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns, schema=schema), sink, compression="zstd")
    _replace(path, sink.getvalue())
    return describe(path)


def describe(path: Path) -> dict[str, Any]:
    """Return a file's name, sha256 and size, as the note has them."""
    return {"name": path.name, "sha256": digest(path), "bytes": path.stat().st_size}


def write_note(path: Path, note: dict[str, Any]) -> None:
    """Put a note beside a file of bars."""
    _replace(note_of(path), encode_json(note))


def as_bars(times: Times, values: Rows, symbol: str, timeframe: str) -> Bars:
    """Return what was fetched as bars."""
    columns = {name: np.ascontiguousarray(column) for name, column in zip(VALUES, values.T, strict=True)}
    return Bars(times.astype("M8[ms]").astype("M8[ns]"), **columns, symbol=symbol, timeframe=timeframe)


def _replace(path: Path, content: Any) -> None:
    with disk_errors(str(path)):
        with drafted(path) as draft, draft.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        sync_folder(path.parent)
