"""Which trials there are: tasks, in rounds. A round follows from the rows of those before, and from nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from msgspec import Struct

from peak_trade.errors import RunError
from peak_trade.sweep.axes import Drawn, Space
from peak_trade.sweep.rows import Rows, duplicates
from peak_trade.sweep.task import Task

if TYPE_CHECKING:
    from peak_trade.sweep.bench import Bench, Came

__all__ = ["Grid", "Outcome", "Plan", "Round", "nothing"]


class Round(Protocol):
    """Tasks that can be done side by side, by their place in the round."""

    def __len__(self) -> int: ...

    def __getitem__(self, at: int) -> Task: ...


class Outcome(Struct, frozen=True, eq=False):
    """The parent's own result: what came of one trial, its number `index` (None: it is of no single one).

    `results` are further values for the manifest, plain; `files` further files that are sealed, by name. `beside` are
    those that the seal does not cover, each made for the run_id of the parent: names of `run_dir.BESIDE`.
    """

    came: Came
    index: int | None = None
    results: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    beside: dict[str, Callable[[str], bytes]] = {}


class Plan(Protocol):
    """What a sweep asks for."""

    def rounds(self) -> int:
        """Return how many rounds there are at most."""

    def trials(self) -> tuple[int, int]:
        """Return how many trials there are in all rounds, at least and at most: known before any is made."""

    def round(self, number: int, before: Rows) -> Round:
        """Return a round's tasks, by the rows of all rounds before it; an empty one ends the plan."""

    def describe(self) -> Mapping[str, Any]:
        """Return what was asked, as the manifest has it: plain values."""

    def outcome(self, bench: Bench, rows: Rows) -> Outcome:
        """Return the parent's own result, by the rows of all rounds. RunError where no trial came to its end."""

    def best(self, rows: Rows) -> list[int]:
        """Return the trials that may be kept as runs of their own, best first: over all bars, each result once."""


class Grid(Struct, frozen=True):
    """Every combination of a space, once, over all bars: one round. The best has most of a statistic, or least."""

    space: Space | Drawn
    statistic: str = "sharpe"
    least: bool = False

    def rounds(self) -> int:
        """Return 1."""
        return 1

    def trials(self) -> tuple[int, int]:
        """Return the number of combinations, twice."""
        return len(self.space), len(self.space)

    def round(self, number: int, before: Rows) -> Round:
        """Return the combinations as tasks."""
        return _Combinations(self.space)

    def describe(self) -> Mapping[str, Any]:
        """Return the axes, how many of their combinations were drawn or left out, and what the best has most of."""
        return self.space.describe() | {"minimize" if self.least else "maximize": self.statistic}

    def outcome(self, bench: Bench, rows: Rows) -> Outcome:
        """Return the best trial, whole."""
        best = self.best(rows)
        if not best:
            raise nothing(rows, self.statistic)
        return Outcome(bench.make(Task(rows.overrides[best[0]])), best[0])

    def best(self, rows: Rows) -> list[int]:
        """Return the trials with this statistic in its order; of equal ones the first comes first."""
        values = rows.of_stat(self.statistic)
        there = np.flatnonzero(np.isfinite(values) & (duplicates(rows) < 0))
        order = np.argsort(values[there] if self.least else -values[there], kind="stable")
        return [int(one) for one in there[order]]


def nothing(rows: Rows, statistic: str) -> RunError:
    """Return why there is no best trial: all have failed, or those that did not lack the statistic."""
    if len(rows.error) < len(rows):
        return RunError(f"no trial has the statistic {statistic}", hint="docs/reports/stats.md says what it takes")
    return RunError(f"no trial came to its end: {next(iter(rows.error.values()), 'there is none')}")


class _Combinations(Struct, frozen=True):
    space: Space | Drawn

    def __len__(self) -> int:
        return len(self.space)

    def __getitem__(self, at: int) -> Task:
        return Task(self.space[at])
