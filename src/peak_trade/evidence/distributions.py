"""Which installed distributions a process has imported, with their versions.

`importlib.metadata` takes longer to import than a run takes to seal: the names and versions stand in the names of the
`*.dist-info` folders (https://packaging.python.org/specifications/recording-installed-packages), and which module is
whose is looked up in them only where that is not the distribution's own name.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import NamedTuple

from peak_trade.modules import file_of

__all__ = ["Imported", "imported", "of_tops", "strays"]

_INFO = re.compile(r"(?P<name>.+?)(?:-(?P<version>[^-]+?)(?:-py[\d.]+(?:-[^-]+)?)?)?\.(?:dist|egg)-info")


class _Distribution(NamedTuple):
    """One that is installed in a folder; `records` is the folder, or file, that says so."""

    name: str
    version: str
    records: str


class Imported:
    """What the modules of this process are of, as of now; looked up again where there are others than before."""

    def __init__(self) -> None:
        self._modules: Mapping[str, object] = {}
        self._path: list[str] | None = None
        self._watched: tuple[str, ...] = ()
        self._found: list[tuple[str, list[_Distribution]]] = []

    def versions(self) -> dict[str, str]:
        """Return name → version of each distribution that a module of this process is of, sorted by name.

        What is installed so that it is read from elsewhere (an editable checkout) is a person's code, and is not named.
        """
        found: dict[str, str] = {}
        for _, owners in self._owners():
            for owner in owners:
                found.setdefault(owner.name, owner.version)
        return dict(sorted(found.items(), key=lambda item: item[0].lower()))

    def strays(self) -> frozenset[str]:
        """Return the modules, by the names at the top, that lie among what is installed and are of no distribution."""
        found = self._owners()
        return frozenset({top for top, owners in found if not owners} - {top for top, owners in found if owners})

    def _owners(self) -> list[tuple[str, list[_Distribution]]]:
        modules: Mapping[str, object] = dict(sys.modules)
        path = [*map(str, sys.path)]
        others = [item for item in modules.items() if self._modules.get(item[0]) is not item[1]]
        others += [item for item in self._modules.items() if modules.get(item[0]) is not item[1]]
        if path != self._path or any(self._matters(*item) for item in others):
            self._found = list(_owners())
            folders = _folders().items()
            self._watched = tuple(f"{folder}{os.sep}" for folder, is_site in folders if is_site or _known(folder))
        self._modules, self._path = modules, path
        return self._found

    def _matters(self, name: str, module: object) -> bool:
        """Tell whether a module that came or went may be of a distribution: a person's own, made anew, is of none."""
        file = file_of(module)
        if file is None:
            return False
        return file.startswith(self._watched) or ("." not in name and bool(_known(_above(file, name))))


def imported() -> dict[str, str]:
    """Return what `Imported.versions` does, asked once."""
    return Imported().versions()


