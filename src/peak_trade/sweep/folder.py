"""A sweep on disk while it is under way: `results/.sweeps/<run_id>/`, shared by all that work on it.

    order.msgpack   what was asked, by which the same command finds its sweep again
    rows/0-000012   the rows of a chunk: round 0, chunk 12

A file is written under another name, flushed, and renamed: one that has its name is whole. The rows of a chunk are the
same whoever makes them, so the last one to rename changes nothing.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from peak_trade.errors import RunError
from peak_trade.evidence import files
from peak_trade.sweep.rows import Rows

__all__ = ["SWEEPS", "Folder"]

SWEEPS = ".sweeps"


class Folder:
    """The folder of one sweep."""

    def __init__(self, results: Path, run_id: str) -> None:
        self.results, self.run_id = results, run_id
        self.path = results / SWEEPS / run_id

    @classmethod
    def under_way(cls, results: Path) -> list[Folder]:
        """Return the sweeps that are not sealed yet."""
        try:
            return [
                cls(results, entry.name) for entry in sorted(os.scandir(results / SWEEPS), key=lambda one: one.name)
            ]
        except FileNotFoundError:
            return []

    def begin(self, order: bytes) -> None:
        """Make the folder, with the order that its sweep has."""
        (self.path / "rows").mkdir(parents=True, exist_ok=True)
        self._write("order.msgpack", order)
        files.sync_folder(self.path.parent)

    def order(self) -> bytes:
        """Return the order; empty where there is none yet."""
        try:
            return (self.path / "order.msgpack").read_bytes()
        except FileNotFoundError:
            return b""

    def keep(self, number: int, chunk: int, rows: Rows) -> None:
        """Put the rows of a chunk of a round on disk."""
        self._write(f"rows/{number}-{chunk:06}", rows.encode())

    def has(self, number: int) -> set[int]:
        """Return the chunks of a round whose rows are there."""
        return {int(name.partition("-")[2]) for name in self._names() if name.startswith(f"{number}-")}

    def rows(self, number: int, chunks: int) -> Rows:
        """Return the rows of a round; RunError where a file is not what was written."""
        return Rows.joined(list(self._read(number, chunks)))

    def end(self) -> None:
        """Remove the folder: the sweep is sealed."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _read(self, number: int, chunks: int) -> Iterator[Rows]:
        for chunk in range(chunks):
            path = self.path / "rows" / f"{number}-{chunk:06}"
            try:
                yield Rows.decode(path.read_bytes())
            except ValueError as error:
                raise RunError(f"{path.name} of the sweep is damaged: {error}", hint=f"remove {path}") from None

    def _names(self) -> list[str]:
        return [name for name in os.listdir(self.path / "rows") if "." not in name]

    def _write(self, name: str, content: bytes) -> None:
        path = self.path / name
        draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            files.write(draft, [content])
            os.rename(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        files.sync_folder(path.parent)
