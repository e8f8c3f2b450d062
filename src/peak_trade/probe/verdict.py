"""What a probe says of a strategy, in a word, a sentence and the first decision that shows it."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from msgspec import Struct

__all__ = ["FAIL", "NOT_ASSESSED", "PASS", "Change", "Probe"]

PASS, FAIL, NOT_ASSESSED = "PASS", "FAIL", "NOT_ASSESSED"


class Change(Struct, frozen=True):
    """A decision that is another when the bars from number `bars` on are `cut` off, or others: `before` → `after`.

    `bar` counts from 0; `time` is that bar's. A decision that was none, as NaN, is None.
    """

    bar: int
    time: str
    bars: int
    before: float | None
    after: float | None
    cut: bool = True

    def __str__(self) -> str:
        rest = "bars after it" if self.bars == self.bar + 1 else f"the bars after bar {self.bars - 1}"
        what = "cut off" if self.cut else "others"
        return f"the decision at bar {self.bar} changes when {rest} are {what}: {self.values}"

    @property
    def values(self) -> str:
        """Both decisions, as short as tells them apart."""
        pairs = ([_figure(value, digits) for value in (self.before, self.after)] for digits in (2, 4, 6, 17))
        return next(f"{before} → {after}" for before, after in pairs if before != after)


def _figure(value: float | None, digits: int) -> str:
    return "none" if value is None else repr(round(value, digits) + 0.0)


class Probe(Struct, frozen=True):
    """The verdict on a strategy: PASS, FAIL or NOT_ASSESSED, and why.

    `cuts` and `others` count the places at which it was asked without the bars that follow and with other ones, and
    answered; `first` is the change that shows look-ahead, or that it gives two answers for the same bars
    (`repeatable` is False then; None where that was not tried).
    """

    verdict: str
    reason: str
    cuts: int = 0
    others: int = 0
    first: Change | None = None
    repeatable: bool | None = None

    def to_json_object(self) -> dict[str, Any]:
        """Return it as a manifest holds it."""
        found = msgspec.structs.asdict(self)
        found["first"] = None if self.first is None else msgspec.structs.asdict(self.first)
        return found


def decided(value: float) -> float | None:
    """Return a decision; None for one that is none.

    >>> decided(1.0), decided(float("nan"))
    (1.0, None)
    """
    return value if math.isfinite(value) else None
