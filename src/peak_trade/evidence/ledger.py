"""The ledger: `results/ledger.jsonl`, the one history of all runs, append-only and chained by hashes.

Each line is a JSON object with `event`, `time`, `run_id`, what belongs to the event, and `prev`: the sha256 of the line
before it (of 64 zeros' worth for the first). A line's own sha256 is therefore named by the line after it, and by the
manifest of the run that it starts. Writers take turns by a lock on the file; each line is on disk before they go on.
The ledger outlives the runs: removing a run appends to it, and takes nothing away.

What a line means for its run stands in `EVENTS`, and nowhere else. A run ends once: an end after its end, as any line
where `EVENTS` has no place for it, changes nothing and is for `verify` to name. So is an event that a later version
wrote and this one does not know: it is kept, and never taken for a state.

A ledger may come from a stranger too. It is opened by the door, and what a line has in a field is what `FIELDS` says of
it, or left out and named: who reads an entry need not look again.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from peak_trade.evidence import door
from peak_trade.evidence.files import sync_folder, write_all
from peak_trade.evidence.manifest import IMPORTED, RUINED

__all__ = [
    "ENDED",
    "EVENTS",
    "FIELDS",
    "GENESIS",
    "RECEIVED",
    "Entry",
    "Event",
    "History",
    "Ledger",
    "Line",
    "Reading",
    "is_run_id",
    "now",
    "parse",
]

NAME = "ledger.jsonl"
_TORN = "ledger.torn"
_NAMES = re.compile(rb'"run_id":"([0-9a-f-]{36})"')
_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def is_run_id(text: str) -> bool:
    """Tell whether a text is a run_id in its usual spelling: a UUID4 in lower case."""
    return _UUID4.fullmatch(text) is not None


class Event(Struct, frozen=True):
    """What a line of this event does to its run: the state that it leads to, and the states in which it may come.

    An event without a `state` tells of a run and leaves its state as it was.
    """

    state: str
    after: tuple[str, ...]


STARTED, SEALED, FAILED, REMOVED = "started", "sealed", "failed", "removed"
ENDED = (SEALED, FAILED)
"""The states of a run that has an end, and whose directory should be there."""

EVENTS = {
    "start": Event(STARTED, after=("",)),
    "sealed": Event(SEALED, after=(STARTED,)),
    "failed": Event(FAILED, after=(STARTED,)),
    "abandoned": Event(FAILED, after=(STARTED,)),  # by `run_dir.recover`, of a run that nothing sealed
    "received": Event(SEALED, after=("",)),  # with the two lines of the ledger that the run was made in
    "received_failed": Event(FAILED, after=("",)),
    "removed": Event(REMOVED, after=(STARTED, *ENDED)),
    "unsealed": Event("", after=ENDED),  # the bars that the run and others on its series held out, for good
    "tried": Event("", after=(STARTED,)),  # the trials of a sweep so far, which count also if it is never sealed
    "trials": Event("", after=("",)),  # made elsewhere, by whatever program: the line has an id of its own
    "signed": Event("", after=ENDED),  # its manifest, by a key
    "anchored": Event("", after=("", STARTED, *ENDED, REMOVED)),  # a line of it, and with it all lines before
    "replayed": Event("", after=ENDED),  # it was made again, elsewhere, and held against what was sealed: no trial
}
RECEIVED = {SEALED: "received", FAILED: "received_failed"}
"""What a line of a run is called that another ledger has ended in this state."""
GENESIS = "0" * 64
_LOG = logging.getLogger("peak_trade.ledger")
_TAIL = 1 << 16  # bytes read to find the last line; lines are under 2 kB
_LONGEST = 1 << 22  # bytes of a line, as the door has it
_DEEPEST = 8  # lists and mappings within each other, in a field
_LARGEST = 1 << 63
_WORDS = ("event", "time", "run_id", "prev")
_WORD = 100  # characters


class Field(NamedTuple):
    """What a field of this name may hold, and how that is called: a value of these types, or one that `fits`."""

    called: str
    types: frozenset[type]
    fits: Callable[[Any], bool] = lambda value: False


def _is_number(value: Any) -> bool:
    return type(value) is int and abs(value) < _LARGEST


def _are_counts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value.values()))


def _are_settings(value: Any) -> bool:
    return isinstance(value, dict) and all(type(one) in _SCALARS or _is_number(one) for one in value.values())


def _is_plain(value: Any, depth: int = 0) -> bool:
    """Tell whether a value can be written down again, wherever that is."""
    if isinstance(value, dict | list):
        parts = value.values() if isinstance(value, dict) else value
        return depth < _DEEPEST and all(_is_plain(part, depth + 1) for part in parts)
    return type(value) is not int or _is_number(value)


_NONE = type(None)
_SCALARS = (str, float, bool, _NONE)
_TEXT = Field("a text", frozenset((str, _NONE)))
_NUMBER = Field("a number", frozenset((float, _NONE)), _is_number)
_ANY = Field("a value that is not too deep or too large", frozenset((str, float, bool, _NONE)), _is_plain)
FIELDS = (
    dict.fromkeys(
        ("manifest", "name", "strategy", "symbol", "timeframe", "data", "unnamed", "code", "holdout", RUINED), _TEXT
    )
    | dict.fromkeys(("start", "end"), _TEXT)
    | dict.fromkeys(("stage", "type", "message", "reason"), _TEXT)
    | dict.fromkeys(("start", "end", "file", "sha256", "by"), _TEXT)
    | dict.fromkeys(("lookahead", "benchmark"), _TEXT)
    | dict.fromkeys(("total_return", "sharpe", "max_drawdown", "trades", "bars", "bytes", "line"), _NUMBER)
    | {"repeatable": Field("true or false", frozenset((bool, _NONE)))}
    | dict.fromkeys(("kind", "origin", "digest"), _TEXT)
    | dict.fromkeys(("engine", "command", "parent"), _TEXT)
    | dict.fromkeys(("count", "symbols", "trial", "trials", "trials_failed", "exit_code"), _NUMBER)
    | dict.fromkeys(("verdict", "code", "environment"), _TEXT)
    | {"findings": Field("counts", frozenset((_NONE,)), _are_counts)}
    | dict.fromkeys(("params", "settings"), Field("settings", frozenset((_NONE,)), _are_settings))
)
"""What the fields of lines hold that this version knows; of others, any value that can be written down again."""


def now() -> str:
    """Return the time in ISO 8601, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Entry(Struct, frozen=True):
    """One line: its number (from 1; 0 where it stands alone), its sha256, its fields, and what it says it follows."""

    line: int
    sha256: str
    event: str
    time: str
    run_id: str
    fields: dict[str, Any]
    prev: str = ""

    @property
    def where(self) -> str:
        """Where it is read, as findings name it."""
        return f"{NAME} line {self.line}" if self.line else f"the run's {self.event} line"


