"""zipline-reloaded on two drawn stocks, from a bundle made of CSV: `just record -- python examples/zipline_.py`."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

os.environ.setdefault("ZIPLINE_ROOT", tempfile.mkdtemp())

from zipline import run_algorithm
from zipline.api import order_target_percent, symbol
from zipline.data import bundles
from zipline.data.bundles.csvdir import csvdir_equities
from zipline.utils.calendar_utils import get_calendar

NAMES = ("AAA", "BBB")
EXCHANGE = get_calendar("XNYS")
DAYS = EXCHANGE.sessions_in_range("2022-01-03", "2023-12-29")


def ingest():
    folder = Path(tempfile.mkdtemp())
    (folder / "daily").mkdir()
    random = np.random.default_rng(3)
    for name in NAMES:
        close = 50 * np.cumprod(1 + random.normal(0.0004, 0.012, len(DAYS)))
        first = np.append(50, close[:-1])
        prices = {"open": first, "high": np.maximum(first, close), "low": np.minimum(first, close), "close": close}
        rest = {"volume": 1_000_000, "dividend": 0.0, "split": 1.0}
        pd.DataFrame(prices | rest, index=DAYS.rename("date")).to_csv(folder / "daily" / f"{name}.csv")
    bundles.register("drawn", csvdir_equities(["daily"], str(folder)), "XNYS", DAYS[0], DAYS[-1])
    bundles.ingest("drawn", show_progress=False)


def initialize(context):
    context.window = 20


def handle_data(context, data):
    for name in NAMES:
        prices = data.history(symbol(name), "price", context.window, "1d")
        order_target_percent(symbol(name), 0.45 if prices.iloc[-1] > prices.mean() else 0.0)


if __name__ == "__main__":
    ingest()
    result = run_algorithm(
        DAYS[30], DAYS[-1], initialize, 100_000, handle_data, bundle="drawn", trading_calendar=EXCHANGE,
        benchmark_returns=pd.Series(0.0, index=DAYS),
    )  # fmt: skip
    print(result["portfolio_value"].iloc[-1])
