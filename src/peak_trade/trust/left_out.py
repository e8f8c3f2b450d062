"""Was a combination left out of a sweep, or drawn for it, as its manifest says?

What is invalid is left out before a sweep starts, and is no row: its manifest says how many there were. A registered
strategy is asked again here which of them it takes. One of a person's own is code that nobody runs to check a run: what
it refuses can't be told here. Which combinations a seed draws can, where none was invalid.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from peak_trade import strategies
from peak_trade.config import Config, Source
from peak_trade.errors import InputError
from peak_trade.market.bars import Bars
from peak_trade.sweep.axes import Axis, Space
from peak_trade.sweep.valid import checked
from peak_trade.trust.verdict import Verdict

__all__ = ["check"]

_MOST = 100_000  # combinations that a strategy is asked about


def check(verdict: Verdict, name: str, plan: Mapping[str, Any], contents: Mapping[str, bytes]) -> None:
    """Hold which combinations were made against the axes, and what a registered strategy takes of them."""
    grid, count, seed = plan["grid"], plan.get("random"), plan.get("seed", 0)
    invalid, chosen = plan.get("invalid", 0), plan.get("chosen")
    if chosen is None or not all(isinstance(values, list) for values in grid.values()):
        return  # all of them were made, or what was drawn has no number
    space = Space(tuple(Axis(key, tuple(values)) for key, values in grid.items()))
    if count is not None and not invalid:
        expected = sorted(random.Random(seed).sample(range(space.size), min(count, space.size)))
        if expected != chosen:
            verdict.add(f"{name} params", f"the combinations that the seed {seed} draws", "others")
        return
    content = contents["config_snapshot.json"]
    tree = {key: one for key, one in msgspec.json.decode(content).items() if key != "overrides"}
    config = msgspec.convert(tree, Config)
    which = f"which {invalid:,} combinations are invalid"
    if config.strategy.name is None:
        verdict.skip(which, "the strategy's own code says it, and a check runs none")
        return
    if (space.size if count is None else count) > _MOST:
        verdict.skip(which, f"a check asks a strategy about {_MOST:,} at most")
        return
    source = Source(Path("config.toml"), contents["config_snapshot.toml"], {}, config)
    draw = None if count is None else (count, seed)
    try:
        again, _ = checked(space, draw, source, _bars(config), strategies.resolve(config.strategy.name))
    except InputError as error:
        verdict.skip(which, error.message)
        return
    if again.chosen is not None and list(again.chosen) != chosen:
        wrongly = sorted(set(again.chosen) - set(chosen))
        shown = f"combination {wrongly[0]}, which is valid: {space.numbered(wrongly[0])}" if wrongly else "others"
        verdict.add(f"{name} params", f"{len(again.chosen):,} combinations that are valid", f"left out: {shown}")
    elif again.chosen is None:
        verdict.add(f"{name} params", f"all {space.size:,} combinations, which are valid", f"{len(chosen):,}")


def _bars(config: Config) -> Bars:
    """Return two bars to ask a strategy about: what its parameters may be does not hang on them."""
    times = np.array(["2000-01-01", "2000-01-02"], "M8[ns]")
    one = np.ones(2)
    return Bars(times, one, one, one, one, one, config.data.symbol, config.data.timeframe).freeze()
