"""The engine's own figures beside ours, sealed: `reconciliation.json`, which follows from what else is sealed.

    {"edition": 1, "engine": …, "version": …, "figures": [{name, value, stat, ours, status, convention}, …]}

The rows are those of `stats.reconcile`, whose `edition` it names. What an engine says that is no number is not in it.
"""

from __future__ import annotations

from typing import Any

from peak_trade import stats
from peak_trade.evidence import files
from peak_trade.evidence.run_dir import RunDir
from peak_trade.record.result import Result
from peak_trade.stats.reconcile import EDITION, NAME, reconcile
from peak_trade.text import as_utf8

__all__ = ["write"]


def write(directory: RunDir, result: Result, figures: stats.Stats, *, risk_free_rate: float) -> dict[str, int]:
    """Write it where the engine has figures of its own; return how many there are of each status."""
    if not result.own:
        return {}
    rows = reconcile(
        result.engine,
        _named(result.own),
        result.timestamp,
        result.equity,
        result.trades,
        figures,
        left=result.open_,
        initial_cash=result.initial_cash,
        risk_free_rate=risk_free_rate,
    )
    if not rows:
        return {}
    told = {"edition": EDITION, "engine": result.engine, "version": result.version, "figures": rows}
    directory.write(NAME, [files.encode_json(told)])
    statuses = [row["status"] for row in rows]
    return {status: statuses.count(status) for status in sorted(set(statuses))}


def _named(own: dict[str, Any]) -> dict[str, Any]:
    return {as_utf8(name): _named(value) if isinstance(value, dict) else value for name, value in own.items()}
