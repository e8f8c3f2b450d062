"""Strategies: pure functions `(bars, *, params…) -> target`, and what it takes to call anybody's.

May import market and the leaves; it alone imports a user's code.

A target is a float64 array of shape (N,), one value a bar: the exposure in [-1, 1] to hold after that bar's close.
Bar i is decided from bars 0 to i alone.

In reading order:

- `rolling`: moving averages, extremes and deviations that depend on nothing but their own window
- `signals`: from conditions to a target
- `sma_crossover` and its siblings: one module a strategy, with its reference
- `registry`: the strategies by name, imported when asked for
- `reach`: where a user's modules are found, here and in worker processes
- `calls`: a class with `generate_signals` as a function
- `entrypoint`: the user's own function, from a module or a file, and the digest of its source
- `checks`: the parameters given to a strategy and the target that it returns
- `meaning`: what answers that are no target mean, and which can't be one
- `manner`: how a strategy is asked and what its answer means, as a config declares it
"""

from __future__ import annotations

from peak_trade.strategies.checks import as_decisions, check_params, check_target
from peak_trade.strategies.entrypoint import load_entrypoint, reaching, source_digest
from peak_trade.strategies.manner import Manner
from peak_trade.strategies.registry import names, resolve

__all__ = [
    "Manner",
    "as_decisions",
    "check_params",
    "check_target",
    "load_entrypoint",
    "names",
    "reaching",
    "resolve",
    "source_digest",
]
