"""A run's telemetry, read from its files: where it lies, and each span and log record once.

Telemetry is not sealed, is written by several processes and by ones that are killed, so nothing that its files may hold
stops a reader: a line that is torn, empty or no OTLP, and a record without what makes it one, is left out and counted.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Container, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from peak_trade.errors import InputError, RunError
from peak_trade.evidence import documents, door
from peak_trade.evidence.results import Results
from peak_trade.shown import otlp
from peak_trade.shown.otlp import Key, Log, Signal, Span
from peak_trade.text import as_utf8

__all__ = ["File", "Telemetry", "absent", "files", "find", "folders", "read"]

FOLDER, OPERATIONS = "telemetry", ".telemetry"
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOST = 500_000  # records of a folder that are read; a run makes some twenty, and each takes a kB of memory
_FILE = re.compile(r"(?:(?P<part>.+)\.)?(?P<signal>traces|logs)\.jsonl")


class File(Struct, kw_only=True):
    """A file that was read: `rows` were taken from it, `repeated` had been read already, `skipped` are no records.

    It is opened as `name` in the directory `within`, through the door; `path` is where that lies.
    """

    path: Path
    within: Path
    name: str
    signal: Signal
    part: str
    bytes: int
    modified: int
    rows: int = 0
    repeated: int = 0
    skipped: int = 0


class Telemetry(Struct):
    """What the folders of one run, or of another operation, hold: each span once, sorted by start; logs by time."""

    folder: str
    spans: list[Span]
    logs: list[Log]
    files: list[File]

    @property
    def skipped(self) -> int:
        """How many lines and records were left out."""
        return sum(file.skipped for file in self.files)


# --- where it lies ------------------------------------------------------------------------------------------------


def folders(results: Path) -> dict[str, list[File]]:
    """Return the files with telemetry below `results`, by the run_id or other id of their folder, none of them read."""
    named = {path.name: None for path in Results(results).runs()} | dict.fromkeys(_operations(results))
    found = {name: files(results, name) for name in sorted(named)}
    return {name: listed for name, listed in found.items() if listed}


def files(results: Path, folder: str) -> list[File]:
    """Return the files of one folder, none of them read: those of the finished run first."""
    found = []
    for path, within, below in _places(results, folder):
        with suppress(OSError):
            for entry in door.entries(within, below):
                named = _FILE.fullmatch(entry.name)
                if named and entry.is_file:
                    found.append(
                        File(
                            path=path / entry.name,
                            within=within,
                            name=f"{below}/{entry.name}",
                            signal="traces" if named["signal"] == "traces" else "logs",
                            part=as_utf8(named["part"] or "main"),
                            bytes=entry.size,
                            modified=entry.modified,
                        )
                    )
    return found


def _places(results: Path, folder: str) -> tuple[tuple[Path, Path, str], ...]:
    """Return where telemetry of a folder may lie: the path, and the directory from which the door leads there.

    `results` may be a link of the user's own: beyond it, none is followed.
    """
    run, below = results / folder, f"{OPERATIONS}/{folder}"
    return (run / FOLDER, run, FOLDER), (results / below, _real(results), below)


def _real(results: Path) -> Path:
    return Path(os.path.realpath(results))  # `resolve` raises where links lead in a ring


def _operations(results: Path) -> list[str]:
    with suppress(OSError):
        return [entry.name for entry in door.entries(_real(results), OPERATIONS) if _ID.fullmatch(entry.name)]
    return []


def find(results: Path, which: str) -> str:
    """Return the id of a folder: of a run, named as `Results.find` does, else of what `.telemetry/` alone has.

    Raises InputError where there is none, or more than one.
    """
    start = which.strip().lower()
    others = [name for name in _operations(results) if start and name.startswith(start)]
    if not others or any(path.name.startswith(start) for path in Results(results).runs()):
        return Results(results).find(which).name
    if len(others) > 1:
        shown = ", ".join(others[:5]) + (", …" if len(others) > 5 else "")
        raise InputError(f"{which!r} is the start of {len(others)}: {shown}", hint="give more of the id")
    return others[0]


class _Receipt(Struct):
    """Of receipt.json, which telemetry leaves beside its files, what is of use here."""

    reason: str = ""
    endpoint: str | None = None


def absent(results: Path, folder: str) -> RunError:
    """Return the error that says why a folder has no telemetry, as far as its receipt tells."""
    found = _Receipt()
    for _, within, below in _places(results, folder):
        with suppress(RunError):
            found = documents.read(within, f"{below}/receipt.json", _Receipt)
    if found.endpoint:
        hint = "PEAK_OTEL_FILE=1 keeps a copy of the next run's in its directory"
        return RunError(f"the telemetry of {folder} is not here: it was for {found.endpoint}", hint=hint)
    hint = "PEAK_OTEL_ENABLED=1 just run … records it, after just setup observability"
    return RunError(f"{folder} has no telemetry{found.reason and f': {found.reason}'}", hint=hint)


# --- files to records ---------------------------------------------------------------------------------------------


def read(results: Path, folder: str, known: Container[Key] = ()) -> Telemetry:
    """Return the telemetry of a folder, by the id that `find` gives; nothing in it is an error.

    Beyond a number that no run comes near, records are left out, and counted as such.

    Of the spans with one key the first counts, and none that is `known` from elsewhere. A log record has no key: where
    two files hold the same record, as they do when one is a copy of the other, it counts as often as in the file that
    has it most often.
    """
    listed = files(results, folder)
    spans: dict[Key, Span] = {}
    logs: list[Log] = []
    seen: Counter[bytes] = Counter()
    for file in listed:
        own: Counter[bytes] = Counter()
        for record in _records(file, folder):
            if len(spans) + len(logs) >= _MOST:
                file.skipped += 1
                continue
            if isinstance(record, Span):
                new = record.key not in known and spans.setdefault(record.key, record) is record
            else:
                content = msgspec.json.encode(msgspec.structs.replace(record, part=""), order="deterministic")
                own[content] += 1
                if new := own[content] > seen[content]:
                    logs.append(record)
            file.rows += new
            file.repeated += not new
        for content, count in own.items():
            seen[content] = max(seen[content], count)
    return Telemetry(
        folder,
        sorted(spans.values(), key=lambda span: (span.start, -span.end, span.trace_id, span.span_id)),
        sorted(logs, key=lambda log: log.time),
        listed,
    )


def _records(file: File, folder: str) -> Iterator[Span | Log]:
    """Yield the records of a file, and count in it what is none."""
    try:
        for line in door.lines(file.within, file.name):
            try:
                for record in otlp.records(line or b"", file.signal, folder, file.part):
                    if record:
                        yield record
                    else:
                        file.skipped += 1
            except ValueError:
                file.skipped += 1
    except OSError:  # removed or moved since it was listed; not ours to read, or larger than any
        file.skipped += 1
