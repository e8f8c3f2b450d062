"""Are bars that come in those of the series, or of another instrument? Pure functions on arrays.

Values of bars that are known may change a little: a vendor corrects, a bar was not over when it was first seen. Where
more than a small share has changed, or a price has moved as no correction moves it, the bars are another instrument's
until a person says otherwise. A split explains itself: it scales every price of a stretch by one ratio of small whole
numbers, and volume inversely.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.market.instants import iso

__all__ = ["SHARE", "Verdict", "Watched", "judge", "seam"]

SHARE = 0.05
"""The share of the bars in common that may have other values."""

PRICES = ("open", "high", "low", "close")
VALUES = (*PRICES, "volume")
Watched = Mapping[str, npt.NDArray[Any]]
"""Bars as columns: `timestamp` in microseconds since 1970, then `VALUES`."""

_Mask = npt.NDArray[np.bool_]
_JUMP, _LEAST_JUMP = 10.0, 0.05  # a changed price: times the usual range of a bar, and at least so much
_STEP, _LEAST_STEP = 20.0, 1.0  # from a known bar to a new one, where anything may have happened between
_FARTHEST = 5.0  # times, however long the time between
_STRETCH = 3  # bars, at least: one bar can be scaled by chance
_SPLITS = 8  # of one series, at most
_RATIOS = np.array(sorted({p / q for p in range(1, 22) for q in range(1, 22) if p != q} | set(range(22, 1001))))
_RATIOS = np.unique(np.concatenate((_RATIOS, 1 / _RATIOS)))


class Verdict(Struct, frozen=True):
    """What was found of the bars in common: `compared`, `revised` of them, `notes` on splits; `against`, if anything.

    `at` is the row, of the bars in common, that shows it best.
    """

    compared: int = 0
    revised: int = 0
    notes: list[str] = []
    against: str = ""
    at: int = 0


def judge(old: Watched, new: Watched, *, whole: tuple[bool, bool], share: float = SHARE) -> Verdict:
    """Compare the bars that are in the lake with those of the same times that come in, in order of time.

    `whole` says whether the first and the last bar of the series are among them. The last one may have grown: what was
    not over when it was first seen is no revision.
    """
    changed = differing(old, new)
    count, revised = len(changed), int(changed.sum())
    if not revised:
        return Verdict(count)
    splits, notes, halves = _splits(old, new, changed, whole)
    rest = changed & ~splits
    if whole[1] and rest[-1] and _grown(old, new):
        rest[-1] = False
    moved = np.zeros(count)
    for name in PRICES:
        moved = np.maximum(moved, np.where(rest, np.abs(_log(new[name]) - _log(old[name])), 0.0))
    far = moved > max(_LEAST_JUMP, _JUMP * _usual(old))
    at = int(np.argmax(moved)) if moved.any() else int(np.argmax(rest))
    many = int(rest.sum())
    against = []
    if many > max(1, share * count):
        against.append(f"{many:,} of {count:,} bars in common have other values, where {100 * share:.3g} % may")
    if far.any():
        name = max(PRICES, key=lambda name: abs(_log(new[name][at]) - _log(old[name][at])))
        against.append(
            f"{name} at {stamp(new, at)} is {new[name][at]:.6g} instead of {old[name][at]:.6g}, which no split explains"
        )
    if against:
        against += halves or _scaled(old, new, rest)
    return Verdict(count, revised, notes, "; ".join(against), at)


def differing(old: Watched, new: Watched) -> _Mask:
    """Return which bars have another value."""
    differs = np.zeros(len(new["close"]), bool)
    for name in VALUES:
        differs |= old[name] != new[name]
    return differs


def seam(before: Watched, after: Watched, seconds: int) -> tuple[str, str]:
    """Look at the step from the last bars before to the first after, of which one side is new; `seconds`: a bar's.

    Return what is against it, else a note where a split explains it, and the empty text for nothing.
    """
    last, first = len(before["close"]) - 1, 0
    apart = float(after["timestamp"][first] - before["timestamp"][last]) / (1e6 * seconds)
    if apart < 0.5:
        here, there = stamp(before, last), stamp(after, first)
        return f"the bars at {here} and {there} are nearer than a bar is long: one of them is stamped otherwise", ""
    step = float(_log(after["open"][first]) - _log(before["close"][last]))
    bars = max(1.0, apart)
    usual = max(_usual(before), _usual(after))
    if abs(step) * (1 + 1e-9) < min(max(np.log(1 + _LEAST_STEP), _STEP * usual * bars**0.5), np.log(_FARTHEST)):
        return "", ""
    told = (
        f"from {before['close'][last]:.6g} at {stamp(before, last)} "
        f"to {after['open'][first]:.6g} at {stamp(after, first)}"
    )
    near = _nearest(np.array([np.exp(-step)]))[0]
    volumes = [float(np.median(side["volume"])) for side in (before, after)]
    if abs(step + np.log(near)) <= 3 * usual * bars**0.5 and min(volumes) > 0:
        scaled = np.log(volumes[1] / volumes[0])
        if abs(scaled - np.log(near)) < abs(scaled):
            return "", f"the step {told} is as of a split of {_named(near)}; the bars before are not adjusted for it"
    return f"the step {told} is one that no split explains", ""


def stamp(bars: Watched, row: int) -> str:
    """Return the time of a bar as text."""
    return iso(np.int64(bars["timestamp"][row]).view("M8[us]").astype("M8[ns]"))


def _log(values: Any) -> Any:
    return np.log(np.maximum(values, 1e-300))


def _usual(bars: Watched) -> float:
    """Return the usual movement of a price in a bar: the median of its range, or of the step from close to close."""
    ranges = _log(bars["high"]) - _log(bars["low"])
    steps = np.abs(np.diff(_log(bars["close"])))
    return max(float(np.median(ranges)), float(np.median(steps)) if len(steps) else 0.0)


def _grown(old: Watched, new: Watched) -> bool:
    """Tell whether the last bar is what an unfinished one becomes: the same open, a range and a volume that hold it."""
    last = -1
    return bool(
        new["open"][last] == old["open"][last]
        and new["high"][last] >= old["high"][last]
        and new["low"][last] <= old["low"][last]
        and new["volume"][last] >= old["volume"][last]
    )


def _splits(old: Watched, new: Watched, changed: _Mask, whole: tuple[bool, bool]) -> tuple[_Mask, list[str], list[str]]:
    """Return the bars that splits explain, a note on each split, and what is told of one that explains nothing."""
    explained = np.zeros(len(changed), bool)
    ratios = np.zeros(len(changed))
    rest = changed.copy()
    while rest.any() and np.count_nonzero(np.unique(ratios)) < _SPLITS:
        where = np.flatnonzero(rest)
        near = _nearest(old["close"][where] / new["close"][where])
        candidates, votes = np.unique(near[_scaled_by(old, new, where, near)], return_counts=True)
        if not len(candidates):
            break
        ratio = candidates[np.argmax(votes)]
        fits = where[_scaled_by(old, new, where, np.full(len(where), ratio))]
        ratios[fits] = ratio
        rest[fits] = False
    lead = int(np.argmin(ratios > 0)) if not (ratios > 0).all() else len(ratios)
    tail = len(ratios) - (int(np.argmin(ratios[::-1] > 0)) if not (ratios > 0).all() else len(ratios))
    notes, halves = [], []
    for start, end, reaches, side in ((0, lead, whole[0], "before"), (tail, len(ratios), whole[1], "after")):
        if end - start < _STRETCH or explained[start:end].all():
            continue
        turns = [start, *(start + 1 + np.flatnonzero(np.diff(ratios[start:end]))), end]
        for first, after in pairwise(turns):
            text = (
                f"{after - first:,} bars from {stamp(new, first)} to {stamp(new, after - 1)} "
                f"are scaled as by a split of {_named(ratios[first])}"
            )
            if reaches:
                notes.append(text)
            else:
                halves.append(f"{text}, and the lake has bars {side} them that are not")
        explained[start:end] = reaches
    return explained, notes, halves


def _nearest(ratios: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    at = np.clip(np.searchsorted(_RATIOS, ratios), 1, len(_RATIOS) - 1)
    below, above = _RATIOS[at - 1], _RATIOS[at]
    return np.where(ratios / below < above / ratios, below, above)


def _scaled_by(
    old: Watched, new: Watched, rows: npt.NDArray[np.intp], ratio: npt.NDArray[np.float64], *, volume: bool = True
) -> _Mask:
    """Tell of each row whether its prices are the old ones divided by `ratio`, and its volume the old one times it.

    Both sides are rounded as their figures are, prices to at most a hundredth of themselves.
    """
    fits = np.ones(len(rows), bool)
    for name in PRICES:
        was, now = old[name][rows], new[name][rows]
        slack = np.minimum(_half(old[name]) + ratio * _half(new[name]), 0.01 * was) + 1e-9 * was
        fits &= np.abs(was - ratio * now) <= slack
    if volume:
        was, now = old["volume"][rows], new["volume"][rows]
        slack = np.minimum(ratio * _half(old["volume"]) + _half(new["volume"]), 0.01 * now) + 1e-9 * now
        fits &= np.abs(now - ratio * was) <= slack
    return fits


def _half(values: npt.NDArray[np.float64]) -> float:
    """Return half the unit that values are rounded to, 0 where they are not."""
    for digits in range(7):
        scaled = values * 10.0**digits
        if (np.abs(scaled - np.rint(scaled)) <= 1e-6 + 4e-16 * np.abs(scaled)).all():
            return float(0.5 * 10.0**-digits)
    return 0.0


def _scaled(old: Watched, new: Watched, rest: _Mask) -> list[str]:
    """Say so where most of what has changed is scaled by one ratio that is no split."""
    rows = np.flatnonzero(rest)
    ratio = float(np.median(old["close"][rows] / new["close"][rows]))
    if len(rows) < _STRETCH or abs(ratio - 1) < 1e-5:
        return []
    if _scaled_by(old, new, rows, np.full(len(rows), ratio), volume=False).mean() < 0.9:
        return []
    return [
        f"prices are {1 / ratio:.6g} times what they were, volume is not the inverse: as of an adjustment or a unit"
    ]


def _named(ratio: float) -> str:
    fraction = Fraction(float(ratio)).limit_denominator(1000)
    return f"{fraction.numerator}:{fraction.denominator}"
