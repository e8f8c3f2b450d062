"""Are the trials of a sweep those that its manifest describes: each in its place, none twice, and none left out?

A grid has every combination of its axes in order, the last one varying fastest, but for those that are counted as
invalid. One that is drawn has so many of them. A walk-forward and a cross-validation have every combination on each
window to choose on, and then the choices on the windows to test on. What Optuna has asked for lies within the axes, and
so does what is drawn from ranges.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from peak_trade.errors import RunError
from peak_trade.evidence import manifest
from peak_trade.evidence.trials import Trials
from peak_trade.redact import MASK
from peak_trade.trust.verdict import Verdict

__all__ = ["Axes", "best", "check", "has_one_best", "span_of", "told", "traded"]

_GRID = frozenset(("grid", "chosen", "maximize", "minimize", "random", "seed", "invalid"))
_FOLDS = {"walk_forward": "folds", "cpcv": "groups"}
TRAIN, TEST = "train", "test"


def has_one_best(plan: Mapping[str, Any]) -> bool:
    """Tell whether a search has one trial as its result, the best of all: not of folds, nor of an unknown kind."""
    return plan.keys() <= _GRID | {"optuna"}


def check(verdict: Verdict, name: str, table: Trials, plan: Mapping[str, Any]) -> None:
    """Hold the rows of a table against what the manifest describes. Raises RunError where it describes nothing."""
    axes = Axes.of(plan)
    extra = plan.keys() - _GRID
    if extra <= {"optuna"}:
        _differ(verdict, name, "fold", [-1] * len(table), table.fold.tolist())  # it is over all bars
        _differ(verdict, name, "part", [""] * len(table), table.part)
        if axes.ranges or extra:
            _check_within(verdict, name, table, axes, plan)
        else:
            _check_grid(verdict, name, table, axes, plan)
    elif extra in ({kind} for kind in _FOLDS):
        _check_folds(verdict, name, table, axes, plan)
    else:
        verdict.skip(f"{name} params", "this version does not know how such a search goes on")


class Axes(Struct, frozen=True):
    """The keys that were varied: of each its values, by their JSON with the place of each, or the ends of its range."""

    values: dict[str, dict[bytes, int]]
    ranges: dict[str, tuple[float, float]]
    secret: frozenset[str]

    @classmethod
    def of(cls, plan: Mapping[str, Any]) -> Axes:
        """Return those of a manifest; RunError where it has none."""
        grid = plan.get("grid")
        values: dict[str, dict[bytes, int]] = {}
        ranges: dict[str, tuple[float, float]] = {}
        for key, told in grid.items() if isinstance(grid, dict) else ():
            if isinstance(told, list) and told:
                values[key] = {_json(one): at for at, one in enumerate(told)}
                if len(values[key]) == len(told):
                    continue
            low, high = (told.get("low"), told.get("high")) if isinstance(told, dict) else (None, None)
            if not isinstance(low, int | float) or not isinstance(high, int | float) or not low <= high:
                raise RunError(f"{manifest.NAME} has no values of {key[:60]}, which was varied")
            ranges[key] = float(low), float(high)
        if not values and not ranges:
            raise RunError(f"{manifest.NAME} does not say what was searched")
        secret = frozenset(key for key, told in values.items() if any(MASK.encode() in one for one in told))
        return cls(values, ranges, secret)

    @property
    def size(self) -> int:
        """How many combinations there are."""
        return math.prod(map(len, self.values.values()))

    def has(self, overrides: Mapping[str, Any]) -> bool:
        """Tell whether a combination is one of these."""
        if overrides.keys() != self.values.keys() | self.ranges.keys():
            return False
        for key, one in overrides.items():
            if key in self.secret:
                continue
            if key in self.values:
                if _json(one) not in self.values[key]:
                    return False
                continue
            low, high = self.ranges[key]
            if isinstance(one, bool) or not isinstance(one, int | float) or not low <= one <= high:
                return False
        return True

    def number(self, overrides: Mapping[str, Any]) -> int | None:
        """Return the number of a combination, None of what is none of these: the last axis varies fastest."""
        if overrides.keys() != self.values.keys():
            return None
        number = 0
        for key, places in self.values.items():
            place = places.get(_json(overrides[key]))
            if place is None:
                return None
            number = number * len(places) + place
        return number


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value, order="deterministic")


def told(values: Mapping[str, Any]) -> str:
    """Return a combination in words."""
    return ", ".join(f"{key} = {value}" for key, value in values.items()) or "nothing"


def _differ(verdict: Verdict, name: str, column: str, expected: Sequence[Any], found: Sequence[Any]) -> None:
    for at, (one, other) in enumerate(zip(expected, found, strict=True)):
        if one != other:
            verdict.add(f"{name} row {at} {column}", "none" if one in (-1, "") else one, other)


def _check_grid(verdict: Verdict, name: str, table: Trials, axes: Axes, plan: Mapping[str, Any]) -> None:
    """Check that the rows are combinations in their order, each once, and as many as there have to be."""
    invalid, asked = _count(plan, "invalid") or 0, _count(plan, "random")
    size = axes.size
    whole = size - invalid if asked is None else asked
    if len(table) != whole and not (asked is not None and len(table) + invalid == size and len(table) < asked):
        verdict.add(name, f"{max(whole, 0):,} rows, one for each combination", f"{len(table):,}")
    numbers = _chosen(plan, size)
    if numbers is None and (asked is not None or invalid):
        raise RunError(f"{manifest.NAME} does not say which combinations were made")
    if numbers is not None and len(numbers) != len(table):
        verdict.add(name, f"{len(numbers):,} rows, one for each combination that was made", f"{len(table):,}")
        return
    for at in range(min(len(table), size) if not axes.secret else 0):
        overrides, expected = table.overrides(at), at if numbers is None else numbers[at]
        if axes.number(overrides) != expected:
            verdict.add(f"{name} row {at} params", f"combination {expected} of the axes", told(overrides))


def _chosen(plan: Mapping[str, Any], size: int) -> list[int] | None:
    """Return the numbers of the combinations that were made, in order; None where all were."""
    numbers = plan.get("chosen")
    if numbers is None:
        return None
    if not isinstance(numbers, list) or not all(type(one) is int and 0 <= one < size for one in numbers):
        raise RunError(f"{manifest.NAME} has combinations that its axes have not")
    if any(one >= other for one, other in itertools.pairwise(numbers)):
        raise RunError(f"{manifest.NAME} has combinations that are out of order, or there twice")
    return numbers


def _count(plan: Mapping[str, Any], key: str) -> int | None:
    found = plan.get(key)
    if found is not None and (type(found) is not int or found < 0):
        raise RunError(f"{manifest.NAME} has no count of what it calls {key}")
    return found


def _check_within(verdict: Verdict, name: str, table: Trials, axes: Axes, plan: Mapping[str, Any]) -> None:
    """Check that each trial that was drawn, or asked for by a sampler, lies within the axes, and how many there are."""
    search = plan.get("optuna", {})
    if not isinstance(search, dict):
        raise RunError(f"{manifest.NAME} does not say how many trials were asked for")
    asked = _count(search, "trials") if "optuna" in plan else _count(plan, "random")
    if asked is None:
        raise RunError(f"{manifest.NAME} does not say how many trials were asked for")
    if len(table) != asked:
        verdict.add(name, f"{asked:,} rows, one for each trial", f"{len(table):,}")
    for at in range(len(table)):
        overrides = table.overrides(at)
        if not axes.has(overrides):
            verdict.add(f"{name} row {at} params", "a combination within its axes", told(overrides))


# --- folds ----------------------------------------------------------------------------------------------------------


def span_of(plan: Mapping[str, Any], fold: int, part: str) -> tuple[int, int] | None:
    """Return the bars that a trial of a fold trades, from its first up to its second; None where nobody says."""
    for kind, called in _FOLDS.items():
        windows = plan.get(kind)
        folds = windows.get(called) if isinstance(windows, dict) else None
        if not isinstance(folds, list) or not 0 <= fold < len(folds) or not isinstance(folds[fold], dict):
            continue
        one = folds[fold].get(part if kind == "walk_forward" or part == TRAIN else "bars")
        bars = one.get("bars") if isinstance(one, dict) else one
        if isinstance(bars, list) and len(bars) == 2 and all(type(bar) is int and 0 <= bar < 1 << 40 for bar in bars):
            return (bars[0], bars[1]) if bars[0] < bars[1] else None
    return None


def traded(plan: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return the windows that the parent's own result goes over, one after the other; none where it has all bars.

    Raises RunError where they don't follow each other.
    """
    kind = next((kind for kind in _FOLDS if kind in plan), None)
    if kind is None:
        return []
    folds = plan[kind].get(_FOLDS[kind]) if isinstance(plan[kind], dict) else None
    found = [span_of(plan, at, TEST) for at in range(len(folds) if isinstance(folds, list) else 0)]
    spans = [one for one in found if one is not None]
    if not spans or len(spans) != len(found) or any(one[1] > two[0] for one, two in itertools.pairwise(spans)):
        raise RunError(f"{manifest.NAME} does not say on which bars trials were made")
    return spans