class History(Struct):
    """One run as the ledger tells of it: all its lines in order, and what those say that `EVENTS` knows.

    `state` is that of the run, `since` the line that led to it; empty and None where no line gives it one. `unknown`
    are lines of events that this version does not know; `misplaced` those that `EVENTS` has no place for where they
    stand, each with the state that it found. Of a run that was `received`, start and end are those of the ledger that
    it was made in, as the line that received it carries them.
    """

    entries: list[Entry] = []
    start: Entry | None = None
    end: Entry | None = None
    state: str = ""
    since: Entry | None = None
    received: Entry | None = None
    unknown: list[Entry] = []
    misplaced: list[tuple[Entry, str]] = []

    def add(self, entry: Entry) -> None:
        """Take the next line in."""
        self.entries.append(entry)
        event = EVENTS.get(entry.event)
        if event is None:
            self.unknown.append(entry)
            return
        if event.state == STARTED and not self.state:
            self.start = entry
        if self.state not in event.after:
            self.misplaced.append((entry, self.state))
            if self.state:  # else its first line is lost, and the others still tell
                return
        if not event.state:
            return
        self.state, self.since = event.state, entry
        if entry.event in RECEIVED.values():
            self.received = entry
            self.start, self.end = carried(entry) or (None, None)
        elif event.state in ENDED:
            self.end = entry

    @property
    def status(self) -> str:
        """The state as people are told it: what the seal says of a ruined account too, and of what was imported."""
        if self.state == SEALED and self.fields.get("kind") == IMPORTED:
            return IMPORTED
        return RUINED if self.state == SEALED and self.fields.get(RUINED) else self.state

    @property
    def began(self) -> str:
        """When the run began, as far as the ledger tells; empty where no line names it."""
        return next((entry.time for entry in (self.start, *self.entries) if entry), "")

    @property
    def line(self) -> int:
        """The number of the line that led to its state, which is what orders runs: clocks are set."""
        return self.since.line if self.since else 0

    @property
    def manifest(self) -> str | None:
        """The sha256 of the manifest that sealed the run."""
        return self.end.fields.get("manifest") if self.end else None

    @property
    def tried(self) -> dict[str, Any]:
        """What it tells of its trials: as its end counts them, else as they were when a sweep last said it."""
        if self.end is not None and "trials" in self.end.fields:
            return self.end.fields
        said = next((entry for entry in reversed(self.entries) if entry.event == "tried"), None)
        return said.fields if said else {}

    @property
    def fields(self) -> dict[str, Any]:
        """What its start and its end tell of the run; of its other lines, each speaks of something else."""
        return {key: value for entry in (self.start, self.end) if entry for key, value in entry.fields.items()}


