"""vectorbt: the outermost call is seen, and each of its columns is a trial (each group that shares its cash)."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from tests.engines.conftest import Seen

DATA = """
import json
import numpy as np, pandas as pd, vectorbt as vbt
rng = np.random.default_rng(7)
days = pd.date_range("2020-01-01", periods=300, tz="UTC")
price = pd.DataFrame(100 * np.exp(np.cumsum(rng.normal(0, 0.02, (300, 2)), 0)), index=days,
                     columns=pd.Index(["BTC", "ETH"], name="symbol"))
"""
README = """
fast, slow = vbt.MA.run_combs(price, window=np.arange(2, 12), r=2, short_names=["fast", "slow"])
pf = vbt.Portfolio.from_signals(price, fast.ma_crossed_above(slow), fast.ma_crossed_below(slow), size=np.inf,
                                fees=0.001, freq="1D")
one = pf[(3, 7, "ETH")]
print(json.dumps({"value": pf.value().T.to_numpy().tolist(), "columns": [list(map(str, c)) for c in pf.wrapper.columns],
                  "pnl": [list(pf.trades.pnl.values[pf.trades.pnl.col_arr == c]) for c in range(90)],
                  "return": (pf.total_return() * 100).tolist(), "sharpe": pf.sharpe_ratio().tolist()}))
"""
SHARED = """
pf = vbt.Portfolio.from_holding(price, size=2, cash_sharing=True, group_by=True, init_cash=1000, freq="1D")
print(json.dumps(pf.value().tolist()))
"""
See = Callable[..., Seen]
pytestmark = pytest.mark.slow  # the engine compiles itself


def told(seen: Seen) -> object:
    assert seen.watched.returncode == seen.alone.returncode == 0, seen.watched.stderr
    assert (seen.watched.stdout, seen.watched.stderr) == (seen.alone.stdout, seen.alone.stderr)
    assert seen.warnings == []
    return json.loads(seen.watched.stdout.splitlines()[-1])


def test_the_readme_s_crossover_is_ninety_trials(see: See) -> None:
    seen = see(DATA + README)
    shown = told(seen)
    assert isinstance(shown, dict)
    assert len(seen.trials) == 90
    assert [trial.equity.tolist() for trial in seen.trials] == shown["value"]
    for trial, (fast, slow, symbol) in zip(seen.trials, shown["columns"], strict=True):
        assert trial.params == {"size": "inf", "fees": 0.001, "fast_window": int(fast), "slow_window": int(slow)}
        assert trial.symbols == (symbol,)
    for trial, pnl in zip(seen.trials, shown["pnl"], strict=True):
        assert trial.trades is not None
        ours = sorted(trial.trades.pnl.tolist())
        assert len(pnl) - len(ours) in (0, 1)  # one may be open at the end
        assert set(ours) <= set(pnl)
    assert [trial.own["Total Return [%]"] for trial in seen.trials] == shown["return"]
    assert [trial.own["Sharpe Ratio"] for trial in seen.trials] == shown["sharpe"]
    assert {len(trial.series) for trial in seen.trials} == {1}


def test_two_columns_that_share_their_cash_are_one_account(see: See) -> None:
    seen = see(DATA + SHARED)
    (trial,) = seen.trials
    assert trial.equity.tolist() == told(seen)
    assert trial.symbols == ("BTC", "ETH")
    assert trial.initial_cash == 1000
    assert trial.open_ is not None
    assert trial.open_.symbols is not None
    assert set(trial.open_.symbols) == {"BTC", "ETH"}


@pytest.mark.parametrize("name", ["from_holding(price.BTC)", "from_random_signals(price.BTC, n=5, seed=1)"])
def test_a_call_within_a_call_is_no_trial_of_its_own(see: See, name: str) -> None:
    seen = see(DATA + f"print(json.dumps(vbt.Portfolio.{name}.value().tolist()))\n")
    (trial,) = seen.trials
    assert trial.equity.tolist() == told(seen)
    assert trial.symbols == ("BTC",)


def test_a_call_that_fails_is_a_trial(see: See) -> None:
    seen = see(DATA + "vbt.Portfolio.from_orders(price, size='three', fees=0.5)\n")
    assert seen.watched.returncode == 1
    (trial,) = seen.trials
    assert trial.error
    assert trial.params["fees"] == 0.5
