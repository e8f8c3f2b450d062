"""The stretch of bars that is used: `start` and `end` of `[data]`, as dates, times, or so long before the last bar."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from peak_trade.errors import InputError
from peak_trade.market.hints import under_data
from peak_trade.market.instants import MISSING, Unreadable, iso
from peak_trade.market.timestamps import TimestampColumn

__all__ = ["check_bounds", "months_before", "so_long_before", "within"]

_RELATIVE = re.compile(r"-(\d{1,5})(y|M|w|d|h|m)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ].*)?")
_SECONDS = {"w": 7 * 86_400, "d": 86_400, "h": 3600, "m": 60}

Times = npt.NDArray[np.datetime64]


def check_bounds(start: str | None, end: str | None, zone: str | None) -> None:
    """Refuse a start or end that is no date, no time and nothing like `-5y`, and a start that is not before the end."""
    last = np.datetime64("2024-01-31", "ns")
    bounds = [_bound(name, text, last, zone) for name, text in (("start", start), ("end", end)) if text]
    alike = [bool(_RELATIVE.fullmatch(text)) for text in (start, end) if text]
    if len(bounds) == 2 and alike[0] == alike[1] and bounds[0] >= bounds[1]:
        swapped = (
            under_data({"start": end, "end": start})
            if bounds[0] > bounds[1]
            else "leave end out, which is not included, or move it"
        )
        raise InputError(f"start {start} is not before end {end}", hint=swapped)


def within(
    times: Times, start: str | None, end: str | None, zone: str | None
) -> tuple[npt.NDArray[np.bool_], list[str]]:
    """Return which of some times lie from `start` on and before `end`, and what that leaves out, in sentences.

    A time that is missing lies within: that it is missing is for others to say. Raises InputError where none is left.
    """
    known = times[~np.isnat(times)]
    kept = np.ones(len(times), bool)
    if not len(known):
        return kept, []
    first, last = known.min(), known.max()
    said = []
    for name, text in (("start", start), ("end", end)):
        if text:
            at = _bound(name, text, last, zone)
            out = times < at if name == "start" else times >= at
            kept &= ~out
            shown = text if iso(at).startswith(text) else f"{text}, {iso(at)}"
            side = "before it" if name == "start" else "from it on"
            said.append(f"{name} is {shown}: {np.count_nonzero(out):,} of {len(times):,} bars {side} are left out")
    if not (kept & ~np.isnat(times)).any():
        keys = {"start": iso(first)} | ({"end": iso(last + np.timedelta64(1, "D"))} if end else {})
        raise InputError(
            f"no bar is left: the bars run from {iso(first)} to {iso(last)}, and {' and '.join(said)}",
            hint=under_data(keys),
        )
    return kept, said


def so_long_before(length: str, last: np.datetime64) -> np.datetime64:
    """Return the time that lies a length, such as `365d` or `1y`, before the last bar's.

    >>> str(so_long_before("1y", np.datetime64("2024-02-29", "ns")))[:10]
    '2023-02-28'
    """
    return _bound("length", f"-{length}", last, None)


def _bound(name: str, text: str, last: np.datetime64, zone: str | None) -> np.datetime64:
    if found := _RELATIVE.fullmatch(text):
        count, unit = int(found[1]), found[2]
        if unit in _SECONDS:
            return last - np.timedelta64(count * _SECONDS[unit] * 10**9, "ns")
        return months_before(last, count * (12 if unit == "y" else 1))
    if not _DATE.fullmatch(text):
        better = {4: f"{text}-01-01", 7: f"{text}-01"}.get(len(text), "")
        raise InputError(
            f"{name} is {text[:60]!r}, and is a date, a time, or such as -5y for the five years before the last bar",
            hint=under_data({name: better})
            if _DATE.fullmatch(better)
            else f"leave {name} out, or say such as 2020-01-31",
        )
    column = TimestampColumn()
    try:
        column.add([text])
        values, _ = column.finish(zone or "")
    except Unreadable as error:
        raise InputError(
            f"{name} is {text[:60]!r}: it {error.reason}", hint=f"leave {name} out, or say such as 2020-01-31"
        ) from None
    if values.view(np.int64)[0] == MISSING:
        raise InputError(f"{name} is {text[:60]!r}, which is no time", hint=f"leave {name} out")
    bound: np.datetime64 = values[0]
    return bound


def months_before(time: np.datetime64, months: int) -> np.datetime64:
    """Return a time so many calendar months earlier, on the last day of a month that is shorter."""
    month = time.astype("datetime64[M]")
    there = month - np.timedelta64(months, "M")
    day = (time.astype("datetime64[D]") - month.astype("datetime64[D]")).astype(int)
    length = ((there + np.timedelta64(1, "M")).astype("datetime64[D]") - there.astype("datetime64[D]")).astype(int)
    clock = time - time.astype("datetime64[D]").astype("datetime64[ns]")
    moved: np.datetime64 = (there.astype("datetime64[D]") + np.timedelta64(min(int(day), int(length) - 1), "D")).astype(
        "datetime64[ns]"
    ) + clock
    return moved
