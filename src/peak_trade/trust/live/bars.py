"""The bars of a run where its file still has them, for the price of the market at any time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from peak_trade.config import Data
from peak_trade.errors import PeakError
from peak_trade.market import fingerprint, ohlcv, promised
from peak_trade.trust.difference import Sealed

__all__ = ["market"]

Market = Callable[[Any], Any]


def market(run: Sealed, root: Path) -> Market | None:
    """Return what gives the open of the bar that a time (ns since 1970) lies in; None where the bars are not there.

    They are looked for as the run found them, below `root`, and count only where they have the run's fingerprint.
    """
    made_from = run.made.of("bars")
    if made_from is None:
        return None
    try:
        data = msgspec.convert(run.config["data"], Data)
        folder = str(run.manifest.predicate.run_details.get("folder") or ".")
        files = made_from.about["files"]
        paths = promised.find(data.path, [root / folder, root], files, run.path.parent)
        bars = ohlcv.load_bars(
            paths,
            symbol=data.symbol,
            timeframe=data.timeframe,
            calendar=data.calendar,
            on_violation=data.on_violation,
            reading=data,
        ).bars
    except (PeakError, OSError, TypeError, ValueError, LookupError, AttributeError):
        return None
    if fingerprint.digest(bars) != made_from.digest.get("sha256"):
        return None
    times, opens = bars.timestamp.astype("M8[ns]").view(np.int64), bars.open

    def at(time: Any) -> Any:
        return opens[np.clip(np.searchsorted(times, time, side="right") - 1, 0, len(times) - 1)]

    return at
