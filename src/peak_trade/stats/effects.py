"""How much a parameter matters: what a statistic is at each of its values, and how much of its spread that explains."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from peak_trade.stats.values import NOISE, Floats

__all__ = ["Effect", "Level", "effect"]


class Level(NamedTuple):
    """The trials at one value of a parameter: how many have the statistic, and its quartiles; None where none has."""

    trials: int
    low: float | None
    median: float | None
    high: float | None


class Effect(NamedTuple):
    """What a parameter does to a statistic: a level for each value; `share` of its variance that the levels explain."""

    levels: tuple[Level, ...]
    share: float | None


def effect(level: npt.NDArray[np.integer], values: Floats, levels: int) -> Effect:
    """Return the main effect of a parameter whose value in each trial is the `level`, 0 up to `levels`.

    `share` is the correlation ratio, sum of n (mean of the level - mean)**2 / sum of (value - mean)**2; over a full
    grid it is the first-order sensitivity index of that grid. None where the values do not vary. Trials without the
    statistic (NaN) and those of no level (-1) are left out. Source: R. Fisher, "Statistical Methods for Research
    Workers", 1925 (eta squared); I. Sobol, "Sensitivity Estimates for Nonlinear Mathematical Models", 1993.

    >>> found = effect(np.array([0, 0, 1, 1]), np.array([1.0, 3.0, 5.0, 7.0]), 2)
    >>> found.share, found.levels[0]
    (0.8, Level(trials=2, low=1.5, median=2.0, high=2.5))
    """
    there = np.isfinite(values) & (level >= 0)
    of, known = level[there], values[there]
    order = np.argsort(of, kind="stable")
    edges = np.searchsorted(of[order], np.arange(levels + 1))
    parts = [known[order[first:end]] for first, end in pairwise(edges.tolist())]
    return Effect(tuple(map(_level, parts)), _share(parts, known))


def _level(values: Floats) -> Level:
    if not len(values):
        return Level(0, None, None, None)
    low, median, high = (float(one) for one in np.quantile(values, (0.25, 0.5, 0.75)))
    return Level(len(values), low, median, high)


def _share(parts: list[Floats], values: Floats) -> float | None:
    if len(values) < 2 or np.ptp(values) <= NOISE * (1.0 + np.abs(values).max()):
        return None
    # squares of the largest numbers overflow, and a share has no unit; a power of two costs no digit
    unit = math.ldexp(1.0, math.frexp(float(np.abs(values).max()))[1] - 1)
    mean = (values / unit).mean()
    whole = float(((values / unit - mean) ** 2).sum())
    between = sum(len(part) * float((part / unit).mean() - mean) ** 2 for part in parts if len(part))
    return min(between / whole, 1.0)
