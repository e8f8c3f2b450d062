"""Sessions: the days on which a calendar trades with their hours, and the bars that a timeframe has in them."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from peak_trade.market import exchanges
from peak_trade.market.calendar import CALENDARS, NYSE_CALENDARS, Calendar
from peak_trade.market.clocks import local_days, midnights
from peak_trade.market.holidays import RULES_SINCE, nyse_half_days, nyse_holidays
from peak_trade.market.timeframe import DAY, Times

__all__ = [
    "Grid",
    "Hours",
    "Sessions",
    "expected_bars",
    "grid_of",
    "has_bar",
    "is_built_in",
    "pauses",
    "rules_suffice",
    "sessions_between",
    "trading_days",
]

Hours = tuple[tuple[int, int], ...]
"""Stretches of trading, open and close, in seconds from the local midnight of the day that they belong to."""
Seconds = npt.NDArray[np.int64]
_ONE = np.timedelta64(1, "D")
_PAUSED = 3
_NYSE_HALF_DAY = (9 * 3600 + 1800, 13 * 3600)


class Sessions(NamedTuple):
    """Trading days (M8[D], in order), the distinct hours they keep, and which of these each keeps: shape (S,) both.

    `base` are the instants from which the hours of each count, in seconds of UTC; of days alone there are none.
    """

    days: Times
    hours: list[Hours]
    kind: npt.NDArray[np.int64]
    base: Seconds


@cache
def _hours(text: str) -> Hours:
    """Read hours as `calendar.Calendar` writes them."""
    times = [int(at[:2]) * 3600 + int(at[3:]) * 60 for at in text.replace(" ", "-").split("-")]
    for index in reversed(range(len(times) - 1)):
        if times[index] >= times[index + 1]:
            times[index] -= DAY  # the evening before
    return tuple(zip(times[::2], times[1::2], strict=True))


def sessions_between(
    calendar: Calendar, first: Any, last: Any, *, regular: bool = False, asked: bool = False, hourly: bool = True
) -> Sessions:
    """Return the sessions from one day to another, both included.

    They are the week's days; for New York less its holidays, by rule; where `asked`, what `exchange_calendars` knows,
    as far as it does. `regular` leaves holidays and half days aside; where not `hourly`, days are all that is wanted.
    """
    span = np.arange(np.datetime64(first, "D"), np.datetime64(last, "D") + _ONE)
    closed: list[Any] = []
    short: dict[Any, tuple[int, int]] = {}
    if calendar.name in NYSE_CALENDARS and not regular:
        years = (int(str(span[0])[:4]), int(str(span[-1])[:4]))
        closed = list(nyse_holidays(*years))
        short = {np.datetime64(day): _NYSE_HALF_DAY for day in nyse_half_days(*years)}
    days = span[np.is_busday(span, weekmask=calendar.week, holidays=np.array(closed, "M8[D]"))]
    known = exchanges.schedule(calendar.name, span[0], span[-1]) if asked and len(span) else None
    if known is not None:
        beyond = days[(days < known.first) | (days > known.last)]
        days, short = np.union1d(beyond, known.days), known.short
    since = np.array([day or "0001-01-01" for day, _ in calendar.hours], "M8[D]")
    kind = np.searchsorted(since, days, side="right") - 1
    hours = [_hours(text) for _, text in calendar.hours]
    for day, ends in short.items():
        at = int(np.searchsorted(days, day))
        if at < len(days) and days[at] == day:
            shortened = _within(hours[kind[at]], ends)
            if shortened not in hours:
                hours.append(shortened)
            kind[at] = hours.index(shortened)
    return Sessions(days, hours, kind, midnights(calendar.zone, days) if hourly else np.array([], np.int64))


def _within(hours: Hours, ends: tuple[int, int]) -> Hours:
    """Return hours between another open and close, which may also be later than theirs."""
    if ends[1] > hours[-1][1]:
        hours = (*hours[:-1], (hours[-1][0], ends[1]))
    kept = [(max(start, ends[0]), min(end, ends[1])) for start, end in hours]
    return tuple((start, end) for start, end in kept if start < end)


def rules_suffice(calendar: Calendar, first: Times) -> bool:
    """Tell whether the built-in rules alone know the sessions from a time on: those of New York do."""
    if calendar.name in NYSE_CALENDARS:
        return bool(first >= np.datetime64(f"{RULES_SINCE}-01-01"))
    return calendar.name in ("24/7", "24/5")


def is_built_in(calendar: Calendar) -> bool:
    """Tell whether a calendar needs no other package."""
    return calendar.name in CALENDARS


def trading_days(timestamp: Times, calendar: Calendar, sessions: Times) -> Times:
    """Return the trading day (M8[D]) of each daily bar, however it is stamped.

    A day may be stamped by its date, at a local hour, or on the evening before: at midnight of the east, or at the
    open of a session that crosses midnight. The way that finds the most of `sessions` is theirs.
    """
    plain = timestamp.astype("M8[D]")
    best, most = plain, _hits(plain, sessions)
    for other in (lambda: local_days(calendar.zone, timestamp), lambda: (plain.view(np.int64) + 1).view("M8[D]")):
        if most == len(timestamp):
            break
        days = other()
        if (found := _hits(days, sessions)) > most:
            best, most = days, found
    return best


def _hits(days: Times, sessions: Times) -> int:
    return len(np.intersect1d(days, sessions))


class Grid(NamedTuple):
    """Where in a session the bars of a timeframe begin, as read off the bars.

    `phase` is what is left of a bar's start, in seconds, after whole steps: from the open of each stretch of trading
    (by its place in the session), or, where `fixed` is no None, of UTC. `early` tells, by the place of a stretch and
    by how long after its open the grid goes on, whether there is a bar that begins before the open and holds it.
    """

    step: int
    phase: tuple[int, ...]
    fixed: int | None
    early: dict[tuple[int, int], bool]

    def starts(self, hours: Hours, base: int) -> Seconds:
        """Return the starts of a session's bars, in seconds from its midnight."""
        pieces = []
        for place, (start, end) in enumerate(hours):
            behind = self._phase(place) if self.fixed is None else (self.fixed - base - start) % self.step
            first = start + behind - (self.step if behind and self._early(place, behind) else 0)
            pieces.append(np.arange(first, end, self.step, dtype=np.int64))
        return np.unique(np.concatenate(pieces)) if pieces else np.array([], np.int64)

    def _phase(self, place: int) -> int:
        return self.phase[place] if place < len(self.phase) else 0

    def _early(self, place: int, behind: int) -> bool:
        if (place, behind) in self.early:
            return self.early[place, behind]
        if self.fixed is None:
            return False
        seen = [found for (of, after), found in self.early.items() if of == place and after]
        return 2 * sum(seen) >= len(seen)  # where the clock is moved as in no bar, as on other days; else it holds it

    def groups(self, sessions: Sessions) -> list[tuple[npt.NDArray[np.bool_], Seconds]]:
        """Return which sessions have the same bars, as masks of shape (S,), and the starts of these."""
        turn = np.zeros(len(sessions.base), np.int64) if self.fixed is None else sessions.base % self.step
        found = []
        for kind in np.unique(sessions.kind):
            for rest in np.unique(turn[sessions.kind == kind]):
                mask = (sessions.kind == kind) & (turn == rest)
                found.append((mask, self.starts(sessions.hours[kind], int(rest))))
        return found


