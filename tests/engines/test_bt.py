"""bt: each backtest that is run is a trial, once; its trades go from no position to none."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from tests.engines.conftest import Seen

from peak_trade.observer.engines.frames import NO_TIME, rounds

pytestmark = pytest.mark.needs("engines")

SCRIPT = """
import json
import bt, pandas as pd

def close(name):
    return pd.read_csv(f"{SAMPLES}/{name}.csv", parse_dates=["timestamp"], index_col="timestamp")["close"]

prices = pd.DataFrame({"SP500": close("sp500_daily"), "NASDAQ": close("nasdaq_daily")}).loc["2012":"2014"]
halves = bt.Strategy("halves", [bt.algos.RunMonthly(), bt.algos.SelectAll(), bt.algos.WeighEqually(),
                                bt.algos.Rebalance()])
above = bt.Strategy("above", [bt.algos.SelectWhere(prices > prices.rolling(50).mean()), bt.algos.WeighEqually(),
                              bt.algos.Rebalance()])
tests = [bt.Backtest(halves, prices), bt.Backtest(above, prices, initial_capital=5000.0, integer_positions=False),
         bt.Backtest(halves, prices, name="costly", commissions=lambda q, p: 1.0)]
result = bt.run(*tests)
bt.run(*tests)
print(json.dumps([[t.strategy.values.tolist(), t.stats.daily_sharpe, t.stats.total_return] for t in tests]))
"""
See = Callable[..., Seen]


def test_each_backtest_is_one_trial_to_the_last_digit(see: See) -> None:
    seen = see(SCRIPT)
    assert (seen.watched.returncode, seen.watched.stdout) == (0, seen.alone.stdout), seen.watched.stderr
    assert seen.warnings == []
    told = json.loads(seen.watched.stdout.splitlines()[-1])
    assert [trial.label for trial in seen.trials] == ["halves", "above", "costly"]
    for trial, (values, sharpe, total) in zip(seen.trials, told, strict=True):
        assert trial.equity.tolist() == values
        assert (trial.own["daily_sharpe"], trial.own["total_return"]) == (sharpe, total)
        assert set(trial.symbols) == {"SP500", "NASDAQ"}
    assert seen.trials[0].params["algos"] == ["RunMonthly", "SelectAll", "WeighEqually", "Rebalance"]
    above = seen.trials[1]
    assert above.trades is not None
    assert above.open_ is not None
    last = {one.symbol: one.close[-1] for one in above.series}
    assert above.open_.symbols is not None
    held = dict(zip(above.open_.symbols, above.open_.quantity, strict=True))
    assert set(held) <= set(last)
    assert set(last) == {"SP500", "NASDAQ"}
    assert any("fees of the account" in note for note in seen.trials[2].notes)


def test_a_backtest_that_never_buys_is_a_trial_with_its_equity(see: See) -> None:
    idle = (
        "idle = bt.Backtest(bt.Strategy('idle', [bt.algos.SelectAll()]), prices, initial_capital=777.0)\nbt.run(idle)\n"
    )
    seen = see(SCRIPT.partition("halves =")[0] + idle)
    assert (seen.watched.returncode, seen.watched.stdout) == (0, seen.alone.stdout), seen.watched.stderr
    assert seen.warnings == []
    (trial,) = seen.trials
    assert set(trial.equity) == {777.0}
    assert trial.trades is not None
    assert len(trial.trades) == 0


def test_fills_make_the_trades_that_a_person_would_make_of_them() -> None:
    fills = [("A", 1, 10.0, 2.0), ("A", 2, 13.0, 1.0), ("B", 2, 5.0, -4.0), ("A", 3, 14.0, -5.0), ("B", 4, 4.0, 4.0)]
    made = rounds(fills)
    # A: 3 bought at 11 on average, sold at 14; the two beyond are short from then on. B: 4 sold at 5, bought at 4.
    assert made["symbol"] == ["A", "B", "A"]
    assert made["side"] == [1, -1, -1]
    assert made["quantity"] == [3.0, 4.0, 2.0]
    assert made["entry_price"] == [11.0, 5.0, 14.0]
    assert made["pnl"][:2] == [9.0, 4.0]
    assert (made["entry_time"], made["exit_time"]) == ([1, 2, 3], [3, 4, NO_TIME])
