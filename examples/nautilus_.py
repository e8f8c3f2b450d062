"""nautilus_trader's own moving-average crossover on an index: `just record -- python examples/nautilus_.py`."""

from decimal import Decimal
from pathlib import Path

import pandas as pd
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.examples.strategies.ema_cross import EMACross, EMACrossConfig
from nautilus_trader.model import BarType, Money, Venue
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.enums import AccountType, OmsType
from nautilus_trader.persistence.wranglers import BarDataWrangler
from nautilus_trader.test_kit.providers import TestInstrumentProvider

SAMPLES = Path(__file__).parent.parent / "data/samples"


def backtest(fast):
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    venue = Venue("XNAS")
    cash = [Money(1_000_000, USD)]
    engine.add_venue(venue, OmsType.NETTING, AccountType.MARGIN, base_currency=USD, starting_balances=cash)
    index = TestInstrumentProvider.equity(symbol="INDEX", venue="XNAS")
    engine.add_instrument(index)
    kind = BarType.from_str(f"{index.id}-1-DAY-LAST-EXTERNAL")
    bars = pd.read_csv(SAMPLES / "sp500_daily.csv", parse_dates=["timestamp"], index_col="timestamp").round(2)
    bars["volume"] = 1_000_000
    engine.add_data(BarDataWrangler(kind, index).process(bars))
    asked = {"fast_ema_period": fast, "slow_ema_period": 50, "trade_size": Decimal(100)}
    engine.add_strategy(EMACross(EMACrossConfig(instrument_id=index.id, bar_type=kind, **asked)))
    engine.run()
    print(fast, engine.get_result().stats_pnls["USD"]["PnL (total)"])
    engine.dispose()


if __name__ == "__main__":
    for fast in (5, 10, 20):
        backtest(fast)
