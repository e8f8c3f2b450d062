"""One trial comes to what a run comes to, whatever was worked out before it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.sweep.conftest import bars_csv

from peak_trade import config, engine, strategies
from peak_trade.evidence import tables
from peak_trade.runner.order import load_bars
from peak_trade.sweep.bench import Bench
from peak_trade.sweep.rows import KEYS
from peak_trade.sweep.task import Task

CONFIG = """
[data]
path = "bars.csv"
symbol = "TEST"
timeframe = "1h"
calendar = "24/7"
[execution]
fee_bps = 3
[strategy]
name = "{}"
"""
VARIED = {
    "sma_crossover": {"fast": 3, "slow": 9}, "bollinger_reversion": {"window": 7}, "donchian_breakout": {"entry": 12},
    "vol_target": {"window": 11},
}  # fmt: skip


def bench(folder: Path, name: str, bars: int = 300) -> Bench:
    (folder / "bars.csv").write_text(bars_csv(bars))
    (folder / "config.toml").write_text(CONFIG.format(name))
    source = config.load(folder / "config.toml")
    return Bench(source, load_bars(source, folder).bars.freeze(), strategies.resolve(name))


@pytest.mark.parametrize("name", strategies.names())
def test_a_strategy_that_ships_decides_the_same_with_what_is_remembered_and_without(tmp_path: Path, name: str) -> None:
    made = bench(tmp_path, name)
    params = VARIED.get(name, {})
    task = Task({f"strategy.params.{key}": value for key, value in params.items()})
    first, second = made.trial(task), made.trial(task)
    assert (first.error, first.digests) == ("", second.digests)
    target = strategies.resolve(name)(made.bars, **params)
    result = engine.run(made.bars, np.asarray(target, float) + 0.0, execution=made.source.config.execution)
    assert first.digests is not None
    assert first.digests[1] == tables.trades_digest(result.trades)


def test_windows_are_remembered_from_one_trial_to_the_next(tmp_path: Path) -> None:
    made = bench(tmp_path, "sma_crossover")
    for fast, slow in ((3, 9), (3, 10), (4, 9)):
        made.trial(Task({"strategy.params.fast": fast, "strategy.params.slow": slow}))
    assert len(made.memo._kept) == 4  # of 3, 4, 9 and 10 bars


def test_the_blocks_are_sums_over_sixteen_parts_of_the_returns(tmp_path: Path) -> None:
    made = bench(tmp_path, "buy_and_hold", bars=100)
    row, came = made.trial(Task({})), made.make(Task({}))
    returns = came.result.equity[1:] / came.result.equity[:-1] - 1.0  # 99: three parts of 7, then thirteen of 6
    ends = [7, 14, 21, *range(27, 100, 6)]
    parts = np.split(returns, ends[:-1])
    assert [len(part) for part in parts] == [7] * 3 + [6] * 13
    assert row.blocks is not None
    np.testing.assert_allclose(row.blocks[0], [part.sum() for part in parts], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(row.blocks[1], [(part * part).sum() for part in parts], rtol=1e-12)


def test_a_trial_that_raises_is_a_row_with_its_reason(tmp_path: Path) -> None:
    row = bench(tmp_path, "sma_crossover").trial(Task({"strategy.params.fast": 60}))
    assert row.error.endswith("fast must be less than slow")
    assert (row.values, row.digests, row.blocks) == (None, None, None)


def test_a_row_has_each_statistic_of_a_run(tmp_path: Path) -> None:
    made = bench(tmp_path, "sma_crossover")
    row, came = made.trial(Task({})), made.make(Task({}))
    assert row.values is not None
    told = dict(zip(KEYS, row.values.tolist(), strict=True))
    assert told["sharpe"] == came.figures["sharpe"]
    assert {key for key, value in told.items() if np.isnan(value)} == {
        key for key in KEYS if came.figures[key] is None
    }  # fmt: skip
