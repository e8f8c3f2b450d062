"""Is what a run says of its engine's own figures what its equity, its trades and its statistics make of them?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from peak_trade.errors import RunError
from peak_trade.evidence import documents
from peak_trade.market.trades import Trades
from peak_trade.stats.reconcile import EDITION, NAME, reconcile
from peak_trade.stats.values import Floats, Times
from peak_trade.trust.verdict import Verdict

__all__ = ["check", "rows_of"]

_CLOSE = 1e-9
_TEXTS = ("status", "convention", "stat")


def rows_of(content: bytes) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the document and its rows, each with all that belongs to it; RunError where it is none."""
    told = documents.decode(content, NAME)
    rows: Any = told.get("figures")
    if not isinstance(rows, list) or not all(_is_row(row) for row in rows):
        raise RunError(f"{NAME} is no list of an engine's figures")
    return told, rows


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("name"), str) or not _is_number(row.get("value")):
        return False
    fits = row.get("ours") is None or _is_number(row["ours"])
    return fits and all(isinstance(row.get(key), str | None) for key in _TEXTS)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and type(value) is not bool and abs(value) < 1e308 and math.isfinite(value)


def check(
    verdict: Verdict,
    content: bytes,
    timestamp: Times,
    equity: Floats,
    trades: Trades | None,
    stats: Mapping[str, float | int | None],
    *,
    left: Trades | None = None,
    initial_cash: float | None = None,
    risk_free_rate: float = 0.0,
) -> None:
    """Work the rows out again from the engine's figures in them, and say which differ."""
    told, rows = rows_of(content)
    if told.get("edition") != EDITION:
        verdict.skip(NAME, "this version reconciles otherwise")
        return
    own = {row["name"]: row["value"] for row in rows}
    again = reconcile(
        str(told.get("engine")), own, timestamp, equity, trades, stats,
        left=left, initial_cash=initial_cash, risk_free_rate=risk_free_rate,
    )  # fmt: skip
    verdict.compare(f"{NAME} rows", len(again), len(rows))
    for expected, found in zip(again, rows, strict=False):
        for key in ("name", *_TEXTS):
            verdict.compare(f"{NAME} {found['name']} {key}", expected[key], found.get(key))
        if not _same(expected["ours"], found["ours"]):
            verdict.add(f"{NAME} {found['name']} ours", expected["ours"], found["ours"])


def _same(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    return bool(abs(one - other) <= _CLOSE * max(abs(one), abs(other), 1e-3))
