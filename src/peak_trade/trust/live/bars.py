"""The price of the market at any time, by the bars of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from peak_trade.market.bars import Bars

__all__ = ["market"]


def market(bars: Bars | None) -> Callable[[Any], Any] | None:
    """Return what gives the open of the bar that a time (ns since 1970) lies in; None without bars."""
    if bars is None or not len(bars):
        return None
    times, opens = bars.timestamp.astype("M8[ns]").view(np.int64), bars.open

    def at(time: Any) -> Any:
        return opens[max(int(times.searchsorted(time, side="right")) - 1, 0)]  # of many trades, one by one

    return at
