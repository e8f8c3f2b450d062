"""Dates as people write them: a subset of strptime's formats, read for whole columns at once.

Rows of one shape (each digit written 0) are read together, so a format is matched once a shape and not once a row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from peak_trade.errors import InputError
from peak_trade.market.instants import DAY_NS, MISSING, NULLS, TO_SHAPE, YEARS, Unreadable, days_of, digit_table

__all__ = [
    "CLOCKS",
    "DATES",
    "UNITS_BY_NAME",
    "candidates",
    "check_format",
    "fits",
    "further",
    "read_dates",
    "with_clock",
]

Ints = npt.NDArray[np.int64]

# What a column of dates may look like when nobody says how it is written. Where several of them fit all rows, the
# meaning is not ours to choose.
DATES = (
    "%Y.%m.%d", "%Y/%m/%d", "%Y%m%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%m.%d.%Y", "%d-%m-%Y", "%m-%d-%Y",
    "%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%B %d, %Y", "%d %B %Y", "%Y-%m-%d",
)  # fmt: skip
_FURTHER = tuple(  # what a hint offers, and nothing is read by unless it is said
    form
    for date in DATES
    if not date.startswith("%Y%m")
    for form in (date.replace("%Y", "%y"), f"%a {date}", f"%a, {date}", f"%A, {date}")
)
CLOCKS = (
    "", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %H%M%S", " %H%M", " %I:%M %p", " %I:%M:%S %p", " %I-%p",
)  # fmt: skip
UNITS_BY_NAME = ("s", "ms", "us", "ns")  # a date_format may also be the unit of epoch numbers

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_FULL = "january february march april may june july august september october november december".split()
_PIECES = {  # of a shape, in which each digit is written 0; the second is used where a number touches another
    "Y": ("0000", "0000"), "y": ("00", "00"), "m": ("00?", "00"), "d": ("00?", "00"), "H": ("00?", "00"),
    "I": ("00?", "00"), "M": ("00", "00"), "S": ("00", "00"), "f": ("0{1,9}", "0{1,9}"),
    "b": (f"(?:{'|'.join(_MONTHS)})",) * 2, "B": (f"(?:{'|'.join(_FULL)})",) * 2, "p": ("[ap]m",) * 2,
    "z": ("z|[+-]00:?00|[+-]00",) * 2, "a": ("[a-z]{3}",) * 2, "A": ("[a-z]{6,9}",) * 2,
}  # fmt: skip


def check_format(text: str) -> None:
    """Refuse a format that this module does not read, or that gives no whole date."""
    if text in UNITS_BY_NAME:
        return
    used = _directives(text)
    for mark in used:
        if mark not in _PIECES and mark != "%":
            known = ", ".join(f"%{name}" for name in _PIECES)
            raise InputError(
                f"date_format {text!r} holds %{mark}, which is not read; known are {known}",
                hint="leave date_format out, or say such as %d.%m.%Y %H:%M:%S",
            )
    lacks = [name for name, other in (("Y", "y"), ("m", "bB"), ("d", "")) if not {name, *other} & set(used)]
    if (
        lacks
        or len(set(used) - {"%"}) != len([mark for mark in used if mark != "%"])
        or ("I" in used and "p" not in used)
    ):
        what = f"lacks %{', %'.join(lacks)}" if lacks else "does not say each part of a time once"
        raise InputError(
            f"date_format {text!r} {what}",
            hint="leave date_format out, or say such as %d.%m.%Y, or %m/%d/%Y %I:%M %p",
        )


def candidates(text: str) -> list[str]:
    """Return the formats of `DATES` with `CLOCKS` that a text has the shape of."""
    return _candidates(text, DATES)


def further(text: str) -> list[str]:
    """Return the formats that a text may have and that are read where they are asked for alone.

    >>> further("02-Jan-24"), further("Tue 02 Jan 2024")
    (['%d-%b-%y'], ['%a %d %b %Y'])
    """
    return [form for form in _candidates(text, _FURTHER) if _is_date(text, form)]


def _is_date(text: str, form: str) -> bool:
    try:
        read_dates([text], form)
    except Unreadable:
        return False
    return True


def _candidates(text: str, forms: Sequence[str]) -> list[str]:
    shape = _tidy(text).translate(TO_SHAPE).lower()
    return [
        date + time
        for date in forms
        if (start := _pattern(date).match(shape)) and (date != "%Y-%m-%d" or shape[:10] == "0000-00-00")
        for time in CLOCKS
        if _pattern(time).fullmatch(shape, start.end()) and _pattern(date).fullmatch(shape[: start.end()])
    ]


def fits(text: str, form: str) -> bool:
    """Tell whether a text has the shape of a format.

    >>> fits("31.12.2024", "%d.%m.%Y"), fits("31/12/2024", "%d.%m.%Y")
    (True, False)
    """
    return _pattern(form).fullmatch(_tidy(text).translate(TO_SHAPE).lower()) is not None


def with_clock(text: str, form: str) -> str:
    """Return a format of a day alone with the one of `CLOCKS` that a text goes on with; other formats as they are.

    >>> with_clock("31.12.2024 0930", "%d.%m.%Y")
    '%d.%m.%Y %H%M'
    """
    if {"H", "I"} & set(_directives(form)):
        return form
    return next((form + clock for clock in CLOCKS if fits(text, form + clock)), form)


def read_dates(texts: Sequence[str], form: str) -> tuple[Ints, bool]:
    """Return nanoseconds since 1970 of texts in one format, and whether they carry a zone; missing ones as `MISSING`.

    Errors: `Unreadable` with the first text that is not of the format, or no date of the calendar.
    """
    pattern = _pattern(form)
    cells = list(map(_tidy, texts))
    rows_of: dict[str, list[int]] = {}
    for row, cell in enumerate(cells):
        rows_of.setdefault(cell.translate(TO_SHAPE), []).append(row)
    values = np.full(len(texts), MISSING)
    wrong: list[tuple[int, str]] = []
    for shape, rows in rows_of.items():
        if shape.lower() in NULLS:
            continue
        found = pattern.fullmatch(shape.lower())
        table = digit_table([cells[row] for row in rows], shape) if found else None
        if found is None or table is None:
            wrong.append((rows[0], f"is not a date of the form {form}"))
            continue
        try:
            values[rows] = _values(found, table, shape)
        except Unreadable as error:
            wrong.append((rows[error.index], error.reason))
    if wrong:
        raise Unreadable(*min(wrong))
    return values, "%z" in form


def _tidy(text: str) -> str:
    """Return a cell with one space wherever it has some."""
    return text.strip() if "  " not in text else " ".join(text.split())


def _values(found: re.Match[str], table: npt.NDArray[np.uint8], shape: str) -> Ints:
    """Return the nanoseconds of rows of one shape; `table` holds its digits, a row for each digit of the shape."""
    place = np.cumsum([mark == "0" for mark in shape]) - 1  # of a mark of the shape among the digits
    parts = found.groupdict()

    def number(name: str, start: int = 0, stop: int | None = None) -> Ints:
        first, last = found.span(name)
        last = last if stop is None else first + stop
        value = np.zeros(table.shape[1], np.int64)
        for at in range(first + start, last):
            value = value * 10 + table[place[at]]
        return value

    def check(good: npt.NDArray[np.bool_], reason: str) -> None:
        if not good.all():
            raise Unreadable(int(np.argmin(good)), reason)

    count = table.shape[1]
    if "Y" in parts:
        year = number("Y")
    else:
        year = number("y")
        year += np.where(year < 69, 2000, 1900)  # as POSIX has it
    check((year >= YEARS[0]) & (year <= YEARS[1]), f"is outside the years {YEARS[0]} to {YEARS[1]}")
    if "m" in parts:
        month = number("m")
    else:
        name = parts.get("b") or parts["B"]
        month = np.full(count, _MONTHS.index(name[:3]) + 1)
    days, good = days_of(year, month, number("d"))
    check(good, "is not a date of the calendar")
    values = days * DAY_NS
    hour = number("H") if "H" in parts else np.zeros(count, np.int64)
    if "I" in parts:
        hour = number("I")
        check((hour >= 1) & (hour <= 12), "is not a time of day")
        hour = hour % 12 + (12 if parts["p"] == "pm" else 0)
    minute = number("M") if "M" in parts else np.zeros(count, np.int64)
    second = number("S") if "S" in parts else np.zeros(count, np.int64)
    check((hour < 24) & (minute < 60) & (second < 60), "is not a time of day")
    values += ((hour * 60 + minute) * 60 + second) * 10**9
    if "f" in parts:
        values += number("f") * 10 ** (9 - len(parts["f"]))
    if (zone := parts.get("z", "z")) != "z":
        hours = number("z", 1, 3)
        minutes = sum(
            (table[place[found.start("z") + at]].astype(np.int64) * unit for at, unit in _minutes(zone)),
            start=np.zeros(count, np.int64),
        )
        check((hours < 24) & (minutes < 60), "has no such zone")
        values -= (hours * 60 + minutes) * (60 * 10**9) * (-1 if zone[0] == "-" else 1)
    return values


def _minutes(zone: str) -> list[tuple[int, int]]:
    places = [at for at in range(3, len(zone)) if zone[at] == "0"]
    return list(zip(places, (10, 1), strict=False))


_patterns: dict[str, re.Pattern[str]] = {}


def _pattern(form: str) -> re.Pattern[str]:
    """Return the pattern of the shapes of a format, in lower case."""
    if form not in _patterns:
        tokens = re.findall(r"%.|[^%]", form, re.DOTALL)
        pieces = []
        for at, token in enumerate(tokens):
            if token[0] != "%" or token == "%%":
                pieces.append(re.escape(token[-1].lower()).replace(r"\ ", " "))
                continue
            touches = any(
                0 <= beside < len(tokens) and tokens[beside][0] == "%" and tokens[beside][1:] in "YymdHIMSf"
                for beside in (at - 1, at + 1)
            )
            pieces.append(f"(?P<{token[1]}>{_PIECES[token[1]][touches]})")
        _patterns[form] = re.compile("".join(pieces))
    return _patterns[form]


def _directives(form: str) -> list[str]:
    return [token[1:] for token in re.findall(r"%.?", form, re.DOTALL)]
