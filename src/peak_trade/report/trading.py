"""What was traded and what it cost: price, trades, extremes, exposure, costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from peak_trade.market.trades import EXIT_REASONS, SIDES, Trades
from peak_trade.report import svg
from peak_trade.report.candles import FROM_DATA, IN_SIGHT, Candles, candles, told
from peak_trade.report.carried import digits_of
from peak_trade.report.figures import (
    LOG_FROM,
    amount_label,
    figure,
    fractions_across,
    number_label,
    of_bins,
    percent_label,
    times_of,
)
from peak_trade.report.levels import Stops, levels, stops_of
from peak_trade.report.markup import counted, figure_of, money, number, percent, table, text
from peak_trade.report.numbers import drawdowns, histogram
from peak_trade.report.portfolio import exposure_of_trades
from peak_trade.report.run import RunFiles
from peak_trade.report.values import Column, Over, encoded, over
from peak_trade.stats.values import Floats

__all__ = ["costs", "exposure", "extremes", "price", "trade_returns"]

_MANY, _CROWD = 150, 1_000  # trades: from here on marks are smaller, and a crowd of them is counted as well
_SPANS = 120
_DEEPEST, _EXTREMES = 5, 5  # rows


def price(run: RunFiles) -> str:
    """The price with every entry and exit, where stops and targets stood, and candles for whoever looks closer."""
    market, trades = run.benchmark, run.trades
    if market is None:
        return "<p>The run directory holds no prices: <code>[stats] benchmark</code> is <code>none</code>.</p>"
    stamps, close = run.equity["timestamp"], market["close"]
    x, found, asked = svg.x_of(stamps), candles(run), stops_of(run)
    lines = dict(zip(("stop-level", "target-level"), levels(trades, asked), strict=True))
    scale = svg.Scale.around(
        close, trades.entry_price, trades.exit_price, found.high, found.low, *_near(close, lines.values()),
        log=bool(close.max() / close.min() >= LOG_FROM),
    )  # fmt: skip
    size = " crowd" if len(trades) > _CROWD else " many" if len(trades) > _MANY else ""
    marks, key = [], [("price", "Close")]
    entered = x[np.searchsorted(stamps, trades.entry_time)]
    at = x[np.searchsorted(stamps, trades.exit_time)]
    if asked and size != " crowd":
        marks += _levels(lines, scale, entered, at)
    if len(trades):  # below the entries: a reversal has both at one price
        marks.append(svg.dots(at, scale.place(trades.exit_price), f"exit{size}"))
    for side, word in SIDES.items():
        chosen = trades.side == side
        if chosen.any():
            heights = scale.place(trades.entry_price[chosen])
            marks.append(svg.dots(entered[chosen], heights, f"entry {word}{size}"))
            key.append((f"entry {word}", f"Entry, {word} ({np.count_nonzero(chosen):,})"))
    key += [("exit", f"Exit ({len(trades):,})")] if len(trades) else []
    if len(trades):
        key += [("stop-level", "Stop loss")] if asked.stop_loss else []
        key += [("target-level", "Take profit")] if asked.take_profit else []
    close_line = svg.line(svg.x_of(market["timestamp"]), scale.place(close), "price")
    panels = [
        svg.Panel(
            280,
            scale.ticks(amount_label),
            [*marks, close_line] if size == " crowd" else [close_line, *marks],
            scale=scale,
        )
    ]
    about = (
        f"Closes between {number(float(close.min()))} and {number(float(close.max()))}; "
        f"{counted(len(trades), 'trade')} at their fill prices."
    )
    caption = f"Each mark stands at its fill price, on a {'logarithmic' if scale.log else 'linear'} axis."
    if not len(trades):
        caption += " The run closed no trade."
    elif size == " crowd":
        counts, edges = np.histogram(entered, bins=_SPANS, range=(0.0, 1.0))
        count = svg.Scale(0.0, float(counts.max()) * 1.05)
        bars = svg.columns(edges.tolist(), count.place(counts), 0.0, "gain")
        panels.append(svg.Panel(60, count.ticks(number_label, 2), [bars], 0.0))
        caption += f" Below it the number of entries in each of {_SPANS} spans of time."
    values = Over(stamps, [Column("Close", over(stamps, market["timestamp"], close), digits=digits_of(close))])
    drawn = figure(
        "Price with entries and exits", about, panels, times_of(run), key, f"{caption} {_said(found, asked)}", values
    )
    return drawn + _for_script(run, scale, found, asked, digits_of(close)) if len(stamps) > 1 else drawn


def _near(close: Floats, lines: Iterable[Floats | None]) -> list[Floats]:
    """Return those levels that the axis is made to hold: no further from the closes than half of their range."""
    low, high = float(close.min()), float(close.max())
    room = (high - low) / 2
    there = (line for line in lines if line is not None)
    return [line[(line >= max(low - room, low / 2)) & (line <= high + room)] for line in there]


def _levels(lines: Mapping[str, Floats | None], scale: svg.Scale, start: Floats, end: Floats) -> list[str]:
    """Return a line from entry to exit at each trade's levels, those within the axis."""
    marks = []
    for name, prices in lines.items():
        there = np.zeros(0, bool) if prices is None else (prices >= scale.low) & (prices <= scale.high)
        if prices is None or not there.any():
            continue
        across = np.rint(np.stack([start[there], end[there] - start[there]]) * 10_000).astype(np.int64)
        up = np.rint((1.0 - scale.place(prices[there])) * 10_000).astype(np.int64)
        rows = zip(*across.tolist(), up.tolist(), strict=True)
        path = "".join(f"M{left} {height}h{wide}" for left, wide, height in rows)
        marks.append(f'<path class="{name}" d="{path}"/>')
    return marks


