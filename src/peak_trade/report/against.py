"""A run against what was traded as one page in the report's style: profit over time, what explains the gap, trades."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from peak_trade.evidence.results import Results
from peak_trade.market.lists.fills import Trip
from peak_trade.market.trades import SIDES
from peak_trade.report import sheet, svg
from peak_trade.report.figures import amount_label, figure
from peak_trade.report.markup import cell, counted, money, percent, table, text
from peak_trade.report.values import Column, Over
from peak_trade.stats.values import Floats, Times
from peak_trade.trust.live import Against, at_time, gap
from peak_trade.trust.live.gaps import PARTS, Pair

__all__ = ["page", "write"]

_TRADES = 100  # rows of each kind


def write(found: Against, results: Results, output: Path | None = None) -> Path:
    """Write the page, by default beside the runs in the results folder, and return its path.

    Raises RunError where it can't be written.
    """
    return sheet.write(page(found), results.path, [found.run.run_id], output)


def page(found: Against) -> str:
    """Return the page as HTML."""
    short = text(found.run.run_id[:8])
    sections = [
        ("profit", "What explains the difference", _profit(found)),
        ("curve", "Profit over time", _curves(found)),
        ("gaps", "Gaps of matched trades", _gaps(found)),
        ("matched", "Trades that differ most", _pairs(found.pairs, found.digits)),
        ("missing", "Trades of the run that were not made", _alone(found.missing, found.digits)),
        ("extra", "Trades that the run has not", _alone(found.extra, found.digits)),
    ]
    foot = (
        f"Made from the sealed trades of <code>{short}</code> and a list of trades: "
        f"<code>just compare {short} --live FILE</code>."
    )
    return sheet.sheet(f"{found.run.run_id[:8]} and what was traded", _head(found), sections, foot, 2)


def _head(found: Against) -> str:
    data = found.run.config.get("data", {})
    facts = [
        f"{data.get('symbol')} {data.get('timeframe')}",
        f"list: {found.listed.format}, {counted(len(found.listed.trips), 'trade')} of {found.listed.symbol}",
        f"{len(found.pairs):,} matched, {len(found.missing):,} missing, {len(found.extra):,} extra",
    ]
    said = "".join(f"<li>{text(one)}</li>" for one in found.said)
    notes = f'<div class="said" role="note"><strong>Of the list</strong><ul>{said}</ul></div>' if said else ""
    tiles = "".join(
        f'<div><dt>{name}</dt><dd class="value">{money(value, found.digits)}</dd></div>'
        for name, value in (
            ("Profit of the run", found.profit[0]), ("Profit that was made", found.profit[1]),
            ("Difference", found.difference),
        )
    )  # fmt: skip
    scaled = f'<p class="note">Sizes of the run times {found.scale:.4g}.</p>' if found.scale != 1.0 else ""
    return (
        f"<h1>Backtest and what was traded</h1>"
        f'<p class="facts"><code>{text(found.run.run_id)}</code></p>'
        f'<p class="facts">{" · ".join(map(text, facts))}</p>{notes}<dl class="tiles three">{tiles}</dl>{scaled}'
    )


def _profit(found: Against) -> str:
    rows = [["Profit of the run", money(found.profit[0], found.digits)]]
    for name, value in found.explained.items():
        rows.append([PARTS[name].capitalize(), "in the price" if value is None else money(value, found.digits)])
    rows.append(["Profit that was made", money(found.profit[1], found.digits)])
    return table(["", "Quote currency"], rows, label="What explains the difference", name="costs")


def _curves(found: Against) -> str:
    """Return the profit of both so far, at each exit."""
    sides = [
        [*(one.a for one in found.pairs), *found.missing],
        [*(one.b for one in found.pairs), *found.extra],
    ]
    every = [trip for trips in sides for trip in trips]
    start, end = min(trip.entry_time for trip in every), max(trip.exit_time for trip in every)
    span = np.array([start, end], np.int64).view("M8[ns]")
    drawn = []
    for trips in sides:
        left = sorted(trips, key=lambda trip: trip.exit_time)
        times = np.array([start, *(trip.exit_time for trip in left), end], np.int64).view("M8[ns]")
        sums = np.cumsum([0.0, *(trip.pnl for trip in left)])
        drawn.append((times, np.append(sums, sums[-1])))
    joint = np.unique(np.concatenate([times for times, _ in drawn]))
    scale = svg.Scale.around(*(sums for _, sums in drawn), zero=True)
    lines = []
    for at, (times, sums) in enumerate(drawn):
        x, y = sheet.across(times, span[0], span[1]), scale.place(sums)
        lines.append(svg.line(np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1], f"run{at}"))  # it stays until the next exit
    mine, theirs = (money(value, found.digits) for value in found.profit)
    key = [("run0", f"Run, {mine}"), ("run1", f"Made, {theirs}")]
    return figure(
        "Profit over time", f"{mine} in the run, {theirs} made.",
        [svg.Panel(260, scale.ticks(amount_label), lines, float(scale.place(0.0)), scale)],
        svg.time_ticks(span[0], span[1]), key, "Sum of the trades' net profits at each exit, in quote currency.",
        Over(joint, [
            Column(name, _stepped(joint, *one), digits=found.digits)
            for name, one in zip(("Run", "Made"), drawn, strict=True)
        ]),
    )  # fmt: skip


def _stepped(joint: Times, times: Times, sums: Floats) -> Floats:
    """Return what a sum is at each of the joint times: it stays until the next exit."""
    return np.asarray(sums[np.searchsorted(times, joint, side="right") - 1])


def _gaps(found: Against) -> str:
    rows = [
        [text(gap(name)), *(text(gap(name, values[key]).replace("-", "−")) for key in ("median", "mean", "worst"))]
        for name, values in found.gaps().items()
    ]
    return table(["", "Median", "Mean", "Largest"], rows, label="Gaps of matched trades") if rows else ""


def _pairs(pairs: Sequence[Pair], digits: int) -> str:
    chosen = sorted((one for one in pairs if one.difference), key=lambda one: -abs(one.difference))
    rows = []
    for one in chosen[:_TRADES]:
        most = max(one.parts, key=lambda name: abs(one.parts[name]))
        rows.append(
            [
                text(at_time(one.a.entry_time)), cell(SIDES[one.a.side]),
                *(money(value, digits) for value in (one.a.pnl, one.b.pnl, one.difference)),
                percent(one.entry_price), percent(one.exit_price), percent(one.size),
                text(f"{PARTS[most]} ({money(one.parts[most], digits)})"),
            ]
        )  # fmt: skip
    head = ["Entry", "Side", "Run", "Made", "Difference", "Entry worse", "Exit worse", "Size", "Most of it"]
    return _limited(table(head, rows, label="Trades that differ most", name="made"), len(chosen)) if rows else ""


def _alone(trips: Sequence[Trip], digits: int) -> str:
    rows = [
        [
            text(at_time(one.entry_time)), cell(text(at_time(one.exit_time))), cell(SIDES[one.side]),
            *(cell(f"{value:.8g}") for value in (one.quantity, one.entry_price, one.exit_price)),
            money(one.pnl, digits),
        ]
        for one in sorted(trips, key=lambda one: -abs(one.pnl))[:_TRADES]
    ]  # fmt: skip
    head = ["Entry", "Exit", "Side", "Size", "Entry price", "Exit price", "Profit"]
    return _limited(table(head, rows, label="Trades of one side alone"), len(trips)) if rows else ""


def _limited(content: str, count: int) -> str:
    return content + (f'<p class="note">{_TRADES} of {count:,}.</p>' if count > _TRADES else "")
