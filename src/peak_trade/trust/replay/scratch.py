"""A folder in which a recorded command can be run again: its sealed code and the files it read, and nothing else.

A file is looked for where the command ran, where the person stands, and where `--data` says; what is there is held
against its digest. The command gets a copy, so that it can't change what lies there; of a large one that it only read,
a link.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import Struct

from peak_trade.errors import InputError
from peak_trade.trust.difference import Input
from peak_trade.trust.replay.recorded import Whole

__all__ = ["Laid", "lay_out"]

_LINKED = 256 << 20  # bytes from which a file that was only read is no copy
_ELSEWHERE = "--data FILE or FOLDER names where it lies now"
_NAMED = 5


class Laid(Struct):
    """The folder; `base` is where the command ran, where that is here. `changed` are inputs that are others now."""

    folder: Path
    base: Path | None
    said: list[str] = []
    changed: list[Input] = []


def lay_out(run: Whole, folder: Path, given: Sequence[str], *, here: bool) -> Laid:
    """Fill an empty folder with what a command was made from; InputError where something is gone."""
    then = run.sealed.manifest.predicate.run_details.get("folder")
    base = Path(then) if isinstance(then, str) and os.path.isabs(then) and os.path.isdir(then) else None
    laid = Laid(folder, base)
    places = [Path(one) for one in given if os.path.isdir(one)] + ([base] if base else []) + [Path.cwd()]
    files = [Path(one) for one in given if not os.path.isdir(one)]
    for one in files:
        if not one.is_file():
            raise InputError(f"--data {one}: no such file", hint="check the path")
    written = run.sealed.manifest.predicate.results.get("written")
    names = [one["name"] for one in written if isinstance(one, dict)] if isinstance(written, list) else []
    _code(run, laid, places, here=here)
    gone = []
    for name, sha256, about in _materials(run):
        found, digest = _find(name, sha256, places, files)
        if about.get("gone") or not sha256:
            laid.said.append(f"{name} was gone or another when the command had ended: its content is not known")
        if found is None:
            gone += [name] if sha256 else []
            continue
        if sha256 and digest != sha256:
            laid.changed.append(Input("data", name, sha256[:12], (digest or "")[:12], ["it is another file now"]))
        if (target := _inside(folder, name)) is not None and not target.exists():
            _put(found, target, linked=name not in names)
    if gone:
        shown = ", ".join(gone[:_NAMED]) + (f" and {len(gone) - _NAMED} more" if len(gone) > _NAMED else "")
        raise InputError(f"what the command read is gone: {shown}", hint=_ELSEWHERE)
    for name in names:  # a program may expect the folder that it writes to
        if (target := _inside(folder, str(name))) is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
    return laid


def _code(run: Whole, laid: Laid, places: Sequence[Path], *, here: bool) -> None:
    for name, content in run.code().items():
        own = next((path for place in places if (path := place / name).is_file()), None) if here else None
        if here and own is None:
            laid.said.append(f"{name} is not here: the sealed one is taken")
        if (target := _inside(laid.folder, name)) is not None:
            content = own.read_bytes() if own else content
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            if content.startswith(b"#!"):
                target.chmod(0o755)
    known = run.sealed.code_files
    for name, reason in run.left_out.items():
        found, digest = _find(name, known.get(name, ""), places, [])
        if found is None or (digest != known.get(name) and not here):
            laid.said.append(f"{name} is not among its sealed code ({reason}), and not to be had as it was")
        elif (target := _inside(laid.folder, name)) is not None:
            _put(found, target, linked=False)


def _materials(run: Whole) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield the name, digest and annotations of each file that the command read, once."""
    seen = set()
    for one in run.sealed.made.resolved_dependencies:
        if one.about.get("role") in ("read", "input") and one.name not in seen and not one.name.startswith("("):
            seen.add(one.name)
            yield one.name, str(one.digest.get("sha256", "")), one.about


def _find(name: str, sha256: str, places: Sequence[Path], files: Sequence[Path]) -> tuple[Path | None, str | None]:
    """Return a file and its digest: that of the digest wanted, else the first of the name."""
    named = [one for one in files if one.name == PurePosixPath(name).name]
    others = [one for one in files if one not in named]
    first: tuple[Path | None, str | None] = (None, None)
    for path in [*named, *(place / name for place in places), *others]:
        try:
            if not path.is_file():
                continue
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except (OSError, ValueError):
            continue
        if digest == sha256:
            return path, digest
        if first[0] is None and path not in others:
            first = (path, digest)
    return first


def _inside(folder: Path, name: str) -> Path | None:
    """Return where a name lies in the folder; None of one that leads out of it."""
    parts = PurePosixPath(name).parts
    if not parts or os.path.isabs(name) or ".." in parts or "\0" in name:
        return None
    return folder.joinpath(*parts)


def _put(found: Path, target: Path, *, linked: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if linked and found.stat().st_size >= _LINKED:
        target.symlink_to(found.resolve())
    else:
        shutil.copyfile(found, target)
        shutil.copymode(found, target)
