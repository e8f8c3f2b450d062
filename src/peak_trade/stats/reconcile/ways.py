"""The conventions by which figures of the same name differ: axes, each with what we choose first and what others do."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from peak_trade.market.trades import Trades
from peak_trade.stats.values import Floats, Times

__all__ = ["AXES", "OURS", "Choice", "Material", "Way", "ways"]

YEAR = 31_557_600  # seconds of 365.25 days
DAY = 86_400


class Choice(NamedTuple):
    """What one convention chooses on an axis, and how that is told."""

    key: str
    words: str


AXES: dict[str, tuple[Choice, ...]] = {
    "sample": (
        Choice("bar", "the equity of each bar"),
        Choice("day", "the last equity of each calendar day"),
        Choice("week", "the last equity of each week"),
        Choice("month", "the last equity of each calendar month"),
        Choice("year", "the last equity of each calendar year"),
        Choice("exits", "the initial cash and what trades had earned at their exits"),
    ),
    "base": (
        Choice("first", "from the first equity"),
        Choice("cash", "from the initial cash"),
    ),
    "year": (
        Choice("ours", "periods a year as in stats.json"),
        Choice("252", "252 periods a year"),
        Choice("365", "365 periods a year"),
        Choice("260", "260 periods a year"),
        Choice("spacing", "365 days a year over the bars' spacing"),
        Choice("52", "52 periods a year"),
        Choice("12", "12 periods a year"),
        Choice("1", "not annualised"),
    ),
    "spread": (
        Choice("1", "standard deviation with ddof = 1"),
        Choice("0", "standard deviation with ddof = 0"),
    ),
    "bias": (
        Choice("population", "as of a population"),
        Choice("sample", "corrected for the bias of a sample, as pandas does"),
    ),
    "rate": (
        Choice("ours", "the risk-free rate of stats.json"),
        Choice("0", "no risk-free rate"),
        Choice("simple", "the risk-free rate divided by the periods of a year"),
        Choice("0.01", "a risk-free rate of 1 % a year"),
    ),
    "mean": (
        Choice("arithmetic", "arithmetic mean"),
        Choice("geometric", "geometric mean, compounded to a year, and its spread compounded with it"),
        Choice("log", "logarithmic returns"),
    ),
    "growth": (
        Choice("elapsed", "by the time elapsed, in years of 365.25 days"),
        Choice("365", "by the time elapsed, in years of 365 days"),
        Choice("days", "by the whole days elapsed, in years of 365 days"),
        Choice("periods", "by the number of returns"),
        Choice("bars", "by the number of bars"),
    ),
    "depth": (
        Choice("bar", "the drawdown at each bar"),
        Choice("sample", "the drawdown in the same sample"),
    ),
    "held": (
        Choice("after", "bars after whose close a position is held"),
        Choice("through", "bars from a trade's entry to its exit, both included"),
    ),
    "open": (
        Choice("closed", "closed trades alone"),
        Choice("all", "with the trades that were open at the end"),
    ),
    "trades": (
        Choice("pnl", "of the trades' pnl"),
        Choice("return", "of the trades' returns in place of their pnl"),
        Choice("cash", "of the trades' pnl on the initial cash"),
    ),
}
"""Every axis with its choices, ours first."""


class Way(NamedTuple):
    """A choice on every axis."""

    sample: str = "bar"
    base: str = "first"
    year: str = "ours"
    spread: str = "1"
    bias: str = "population"
    rate: str = "ours"
    mean: str = "arithmetic"
    growth: str = "elapsed"
    depth: str = "bar"
    held: str = "after"
    open: str = "closed"
    trades: str = "pnl"

    def words(self, axes: tuple[str, ...]) -> str:
        """Return what differs from our own way on these axes, in words; empty where nothing does."""
        timed = "growth" in axes and self.growth not in _COUNTED  # no count of periods has a part in it
        told = [
            next(choice.words for choice in AXES[axis] if choice.key == getattr(self, axis))
            for axis in axes
            if getattr(self, axis) != getattr(OURS, axis) and not (timed and axis == "year")
        ]
        return "; ".join(told)

    @property
    def distance(self) -> int:
        """On how many axes it differs from ours."""
        return sum(key != own for key, own in zip(self, OURS, strict=True))


OURS = Way()
_COUNTED = ("periods", "bars")


def ways(axes: tuple[str, ...]) -> Iterator[Way]:
    """Yield every way that differs from ours on these axes alone, the nearest first."""
    choices = itertools.product(*([choice.key for choice in AXES[axis]] for axis in axes))
    found = [OURS._replace(**dict(zip(axes, keys, strict=True))) for keys in choices]
    return iter(sorted(found, key=lambda way: way.distance))


_PERIODS = {"day": "D", "month": "M", "year": "Y"}


class Material:
    """An equity curve as conventions look at it: sampled, with the cash before it or without.

    `left` are the trades that were open at its end, marked there.
    """

    def __init__(
        self,
        timestamp: Times,
        equity: Floats,
        *,
        closed: Trades | None = None,
        left: Trades | None = None,
        cash: float | None = None,
        per_year: float | None = None,
        rate: float = 0.0,
    ) -> None:
        self.closed, self.left = closed, left
        self.timestamp, self.equity, self.cash, self.per_year, self.rate = timestamp, equity, cash, per_year, rate
        self._curves: dict[tuple[str, str], Floats] = {}

    def curve(self, way: Way) -> Floats:
        """Return the equity that a way takes, shape (M,)."""
        key = way.sample, way.base
        if key not in self._curves:
            equity = self._earned() if way.sample == "exits" else self.equity[self._ends(way.sample)]
            if way.base == "cash" or way.sample == "exits":
                equity = np.concatenate(([self.cash or np.nan], equity))
            self._curves[key] = equity
        return self._curves[key]

    def _earned(self) -> Floats:
        return np.empty(0) if self.closed is None else (self.cash or np.nan) + np.cumsum(self.closed.pnl)

    def returns(self, way: Way) -> Floats:
        """Return the simple, or logarithmic, returns of the curve."""
        curve = self.curve(way)
        if len(curve) < 2:
            raise ValueError("fewer than two bars")
        growth = curve[1:] / curve[:-1]
        return np.asarray(np.log(growth) if way.mean == "log" else growth - 1.0)

    def periods(self, way: Way) -> float:
        """Return how many periods a way takes a year to have; NaN where nobody knows."""
        if way.year == "ours":
            return float("nan") if self.per_year is None or way.sample != "bar" else self.per_year
        if way.year == "spacing":
            steps = np.diff(self.timestamp.astype("M8[ns]").view(np.int64))
            return 365 * DAY * 1e9 / float(np.median(steps)) if len(steps) and way.sample == "bar" else float("nan")
        return float(way.year)

    def per_period(self, way: Way) -> float:
        """Return the risk-free rate of a period."""
        yearly = {"ours": self.rate, "simple": self.rate, "0": 0.0, "0.01": 0.01}[way.rate]
        count = self.periods(way)
        return yearly / count if way.rate == "simple" else float((1.0 + yearly) ** (1.0 / count) - 1.0)

    def yearly(self, way: Way) -> float:
        """Return the risk-free rate of a year."""
        return {"0": 0.0, "0.01": 0.01}.get(way.rate, self.rate)

    def years(self, way: Way) -> float:
        """Return the years that growth is spread over."""
        ends = self.timestamp[self._ends(way.sample)]
        if way.growth in _COUNTED:
            return (len(self.curve(way)) - (way.growth == "periods")) / self.periods(way)
        if way.growth == "days":
            return float((ends[-1] - ends[0]) // np.timedelta64(1, "D")) / 365
        seconds = float((ends[-1] - ends[0]) / np.timedelta64(1, "s"))
        return seconds / (YEAR if way.growth == "elapsed" else 365 * DAY)

    def _ends(self, sample: str) -> np.ndarray:
        if sample in ("bar", "exits") or not len(self.timestamp):
            return np.arange(len(self.timestamp))
        days = self.timestamp.astype("M8[D]")
        if sample == "week":  # which ends on a Sunday
            period = (days.astype(np.int64) + 3) // 7
        else:
            period = days.astype(f"M8[{_PERIODS[sample]}]").astype(np.int64)
        return np.flatnonzero(np.append(np.diff(period) != 0, True))
