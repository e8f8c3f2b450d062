"""One run's directory, from its working name to its seal, and the runs that are there.

A run is written in `results/.working/<run_id>/`, on which its process holds a lock, and renamed to `results/<run_id>/`
after everything is on disk: a directory that exists under its final name is whole. The order is

    working directory, locked → START in the ledger → files → manifest → SEALED (or FAILED) in the ledger → rename

so whatever instant a process dies at, what it leaves is a working directory without a lock, which `unfinished` finds
and `recover` brings to its end: where the ledger has the seal only the rename was missing, else the run is sealed as
failed.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

from peak_trade.errors import InputError, RunError
from peak_trade.evidence import files, manifest
from peak_trade.evidence.ledger import Entry, Ledger, now

__all__ = [
    "RunDir",
    "Unfinished",
    "find",
    "half_removed",
    "latest",
    "new_run_id",
    "pinned",
    "read_manifest",
    "recover",
    "removed",
    "run_ids",
    "runs",
    "unfinished",
    "warn_unfinished",
]

WORKING = ".working"
REMOVING = ".removing"  # where `retention` takes a run whose removal is in the ledger
PINS = ".pins"  # a file for each run that retention leaves, with its run_id as name: runs are pinned after their seal
_LOG = logging.getLogger("peak_trade.run_dir")
_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
ERROR = "error.json"


def new_run_id(given: str | None = None) -> str:
    """Return `given` in its usual spelling, else a new UUID4.

    Raises InputError for anything else than a UUID4.
    """
    if given is None:
        return str(uuid.uuid4())
    text = given.strip().lower()
    if not _UUID4.fullmatch(text):
        raise InputError(f"the run_id {given!r} is not a UUID4", hint='python -c "import uuid; print(uuid.uuid4())"')
    return text


class RunDir:
    """The directory of a run in the making; `path` is where it stands now."""

    def __init__(self, results: Path, run_id: str, path: Path, lock: int) -> None:
        self.results, self.run_id, self.path, self._lock = results, run_id, path, lock
        self.ledger = Ledger(results)
        self.sealed: dict[str, str] = {}
        self.bytes = 0
        self.noted = False  # the seal stands in the ledger: from here on nothing of the run may change

    @classmethod
    def create(cls, results: Path, run_id: str, *, given: bool) -> RunDir:
        """Make the working directory and lock it.

        Raises InputError where the run_id exists already (`given`: the ledger is asked too, as an id that was given can
        be that of a removed run); OSError where `results` can't be written.
        """
        working = results / WORKING
        working.mkdir(parents=True, exist_ok=True)
        path = working / run_id
        with _registry(working):  # nobody sees the directory before it is locked
            if path.exists() or (results / run_id).exists() or (given and _in_ledger(results, run_id)):
                raise InputError(f"run {run_id} exists already and is never overwritten", hint="leave --run-id out")
            path.mkdir()
            return cls(results, run_id, path, _lock(path))

    def write(self, name: str, chunks: Iterable[bytes]) -> files.Written:
        """Write a file that the seal will cover."""
        written = files.write(self.path / name, chunks)
        self.sealed[name] = written.sha256
        self.bytes += written.size
        return written

    def discard(self) -> None:
        """Remove the files that were to be sealed: a failed run leaves no half result."""
        for entry in list(os.scandir(self.path)):
            if entry.is_file(follow_symlinks=False) and entry.name != "run.log":
                os.unlink(entry.path)
        self.sealed.clear()
        self.bytes = 0

    def seal(self, predicate: manifest.Predicate, event: str, **fields: Any) -> Path:
        """Write the manifest, note the seal in the ledger and give the directory its final name."""
        written = files.write(self.path / manifest.NAME, [manifest.encode(self.sealed, predicate)])
        files.sync_folder(self.path)
        finished = predicate.run_details.get("metadata", {}).get("finishedOn", "")  # said twice: either can be checked
        self.ledger.append(event, self.run_id, time=finished, manifest=written.sha256, **fields)
        self.noted = True
        return self.publish()

    def publish(self) -> Path:
        """Give the directory its final name."""
        final = self.results / self.run_id
        os.rename(self.path, final)
        self.path = final
        files.sync_folder(self.results)
        self.release()
        return final

    def abandon(self) -> None:
        """Take back a directory whose run did not start; what can't be removed is left to `recover`."""
        with suppress(OSError):
            for entry in list(os.scandir(self.path)):
                os.unlink(entry.path)
            self.path.rmdir()
        self.release()

    def release(self) -> None:
        """Let go of the lock."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _lock(folder: Path) -> int:
    """Lock a directory for the life of this process; BlockingIOError where another process has it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


