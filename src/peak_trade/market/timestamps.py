"""Timestamps as files write them (ISO 8601 or epoch numbers) to nanoseconds since 1970 in UTC.

Rows of one layout are read together as a table of digits, so a million cost about what a few hundred `strptime` do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from peak_trade.market.instants import (
    DAY_NS,
    MISSING,
    NULLS,
    OUT_OF_RANGE,
    TO_SHAPE,
    YEARS,
    Unreadable,
    days_of,
    digit_table,
    table_digits,
)

__all__ = ["Ambiguous", "TimestampColumn"]

Ints = npt.NDArray[np.int64]

UNITS = ("s", "ms", "us", "ns")
UNIT_LIMITS = np.array([1e11, 1e14, 1e17])  # up to 1e11 s is the year 5138; in ms the same number is early 1973

COMPACT = {8: ("eight", "YYYYMMDD"), 12: ("twelve", "YYYYMMDDHHMM"), 14: ("fourteen", "YYYYMMDDHHMMSS")}
_CLOCKS = frozenset({"", "T00:00", "T00:00:00"})
_ZONES = frozenset({"Z", "UTC", "+00:00", "-00:00", "+0000", "-0000", "+00", "-00"})


class Ambiguous(ValueError):
    """A column of dates that several formats read, each to other times: `formats` names them, `text` is the first."""

    def __init__(self, formats: list[str], text: str) -> None:
        super().__init__(text)
        self.formats = formats
        self.text = text


class TimestampColumn:
    """The timestamps of one file, fed in pieces: all dates or all epoch numbers, all with a zone or none.

    `formats` says what dates may look like; without any, ISO 8601 and epoch numbers are read, and else whatever
    `dates.DATES` knows. Of several formats the one counts that reads every row; where several do and `preferred`, it is
    the first of them. A format may also be the unit of epoch numbers. `count` is the number of rows taken in so far.
    """

    def __init__(self, formats: Sequence[str] = (), *, preferred: bool = False) -> None:
        self._pieces: list[npt.NDArray[Any]] = []
        self.count = 0
        self._kind = ""
        self._zoned: bool | None = None
        self._width = 8
        self._unit = formats[0] if len(formats) == 1 and formats[0] in UNITS else ""
        self._formats = [] if self._unit else list(formats)
        self._preferred = preferred
        self._readings: dict[str, list[npt.NDArray[Any]]] = {}  # by format, of those that read every row so far
        self._first = ""

    def add(self, texts: Sequence[str]) -> None:
        """Read one piece of text cells; errors: `Unreadable` with the row's index in the whole column."""
        if not self.count and not self._unit:
            self._choose(texts)
        if self._readings:
            self._add_dates(texts)
            return
        values = self._uniform(texts)
        self._append(self._mixed(texts) if values is None else values)

    def add_table(self, cells: npt.NDArray[np.uint8]) -> bool:
        """Read a piece of ASCII cells that are all as long, shape (N, length), as `add` would; False where it can't.

        Errors: `Unreadable`, as of `add`.
        """
        first = cells[0].tobytes().decode("latin-1")
        shape = first.translate(TO_SHAPE)
        layout = _iso_layout(shape)
        if not shape.isascii() or not (layout or (not shape.strip("0") and len(shape) <= 18)):
            return False
        digits = table_digits(cells, shape)
        if digits is None:
            return False
        if layout:
            values = _instants(digits, layout, self.count)
            self._note("date", bool(layout[1]), self.count, "a date")
        else:
            values = np.zeros(len(cells), np.int64)
            for row in digits:
                values *= 10
                values += row
            values = self._whole(values, {len(shape)}, self.count)
        self._append(values)
        return True

    def _choose(self, texts: Sequence[str]) -> None:
        """Decide by the first cell that is one whether these are dates of another form than ISO 8601."""
        self._first = next((cell for text in texts if (cell := text.strip()).lower() not in NULLS), "")
        if not self._formats:
            shape = self._first.translate(TO_SHAPE)
            if not shape or _is_number(shape) or _iso_layout(shape):
                return
            from peak_trade.market import dates  # only for files that are written otherwise

            self._formats = dates.candidates(self._first)
        self._readings = {form: [] for form in self._formats}

    def _add_dates(self, texts: Sequence[str]) -> None:
        """Read a piece in each format that has read every row before it, and go on with those that read it too."""
        from peak_trade.market import dates

        readings: dict[str, list[npt.NDArray[Any]]] = {}
        errors: list[tuple[int, str]] = []
        for form, pieces in self._readings.items():
            try:
                values, self._zoned = dates.read_dates(texts, form)
            except Unreadable as error:
                errors.append((error.index, error.reason))
            else:
                readings[form] = [*pieces, values]
        if not readings:
            index, reason = max(errors)  # of the format that came furthest
            raise Unreadable(self.count + index, reason)
        self._readings = readings
        self.count += len(texts)

    def add_epochs(self, values: npt.NDArray[Any]) -> None:
        """Take integer or float epoch numbers, missing ones as `MISSING` or NaN."""
        self._note("epoch", None, self.count, "an epoch number")
        self._append(values)

    def add_nanoseconds(self, values: Ints, *, zoned: bool) -> None:
        """Take nanoseconds since 1970 as they are, missing ones as `MISSING`."""
        self._note("date", zoned, self.count, "a date")
        self._append(values)

    def finish(self, zone: str = "") -> tuple[npt.NDArray[np.datetime64], list[str]]:
        """Return the column as datetime64[ns] in UTC, and what had to be assumed to read it.

        `zone` is that of times without one; errors: `Unreadable`, or `Ambiguous` where the order of day and month is.
        """
        assumed: list[str] = []
        if self._readings:
            values = self._decide(assumed)
        else:
            values = self._pieces[0] if len(self._pieces) == 1 else np.concatenate(self._pieces)
        if self._kind == "epoch":
            values, unit = _epochs(values, self._unit)
            if not self._unit:
                assumed.append(f"timestamps are epoch numbers: unit taken as {unit}")
        elif self._unit:
            raise Unreadable(0, f"is no epoch number in {self._unit}")
        elif self._kind == "compact":
            assumed.append(f"timestamps of {COMPACT[self._width][0]} digits: read as {COMPACT[self._width][1]}")
        if self._zoned is False:
            assumed.append(f"timestamps carry no zone: read as {zone or 'UTC'}")
            if zone not in ("", "UTC"):
                from peak_trade.market import zones

                values, once = zones.to_utc(values, zone)
                if once:
                    assumed.append(f"{once:,} times of an hour that {zone} shows twice: read as its first showing")
        elif zone:
            assumed.append(f"the zone {zone} is not used: the timestamps carry their own")
        return values.view("datetime64[ns]"), assumed

    def _decide(self, assumed: list[str]) -> npt.NDArray[Any]:
        """Return the values in the one format that reads every row."""
        values = {form: np.concatenate(pieces) for form, pieces in self._readings.items()}
        form = next(iter(values))
        if any((other != values[form]).any() for other in values.values()):
            if not self._preferred:
                raise Ambiguous(list(values), self._first)
            assumed.append(f"dates such as {self._first} can be read in several ways: taken as {form}")
        else:
            assumed.append(f"dates are written {form}")
        return values[form]

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
        shape = texts[0].translate(TO_SHAPE)
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
            return self._whole(values, set(map(len, texts)), index)
        self._note("epoch", None, index, "an epoch number")
        return values

    def _whole(self, values: Ints, widths: set[int], index: int) -> Ints:
        """Take whole numbers as dates where all of them are the digits of one, else as epochs."""
        if len(widths) == 1 and (width := widths.pop()) in COMPACT and not self._unit:
            nanoseconds, good = _compact(values, width)
            if good.all():
                self._note("compact", False, index, f"a date of {COMPACT[width][0]} digits")
                self._width = width
                return nanoseconds
        self._note("epoch", None, index, "an epoch number")
        return values

    def _mixed(self, texts: Sequence[str]) -> npt.NDArray[Any]:
        """Read a piece of several layouts: each layout on its own, missing cells as `MISSING`."""
        cells = [text.strip() for text in texts]
        rows_of: dict[str, list[int]] = {}
        for row, cell in enumerate(cells):
            rows_of.setdefault(cell.translate(TO_SHAPE), []).append(row)
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
    digits = digit_table(texts, shape)
    if digits is None:
        return None
    return _instants(digits, _iso_layout(shape) or ("", ""), offset)