def _said(found: Candles, asked: Stops) -> str:
    """Return what the caption says of candles and levels."""
    words = ""
    if asked.stop_loss or asked.take_profit:
        words = "Stops and targets are drawn from entry to exit, at the fractions that the config asks for. "
    if found.none:
        return f"{words}No candles: {found.none}."
    each = f", each of {found.bars:,} bars" if found.bars > 1 else ""
    if asked.trailing_stop and found.bars == 1:
        words += "The trailing stop is drawn of the trade that is chosen. "
    return (
        f"{words}With scripts, where at most {IN_SIGHT} candles are in sight, they are drawn{each}, "
        f'<span class="{FROM_DATA}">from the data that the run read</span>.'
    )


def _for_script(run: RunFiles, scale: svg.Scale, found: Candles, asked: Stops, digits: int) -> str:
    """Return what the script that draws candles and trades needs: the axes, the stops, and the candles."""
    stamps = run.equity["timestamp"].astype("M8[s]").astype(np.int64)
    span = stamps[[0, -1]].tolist()
    if span[0] == span[1]:
        return ""
    content = {
        "span": span,
        "step": float(np.median(np.diff(stamps))),
        "scale": list(scale),
        "digits": digits,
        "stops": list(asked),
        "atClose": run.config.get("execution", {}).get("fill") == "close",
        "candles": None if found.none else told(found, digits),
    }
    return f'<script type="application/json" class="prices">{encoded(content)}</script>'


