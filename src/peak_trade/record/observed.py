"""What a recorded command was made from, by what its processes have noted: files, code, packages, network, programs.

`look` reads the frames of `observer.events` and the files that they name, as those are when the command has ended: a
file that is another by then than when it was opened is said to be. Nothing here writes, or runs anything.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from peak_trade.evidence import distributions
from peak_trade.evidence.code import Code
from peak_trade.record import code
from peak_trade.record.notes import is_note
from peak_trade.record.spool import files_in, frames
from peak_trade.record.unsteady import unsteady
from peak_trade.redact import Redactor
from peak_trade.text import as_utf8, counted

__all__ = ["KINDS", "Observed", "look"]

KINDS = frozenset(
    "process file move source package below network started left_out end warning".split()
)  # of the frames that are read here; the others are the engines'
_MOST = 20_000  # files that a manifest names
_NAMED = 5  # of a kind, in a sentence
_NOTES = 2_000_000  # that are looked at
_WARNED, _SHOWN = 20, 300  # warnings of processes, and characters of one
_HOSTS = 1_000  # hosts, programs, or Pythons that were not seen, in a manifest
_READ = 64 << 30  # bytes that are digested in all
_TOOLS = frozenset("uname ldconfig gcc cc ld objdump lscpu".split())  # by which Python's own library looks around
_SKIPPED = ("/.git/", "/__pycache__/", "/.ipynb_checkpoints/", "/.pytest_cache/", "/.mypy_cache/")


class Observed(Struct):
    """What was seen. `materials` and `written` are as a manifest names files; `effects` is what may keep a replay from
    being the same; `receipts` are (part, outcome, reason) of what a reader has to know."""

    processes: int = 0
    materials: list[dict[str, Any]] = []
    written: list[dict[str, Any]] = []
    code: Code = field(default_factory=Code)
    environment: dict[str, Any] = {}
    effects: dict[str, Any] = {}
    receipts: list[tuple[str, str, str]] = []

    @property
    def dependencies(self) -> list[dict[str, Any]]:
        """What the manifest names it by, among what the run was made from."""
        has_code = self.code.files or self.code.left_out
        return [*self.materials, *([self.code.dependency()] if has_code else [])]


def look(
    spool: Path, folder: Path, command: Sequence[str], *, redactor: Redactor, since_ns: int,
    own: Collection[Path] = (), declared: Collection[str] = (),
) -> Observed:  # fmt: skip
    """Return what the processes of a command have noted in `spool`; it ran in `folder`, and began at `since_ns`.

    `own` are folders that are ours (that of the run), `declared` the files named as its inputs.
    """
    found, by = Observed(), _read(spool)
    processes = by["process"]
    found.processes = len(processes)
    found.receipts += by.receipts
    files = _Files(folder, since_ns, [os.path.realpath(one) for one in own], by)
    named = [word for word in command if not files.is_written(word)]
    found.code = code.capture(spool, folder, by["source"], named, files.notebooks(), redactor)
    taken = {os.path.realpath(folder / name) for name in [*found.code.files, *found.code.left_out_names]}
    given = {os.path.realpath(folder / name) for name in declared}
    found.materials = files.materials(redactor, taken | given, found.receipts)
    found.written = files.written(redactor, found.receipts)
    found.environment = _environment(by)
    found.effects = _effects(by, found.code.files, redactor)
    found.receipts += _said(by, found.effects, bool(declared))
    return found


class _By(dict[str, list[dict[str, Any]]]):
    """The headers of frames by their kind, in order of the processes; each knows its own (`_of`)."""

    def __init__(self) -> None:
        super().__init__({kind: [] for kind in KINDS})
        self.receipts: list[tuple[str, str, str]] = []


def _read(spool: Path) -> _By:
    by, others, left = _By(), 0, _NOTES
    paths: list[Path] = []
    strange: list[str] = []
    with suppress(OSError):
        paths, strange = files_in(spool)
    torn = len(strange)
    for at, path in enumerate(sorted(paths, key=_began)):
        try:
            for frame in frames(path, KINDS):
                left -= 1
                if left >= 0 and is_note(frame.kind, frame.header):
                    by[frame.kind].append(frame.header | {"_of": at, "_pid": path.name.partition("-")[0]})
                else:
                    others += 1
        except (EOFError, OSError, MemoryError):
            torn += 1
    if torn:
        by.receipts.append(("observer", "cut", f"{counted(torn, 'file')} of notes ended within one"))
    if others:
        by.receipts.append(
            ("observer", "left out", f"{counted(others, 'note')} that no process of ours wrote, or beyond the limit")
        )
    return by


def _began(path: Path) -> tuple[int, str]:
    number = path.stem.partition("-")[2]
    return (int(number) if number.isascii() and number.isdecimal() else 0, path.name)


class _Files:
    """The files that were read and written, by their paths."""

    def __init__(self, folder: Path, since_ns: int, own: Sequence[str], by: _By) -> None:
        self.folder, self.since_ns = os.path.realpath(folder), since_ns
        self.typed = os.path.abspath(folder)
        self.own = tuple(f"{one}{os.sep}" for one in own)
        self.reads: dict[str, list[int]] = {}
        self.writes: dict[str, list[int] | None] = {}
        self.first: dict[str, str] = {}
        self.left = _READ
        for one in by["file"]:
            if (path := self._known(one)) and self._is_of_interest(path):
                self.first.setdefault(path, str(one.get("access")))
                if one.get("access") == "write":
                    self.writes.setdefault(path, _state(one))
                elif state := _state(one):
                    self.reads.setdefault(path, state)
        for one in by["move"]:
            if isinstance(path := one.get("to"), str) and self._is_of_interest(self._plain(path)):
                self.writes.setdefault(self._plain(path), None)

    def _known(self, header: Mapping[str, Any]) -> str | None:
        path = header.get("path")
        return self._plain(path) if isinstance(path, str) and "\0" not in path else None

    def _plain(self, path: str) -> str:
        """Return a path by the real name of the command's folder, whatever it was called."""
        if path.startswith(f"{self.typed}{os.sep}"):
            return self.folder + path[len(self.typed) :]
        return path

    def _is_of_interest(self, path: str) -> bool:
        return not path.startswith(self.own) and not any(one in path for one in _SKIPPED)

    def _inside(self, path: str) -> str | None:
        """Return the name of a file below the folder; None of another."""
        start = self.folder.rstrip(os.sep) + os.sep
        return path[len(start) :] if path.startswith(start) else None

    def notebooks(self) -> list[str]:
        """Return the notebooks that were read: they are code."""
        read = self.reads.items()
        return [path for path, state in read if path.endswith(".ipynb") and not self._is_product(path, state)]

    def is_written(self, word: str) -> bool:
        """Tell whether a word of the command names a file that it made."""
        return self.writes.get(os.path.join(self.folder, word), []) is None

    def _is_product(self, path: str, state: Sequence[int]) -> bool:
        """Tell whether a file that was read is the command's own work."""
        if path not in self.writes:
            return False
        made = self.writes[path] is None and self.first.get(path) != "read"
        return made or state[1] >= self.since_ns

    def materials(
        self, redactor: Redactor, taken: Collection[str], receipts: list[tuple[str, str, str]]
    ) -> list[dict[str, Any]]:
        """Return the files that were there to be read, in order of their names."""
        found, changed, gone = [], [], []
        hidden = os.path.expanduser("~/.")
        for path, state in self.reads.items():
            inside = self._inside(path)
            if self._is_product(path, state) or os.path.realpath(path) in taken:
                continue
            if inside is None and (path.startswith(hidden) or state[1] >= self.since_ns):
                continue  # caches and settings of the person's, and what others write meanwhile
            name, told = inside if inside is not None else path, {"role": "read", "bytes": state[0]}
            now, digest = self._digest(path)
            if digest is None:
                gone.append(name)
                told["gone"] = True
            elif now != state:
                changed.append(name)
                told |= {"changed": True, "bytes": now[0]}
            if inside is None:
                told["outside"] = True
            known = {} if digest is None else {"digest": {"sha256": digest}}
            found.append({"name": redactor.text(as_utf8(name)), **known, "annotations": told})
        if changed:
            receipts.append(("files", "changed", f"{_names(changed)} changed while it ran: the digest is of the end"))
        if gone:
            receipts.append(("files", "gone", f"{_names(gone)} can't be read any more: no digest"))
        return _bounded(found, receipts, "read")

    def written(self, redactor: Redactor, receipts: list[tuple[str, str, str]]) -> list[dict[str, Any]]:
        """Return the files below the folder that were written and are still there."""
        found = []
        for path, before in self.writes.items():
            name = self._inside(path)
            if name is None or path.endswith(".pyc"):
                continue
            now, digest = self._digest(path)
            if digest is not None and now != before:
                told = {"role": "written", "bytes": now[0]}
                found.append({"name": redactor.text(as_utf8(name)), "digest": {"sha256": digest}, "annotations": told})
        return _bounded(found, receipts, "written")

    def _digest(self, path: str) -> tuple[list[int], str | None]:
        """Return the state and the digest of a file as it is now; None where it is none, or no more can be read."""
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):  # to open a device may do something
                return [], None
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError):
            return [], None
        with open(handle, "rb") as stream:
            told = os.fstat(handle)
            self.left -= told.st_size
            if not stat.S_ISREG(told.st_mode) or self.left < 0:
                return [], None
            state = [told.st_size, told.st_mtime_ns, told.st_ino, told.st_dev]
            try:
                return state, hashlib.file_digest(stream, "sha256").hexdigest()
            except OSError:
                return state, None


