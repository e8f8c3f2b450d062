"""How equity went by calendar: returns by month and year beside the benchmark's, the best and worst, the streaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from peak_trade.errors import RunError
from peak_trade.report.markup import counted, number, percent, shaded, table, text
from peak_trade.report.numbers import Change, changes, longest, period_returns, reach
from peak_trade.report.run import RunFiles
from peak_trade.stats.periods import period_ends
from peak_trade.stats.values import Floats, Times

__all__ = ["returns"]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_RUINED = "<p>Equity fell to zero or below: there is nothing to take a fraction of.</p>"

Returns = Mapping[np.datetime64, float | None]


def returns(run: RunFiles) -> str:
    """Returns by calendar month and year, coloured by size, beside the benchmark's; and which were the extremes."""
    stamps, marked, market = run.equity["timestamp"], run.equity["equity"], run.benchmark
    own = _by_period(stamps, marked)
    told = _told(stamps, own[0])
    caption = "Change of equity in each calendar month and year (UTC), in percent; the first starts at the first close."
    if market is None:
        full = reach(own[0].values()), reach(own[1].values())
        beside = ""
    else:
        theirs = _by_period(market["timestamp"], market["equity"])
        full = reach([*own[0].values(), *theirs[0].values()]), reach([*own[1].values(), *theirs[1].values()])
        name = text(run.benchmark_name)
        ahead = _ahead(told, _told(market["timestamp"], theirs[0]), text(run.benchmark_inside))
        beside = f"<h3>{name}</h3>{ahead}{_heat_table(theirs, full, f'{name} by month and year')}"
        caption += " Both tables have the same colours."
    return (
        _summary(told, len(stamps))
        + _heat_table(own, full, "Returns by month and year")
        + f'{beside}<p class="note">{caption}</p>{_extremes(run)}'
    )


def _by_period(stamps: Times, marked: Floats) -> tuple[Returns, Returns]:
    """Return the returns by month and those by year."""
    return period_returns(stamps, marked, "M"), period_returns(stamps, marked, "Y")


def _told(stamps: Times, monthly: Returns) -> dict[np.datetime64, float]:
    """Return the months that have a return: the first bar, which has none, may be all of its month."""
    alone = int(period_ends(stamps, "M")[0] == 0)
    return {month: value for month, value in list(monthly.items())[alone:] if value is not None}


def _summary(told: Mapping[np.datetime64, float], bars: int) -> str:
    if told:
        values = told.values()
        return (
            f"<p>{sum(value > 0 for value in values)} of {counted(len(told), 'month')} gained; "
            f"best {percent(max(values))}, worst {percent(min(values))}.</p>"
        )
    return "<p>One bar has no return.</p>" if bars < 2 else _RUINED


def _ahead(own: Mapping[np.datetime64, float], theirs: Mapping[np.datetime64, float], name: str) -> str:
    """Say in how many months the run did better than the benchmark, `name` being HTML."""
    apart = [own[month] - theirs[month] for month in own if month in theirs]
    if not apart:
        return ""
    return f"<p>The run was ahead of {name} in {sum(one > 0 for one in apart)} of {counted(len(apart), 'month')}.</p>"


def _heat_table(of: tuple[Returns, Returns], full: tuple[float, float], label: str) -> str:
    monthly, yearly = of
    rows = []
    for year, whole in yearly.items():
        cells = [
            _heat(monthly.get(month), full[0], there=month in monthly)
            for month in np.arange(year.astype("M8[M]"), year.astype("M8[M]") + np.timedelta64(12, "M"))
        ]
        rows.append([str(year), *cells, _heat(whole, full[1], name="year")])
    return table(["Year", *_MONTHS, "Year"], rows, label=label, name="heat")


def _heat(value: float | None, full: float, *, there: bool = True, name: str = "") -> str:
    return shaded(number(value * 100) if value is not None else "–" if there else "", value, full, name=name)


# --- which days, months and streaks were the extremes ---------------------------------------------------------------


def _extremes(run: RunFiles) -> str:
    """Return the best and the worst day and month, and the longest streaks of days and of trades, with their dates."""
    stamps, marked = run.equity["timestamp"], run.equity["equity"]
    days = changes(stamps, marked, "D")
    rows = [*_best_and_worst(days, "day"), *_best_and_worst(changes(stamps, marked, "M"), "month")]
    rows += _streaks_of_days(days) + _streaks_of_trades(run)
    if not rows:
        return ""
    note = (
        "Days are those of UTC in which bars open; a day's return is from the last close of the day before. A day "
        "without a change, or a trade at exactly 0, ends a streak; of several equally long, the first is shown."
    )
    listed = table(["", "Return or pnl", "When (UTC)"], rows, label="Best, worst and longest streaks", name="spans")
    return f'<div class="whole"><h3>Best, worst and longest streaks</h3>{listed}<p class="note">{note}</p></div>'


def _best_and_worst(found: Sequence[Change], unit: str) -> list[list[str]]:
    if not any(one.change for one in found):  # a run that never traded has no best day
        return []
    best, worst = (which(found, key=lambda one: one.change) for which in (max, min))
    return [
        [f"{word} {unit}", percent(one.change), _time(one.period)] for word, one in (("Best", best), ("Worst", worst))
    ]


def _streaks_of_days(days: Sequence[Change]) -> list[list[str]]:
    values = np.array([day.change for day in days])
    rows = []
    for word, which in (("winning", values > 0.0), ("losing", values < 0.0)):
        if days and (found := days[longest(which)]):
            whole = float(np.prod([1.0 + day.change for day in found])) - 1.0
            when = _span(found[0].period, found[-1].period)
            rows.append([f"Longest {word} streak: {counted(len(found), 'day')}", percent(whole), when])
    return rows


def _streaks_of_trades(run: RunFiles) -> list[list[str]]:
    """Return the rows of trades, in the order of their exits; none where some trade does not say what it earned."""
    try:
        trades = run.trades if run.has("trades.csv", "trades.parquet") else None
    except RunError:  # the sections about trades say so
        return []
    if trades is None or not np.isfinite(trades.pnl).all():
        return []
    rows = []
    several = trades.currencies is not None and len(set(trades.currencies.tolist())) > 1
    for word, which in (("winning", trades.pnl > 0.0), ("losing", trades.pnl < 0.0)):
        at = longest(which)
        if count := at.stop - at.start:
            earned = "–" if several else number(float(trades.pnl[at].sum()))
            when = _span(trades.entry_time[at].min(), trades.exit_time[at].max())
            rows.append([f"Longest {word} streak: {counted(count, 'trade')}", earned, when])
    return rows


def _span(first: np.datetime64, last: np.datetime64) -> str:
    """Return from which day to which, in UTC."""
    days = [_time(one.astype("M8[D]")) for one in (first, last) if not np.isnat(one)]
    return " to ".join(dict.fromkeys(days)) or "–"


def _time(period: np.datetime64) -> str:
    return f"<time>{period}</time>"
