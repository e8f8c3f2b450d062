"""The user's own strategy: loaded unmodified and unregistered, from a module or from a file.

While user code is being loaded or asked, and no longer, its folders are searched for the modules that it imports: for a
file the folder that it lies in, for a module the base folders. They are searched last (`reach`), so that an installed
module always wins and nothing in a user's folder can take the place of a library.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from os import fsencode
from os.path import isfile, realpath  # unlike Path.is_file, it takes a path that cannot be for one that is not there
from pathlib import Path
from types import ModuleType
from typing import Any

from peak_trade.errors import InputError, did_you_mean
from peak_trade.strategies.calls import METHOD, of_class
from peak_trade.strategies.reach import FreshLoader, Named, found, named, reach, sources

__all__ = ["PRIVATE", "load_entrypoint", "loaded", "located", "reaching", "sealed", "source_digest", "undecorated"]


_INIT = "__init__.py"
PRIVATE = "_peak_trade_entrypoint_"
"""How the name begins, after that of its package, by which a file is registered that an entrypoint names."""


def load_entrypoint(spec: str, base_dirs: Sequence[Path]) -> Callable[..., Any]:
    """Return the function that `spec` names: `"pkg.module:function"` or `"path/file.py:function"`.

    In its place may be a class with `generate_signals` (see `calls`), or an object of one.

    A path is absolute or relative to the first of `base_dirs` that holds it. The file is run anew by each call, as a
    module of a private name that stays registered, so that pickle and dataclasses in it work. A module is one that is
    installed, or else one in `base_dirs`. What was found in the user's folders makes way when the next entrypoint is
    loaded: two strategies may each have their own `helpers.py`.

    Raises:
        InputError: `spec` has neither form, or there is no such file, module or function.
        Exception: whatever the user's code raises while it is loaded, unchanged.
    """
    where, _, name = spec.rpartition(":")
    if not where or not name:
        hint = 'write "module:function" or "path/to/file.py:function"'
        raise InputError(f"entrypoint {spec!r} does not name a function in a module", hint=hint)
    module = _load_file(where, base_dirs) if where.endswith(".py") else _load_module(where, base_dirs)
    function = getattr(module, name, None)
    if function is None:
        own = [key for key, value in vars(module).items() if inspect.isfunction(value) and not key.startswith("_")]
        hint = did_you_mean(name, own) if own else "there is no function in it"
        raise InputError(f"no function `{name}` in {where}", hint=hint)
    if isinstance(function, type):
        return of_class(function, where)
    made = function if callable(function) else getattr(function, METHOD, None)  # of an object that is made already
    if not callable(made):
        kind = f"of type {type(function).__name__}"
        raise InputError(f"`{name}` in {where} is {kind}, not a function", hint="name a function of bars")
    strategy: Callable[..., Any] = made
    return strategy


def source_digest(function: Callable[..., Any], root: Path | None = None) -> dict[str, str | None]:
    """Return what a strategy is made from: its `name`, `file`, and the `sha256` (hexadecimal) of that file's bytes.

    `file` is relative to `root` where it lies inside, else a bare file name: never a path of this machine. Of a file
    that `load_entrypoint` loaded, the bytes are those that ran, whatever was saved since. Decorators are looked through
    where they use `functools.wraps`. A function that has no Python source has `file` and `sha256` None. What the file
    imports is not covered.
    """
    name = getattr(function, "__qualname__", type(function).__qualname__)
    inner = undecorated(function)
    code = getattr(inner, "__code__", None)
    path = Path(code.co_filename) if code else Path()
    loader = getattr(inner, "__globals__", {}).get("__loader__")
    try:
        content = loader.source if isinstance(loader, FreshLoader) else path.read_bytes()
    except OSError:
        return {"name": name, "file": None, "sha256": None}
    path = path.resolve()
    inside = root is not None and path.is_relative_to(root.resolve())
    file = path.relative_to(root.resolve()).as_posix() if root is not None and inside else path.name
    return {"name": name, "file": file, "sha256": sha256(content).hexdigest()}


def loaded() -> dict[Path, tuple[str, bytes]]:
    """Return, by file, the module and the bytes of what the entrypoint that was loaded last is made from.

    That is what was found in the user's folders, also where it raised on the way.
    """
    return {Path(file): source for file, source in sources.items()}


def located(name: str) -> str | None:
    """Return the file from which a worker process imports a module out of the folders searched for it, if it is."""
    above, _, _ = name.rpartition(".")
    try:
        if not above:
            ours = PathFinder.find_spec(name, list(map(str, _last)))
            spec = None if name in sys.builtin_module_names or PathFinder.find_spec(name) else ours
        else:
            package = sys.modules.get(above)
            inside = getattr(package, "__path__", None) if package else [str(Path(located(above) or "").parent)]
            spec = PathFinder.find_spec(name, list(inside)) if inside else None
    except Exception:  # noqa: BLE001 - whatever a package says of itself
        return None
    return spec.origin if spec else None


def undecorated(function: Any) -> Any:
    """Return the function below decorators and what was bound, or the method by which an object is called."""
    function = inspect.unwrap(function)
    if isinstance(function, partial):
        return undecorated(function.func)
    return function if hasattr(function, "__globals__") else type(function).__call__  # an object that can be called


@contextmanager
def sealed(modules: Mapping[str, Path], entry: Path | None) -> Iterator[None]:
    """Load a user's code from where a run keeps it: each module of `modules` from its file, whatever else has its name.

    `entry` is the file that an entrypoint of the form `path/file.py:function` stands for. What this program itself
    works with stays its own. Modules of these names that are loaded already make way meanwhile.
    """
    names = {name: str(file) for name, file in modules.items() if not _is_machinery(name) and file != entry}
    away = {name: sys.modules.pop(name) for name in [*sys.modules] if name in names}
    finder, others = Named(names), dict(named)
    sys.meta_path.insert(0, finder)
    named.update(names)
    _entries.append(entry)
    try:
        yield
    finally:
        _entries.pop()
        sys.meta_path.remove(finder)
        named.clear()
        named.update(others)
        for name in names:
            sys.modules.pop(name, None)
        for name, module in away.items():
            sys.modules[name] = module
            above, _, last = name.rpartition(".")
            if above in sys.modules:  # `from package import module` looks there first
                setattr(sys.modules[above], last, module)


def _is_machinery(name: str) -> bool:
    """Tell whether a module is of this program, and none of its strategies."""
    ours = f"{name}.".startswith(f"{__name__.partition('.')[0]}.")
    return ours and (name in _MACHINERY or not name.startswith(f"{__package__}."))


_MACHINERY = frozenset(
    f"{__package__}{name}"
    for name in ("", ".calls", ".checks", ".entrypoint", ".manner", ".meaning", ".reach", ".registry", ".sources")
)
_entries: list[Path | None] = []
"""The file in place of an entrypoint's, of each `sealed` that is open."""
_last: list[Path] = []
"""The folders of the entrypoint loaded last."""


