"""One account over windows that follow each other, each traded by a choice of its own.

By default a window begins with the equity that the one before ended with, and what it holds is closed at its last
close, by the reason `end_of_data`: its data ends there. Carried, the windows' targets are one target, traded in one go:
where the next window's first decision is another, the change fills at the open after it (or at that close), with its
costs; where it is the same, nothing is traded. Bars of no window, and those of one without a choice, are flat.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade import engine
from peak_trade.config import Config
from peak_trade.market.bars import Bars
from peak_trade.market.trades import Trades
from peak_trade.runner.outcome import Outcome
from peak_trade.sweep.bench import Bench, Came
from peak_trade.sweep.task import Task

__all__ = ["Decisions", "Leg", "stitched"]

_Decided = tuple[Config, dict[str, Any], npt.NDArray[np.float64]]
_Made = tuple[engine.Result, dict[str, Any]]


class Leg(Struct, frozen=True):
    """Bars that are traded, from the first of `span` up to the second, by a choice; None: they are not."""

    span: tuple[int, int]
    overrides: dict[str, Any] | None


class Decisions:
    """What a strategy decides on legs, asked once each however many accounts have the leg."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._made: dict[tuple[tuple[int, int], bytes], _Decided] = {}

    def of(self, span: tuple[int, int], overrides: dict[str, Any]) -> _Decided:
        """Return the config of a leg, the parameters of the strategy, and its target over the span."""
        key = span, msgspec.msgpack.encode(overrides, order="deterministic")
        if key not in self._made:
            self._made[key] = self.bench.decide(Task(overrides, span))
        return self._made[key]


def stitched(
    bench: Bench, legs: Sequence[Leg], *, carry: bool = False, decisions: Decisions | None = None
) -> Came:  # fmt: skip
    """Trade legs one after the other, in order of time, and return what came of them as one.

    The benchmark holds all bars from the first leg's first on, at the costs of the base. The parameters are those of
    the last choice. Raises what a strategy raises, InputError and RunError.
    """
    config = bench.source.config
    prepared = bench.over(legs[0].span[0], legs[-1].span[1])
    decisions = decisions or Decisions(bench)
    result, params = (_carried if carry else _closed)(decisions, legs, prepared.bars, config)
    return Came(prepared.bars, params, Outcome(prepared, config, result))


def _closed(decisions: Decisions, legs: Sequence[Leg], bars: Bars, config: Config) -> _Made:
    start, cash = legs[0].span[0], config.execution.initial_cash
    equity, position = np.empty(len(bars)), np.zeros(len(bars))
    trades: list[Trades] = []
    params: dict[str, Any] = {}
    ruined, done = None, 0
    for leg in legs:
        first, end = (bar - start for bar in leg.span)
        equity[done:end] = cash
        done = end
        if leg.overrides is None or cash <= 0.0 or ruined is not None:
            continue
        rules, params, target = decisions.of(leg.span, leg.overrides)
        execution = msgspec.structs.replace(rules.execution, initial_cash=cash)
        made = engine.run(
            decisions.bench.over(*leg.span).bars, target, execution=execution, sizing=rules.sizing, stops=rules.stops
        )
        equity[first:end], position[first:end] = made.equity, made.position
        if first and execution.at_close:  # an account begins with its cash, one that goes on has paid
            equity[first] -= _paid(made.trades, bars.timestamp[first], bars.close[first])
        trades.append(made.trades)
        cash = float(made.equity[-1])
        if made.ruined is not None:
            ruined = first + made.ruined
    return engine.Result(equity, position, _joined(trades, bars), ruined), params


def _paid(trades: Trades, time: np.datetime64, close: float) -> float:
    """Return what the fills at a window's first close have cost."""
    begun = trades.entry_time == time
    lost = trades.side * trades.quantity * (trades.entry_price - close) + trades.entry_fee
    return float(lost[begun].sum())


def _carried(decisions: Decisions, legs: Sequence[Leg], bars: Bars, config: Config) -> _Made:
    start, target = legs[0].span[0], np.zeros(len(bars))
    params: dict[str, Any] = {}
    for leg in legs:
        if leg.overrides is not None:
            first, end = (bar - start for bar in leg.span)
            _, params, target[first:end] = decisions.of(leg.span, leg.overrides)
    result = engine.run(bars, target, execution=config.execution, sizing=config.sizing, stops=config.stops)
    return result, params


def _joined(parts: Sequence[Trades], bars: Bars) -> Trades:
    """Return the trades of windows that follow each other: each ends in its window, so their order stands."""
    if not parts:
        return engine.run(bars, np.zeros(len(bars))).trades
    columns = [name for name in Trades.__struct_fields__ if isinstance(getattr(parts[0], name), np.ndarray)]
    return msgspec.structs.replace(
        parts[0], **{name: np.concatenate([getattr(part, name) for part in parts]) for name in columns}
    )
