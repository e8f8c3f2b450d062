"""freqtrade's own backtest and hyperopt as its command line starts them, with the markets given, not loaded."""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from freqtrade.commands.arguments import Arguments
from freqtrade.commands.optimize_commands import setup_optimize_configuration
from freqtrade.data.history import get_datahandler
from freqtrade.enums import CandleType, RunMode
from freqtrade.exchange.exchange import Exchange

STRATEGY = """
from freqtrade.strategy import IntParameter, IStrategy

class Mean(IStrategy):
    INTERFACE_VERSION = 3
    timeframe = "1d"
    stoploss = -0.2
    minimal_roi = {"0": 10}
    window = IntParameter(5, 30, default=10, space="buy")

    def populate_indicators(self, dataframe, metadata):
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        dataframe.loc[dataframe["close"] > dataframe["close"].rolling(self.window.value).mean(), "enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        dataframe.loc[dataframe["close"] < dataframe["close"].rolling(self.window.value).mean(), "exit_long"] = 1
        return dataframe
"""
PAIRS = ("BTC/USDT", "ETH/USDT")
NO_LIMIT = {"min": None, "max": None}
PRICING = {"price_side": "same", "use_order_book": False}


def market(pair):
    return {
        "id": pair.replace("/", ""), "symbol": pair, "base": pair[:3], "quote": "USDT", "active": True, "spot": True,
        "type": "spot", "contract": False, "precision": {"amount": 1e-6, "price": 1e-2}, "taker": 0.001, "info": {},
        "limits": {"amount": NO_LIMIT, "price": NO_LIMIT, "cost": {"min": 5, "max": None}, "leverage": NO_LIMIT},
    }  # fmt: skip


def reload_markets(self, *_, **__):
    self._markets = {pair: market(pair) for pair in PAIRS}
    self._api.markets = self._api_async.markets = self._markets


Exchange.reload_markets = reload_markets
Exchange.validate_timeframes = Exchange.validate_config = lambda *_, **__: None
Exchange.get_fee = lambda *_, **__: 0.001
Exchange.precisionMode = Exchange.precision_mode_price = property(lambda self: 4)


def candles(random):
    close = 100 * np.cumprod(1 + random.normal(0.0005, 0.02, 400))
    first = np.append(100, close[:-1])
    days = pd.date_range("2023-01-01", periods=400, tz="UTC")
    high, low = np.maximum(first, close) * 1.005, np.minimum(first, close) * 0.995
    return pd.DataFrame({"date": days, "open": first, "high": high, "low": low, "close": close, "volume": 1e6})


def prepare(user):
    (user / "strategies").mkdir()
    (user / "data").mkdir()
    (user / "strategies/mean.py").write_text(STRATEGY)
    random = np.random.default_rng(3)
    for pair in PAIRS:
        get_datahandler(user / "data", "feather").ohlcv_store(pair, "1d", candles(random), CandleType.SPOT)
    config = {
        "max_open_trades": 2, "stake_currency": "USDT", "stake_amount": "unlimited", "dry_run_wallet": 1000,
        "dry_run": True, "exchange": {"name": "binance", "key": "", "secret": "", "pair_whitelist": list(PAIRS)},
        "pairlists": [{"method": "StaticPairList"}], "entry_pricing": PRICING, "exit_pricing": PRICING,
    }  # fmt: skip
    (user / "config.json").write_text(json.dumps(config))


if __name__ == "__main__":
    user, mode = Path(tempfile.mkdtemp()), sys.argv[1]
    prepare(user)
    words = [
        mode,
        "--strategy",
        "Mean",
        "--config",
        user / "config.json",
        "--userdir",
        user,
        "--datadir",
        user / "data",
    ]
    if mode == "hyperopt":
        from freqtrade.optimize.hyperopt import Hyperopt

        words += ["--epochs", "4", "-j", "2", "--spaces", "buy", "--hyperopt-loss", "SharpeHyperOptLoss"]
        words += ["--random-state", "1", "--disable-param-export"]
        Hyperopt(setup_optimize_configuration(Arguments([*map(str, words)]).get_parsed_arg(), RunMode.HYPEROPT)).start()
    else:
        from freqtrade.optimize.backtesting import Backtesting

        words += ["--export", "none", "--cache", "none"]
        test = Backtesting(
            setup_optimize_configuration(Arguments([*map(str, words)]).get_parsed_arg(), RunMode.BACKTEST)
        )
        test.start()
        (made,) = test.results["strategy"].values()
        print(json.dumps([made["total_trades"], made["final_balance"], made["sharpe"]]))
