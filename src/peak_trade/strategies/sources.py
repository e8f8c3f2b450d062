"""The source files that a strategy is made from: its own, and those of all that it imports and nobody has installed.

What Python itself, site-packages or this package hold is installed: its versions are in the environment of a run. Of
this package, the strategy that was asked for and what it takes from its siblings count as the strategy's.
"""

from __future__ import annotations

import os
import re
import site
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from importlib.machinery import BYTECODE_SUFFIXES, EXTENSION_SUFFIXES, SOURCE_SUFFIXES
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

import peak_trade
from peak_trade.modules import file_of, names
from peak_trade.strategies.entrypoint import loaded, located, undecorated
from peak_trade.strategies.reach import Folder

__all__ = ["Source", "as_run", "is_installed", "module_of", "run_as_module", "sources"]

_OURS = "peak_trade.strategies."
_SOURCE = tuple(SOURCE_SUFFIXES)
_COMPILED = (*BYTECODE_SUFFIXES, *EXTENSION_SUFFIXES)
_SITE = "-packages"  # how folders end in which installed packages are, also those of another environment
_IMPORT = re.compile(r"^[^\S\n]*(?:from\s+(\.*[\w.]*)\s+import\b|import\s+([\w., \t]+))", re.MULTILINE)
_LONGEST = 1 << 26  # bytes of a file that are read: its digest is wanted, also of one that is too long to be copied


class Source(NamedTuple):
    """A file that was loaded as `modules`, or run without being any; `content` is what ran, None where that is gone."""

    modules: tuple[str, ...]
    path: Path
    content: bytes | None

    @property
    def module(self) -> str:
        """The first of its modules; empty where it has none."""
        return self.modules[0] if self.modules else ""

    @property
    def is_compiled(self) -> bool:
        """Whether it is no source: byte code or an extension."""
        return self.path.name.endswith(_COMPILED)


def sources(
    function: Callable[..., Any] | None,
    before: Iterable[str],
    ran: Iterable[Path] = (),
    strays: Iterable[str] = (),
    *,
    workers: bool = False,
) -> list[Source]:
    """Return the files that `function` and what it imports came from, in order of their paths.

    `before` are the modules that were there before it was loaded: what came since is the run's, and of what was there,
    what the function's modules have in their names. `ran` are files that were run since, by whatever way: see
    `run_as_module`; `strays` are modules that lie among what is installed and are no distribution's. A function of None
    stands for one that could not be loaded. With `workers`, what the text of these files imports counts too where it
    lies in the function's folders and was loaded by nobody here: processes that it started may have.
    """
    strays = frozenset(strays)
    reached = {name for name in sys.modules.keys() - set(before) if _is_own(name, strays) and not _is_ours(name)}
    if function is not None and (module := module_of(function)):
        reached |= set(_reached(module, strays))
    kept = as_run()
    found: dict[Path, list[str]] = {path: [] for path in ran}
    if function is None:
        found |= {path: [name] for path, (name, _) in loaded().items()}
        reached |= {name for name in list(sys.modules) if _file(name) in found}  # also where a run before had them too
    for name in sorted(reached):
        if path := _file(name):
            found.setdefault(path, [])
            if name not in found[path]:
                found[path].append(name)
    if workers:
        _add_unloaded(found, kept)
    return [Source(tuple(found[path]), path, _content(path, found[path], kept)) for path in sorted(found)]


def _add_unloaded(found: dict[Path, list[str]], ran: dict[Path, bytes]) -> None:
    """Add what the text of files imports, and lies in the folders that are searched, and is not loaded here."""
    left, seen = list(found), set(sys.modules)
    while left:
        path = left.pop()
        module = found[path][0] if found[path] else ""
        package = module if path.stem == "__init__" else module.rpartition(".")[0]
        for name in _told(ran.get(path) or _read(path) or b"", package):
            for part in [name[:at] for at, sign in enumerate(f"{name}.") if sign == "."]:  # its packages first
                if part in seen:
                    continue
                seen.add(part)
                file = located(part)
                if file and file.endswith(_SOURCE) and not is_installed(file):
                    other = Path(os.path.realpath(file))
                    found.setdefault(other, []).append(part)
                    left.append(other)


def run_as_module(code: object) -> Path | None:
    """Return the file of a person's own that this code is all of, as Python is about to run it; None of other code.

    What the file holds by now is kept: it may be other, or gone, by the time that it is asked for.
    """
    if not isinstance(code, CodeType) or code.co_name != "<module>" or not code.co_filename.endswith(_SOURCE):
        return None
    if is_installed(code.co_filename) or is_installed(path := Path(os.path.realpath(code.co_filename))):
        return None
    content = _read(path)
    if content is None and path not in loaded():
        return None
    _ran[path] = content
    return path


_ran: dict[Path, bytes | None] = {}
"""What each file held when it was last run as a module while a strategy was asked."""


