"""Tracking: finished runs, logged to MLflow from their directories alone.

May import evidence and what is below it; takes run directories, never live objects.

In reading order: `content` says what of a run MLflow shows; `store` where that is kept, and how two take turns there;
`condition` says what is wrong with a database before MLflow sees it, and `database` makes its tables; `worker` is the
process that logs, and may die at any time; `batch` starts it and leaves a `receipt` of every run in its directory.
`tracker` is all that a run needs: it knows none of them until it has to.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from peak_trade.config import Tracking

__all__ = ["NullTracker", "Tracker", "tracker"]


class Tracker(Protocol):
    """What is done about a run once its evidence is there."""

    def log(self, run_dir: Path) -> None:
        """Log a sealed run; where tracking is strict, wait for it, and raise RunError if it fails."""

    def log_later(self, run_dir: Path) -> None:
        """Have a run logged by another process, whatever became of it; returns at once, and never raises."""


class NullTracker:
    """Does nothing, writes nothing, costs nothing."""

    def log(self, run_dir: Path) -> None:
        """Do nothing."""

    log_later = log


def tracker(settings: Tracking, root: Path) -> Tracker:
    """Return what `[tracking]` asks for; `PEAK_STRICT=1` turns `auto` into `strict`.

    `root` is the repository, in which a store is looked for whose path is relative.
    """
    if settings.mode == "off":
        return NullTracker()
    from peak_trade.tracking.batch import MlflowTracker  # a run that is not tracked does not pay for it

    return MlflowTracker(root, strict=settings.mode == "strict" or os.environ.get("PEAK_STRICT") == "1")
