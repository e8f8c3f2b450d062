"""Strategies as people write them, in their own engines and here: the same figures, to nine digits.

What the engines made lies in `golden/`, with their versions; `theirs.py` made it. Where an engine is installed, it is
asked again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import peak_trade
from peak_trade.errors import RunError

HERE = Path(__file__).parent
ENGINES = ("vectorbt", "backtrader", "bt", "pandas")
CLOSE = {"fill": "close"}
pytest.importorskip("pandas")


def golden(engine: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((HERE / "golden" / f"{engine}.json").read_text())
    return found


def here(tmp_path: Path, function: str, execution: dict[str, Any] | None = None, **strategy: Any) -> peak_trade.Run:
    config = {
        "data": {
            "path": str(HERE.parents[1] / "data/samples/nasdaq_daily.csv"),
            "symbol": "IXIC",
            "timeframe": "1d",
            "start": "2014-01-01",
            "end": "2016-01-01",
        },
        "strategy": {"entrypoint": f"{HERE / 'ours.py'}:{function}", "bars": "dataframe", **strategy},
        "execution": {"initial_cash": 10_000.0, **(execution or {})},
    }
    return peak_trade.run(config, results=tmp_path / "results")


def same(found: Any, expected: Any) -> bool:
    return bool(np.allclose(found, expected, rtol=1e-9, atol=0))


def verified(run: peak_trade.Run) -> peak_trade.Run:
    assert run.verify().state == "intact"
    return run


def as_theirs(run: peak_trade.Run) -> list[list[Any]]:
    trades = run.trades
    day = [trades[name].astype("datetime64[D]").astype(str).tolist() for name in ("entry_time", "exit_time")]
    return [list(row) for row in zip(day[0], trades["entry_price"], day[1], trades["exit_price"], strict=True)]


def test_the_crossover_of_vectorbts_readme(tmp_path: Path) -> None:
    """All in at the close decided on, with fees and slippage: equity bar by bar, and every closed trade."""
    theirs = golden("vectorbt")["crossover"]
    costs = {**CLOSE, "fee_bps": 10.0, "slippage_bps": 5.0}
    run = verified(here(tmp_path, "vectorbt_readme", costs, signals="entries_exits"))
    assert same(run.equity["equity"][:-1], theirs["equity"][:-1])  # at the last close, we sell what is still held
    ours = as_theirs(run)
    assert len(theirs["trades"]) > 5
    for mine, other in zip(ours, theirs["trades"], strict=False):
        assert [mine[0], mine[2]] == [other[0], other[2]]
        assert same([mine[1], mine[3]], [other[1], other[3]])
    pnl = run.trades["pnl"][: len(theirs["trades"])]
    assert same(pnl, [trade[4] for trade in theirs["trades"]])
    assert run.manifest["predicate"]["probe"]["verdict"] == "PASS"


def test_undeclared_it_is_refused_and_filled_at_the_open_it_is_another_result(tmp_path: Path) -> None:
    """The control: the declarations are what makes the figures the same."""
    theirs = golden("vectorbt")["crossover"]
    with pytest.raises(RunError, match="returned 2 columns, and a target is one") as error:
        here(tmp_path, "vectorbt_readme")
    assert 'strategy.signals = "entries_exits"' in str(error.value.hint)
    costs = {"fee_bps": 10.0, "slippage_bps": 5.0}
    run = here(tmp_path, "vectorbt_readme", costs, signals="entries_exits")
    assert not same(run.equity["equity"][:-1], theirs["equity"][:-1])


def test_vectorbt_takes_neither_of_two_signals_that_meet(tmp_path: Path) -> None:
    theirs = golden("vectorbt")["ties"]
    assert theirs["ties"] > 50
    run = verified(here(tmp_path, "ties", CLOSE, signals="entries_exits", ties="ignore"))
    assert same(run.equity["equity"], theirs["equity"])
    with pytest.raises(RunError, match="both enters and leaves at bar") as error:
        here(tmp_path, "ties", CLOSE, signals="entries_exits")
    assert 'strategy.ties = "ignore"' in str(error.value.hint)
    others = [here(tmp_path, "ties", CLOSE, signals="entries_exits", ties=rule) for rule in ("enter", "leave")]
    assert not any(same(other.equity["equity"], theirs["equity"]) for other in others)


def test_the_crossover_of_backtraders_readme(tmp_path: Path) -> None:
    """It fills at the next open, as we do; it holds one share, so trades are compared by their times and prices."""
    theirs = golden("backtrader")["crossover"]["trades"]
    run = verified(here(tmp_path, "backtrader_readme", signals="events", case="title"))
    ours = as_theirs(run)
    assert len(theirs) > 5
    for mine, other in zip(ours, theirs, strict=False):
        assert [mine[0], mine[2]] == [other[0], other[2]]
        assert same([mine[1], mine[3]], [other[1], other[3]])
    earned = np.cumprod([other[3] / other[1] for other in theirs])
    assert same(10_000 + np.cumsum(run.trades["pnl"][: len(theirs)]), 10_000 * earned)


def test_an_algorithm_of_bt(tmp_path: Path) -> None:
    theirs = golden("bt")["above"]["equity"]
    run = verified(here(tmp_path, "bt_above", CLOSE, signals="target"))
    assert same(run.equity["equity"], theirs)
    with pytest.raises(RunError, match="true and false, which may say when to enter, or what to hold"):
        here(tmp_path, "bt_above", CLOSE)


def test_weights_that_an_account_of_bt_had_are_refused(tmp_path: Path) -> None:
    """Its weights drift; as a target each would be traded. Ours in `ours.py` are held against what bt says."""
    theirs = golden("bt")["weights"]["weights"]
    with pytest.raises(RunError, match="weights that drift with the price, from bar 1 on") as error:
        here(tmp_path, "weights", CLOSE)
    assert "just record -- python your_script.py" in str(error.value.hint)
    declared = here(tmp_path, "weights", CLOSE, signals="target")
    held = declared.equity["position"][:-1] * declared.benchmark["close"][:-1] / declared.equity["equity"][:-1]
    assert same(held[1:], theirs[1:-1])


def test_a_position_column_of_pandas(tmp_path: Path) -> None:
    theirs = golden("pandas")["position"]["equity"]
    run = verified(here(tmp_path, "pandas_position", CLOSE, signals="positions", take=["position"]))
    assert same(run.equity["equity"], theirs)
    assert run.manifest["predicate"]["probe"]["verdict"] == "PASS"
    with pytest.raises(RunError, match="a bar late a second time") as error:
        here(tmp_path, "pandas_position", CLOSE, take=["position"])
    assert 'strategy.signals = "positions"' in str(error.value.hint)
    late = here(tmp_path, "pandas_position", CLOSE, signals="positions", take=["position"], shifted=False)
    assert not same(late.equity["equity"], theirs)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_the_engine_makes_what_is_kept_of_it(engine: str, need: Callable[[str], None]) -> None:
    """pandas is everywhere; the others are an extra."""
    if engine != "pandas":
        need("engines")
    done = subprocess.run(
        [sys.executable, HERE / "theirs.py", engine], capture_output=True, text=True, check=True, timeout=300
    )
    made, kept = json.loads(done.stdout), golden(engine)
    assert made.pop("versions")[engine] == version(engine)
    kept.pop("versions")
    assert made.keys() == kept.keys()
    for name, figures in kept.items():
        for key, expected in figures.items():
            assert _same(made[name][key], expected), f"{name} {key}"


def _same(found: Any, expected: Any) -> bool:
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(_same, found, expected))
    return same(found, expected) if isinstance(expected, float) else bool(found == expected)
