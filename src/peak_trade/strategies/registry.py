"""The registered strategies by name; each module is imported only when its strategy is asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from peak_trade.errors import InputError, did_you_mean

__all__ = ["STRATEGIES", "names", "resolve"]

STRATEGIES = {
    "bollinger_reversion": "peak_trade.strategies.bollinger_reversion:bollinger_reversion",
    "buy_and_hold": "peak_trade.strategies.buy_and_hold:buy_and_hold",
    "donchian_breakout": "peak_trade.strategies.donchian_breakout:donchian_breakout",
    "ema_crossover": "peak_trade.strategies.ema_crossover:ema_crossover",
    "macd": "peak_trade.strategies.macd:macd",
    "momentum": "peak_trade.strategies.momentum:momentum",
    "rsi_reversion": "peak_trade.strategies.rsi_reversion:rsi_reversion",
    "sma_crossover": "peak_trade.strategies.sma_crossover:sma_crossover",
    "vol_target": "peak_trade.strategies.vol_target:vol_target",
}


def names() -> list[str]:
    """Return the names of the registered strategies, sorted."""
    return sorted(STRATEGIES)


def resolve(name: str) -> Callable[..., Any]:
    """Return the registered strategy's function.

    Raises:
        InputError: no strategy is registered under `name`.
    """
    if name not in STRATEGIES:
        raise InputError(f"unknown strategy `{name}`", hint=did_you_mean(name, STRATEGIES))
    module, _, function = STRATEGIES[name].partition(":")
    strategy: Callable[..., Any] = getattr(import_module(module), function)
    return strategy
