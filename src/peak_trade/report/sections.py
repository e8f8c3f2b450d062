"""The sections of the report, in the order in which a sceptical reader asks: each makes HTML from a run's files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from peak_trade.data.trades import EXIT_REASONS, SIDES, Trades
from peak_trade.report import svg
from peak_trade.report.markup import cell, counted, figure_of, money, number, percent, table, text
from peak_trade.report.numbers import drawdowns, histogram, period_returns, rolling, window_for
from peak_trade.report.run import Run, flat
from peak_trade.stats import STATS
from peak_trade.stats.values import Floats

__all__ = ["SECTIONS", "Section", "verdict"]

_UNITS = {stat.key: stat.unit for stat in STATS}
_LABELS = {
    "cagr": "CAGR",
    "sharpe": "Sharpe ratio",
    "sortino": "Sortino ratio",
    "calmar": "Calmar ratio",
    "probabilistic_sharpe": "Probabilistic Sharpe",
    "benchmark_cagr": "Benchmark CAGR",
    "benchmark_sharpe": "Benchmark Sharpe",
    "value_at_risk_95": "Value at risk 95 %",
    "expected_shortfall_95": "Expected shortfall 95 %",
}
GROUPS = (
    ("Growth", "initial_equity final_equity net_profit total_return cagr"),
    ("Risk", "volatility max_drawdown max_drawdown_days value_at_risk_95 expected_shortfall_95 skew kurtosis"),
    ("Return for risk", "sharpe sortino calmar probabilistic_sharpe"),
    ("Against buy and hold", "benchmark_total_return benchmark_cagr benchmark_sharpe benchmark_max_drawdown"
     " excess_return alpha beta information_ratio"),
    ("Trades", "trades win_rate profit_factor payoff_ratio expectancy average_win average_loss best_trade worst_trade"),
    ("Market and costs", "exposure turnover average_bars_held fees_paid slippage_paid borrow_paid"),
    ("Sample", "bars years periods_per_year"),
)  # fmt: skip
"""How the table groups the keys of stats.json; a key that stands in none comes last, under `More`."""

_LOG_FROM = 3.0  # times the lowest equity: from here on a linear axis hides what happened at the bottom
_MANY, _CROWD = 150, 1_000  # trades: from here on marks are smaller, and a crowd of them is counted as well
_SPANS = 120
_DEEPEST, _EXTREMES = 5, 5  # rows
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


# --- verdict ------------------------------------------------------------------------------------------------------


def verdict(run: Run, checked: str) -> str:
    """Return the head of the page: what ran, how it ended, whether the seal holds, and the few figures to remember."""
    seal = run.seal.state
    facts = []
    try:
        data, bars = run.config.get("data", {}), run.annotations("bars")
        given = run.config.get("strategy", {}).get("params", {})
        params = ", ".join(f"{key} = {in_toml(value)}" for key, value in given.items())
        facts.append(text(f"{run.strategy} ({params})" if params else run.strategy))
        facts.append(text(f"{data.get('symbol')} {data.get('timeframe')}"))
        if bars:
            span = f"{counted(bars['rows'], 'bar')}, {str(bars['start'])[:10]} to {str(bars['end'])[:10]}"
            facts.append(text(span))
    except Exception as error:  # what a corrupt file holds may be anything; of an intact one it is an error of ours
        if seal == "intact":
            raise
        facts.append(text(f"not readable: {error}"))
    return (
        f'<header class="verdict" data-run="{text(run.run_id)}" data-status="{text(run.status)}" data-seal="{seal}">'
        f"{_alarm(run) if seal != 'intact' else ''}"
        f'<h1>{text(run.title)}</h1><p class="facts">{" · ".join(facts)}</p>'
        f'<p class="facts"><code>{text(run.run_id)}</code></p>'
        f'<p class="badges">{_status(run)} {_seal(run, checked)}</p>'
        f"{_tiles(run) if run.status == 'sealed' else ''}</header>"
    )


def _alarm(run: Run) -> str:
    findings = "".join(f"<li>{text(finding)}</li>" for finding in run.seal.findings[:10])
    more = len(run.seal.findings) - 10
    return (
        f'<div class="alarm" role="alert"><strong>The seal is {run.seal.state}.</strong> '
        f"This directory is not what was sealed; no number below can be trusted."
        f"<ul>{findings}{f'<li>and {more} more</li>' if more > 0 else ''}</ul></div>"
    )


def _status(run: Run) -> str:
    mark = {"sealed": "✓ Run completed", "failed": "✗ Run failed"}.get(run.status, "? Run unreadable")
    return f'<span class="badge {"good" if run.status == "sealed" else "bad"}">{mark}</span>'


def _seal(run: Run, checked: str) -> str:
    left = f" Not checked: {text('; '.join(run.seal.unchecked))}." if run.seal.unchecked else ""
    if run.seal.state == "intact":
        files = len(run.manifest.files) if run.manifest else 0
        return (
            f'<span class="badge good">✓ Seal intact</span> <span class="note">{files} files, the manifest and the '
            f"ledger agree; checked while this page was made, {text(checked)}.{left}</span>"
        )
    return f'<span class="badge bad">✗ Seal {run.seal.state}</span> <span class="note">checked {text(checked)}</span>'


def _tiles(run: Run) -> str:
    try:
        stats = run.stats
        tiles = [
            _tile(stats, "total_return", "benchmark_total_return", "buy &amp; hold"),
            _tile(stats, "cagr", "volatility", "volatility"),
            _tile(stats, "sharpe", "benchmark_sharpe", "buy &amp; hold"),
            _tile(stats, "max_drawdown", "benchmark_max_drawdown", "buy &amp; hold"),
            _tile(stats, "trades", "win_rate", "won"),
            _tile(stats, "final_equity", "initial_equity", "from"),
        ]
    except Exception as error:  # as in `verdict`
        if run.seal.state == "intact":
            raise
        return f'<p class="note">not shown: {text(error)}</p>'
    return f'<dl class="tiles">{"".join(tiles)}</dl>'


def _tile(stats: Mapping[str, Any], key: str, second: str, words: str) -> str:
    beside = "" if stats.get(second) is None else f"<dd>{words} {figure_of(stats[second], _UNITS[second])}</dd>"
    value = figure_of(stats[key], _UNITS[key])
    return f'<div><dt>{label_of(key)}</dt><dd class="value">{value}</dd>{beside}</div>'


def label_of(key: str) -> str:
    """Return a key of stats.json as words.

    >>> label_of("max_drawdown"), label_of("cagr")
    ('Max drawdown', 'CAGR')
    """
    return _LABELS.get(key, key.replace("_", " ").capitalize())


# --- statistics ---------------------------------------------------------------------------------------------------


def statistics(run: Run) -> str:
    """Every key of stats.json, grouped, each with its definition."""
    known = [(title, keys.split()) for title, keys in GROUPS]
    grouped = {key for _, keys in known for key in keys}
    known.append(("More", [stat.key for stat in STATS if stat.key not in grouped]))
    definition = {stat.key: stat.definition for stat in STATS}
    groups = []
    for title, keys in known:
        rows = "".join(_statistic(run, key, definition[key]) for key in keys if key in run.stats)
        if rows:
            groups.append(f"<table><caption>{title}</caption><tbody>{rows}</tbody></table>")
    listed = "".join(
        f"<dt>{label_of(stat.key)} <code>{stat.key}</code></dt><dd>{text(stat.definition)}</dd>"
        for stat in STATS
        if stat.key in run.stats
    )
    return (
        f'<div class="statistics">{"".join(groups)}</div>'
        f'<details class="printed"><summary>Definitions</summary><p>Fractions are shown in percent, amounts in quote '
        f"currency. Where there is no value, the reason stands in its place.</p>"
        f'<dl class="definitions">{listed}</dl></details>'
    )


def _statistic(run: Run, key: str, definition: str) -> str:
    value = run.stats[key]
    shown = figure_of(value, _UNITS[key]) if value is not None else f"– <small>{text(run.reasons.get(key, ''))}</small>"
    return (
        f'<tr><th scope="row" title="{text(definition)}">{label_of(key)}</th>'
        f'<td data-key="{key}" data-value="{text(in_toml(value))}">{shown}</td></tr>'
    )


# --- equity -------------------------------------------------------------------------------------------------------


def equity(run: Run) -> str:
    """Equity against the benchmark, and the drawdown under it, on one time axis."""
    own, market = run.equity, run.benchmark
    x = svg.x_of(own["timestamp"])
    curves = [own["equity"]] + ([market["equity"]] if market else [])
    low, high = min(c.min() for c in curves), max(c.max() for c in curves)
    scale = svg.Scale.around(*curves, log=bool(low > 0 and high / low >= _LOG_FROM))
    deep = svg.Scale.around(own["drawdown"], zero=True)
    marks = [svg.line(x, scale.place(market["equity"]), "benchmark")] if market else []
    marks.append(svg.line(x, scale.place(own["equity"]), "equity"))
    under = deep.place(own["drawdown"])
    zero = float(deep.place(0.0))
    stats = run.stats
    about = (
        f"From {money(stats['initial_equity'])} to {money(stats['final_equity'])}, a return of "
        f"{percent(stats['total_return'])}; the deepest drawdown is {percent(stats['max_drawdown'])}."
    )
    axis = "logarithmic" if scale.log else "linear"
    key = [("equity", f"Equity, {money(stats['final_equity'])}")]
    if market:
        key.append(("benchmark", f"Buy and hold, {money(float(market['equity'][-1]))}"))
        about += f" Buy and hold returned {percent(stats.get('benchmark_total_return'))}."
    panels = [
        svg.Panel(280, scale.ticks(_amount), marks),
        svg.Panel(
            110,
            deep.ticks(_share),
            [svg.area(x, under, zero, "drawdown-area"), svg.line(x, under, "drawdown")],
            zero,
        ),
    ]
    return _figure(
        "Equity and drawdown", about, panels, _times(run), [*key, ("drawdown", "Drawdown")],
        f"At each close, in quote currency, on a {axis} axis; below it the distance from the highest equity so far.",
    )  # fmt: skip


def _times(run: Run) -> list[svg.Tick]:
    stamps = run.equity["timestamp"]
    return svg.time_ticks(stamps[0], stamps[-1])


def _figure(
    name: str,
    about: str,
    panels: Sequence[svg.Panel],
    ticks: Sequence[svg.Tick],
    key: Iterable[tuple[str, str]],
    caption: str,
) -> str:
    listed = "".join(f'<li class="{style}">{text(words)}</li>' for style, words in key)
    legend = f'<ul class="legend">{listed}</ul>' if listed else ""
    return f"<figure>{legend}{svg.figure(name, about, panels, ticks)}<figcaption>{caption}</figcaption></figure>"


def _amount(value: float, step: float) -> str:
    """Write a value on an axis with the digits that its step needs.

    >>> _amount(15000.0, 5000.0), _amount(2.5e6, 5e5), _amount(1.25, 0.25)
    ('15,000', '2.5 M', '1.25')
    """
    if abs(value) >= 1e6:
        return _digits(value / 1e6, step / 1e6) + " M"
    return _digits(value, step)


def _share(value: float, step: float) -> str:
    return _digits(value * 100, step * 100) + " %"


def _digits(value: float, step: float) -> str:
    digits = next((digits for digits in range(9) if abs(step * 10**digits - round(step * 10**digits)) < 1e-6), 9)
    return number(value, digits)


# --- returns by month and year ------------------------------------------------------------------------------------


def returns(run: Run) -> str:
    """Returns by calendar month and year, coloured by size."""
    stamps, marked, market = run.equity["timestamp"], run.equity["equity"], run.benchmark
    monthly = period_returns(stamps, marked, "M")
    yearly = period_returns(stamps, marked, "Y")
    compared = period_returns(stamps, market["equity"], "Y") if market else {}
    months = [value for value in monthly.values() if value is not None]
    years = [value for value in [*yearly.values(), *compared.values()] if value is not None]
    deep, wide = _reach(months), _reach(years)
    rows = []
    for year, whole in yearly.items():
        cells = [
            _heat(monthly.get(month), deep, there=month in monthly)
            for month in np.arange(year.astype("M8[M]"), year.astype("M8[M]") + np.timedelta64(12, "M"))
        ]
        cells.append(_heat(whole, wide, name="year"))
        cells += [_heat(compared[year], wide, name="year")] if market else []
        rows.append([str(year), *cells])
    head = ["Year", *_MONTHS, "Year", *(["Buy and hold"] if market else [])]
    caption = "Change of equity in each calendar month and year (UTC), in percent; the first starts at the first close."
    best = max(months, default=None)
    summary = (
        f"<p>{sum(value > 0 for value in months)} of {counted(len(months), 'month')} gained; "
        f"best {percent(best)}, worst {percent(min(months))}.</p>"
        if best is not None
        else "<p>Equity fell to zero or below: there is nothing to take a fraction of.</p>"
    )
    return (
        summary + table(head, rows, label="Returns by month and year", name="heat") + f'<p class="note">{caption}</p>'
    )


def _reach(values: Sequence[float]) -> float:
    """Return the size that gets the full colour: the largest but for the most extreme twentieth."""
    return max(float(np.quantile(np.abs(values), 0.95)), 1e-4) if values else 1.0


def _heat(value: float | None, full: float, *, there: bool = True, name: str = "") -> str:
    if value is None:
        return cell("–" if there else "", name=name)
    strength = min(abs(value) / full, 1.0) * 0.55
    sign = "gain" if value > 0 else "loss" if value < 0 else ""
    return cell(number(value * 100), name=f"{sign} {name}".strip(), attributes=f' style="--heat:{strength:.2f}"')


# --- rolling ratios -----------------------------------------------------------------------------------------------


def rolling_ratios(run: Run) -> str:
    """Sharpe ratio and volatility over a moving window."""
    per_year = run.stats["periods_per_year"]
    changes = run.returns
    window = window_for(len(run.equity["equity"]), per_year) if len(changes) else None
    if window is None:
        return "<p>There are too few returns for a moving window.</p>"
    rate = run.config.get("stats", {}).get("risk_free_rate", 0.0)
    sharpe, volatility = rolling(changes, window, per_year, rate)
    x = svg.x_of(run.equity["timestamp"])[window:]
    ratio, spread = svg.Scale.around(sharpe, zero=True), svg.Scale.around(volatility, zero=True)
    zero = float(ratio.place(0.0))
    there = sharpe[np.isfinite(sharpe)]
    about = f"Over {window:,} bars."
    if len(there):
        about += (
            f" The Sharpe ratio lies between {number(float(there.min()))} and {number(float(there.max()))}, the "
            f"volatility between {percent(float(volatility.min()))} and {percent(float(volatility.max()))}."
        )
    panels = [
        svg.Panel(150, ratio.ticks(_digits, 4), [svg.line(x, ratio.place(sharpe), "sharpe")], zero),
        svg.Panel(110, spread.ticks(_share, 3), [svg.line(x, spread.place(volatility), "volatility")]),
    ]
    length = f"{window:,} bars ({number(window / per_year)} years)"
    return _figure(
        "Rolling Sharpe ratio and volatility", about, panels, _times(run),
        [("sharpe", "Sharpe ratio"), ("volatility", "Volatility")],
        f"Over the last {length} at each close, annualised as in the table above. "
        "A gap is a window in which returns did not vary.",
    )  # fmt: skip


# --- price and trades ---------------------------------------------------------------------------------------------


def price(run: Run) -> str:
    """The price with every entry and exit."""
    market, trades = run.benchmark, run.trades
    if market is None:
        return "<p>The run directory holds no prices: <code>[stats] benchmark</code> is <code>none</code>.</p>"
    stamps, close = market["timestamp"], market["close"]
    x = svg.x_of(stamps)
    scale = svg.Scale.around(
        close, trades.entry_price, trades.exit_price, log=bool(close.max() / close.min() >= _LOG_FROM)
    )
    size = " crowd" if len(trades) > _CROWD else " many" if len(trades) > _MANY else ""
    marks, key = [], [("price", "Close")]
    if len(trades):  # below the entries: a reversal has both at one price
        at = x[np.searchsorted(stamps, trades.exit_time)]
        marks.append(svg.dots(at, scale.place(trades.exit_price), f"exit{size}"))
    entered = x[np.searchsorted(stamps, trades.entry_time)]
    for side, word in SIDES.items():
        chosen = trades.side == side
        if chosen.any():
            heights = scale.place(trades.entry_price[chosen])
            marks.append(svg.dots(entered[chosen], heights, f"entry {word}{size}"))
            key.append((f"entry {word}", f"Entry, {word} ({np.count_nonzero(chosen):,})"))
    key += [("exit", f"Exit ({len(trades):,})")] if len(trades) else []
    close_line = svg.line(x, scale.place(close), "price")
    panels = [svg.Panel(280, scale.ticks(_amount), [*marks, close_line] if size == " crowd" else [close_line, *marks])]
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
        panels.append(svg.Panel(60, count.ticks(_digits, 2), [bars], 0.0))
        caption += f" Below it the number of entries in each of {_SPANS} spans of time."
    return _figure("Price with entries and exits", about, panels, _times(run), key, caption)


def trade_returns(run: Run) -> str:
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
    values_at = svg.linear_ticks(low, high, 8)
    step = values_at[1] - values_at[0]
    ticks = [
        svg.Tick((value - low) / (high - low), _share(value, step), minor=bool(round(value / step) % 2))
        for value in values_at
    ]
    middle = f"mean {percent(float(values.mean()))}, median {percent(float(np.median(values)))}"
    about = (
        f"{counted(len(values), 'trade')}, {middle}, "
        f"from {percent(float(values.min()))} to {percent(float(values.max()))}."
    )
    whole = [tick for tick in scale.ticks(_digits, 4) if "." not in tick.label]
    return f"<p>{about}</p>" + _figure(
        "Distribution of trade returns", about, [svg.Panel(180, whole, marks, 0.0)], ticks,
        [("loss", "Trades that lost"), ("gain", "Trades that did not")],
        f"Net return of each trade on its entry notional, in steps of {_share(bins.step, bins.step)}.",
    )  # fmt: skip


def extremes(run: Run) -> str:
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
    head = ["Trade", "Side", "Return", "Pnl", "Entry", "Exit", "Bars", "Entry price", "Exit price", "Exit reason"]
    rows = [
        [
            str(i + 1),
            SIDES[int(trades.side[i])],
            percent(float(trades.return_[i])),
            number(float(trades.pnl[i])),
            _moment(trades.entry_time[i]),
            _moment(trades.exit_time[i]),
            f"{int(trades.bars_held[i]):,}",
            _price(float(trades.entry_price[i])),
            _price(float(trades.exit_price[i])),
            EXIT_REASONS[trades.exit_reason[i]].replace("_", " "),
        ]
        for i in chosen
    ]
    return table(head, rows, label=label, name="trades")


def _price(value: float) -> str:
    """Write a price with five digits or more.

    >>> _price(1234.5), _price(0.00012345)
    ('1,234.50', '0.00012345')
    """
    return number(value, max(2, 4 - math.floor(math.log10(value))) if value < 1_000 else 2)


def _moment(moment: np.datetime64) -> str:
    """Return a moment in UTC to the minute, or as a day where it is midnight."""
    day = moment.astype("M8[D]")
    return str(day) if day == moment else str(moment.astype("M8[m]")).replace("T", " ")


# --- exposure and costs -------------------------------------------------------------------------------------------


def exposure(run: Run) -> str:
    """How much of equity was at work, and how often it moved."""
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
        share: Floats = own["position"] * market["close"] / own["equity"]
        x, scale = svg.x_of(own["timestamp"]), svg.Scale.around(share, np.array([0.0, 1.0]), zero=True)
        zero = float(scale.place(0.0))
        about = f"Between {percent(float(share.min()))} and {percent(float(share.max()))} of equity."
        panel = svg.Panel(110, scale.ticks(_share), [svg.area(x, scale.place(share), zero, "exposure")], zero)
        parts.append(
            _figure("Exposure", about, [panel], _times(run), [],
                    "The position's value at each close as a share of equity; below zero it is short.")
        )  # fmt: skip
    return "".join(parts)


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    return '<dl class="facts">' + "".join(f"<div><dt>{k}</dt><dd>{v}</dd></div>" for k, v in facts) + "</dl>"


def costs(run: Run) -> str:
    """What fees, slippage and borrowing took, in money and beside what was earned."""
    stats, trades = run.stats, run.trades
    taken = {name: float(stats[f"{name}_paid"] or 0.0) for name in ("fees", "slippage", "borrow")}
    total = sum(taken.values())
    gross = stats["net_profit"] + total
    traded = float((trades.quantity * (np.abs(trades.entry_price) + np.abs(trades.exit_price))).sum())
    start = stats["initial_equity"]
    rows = []
    lines = [("Profit before costs", gross, ""), *((name.capitalize(), -amount, "cost") for name, amount in
             taken.items()), ("Net profit", stats["net_profit"], "total")]  # fmt: skip
    for name, amount, kind in lines:
        of_notional = number(-amount / traded * 1e4) if kind == "cost" and traded else ""
        each = number(amount / len(trades)) if len(trades) else "–"
        rows.append([name, money(amount), percent(amount / start) if start > 0 else "–", each, of_notional])
    words = f"Costs took {money(total)} in all"
    if gross > 0 and total > 0:
        words += f", {percent(total / gross, 1)} of the profit before them"
    config = run.config.get("execution", {})
    asked = (
        f"Charged: {number(config.get('fee_bps', 0.0))} bps a side in fees, {number(config.get('slippage_bps', 0.0))} "
        f"bps in slippage, {percent(config.get('borrow_rate', 0.0))} a year on shorts."
    )
    head = ["", "Amount", "Of initial equity", "A trade", "Bps of traded value"]
    return f"<p>{words}. {asked}</p>" + table(head, rows, label="Costs", name="costs")


# --- configuration and provenance ---------------------------------------------------------------------------------


def configuration(run: Run) -> str:
    """Every key of the config as it ran: what was overridden, what the file set, what is a default."""
    overridden = sorted(map(str, run.config.get("overrides", {})))
    groups = []
    for section, content in run.config.items():
        if section == "overrides":
            continue
        rows = "".join(_key(run, f"{section}.", key, value, overridden) for key, value in flat(content).items())
        groups.append(f"<table><caption><code>[{text(section)}]</code></caption><tbody>{rows}</tbody></table>")
    words = (
        f"Overridden on the command line: <code>{text(', '.join(overridden))}</code>."
        if overridden
        else "Nothing was overridden."
    )
    return (
        f"<p>{words} What is grey is a default that the file leaves out.</p>"
        f'<div class="config">{"".join(groups)}</div>'
        f"<details><summary>The config file as given</summary><pre>{text(run.config_text)}</pre></details>"
    )


def _key(run: Run, prefix: str, key: str, value: object, overridden: Sequence[str]) -> str:
    name, mark, origin = prefix + key, "", "given" if prefix + key in run.given else "default"
    if any(name == other or name.startswith(f"{other}.") for other in overridden):
        origin, mark = "override", " <small>override</small>"
    shown = "–" if value is None or value == {} else text(in_toml(value))
    return f'<tr class="{origin}"><th scope="row"><code>{text(key)}</code></th><td>{shown}{mark}</td></tr>'


def in_toml(value: object) -> str:
    """Return a value much as a config has it, text without its quotes.

    >>> in_toml(True), in_toml("SPX"), in_toml([1, 2.5])
    ('true', 'SPX', '[1,2.5]')
    """
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def provenance(run: Run) -> str:
    """What the run was made from, where, when, and what was skipped."""
    if run.manifest is None:
        return "<p>There is no readable manifest: nothing is known of where this comes from.</p>"
    predicate = run.manifest.predicate
    details, made = predicate.run_details, predicate.build_definition
    moments = details.get("metadata", {})
    took = ", ".join(f"{stage} {number(ms, 1)} ms" for stage, ms in details.get("milliseconds", {}).items())
    environment = made.get("internalParameters", {}).get("environment", {})
    facts: list[tuple[str, Any]] = [
        ("Run", run.run_id),
        ("Commit", _commit(run.annotations("git"))),
        *_data(run),
        ("Strategy", _source(run.annotations("strategy"))),
        ("Pins", f"constraints.txt, sha256 {run.digest('constraints.txt')}" if run.digest("constraints.txt") else ""),
        ("Environment", ", ".join(f"{key} {value}" for key, value in environment.items())),
        ("Seed", made.get("internalParameters", {}).get("seed", "")),
        ("Command", " ".join(details.get("argv", []))),
        ("Time", f"{moments.get('startedOn')} to {moments.get('finishedOn')}" + (f": {took}" if took else "")),
        ("Host", details.get("host", "")),
        ("Ledger", f"follows {predicate.ledger.get('follows')}"),
        ("Tracking", _tracked(run.tracking)),
    ]
    listed = "".join(f"<div><dt>{text(k)}</dt><dd>{text(v)}</dd></div>" for k, v in facts if v not in ("", None))
    digests = [[f"<code>{text(name)}</code>", f"<code>{text(digest)}</code>"]
               for name, digest in run.manifest.files.items()]  # fmt: skip
    return (
        f'<dl class="provenance">{listed}</dl>{_receipts(run, predicate.receipts)}'
        f'<details class="printed"><summary>Sealed files</summary>'
        f"{table(['File', 'sha256'], digests, label='Sealed files', name='digests')}</details>"
    )


def _commit(git: Mapping[str, Any]) -> str:
    if not git:
        return "not in a git repository"
    commit = f"{git.get('commit') or 'none yet'} on {git.get('branch')}"
    if not git.get("dirty"):
        return f"{commit}, clean"
    return f"{commit}, with local changes (digest {git.get('diff_sha256')})"


def _data(run: Run) -> Iterable[tuple[str, str]]:
    bars = run.annotations("bars")
    if not bars:
        return
    files = ", ".join(f"{file['name']} ({file['bytes']:,} bytes)" for file in bars.get("files", []))
    yield "Data", f"{files}; source: {bars.get('source') or 'not said'}"
    yield "Fingerprint", f"{run.digest('bars')} over {counted(bars['rows'], 'bar')}, {bars['start']} to {bars['end']}"
    counts = [f"{bars[key]:,} {key}" for key in ("gaps", "dropped") if isinstance(bars.get(key), int)]
    broken = bars.get("violations") or []
    notes = [*counts, f"{len(broken) if isinstance(broken, list | dict) else broken} violations",
             *map(str, bars.get("assumptions", []))]  # fmt: skip
    yield "Checks", ", ".join(notes)


def _source(code: Mapping[str, Any]) -> str:
    if not code:
        return ""
    return ", ".join(f"{value}" if key in ("name", "file") else f"{key} {value}" for key, value in code.items())


def _tracked(receipt: Mapping[str, Any]) -> str:
    if receipt.get("status") != "logged":
        return ""
    return f"logged to {receipt.get('store')} as {receipt.get('mlflow_run_id')}"


def _receipts(run: Run, receipts: Sequence[Mapping[str, Any]]) -> str:
    skipped = [receipt for receipt in receipts if receipt.get("outcome") != "done"]
    if run.tracking.get("status") in ("failed", "skipped"):
        skipped.append({"part": "tracking", "outcome": run.tracking["status"], "reason": run.tracking.get("reason")})
    cost = next((receipt for receipt in receipts if receipt.get("part") == "evidence"), None)
    words = f"The evidence took {number(cost['ms'], 1)} ms and {cost['bytes']:,} bytes." if cost else ""
    if not skipped:
        return f"<p>Nothing was skipped. {words}</p>"
    rows = [[text(receipt.get(key, "")) for key in ("part", "outcome", "reason")] for receipt in skipped]
    return table(["Part", "Outcome", "Reason"], rows, label="Receipts", name="receipts") + f"<p>{words}</p>"


def failure(run: Run) -> str:
    """The error that ended a run, and the last lines of its log."""
    error = run.error
    stage = f" in stage <code>{text(error['stage'])}</code>" if error.get("stage") else ""
    parts = [
        f'<p class="error"><strong>{text(error.get("type", "An error"))}</strong>{stage}: '
        f"{text(error.get('message', 'nothing is known of it'))}</p>"
    ]
    if run.log:
        lines = "&#10;".join(
            text(f"{record.get('time', '')} {record.get('level', ''):7} {record.get('message', '')}")
            + (f"&#10;{text(record['traceback'].rstrip())}" if "traceback" in record else "")
            for record in run.log
        )
        parts.append(f"<h3>End of the log</h3><pre>{lines}</pre>")
    return "".join(parts)


# --- the order ----------------------------------------------------------------------------------------------------


class Section(NamedTuple):
    """A section: its title, what makes its HTML, and the statuses of a run that has it."""

    title: str
    body: Callable[[Run], str]
    of: tuple[str, ...] = ("sealed",)


_ANY = ("sealed", "failed", "unreadable")
SECTIONS = {
    "failure": Section("What happened", failure, ("failed",)),
    "statistics": Section("Key statistics", statistics),
    "equity": Section("Equity and drawdown", equity),
    "returns": Section("Returns by month and year", returns),
    "rolling": Section("Rolling Sharpe ratio and volatility", rolling_ratios),
    "price": Section("Price, entries and exits", price),
    "trade-returns": Section("Distribution of trade returns", trade_returns),
    "extremes": Section("Drawdowns and trades at the extremes", extremes),
    "exposure": Section("Exposure and turnover", exposure),
    "costs": Section("Costs", costs),
    "configuration": Section("Configuration as run", configuration, _ANY),
    "provenance": Section("Provenance", provenance, _ANY),
}
