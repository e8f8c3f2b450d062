"""One trial, as it is asked for."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

__all__ = ["Task"]


class Task(Struct, frozen=True):
    """One trial: what of the config is other than its base, and on which bars it is made.

    `span` are the bars that it trades, from its first up to its second (None: all); the strategy is asked about the
    bars up to there, from the first of all on, so that indicators are warm. `fold` and `part` (`train`, `test`) say
    where it belongs in a walk-forward or a cross-validation; `fold` is -1 elsewhere.
    """

    overrides: dict[str, Any]
    span: tuple[int, int] | None = None
    fold: int = -1
    part: str = ""