def _instants(digits: npt.NDArray[np.uint8], layout: tuple[str, str], offset: int) -> Ints:
    """Return the nanoseconds of the digits of ISO cells; errors: `Unreadable`, counted from offset."""
    clock, zone = layout

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
    days, good = days_of(year, number(4, 6), number(6, 8))
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


def _compact(values: Ints, width: int) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Return the nanoseconds of numbers whose digits are those of a date and perhaps a time, and which of them are."""
    clocks = values % 10 ** (width - 8) * 10 ** (14 - width)
    values = values // 10 ** (width - 8)
    days, good = days_of(values // 10_000, values // 100 % 100, values % 100)
    hour, minute, second = clocks // 10_000, clocks // 100 % 100, clocks % 100
    good &= (hour < 24) & (minute < 60) & (second < 60)
    return days * DAY_NS + ((hour * 60 + minute) * 60 + second) * 10**9, good


def _epochs(values: npt.NDArray[Any], given: str = "") -> tuple[Ints, str]:
    """Return nanoseconds and the unit, told by the largest number's size; errors: `Unreadable`, with the number."""
    known = ~np.isnan(values) if values.dtype == np.float64 else values != MISSING
    rows = np.flatnonzero(known)
    sizes = np.abs(values[rows].astype(np.float64))
    units = np.full(len(sizes), UNITS.index(given)) if given else np.searchsorted(UNIT_LIMITS, sizes, side="right")
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
