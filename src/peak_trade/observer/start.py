"""The start of a recorded process, before any code of its own: note that it is there, and watch it."""

from __future__ import annotations

import atexit
import os
import sys
import time

from . import events, hooks, kept
from .note import Note
from .spool import here

__all__ = ["NOTE", "begin"]

NOTE: Note | None = None
"""Where this process notes what it sees; None where it is not recorded."""


def begin(folder: str, site: str) -> None:
    """Watch this process and those that it forks. `site` is the folder that brought the observer here."""
    global NOTE
    NOTE = note = Note(folder)
    with note.guard("process"):
        _process(note, "start")
    with note.guard("hooks"):
        hooks.install(note, os.environ.get("PEAK_RECORD_ENGINE", "auto"))
    with note.guard("process"):
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=lambda: _forked(note))
    with note.guard("replay"):
        kept.install(note)
    with note.guard("files"):
        ended = events.install(note, site).end

        def end() -> None:  # what is registered first is called last
            with note.guard("end"):
                ended()

        atexit.register(end)


def _forked(note: Note) -> None:
    note.forked()
    with note.guard("process"):
        _process(note, "fork")


def _process(note: Note, how: str) -> None:
    note.write(
        "process",
        {
            "pid": os.getpid(),
            "ppid": os.getppid(),
            "how": how,
            "python": sys.version.split()[0],
            "implementation": sys.implementation.name,
            "executable": sys.executable,
            "prefix": [sys.prefix, sys.base_prefix],
            "argv": list(getattr(sys, "orig_argv", None) or getattr(sys, "argv", [])),
            "cwd": here(),
            "started_ns": time.time_ns(),
        },
    )