def _state(header: Mapping[str, Any]) -> list[int] | None:
    state = header.get("state")
    good = isinstance(state, list) and len(state) == 4 and all(type(one) is int for one in state)
    return state if good else None


def _bounded(found: list[dict[str, Any]], receipts: list[tuple[str, str, str]], how: str) -> list[dict[str, Any]]:
    found.sort(key=lambda one: str(one["name"]))
    if len(found) > _MOST:
        rest = json.dumps(found[_MOST:]).encode()
        number = len(found) - _MOST
        receipts.append(("files", "left out", f"{number:,} of {len(found):,} files that were {how} are not named"))
        digest = {"sha256": hashlib.sha256(rest).hexdigest()}
        found = [*found[:_MOST], {"name": f"({number} more)", "digest": digest, "annotations": {"role": how}}]
    return found


def _environment(by: _By) -> dict[str, Any]:
    """Return the interpreter of the first process, and the distributions that any of them has imported."""
    if not by["process"]:
        return {}
    first = by["process"][0]
    tops: dict[str, set[str]] = {}
    for one in by["package"]:
        folder, top = one.get("folder"), one.get("top")
        if isinstance(folder, str) and isinstance(top, str):
            tops.setdefault(folder, set()).add(top)
    packages = distributions.of_tops(tops)
    found = {key: as_utf8(str(first.get(key)))[:_SHOWN] for key in ("python", "implementation")}
    return {**found, **({"numpy": packages["numpy"]} if "numpy" in packages else {}), "distributions": packages}