def as_run() -> dict[Path, bytes]:
    """Return, by file, what was run of the code of a person's own, as far as it is known."""
    ran = {path: content for path, content in _ran.items() if content is not None}
    return ran | {path: content for path, (_, content) in loaded().items()}


def _content(path: Path, modules: list[str], ran: dict[Path, bytes]) -> bytes | None:
    if path in ran:
        return ran[path]
    content = _read(path)
    return _zipped(path, modules) if content is None else content


def _zipped(path: Path, modules: list[str]) -> bytes | None:
    """Return a module's source out of the archive that it was imported from."""
    from zipimport import zipimporter

    for name in modules:
        loader = names(sys.modules.get(name)).get("__loader__")
        if isinstance(loader, zipimporter):
            with suppress(Exception):  # the archive may be gone, or another
                return loader.get_data(os.fspath(path))
    return None


def module_of(function: Callable[..., Any]) -> str | None:
    """Return the name of the module that a function is defined in; None where it has none."""
    name = getattr(undecorated(function), "__globals__", {}).get("__name__")
    return name if isinstance(name, str) and name in sys.modules else None


def is_installed(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file is Python's own, of a package that is installed, or of this one."""
    others = tuple(str(at) for at in sys.path if str(at).endswith(_SITE) and not isinstance(at, Folder))
    return os.fspath(path).startswith(_installed(others))


@cache
def _installed(further: tuple[str, ...]) -> tuple[str, ...]:
    """Return how the paths of installed files start; `further` are folders of packages of other environments."""
    paths = sysconfig.get_paths()
    folders = {*further, *(paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))}
    folders |= {*site.getsitepackages(), site.getusersitepackages(), os.path.dirname(peak_trade.__file__)}
    folders |= {os.path.realpath(folder) for folder in folders}
    return tuple(sorted(f"{folder}{os.sep}" for folder in folders))


def _is_own(name: str, strays: frozenset[str]) -> bool:
    """Tell whether a module is of a file of a person's own."""
    path = _file(name)
    return path is not None and (name.partition(".")[0] in strays or not is_installed(path))


def _is_ours(name: str) -> bool:
    """Tell whether a module is the script of this program that was started."""
    path = _file(name) if name == "__main__" else None
    return path is not None and path.is_relative_to(Path(os.path.realpath(peak_trade.__file__)).parents[2] / "scripts")


def _read(path: Path) -> bytes | None:
    with suppress(OSError):
        if path.is_file() and path.stat().st_size <= _LONGEST:
            return path.read_bytes()
    return None


def _reached(start: str, strays: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield a module, and all that it and those have in their names, or import, as far as these are a person's own."""
    seen, left, ran = {start}, [start], as_run()
    while left:
        name = left.pop()
        if not (_is_own(name, strays) or (name.startswith(_OURS) and _file(name))) or _is_ours(name):
            continue
        yield name
        parents = [name[:at] for at, sign in enumerate(name) if sign == "."]
        for other in {*parents, *_named(sys.modules[name]), *_imported(name, ran)} - seen:
            if not name.startswith(_OURS) or other.startswith(_OURS):
                seen.add(other)
                left.append(other)


def _named(module: ModuleType) -> Iterator[str]:
    """Yield the modules that the names of a module lead to."""
    for key, value in list(names(module).items()):
        name: object = None
        if not key.startswith("__"):  # what Python itself puts there
            with suppress(Exception, SystemExit):  # a value of a person's may be anything
                name = names(value).get("__name__") if isinstance(value, ModuleType) else value.__module__
        if isinstance(name, str) and name in sys.modules:
            yield name


def _imported(name: str, ran: dict[Path, bytes]) -> Iterator[str]:
    """Yield the modules that the text of a module imports: of `from numbers_of import TWO` no name leads to one."""
    path = _file(name)
    content = (ran.get(path) or _read(path) or b"") if path and path.name.endswith(_SOURCE) else b""
    package = names(sys.modules[name]).get("__package__")
    yield from (found for found in _told(content, str(package or "")) if found in sys.modules)


def _told(content: bytes, package: str) -> Iterator[str]:
    """Yield the names of modules that a text of a module in `package` imports."""
    for where, what in _IMPORT.findall(content.decode("utf-8", "replace")):
        for told in [where] if where else [one.split(" as ")[0].strip() for one in what.split(",")]:
            dots = len(told) - len(told.lstrip("."))
            above = package.split(".")[: 1 - dots or None] if dots else []
            yield ".".join([*filter(None, above), *filter(None, [told[dots:]])])


def _file(name: str) -> Path | None:
    """Return the file of a module, which may be gone by now; None where it is of none."""
    file = file_of(sys.modules.get(name))
    if file is None or not file.endswith((*_SOURCE, *_COMPILED)):
        return None
    return Path(os.path.realpath(file))
