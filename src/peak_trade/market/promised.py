"""The files of a run's bars, found again: as its manifest promises them, whatever else its config may name.

A run's config names its bars by a path or a pattern, which a stranger may have written: `/dev/zero`, a named pipe, or
`/**/*`. So a pattern is followed through a bounded number of names, and what is found must be regular files, about as
many as the manifest has, and together no larger than files that have grown since. Empty ones hold no bars, and pseudo
file systems say so of files that never end: none is opened. None lies in `results/`: what came with a run is no source
of its bars, and may be of a few kB that unpack to anything.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import translate
from itertools import islice
from pathlib import Path
from typing import Any

from peak_trade.config import nowhere
from peak_trade.errors import InputError
from peak_trade.places import is_pseudo

__all__ = ["Grown", "find"]

_NAMES = 20_000  # that a pattern may lead through
_MORE = 100  # files that have come since, and as many again as there were
_GROWN = 64 << 20  # bytes that have come since, and as many again as there were
_MOST = 4 << 30  # bytes, whatever is promised: as of a run's own tables
_MAGIC = re.compile(r"[*?[]")


class Grown(InputError):
    """There is much more than the run read."""


def find(path: str, folders: Sequence[Path], files: Sequence[Mapping[str, Any]], results: Path) -> list[str]:
    """Return the files that `path` means in the first of `folders` where it means some; absolute paths stand.

    `files` are those of the manifest, with the bytes of each. Raises InputError where there are none, or not of that
    kind, and Grown where there is much more; OSError as `os.stat` does; what a manifest of another form brings is a
    TypeError, ValueError or LookupError.
    """
    found: list[str] = []
    for folder in folders:
        if os.path.lexists(there := os.path.join(folder, path)):
            found = [there]
        elif _MAGIC.search(path) and "\0" not in path:
            start = "/" if path.startswith("/") else os.fspath(folder)
            meant = _matches(start, [step for step in path.split("/") if step], iter(range(_NAMES)))
            found = sorted(set(islice(meant, 2 * len(files) + _MORE + 1)))
        if found:
            break
    else:
        raise nowhere(path, folders)
    if any(Path(os.path.realpath(name)).is_relative_to(os.path.realpath(results)) for name in found):
        raise InputError(f"{path} lies in {results.name}/, which is no place for bars")
    promised = sum(int(file["bytes"]) for file in files)
    much = f"{path} means much more than the {len(files):,} files of {promised:,} bytes that the run read"
    if len(found) > 2 * len(files) + _MORE:
        raise Grown(much)
    if any(is_pseudo(os.path.realpath(name)) for name in found):  # whose sizes do not hold
        raise InputError(f"{path} is no regular file")
    about = [os.stat(name) for name in found]
    if not all(stat.S_ISREG(one.st_mode) for one in about):
        raise InputError(f"{path} is no regular file")
    if not all(one.st_size for one in about):
        raise InputError(f"{path} is an empty file")
    if sum(one.st_size for one in about) > min(2 * promised + _GROWN, _MOST):
        raise Grown(much)
    return found


def _matches(at: str, steps: list[str], left: Iterator[int]) -> Iterator[str]:
    """Yield the regular files below a folder that a pattern means, as `glob` does, as long as names are `left`."""
    if not steps:
        if os.path.isfile(at):
            yield at
        return
    step, *rest = steps
    if not _MAGIC.search(step):
        yield from _matches(os.path.join(at, step), rest, left)
        return
    deep = step == "**"
    if deep and rest:
        yield from _matches(at, rest, left)
    fits = re.compile(translate("*" if deep else step)).match
    try:
        entries = list(islice(os.scandir(at), _NAMES + 1))
    except OSError:
        return
    for entry in entries:
        if next(left, None) is None:
            raise InputError(f"a pattern leads through more than {_NAMES:,} names")
        if not fits(entry.name) or (entry.name.startswith(".") and not step.startswith(".")):
            continue
        try:
            folder = entry.is_dir(follow_symlinks=not deep)  # of links that lead in a ring there is no end
        except OSError:
            continue
        if deep and folder:
            yield from _matches(entry.path, steps, left)
        elif folder or not rest:
            yield from _matches(entry.path, rest, left)
