"""Which runs may go, and their removal: planned first, and in the ledger before anything of them is deleted.

A run is removed in this order, and each step is on disk before the next:

    an empty `results/.removing/<run_id>/` → REMOVED in the ledger → the run's directory renamed onto it → its files

The ledger's line, the tombstone, decides. A process that dies before it leaves the run whole; one that dies after it
leaves a removed run, which no reader shows (`run_dir.runs`), and the next clean-up or `just doctor` deletes what is
left. The empty directory tells that rest from a run that was removed and put back from a copy: that one is not ours.

Deletion follows descriptors, not paths, so that no link, however it got there, leads it out of the directory.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from msgspec import Struct, structs

from peak_trade.errors import InputError, RunError
from peak_trade.evidence import files, manifest
from peak_trade.evidence.ledger import Entry, Ledger
from peak_trade.evidence.run_dir import (
    PINS,
    REMOVING,
    Unfinished,
    find,
    half_removed,
    latest,
    pinned,
    removed,
    run_ids,
    runs,
    unfinished,
)
from peak_trade.shown.telemetry import OPERATIONS

__all__ = ["Item", "Plan", "Policy", "apply", "finish", "pin", "plan", "unpin"]

_STATUS = {"sealed": "sealed", "failed": "failed", "abandoned": "failed"}  # the ledger's event → the run's status
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_DEEPEST = 32  # folders in folders, of a run that is removed
_DAY_S = 86_400


class Policy(Struct, frozen=True, kw_only=True):
    """What stays: the `keep` runs that ended last, and those that ended less than `days` days ago.

    With a `status`, only runs of that status are looked at: the others stay, and do not count.
    """

    keep: int = 200
    days: int = 30
    status: Literal["sealed", "failed"] | None = None


class Item(Struct, kw_only=True):
    """One run (or what telemetry left of one) and what becomes of it.

    `status` is that of the run, or `telemetry`; `age_s` is the time since its end in seconds, None where there is no
    end; `manifest` the digest that the tombstone keeps. `action` is `keep` or `remove`, and when that is carried out
    `removed`, or `failed` for the reason `why`.
    """

    run_id: str
    status: str
    age_s: float | None = None
    bytes: int
    action: Literal["keep", "remove", "removed", "failed"] = "keep"
    why: str
    manifest: str | None = None


class Plan(Struct):
    """All runs, the newest first, then what telemetry left."""

    items: list[Item] = []

    def of(self, *actions: str) -> list[Item]:
        """Return the items with these actions."""
        return [item for item in self.items if item.action in actions]

    def table(self, width: int = 36) -> list[tuple[str, ...]]:
        """Return the plan as rows of text, with a head; `width` is that of a run_id."""
        head = ("run_id", "age", "status", "size", "action", "why")
        body = (
            (item.run_id[:width], _age(item.age_s), item.status, files.size(item.bytes), item.action, item.why)
            for item in self.items
        )
        return [head, *body]

    def totals(self) -> str:
        """Return what goes and what stays in one line."""
        parts = []
        for action, verb in (("remove", "to remove"), ("removed", "removed"), ("failed", "failed"), ("keep", "kept")):
            if (items := self.of(action)) or action == "keep":
                parts.append(f"{len(items):,} {verb} ({files.size(sum(item.bytes for item in items))})")
        return ", ".join(parts)

    def to_json_object(self) -> dict[str, Any]:
        """Return the plan as `--json` prints it."""
        totals = {
            action: {"count": len(items), "bytes": sum(item.bytes for item in items)}
            for action in ("keep", "remove", "removed", "failed")
            for items in [self.of(action)]
        }
        return {"items": [structs.asdict(item) for item in self.items], "totals": totals}


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    for unit, length in (("d", _DAY_S), ("h", 3600), ("min", 60)):
        if abs(seconds) >= length:
            return f"{int(seconds / length)} {unit}"
    return f"{int(seconds)} s"


# --- the plan -----------------------------------------------------------------------------------------------------


def plan(results: Path, policy: Policy, *, now: datetime | None = None) -> Plan:
    """Return what `policy` keeps and removes; changes nothing.

    What has no end in the ledger, or is not as it was sealed, is left to people.

    Raises RunError where the ledger is not whole: what it says of runs can't be relied on then.
    """
    if not results.is_dir():
        return Plan()
    with _told(results):
        return Plan(list(_items(_Survey(results), policy, now or datetime.now(UTC))))


def _items(survey: _Survey, policy: Policy, now: datetime) -> Iterator[Item]:
    results = survey.results
    going, there, half = unfinished(results), {path.name for path in runs(results)}, half_removed(results)
    newest = latest(_whole_ledger(results))  # read last: it has the end of every run that is there
    yield from (_going(survey, run) for run in going if run.run_id not in there)  # else it has just ended
    yield from _ended(survey, policy, [newest[run_id] for run_id in there if run_id in newest], now)
    for run_id in sorted(there - newest.keys()):
        size = survey.of_run(results / run_id).bytes
        yield Item(run_id=run_id, status="unknown", bytes=size, why="the ledger does not know it")
    for run_id in sorted(half):
        size = sum(survey.of(results / place / run_id).bytes for place in ("", REMOVING, OPERATIONS))
        yield Item(run_id=run_id, status="removed", bytes=size, action="remove", why="its removal was cut short")
    gone = {run_id for run_id, entry in newest.items() if entry.event == "removed"}
    known = {*there, *newest, *(run.run_id for run in going)}
    yield from _telemetry(survey, gone - half, known, policy, now)


@contextmanager
def _told(results: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = "check the folder and the disk"
        raise RunError(f"{error.filename or results.name}: {error.strerror}", hint=hint) from None


def _whole_ledger(results: Path) -> list[Entry]:
    reading = Ledger(results).read()
    if reading.broken:
        line = reading.broken[0][0]
        raise RunError(
            f"the ledger is not whole at line {line}, and nothing is removed by what it says", hint="just verify --all"
        )
    return reading.entries


class _Size(NamedTuple):
    bytes: int = 0
    newest: float = 0.0  # change in it, in seconds since 1970
    obstacle: str = ""  # to deleting it


class _Survey:
    """Measures what lies in `results`, and looks for what stands in the way of deleting it."""

    def __init__(self, results: Path) -> None:
        self.results, self.base, self.device = results, results.resolve(), results.stat().st_dev
        self.mounts = _mounts()

    def of_run(self, folder: Path) -> _Size:
        """Measure a run's directory, with what telemetry left beside it."""
        own, beside = self.of(folder), self.of(self.results / OPERATIONS / folder.name)
        return own._replace(bytes=own.bytes + beside.bytes)

    def of(self, folder: Path) -> _Size:
        size, newest, folders = 0, 0.0, [folder]
        try:
            for place in folders:  # grows on the way
                info = place.lstat()
                if obstacle := self._obstacle(place, info, len(place.parts) - len(folder.parts)):
                    return _Size(size, newest, obstacle)
                newest = max(newest, info.st_mtime)
                for entry in list(os.scandir(place)):
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(Path(entry.path))
                    else:
                        info = entry.stat(follow_symlinks=False)
                        size, newest = size + info.st_size, max(newest, info.st_mtime)
        except FileNotFoundError:
            return _Size(size, newest)  # a run that goes on
        except OSError as error:
            return _Size(size, newest, f"can't be read: {error.strerror}")
        return _Size(size, newest)

    def _obstacle(self, place: Path, info: os.stat_result, depth: int) -> str:
        if stat.S_ISLNK(info.st_mode):
            return "a symbolic link"
        if not stat.S_ISDIR(info.st_mode):
            return "not a directory"
        if info.st_dev != self.device or str(self.base / place.relative_to(self.results)) in self.mounts:
            return "a file system is mounted in it"
        ours = info.st_uid == os.geteuid()  # then its mode is no obstacle
        if not ours and not os.access(place, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
            return "can't be removed: Permission denied"
        return f"more than {_DEEPEST} folders deep" if depth > _DEEPEST else ""


def _mounts() -> frozenset[str]:
    """Return where file systems are mounted, in Linux; elsewhere the device number tells."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    except OSError:
        return frozenset()
    return frozenset(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), line.split()[4]) for line in lines)


def _going(survey: _Survey, run: Unfinished) -> Item:
    status, more = ("running", "") if run.alive else ("unfinished", ": just doctor brings it to its end")
    return Item(run_id=run.run_id, status=status, bytes=survey.of_run(run.path).bytes, why=status + more)


def _ended(survey: _Survey, policy: Policy, entries: Iterable[Entry], now: datetime) -> Iterator[Item]:
    """Yield the runs whose newest entries these are, the one that ended last first."""
    pins, counted = pinned(survey.results), 0
    for entry in sorted(entries, key=lambda entry: entry.line, reverse=True):
        folder = survey.results / entry.run_id
        size, _, obstacle = survey.of_run(folder)
        status, age_s = _STATUS.get(entry.event, "unknown"), _since(entry.time, now)
        counts = policy.status in (None, status)
        if entry.event not in _STATUS:
            why = "put back after its removal" if entry.event == "removed" else "the ledger has no end of it"
        elif entry.run_id in pins:
            why = "pinned"
        elif not counts:
            why = f"not {policy.status}"
        elif counted < policy.keep:
            why = f"among the last {policy.keep}"
        elif age_s is None or age_s < policy.days * _DAY_S:
            why = f"younger than {policy.days} d"
        else:
            why = obstacle or _changed(folder, entry)
        counted += counts and entry.event in _STATUS
        yield Item(
            run_id=entry.run_id,
            status=status,
            age_s=age_s,
            bytes=size,
            action="keep" if why else "remove",
            why=why or f"older than {policy.days} d, not among the last {policy.keep}",
            manifest=entry.fields.get("manifest"),
        )


def _since(time: str, now: datetime) -> float | None:
    try:
        return (now - datetime.fromisoformat(time)).total_seconds()
    except (ValueError, TypeError):
        return None


def _changed(folder: Path, entry: Entry) -> str:
    """Say so where a run's manifest is not the one that its tombstone would name: that is for people to look at."""
    try:
        path = folder / manifest.NAME
        if path.is_file() and not path.is_symlink() and files.digest(path) == entry.fields.get("manifest"):
            return ""
    except OSError as error:
        return f"can't be read: {error.strerror}"
    return f"not what was sealed: just verify {entry.run_id[:8]}"


def _telemetry(survey: _Survey, gone: set[str], known: set[str], policy: Policy, now: datetime) -> Iterator[Item]:
    """Yield what telemetry left of removed runs, and of commands that are longer ago than a young run."""
    folder = survey.results / OPERATIONS
    for name in sorted(run_ids(folder)) if not folder.is_symlink() else ():
        size, newest, obstacle = survey.of(folder / name)
        age_s, limit = now.timestamp() - newest, max(policy.days, 1)  # a command may be going on
        if not obstacle and (name in gone or (name not in known and age_s >= limit * _DAY_S)):
            why = "its run is removed" if name in gone else f"of no run, and older than {limit} d"
            yield Item(run_id=name, status="telemetry", age_s=age_s, bytes=size, action="remove", why=why)


# --- the removal --------------------------------------------------------------------------------------------------


def apply(
    results: Path,
    policy: Policy,
    *,
    now: datetime | None = None,
    waiting: Callable[[], None] = lambda: None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Plan:
    """Plan, remove what the plan says, and return it with what became of each run.

    One clean-up works at a time; `waiting` is called where there is another one. Where a tombstone can't be written
    nothing of its run is deleted, and no run after it.

    Raises RunError where the ledger is not whole, or `results` can't be written.
    """
    if not results.is_dir():
        return Plan()
    with _told(results), _removing(results, waiting) as remover:
        made = plan(results, policy, now=now)
        remover.take_back()
        items = made.of("remove")
        for number, item in enumerate(reversed(items), 1):  # the oldest first: it may stop on the way
            remover.carry_out(item)
            progress(number, len(items))
        return made


def finish(results: Path) -> list[tuple[str, str]]:
    """Bring the removals of dead processes to their end, and return (run_id, what was done) for each."""
    if not (results / REMOVING).is_dir():
        return []
    try:
        with _told(results), _removing(results) as remover:
            _whole_ledger(results)
            remover.take_back()
            left = sorted(half_removed(results))
            return [(run_id, remover.finish(run_id) or "its removal was cut short: finished") for run_id in left]
    except _Busy:
        return []  # a clean-up is at it
    except RunError as error:
        return [(run_id, f"its removal is not finished: {error.message}") for run_id in sorted(half_removed(results))]


class _Busy(Exception):
    """Another clean-up is at work."""


@contextmanager
def _removing(results: Path, waiting: Callable[[], None] | None = None) -> Iterator[_Remover]:
    """Hold the right to remove runs; without `waiting`, _Busy where another process has it."""
    (results / REMOVING).mkdir(exist_ok=True)
    with _opened(results, os.O_RDONLY | os.O_DIRECTORY) as base, _opened(REMOVING, _FOLDER, base) as aside:
        try:
            fcntl.flock(aside, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is None:
                raise _Busy from None
            waiting()
            fcntl.flock(aside, fcntl.LOCK_EX)
        yield _Remover(results, base, aside)


@contextmanager
def _opened(name: str | Path, flags: int, within: int | None = None) -> Iterator[int]:
    handle = os.open(name, flags, dir_fd=within)
    try:
        yield handle
    finally:
        os.close(handle)


class _Remover:
    """Removes runs: `base` and `aside` are descriptors of `results` and of the place to which it takes them."""

    def __init__(self, results: Path, base: int, aside: int) -> None:
        self.results, self.base, self.aside = results, base, aside
        self.device = os.fstat(base).st_dev
        self.stopped = ""

    def take_back(self) -> None:
        """Remove the empty directories of removals that did not get as far as the ledger."""
        names = set(os.listdir(self.aside))
        for name in names - removed(self.results, names):
            with suppress(OSError):  # not empty: nobody knows what it is
                os.rmdir(name, dir_fd=self.aside)

    def carry_out(self, item: Item) -> None:
        """Remove a run, or what is left of one, and note in the item what became of it."""
        problem = self.stopped
        try:
            if not problem and item.status not in ("removed", "telemetry") and not self._note(item):
                item.action, item.why = "keep", "pinned"
                return
        except OSError as error:
            problem = self.stopped = f"its removal can't be noted: {error.strerror}"
        problem = problem or self.finish(item.run_id, leftover=item.status == "telemetry")
        item.action, item.why = ("failed", problem) if problem else ("removed", item.why)

    def _note(self, item: Item) -> bool:
        """Write the tombstone, unless the run has been pinned since it was planned."""
        with _pins(self.results) as pins:
            if item.run_id in pins:
                return False
            os.mkdir(item.run_id, dir_fd=self.aside)  # stays where the line fails: who knows what the disk has of it
            os.fsync(self.aside)
            Ledger(self.results).append(
                "removed", item.run_id, manifest=item.manifest, bytes=item.bytes, reason=item.why
            )
            return True

    def finish(self, run_id: str, *, leftover: bool = False) -> str:
        """Delete a run that has its tombstone, or only the `leftover` of its telemetry; return what went wrong."""
        try:
            if not leftover:
                self._delete_run(run_id)
            with suppress(FileNotFoundError, NotADirectoryError), _opened(OPERATIONS, _FOLDER, self.base) as folder:
                self._delete(folder, run_id)
        except OSError as error:
            return f"not finished: {error.strerror}"
        return ""

    def _delete_run(self, run_id: str) -> None:
        with _opened(run_id, _FOLDER, self.aside) as taken:
            if not os.listdir(taken):  # else it was taken aside before, and another of its name is a copy
                with suppress(FileNotFoundError):
                    self._take_aside(run_id)
        self._delete(self.aside, run_id)

    def _take_aside(self, run_id: str) -> None:
        with _opened(run_id, _FOLDER, self.base) as folder:
            _make_writable(folder)  # as must be what gets another parent
        os.rename(run_id, run_id, src_dir_fd=self.base, dst_dir_fd=self.aside)
        os.fsync(self.base)

    def _delete(self, parent: int, name: str) -> None:
        with _opened(name, _FOLDER, parent) as folder:
            if os.fstat(folder).st_dev != self.device:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), name)
            _make_writable(folder)
            for entry in list(os.scandir(folder)):
                if entry.is_dir(follow_symlinks=False):
                    self._delete(folder, entry.name)
                else:
                    os.unlink(entry.name, dir_fd=folder)
        os.rmdir(name, dir_fd=parent)


def _make_writable(folder: int) -> None:
    mode = stat.S_IMODE(os.fstat(folder).st_mode)
    if mode & 0o700 != 0o700:
        os.fchmod(folder, mode | 0o700)


# --- pins ---------------------------------------------------------------------------------------------------------


def pin(results: Path, which: str) -> str:
    """Keep a run from being removed, from when this returns; return its run_id.

    Raises InputError where there is no such run.
    """
    with _told(results):
        run_id = find(results, which).name
        with _pins(results) as pins:
            if removed(results, [run_id]):
                raise InputError(f"run {run_id} has just been removed", hint="just runs")
            if run_id not in pins:
                files.write(results / PINS / run_id, [])
                files.sync_folder(results / PINS)
        return run_id


def unpin(results: Path, which: str) -> str:
    """Take a pin away, and return the run_id.

    Raises InputError where no pinned run, or more than one, is meant.
    """
    with _told(results):
        run_id = find(results, which).name if which == "last" else which.strip().rstrip("/").rpartition("/")[2].lower()
        with _pins(results) as pins:
            matches = [name for name in pins if run_id and name.startswith(run_id)]
            if len(matches) != 1:
                found = f"is the start of {len(matches)} pinned runs" if matches else "is not pinned"
                shown = f"run {run_id}" if which == "last" else repr(which)
                raise InputError(f"{shown} {found}", hint="just pin --list")
            os.unlink(results / PINS / matches[0])
            files.sync_folder(results / PINS)
            return matches[0]


@contextmanager
def _pins(results: Path) -> Iterator[set[str]]:
    """Yield the pinned runs, which stay as they are as long as this is held."""
    (results / PINS).mkdir(exist_ok=True)
    with _opened(results / PINS, os.O_RDONLY | os.O_DIRECTORY) as folder:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield pinned(results)
