"""How equity went: its curve and drawdown, returns by month and year, ratios over a moving window."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from peak_trade.report import svg
from peak_trade.report.figures import LOG_FROM, amount_label, figure, number_label, percent_label, times_of
from peak_trade.report.markup import cell, counted, money, number, percent, table, text
from peak_trade.report.numbers import period_returns, rolling, window_for
from peak_trade.report.run import RunFiles
from peak_trade.report.values import Column, Over, over
from peak_trade.stats.periods import period_ends

__all__ = ["equity", "returns", "rolling_ratios"]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def equity(run: RunFiles) -> str:
    """Equity against the benchmark, and the drawdown under it, on one time axis."""
    own, market = run.equity, run.benchmark
    x = svg.x_of(own["timestamp"])
    curves = [own["equity"]] + ([market["equity"]] if market else [])
    low, high = min(c.min() for c in curves), max(c.max() for c in curves)
    scale = svg.Scale.around(*curves, log=bool(low > 0 and high / low >= LOG_FROM))
    deep = svg.Scale.around(own["drawdown"], zero=True)
    marks = [svg.line(svg.x_of(market["timestamp"]), scale.place(market["equity"]), "benchmark")] if market else []
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
        about += f" {run.benchmark_name} returned {percent(stats.get('benchmark_total_return'))}."
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
    return figure(
        "Equity and drawdown", about, panels, times_of(run), [*key, ("drawdown", "Drawdown")],
        f"At each close, in quote currency, on a {axis} axis; below it the distance from the highest equity so far.",
        Over(own["timestamp"], columns),
    )  # fmt: skip


def returns(run: RunFiles) -> str:
    """Returns by calendar month and year, coloured by size."""
    stamps, marked, market = run.equity["timestamp"], run.equity["equity"], run.benchmark
    monthly = period_returns(stamps, marked, "M")
    yearly = period_returns(stamps, marked, "Y")
    compared = period_returns(market["timestamp"], market["equity"], "Y") if market else {}
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
    head = ["Year", *_MONTHS, "Year", *([text(run.benchmark_name)] if market else [])]
    caption = "Change of equity in each calendar month and year (UTC), in percent; the first starts at the first close."
    alone = int(period_ends(stamps, "M")[0] == 0)  # the first bar, which has no return, may be all of its month
    told = [value for value in list(monthly.values())[alone:] if value is not None]
    if told:
        summary = (
            f"<p>{sum(value > 0 for value in told)} of {counted(len(told), 'month')} gained; "
            f"best {percent(max(told))}, worst {percent(min(told))}.</p>"
        )
    elif len(stamps) < 2:
        summary = "<p>One bar has no return.</p>"
    else:
        summary = "<p>Equity fell to zero or below: there is nothing to take a fraction of.</p>"
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


def rolling_ratios(run: RunFiles) -> str:
    """Sharpe ratio and volatility over a moving window."""
    per_year = run.stats["periods_per_year"]
    changes = run.returns
    window = window_for(len(run.equity["equity"]), per_year or len(changes)) if len(changes) else None
    if window is None:
        return "<p>There are too few returns for a moving window.</p>"
    if per_year is None:
        return "<p>Nothing tells how many bars make a year, so nothing is annualised.</p>"
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
