"""Where the anchors of a ledger lie, in `results/anchors/`, and which of its lines is the head that they hold.

A signature or a timestamp of one line holds all lines before it, as each names the one before. What only tells of
anchors moves the head no further: who anchors twice finds the second time that nothing has happened since.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from peak_trade.errors import InputError, RunError
from peak_trade.evidence import door
from peak_trade.evidence.ledger import Entry, Reading
from peak_trade.evidence.results import Results

__all__ = ["ENVELOPE", "FOLDER", "TOKEN", "Head", "head", "made", "names", "place"]

FOLDER = "anchors"
ENVELOPE, TOKEN = ".dsse.json", ".tsr"


class Head(Struct, frozen=True):
    """The line that is to be anchored: what the ledger says of it, its bytes, and the sha256 of the ledger's first."""

    entry: Entry
    content: bytes
    begins: str

    @property
    def name(self) -> str:
        """What its anchors are called: by the line's number and the beginning of its sha256."""
        return f"{self.entry.line:06}-{self.entry.sha256[:16]}"


def place(results: Results) -> Path:
    """Return the results folder itself, which may be a link of the user's own."""
    return Path(os.path.realpath(results.path))


def head(results: Results) -> Head:
    """Return the last line that is no mere word of an anchor.

    Raises InputError where there is none, RunError where the chain is broken: what is not whole is not vouched for.
    """
    reading = results.reading()
    if reading.broken:
        line, expected, found = reading.broken[0]
        raise RunError(
            f"the ledger is not whole at line {line}: {expected} expected, {found} found", hint="just verify --all"
        )
    for entry in reversed(reading.entries):
        if entry.event != "anchored":
            content = results.ledger.line(entry.line)
            if hashlib.sha256(content).hexdigest() != entry.sha256:
                raise RunError("the ledger was changed while it was read", hint="try it again")
            return Head(entry, content, reading.entries[0].sha256)
    raise InputError(f"no line in {results.path.name}/ledger.jsonl", hint="just run config/my_strategy.toml makes one")


def made(reading: Reading, of: Entry, by: str) -> bool:
    """Tell whether the ledger says that a line was anchored so."""
    return any(
        entry.event == "anchored" and entry.fields.get("by") == by and entry.fields.get("sha256") == of.sha256
        for entry in reading.entries
    )


def names(results: Results) -> Iterator[door.Entry]:
    """Yield what lies among a ledger's anchors; OSError where that can't be read."""
    if os.path.lexists(place(results) / FOLDER):
        yield from door.entries(place(results), FOLDER)
