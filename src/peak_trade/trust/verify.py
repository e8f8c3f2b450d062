"""Is a run still what was sealed? Reads only.

A finding says which file is wrong, what was expected and what was found. Digests come first: the manifest against the
ledger, the files against the manifest. Only files whose bytes are right are then read and held against each other:
that is `content`.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from peak_trade.errors import InputError, RunError
from peak_trade.evidence import manifest
from peak_trade.evidence.ledger import ENDED, EVENTS, REMOVED, SEALED, Reading
from peak_trade.evidence.results import WORKING, Results
from peak_trade.evidence.run_dir import ERROR
from peak_trade.trust import content
from peak_trade.trust.verdict import Finding, Verdict

__all__ = ["DERIVED", "Finding", "Verdict", "check_ledger", "verify", "verify_all"]

# beside the sealed files, and not sealed
DERIVED = frozenset({"run.log", "tracking.json", "telemetry", "plots", "debug", "report"})
_SEALED = ("config_snapshot.json", "config_snapshot.toml", "stats.json", "equity.csv")


def check_ledger(results: Results, reading: Reading, *, every: bool) -> Verdict:
    """Check the chain, that each line is in its place, and, for `every` run it tells of, that it is where it says."""
    verdict = Verdict("ledger.jsonl")
    for line, expected, found in reading.broken:
        verdict.add(f"ledger.jsonl line {line}", expected, found)
    if reading.torn:
        verdict.skip("the last line is torn", "a writer was killed, the next run repairs it")
    for entry in reading.unknown:
        verdict.skip(f"line {entry.line}: {entry.event} of {entry.run_id}", "this version does not know that event")
    misplaced = [stray for history in reading.histories.values() for stray in history.misplaced]
    for entry, state in sorted(misplaced, key=lambda stray: stray[0].line):
        if state:
            allowed = ", ".join(event for event, meaning in EVENTS.items() if state in meaning.after) or "nothing"
            verdict.add(f"ledger.jsonl line {entry.line}", f"{allowed} after {state} of {entry.run_id}", entry.event)
        else:
            verdict.add(f"ledger.jsonl line {entry.line}", f"a start of {entry.run_id} before it", "none")
    missing = {
        run_id: history.since
        for run_id, history in reading.runs.items()
        if every and history.state in ENDED and not any((at / run_id).is_dir() for at in _places(results))
    }
    since = results.removed(missing)
    for run_id, end in missing.items():
        if end and run_id not in since:
            verdict.add(run_id, f"a directory, as the ledger's line {end.line} says `{end.event}`", "none")
    return verdict


def _places(results: Results) -> tuple[Path, Path]:
    return results.path, results.path / WORKING


def verify(
    run_dir: str | os.PathLike[str], reading: Reading | None = None, *, root: str | os.PathLike[str] | None = None
) -> Verdict:
    """Check one run directory against its manifest, the ledger, itself and, below `root`, its data.

    Never raises: what a corrupt run makes go wrong is a finding too.
    """
    run_dir, root = Path(run_dir), None if root is None else Path(root)
    verdict = Verdict(run_dir.name)
    try:
        _check_run(verdict, run_dir, Results(run_dir.parent).reading() if reading is None else reading, root)
    except OSError as error:
        verdict.unreadable = True
        verdict.add(run_dir.name, "a readable run", error.strerror or error)
    except (RunError, InputError) as error:
        verdict.add(run_dir.name, "readable contents", error.message)
    except Exception as error:  # noqa: BLE001 - one corrupt run, whatever it holds, must not stop the check of the others
        verdict.add(run_dir.name, "contents of this format", f"{type(error).__name__}: {error}")
    if verdict.findings and not run_dir.is_dir():  # it gets another name before anything in it is deleted
        with suppress(OSError):
            if Results(run_dir.parent).removed([run_dir.name]):
                verdict = Verdict(run_dir.name)
                verdict.skip("the run", "it was removed while it was looked at")
    return verdict


def _check_run(verdict: Verdict, run_dir: Path, reading: Reading, root: Path | None) -> None:
    if run_dir.is_symlink():
        verdict.add(run_dir.name, "a directory", f"a symbolic link to {os.readlink(run_dir)}")
        return
    statement = _read(verdict, run_dir, manifest.NAME, "the run's manifest")
    if statement is None:
        return
    _check_seal(verdict, run_dir.name, hashlib.sha256(statement).hexdigest(), reading)
    try:
        sealed = manifest.decode(statement)
    except manifest.UnknownVersion as error:
        verdict.unreadable = True
        verdict.add(manifest.NAME, "a known format", error.message)
        return
    except RunError as error:
        verdict.add(manifest.NAME, "an in-toto Statement of a run", error.message)
        return
    _check_place(verdict, run_dir, sealed, reading)
    contents = _check_files(verdict, run_dir, sealed)
    if contents is not None:  # else there is no use in reading what is not as it was sealed
        content.check(verdict, sealed, contents, reading.of(run_dir.name), root)


def _read(verdict: Verdict, run_dir: Path, name: str, expected: str) -> bytes | None:
    """Return the bytes of a regular file, else note what there is in its place and return None."""
    try:
        # a link is not followed, and a named pipe does not keep us waiting for a writer
        handle = os.open(run_dir / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            verdict.add(name, expected, "no such file" if error.errno == errno.ENOENT else "a symbolic link")
        else:
            verdict.unreadable = True
            verdict.add(name, "a readable file", error.strerror)
        return None
    try:
        if stat.S_ISREG(os.fstat(handle).st_mode):
            with open(handle, "rb", closefd=False) as stream:
                return stream.read()
        verdict.add(name, expected, "no regular file")
        return None
    finally:
        os.close(handle)


def _check_seal(verdict: Verdict, run_id: str, sha256: str, reading: Reading) -> None:
    """Hold the manifest's own digest against the ledger, which is where an edited manifest shows."""
    end = reading.of(run_id).end
    if end is None:
        verdict.add("ledger.jsonl", f"an entry that seals {run_id}", "none")
    elif end.fields.get("manifest") != sha256:
        verdict.add(manifest.NAME, f"sha256 {end.fields.get('manifest')}", f"sha256 {sha256}")


