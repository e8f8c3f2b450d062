"""Is a run still what was sealed? Reads only.

A finding says which file is wrong, what was expected and what was found. Digests come first: the manifest against the
ledger, the files against the manifest. Only files whose bytes are right are then read and held against each other:
that is `content`.

A run that no ledger here names is held by the two lines of its own that it carries: it is intact then, but not of this
ledger. One whose lines follow a line that is here, and that are not, has been cut out of this ledger: that is broken.

A run may come from a stranger. What it holds is opened by the door; each name in it that is no plain file or folder of
its own is a finding, also where the seal does not reach; and no more bytes are taken than it promises.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from peak_trade.errors import InputError, RunError
from peak_trade.evidence import code, door, manifest, seal
from peak_trade.evidence.ledger import ENDED, EVENTS, REMOVED, STARTED, History, Reading, is_run_id
from peak_trade.evidence.results import BARS, WORKING, Results, run_ids
from peak_trade.evidence.run_dir import BESIDE, ERROR, OUTPUTS, unfinished
from peak_trade.trust import content, sweeps
from peak_trade.trust.proofs import check as proofs
from peak_trade.trust.proofs.check import NOBODY, Trusted
from peak_trade.trust.verdict import Finding, Verdict

if TYPE_CHECKING:
    from multiprocessing.pool import AsyncResult

__all__ = ["DERIVED", "Finding", "Verdict", "check_ledger", "verify", "verify_all"]

DERIVED = frozenset(BESIDE)
"""What lies beside the sealed files and is not sealed."""
_SEALED = ("config_snapshot.json", "config_snapshot.toml", "stats.json", "equity.csv")
_DEEPEST = 32  # folders in folders, beside what is sealed
_SHOWN = 20  # findings of names in one run
_KEPT = 2 << 30  # bytes of sealed files that are held to compare them; what there is more is only digested
_TAKEN = 16 << 30  # bytes of sealed files that are digested, whatever a manifest promises
_SLACK = 1 << 20  # bytes above what is promised that are digested, to say what the digest is


def check_ledger(results: Results, reading: Reading, *, every: bool) -> Verdict:
    """Check the chain, that each line is in its place, and, for `every` run it tells of, that it is where it says."""
    verdict = Verdict("ledger.jsonl")
    for line, expected, found in reading.broken:
        verdict.add(f"ledger.jsonl line {line}", expected, found)
    if reading.torn:
        verdict.skip("the last line is torn", "a writer was killed, the next run repairs it")
    for entry in reading.unknown:
        verdict.skip(f"line {entry.line}: {entry.event} of {entry.run_id}", "this version does not know that event")
    for run_id, history in reading.histories.items():
        if not is_run_id(run_id):
            verdict.add(f"ledger.jsonl line {history.entries[0].line}", "the run_id of a run", run_id)
    for history in sorted(reading.histories.values(), key=_first_stray):
        _check_order(verdict, history)
    runs = reading.runs
    astray = _astray(results, runs) if every else set()
    for run_id in sorted(astray):
        told = runs[run_id].since
        found = f"one in {WORKING}/: just doctor finishes a run that died on the way"
        verdict.add(run_id, f"a directory under its name, as the ledger's line {told and told.line} ends it", found)
    missing = {
        run_id: history.since
        for run_id, history in runs.items()
        if every and history.state in ENDED and run_id not in astray and not (results.path / run_id).is_dir()
    }
    since = results.removed(missing)
    for run_id, end in missing.items():
        if end and run_id not in since and not (results.path / WORKING / run_id).is_dir():
            verdict.add(run_id, f"a directory, as the ledger's line {end.line} says `{end.event}`", "none")
    return verdict


def _first_stray(history: History) -> int:
    return history.misplaced[0][0].line if history.misplaced else 0


def _check_order(verdict: Verdict, history: History) -> None:
    """Check that each line of a run is in its place, and that a tombstone is that of what was sealed."""
    for entry, state in history.misplaced:
        if state:
            allowed = ", ".join(event for event, one in EVENTS.items() if one.state and state in one.after) or "nothing"
            verdict.add(entry.where, f"{allowed} after {state} of {entry.run_id}", entry.event)
        else:
            verdict.add(entry.where, f"a start of {entry.run_id} before it", "none")
    tomb = history.since
    if history.state == REMOVED and tomb:
        verdict.compare(f"{tomb.where} manifest", history.manifest, tomb.fields.get("manifest"))


def _astray(results: Results, runs: dict[str, History]) -> set[str]:
    """Return the runs that the ledger ends and that lie among those in the making, with no process that makes them."""
    ended = {run_id for run_id in run_ids(results.path / WORKING) & runs.keys() if runs[run_id].state != STARTED}
    if not ended:
        return ended
    dead = {run.run_id for run in unfinished(results) if not run.alive}
    return {run_id for run_id in ended & dead if os.path.lexists(results.path / WORKING / run_id)}


def verify(
    run_dir: str | os.PathLike[str],
    reading: Reading | None = None,
    *,
    root: str | os.PathLike[str] | None = None,
    copy: bool = False,
    data: Path | None = None,
    trusted: Trusted = NOBODY,
) -> Verdict:
    """Check one run directory against its manifest, the ledger, itself and, in `data` or below `root`, its data.

    The ledger is `reading`, else the one beside the run, else, with none there, the lines that the run carries. A
    `copy` has its directory elsewhere than `reading` has it, and under any name; one that `reading` does not name is
    held by the ledger beside it, if there is one. `data` is a folder of files of bars, as archives have it; `trusted`
    says whose signatures to believe.
    Never raises: what a corrupt run makes go wrong is a finding too.
    """
    run_dir, root = Path(run_dir), None if root is None else Path(root)
    verdict = Verdict(run_dir.name)
    try:
        if reading is None:
            beside = Results(run_dir.parent)
            reading, copy = beside.reading(), not os.path.lexists(beside.ledger.path)
        if data is None and not copy:
            data = run_dir.parent / BARS
        _check_run(verdict, run_dir, reading, root, trusted, copy=copy, data=data)
    except OSError as error:
        verdict.unreadable = True
        verdict.add(run_dir.name, "a readable run", error.strerror or error)
    except (RunError, InputError) as error:
        verdict.add(run_dir.name, "readable contents", error.message)
    except Exception as error:  # noqa: BLE001 - one corrupt run, whatever it holds, must not stop the check of the others
        verdict.add(run_dir.name, "contents of this format", f"{type(error).__name__}: {error}")
    if verdict.findings and not copy and not run_dir.is_dir():  # it gets another name before anything in it is deleted
        with suppress(OSError):
            if Results(run_dir.parent).removed([run_dir.name]):
                verdict = Verdict(run_dir.name)
                verdict.skip("the run", "it was removed while it was looked at")
    return verdict


def _check_run(
    verdict: Verdict, run_dir: Path, reading: Reading, root: Path | None, trusted: Trusted, *, copy: bool,
    data: Path | None,
) -> None:  # fmt: skip
    if run_dir.is_symlink():
        verdict.add(run_dir.name, "a directory", f"a symbolic link to {os.readlink(run_dir)}")
        return
    there = {entry.name: entry for entry in door.entries(run_dir)}
    carried = _carried(verdict, run_dir, there)
    run_id = _run_id(run_dir, carried) if copy else run_dir.name
    history = reading.of(run_id)
    if not history.entries and (other := _other(run_dir, run_id, carried, reading, copy=copy)) is not None:
        verdict.foreign, history = True, other
    _check_order(verdict, history)
    sealed = _manifest(verdict, run_dir, there, run_id, history, copy=copy)
    if copy and is_run_id(run_dir.name) and sealed and sealed.run_id != run_dir.name:
        verdict.add(run_dir.name, "the run that its directory is called by", f"run_id {sealed.run_id}")
    if sealed:
        there |= _below(run_dir, there, _holding(sealed))
    before = verdict.count
    _check_names(verdict, run_dir, there, sealed)
    if sealed is None:
        return
    contents = _check_files(verdict, run_dir, sealed, there)
    if contents is not None and verdict.count == before:  # else there is no use in reading what is not as it was sealed
        content.check(verdict, sealed, contents, history, run_dir.parent, root, data)
        sweeps.byproducts(verdict, run_dir, sealed)
    _check_carried(verdict, carried, history)
    signed = proofs.NAME in there and there[proofs.NAME].is_file
    proofs.run(verdict, run_dir, History() if copy else history, trusted, signed=signed)
    _tell(verdict, history)


def _carried(verdict: Verdict, run_dir: Path, there: dict[str, door.Entry]) -> seal.Seal | None:
    """Return the two lines that the run carries; None where it has none, or none that can be read, which is noted."""
    if seal.NAME not in there or not there[seal.NAME].is_file:  # what is no file is named among the strays
        return None
    try:
        return seal.decode(door.read(run_dir, seal.NAME))
    except OSError as error:
        _note(verdict, seal.NAME, error)
    except RunError as error:
        verdict.add(seal.NAME, "two lines of a ledger", error.message)
    return None


def _run_id(run_dir: Path, carried: seal.Seal | None) -> str:
    """Return the run that a copy is of: a directory can have been given any name."""
    if carried is not None and is_run_id(carried.start.run_id):
        return carried.start.run_id
    with suppress(OSError, RunError):
        found = manifest.decode(door.read(run_dir, manifest.NAME)).run_id
        return found if is_run_id(found) else run_dir.name
    return run_dir.name


def _other(
    run_dir: Path, run_id: str, carried: seal.Seal | None, reading: Reading, *, copy: bool
) -> History | None:  # fmt: skip
    """Return the history of a run that `reading` does not name: by the ledger beside a copy, or by its own two lines.

    None where its lines have their place in `reading`, from which they have been cut, or where nothing tells; empty for
    a copy without such lines, as those of format 1 are.
    """
    beside = Results(run_dir.parent).reading() if copy else Reading()
    if beside.of(run_id).entries:
        return beside.of(run_id)
    if carried is None:
        return History() if copy else None
    if not (copy or reading.entries):
        return None
    if {carried.start.prev, carried.end.prev} & {entry.sha256 for entry in (*reading.entries, *beside.entries)}:
        return None
    return Reading([carried.start, carried.end]).of(run_id)


def _tell(verdict: Verdict, history: History) -> None:
    """Say where a run comes from that this ledger has not seen being made."""
    start, end, received = history.start, history.end, history.received
    if received:
        whence = f"{received.fields.get('file')} (sha256 {received.fields.get('sha256')})"
        verdict.note(f"received from {whence} on {received.time[:10]}, line {received.line} of this ledger")
    elif verdict.foreign and verdict.holds and end and end.line:
        verdict.note(f"the ledger beside it holds it: {end.event} {end.time}, line {end.line}")
    elif verdict.foreign and verdict.holds and start and end:
        of = "it" if verdict.name == start.run_id else start.run_id
        verdict.note(
            f"its own two lines hold {of}: started {start.time}, {end.event} {end.time},"
            f" after the line {start.prev[:16]}… of a ledger that is not here"
        )


def _holding(sealed: manifest.Manifest) -> set[str]:
    """Return the folders that sealed files lie in: what lies beside the seal can hold none."""
    return {folder for folder in door.folders_of(sealed.files) if folder.partition("/")[0] not in BESIDE}


def _below(run_dir: Path, there: dict[str, door.Entry], folders: set[str]) -> dict[str, door.Entry]:
    """Return what is in those of `folders` that are there."""
    found: dict[str, door.Entry] = {}
    for folder in sorted(folders):  # each comes after the one that it lies in
        entry = there.get(folder) or found.get(folder)
        if entry and entry.kind == "a folder" and folder.count("/") < _DEEPEST:
            found |= {f"{folder}/{inner.name}": inner for inner in door.entries(run_dir, folder)}
    return found


def _manifest(
    verdict: Verdict, run_dir: Path, there: dict[str, door.Entry], run_id: str, history: History, *, copy: bool
) -> manifest.Manifest | None:
    """Return the manifest, held against the ledger; None where it can't be read, with the reason in the verdict."""
    if not _is_file(verdict, manifest.NAME, there, "the run's manifest"):
        return None
    try:
        statement = door.read(run_dir, manifest.NAME)
    except OSError as error:
        _note(verdict, manifest.NAME, error)
        return None
    lone = verdict.foreign and not history.entries
    if not lone:
        _check_seal(verdict, run_id, hashlib.sha256(statement).hexdigest(), history)
    try:
        sealed = manifest.decode(statement)
    except manifest.UnknownVersion as error:
        verdict.unreadable = True
        verdict.add(manifest.NAME, "a known format", error.message)
        return None
    except RunError as error:
        verdict.add(manifest.NAME, "an in-toto Statement of a run", error.message)
        return None
    if not lone:
        _check_place(verdict, run_id, sealed, history, copy=copy)
    elif sealed.format > 1:
        verdict.add(seal.NAME, "the run's two lines of its ledger", "no such file")
    else:
        verdict.skip(
            "its place in a ledger", "none here names it, and evidence of format 1 carries no lines of its own"
        )
    return sealed