def _effects(by: _By, code: Mapping[str, bytes], redactor: Redactor) -> dict[str, Any]:
    hosts = sorted({_host(one) for one in by["network"] if not one.get("local")})
    python = {os.path.basename(str(one["argv"][1])) for one in by["process"] if len(one.get("argv") or ()) > 1}
    programs = {os.path.basename(str(one["program"])) for one in by["started"] if one.get("program")}
    programs -= {os.path.basename(str(one.get("program"))) for one in by["started"] if one.get("python")}
    effects: dict[str, Any] = {
        "network": [redactor.text(as_utf8(one)) for one in hosts],
        "programs": [redactor.text(as_utf8(one)) for one in sorted(programs - python - _TOOLS)],
        "unseen": sorted(_unseen(by)),
        **unsteady(code),
    }
    return {key: _few(value) for key, value in effects.items() if value}


def _few(names: list[str]) -> list[str]:
    return names if len(names) <= _HOSTS else [*names[:_HOSTS], f"({len(names) - _HOSTS:,} more)"]


def _host(header: Mapping[str, Any]) -> str:
    host, port = str(header.get("host")), header.get("port")
    return host if port in (None, "", 0) else f"{host}:{port}"


def _unseen(by: _By) -> Iterator[str]:
    """Yield, for each Python that was started and has noted nothing, why that may be."""
    children: dict[str, list[dict[str, Any]]] = {}
    for one in by["process"]:
        if one.get("how") == "start":
            children.setdefault(str(one.get("ppid")), []).append(one)
    for one in by["started"]:
        if not one.get("python") or one.get("how") == "exec":
            continue
        there, words = children.get(one["_pid"], []), list(one.get("words") or [])[1:]
        match = next((child for child in there if _same_words(child, words)), None)
        if match:
            there.remove(match)
        else:
            yield str(one.get("blind") or "it ended before it could be seen, or its Python is too old")


