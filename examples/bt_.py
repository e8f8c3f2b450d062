"""bt on two indices, in equal parts each month: `just record -- python examples/bt_.py`."""

from pathlib import Path

import bt
import pandas as pd

SAMPLES = Path(__file__).parent.parent / "data/samples"


def close(name):
    return pd.read_csv(SAMPLES / f"{name}.csv", parse_dates=["timestamp"], index_col="timestamp")["close"]


if __name__ == "__main__":
    prices = pd.DataFrame({"SP500": close("sp500_daily"), "NASDAQ": close("nasdaq_daily")})
    algos = [bt.algos.RunMonthly(), bt.algos.SelectAll(), bt.algos.WeighEqually(), bt.algos.Rebalance()]
    result = bt.run(bt.Backtest(bt.Strategy("halves", algos), prices))
    result.display()
