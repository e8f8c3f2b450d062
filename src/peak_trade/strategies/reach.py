"""Where a user's modules are found, in this process and in those that it starts.

A user's folders stand last in `sys.path` while they are searched, and a hook in `sys.path_hooks` reads modules in them
as they are now. What starts Python anew to go on with our work there (multiprocessing's `spawn` and `forkserver`, loky
and so joblib, Dask) sends its `sys.path` along, pickled: ours are texts that, when they are unpickled, make that
process ready to import the same modules from the same files, before it is told what to do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    PathFinder,
    SourceFileLoader,
)
from importlib.util import spec_from_file_location
from os.path import dirname, realpath
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

__all__ = ["STARTS", "Folder", "FreshLoader", "Named", "arrive", "found", "named", "reach", "sources"]

STARTS = "peak_trade.starts_process"
"""The event by which a hook learns that a process is started anew: Python itself tells of none."""
sources: dict[str, tuple[str, bytes]] = {}
"""By file, the module and the bytes of what the entrypoint loaded last was made from, as far as it came by here."""
found: set[str] = set()
"""Top-level modules that came out of the folders of the entrypoint loaded last."""
named: dict[str, str] = {}
"""By module, the file of what is known by its name alone: files of strategies, and the modules of a sealed run."""


class FreshLoader(SourceFileLoader):
    """Compiles what the file holds now and keeps those bytes.

    Python's byte-code cache takes a file for unchanged that was edited within a second to the same size: old code would
    run under the digest of the new.
    """

    source = b""

    def get_code(self, fullname: str) -> CodeType:
        self.source = self.get_data(self.path)
        sources[realpath(self.path)] = (fullname, self.source)
        try:
            code: CodeType = self.source_to_code(self.source, self.path)
        except SyntaxError as error:
            error.filename = error.filename or self.path  # of a file that holds a zero byte, Python names none
            raise
        return code


class _InFolder(FileFinder):
    """Finds top-level modules in one folder of a user's, where nothing that is installed has their name."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder, (ExtensionFileLoader, EXTENSION_SUFFIXES), (FreshLoader, SOURCE_SUFFIXES))

    def find_spec(self, name: str, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = super().find_spec(name, target)
        if spec is None or any(finder.find_spec(name, None) for finder in _later()):
            return None
        found.add(name)
        return spec


def _later() -> list[Any]:
    """Return the finders that come after Python's own, as those of packages that are installed to be edited."""
    finders: list[Any] = sys.meta_path
    return finders[finders.index(PathFinder) + 1 :] if PathFinder in finders else []


class Named:
    """A finder for the front of `sys.meta_path`: modules by their files, and the folders that packages are of."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if told := self.files.get(name):
            file = Path(told)
            inside = [str(file.parent)] if file.stem == "__init__" else None
            loader = FreshLoader(name, told) if file.suffix in SOURCE_SUFFIXES else None  # None: by its suffix
            return spec_from_file_location(name, told, loader=loader, submodule_search_locations=inside)
        if any(file.startswith(f"{name}.") for file in self.files) and PathFinder.find_spec(name, path) is None:
            return ModuleSpec(name, None, is_package=True)
        return None


class Folder(str):
    """A folder in `sys.path`. Unpickled in another process, it makes that one ready: see `arrive`."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        sys.audit(STARTS)
        # as a text, for a process that does not find this package but by the `sys.path` that it is about to be given
        home, module = dirname(dirname(dirname(__file__))), __name__
        ready = f"__import__({module!r}, fromlist=['arrive']).arrive({str(self)!r}, {named!r})"
        return eval, (f"({home!r} in (path := __import__('sys').path) or path.append({home!r}), {ready})[1]",)


def arrive(folder: str, modules: Mapping[str, str]) -> Folder:
    """Have modules imported from `folder`, where nothing installed has their name, and `modules` from their files."""
    if modules:
        named.update(modules)
        if not any(isinstance(finder, Named) for finder in sys.meta_path):
            sys.meta_path.insert(0, Named(named))
    _hook(folder)
    return Folder(folder)


@contextmanager
def reach(folders: Iterable[Path]) -> Iterator[None]:
    """Search folders within the block, after all that is installed, here and in processes that are started here."""
    ours = [Folder(folder) for folder in folders]
    for folder in ours:
        _hook(folder)
    sys.path += ours
    try:
        yield
    finally:
        sys.path[:] = [path for path in sys.path if not any(path is folder for folder in ours)]
        for folder in ours:
            if folder not in sys.path:
                _hooked.discard(folder)
                sys.path_importer_cache.pop(folder, None)


_hooked: set[str] = set()


def _hook(folder: str) -> None:
    if folder not in sys.path:  # else it is searched already, in its own place and as Python does
        _hooked.add(str(folder))
        sys.path_importer_cache.pop(folder, None)
    if _finder not in sys.path_hooks:
        sys.path_hooks.insert(0, _finder)


def _finder(folder: str) -> _InFolder:
    if folder not in _hooked:
        raise ImportError
    return _InFolder(folder)
