"""What a reader of the figures must be told about the bars: left out, kept in spite of it, missing or odd.

None of it stops a run. `KINDS` says what each kind means; `check` looks for those that the bars themselves show, and
costs next to nothing where there is none of them: only the steps that are not the timeframe are looked at closely.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.market.bars import COLUMNS, Bars
from peak_trade.market.contract import OHLCV_RULES, Violations
from peak_trade.market.gaps import Gaps
from peak_trade.market.instants import iso
from peak_trade.market.timeframe import parse_timeframe, timeframe_seconds

__all__ = ["KINDS", "ROWS", "Finding", "check", "dropped", "ends", "finished", "kept", "now"]

KINDS = {
    "dropped": "rows that `drop-rows` left out",
    "kept": "rows that break the contract and that `warn` kept",
    "gaps": "bars missing against timeframe and calendar",
    "irregular": "steps that are neither the timeframe nor a multiple of it",
    "off_grid": "bars that do not open on the timeframe's grid",
    "filled": "bars that repeat the close before them, without volume",
    "unfinished": "a last bar that was not over when the run was made",
    "future": "bars that lay in the future when the run was made",
    "jump": "price steps that no plausible move across a break explains, and those that look like a split",
    "rate": "a calendar whose bars a year are not those that were observed",
}
ROWS = 1000  # rows of a finding that are kept, at most

SECOND, HOUR = 10**9, 3600 * 10**9
DAY = 24 * HOUR
IN_A_ROW, IN_A_ROW_WITHOUT_VOLUME = 3, 10
PLAUSIBLE = 10  # median true ranges, times the root of the bars' distance; a range is some 1.6 standard deviations
SMALLEST_RANGE = 1e-3  # a median range below this counts as this: prices in few digits
NEAR = 10
SAMPLE = 4096  # bars that the median range is taken from, at most
SPLITS = np.array([1.5, *range(2, 11), 15, 20, 25, 30, 40, 50, 100])
SPLIT_WITHIN = 0.04  # of a split's ratio, in logarithms: what the price moved besides

Indices = npt.NDArray[np.intp]
Ints = npt.NDArray[np.int64]
Place = Callable[[int], tuple[str, int]]


class Finding(Struct, frozen=True):
    """One thing to be said of the bars.

    `kind` is a word of `KINDS`, `count` how many rows or bars, `text` the sentence that a person reads, and `rows` what
    it is about (the first `ROWS` of them), a mapping of columns each.
    """

    kind: str
    count: int
    text: str
    rows: list[dict[str, Any]] = []


def now() -> np.datetime64:
    """Return the time of this machine's clock in UTC, to the nanosecond."""
    return np.datetime64(time.time_ns(), "ns")


def ends(timestamp: npt.NDArray[np.datetime64], timeframe: str) -> npt.NDArray[np.datetime64]:
    """Return when bars that open at these times (shape (N,)) are over: a timeframe later, months by the calendar.

    >>> ends(np.array(["2024-01-31"], "datetime64[ns]"), "1M").astype("datetime64[D]")
    array(['2024-03-02'], dtype='datetime64[D]')
    """
    count, unit = parse_timeframe(timeframe)
    if unit != "M":
        return timestamp + np.timedelta64(timeframe_seconds(timeframe), "s")
    months = timestamp.astype("datetime64[M]")
    later: npt.NDArray[np.datetime64] = (months + np.timedelta64(count, "M")).astype(timestamp.dtype) + (
        timestamp - months
    )
    return later


def finished(bars: Bars, at: np.datetime64) -> Bars:
    """Return the bars, in order of time, that were over at a time; the same object where all were."""
    whole = int(np.searchsorted(ends(bars.timestamp, bars.timeframe), at, side="right"))
    if whole == len(bars):
        return bars
    columns = {name: getattr(bars, name)[:whole] for name in COLUMNS}
    return Bars(**columns, symbol=bars.symbol, timeframe=bars.timeframe)


