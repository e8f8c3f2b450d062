"""Plain pandas, which says itself what it made: `just record -- python examples/pandas_.py`."""

from pathlib import Path

import pandas as pd

from peak_trade import record

BARS = Path(__file__).parent.parent / "data/samples/sp500_daily.csv"

if __name__ == "__main__":
    close = pd.read_csv(BARS, parse_dates=["timestamp"], index_col="timestamp")["close"]
    for window in (50, 100, 200):
        held = (close > close.rolling(window).mean()).shift(1, fill_value=False)
        equity = 10_000 * (1 + close.pct_change().fillna(0) * held).cumprod()
        record.param(window=window)
        record.equity(equity, symbol="SP500", strategy="above its mean")
        print(window, round(equity.iloc[-1], 2))
