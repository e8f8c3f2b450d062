"""The code of a run: each source file that it was made from, sealed below `code/`, and where those came from.

A file lies there below its own path: from the repository's root where it is inside, else from the top of the repository
that it is in, else as its module is named; never below a path of this machine. What holds a secret is left out: its
digest and the reason stay. `annotations.modules` says which file was which module, so that a replay needs no search.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peak_trade.evidence import code, provenance
from peak_trade.evidence.code import Code
from peak_trade.redact import Redactor
from peak_trade.runner.known import KEPT
from peak_trade.runner.secrets import secrets
from peak_trade.strategies.entrypoint import PRIVATE
from peak_trade.strategies.sources import Source, is_installed, sources
from peak_trade.text import as_utf8

if TYPE_CHECKING:
    from peak_trade.runner.attempt import Attempt

__all__ = ["capture", "write"]

_LONGEST = 1 << 20  # bytes of a file: what is longer was not written by hand
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")  # which lists of digests have no room for


def capture(attempt: Attempt, function: Callable[..., Any] | None) -> Code:
    """Return the code that a run was made from; `function` is None where it could not be loaded."""
    there = _sources(attempt, function)
    key = there, attempt.root, attempt.source.path.parent, attempt.redactor.secrets
    captured = next((one for known, one in attempt.known.captured if known == key), None)
    if captured is None:
        captured = _captured(attempt, there)
        attempt.known.captured[:] = [*attempt.known.captured, (key, captured)][-KEPT:]
    found, left_out = captured
    for name, reason in left_out:
        attempt.warn(name, "left out", reason)
    return found


def _sources(attempt: Attempt, function: Callable[..., Any] | None) -> list[Source]:
    """Return the files that a run was made from: of a strategy of this package that loads nothing, looked up once."""
    strays = attempt.known.imported.strays()
    ours = function is not None and attempt.source.config.strategy.name is not None
    if not ours or attempt.ran or attempt.starts or sys.modules.keys() - attempt.before:
        return sources(function, attempt.before, attempt.ran, strays, workers=attempt.starts)
    if function not in attempt.known.sources:
        attempt.known.sources[function] = sources(function, attempt.before, (), strays)
    return attempt.known.sources[function]


def _captured(attempt: Attempt, there: list[Source]) -> tuple[Code, list[tuple[str, str]]]:
    """Return the code of these files, and which of them are left out, and why."""
    found, places, left_out = Code(), _Places(attempt), list[tuple[str, str]]()
    for source in there:
        name = _CONTROL.sub("_", as_utf8(places.of(source)))
        if name in found.files or any(name == one["file"] for one in found.left_out):
            name = _free(name, {*found.files, *(one["file"] for one in found.left_out)})
        content = source.content
        if reason := _hindrance(source, attempt.redactor):
            known = {} if content is None else {"sha256": hashlib.sha256(content).hexdigest()}
            found.left_out.append({"file": name, **known, "reason": reason})
            left_out.append((f"{code.FOLDER}/{name}", reason))
        elif content is not None:
            found.files[name] = content
        for module in source.modules:
            if module != "__main__":  # that of whoever asks
                found.modules[_called(source, module)] = name
    for top, name in places.tops.items():
        state = provenance.GitQuestion(top).answer()
        found.repositories.append({"folder": _CONTROL.sub("_", as_utf8(name)), **(state or {})})
    return found, left_out


def write(attempt: Attempt, found: Code) -> None:
    """Write the files; the seal covers them."""
    for name, content in found.files.items():
        attempt.directory.write(f"{code.FOLDER}/{name}", [content])


def _called(source: Source, module: str) -> str:
    """Return the module's name; of a strategy's file, which has a private one, that of the file."""
    return source.path.stem if module.rpartition(".")[2].startswith(PRIVATE) else module


class _Places:
    """Where files lie below `code/`; `tops` are the repositories that they are in, each with the name of its folder."""

    def __init__(self, attempt: Attempt) -> None:
        self.root = Path(os.path.realpath(attempt.root))
        self.beside = Path(os.path.realpath(attempt.source.path.parent))
        self.tops: dict[Path, str] = {}

    def of(self, source: Source) -> str:
        """Return the name of a file below `code/`."""
        path = source.path
        if is_installed(path):
            return _from_module(source)
        top = next((folder for folder in path.parents if folder != self.root and (folder / ".git").exists()), None)
        if path.is_relative_to(self.root):
            if top and top.is_relative_to(self.root):  # another repository in it, whose state that one's does not tell
                self.tops.setdefault(top, top.relative_to(self.root).as_posix())
            return path.relative_to(self.root).as_posix()
        if top:
            name = self.tops.setdefault(top, _free(top.name, self.tops.values()))
            return f"{name}/{path.relative_to(top).as_posix()}"
        if not source.modules and path.is_relative_to(self.beside):
            return path.relative_to(self.beside).as_posix()
        return _from_module(source)


def _from_module(source: Source) -> str:
    """Return the path that a module has below the folder in which its package was found."""
    package = source.module.split(".") if source.path.stem == "__init__" else source.module.split(".")[:-1]
    return "/".join([*package, source.path.name])


def _free(name: str, taken: Collection[str]) -> str:
    """Return the name, or one like it that is not taken."""
    return next(new for n in range(1, len(taken) + 2) if (new := f"{n}/{name}" if n > 1 else name) not in taken)


def _hindrance(source: Source, redactor: Redactor) -> str:
    """Return why a file is not copied; empty where it is."""
    content = source.content
    if content is None:
        return "it can't be read any more"
    if source.is_compiled:
        return "it is no source"
    if len(content) > _LONGEST:
        return f"it has more than {_LONGEST:,} bytes"
    text = content.decode("utf-8", "surrogateescape")
    if redactor.holds(text) or any(secrets(text)):
        return "it holds what looks like a secret"
    return ""