@contextmanager
def _registry(working: Path) -> Iterator[None]:
    """Hold the right to add, probe and take over working directories; others wait."""
    handle = os.open(working, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _in_ledger(results: Path, run_id: str) -> bool:
    try:
        return f'"run_id":"{run_id}"'.encode() in (results / "ledger.jsonl").read_bytes()
    except FileNotFoundError:
        return False


# --- runs that a process left unfinished --------------------------------------------------------------------------


class Unfinished(Struct, frozen=True):
    """A run without an end: `alive` while its process still holds the lock."""

    run_id: str
    path: Path
    alive: bool


def unfinished(results: Path) -> list[Unfinished]:
    """Return the runs in the making, and those that a dead process left there."""
    working = results / WORKING
    try:
        with _registry(working):
            entries = (entry for entry in os.scandir(working) if _UUID4.fullmatch(entry.name))
            names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
            return [Unfinished(name, working / name, _alive(working / name)) for name in names]
    except FileNotFoundError:
        return []


def _alive(folder: Path) -> bool:
    try:
        os.close(_lock(folder))
    except (BlockingIOError, PermissionError):  # another user's is not ours to judge
        return True
    except FileNotFoundError:
        return False
    return False


def warn_unfinished(results: Path) -> None:
    """Warn, in one line each, where dead processes have left runs, and removals of runs."""
    if dead := [left.run_id for left in unfinished(results) if not left.alive]:
        _LOG.warning(
            "%d unfinished run(s) of dead processes: %s; hint: just doctor seals them as failed", len(dead), _some(dead)
        )
    left = sorted(half_removed(results))
    if left and not _alive(results / REMOVING):
        _LOG.warning(
            "%d unfinished removal(s) of dead processes: %s; hint: just doctor finishes them", len(left), _some(left)
        )


def _some(run_ids: list[str]) -> str:
    return ", ".join(run_ids[:3]) + (", …" if len(run_ids) > 3 else "")


def recover(results: Path) -> list[tuple[str, str]]:
    """Bring every dead run to its end, and return (run_id, what was done) for each.

    Where the ledger has the seal, only the rename was missing. Else the run is sealed as failed, with all that it left.
    So is a START record whose directory is gone, in a new one. Safe to repeat and to run beside others.
    """
    done = _remake(results)
    for left in unfinished(results):
        try:
            with _registry(results / WORKING):
                lock = _lock(left.path)
        except (BlockingIOError, FileNotFoundError, PermissionError):
            continue
        run = RunDir(results, left.run_id, left.path, lock)
        try:
            if left.path.is_dir():
                done.append((left.run_id, _finish(run)))
        except OSError as error:  # one that can't be helped now does not stop the others
            done.append((left.run_id, f"not recovered: {error.strerror}"))
        finally:
            run.release()
    return done


def _remake(results: Path) -> list[tuple[str, str]]:
    """Make the directory of each run that started and has none; return those for which that is not possible."""
    failed: list[tuple[str, str]] = []
    for run_id, entry in latest(Ledger(results).read().entries).items():
        places = results / WORKING / run_id, results / run_id
        if entry.event == "start" and _UUID4.fullmatch(run_id) and not any(place.exists() for place in places):
            try:
                places[0].mkdir(parents=True, exist_ok=True)
            except OSError as error:
                failed.append((run_id, f"not recovered: {error.strerror}"))
    return failed


def _finish(run: RunDir) -> str:
    entries = [entry for entry in run.ledger.read().entries if entry.run_id == run.run_id]
    seal = next((entry for entry in reversed(entries) if entry.event in ("sealed", "failed", "abandoned")), None)
    path = run.path / manifest.NAME
    if seal and path.is_file() and files.digest(path) == seal.fields.get("manifest"):
        run.publish()
        return f"its seal was in the ledger: finished as {seal.event}"
    if not entries and not any(run.path.iterdir()):
        run.path.rmdir()
        return "removed: it had not started"
    start = entries[0].sha256 if entries else run.ledger.append("start", run.run_id)
    path.unlink(missing_ok=True)  # written but never noted: the seal below replaces it
    for entry in sorted(os.scandir(run.path), key=lambda entry: entry.name):
        if entry.is_file(follow_symlinks=False) and entry.name != "run.log":
            run.sealed[entry.name] = files.digest(Path(entry.path))
    error = {"type": "Abandoned", "message": "the process died before the run was sealed"}
    if ERROR not in run.sealed:
        run.write(ERROR, [files.encode_json(error)])
    details = {"metadata": {"invocationId": run.run_id, "startedOn": entries[0].time if entries else None,
                            "finishedOn": now()}}  # fmt: skip
    definition = {"buildType": manifest.BUILD, "externalParameters": {}, "internalParameters": {},
                  "resolvedDependencies": []}  # fmt: skip
    predicate = manifest.Predicate("failed", definition, details, {}, [], {"follows": start}, error)
    run.seal(predicate, "abandoned")
    return "sealed as failed: its process died"


# --- runs that are there ------------------------------------------------------------------------------------------


def runs(results: Path) -> list[Path]:
    """Return the directories of all finished runs, in order of run_id; what is left of a removed one is none."""
    return [results / name for name in sorted(run_ids(results) - half_removed(results))]


def run_ids(folder: Path) -> set[str]:
    """Return all run_ids that are names in a folder; none where there is no folder."""
    try:
        return {entry.name for entry in os.scandir(folder) if _UUID4.fullmatch(entry.name)}
    except (FileNotFoundError, NotADirectoryError):
        return set()


def pinned(results: Path) -> set[str]:
    """Return the runs that retention leaves."""
    return run_ids(results / PINS)


def half_removed(results: Path) -> set[str]:
    """Return the runs whose removal is in the ledger and was begun, but not brought to its end."""
    begun = run_ids(results / REMOVING)
    with suppress(OSError):  # a ledger that can't be read is for others to tell
        return removed(results, begun)
    return set()


def removed(results: Path, run_ids: Iterable[str]) -> set[str]:
    """Return those of `run_ids` that the ledger, as it is now, has as removed; OSError where it can't be read."""
    wanted = set(run_ids)
    newest = latest(Ledger(results).read().entries) if wanted else {}
    return {run_id for run_id in wanted if run_id in newest and newest[run_id].event == "removed"}


def find(results: Path, which: str) -> Path:
    """Return the directory of one run: by `last` (sealed last, by the ledger), by a run_id or a unique start of one.

    Raises InputError where there is none, or more than one.
    """
    if which == "last":
        return _last(results)
    folder, _, text = which.strip().rstrip("/").rpartition("/")  # a path to the directory is as good as its name
    if folder and os.path.isdir(which) and Path(folder).resolve() != results.resolve():
        raise InputError(f"{which!r} is not in {results.name}/", hint=f"--results-dir {folder}")
    text = text.lower()
    matches = [path for path in runs(results) if text and path.name.startswith(text)]
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise _not_there(results, which, text)
    shown = ", ".join(path.name for path in matches[:5]) + (", …" if len(matches) > 5 else "")
    raise InputError(f"{which!r} is the start of {len(matches)} runs: {shown}", hint="give more of the run_id")


def _not_there(results: Path, which: str, text: str) -> InputError:
    with suppress(OSError):
        for entry in Ledger(results).read().entries if text else ():
            if entry.event == "removed" and entry.run_id.startswith(text):
                return InputError(
                    f"run {entry.run_id} was removed on {entry.time[:10]}", hint="just runs shows what the ledger keeps"
                )
    return InputError(f"no run {which!r} in {results.name}/", hint="just runs lists them")


def _last(results: Path) -> Path:
    gone: set[str] = set()
    for entry in reversed(Ledger(results).read().entries):
        if entry.event == "removed":
            gone.add(entry.run_id)
        elif entry.event == "sealed" and entry.run_id not in gone and (results / entry.run_id).is_dir():
            return results / entry.run_id
    raise InputError(f"no sealed run in {results.name}/", hint="just run config/my_strategy.toml makes one")


def read_manifest(run_dir: Path) -> manifest.Manifest:
    """Read a run's manifest; RunError where it is missing, unreadable or none."""
    try:
        return manifest.decode((run_dir / manifest.NAME).read_bytes())
    except OSError as error:
        raise RunError(f"{run_dir.name}/{manifest.NAME}: {error.strerror}") from None


def latest(entries: list[Entry]) -> dict[str, Entry]:
    """Return each run's newest entry, in order of its first one."""
    newest: dict[str, Entry] = {}
    for entry in entries:
        newest[entry.run_id] = entry
    return newest
