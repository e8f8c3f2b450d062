"""What others take for look-ahead, and is none: three reports against freqtrade's own analysis, as strategies here.

- 11642: plain averages of which an exponential one hangs on where its bars begin, with a trailing stop behind them
- 12168: an entry that comes bars after its signal, at a limit price of its own
- 13547: a size that hangs on how many markets are traded, so that stops are hit at another price
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from peak_trade import config, runner
from peak_trade.config import Sizing
from peak_trade.evidence.run_dir import read_manifest
from peak_trade.market.bars import Bars, Floats


def averages(bars: Bars) -> Any:
    close = pd.Series(bars.close)
    exponential = close.ewm(span=50, adjust=False).mean()
    below = (close.rolling(10).mean() > close) & (close.rolling(20).mean() > close) & (exponential > close)
    return below.astype(float)


def late_entry(bars: Bars, wait: int = 5) -> Floats:
    """Buy below the close that gave the signal, once a low gets there within some bars."""
    target, limit, left, held = np.zeros(len(bars)), 0.0, 0, 0.0
    for bar in range(10, len(bars)):
        if not held and not left and bars.close[bar] > bars.close[bar - 10]:
            limit, left = 0.99 * bars.close[bar], wait
        elif left:
            left -= 1
            if bars.low[bar] <= limit:
                held, left = 1.0, 0
        elif held and bars.close[bar] < bars.close[bar - 10]:
            held = 0.0
        target[bar] = held
    return target


def sized_by_markets(bars: Bars, markets: int = 1) -> Floats:
    rising = bars.close > np.concatenate([bars.close[:1], bars.close[:-1]])
    return rising * (1.0 / markets)


@pytest.mark.parametrize("full", [False, True], ids=["in a run", "in full"])
@pytest.mark.parametrize(
    ("strategy", "params"),
    [
        (averages, {}), (late_entry, {}), (late_entry, {"wait": 50}), (sized_by_markets, {"markets": 2}),
        (sized_by_markets, {"markets": 1}),
    ],
)  # fmt: skip
def test_what_others_take_for_look_ahead_is_none(
    probe: Callable[..., Any], bars: Bars, strategy: Callable[..., Any], params: dict[str, int], full: bool
) -> None:
    for sizing in (Sizing(), Sizing(scale=2.0, max_exposure=0.5)):
        assert probe(strategy, bars, full=full, params=params, sizing=sizing).probe().verdict == "PASS"


def test_stops_and_costs_are_none_of_it(tmp_path: Any, bars: Bars) -> None:
    columns = ("open", "high", "low", "close", "volume")
    frame = pd.DataFrame({"timestamp": bars.timestamp, **{name: getattr(bars, name) for name in columns}})
    frame.to_csv(tmp_path / "bars.csv", index=False)
    source = config.compose(
        {
            "data": {"path": "bars.csv", "symbol": "TEST", "timeframe": "1d"},
            "strategy": {"name": "sma_crossover", "params": {"fast": 5, "slow": 20}},
            "stops": {"stop_loss": 0.1, "take_profit": 0.045, "trailing_stop": 0.02},
            "execution": {"fee_bps": 10.0, "slippage_bps": 5.0},
            "sizing": {"min_trade_value": 100.0},
        },
        folder=tmp_path,
    )
    run = runner.run(source, root=tmp_path, results=tmp_path / "results")
    assert (read_manifest(run).predicate.probe or {})["verdict"] == "PASS"
