"""One run's directory, from its working name to its seal, and what dead processes left on the way.

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
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

from peak_trade.errors import InputError, RunError
from peak_trade.evidence import door, files, manifest
from peak_trade.evidence.ledger import STARTED, History, Ledger, now
from peak_trade.evidence.results import REMOVING, WORKING, Results, is_run_id

__all__ = ["RunDir", "Unfinished", "new_run_id", "read_manifest", "recover", "unfinished", "warn_unfinished"]

_LOG = logging.getLogger("peak_trade.run_dir")
ERROR = "error.json"


def new_run_id(given: str | None = None) -> str:
    """Return `given` in its usual spelling, else a new UUID4.

    Raises InputError for anything else than a UUID4.
    """
    if given is None:
        return str(uuid.uuid4())
    text = given.strip().lower()
    if not is_run_id(text):
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
            if path.exists() or (results / run_id).exists() or (given and Ledger(results).names(run_id)):
                raise InputError(f"run {run_id} exists already and is never overwritten", hint="leave --run-id out")
            path.mkdir()
            return cls(results, run_id, path, _lock(path))

    def write(self, name: str, chunks: Iterable[bytes]) -> files.Written:
        """Write a file that the seal will cover."""
        written = files.write(self.path / name, chunks)
        self.sealed[name] = written.sha256
        self.bytes += written.size
        return written

    def write_beside(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write a file, below a folder of the directory, that the seal will not cover."""
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        files.write(path, chunks)

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
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


@contextmanager
def _registry(working: Path) -> Iterator[None]:
    """Hold the right to add, probe and take over working directories; others wait."""
    with door.folder(working) as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


# --- runs that a process left unfinished --------------------------------------------------------------------------


class Unfinished(Struct, frozen=True):
    """A run without an end: `alive` while its process still holds the lock."""

    run_id: str
    path: Path
    alive: bool


def unfinished(results: Results) -> list[Unfinished]:
    """Return the runs in the making, and those that a dead process left there."""
    working = results.path / WORKING
    try:
        with _registry(working):
            entries = (entry for entry in os.scandir(working) if is_run_id(entry.name))
            names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
            return [Unfinished(name, working / name, _alive(working / name)) for name in names]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _alive(folder: Path) -> bool:
    try:
        os.close(_lock(folder))
    except (BlockingIOError, PermissionError):  # another user's is not ours to judge
        return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    return False


def warn_unfinished(results: Results) -> None:
    """Warn, in one line each, where dead processes have left runs, and removals of runs."""
    if dead := [left.run_id for left in unfinished(results) if not left.alive]:
        _LOG.warning(
            "%d unfinished run(s) of dead processes: %s; hint: just doctor seals them as failed", len(dead), _some(dead)
        )
    left = sorted(results.half_removed())
    if left and not _alive(results.path / REMOVING):
        _LOG.warning(
            "%d unfinished removal(s) of dead processes: %s; hint: just doctor finishes them", len(left), _some(left)
        )


def _some(run_ids: list[str]) -> str:
    return ", ".join(run_ids[:3]) + (", …" if len(run_ids) > 3 else "")


def recover(results: Results) -> list[tuple[str, str]]:
    """Bring every dead run to its end, and return (run_id, what was done) for each.

    Where the ledger has the seal, only the rename was missing. Else the run is sealed as failed, with all that it left.
    So is a START record whose directory is gone, in a new one. Safe to repeat and to run beside others.
    """
    done = _remake(results)
    for left in unfinished(results):
        try:
            with _registry(results.path / WORKING):
                lock = _lock(left.path)
        except (BlockingIOError, FileNotFoundError, PermissionError):
            continue
        run = RunDir(results.path, left.run_id, left.path, lock)
        try:
            if left.path.is_dir():
                done.append((left.run_id, _finish(run, results.reading().of(left.run_id))))
        except OSError as error:  # one that can't be helped now does not stop the others
            done.append((left.run_id, f"not recovered: {error.strerror}"))
        finally:
            run.release()
    return done


def _remake(results: Results) -> list[tuple[str, str]]:
    """Make the directory of each run that started and has none; return those for which that is not possible."""
    failed: list[tuple[str, str]] = []
    for run_id, history in results.reading().runs.items():
        places = results.path / WORKING / run_id, results.path / run_id
        if history.state == STARTED and is_run_id(run_id) and not any(place.exists() for place in places):
            try:
                places[0].mkdir(parents=True, exist_ok=True)
            except OSError as error:
                failed.append((run_id, f"not recovered: {error.strerror}"))
    return failed


def _finish(run: RunDir, history: History) -> str:
    path = run.path / manifest.NAME
    if history.end and path.is_file() and files.digest(path) == history.end.fields.get("manifest"):
        run.publish()
        return f"its seal was in the ledger: finished as {history.end.event}"
    if not history.entries and not any(run.path.iterdir()):
        run.path.rmdir()
        return "removed: it had not started"
    start = history.entries[0].sha256 if history.entries else run.ledger.append("start", run.run_id)
    path.unlink(missing_ok=True)  # written but never noted: the seal below replaces it
    for entry in sorted(os.scandir(run.path), key=lambda entry: entry.name):
        if entry.is_file(follow_symlinks=False) and entry.name != "run.log":
            run.sealed[entry.name] = files.digest(Path(entry.path))
    error = {"type": "Abandoned", "message": "the process died before the run was sealed"}
    if ERROR not in run.sealed:
        run.write(ERROR, [files.encode_json(error)])
    began = history.began if history.entries else None
    details = {"metadata": {"invocationId": run.run_id, "startedOn": began, "finishedOn": now()}}
    definition = {"buildType": manifest.BUILD, "externalParameters": {}, "internalParameters": {},
                  "resolvedDependencies": []}  # fmt: skip
    predicate = manifest.Predicate("failed", definition, details, {}, [], {"follows": start}, error)
    run.seal(predicate, "abandoned")
    return "sealed as failed: its process died"


def read_manifest(run_dir: Path) -> manifest.Manifest:
    """Read a run's manifest; RunError where it is missing, unreadable or none."""
    try:
        return manifest.decode(door.read(run_dir, manifest.NAME))
    except OSError as error:
        raise RunError(f"{run_dir.name}/{manifest.NAME}: {error.strerror}") from None
