"""What several runs did over the same time: their deepest drawdowns, returns by year and month, and correlations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from peak_trade.report.markup import number, percent, shaded, table, text
from peak_trade.report.numbers import drawdowns, period_returns, reach
from peak_trade.stats.periods import period_ends
from peak_trade.stats.values import NOISE, Floats, Times

__all__ = ["Account", "by_period", "correlated", "correlation", "depths"]

_DEPTHS, _FEW = 3, 4  # drawdowns of each of so few runs; of more runs, the deepest
_PAIRED = 12  # runs whose correlations have room
_MONTHS = 240  # rows
_LEAST = 3  # returns that a correlation takes


class Account(NamedTuple):
    """A run's equity and drawdown at its times, all of shape (N,), N > 0, and what it is called."""

    name: str
    times: Times
    equity: Floats
    drawdown: Floats


def depths(accounts: Sequence[Account]) -> str:
    """The deepest drawdowns of each."""
    count = _DEPTHS if len(accounts) <= _FEW else 1
    rows = [
        [
            text(one.name),
            percent(found.depth),
            *(f"<time>{_day(when)}</time>" if when is not None else "not yet" for when in found[1:4]),
            number(found.days, 0),
        ]
        for one in accounts
        for found in drawdowns(one.times, one.drawdown, count)
    ]
    if not rows:
        return ""
    return table(["Run", "Depth", "Peak", "Lowest", "Recovered", "Days"], rows, label="The deepest drawdowns")


def by_period(accounts: Sequence[Account]) -> str:
    """Returns by calendar year, and folded away those by month."""
    years, months = ([period_returns(one.times, one.equity, unit) for one in accounts] for unit in ("Y", "M"))
    note = "Change of equity in each calendar year (UTC), in percent; the first starts at a run's first close."
    listed = sorted({month for one in months for month in one}, reverse=True)
    left = f'<p class="note">The newest {_MONTHS} of {len(listed):,} months.</p>' if len(listed) > _MONTHS else ""
    return (
        _periods(accounts, years, sorted({year for one in years for year in one}), "Returns by year")
        + f'<p class="note">{note}</p><details><summary>By month</summary>'
        + _periods(accounts, months, listed[:_MONTHS], "Returns by month")
        + left
        + "</details>"
    )


def _periods(
    accounts: Sequence[Account],
    returns: Sequence[Mapping[np.datetime64, float | None]],
    periods: Iterable[np.datetime64],
    label: str,
) -> str:
    full = reach(value for one in returns for value in one.values())
    rows = []
    for period in periods:
        cells = []
        for one in returns:
            value = one.get(period)
            shown = number(value * 100) if value is not None else "–" if period in one else ""
            cells.append(shaded(shown, value, full))
        rows.append([str(period), *cells])
    return table(["", *(text(one.name) for one in accounts)], rows, label=label, name="heat")


def correlated(accounts: Sequence[Account]) -> str:
    """How their daily returns went together, each with each."""
    chosen = accounts[:_PAIRED]
    if len(chosen) < 2:
        return ""
    closes = [_closes(one) for one in chosen]
    rows = []
    for at, one in enumerate(chosen):
        found = [correlation(closes[at], other) for other in closes]
        rows.append([text(one.name), *(shaded("–" if f is None else number(f), f, 1.0) for f in found)])
    note = (
        "Correlation (Pearson) of the returns from day to day, over the days on which both have a close (UTC): "
        "1 is alike, 0 has nothing in common, −1 is against each other."
    )
    left = f" The first {_PAIRED} runs." if len(accounts) > _PAIRED else ""
    head = ["", *(text(one.name) for one in chosen)]
    listed = table(head, rows, label="Correlation of daily returns", name="heat")
    return listed + f'<p class="note">{note}{left}</p>'


def _closes(one: Account) -> tuple[Times, Floats]:
    last = period_ends(one.times, "D")
    return one.times[last].astype("M8[D]"), one.equity[last]


def correlation(one: tuple[Times, Floats], other: tuple[Times, Floats]) -> float | None:
    """Return the correlation of the returns of two accounts, each as days and equity at their ends, of shape (N,).

    None where they have too few days in common, equity is zero or below, or the returns of one are all the same.

    >>> days = np.arange("2024-01-01", "2024-01-05", dtype="M8[D]")
    >>> up, down = np.array([100.0, 110.0, 99.0, 108.9]), np.array([100.0, 90.0, 99.0, 89.1])
    >>> round(correlation((days, up), (days, down)), 9)
    -1.0
    """
    _, left, right = np.intersect1d(one[0], other[0], assume_unique=True, return_indices=True)
    a, b = one[1][left], other[1][right]
    if len(a) <= _LEAST or min(a.min(), b.min()) <= 0.0:
        return None
    moved = np.stack([np.diff(closes) / closes[:-1] for closes in (a, b)])
    if (moved.std(axis=1) <= NOISE).any():
        return None
    return float(np.clip(np.asarray(np.corrcoef(moved))[0, 1], -1.0, 1.0))


def _day(when: np.datetime64) -> str:
    return str(when.astype("M8[D]"))
