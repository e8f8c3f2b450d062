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
from msgspec import Struct

from peak_trade import engine
from peak_trade.config import Config
from peak_trade.market.bars import Bars
from peak_trade.market.trades import Trades
from peak_trade.runner.outcome import Outcome
from peak_trade.sweep.bench import Bench, Came
from peak_trade.sweep.task import Task

__all__ = ["Leg", "stitched"]

_CASH = "execution.initial_cash"


class Leg(Struct, frozen=True):
    """Bars that are traded, from the first of `span` up to the second, by a choice; None: they are not."""

    span: tuple[int, int]
    overrides: dict[str, Any] | None


def stitched(bench: Bench, legs: Sequence[Leg], *, carry: bool = False) -> Came:
    """Trade legs one after the other, in order of time, and return what came of them as one.

    The benchmark holds all bars from the first leg's first on, at the costs of the base. The parameters are those of
    the last choice. Raises what a strategy raises, InputError and RunError.
    """
    config = bench.source.config
    prepared = bench.over(legs[0].span[0], legs[-1].span[1])
    result, params = (_carried if carry else _closed)(bench, legs, prepared.bars, config)
    return Came(prepared.bars, params, Outcome(prepared, config, result))


_Made = tuple[engine.Result, dict[str, Any]]


def _closed(bench: Bench, legs: Sequence[Leg], bars: Bars, config: Config) -> _Made:
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
        came = bench.make(Task(leg.overrides | {_CASH: cash}, leg.span))
        equity[first:end], position[first:end] = came.result.equity, came.result.position
        if first and came.config.execution.at_close:  # an account begins with its cash, one that goes on has paid
            equity[first] -= _paid(came, bars.close[first])
        trades.append(came.result.trades)
        params = came.params
        cash = float(came.result.equity[-1])
        if came.result.ruined is not None:
            ruined = first + came.result.ruined
    return engine.Result(equity, position, _joined(trades, bars), ruined), params


def _paid(came: Came, close: float) -> float:
    """Return what the fills at a window's first close have cost."""
    trades = came.result.trades
    begun = trades.entry_time == came.bars.timestamp[0]
    lost = trades.side * trades.quantity * (trades.entry_price - close) + trades.entry_fee
    return float(lost[begun].sum())


def _carried(bench: Bench, legs: Sequence[Leg], bars: Bars, config: Config) -> _Made:
    start, target = legs[0].span[0], np.zeros(len(bars))
    params: dict[str, Any] = {}
    for leg in legs:
        if leg.overrides is not None:
            first, end = (bar - start for bar in leg.span)
            _, params, target[first:end] = bench.decide(Task(leg.overrides, leg.span))
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
