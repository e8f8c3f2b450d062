"""Strategies drawn by lot that look at nothing but what they may: each kind, with parameters of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from peak_trade.market.bars import Bars, Floats


def drawn(seed: int) -> Callable[[Bars], Any]:
    """Return an honest strategy of a kind and with parameters that `seed` draws."""
    lot = np.random.default_rng(seed)
    kind = KINDS[seed % len(KINDS)]
    strategy: Callable[[Bars], Any] = kind(lot)
    strategy.__name__ = f"{kind.__name__}_{seed}"
    return strategy


def _frame(bars: Bars) -> pd.DataFrame:
    columns = ("open", "high", "low", "close", "volume")
    return pd.DataFrame({name: getattr(bars, name) for name in columns}, index=pd.DatetimeIndex(bars.timestamp))


def crossing(lot: Any) -> Any:
    fast, slow = int(lot.integers(2, 20)), int(lot.integers(21, 90))
    return lambda bars: (_frame(bars).close.rolling(fast).mean() > _frame(bars).close.rolling(slow).mean()).astype(
        float
    )


def fading(lot: Any) -> Any:
    fast, slow = int(lot.integers(2, 20)), int(lot.integers(21, 90))

    def strategy(bars: Bars) -> Any:
        close = _frame(bars).close
        return (close.ewm(span=fast).mean() > close.ewm(span=slow, adjust=False).mean()).astype(float)

    return strategy


def continuous(lot: Any) -> Any:
    window, sharp = int(lot.integers(3, 60)), float(lot.uniform(0.5, 5.0))

    def strategy(bars: Bars) -> Any:
        close = _frame(bars).close
        score = (close - close.rolling(window).mean()) / close.rolling(window).std()
        return np.tanh(sharp * score.fillna(0.0))

    return strategy


def breaking_out(lot: Any) -> Any:
    window = int(lot.integers(5, 80))

    def strategy(bars: Bars) -> Floats:
        data, held, target = _frame(bars), 0.0, []
        above, below = data.high.rolling(window).max().shift(1), data.low.rolling(window // 2 + 1).min().shift(1)
        for close, high, low in zip(data.close, above, below, strict=True):
            held = 1.0 if close > high else 0.0 if close < low else held
            target.append(held)
        return np.array(target)

    return strategy


def expanding(lot: Any) -> Any:
    least, share = int(lot.integers(5, 40)), float(lot.uniform(0.2, 0.8))
    return lambda bars: (
        _frame(bars).close > _frame(bars).close.expanding(least).quantile(share)
    ).astype(float)  # fmt: skip


def weekly(lot: Any) -> Any:
    weeks = int(lot.integers(2, 8))

    def strategy(bars: Bars) -> Any:
        close = _frame(bars).close
        week = close.resample("W").last().shift(1).reindex(close.index, method="ffill")
        return (close > week.rolling(weeks).mean().fillna(np.inf)).astype(float)

    return strategy


def by_the_calendar(lot: Any) -> Any:
    days = set(lot.integers(0, 7, 3).tolist())
    return lambda bars: np.isin(pd.DatetimeIndex(bars.timestamp).day_of_week, list(days)).astype(float)


def needs_history(lot: Any) -> Any:
    least, window = int(lot.integers(20, 250)), int(lot.integers(3, 20))

    def strategy(bars: Bars) -> Any:
        if len(bars) < least:
            raise ValueError(f"{least} bars are needed")
        return (bars.close > np.convolve(bars.close, np.ones(window) / window)[: len(bars)]).astype(float)

    return strategy


def convolved_by_fft(lot: Any) -> Any:
    window = int(lot.integers(3, 30))

    def strategy(bars: Bars) -> Floats:
        size = 2 * len(bars) + window
        kernel = np.fft.rfft(np.exp(-np.arange(window) / 5.0), size)
        smooth = np.fft.irfft(np.fft.rfft(np.log(bars.close), size) * kernel, size)[: len(bars)]
        return np.clip(np.sin(40.0 * smooth), -1.0, 1.0)  # its last bits hang on how many bars there are

    return strategy


def trained_first(lot: Any) -> Any:
    share, lags = float(lot.uniform(0.3, 0.8)), int(lot.integers(1, 5))

    def strategy(bars: Bars) -> Floats:
        change = np.diff(np.log(bars.close), prepend=np.log(bars.close[0]))
        features = np.column_stack([np.roll(change, lag) for lag in range(lags)])
        features[:lags] = 0.0
        end = int(share * len(bars))
        if end < 30:
            return np.zeros(len(bars))
        weights = np.linalg.lstsq(features[: end - 1], change[1:end], rcond=None)[0]
        target = (features @ weights > 0).astype(float)
        target[:end] = 0.0
        return target

    return strategy


def throwing_dice(lot: Any) -> Any:
    share = float(lot.uniform(0.1, 0.5))

    def strategy(bars: Bars) -> Floats:
        first, second = np.random.rand(len(bars)), np.random.rand(len(bars))  # noqa: NPY002 - as people do
        rising = np.diff(bars.close, prepend=bars.close[0]) > 0
        return np.where(rising, first < share, second < share).astype(float)

    return strategy


def volatility(lot: Any) -> Any:
    window, goal = int(lot.integers(5, 60)), float(lot.uniform(0.05, 0.4))

    def strategy(bars: Bars) -> Any:
        change = _frame(bars).close.pct_change()
        return (goal / (change.rolling(window).std() * np.sqrt(365))).clip(0, 1).fillna(0.0)

    return strategy


def stops_itself(lot: Any) -> Any:
    window, loss = int(lot.integers(3, 30)), float(lot.uniform(0.01, 0.1))

    def strategy(bars: Bars) -> Floats:
        target, entry = np.zeros(len(bars)), 0.0
        for bar in range(window, len(bars)):
            close = bars.close[bar]
            if entry and close < entry * (1 - loss):
                entry = 0.0
            elif not entry and close > bars.close[bar - window : bar].max():
                entry = close
            target[bar] = 1.0 if entry else 0.0
        return target

    return strategy


KINDS = (
    crossing, fading, continuous, breaking_out, expanding, weekly, by_the_calendar, needs_history, convolved_by_fft,
    trained_first, throwing_dice, volatility, stops_itself,
)  # fmt: skip