class _Stretch(NamedTuple):
    """The bars of one stretch of trading: which begin in it or shortly before it opens, and how long after the open."""

    inside: npt.NDArray[np.bool_]
    before: npt.NDArray[np.bool_]
    apart: npt.NDArray[np.bool_]  # of every bar, that its session opens at least a step after the one before
    behind: Seconds  # of every bar, from the open that `inside` or `before` speaks of
    session: Seconds


def grid_of(seconds: Seconds, sessions: Sessions, step: int) -> Grid:
    """Read off bars (starts in seconds of UTC, in order) how they lie in the sessions; `step` is their length."""
    places = max((len(hours) for hours in sessions.hours), default=0) if len(sessions.days) and len(seconds) else 0
    stretches = [_stretch(seconds, sessions, place, step) for place in range(places)]
    phase, on_grid, any_inside = [], 0, np.zeros(len(seconds), bool)
    for found in stretches:
        at, count = _mode(found.behind[found.inside if found.inside.any() else found.before] % step)
        phase.append(at)
        on_grid += count if found.inside.any() else 0
        any_inside |= found.inside
    fixed, count = _mode(seconds[any_inside] % step)
    by_clock = count <= on_grid
    early = {}
    for place, (found, at) in enumerate(zip(stretches, phase, strict=True)):
        rest = found.behind % step
        on = rest == at if by_clock else seconds % step == fixed
        for behind in np.unique(rest[on]).tolist():
            # where the session before has just closed, a bar that holds the open may be that one's: it tells nothing
            masks = (mask & on & found.apart & (rest == behind) for mask in (found.inside, found.before))
            holders, leaders = (_distinct(found.session[mask]) for mask in masks)
            if holders or leaders:
                early[place, behind] = 2 * leaders >= holders
    return Grid(step, tuple(phase), None if by_clock else fixed, early)


