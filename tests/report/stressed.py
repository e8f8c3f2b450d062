"""What `just stress` leaves beside a run, put there by hand."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec

from peak_trade.trust.stress.again import AtCosts, Result, Stress
from peak_trade.trust.stress.verb import KEPT


def stats_of(run: Path) -> dict[str, Any]:
    """Return the statistics of a run."""
    return dict(json.loads((run / "stats.json").read_text()))


def leave(run: Path, **more: Any) -> Stress:
    """Put beside a run what `just stress` might have found of it."""
    own = stats_of(run)
    figures = {key: own[key] for key in ("final_equity", "total_return", "sharpe", "max_drawdown", "trades")}
    made = Stress(
        hashlib.sha256((run / "manifest.json").read_bytes()).hexdigest(),
        [AtCosts(multiple=1.0, **figures), AtCosts(multiple=3.0, total_return=0.0125, sharpe=0.5, max_drawdown=-0.25)],
        Result(1234.5, 0.0625, own["sharpe"] and own["sharpe"] * 0.4, -0.5, 77),
    )
    made = msgspec.structs.replace(made, **more)
    (run / "debug").mkdir(exist_ok=True)
    (run / KEPT).write_bytes(msgspec.json.encode(made))
    return made
