"""Random markets for the engine's tests: bars with gaps and ties, targets, costs, stops and sizing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from peak_trade.config import Execution, Sizing, Stops
from peak_trade.engine import Result, run
from peak_trade.market.bars import Bars

settings.register_profile("local", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("local"), derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "local")

LEVELS = (0.0, 0.0, 1.0, 1.0, 0.5, 0.25, 0.8)


@dataclass(frozen=True)
class Market:
    """One case: what `run` is given."""

    bars: Bars
    target: np.ndarray[Any, np.dtype[np.float64]]
    execution: Execution
    sizing: Sizing
    stops: Stops

    def run(self) -> Result:
        return run(self.bars, self.target, execution=self.execution, sizing=self.sizing, stops=self.stops)


def bars_of(size: int, seed: int, volatility: float, tick: float) -> Bars:
    """Walk from 100 in steps that are few and whole, rounded to `tick`, so that prices often meet stops exactly."""
    random = np.random.default_rng(seed)
    gaps, bodies = volatility * random.integers(-4, 5, (2, size))
    ups, downs = volatility * random.integers(0, 4, (2, size))
    rows, last = [], 100.0
    for gap, body, up, down in zip(gaps.tolist(), bodies.tolist(), ups.tolist(), downs.tolist(), strict=True):
        opened = max(tick, round(last * (1 + gap) / tick) * tick)
        last = max(tick, round(opened * (1 + body) / tick) * tick)
        high = round(max(opened, last) * (1 + up) / tick) * tick
        low = round(min(opened, last) * (1 - down) / tick) * tick
        rows.append((opened, max(high, opened, last), max(tick, min(low, opened, last)), last))
    days = np.cumsum(random.choice([1, 1, 1, 3], size))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    for column in columns:
        column.setflags(write=False)  # a pure function writes to none of what it is given
    time = np.datetime64("2024-01-01", "ns") + days * np.timedelta64(1, "D")
    open_, high_, low_, close = columns
    return Bars(time, open_, high_, low_, close, np.ones(size), "TEST", "1d")


@st.composite
def _markets(draw: st.DrawFn, costs: bool, stops: bool, sizing: bool, short: bool) -> Market:
    bars = bars_of(
        draw(st.integers(1, 60)),
        draw(st.integers(0, 2**32 - 1)),
        draw(st.sampled_from([0.005, 0.02, 0.06])),
        draw(st.sampled_from([1e-6, 0.5, 1.0])),
    )
    levels = sorted({*LEVELS, *(-level for level in LEVELS)}) if short else sorted(set(LEVELS))
    changes = draw(st.sampled_from([1, 3, 10]))
    stretches = draw(
        st.lists(st.tuples(st.sampled_from(levels), st.integers(1, 5)), min_size=changes, max_size=2 * changes)
    )
    target = np.resize(np.repeat([level for level, _ in stretches], [length for _, length in stretches]), len(bars))
    target.setflags(write=False)
    distance = st.none() | st.sampled_from([0.01, 0.05, 0.125, 0.25]) | st.floats(0.005, 0.4)
    rate = st.sampled_from([0.0, 0.0, 10.0, 100.0]) | st.integers(1, 3_000).map(lambda tenths: tenths / 10)
    cash = draw(st.sampled_from([1_000.0, 12_345.67]))
    return Market(
        bars,
        target,
        Execution(
            initial_cash=cash,
            fee_bps=draw(rate) if costs else 0.0,
            slippage_bps=draw(rate) if costs else 0.0,
            allow_short=short,
            borrow_rate=draw(st.sampled_from([0.0, 0.05, 2.0])) if costs and short else 0.0,
        ),
        Sizing(
            scale=draw(st.sampled_from([1.0, 1.0, 0.3, 1.7])),
            max_exposure=draw(st.sampled_from([1.0, 1.0, 0.6])),
            min_trade_value=cash * draw(st.sampled_from([0.0, 0.0, 0.02, 0.4, 0.7])),
        )
        if sizing
        else Sizing(),
        Stops(stop_loss=draw(distance), take_profit=draw(distance), trailing_stop=draw(distance)) if stops else Stops(),
    )


@pytest.fixture(scope="session")
def markets() -> Any:
    """Return the strategy `markets(costs=…, stops=…, sizing=…, short=…)`: what is left out is at its default."""

    def strategy(
        *, costs: bool = True, stops: bool = True, sizing: bool = True, short: bool = True
    ) -> st.SearchStrategy[Market]:
        return _markets(costs, stops, sizing, short)

    return strategy
