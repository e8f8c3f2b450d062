"""The source files that a strategy is made from: its own, and those of all that it imports and nobody has installed.

What Python itself, site-packages or this package hold is installed: its versions are in the environment of a run. Of
this package, the strategy that was asked for and what it takes from its siblings count as the strategy's.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from importlib.machinery import SOURCE_SUFFIXES
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import peak_trade
from peak_trade.strategies.entrypoint import loaded, undecorated

__all__ = ["Source", "is_installed", "module_of", "sources"]

_OURS = "peak_trade.strategies."


class Source(NamedTuple):
    """A file that was loaded as a module; `content` is what ran, None where that can't be read any more."""

    module: str
    path: Path
    content: bytes | None


def sources(function: Callable[..., Any] | None, before: Iterable[str]) -> list[Source]:
    """Return the files that `function` and what it imports came from, in order of their paths.

    `before` are the modules that were there before it was loaded: what came since is the run's, and of what was there,
    what the function's modules have in their names. A function of None stands for one that could not be loaded.
    """
    reached = {name for name in sys.modules.keys() - set(before) if (path := _file(name)) and not is_installed(path)}
    if function is not None and (module := module_of(function)):
        reached |= set(_reached(module))
    ran = loaded()
    found = {} if function else {path: Source(name, path, content) for path, (name, content) in ran.items()}
    for name in sorted(reached):
        path = _file(name)
        if path and path not in found:
            found[path] = Source(name, path, ran[path][1] if path in ran else _read(path))
    return [found[path] for path in sorted(found)]


def _read(path: Path) -> bytes | None:
    with suppress(OSError):
        return path.read_bytes()
    return None


def module_of(function: Callable[..., Any]) -> str | None:
    """Return the name of the module that a function is defined in; None where it has none."""
    name = getattr(undecorated(function), "__globals__", {}).get("__name__")
    return name if isinstance(name, str) and name in sys.modules else None


def is_installed(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file is Python's own, of a package that is installed, or of this one."""
    return os.fspath(path).startswith(_installed())


@cache
def _installed() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders |= {*site.getsitepackages(), site.getusersitepackages(), os.path.dirname(peak_trade.__file__)}
    folders |= {os.path.realpath(folder) for folder in folders}
    return tuple(sorted(f"{folder}{os.sep}" for folder in folders))


def _reached(start: str) -> Iterator[str]:
    """Yield a module, and all that it and those have in their names, as far as these are a person's own."""
    seen, left = {start}, [start]
    while left:
        name = left.pop()
        path = _file(name)
        if path is None or (is_installed(path) and not name.startswith(_OURS)):
            continue
        yield name
        parents = [name[:at] for at, sign in enumerate(name) if sign == "."]
        for other in {*parents, *_named(sys.modules[name])} - seen:
            if not name.startswith(_OURS) or other.startswith(_OURS):
                seen.add(other)
                left.append(other)


def _named(module: ModuleType) -> Iterator[str]:
    """Yield the modules that the names of a module lead to."""
    for key, value in list(vars(module).items()):
        name = None
        if not key.startswith("__"):  # what Python itself puts there
            with suppress(Exception):  # a value of a person's may be anything
                name = value.__name__ if isinstance(value, ModuleType) else value.__module__
        if isinstance(name, str) and name in sys.modules:
            yield name


def _file(name: str) -> Path | None:
    """Return the source file of a module; None where it is of none."""
    file = getattr(sys.modules.get(name), "__file__", None)
    if not isinstance(file, str) or not file.endswith(tuple(SOURCE_SUFFIXES)) or not os.path.isfile(file):
        return None
    return Path(os.path.realpath(file))
