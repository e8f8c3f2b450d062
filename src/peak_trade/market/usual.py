"""The days and hours that bars usually keep, where no calendar says which."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from peak_trade.errors import InputError
from peak_trade.market.clocks import local_seconds
from peak_trade.market.timeframe import DAY, Times

__all__ = ["is_around", "usual_days", "usual_gaps"]

Seconds = npt.NDArray[np.int64]

WEEK = 7 * DAY
CLOCKS = ("UTC", "America/New_York", "Europe/London", "Australia/Sydney")
"""The ways in which clocks are moved: whose hours are the fewest is the clock that bars keep."""
_FEW_WEEKS, _FEW_DAYS = 3, 3
_ROUND = 20 * 3600  # more than the hours of any exchange's day
_SHORT = 1800  # no market pauses for less than half an hour
_MONDAY = 4 * DAY  # 1970-01-05


def is_around(timestamp: Times) -> bool:
    """Tell whether bars trade at weekends: on at least half of the Saturdays and of the Sundays between them."""
    days = _distinct(timestamp.astype("M8[D]"))
    return all(2 * _share(days, weekday) >= 1 for weekday in (5, 6))


def _share(days: Times, weekday: int) -> float:
    """Return on which share of a weekday there are bars; 0 where no such day is between the first and the last."""
    span = np.arange(days[0], days[-1] + np.timedelta64(1, "D"))
    of = int((_weekday(span) == weekday).sum())
    return int((_weekday(days) == weekday).sum()) / of if of else 0.0


def _distinct(ordered: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return each value of an array in order once: many times as fast as `np.unique`."""
    return ordered[np.concatenate(([True], ordered[1:] != ordered[:-1]))] if len(ordered) else ordered


def _weekday(days: Times) -> npt.NDArray[np.int64]:
    return (days.astype("M8[D]").view(np.int64) + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0


def _clock(timestamp: Times, step: int) -> Seconds:
    """Return the bars' times on the clock on which they keep the fewest times of the week, in seconds."""
    seconds = timestamp.astype("M8[s]").view(np.int64)
    if not np.count_nonzero(np.diff(seconds % DAY)):
        return seconds  # one time of the day
    best, fewest = seconds, _times_of_week(seconds, step)
    for zone in CLOCKS[1:]:
        try:
            local = local_seconds(zone, seconds)
        except InputError:  # a machine without time zones: UTC will do
            break
        if (kept := _times_of_week(local, step)) < fewest:
            best, fewest = local, kept
    return best


def _times_of_week(seconds: Seconds, step: int) -> int:
    return int(np.count_nonzero(np.bincount(seconds % WEEK // step)))


def usual_days(timestamp: Times) -> tuple[Times, Times]:
    """Return the day of each daily bar, and the days from first to last that usually have one, as M8[D].

    A weekday is usual where at least half of them have a bar; in less than three weeks, Monday to Friday are.
    """
    days = (_clock(timestamp, DAY) // DAY).view("M8[D]")
    span = np.arange(days[0], days[-1] + np.timedelta64(1, "D"))
    distinct = _distinct(days)
    shares = [_share(distinct, weekday) for weekday in range(7)]
    usual = [share >= 0.5 for share in shares] if len(span) >= 7 * _FEW_WEEKS else [weekday < 5 for weekday in range(7)]
    return days, span[np.array(usual)[_weekday(span)]]


def usual_gaps(timestamp: Times, step: int) -> Seconds:
    """Return the starts, in seconds of UTC, of the intraday bars that are usual and missing.

    A time of the week is usual where at least half of the weeks have a bar then. In less than three weeks, a time of
    the day is, where at least half of the days with bars have one, or where it is less than half an hour from one that
    is; of each day, from less than half an hour before its first bar to as long after its last. Where 20 hours of
    the day have bars on some day, or where there is one day alone, all those times are usual, in up to three days all
    times: what is left out then is a pause with a whole Saturday in it.
    """
    local = _clock(timestamp, step)
    phase = int(np.bincount(local % step).argmax()) if step <= DAY else 0
    slots = (local - phase) // step
    span = np.arange(slots.min(), slots.max() + 1)
    starts = span * step + phase
    have = np.zeros(len(span), bool)
    have[slots - span[0]] = True
    if starts[-1] - starts[0] >= _FEW_WEEKS * WEEK and WEEK % step == 0:
        time = (starts - _MONDAY) % WEEK // step
        usual = _often(time, have, WEEK // step, np.bincount(time, minlength=WEEK // step))[time]
    else:
        day = starts // DAY
        filled = _distinct(day[have])
        time = starts % DAY // step
        seen = np.bincount(time[have], minlength=DAY // step + 1)
        ever = seen > 0
        if len(filled) == 1 or np.count_nonzero(ever) * step >= _ROUND:  # round the clock, or no day to tell by
            usual = ~_over_weekends(slots, span, day)
            if len(filled) > _FEW_DAYS:
                usual &= ever[time]
        else:
            often = _often(time, have, DAY // step + 1, np.full(DAY // step + 1, len(filled)))
            edges = [np.flatnonzero(have & (day == one))[[0, -1]] for one in filled]
            within, reach = np.zeros(len(span), bool), max(_SHORT // step - 1, 0)
            for first, last in edges:
                within[max(first - reach, 0) : last + 1 + reach] = True
            usual = _close_up(often, _SHORT // step)[time] & within
    missing = np.flatnonzero(usual & ~have)
    # back to UTC: as far from the bar before it as on the bars' own clock
    before = np.searchsorted(local, starts[missing], side="right") - 1
    instants: Seconds = timestamp.astype("M8[s]").view(np.int64)
    starting: Seconds = instants[before] + starts[missing] - local[before]
    return starting


def _over_weekends(slots: Seconds, span: Seconds, day: Seconds) -> npt.NDArray[np.bool_]:
    """Return which slots of `span`, whose days are `day`, lie in a pause that a whole Saturday is in."""
    before = np.searchsorted(slots, span, side="right") - 1
    of_bar = day[slots - slots[0]]
    saturday = of_bar + (4 - _weekday(of_bar.view("M8[D]"))) % 7 + 1
    ends = np.append(of_bar[1:], of_bar[-1])
    pause: npt.NDArray[np.bool_] = (ends > saturday)[before]
    return pause


def _often(
    time: Seconds, have: npt.NDArray[np.bool_], times: int, possible: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    return 2 * np.bincount(time[have], minlength=times) >= np.maximum(possible, 1)


def _close_up(often: npt.NDArray[np.bool_], shortest: int) -> npt.NDArray[np.bool_]:
    """Return which times are usual, those between included where they are too few for a pause."""
    places = np.flatnonzero(often)
    closed = often.copy()
    for start, end in pairwise(places.tolist()):
        if end - start - 1 < shortest:
            closed[start:end] = True
    return closed
