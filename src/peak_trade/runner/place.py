"""Where in a person's own code an exception came from: the file, the line, and what stands there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from peak_trade.redact import MASK
from peak_trade.runner.attempt import Attempt
from peak_trade.runner.secrets import secrets
from peak_trade.strategies.sources import as_run, is_installed
from peak_trade.text import as_utf8, cut, one_line

__all__ = ["masked", "place"]

_LINE = 100  # characters of a line of code that are shown
_LONGEST = 1 << 20  # bytes of a file: what is longer was not written by hand


def place(attempt: Attempt, error: BaseException) -> str:
    """Return the last of a person's own lines that an exception passed, as `strategies/mine.py:12: return x[n]`.

    Empty where it passed none: what Python, an installed package or this one raised by itself. A secret in the line is
    masked, as it is in no file of the run.
    """
    last: tuple[Path, int, bytes] | None = None
    own = as_run()
    with suppress(Exception):  # what an exception of a person's own class says may be anything; it stands without this
        for file, line in _passed(error):
            path = Path(os.path.realpath(file))
            if path.suffix == ".py" and not is_installed(path):
                content = own[path] if path in own else _read(path)
                last = (path, line, content) if content is not None else last
        return _shown(attempt, *last) if last else ""
    return ""


def _passed(error: BaseException) -> Iterator[tuple[str, int]]:
    """Yield file and line of each frame, the outermost first; of code that is none, where that is."""
    traceback: TracebackType | None = BaseException.__dict__["__traceback__"].__get__(error)
    while traceback:
        yield traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
        traceback = traceback.tb_next
    if isinstance(error, SyntaxError) and error.filename:
        yield error.filename, error.lineno or 0


def _read(path: Path) -> bytes | None:
    with suppress(OSError):
        if path.is_file() and path.stat().st_size <= _LONGEST:
            return path.read_bytes()
    return None


def _shown(attempt: Attempt, path: Path, number: int, content: bytes) -> str:
    lines = content.decode("utf-8", "replace").splitlines()
    line = one_line(masked(attempt, lines[number - 1] if 0 < number <= len(lines) else ""))
    return (
        f"{masked(attempt, _name(attempt, path))}"
        + (f":{number}" if number else "")
        + (f": {cut(line, _LINE)}" if line else "")
    )


def masked(attempt: Attempt, text: str) -> str:
    """Return text without the secrets that are known, nor those that stand in a person's own code."""
    text = attempt.redactor.text(as_utf8(text))
    for content in as_run().values():
        for secret in secrets(content.decode("utf-8", "replace")):
            text = text.replace(secret, MASK)
    return text


def _name(attempt: Attempt, path: Path) -> str:
    """Return a file as a person in the repository, or beside the config, calls it: never by a path of this machine."""
    folders: list[Any] = [attempt.root, attempt.source.path.parent]
    for folder in folders:
        top = os.path.realpath(folder)
        if path.is_relative_to(top):
            return path.relative_to(top).as_posix()
    return path.name
