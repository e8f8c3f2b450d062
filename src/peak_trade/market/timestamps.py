"""Timestamps as files write them (ISO 8601 or epoch numbers) to nanoseconds since 1970 in UTC.

Rows of one layout are read together as a table of digits, so a million cost about what a few hundred `strptime` do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["NULLS", "TimestampColumn", "Unreadable", "iso"]

Ints = npt.NDArray[np.int64]

NULLS = frozenset({"", "null", "none", "nan", "nat", "na", "n/a"})  # how writers spell a missing cell, in lower case
MISSING = np.iinfo(np.int64).min  # NumPy's NaT
YEARS = (1678, 2261)  # whole years that nanoseconds in 64 bits can hold
UNITS = ("s", "ms", "us", "ns")
UNIT_LIMITS = np.array([1e11, 1e14, 1e17])  # up to 1e11 s is the year 5138; in ms the same number is early 1973
DAY_NS = 86_400 * 10**9
OUT_OF_RANGE = f"is outside the years {YEARS[0]} to {YEARS[1]}"

_TO_SHAPE = str.maketrans("123456789", "000000000")
_CLOCKS = frozenset({"", "T00:00", "T00:00:00"})
_ZONES = frozenset({"Z", "UTC", "+00:00", "-00:00", "+0000", "-0000", "+00", "-00"})


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


class TimestampColumn:
    """The timestamps of one file, fed in pieces: all dates or all epoch numbers, all with a zone or none.

    `count` is the number of rows taken in so far.
    """

    def __init__(self) -> None:
        self._pieces: list[npt.NDArray[Any]] = []
        self.count = 0
        self._kind = ""
        self._zoned: bool | None = None

    def add(self, texts: Sequence[str]) -> None:
        """Read one piece of text cells; errors: `Unreadable` with the row's index in the whole column."""
        values = self._uniform(texts)
        self._append(self._mixed(texts) if values is None else values)

    def add_epochs(self, values: npt.NDArray[Any]) -> None:
        """Take integer or float epoch numbers, missing ones as `MISSING` or NaN."""
        self._note("epoch", None, self.count, "an epoch number")
        self._append(values)

    def add_nanoseconds(self, values: Ints, *, zoned: bool) -> None:
        """Take nanoseconds since 1970 as they are, missing ones as `MISSING`."""
        self._note("date", zoned, self.count, "a date")
        self._append(values)

    def finish(self) -> tuple[npt.NDArray[np.datetime64], list[str]]:
        """Return the column as datetime64[ns] in UTC, and what had to be assumed to read it."""
        values = self._pieces[0] if len(self._pieces) == 1 else np.concatenate(self._pieces)
        assumed = []
        if self._kind == "epoch":
            values, unit = _epochs(values)
            assumed.append(f"timestamps are epoch numbers: unit taken as {unit}")
        elif self._kind == "compact":
            assumed.append("timestamps of eight digits: read as YYYYMMDD")
        if self._zoned is False:
            assumed.append("timestamps carry no zone: read as UTC")
        return values.view("datetime64[ns]"), assumed

    def _append(self, values: npt.NDArray[Any]) -> None:
        self._pieces.append(values)
        self.count += len(values)

    def _note(self, kind: str, zoned: bool | None, index: int, what: str) -> None:
        if self._kind not in ("", kind):
            raise Unreadable(index, f"is {what}, unlike the rows before")
        if self._zoned not in (None, zoned):
            raise Unreadable(index, f"carries {'a' if zoned else 'no'} zone, unlike the rows before")
        self._kind, self._zoned = kind, zoned

    def _uniform(self, texts: Sequence[str]) -> npt.NDArray[Any] | None:
        """Read a piece whose cells all have the first one's layout; None where they have not."""
        shape = texts[0].translate(_TO_SHAPE)
        if layout := _iso_layout(shape):
            if set(map(len, texts)) != {len(shape)}:
                return None
            values = _iso_values(texts, shape, self.count)
            if values is not None:
                self._note("date", bool(layout[1]), self.count, "a date")
            return values
        return self._numbers(texts, self.count) if _is_number(shape) else None

    def _numbers(self, texts: Sequence[str], index: int) -> npt.NDArray[Any] | None:
        values: npt.NDArray[Any]
        try:
            values = np.fromiter(map(int, texts), np.int64, len(texts))
        except (ValueError, OverflowError):
            try:
                values = np.fromiter(map(float, texts), np.float64, len(texts))
            except ValueError:
                return None
            if not np.isfinite(values).all():
                return None
        else:
            if set(map(len, texts)) == {8}:
                days, good = _days(values // 10_000, values // 100 % 100, values % 100)
                if good.all():
                    self._note("compact", False, index, "a date of eight digits")
                    return days * DAY_NS
        self._note("epoch", None, index, "an epoch number")
        return values

    def _mixed(self, texts: Sequence[str]) -> npt.NDArray[Any]:
        """Read a piece of several layouts: each layout on its own, missing cells as `MISSING`."""
        cells = [text.strip() for text in texts]
        rows_of: dict[str, list[int]] = {}
        for row, cell in enumerate(cells):
            rows_of.setdefault(cell.translate(_TO_SHAPE), []).append(row)
        pieces: list[tuple[list[int], npt.NDArray[Any]]] = []
        for shape, rows in rows_of.items():
            if shape.lower() in NULLS:
                continue
            group = [cells[row] for row in rows]
            piece: npt.NDArray[Any] | None
            if layout := _iso_layout(shape):
                try:
                    piece = _iso_values(group, shape, 0)
                except Unreadable as error:
                    raise Unreadable(self.count + rows[error.index], error.reason) from None
                self._note("date", bool(layout[1]), self.count + rows[0], "a date")
            else:
                piece = self._numbers(group, self.count + rows[0]) if _is_number(shape) else None
            if piece is None:
                raise Unreadable(self.count + rows[0], "is not a timestamp")
            pieces.append((rows, piece))
        floats = any(piece.dtype == np.float64 for _, piece in pieces)
        values: npt.NDArray[Any] = np.full(len(texts), np.nan) if floats else np.full(len(texts), MISSING)
        for rows, piece in pieces:
            values[rows] = piece
        return values


def _is_number(shape: str) -> bool:
    digits = shape.lstrip("+-").partition("e")[0].replace(".", "", 1)
    return bool(digits) and not digits.strip("0")


def _iso_layout(shape: str) -> tuple[str, str] | None:
    """Split the shape of an ISO date or datetime (each digit written 0) into its clock and zone; None for others."""
    if shape[:10] != "0000-00-00":
        return None
    tail = shape[10:].replace(" ", "T", 1) if shape[10:11] == " " else shape[10:]
    cut = next((at for at, mark in enumerate(tail) if mark in "Z+- "), len(tail))
    clock, zone = tail[:cut], tail[cut:].lstrip(" ")
    whole, dot, fraction = clock.replace(",", ".").partition(".")
    if whole not in _CLOCKS or (dot and (len(whole) != 9 or not 1 <= len(fraction) <= 9 or fraction.strip("0"))):
        return None
    return (clock, zone) if not zone or (zone in _ZONES and clock) else None


def _iso_values(texts: Sequence[str], shape: str, offset: int) -> Ints | None:
    """Read cells of one ISO layout; None where a cell has another layout; errors: `Unreadable`, counted from offset."""
    try:
        table = np.frombuffer("".join(texts).encode("ascii"), np.uint8).reshape(len(texts), len(shape))
    except UnicodeEncodeError:
        return None
    template = np.frombuffer(shape.encode(), np.uint8)
    is_digit = template == ord("0")
    digits = table.T[is_digit] - np.uint8(ord("0"))  # what stands before 0 wraps round to far above 9
    if (table.T[~is_digit] != template[~is_digit][:, None]).any() or (digits > 9).any():
        return None
    clock, zone = _iso_layout(shape) or ("", "")

    def number(start: int, stop: int) -> Ints:
        value: Ints = digits[start].astype(np.int64)
        for row in digits[start + 1 : stop]:
            value = value * 10 + row
        return value

    def check(good: npt.NDArray[np.bool_], reason: str) -> None:
        if not good.all():
            raise Unreadable(offset + int(np.argmin(good)), reason)

    year = number(0, 4)
    check((year >= YEARS[0]) & (year <= YEARS[1]), OUT_OF_RANGE)
    days, good = _days(year, number(4, 6), number(6, 8))
    check(good, "is not a date of the calendar")
    values = days * DAY_NS
    if clock:
        hour, minute = number(8, 10), number(10, 12)
        check((hour < 24) & (minute < 60), "is not a time of day")
        values += (hour * 60 + minute) * (60 * 10**9)
        at = 12
        if len(clock) > 6:
            second = number(12, 14)
            check(second < 60, "is not a time of day")
            values += second * 10**9
            at = 14
        if len(clock) > 9:
            places = len(clock) - 10
            values += number(14, 14 + places) * 10 ** (9 - places)
            at = 14 + places
        if zone[:1] in ("+", "-"):
            hour = number(at, at + 2)
            minute = number(at + 2, at + 4) if len(zone) > 3 else np.zeros_like(hour)
            check((hour < 24) & (minute < 60), "has no such zone")
            values -= (hour * 60 + minute) * (60 * 10**9) * (-1 if zone[0] == "-" else 1)
    return values


def _days(year: Ints, month: Ints, day: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Return days since 1970 of civil dates, and which of them exist and are in range."""
    in_year = (month >= 1) & (month <= 12) & (year >= YEARS[0]) & (year <= YEARS[1])
    months = np.where(in_year, (year - 1970) * 12 + month - 1, 0)
    first = months.view("datetime64[M]").astype("datetime64[D]").view(np.int64)
    after = (months + 1).view("datetime64[M]").astype("datetime64[D]").view(np.int64)
    return first + day - 1, in_year & (day >= 1) & (day <= after - first)


def _epochs(values: npt.NDArray[Any]) -> tuple[Ints, str]:
    """Return nanoseconds and the unit, told by the largest number's size; errors: `Unreadable`, with the number."""
    known = ~np.isnan(values) if values.dtype == np.float64 else values != MISSING
    rows = np.flatnonzero(known)
    sizes = np.abs(values[rows].astype(np.float64))
    units = np.searchsorted(UNIT_LIMITS, sizes, side="right")
    # A file that runs through 1973 in ms passes a limit in a small step; one that changes its unit leaps over it.
    steps = np.flatnonzero(np.diff(units))
    leaps = steps[np.abs(sizes[steps + 1] - sizes[steps]) > 0.5 * np.maximum(sizes[steps + 1], sizes[steps])]
    if leaps.size:
        before, here = UNITS[units[leaps[0]]], UNITS[units[leaps[0] + 1]]
        row = int(rows[leaps[0] + 1])
        raise Unreadable(row, f"`{values[row]}` looks like {here}, the row before like {before}")
    unit = int(units.max(initial=0))
    scale = 10 ** (9 - 3 * unit)
    if (far := sizes * scale >= 2.0**63).any():
        row = int(rows[np.argmax(far)])
        raise Unreadable(row, f"`{values[row]}` {OUT_OF_RANGE}")
    result = np.full(len(values), MISSING)
    if values.dtype == np.float64 and (values[rows] % 1).any():
        # A double holds today's time in seconds to 0.2 microseconds: finer digits would be invented.
        result[rows] = np.round(values[rows] * (scale / 1000)).astype(np.int64) * 1000
    else:
        result[rows] = values[rows].astype(np.int64) * scale
    return result, UNITS[unit]
