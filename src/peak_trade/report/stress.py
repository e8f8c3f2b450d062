"""What is left of a result at other costs, and when each decision is filled one bar later.

By the sealed files alone: the same trades at the same sizes, at a multiple of what they were charged. What the run
comes to when it is traded again, `just stress` works out and keeps beside the seal; where it has not, the page says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from peak_trade.evidence.manifest import RUN
from peak_trade.report import svg, trading
from peak_trade.report.figures import figure, percent_label
from peak_trade.report.markup import money, number, percent, table, text
from peak_trade.report.portfolio import lacks
from peak_trade.report.run import RunFiles
from peak_trade.text import cut
from peak_trade.trust.stress.again import Result, Stress
from peak_trade.trust.stress.costs import MULTIPLES, Booked, Costs, Point, booked, told
from peak_trade.trust.stress.verb import BEYOND, kept

__all__ = ["UNSEALED", "costs", "costs_of", "untraded"]

_SAID, _WORDS = 20, 300  # sentences of a file that no seal covers, and characters of one
UNSEALED = "worked out by <code>just stress</code>; the seal does not cover it"


def costs(run: RunFiles) -> str:
    """What costs took, what a multiple of them leaves, and what a bar's delay leaves."""
    known, again = costs_of(run), kept(run.path)
    multiples = "" if known is None else f"<h3>At other costs</h3>{_multiples(run, known, again)}"
    return f"{trading.costs(run)}{multiples}<h3>One bar later</h3>{_later(run, again)}"


def costs_of(run: RunFiles) -> Costs | None:
    """Return what a run was charged; None where nobody says."""
    return told(run.stats)


def untraded(run: RunFiles) -> str:
    """Return why a run was not traded again, as HTML."""
    if run.kind != RUN:
        return BEYOND[run.kind]
    return f"<code>just stress {text(run.run_id[:8])}</code> does so, with the run's own code and bars"


# --- at other costs -----------------------------------------------------------------------------------------------


def _multiples(run: RunFiles, known: Costs, again: Stress | None) -> str:
    if known.break_even is None:
        return "<p>Nothing was charged, so there is no multiple of it.</p>"
    marked = _booked(run, known)
    per_year, rate = (
        _number(run.stats.get("periods_per_year")),
        _number(run.config.get("stats", {}).get("risk_free_rate")),
    )
    points = [
        marked.at(known, one, per_year, rate or 0.0) if marked else _told(known.at(one), run.stats) for one in MULTIPLES
    ]
    unknown = [name for name, part in (("slippage", known.slippage), ("borrowing", known.borrow)) if part is None]
    words = f"<p>{_left(known)}</p>"
    note = (
        "The same trades at the same sizes: what each of them was charged is taken so many times, and nothing is "
        "traded again. "
        + ("" if marked else f"Sharpe ratio and drawdown are told as charged alone: {_why_not(known)}. ")
        + (f"What {' and '.join(unknown)} took nobody says, and it is left out. " if unknown else "")
        + (
            f"Traded again, an account has less to trade with as costs rise, and stops move: {UNSEALED}."
            if again
            else f"Traded again at such costs it was not: {untraded(run)}."
        )
    )
    return f'{words}{_figure(points, again)}{_table(points, again)}<p class="note">{note}</p>'


def _told(point: Point, stats: Mapping[str, Any]) -> Point:
    """Return a point with what stats.json says of the run as it was charged."""
    if point.multiple != 1.0:
        return point
    own = {key: _number(stats.get(key)) for key in ("sharpe", "max_drawdown")}
    return msgspec.structs.replace(point, **own)


def _left(known: Costs) -> str:
    multiple = known.break_even
    if multiple is None or multiple <= 0.0:
        return "It would have earned nothing without costs either."
    if multiple < 1.0:
        return f"The costs took more than was earned: nothing is left from {number(multiple)} times them on."
    return f"Nothing is left at <strong>{number(multiple)} times</strong> the costs that were charged."


def _why_not(known: Costs) -> str:
    if known.borrow:
        return "borrowing is paid by the day"
    return "the marks of the account do not say when each cost was charged"


