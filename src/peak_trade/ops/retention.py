"""Which runs may go, and why: a plan, from the ledger and a policy, which `removal` carries out.

What has no end in the ledger, is pinned, is not as it was sealed or can't be deleted stays, each with its reason.
A run that was kept of a sweep stays as long as its parent, and only that counts among those that ended last.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Container, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from msgspec import Struct, structs

from peak_trade.evidence import door, files, manifest
from peak_trade.evidence.ledger import ENDED, REMOVED, SEALED, History
from peak_trade.evidence.results import REMOVING, SWEEPS, Results, run_ids
from peak_trade.evidence.run_dir import Unfinished, unfinished
from peak_trade.ops import bars
from peak_trade.shown.listing import readable_size
from peak_trade.shown.telemetry import OPERATIONS

__all__ = ["DEEPEST", "Item", "Plan", "Policy", "plan"]

DEEPEST = 32  # folders in folders, of a run that is removed
_DAY_S = 86_400
_NOT_SEALED = (errno.ENOENT, errno.ENOTDIR, errno.EINVAL, errno.EFBIG)  # missing, or what the door refuses


class Policy(Struct, frozen=True, kw_only=True):
    """What stays: the `keep` runs that ended last, and those that ended less than `days` days ago.

    With a `status`, only runs of that status are looked at: the others stay, and do not count.
    """

    keep: int = 200
    days: int = 30
    status: Literal["sealed", "failed"] | None = None


class Item(Struct, kw_only=True):
    """One run (or what telemetry left of one, or bars that came with one) and what becomes of it.

    `status` is that of the run, `telemetry`, `sweep` (what its trials left on the way), or `bars`, whose digest is the
    `run_id`; `age_s` is the time since its end
    in seconds, None where there is no end; `manifest` the digest that the tombstone keeps. `action` is `keep` or
    `remove`, and when that is carried out `removed`, or `failed` for the reason `why`.
    """

    run_id: str
    status: str
    age_s: float | None = None
    bytes: int
    action: Literal["keep", "remove", "removed", "failed"] = "keep"
    why: str
    manifest: str | None = None


class Plan(Struct):
    """All runs, the newest first, then what telemetry left, and bars that no run names."""

    items: list[Item] = []

    def of(self, *actions: str) -> list[Item]:
        """Return the items with these actions."""
        return [item for item in self.items if item.action in actions]

    def table(self, width: int = 36) -> list[tuple[str, ...]]:
        """Return the plan as rows of text, with a head; `width` is that of a run_id."""
        head = ("run_id", "age", "status", "size", "action", "why")
        body = (
            (item.run_id[:width], _age(item.age_s), item.status, readable_size(item.bytes), item.action, item.why)
            for item in self.items
        )
        return [head, *body]

    def totals(self) -> str:
        """Return what goes and what stays in one line."""
        parts = []
        for action, verb in (("remove", "to remove"), ("removed", "removed"), ("failed", "failed"), ("keep", "kept")):
            items = self.of(action)
            if items or action == "keep":
                parts.append(f"{len(items):,} {verb} ({readable_size(sum(item.bytes for item in items))})")
        return ", ".join(parts)

    def to_json_object(self) -> dict[str, Any]:
        """Return the plan as `--json` prints it."""
        totals = {}
        for action in ("keep", "remove", "removed", "failed"):
            items = self.of(action)
            totals[action] = {"count": len(items), "bytes": sum(item.bytes for item in items)}
        return {"items": [structs.asdict(item) for item in self.items], "totals": totals}


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    for unit, length in (("d", _DAY_S), ("h", 3600), ("min", 60)):
        if abs(seconds) >= length:
            return f"{int(seconds / length)} {unit}"
    return f"{int(seconds)} s"


# --- the plan -----------------------------------------------------------------------------------------------------


def plan(results: Results, policy: Policy, *, now: datetime | None = None) -> Plan:
    """Return what `policy` keeps and removes; changes nothing.

    What has no end in the ledger, or is not as it was sealed, is left to people.

    Raises RunError where the ledger is not whole: what it says of runs can't be relied on then.
    """
    if not results.path.is_dir():
        return Plan()
    with files.disk_errors(results.path.name):
        found = Plan(list(_items(_Survey(results), policy, now or datetime.now(UTC))))
        going = frozenset(item.run_id for item in found.of("remove"))
        found.items += [
            Item(run_id=digest, status="bars", bytes=size, action="remove", why="no run names them")
            for digest, size in bars.unnamed(results, going).items()
        ]
        return found


def _items(survey: _Survey, policy: Policy, now: datetime) -> Iterator[Item]:
    results = survey.results
    going, there, half = unfinished(results), {path.name for path in results.runs()}, results.half_removed()
    reading = results.whole_reading()  # read last: it has the end of every run that is there
    runs = reading.runs
    yield from (_going(survey, run) for run in going if run.run_id not in there)  # else it has just ended
    yield from _ended(survey, policy, {run_id: runs[run_id] for run_id in there if run_id in runs}, now)
    for run_id in sorted(there - runs.keys()):
        size = survey.of_run(results.path / run_id).bytes
        yield Item(run_id=run_id, status="unknown", bytes=size, why="the ledger does not know it")
    for run_id in sorted(half):
        size = sum(survey.of(results.path / place / run_id).bytes for place in ("", REMOVING, OPERATIONS))
        yield Item(run_id=run_id, status="removed", bytes=size, action="remove", why="its removal was cut short")
    known = {*there, *runs, *(run.run_id for run in going)}
    yield from _telemetry(survey, reading.removed - half, known, policy, now)
    ended = {run_id for run_id, history in runs.items() if history.state in (*ENDED, REMOVED)}
    yield from _swept(survey, ended - {run.run_id for run in going})


class _Size(NamedTuple):
    bytes: int = 0
    newest: float = 0.0  # change in it, in seconds since 1970
    obstacle: str = ""  # to deleting it


class _Survey:
    """Measures what lies in `results`, and looks for what stands in the way of deleting it."""

    def __init__(self, results: Results) -> None:
        self.results, self.path = results, results.path
        self.base, self.device = self.path.resolve(), self.path.stat().st_dev
        self.mounts = _mounts()

    def of_run(self, folder: Path) -> _Size:
        """Measure a run's directory, with what telemetry left beside it."""
        own, beside = self.of(folder), self.of(self.path / OPERATIONS / folder.name)
        return own._replace(bytes=own.bytes + beside.bytes)

    def of(self, folder: Path) -> _Size:
        """Measure a folder, without following a link out of it."""
        size, newest, folders = 0, 0.0, [folder]
        try:
            while folders:
                place = folders.pop()
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
        if info.st_dev != self.device or str(self.base / place.relative_to(self.path)) in self.mounts:
            return "a file system is mounted in it"
        if info.st_uid != os.geteuid() and not _may_change(place):  # of one's own the mode is no obstacle
            return "can't be removed: Permission denied"
        if depth > DEEPEST:
            return f"more than {DEEPEST} folders deep"
        return ""


