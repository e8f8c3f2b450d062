"""Times of a place to UTC, by the zone's own rules.

An hour that a clock shows twice is told by the order of the rows: it is the first until the clock steps back, then the
second. A day that begins in a gap begins when the gap ends; any other time that no clock ever showed is refused.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from peak_trade.errors import InputError, did_you_mean
from peak_trade.market.hints import under_data
from peak_trade.market.instants import DAY_NS, MISSING, Unreadable

__all__ = ["find_zone", "to_utc"]

Ints = npt.NDArray[np.int64]
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 (local times have no zone)


@lru_cache
def find_zone(name: str) -> Any:
    """Return the zone of an IANA name; InputError where there is none of that name, or no zones at all."""
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = zoneinfo.available_timezones()
    if not known:
        raise InputError(
            f"timezone `{name}` can't be looked up: this machine has no time zones",
            hint="just setup calendars brings the time zones (the package tzdata)",
        )
    hint = did_you_mean(name, known)
    offset = re.fullmatch(r"(?:UTC|GMT)?([+-])0?(\d{1,2})(?::?00)?", name)
    if offset and (zone := f"Etc/GMT{'-' if offset[1] == '+' else '+'}{offset[2]}") in known:  # its signs are POSIX's
        hint = under_data({"timezone": zone}, lead="an IANA name: that is")
    elif not hint.startswith("did"):
        hint = under_data({"timezone": "America/New_York"}, lead="an IANA name, such as")
    raise InputError(f"unknown timezone `{name}`", hint=hint)


def to_utc(values: Ints, name: str) -> tuple[Ints, int]:
    """Return nanoseconds in UTC of local ones, in their own order, and how many times shown twice stand there once.

    Errors: `Unreadable` with the first row whose time the zone never had.
    """
    zone = find_zone(name)
    known = np.flatnonzero(values != MISSING)
    if len(known) > 1 and values[known[0]] > values[known[-1]]:
        known = known[::-1]
    local = values[known]
    days, day_of = np.unique(local // DAY_NS, return_inverse=True)
    offset = np.array([_even_offset(zone, int(day)) for day in days], np.int64)[day_of]
    once = 0
    if len(rows := np.flatnonzero(offset == MISSING)):
        times, at, count = np.unique(local[rows], return_inverse=True, return_counts=True)
        first, second = (np.array([_offset(zone, int(time), fold) for time in times], np.int64)[at] for fold in (0, 1))
        midnight = local[rows] % DAY_NS == 0
        if (never := (first < second) & ~midnight).any():
            wrong = known[rows[np.flatnonzero(never)]]
            raise Unreadable(int(wrong.min()), f"is a time that no clock showed in {name}")
        folds = _folds(rows, local[rows], first > second)
        once = int(np.count_nonzero((first > second) & (count[at] == 1) & ~midnight))
        offset[rows] = np.where(folds, second, first)
    result = np.full(len(values), MISSING)
    result[known] = local - offset
    return result, once


def _folds(rows: Ints, local: Ints, twice: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Tell which of some rows, in order of time, are of the second showing of an hour that is shown twice."""
    folds = np.zeros(len(rows), bool)
    for at in np.flatnonzero(twice):
        if at and twice[at - 1] and rows[at] == rows[at - 1] + 1 and local[at] - local[at - 1] < DAY_NS:
            folds[at] = folds[at - 1] or local[at] <= local[at - 1]
    return folds


def _even_offset(zone: Any, day: int) -> int:
    """Return the offset of a whole local day in nanoseconds, `MISSING` where it changes within it."""
    offsets = {_offset(zone, day * DAY_NS + at * DAY_NS // 4, fold) for at in range(5) for fold in (0, 1)}
    return offsets.pop() if len(offsets) == 1 else MISSING


def _offset(zone: Any, local: int, fold: int) -> int:
    time = (_EPOCH + dt.timedelta(microseconds=local // 1000)).replace(fold=fold)
    offset = zone.utcoffset(time)
    return int(offset.days * 86_400 + offset.seconds) * 10**9