def _booked(run: RunFiles, known: Costs) -> Booked | None:
    if not run.ours or lacks(run, "equity trades"):
        return None
    execution = run.config.get("execution", {})
    return booked(
        run.equity["timestamp"], run.equity["equity"], run.trades, known,
        _number(execution.get("slippage_bps")) or 0.0, first=execution.get("fill") == "close",
    )  # fmt: skip


def _number(value: object) -> float | None:
    there = isinstance(value, int | float) and type(value) is not bool and math.isfinite(value)
    return float(value) if there and isinstance(value, int | float) else None


def _table(points: Sequence[Point], again: Stress | None) -> str:
    head = ["Costs", "Total return", "Sharpe ratio", "Max drawdown", "Final equity"]
    traded = {one.multiple: one for one in again.costs} if again else {}
    head += ["Traded again: return", "Sharpe ratio", "Max drawdown"] if again else []
    rows = []
    for one in points:
        row = [
            _times(one.multiple),
            percent(one.total_return),
            "ruined" if one.ruined else number(one.sharpe),
            percent(one.max_drawdown),
            money(one.final_equity),
        ]
        rows.append(row + (_results(traded.get(one.multiple, Result())) if again else []))
    return table(head, rows, label="At other costs")


def _results(one: Result) -> list[str]:
    return [percent(one.total_return), number(one.sharpe), percent(one.max_drawdown)]


def _times(multiple: float) -> str:
    return "none" if not multiple else "as charged" if multiple == 1.0 else f"{multiple:g} times"


def _figure(points: Sequence[Point], again: Stress | None) -> str:
    """Return the total return over the multiple of the costs; empty where the run has none."""
    series = [("equity", "The same trades at the same sizes", {one.multiple: one.total_return for one in points})]
    if again:
        series.append(("volatility", "Traded again", {one.multiple: one.total_return for one in again.costs}))
    if any(one.total_return is None for one in points):
        return ""
    most = MULTIPLES[-1]
    lines = [
        (
            style,
            words,
            np.array([[at, value] for at, value in sorted(drawn.items()) if value is not None and at <= most]),
        )
        for style, words, drawn in series
    ]
    lines = [one for one in lines if len(one[2])]
    scale = svg.Scale.around(*(column[:, 1] for *_, column in lines), zero=True)
    marks = [
        mark(column[:, 0] / most, scale.place(column[:, 1]), style)
        for style, _, column in lines
        for mark in (svg.line, lambda x, y, style: svg.dots(x, y, f"{style} at"))
    ]
    ticks = [svg.Tick(at / most, f"{at:g} ×") for at in range(int(most) + 1)]
    about = (
        f"From {percent(points[0].total_return)} without costs to {percent(points[-1].total_return)} at {most:g} times."
    )
    rows = [[_times(at), *(percent(dict(column.tolist()).get(at)) for *_, column in lines)] for at in MULTIPLES]
    return figure(
        "Total return at other costs", about,
        [svg.Panel(130, scale.ticks(percent_label), marks, float(scale.place(0.0)))], ticks,
        [(style, words) for style, words, _ in lines], "Total return over the multiple of what was charged.",
        table(["Costs", *(words for _, words, _ in lines)], rows, label="Total return at other costs"),
    )  # fmt: skip


# --- one bar later ------------------------------------------------------------------------------------------------


def _later(run: RunFiles, again: Stress | None) -> str:
    if again is None:
        return (
            "<p>What is left when every decision is filled one bar later was not worked out: sealed files do not tell "
            f"at which prices that is, and {untraded(run)}.</p>"
        )
    if again.delayed.why:
        return f"<p>With every decision one bar later it can't be traded: {text(cut(again.delayed.why, _WORDS))}.</p>"
    rows = [
        [name, *_results(one), "–" if one.trades is None else f"{one.trades:,}", money(one.final_equity)]
        for name, one in (("As decided", again.own), ("One bar later", again.delayed))
    ]
    head = ["", "Total return", "Sharpe ratio", "Max drawdown", "Trades", "Final equity"]
    said = "".join(f" {text(cut(one[:1].upper() + one[1:], _WORDS))}." for one in again.said[:_SAID])
    note = f"Every decision is filled one bar later, at the costs that were charged: {UNSEALED}.{said}"
    return table(head, rows, label="One bar later") + f'<p class="note">{note}</p>'
