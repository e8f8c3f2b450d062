"""Few files instead of many, and none that nothing names.

Compaction changes no row: it writes merged files, then a marker that names them in the place of those they were merged
from. A reader of the marker before goes on reading those; they are removed when nobody does and the grace is over.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

from msgspec import Struct

from peak_trade.data.lake import names, parts, schema
from peak_trade.data.lake.commit import Live, Part
from peak_trade.data.lake.writer import GRACE_S, Writer, writing
from peak_trade.errors import InputError

__all__ = ["Compacted", "compact"]


class Compacted(Struct):
    """How many files were merged to how many, and how many were removed."""

    before: int = 0
    after: int = 0
    removed: int = 0


def compact(
    lake: str | os.PathLike[str], *, grace_s: float = GRACE_S, waiting: Callable[[], None] = lambda: None
) -> Compacted:
    """Merge the files of each table and series, up to `parts.FULL` rows, and remove what can go.

    Raises InputError where there is no lake.
    """
    lake = Path(lake)
    if not lake.is_dir():
        raise InputError(f"there is no lake in {lake.absolute()}", hint="just lake-build makes one from results/")
    done = Compacted()
    with writing(lake, waiting=waiting) as writer:
        tables = dict(writer.commit.tables)
        for name, live in tables.items():
            if live.columns == schema.duckdb_types(schema.TABLES[name]):  # else the next build makes it anew, as it is
                tables[name] = _merge(writer, name, live, done)
        if done.before:
            writer.publish("compact", tables)
        done.removed = writer.expire(grace_s) + writer.sweep()
    return done


def _merge(writer: Writer, name: str, live: Live, done: Compacted) -> Live:
    small = sorted((part for part in live.parts if part.rows < parts.FULL // 2), key=parts.group_key)
    misnamed = [part for part in live.parts if names.is_null(part)]  # of an older version: they get another folder
    small = [part for part in small if part not in misnamed]
    taken = [part.path for part in misnamed]
    pieces = [(part.series, parts.read_part(writer.lake, name, part)) for part in misnamed]
    written: list[Part] = parts.write_parts(writer, name, pieces)
    done.before += len(misnamed)
    done.after += len(misnamed)
    for _, group in groupby(small, key=parts.group_key):
        for together in _fillings(list(group)):
            tables = [parts.read_part(writer.lake, name, part) for part in together]
            merged = parts.write_parts(writer, name, [(together[0].series, parts.sort_rows(name, tables))])
            taken += [part.path for part in together]
            written += merged
            done.before += len(together)
            done.after += len(merged)
    return parts.replace(name, live, taken, written) if taken else live


def _fillings(group: list[Part]) -> list[list[Part]]:
    """Return which files to merge with each other: two or more, in order, up to a full file's rows."""
    fillings: list[list[Part]] = [[]]
    for part in sorted(group, key=lambda part: (part.first, part.path)):
        if sum(other.rows for other in fillings[-1]) + part.rows > parts.FULL:
            fillings.append([])
        fillings[-1].append(part)
    return [filling for filling in fillings if len(filling) > 1]