def of_tops(tops: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Return name → version of the distributions in each folder that names at the top of it are of, sorted by name."""
    found: dict[str, str] = {}
    for folder, names in tops.items():
        known = _known(folder)
        for top in sorted({name.partition(".")[0] for name in names}):
            own = known.get(_plain(top))
            for owner in [own] if own else _of(folder, top, []):
                found.setdefault(owner.name, owner.version)
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def strays() -> frozenset[str]:
    """Return what `Imported.strays` does, asked once."""
    return Imported().strays()


def _owners() -> Iterator[tuple[str, list[_Distribution]]]:
    """Yield each name at the top that modules were loaded from among what is installed, and whose these are."""
    for folder, is_site in _folders().items():
        known = _known(folder)
        if not (is_site or known):
            continue
        for top, files in _tops(folder).items():
            own = known.get(_plain(top))
            owners = [own] if own and _is_whole(top) else _of(folder, top, files)
            if owners or is_site:
                yield top, owners


def _is_whole(top: str) -> bool:
    """Tell whether all that is below a name at the top is of one distribution: several share one without a file."""
    return top not in sys.modules or file_of(sys.modules[top]) is not None


def _of(folder: str, top: str, files: list[str]) -> list[_Distribution]:
    """Return whose the files below a name at the top are, by what each distribution has recorded."""
    found = [one for one in _known(folder).values() if top in _recorded(one.records)]
    if len(found) > 1 and (exact := [one for one in found if not _paths(one.records).isdisjoint(files)]):
        return exact
    return found


def _plain(name: str) -> str:
    """Return a distribution's name as it is compared (PEP 503).

    >>> _plain("scikit_learn"), _plain("Py.YAML")
    ('scikit-learn', 'py-yaml')
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def _folders() -> dict[str, bool]:
    """Return the folders in which distributions may be, and whether nothing else belongs there."""
    paths = sysconfig.get_paths()
    searched = list(map(str, sys.path))  # a program may have put a Path there
    sites = [paths["purelib"], paths["platlib"], *(path for path in searched if path.endswith("-packages"))]
    return dict.fromkeys([*searched, *_left()], False) | dict.fromkeys(sites, True)


def _left() -> set[str]:
    """Return the folders that modules were loaded from, which a program may have taken out of `sys.path` again."""
    files = [(name, file_of(module)) for name, module in list(sys.modules.items()) if "." not in name]
    return {_above(file, name) for name, file in files if file is not None}


def _above(file: str, name: str) -> str:
    """Return the folder in which the file of a module at the top, or of a package, was found."""
    folder = os.path.dirname(file)
    return os.path.dirname(folder) if os.path.basename(folder) == name else folder


@cache
def _known(folder: str) -> dict[str, _Distribution]:
    """Return the distributions in a folder, by their compared names."""
    with suppress(OSError), os.scandir(folder) as entries:
        matches = [(entry.path, _INFO.fullmatch(entry.name)) for entry in entries if entry.name.endswith("-info")]
        return {
            _plain(match["name"]): _Distribution(match["name"], match["version"] or _version(path), path)
            for path, match in matches
            if match
        }
    return {}


def _version(records: str) -> str:
    """Return the version of a distribution that has none in the name of its records; empty where it says none."""
    for file in ("METADATA", "PKG-INFO"):
        with suppress(OSError), open(os.path.join(records, file), encoding="utf-8", errors="replace") as lines:
            return next((line.partition(":")[2].strip() for line in lines if line.startswith("Version:")), "")
    return ""


def _tops(folder: str) -> dict[str, list[str]]:
    """Return, by their names at the top of a folder without what follows a dot, the files of modules loaded from it."""
    start, found, whole = f"{folder}{os.sep}", dict[str, list[str]](), dict[str, bool]()
    for name, module in list(sys.modules.items()):
        package = name.partition(".")[0]
        if package != name:  # thousands, where much is loaded: what is in a package of one file lies where that does
            if package not in whole:
                whole[package] = file_of(sys.modules.get(package)) is not None
            if whole[package]:
                continue
        file = file_of(module)
        if file is not None and file.startswith(start):
            inside = file[len(start) :]
            found.setdefault(inside.partition(os.sep)[0].partition(".")[0], []).append(inside.replace(os.sep, "/"))
    return found


@cache
def _recorded(records: str) -> frozenset[str]:
    """Return the names at the top that a distribution says it has."""
    for file in ("top_level.txt", "RECORD"):
        if paths := _lines(os.path.join(records, file)):
            return frozenset(path.partition("/")[0].partition(".")[0] for path in paths)
    return frozenset()


@cache
def _paths(records: str) -> frozenset[str]:
    """Return the files that a distribution says it has."""
    return frozenset(_lines(os.path.join(records, "RECORD")))


def _lines(path: str) -> list[str]:
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as lines:
        return [line.partition(",")[0].strip().strip('"') for line in lines if line.strip()]
    return []