def _same_words(child: Mapping[str, Any], words: Sequence[str]) -> bool:
    argv = [str(one)[:300] for one in list(child.get("argv") or [])[1:30]]
    return argv == list(words)[:29] or not argv


def _said(by: _By, effects: Mapping[str, Any], declared: bool) -> Iterator[tuple[str, str, str]]:
    """Yield what a reader has to know of what was not seen, and of what may be another thing next time."""
    if not by["process"]:
        why = "no process of Python 3.9 or later was seen: what it reads is known where --input names it"
        yield "observer", "saw nothing", why
    broke = list(dict.fromkeys((str(one["part"]), str(one["reason"])) for one in by["warning"]))
    for part, reason in broke[:_WARNED]:
        yield "observer", "broke", as_utf8(f"{part[:_SHOWN]}: {reason[:_SHOWN]}")
    if len(broke) > _WARNED:
        yield "observer", "broke", f"{len(broke) - _WARNED:,} more warnings"
    left: Counter[str] = Counter()
    for one in _last(by["left_out"]):
        left[as_utf8(str(one.get("what")))[:_SHOWN]] += one["count"] if type(one.get("count")) is int else 0
    for what, count in sorted(left.items()):
        yield "observer", "left out", f"at least {count:,} notes of a kind ({what}) beyond the limit of a process"
    below = sorted({str(one.get("module")) for one in by["below"]})
    if below and not declared:
        why = "read files without Python: what they read is known where --input names it"
        yield "files", "not seen", f"{', '.join(below)} may {why}"
    if unseen := effects.get("unseen"):
        yield "processes", "not seen", f"{counted(len(unseen), 'Python')} that it started: {_names(set(unseen))}"
    reasons = [
        f"it {verb} {_names(effects[key])}"
        for key, verb in (
            ("network", "reached"), ("programs", "started"), ("clock", "names the clock at"),
            ("random", "draws random numbers without a seed at"),
        )
        if key in effects
    ]  # fmt: skip
    if reasons:
        yield "replay", "may differ", "; ".join(reasons)


def _last(frames: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return of the counts that a process noted the last of each kind."""
    return list({(one["_of"], one.get("what")): one for one in frames}.values())


def _names(names: Iterable[str]) -> str:
    shown = sorted(as_utf8(one) for one in names)
    return ", ".join(shown[:_NAMED]) + (f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else "")
