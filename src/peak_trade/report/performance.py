"""How equity went: its curve and drawdown, and ratios over a moving window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from peak_trade.evidence import benchmark
from peak_trade.report import svg
from peak_trade.report.figures import LOG_FROM, amount_label, figure, number_label, percent_label, times_of
from peak_trade.report.markup import money, number, percent, text
from peak_trade.report.numbers import SHORTEST_WINDOW, Drawdown, drawdowns, rolling, rolling_against, window_for
from peak_trade.report.portfolio import lacks
from peak_trade.report.run import RunFiles
from peak_trade.report.values import Column, Over, over
from peak_trade.stats.values import Floats, Times

__all__ = ["equity", "rolling_ratios"]

_DEEPEST = 5  # drawdowns that are shaded; the table of the extremes has the same
_TOO_FEW = "<p>There are too few returns for a moving window.</p>"


def equity(run: RunFiles) -> str:
    """Equity against the benchmark, and the drawdown under it, on one time axis."""
    own, market = run.equity, run.benchmark
    x = svg.x_of(own["timestamp"])
    curves = [own["equity"]] + ([market["equity"]] if market else [])
    low, high = min(c.min() for c in curves), max(c.max() for c in curves)
    scale = svg.Scale.around(*curves, log=bool(low > 0 and high / low >= LOG_FROM))
    deep = svg.Scale.around(own["drawdown"], zero=True) if own["drawdown"].any() else svg.Scale(-0.01, 0.0)
    spans = drawdowns(own["timestamp"], own["drawdown"], _DEEPEST)
    marks = [_shaded(own["timestamp"], spans)] if spans else []
    marks += [svg.line(svg.x_of(market["timestamp"]), scale.place(market["equity"]), "benchmark")] if market else []
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
    columns = [Column("Equity", own["equity"]), Column("Drawdown", own["drawdown"], 1, percent=True)]
    if market:
        columns.insert(1, Column(run.benchmark_name, over(own["timestamp"], market["timestamp"], market["equity"])))
        key.append(("benchmark", f"{run.benchmark_name}, {money(float(market['equity'][-1]))}"))
        about += f" The benchmark returned {percent(stats.get('benchmark_total_return'))}."
    panels = [
        svg.Panel(280, scale.ticks(amount_label), marks, scale=scale),
        svg.Panel(
            110,
            deep.ticks(percent_label),
            [svg.area(x, under, zero, "drawdown-area"), svg.line(x, under, "drawdown")],
            zero,
            deep,
        ),
    ]
    key.append(("drawdown", "Drawdown"))
    caption = (
        f"At each close, in quote currency, on a {axis} axis; below it the distance from the highest equity so far."
    )
    if spans:
        which = f"The {len(spans)} deepest drawdowns" if len(spans) > 1 else "The deepest drawdown"
        key.append(("span", which))
        caption += " Shaded from each peak to the recovery, or to the end"
        caption += "." if lacks(run, "trades returns") else ': <a href="#extremes">the extremes</a> have the dates.'
    return figure(
        "Equity and drawdown", about, panels, times_of(run), key, caption, Over(own["timestamp"], columns)
    )  # fmt: skip


def _shaded(timestamp: Times, spans: Sequence[Drawdown]) -> str:
    """Return the areas from the peak of each drawdown to its recovery, or to the last bar."""
    ends = np.array([[one.peak, timestamp[-1] if one.recovered is None else one.recovered] for one in spans])
    x = (ends - timestamp[0]) / (timestamp[-1] - timestamp[0])
    gap = np.full((len(spans), 1), np.nan)
    across = np.concatenate((x, gap), axis=1).ravel()
    return svg.area(across, np.where(np.isnan(across), np.nan, 1.0), 0.0, "span")


def rolling_ratios(run: RunFiles) -> str:
    """Sharpe ratio and volatility over a moving window, and below them what ties the run to its benchmark."""
    if len(run.equity["equity"]) > 1 and not len(run.returns):
        return "<p>Equity fell to zero or below: returns can't be told.</p>"
    per_year = run.stats["periods_per_year"]
    window = window_for(len(run.equity["equity"]), per_year or len(run.returns)) if len(run.returns) else None
    if window is None:
        return _TOO_FEW
    if per_year is None:
        ratios = "<p>Nothing tells how many bars make a year, so nothing is annualised.</p>"
    else:
        ratios = _sharpe(run, window, per_year)
    return ratios + (_beta(run, run.benchmark, window) if run.benchmark else "")


def _sharpe(run: RunFiles, window: int, per_year: float) -> str:
    rate = run.config.get("stats", {}).get("risk_free_rate", 0.0)
    sharpe, volatility = rolling(run.returns, window, per_year, rate)
    x = svg.x_of(run.equity["timestamp"])[window:]
    ratio, spread = svg.Scale.around(sharpe, zero=True), svg.Scale.around(volatility, zero=True)
    zero = float(ratio.place(0.0))
    about = f"Over {window:,} bars."
    if np.isfinite(sharpe).any():
        about += (
            f" The Sharpe ratio lies {_between(sharpe)}, the "
            f"volatility between {percent(float(volatility.min()))} and {percent(float(volatility.max()))}."
        )
    panels = [
        svg.Panel(150, ratio.ticks(number_label, 4), [svg.line(x, ratio.place(sharpe), "sharpe")], zero, ratio),
        svg.Panel(
            110, spread.ticks(percent_label, 3), [svg.line(x, spread.place(volatility), "volatility")], scale=spread
        ),
    ]
    length = f"{window:,} bars ({number(window / per_year)} years)"
    return figure(
        "Rolling Sharpe ratio and volatility", about, panels, times_of(run),
        [("sharpe", "Sharpe ratio"), ("volatility", "Volatility")],
        f"Over the last {length} at each close, annualised as in the table above. "
        "A gap is a window in which returns did not vary.",
        Over(run.equity["timestamp"], [
            Column("Sharpe ratio", np.append(np.full(window, np.nan), sharpe)),
            Column("Volatility", np.append(np.full(window, np.nan), volatility), 1, percent=True),
        ]),
    )  # fmt: skip


def _beta(run: RunFiles, market: dict[str, Any], window: int) -> str:
    """Beta and correlation over the same window, by the returns between those bars that the benchmark is kept at."""
    stamps, name = run.equity["timestamp"], text(run.benchmark_inside)
    even = np.isin(np.searchsorted(stamps, market["timestamp"]), benchmark.evenly(len(stamps)))
    times, theirs = market["timestamp"][even], market["equity"][even]
    at = np.searchsorted(stamps, times)
    bars = (len(stamps) - 1) / max(len(at) - 1, 1)  # of a return
    span = round(window / bars)
    if span < SHORTEST_WINDOW or span >= len(at):
        return f"<p>The run keeps {name} at too few bars for so short a window.</p>"
    if theirs.min() <= 0.0:
        return f"<p>{text(run.benchmark_name)} fell to zero or below: its returns can't be told.</p>"
    own = run.equity["equity"][at]
    beta, correlation = rolling_against(_changes(own), _changes(theirs), span)
    if not np.isfinite(correlation).any():
        return f"<p>In no window did both vary: there is no beta to {name}.</p>"
    x = svg.x_of(stamps)[at[span:]]
    slope = svg.Scale.around(beta, np.array([0.0, 1.0]))
    tie = svg.Scale(-1.0 if np.nanmin(correlation, initial=0.0) < 0.0 else 0.0, 1.0)
    about = f"Over {window:,} bars. Beta lies {_between(beta)}, the correlation {_between(correlation)}."
    panels = [
        svg.Panel(130, slope.ticks(number_label, 4), [svg.line(x, slope.place(beta), "beta")], float(slope.place(0.0))),
        svg.Panel(
            90, tie.ticks(number_label, 4), [svg.line(x, tie.place(correlation), "correlation")], float(tie.place(0.0))
        ),
    ]
    caption = f"Of returns with those of {name}, over the last {window:,} bars at each close."
    if bars > 1:
        each = f"{bars:,.0f}" if bars >= 10 else f"{bars:.3g}"
        caption = (
            f"Of returns with those of {name}, over the last {window:,} bars. A return is over {each} bars on average, "
            f"as the run keeps {name} at {len(at):,} of its {len(stamps):,} bars."
        )
    return figure(
        "Rolling beta and correlation", about, panels, times_of(run),
        [("beta", f"Beta to {run.benchmark_inside}"), ("correlation", f"Correlation with {run.benchmark_inside}")],
        f"{caption} A gap is a window in which one of both did not vary.",
        Over(stamps, [
            Column("Beta", over(stamps, times[span:], beta)),
            Column("Correlation", over(stamps, times[span:], correlation), 1),
        ]),
    )  # fmt: skip


def _changes(marked: Floats) -> Floats:
    return np.diff(marked) / marked[:-1]


def _between(values: Floats) -> str:
    return f"between {number(float(np.nanmin(values)))} and {number(float(np.nanmax(values)))}"
