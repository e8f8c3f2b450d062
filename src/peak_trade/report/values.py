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
from peak_trade.report.markup import cell, number, percent, table, text
from peak_trade.stats.values import Floats, Times

__all__ = ["Column", "disclosed", "encoded", "for_script"]

_ROWS = 50  # columns of time that the table keeps at most four rows of
_MOST = 4 * _ROWS


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


def encoded(value: Any) -> str:
    """Return a value as JSON with nothing in it that would end an element of a page, the fence or a line."""
    content = msgspec.json.encode(value).decode()
    for mark in "<>&`":
        content = content.replace(mark, f"\\u{ord(mark):04x}")
    return content


def for_script(times: Times, columns: Sequence[Column]) -> str:
    """Return the element with the points that are drawn.

    `t` are seconds since 1970, of each column `v` whole multiples of 10 ** -`digits` (of a percent, where it is one),
    null where there is none; both in differences, those of `v` from the value before that is there.
    """
    x = svg.x_of(times)
    kept = np.unique(np.concatenate([_kept(x, one.values, svg.COLUMNS) for one in columns]))
    told = {
        "t": _differences(times[kept].astype("M8[s]").astype(np.int64)),
        "columns": [
            {
                "label": one.label,
                "panel": one.panel,
                "sign": " %" if one.percent else "",
                "digits": one.digits,
                "v": _scaled(one, kept),
            }
            for one in columns
        ],
    }
    return f'<script type="application/json" class="values">{encoded(told)}</script>'


def disclosed(times: Times, columns: Sequence[Column], label: str) -> str:
    """Return the table of a figure behind a disclosure: of many rows those with the extremes."""
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
    told = f"{len(rows):,} of {len(times):,} rows, extremes among them" if len(rows) < len(times) else "All rows"
    made = table(["Time (UTC)", *(text(one.label) for one in columns)], rows, label=f"Data: {text(label)}")
    return f'<details class="data"><summary>Data</summary><p class="note">{told}.</p>{made}</details>'


def _kept(x: Floats, values: Floats, columns: int) -> np.ndarray[Any, np.dtype[np.intp]]:
    there = np.flatnonzero(np.isfinite(values))
    return there[svg.keep(x[there], values[there], columns)] if len(there) else there


def _scaled(one: Column, kept: np.ndarray[Any, np.dtype[np.intp]]) -> list[int | None]:
    values = one.values[kept] * (100.0 if one.percent else 1.0) * 10.0**one.digits
    found: list[int | None] = []
    before = 0
    for value in values.tolist():
        if np.isnan(value):
            found.append(None)
            continue
        whole = round(value)
        found.append(whole - before)
        before = whole
    return found


def _differences(values: np.ndarray[Any, np.dtype[np.int64]]) -> list[int]:
    made: list[int] = np.diff(values, prepend=0).tolist()
    return made
