"""Runs into one archive: what is sealed, the seal, the run's two lines of the ledger, its log; the bars where asked.

The same runs give the same bytes. Only what is intact is packed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from peak_trade import places
from peak_trade.errors import RunError
from peak_trade.evidence import archive, documents, door, files, manifest, run_dir, seal
from peak_trade.evidence import bars as came
from peak_trade.evidence.results import Results
from peak_trade.market import fingerprint
from peak_trade.trust import content, verify
from peak_trade.trust.handed import DATA, RUNS, Handed
from peak_trade.trust.handover.crate import METADATA, README, Packed, Run, Sender, metadata, readme
from peak_trade.trust.handover.sums import SUMS
from peak_trade.trust.kept import Kept
from peak_trade.trust.proofs import check as proofs

__all__ = ["Exported", "export", "kept_of", "name_for"]

BESIDE = ("run.log", proofs.NAME, "durations.csv")
"""What is packed though it is not sealed, where it is there: the log, who has signed the manifest, and how long the
trials of a sweep took."""
_CHUNK = 1 << 20


class Exported(Struct, frozen=True):
    """An archive that was written, its sha256, its bytes, and the runs in it; `without` are runs that have no bars."""

    archive: Path
    sha256: str
    bytes: int
    runs: list[str]
    without: list[str] = []

    def to_json_object(self) -> dict[str, Any]:
        """Return it as `--json` prints it."""
        return {"archive": str(self.archive), "sha256": self.sha256, "bytes": self.bytes, "runs": self.runs}


class _Draft(Struct):
    """What an archive is going to hold: the pieces of each file, and its digest and size."""

    contents: dict[str, Iterable[bytes | memoryview]] = {}
    packed: dict[str, Packed] = {}

    def add(self, name: str, content: bytes) -> None:
        self.contents[name] = [content]
        self.packed[name] = Packed(hashlib.sha256(content).hexdigest(), len(content))

    def add_file(self, name: str, run: Path, file: str, sha256: str) -> None:
        with door.reading(run, file) as stream:
            size = stream.seek(0, 2)
        self.packed[name] = Packed(sha256, size)
        self.contents[name] = _pieces(run, file, self.packed[name])


def kept_of(given: Sequence[Handed], results: Results) -> list[str]:
    """Return the run_ids of what was kept of the sweeps among these runs, as far as it is in `results`."""
    found = (manifest.kept(run_dir.read_manifest(one.run)).values() for one in given if one.results is not None)
    return [run_id for kept in found for run_id in kept if (results.path / run_id).is_dir()]


def name_for(run_ids: Sequence[str]) -> str:
    """Return what an archive of these runs is called, where nobody says."""
    if len(run_ids) == 1:
        return f"run-{run_ids[0][:8]}.zip"
    return f"runs-{len(run_ids)}-{hashlib.sha256(' '.join(sorted(run_ids)).encode()).hexdigest()[:8]}.zip"


def export(
    given: Sequence[Handed],
    results: Results,
    output: Path | None = None,
    *,
    root: Path | None = None,
    sender: Sender | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Exported:
    """Write an archive of runs, by default into the current folder; with a `root` the bars too, looked for below it.

    Raises RunError where a run is not what was sealed, or the archive can't be written; InputError where the bars are
    not there any more.
    """
    draft, runs, without = _Draft(), dict[str, Run](), list[str]()
    reading = results.reading()
    for at, one in enumerate(given):
        progress(at, len(given))
        verdict = verify.verify(one.run, reading, copy=one.results is None, data=one.data)
        if not verdict.holds:
            raise RunError(
                f"{one.run.name} is {verdict.state}, and nothing of it is handed over: {verdict.findings[0]}",
                hint=f"just verify {one.called}",
            )
        sealed = run_dir.read_manifest(one.run)
        if sealed.run_id not in runs:
            bars = _bars(draft, one, sealed, results, root) if root else ()
            without += [sealed.run_id] if root and not bars else []
            runs[sealed.run_id] = _run(draft, one, sealed, results, bars)
    ordered = [runs[run_id] for run_id in sorted(runs)]
    draft.add(README, readme(ordered))
    draft.add(METADATA, metadata(ordered, draft.packed | {SUMS: _NONE}, sender or Sender()))
    sums = "".join(f"{draft.packed[name].sha256}  {name}\n" for name in sorted(draft.packed))
    draft.add(SUMS, sums.encode())
    path = output or Path(name_for([run.run_id for run in ordered]))
    written = _write(path, draft)
    return Exported(path, written.sha256, written.size, [run.run_id for run in ordered], without)


def _run(draft: _Draft, one: Handed, sealed: manifest.Manifest, results: Results, bars: tuple[str, ...]) -> Run:
    """Add the files of a run."""
    folder = f"{RUNS}/{sealed.run_id}/"
    for name, sha256 in sealed.files.items():
        if fault := archive.fault(folder + name):
            raise RunError(f"{name!r} of {sealed.run_id} can't be in an archive: it is {fault}")
        draft.add_file(folder + name, one.run, name, sha256)
    draft.add(folder + manifest.NAME, door.read(one.run, manifest.NAME))
    draft.add(folder + seal.NAME, _lines(one, sealed.run_id, results))
    for name in BESIDE:
        if door.exists(one.run, name):
            draft.add_file(folder + name, one.run, name, door.digest(one.run, name))
    own = [name for name in draft.packed if name.startswith(folder)]
    config = documents.read(one.run, "config_snapshot.json") if "config_snapshot.json" in sealed.files else {}
    return Run(sealed.run_id, sealed, config, sorted(own), bars)


def _lines(one: Handed, run_id: str, results: Results) -> bytes:
    """Return the run's two lines of its ledger: as it carries them, else as the ledger has them."""
    if door.exists(one.run, seal.NAME):
        return door.read(one.run, seal.NAME)
    try:
        return seal.of((one.results or results).ledger, run_id)
    except LookupError:
        raise RunError(
            f"{run_id} carries no {seal.NAME}, and the ledger here does not name it",
            hint="export it where it was made",
        ) from None


