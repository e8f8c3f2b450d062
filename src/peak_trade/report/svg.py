"""Figures as inline SVG: scales, ticks, downsampling, paths. No style: colours and widths are the style sheet's.

A figure is as wide as its place: positions along x are percentages, panels stretch, strokes and letters do not.
So the same markup is read on a phone, on a screen and on paper, in light and dark, without a script.
Coordinates inside a panel are whole numbers from 0 to 10,000, written as differences, which keeps long paths short.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from peak_trade.report.numbers import round_up
from peak_trade.stats.values import Floats, Times

__all__ = [
    "COLUMNS",
    "Panel",
    "Scale",
    "Tick",
    "area",
    "columns",
    "dots",
    "figure",
    "keep",
    "line",
    "linear_ticks",
    "log_ticks",
    "through",
    "time_ticks",
    "x_of",
]

COLUMNS = 800  # of pixels that a panel is drawn for; each keeps at most four points
_UNITS = 10_000
_ABOVE, _BELOW, _BETWEEN = 8, 24, 22  # px: over the topmost panel, for the x labels, between two panels


# --- scales and ticks ---------------------------------------------------------------------------------------------


class Scale(NamedTuple):
    """Maps values to fractions of a panel's height, 0 at the bottom; logarithmic where `log`."""

    low: float
    high: float
    log: bool = False

    @classmethod
    def around(cls, *series: Floats, zero: bool = False, log: bool = False) -> Scale:
        """Return a scale that holds every finite value with a little room, and 0 where `zero` asks for it."""
        values = np.concatenate([column[np.isfinite(column)] for column in series])
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        if zero:
            low, high = min(low, 0.0), max(high, 0.0)
        if log:
            room = (high / low) ** 0.04 if high > low else 1.05
            return cls(low / room, high * room, log=True)
        if low == high:
            room = abs(high) * 0.05 or 0.01
            return cls(low - room, high + room)
        room = (high - low) * 0.04
        return cls(low if zero and low == 0.0 else low - room, high if zero and high == 0.0 else high + room)

    def place(self, values: npt.ArrayLike) -> Floats:
        """Return where values stand, 0 (bottom) to 1 (top).

        >>> Scale(0.0, 50.0).place([0.0, 10.0, 50.0])
        array([0. , 0.2, 1. ])
        >>> Scale(1.0, 100.0, log=True).place([1.0, 10.0])
        array([0. , 0.5])
        """
        column = np.asarray(values, np.float64)
        if self.log:
            return np.asarray(np.log(column / self.low) / math.log(self.high / self.low))
        return np.asarray((column - self.low) / (self.high - self.low))

    def ticks(self, write: Callable[[float, float], str], count: int = 4) -> list[Tick]:
        """Return labelled round values inside; `write` makes the label of a value and the step between two."""
        values = log_ticks(self.low, self.high) if self.log else []
        if len(values) < 3:
            values = linear_ticks(self.low, self.high, count + 2 * self.log)
        step = min((b - a for a, b in pairwise(values)), default=abs(values[0]) if values else 1.0)
        return [Tick(float(self.place(value)), write(value, step)) for value in values]


class Tick(NamedTuple):
    """A label and where it stands, as a fraction; `minor` ones give way where there is little room."""

    at: float
    label: str
    minor: bool = False


