"""One run's directory, from its working name to its seal, and what dead processes left on the way.

A run is written in `results/.working/<run_id>/`, on which its process holds a lock, and renamed to `results/<run_id>/`
after everything is on disk: a directory that exists under its final name is whole. The order is

    working directory, locked → START in the ledger → files → manifest → SEALED (or FAILED) in the ledger → rename

so whatever instant a process dies at, what it leaves is a working directory without a lock, which `unfinished` finds
and `recover` brings to its end: where the ledger has the seal only the rename was missing, else the run is sealed as
failed. What the ledger has sealed is never sealed again: a directory that does not bear out its seal is left to people.

A strategy runs while the directory stands there, and may leave anything in it, or put something else in its place. So
all of a run is written relative to the descriptor of its directory, and what is not its own is taken out to
`results/.left/<run_id>/` before the seal.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import itertools
import logging
import os
import shlex
import stat
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct

from peak_trade.errors import InputError, RunError
from peak_trade.evidence import code, door, files, manifest, seal
from peak_trade.evidence.ledger import REMOVED, STARTED, History, Ledger, Line, Reading, now
from peak_trade.evidence.results import LEFT, REMOVING, SWEEPS, WORKING, Results, is_run_id
from peak_trade.text import as_utf8

__all__ = [
    "BESIDE",
    "DIED",
    "OUTPUTS",
    "STOPPED",
    "TRIAL_OF",
    "RunDir",
    "Sealing",
    "Unfinished",
    "carry",
    "named",
    "new_run_id",
    "read_manifest",
    "recover",
    "seal_all",
    "unfinished",
    "warn_unfinished",
]

_LOG = logging.getLogger("peak_trade.run_dir")
ERROR = "error.json"
DIED = "the process died before the run was sealed"
"""Why an abandoned run failed."""
_ALL = 1 << 40  # names: what a strategy leaves is taken out, however much it is
_NAMED = 5  # of what a strategy left
_TOGETHER = 64  # files that are open at once
_FILES = {"config_snapshot.toml", "config_snapshot.json", "stats.json", "equity.csv", "benchmark.csv", "trades.csv",
          "trades.parquet", "open_trades.csv", "symbols.csv", "trials.csv", "trials.parquet", "trades_extra.csv",
          "blocks.csv", "blocks.parquet", manifest.NAME, ERROR}  # fmt: skip
OUTPUTS = "outputs"
"""The folder of what a recorded command, or another program, has left: sealed, byte for byte."""
BESIDE = {
    "run.log": "a file",
    seal.NAME: "a file",
    "manifest.dsse.json": "a file",  # who has signed it
    "tracking.json": "a file",
    "durations.csv": "a file",  # of a sweep's trials
    "study.journal": "a file",  # of a search, as Optuna reads it
    "telemetry": "a folder",
    "plots": "a folder",
    "debug": "a folder",
    "report": "a folder",
}
"""What may lie beside the sealed files, most of it added once the run has its final name."""
TRIAL_OF = "peak_trade.run_id"
"""The attribute of a trial in a store of another program that names the run of ours in which it counts."""


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
        self._home, self._home_mark = _home(results)
        self.sealed: dict[str, str] = {}
        self.beside: set[str] = set()  # what the seal does not cover
        self.bytes = 0
        self.noted = False  # the seal stands in the ledger: from here on nothing of the run may change
        self._start = b""  # the ledger's line
        self._begun: set[str] = set()  # files that were to be sealed, whole or not
        self._mark = _mark(lock)

    @classmethod
    def take_over(cls, results: Path, run_id: str) -> RunDir:
        """Lock the directory of a run that started and whose process is gone, made anew where it is no more.

        Raises OSError where it can't be, BlockingIOError where a process has it.
        """
        path = results / WORKING / run_id
        run = cls(results, run_id, path, -1)
        try:
            with _registry(path.parent):
                run._lock = _lock(path)
                run._mark = _mark(run._lock)
        except BlockingIOError:
            raise
        except OSError:  # it is gone, or something else has its name
            pass
        run.replace()
        for entry in door.entries(run.place):
            if entry.is_file and entry.name in _FILES:
                run._begun.add(entry.name)
        for folder in (code.FOLDER, OUTPUTS):
            with suppress(OSError):
                run._begun.update(code.there(run.place, folder))
        with suppress(OSError):
            run.beside = {f"debug/{entry.name}" for entry in door.entries(run.place, "debug")}
        return run

    @property
    def place(self) -> Path | int:
        """The directory for the door: by its descriptor, which is that of the lock, while this process has it."""
        return self.path if self._lock < 0 else self._lock

    def begin(self, **fields: Any) -> str:
        """Put the START record on disk, and return its sha256. Raises OSError where it can't be written."""
        self._start = self.ledger.append("start", self.run_id, **fields)
        return hashlib.sha256(self._start).hexdigest()

    @staticmethod
    def begin_all(runs: Sequence[tuple[RunDir, Mapping[str, Any]]]) -> list[str]:
        """Put the START records of runs in one results folder on disk together: each run with the fields of its own."""
        lines = [Line("start", run.run_id, fields) for run, fields in runs]
        for (run, _), line in zip(runs, runs[0][0].ledger.append_all(lines) if runs else [], strict=True):
            run._start = line
        return [hashlib.sha256(run._start).hexdigest() for run, _ in runs]

    @classmethod
    def create(cls, results: Path, run_id: str, *, given: bool) -> RunDir:
        """Make the working directory and lock it.

        Raises InputError where the run_id exists already (`given`: the ledger is asked too, as an id that was given can
        be that of a removed run); OSError where `results` can't be written.
        """
        (run,) = cls.create_all(results, [run_id], given=given)
        return run

    @classmethod
    def create_all(cls, results: Path, run_ids: Sequence[str], *, given: bool) -> list[RunDir]:
        """Make and lock several, all of them or none; raises as `create`."""
        working = results / WORKING
        working.mkdir(parents=True, exist_ok=True)
        made: list[RunDir] = []
        with _registry(working):  # nobody sees a directory before it is locked
            known = Ledger(results).names(run_ids) if given else frozenset[str]()
            try:
                for run_id in run_ids:
                    path = working / run_id
                    if os.path.lexists(path) or os.path.lexists(results / run_id) or run_id in known:
                        raise InputError(
                            f"run {run_id} exists already and is never overwritten", hint="leave --run-id out"
                        )
                    made.append(cls(results, run_id, path, -1))
                    path.mkdir()
                    made[-1]._lock = _lock(path)
                    made[-1]._mark = _mark(made[-1]._lock)
            except (OSError, InputError):
                for run in made:
                    run.abandon()
                raise
        return made

    def write(self, name: str, chunks: Iterable[bytes]) -> files.Written:
        """Write a file that the seal will cover; `seal` flushes it."""
        self._begun.add(name)
        written = door.create(self._lock, name, chunks, flushed=False)
        self.sealed[name] = written.sha256
        self.bytes += written.size
        return written

    def write_beside(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write a file, below a folder of the directory, that the seal will not cover."""
        self.beside.add(name)
        door.create(self._lock, name, chunks)

    def discard(self) -> None:
        """Remove the files that were to be sealed: a failed run leaves no half result."""
        for name in sorted(self._begun):
            with suppress(FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError):
                door.remove(self._lock, name)  # but a folder, which is somebody else's
        self._begun.clear()
        self.sealed.clear()
        self.bytes = 0

    # --- what is not its own

    @property
    def astray(self) -> bool:
        """Whether what stands under the name of the results folder is no longer the one that the run started in."""
        try:
            about = os.stat(self.results)
        except OSError:
            return True
        return self._home_mark not in (None, (about.st_dev, about.st_ino))

    def go_home(self) -> None:
        """Go on in the results folder that the run started in, by the name that it has now.

        Raises OSError where something else has its name and it can't be found: nothing is written elsewhere.
        """
        if not self.astray:
            return
        if (place := _place_of(self._home, self._home_mark)) is None:
            if os.path.lexists(self.results):
                raise OSError(errno.ESTALE, "another folder is in place of that of the results, which can't be found")
            self._home_mark = None  # it is no more: it is made anew
            return
        self.results, self.path, self.ledger = place, place / WORKING / self.run_id, Ledger(place)

    @property
    def displaced(self) -> bool:
        """Whether what stands under the directory's name is no longer this directory."""
        try:
            self._regain()
            there, above = (os.stat(path, follow_symlinks=False) for path in (self.path, self.path.parent))
            return not (os.path.samestat(there, os.fstat(self._lock)) and stat.S_ISDIR(above.st_mode))
        except OSError:
            return True

    @property
    def robbed(self) -> bool:
        """Whether a strategy has just closed the descriptors that it found open, that of the lock among them."""
        return _mark(self._lock) != self._mark

    def _regain(self) -> None:
        """Lock the directory again, where a strategy has closed all descriptors that there were."""
        if self.robbed and _mark(lock := _lock(self.path)) == self._mark:
            self._lock = lock

    def replace(self) -> None:
        """Make the directory anew where it is displaced; what stands in its place is taken out.

        Raises OSError where that can't be, or the results folder is not to be found.
        """
        self.go_home()
        if not self.displaced:
            return
        working = self.path.parent
        if os.path.lexists(working) and not stat.S_ISDIR(os.lstat(working).st_mode):
            with files.opened(self.results, os.O_RDONLY | os.O_DIRECTORY) as base:
                self._take_out(base, [door.entry(working.name, base)])
        working.mkdir(parents=True, exist_ok=True)
        with _registry(working) as folder:
            if os.path.lexists(self.path):
                self._take_out(folder, [door.entry(self.run_id, folder)])
            self.path.mkdir()
            self._let_go()
            self._lock = _lock(self.path)
            self._mark = _mark(self._lock)

    def settle(self, *, named: bool = False) -> list[str]:
        """Take out what is not the run's own, and return what that is, as `a symbolic link report`.

        With `named`, the directory has its final name, by which others may have begun to add to it already.
        Raises OSError where it can't be taken out.
        """
        strange: list[str] = []
        ours = dict.fromkeys([*self.sealed, *self.beside, "run.log"], "a file")
        folders = door.folders_of(ours)
        ours |= dict.fromkeys([manifest.NAME] if self.noted else [], "a file")
        ours |= dict.fromkeys(folders, "a folder") | (BESIDE if named else {})
        ours |= dict.fromkeys([seal.NAME] if self.noted else [], "a file")
        self._settle(self._lock, "", ours, strange)
        return strange

    def _settle(self, folder: int, below: str, ours: dict[str, str], strange: list[str]) -> None:
        """Take what is not of `ours` out of a folder, which lies at `below`, and of those in it that are."""
        there = door.entries(folder, most=_ALL)
        if astray := [entry for entry in there if entry.kind != ours.get(f"{below}{entry.name}")]:
            self._take_out(folder, astray)
            strange += [f"{entry.kind} {as_utf8(f'{below}{entry.name}')}" for entry in astray]
        holding = door.folders_of(ours)
        for entry in there:
            if entry.kind == "a folder" and f"{below}{entry.name}" in holding:
                with suppress(FileNotFoundError), door.folder(folder, entry.name) as inner:
                    self._settle(inner, f"{below}{entry.name}/", ours, strange)

    def _settle_late(self, *, named: bool) -> None:
        """Take out what came too late for the manifest to name it, and warn of it.

        The seal stands, so it is no reason to fail any more: what can't be taken out is for `just verify` to name.
        """
        try:
            if late := self.settle(named=named):
                place = f"{self.results.name}/{LEFT}/{self.run_id}/"
                _LOG.warning("directory left: %d name(s) came while it was sealed, taken to %s", len(late), place)
        except (OSError, RunError) as error:
            _LOG.warning(
                "directory left: what came while it was sealed can't be taken out: %s; hint: just verify %s names it",
                error.strerror if isinstance(error, OSError) else error.message, self.run_id[:8],
            )  # fmt: skip

    def _take_out(self, folder: int, entries: list[door.Entry]) -> None:
        """Move names out of a folder, each under a name that is free."""
        with _taking(self.results, self.run_id) as left:
            taken = set(os.listdir(left))
            for name, kind, *_ in entries:
                new = next(new for n in itertools.count(1) if (new := f"{name}.{n}" if n > 1 else name) not in taken)
                taken.add(new)
                if kind == "a folder":  # one that gets another parent must be one that can be written to
                    with suppress(OSError):
                        os.chmod(name, 0o700, dir_fd=folder)
                os.rename(name, new, src_dir_fd=folder, dst_dir_fd=left)

    def seal(self, predicate: manifest.Predicate, event: str, **fields: Any) -> Path:
        """Write the manifest, note the seal in the ledger and give the directory its final name."""
        sealing = self.conclude(predicate, event, **fields)
        door.flush(self._lock, self._flushed)
        self._go_on(self.ledger.append(event, self.run_id, time=sealing.line.time, **sealing.line.fields))
        if event != "abandoned":  # long after, who knows what has its name: that is for people to look at
            self._make_way()
        path = self.publish()
        self._settle_late(named=True)
        return path

    def conclude(self, predicate: manifest.Predicate, event: str, **fields: Any) -> Sealing:
        """Write the manifest, and return what seals the run: nothing of it is to change from here on.

        Raises OSError where the directory is not to be found.
        """
        if self.astray:
            raise OSError(errno.ESTALE, "the results folder was moved or replaced")
        if self.displaced:
            raise OSError(errno.ESTALE, "the directory of the run was moved or replaced")
        self._begun.add(manifest.NAME)
        content = manifest.encode(self.sealed, predicate)
        written = door.create(self._lock, manifest.NAME, [content], flushed=False)
        finished = predicate.run_details.get("metadata", {}).get("finishedOn", "")  # said twice: either can be checked
        return Sealing(self, Line(event, self.run_id, {"manifest": written.sha256, **fields}, finished))

    @property
    def _flushed(self) -> list[str]:
        return [*self.sealed, manifest.NAME]

    def _go_on(self, end: bytes) -> None:
        """Do what is left to do before the directory gets its name, once the ledger has its end."""
        self.noted = True
        self._carry(end)
        self._settle_late(named=False)  # as late as can be: a child that is still there may add a name at any time

    def _make_way(self) -> None:
        """Take out what has the run's final name by now: nothing had when the run began, and nobody else gives it."""
        with files.opened(self.results, os.O_RDONLY | os.O_DIRECTORY) as base, suppress(FileNotFoundError):
            there = door.entry(self.run_id, base)
            self._take_out(base, [there])
            place = f"{self.results.name}/{LEFT}/{self.run_id}/"
            _LOG.warning("directory left: %s had the run's name, taken to %s", there.kind, place)

    def _carry(self, end: bytes = b"") -> None:
        """Leave the run's two lines of the ledger in its directory; what can't be written is no reason to fail."""
        try:
            lines = seal.encode(self._start, end) if self._start and end else seal.of(self.ledger, self.run_id)
            door.create(self._lock, seal.NAME, [lines], flushed=False)  # `publish` does, with the name
        except (LookupError, OSError) as error:
            with suppress(OSError):
                door.remove(self._lock, seal.NAME)
            told = error.strerror if isinstance(error, OSError) else "the ledger lacks a line of the run"
            _LOG.warning("%s skipped: %s; hint: just doctor makes it again", seal.NAME, told)

    def publish(self) -> Path:
        """Give the directory its final name."""
        self._rename()
        _flush_names([self])
        return self.path

    def _rename(self) -> None:
        final = self.results / self.run_id
        os.rename(self.path, final)
        self.path = final

    def abandon(self) -> None:
        """Take back a directory whose run did not start; what can't be removed is left to `recover`."""
        with suppress(OSError):
            for name in os.listdir(self._lock):
                os.unlink(name, dir_fd=self._lock)
            self.path.rmdir()
        self.release()

    def release(self) -> None:
        """Let go of the lock, and of the results folder."""
        self._let_go()
        if self._home >= 0:
            if _mark(self._home) == self._home_mark:
                os.close(self._home)
            self._home = -1

    def _let_go(self) -> None:
        if self._lock >= 0:
            if _mark(self._lock) == self._mark:  # else a strategy has closed it, and it may be another file
                os.close(self._lock)
            self._lock = -1


class Sealing(NamedTuple):
    """A run whose files are all written, its manifest too, and the line that is to seal it."""

    run: RunDir
    line: Line


def seal_all(sealings: Sequence[Sealing]) -> list[OSError | RunError | None]:
    """Seal runs of one results folder together, as `RunDir.seal` does each: one flush, one write of the ledger.

    The order is that of one run, for all of them: what is in the directories is on disk before the ledger has a line of
    any, and each has its line before it gets its name. Returns for each what kept it from its name or from what comes
    after it, None where nothing did. Raises OSError where they can't be flushed or noted: none is sealed then.
    """
    door.flush_all((sealing.run._lock, sealing.run._flushed) for sealing in sealings)
    ends = sealings[0].run.ledger.append_all([sealing.line for sealing in sealings]) if sealings else []
    for sealing in sealings:
        sealing.run.noted = True  # whatever comes next: none of them may change
    came: list[OSError | RunError | None] = []
    for (run, _), end in zip(sealings, ends, strict=True):
        try:
            run._go_on(end)
            run._make_way()
            run._rename()
            came.append(None)
        except (OSError, RunError) as error:
            came.append(error)
    named = [sealing.run for sealing, error in zip(sealings, came, strict=True) if error is None]
    try:
        _flush_names(named)
    except OSError as error:
        return [one or error for one in came]
    for run in named:
        run._settle_late(named=True)
    return came


def _flush_names(runs: Sequence[RunDir]) -> None:
    """Flush the names of runs of one results folder, and what was written once the ledger had their ends."""
    for start in range(0, len(runs), _TOGETHER):
        with ExitStack() as stack:
            some = runs[start : start + _TOGETHER]
            handles = [stack.enter_context(files.opened(some[0].results, os.O_RDONLY | os.O_DIRECTORY))]
            for run in some:
                with suppress(FileNotFoundError):  # it could not be written, which was said
                    handles.append(stack.enter_context(door.reading(run.place, seal.NAME)).fileno())
            files.flush(handles)


def _lock(folder: Path) -> int:
    """Lock a directory for the life of this process; BlockingIOError where another process has it."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


def _home(results: Path) -> tuple[int, tuple[int, int] | None]:
    """Open a results folder, to find it again; -1 and None where it is none."""
    try:
        handle = os.open(results, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return -1, None
    return handle, _mark(handle)


def _place_of(handle: int, mark: tuple[int, int] | None) -> Path | None:
    """Return the path that an open folder has now; None where it has none, or the system does not tell."""
    if mark is None or _mark(handle) != mark:  # a strategy has closed it
        return None
    try:
        if sys.platform == "darwin":
            name = os.fsdecode(fcntl.fcntl(handle, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0"))
        else:
            name = os.readlink(f"/proc/self/fd/{handle}")
        about = os.stat(name)
    except OSError:
        return None
    return Path(name) if (about.st_dev, about.st_ino) == mark else None


@contextmanager
def _taking(results: Path, run_id: str) -> Iterator[int]:
    """Yield the folder that a run's strays are taken to; RunError where something else has its name."""
    with files.opened(results, os.O_RDONLY | os.O_DIRECTORY) as base:
        try:
            with door.folder(base, LEFT, run_id, make=True) as left:
                yield left
        except NotADirectoryError as error:
            where = results / (LEFT if error.filename == LEFT else f"{LEFT}/{run_id}")
            aside = shlex.join(["mv", str(where), f"{where}.aside"])
            told = RunError(
                f"what is not the run's can't be taken to {where}: {error.strerror}", hint=f"{aside} && just doctor"
            )
            told.run_id = run_id
            raise told from None


def _mark(handle: int) -> tuple[int, int] | None:
    try:
        about = os.fstat(handle)
    except OSError:
        return None
    return about.st_dev, about.st_ino


@contextmanager
def _registry(working: Path) -> Iterator[int]:
    """Hold the right to add, probe and take over working directories; others wait. Yields the folder's descriptor."""
    with door.folder(working) as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle


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
    """Warn, in one line each, where dead processes have left runs, sweeps that can go on, and removals of runs."""
    dead = [left.run_id for left in unfinished(results) if not left.alive]
    stopped = [run_id for run_id in dead if os.path.lexists(results.path / SWEEPS / run_id)]
    if stopped:
        _LOG.warning(
            "%d sweep(s) stopped before their end: %s; hint: just doctor says how they go on",
            len(stopped), _some(stopped),
        )  # fmt: skip
    if dead := [run_id for run_id in dead if run_id not in stopped]:
        dead = _not_of_sweeps(results, dead)
    if dead:
        _LOG.warning(
            "%d unfinished run(s) of dead processes: %s; hint: just doctor seals them as failed", len(dead), _some(dead)
        )
    left = sorted(results.half_removed())
    if left and not _alive(results.path / REMOVING):
        _LOG.warning(
            "%d unfinished removal(s) of dead processes: %s; hint: just doctor finishes them", len(left), _some(left)
        )


def _not_of_sweeps(results: Results, run_ids: list[str]) -> list[str]:
    """Leave out those that a sweep makes when it goes on: `recover` leaves them to it, too."""
    try:
        reading = results.reading()
    except (OSError, RunError):  # who wants to know more is told by what reads the ledger
        return run_ids
    return [one for one in run_ids if not _is_sweep(reading.of(str(reading.of(one).fields.get("parent") or "")))]


def _some(run_ids: list[str]) -> str:
    return ", ".join(run_ids[:3]) + (", …" if len(run_ids) > 3 else "")


STOPPED = "stopped"
"""How it begins what `recover` tells of a sweep that its own command takes up again."""


def recover(results: Results, only: str = "") -> list[tuple[str, str]]:
    """Bring every dead run, or the one that is named, to its end, and return (run_id, what was done) for each.

    Where the ledger has the seal, only the rename was missing. Else the run is sealed as failed, with all that it left.
    So is a START record whose directory is gone, in a new one. Safe to repeat and to run beside others. What can't be
    brought to its end, or not by what the ledger says, is left as it is and told as `not recovered`; a sweep that can
    go on is left too, and told as `stopped`.
    """
    done = _remake(results)
    for left in unfinished(results):
        if only not in ("", left.run_id):
            continue
        try:
            with _registry(results.path / WORKING):
                lock = _lock(left.path)
        except (BlockingIOError, FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        run = RunDir(results.path, left.run_id, left.path, lock)
        try:
            if left.path.is_dir():
                done.append((left.run_id, _finish(run, results.reading())))
        except OSError as error:  # one that can't be helped now does not stop the others
            done.append((left.run_id, f"not recovered: {error.strerror}"))
        except RunError as error:
            done.append((left.run_id, f"not recovered: {error.message}; {error.hint}"))
        finally:
            run.release()
    return done


def _remake(results: Results) -> list[tuple[str, str]]:
    """Make the directory of each run that started and has none; return those for which that is not possible."""
    failed: list[tuple[str, str]] = []
    for run_id, history in results.reading().runs.items():
        places = results.path / WORKING / run_id, results.path / run_id
        if history.state == STARTED and not any(map(os.path.lexists, places)):
            try:
                with (
                    files.opened(results.path, os.O_RDONLY | os.O_DIRECTORY) as base,
                    door.folder(base, WORKING, run_id, make=True),
                ):
                    pass  # nothing is made in what a link in the place of `.working` leads to
            except OSError as error:
                failed.append((run_id, f"not recovered: {error.strerror}"))
    return failed


def _finish(run: RunDir, reading: Reading) -> str:
    history, there = reading.of(run.run_id), door.entries(run.place)
    sealed = any(entry.name == manifest.NAME for entry in there)
    if history.since and history.state != STARTED:
        if history.state == REMOVED or _seal_of(run.place) != history.manifest:
            told = f"the ledger's line {history.since.line} has it as {history.state}"
            return f"not recovered: {told}, which its directory does not bear out"
        run.noted = True
        with suppress(OSError, RunError):  # a manifest of a later version: who knows what is the run's
            run.sealed = manifest.decode(door.read(run.place, manifest.NAME)).files
            with suppress(OSError):
                run.beside = {f"debug/{entry.name}" for entry in door.entries(run.place, "debug")}
            run._settle_late(named=False)
            with suppress(OSError):  # the process may have died half way through it
                door.remove(run.place, seal.NAME)
            run._carry()
        run.publish()
        return f"its seal was in the ledger: finished as {history.since.event}"
    if not history.entries and not there:
        run.path.rmdir()
        return "removed: it had not started"
    if _is_sweep(history):
        command = str(history.start.fields.get("command") or "its own command") if history.start else ""
        return f"{STOPPED} before its end; it goes on with: {command}"
    if _is_sweep(reading.of(parent := str(history.fields.get("parent") or ""))):
        return f"{STOPPED} with the sweep {parent[:8]}, which makes it when it goes on"
    if sealed and reading.broken:  # who knows what the ledger had of it
        return f"not recovered: it has a manifest, and the ledger is not whole at line {reading.broken[0][0]}"
    start = history.start.sha256 if history.start else run.begin()
    for entry in there:
        if entry.name == manifest.NAME and entry.kind != "a folder":  # never noted: the seal below replaces it
            os.unlink(manifest.NAME, dir_fd=run._lock)
        elif entry.is_file and entry.name != "run.log" and entry.size <= door.limit_of(entry.name):
            run.sealed[entry.name] = door.digest(run.place, entry.name)
    for folder in (code.FOLDER, OUTPUTS):
        with suppress(OSError):
            run.sealed |= {name: door.digest(run.place, name) for name in code.there(run.place, folder)}
    with suppress(OSError):
        run.beside |= {f"debug/{entry.name}" for entry in door.entries(run.place, "debug")}
    left = run.settle()
    error = {"type": "Abandoned", "message": DIED}
    if ERROR not in run.sealed:
        run.write(ERROR, [files.encode_json(error)])
    began = history.start.time if history.start else None
    details = {"metadata": {"invocationId": run.run_id, "startedOn": began, "finishedOn": now()}}
    kind = str(history.start.fields.get("kind") or manifest.RUN) if history.start else manifest.RUN
    build = manifest.BUILD_OF.get(kind, manifest.BUILD)
    definition = {"buildType": build, "externalParameters": {}, "internalParameters": {},
                  "resolvedDependencies": []}  # fmt: skip
    receipts = [{"part": "directory", "outcome": "left", "reason": named(left)}] if left else []
    predicate = manifest.Predicate("failed", definition, details, {}, receipts, {"follows": start}, error)
    run.seal(predicate, "abandoned", **({} if kind == manifest.RUN else {"kind": kind}))
    return "sealed as failed: its process died"


def _is_sweep(history: History) -> bool:
    """Tell whether a run is a sweep that its own command takes up again."""
    start = history.start
    return history.state == STARTED and start is not None and start.fields.get("kind") == manifest.SWEPT


def carry(results: Results) -> list[tuple[str, str]]:
    """Make seal.json again in each run that lacks it, or has another, and return (run_id, what was done) for each.

    Of what the ledger does not bear out, and of runs of format 1, which have none, nothing is changed.
    """
    done: list[tuple[str, str]] = []
    reading = results.reading()
    for path in results.runs():
        history = reading.of(path.name)
        with suppress(OSError, RunError, LookupError):
            if _carries(path, history) or _seal_of(path) != history.manifest or read_manifest(path).format < 2:
                continue
            door.replace(path, seal.NAME, seal.of(results.ledger, path.name))
            done.append((path.name, f"{seal.NAME} made again from the ledger"))
    return done


def _carries(path: Path, history: History) -> bool:
    try:
        carried = seal.decode(door.read(path, seal.NAME))
    except (OSError, RunError):
        return False
    lines = history.start, history.end
    return [line.sha256 for line in lines if line] == [carried.start.sha256, carried.end.sha256]


def named(left: list[str]) -> str:
    """Name some of what a strategy left, and count the rest."""
    return ", ".join(left[:_NAMED]) + (f" and {len(left) - _NAMED:,} more" if left[_NAMED:] else "")


def _seal_of(place: int | Path) -> str | None:
    try:
        return door.digest(place, manifest.NAME)
    except OSError:
        return None


def read_manifest(run_dir: Path) -> manifest.Manifest:
    """Read a run's manifest; RunError where it is missing, unreadable or none."""
    try:
        return manifest.decode(door.read(run_dir, manifest.NAME))
    except OSError as error:
        raise RunError(f"{run_dir.name}/{manifest.NAME}: {error.strerror}") from None
