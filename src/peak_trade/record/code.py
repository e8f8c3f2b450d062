"""The code of a recorded command: what its processes loaded and nobody installed, as it was when it was loaded.

A file lies below `code/` by its path below the command's folder; one from elsewhere by the name of its repository's
folder or of its packages. What holds a secret is left out: its digest and the reason stay.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.machinery import BYTECODE_SUFFIXES, EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

from peak_trade.evidence.code import Code
from peak_trade.redact import Redactor
from peak_trade.runner.secrets import secrets
from peak_trade.text import as_utf8

__all__ = ["capture"]

_LONGEST = 1 << 20
_NAME = 200  # bytes of a file's name
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_COMPILED = (*BYTECODE_SUFFIXES, *EXTENSION_SUFFIXES)
_SCRIPTS = (".py", ".ipynb", ".sh", ".bash", ".r", ".R", ".jl", ".js", ".ts", ".rb", ".pl", ".sql", ".ps1")
_COPY = re.compile(r"[\w-]+\.source")


def capture(
    spool: Path, folder: Path, noted: Iterable[Mapping[str, Any]], command: Sequence[str], notebooks: Iterable[str],
    redactor: Redactor,
) -> Code:  # fmt: skip
    """Return the code: of the processes that were seen, the notebooks they read, and the scripts the command names."""
    found, root = Code(), os.path.realpath(folder)
    contents: dict[str, bytes | None] = {}
    for one in noted:
        if isinstance(path := one.get("path"), str) and "\0" not in path:
            contents.setdefault(os.path.realpath(path), _noted(spool, one, path, root))
    for path in [*notebooks, *_scripts(folder, command)]:
        contents.setdefault(os.path.realpath(path), _read(path))
    taken, below = set[str](), set[str]()
    for path, content in sorted(contents.items()):
        name = _short(_CONTROL.sub("_", as_utf8(_name(path, root))))
        if name in taken or name in below or not taken.isdisjoint(_above(name)):
            name = f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}/{name}"
        taken.add(name)
        below.update(_above(name))
        if reason := _hindrance(path, content, redactor):
            known = {} if content is None else {"sha256": hashlib.sha256(content).hexdigest()}
            found.left_out.append({"file": name, **known, "reason": reason})
        elif content is not None:
            found.files[name] = content
    return found


def _noted(spool: Path, one: Mapping[str, Any], path: str, root: str) -> bytes | None:
    """Return what was kept when it was loaded, else what it is by now; that of a file below the folder alone.

    A process can note what it likes, and files elsewhere may be none of its.
    """
    copy = one.get("copy")
    if isinstance(copy, str) and _COPY.fullmatch(copy) and (content := _read(spool / copy, os.O_NOFOLLOW)) is not None:
        return content
    return _read(path) if os.path.realpath(path).startswith(root.rstrip(os.sep) + os.sep) else None


def _read(path: str | Path, flags: int = 0) -> bytes | None:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
    except (OSError, ValueError):
        return None
    with open(handle, "rb") as stream:
        try:
            return stream.read(_LONGEST + 1)
        except OSError:
            return None


def _scripts(folder: Path, command: Sequence[str]) -> Iterator[str]:
    """Yield the files in the folder that the command names and that are programs by their name or first line."""
    root = os.path.realpath(folder) + os.sep
    for word in command:
        path = os.path.realpath(os.path.join(folder, word)) if word and "\0" not in word else ""
        if path.startswith(root) and os.path.isfile(path):
            if path.endswith(_SCRIPTS) or (_read(path) or b"").startswith(b"#!"):
                yield path


def _name(path: str, root: str) -> str:
    """Return the name of a file below `code/`."""
    if path.startswith(root + os.sep):
        return path[len(root) + 1 :]
    one = Path(path)
    top = next((folder for folder in one.parents if (folder / ".git").exists()), None)
    if top is None:
        top = next((folder for folder in one.parents if not (folder / "__init__.py").exists()), one.parent)
        return one.relative_to(top).as_posix()
    return f"{top.name}/{one.relative_to(top).as_posix()}"


def _above(name: str) -> Iterator[str]:
    """Yield the folders that a name lies in."""
    while name := name.rpartition("/")[0]:
        yield name


def _short(name: str) -> str:
    """Return a name that a file system takes: with half characters written out, one may be longer than it was."""
    return "/".join(part if len(part.encode()) <= _NAME else _hashed(part) for part in name.split("/"))


def _hashed(part: str) -> str:
    return hashlib.sha256(part.encode()).hexdigest()[:16] + Path(part).suffix[:9]


def _hindrance(path: str, content: bytes | None, redactor: Redactor) -> str:
    if content is None:
        return "it can't be read any more"
    if path.endswith(_COMPILED):
        return "it is no source"
    if len(content) > _LONGEST:
        return f"it has more than {_LONGEST:,} bytes"
    text = content.decode("utf-8", "surrogateescape")
    if redactor.holds(text) or any(secrets(text)):
        return "it holds what looks like a secret"
    return ""
