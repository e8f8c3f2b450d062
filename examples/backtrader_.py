"""backtrader on the daily S&P 500: `just record -- python examples/backtrader_.py`. Two workers try six settings."""

from pathlib import Path

import backtrader as bt

BARS = Path(__file__).parent.parent / "data/samples/sp500_daily.csv"


class SmaCross(bt.Strategy):
    params = {"fast": 20, "slow": 100}

    def __init__(self):
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=self.p.fast), bt.ind.SMA(period=self.p.slow))

    def next(self):
        if not self.position and self.cross > 0:
            self.buy()
        elif self.position and self.cross < 0:
            self.close()


if __name__ == "__main__":
    cerebro = bt.Cerebro(maxcpus=2)
    cerebro.adddata(bt.feeds.GenericCSVData(dataname=str(BARS), dtformat="%Y-%m-%d", openinterest=-1, name="SP500"))
    cerebro.broker.setcash(10_000)
    cerebro.broker.setcommission(0.001)
    cerebro.optstrategy(SmaCross, fast=[10, 20, 50], slow=[100, 200])
    for (made,) in cerebro.run():
        print(made.p.fast, made.p.slow)
