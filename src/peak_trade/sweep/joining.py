"""What another process, or another machine, needs to work along on a sweep: its order, in the sweep's folder.

    config, content    the config's path, below the repository's root where it lies there, and its bytes
    overrides, wish    what else was asked
    withheld           whether any of it was a secret, which is not written down

Bars and code are not in it: who works along has its own, and both must be the same, which the sweep's marks tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from peak_trade.config import Source, parse
from peak_trade.errors import InputError
from peak_trade.evidence.results import SWEEPS
from peak_trade.redact import Redactor
from peak_trade.runner.snapshot import plain
from peak_trade.sweep.folder import Folder
from peak_trade.sweep.marks import Marks
from peak_trade.sweep.wish import Wish

__all__ = ["asked_of", "find_folder", "refuse_other", "told"]


def told(source: Source, wish: Wish, root: Path, redactor: Redactor) -> dict[str, Any]:
    """Return what the order of a sweep says."""
    path, content, overrides = source.path, redactor.toml(source.content), redactor.tree(plain(source.overrides))
    return {
        "config": str(path.relative_to(root) if path.is_relative_to(root) else path),
        "content": content,
        "overrides": overrides,
        "wish": msgspec.to_builtins(wish),
        "withheld": content != source.content or overrides != plain(source.overrides),
    }


def find_folder(which: str, results: Path) -> Folder | Path:
    """Return the folder of the sweep whose run_id begins so; where it is sealed already, its directory.

    Raises InputError where there is none, or more than one.
    """
    names = {path.name for place in (results / SWEEPS, results) if place.is_dir() for path in place.iterdir()}
    found = sorted(name for name in names if name.startswith(which.lower()) and len(name) == 36)
    if len(found) != 1 or not which:
        many = f"{len(found)} runs begin with" if found else "there is no sweep"
        raise InputError(f"{many} {which!r} in {results}", hint="just runs shows them; --results-dir names the folder")
    sealed = results / found[0]
    return sealed if sealed.is_dir() else Folder(results, found[0])


def asked_of(folder: Folder, root: Path) -> tuple[Source, Wish]:
    """Return config and wish of a sweep that has begun; InputError where its order doesn't say all of them."""
    try:
        said = msgspec.msgpack.decode(folder.order())
        if "command" in said:
            raise InputError("a sweep over a command is made by one process", hint="--jobs N runs so many at once")
        path, content = root / said["config"], said["content"]
        overrides: Mapping[str, Any] = said["overrides"]
        wish, withheld = msgspec.convert(said["wish"], Wish), said["withheld"]
    except (msgspec.MsgspecError, KeyError, TypeError):
        raise InputError(
            f"the order of {folder.run_id[:8]} can't be read", hint="the one who began it has another version, or ended"
        ) from None
    if withheld:
        raise InputError("the config of this sweep holds a secret, which its order does not tell", hint=_ALONE)
    return Source(path, content, dict(overrides), parse(content, overrides)), wish


_ALONE = "let one machine make it, or take the secret out of the config"
_DIFFERENT = {
    "asked": ("what was asked comes to something else here", "take the same version of Peak_Trade"),
    "data": ("the bars are not the same here", "just data-diff shows what differs"),
    "code": ("the strategy's code is not the same here", "bring both to the same commit"),
    "program": ("Peak_Trade, Python or NumPy are not the same here", "just setup at the same commit, with that Python"),
}


def refuse_other(theirs: Any, marks: Marks) -> None:
    """Raise InputError where a sweep has other marks, as its START tells them, than it would have here."""
    for name, mark in marks.told.items():
        if not isinstance(theirs, dict) or theirs.get(name) != mark:
            why, hint = _DIFFERENT[name]
            raise InputError(f"cannot work along: {why}", hint=hint)