class Line(NamedTuple):
    """A line to be added: of `time`, else of now."""

    event: str
    run_id: str
    fields: Mapping[str, Any]
    time: str = ""


class Reading(Struct):
    """All entries, and what is wrong with the chain: (line, what was expected, what was found)."""

    entries: list[Entry] = []
    broken: list[tuple[int, str, str]] = []
    torn: bool = False  # the last line has no end: a writer was killed, and the next one repairs it
    _histories: dict[str, History] | None = None

    @property
    def histories(self) -> dict[str, History]:
        """The history of all that a line names, by run_id, in order of first lines."""
        if self._histories is None:
            self._histories = {}
            for entry in self.entries:
                self._histories.setdefault(entry.run_id, History()).add(entry)
        return self._histories

    @property
    def runs(self) -> dict[str, History]:
        """The histories of runs: of what has a state, and the name of a run."""
        return {run_id: history for run_id, history in self.histories.items() if history.state and is_run_id(run_id)}

    def of(self, run_id: str) -> History:
        """Return the history of one run, an empty one where no line names it."""
        return self.histories.get(run_id) or History()

    @property
    def removed(self) -> set[str]:
        """The runs that are removed."""
        return {run_id for run_id, history in self.histories.items() if history.state == REMOVED}

    @property
    def unknown(self) -> list[Entry]:
        """The lines of events that this version does not know."""
        return [entry for entry in self.entries if entry.event not in EVENTS]

    @property
    def head(self) -> str:
        """The sha256 of the last line."""
        return self.entries[-1].sha256 if self.entries else GENESIS


class Ledger:
    """Appends to and reads one ledger file."""

    def __init__(self, results: Path) -> None:
        self.path = results / NAME

    @property
    def _folder(self) -> Path:
        return Path(os.path.realpath(self.path.parent))  # which may be a link, of the user's own

    def append(self, event: str, run_id: str, *, time: str = "", **fields: Any) -> bytes:
        """Add a line (of `time`, else of now), on disk when this returns, and return it, without its end.

        Raises as `append_all`.
        """
        (line,) = self.append_all([Line(event, run_id, fields, time)])
        return line

    def append_all(self, lines: Sequence[Line]) -> list[bytes]:
        """Add lines in their order, none of another writer's between them, and return them, without their ends.

        They are written at once and on disk when this returns. A process that dies in between leaves some of the first
        of them, each whole, and at most one that is torn.
        Raises OSError where they can't be written; the ledger is then as it was. KeyError for an event that is none of
        `EVENTS`: what is written here can be read here.
        """
        for line in lines:
            EVENTS[line.event]
        new = not os.path.lexists(self.path)
        with door.changing(self._folder, NAME) as handle:
            if new:
                sync_folder(self.path.parent)
            with _locked(handle):
                end, previous = self._repaired(handle)
                added: list[bytes] = []
                for line in lines:
                    entry = {"event": line.event, "time": line.time or now(), "run_id": line.run_id, **line.fields}
                    added.append(msgspec.json.encode(entry | {"prev": previous}))
                    previous = hashlib.sha256(added[-1]).hexdigest()
                os.lseek(handle, end, os.SEEK_SET)
                try:
                    write_all(handle, b"".join(line + b"\n" for line in added))
                    os.fsync(handle)
                except OSError:
                    os.ftruncate(handle, end)
                    raise
        return added

    def line(self, number: int) -> bytes:
        """Return a line, counted from 1, without its end; LookupError where there is none, OSError unread."""
        for at, line in enumerate(door.lines(self._folder, NAME), 1):
            if at == number and line is not None:
                return line.removesuffix(b"\n")
        raise LookupError(number)

    def _repaired(self, handle: int) -> tuple[int, str]:
        """Return where the next line goes and the sha256 of the last whole line, setting a torn one aside first."""
        size = os.lseek(handle, 0, os.SEEK_END)
        for most in (_TAIL, 2 * _LONGEST):  # the second for lines longer than any that is written here
            start = max(0, size - most)
            tail = os.pread(handle, size - start, start)
            whole, newline, torn = tail.rpartition(b"\n")
            if not start or b"\n" in whole:
                break
        else:
            raise OSError(errno.EFBIG, f"no line ends within its last {2 * _LONGEST:,} bytes", NAME)
        if torn:
            with door.changing(self._folder, _TORN) as aside:
                os.lseek(aside, 0, os.SEEK_END)
                write_all(aside, torn + b"\n")
                os.fsync(aside)
            size -= len(torn)
            os.ftruncate(handle, size)
            _LOG.warning("the ledger's last line was torn (%d bytes); set aside in ledger.torn", len(torn))
        last = whole.rpartition(b"\n")[2]
        return size, hashlib.sha256(last).hexdigest() if newline else GENESIS

    def names(self, run_ids: Collection[str]) -> set[str]:
        """Return those of these runs that a line speaks of, without reading what it says: a run under way asks."""
        try:
            content = door.read(self._folder, NAME)
        except FileNotFoundError:
            return set()
        if len(run_ids) > 1:
            return {found.decode() for found in _NAMES.findall(content)} & set(run_ids)
        return {run_id for run_id in run_ids if f'"run_id":"{run_id}"'.encode() in content}

    def read(self) -> Reading:
        """Read every line and check the chain; a ledger that does not exist is empty.

        Raises OSError where it can't be read.
        """
        reading, previous = Reading(), GENESIS
        try:
            for number, line in enumerate(door.lines(self._folder, NAME), 1):
                if line is None:
                    reading.broken.append((number, "a ledger entry", "a line longer than any that is written"))
                    previous = ""
                elif not line.endswith(b"\n"):
                    reading.torn = True
                else:
                    previous = _take(reading, number, line[:-1], previous)
        except FileNotFoundError:
            return Reading()
        return reading


