"""What a process does with files, code, the network and programs, as Python's audit events tell it (PEP 578).

Frames: `file` {path, access "read"|"write", state}, `move` {path, to}, `source` {path, state, copy},
`package` {folder, top}, `below` {module}, `network` {host, port, local}, `left_out` {what, count}, `end` {left_out},
`started` {how, program, words, python, blind}. A state is [size, mtime_ns, inode, device] before the call, None where
there is no file yet.
Each path, host and package is noted once a process and way; beyond a limit they are counted.
Nothing is seen of what libraries do without Python: what they open by themselves, the clock, random numbers.
"""

from __future__ import annotations

import os
import stat
import sys
from json.encoder import encode_basestring_ascii as _quoted

from .spool import here

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .note import Note

__all__ = ["BELOW", "LIMITS", "Events", "accesses", "install"]

LIMITS = {"file": 20_000, "move": 20_000, "source": 2_000, "network": 200, "started": 1_000}
"""Frames of a kind that a process notes; what comes after is counted."""
LONGEST_SOURCE = 1 << 20
"""Bytes of a source that is kept as it was when it was loaded."""
BELOW = frozenset(
    "polars duckdb pyarrow.parquet pyarrow.dataset pyarrow.csv pyarrow.feather pyarrow.fs h5py tables netCDF4".split()
)
"""Modules that open files without Python: what is read by them is not seen."""
_WORDS, _LONG = 30, 300
_SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/", "/usr/", "/lib/", "/lib64/", "/bin/", "/opt/homebrew/", "/System/")
_INSTALLED = "-packages" + os.sep
_LOOPBACK = ("127.", "::1", "localhost")


def install(note: Note, site: str) -> Events:
    """Watch this process. An audit hook can't be taken back: it is there until the process ends."""
    events = Events(note, site)
    get, busy = events.table.get, note.busy

    def hook(event: str, args: tuple[Any, ...]) -> None:  # called for each event of the process: most are not ours
        seen = get(event)
        if seen is None or busy.now:
            return
        busy.now = True
        try:
            seen(args)
        except Exception as error:  # noqa: BLE001 -- the command's call goes on
            note.broken("files", error)
        finally:
            busy.now = False

    sys.addaudithook(hook)
    return events


