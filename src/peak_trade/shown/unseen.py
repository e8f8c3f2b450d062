"""What a walk-forward or a cross-validation came to on bars that its choices had not seen, in a few lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from peak_trade.shown.listing import number, percent

__all__ = ["lines"]


def lines(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return names and texts for a manifest's results: of other runs, none.

    Cells that a stranger's manifest has otherwise than ours are shown as a dash.
    """
    walked, crossed = results.get("walk_forward"), results.get("cpcv")
    if isinstance(walked, Mapping):
        return _walk_forward(walked)
    return _cpcv(crossed) if isinstance(crossed, Mapping) else []


def _walk_forward(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    flat = told.get("flat")
    folds = f"{_count(told.get('folds'))}, the result above is of their test windows alone"
    if isinstance(flat, list) and flat:
        folds += f"; nothing was chosen and traded in {', '.join(map(_count, flat[:12]))}"
    return [
        ("folds", folds),
        ("out of sample", f"{_fell(told)}, {percent(told.get('above_zero'))} of the folds above zero"),
        (
            "carried over",
            f"{percent(told.get('efficiency'))} of the growth a year on train bars; rank correlation of train and test "
            f"{number(told.get('rank_correlation'))}",
        ),
    ]


def _cpcv(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    spread, overfitting = _mapping(told.get("sharpe")), _mapping(told.get("overfitting"))
    return [
        (
            "paths",
            f"{_count(told.get('paths'))} of {_count(told.get('splits'))} splits; the result above is path "
            f"{_count(told.get('path'))}, the one in the middle",
        ),
        (
            "out of sample",
            f"{_fell(told)}; Sharpe ratio of the paths {number(spread.get('least'))} to {number(spread.get('most'))}, "
            f"median {number(spread.get('median'))}",
        ),
        (
            "overfitting",
            f"{percent(overfitting.get('probability'))} probable, by {_count(overfitting.get('trials'))} trials",
        ),
    ]


def _fell(told: Mapping[str, Any]) -> str:
    statistic = told.get("maximize") or told.get("minimize")
    named = statistic[:60] if isinstance(statistic, str) else "–"
    return f"{named} {number(told.get('train_mean'))} on train bars, {number(told.get('test_mean'))} on test bars"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "–"
