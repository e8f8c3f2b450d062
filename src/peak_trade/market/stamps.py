"""The times of a file, cell by cell: how they are looked at, and the errors where one can't be read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from peak_trade.config import Reading
from peak_trade.errors import InputError
from peak_trade.market.dialects import Dialect, Layout, show
from peak_trade.market.hints import under_data
from peak_trade.market.instants import Unreadable
from peak_trade.market.timestamps import Ambiguous, TimestampColumn

__all__ = ["cell_error", "finish_stamps", "stamp_column", "stamp_error"]

_FIRST = np.datetime64("1970-01-01", "ns")  # what is before it is of a market that is older
_SECOND_YEAR = np.datetime64("1971-01-01", "ns")  # epochs of the first are numbers that something has cut off
_SECOND_DAY = np.datetime64("1970-01-03", "ns")  # what is before it counts rows, or days as spreadsheets do


def stamp_column(dialect: Dialect, reading: Reading, cell: str) -> TimestampColumn:
    """Return an empty column for times of which the first is written as in `cell`."""
    if not reading.date_format and not dialect.dates:
        return TimestampColumn()
    from peak_trade.market import dates

    if reading.date_format:
        if reading.date_format in dates.UNITS_BY_NAME or dates.fits(cell, reading.date_format):
            return TimestampColumn([reading.date_format])
        return TimestampColumn([dates.with_clock(cell, reading.date_format)])
    return TimestampColumn([form for form in dialect.dates if dates.fits(cell, form)], preferred=True)


def finish_stamps(
    stamps: TimestampColumn, found: Layout, reading: Reading, locate: Callable[[int], str], path: str
) -> tuple[npt.NDArray[np.datetime64], list[str]]:
    """Return a column of times in UTC and what was assumed; errors: `InputError`."""
    try:
        timestamp, assumed = stamps.finish(reading.timezone or found.dialect.zone)
        if "unit taken as s" in "".join(assumed) and _FIRST <= timestamp.min() and timestamp.max() < _SECOND_YEAR:
            if timestamp.max() < _SECOND_DAY:
                hint = "save them as dates, such as 2024-01-31: a spreadsheet writes days as numbers"
            else:
                hint = under_data({"date_format": "s"}, lead="check the numbers, or say that they are")
            raise InputError(f"{path} has times that would be seconds of early 1970", hint=hint)
        return timestamp, assumed
    except Unreadable as error:
        hint = (
            under_data({"timezone": "UTC"}, lead="mend or take out the row, or set")
            if "no clock showed" in error.reason
            else _mend(error.reason, error.index == 0)
        )
        raise InputError(f"{path} {locate(error.index)}, column timestamp: {error.reason}", hint=hint) from None
    except Ambiguous as error:
        raise InputError(
            f"{path} has dates such as `{show(error.text)}`, which can be read in two ways",
            hint=under_data(*({"date_format": form} for form in error.formats), lead="say which part is the month"),
        ) from None


def stamp_error(path: str, row: str, text: str, reason: str, *, first: bool = False) -> InputError:
    """Return the error for a time that can't be read, be it the first of its file or one among others."""
    return cell_error(path, row, "timestamp", text, reason, _mend(reason, first, text))


def _mend(reason: str, first: bool, text: str = "") -> str:
    if "the row before like" in reason:
        return "mend the row, or keep files that count otherwise apart, and name them by a pattern such as folder/*.csv"
    if first and ("of the form" in reason or "no epoch number" in reason):
        return "leave date_format out, or say the form that the file has"
    if first and "not a timestamp" in reason:
        from peak_trade.market import dates

        if forms := dates.further(text):
            return under_data(*({"date_format": form} for form in forms), lead="say how times are written")
        return "say how times are written by date_format, such as %d.%m.%Y %H:%M, or take out the row"
    if "not a timestamp" in reason:
        return "mend or take out the row: times are ISO 8601, such as 2024-01-31T13:00:00Z, or epoch numbers"
    return "mend or take out the row"


def cell_error(path: str, row: str, column: str, text: str, reason: str, hint: str = "") -> InputError:
    """Return the error for a cell that can't be read."""
    return InputError(f"{path} {row}, column {column}: `{show(text)}` {reason}", hint=hint)
