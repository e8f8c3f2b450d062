"""One trial: a config's base with some of its keys changed, over bars that are loaded once and shared by all."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade import engine, stats, strategies
from peak_trade.config import Config, Source, changed
from peak_trade.errors import PeakError
from peak_trade.market.bars import Bars
from peak_trade.market.benchmark import Benchmark
from peak_trade.runner.order import seed_generators
from peak_trade.runner.outcome import Outcome, Prepared
from peak_trade.strategies.rolling import Memo
from peak_trade.sweep.rows import BLOCKS, KEYS, Row
from peak_trade.sweep.task import Task

__all__ = ["Bench", "Came", "blocks"]

_FOLDS = 8  # stretches of bars that are kept at once


class Came(Struct, frozen=True, eq=False):
    """What one trial came to: the bars that it traded, the parameters of its strategy, and what followed."""

    bars: Bars
    params: dict[str, Any]
    outcome: Outcome

    @property
    def config(self) -> Config:
        """The config of the trial."""
        return self.outcome.config

    @property
    def result(self) -> engine.Result:
        """Equity, position and trades."""
        return self.outcome.result

    @property
    def benchmark(self) -> npt.NDArray[np.float64] | None:
        """What holding the bars would have made."""
        return self.outcome.benchmark

    @property
    def figures(self) -> stats.Stats:
        """Every statistic."""
        return self.outcome.figures

    @property
    def equity(self) -> dict[str, npt.NDArray[Any]]:
        """The columns of equity.csv."""
        return self.outcome.equity

    @property
    def digests(self) -> tuple[str, str]:
        """The digests over the typed values of equity and trades."""
        return self.outcome.digests["equity_digest"], self.outcome.digests["trades_digest"]


class Bench:
    """Makes trials of one config over bars that nobody can write to; `function` is its strategy."""

    def __init__(
        self, source: Source, bars: Bars, function: Callable[..., Any], benchmark: Benchmark | None = None
    ) -> None:
        self.source, self.bars, self.function, self._benchmark = source, bars, function, benchmark
        self.registered, self.memo = source.config.strategy.name is not None, Memo()
        self.manner = strategies.Manner.of(source.config.strategy, lenient=source.lenient)
        self._prepared: dict[tuple[int, int], Prepared] = {}
        seed_generators(source.config.run.seed)  # which imports them: once, before there are workers

    def trial(self, task: Task) -> Row:
        """Make one trial. Whatever its strategy raises is the row's error."""
        start = time.perf_counter()
        try:
            came = self.make(task)
        except PeakError as error:
            return _failed(task, error.message, start)
        except Exception as error:  # noqa: BLE001 - the one guard: whatever a strategy does, its trial is a row
            return _failed(task, f"the strategy raised {type(error).__name__}: {error}", start)
        values = np.array([np.nan if one is None else one for one in (came.figures[key] for key in KEYS)])
        took = time.perf_counter() - start
        return Row(task.overrides, task.fold, task.part, "", values, came.digests, blocks(came.result.equity), took)

    def make(self, task: Task) -> Came:
        """Make one trial and return all of it. Raises what its strategy raises, InputError and RunError."""
        config, params, target = self.decide(task)
        prepared = self.over(*task.span or (0, len(self.bars)))
        return Came(prepared.bars, params, prepared.trade(target, config))

    def decide(self, task: Task) -> tuple[Config, dict[str, Any], npt.NDArray[np.float64]]:
        """Return a trial's config, the parameters of its strategy, and its target over its span."""
        config = changed(self.source.config, task.overrides)
        params = strategies.check_params(self.function, config.strategy.params)
        first, end = task.span or (0, len(self.bars))
        seen = self.over(0, end).bars
        seed_generators(config.run.seed)
        with self.memo.used() if self.registered else strategies.reaching():
            answer = self.function(self.manner.handed(seen.apart()), **params)
        return config, params, self.manner.target(answer, seen)[first:]

    def over(self, first: int, end: int) -> Prepared:
        """Return what is prepared for some of the bars: of folds, the last few are kept."""
        found = self._prepared.pop((first, end), None)
        if found is None:
            whole = (first, end) == (0, len(self.bars))
            found = Prepared(self.bars if whole else self.bars.between(first, end), self._benchmark)
            if len(self._prepared) == _FOLDS:
                del self._prepared[next(iter(self._prepared))]
        self._prepared[first, end] = found
        return found


def _failed(task: Task, error: str, start: float) -> Row:
    return Row(task.overrides, task.fold, task.part, error, None, None, None, time.perf_counter() - start)


def blocks(equity: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the sum and the sum of squares of the returns in each of `BLOCKS` parts, shape (2, BLOCKS)."""
    returns = equity[1:] / equity[:-1] - 1.0
    edges = np.array(
        [part[0] if len(part) else len(returns) for part in np.array_split(np.arange(len(returns)), BLOCKS)]
    )
    if len(returns) < BLOCKS:
        return np.full((2, BLOCKS), np.nan)
    return np.stack([np.add.reduceat(returns, edges), np.add.reduceat(returns * returns, edges)])
