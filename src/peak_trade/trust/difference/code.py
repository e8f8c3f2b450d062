"""What changed in a file of code: which lines, and whether anything but comments and layout."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator, Sequence

__all__ = ["changes"]

_LINES = 1_000  # of what is left between the common start and end; matching more takes too long
_SHOWN, _WIDTH = 6, 100
_HUNKS = 3


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
    hunks = list(_hunks(before.splitlines(), after.splitlines()))
    for where, removed, added in hunks[:_HUNKS]:
        details.append(where)
        lines = [*(f"- {line}" for line in removed), *(f"+ {line}" for line in added)]
        details += [line[:_WIDTH] for line in lines[:_SHOWN]]
        if len(lines) > _SHOWN:
            details.append(f"  … {len(lines) - _SHOWN} more lines")
    if len(hunks) > _HUNKS:
        details.append(f"and {len(hunks) - _HUNKS} more places")
    return details, "comments, docstrings and layout alone" if _meaning(before) == _meaning(after) is not None else ""


def _hunks(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[str, Sequence[str], Sequence[str]]]:
    """Yield (where, lines removed, lines added), where by the line numbers of the file that has them."""
    start = next(
        (at for at, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
    most = min(len(before), len(after)) - start
    end = next((at for at in range(most) if before[-1 - at] != after[-1 - at]), most)
    a, b = before[start : len(before) - end], after[start : len(after) - end]
    if max(len(a), len(b)) > _LINES:
        codes = [("replace", 0, len(a), 0, len(b))]
    else:
        codes = [(tag, *rest) for tag, *rest in difflib.SequenceMatcher(None, a, b).get_opcodes()]  # type: ignore[misc]
    for tag, a0, a1, b0, b1 in codes:
        if tag != "equal":
            first, last = (b0, b1) if b1 > b0 else (a0, a1)
            first, last = first + start + 1, last + start
            yield (f"line {first}" if last <= first else f"lines {first}–{last}"), a[a0:a1], b[b0:b1]


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
