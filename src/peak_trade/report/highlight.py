"""Source code as lines of HTML: what is a keyword, a string, a comment, a number or a definition, and every mark seen.

Python's own tokenizer is no help here: it takes f-strings apart from 3.12 on, and each version gives up elsewhere. A
page has the same bytes whichever made it, and code that no Python takes is read too; so words are told by one pattern.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from itertools import groupby

import msgspec

from peak_trade.evidence import documents
from peak_trade.report.markup import text
from peak_trade.text import escaped, printable
from peak_trade.trust.difference.code import lines

__all__ = ["highlighted", "readable", "shown", "unseen"]

_KEYWORDS = frozenset(keyword.kwlist)
_LONG = r"{0}{0}{0}(?:[^{0}\\]++|\\.|\\\Z|{0}(?!{0}{0}))*+(?:{0}{0}{0}|\Z)"
_SHORT = r"{0}(?:[^{0}\\\r\n]++|\\\r\n|\\.|\\\Z)*+{0}?"  # one without an end goes on to the end of its line
_STRING = "|".join(one.format(quote) for one in (_LONG, _SHORT) for quote in "\"'")
_WORDS = re.compile(
    rf"(?P<c>\#[^\r\n]*)|(?P<s>(?:[rR][bBfF]?|[bBfF][rR]?|[uU])?(?:{_STRING}))|(?P<w>[^\W\d]\w*)"
    r"|(?P<n>(?:0[xXbBoO][\da-fA-F_]+|(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d[\d_]*)?)[jJ]?)",
    re.DOTALL,
)


def readable(name: str, content: bytes) -> str:
    """Return a file of code as text; of a notebook its cells, each behind a line `# %%`, without what they printed.

    >>> readable("a.ipynb", b'{"cells": [{"cell_type": "code", "source": ["a = 1\\\\n", "a"]}]}')
    '# %%\\na = 1\\na\\n'
    """
    if name.endswith(".ipynb") and (cells := _cells(content)) is not None:
        return "".join(cells)
    return content.decode("utf-8", "replace")


def _cells(content: bytes) -> list[str] | None:
    """Return the cells of a notebook; None where it is none."""
    try:
        found = msgspec.json.decode(content, type=dict[str, object]).get("cells")
        documents.check(found)
    except (ValueError, RecursionError):
        return None
    cells = []
    for cell in found if isinstance(found, list) else ():
        source = cell.get("source") if isinstance(cell, dict) else None
        words = "".join(map(str, source)) if isinstance(source, list) else str(source or "")
        if isinstance(cell, dict) and cell.get("cell_type") != "code":
            words = "# %% [markdown]\n" + "\n".join(f"# {line}".rstrip() for line in lines(words))
        else:
            words = f"# %%\n{words}"
        cells.append(words.rstrip("\r\n") + "\n")
    return cells or None


def highlighted(source: str, name: str = "") -> list[str]:
    """Return each of the `lines` of source as HTML; what is no Python by its name or first line is plain.

    >>> highlighted("x = 1 # one\\n", "a.py")
    ['x = <span class="n">1</span> <span class="c"># one</span>']
    """
    python = name.endswith((".py", ".pyi", ".ipynb")) or bool(re.match("#!.*python", source))
    rows: list[list[str]] = [[]]
    for kind, word in _words(source) if python else [("", source)]:
        first, *more = re.split("\r\n?|\n", word)
        for at, part in enumerate([first, *more]):
            if at:
                rows.append([])
            if part:
                rows[-1].append(f'<span class="{kind}">{shown(part)}</span>' if kind else shown(part))
    return ["".join(row) for row in (rows if rows[-1] else rows[:-1])]


def _words(source: str) -> Iterator[tuple[str, str]]:
    """Yield all of Python's source, word by word: `k`eyword, `s`tring, `c`omment, `n`umber, `d`efinition, or none."""
    at, defines = 0, False
    for found in _WORDS.finditer(source):
        if found.start() > at:
            yield "", source[at : found.start()]
        at, word, kind = found.end(), found[0], str(found.lastgroup)
        if kind == "w":
            kind = "k" if word in _KEYWORDS else "d" if defines else ""
            defines = word in ("def", "class")
        yield kind, word
    yield "", source[at:]


def shown(part: str) -> str:
    """Return a part of a line as HTML; those marks that nobody sees as Python's escapes."""
    out = []
    for seen, marks in groupby(part, str.isprintable):
        if seen:
            out.append(text("".join(marks)))
        else:
            out += ["&#9;" if mark == "\t" else f'<span class="e">{escaped(mark)}</span>' for mark in marks]
    return "".join(out)


def unseen(line: str) -> bool:
    """Tell whether a line has marks that stand as escapes.

    >>> unseen("\\ta = 1"), unseen("a\\u202e = 1")
    (False, True)
    """
    return printable(line, keep="\t") != line
