"""What a figure shows as numbers: for a table behind it, and for the script that reads values under the pointer.

The script gets those points that are drawn, so that a page of a million bars is no larger than its picture: whole
numbers in differences. Without scripts the table has all that the page says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from peak_trade.report import svg
from peak_trade.report.carried import differences, whole
from peak_trade.report.markup import cell, number, percent, table, text
from peak_trade.stats.values import Floats, Times

__all__ = ["Column", "Over", "behind", "encoded", "over"]

_ROWS = 50  # columns of time that the table keeps at most four rows of


class Column(NamedTuple):
    """A series of a figure, shape (N,) at its times, NaN where there is no value: in which panel, how it is written."""

    label: str
    values: Floats
    panel: int = 0
    percent: bool = False
    digits: int = 2

    def written(self, value: float) -> str:
        """Return a value as the page has it."""
        if np.isnan(value):
            return "–"
        return percent(value, self.digits) if self.percent else number(value, self.digits)


class Over(NamedTuple):
    """The series of a figure over time, and their times, shape (N,): the first and the last are the axis' ends."""

    times: Times
    columns: Sequence[Column]


def encoded(value: Any) -> str:
    """Return a value as JSON with nothing in it that would end an element of a page, the fence or a line."""
    content = msgspec.json.encode(value).decode()
    for mark in "<>&`":
        content = content.replace(mark, f"\\u{ord(mark):04x}")
    return content


def over(times: Times, own: Times, values: Floats) -> Floats:
    """Return values at some of the times, shape (N,), as values at all of them: NaN where there is none."""
    made = np.full(len(times), np.nan)
    made[np.searchsorted(times, own)] = values
    return made


def behind(numbers: Over | str) -> str:
    """Return what stands behind a figure: the table of its numbers, and what the script needs of those over time."""
    if isinstance(numbers, str):
        return _disclosed(numbers)
    return _disclosed(_table(*numbers)) + _for_script(*numbers)


def _disclosed(content: str) -> str:
    return f'<details class="numbers"><summary>The numbers of this figure</summary>{content}</details>'


def _for_script(times: Times, columns: Sequence[Column]) -> str:
    """Return the element with the points that are drawn.

    `t` are seconds since 1970, of each column `v` whole multiples of 10 ** -`digits` (of a percent, where it is one),
    null where there is none; both in differences, those of `v` from the value before that is there.
    """
    x = svg.x_of(times)
    ends = np.array([0, len(times) - 1])  # of the axis, where a series may have no value yet
    kept = np.unique(np.concatenate([ends, *(_kept(x, one.values, svg.COLUMNS) for one in columns)]))
    told = {
        "t": differences(times[kept].astype("M8[s]").astype(np.int64).tolist()),
        "columns": [
            {
                "label": one.label,
                "panel": one.panel,
                "sign": " %" if one.percent else "",
                "digits": one.digits,
                "v": differences(whole(value, one.digits) for value in _multiples(one, kept)),
            }
            for one in columns
        ],
    }
    return f'<script type="application/json" class="values">{encoded(told)}</script>'


def _table(times: Times, columns: Sequence[Column]) -> str:
    """Return the table of a figure over time: of many rows those with the extremes."""
    x = svg.x_of(times)
    kept = np.unique(np.concatenate([_kept(x, one.values, max(_ROWS // len(columns), 1)) for one in columns]))
    whole = times.astype("M8[D]").astype(times.dtype) == times
    rows = [
        [
            str(times[at].astype("M8[D]" if whole.all() else "M8[s]")).replace("T", " "),
            *(cell(one.written(float(one.values[at]))) for one in columns),
        ]
        for at in kept.tolist()
    ]
    left = f'<p class="note">{len(rows):,} of {len(times):,} rows, the extremes among them.</p>'
    made = table(["Time (UTC)", *(text(one.label) for one in columns)], rows, label="The numbers of this figure")
    return made + (left if len(rows) < len(times) else "")


def _kept(x: Floats, values: Floats, columns: int) -> np.ndarray[Any, np.dtype[np.intp]]:
    there = np.flatnonzero(np.isfinite(values))
    return there[svg.keep(x[there], values[there], columns)] if len(there) else there


def _multiples(one: Column, kept: np.ndarray[Any, np.dtype[np.intp]]) -> list[float]:
    """Return values as they are written, of a percentage its percents."""
    values: list[float] = (one.values[kept] * (100.0 if one.percent else 1.0)).tolist()
    return values
