"""The same strategies as in `theirs`, as they stand in people's files: each takes a data frame, none knows of us."""

from __future__ import annotations

from typing import Any


def vectorbt_readme(df: Any, fast: int = 10, slow: int = 30) -> Any:
    """Entries and exits, as booleans."""
    fast_ma, slow_ma = df["close"].rolling(fast).mean(), df["close"].rolling(slow).mean()
    entries = (fast_ma > slow_ma) & (fast_ma.shift(1) <= slow_ma.shift(1))
    exits = (fast_ma < slow_ma) & (fast_ma.shift(1) >= slow_ma.shift(1))
    return entries, exits


def ties(df: Any) -> Any:
    """Entries and exits of which many meet."""
    return df["close"] > df["open"], df["volume"] > df["volume"].shift(1)


def backtrader_readme(df: Any, fast: int = 10, slow: int = 30) -> Any:
    """Events: 1 where the averages cross upwards, -1 where downwards."""
    above = (df["Close"].rolling(fast).mean() > df["Close"].rolling(slow).mean()).astype(int)
    above[: slow - 1] = above.iloc[slow - 1]
    return above.diff()


def bt_above(df: Any, window: int = 30) -> Any:
    """What to hold, as booleans."""
    return df["close"] > df["close"].rolling(window).mean()


def pandas_position(df: Any, fast: int = 10, slow: int = 30) -> Any:
    """A frame with a column of positions, shifted by one bar as everybody writes it."""
    df["position"] = (df["close"].rolling(fast).mean() > df["close"].rolling(slow).mean()).astype(int).shift(1)
    df["strategy"] = df["position"] * df["close"].pct_change()
    return df


def weights(df: Any) -> Any:
    """A half bought once: what it has become at each close."""
    growth = df["close"] / df["close"].iloc[0]
    return 0.5 * growth / (0.5 + 0.5 * growth)
