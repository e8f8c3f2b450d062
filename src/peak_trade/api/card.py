"""What a notebook shows of a run: a few figures and the curve of its equity, as HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from peak_trade.shown.listing import number, percent

__all__ = ["card", "figures"]

_WIDTH, _HEIGHT, _POINTS = 480, 72, 240


def figures(stats: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what is shown of statistics, as words and figures for people."""
    names = {"total_return": "return", "cagr": "a year", "sharpe": "Sharpe", "max_drawdown": "max drawdown"}
    shown = [
        (name, number(stats.get(key)) if key == "sharpe" else percent(stats.get(key))) for key, name in names.items()
    ]
    trades = stats.get("trades") or 0
    counted = f"{trades:,}" if isinstance(trades, int) else "–"
    return [*shown, ("trades", counted), ("won", percent(stats.get("win_rate")))]


def card(title: str, lines: Sequence[str], shown: Sequence[tuple[str, str]], equity: npt.NDArray[Any] | None) -> str:
    """Return the card; every text in it is escaped, and it holds neither script nor link."""
    cells = "".join(
        f'<td style="text-align:left;padding:2px 14px 2px 0">'
        f"<small>{escape(name)}</small><br><b>{escape(value)}</b></td>"
        for name, value in shown
    )
    below = "".join(f"<div><small>{escape(line)}</small></div>" for line in lines)
    return (
        '<div style="border:1px solid #8886;border-radius:6px;padding:10px 14px;max-width:560px">'
        f"<div><b>{escape(title)}</b></div>{below}"
        f'<table style="border:0;margin:6px 0"><tr>{cells}</tr></table>{"" if equity is None else _curve(equity)}</div>'
    )


def _curve(equity: npt.NDArray[Any]) -> str:
    if len(equity) < 2:
        return ""
    places = np.unique(np.linspace(0, len(equity) - 1, min(len(equity), _POINTS)).astype(np.int64))
    values = equity[places]
    y = (values.max() - values) / (float(np.ptp(values)) or 1.0) * _HEIGHT
    x = places / (len(equity) - 1) * _WIDTH
    points = " ".join(f"{left:.1f},{top:.1f}" for left, top in zip(x, y, strict=True))
    return (
        f'<svg role="img" aria-label="equity" viewBox="0 -2 {_WIDTH} {_HEIGHT + 4}" width="100%" height="{_HEIGHT}" '
        f'preserveAspectRatio="none"><polyline points="{points}" fill="none" stroke="currentColor" '
        'vector-effect="non-scaling-stroke"/></svg>'
    )
