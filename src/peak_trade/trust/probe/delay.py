"""What is left of a result when each decision comes one bar later: an edge that lasts one bar is seldom one."""

from __future__ import annotations

import msgspec
import numpy as np
from msgspec import Struct

from peak_trade.config import NO_BENCHMARK, Config
from peak_trade.errors import RunError
from peak_trade.market.bars import Bars, Floats
from peak_trade.runner.outcome import Prepared

__all__ = ["Delay", "alone", "delay", "later"]

_LEAST = 0.1  # of a Sharpe ratio that a share is told of


class Delay(Struct, frozen=True):
    """The Sharpe ratio as decided and with each decision a bar later; None where there is none."""

    sharpe: float | None = None
    delayed: float | None = None

    @property
    def left(self) -> float | None:
        """Which share of it is left, where there is any to begin with."""
        if self.sharpe is None or self.delayed is None or self.sharpe < _LEAST:
            return None
        return self.delayed / self.sharpe

    def __str__(self) -> str:
        if self.sharpe is None or self.delayed is None:
            return "not known: there is no Sharpe ratio"
        share = "" if self.left is None else f", {100 * self.left:.0f} % of it"
        return f"Sharpe ratio {self.sharpe:.2f}, with each decision one bar later {self.delayed:.2f}{share}"


def delay(bars: Bars, target: Floats, config: Config) -> Delay:
    """Trade a target as it is and one bar later, at the config's costs."""
    try:
        prepared, asked = Prepared(bars), alone(config)
        found = [_sharpe(prepared, each, asked) for each in (target, later(target))]
    except RunError:  # it may not be traded at all, as one that is short
        return Delay()
    return Delay(*found)


def alone(config: Config) -> Config:
    """Return a config without its benchmark: no figure of the run itself needs it."""
    return msgspec.structs.replace(config, stats=msgspec.structs.replace(config.stats, benchmark=NO_BENCHMARK))


def later(target: Floats) -> Floats:
    """Return a target, shape (N,), each decision of which comes one bar later.

    >>> later(np.array([1.0, 0.5, 0.0])).tolist()
    [0.0, 1.0, 0.5]
    """
    return np.concatenate([[0.0], target[:-1]])


def _sharpe(prepared: Prepared, target: Floats, config: Config) -> float | None:
    value = prepared.trade(target, config).figures["sharpe"]
    return value if isinstance(value, float) else None
