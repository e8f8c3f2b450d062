"""The times at which bars are due, and which of them are held.

Times are the bars' opens in milliseconds since 1970. Exchanges trade around the clock, so a bar is due at each step;
where the steps stand is seen in the first bars: the weeks of one exchange begin on Monday, another's on Thursday.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from peak_trade.market.timeframe import UNIT_SECONDS, parse_timeframe

__all__ = ["VALUES", "Grid", "Run", "Store"]

Times = npt.NDArray[np.int64]
Rows = npt.NDArray[np.float64]
VALUES = ("open", "high", "low", "close", "volume")
_MONDAY = 4 * 86_400_000  # 1970 began on a Thursday


class Run(NamedTuple):
    """`bars` in a row: the first opens at `start`, the last one before `end`."""

    start: int
    end: int
    bars: int


class Grid(NamedTuple):
    """Steps of `step` ms from `phase` on; of `months`, where that is not 0, each from the first of a month on."""

    step: int
    phase: int = 0
    months: int = 0

    @classmethod
    def of(cls, timeframe: str, example: int | None = None) -> Grid:
        """Return the grid of a timeframe on which a bar that opens at `example` stands."""
        count, unit = parse_timeframe(timeframe)
        step = 1000 * count * UNIT_SECONDS[unit]
        if unit == "M":
            return cls(step, 0, count)
        return cls(step, (example if example is not None else _MONDAY if unit == "w" else 0) % step)

    def number(self, times: Any) -> Any:
        """Return the number of the step that each time is in."""
        if self.months:
            months = np.asarray(times, np.int64).astype("M8[ms]").astype("M8[M]").astype(np.int64)
            return months // self.months
        return (np.asarray(times, np.int64) - self.phase) // self.step

    def time(self, number: Any) -> Any:
        """Return when each step begins."""
        if self.months:
            return (np.asarray(number, np.int64) * self.months).astype("M8[M]").astype("M8[ms]").astype(np.int64)
        return np.asarray(number, np.int64) * self.step + self.phase

    def at_or_after(self, time: int) -> int:
        """Return the number of the first step that begins at a time or after it."""
        number = int(self.number(time))
        return number if int(self.time(number)) == time else number + 1

    def on(self, times: Times) -> npt.NDArray[np.bool_]:
        """Tell which times are those at which a step begins."""
        return np.asarray(self.time(self.number(times)) == times)


class Store:
    """Bars between two times: those held before, and those that the exchange has given.

    `revised` has what bars were before the exchange gave them with other values; `compared` counts those given again.
    """

    def __init__(self, grid: Grid, since: int, until: int) -> None:
        self.grid, self.since, self.until = grid, since, until
        self.first = grid.at_or_after(since)
        self.length = max(grid.at_or_after(until) - self.first, 0)
        self.values: Rows = np.full((self.length, len(VALUES)), np.nan)
        self.have = np.zeros(self.length, bool)
        self.fresh = np.zeros(self.length, bool)  # given by the exchange since the file was read
        self.compared = 0
        self.revised: dict[int, tuple[float, ...]] = {}

    def hold(self, times: Times, values: Rows) -> None:
        """Take in bars that were kept before; they must stand on the grid and between the two times."""
        at = self.grid.number(times) - self.first
        self.values[at], self.have[at] = values, True

    def give(self, times: Times, values: Rows) -> int:
        """Take in bars that the exchange has given, and return how many are new; others than those due are left out."""
        at = self.grid.number(times) - self.first
        due = (at >= 0) & (at < self.length)
        at, times, values = at[due], times[due], values[due]
        known = self.have[at]
        again = known & ~self.fresh[at]
        self.compared += int(again.sum())
        for row in np.flatnonzero(known & (self.values[at] != values).any(axis=1)):
            self.revised.setdefault(int(times[row]), tuple(self.values[at[row]].tolist()))
        self.values[at], self.have[at], self.fresh[at] = values, True, True
        return int((~known).sum())

    def forget(self, times: Times) -> None:
        """Let go of bars, as if they were not held."""
        at = self.grid.number(times) - self.first
        self.have[at] = self.fresh[at] = False

    def missing(self) -> list[Run]:
        """Return the runs of bars that are due and not held."""
        return self.runs(~self.have)

    def runs(self, which: npt.NDArray[np.bool_]) -> list[Run]:
        """Return the steps that are marked, those next to each other as one run."""
        edges = np.flatnonzero(np.diff(np.concatenate(([False], which, [False]))))
        starts, ends = edges[::2], edges[1::2]
        times = self.grid.time(self.first + np.concatenate((starts, ends)))
        pairs = zip(times[: len(starts)].tolist(), times[len(starts) :].tolist(), (ends - starts).tolist(), strict=True)
        return [Run(*pair) for pair in pairs]

    def mark(self, runs: list[Run]) -> npt.NDArray[np.bool_]:
        """Return which steps are in some of the runs: what `runs` was made from."""
        marked = np.zeros(self.length, bool)
        for run in runs:
            start, end = (int(self.grid.number(time)) - self.first for time in (run.start, run.end))
            marked[max(start, 0) : max(end, 0)] = True
        return marked

    def bars(self, only: npt.NDArray[np.bool_] | None = None) -> tuple[Times, Rows]:
        """Return times and values of the bars that are held."""
        at = np.flatnonzero(self.have if only is None else self.have & only)
        return self.grid.time(self.first + at), self.values[at]
