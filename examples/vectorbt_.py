"""vectorbt on two indices: `just record -- python examples/vectorbt_.py`. Each column is a trial."""

from pathlib import Path

import pandas as pd
import vectorbt as vbt

SAMPLES = Path(__file__).parent.parent / "data/samples"


def close(name):
    return pd.read_csv(SAMPLES / f"{name}.csv", parse_dates=["timestamp"], index_col="timestamp")["close"]


if __name__ == "__main__":
    price = pd.DataFrame({"SP500": close("sp500_daily"), "NASDAQ": close("nasdaq_daily")})
    price.columns.name = "symbol"
    fast, slow = vbt.MA.run_combs(price, window=[10, 20, 50, 100], r=2, short_names=["fast", "slow"])
    entries, exits = fast.ma_crossed_above(slow), fast.ma_crossed_below(slow)
    account = vbt.Portfolio.from_signals(price, entries, exits, init_cash=10_000, fees=0.001, freq="1D")
    print(account.total_return())