_decode = msgspec.json.Decoder(dict[str, Any]).decode


def _take(reading: Reading, number: int, line: bytes, previous: str) -> str:
    """Take a line into a reading, and return its sha256."""
    sha256 = hashlib.sha256(line).hexdigest()
    fields: dict[str, Any] = {}
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        fields = _decode(line)
        if _repeats(line, fields):
            reading.broken.append((number, "a ledger entry", "a line that has a key twice"))
            return sha256
    words = [fields.pop(key, None) for key in _WORDS]
    if not all(isinstance(word, str) and len(word) <= _WORD for word in words):
        reading.broken.append((number, "a ledger entry", line[:60].decode("utf-8", "replace")))
        return sha256
    event, time, run_id, prev = words
    if prev != previous:
        reading.broken.append((number, f"prev {previous}", f"prev {prev}"))
    entry = Entry(number, sha256, event, time, run_id, fields, prev)
    for name, value in list(fields.items()):
        field = FIELDS.get(name, _ANY)
        if type(value) not in field.types and not field.fits(value):
            del fields[name]
            shown = f"{value}" if isinstance(value, str | int | float) else f"a {type(value).__name__}"
            reading.broken.append((number, f"{field.called} as {name}", shown))
    if event in RECEIVED.values() and carried(entry) is None:
        reading.broken.append((number, f"the start and the end of {run_id} in its own ledger", "others"))
    reading.entries.append(entry)
    return sha256


def parse(line: bytes) -> Entry:
    """Return one line that stands alone, as line 0; ValueError where it is none of a ledger."""
    reading = Reading()
    _take(reading, 0, line, "")
    wrong = [(expected, found) for _, expected, found in reading.broken if not expected.startswith("prev ")]
    if wrong or not reading.entries:
        raise ValueError("{} expected, {} found".format(*wrong[0]) if wrong else "no ledger entry")
    return reading.entries[0]


def carried(entry: Entry) -> tuple[Entry, Entry] | None:
    """Return the start and the end that a line of a received run carries, as if they were in its place.

    None where it carries others than those of this run, or an end of another kind.
    """
    try:
        start, end = (parse(str(entry.fields.get(name)).encode()) for name in ("start", "end"))
    except ValueError:
        return None
    kind = EVENTS.get(end.event)
    ends = kind is not None and STARTED in kind.after and RECEIVED.get(kind.state) == entry.event
    if not ends or start.event != "start" or not start.run_id == end.run_id == entry.run_id:
        return None
    return msgspec.structs.replace(start, line=entry.line), msgspec.structs.replace(end, line=entry.line)


def _repeats(line: bytes, fields: dict[str, Any]) -> bool:
    """Tell whether a key stands twice in one mapping of a line: who reads it could take either."""
    with suppress(ValueError, OverflowError, RecursionError):
        if msgspec.json.encode(fields) == line:  # as each is that was written here
            return False
    repeated = False

    def look(pairs: list[tuple[str, Any]]) -> None:
        nonlocal repeated
        repeated |= len(dict(pairs)) != len(pairs)

    with suppress(ValueError, RecursionError):  # what is too deep is none of the values that a field may have
        json.loads(line, object_pairs_hook=look, parse_int=str, parse_float=str)
    return repeated


@contextmanager
def _locked(handle: int) -> Iterator[None]:
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)
