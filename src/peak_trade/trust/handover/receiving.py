"""Runs of an archive into a results folder: their trials count there, and the ledger says where they came from.

All runs of an archive are checked before one is taken: by the two lines of their own ledger, which the line that
receives a run carries on. What is not the run's own stays behind: only what is sealed, the seal and the log are copied.

A run is written below `.importing/`, noted in the ledger, and then renamed, so that whatever instant a process dies at,
the next one finds by the ledger what was only to be renamed, and removes the rest.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from peak_trade.errors import InputError, RunError
from peak_trade.evidence import bars as came
from peak_trade.evidence import door, files, manifest, run_dir, seal
from peak_trade.evidence.ledger import FAILED, RECEIVED, REMOVED, SEALED, History, Reading, is_run_id
from peak_trade.evidence.results import BARS, IMPORTING, Results
from peak_trade.text import escaped
from peak_trade.trust import verify
from peak_trade.trust.handed import Handed, Package, package
from peak_trade.trust.handover.packing import BESIDE
from peak_trade.trust.handover.sums import check

__all__ = ["Received", "finish", "receive", "whence"]

_LINE = 64 << 10  # bytes of a line of a ledger; ours are under 2 kB
_CHUNK = 1 << 20


class Received(Struct, frozen=True):
    """The runs that were taken, and those that were there already."""

    received: list[str]
    there: list[str]


class _Taken(Struct, frozen=True):
    """A run that is fit to be taken."""

    one: Handed
    sealed: manifest.Manifest
    digest: str
    start: str
    end: str


def receive(which: str, results: Results, progress: Callable[[int, int], None] = lambda done, of: None) -> Received:
    """Take the runs of an archive, or of a directory, into a results folder. The same again changes nothing.

    Raises RunError where one of them is not what was sealed, or is here as another; InputError where there is none, or
    it is here under its own name.
    """
    with package(which, results) as found:
        if own := next((one for one in found.runs if one.results is not None), None):
            raise InputError(f"{own.run.name} is in {results.path.name}/ already", hint="name an archive of other runs")
        _check_package(which, found)
        taken = []
        for at, given in enumerate(found.runs):
            progress(at, len(found.runs))
            taken.append(_fit(given))
        with files.disk_errors(str(results.path)):
            os.makedirs(results.path, exist_ok=True)
            with _importing(results) as folder:
                _sweep(results, folder)
                reading = results.whole_reading()
                new = [one for one in taken if not _is_there(one, reading.of(one.sealed.run_id), results)]
                whence = {"file": escaped(Path(which.rstrip("/")).name, 100), "sha256": _digest(found, which)}
                for one in new:
                    _take(one, results, folder, whence)
    ids = [one.sealed.run_id for one in new]
    return Received(ids, [one.sealed.run_id for one in taken if one.sealed.run_id not in ids])


def finish(results: Results) -> list[tuple[str, str]]:
    """Bring what a dead process was taking to its end; return (run_id, what was done) for each."""
    if not os.path.isdir(results.path / IMPORTING):
        return []
    with _importing(results) as folder:
        return _sweep(results, folder)


def whence(history: History) -> str:
    """Say where a run was received from; empty of one that this ledger has seen being made."""
    line = history.received
    if line is None:
        return ""
    return f"{line.fields.get('file')}, sha256 {line.fields.get('sha256')}, on {line.time[:10]}"


def _check_package(which: str, found: Package) -> None:
    verdict = check(Path(which).name, found)
    if not verdict.holds:
        raise RunError(
            f"{escaped(which, 200)} is {verdict.state}, and nothing of it is taken: {verdict.findings[0]}",
            hint=f"just verify {shlex.quote(which)}",
        )


def _fit(one: Handed) -> _Taken:
    """Return a run that its own lines hold; RunError for any other."""
    verdict = verify.verify(one.run, Reading(), copy=True, data=one.data)
    if not verdict.holds:
        raise RunError(
            f"{one.run.name} is {verdict.state}, and nothing is taken: {verdict.findings[0]}",
            hint=f"just verify {one.called}",
        )
    with files.disk_errors(one.run.name):
        sealed = run_dir.read_manifest(one.run)
        digest = door.digest(one.run, manifest.NAME)
        try:
            start, end = seal.lines(door.read(one.run, seal.NAME, 2 * _LINE))
        except FileNotFoundError:
            raise RunError(
                f"{one.run.name} carries no lines of its ledger: its trial could not be told from an invented one",
                hint="just export it where it was made",
            ) from None
    if not is_run_id(sealed.run_id):
        raise RunError(f"{one.run.name} has no run_id", hint=f"just verify {one.called}")
    return _Taken(one, sealed, digest, start, end)


def _is_there(one: _Taken, history: History, results: Results) -> bool:
    """Tell whether a run is here already; RunError where another of its name is, or was."""
    run_id = one.sealed.run_id
    if history.state == REMOVED and history.since:
        raise RunError(
            f"run {run_id} was removed here on {history.since.time[:10]}; its trial counts all the same",
            hint="just verify shows it where it is",
        )
    if not history.entries:
        if os.path.lexists(results.path / run_id):
            raise RunError(
                f"{run_id} is in {results.path.name}/, and the ledger there does not know it", hint="move it away first"
            )
        return False
    if history.manifest != one.digest:
        raise RunError(f"another run {run_id} is here, and none is ever overwritten", hint=f"just verify {run_id[:8]}")
    return True


def _take(one: _Taken, results: Results, folder: int, whence: dict[str, str]) -> None:
    """Write a run, note it, and give it its name."""
    run_id, source = one.sealed.run_id, one.one.run
    expected: dict[str, str | None] = {**one.sealed.files, manifest.NAME: one.digest}
    expected |= {name: None for name in BESIDE if door.exists(source, name)}
    with door.folder(folder, run_id, make=True) as place:
        for name, sha256 in expected.items():
            if _copy(source, name, place) != sha256 and sha256 is not None:
                raise RunError(f"{source.name}/{name} was changed while it was taken", hint="the same command again")
        door.create(place, seal.NAME, [seal.encode(one.start.encode(), one.end.encode())], flushed=False)
        door.flush(place, [*expected, seal.NAME])
    _take_bars(one, results, folder)
    event = RECEIVED[SEALED if one.sealed.predicate.completed else FAILED]
    results.ledger.append(event, run_id, start=one.start, end=one.end, **whence)
    os.rename(run_id, results.path.absolute() / run_id, src_dir_fd=folder)
    files.sync_folder(results.path)


def _take_bars(one: _Taken, results: Results, folder: int) -> None:
    """Keep the bars that came with a run, which are those it ran on, and its benchmark's: `verify` has found that."""
    parts = one.sealed.predicate.build_definition["resolvedDependencies"]
    for wanted in ("bars", manifest.BENCHMARK):
        part = next((part for part in parts if part["name"] == wanted), None)
        name = came.name_of(part["digest"]["sha256"]) if part else ""
        if one.one.data is None or not name or not door.exists(one.one.data, name):
            continue
        if door.exists(results.path / BARS, name):
            continue
        _copy(one.one.data, name, folder)
        door.flush(folder, [name])
        with door.folder(results.path.resolve(), BARS, make=True) as kept:
            os.rename(name, name, src_dir_fd=folder, dst_dir_fd=kept)
            os.fsync(kept)


