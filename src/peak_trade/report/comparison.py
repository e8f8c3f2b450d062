"""Runs against each other as one page in the report's style: curves over each other, and what differs, in tables.

The page is one file, made from `trust.compare`'s comparison; what a run says of itself reaches it
through `text` only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from peak_trade.evidence import door
from peak_trade.evidence.manifest import RUINED
from peak_trade.evidence.results import Results
from peak_trade.report import sheet, svg, together
from peak_trade.report.figures import LOG_FROM, amount_label, figure, percent_label
from peak_trade.report.head import label_of
from peak_trade.report.markup import cell, counted, in_toml, table, text
from peak_trade.report.renderer import OUTPUT
from peak_trade.report.values import Column, Over, over
from peak_trade.trust.compare import HEADLINES, Comparison, Row, about, apart, letter, shown, told
from peak_trade.trust.difference import Sealed
from peak_trade.trust.difference.figures import Figure
from peak_trade.trust.difference.trades import Trade

__all__ = ["page", "write"]

_TRADES = 100  # rows, of each run
_CELL = 80
_MORE = frozenset(
    (
        "final_equity net_profit total_return cagr sharpe sortino calmar max_drawdown ulcer_performance_index omega "
        "tail_ratio common_sense_ratio best_bar worst_bar best_day worst_day best_month worst_month "
        "probabilistic_sharpe win_rate profit_factor payoff_ratio expectancy average_win average_loss best_trade "
        "worst_trade excess_return alpha information_ratio"
    ).split()
)  # of these more is better, of those below less; of others a reader decides
_LESS = frozenset("max_drawdown_days time_under_water ulcer_index fees_paid slippage_paid borrow_paid".split())


def write(found: Comparison, results: Results, output: Path | None = None) -> Path:
    """Write the page of a comparison, by default beside the runs in the results folder, and return its path.

    Raises RunError where it can't be written.
    """
    beside = results.path if output is None else None
    return sheet.write(page(found, beside), results.path, [run.run_id for run in found.runs], output)


def page(found: Comparison, beside: Path | None = None) -> str:
    """Return the page of a comparison as HTML, with links to the reports of the runs that it will lie `beside`."""
    sections = [
        ("differs", "What differs", _inputs(found)),
        ("equity", "Equity and drawdown", _curves(found.runs)),
        ("statistics", "Statistics", _figures(found)),
        *_together(found.runs),
        ("parting", "Where they part", _parting(found)),
        ("trades", "Differing trades", _trades(found)),
    ]
    which = " ".join(f"<code>{text(run.run_id[:8])}</code>" for run in found.runs)
    title = " and ".join(run.run_id[:8] for run in found.runs[:3]) + (" …" if len(found.runs) > 3 else "")
    foot = f"Made from the sealed files of the runs {which} alone: <code>just compare</code>."
    return sheet.sheet(f"Compared: {title}", _head(found, beside), sections, foot, len(found.runs))


def _head(found: Comparison, beside: Path | None) -> str:
    rows = []
    for at, run in enumerate(found.runs):
        known = about(run)
        what = " ".join(str(known[key]) for key in ("strategy", "symbol", "timeframe") if known[key])
        status = known["status"] if not known["error"] else f"{known['status']}: {known['error']}"
        status += ", looks ahead" if known["lookahead"] else ""
        rows.append(
            [text(letter(at)), *(cell(content) for content in
             (_called(run, beside), text(status), text(what), text(known["name"] or "")))]
        )  # fmt: skip
    within = f", within the tolerance of {found.tolerance:g}"
    said = "".join(
        f"<li>A and {letter(at)}: {text(one.told)}"
        f"{within if one.same and one.how not in ('none', 'failed') else ''}</li>"
        for at, one in enumerate(found.differences, 1)
    )
    badge = "good" if found.same else "bad"
    word = "✓ The same" if found.same else "✗ They differ"
    return (
        f"<h1>{text(_names(found))} compared</h1>"
        f'<p class="badges"><span class="badge {badge}">{word}</span></p>'
        f"{table(['', 'Run', 'Status', 'Strategy', 'Name'], rows, label='The runs', name='runs')}<ul>{said}</ul>"
    )


def _called(run: Sealed, beside: Path | None) -> str:
    short = f"<code>{text(run.run_id[:8])}</code>"
    there = beside is not None and run.path == beside / run.run_id and door.exists(run.path, OUTPUT)
    return f'<a href="{run.run_id}/{OUTPUT}">{short}</a>' if there else short


def _names(found: Comparison) -> str:
    count = len(found.runs)
    return " and ".join(map(letter, range(count))) if count <= 4 else f"A and {count - 1} others"


def _inputs(found: Comparison) -> str:
    if not found.inputs:
        return "<p>Nothing of what went in.</p>"
    head = ["What", "Explains it", *(letter(at) for at in range(len(found.runs)))]
    return table(head, [_input(row) for row in found.inputs], label="What differs", name="inputs")


def _input(row: Row) -> list[str]:
    details = "\n".join(row.details)
    code = f"<pre>{text(details)}</pre>" if details else ""
    why = f" <small>{text(row.why)}</small>" if row.why else ""
    return [
        f"<code>{text(row.name)}</code>{code}",
        cell(text(row.verdict) + why, name=row.verdict),
        *(cell(_breaking(_short(value))) for value in row.values),
    ]


def _short(value: Any) -> str:
    if value is None:
        return "–"
    words = in_toml(value)
    return words if len(words) <= _CELL else words[: _CELL - 1] + "…"


def _breaking(words: str) -> str:
    """Return words as HTML that a narrow column breaks between their parts, and not anywhere in them."""
    return "<wbr>".join(text(part) for part in re.split(r"(?<=[_/,])(?=\w)", words))


def _curves(runs: Sequence[Sealed]) -> str:
    """Return the growth and the drawdown of all runs that have them, over one axis of time."""
    drawn = [(at, run) for at, run in enumerate(runs) if run.completed and len(run.equity["timestamp"])]
    if not drawn:
        return "<p>None of the runs has an equity curve.</p>"
    start = min(run.equity["timestamp"][0] for _, run in drawn)
    end = max(run.equity["timestamp"][-1] for _, run in drawn)
    with np.errstate(all="ignore"):  # a forged run may start with nothing
        grown = {at: run.equity["equity"] / run.equity["equity"][0] for at, run in drawn}
    low, high = min(curve.min() for curve in grown.values()), max(curve.max() for curve in grown.values())
    scale = svg.Scale.around(*grown.values(), log=bool(low > 0 and high / low >= LOG_FROM))
    deep = svg.Scale.around(*(run.equity["drawdown"] for _, run in drawn), zero=True)
    lines, under, key = [], [], []
    for at, run in drawn:
        x = sheet.across(run.equity["timestamp"], start, end)
        lines.append(svg.line(x, scale.place(grown[at]), f"run{at}"))
        under.append(svg.line(x, deep.place(run.equity["drawdown"]), f"run{at}"))
        key.append((f"run{at}", f"{letter(at)}, {_shown(float(grown[at][-1]) - 1.0, 'fraction')}"))
    joint = np.unique(np.concatenate([run.equity["timestamp"] for _, run in drawn]))
    columns = [
        *(Column(letter(at), over(joint, run.equity["timestamp"], grown[at]), digits=4) for at, run in drawn),
        *(
            Column(f"{letter(at)} drawdown", over(joint, run.equity["timestamp"], run.equity["drawdown"]), 1, True)
            for at, run in drawn
        ),
    ]
    zero = float(deep.place(0.0))
    panels = [
        svg.Panel(280, scale.ticks(amount_label, 8), lines, scale=scale),
        svg.Panel(150, deep.ticks(percent_label), under, zero, deep),
    ]
    axis = "logarithmic" if scale.log else "linear"
    return figure(
        "Equity and drawdown of each run", f"{counted(len(drawn), 'curve')} over each other.", panels,
        svg.time_ticks(start, end), key,
        f"Equity at each close as a multiple of its first, on a {axis} axis; below it the drawdown.",
        Over(joint, columns),
    )  # fmt: skip


def _together(runs: Sequence[Sealed]) -> list[tuple[str, str, str]]:
    accounts = [
        together.Account(letter(at), *(run.equity[key] for key in ("timestamp", "equity", "drawdown")))
        for at, run in enumerate(runs)
        if run.completed and len(run.equity["timestamp"])
    ]
    if not accounts:
        return []
    return [
        ("drawdowns", "Drawdowns", together.depths(accounts)),
        ("returns", "Returns by year and month", together.by_period(accounts)),
        ("correlation", "Correlation", together.correlated(accounts)),
    ]


def _figures(found: Comparison) -> str:
    if not found.figures:
        done = [run for run in found.runs if run.completed]
        return "<p>All statistics are the same.</p>" if len(done) > 1 else ""
    kept = told(found.figures)
    first = [one for one in kept if one.key in HEADLINES] or kept
    others = [one for one in kept if one not in first]
    content = _table(found, first, "Statistics that differ")
    if others:
        summary = f"{counted(len(others), 'more statistic')} that differ{'s' if len(others) == 1 else ''}"
        content += f"<details><summary>{summary}</summary>{_table(found, others, 'More statistics')}</details>"
    rest = len(found.figures) - len(kept)
    return content + (f'<p class="note">{rest} more differ by rounding alone.</p>' if rest else "")


def _table(found: Comparison, figures: Sequence[Figure], label: str) -> str:
    two = len(found.runs) == 2
    head = ["Statistic", *(letter(at) for at in range(len(found.runs))), *(["B − A"] if two else [])]
    rows = []
    for one in figures:
        a, b = one.values[0], one.values[-1]
        apart = [_figure(None if a is None or b is None else b - a, one.unit)] if two else []
        best = _best(found.runs, one)
        marked = [
            f"{'<small>best</small> ' if at == best else ''}{_figure(v, one.unit)}" for at, v in enumerate(one.values)
        ]
        rows.append([label_of(one.key), *marked, *apart])
    return table(head, rows, label=label)


def _best(runs: Sequence[Sealed], one: Figure) -> int | None:
    """Return which run a statistic is best of; None where that is not one alone, or nothing of it is better.

    A run whose strategy looks ahead, or whose account was ruined, is the best of nothing.
    """
    sign = 1 if one.key in _MORE else -1 if one.key in _LESS else 0
    fair = {
        at: sign * value
        for at, (run, value) in enumerate(zip(runs, one.values, strict=True))
        if value is not None and not run.manifest.predicate.lookahead and not run.manifest.predicate.results.get(RUINED)
    }
    first = [at for at, value in fair.items() if value == max(fair.values())]
    return first[0] if sign and len(first) == 1 and len(fair) > 1 else None


def _figure(value: float | None, unit: str) -> str:
    return text(_shown(value, unit))


def _shown(value: float | None, unit: str) -> str:
    words = shown(value, unit)
    return f"−{words[1:]}" if words.startswith("-") else words


def _parting(found: Comparison) -> str:
    rows = []
    for at, one in enumerate(found.differences, 1):
        for what, bar in (("bar", one.bar), ("position", one.series and one.series.position)):
            if bar:
                values = [cell(value) for value in apart(bar.a, bar.b)]
                rows.append(
                    [text(f"first {what} of {letter(at)}"), cell(text(bar.time)), cell(text(bar.column)), *values]
                )
    return table(["", "Time", "Column", "A", "the other"], rows, label="Where they part") if rows else ""


def _trades(found: Comparison) -> str:
    parts = []
    for at, one in enumerate(found.differences, 1):
        if one.trades is None or one.trades.same:
            continue
        trades = one.trades
        said = (
            f"A and {letter(at)}: {trades.both:,} in both, of which {trades.differ:,} differ; "
            f"{trades.only_a:,} only in A, {trades.only_b:,} only in {letter(at)}."
        )
        rows = [_trade(trade, letter(at)) for trade in trades.listed[:_TRADES]]
        count = trades.differ + trades.only_a + trades.only_b
        more = f'<p class="note">The first {_TRADES} by time of entry.</p>' if count > _TRADES else ""
        head = ["Entry", "Side", "In", "Pnl of A", f"Pnl of {letter(at)}", "What differs"]
        parts.append(f"<p>{said}</p>{table(head, rows, label=f'Trades of A and {letter(at)}', name='differing')}{more}")
    return "".join(parts)


def _trade(trade: Trade, other: str) -> list[str]:
    within = "both" if trade.a and trade.b else "A" if trade.a else other
    pnl = [_figure((values or {}).get("pnl"), "quote") for values in (trade.a, trade.b)]
    a, b = trade.a or {}, trade.b or {}
    said = "; ".join(f"{name.replace('_', ' ')} {' → '.join(apart(a[name], b[name]))}" for name in trade.columns)
    return [text(trade.entry_time), text(trade.side), text(within), *pnl, text(said)]
