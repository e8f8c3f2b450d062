"""Are a run's MAE and MFE what its bars show? With the closes alone, they are held against what those show at least."""

from __future__ import annotations

import numpy as np

from peak_trade.market.bars import Bars
from peak_trade.market.excursions import excursions, held_whole
from peak_trade.market.trades import Trades
from peak_trade.stats.values import Times
from peak_trade.trust.money import Closes
from peak_trade.trust.verdict import Verdict

__all__ = ["check"]

_CLOSE = 1e-9  # of the entry price


def check(
    verdict: Verdict, file: str, trades: Trades, timestamp: Times, bars: Bars | None, closes: Closes | None, *,
    at_close: bool,
) -> None:  # fmt: skip
    """Hold the excursions of the trades, from `file`, against the bars, or those closes that alone are known.

    `at_close` tells that signals filled at closes. Trades that were kept without have nothing to check, and of those
    that do not stand at bars `money` tells.
    """
    if trades.mae is None or trades.mfe is None or not len(trades):
        return
    entry, exit_ = np.searchsorted(timestamp, trades.entry_time), np.searchsorted(timestamp, trades.exit_time)
    if exit_.max() >= len(timestamp) or (entry > exit_).any():
        return
    high, low = np.full(len(timestamp), -np.inf), np.full(len(timestamp), np.inf)  # unknown: no extreme of anything
    if bars is not None:
        high, low = bars.high, bars.low
    elif closes is not None:
        high[closes.at] = low[closes.at] = closes.close
    held, end = held_whole(entry, exit_, trades.exit_reason, at_close)
    with np.errstate(all="ignore"):  # what is no number agrees with nothing
        mae, mfe = excursions(high, low, trades.side, held, trades.entry_price, end, trades.exit_price)
        if bars is None:  # the highs and lows may lie beyond, and never short of it
            mae, mfe = np.minimum(mae, trades.mae), np.maximum(mfe, trades.mfe)
        verdict.agree(file, "mae", mae, trades.mae, _CLOSE)
        verdict.agree(file, "mfe", mfe, trades.mfe, _CLOSE)