def trade_returns(run: RunFiles) -> str:
    """The distribution of the trades' net returns."""
    values = run.trades.return_
    if not len(values):
        return "<p>The run closed no trade.</p>"
    bins = histogram(values)
    edges = np.array([bins.edge(index) for index in range(len(bins.counts) + 1)])
    low, high = edges[0] - bins.step / 2, edges[-1] + bins.step / 2
    places = (edges - low) / (high - low)
    counts = np.array(bins.counts, np.float64)
    scale = svg.Scale(0.0, float(counts.max()) * 1.05)
    lost = max(0, min(len(bins.counts), -bins.first))  # bins below zero
    marks = []
    for name, part in (("loss", slice(0, lost)), ("gain", slice(lost, None))):
        if len(counts[part]):
            stop = len(counts) if part.stop is None else part.stop
            marks.append(svg.columns(places[(part.start or 0) : stop + 1], scale.place(counts[part]), 0.0, name))
    ticks = fractions_across(svg.Scale(low, high))
    middle = f"mean {percent(float(values.mean()))}, median {percent(float(np.median(values)))}"
    about = (
        f"{counted(len(values), 'trade')}, {middle}, "
        f"from {percent(float(values.min()))} to {percent(float(values.max()))}."
    )
    whole = [tick for tick in scale.ticks(number_label, 4) if "." not in tick.label]
    return f"<p>{about}</p>" + figure(
        "Distribution of trade returns", about, [svg.Panel(180, whole, marks, 0.0)], ticks,
        [("loss", "Trades that lost"), ("gain", "Trades that did not")],
        f"Net return of each trade on its entry notional, in steps of {percent_label(bins.step, bins.step)}.",
        of_bins(bins, "Trades", percent_label),
    )  # fmt: skip


def extremes(run: RunFiles) -> str:
    """The worst drawdowns, and the best and the worst trades."""
    parts = []
    found = drawdowns(run.equity["timestamp"], run.equity["drawdown"], _DEEPEST)
    if found:
        rows = [
            [str(n), percent(d.depth), number(d.days, 0 if d.days == int(d.days) else 2), _moment(d.peak),
             _moment(d.lowest), "not yet" if d.recovered is None else _moment(d.recovered)]
            for n, d in enumerate(found, 1)
        ]  # fmt: skip
        head = ["", "Depth", "Days", "Peak", "Lowest", "Recovered"]
        parts.append("<h3>Worst drawdowns</h3>" + table(head, rows, label="Worst drawdowns"))
    else:
        parts.append("<p>Equity never fell below an earlier peak.</p>")
    trades = run.trades
    if not len(trades):
        return parts[0] + "<p>The run closed no trade.</p>"
    order = np.argsort(trades.return_, kind="stable")
    for title, chosen in (("Best trades", order[::-1][:_EXTREMES]), ("Worst trades", order[:_EXTREMES])):
        parts.append(f"<h3>{title}</h3>" + _trade_table(trades, chosen.tolist(), title))
    return "".join(parts)


def _trade_table(trades: Trades, chosen: Sequence[int], label: str) -> str:
    several = trades.symbols is not None
    head = [
        "Trade",
        *(["Symbol"] if several else []),
        "Side",
        "Return",
        "Pnl",
        "Entry",
        "Exit",
        "Bars",
        "Entry price",
        "Exit price",
        "Exit reason",
    ]
    excursions = [column for column in (trades.mae, trades.mfe) if column is not None]
    head += ["MAE", "MFE"][: len(excursions)]
    rows = [
        [
            str(i + 1),
            *([text(trades.symbols[i])] if trades.symbols is not None else []),
            SIDES[int(trades.side[i])],
            percent(float(trades.return_[i])),
            number(float(trades.pnl[i])),
            _moment(trades.entry_time[i]),
            _moment(trades.exit_time[i]),
            f"{int(trades.bars_held[i]):,}" if trades.bars_held[i] >= 0 else "–",
            _price(float(trades.entry_price[i])),
            _price(float(trades.exit_price[i])),
            EXIT_REASONS[trades.exit_reason[i]].replace("_", " ") if trades.exit_reason[i] >= 0 else "–",
            *(percent(float(column[i])) for column in excursions),
        ]
        for i in chosen
    ]
    return table(head, rows, label=label, name="trades symbols" if several else "trades")


def _price(value: float) -> str:
    """Write a price with five digits or more.

    >>> _price(1234.5), _price(0.00012345)
    ('1,234.50', '0.00012345')
    """
    if not value > 0:  # of another engine: not said, or a spread's
        return "–" if math.isnan(value) else number(value)
    return number(value, digits_of(np.array([value])))


def _moment(moment: np.datetime64) -> str:
    """Return a moment in UTC to the minute, or as a day where it is midnight."""
    if np.isnat(moment):
        return "–"
    day = moment.astype("M8[D]")
    return str(day) if day == moment else str(moment.astype("M8[m]")).replace("T", " ")