def _is_file(verdict: Verdict, name: str, there: dict[str, door.Entry], expected: str) -> bool:
    """Tell whether a name is that of a plain file, else note what there is in its place."""
    entry = there.get(name)
    if entry and entry.is_file:
        return True
    verdict.add(name, expected, entry.kind if entry else "no such file")
    return False


def _note(verdict: Verdict, name: str, error: OSError) -> None:
    """Note that a file can't be read: because of what it is, or because of who asks."""
    refused = error.errno in (errno.EFBIG, errno.EINVAL, errno.ENOENT, errno.ENOTDIR)
    verdict.unreadable |= not refused
    verdict.add(name, "a file that was sealed" if refused else "a readable file", error.strerror)


def _check_names(
    verdict: Verdict, run_dir: Path, there: dict[str, door.Entry], sealed: manifest.Manifest | None
) -> None:
    """Check that nothing is there but what is sealed and what belongs beside it, and only plain files and folders."""
    astray = list(_strays(run_dir, there, sealed))
    for name, expected, found in astray[:_SHOWN]:
        verdict.add(name, expected, found)
    if len(astray) > _SHOWN:
        verdict.add(run_dir.name, "no more of them", f"{len(astray) - _SHOWN} more")


def _strays(
    run_dir: Path, there: dict[str, door.Entry], sealed: manifest.Manifest | None
) -> Iterator[tuple[str, str, str]]:
    """Yield (name, what is expected, what there is) for each name that should not be there, or not be what it is."""
    folders = []
    holding = _holding(sealed) if sealed else set()
    for name, entry in there.items():
        if name in holding:
            if entry.kind != "a folder":
                yield name, "a folder", entry.kind
        elif name in BESIDE:
            if entry.kind != BESIDE[name]:
                yield name, BESIDE[name], entry.kind
            elif entry.kind == "a folder":
                folders.append(name)
        elif sealed and name not in sealed.files and name != manifest.NAME:
            yield name, "nothing of that name", f"{entry.kind} that the seal does not cover"
        elif not sealed and entry.kind == "a folder" and name in (code.FOLDER, OUTPUTS):
            folders.append(name)
        elif not sealed and not entry.is_file and name != manifest.NAME:
            yield name, "a file", entry.kind
    while folders:
        folder = folders.pop(0)
        if folder.count("/") >= _DEEPEST:
            yield folder, f"at most {_DEEPEST} folders in each other", "more"
            continue
        for entry in door.entries(run_dir, folder):
            if entry.kind == "a folder":
                folders.append(f"{folder}/{entry.name}")
            elif not entry.is_file:
                yield f"{folder}/{entry.name}", "a file or a folder", entry.kind


