"""What a strategy does beside deciding, as far as Python tells: files that it opens or runs, processes that it starts.

One that reads the file of its bars sees what no cut takes from it. One that writes, connects or asks a person would do
so again each time it is asked. Python reports such calls to a hook, which can't be taken away again; ours looks only
while a strategy is asked. What a library opens below Python (DuckDB, polars, pyarrow) is not reported.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peak_trade.strategies.reach import STARTS
from peak_trade.strategies.sources import run_as_module
from peak_trade.text import as_utf8

__all__ = ["Watch"]

_STARTS = "starts a process"
_DOES = {
    STARTS: _STARTS,
    "subprocess.Popen": _STARTS,
    "os.fork": _STARTS,
    "os.forkpty": _STARTS,
    "os.posix_spawn": _STARTS,
    "os.exec": _STARTS,
    "os.system": _STARTS,
    "socket.connect": "opens a connection",
    "socket.bind": "opens a connection",
    "socket.sendto": "opens a connection",
    "sqlite3.connect": "opens a database",
    "builtins.input": "asks a person",
    "builtins.breakpoint": "is halted by a debugger",
    "sys.settrace": "is halted by a debugger",
    "os.remove": "removes files",
    "os.rmdir": "removes files",
    "shutil.rmtree": "removes files",
    "os.rename": "moves files",
    "shutil.move": "moves files",
    "os.mkdir": "makes folders",
    "os.link": "makes links",
    "os.symlink": "makes links",
    "os.truncate": "writes files",
    "os.chmod": "changes files",
    "os.chown": "changes files",
    "os.kill": "sends signals",
    "os.killpg": "sends signals",
    "signal.pthread_kill": "sends signals",
}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CACHES = f"{os.sep}__pycache__"  # what an import leaves, or a compiler
_EVIDENCE = os.path.join(os.path.dirname(os.path.dirname(__file__)), "evidence", "")


class Watch:
    """Notes the data `files` that are `read` while a strategy is asked, and what else the thread that asks `does`.

    `ran` are the source files that were run as modules, whether they are registered as such or not.
    """

    def __init__(self, files: Iterable[str | os.PathLike[str]] = ()) -> None:
        self.files = {os.path.realpath(file) for file in files}
        self.names = {os.path.basename(file) for file in self.files}
        self.read = ""
        self.does = ""
        self.starts = False  # a process
        self.ran: set[Path] = set()
        self.thread = 0

    @contextmanager
    def looking(self, *, effects: bool = True) -> Iterator[None]:
        """Note what happens within the block; without `effects`, of the files alone."""
        global _active
        _hook_once()
        self.thread, self.effects, before = threading.get_ident(), effects, _active
        _active = self
        try:
            yield
        finally:
            _active = before

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        """Take note of one call."""
        if event == "open":
            path, mode, flags = args
            if not isinstance(path, str | bytes):
                return
            name = os.fsdecode(path)
            if os.path.basename(name) in self.names and os.path.realpath(name) in self.files:
                self.read = os.path.basename(name)
            if self.thread != threading.get_ident():
                return
            writes = set(mode or "") & set("wax+") or (isinstance(flags, int) and flags & _WRITES)
            if writes and _CACHES not in name and name != os.devnull:
                self._note(f"writes {as_utf8(os.path.basename(name))}")
            return
        self.starts = self.starts or _DOES[event] == _STARTS
        if self.thread == threading.get_ident() and not any(isinstance(arg, str) and _CACHES in arg for arg in args):
            if event == STARTS:
                self.does = ""  # what multiprocessing has done on the way to it
            self._note(_DOES[event])

    def _note(self, what: str) -> None:
        if self.effects and not self.does and not _is_ours():
            self.does = what


def _is_ours() -> bool:
    """Tell whether the run itself does it: what a strategy logs is written to the run's log."""
    frame = sys._getframe(2)
    while frame := frame.f_back:  # type: ignore[assignment] # None at its end
        if frame.f_code.co_filename.startswith(_EVIDENCE):
            return True
    return False


_active: Watch | None = None
_hooked = False


def _hook_once() -> None:
    global _hooked
    if not _hooked:
        _hooked = True
        sys.addaudithook(_hear)


def _hear(event: str, args: tuple[Any, ...]) -> None:
    watch = _active
    try:
        if event == "exec":  # also when none looks: what a notebook loads again is not what was loaded once
            if (path := run_as_module(*args)) and watch is not None:
                watch.ran.add(path)
        elif watch is not None and (event == "open" or event in _DOES):
            watch.hear(event, args)
    except Exception:  # noqa: BLE001 - an exception here would stop the call that is told of
        return