# --- exposure and costs -------------------------------------------------------------------------------------------


def exposure(run: RunFiles) -> str:
    """How much of equity was at work, and how often it moved."""
    if not run.ours and (not run.has("equity.csv") or np.isnan(run.equity["position"]).any()):
        return exposure_of_trades(run)
    own, market, stats = run.equity, run.benchmark, run.stats
    bars = len(own["position"])
    long, short = (int(np.count_nonzero(own["position"] * sign > 0)) / bars for sign in (1, -1))
    facts = [
        ("In the market", figure_of(stats["exposure"], "fraction")),
        ("Long", percent(long)),
        ("Short", percent(short)),
        ("Turnover a year", figure_of(stats["turnover"], "per year")),
        ("Bars a trade", figure_of(stats["average_bars_held"], "bars")),
    ]
    parts = [_facts(facts)]
    if market is not None and own["equity"].min() > 0 and own["position"].any():
        at = np.searchsorted(own["timestamp"], market["timestamp"])
        share: Floats = own["position"][at] * market["close"] / own["equity"][at]
        x, scale = svg.x_of(market["timestamp"]), svg.Scale.around(share, np.array([0.0, 1.0]), zero=True)
        zero = float(scale.place(0.0))
        about = f"Between {percent(float(share.min()))} and {percent(float(share.max()))} of equity."
        panel = svg.Panel(
            110, scale.ticks(percent_label), [svg.area(x, scale.place(share), zero, "exposure")], zero, scale
        )
        parts.append(
            figure("Exposure", about, [panel], times_of(run), [],
                    "The position's value at each close as a share of equity; below zero it is short.",
                    Over(own["timestamp"], [
                        Column("Exposure", over(own["timestamp"], market["timestamp"], share), percent=True)
                    ]))
        )  # fmt: skip
    return "".join(parts)


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    return '<dl class="facts">' + "".join(f"<div><dt>{k}</dt><dd>{v}</dd></div>" for k, v in facts) + "</dl>"


def costs(run: RunFiles) -> str:
    """What fees, slippage and borrowing took, in money and beside what was earned."""
    stats, trades = run.stats, run.trades
    if stats["fees_paid"] is None:
        why = text(run.reasons.get("fees_paid", "nobody said them"))
        return f'<p class="note">Not shown: {why}.</p>'
    taken = {name: stats[f"{name}_paid"] for name in ("fees", "slippage", "borrow")}
    total = float(sum(amount or 0.0 for amount in taken.values()))
    gross = stats["net_profit"] + total
    traded = float((trades.quantity * (np.abs(trades.entry_price) + np.abs(trades.exit_price))).sum())
    start = stats["initial_equity"]
    rows = []
    lines = [("Profit before costs", gross, ""), *((name.capitalize(), amount and -amount, "cost") for name, amount
             in taken.items()), ("Net profit", stats["net_profit"], "total")]  # fmt: skip
    for name, amount, kind in lines:
        if amount is None:  # nobody said it
            rows.append([name, *["–"] * 4])
            continue
        of_notional = number(-amount / traded * 1e4) if kind == "cost" and traded else ""
        each = number(amount / len(trades)) if len(trades) else "–"
        rows.append([name, money(amount), percent(amount / start) if start > 0 else "–", each, of_notional])
    words = f"Costs took {money(total)} in all"
    if gross > 0 and total > 0:
        words += f", {percent(total / gross, 1)} of the profit before them"
    words += "."
    if run.ours:
        config = run.config.get("execution", {})
        words += (
            f" Charged: {number(config.get('fee_bps', 0.0))} bps a side in fees, "
            f"{number(config.get('slippage_bps', 0.0))} bps in slippage, "
            f"{percent(config.get('borrow_rate', 0.0))} a year on shorts."
        )
    head = ["", "Amount", "Of initial equity", "A trade", "Bps of traded value"]
    return f"<p>{words}</p>" + table(head, rows, label="Costs", name="costs")
