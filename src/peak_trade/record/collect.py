"""What a command has left: what it said, the files in its PEAK_RUN_DIR, and those that were asked for by pattern."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from peak_trade.evidence import door
from peak_trade.record.capture import Stream
from peak_trade.runner.making import Making
from peak_trade.text import as_utf8

__all__ = ["OUTPUTS", "collected", "given", "inputs", "said"]

OUTPUTS = "outputs"
_LARGEST = 256 << 20  # bytes of a file that is kept; of a larger one, its digest alone
_MOST = 10_000  # files
_DEEPEST = 32
_PIECE = 1 << 20


def said(making: Making, streams: Sequence[Stream]) -> dict[str, Any]:
    """Keep what the command said, masked and bounded, and return how much of each stream there was."""
    told: dict[str, Any] = {}
    making.redactor.look()
    for stream in streams:
        content = stream.kept.content(making.redactor)
        making.directory.write(f"{OUTPUTS}/{stream.name}.txt", [content])
        told[stream.name] = {"bytes": stream.kept.size}
        if stream.kept.left_out:
            making.warn(stream.name, "cut", f"{stream.kept.left_out:,} of its {stream.kept.size:,} bytes are not kept")
    return told


def given(making: Making, folder: str) -> None:
    """Keep what lies in a folder of the run's directory, byte for byte; what is no file is left out, and named."""
    directory = making.directory
    for number, name in enumerate(_files(making, folder)):
        if number >= _MOST:
            making.warn(OUTPUTS, "left out", f"more than {_MOST:,} files: the others are not kept")
            return
        place = _free(making, f"{OUTPUTS}/{name.removeprefix(f'{folder}/')}")
        try:
            with door.reading(directory.place, name, 1 << 62) as stream:
                _keep(making, place, stream)
        except OSError as error:
            making.warn(place, "left out", error.strerror or str(error))


def _files(making: Making, folder: str) -> Iterator[str]:
    folders = [folder]
    while folders:
        below = folders.pop(0)
        try:
            there = door.entries(making.directory.place, below)
        except OSError as error:
            making.warn(OUTPUTS, "left out", f"{as_utf8(below)}: {error.strerror}")
            continue
        for entry in there:
            name = f"{below}/{entry.name}"
            if entry.is_file and as_utf8(entry.name) == entry.name:
                yield name
            elif entry.kind == "a folder" and name.count("/") < _DEEPEST:
                folders.append(name)
            else:
                making.warn(OUTPUTS, "left out", f"{as_utf8(name)}: {entry.kind}")


def collected(making: Making, patterns: Sequence[tuple[str, str]], folder: Path, since: float) -> list[tuple[str, str]]:
    """Keep the files that match; return each with its role, by its name below `outputs/`."""
    found: list[tuple[str, str]] = []
    for role, pattern in patterns:
        names = [
            name
            for name in sorted(glob.glob(pattern, root_dir=folder, recursive=True))
            if not (folder / name).is_dir() and not _left_out(making, folder, name)
        ]
        if not names:
            making.skip(
                "collect", f"nothing matches {role}={pattern}", "the pattern counts from where you stand; quote it"
            )
        for name in names[:_MOST]:
            path = folder / name
            inside = os.path.relpath(os.path.realpath(path), os.path.realpath(folder))
            place = _free(making, f"{OUTPUTS}/{as_utf8(path.name if inside.startswith('..') else inside)}")
            try:
                with path.open("rb") as stream:
                    if os.fstat(stream.fileno()).st_mtime < since:
                        making.warn("collect", "older", f"{as_utf8(name)} was there before the command began")
                    if _keep(making, place, stream):
                        found.append((role, place))
            except OSError as error:
                making.warn(place, "left out", error.strerror or str(error))
    return found


def _left_out(making: Making, folder: Path, name: str) -> bool:
    """Tell whether a name that matches is none of a file, or one of a file elsewhere, and say so."""
    path = folder / name
    if not path.is_file():
        why = "it is no file"
    elif path.is_symlink() and not os.path.realpath(path).startswith(os.path.realpath(folder) + os.sep):
        why = "a symbolic link that leads out of the folder"
    else:
        return False
    making.warn("collect", "left out", f"{as_utf8(name)}: {why}")
    return True


def inputs(making: Making, names: Iterable[str], since: float) -> list[dict[str, Any]]:
    """Return the files that were named as what the command reads, by digest, for the manifest.

    The digest is of the end; one that has changed since the command began, or is no more, is told.
    """
    found = []
    for name in names:
        told: dict[str, Any] = {"role": "input"}
        known = {}
        try:
            size, changed, digest = _digest(name)
        except OSError as error:
            told |= {"declared": True, "gone": True}
            making.warn("input", "gone", f"{as_utf8(name)}: {error.strerror}: it has no digest")
        else:
            known = {"digest": {"sha256": digest}}
            told |= {"bytes": size, "declared": True}
            if changed >= since:
                told["changed"] = True
                making.warn("input", "changed", f"{as_utf8(name)} changed while it ran: the digest is of the end")
        found.append({"name": making.redactor.text(as_utf8(name)), **known, "annotations": told})
    return found


def _digest(name: str) -> tuple[int, float, str]:
    """Return a file's size, when it was changed, and its digest; OSError where it is none any more."""
    with open(os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
        about = os.fstat(stream.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "it is no file any more")
        return about.st_size, about.st_mtime, hashlib.file_digest(stream, "sha256").hexdigest()


def _keep(making: Making, place: str, stream: BinaryIO) -> bool:
    """Keep a file's bytes as they are; of one that is too large, say so, with its digest."""
    size = os.fstat(stream.fileno()).st_size
    if size <= _LARGEST:
        making.directory.write(place, _pieces(stream, size))
        return True
    sha256 = hashlib.sha256()
    for piece in _pieces(stream, size):
        sha256.update(piece)
    making.warn(place, "left out", f"it has {size:,} bytes, more than {_LARGEST:,}; its sha256 is {sha256.hexdigest()}")
    return False


def _pieces(stream: BinaryIO, left: int) -> Iterator[bytes]:
    while left > 0 and (piece := stream.read(min(_PIECE, left))):
        left -= len(piece)
        yield piece


def _free(making: Making, name: str) -> str:
    return next(
        new for n in range(1, 1 << 20) if (new := f"{name}.{n}" if n > 1 else name) not in making.directory.sealed
    )
