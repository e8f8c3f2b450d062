"""Closes of something else than what is traded, beside bars: at each bar the last of them that was known by its close.

What opens the day is not known that day: a close counts from the end of its own bar on, by the timeframe, so that no
bar sees a close of later. Where calendars differ, the last close stands until there is another.
"""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from peak_trade.errors import InputError
from peak_trade.market.bars import COLUMNS, Bars, Floats
from peak_trade.market.files import SourceFile
from peak_trade.market.findings import ends
from peak_trade.market.instants import iso
from peak_trade.market.timeframe import parse_timeframe, timeframe_seconds

__all__ = ["Benchmark", "closing"]

Times = npt.NDArray[np.datetime64]
_CLOCKS = np.timedelta64(1, "h")  # by which a day is longer or shorter where clocks are changed
_LONG_DAYS = 7  # no usual closing of an exchange is longer


class Benchmark(msgspec.Struct, frozen=True, eq=False):
    """A benchmark: its own `bars`, whose symbol is its name, and the files that they are from.

    `assumptions` are sentences on how it was read and is used; `stale` is one where bars are long without a close of
    it, else empty.
    """

    bars: Bars
    files: list[SourceFile]
    assumptions: list[str]
    stale: str = ""

    @property
    def name(self) -> str:
        """What it is called."""
        return self.bars.symbol

    def closes(self, bars: Bars) -> Floats:
        """Return its last close at or before the close of each of some bars, shape (N,).

        Raises InputError where the first of them closes before it has any.
        """
        closes: Floats = self.bars.close[self._at(bars)]
        return closes

    def equity(self, bars: Bars, cash: float) -> Floats:
        """Return what cash would have come to in it, without costs, from the first bar's close on, shape (N,)."""
        closes = self.closes(bars)
        equity: Floats = cash * (closes / closes[0])
        return equity

    def _at(self, bars: Bars) -> npt.NDArray[np.intp]:
        at = np.searchsorted(closing(self.bars), closing(bars), side="right") - 1
        if at[0] < 0:
            raise InputError(f"the benchmark {self.name} has no close at the first bar's")
        return at

    def over(self, bars: Bars) -> Benchmark:
        """Return it as far as `bars` need it, noted: what comes later or is older is left out.

        So a file that has grown since gives the same. Raises InputError where it begins after the first bar's close, or
        ends before the first bar opens.
        """
        own, name, opens = self.bars, self.name, bars.timestamp[0]
        if not len(own):
            raise InputError(f"the benchmark {name} has no closes", hint="take a file that has some")
        known, over = ends(own.timestamp, own.timeframe), closing(bars)
        if known[-1] <= opens:
            raise InputError(
                f"the benchmark {name} ends before the bars begin: its last close is known at {iso(known[-1])}, the"
                f" first bar opens at {iso(opens)}",
                hint="take a file that goes on, or earlier bars",
            )
        if known[0] > over[0]:
            covered = int(np.searchsorted(over, known[0]))
            later = f'data.start = "{iso(bars.timestamp[covered])}"' if covered < len(over) else "take later bars"
            raise InputError(
                f"the benchmark {name} begins after the bars: its first close is known at {iso(known[0])}, the first"
                f" bar's at {iso(over[0])}",
                hint=f"{later}, or a file that begins earlier",
            )
        first = max(int(np.searchsorted(known, opens, side="right")) - 1, 0)
        end = int(np.searchsorted(known, ends(bars.timestamp[-1:], bars.timeframe)[0], side="right"))
        return self._cut(first, end)._noted(bars)

    def between(self, start: np.datetime64, end: np.datetime64) -> Benchmark:
        """Return it from one of its own times to another, both included."""
        times = self.bars.timestamp
        return self._cut(int(np.searchsorted(times, start)), int(np.searchsorted(times, end, side="right")))

    def _cut(self, first: int, end: int) -> Benchmark:
        columns = {column: getattr(self.bars, column)[first:end] for column in COLUMNS}
        cut = Bars(**columns, symbol=self.name, timeframe=self.bars.timeframe).freeze()
        return msgspec.structs.replace(self, bars=cut)

    def _noted(self, bars: Bars) -> Benchmark:
        """Return it with what a reader of its figures has to know, of these bars."""
        said = (
            f"the benchmark {self.name} counts at each bar with its last close that was known by then (one of"
            f" {self.bars.timeframe} is known at its end), from the first bar's close on, without costs"
        )
        age = closing(bars) - closing(self.bars)[self._at(bars)]
        usual = np.timedelta64(_LONG_DAYS, "D") + np.timedelta64(timeframe_seconds(self.bars.timeframe), "s")
        old, stale = np.flatnonzero(age > usual), ""
        if len(old):
            longest = int(age.max() // np.timedelta64(1, "D"))
            stale = (
                f"{self.name} has no close of the last {_LONG_DAYS} days at {len(old):,} of {len(bars):,} bars, the"
                f" first {iso(bars.timestamp[old[0]])}: the one before stands, for {longest:,} days at the longest"
            )
        return msgspec.structs.replace(self, assumptions=[*self.assumptions, said], stale=stale)


def closing(bars: Bars) -> Times:
    """Return when each bar's close is known, shape (N,): a timeframe after it opened, and not after the next has.

    A day on which clocks are changed has 23 or 25 hours: where the next bar opens within an hour of the end, it is the
    end.

    >>> days = np.array(["2024-11-02T04", "2024-11-03T04", "2024-11-04T05"], "M8[ns]")  # New York
    >>> closing(Bars(days, *[np.ones(3)] * 5, "SPX", "1d")).astype("M8[h]").astype(str).tolist()
    ['2024-11-03T04', '2024-11-04T05', '2024-11-05T05']
    """
    over = ends(bars.timestamp, bars.timeframe)
    following, before = bars.timestamp[1:], over[:-1]
    late = following - before <= _CLOCKS if parse_timeframe(bars.timeframe)[1] in "dwM" else following <= before
    over[:-1] = np.where(late, following, before)
    return over
