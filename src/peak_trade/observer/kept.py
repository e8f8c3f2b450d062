"""A replay writes nothing where its command was recorded: a path in the code may lead there, whatever folder it is in.

What would is refused as a file system that is read-only refuses it, and noted as a `warning` of the part `replay`.
"""

from __future__ import annotations

import errno
import os

from .events import accesses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .note import Note

__all__ = ["FOLDER", "ROOM", "install"]

FOLDER, ROOM = "PEAK_REPLAY_KEEPS", "PEAK_REPLAY_ROOM"
"""Variables: the folder that is left alone, and the one that the replay is made in, which may lie below it."""
_NAMED = {
    "os.rename": (0, 1), "os.link": (1,), "os.symlink": (1,), "os.remove": (0,), "os.mkdir": (0,), "os.rmdir": (0,),
    "os.truncate": (0,), "os.chmod": (0,), "os.chown": (0,), "os.utime": (0,),
}  # fmt: skip
"""Audit event -> which of its arguments are paths that it changes."""


def install(note: Note) -> None:
    """Refuse what would be written to the folder; where there is none, nothing."""
    folder, room = os.environ.get(FOLDER), os.environ.get(ROOM)
    if not folder or not room:
        return
    import sys

    busy = note.busy
    below, free = _start(folder), (_start(room), os.path.expanduser("~/."))

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if busy.now or not (event == "open" or event == "sqlite3.connect" or event in _NAMED):
            return
        busy.now = True
        try:
            found = next((one for one in _changed(event, args) if _start(one).startswith(below)), None)
            if found is None or _start(found).startswith(free):
                return
            if "__pycache__" not in found:
                note.warn("replay", f"it writes to {found}, where it was recorded")
        finally:
            busy.now = False
        raise OSError(errno.EROFS, "a replay writes nothing where its command was recorded", found)

    sys.addaudithook(hook)


def _changed(event: str, args: tuple[Any, ...]) -> Iterator[str]:
    """Yield the paths that are written to by an event."""
    if event == "open":
        paths = [args[0]] if "write" in accesses(args[1], args[2]) else []
    elif event == "sqlite3.connect":
        name = os.fsdecode(args[0]) if isinstance(args[0], (str, bytes, os.PathLike)) else ""
        reads = name.startswith("file:") and ("mode=ro" in name or "immutable=1" in name)
        paths = (
            [] if reads or name in ("", ":memory:") else [name[5:].partition("?")[0] if name[:5] == "file:" else name]
        )
    else:
        paths = [args[at] for at in _NAMED[event]]
    for path in paths:
        if isinstance(path, (str, bytes, os.PathLike)):
            yield os.fsdecode(path)


def _start(path: str) -> str:
    return os.path.join(os.path.realpath(path), "")
