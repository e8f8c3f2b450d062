"""What a person gets to see: one function writes to a terminal, and no text that it is given can act on one.

A terminal obeys what is sent to it: an escape sequence in a stranger's name hides a line, renames the window or fills
the clipboard, and a mark that turns the direction of writing shows other text than there is. `show` writes such marks
as Python spells them; nothing else in the package or in `scripts/` prints, which tests/repo/test_terminal.py holds.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from typing import TextIO

from peak_trade.text import escaped

__all__ = ["coloured", "progress", "say", "show", "shows_progress", "width"]

_COLOURS = {"error": "31", "warn": "33", "hint": "36"}
_PAINT = re.compile(r"(\x1b\[(?:0|1|2|31|33|36)m)")  # the colours that are ours
_LAYOUT = "\n\t"


def show(
    text: str,
    stream: TextIO | None = None,
    *,
    end: str = "\n",
    head: str = "",
    exact: bool = False,
    painted: bool = False,
    flush: bool = False,
) -> None:
    """Write text to a stream, stdout by default, with what a terminal would obey as escapes; lines and tabs stay.

    `head` and `end` are ours, and go out as they are. With `exact`, for what programs read (a path, JSON), a pipe or a
    file gets the text itself. With `painted`, our colours stay in it: its words have been escaped before.
    """
    stream = stream or sys.stdout
    if not exact or stream.isatty():
        pieces = _PAINT.split(text) if painted else [text]
        pieces[::2] = [escaped(piece, keep=_LAYOUT) for piece in pieces[::2]]
        text = "".join(pieces)
    stream.write(f"{head}{text}{end}")
    if flush:
        stream.flush()


def say(message: str, *, label: str = "") -> None:
    """Tell a person something: one line on stderr, behind `error:`, `warn:` or `hint:` where it is labelled so."""
    if _bar_is_up:
        progress()
    head = f"{label}: " if label else ""
    if label and coloured(sys.stderr):
        head = f"\x1b[{_COLOURS[label]}m{label}:\x1b[0m "
    with suppress(OSError):  # a stderr that takes nothing changes nothing of what was done
        show(escaped(message), sys.stderr, head=head)


def progress(done: int = 0, of: int = 0, what: str = "") -> None:
    """Draw how many of a long command's parts are `done` over the line before; all of them, or none, take it away.

    Where stderr is no terminal, or one that cannot draw over a line, nothing is shown.
    """
    global _bar_is_up
    if not _draws(sys.stderr):
        return
    columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80
    bar = f"{done:,} of {of:,} {escaped(what)} {'#' * (30 * done // of):.<30}" if done < of else ""
    show(bar[: columns - 1], sys.stderr, head="\r\x1b[K", end="", flush=True)
    _bar_is_up = bool(bar)


_bar_is_up = False


def shows_progress() -> bool:
    """Tell whether `progress` shows anything."""
    return _draws(sys.stderr)


def width(stream: TextIO | None = None) -> int | None:
    """Return how many characters a line of a stream, stdout by default, has room for; None where it is no terminal."""
    stream = stream or sys.stdout
    return os.get_terminal_size(stream.fileno()).columns or 80 if stream.isatty() else None


def coloured(stream: TextIO) -> bool:
    """Tell whether what is written to a stream is to have colours: https://no-color.org."""
    return not os.environ.get("NO_COLOR") and _draws(stream)


def _draws(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal that knows escape sequences."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"
