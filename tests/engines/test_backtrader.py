"""backtrader: the account at each bar, whatever is switched off, and every setting of `optstrategy`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.engines.conftest import Seen

pytestmark = pytest.mark.needs("engines")

SCRIPT = """
import json, sys, datetime
import backtrader as bt

class SmaCross(bt.Strategy):
    params = {"fast": 10, "slow": 30}

    def __init__(self):
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=self.p.fast), bt.ind.SMA(period=self.p.slow))
        self.values = []

    def next(self):
        if not self.position and self.cross > 0:
            self.buy(size=3)
        elif self.position and self.cross < 0:
            self.close()
        self.values.append(self.broker.getvalue())

class Unlucky(SmaCross):
    def next(self):
        raise ValueError("unlucky")

def cerebro(**settings):
    made = bt.Cerebro(**settings)
    made.adddata(bt.feeds.GenericCSVData(dataname=SAMPLES + "/sp500_daily.csv", dtformat="%Y-%m-%d", openinterest=-1,
                 fromdate=datetime.datetime(2015, 1, 1), todate=datetime.datetime(2017, 1, 1), name="SP500"))
    made.broker.setcash(10_000)
    made.broker.setcommission(0.001)
    return made

def shown(strategy):
    trades = [t for by in strategy._trades.values() for ts in by.values() for t in ts]
    print(json.dumps({"values": strategy.values, "end": strategy.data.datetime.datetime(0).isoformat(),
                      "pnl": [t.pnlcomm for t in trades if t.isclosed]}))

if __name__ == "__main__":
"""
See = Callable[..., Seen]


def same(seen: Seen) -> Any:
    assert seen.watched.returncode == seen.alone.returncode, seen.watched.stderr
    assert (seen.watched.stdout, seen.watched.stderr) == (seen.alone.stdout, seen.alone.stderr)
    assert seen.warnings == []
    return json.loads(seen.watched.stdout.splitlines()[-1]) if seen.watched.stdout else None


@pytest.mark.parametrize(
    "settings", ["", "stdstats=False", "exactbars=1", "runonce=False", "preload=False", "oldsync=True"]
)
def test_the_account_is_the_engine_s_own_at_each_bar(see: See, settings: str) -> None:
    seen = see(SCRIPT + f"    made = cerebro({settings}); made.addstrategy(SmaCross, fast=5); shown(made.run()[0])\n")
    told = same(seen)
    (trial,) = seen.trials
    assert len(trial.equity) == 504
    assert trial.equity.tolist()[-len(told["values"]) :] == told["values"]
    assert set(trial.equity[: -len(told["values"])]) <= {10_000.0}
    assert (trial.strategy, trial.params, trial.initial_cash) == ("SmaCross", {"fast": 5, "slow": 30}, 10_000)
    assert trial.trades is not None
    assert sorted(trial.trades.pnl.tolist()) == sorted(told["pnl"])
    assert set(trial.trades.quantity) == {3.0}
    assert trial.symbols == ("SP500",)
    assert str(trial.timestamp[-1]).startswith(told["end"])
    gross = (trial.trades.exit_price - trial.trades.entry_price) * 3
    assert (gross - trial.trades.entry_fee - trial.trades.exit_fee).tolist() == pytest.approx(trial.trades.pnl.tolist())


@pytest.mark.parametrize("run", ["maxcpus=1", "maxcpus=2", "maxcpus=2, optreturn=False", "maxcpus=2, stdstats=False"])
def test_every_setting_of_an_optimisation_is_a_trial(see: See, run: str) -> None:
    opt = "made.optstrategy(SmaCross, fast=range(5, 9), slow=[20, 30, 40])"
    seen = see(SCRIPT + f"    made = cerebro(); {opt}; print(len(made.run({run})))\n")
    assert same(seen) == 12
    assert {(trial.params["fast"], trial.params["slow"]) for trial in seen.trials} == {
        (fast, slow) for fast in range(5, 9) for slow in (20, 30, 40)
    }
    assert len(seen.trials) == 12
    assert len({trial.equity.tobytes() for trial in seen.trials}) > 1


def test_what_the_analyzers_found_is_the_engine_s_own(see: See) -> None:
    add = "made.addstrategy(SmaCross); made.addanalyzer(bt.analyzers.DrawDown, _name='dd')"
    seen = see(SCRIPT + f"    made = cerebro(); {add}; print(json.dumps(made.run()[0].analyzers.dd.get_analysis()))\n")
    told = same(seen)
    (trial,) = seen.trials
    assert trial.own["dd.max.drawdown"] == told["max"]["drawdown"]


def test_a_strategy_that_fails_is_a_trial_and_its_traceback_is_as_without_us(see: See) -> None:
    seen = see(SCRIPT + "    made = cerebro(); made.addstrategy(Unlucky, slow=20); made.run()\n")
    assert seen.watched.returncode == 1
    same(seen)
    (trial,) = seen.trials
    assert trial.error == "ValueError: unlucky"
    assert trial.params == {"fast": 10, "slow": 20}


def test_cash_that_is_added_comes_when_it_would(see: See) -> None:
    add = "    class Paid(SmaCross):\n        def next(self):\n            super().next()\n"
    add += "            if len(self) % 50 == 0: self.broker.add_cash(100)\n"
    seen = see(SCRIPT + add + "    made = cerebro(stdstats=False); made.addstrategy(Paid); shown(made.run()[0])\n")
    told = same(seen)
    assert seen.trials[0].equity.tolist()[-1] == told["values"][-1] > 10_500