def _may_change(folder: Path) -> bool:
    """Tell whether this process may take names out of a folder, as the user that it acts for."""
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)


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


def _ended(survey: _Survey, policy: Policy, histories: dict[str, History], now: datetime) -> Iterator[Item]:
    """Yield the runs that have these histories, the one that ended last first."""
    pins, counted, stays = survey.results.pinned(), 0, set[str]()
    for run_id, history in sorted(histories.items(), key=lambda item: item[1].line, reverse=True):
        folder = survey.path / run_id
        size, _, obstacle = survey.of_run(folder)
        age_s = _since(history.since.time, now) if history.since else None
        item = Item(run_id=run_id, status=history.status, age_s=age_s, bytes=size, why="", manifest=history.manifest)
        counts = policy.status in (None, history.state)
        if history.state not in ENDED:
            item.status = "unknown"
            item.why = "put back after its removal" if history.state == REMOVED else "the ledger has no end of it"
        elif run_id in pins:
            item.why = "pinned"
        elif (parent := _parent(history, histories)) in stays:  # whose line comes after those of what was kept
            item.why = f"kept of {parent[:8]}, which stays"
        elif not counts:
            item.why = f"not {policy.status}"
        elif counted < policy.keep:
            item.why = f"among the last {policy.keep}"
        elif age_s is None or age_s < policy.days * _DAY_S:
            item.why = f"younger than {policy.days} d"
        else:
            item.why = obstacle or _changed(folder, history)
        if counts and history.state in ENDED and not _parent(history, histories):
            counted += 1
        if not item.why:
            item.action, item.why = "remove", f"older than {policy.days} d, not among the last {policy.keep}"
        else:
            stays.add(run_id)
        yield item


def _parent(history: History, histories: Mapping[str, History]) -> str:
    """Return the sweep that a run was kept of, where that is there too; empty of other runs, and of one that failed."""
    parent = str(history.fields.get("parent") or "")
    return parent if history.state == SEALED and parent in histories else ""


def _swept(survey: _Survey, ended: Container[str]) -> Iterator[Item]:
    """Yield what sweeps that have ended left of their trials: one that goes on needs it."""
    folder = survey.path / SWEEPS
    for name in sorted(run_ids(folder)) if not folder.is_symlink() else ():
        size, _, obstacle = survey.of(folder / name)
        if name in ended and not obstacle:
            yield Item(run_id=name, status="sweep", bytes=size, action="remove", why="its sweep has ended")


def _since(time: str, now: datetime) -> float | None:
    try:
        return (now - datetime.fromisoformat(time)).total_seconds()
    except (ValueError, TypeError):
        return None


def _changed(folder: Path, history: History) -> str:
    """Say so where a run's manifest is not the one that its tombstone would name: that is for people to look at."""
    try:
        if door.digest(folder, manifest.NAME) == history.manifest:
            return ""
    except OSError as error:
        if error.errno not in _NOT_SEALED:
            return f"can't be read: {error.strerror}"
    return f"not what was sealed: just verify {folder.name[:8]}"


def _telemetry(survey: _Survey, gone: set[str], known: set[str], policy: Policy, now: datetime) -> Iterator[Item]:
    """Yield what telemetry left of removed runs, and of commands that are longer ago than a young run."""
    folder = survey.path / OPERATIONS
    if folder.is_symlink():
        return
    limit = max(policy.days, 1)  # a command may be going on
    for name in sorted(run_ids(folder)):
        size, newest, obstacle = survey.of(folder / name)
        age_s = now.timestamp() - newest
        if name in gone:
            why = "its run is removed"
        elif name not in known and age_s >= limit * _DAY_S:
            why = f"of no run, and older than {limit} d"
        else:
            continue
        if not obstacle:
            yield Item(run_id=name, status="telemetry", age_s=age_s, bytes=size, action="remove", why=why)