def check(
    bars: Bars, gaps: Gaps, *, calendar: str | None = None, at: np.datetime64 | None = None, place: Place | None = None
) -> list[Finding]:
    """Return what is to be said of bars that keep the contract's order (strictly increasing, prices above 0).

    `gaps` are those that were counted, `at` is the time that counts as now (default: the clock's), and `place` tells a
    bar's file and row.
    """
    found = _Found(bars, place)
    if gaps.missing:
        share = gaps.missing / (gaps.missing + len(bars))
        what = _count(gaps.missing, "bar is", "bars are")
        text = f"{what} missing, {100 * share:.1f} % of those due: first, {gaps.first[0]}"
        if calendar is None and parse_timeframe(bars.timeframe)[1] == "d":
            text += " (no calendar is given: holidays count too)"
        found.add("gaps", gaps.missing, text, rows=[{"why": why} for why in gaps.first])
    times = bars.timestamp.view(np.int64)
    step = timeframe_seconds(bars.timeframe) * SECOND
    steps = np.diff(times)
    breaks = np.flatnonzero(steps != step)
    _find_irregular(found, steps, breaks, step, calendar)
    _find_off_grid(found, breaks, step)
    _find_filled(found)
    _find_clock(found, now() if at is None else at)
    _find_jumps(found, steps, breaks, step)
    return found.findings


def dropped(bars: Bars, stay: Indices, violations: Violations, place: Place) -> Finding:
    """Tell of the rows that `drop-rows` left out of `bars`: all but those at `stay`."""
    gone = np.delete(np.arange(len(bars)), stay)
    found = _Found(bars, place)
    text = f"{_count(len(gone), 'row is', 'rows are')} left out by drop-rows: {_first(violations, place)}"
    why = _reasons(violations, gone, "is not later than the rows kept before it")
    times = bars.timestamp.view(np.int64)
    twin = stay[np.minimum(np.searchsorted(times[stay], times[gone]), len(stay) - 1)]
    repeats = (times[twin] == times[gone]) & ~violations.rows[gone]
    differ: list[str] = []
    for index in np.flatnonzero(repeats):
        row, other = gone[index], twin[index]
        values = [(name, getattr(bars, name)[row], getattr(bars, name)[other]) for name in COLUMNS[1:]]
        changed = [f"{name} {value:.12g} in place of {old:.12g}" for name, value, old in values if value != old]
        if changed:
            differ.append(f"{', '.join(changed)} of {_locate(place, int(other))}, which is kept")
            if index < ROWS:
                why[index] += f"; {differ[-1]}"
    if differ:
        text += f"; {_count(len(differ), 'row repeats', 'rows repeat')} a time with other values: {differ[0]}"
    found.add("dropped", len(gone), text, gone, why)
    return found.findings[0]


def kept(bars: Bars, violations: Violations, place: Place) -> Finding:
    """Tell of the rows that break the contract and that `warn` kept."""
    at = np.flatnonzero(violations.rows)
    found = _Found(bars, place)
    what = (
        f"{_count(len(at), 'row breaks', 'rows break')} the contract and" if len(at) else "the contract is broken and"
    )
    text = f"{what} {'is' if len(at) < 2 else 'are'} kept by warn: {_first(violations, place)}"
    found.add("kept", max(len(at), 1), text, at, _reasons(violations, at, ""))
    return found.findings[0]


def _first(violations: Violations, place: Place) -> str:
    return violations.lines(lambda row: _locate(place, row))[0]


def _locate(place: Place, row: int) -> str:
    path, number = place(row)
    return f"{os.path.basename(path)} row {number}"


def _reasons(violations: Violations, at: Indices, otherwise: str) -> list[str]:
    """Return for each row which rules it breaks, in words; for those that `ROWS` leaves room for."""
    said = []
    for row in at[:ROWS]:
        broken = [name for name, mask in violations.masks.items() if mask[row]]
        said.append("; ".join(f"{OHLCV_RULES[name].column} {OHLCV_RULES[name].must}" for name in broken) or otherwise)
    return said


