"""Numbers as if drawn by lot, the same everywhere: NumPy's own generators take longer to import than a run has time."""

from __future__ import annotations

import numpy as np

from peak_trade.market.bars import Floats

__all__ = ["uniform"]


def uniform(count: int, seed: int) -> Floats:
    """Return numbers in [0, 1), shape (count,), by Steele, Lea and Flood (2014), "Fast Splittable Pseudorandom Number
    Generators".

    >>> uniform(2, 0).round(6).tolist()
    [0.883311, 0.431528]
    """
    state = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    drawn: Floats = ((state ^ (state >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return drawn
