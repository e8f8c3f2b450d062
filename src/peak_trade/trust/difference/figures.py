"""Statistics of runs side by side: those that are not the same in all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from peak_trade.stats import STATS

__all__ = ["Figure", "figures"]


_ZERO = 1e-9


class Figure(Struct, frozen=True):
    """A statistic by its key, its unit (empty where it is none of ours), and the value of each run."""

    key: str
    unit: str
    values: list[float | None]

    @property
    def is_rounding(self) -> bool:
        """Whether the values differ by no more than rounding does."""
        return all(_same(self.values[0], value, _ZERO) for value in self.values[1:])


def figures(of: Sequence[Mapping[str, Any]], tolerance: float = 0.0, *, every: bool = False) -> list[Figure]:
    """Return the statistics that differ from those of the first, in the order of the statistics' table.

    A figure differs where it moved by more than `tolerance`, a fraction of the larger one, and, where there is a
    tolerance at all, by more than 1e-9: what is zero but for rounding is zero. One that a run does not have
    at all, for its version knew none, is left out; with `every` all that all have are returned.

    >>> [one.key for one in figures([{"trades": 3, "sharpe": 1.0}, {"trades": 3, "sharpe": 2.0}])]
    ['sharpe']
    """
    units = {stat.key: stat.unit for stat in STATS}
    known = [key for key in of[0] if all(key in one for one in of)]
    order = {key: at for at, key in enumerate(units)}
    found = []
    for key in sorted(known, key=lambda key: order.get(key, len(order))):
        values = [one[key] for one in of]
        if every or any(not _same(values[0], value, tolerance) for value in values[1:]):
            found.append(Figure(key, units.get(key, ""), values))
    return found


def _same(a: float | None, b: float | None, tolerance: float) -> bool:
    if a is None or b is None:
        return a is b
    return a == b or math.isclose(a, b, rel_tol=tolerance, abs_tol=min(tolerance, _ZERO))