@contextmanager
def reaching() -> Iterator[None]:
    """Have what lies in the folders of the entrypoint loaded last imported from there, also in processes started here.

    It is for the time that the entrypoint is loaded, or its function called.
    """
    with reach(_last):
        yield


@contextmanager
def _importable(folders: Iterable[Path]) -> Iterator[None]:
    for name in [name for name in sys.modules if name.partition(".")[0] in found]:
        del sys.modules[name]
    found.clear()
    sources.clear()
    _last[:] = folders
    _leave_kept_workers()
    with reaching():
        yield


def _leave_kept_workers() -> None:
    """Have joblib start workers of its own for this strategy.

    It keeps those that it has, for the next who asks: they know neither the folders nor the files of this one, and
    modules of the one before, which may have the same names.
    """
    for name in ("joblib.externals.loky.reusable_executor", "loky.reusable_executor"):
        if executor := getattr(sys.modules.get(name), "_executor", None):
            executor.shutdown(wait=False)  # what is under way ends in its time


def _load_file(where: str, base_dirs: Sequence[Path]) -> ModuleType:
    candidates = [Path(where)] if Path(where).is_absolute() else [base / where for base in base_dirs]
    if _entries and _entries[-1]:
        candidates = [_entries[-1]]
    path = next((path.resolve() for path in candidates if isfile(path)), None)
    if path is None:
        raise InputError(f"strategy file {where} does not exist", hint=_looked_in(base_dirs))
    package, top = _package(path)
    name = f"{package}.{PRIVATE}".lstrip(".") + sha256(fsencode(path)).hexdigest()[:16]
    loader = FreshLoader(name, str(path))
    spec = ModuleSpec(name, loader, origin=str(path))
    spec.has_location = True
    module = sys.modules[name] = module_from_spec(spec)
    named[name] = str(path)
    try:
        with _importable(dict.fromkeys([path.parent, top])):
            if package:
                _import_package(package, path)
            loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _package(path: Path) -> tuple[str, Path]:
    """Return the package that a file is of, as far as it says so, and the folder that this is in.

    It says so by relative imports: the package begins at the highest folder that they lead to, from one file to the
    next, or above it, as long as there is an `__init__.py`. Empty where it has none.
    """
    folders = set(_packages(path, set()))
    top = min(folders, key=lambda folder: len(folder.parts)) if folders else path
    for folder in top.parents:
        if not isfile(folder / _INIT):
            return ".".join(path.parent.relative_to(folder).parts) if folders else "", folder
    return "", path.parent


def _packages(path: Path, seen: set[Path]) -> Iterator[Path]:
    """Yield the folders that relative imports lead to, those of the files that are so imported too."""
    seen.add(path)
    try:
        nodes = [*ast.walk(ast.parse(path.read_bytes()))]
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return  # which is told when it is run
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and 0 < node.level < len(path.parents):
            yield (folder := path.parents[node.level - 1])
            inside = folder.joinpath(*(node.module or "").split("."))
            places = [inside, *(inside / alias.name for alias in node.names)]
            for file in [name for place in places for name in (place.with_name(f"{place.name}.py"), place / _INIT)]:
                if file not in seen and isfile(file):
                    yield from _packages(file, seen)


def _import_package(package: str, path: Path) -> None:
    """Import the package that a file is of; InputError where another has its name."""
    where = [*getattr(import_module(package), "__path__", [])]
    if str(path.parent) not in map(realpath, where):
        raise InputError(
            f"{path.name} imports from its own package `{package}`, and another one has that name",
            hint=f"rename the folder {path.parents[package.count('.')].name}",
        )


def _load_module(where: str, base_dirs: Sequence[Path]) -> ModuleType:
    hint = f"{_looked_in(base_dirs)}, after what is installed; a file is named by its path: path/to/file.py"
    absent = InputError(f"strategy module {where} does not exist", hint=hint)
    if where.startswith("."):
        raise absent
    try:
        with _importable(base_dirs):
            return import_module(where)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{where}.".startswith(f"{error.name}."):
            raise  # the module is there; what it imports is not
        raise absent from None


def _looked_in(base_dirs: Sequence[Path]) -> str:
    return "looked in " + ", ".join(str(base) for base in base_dirs)
