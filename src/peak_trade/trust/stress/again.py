"""A run made again at other costs, and with each decision a bar later: by its own code, bars and engine."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from peak_trade.config import Config
from peak_trade.errors import RunError
from peak_trade.market.bars import Floats
from peak_trade.runner.outcome import Prepared
from peak_trade.shown.listing import aligned
from peak_trade.text import figure, percentage
from peak_trade.trust.probe.case import Case
from peak_trade.trust.probe.delay import alone, later
from peak_trade.trust.stress.costs import MULTIPLES

__all__ = ["Result", "Stress", "stress"]

_SAME = 1e-9  # relative: what another processor or library may change
_KEYS = ("final_equity", "total_return", "sharpe", "max_drawdown", "trades")
_Figure = Annotated[float, Meta(ge=-1e15, le=1e15)]


class Result(Struct, frozen=True):
    """What came of the run made again: figures as in stats.json, None where there is none; why it can't be, if so."""

    final_equity: _Figure | None = None
    total_return: _Figure | None = None
    sharpe: _Figure | None = None
    max_drawdown: _Figure | None = None
    trades: Annotated[int, Meta(ge=0)] | None = None
    why: str = ""


class AtCosts(Result, frozen=True):
    """The same at a multiple of the costs."""

    multiple: Annotated[float, Meta(ge=0, le=1e3)] = 1.0


class Stress(Struct, frozen=True):
    """A run at multiples of its costs, and with each decision one bar later at its own; `manifest`: sha256 of its seal.

    `said` is what a reader has to know of how its bars were found.
    """

    manifest: str
    costs: list[AtCosts]
    delayed: Result
    said: list[str] = []

    @property
    def own(self) -> Result:
        """The run at its own costs, as it was sealed."""
        return next((one for one in self.costs if one.multiple == 1.0), Result())

    def as_text(self) -> str:
        """Return it as a table for people."""
        head = ("", "total return", "Sharpe", "max drawdown", "trades", "final equity")
        rows = [(f"costs × {one.multiple:g}", one) for one in self.costs]
        lines = [(name, *_shown(one)) for name, one in [*rows, ("one bar later", self.delayed)]]
        table = aligned([head, *lines], right=range(1, 6))
        why = sorted({one.why for _, one in [*rows, ("", self.delayed)] if one.why})
        return "\n".join([table, *why, *self.said])


def _shown(one: Result) -> list[str]:
    def written(value: float | None, write: Callable[[float], str]) -> str:
        return "–" if value is None else write(value)

    return [
        written(one.total_return, percentage),
        written(one.sharpe, figure),
        written(one.max_drawdown, percentage),
        "–" if one.trades is None else f"{one.trades:,}",
        written(one.final_equity, figure),
    ]


def stress(case: Case, sealed: dict[str, Any], manifest: str) -> Stress:
    """Trade the target of a case at multiples of its costs, and a bar later; `sealed` is the stats.json of its run.

    Raises RunError where what comes of it as it was is not what was sealed: then there is nothing to hold it against.
    """
    prepared, config = Prepared(case.bars), alone(case.config)
    rows = []
    for multiple in MULTIPLES:
        found = _traded(prepared, case.target, _at(config, multiple))
        rows.append(AtCosts(**msgspec.structs.asdict(found), multiple=multiple))
    own = next(one for one in rows if one.multiple == 1.0)
    if not all(_same(getattr(own, key), sealed.get(key)) for key in _KEYS):
        raise RunError(
            f"run {case.name} comes to something else when it is made again, so it can't be held against that",
            hint=f"just replay {case.name}",
        )
    return Stress(manifest, rows, _traded(prepared, later(case.target), config), case.said)


def _at(config: Config, multiple: float) -> Config:
    """Return a config with all its costs a multiple of what they were."""
    own = config.execution
    costs = {name: getattr(own, name) * multiple for name in ("fee_bps", "slippage_bps", "borrow_rate")}
    return msgspec.structs.replace(config, execution=msgspec.structs.replace(own, **costs))


def _traded(prepared: Prepared, target: Floats, config: Config) -> Result:
    own = config.execution
    if max(own.fee_bps, own.slippage_bps) >= 4_000:  # as of a config (`config.Execution`): the fills have no solution
        return Result(why="costs of 40 % of a fill and more can't be traded")
    try:
        figures = prepared.trade(target, config).figures
    except RunError as error:
        return Result(why=error.message)
    told = {key: figures[key] for key in _KEYS}
    return Result(**{key: one if one is None or math.isfinite(one) else None for key, one in told.items()})  # type: ignore[arg-type]


def _same(one: float | None, other: Any) -> bool:
    if one is None or not isinstance(other, int | float):
        return one is None and other is None
    return math.isclose(one, other, rel_tol=_SAME, abs_tol=_SAME)