def linear_ticks(low: float, high: float, count: int) -> list[float]:
    """Return the multiples of a round step between two values: at most `count` and one.

    >>> linear_ticks(-0.13, 0.41, 4)
    [0.0, 0.2, 0.4]
    >>> linear_ticks(9_400.0, 31_000.0, 5)
    [10000.0, 15000.0, 20000.0, 25000.0, 30000.0]
    """
    step = round_up((high - low) / count)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, -math.floor(math.log10(step)))
    return [round(number * step, digits) + 0.0 for number in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times each power of ten between two positive values; the powers alone over six decades.

    >>> log_ticks(90.0, 1_100.0)
    [100.0, 200.0, 500.0, 1000.0]
    """
    bases = (1, 2, 5) if high / low < 1e6 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [value for power in powers for base in bases if low <= (value := float(f"{base}e{power}")) <= high]


_TIMES: tuple[tuple[str, int, str], ...] = (
    ("s", 1, "%H:%M:%S"), ("s", 5, "%H:%M:%S"), ("s", 15, "%H:%M:%S"), ("s", 30, "%H:%M:%S"),
    ("m", 1, "%H:%M"), ("m", 5, "%H:%M"), ("m", 15, "%H:%M"), ("m", 30, "%H:%M"),
    ("h", 1, "%H:%M"), ("h", 3, "%H:%M"), ("h", 6, "%-d %b %H:%M"), ("h", 12, "%-d %b %H:%M"),
    ("D", 1, "%-d %b"), ("D", 2, "%-d %b"), ("D", 7, "%-d %b"), ("D", 14, "%-d %b"),
    ("M", 1, "%b %Y"), ("M", 3, "%b %Y"), ("M", 6, "%b %Y"),
    ("Y", 1, "%Y"), ("Y", 2, "%Y"), ("Y", 5, "%Y"), ("Y", 10, "%Y"), ("Y", 20, "%Y"), ("Y", 50, "%Y"), ("Y", 100, "%Y"),
)  # fmt: skip


def time_ticks(start: np.datetime64, end: np.datetime64, count: int = 11) -> list[Tick]:
    """Return at most `count` round moments between two, in UTC, every second one minor.

    >>> [tick.label for tick in time_ticks(np.datetime64("2019-11-20"), np.datetime64("2022-02-01"), 5)]
    ['Jan 2020', 'Jul 2020', 'Jan 2021', 'Jul 2021', 'Jan 2022']
    """
    first, last = start.astype("M8[s]"), end.astype("M8[s]")
    if last <= first:
        return [Tick(0.5, str(start.astype("M8[D]")))]
    moments, pattern = _moments(first, last, *_TIMES[0][:2]), _TIMES[0][2]
    for unit, step, pattern in _TIMES:  # noqa: B007 - the last one looked at is the one that is used
        moments = _moments(first, last, unit, step)
        if len(moments) <= count:
            break
    if len(moments) < 2:
        return [Tick(0.0, str(first.astype("M8[D]"))), Tick(1.0, str(last.astype("M8[D]")))]
    span = (last - first).astype(float)
    return [
        Tick(float((moment - first).astype(float) / span), moment.item().strftime(pattern), minor=bool(index % 2))
        for index, moment in enumerate(moments)
    ]


def _moments(first: np.datetime64, last: np.datetime64, unit: str, step: int) -> Times:
    """Return the multiples of `step` units since 1970 (years: since 0) between two moments."""
    since = 1970 % step if unit == "Y" else 0
    low = int(first.astype(f"M8[{unit}]").astype(int)) + since
    high = int(last.astype(f"M8[{unit}]").astype(int)) + since
    if (high - low) // step > 1_000:
        return np.zeros(1_001, "M8[s]")  # far too many: only their number is looked at
    found = (np.arange(-(-low // step) * step, high + 1, step) - since).astype(f"M8[{unit}]").astype("M8[s]")
    return found[(found >= first) & (found <= last)]


def x_of(timestamp: Times) -> Floats:
    """Return moments as fractions of the time from the first to the last; one alone stands in the middle."""
    if len(timestamp) < 2:
        return np.full(len(timestamp), 0.5)
    return np.asarray((timestamp - timestamp[0]) / (timestamp[-1] - timestamp[0]))


# --- marks --------------------------------------------------------------------------------------------------------


def keep(x: Floats, y: Floats, columns: int = COLUMNS) -> npt.NDArray[np.intp]:
    """Return which points of a line to draw: of each pixel column the first, the lowest, the highest and the last.

    So the picture of a million points is that of all of them, and no extreme is lost. `x` are fractions, in order.
    Source: U. Jugel et al., "M4: A Visualization-Oriented Time Series Data Aggregation", VLDB 7(10), 2014.

    >>> keep(np.linspace(0, 1, 9), np.array([0., 1, 9, 2, 3, 4, -5, 6, 7]), columns=1)
    array([0, 2, 6, 8])
    """
    if len(x) <= 2 * columns:
        return np.arange(len(x))
    column = np.minimum((x * columns).astype(np.intp), columns - 1)
    starts = np.flatnonzero(np.append(True, np.diff(column) > 0))
    ends = np.append(starts[1:], len(x)) - 1
    by_height = np.lexsort((y, column))
    kept: npt.NDArray[np.intp] = np.unique(np.concatenate((starts, ends, by_height[starts], by_height[ends])))
    return kept


def line(x: Floats, y: Floats, name: str) -> str:
    """Return a path of class `name` through fractions (x, y); it breaks where y is NaN."""
    alone = " alone" if len(x) == 1 else ""  # a point of a line's width would not be seen
    return _path(name + alone, "".join(through(*_thin(*part)) for part in _runs(x, y)))


def area(x: Floats, y: Floats, base: float, name: str) -> str:
    """Return a filled path of class `name` between a line and the height `base`, both in fractions."""
    parts = []
    for part in _runs(x, y):
        across, up = _thin(*part)
        edges = np.array([across[0], across[-1]])
        parts.append(
            through(
                np.concatenate((edges[:1], across, edges[1:])),
                np.concatenate(([_up(base)], up, [_up(base)])),
            )
            + "z"
        )
    return _path(name, "".join(parts))


def dots(x: Floats, y: Floats, name: str) -> str:
    """Return marks of class `name` as one path of points without length: the style's line ends give them their shape.

    Marks that would cover each other are drawn once.
    """
    fine = 1 if len(x) < 400 else 25
    cells = np.unique(np.stack([_across(x) // fine * fine, _up(y) // fine * fine], axis=1), axis=0)
    return _path(name, "".join(f"M{a} {b}h0" for a, b in cells.tolist()))


def columns(edges: Sequence[float], heights: Floats, base: float, name: str) -> str:
    """Return bars of class `name` as one path: `edges` (one more than bars), heights and `base` in fractions."""
    left = _across(np.asarray(edges))
    top = _up(heights)
    floor = int(_up(base))
    gap = min(30, int(np.diff(left).min()) // 5)
    return _path(
        name,
        "".join(
            f"M{a + gap} {floor}V{t}H{b - gap}V{floor}z"
            for a, b, t in zip(left[:-1].tolist(), left[1:].tolist(), top.tolist(), strict=True)
            if t != floor
        ),
    )


def _across(x: npt.ArrayLike) -> npt.NDArray[np.int64]:
    units: npt.NDArray[np.int64] = np.rint(np.asarray(x) * _UNITS).astype(np.int64)
    return units


def _up(y: npt.ArrayLike) -> npt.NDArray[np.int64]:
    return _across(1.0 - np.asarray(y))


def _runs(x: Floats, y: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Yield the stretches without NaN."""
    there = np.isfinite(y)
    for part in np.split(np.arange(len(y)), np.flatnonzero(np.diff(there)) + 1):
        if len(part) and there[part[0]]:
            yield x[part], y[part]


def _thin(x: Floats, y: Floats) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    kept = keep(x, y)
    return _across(x[kept]), _up(y[kept])


def through(x: npt.NDArray[np.int64], y: npt.NDArray[np.int64]) -> str:
    """Return a path through points: the first as it stands, the others as differences.

    >>> through(np.array([0, 10, 30]), np.array([500, 400, 450]))
    'M0 500l10 -100 20 50'
    """
    steps = np.stack([np.diff(x), np.diff(y)], axis=1)
    steps = steps[(steps != 0).any(axis=1)]
    path = f"M{x[0]} {y[0]}l" + " ".join(f"{a} {b}" for a, b in steps.tolist())
    return path if len(steps) else path + "0 0"


def _path(name: str, d: str) -> str:
    return f'<path class="{name}" d="{d}"/>' if d else ""


# --- figures ------------------------------------------------------------------------------------------------------


class Panel(NamedTuple):
    """One plot of a figure: its height in px, the ticks of its y axis, and its marks, those drawn last on top."""

    height: int
    ticks: Sequence[Tick]
    marks: Sequence[str]
    zero: float | None = None  # where a line for zero is drawn, as a fraction
    scale: Scale | None = None  # of its y axis, for the script that zooms it


def figure(name: str, description: str, panels: Sequence[Panel], x_ticks: Sequence[Tick]) -> str:
    """Return panels, one below the other on the same x axis, as one SVG that a screen reader can name and describe."""
    parts, y = [], _ABOVE
    for panel in panels:
        parts += [_rule("grid", y + (1 - tick.at) * panel.height) for tick in panel.ticks]
        parts += [
            f'<line class="grid" x1="{_percent(tick.at)}" x2="{_percent(tick.at)}" y1="{y}" y2="{y + panel.height}"/>'
            for tick in x_ticks
        ]
        parts.append(
            f'<svg class="panel" y="{y}" width="100%" {_height(panel.height)} viewBox="0 0 {_UNITS} {_UNITS}"'
            f' preserveAspectRatio="none"{_said(panel.scale)}>{"".join(panel.marks)}</svg>'
        )
        if panel.zero is not None:
            parts.append(_rule("zero", y + (1 - panel.zero) * panel.height))
        parts += [
            f'<text class="y" x="-8" y="{y + (1 - tick.at) * panel.height:.1f}" dy=".32em">{escape(tick.label)}</text>'
            for tick in panel.ticks
        ]
        y += panel.height + _BETWEEN
    y += _BELOW - _BETWEEN
    parts += [
        f'<text class="x{" minor" if tick.minor else ""}" x="{_percent(tick.at)}" y="{y - 6}"'
        f"{_anchor(tick.at)}>{escape(tick.label)}</text>"
        for tick in x_ticks
    ]
    label, about = escape(name), escape(description)
    return (
        f'<svg class="plot" role="img" aria-label="{label}: {about}" width="100%" {_height(y)}>'
        f"<title>{label}</title><desc>{about}</desc>{''.join(parts)}</svg>"
    )


def _height(pixels: int) -> str:
    """Say it twice: Pandoc's own style sheet gives every SVG the height `auto`, and that goes before an attribute."""
    return f'height="{pixels}" style="height:{pixels}px"'


def _said(scale: Scale | None) -> str:
    return f' data-scale="{scale.low!r} {scale.high!r}{" log" if scale.log else ""}"' if scale else ""


def _rule(name: str, y: float) -> str:
    return f'<line class="{name}" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>'


def _percent(fraction: float) -> str:
    return f"{fraction * 100:.2f}%"


def _anchor(at: float) -> str:
    """Keep the outermost labels inside the figure."""
    return ' text-anchor="start"' if at < 0.02 else ' text-anchor="end"' if at > 0.97 else ""
