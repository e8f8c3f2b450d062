"""Strategies as people write them, run by their own engines: the figures that ours are held against.

    python tests/parity/theirs.py ENGINE [> tests/parity/golden/ENGINE.json]

prints what the engine of that name, which is installed beside pandas, makes of them: versions, equity and trades. The
scripts are the engines' own examples; what differs from those is said where it stands.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

CASH, FAST, SLOW = 10_000.0, 10, 30
START, END = "2014-01-01", "2016-01-01"
FILE = Path(__file__).parents[2] / "data/samples/nasdaq_daily.csv"


def prices() -> Any:
    """Return the bars that each engine is given, by time."""
    import pandas as pd

    frame = pd.read_csv(FILE, parse_dates=[0], index_col=0)
    frame.columns = [name.lower() for name in frame.columns]
    return frame[(frame.index >= START) & (frame.index < END)].astype(float)


def vectorbt() -> dict[str, Any]:
    """The crossover of vectorbt's README, with costs."""
    import vectorbt as vbt

    price = prices()["close"]
    fast_ma, slow_ma = vbt.MA.run(price, FAST), vbt.MA.run(price, SLOW)
    entries, exits = fast_ma.ma_crossed_above(slow_ma), fast_ma.ma_crossed_below(slow_ma)
    pf = vbt.Portfolio.from_signals(price, entries, exits, init_cash=CASH, fees=0.001, slippage=0.0005)
    trades = pf.trades.records_readable
    return {
        "equity": pf.value().tolist(),
        "trades": [
            [str(row["Entry Timestamp"])[:10], row["Avg Entry Price"], str(row["Exit Timestamp"])[:10],
             row["Avg Exit Price"], row["PnL"]]
            for _, row in trades.iterrows()
            if row["Status"] == "Closed"
        ],
    }  # fmt: skip


def vectorbt_ties() -> dict[str, Any]:
    """Signals of which some meet at one bar: vectorbt takes neither."""
    import vectorbt as vbt

    frame = prices()
    entries, exits = frame["close"] > frame["open"], frame["volume"] > frame["volume"].shift(1)
    pf = vbt.Portfolio.from_signals(frame["close"], entries, exits, init_cash=CASH)
    return {"equity": pf.value().tolist(), "ties": int((entries & exits).sum())}


def backtrader() -> dict[str, Any]:
    """The crossover of backtrader's README; it buys one share, so its trades are compared, not its equity."""
    import backtrader as bt

    closed: list[Any] = []

    class SmaCross(bt.SignalStrategy):  # type: ignore[misc] # it is not typed
        def __init__(self) -> None:
            sma1, sma2 = bt.ind.SMA(period=FAST), bt.ind.SMA(period=SLOW)
            crossover = bt.ind.CrossOver(sma1, sma2)
            self.signal_add(bt.SIGNAL_LONG, crossover)

        def notify_trade(self, trade: Any) -> None:  # the one thing added: it keeps the trades
            if trade.isclosed:
                leave = trade.history[-1].event.order.executed
                closed.append([str(bt.num2date(trade.dtopen))[:10], trade.history[0].event.price,
                               str(bt.num2date(trade.dtclose))[:10], leave.price, trade.pnlcomm])  # fmt: skip

    cerebro = bt.Cerebro(tradehistory=True)
    cerebro.broker.setcash(1e6)
    cerebro.addstrategy(SmaCross)
    cerebro.adddata(bt.feeds.PandasData(dataname=prices()))
    cerebro.run()
    return {"trades": closed}


def bt() -> dict[str, Any]:
    """The "price above its average" of bt's documentation, of one security, in fractions of shares."""
    import bt as package

    price = prices()[["close"]]
    signal = price > price.rolling(SLOW).mean()
    strategy = package.Strategy(
        "above sma", [package.algos.SelectWhere(signal), package.algos.WeighEqually(), package.algos.Rebalance()]
    )
    test = package.Backtest(strategy, price, initial_capital=CASH, integer_positions=False, progress_bar=False)
    package.run(test)
    return {"equity": test.strategy.values.tolist()[1:]}  # its first row is of the day before


def bt_weights() -> dict[str, Any]:
    """The weights of an account that bought a half once: they drift with the price."""
    import bt as package

    price = prices()[["close"]]
    strategy = package.Strategy(
        "once", [package.algos.RunOnce(), package.algos.WeighSpecified(close=0.5), package.algos.Rebalance()]
    )
    test = package.Backtest(strategy, price, initial_capital=CASH, integer_positions=False, progress_bar=False)
    package.run(test)
    return {"weights": test.security_weights["close"].tolist()[1:]}


def pandas() -> dict[str, Any]:
    """A position column, and the product of what it earned."""
    frame = prices()
    frame["position"] = (frame["close"].rolling(FAST).mean() > frame["close"].rolling(SLOW).mean()).astype(int).shift(1)
    growth = 1 + frame["position"].fillna(0) * frame["close"].pct_change().fillna(0)
    return {"equity": (CASH * growth.cumprod()).tolist()}


ENGINES = {
    "vectorbt": {"crossover": vectorbt, "ties": vectorbt_ties},
    "backtrader": {"crossover": backtrader},
    "bt": {"above": bt, "weights": bt_weights},
    "pandas": {"position": pandas},
}


def made(engine: str) -> dict[str, Any]:
    """Return what an engine makes of its strategies, and the versions that made it."""
    found = {name: run() for name, run in ENGINES[engine].items()}
    return {"versions": {name: version(name) for name in dict.fromkeys([engine, "pandas", "numpy"])}, **found}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(made(sys.argv[1])) + "\n")
