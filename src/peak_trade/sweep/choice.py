"""What a choice among trials goes by, and how well it carries over to other bars."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.errors import InputError
from peak_trade.evidence import tables
from peak_trade.sweep.axes import Drawn, Space

__all__ = ["Choice", "csv", "mean", "number", "rank_correlation", "refuse_varied"]

Floats = npt.NDArray[np.float64]


class Choice(Struct, frozen=True):
    """The most of a statistic is best, or the `least`."""

    statistic: str
    least: bool = False

    @property
    def told(self) -> dict[str, str]:
        """What was asked, as a plan describes it."""
        return {"minimize" if self.least else "maximize": self.statistic}

    def of(self, values: Floats) -> int | None:
        """Return the place of the best of some values, the first of equal ones; None where all are NaN.

        >>> Choice("sharpe").of(np.array([np.nan, 2.0, 2.0])), Choice("sharpe").of(np.array([np.nan]))
        (1, None)
        """
        known = np.isfinite(values)
        if not known.any():
            return None
        worst = np.inf if self.least else -np.inf
        held = np.where(known, values, worst)
        return int(np.argmin(held) if self.least else np.argmax(held))

    def lost(self, train: float | None, test: float | None) -> float | None:
        """Return how much worse it is on the test bars than on those it was chosen on; below 0 where it is better."""
        if train is None or test is None:
            return None
        return test - train if self.least else train - test


def refuse_varied(space: Space | Drawn, why: Mapping[str, str]) -> None:
    """Raise InputError where a key is varied that begins with one of `why`, which says why it can't be."""
    for axis in space.axes:
        for prefix, reason in why.items():
            if axis.key.startswith(prefix):
                raise InputError(f"{axis.key} can't be varied here: {reason}", hint=f"leave out --grid {axis.key}=…")


def number(value: float) -> float | None:
    """Return a value as a plain number, None where it is NaN."""
    return float(value) if math.isfinite(value) else None


def mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of those that are numbers; None where none is."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def rank_correlation(pairs: Sequence[tuple[float | None, float | None]]) -> float | None:
    """Return Spearman's rank correlation of the pairs that are both numbers; None of fewer than three, or of no spread.

    Values that tie have the mean of their ranks.
    Source: C. Spearman, "The Proof and Measurement of Association between Two Things", American Journal of Psychology
    15(1), 1904.

    >>> rank_correlation([(1.0, 10.0), (2.0, 30.0), (3.0, 20.0)])
    0.5
    """
    known = np.array([pair for pair in pairs if None not in pair], np.float64).reshape(-1, 2)
    if len(known) < 3:
        return None
    first, second = (_ranks(column) for column in known.T)
    spread = math.sqrt(float((first * first).sum() * (second * second).sum()))
    return float((first * second).sum()) / spread if spread else None


def _ranks(values: Floats) -> Floats:
    """Return ranks less their mean."""
    below, same = (values[:, None] > values).sum(axis=1), (values[:, None] == values).sum(axis=1)
    ranks = below + (same + 1) / 2.0
    return np.asarray(ranks - ranks.mean())


def csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return rows as CSV: what is None is an empty cell, a mapping is JSON with sorted keys."""
    return tables.rows_csv([{name: _cell(value) for name, value in row.items()} for row in rows]).encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value, order="deterministic").decode()