def _check_folds(verdict: Verdict, name: str, table: Trials, axes: Axes, plan: Mapping[str, Any]) -> None:
    """Check that each window to choose on has all combinations, and each to test on what was chosen for it."""
    kind = next(kind for kind in _FOLDS if kind in plan)
    windows = plan[kind].get(_FOLDS[kind]) if isinstance(plan[kind], dict) else None
    if not isinstance(windows, list) or not windows or axes.ranges:
        raise RunError(f"{manifest.NAME} does not say on which bars trials were made")
    trains = next((at for at, part in enumerate(table.part) if part != TRAIN), len(table))
    each, rest = divmod(trains, len(windows))
    whole = axes.size - (_count(plan, "invalid") or 0) if _count(plan, "random") is None else _count(plan, "random")
    if rest or (each != whole and _count(plan, "random") is None):
        verdict.add(
            name, f"{whole:,} rows for each of {len(windows)} {_FOLDS[kind]}", f"{trains:,} rows to choose from"
        )
        return
    folds = table.fold.tolist()
    first = [axes.number(table.overrides(at)) for at in range(each)]
    for at in range(trains):
        number = axes.number(table.overrides(at))
        before = first[at - 1] if at % each and at < each else None
        same = number == first[at % each] and (before is None or (number or 0) > before)
        if folds[at] != at // each or number is None or not same:
            verdict.add(f"{name} row {at}", f"combination {at % each} on fold {at // each}", told(table.overrides(at)))
    seen: set[tuple[int, bytes]] = set()
    for at in range(trains, len(table)):
        key = folds[at], _json(table.overrides(at))
        if (
            table.part[at] != TEST
            or not 0 <= folds[at] < len(windows)
            or not axes.has(table.overrides(at))
            or key in seen
        ):
            verdict.add(f"{name} row {at}", "a choice on a fold's bars to test on, once", told(table.overrides(at)))
        seen.add(key)
    if kind == "walk_forward":
        _check_choices(verdict, name, table, plan, each, len(windows))


