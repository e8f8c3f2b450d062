"""`seal.json`: the two lines of the ledger that are a run's own, so that a copy can be checked without the rest of it.

    {"start": "<the line of its START, byte for byte>", "end": "<the line that sealed it>"}

The sha256 of the first is what the manifest says it follows; the second names the sha256 of the manifest, and `prev` in
each the line before it. So run, manifest and both lines hold each other, and a ledger that has the lines has the run.
The file itself is not sealed: all that it says stands in the ledger, by which it can be made again.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from peak_trade.errors import RunError
from peak_trade.evidence import files
from peak_trade.evidence.ledger import Entry, Ledger, parse

__all__ = ["NAME", "Seal", "decode", "encode", "lines", "of"]

NAME = "seal.json"


class _Lines(Struct, frozen=True, forbid_unknown_fields=True):
    start: str
    end: str


class Seal(Struct, frozen=True):
    """The two lines of a run, as the ledger has them; which line each was, only the ledger knows."""

    start: Entry
    end: Entry


def encode(start: bytes, end: bytes) -> bytes:
    """Return the content of seal.json for two lines of the ledger, without their ends."""
    return files.encode_json(_Lines(start.decode(), end.decode()))


def lines(content: bytes) -> tuple[str, str]:
    """Return the two lines of seal.json as they stand there; RunError as `decode`."""
    decode(content)
    found = msgspec.json.decode(content, type=_Lines)
    return found.start, found.end


def decode(content: bytes) -> Seal:
    """Return what seal.json says; RunError where that is no two lines of a ledger that speak of one run."""
    try:
        lines = msgspec.json.decode(content, type=_Lines)
        start, end = (parse(line.encode()) for line in (lines.start, lines.end))
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError) as error:
        raise RunError(f"{NAME} does not hold two lines of a ledger: {error}") from None
    if start.run_id != end.run_id:
        raise RunError(f"{NAME} does not hold two lines of one run")
    return Seal(start, end)


def of(ledger: Ledger, run_id: str) -> bytes:
    """Return the content of seal.json for a run that the ledger ends.

    Raises LookupError where it has no start and end of it, OSError where it can't be read.
    """
    history = ledger.read().of(run_id)
    if history.received:  # in which the lines of its own ledger stand
        start, end = (str(history.received.fields.get(name)).encode() for name in ("start", "end"))
        return encode(start, end)
    if not (history.start and history.end):
        raise LookupError(run_id)
    return encode(ledger.line(history.start.line), ledger.line(history.end.line))
