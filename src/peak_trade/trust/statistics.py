"""Are a run's statistics what its equity and trades give? Held against what the run was sealed with, not today's table.

A manifest names the statistics of its run, each with the edition of its definition. A statistic that this version works
out by the same edition is compared. One that it does not know, or defines otherwise, is named as not recomputed: its
bytes are as sealed, its value nobody can confirm here. What this version has more is no business of an older run.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import msgspec

from peak_trade import stats
from peak_trade.evidence import manifest
from peak_trade.trust.verdict import Verdict

__all__ = ["check", "is_of_this_rule"]

_CLOSE = 1e-9  # relative: what another processor's summation may change
_SMALL = 1e-3  # below this, what is left of a sum that cancels out is rounding

_NO_BENCHMARK = "no benchmark"  # the reason of all that is worked out beside one, where there is none

_OF_0_1 = dict.fromkeys(
    (
        "bars years periods_per_year initial_equity final_equity net_profit total_return cagr volatility sharpe sortino"
        " calmar max_drawdown max_drawdown_days skew kurtosis value_at_risk_95 expected_shortfall_95"
        " probabilistic_sharpe exposure turnover trades win_rate profit_factor payoff_ratio expectancy average_win"
        " average_loss best_trade worst_trade average_bars_held fees_paid slippage_paid borrow_paid"
        " benchmark_total_return benchmark_cagr benchmark_sharpe benchmark_max_drawdown excess_return beta alpha"
        " information_ratio"
    ).split(),
    1,
)
"""The statistics of version 0.1, whose manifests don't name them."""


def check(verdict: Verdict, content: bytes, results: dict[str, Any], figures: stats.Stats, no_market: str = "") -> None:
    """Hold stats.json, its `content`, against the manifest's `results` and the figures as worked out again.

    `no_market` says why the benchmark, which the run had, could not be; what is compared with it is left out then.
    """
    written = msgspec.json.decode(content)
    reasons = written.pop("reasons", None)
    sealed, editions = results.get("statistics", _OF_0_1), stats.editions()
    confirmed = set()
    for key in sorted(sealed.keys() | written.keys()):
        if key not in sealed or key not in written:
            verdict.add(f"stats.json {key}", figures.get(key), written.get(key))
        elif key not in editions:
            verdict.skip(f"stats.json {key}", "this version has no such statistic")
        elif sealed[key] != editions[key]:
            verdict.skip(f"stats.json {key}", "this version defines it otherwise")
        elif not (no_market and figures.reasons.get(key) == _NO_BENCHMARK):
            confirmed.add(key)
            if not _same(figures[key], written[key]):
                verdict.add(f"stats.json {key}", figures[key], written[key])
    if no_market:
        verdict.skip("stats.json, what it compares with the benchmark", no_market)
    others = sealed.keys() - confirmed
    found = {key: reason for key, reason in reasons.items() if key not in others} if isinstance(reasons, dict) else {}
    _check_reasons(verdict, found, {key: reason for key, reason in figures.reasons.items() if key in confirmed})
    for key, value in results["summary"].items():
        verdict.compare(f"{manifest.NAME} summary {key}", written.get(key), value)


def is_of_this_rule(key: str, results: dict[str, Any]) -> bool:
    """Tell whether a run was sealed with a statistic of the edition that this version works out."""
    return bool(results.get("statistics", _OF_0_1).get(key) == stats.editions()[key])


def _check_reasons(verdict: Verdict, found: dict[str, Any], expected: dict[str, str]) -> None:
    """Check why statistics have no value, as far as this version has the same words for it."""
    unknown = {key for key in expected.keys() & found.keys() if found[key] not in stats.REASONS}
    for key in sorted(unknown):
        verdict.skip(f"stats.json reasons {key}", f"this version does not know {found[key]!r}")
    verdict.compare("stats.json reasons", _without(expected, unknown), _without(found, unknown))


def _without(reasons: dict[str, Any], keys: Container[str]) -> dict[str, Any]:
    return {key: reason for key, reason in reasons.items() if key not in keys}


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float | int) and isinstance(other, float | int):
        return abs(one - other) <= _CLOSE * max(abs(one), abs(other), _SMALL)
    return bool(one == other)