def _check_seal(verdict: Verdict, run_id: str, sha256: str, history: History) -> None:
    """Hold the manifest's own digest against the ledger, which is where an edited manifest shows."""
    end = history.end
    if end is None:
        verdict.add("ledger.jsonl", f"an entry that seals {run_id}", "none")
    elif end.fields.get("manifest") != sha256:
        verdict.add(manifest.NAME, f"sha256 {end.fields.get('manifest')}", f"sha256 {sha256}")


def _check_place(
    verdict: Verdict, run_id: str, sealed: manifest.Manifest, history: History, *, copy: bool
) -> None:  # fmt: skip
    """Check that the manifest speaks of this run, and that the ledger tells the same of it."""
    if sealed.run_id != run_id:
        verdict.add(manifest.NAME, f"run_id {run_id}", f"run_id {sealed.run_id}")
    start, end = history.start, history.end
    follows = sealed.predicate.ledger.get("follows")
    if start is None:
        verdict.add("ledger.jsonl", f"a start of {run_id}", "none")
    elif start.sha256 != follows:
        where = "ledger.jsonl" if start.line else seal.NAME
        verdict.add(where, f"sha256 {follows} of the line that starts the run", f"sha256 {start.sha256}")
    if end:
        state = EVENTS[end.event].state
        expected = History(state=state, end=end).status
        verdict.compare(manifest.NAME, expected, sealed.predicate.status, "status ")
    finished = sealed.predicate.run_details.get("metadata", {}).get("finishedOn")
    if end and end.time != finished:
        verdict.add("ledger.jsonl" if end.line else seal.NAME, f"the run's end at {finished}", f"at {end.time}")
    if history.state == REMOVED and not copy:
        verdict.add("ledger.jsonl", f"nothing after the removal of {run_id}", "its directory is there")


