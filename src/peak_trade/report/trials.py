"""The trials of a sweep for the report: the axes of the search, and where on them each trial stands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.errors import RunError
from peak_trade.evidence import trials as evidence
from peak_trade.report.markup import in_toml
from peak_trade.report.run import RunFiles
from peak_trade.stats.values import Floats
from peak_trade.text import cut, printable

__all__ = ["LARGEST", "Axis", "Ints", "Trials", "label", "medians", "read", "statistic_of"]

LARGEST = 1e13
"""A figure of this size or more is not drawn."""
_PARAMS = "strategy.params."
_LABEL = 40  # characters of a value, or of a key
_DRAWN = 10  # characters of a number that nobody has typed
_AXES = 12  # parameters that are looked at
_SPARSE = 20  # cells of a grid for each trial, at most: beyond that, most of it is invalid
Ints = npt.NDArray[np.int64]


class Axis(Struct, frozen=True, eq=False, dict=True):
    """A key that differs between trials, its values, and which of them each trial has: -1 of one that has none.

    Values that are all numbers are `ordered`, from the least; any others are in the order in which they were given.
    """

    key: str
    values: tuple[Any, ...]
    ordered: bool
    places: Ints

    @property
    def name(self) -> str:
        """The key for people: a parameter of the strategy without its table."""
        return _called(self.key)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The values for people, of one that was drawn from a range the first digits."""
        return tuple(label(one) if len(repr(one)) < _DRAWN else _rounded(one) for one in self.values)

    def span(self, first: int, last: int) -> str:
        """Return a stretch of the axis as words."""
        return self.labels[first] if first == last else f"{self.labels[first]}–{self.labels[last]}"


def _rounded(value: Any) -> str:
    return f"{value:.4g}" if type(value) is float else label(value)


def _called(key: str) -> str:
    return cut(printable(key.removeprefix(_PARAMS), "?"), _LABEL)


def label(value: Any) -> str:
    """Return a value as people read it, on a short line.

    >>> label(20), label(0.1), label("a\\tb"), label([1, 2])
    ('20', '0.1', 'a?b', '[1,2]')
    """
    return cut(printable(in_toml(value), "?"), _LABEL)


class Trials(Struct, eq=False, dict=True):
    """The sealed table of that `name`, and the values that were `given` for keys, in their order.

    `invalid` counts the combinations of these that were left out before anything started.
    """

    table: evidence.Trials
    given: dict[str, Sequence[Any]]
    invalid: int
    name: str

    def __len__(self) -> int:
        return len(self.table)

    def of_stat(self, key: str) -> Floats:
        """Return a statistic of each trial, NaN where it has none, or one that is too large to be drawn.

        Raises RunError where the table has no such column.
        """
        if key not in self.table.keys:
            raise RunError(f"{self.name} has no column {cut(key, _LABEL)!r}")
        values = self.table.of_stat(key)
        return np.where(np.abs(values) < LARGEST, values, np.nan)

    @cached_property
    def failed(self) -> npt.NDArray[np.bool_]:
        """Which trials failed."""
        return self.table.failed

    @cached_property
    def searched(self) -> npt.NDArray[np.bool_]:
        """Which trials the search was made with: all, or those on bars on which was chosen."""
        return np.array([part != "test" for part in self.table.part], np.bool_)

    @cached_property
    def first(self) -> npt.NDArray[np.bool_]:
        """Which trials are no duplicates of one before."""
        return self.table.duplicate_of < 0

    @property
    def folded(self) -> bool:
        """Whether trials were made on several stretches of the bars."""
        return bool((self.table.fold >= 0).any())

    @property
    def pick(self) -> int | None:
        """The number of the trial that is the parent's result; None where it is of no single one."""
        return self.table.best

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """The keys that differ between trials, in the order in which they were given; the first so many of them."""
        return tuple(axis for axis in self._every if len(axis.values) > 1)[:_AXES]

    @cached_property
    def left_out(self) -> int:
        """How many further keys differ."""
        return sum(len(axis.values) > 1 for axis in self._every) - len(self.axes)

    @cached_property
    def _every(self) -> tuple[Axis, ...]:
        seen: dict[str, dict[bytes, int]] = {key: {_code(one): at for at, one in enumerate(self.given[key])}
                                             for key in self.given}  # fmt: skip
        values: dict[str, list[Any]] = {key: list(ones) for key, ones in self.given.items()}
        places: dict[str, Ints] = {}
        for at in range(len(self)):
            for key, one in self.table.overrides(at).items():
                codes = seen.setdefault(key, {})
                if (place := codes.setdefault(_code(one), len(codes))) == len(values.setdefault(key, [])):
                    values[key].append(one)
                if key not in places:
                    places[key] = np.full(len(self), -1)
                places[key][at] = place
        return tuple(_axis(key, values[key], places[key]) for key in values if key in places)

    @cached_property
    def tried(self) -> int:
        """How many combinations the search made trials of."""
        places = np.stack([axis.places for axis in self.axes], axis=1)[self.searched]
        return len(np.unique(places[(places >= 0).all(axis=1)], axis=0))

    @property
    def whole(self) -> bool:
        """Whether every combination was tried, but for those that were left out as invalid; no grid is too large."""
        size = math.prod(self.shape)
        return size <= _SPARSE * len(self) and self.tried + self.invalid >= size

    @cached_property
    def cell(self) -> Ints:
        """The cell of the grid of all axes that each trial has, by its number; -1 of one that lacks a parameter."""
        number = np.zeros(len(self), np.int64)
        for axis in self.axes:
            number = np.where((number < 0) | (axis.places < 0), -1, number * len(axis.values) + axis.places)
        return number

    @property
    def shape(self) -> tuple[int, ...]:
        """How many values each axis has."""
        return tuple(len(axis.values) for axis in self.axes)

    def grid(self, key: str) -> Floats:
        """Return a statistic over all axes of a search that is `whole`, NaN where no trial has it.

        A combination that was tried on several stretches of bars has the median of them.
        """
        there = self.searched & (self.cell >= 0)
        return medians(self.cell[there], self.of_stat(key)[there], math.prod(self.shape)).reshape(self.shape)

    def words(self, at: int) -> str:
        """Return what a trial was asked for as words, in the order in which keys were given."""
        asked, order = self.table.overrides(at), {key: place for place, key in enumerate(self.given)}
        keys = sorted(asked, key=lambda key: order.get(key, len(order)))
        return ", ".join(f"{_called(key)} = {label(asked[key])}" for key in keys)


