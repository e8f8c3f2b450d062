"""Results of freqtrade: zip and JSON of several versions, several strategies, and the epochs of a hyperopt."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable

import numpy as np
import pytest
from tests.record.imports import freqtrade as made
from tests.record.imports.conftest import Run

from peak_trade.errors import InputError

Take = Callable[..., Run]


@pytest.mark.parametrize("name", ["result.json", "result.zip"])
def test_a_result_gives_trades_account_and_figures(take: Take, name: str) -> None:
    content = made.packed(made.result()) if name.endswith("zip") else json.dumps(made.result()).encode()
    run = take({name: content})
    trades = run.trades
    assert trades.symbols is not None
    assert trades.symbols.tolist() == ["ETH/USDT", "BTC/USDT", "ETH/USDT", "BTC/USDT"]  # by exit
    assert trades.side.tolist() == [1, 1, -1, 1]
    # 4 × (49 − 50) − 0.001 × 4 × (50 + 49), and so on
    assert np.allclose(trades.pnl, [-4.396, 19.58, 19.62, -0.22], rtol=0, atol=1e-9)
    assert np.allclose(trades.entry_fee, [0.2, 0.2, 0.2, 0.11], rtol=0, atol=1e-9)
    assert np.allclose(trades.exit_fee, [0.196, 0.22, 0.18, 0.11], rtol=0, atol=1e-9)
    assert [trades.exit_reason.tolist()] == [[1, 0, 2, 4]]
    assert run.equity[-1][1] == pytest.approx(1000 - 4.396 + 19.58 + 19.62 - 0.22)
    predicate = run.manifest.predicate
    assert predicate.results["own"]["sharpe"] == 1.23
    assert run.config["strategy"]["name"] == "Awesome"
    assert run.config["data"]["timeframe"] == "1h"
    assert predicate.results["account"] == {"currency": "USDT", "initial_cash": 1000.0}


def test_what_has_no_place_of_its_own_is_kept_by_trade(take: Take) -> None:
    run = take({"result.json": json.dumps(made.result())})
    extra = run.rows("trades_extra.csv")
    assert [row["exit_reason"] for row in extra] == ["stop_loss", "exit_signal", "roi", "force_exit"]
    assert [row["max_rate"] for row in extra] == ["111.0"] * 4
    assert (run.path / "outputs" / "result.json").read_text() == json.dumps(made.result())


def test_the_parameters_in_the_zip_are_those_of_the_run(take: Take) -> None:
    run = take({"r.zip": made.packed(made.result(), params={"buy": {"fast": 10}, "stoploss": {"stoploss": -0.1}})})
    assert run.config["strategy"]["params"] == {"buy.fast": 10, "stoploss.stoploss": -0.1}


def test_a_result_of_2021_is_read_too(take: Take) -> None:
    trades = take({"r.json": json.dumps(made.of_2021())}).trades
    assert trades.side.tolist() == [1, 1]
    assert np.allclose(trades.pnl, [-4.396, 19.58], rtol=0, atol=1e-9)


def test_of_several_strategies_one_is_asked_for(take: Take) -> None:
    other = made.strategy(trades=made.strategy()["trades"][:1])
    content = json.dumps(made.result(Awesome=made.strategy(), Other=other))
    with pytest.raises(InputError, match="has 2 strategies: Awesome, Other") as caught:
        take({"r.json": content})
    assert caught.value.hint == "--strategy Awesome"
    assert len(take({"r.json": content}, strategy="Other").trades) == 1
    with pytest.raises(InputError, match="has no strategy Otter") as caught:
        take({"r.json": content}, strategy="Otter")
    assert "Other" in caught.value.hint


def test_a_changed_sign_of_a_profit_or_a_side_is_seen(take: Take) -> None:
    tree = made.result()
    before = take({"r.json": json.dumps(tree)}).trades
    tree["strategy"]["Awesome"]["trades"][0]["is_short"] = True
    tree["strategy"]["Awesome"]["trades"][1]["profit_abs"] *= -1
    after = take({"s.json": json.dumps(tree)}).trades
    assert (before.side != after.side).sum() == 1
    assert after.pnl.sum() - before.pnl.sum() == pytest.approx(2 * 4.396)


def test_every_epoch_of_a_hyperopt_is_a_trial_and_the_best_is_the_run(take: Take) -> None:
    run = take({"strategy_Awesome.fthypt": made.epochs()})
    assert run.config["strategy"] == {"name": "Awesome", "params": {"fast": 12, "roi_t1": 30}}
    assert "3 epochs, each a trial: the run is the best of them, number 2 by its loss" in run.said
    names = [path.name for path in run.path.iterdir()]
    assert "equity.csv" not in names
    assert any(name.startswith("trials.") for name in names)
    assert run.manifest.predicate.results["own"]["loss"] == -3.5


def test_an_old_hyperopt_file_is_a_pickle_and_is_never_opened(take: Take) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (exec, ("raise SystemExit('opened')",))

    for name in ("hyperopt_results.pickle", "results.fthypt", "perf.csv"):
        with pytest.raises(InputError, match="is a pickle"):
            take({name: pickle.dumps(Bomb())})


def test_what_freqtrade_wrote_before_2020_is_refused_in_a_sentence(take: Take) -> None:
    with pytest.raises(InputError, match="before 2020"):
        take({"r.json": json.dumps([["BTC/USDT", 0.1, 1.0, 2.0, 3, 4, 5.0, 6.0, False, "roi"]])})


def test_a_result_without_a_trade_is_a_run_too(take: Take) -> None:
    run = take({"r.json": json.dumps(made.result(Awesome=made.strategy(trades=[])))})
    assert run.manifest.predicate.status == "imported"
