"""backtesting.py: every call is a trial, to the last digit, and nothing that the script shows is another."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.engines.conftest import Seen

STRATEGY = """
import json, sys, warnings
import numpy as np, pandas as pd
import backtesting, multiprocessing as mp
from backtesting import Backtest, Strategy
from backtesting.lib import crossover, FractionalBacktest, MultiBacktest
from backtesting.test import GOOG, SMA

class SmaCross(Strategy):
    n1 = 10
    n2 = 20
    def init(self):
        self.sma1 = self.I(SMA, self.data.Close, self.n1)
        self.sma2 = self.I(SMA, self.data.Close, self.n2)
    def next(self):
        if self.n1 == 13 and len(self.data) > 100:
            raise ValueError("unlucky")
        if crossover(self.sma1, self.sma2):
            self.position.close(); self.buy()
        elif crossover(self.sma2, self.sma1):
            self.position.close(); self.sell()

def shown(stats):
    print(json.dumps({"equity": list(stats._equity_curve.Equity), "pnl": list(stats._trades.PnL),
                      "commission": list(stats._trades.Commission), "sharpe": stats["Sharpe Ratio"]}))

if __name__ == "__main__":
    test = Backtest(GOOG, SmaCross, cash=10_000, commission=.002, exclusive_orders=True)
"""
See = Callable[..., Seen]


def quiet(text: str) -> str:
    """What is on stderr, without the progress bars, whose order is the clock's."""
    return re.sub(r"[^\r\n]*\d+(?:it|bar)/s\][^\r\n]*", "", re.sub(r"Backtest\.run:.*?bar/s\]", "", text)).strip()


def same(seen: Seen) -> list[Any]:
    assert seen.watched.returncode == seen.alone.returncode, seen.watched.stderr
    assert seen.watched.stdout == seen.alone.stdout
    assert seen.warnings == []
    return [json.loads(line) for line in seen.watched.stdout.splitlines() if line.startswith("{")]


def test_a_run_is_a_trial_to_the_last_digit(see: See) -> None:
    seen = see(STRATEGY + "    shown(test.run(n2=np.int64(30)))\n")
    (told,) = same(seen)
    (trial,) = seen.trials
    assert (trial.engine, trial.strategy, trial.params) == ("backtesting", "SmaCross", {"n1": 10, "n2": 30})
    assert trial.equity.tolist() == told["equity"]
    assert trial.trades is not None
    assert sorted(trial.trades.pnl.tolist()) == sorted(told["pnl"])
    fees = trial.trades.entry_fee + trial.trades.exit_fee
    assert sorted(fees.tolist()) == pytest.approx(sorted(told["commission"]), abs=1e-12)
    assert trial.own["Sharpe Ratio"] == told["sharpe"]
    assert trial.open_ is not None
    assert len(trial.open_) == 1
    assert len(trial.series[0].timestamp) == len(trial.equity) == 2148


def test_an_open_trade_warns_at_the_line_that_called(see: See) -> None:
    seen = see(STRATEGY + "    test.run()\n")
    assert "script.py" in seen.alone.stderr
    assert quiet(seen.watched.stderr) == quiet(seen.alone.stderr)


def test_a_failing_call_is_a_trial_and_its_traceback_is_as_without_us(see: See) -> None:
    seen = see(STRATEGY + "    test.run(n1=13)\n")
    assert seen.alone.returncode == seen.watched.returncode == 1
    assert quiet(seen.watched.stderr) == quiet(seen.alone.stderr)
    (trial,) = seen.trials
    assert trial.error == "ValueError: unlucky"
    assert trial.params == {"n1": 13, "n2": 20}


def test_warnings_as_errors_do_not_reach_us(see: See) -> None:
    seen = see(STRATEGY + "    test.run()\n", "-W", "error::FutureWarning", "-W", "error::DeprecationWarning")
    same(seen)
    assert len(seen.trials) == 1


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_every_combination_is_counted_once_in_whatever_workers(see: See, method: str) -> None:
    pool = f'    mp.set_start_method("{method}"); backtesting.Pool = mp.Pool\n'
    seen = see(STRATEGY + pool + "    shown(test.optimize(n1=range(5, 9), n2=[20, 30, 40]))\n")
    (told,) = same(seen)
    counted = [trial for trial in seen.trials if not trial.repeated]
    assert len(counted) == 12
    assert {(trial.params["n1"], trial.params["n2"]) for trial in counted} == {
        (n1, n2) for n1 in range(5, 9) for n2 in (20, 30, 40)
    }
    (again,) = (trial for trial in seen.trials if trial.repeated)
    assert again.equity.tolist() == told["equity"]
    assert any(trial.params == again.params and np.array_equal(trial.equity, again.equity) for trial in counted)


def test_each_data_set_of_a_multi_backtest_is_a_trial(see: See) -> None:
    seen = see(STRATEGY + "    print(MultiBacktest([GOOG, GOOG[:500], GOOG[500:]], SmaCross).run(n1=5).shape)\n")
    same(seen)
    assert sorted(len(trial.equity) for trial in seen.trials) == [500, 1648, 2148]


def test_a_fractional_backtest_is_told_as_it_returns(see: See) -> None:
    seen = see(STRATEGY + "    shown(FractionalBacktest(GOOG, SmaCross, cash=100, fractional_unit=1e-6).run())\n")
    (told,) = same(seen)
    (trial,) = seen.trials
    assert trial.equity.tolist() == told["equity"]
    assert trial.trades is not None
    assert trial.trades.entry_price.min() > 80  # of Google, and not of a millionth of it
    assert trial.series[0].close.min() > 80


def test_a_broken_adapter_is_one_warning_and_the_result_is_returned(see: See) -> None:
    # The stats lack what the adapter reads.
    fault = "    import backtesting._stats as s; old = s.compute_stats\n"
    fault += "    def less(**k):\n        made = old(**k); del made['_trades']; return made\n"
    fault += "    backtesting.backtesting.compute_stats = less\n    print(test.run()['# Trades'])\n"
    seen = see(STRATEGY + fault)
    assert (seen.watched.returncode, seen.watched.stdout) == (0, seen.alone.stdout)
    assert seen.watched.stdout.strip().isdigit()
    (trial,) = seen.trials  # it was a call, and counts
    assert (trial.params, len(trial.equity), trial.error) == ({}, 0, "")
    assert trial.notes[0].startswith("what came of it could not be read: KeyError")
    assert len(seen.warnings) == 1


def test_a_worker_that_ends_by_exit_has_left_its_trials(see: See) -> None:
    script = "    test.run()\n    if os.fork() == 0:\n        test.run(n1=5); os._exit(0)\n    os.wait()\n"
    seen = see(STRATEGY.replace("import json", "import os, json", 1) + script)
    assert sorted(trial.params["n1"] for trial in seen.trials) == [5, 10]
