"""What a verb is handed: a run of the results folder by its name, the directory of one anywhere, or an archive.

An archive is unpacked for as long as the verb needs it. One run of several in it is named as if it were a folder:
`handover.zip/3f2a`. So is one in the folder that an archive was unpacked to by other means.
"""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from peak_trade.errors import InputError, RunError
from peak_trade.evidence import archive, door, manifest
from peak_trade.evidence.results import BARS, Results, is_run_id

__all__ = ["DATA", "RUNS", "Handed", "Package", "handed", "package"]

RUNS, DATA = "runs", "data"
"""The folders of an archive: a directory for each run, and a file for each set of bars, named by its digest."""


_NAMED = "name a run, the directory of one or an archive"
_NAME = re.compile(r"last|[0-9a-f-]{1,36}", re.IGNORECASE)  # of a run in the results folder


class Handed(Struct, frozen=True):
    """A run's directory, and the results folder that it belongs to: None where it stands alone.

    `source` is the archive that it came in, unpacked now and gone when the verb is done; `data` is a folder of files of
    bars that may hold those it ran on, under `<digest>.bars` (`market.fingerprint.parse`).
    """

    run: Path
    results: Results | None
    source: Path | None = None
    data: Path | None = None

    @property
    def called(self) -> str:
        """What names it on a command line."""
        if self.results is not None:
            return self.run.name[:8]
        return shlex.quote(str(self.source / self.run.name[:8] if self.source else self.run))


class Package(Struct, frozen=True):
    """What was handed over together: runs, and, where it is an archive or was one, its folder and all names in it."""

    runs: list[Handed]
    folder: Path | None = None
    names: list[str] = []


@contextmanager
def handed(which: str, results: Results) -> Iterator[Handed]:
    """Yield the one run that `which` names: as `package` does, but InputError where there are several."""
    with package(which, results) as found:
        if len(found.runs) > 1:
            names = [one.run.name for one in found.runs]
            shown = ", ".join(names[:5]) + (", …" if names[5:] else "")
            raise InputError(f"{which} holds {len(names)} runs: {shown}", hint=f"{which.rstrip('/')}/{names[0][:8]}")
        yield found.runs[0]


@contextmanager
def package(which: str, results: Results) -> Iterator[Package]:
    """Yield the runs that `which` names, at least one.

    `last`, a run_id or a unique start of one in `results`; a path to a directory, or to a folder of such; a path to an
    archive, or to a folder like one, with or without the start of a run_id in it. Raises InputError where there is
    none, or it means several; RunError for an archive that is damaged or hostile.
    """
    path = Path(which)
    home = results.path.resolve()
    if _NAME.fullmatch(which):  # else what lies in the folder where somebody stands would decide what `last` means
        try:
            run = results.find(which)
        except InputError:
            if which == "last" or not path.exists():
                raise
        else:
            yield Package([_of(results, run)])
            return
    if which.strip() and os.path.isdir(path):  # an empty name is not where somebody stands
        here = path.parent.resolve() / path.name if path.name else path.resolve()
        if here.parent == home and is_run_id(here.name):
            yield Package([_of(results, results.path / here.name)])
            return
        if os.path.lexists(path / manifest.NAME) or is_run_id(here.name):
            data = here.parents[1] / DATA if here.parent.name == RUNS else None
            yield Package([Handed(path.absolute(), None, data=data if data and data.is_dir() else None)])
            return
        if (path / RUNS).is_dir() and here != home:
            yield _package(path.absolute(), _names(path), None, "")
            return
        yield _beside(path, here, home)
        return
    elif which.strip() and path.exists():
        with _unpacked(path, "") as found:
            yield found
        return
    elif source := next((at for at in _archives(path) if at.is_file()), None):
        with _unpacked(source, path.name) as found:
            yield found
        return
    elif "/" in which and (path.parent / RUNS).is_dir() and path.parent.resolve() != home:
        yield _package(path.parent.absolute(), _names(path.parent), None, path.name)
        return
    try:
        run = results.find(which)
    except InputError:
        if "/" in which or path.suffix:  # no start of a run_id
            raise InputError(f"there is no file or folder {which!r}", hint=_NAMED) from None
        raise
    yield Package([_of(results, run)])


def _archives(path: Path) -> list[Path]:
    """Return the archives that a path may be of a run of: ARCHIVE/RUN, or ARCHIVE/runs/RUN as its files are called."""
    return [path.parent, *(path.parents[1:2] if path.parent.name == RUNS else ())]


def _beside(path: Path, here: Path, home: Path) -> Package:
    """Return the runs whose directories lie beside each other in a folder that is neither a run nor an archive's."""
    if here == home or (path / "ledger.jsonl").is_file():
        hint = "just verify --all checks all of it; or name a run" if here == home else f"--results-dir {path}"
        raise InputError(f"'{path}' is a results folder", hint=hint)
    try:
        names = sorted(name for name in os.listdir(path) if os.path.lexists(path / name / manifest.NAME))
    except OSError as error:
        raise InputError(f"'{path}' can't be read: {error.strerror}", hint=_NAMED) from None
    if not names:
        raise InputError(f"'{path}' holds no run", hint=_NAMED)
    data = here.parent / DATA if here.name == RUNS and (here.parent / DATA).is_dir() else None
    return Package([Handed(path.absolute() / name, None, data=data) for name in names])


def _of(results: Results, run: Path) -> Handed:
    return Handed(run, results, data=data if (data := results.path / BARS).is_dir() else None)


@contextmanager
def _unpacked(source: Path, start: str) -> Iterator[Package]:
    with tempfile.TemporaryDirectory(prefix="peak-trade-") as name:
        into = Path(name).resolve() / "archive"
        into.mkdir()
        names = archive.unpack(source, into)
        if manifest.NAME in names:  # the files of one run, without its directory, which has a name of its own
            with suppress(OSError, RunError):
                run_id = manifest.decode(door.read(into, manifest.NAME)).run_id
                into = into.rename(into.with_name(run_id)) if is_run_id(run_id) else into
        yield _package(into, names, source, start)


def _names(folder: Path) -> list[str]:
    """Return the names of all files below a folder; links are named, and not followed."""
    return sorted(
        os.path.relpath(os.path.join(at, name), folder)
        for at, folders, names in os.walk(folder)
        for name in (*names, *(one for one in folders if os.path.islink(os.path.join(at, one))))
    )


def _package(folder: Path, names: list[str], source: Path | None, start: str) -> Package:
    """Return the runs below a folder whose files are `names`: each folder with a manifest, but for those in a run."""
    places: list[str] = []
    for name in sorted(names, key=lambda name: (name.count("/"), name)):
        place, _, last = f"./{name}".rpartition("/")
        if last == manifest.NAME and not any(f"{place}/".startswith(f"{other}/") for other in places):
            places.append(place)
    shown = source or folder
    if not places:
        raise InputError(f"{shown} holds no run", hint="just export makes archives of runs")
    found = [place for place in places if os.path.basename(place).startswith(start.lower())]
    if start and len(found) != 1:
        what = f"{len(found)} runs that begin with" if found else "no run"
        raise InputError(f"{shown} holds {what} {start!r}", hint=f"just verify {shown} lists them")
    data = folder / DATA if (folder / DATA).is_dir() else None
    runs = [Handed(Path(os.path.normpath(folder / place)), None, source, data) for place in found]
    return Package(runs, None if start else folder, names)