class Events:
    """What was seen so far, so that it is noted once."""

    def __init__(self, note: Note, site: str) -> None:
        self.note, self.site = note, site
        self.seen: set[Any] = set()
        self.counts: dict[str, int] = {}
        self.popen: list[str] | None = None
        library, place = os.path.dirname(os.__file__) + os.sep, here() + os.sep
        prefixes = {
            one + os.sep for one in (sys.prefix, sys.base_prefix) if not place.startswith(one.rstrip("/") + "/")
        }
        own = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep  # this package, or this checkout's
        self.passed = (library, *prefixes, own, os.path.abspath(note.folder) + os.sep, *_SYSTEM)
        self.table: dict[str, Callable[[tuple[Any, ...]], None]] = {
            "open": self.opened,
            "sqlite3.connect": self.database,
            "os.rename": self.moved,
            "os.link": self.moved,
            "os.symlink": self.moved,
            "os.truncate": self.truncated,
            "exec": self.executed,
            "import": self.imported,
            "cpython.run_file": self.script,
            "socket.connect": self.connected,
            "socket.sendto": self.connected,
            "socket.getaddrinfo": self.resolved,
            "socket.gethostbyname": self.resolved,
            "subprocess.Popen": self.popened,
            "os.posix_spawn": self.spawned,
            "os.exec": self.replaced,
            "os.system": self.shell,
            "os.fork": self.forked,
            "os.forkpty": self.forked,
        }

    def say(self, kind: str, header: dict[str, Any]) -> None:
        """Note a frame of a kind that is limited; beyond it the count, whenever that has doubled."""
        count = self.counts[kind] = self.counts.get(kind, 0) + 1
        beyond = count - LIMITS.get(kind, count)
        if beyond <= 0:
            self.note.write(kind, header)
        elif beyond & (beyond - 1) == 0:
            self.note.write("left_out", {"what": kind, "count": beyond})

    def end(self) -> None:
        """Note that the process has come to its end, with what was left out by then."""
        beyond = {kind: self.counts.get(kind, 0) - limit for kind, limit in LIMITS.items()}
        self.note.write("end", {"left_out": {kind: count for kind, count in beyond.items() if count > 0}})

    def _place(self, path: Any) -> str | None:
        """Return the path that may be of interest, None of any other."""
        if isinstance(path, int) or path is None:
            return None
        text = path if type(path) is str else os.fsdecode(path)
        if not text.startswith(os.sep):
            if not (place := here()):  # its folder is gone, and there is nothing in it
                return None
            text = place + os.sep + text
        if "/." in text or "//" in text or text.endswith("/"):
            text = os.path.normpath(text)
        if text.startswith(self.passed) or _INSTALLED in text or text.endswith(".pyc"):
            return None
        return text

    # files

    def opened(self, args: tuple[Any, ...]) -> None:
        path, mode, flags = args
        if type(path) is int or (path, mode) in self.seen:
            return
        if isinstance(path, (str, bytes)) and path[:1] in ("/", b"/"):
            self._remember((path, mode if mode is not None else flags))
        place = self._place(path)
        if place is not None:
            for access in accesses(mode, flags):
                self._file(place, access)

    def _remember(self, key: Any) -> None:
        if len(self.seen) < 4 * LIMITS["file"]:
            self.seen.add(key)

    def _file(self, place: str, access: str) -> None:
        if (access, place) in self.seen:
            return
        state = _state(place)
        if state is None if access == "read" else state == []:  # there is none; it is a folder, a pipe, a device
            return
        self._remember((access, place))
        count = self.counts.get("file", 0)
        if count >= LIMITS["file"]:
            self.say("file", {})
            return
        self.counts["file"] = count + 1  # as `say` does: of all notes these are many, so JSON is written here by hand
        known = "null" if state is None else str(state)
        self.note.append(
            f'{{"kind": "file", "access": "{access}", "state": {known}, "path": {_quoted(place)}, "columns": []}}'
        )

    def database(self, args: tuple[Any, ...]) -> None:
        name = os.fsdecode(args[0]) if isinstance(args[0], (str, bytes, os.PathLike)) else ""
        if name.startswith("file:"):
            name = name[5:].partition("?")[0]
        place = self._place(name) if name and name != ":memory:" else None
        if place is not None:
            self._file(place, "read")
            self._file(place, "write")

    def truncated(self, args: tuple[Any, ...]) -> None:
        place = self._place(args[0])
        if place is not None:
            self._file(place, "write")

    def moved(self, args: tuple[Any, ...]) -> None:
        if any(isinstance(one, int) and one >= 0 for one in args[2:]):  # within folders that are known by descriptor
            return
        path, to = os.path.join(here(), os.fsdecode(args[0])), self._place(args[1])
        if to is not None and ("to", path, to) not in self.seen:
            self._remember(("to", path, to))
            self.say("move", {"path": path, "to": to})

    # code

    def script(self, args: tuple[Any, ...]) -> None:
        self._source(os.fsdecode(args[0]))

    def executed(self, args: tuple[Any, ...]) -> None:
        name = getattr(args[0], "co_filename", "<")
        if name not in self.seen:
            self._source(name)

    def imported(self, args: tuple[Any, ...]) -> None:
        name, file = args[0], args[1]
        if file:
            self._source(os.fsdecode(file))
        elif name in BELOW:
            self._once(("below", name), "below", {"module": name})

    def _source(self, name: str) -> None:
        if name in self.seen or name.startswith("<"):
            return
        self.seen.add(name)
        at = name.rfind(_INSTALLED)
        if at >= 0:
            start = at + len(_INSTALLED)
            top = name[start:].partition(os.sep)[0]
            self._once(("package", name[:start], top), "package", {"folder": name[: start - 1], "top": top})
            return
        place = self._place(name)
        if place is None:
            return
        state = _state(place)
        if state:
            self.say("source", {"path": place, "state": state, "copy": self._copy(place, state[0])})

    def _copy(self, place: str, size: int) -> str | None:
        """Keep a source as it is now: by the time that the command has ended it may be another."""
        if size > LONGEST_SOURCE or self.counts.get("source", 0) >= LIMITS["source"]:
            return None
        with open(place, "rb") as file:
            content = file.read(LONGEST_SOURCE + 1)
        name = f"{os.getpid()}-{self.counts.get('source', 0)}-{abs(hash(place)):x}.source"
        handle = os.open(os.path.join(self.note.folder, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(handle, content)
        finally:
            os.close(handle)
        return name

    def _once(self, key: tuple[Any, ...], kind: str, header: dict[str, Any]) -> None:
        if key not in self.seen:
            self.seen.add(key)
            self.say(kind, header)

    # the network, and programs

    def connected(self, args: tuple[Any, ...]) -> None:
        address = args[-1]
        if isinstance(address, tuple) and len(address) >= 2:
            self._host(address[0], address[1])

    def resolved(self, args: tuple[Any, ...]) -> None:
        if args[0] is not None:
            self._host(args[0], args[1] if len(args) > 1 else None)

    def _host(self, host: Any, port: Any) -> None:
        name = host.decode("ascii", "replace") if isinstance(host, (bytes, bytearray)) else str(host)
        local = name in ("", "0.0.0.0", "::") or name.startswith(_LOOPBACK)
        if isinstance(port, (bytes, bytearray)):
            port = port.decode("ascii", "replace")
        header = {"host": name[:_LONG], "port": None if local else port, "local": local}
        self._once(("host", local or name, header["port"]), "network", header)

    def popened(self, args: tuple[Any, ...]) -> None:
        executable, words, _, environment = args
        self.popen = [_text(one) for one in words] if isinstance(words, (list, tuple)) else None
        self._start("subprocess", executable, words, environment)

    def spawned(self, args: tuple[Any, ...]) -> None:
        if self.popen == [_text(one) for one in args[1]]:  # how `subprocess` does it, from Python 3.13 on
            self.popen = None
            return
        self._start("spawn", args[0], args[1], args[2])

    def replaced(self, args: tuple[Any, ...]) -> None:
        """Another program takes this one's place; ours stays in front where what it inherits still has it."""
        program, words, environment = args
        paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        if environment is None and self.site in paths and paths[0] != self.site:
            paths.remove(self.site)
            os.environ["PYTHONPATH"] = os.pathsep.join([self.site, *paths])
        self._start("exec", program, words, environment)

    def shell(self, args: tuple[Any, ...]) -> None:
        self._start("shell", "sh", ["sh", "-c", os.fsdecode(args[0])], None)

    def forked(self, args: tuple[Any, ...]) -> None:
        self.say("started", {"how": "fork"})

    def _start(self, how: str, program: Any, words: Any, environment: Any) -> None:
        words = [words] if isinstance(words, (str, bytes, os.PathLike)) else list(words or [])
        texts = [_text(one) for one in words[:_WORDS]]
        name = _text(program) if program else (texts[0] if texts else "")
        base = os.path.basename(name)
        python = name == sys.executable or base.startswith(("python", "pypy"))
        self.say(
            "started",
            {"how": how, "program": name, "words": texts, "python": python, "blind": _blind(texts, environment)
             if python else ""},
        )  # fmt: skip


def accesses(mode: Any, flags: Any) -> tuple[str, ...]:
    """Return in which ways a file is opened: `read`, `write`, or both."""
    if isinstance(mode, str):
        if "+" in mode and "w" not in mode:
            return ("read", "write")
        return ("write",) if any(sign in mode for sign in "wxa") else ("read",)
    way = (flags or 0) & os.O_ACCMODE if hasattr(os, "O_ACCMODE") else (flags or 0) & 3
    if way == os.O_RDONLY:
        return ("read",)
    return ("write",) if way == os.O_WRONLY or flags & os.O_TRUNC else ("read", "write")


def _state(place: str) -> list[int] | None:
    """Return size, mtime, inode and device of a file; empty of what is none, None where nothing is."""
    try:
        found = os.stat(place)
    except (OSError, ValueError):
        return None
    if (found.st_mode & 0o170000) != stat.S_IFREG:
        return []
    return [found.st_size, found.st_mtime_ns, found.st_ino, found.st_dev]


def _blind(words: list[str], environment: Any) -> str:
    """Return why a Python that is started will not be seen; empty where it should be."""
    for word in words[1:]:
        if not word.startswith("-") or word in ("-c", "-m", "-"):
            break
        for sign in word[1:]:
            if sign in "XW":  # what follows is its value
                break
            if sign in "EIS":
                return f"python -{sign}"
    if environment is not None:
        names = {_text(name) for name in environment}
        if not {"PEAK_RECORD_SPOOL", "PYTHONPATH"} <= names:
            return "an environment of its own"
    return ""


def _text(value: Any) -> str:
    try:
        return os.fsdecode(value)[:_LONG]
    except (TypeError, ValueError):
        return str(value)[:_LONG]
