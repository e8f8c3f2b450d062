"""The days on which bars are not those that a run read, by what its sealed files tell of each bar.

A fingerprint tells the day of short runs, the month of long ones. The time of each bar stands in `equity.csv`, up to
2,000 closes stand in `benchmark.csv`: what bars are gone or have come is known by the first, which closes are others by
the second.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.errors import PeakError
from peak_trade.evidence import benchmark
from peak_trade.market.bars import Bars
from peak_trade.trust.difference import Sealed

__all__ = ["Known", "changed", "gone", "known"]

_Days = npt.NDArray[np.datetime64]
_SHOWN = 6  # days


class Known(Struct, frozen=True):
    """The time of each bar that a run read, and some of the closes, by their times."""

    times: npt.NDArray[Any]
    at: npt.NDArray[Any]
    closes: npt.NDArray[Any]


def known(run: Sealed) -> Known | None:
    """Return what a run's sealed files tell of its bars; None of one that has none, as one that failed."""
    if not run.completed:
        return None
    at, closes = np.empty(0, "M8[ns]"), np.empty(0)
    with suppress(PeakError):
        times = run.equity["timestamp"]
        with suppress(PeakError):
            table = benchmark.read(run.content(benchmark.NAME))
            at, closes = table["timestamp"], table["close"]
        return Known(times, at, closes)
    return None


def gone(of: Known | None, bars: Bars) -> list[str]:
    """Return the days of a run of which there are no bars any more; none where that is not known."""
    days = np.setdiff1d(_days(of.times), _days(bars.timestamp)) if of else np.empty(0, "M8[D]")
    return [str(day) for day in days]


def changed(of: Known | None, bars: Bars) -> list[str]:
    """Return in lines for people which days have bars less, bars more, and other closes; none where it is not known."""
    if of is None:
        return []
    here, rows, there = np.intersect1d(of.at, bars.timestamp, assume_unique=True, return_indices=True)
    found = {
        "bars gone": np.setdiff1d(of.times, bars.timestamp),
        "bars come": np.setdiff1d(bars.timestamp, of.times),
        "other closes": here[of.closes[rows] != bars.close[there]],
    }
    return [f"{what} {_named(_days(times))}" for what, times in found.items() if len(times)]


def _days(times: npt.NDArray[Any]) -> _Days:
    return np.unique(times.astype("M8[D]"))


def _named(days: _Days) -> str:
    shown = ", ".join(map(str, days[:_SHOWN]))
    return f"{shown} … and {len(days) - _SHOWN} more, to {days[-1]}" if len(days) > _SHOWN else shown