def medians(cells: Ints, values: Floats, size: int) -> Floats:
    """Return the median of the values of each cell, 0 up to `size`; NaN of one without.

    >>> medians(np.array([0, 0, 2]), np.array([1.0, 2.0, 5.0]), 3)
    array([1.5, nan, 5. ])
    """
    known = np.isfinite(values)
    cells, values = cells[known], values[known]
    order = np.lexsort((values, cells))
    cells, values = cells[order], values[order]
    edges = np.searchsorted(cells, np.arange(size + 1))
    count, first = np.diff(edges), edges[:-1]
    found, there = np.full(size, np.nan), count > 0
    low, high = first + (count - 1) // 2, first + count // 2
    found[there] = (values[low[there]] + values[high[there]]) / 2
    return found


def _axis(key: str, values: list[Any], places: Ints) -> Axis:
    if not all(type(one) in (int, float) and math.isfinite(one) for one in values):
        return Axis(key, tuple(values), False, places)
    order = sorted(range(len(values)), key=lambda at: values[at])
    used = np.unique(places[places >= 0]).tolist()
    order = [at for at in order if at in set(used)] if len(used) < len(values) else order
    new = np.full(len(values) + 1, -1)  # the last is that of -1
    new[order] = np.arange(len(order))
    return Axis(key, tuple(values[at] for at in order), True, new[places])


def _code(value: Any) -> bytes:
    return msgspec.json.encode(value, order="deterministic")


def statistic_of(run: RunFiles) -> tuple[str, bool]:
    """Return by which statistic a sweep chose, and whether the least of it."""
    asked = run.searched
    for word, least in (("minimize", True), ("maximize", False)):
        if isinstance(asked.get(word), str):
            return asked[word], least
    return "sharpe", False


def read(run: RunFiles) -> Trials:
    """Return the trials of a sweep; RunError where its table is missing or not what it should be."""
    name = next((one for one in evidence.NAMES if run.has(one)), evidence.NAMES[-1])
    grid = run.searched.get("grid")
    given: dict[str, Sequence[Any]] = (
        {key: ones for key, ones in grid.items() if isinstance(ones, list)} if isinstance(grid, dict) else {}
    )
    try:
        return Trials(evidence.read(name, run.content(name)), given, _invalid(run), name)
    except ImportError as error:
        raise RunError(f"{name} can't be read: {error}", hint="just setup lake") from None


def _invalid(run: RunFiles) -> int:
    found = run.searched.get("invalid")
    return found if type(found) is int and found > 0 else 0
