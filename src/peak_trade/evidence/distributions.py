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
from collections.abc import Iterator
from contextlib import suppress
from functools import cache

__all__ = ["imported"]

_INFO = re.compile(r"(?P<name>.+)-(?P<version>[^-]+)\.dist-info")


def imported() -> dict[str, str]:
    """Return name → version of each distribution that a module of this process is of, sorted by name.

    What is installed so that it is read from elsewhere (an editable checkout) is a person's code, and is not named.
    """
    found: dict[str, str] = {}
    for folder in _folders():
        known = _known(folder)
        for top in _tops(folder):
            owner = _plain(top) if _plain(top) in known else _owner(folder, top)
            if owner in known:
                name, version, _ = known[owner]
                found.setdefault(name, version)
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def _plain(name: str) -> str:
    """Return a distribution's name as it is compared (PEP 503).

    >>> _plain("scikit_learn"), _plain("Py.YAML")
    ('scikit-learn', 'py-yaml')
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def _folders() -> list[str]:
    paths = sysconfig.get_paths()
    there = [paths["purelib"], paths["platlib"], *(path for path in sys.path if path.endswith("-packages"))]
    return list(dict.fromkeys(there))


@cache
def _known(folder: str) -> dict[str, tuple[str, str, str]]:
    """Return the distributions in a folder: compared name → (name, version, folder of its records)."""
    with suppress(OSError), os.scandir(folder) as entries:
        matches = [(entry.path, _INFO.fullmatch(entry.name)) for entry in entries if entry.name.endswith(".dist-info")]
        return {_plain(match["name"]): (match["name"], match["version"], path) for path, match in matches if match}
    return {}


def _tops(folder: str) -> set[str]:
    """Return the names at the top of a folder that modules were loaded from, without what follows a dot."""
    start = f"{folder}{os.sep}"
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    inside = [file[len(start) :] for file in files if isinstance(file, str) and file.startswith(start)]
    return {file.partition(os.sep)[0].partition(".")[0] for file in inside}


@cache
def _owner(folder: str, top: str) -> str | None:
    """Return the compared name of the distribution that a module at the top is of, by what each has recorded."""
    for name, (_, _, records) in _known(folder).items():
        if top in _recorded(records):
            return name
    return None


@cache
def _recorded(records: str) -> frozenset[str]:
    return frozenset(_read(records))


def _read(records: str) -> Iterator[str]:
    for file in ("top_level.txt", "RECORD"):
        with suppress(OSError), open(os.path.join(records, file), encoding="utf-8", errors="replace") as lines:
            for line in lines:
                path = line.partition(",")[0].strip().strip('"')
                yield path.partition("/")[0].partition(".")[0]
            return
