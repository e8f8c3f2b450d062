"""backtesting.py on the daily S&P 500: `just record -- python examples/backtesting_py.py`."""

from pathlib import Path

import pandas as pd
from backtesting import Backtest, Strategy
from backtesting.lib import crossover

BARS = Path(__file__).parent.parent / "data/samples/sp500_daily.csv"


def mean(values, bars):
    return pd.Series(values).rolling(bars).mean()


class SmaCross(Strategy):
    fast = 20
    slow = 100

    def init(self):
        self.short = self.I(mean, self.data.Close, self.fast)
        self.long = self.I(mean, self.data.Close, self.slow)

    def next(self):
        if crossover(self.short, self.long):
            self.buy()
        elif crossover(self.long, self.short):
            self.position.close()


if __name__ == "__main__":
    bars = pd.read_csv(BARS, parse_dates=["timestamp"], index_col="timestamp").rename(columns=str.capitalize)
    test = Backtest(bars, SmaCross, cash=100_000, commission=0.001, finalize_trades=True)
    print(test.optimize(fast=range(10, 40, 10), slow=range(60, 180, 40), maximize="Return [%]"))
