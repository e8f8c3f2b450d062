"""Instants as nanoseconds since 1970: their range, how a missing one stands, and digits to days."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = [
    "DAY_NS",
    "MISSING",
    "NULLS",
    "OUT_OF_RANGE",
    "TO_SHAPE",
    "YEARS",
    "Unreadable",
    "days_of",
    "digit_table",
    "iso",
    "table_digits",
]

Ints = npt.NDArray[np.int64]

NULLS = frozenset({"", "null", "none", "nan", "nat", "na", "n/a"})  # how writers spell a missing cell, in lower case
MISSING = np.iinfo(np.int64).min  # NumPy's NaT
YEARS = (1678, 2261)  # whole years that nanoseconds in 64 bits can hold
DAY_NS = 86_400 * 10**9
OUT_OF_RANGE = f"is outside the years {YEARS[0]} to {YEARS[1]}"
TO_SHAPE = str.maketrans("123456789", "000000000")


class Unreadable(ValueError):
    """A cell that cannot be read: `index` counts rows from 0, `reason` completes a sentence that starts with it."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index
        self.reason = reason


def iso(timestamp: np.datetime64) -> str:
    """Return a time as ISO 8601 with `Z`, to the second, or to the nanosecond where it has a fraction.

    >>> iso(np.datetime64("2024-01-01T00:00", "ns"))
    '2024-01-01T00:00:00Z'
    """
    if np.isnat(timestamp):
        return "NaT"
    whole = timestamp.astype("datetime64[s]")
    return f"{whole if whole == timestamp else timestamp}Z"


def digit_table(texts: Sequence[str], shape: str) -> npt.NDArray[np.uint8] | None:
    """Return the digits of texts of one shape, shape (digits, N); None where a text is not of it."""
    try:
        cells = np.frombuffer("".join(texts).encode("ascii"), np.uint8).reshape(len(texts), len(shape))
    except (UnicodeEncodeError, ValueError):
        return None
    return table_digits(cells, shape)


def table_digits(table: npt.NDArray[np.uint8], shape: str) -> npt.NDArray[np.uint8] | None:
    """Return the digits, shape (digits, N), of cells (N, length) of one shape; None where a cell is not of it."""
    template = np.frombuffer(shape.encode("ascii"), np.uint8)
    is_digit = template == ord("0")
    digits: npt.NDArray[np.uint8] = table.T[is_digit] - np.uint8(ord("0"))  # what stands before 0 wraps round above 9
    if (table.T[~is_digit] != template[~is_digit][:, None]).any() or (digits > 9).any():
        return None
    return digits


def days_of(year: Ints, month: Ints, day: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Return days since 1970 of civil dates, and which of them exist and are in range."""
    in_year = (month >= 1) & (month <= 12) & (year >= YEARS[0]) & (year <= YEARS[1])
    months = np.where(in_year, (year - 1970) * 12 + month - 1, 0)
    first = months.view("datetime64[M]").astype("datetime64[D]").view(np.int64)
    after = (months + 1).view("datetime64[M]").astype("datetime64[D]").view(np.int64)
    return first + day - 1, in_year & (day >= 1) & (day <= after - first)
