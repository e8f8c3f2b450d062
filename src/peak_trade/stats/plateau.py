"""How wide the top of a search is: the values around its peak that are nearly as good, over all parameters at once.

There is no standard measure of this; the definition is ours, and made to be checked by eye. A grid has an axis for each
parameter and a value of one statistic in each cell, NaN where there is none.

- The *peak* is the cell with the best value, the first of equals.
- A cell is *nearly as good* where it falls short of the peak by at most `GIVE` of the peak's size: of a Sharpe ratio of
  0.5, whatever is at least 0.4. The standard error of the ratio would be no measure here: trials on the same bars share
  their luck, so that two of them differ by far less by chance than either does from the truth.
- Two cells are *neighbours* where they differ by one step along one ordered axis. Values without an order, such as
  names, have no neighbours: another name is another strategy.
- The *plateau* is what can be reached from the peak over neighbours that are nearly as good.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from peak_trade.stats.values import Floats

__all__ = ["GIVE", "Plateau", "plateau"]

GIVE = 0.2
"""By how much of the peak's own size a cell may fall short of it."""


class Plateau(NamedTuple):
    """The peak of a grid and what surrounds it; places along an axis count from 0.

    `inside` tells of each cell whether it is of the plateau; `floor` is the value that it has to reach, `median` that
    of the values inside. `extent` has the first and the last place of the plateau along each axis, `through` the
    stretch of it along each axis on which all others stay as at the peak. `neighbours` are the values of the peak's
    direct neighbours that have one, `empty` the count of those that have none.
    """

    peak: tuple[int, ...]
    value: float
    floor: float
    inside: npt.NDArray[np.bool_]
    median: float
    extent: tuple[tuple[int, int], ...]
    through: tuple[tuple[int, int], ...]
    neighbours: tuple[float, ...]
    empty: int

    @property
    def cells(self) -> int:
        """How many cells the plateau has."""
        return int(np.count_nonzero(self.inside))

    @property
    def alone(self) -> bool:
        """Whether the peak has neighbours, and none of them is nearly as good."""
        return self.cells == 1 and len(self.neighbours) + self.empty > 0


def plateau(values: Floats, ordered: Sequence[bool], *, least: bool = False) -> Plateau | None:
    """Return the plateau of a grid of values, of any number of axes; None where no cell has a value.

    `ordered` tells of each axis whether its values have an order; the best value is the lowest where `least`.

    >>> found = plateau(np.array([0.1, 0.45, 0.5, 0.41, 0.2, 0.45]), [True])
    >>> found.peak, round(found.floor, 9), found.extent, found.median, found.neighbours
    ((2,), 0.4, ((1, 3),), 0.45, (0.45, 0.41))
    """
    height = -values if least else values
    known = np.isfinite(height)
    if not known.any():
        return None
    top = int(np.argmax(np.where(known, height, -np.inf)))
    peak = tuple(int(one) for one in np.unravel_index(top, values.shape))
    best = float(height.flat[top])
    floor = best - GIVE * abs(best)
    good = known & (height >= floor - 1e-12 * abs(best))  # 0.8 of a peak that is 0.4 but for rounding
    inside = _reached(good, top, ordered)
    where = np.nonzero(inside)
    beside = [float(values.flat[one]) for one in _beside(values.shape, top, ordered)]
    there = tuple(one for one in beside if np.isfinite(one))
    sign = -1.0 if least else 1.0
    return Plateau(
        peak,
        sign * best,
        sign * floor,
        inside,
        float(np.median(values[inside])),
        tuple((int(places.min()), int(places.max())) for places in where),
        tuple(_through(inside, peak, axis) for axis in range(values.ndim)),
        there,
        len(beside) - len(there),
    )


def _beside(shape: tuple[int, ...], cell: int, ordered: Sequence[bool]) -> list[int]:
    """Return the neighbours of a cell, all by their numbers in a flat grid: those before it first, axis by axis."""
    found, step = [], 1
    for length, has_order in zip(reversed(shape), reversed(list(ordered)), strict=True):
        place = cell // step % length
        if has_order:
            found += [cell - step] if place > 0 else []
            found += [cell + step] if place < length - 1 else []
        step *= length
    return found


def _reached(good: npt.NDArray[np.bool_], start: int, ordered: Sequence[bool]) -> npt.NDArray[np.bool_]:
    open_to, inside = good.ravel().tolist(), np.zeros(good.size, np.bool_)
    inside[start], open_to[start] = True, False
    waiting = deque([start])
    while waiting:
        for cell in _beside(good.shape, waiting.popleft(), ordered):
            if open_to[cell]:
                inside[cell], open_to[cell] = True, False
                waiting.append(cell)
    return inside.reshape(good.shape)


def _through(inside: npt.NDArray[np.bool_], peak: tuple[int, ...], axis: int) -> tuple[int, int]:
    place: Any = (*peak[:axis], slice(None), *peak[axis + 1 :])
    line = inside[place]
    first = last = peak[axis]
    while first > 0 and line[first - 1]:
        first -= 1
    while last < len(line) - 1 and line[last + 1]:
        last += 1
    return first, last
