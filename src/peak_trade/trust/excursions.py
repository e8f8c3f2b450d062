"""Are a run's MAE and MFE what its bars show? With the closes alone, they are held against what those show at least."""

from __future__ import annotations

import numpy as np

from peak_trade.market.bars import Bars
from peak_trade.market.excursions import excursions
from peak_trade.market.trades import EXIT_REASONS, Trades
from peak_trade.stats.values import Times
from peak_trade.trust.money import Closes
from peak_trade.trust.verdict import Verdict

__all__ = ["check"]

_CLOSE = 1e-9  # of the entry price
_AT_CLOSE = EXIT_REASONS.index("end_of_data")


def check(
    verdict: Verdict, file: str, trades: Trades, timestamp: Times, bars: Bars | None, closes: Closes | None
) -> None:
    """Hold the excursions of the trades, from `file`, against the bars, or those closes that alone are known.

    Trades that were kept without have nothing to check, and of those that do not stand at bars `money` tells.
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
    at_close = trades.exit_reason == _AT_CLOSE
    with np.errstate(all="ignore"):  # what is no number agrees with nothing
        mae, mfe = excursions(high, low, trades.side, entry, trades.entry_price, exit_, trades.exit_price, at_close)
        if bars is None:  # the highs and lows may lie beyond, and never short of it
            mae, mfe = np.minimum(mae, trades.mae), np.maximum(mfe, trades.mfe)
        verdict.agree(file, "mae", mae, trades.mae, _CLOSE)
        verdict.agree(file, "mfe", mfe, trades.mfe, _CLOSE)