def _bars(draft: _Draft, one: Handed, sealed: manifest.Manifest, results: Results, root: Path) -> tuple[str, ...]:
    """Add the bars that a run used, and a benchmark's; return their names in the archive, none of one that failed."""
    if not sealed.predicate.completed or sealed.predicate.gaps:
        return ()  # the bars of another engine are digests in the manifest, and nothing else
    kept = Kept(one.data, (one.results or results).path, root, elsewhere=one.results is None)
    names = []
    for bars in content.bars_of(sealed, one.run, kept):
        names.append(name := f"{DATA}/{came.name_of(fingerprint.digest(bars))}")
        if name not in draft.packed:
            pieces = list(fingerprint.content(bars))
            draft.contents[name] = pieces
            draft.packed[name] = Packed(fingerprint.digest(bars), sum(map(len, pieces)))
    return tuple(names)


def _pieces(run: Path, file: str, promised: Packed) -> Iterator[bytes]:
    """Yield a file piece by piece; RunError where it has been changed since it was looked at."""
    found, left = hashlib.sha256(), promised.size
    with door.reading(run, file) as stream:
        while left > 0 and (piece := stream.read(min(_CHUNK, left))):
            left -= len(piece)
            found.update(piece)
            yield piece
    if found.hexdigest() != promised.sha256:
        raise RunError(f"{run.name}/{file} was changed while it was packed", hint="the same command again")


def _write(path: Path, draft: _Draft) -> files.Written:
    try:
        if path.exists() and (kind := places.taken(path)):
            raise RunError(f"cannot write {path}: it is {kind}", hint="--output FILE")
        return archive.pack(path, draft.contents, {name: packed.size for name, packed in draft.packed.items()})
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}", hint="check the folder and the disk") from None


_NONE = Packed("", 0)
