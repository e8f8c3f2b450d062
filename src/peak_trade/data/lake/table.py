"""The answer to a question as a table for people: aligned, and its figures rounded to what a person reads."""

from __future__ import annotations

import re
from collections.abc import Sequence

from peak_trade.text import printable

__all__ = ["FLOATS", "as_text", "figure"]

FLOATS = frozenset({"DOUBLE", "FLOAT"})
_NUMBERS = FLOATS | {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UBIGINT", "DECIMAL"}


def as_text(columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[float | str | None]], width: int | None) -> str:
    """Return rows below the names of their columns (name and DuckDB's type), floats as `figure` writes them.

    What is wider than `width` is shown row by row, with a line for each column.
    """
    right = {at for at, (_, kind) in enumerate(columns) if kind.split("(")[0] in _NUMBERS}
    cells = [[_cell(value) for value in row] for row in rows]
    heads = [name for name, _ in columns]
    across = _aligned([heads, *cells], right)
    if width is None or not cells or max(map(len, across.splitlines())) <= width:
        return across
    return "\n\n".join(_aligned(list(zip(heads, row, strict=True)), set()) for row in cells)


def figure(value: float) -> str:
    """Return a number to six digits that count, and every digit before the point.

    >>> [figure(value) for value in (0.35017638, 100.0, 4783.8299999, 1234567.8, -0.0000123456, 2.5e300)]
    ['0.350176', '100.0', '4783.83', '1234568', '-1.23456e-05', '2.5e+300']
    """
    text = f"{value:.6g}"
    if "e+" in text and abs(value) < 1e15:
        return f"{value:.0f}"
    return text if re.search("[.a-z]", text) else f"{text}.0"


def _cell(value: float | str | None) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return figure(value)
    return printable(value)


def _aligned(rows: Sequence[Sequence[str]], right: set[int]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(
            cell.rjust(width) if at in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
    return "\n".join(lines)