def _distinct(ordered: Seconds) -> int:
    return int(np.count_nonzero(np.diff(ordered))) + 1 if len(ordered) else 0


def _stretch(seconds: Seconds, sessions: Sessions, place: int, step: int) -> _Stretch:
    spans = [hours[place] if place < len(hours) else (0, 0) for hours in sessions.hours]
    opens, closes = (sessions.base + np.array([span[i] for span in spans], np.int64)[sessions.kind] for i in (0, 1))
    at = np.searchsorted(opens, seconds, side="right") - 1
    inside = (at >= 0) & (seconds < closes[np.maximum(at, 0)])
    following = np.minimum(at + 1, len(opens) - 1)
    before = ~inside & (opens[following] > seconds) & (opens[following] - seconds < step)
    session = np.where(before, following, np.maximum(at, 0))
    apart = np.append(True, opens[1:] - step >= closes[:-1])
    return _Stretch(inside, before, apart[session], seconds - opens[session], session)


def _mode(values: Seconds) -> tuple[int, int]:
    """Return the commonest value, the lowest of several, and how often it occurs."""
    counts = np.bincount(values) if len(values) else np.array([0])  # they are less than a step
    return int(np.argmax(counts)), int(counts.max())


def expected_bars(sessions: Sessions, grid: Grid, first: int, last: int) -> tuple[Seconds, Seconds]:
    """Return the starts of the bars that sessions have from the first bar to the last, and where in a session each is.

    Both in seconds: of UTC, in order, and from the session's midnight.
    """
    starts, places = [np.array([], np.int64)], [np.array([], np.int64)]
    for mask, offsets in grid.groups(sessions):
        base = sessions.base[mask]
        starts.append((base[:, None] + offsets).ravel())
        places.append(np.tile(offsets, len(base)))
    start, place = np.concatenate(starts), np.concatenate(places)
    kept = (start > first - grid.step) & (start <= last)
    start, at = np.unique(start[kept], return_index=True)  # a bar may hold the end of a session and the next one's open
    return start, place[kept][at]


def has_bar(expected: Seconds, seconds: Seconds, step: int) -> npt.NDArray[np.bool_]:
    """Tell of each expected start whether a bar begins between it and its end."""
    seen = np.zeros(len(expected), bool)
    if len(expected):
        at = np.searchsorted(expected, seconds, side="right") - 1
        seen[at[(at >= 0) & (seconds < expected[np.maximum(at, 0)] + step)]] = True
    return seen


def pauses(seconds: Seconds, sessions: Sessions, grid: Grid) -> Seconds:
    """Return the places in a session that no session has a bar at, of at least three: the instrument's own pause.

    None where such are more than a tenth of all places: then much is missing.
    """
    expected, place = (
        expected_bars(sessions, grid, int(seconds[0]), int(seconds[-1])) if len(seconds) else (seconds,) * 2
    )
    seen = has_bar(expected, seconds, grid.step)
    lowest = int(place.min()) if len(place) else 0
    sessions_of = np.bincount(place - lowest)
    held = np.bincount(place[seen] - lowest, minlength=len(sessions_of))
    empty = np.flatnonzero((held == 0) & (sessions_of >= _PAUSED)) + lowest
    few: Seconds = empty if 10 * len(empty) <= np.count_nonzero(sessions_of) else empty[:0]
    return few
