"""The heat map of a sweep: cells over two of its parameters, drawn here as it is seen first, and again by `heat.js`.

A cell over two parameters holds many trials where there are more parameters, or where an axis has so many values that
they are put together. What it shows of them is then a choice: by default their median, which does not flatter.
What is drawn is whole numbers, hundredths of what is written, so that page, table and script show the same digits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.report.head import label_of
from peak_trade.report.inline import script
from peak_trade.report.markup import number, percent, table, text
from peak_trade.report.trials import LARGEST, Axis, Ints, Trials, medians
from peak_trade.report.values import encoded
from peak_trade.stats import STATS
from peak_trade.stats.values import Floats

__all__ = ["MODES", "STEPS", "Pair", "Shown", "aggregated", "edge", "heat_map", "parameters", "shown_as"]

STEPS = 9
"""Colours of the scale; the style sheet has them."""
MODES = {
    "median": "the median of its trials",
    "highest": "the highest of its trials",
    "lowest": "the lowest of its trials",
    "chosen": "those trials that have the other parameters as the chosen one",
}
_PLACES, _NUMBERS = 40, 250_000  # places of an axis that are drawn, and numbers in the page, at most
_FEWEST = 8  # places of an axis whose values are put together
_PARAMETERS = 6  # any two of which can be chosen
_WRITTEN = 12  # columns: of fewer, the cells have their number in them
_LABELS = 14  # along the bottom
_PERCENT = 1e7  # a fraction of this size or more is not written in digits
_STATS = ("sharpe", "total_return", "cagr", "max_drawdown", "calmar", "volatility", "trades", "exposure")
_UNITS = {stat.key: stat.unit for stat in STATS}
_SIGNS = {"fraction": "p", "probability": "p", "count": "c", "bars": "c"}
Value = int | None


class Side(Struct, frozen=True):
    """An axis as it is drawn: the label of each place, and where each trial stands."""

    name: str
    labels: list[str]
    places: Ints
    joined: bool

    @classmethod
    def of(cls, axis: Axis, most: int) -> Side:
        """Return an axis of at most so many places: values in a row of an ordered one are put together.

        Of one without an order, the last place is all others together.
        """
        count = len(axis.values)
        if count <= most:
            return cls(axis.name, list(axis.labels), axis.places, False)
        if not axis.ordered:
            labels = [*axis.labels[: most - 1], f"{count - most + 1:,} others"]
            return cls(axis.name, labels, np.minimum(axis.places, most - 1), True)
        each = -(-count // most)
        labels = [axis.span(first, min(first + each, count) - 1) for first in range(0, count, each)]
        return cls(axis.name, labels, np.where(axis.places < 0, -1, axis.places // each), True)


class Pair(Struct, frozen=True):
    """The cells over two parameters, row by row from the bottom: `down` has a row for each value of the first.

    `count`, `failed` and `same` are how many trials there are, how many of them failed or are duplicates; `flat` are
    the cells in which a combination of the plateau lies. `values` has for each statistic, for each mode, a number a
    cell. `chosen` is the cell of the trial that was chosen.
    """

    down: int
    across: int
    count: list[int]
    failed: list[int]
    same: list[int]
    flat: list[int]
    chosen: int | None
    values: list[list[list[Value]]]


class Shown(Struct, frozen=True):
    """All that the page can draw: axes, statistics (key, label, sign), modes, and a `Pair` for any two axes."""

    axes: list[tuple[str, list[str]]]
    stats: list[tuple[str, str, str]]
    modes: list[str]
    pairs: list[Pair]
    joined: list[str]


def aggregated(trials: Trials, axes: Sequence[Axis], asked: str, flat: npt.NDArray[np.bool_] | None) -> Shown:
    """Return the cells over any two of these axes, of a search by the statistic `asked`.

    `flat` tells of each trial whether it is of the plateau, where that is known.
    """
    known = [key for key in _STATS if key in trials.table.keys and np.isfinite(trials.of_stat(key)).any()]
    keys = [asked, *(key for key in known if key != asked)]
    many = len(trials.axes) > 2 or any(len(axis.values) > _PLACES for axis in axes) or trials.folded
    modes = list(MODES) if many else ["median"]
    modes = [mode for mode in modes if mode != "chosen" or trials.pick is not None]
    most = _fitting(axes, len(keys) * len(modes), len(trials))
    sides = [Side.of(axis, most) for axis in axes]
    there = trials.searched & np.all([side.places >= 0 for side in sides], axis=0)
    pairs = [
        _pair(trials, axes, sides, (one, other), there, keys, modes, flat)
        for one, other in combinations(range(len(axes)), 2)
    ]
    return Shown(
        [(side.name, side.labels) for side in sides],
        [(key, label_of(key), _SIGNS.get(_UNITS.get(key, "ratio"), "n")) for key in keys],
        modes,
        pairs,
        [side.name for side in sides if side.joined],
    )


def _fitting(axes: Sequence[Axis], layers: int, trials: int) -> int:
    """Return how many places of an axis can be drawn, so that the page stays small, and cells have trials in them.

    Where values are put together anyway, a cell shall have two trials or more on average.
    """
    most = _PLACES
    if any(len(axis.values) > most for axis in axes):
        most = min(most, max(_FEWEST, math.isqrt(trials // 2)))
    while most > 4:
        lengths = [min(len(axis.values), most) for axis in axes]
        if sum(one * other for one, other in combinations(lengths, 2)) * layers <= _NUMBERS:
            break
        most -= 1
    return most


def _pair(
    trials: Trials, axes: Sequence[Axis], sides: Sequence[Side], of: tuple[int, int], there: npt.NDArray[np.bool_],
    keys: Sequence[str], modes: Sequence[str], flat: npt.NDArray[np.bool_] | None,
) -> Pair:  # fmt: skip
    down, across = (sides[at] for at in of)
    wide, size = len(across.labels), len(down.labels) * len(across.labels)
    cells = np.where(there, down.places * wide + across.places, -1)
    masks = dict.fromkeys(modes, there)
    if "chosen" in masks and trials.pick is not None:
        others = [axis.places == axis.places[trials.pick] for at, axis in enumerate(axes) if at not in of]
        masks["chosen"] = there & np.all(others, axis=0) if others else there
    values = []
    for key in keys:
        column, sign = trials.of_stat(key), _SIGNS.get(_UNITS.get(key, "ratio"), "n")
        values.append([_scaled(_shown(cells, column, masks[mode], mode, size), sign) for mode in modes])

    def tally(which: npt.NDArray[np.bool_]) -> list[int]:
        found: list[int] = np.bincount(cells[there & which], minlength=size).tolist()
        return found

    every = np.ones(len(trials), np.bool_)
    inside = [] if flat is None else np.unique(cells[there & flat]).tolist()
    chosen = None if trials.pick is None or cells[trials.pick] < 0 else int(cells[trials.pick])
    return Pair(
        *of, tally(every), tally(trials.failed), tally(~trials.first & ~trials.failed), inside, chosen, values
    )  # fmt: skip


def _shown(cells: Ints, column: Floats, which: npt.NDArray[np.bool_], mode: str, size: int) -> Floats:
    known = which & np.isfinite(column)
    if mode in ("median", "chosen"):
        return medians(cells[known], column[known], size)
    worst = -np.inf if mode == "highest" else np.inf
    found = np.full(size, worst)
    (np.maximum if mode == "highest" else np.minimum).at(found, cells[known], column[known])
    return np.where(np.isfinite(found), found, np.nan)


def _scaled(values: Floats, sign: str) -> list[Value]:
    """Return values as whole numbers of what is written last: hundredths, of a percent; ones of a count."""
    digits, largest = 0 if sign == "c" else 2, _PERCENT if sign == "p" else LARGEST
    return [
        int(f"{one * (100 if sign == 'p' else 1):.{digits}f}".replace(".", "")) if abs(one) < largest else None
        for one in values.tolist()
    ]


def shown_as(value: Value, sign: str) -> str:
    """Return a whole number of `_scaled` as people read it.

    >>> shown_as(1235, "p"), shown_as(-57, "n"), shown_as(1200, "c"), shown_as(None, "n")
    ('12.35 %', '−0.57', '1,200', '–')
    """
    if value is None:
        return "–"
    if sign == "c":
        return number(value, 0)
    return percent(value / 10_000) if sign == "p" else number(value / 100)


# --- as it is seen first --------------------------------------------------------------------------------------------


def heat_map(found: Shown, first: tuple[int, int]) -> str:
    """Return the figure with its choices, its numbers as a table, and what the script needs; `first` is what is drawn.

    Without a script it stays as it is.
    """
    pair = next(one for one in found.pairs if (one.down, one.across) == first)
    (_, label, sign), values = found.stats[0], pair.values[0][0]
    drawn = _drawn(found, pair, label, sign, values)
    return (
        f'<div class="heatmap">{_choices(found, first)}<figure><div class="drawn">{drawn}</div>'
        f"{_scale(values, sign)}{_legend(found)}<figcaption>{_caption(found)}</figcaption></figure>"
        f"<details><summary>The numbers of this figure</summary>"
        f'<div class="numbers">{_numbers(found, pair, label, sign, values)}</div></details>'
        f'<script type="application/json">{encoded(found)}</script>{script("heat")}</div>'
    )


def _choices(found: Shown, first: tuple[int, int]) -> str:
    parts = [_select("stat", "Statistic", [label for _, label, _ in found.stats], 0)]
    if len(found.axes) > 2:
        names = [name for name, _ in found.axes]
        parts += [_select("across", "Across", names, first[1]), _select("down", "Up", names, first[0])]
    if len(found.modes) > 1:
        parts.append(_select("mode", "A cell shows", [MODES[mode] for mode in found.modes], 0))
    return f'<p class="choices" hidden>{"".join(parts)}</p>'


def _select(name: str, label: str, words: Iterable[str], at: int) -> str:
    listed = "".join(
        f'<option value="{place}"{" selected" if place == at else ""}>{text(one)}</option>'
        for place, one in enumerate(words)
    )
    return f'<label>{label} <select data-choice="{name}" autocomplete="off">{listed}</select></label>'


def _drawn(found: Shown, pair: Pair, label: str, sign: str, values: Sequence[Value]) -> str:
    (down_name, down), (across_name, across) = found.axes[pair.down], found.axes[pair.across]
    wide, high = len(across), len(down)
    row = max(28 if high <= 14 else 420 // high, 9)
    steps = _steps(values)
    marks, words = [], []
    for cell, value in enumerate(values):
        x, y = cell % wide, high - 1 - cell // wide
        told = text(_told(found, pair, cell, sign, value))
        kind = f"c{steps[cell]}" if value is not None else "none" if pair.count[cell] else "untried"
        marks.append(f'<rect class="{kind}" x="{x}" y="{y}" width="1" height="1"><title>{told}</title></rect>')
        if value is None and pair.count[cell] and pair.failed[cell] == pair.count[cell]:
            marks.append(f'<path class="failed" d="M{x} {y + 1}l1 -1"/>')
        if wide <= _WRITTEN and value is not None:
            place = f'x="{100 * (x + 0.5) / wide:.2f}%" y="{8 + (y + 0.5) * row:g}"'
            words.append(f'<text class="cell t{steps[cell]}" {place} dy=".32em">{shown_as(value, sign)}</text>')
    if line := edge(pair.flat, wide, high):
        marks += [f'<path class="halo" d="{line}"/>', f'<path class="edge" d="{line}"/>']
    if pair.chosen is not None:
        ring = f"M{pair.chosen % wide} {high - 1 - pair.chosen // wide}h1v1h-1z"
        marks += [f'<path class="halo" d="{ring}"/>', f'<path class="ring" d="{ring}"/>']
    each, every = -(-wide // _LABELS), -(-15 // row)
    words += [
        f'<text class="x{" minor" if at // each % 2 else ""}" x="{100 * (at + 0.5) / wide:.2f}%" y="{high * row + 26}">'
        f"{text(_short(one))}</text>"
        for at, one in enumerate(across)
        if at % each == 0
    ]
    words += [
        f'<text class="y" x="-8" y="{8 + (high - at - 0.5) * row:g}" dy=".32em">{text(_short(one))}</text>'
        for at, one in enumerate(down)
        if at % every == 0
    ]
    words.append(f'<text class="x name" x="50%" y="{high * row + 46}">{text(across_name)}</text>')
    tall = high * row + 54
    about = text(f"{label} over {across_name} (across) and {down_name} (up)")
    return (
        f'<p class="up">{text(down_name)} ↑</p>'
        f'<svg class="plot heat" role="img" aria-label="{about}" width="100%" height="{tall}" style="height:{tall}px">'
        f'<svg class="panel" y="8" width="100%" height="{high * row}" style="height:{high * row}px" '
        f'viewBox="0 0 {wide} {high}" preserveAspectRatio="none">{"".join(marks)}</svg>{"".join(words)}</svg>'
    )


def _short(label: str) -> str:
    return label if len(label) <= 12 else label[:11] + "…"


def _steps(values: Sequence[Value]) -> list[int]:
    """Return the colour of each value; where all are equal, the middle one."""
    known = [one for one in values if one is not None]
    low, high = (min(known), max(known)) if known else (0, 0)
    span = high - low
    return [
        0 if one is None else STEPS // 2 if span == 0 else min(STEPS * (one - low) // span, STEPS - 1) for one in values
    ]


def _told(found: Shown, pair: Pair, cell: int, sign: str, value: Value) -> str:
    (down_name, down), (across_name, across) = found.axes[pair.down], found.axes[pair.across]
    place = f"{across_name} {across[cell % len(across)]}, {down_name} {down[cell // len(across)]}"
    count, failed, same = pair.count[cell], pair.failed[cell], pair.same[cell]
    if not count:
        return f"{place}: not tried"
    if value is None:
        said = "failed" if failed == count else "no value"
    else:
        said = shown_as(value, sign)
    notes = [f"{count:,} trials"] if count > 1 else []
    notes += [f"{failed:,} failed"] if failed and (failed < count or count > 1) else []
    notes += ["a duplicate" if count == 1 else f"{same:,} duplicates"] if same else []
    notes += ["chosen"] if cell == pair.chosen else []
    return f"{place}: {said}" + (f" ({', '.join(notes)})" if notes else "")


def edge(cells: Iterable[int], wide: int, high: int) -> str:
    """Return the outline of cells, numbered row by row from the bottom, as a path in units of cells.

    >>> edge([0], 2, 2)
    'M0 1h1M0 2h1M0 1v1M1 1v1'
    """
    inside = {(cell % wide, high - 1 - cell // wide) for cell in cells}
    parts = []
    for x, y in sorted(inside):
        parts += [f"M{x} {y}h1"] if (x, y - 1) not in inside else []
        parts += [f"M{x} {y + 1}h1"] if (x, y + 1) not in inside else []
        parts += [f"M{x} {y}v1"] if (x - 1, y) not in inside else []
        parts += [f"M{x + 1} {y}v1"] if (x + 1, y) not in inside else []
    return "".join(parts)


def _scale(values: Sequence[Value], sign: str) -> str:
    known = [one for one in values if one is not None]
    low, high = (shown_as(min(known), sign), shown_as(max(known), sign)) if known else ("–", "–")
    colours = "".join(f'<i class="c{step}"></i>' for step in range(STEPS))
    return f'<p class="colours"><span class="low">{low}</span>{colours}<span class="high">{high}</span></p>'


def _legend(found: Shown) -> str:
    """Return what the marks mean that there are over any two parameters."""
    pairs = found.pairs
    named = [("ring", "the chosen trial")] if any(pair.chosen is not None for pair in pairs) else []
    named += [("edge", "the plateau around the peak")] if any(pair.flat for pair in pairs) else []
    lost = any(count == failed > 0 for pair in pairs for count, failed in zip(pair.count, pair.failed, strict=True))
    named += [("failed", "all failed")] if lost else []
    named += [("untried", "not tried")] if not all(all(pair.count) for pair in pairs) else []
    return f'<ul class="legend">{"".join(f"<li class={kind}>{words}</li>" for kind, words in named)}</ul>'


def _caption(found: Shown) -> str:
    said = "A cell for each combination"
    if len(found.modes) > 1:
        said = "A cell stands for all trials with its two values, and shows their median unless you choose otherwise"
    if found.joined:
        said += f"; of {text(', '.join(found.joined))}, values that follow each other are put together"
    return f"{said}."


def _numbers(found: Shown, pair: Pair, label: str, sign: str, values: Sequence[Value]) -> str:
    (down_name, down), (across_name, across) = found.axes[pair.down], found.axes[pair.across]
    wide = len(across)
    rows = []
    for at in reversed(range(len(down))):
        cells = (
            shown_as(value, sign) if value is not None else _lacks(pair, at * wide + place)
            for place, value in enumerate(values[at * wide : (at + 1) * wide])
        )
        rows.append([text(down[at]), *cells])
    head = [f"{text(down_name)} \\ {text(across_name)}", *map(text, across)]
    return table(head, rows, label=text(f"{label} by {down_name} and {across_name}"))


def _lacks(pair: Pair, cell: int) -> str:
    if not pair.count[cell]:
        return "not tried"
    return "failed" if pair.failed[cell] == pair.count[cell] else "–"


def parameters(axes: Sequence[Axis], shares: Sequence[float | None]) -> list[int]:
    """Return which axes can be chosen, those first that explain most; at most six."""
    order = sorted(range(len(axes)), key=lambda at: (-(shares[at] or 0.0), at))
    return sorted(order[:_PARAMETERS])
