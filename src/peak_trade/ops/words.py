"""Text that others wrote (names of files, titles, commit messages), made fit for one line and for Markdown."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from peak_trade.text import escaped, one_line, printable

__all__ = ["counted", "listed", "markdown", "paragraphs", "plain", "shown"]

_SHOWN = 3  # names in a sentence
_SPECIAL = re.compile(r"([\\*_{}\[\]#|~$]|(?<=\])\()")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "`": "&#96;"}
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_TRAILER = re.compile(r"^[A-Z][\w-]*-(?:by|id): ", re.IGNORECASE)  # who wrote, signed or reviewed it


def counted(number: int, thing: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "commit"), counted(1200, "commit")
    ('1 commit', '1,200 commits')
    """
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def shown(name: str) -> str:
    """Return the name of a file on one line, quoted where a shell would need it.

    >>> print(shown("a.py"), shown("two words"), shown("über.csv"), shown("a\\nb"))
    a.py 'two words' 'über.csv' 'a\\nb'
    """
    return shlex.quote(escaped(name))


def listed(names: Sequence[str]) -> str:
    """Return the first names of many.

    >>> listed(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(shown(name) for name in names[:_SHOWN]) + more


def plain(name: str) -> str:
    """Return a name that JSON and a terminal can hold: bytes that are no UTF-8 become backslashes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def markdown(text: str) -> str:
    r"""Return `text` on one line, so that Markdown shows it as it is written: no HTML, no link, no table, no code.

    Nor does it hold what other tools look for in our documents: cog's marks, comments, links, code with paths. A title
    may well name a file that is gone.

    >>> print(markdown("a | `b` <i>\n[[[cog"))
    a \| &#96;b&#96; &lt;i&gt; \[\[\[cog
    """
    line = one_line(printable(plain(text)))
    return "".join(_ENTITIES.get(mark, mark) for mark in _SPECIAL.sub(r"\\\1", line))


def paragraphs(text: str) -> str:
    """Return prose of several lines for Markdown: its paragraphs and bullets stay, all else is `markdown`.

    Comments go, and so do the trailers that name people.
    """
    lines: list[str] = []
    for raw in _COMMENT.sub("", text).splitlines():
        bullet = re.match(r"\s*[-*+] +", raw)
        line = markdown(raw[bullet.end() :] if bullet else raw)
        if _TRAILER.match(raw):
            continue
        if line:
            lines.append(f"- {line}" if bullet else _harmless(line))
        elif lines and lines[-1]:
            lines.append("")
    return "\n".join(lines).strip()


def _harmless(line: str) -> str:
    """Return a line that begins no list, no rule and no heading of its own."""
    return re.sub(r"^(\d*)([-+=.)])", r"\1\\\2", line)