def _check_choices(
    verdict: Verdict, name: str, table: Trials, plan: Mapping[str, Any], each: int, folds: int
) -> None:  # fmt: skip
    """Check that what was traded on each window to test on was the best on the one to choose on."""
    statistic = plan.get("minimize") or plan.get("maximize")
    if statistic not in table.keys:
        verdict.add(f"{manifest.NAME} sweep", "a statistic by which the best is chosen", statistic)
        return
    values = table.of_stat(str(statistic))
    expected: list[tuple[int, dict[str, Any]]] = []
    for fold in range(folds):
        chosen = best(values[fold * each : (fold + 1) * each], least=bool(plan.get("minimize")))
        if chosen is not None:
            expected.append((fold, table.overrides(fold * each + chosen)))
    found = [(int(table.fold[at]), table.overrides(at)) for at in range(each * folds, len(table))]
    for fold, overrides in _missing(expected, found):
        verdict.add(
            f"{name} fold {fold}", f"its best trial on the bars to test on: {told(overrides)}", "another, or none"
        )


def _missing(expected: Sequence[Any], found: Sequence[Any]) -> Iterator[Any]:
    if len(expected) == len(found):
        yield from (one for one, other in zip(expected, found, strict=True) if one != other)
    else:
        yield from (one for one in expected if one not in found)


def best(values: np.ndarray[Any, np.dtype[np.float64]], *, least: bool) -> int | None:
    """Return the place of the first of the values that is most, or least; None where there is none."""
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return None
    return int(known[(values[known] if least else -values[known]).argmin()])
