"""Tracking: finished runs, logged to MLflow from their directories alone.

May import evidence and what is below it; takes run directories, never live objects.

In reading order: `content` says what of a run MLflow shows; `store` where that is kept, and how two take turns there;
`worker` is the process that logs, and alone imports mlflow; `batch` starts it, sets it a limit and ends it; `receipt`
is what stays in the run's directory. `tracker` is all that a run needs: it knows none of them until it has to.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from peak_trade.config import Tracking

__all__ = ["NullTracker", "Tracker", "tracker"]


class Tracker(Protocol):
    """What is done about a run once its evidence is there."""

    def sealed(self, run_dir: Path) -> None:
        """Log a sealed run."""

    def failed(self, run_dir: Path) -> None:
        """Log a run that was sealed as failed."""


class NullTracker:
    """Does nothing, writes nothing, costs nothing."""

    def sealed(self, run_dir: Path) -> None:
        """Do nothing."""

    def failed(self, run_dir: Path) -> None:
        """Do nothing."""


def tracker(settings: Tracking, root: Path) -> Tracker:
    """Return what `[tracking]` asks for; `PEAK_STRICT=1` turns `auto` into `strict`.

    `root` is the repository, in which a store is looked for whose path is relative.
    """
    if settings.mode == "off":
        return NullTracker()
    from peak_trade.tracking.batch import MlflowTracker  # a run that is not tracked does not pay for it

    return MlflowTracker(root, strict=settings.mode == "strict" or os.environ.get("PEAK_STRICT") == "1")
