"""Which run of the same strategy came before one: by the ledger that lies beside it.

It is the last one that was sealed before this one began, so that a run which ends later never becomes it. Removed runs
don't count, nor do those that were kept of a sweep: their parent does. Of a recorded command, what ran is the program
or script that it names, whatever else it was given.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import PurePath
from typing import Any, NamedTuple

from peak_trade.errors import RunError
from peak_trade.evidence import door, manifest
from peak_trade.evidence.ledger import SEALED
from peak_trade.report.run import RunFiles
from peak_trade.trust.difference import Sealed, read

__all__ = ["Earlier", "before", "opened"]

_SCRIPT = (".py", ".ipynb", ".sh", ".r", ".R", ".jl", ".js", ".ts", ".rb", ".pl")


class Earlier(NamedTuple):
    """A run by the ledger: its `run_id`, the day on which it began, and the sha256 of what sealed it."""

    run_id: str
    day: str
    manifest: str | None


def before(run: RunFiles) -> Earlier | None:
    """Return the run of the same strategy before this one; None where the ledger knows none, or not this one."""
    try:
        runs = run.results.reading().runs
    except OSError as error:
        raise RunError(f"the ledger can't be read: {error.strerror}") from None
    own = runs.get(run.run_id)
    what = _what(own.fields) if own else ""
    if own is None or own.start is None or not what:
        return None
    parent = run.parent[0] if run.parent else ""
    found = [
        (one.end.line, run_id)
        for run_id, one in runs.items()
        if one.end and one.state == SEALED and one.end.line < own.start.line and run_id not in (parent, run.run_id)
        if not one.fields.get("parent") and one.fields.get("kind") != manifest.IMPORTED and _what(one.fields) == what
    ]
    if not found:
        return None
    run_id = max(found)[1]
    return Earlier(run_id, runs[run_id].began[:10], runs[run_id].manifest)


def opened(run: RunFiles, one: Earlier) -> Sealed:
    """Return the earlier run as it was sealed; RunError where it is gone, or is another by now."""
    path = run.path.parent / one.run_id
    found = read(path)
    try:
        if door.digest(path, manifest.NAME) == one.manifest:
            return found
    except OSError as error:
        raise RunError(f"{manifest.NAME}: {error.strerror}") from None
    raise RunError(f"{manifest.NAME} is not the one that the ledger has")


def _what(told: Mapping[str, Any]) -> str:
    """Return what ran: the strategy, else the program of the command; empty where the ledger says neither."""
    command = told.get("command")
    if told.get("strategy") and told.get("kind") != manifest.RECORDED:
        return f"strategy {told['strategy']}"
    if not isinstance(command, str) or not command:
        return ""
    first, before = "", ""
    for word in _words(command):
        if word.endswith(_SCRIPT) or before == "-m":
            return f"command {PurePath(word).name}"
        first, before = first or word, word
    return f"command {PurePath(first).name}"


def _words(command: str) -> Iterator[str]:
    """Yield the words of a command, which the ledger may have cut within a quotation."""
    lexer = shlex.shlex(command, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    with suppress(ValueError):
        yield from lexer