def _check_place(verdict: Verdict, run_dir: Path, sealed: manifest.Manifest, reading: Reading) -> None:
    """Check that the manifest speaks of this run, and that the ledger tells the same of it."""
    if sealed.run_id != run_dir.name:
        verdict.add(manifest.NAME, f"run_id {run_dir.name}", f"run_id {sealed.run_id}")
    history = reading.of(run_dir.name)
    start, end = history.start, history.end
    follows = sealed.predicate.ledger.get("follows")
    if start is None:
        verdict.add("ledger.jsonl", f"a start of {run_dir.name}", "none")
    elif start.sha256 != follows:
        verdict.add("ledger.jsonl", f"sha256 {follows} of the line that starts the run", f"sha256 {start.sha256}")
    if end:
        state = EVENTS[end.event].state
        expected = manifest.RUINED if state == SEALED and end.fields.get(manifest.RUINED) else state
        verdict.compare(manifest.NAME, expected, sealed.predicate.status, "status ")
    finished = sealed.predicate.run_details.get("metadata", {}).get("finishedOn")
    if end and end.time != finished:
        verdict.add("ledger.jsonl", f"the run's end at {finished}", f"at {end.time}")
    if history.state == REMOVED:
        verdict.add("ledger.jsonl", f"nothing after the removal of {run_dir.name}", "its directory is there")


def _check_files(verdict: Verdict, run_dir: Path, sealed: manifest.Manifest) -> dict[str, bytes] | None:
    """Check that the sealed files are all there, nothing else is, and each has its digest; return their bytes if so."""
    before = len(verdict.findings)
    completed, expected = sealed.predicate.completed, sealed.files
    for name in _SEALED if completed else (ERROR,):
        if name not in expected:
            verdict.add(manifest.NAME, f"{name} among the sealed files", "it is not listed")
    if completed and len(set(content.TRADES) & expected.keys()) != 1:
        verdict.add(manifest.NAME, "one of trades.csv and trades.parquet", "none or both")
    there = set(os.listdir(run_dir))
    for name in sorted(there - expected.keys() - DERIVED - {manifest.NAME}):
        verdict.add(name, "nothing of that name", "a file that the seal does not cover")
    contents: dict[str, bytes] = {}
    for name, sha256 in expected.items():
        if name not in there:  # nor can a name lead out of the directory
            verdict.add(name, f"sha256 {sha256}", "no such file")
        elif (sealed_bytes := _read(verdict, run_dir, name, f"sha256 {sha256}")) is not None:
            contents[name] = sealed_bytes
            verdict.compare(name, sha256, hashlib.sha256(sealed_bytes).hexdigest(), "sha256 ")
    return contents if len(verdict.findings) == before else None


def verify_all(results: Results, which: Sequence[Path] | None, *, root: Path | None) -> Iterator[Verdict]:
    """Check the ledger, then each of `which` (None: every run there is)."""
    reading, paths = Reading(), which or ()
    try:
        paths = results.runs() if which is None else which
        reading = results.reading()
        yield check_ledger(results, reading, every=which is None)
    except (OSError, RecursionError) as error:
        verdict = Verdict("ledger.jsonl", unreadable=True)
        verdict.add("ledger.jsonl", "a readable ledger", getattr(error, "strerror", None) or error)
        yield verdict
    if len(paths) < _MANY:
        yield from (verify(path, reading, root=root) for path in paths)
    else:
        yield from _side_by_side(paths, reading, root)


def _side_by_side(paths: Sequence[Path], reading: Reading, root: Path | None) -> Iterator[Verdict]:
    """Check on all processors, and yield in order; each process has the ledger and its own copy of the data's marks."""
    import multiprocessing  # takes as long to import as some runs take to check

    with multiprocessing.get_context("spawn").Pool(initializer=_share, initargs=(reading, root)) as pool:
        yield from pool.imap(_verify_shared, paths, chunksize=16)


def _share(reading: Reading, root: Path | None) -> None:
    global _SHARED
    _SHARED = (reading, root)


def _verify_shared(path: Path) -> Verdict:
    reading, root = _SHARED
    return verify(path, reading, root=root)


_SHARED: tuple[Reading, Path | None] = (Reading(), None)
_MANY = 200  # from here on, more processes are worth their start
