"""What a walk-forward or a cross-validation came to on bars that its choices had not seen, in a few lines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from peak_trade.text import figure, percentage

__all__ = ["lines"]

_MOST = 12  # folds that are named


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
    folds = f"{_count(told.get('folds'))}; what stands above is of their test windows alone"
    if isinstance(flat, list) and flat:
        folds += f"; nothing was chosen and traded in {', '.join(map(_count, flat[:_MOST]))}"
    efficiency, correlation = _percent(told.get("efficiency")), _number(told.get("rank_correlation"))
    return [
        ("folds", folds),
        ("test", f"{_fell(told)}; {_percent(told.get('above_zero'))} of the folds above zero"),
        ("growth", f"{efficiency} of that on train bars, a year; rank correlation of train and test {correlation}"),
    ]


def _cpcv(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    spread, overfitting = _mapping(told.get("sharpe")), _mapping(told.get("overfitting"))
    least, middle, most = (_number(spread.get(key)) for key in ("least", "median", "most"))
    path, splits = _count(told.get("path")), _count(told.get("splits"))
    paths = f"{_count(told.get('paths'))}, Sharpe ratio {least} to {most}, median {middle}"
    probability, trials = _percent(overfitting.get("probability")), _count(overfitting.get("trials"))
    return [
        ("paths", f"{paths}; what stands above is path {path}, the one in the middle"),
        ("test", f"{_fell(told)}; means of {splits} splits"),
        ("overfit", f"{probability} probable, by {trials} trials"),
    ]


def _fell(told: Mapping[str, Any]) -> str:
    statistic = told.get("maximize") or told.get("minimize")
    named = statistic[:60] if isinstance(statistic, str) else "–"
    return f"{named} {_number(told.get('train_mean'))} on train bars, {_number(told.get('test_mean'))} on test bars"


def _percent(value: Any) -> str:
    return percentage(value) if isinstance(value, float | int) and math.isfinite(value) else "–"


def _number(value: Any) -> str:
    return figure(value) if isinstance(value, float | int) else "–"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "–"
