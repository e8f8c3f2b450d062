"""What lies beside sealed code where it came from: a strategy may read it by its own `__file__`.

Such files are no part of a run. The folder that a replay lays sealed code out in has links to those that are there now;
never to code, of which there is what was sealed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path, PurePosixPath

__all__ = ["Origin", "link", "origin"]

Origin = Callable[[PurePosixPath], Path]
"""Where a folder of sealed code lies now, if it still does."""

_MOST = 1_000  # entries of a folder
_CODE = (".py", ".pyc", ".so")


def origin(entry: str | None, spec: str, bases: Sequence[Path]) -> Origin:
    """Return what tells where a folder of sealed code came from.

    That is below the last of `bases`, the checkout; or, where `entry` is the file of an entrypoint that `spec` names by
    its path, as far from that as the folder is from `entry`.
    """
    came, below = bases[-1], PurePosixPath()
    if entry and (found := next((base / spec for base in bases if os.path.isfile(base / spec)), None)):
        came, below = found.parent, PurePosixPath(entry).parent
    return lambda folder: came / os.path.relpath(folder, below)


def link(top: Path, files: Iterable[str], where: Origin) -> None:
    """Link what lies beside the `files` of sealed code, which are laid out below `top` and came from `where`."""
    for folder in {above for name in files for above in PurePosixPath(name).parents}:
        with suppress(OSError):
            for one in islice(os.scandir(where(folder)), _MOST):
                place = top / folder / one.name
                if not (one.name.startswith(".") or _is_code(one) or os.path.lexists(place)):
                    place.symlink_to(os.path.abspath(one.path))


def _is_code(entry: os.DirEntry[str]) -> bool:
    if entry.is_dir():
        return entry.name == "__pycache__" or os.path.lexists(os.path.join(entry.path, "__init__.py"))
    return entry.name.endswith(_CODE)