def _check_carried(verdict: Verdict, carried: seal.Seal | None, history: History) -> None:
    """Hold the two lines that the run carries against those of the ledger."""
    if carried is None:
        return
    for entry, line in ((carried.start, history.start), (carried.end, history.end)):
        if line:
            verdict.compare(seal.NAME, line.sha256, entry.sha256, f"the {entry.event} line's sha256 ")


def _check_files(
    verdict: Verdict, run_dir: Path, sealed: manifest.Manifest, there: dict[str, door.Entry]
) -> dict[str, bytes] | None:
    """Check that the sealed files are all there and each has its digest; return their bytes, unless they are many."""
    completed, expected = sealed.predicate.completed, sealed.files
    ours = not sealed.predicate.gaps
    for name in (_SEALED if ours else _SEALED[:2]) if completed else (ERROR,):
        if name not in expected:
            verdict.add(manifest.NAME, f"{name} among the sealed files", "it is not listed")
    given = len(set(content.TRADES) & expected.keys())
    if completed and given != 1 and (ours or given):
        verdict.add(manifest.NAME, "one of trades.csv and trades.parquet", "none or both")
    promised = sealed.predicate.promised
    left = _TAKEN if promised is None else min(promised + _SLACK, _TAKEN)
    contents: dict[str, bytes] = {}
    kept = sum(entry.size for name, entry in there.items() if name in expected) <= _KEPT
    for name, sha256 in expected.items():
        if not _is_file(verdict, name, there, f"sha256 {sha256}"):  # nor can a name lead out of the directory
            continue
        try:
            if kept:
                contents[name] = door.read(run_dir, name, left)
                left -= len(contents[name])
                found = hashlib.sha256(contents[name]).hexdigest()
            else:
                found = door.digest(run_dir, name, left)
                left -= there[name].size
        except OSError as error:
            _note(verdict, name, error)
        else:
            verdict.compare(name, sha256, found, "sha256 ")
    if kept:
        return contents
    verdict.skip("what the files say", f"they have more than {_KEPT:,} bytes")
    return None