class _Found:
    """The findings on some bars, as they are made."""

    def __init__(self, bars: Bars, place: Place | None) -> None:
        self.bars, self.place, self.findings = bars, place, list[Finding]()

    def add(
        self,
        kind: str,
        count: int,
        text: str,
        at: Indices | None = None,
        why: str | Sequence[str] = "",
        rows: Iterable[dict[str, Any]] = (),
    ) -> None:
        """Add one, about the bars `at` these indices, each for its reason or all for one."""
        told = [*rows][:ROWS]
        for number, index in enumerate(() if at is None else at[:ROWS].tolist()):
            row: dict[str, Any] = dict(zip(("file", "row"), self.place(index), strict=True)) if self.place else {}
            row["timestamp"] = iso(self.bars.timestamp[index])
            row |= {name: float(getattr(self.bars, name)[index]) for name in COLUMNS[1:]}
            told.append(row | {"why": why if isinstance(why, str) else why[number]})
        self.findings.append(Finding(kind, int(count), text, told))


def _find_irregular(found: _Found, steps: Ints, breaks: Indices, step: int, calendar: str | None) -> None:
    """Look for steps that are no multiple of the timeframe.

    An hour more or less is summer time (from 2h on). A day is a day whatever its hour was moved by; a week may begin
    some days later, a month is one if it is another month. Not counted is a break over night, where a calendar says
    that there are nights, and what comes again: up to three a day, at the same minute, on half of five days or more.
    """
    if not len(breaks):
        return
    bars, (_, unit) = found.bars, parse_timeframe(found.bars.timeframe)
    times, lengths = bars.timestamp.view(np.int64), steps[breaks]
    if unit == "M":
        months = bars.timestamp.astype("datetime64[M]").view(np.int64)
        odd = np.diff(months)[breaks] < 1
    elif unit == "w":
        weeks = (lengths + step // 2) // step
        odd = (weeks < 1) | (np.abs(lengths - weeks * step) > 3 * DAY)
    elif unit == "d":
        odd = ((lengths + HOUR) % DAY > 2 * HOUR) | (lengths < DAY - HOUR)
    else:
        rest = lengths % step
        odd = rest != 0
        if step > HOUR:
            odd &= (rest != HOUR) & (rest != step - HOUR)
        if calendar not in (None, "24/7") and odd.any():
            odd &= (lengths < 4 * HOUR) | (times[breaks] // DAY == times[breaks + 1] // DAY)
        if odd.any():
            odd &= ~_recurs(times, times[breaks + 1], odd)
    at = breaks[odd] + 1
    if len(at):
        first = f"the first of {_length(int(steps[at[0] - 1]))} before {iso(bars.timestamp[at[0]])}"
        what = _count(len(at), "step between bars is", "steps between bars are")
        text = f"{what} neither {bars.timeframe} nor a multiple of it, {first}"
        found.add(
            "irregular", len(at), text, at, [f"{_length(int(steps[row - 1]))} after the bar before" for row in at]
        )


def _recurs(times: Ints, after: Ints, odd: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Tell which of the odd steps (the bars `after` them) come at the same minute of an hour on most days."""
    days, minutes = after // DAY, after % HOUR
    all_days = len(np.unique(times // DAY))
    again = np.zeros(len(after), bool)
    _, a_day = np.unique(days[odd], return_counts=True)
    if all_days < 5 or np.median(a_day) > 3:
        return again
    for minute in np.unique(minutes[odd])[:60]:
        same = odd & (minutes == minute)
        if 2 * len(np.unique(days[same])) >= all_days:
            again |= same
    return again


def _find_off_grid(found: _Found, breaks: Indices, step: int) -> None:
    """Look for bars that do not open on the timeframe's grid.

    Sessions open at :30, :15 or :50, so that any five minutes (below a timeframe of 5m: a minute) are a grid, if more
    than a hundredth of the bars are on it, or lie an hour beside it (from 2h on: summer time).
    """
    bars, count = found.bars, len(found.bars)
    times = bars.timestamp.view(np.int64)
    starts = np.concatenate(([0], breaks + 1))  # between two breaks all bars share a phase
    grain = int(np.gcd(step, 300 * SECOND if step >= 300 * SECOND else 60 * SECOND))
    off = times[starts] % grain != 0
    if step < DAY and len(starts) > 1:
        phases, which = np.unique(times[starts] % step, return_inverse=True)
        held = np.bincount(which, np.diff(np.concatenate((starts, [count]))))
        rare = held <= max(1, count // 100)
        if rare.any() and 2 * held.max() > count and held.max() > 1:
            if step > HOUR:
                usual = phases[~rare]
                rare &= ~np.isin(phases, np.concatenate(((usual + HOUR) % step, (usual - HOUR) % step)))
            off |= rare[which]
    if off.any():
        stops = np.concatenate((starts[1:], [count]))
        at = np.concatenate([np.arange(starts[run], stops[run]) for run in np.flatnonzero(off)])
        many = "every bar opens" if len(at) == count else _count(len(at), "bar opens", "bars open")
        text = f"{many} off the grid of {bars.timeframe}, the first at {iso(bars.timestamp[at[0]])}"
        found.add("off_grid", len(at), text, at, f"off the grid of {bars.timeframe}")


def _find_filled(found: _Found) -> None:
    """Look for bars that were filled in: all four prices the close before, no volume, several in a row."""
    bars = found.bars
    idle = bars.volume == 0
    without = int(np.count_nonzero(idle))
    least = IN_A_ROW_WITHOUT_VOLUME if without == len(bars) else IN_A_ROW
    if without < least:
        return
    flat = np.zeros(len(bars) + 2, np.int8)  # one more on either side, so that each run has both its ends
    close = bars.close[1:]
    flat[2:-1] = (
        idle[1:] & (close == bars.close[:-1]) & (bars.open[1:] == close) & (bars.high[1:] == close)
        & (bars.low[1:] == close)
    )  # fmt: skip
    edges = np.diff(flat)
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    long = stops - starts >= least
    starts, stops = starts[long], stops[long]
    if not len(starts):
        return
    count, runs = int((stops - starts).sum()), _count(len(starts), "run", "runs")
    text = (
        f"{count:,} bars ({100 * count / len(bars):.1f} %) look filled in, {runs} of {least} or more with the close "
        f"before as every price and no volume, the first from {iso(bars.timestamp[starts[0]])}"
    )
    at = np.concatenate([np.arange(start, stop) for start, stop in zip(starts[:ROWS], stops[:ROWS], strict=True)])
    found.add("filled", count, text, at, "the close before it as every price, and no volume")


def _find_clock(found: _Found, at: np.datetime64) -> None:
    """Look for bars that lie in the future, and for one that is not over."""
    bars = found.bars
    begun = int(np.searchsorted(bars.timestamp, at, side="right"))
    if begun and (end := ends(bars.timestamp[begun - 1 : begun], bars.timeframe)[0]) > at:
        opened = iso(bars.timestamp[begun - 1])
        text = f"the bar of {opened} is not over until {iso(end)}: it counts as it stands, and may still change"
        found.add("unfinished", 1, text, np.array([begun - 1]), f"not over until {iso(end)}")
    if ahead := len(bars) - begun:
        first, clock = iso(bars.timestamp[begun]), iso(at.astype("datetime64[s]"))
        text = (
            f"{_count(ahead, 'bar lies', 'bars lie')} in the future, the first of {first}: by the clock it is {clock}"
        )
        found.add("future", ahead, text, np.arange(begun, len(bars)), f"after {clock}")


def _find_jumps(found: _Found, steps: Ints, breaks: Indices, step: int) -> None:
    """Look for price steps that are not plausible.

    Across a break of more than a bar and a half: from the close before it to the open or close after it, in logarithms,
    more than `PLAUSIBLE` times the median true range (of all bars, or of the `NEAR` on either side, if that is more),
    times the root of how many timeframes lie between. Between any two bars: beyond that too, within `SPLIT_WITHIN` of a
    split's ratio, and calm in the bar itself.
    """
    bars = found.bars
    before, opened = bars.close[:-1], bars.open[1:]
    with np.errstate(over="ignore"):  # of prices near the largest number
        steep = np.flatnonzero((opened > 1.4 * before) | (before > 1.4 * opened))
    broad = breaks[2 * steps[breaks] > 3 * step]
    if not len(steep) + len(broad):
        return
    typical = max(_true_range(bars, np.arange(1, len(bars), max(1, len(bars) // SAMPLE))), SMALLEST_RANGE)
    ways = np.log(np.stack([opened[broad], bars.close[broad + 1]])) - np.log(before[broad])
    moves = np.where(np.abs(ways[0]) >= np.abs(ways[1]), ways[0], ways[1])
    limits = PLAUSIBLE * np.sqrt(steps[broad] / step)
    far = np.abs(moves) > limits * typical
    for place in np.flatnonzero(far):  # where it is wilder than usual, a move may be
        row = int(broad[place]) + 1
        near = np.r_[max(1, row - NEAR) : row, row + 1 : min(len(bars), row + 1 + NEAR)]
        far[place] = np.abs(moves[place]) > limits[place] * _true_range(bars, near)
    at, moves = broad[far] + 1, moves[far]
    why = [f"{_percent(move)} across {_length(int(steps[row - 1]))}" for row, move in zip(at, moves, strict=True)]
    if len(steep):
        moves = np.log(opened[steep]) - np.log(before[steep])
        nearest = SPLITS[np.abs(np.log(SPLITS) - np.abs(moves)[:, None]).argmin(axis=1)]
        split = (np.abs(moves) > PLAUSIBLE * typical) & (np.abs(np.abs(moves) - np.log(nearest)) < SPLIT_WITHIN)
        split &= np.log(bars.high[steep + 1]) - np.log(bars.low[steep + 1]) < 4 * typical
        split &= ~np.isin(steep + 1, at)
        for move, factor in zip(moves[split], nearest[split], strict=True):
            name = "3:2" if factor == 1.5 else f"{factor:.0f}:1"
            way = "" if move < 0 else "reverse "
            why.append(f"{_percent(move)}, which looks like a {way}split of {name} that is not adjusted for")
        at = np.concatenate((at, steep[split] + 1))
        order = np.argsort(at, kind="stable")
        at, why = at[order], [why[place] for place in order]
    if len(at):
        row = int(at[0])
        prices = f"{bars.close[row - 1]:.6g} to {bars.open[row]:.6g} at {iso(bars.timestamp[row])}"
        text = f"{_count(len(at), 'price jump', 'price jumps')} beyond what is plausible: {why[0]} ({prices})"
        found.add("jump", len(at), text, at, why)


def _true_range(bars: Bars, rows: npt.NDArray[np.signedinteger]) -> float:
    """Return the median true range of these rows in logarithms, 0 of none."""
    if not len(rows):
        return 0.0
    before = bars.close[rows - 1]
    ranges = np.log(np.maximum(bars.high[rows], before)) - np.log(np.minimum(bars.low[rows], before))
    return float(np.median(ranges))


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _percent(move: float) -> str:
    """Return a logarithm as a change in percent, of what is beyond any scale as a multiple."""
    return f"{100 * np.expm1(move):+,.0f} %" if abs(move) < 10 else f"a factor of e^{move:.0f}"


def _length(nanoseconds: int) -> str:
    """Return a length of time in the largest unit that it is a whole number of; in hours or days with a decimal.

    >>> _length(90 * 60 * 10**9), _length(86_400 * 10**9), _length(100 * 3600 * 10**9)
    ('90m', '1d', '4.2d')
    """
    for unit, size in (("d", DAY), ("h", HOUR), ("m", 60 * SECOND), ("s", SECOND)):
        if nanoseconds % size == 0 and nanoseconds // size < 100:
            return f"{nanoseconds // size}{unit}"
    unit, size = ("d", DAY) if nanoseconds >= 2 * DAY else ("h", HOUR) if nanoseconds >= 2 * HOUR else ("s", SECOND)
    return f"{nanoseconds / size:.1f}{unit}"
