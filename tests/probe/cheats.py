"""Ten strategies that look ahead, each in a way of its own, and what a person writes that only looks as if it did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from peak_trade.market.bars import Bars, Floats


def frame(bars: Bars) -> pd.DataFrame:
    return pd.DataFrame(
        {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")},
        index=pd.DatetimeIndex(bars.timestamp),
    )


def shifted_back(bars: Bars) -> Any:
    close = frame(bars).close
    return (close.shift(-1) > close).astype(float)


def centred_window(bars: Bars) -> Any:
    close = frame(bars).close
    return (close > close.rolling(21, center=True).mean()).astype(float)


def full_sample_zscore(bars: Bars) -> Any:
    close = frame(bars).close
    return ((close - close.mean()) / close.std() < -0.5).astype(float)


def back_filled(bars: Bars) -> Any:
    close = frame(bars).close
    mean = close.rolling(50).mean().bfill().fillna(close)
    return (close > mean).astype(float)


def maximum_of_all(bars: Bars) -> Any:
    return (bars.close > 0.8 * bars.close.max()).astype(float)


def resampled_to_the_end(bars: Bars) -> Any:
    close = frame(bars).close
    week = close.resample("W").last().reindex(close.index, method="bfill")
    return (week > close).astype(float)


def index_that_looks_ahead(bars: Bars) -> Any:
    close = frame(bars).close
    ahead = close.index.get_indexer(close.index + pd.Timedelta("3D"), method="nearest")
    return (close.to_numpy()[ahead] > close.to_numpy()).astype(float)


def scaled_by_everything(bars: Bars) -> Any:
    low, high = bars.close.min(), bars.close.max()
    return 1.0 - (bars.close - low) / max(high - low, 1e-9)


def label_among_features(bars: Bars) -> Any:
    change = np.diff(np.log(bars.close), prepend=np.log(bars.close[0]))
    label = np.concatenate([change[1:], [0.0]]) > 0
    features = np.column_stack([np.ones(len(bars)), change, label])
    weights = np.linalg.lstsq(features, label.astype(float), rcond=None)[0]
    return (features @ weights > 0.5).astype(float)


def reads_the_file(bars: Bars) -> Any:
    close = pd.read_csv(Path(FILE)).close
    return (close.shift(-1) > close).to_numpy()[: len(bars)].astype(float)


FILE = "bars.csv"  # set by the test
CHEATS = (
    shifted_back, centred_window, full_sample_zscore, back_filled, maximum_of_all, resampled_to_the_end,
    index_that_looks_ahead, scaled_by_everything, label_among_features, reads_the_file,
)  # fmt: skip


# --- of one kind with those above -----------------------------------------------------------------------------------


def leak_of_far_ahead(bars: Bars) -> Floats:
    ahead = np.concatenate([bars.close[40:], np.full(min(40, len(bars)), bars.close[-1])])[: len(bars)]
    return (ahead > bars.close).astype(float)


def last_one_filled_forward(bars: Bars) -> Any:
    close = frame(bars).close
    return (close.shift(-1).ffill().fillna(0) > close).astype(float)


def high_of_the_next_bar(bars: Bars) -> Floats:
    return (np.concatenate([bars.high[1:], bars.high[-1:]]) > bars.high).astype(float)


def minimum_to_come(bars: Bars) -> Floats:
    to_come = np.minimum.accumulate(bars.low[::-1])[::-1]
    return (bars.close <= 1.02 * to_come).astype(float)


def outliers_dropped(bars: Bars) -> Floats:
    change = np.concatenate([np.diff(bars.close) / bars.close[:-1], [0.0]])
    return (np.where(np.abs(change) < 0.1, change, 0.0) > 0).astype(float)


def ranked_among_all(bars: Bars) -> Any:
    return frame(bars).close.rank(pct=True)


def smoothed_both_ways(bars: Bars) -> Any:
    there = frame(bars).close.ewm(span=20).mean()
    back = there[::-1].ewm(span=20).mean()[::-1]
    return (bars.close > back).astype(float)


def fitted_on_everything(bars: Bars) -> Any:
    trend = np.polynomial.Polynomial.fit(np.arange(len(bars)), np.log(bars.close), min(3, len(bars) - 1))
    return (np.log(bars.close) < trend(np.arange(len(bars)))).astype(float)


def day_of_the_turn(bars: Bars) -> Floats:
    return (np.arange(len(bars)) < int(np.argmax(bars.close))).astype(float)


MORE = (
    leak_of_far_ahead, last_one_filled_forward, high_of_the_next_bar, minimum_to_come, outliers_dropped,
    ranked_among_all, smoothed_both_ways, fitted_on_everything, day_of_the_turn,
)  # fmt: skip
