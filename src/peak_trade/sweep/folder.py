"""A sweep on disk while it is under way: `results/.sweeps/<run_id>/`, shared by all that work on it.

    order.msgpack               what was asked: all that another machine needs to work along
    rows/0-00000012-00000076    the rows of a chunk: of round 0, the trials from 12 up to 76
    claims/, workers/           who makes which trials: see `claims`

A file is written under another name, flushed, and renamed: one that has its name is whole. The rows of a trial are the
same whoever makes them, so it changes nothing where chunks overlap, or who renames last.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from peak_trade.errors import RunError
from peak_trade.evidence import door, files
from peak_trade.evidence.results import SWEEPS
from peak_trade.sweep.rows import Rows
from peak_trade.sweep.spans import Span, merged, total

__all__ = ["Folder"]

_CHUNK = re.compile(r"(\d{1,9})-(\d{8})-(\d{8})")
_LARGEST = 1 << 30  # bytes of the rows of a chunk


class Folder:
    """The folder of one sweep."""

    def __init__(self, results: Path, run_id: str) -> None:
        self.results, self.run_id = results, run_id
        self.path = results / SWEEPS / run_id

    def begin(self, order: bytes) -> None:
        """Make the folder, with the order that its sweep has."""
        (self.path / "rows").mkdir(parents=True, exist_ok=True)
        self._write("order.msgpack", order)
        files.sync_folder(self.path.parent)

    def order(self) -> bytes:
        """Return the order; empty where there is none yet."""
        try:
            return door.read(self.path, "order.msgpack")
        except FileNotFoundError:
            return b""

    def keep(self, number: int, first: int, rows: Rows) -> None:
        """Put the rows of a round's trials, from the trial `first` on, on disk. Raises OSError."""
        self._write(f"rows/{number}-{first:08}-{first + len(rows):08}", rows.encode())

    def done(self, number: int) -> list[Span]:
        """Return the trials of a round whose rows are there."""
        return merged(self.chunks(number))

    def chunks(self, number: int) -> list[Span]:
        """Return the chunks of a round that are there, which may overlap, in no order."""
        return [(int(first), int(end)) for of, first, end in self._names() if int(of) == number]

    def chunk(self, number: int, first: int, end: int) -> Rows:
        """Return the rows of a chunk; RunError where its file is not what was written."""
        name = f"{number}-{first:08}-{end:08}"
        try:
            rows = Rows.decode(door.read(self.path, f"rows/{name}", _LARGEST))
            if len(rows) != end - first:
                raise ValueError(f"it has {len(rows)} rows")
        except FileNotFoundError:
            raise
        except (ValueError, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            hint = shlex.join(["rm", str(self.path / "rows" / name)])
            raise RunError(f"{name} of the sweep is damaged: {why}", hint=f"{hint}; then the same command") from None
        return rows

    def rows(self, number: int, count: int) -> Rows:
        """Return the rows of a round of `count` trials; RunError where a file is not what was written."""
        return Rows.gathered(self._read(number, self.chunks(number), count), count)

    def there(self, number: int) -> Rows:
        """Return the rows of a round that are there, in order."""
        chunks = self.chunks(number)
        return Rows.gathered(self._read(number, chunks, None), total(merged(chunks)))

    def all_rows(self) -> Rows:
        """Return the rows of all rounds that are there."""
        return Rows.joined([self.there(number) for number in sorted(self._rounds())])

    def end(self) -> None:
        """Remove the folder: the sweep is sealed."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _read(self, number: int, chunks: list[Span], count: int | None) -> Iterator[Rows]:
        """Yield the rows of a round in order, each trial once: all of `count` trials, or those that are there."""
        at = 0
        for first, end in sorted(chunks):
            if end <= at:
                continue
            if count is not None and (first > at or end > count):
                break
            yield self.chunk(number, first, end).since(max(at - first, 0))
            at = end
        if count is not None and at != count:
            raise RunError(f"the rows of the sweep end at {at}, not {count}", hint="the same command makes the others")

    def _rounds(self) -> set[int]:
        return {int(of) for of, _, _ in self._names()}

    def _names(self) -> list[list[str]]:
        try:
            with door.folder(self.path, "rows") as handle:
                return [list(found.groups()) for found in map(_CHUNK.fullmatch, os.listdir(handle)) if found]
        except FileNotFoundError:
            return []

    def _write(self, name: str, content: bytes) -> None:
        *below, last = name.split("/")
        draft = f".{last}.{uuid.uuid4().hex}"
        with door.folder(self.path, *below, make=True) as handle:
            try:
                files.write(draft, [content], handle)
                os.rename(draft, last, src_dir_fd=handle, dst_dir_fd=handle)
            except BaseException:
                with suppress(OSError):
                    os.unlink(draft, dir_fd=handle)
                raise
            os.fsync(handle)
