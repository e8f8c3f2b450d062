"""What is prepared once for many trials changes no bit of any of them."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from peak_trade import config as configs
from peak_trade import engine, stats
from peak_trade.config import Config
from peak_trade.errors import InputError, RunError
from peak_trade.evidence import tables
from peak_trade.market import rate
from peak_trade.market.bars import Bars
from peak_trade.runner.outcome import Prepared
from peak_trade.stats.values import need

CONFIG = """
[data]
path = "-"
symbol = "TEST"
timeframe = "{timeframe}"
{calendar}

[strategy]
name = "sma_crossover"
"""
SECTIONS: list[dict[str, Any]] = [
    {},
    {"execution.fee_bps": 7.5, "execution.slippage_bps": 2.0},
    {"execution.allow_short": True, "execution.borrow_rate": 0.08, "execution.fee_bps": 1.0},
    {"execution.fill": "close", "execution.fee_bps": 3.0},
    {"stops.stop_loss": 0.02, "stops.take_profit": 0.03},
    {"stops.trailing_stop": 0.01, "execution.slippage_bps": 5.0},
    {"sizing.scale": 0.5, "sizing.min_trade_value": 2_000.0},
    {"stats.benchmark": "none"},
    {"stats.risk_free_rate": 0.04, "execution.initial_cash": 5_000.0},
    {"stats.periods_per_year": 300.0},
]


def config_of(
    overrides: dict[str, Any] | None = None, timeframe: str = "1h", calendar: str = 'calendar = "24/7"'
) -> Config:
    return configs.parse(CONFIG.format(timeframe=timeframe, calendar=calendar).encode(), overrides or {})


def bars_of(count: int, *, seed: int = 0, step: str = "1h", volatility: float = 0.01, gaps: bool = False) -> Bars:
    random = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(random.normal(0.0, volatility, count)))
    opened = np.concatenate([[100.0], close[:-1]])[:count] * np.exp(random.normal(0.0, volatility / 4, count))
    high = np.maximum(opened, close) * (1 + volatility * random.random(count))
    low = np.minimum(opened, close) * (1 - volatility * random.random(count))
    steps = np.cumsum(random.choice([1, 1, 1, 1, 9], count) if gaps else np.ones(count, np.int64))
    times = np.datetime64("2023-11-29T05:00", "ns") + steps * np.array(int(step[:-1]), f"m8[{step[-1]}]")
    return Bars(times, opened, high, low, close, random.random(count), "TEST", step)


def targets(count: int, seed: int) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    random = np.random.default_rng(seed)
    one = np.zeros(count)
    one[count // 3 : count // 2] = 1.0
    turning = np.repeat(random.choice([0.0, 0.0, 1.0, 0.5, 0.25], count), random.integers(1, 9, count))[:count]
    return {
        "no trades": np.zeros(count),
        "one trade": one,
        "all of it": np.ones(count),
        "many": turning,
        "every bar": random.integers(0, 2, count).astype(np.float64),
        "both sides": turning * random.choice([-1.0, 1.0], count),
    }


def usual(bars: Bars, target: np.ndarray[Any, np.dtype[np.float64]], config: Config) -> list[Any]:
    """What comes of one target where nothing is shared, every part worked out from its own arrays."""
    result = engine.run(bars, target, execution=config.execution, sizing=config.sizing, stops=config.stops)
    held = engine.run(bars, np.ones(len(bars)), execution=config.execution).equity
    held_or_none = None if config.stats.benchmark == "none" else held
    per_year = config.stats.periods_per_year or rate.periods_per_year(
        bars.timestamp, config.data.timeframe, config.data.calendar
    )
    figures = stats.compute(
        bars.timestamp, result.equity, result.position, result.trades, risk_free_rate=config.stats.risk_free_rate,
        periods_per_year=per_year, benchmark_equity=held_or_none,
    )  # fmt: skip
    columns = {
        "timestamp": bars.timestamp,
        "equity": result.equity,
        "drawdown": need(stats.drawdown(result.equity)),
        "position": result.position,
    }
    digests = {
        "equity_digest": tables.series_digest("equity", columns),
        "trades_digest": tables.trades_digest(result.trades),
    }
    benchmark = None if held_or_none is None else held.tobytes()
    return [msgspec.json.encode(figures.to_json_object()), digests, benchmark, *(c.tobytes() for c in columns.values())]


def of(prepared: Prepared, target: np.ndarray[Any, np.dtype[np.float64]], config: Config) -> list[Any]:
    came = prepared.trade(target, config)
    benchmark = None if came.benchmark is None else came.benchmark.tobytes()
    equity = [column.tobytes() for column in came.equity.values()]
    return [msgspec.json.encode(came.figures.to_json_object()), came.digests, benchmark, *equity]


@pytest.mark.parametrize(
    ("timeframe", "count", "gaps"), [("1h", 3000, False), ("1h", 900, True), ("1d", 400, True), ("7D", 60, False)]
)
def test_what_many_trials_share_changes_no_bit_of_any(timeframe: str, count: int, gaps: bool) -> None:
    bars = bars_of(count, step=timeframe.replace("d", "D"), gaps=gaps)
    prepared = Prepared(bars)
    for seed in range(2):
        for target in targets(count, seed).values():  # one after the other, so that each finds what others have left
            for overrides in SECTIONS:
                config = config_of(overrides, "1w" if timeframe == "7D" else timeframe)
                if not config.execution.allow_short:
                    target = np.abs(target)
                assert of(prepared, target, config) == usual(bars, target, config), overrides


@pytest.mark.parametrize("count", [1, 2, 3, 21])
def test_a_few_bars_have_the_same_figures_and_reasons(count: int) -> None:
    bars, config = bars_of(count), config_of(calendar="")
    prepared = Prepared(bars)
    for target in (np.zeros(count), np.ones(count)):
        assert of(prepared, target, config) == usual(bars, target, config)


def test_a_ruined_account_is_told_the_same(ruinous: Bars) -> None:
    config = config_of({"execution.allow_short": True})
    prepared, target = Prepared(ruinous), -np.ones(len(ruinous))
    assert prepared.trade(target, config).result.ruined is not None
    assert prepared.trade(target, config).figures["cagr"] is None
    assert of(prepared, target, config) == usual(ruinous, target, config)


def test_a_flat_market_has_the_same_reasons() -> None:
    bars = bars_of(500, volatility=0.0)
    prepared, config = Prepared(bars), config_of()
    assert "sharpe" in prepared.trade(np.ones(500), config).figures.reasons
    assert of(prepared, np.ones(500), config) == usual(bars, np.ones(500), config)


def test_the_comparison_sees_the_last_digits_of_one_close() -> None:
    """The control."""
    bars, config, target = bars_of(300), config_of(), np.ones(300)
    closes = bars.close.copy()
    closes[150] *= 1 + 1e-14
    other = msgspec.structs.replace(bars, close=closes)
    one, two = of(Prepared(bars), target, config), usual(other, target, config)
    assert [a == b for a, b in zip(one, two, strict=True)] == [False, False, False, True, False, False, True]


def test_benchmarks_are_kept_by_their_costs_and_the_oldest_makes_way() -> None:
    prepared, costs = Prepared(bars_of(300)), [config_of({"execution.fee_bps": float(fee)}) for fee in range(40)]
    first = prepared.benchmark(costs[0])
    assert prepared.benchmark(config_of({"stats.risk_free_rate": 0.01, "execution.fee_bps": 0.0})) is first
    for config in costs[1:]:
        prepared.benchmark(config)
    assert len(prepared._benchmarks) == 16
    again = prepared.benchmark(costs[0])
    assert again is not first and again is not None and first is not None
    assert again.equity.tobytes() == first.equity.tobytes()


def test_what_fails_once_leaves_the_others_as_they_were() -> None:
    bars = bars_of(300)
    prepared, target = Prepared(bars), targets(300, 1)["both sides"]
    before = of(prepared, np.abs(target), config_of())
    with pytest.raises(RunError, match="allow_short is false"):
        prepared.trade(target, config_of())
    with pytest.raises(InputError, match="shape"):
        stats.of_curve(
            stats.Curve(np.ones(299), prepared.times), None, None, risk_free_rate=0.0, periods_per_year=None
        )  # fmt: skip
    assert of(prepared, np.abs(target), config_of()) == before


@pytest.fixture
def ruinous() -> Bars:
    """Bars that rise to four times the first price: whoever is short of all his money loses it."""
    bars = bars_of(200)
    close = np.geomspace(100.0, 400.0, 200)
    opened = np.concatenate([[100.0], close[:-1]])
    return msgspec.structs.replace(bars, open=opened, close=close, high=close, low=opened)
