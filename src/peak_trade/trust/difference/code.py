"""What changed in a file of code: which lines, and whether anything but comments and layout."""

from __future__ import annotations

import ast
import bisect
import difflib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

__all__ = ["Hunk", "changes", "hunks", "lines"]

_END = re.compile("\r\n?|\n")
_LINES = 1_000  # that are matched with each other; more take too long
_SHOWN, _WIDTH = 6, 100
_HUNKS = 3


class Hunk(NamedTuple):
    """A place in which two files differ: lines `a0` to `a1` of one, from 0 and without the last, were `b0` to `b1`."""

    a0: int
    a1: int
    b0: int
    b1: int

    @property
    def where(self) -> str:
        """Its lines by the numbers of the file that has them: of the second, else of the first."""
        first, last = (self.b0 + 1, self.b1) if self.b1 > self.b0 else (self.a0 + 1, self.a1)
        return f"line {first}" if last <= first else f"lines {first}–{last}"


def lines(text: str) -> list[str]:
    """Return the lines of source as Python counts them, without their ends: a form feed ends none.

    >>> lines("a\\r\\nb\\x0cc\\n"), lines("")
    (['a', 'b\\x0cc'], [])
    """
    found = _END.split(text)
    return found if found[-1] else found[:-1]


def changes(before: str | None, after: str | None) -> tuple[list[str], str]:
    """Return what changed as lines for people, and why no number can hang on it: empty where one may.

    >>> changes("a = 1\\nb = 2\\n", "a = 1\\nb = 3\\n")
    (['line 2', '- b = 2', '+ b = 3'], '')
    >>> changes("a = 1\\n", "# one\\na = 1\\n")
    (['line 1', '+ # one'], 'comments, docstrings and layout alone')
    """
    if before is None or after is None:
        return ["it is not in both runs, or was left out of one"], ""
    details: list[str] = []
    a, b = lines(before), lines(after)
    found = hunks(a, b)
    for hunk in found[:_HUNKS]:
        details.append(hunk.where)
        both = [*(f"- {line}" for line in a[hunk.a0 : hunk.a1]), *(f"+ {line}" for line in b[hunk.b0 : hunk.b1])]
        details += [line[:_WIDTH] for line in both[:_SHOWN]]
        if len(both) > _SHOWN:
            details.append(f"  … {len(both) - _SHOWN} more lines")
    if len(found) > _HUNKS:
        details.append(f"and {len(found) - _HUNKS} more places")
    return details, "comments, docstrings and layout alone" if _meaning(before) == _meaning(after) is not None else ""


def hunks(before: Sequence[str], after: Sequence[str]) -> list[Hunk]:
    """Return the places in which lines differ, in their order; what has too much to match is one.

    >>> hunks(["a", "b", "c"], ["a", "x", "c", "d"])
    [Hunk(a0=1, a1=2, b0=1, b1=2), Hunk(a0=3, a1=3, b0=3, b1=4)]
    """
    start = next(
        (at for at, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
    most = min(len(before), len(after)) - start
    end = next((at for at in range(most) if before[-1 - at] != after[-1 - at]), most)
    end_a, end_b = len(before) - end, len(after) - end
    found: list[Hunk] = []
    a, b = start, start
    for next_a, next_b in [*_alike(before, after, start, end_a, end_b), (end_a, end_b)]:
        found += _matched(before, after, Hunk(a, next_a, b, next_b))
        a, b = next_a + 1, next_b + 1
    return found


def _alike(before: Sequence[str], after: Sequence[str], start: int, end_a: int, end_b: int) -> list[tuple[int, int]]:
    """Return lines that are each there once before and once after, and in the same order, where there is much to match.

    The most of them: what stands between two of them is matched by itself.
    """
    if max(end_a, end_b) - start <= _LINES:
        return []
    once = [Counter(of[start:end]) for of, end in ((before, end_a), (after, end_b))]
    places = {after[at]: at for at in range(start, end_b)}
    ends: list[int] = []  # of the rising rows of places of each length, the lowest place that one ends with
    rows: list[tuple[int, int, int]] = []  # (a, b, the row's last but one), as far as a row has got
    last: list[int] = []  # the number of the row of each of `ends`
    for at in range(start, end_a):
        if once[0][before[at]] == once[1][before[at]] == 1:
            place = places[before[at]]
            length = bisect.bisect(ends, place)
            rows.append((at, place, last[length - 1] if length else -1))
            ends[length : length + 1], last[length : length + 1] = [place], [len(rows) - 1]
    found, at = [], last[-1] if last else -1
    while at >= 0:
        a, b, at = rows[at]
        found.append((a, b))
    return found[::-1]


def _matched(before: Sequence[str], after: Sequence[str], of: Hunk) -> Iterator[Hunk]:
    """Yield the places that differ in a part of two files."""
    a, b = before[of.a0 : of.a1], after[of.b0 : of.b1]
    if max(len(a), len(b)) > _LINES:
        yield of
        return
    for tag, a0, a1, b0, b1 in difflib.SequenceMatcher(None, a, b).get_opcodes():
        if tag != "equal":
            yield Hunk(of.a0 + a0, of.a0 + a1, of.b0 + b0, of.b0 + b1)


def _meaning(text: str) -> str | None:
    """Return a module's code without comments, layout and docstrings; None where it is none."""
    try:
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                if ast.get_docstring(node, clean=False) is not None:
                    del node.body[0]
        return ast.dump(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
