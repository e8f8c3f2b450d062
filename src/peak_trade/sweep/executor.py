"""Who works: an executor takes the chunks of a round that are still to be done, and says which are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from msgspec import Struct

from peak_trade.sweep.bench import Bench
from peak_trade.sweep.folder import Folder
from peak_trade.sweep.plan import Round
from peak_trade.sweep.rows import Rows

__all__ = ["Chunk", "Executor", "Serial", "work"]


class Chunk(Struct, frozen=True):
    """Tasks `first` up to `end` of a round."""

    round: int
    number: int
    first: int
    end: int


class Executor(Protocol):
    """Does chunks, each until its rows are in the folder."""

    def run(self, tasks: Round, chunks: Sequence[Chunk]) -> Iterator[tuple[Chunk, int]]:
        """Yield each chunk, with the count of its failed trials, once its rows are on disk, in any order."""


def work(bench: Bench, folder: Folder, tasks: Round, chunk: Chunk) -> int:
    """Make a chunk's trials, put their rows on disk, and return how many failed."""
    rows = Rows.of([bench.trial(tasks[at]) for at in range(chunk.first, chunk.end)])
    folder.keep(chunk.round, chunk.number, rows)
    return len(rows.error)


class Serial(Struct, frozen=True):
    """One after the other, in this process."""

    bench: Bench
    folder: Folder

    def run(self, tasks: Round, chunks: Sequence[Chunk]) -> Iterator[tuple[Chunk, int]]:
        """Yield each chunk once it is done."""
        for chunk in chunks:
            yield chunk, work(self.bench, self.folder, tasks, chunk)