def _copy(source: Path, name: str, place: int) -> str:
    """Copy a file, not yet flushed, and return the sha256 of what was written."""
    with door.reading(source, name) as stream:
        return door.create(place, name, _pieces(stream), flushed=False).sha256


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    while piece := stream.read(_CHUNK):
        yield piece


@contextmanager
def _importing(results: Results) -> Iterator[int]:
    """Hold the folder in which runs are taken; others wait."""
    with door.folder(results.path.resolve(), IMPORTING, make=True) as folder:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield folder


def _sweep(results: Results, folder: int) -> list[tuple[str, str]]:
    """Rename what the ledger has received, remove the rest that a dead process left."""
    done: list[tuple[str, str]] = []
    try:
        reading = results.reading()
    except OSError:  # which others tell: nothing is removed by what it does not say
        return done
    for name in sorted(os.listdir(folder)):
        path = results.path / IMPORTING / name
        history = reading.of(name)
        digest = ""
        with suppress(OSError):
            digest = door.digest(path, manifest.NAME)
        if digest and history.received and history.manifest == digest and not os.path.lexists(results.path / name):
            os.rename(name, results.path.absolute() / name, src_dir_fd=folder)
            files.sync_folder(results.path)
            done.append((name, "it was received: finished"))
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
            done.append((name, "removed: it was not yet received"))
        else:
            os.unlink(name, dir_fd=folder)
    return done


def _digest(found: Package, which: str) -> str:
    """Return the sha256 of an archive, of a directory that of its first run's manifest."""
    source = found.runs[0].source
    return files.digest(source) if source else door.digest(found.runs[0].run, manifest.NAME)