def verify_all(
    results: Results, which: Sequence[Path] | None, *, root: Path | None, trusted: Trusted = NOBODY
) -> Iterator[Verdict]:
    """Check the ledger, then each of `which` (None: every run there is)."""
    reading, paths = Reading(), which or ()
    try:
        paths = results.runs() if which is None else which
        reading = results.reading()
        verdict = check_ledger(results, reading, every=which is None)
        proofs.ledger(verdict, results, reading, trusted)
        yield verdict
    except (OSError, RecursionError) as error:
        verdict = Verdict("ledger.jsonl", unreadable=True)
        verdict.add("ledger.jsonl", "a readable ledger", getattr(error, "strerror", None) or error)
        yield verdict
    if len(paths) < _MANY:
        yield from (verify(path, reading, root=root, trusted=trusted) for path in paths)
    else:
        yield from _side_by_side(paths, reading, root, trusted)


def _side_by_side(paths: Sequence[Path], reading: Reading, root: Path | None, trusted: Trusted) -> Iterator[Verdict]:
    """Check on all processors, and yield in order; each process has the ledger and its own copy of the data's marks.

    This one has its share: another needs half a second to import what this one has.
    """
    import multiprocessing  # takes as long to import as some runs take to check

    blocks = iter([paths[at : at + _BLOCK] for at in range(0, len(paths), _BLOCK)])
    others = max((os.cpu_count() or 1) - 1, 1)
    context = multiprocessing.get_context("spawn")
    with context.Pool(others, initializer=_share, initargs=(reading, root, trusted)) as pool:
        ours: deque[list[Verdict] | AsyncResult[list[Verdict]]] = deque()  # by block, in order
        while True:
            while sum(not isinstance(one, list) and not one.ready() for one in ours) < 2 * others:
                if not (block := next(blocks, None)):
                    break
                ours.append(pool.apply_async(_verify_shared, (block,)))
            if ours and (isinstance(ours[0], list) or ours[0].ready()):
                yield from _got(ours.popleft())
            elif block := next(blocks, None):
                ours.append([verify(path, reading, root=root, trusted=trusted) for path in block])
            elif ours:
                yield from _got(ours.popleft())
            else:
                return


def _got(block: list[Verdict] | AsyncResult[list[Verdict]]) -> list[Verdict]:
    return block if isinstance(block, list) else block.get()


def _share(reading: Reading, root: Path | None, trusted: Trusted) -> None:
    global _SHARED
    _SHARED = (reading, root, trusted)


def _verify_shared(block: Sequence[Path]) -> list[Verdict]:
    reading, root, trusted = _SHARED
    return [verify(path, reading, root=root, trusted=trusted) for path in block]


_SHARED: tuple[Reading, Path | None, Trusted] = (Reading(), None, NOBODY)
_MANY = 200  # from here on, more processes are worth their start
_BLOCK = 16  # runs that a process gets at once
