"""What the report works out beyond `stats.json`: pure functions on the columns of a run's files.

Nothing here is a second opinion on a key of `stats.json`; these are the figures that a page can show and a
single number cannot: returns by month, ratios over a moving window, the single drawdowns.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from peak_trade.stats.equity import DAY
from peak_trade.stats.periods import Unit, period_ends
from peak_trade.stats.sample import rate_per_period
from peak_trade.stats.timeline import Timeline
from peak_trade.stats.values import NOISE, Floats, NoValueError, Times

__all__ = [
    "SHORTEST_WINDOW",
    "Change",
    "Drawdown",
    "Histogram",
    "changes",
    "drawdowns",
    "histogram",
    "longest",
    "period_returns",
    "reach",
    "rolling",
    "rolling_against",
    "window_for",
]

SHORTEST_WINDOW = 10  # bars; a ratio over fewer says nothing
_MOST_BINS = 48


def period_returns(timestamp: Times, equity: Floats, unit: str) -> dict[np.datetime64, float | None]:
    """Return each calendar period's change of equity as a fraction; `unit` is `M` (month) or `Y` (year), in UTC.

    A period's return compares its last equity with the last one before it; the first period starts at its first bar.
    So the periods compound to the return of the whole. None where equity before it is zero or below.

    >>> days = np.array(["2024-01-30", "2024-01-31", "2024-02-29"], "M8[D]")
    >>> [round(value, 9) for value in period_returns(days, np.array([100.0, 110.0, 99.0]), "M").values()]
    [0.1, -0.1]
    """
    last = period_ends(timestamp, unit)
    before = np.append(equity[:1], equity[last[:-1]])
    return {
        name: float(end / start - 1.0) if start > 0.0 else None
        for name, start, end in zip(timestamp[last].astype(f"M8[{unit}]"), before, equity[last], strict=True)
    }


def reach(values: Iterable[float | None]) -> float:
    """Return the size of a return that gets the full colour: the largest but for the most extreme twentieth.

    >>> round(reach([0.1, -0.2, None]), 3), reach([])
    (0.195, 1.0)
    """
    there = [value for value in values if value is not None]
    return max(float(np.quantile(np.abs(there), 0.95)), 1e-4) if there else 1.0


class Change(NamedTuple):
    """By which fraction equity changed over a calendar period, in UTC."""

    period: np.datetime64
    change: float


def changes(timestamp: Times, equity: Floats, unit: Unit) -> list[Change]:
    """Return the change of equity in each day (`D`) or month (`M`) in which a bar has a return, as `best_day` has them.

    None are there where `peak_trade.stats.period_returns` has no value: of one bar, of equity that fell to zero or
    below, and of bars that are longer than the period.

    >>> hours = np.arange("2024-01-01T00", "2024-01-02T12", 12, dtype="M8[h]")
    >>> [(str(one.period), one.change) for one in changes(hours, np.array([100.0, 125.0, 100.0]), "D")]
    [('2024-01-01', 0.25), ('2024-01-02', -0.2)]
    """
    if len(equity) < 2 or equity.min() <= 0.0:
        return []
    times = Timeline(timestamp)
    try:
        closes = times.day_closes if unit == "D" else times.month_closes
    except NoValueError:
        return []
    closing = equity[closes]
    names = timestamp[closes[1:]].astype(f"M8[{unit}]")
    values = (np.diff(closing) / closing[:-1]).tolist()
    return [Change(name, change) for name, change in zip(names, values, strict=True)]


def longest(which: npt.NDArray[np.bool_]) -> slice:
    """Return where the longest row of true ones stands, the first of several; an empty one where there is none.

    >>> longest(np.array([True, False, True, True, False, True, True]))
    slice(2, 4, None)
    """
    turns = np.flatnonzero(np.diff(which, prepend=False, append=False)).reshape(-1, 2)
    if not len(turns):
        return slice(0, 0)
    first, end = turns[int(np.argmax(turns[:, 1] - turns[:, 0]))].tolist()
    return slice(first, end)


def window_for(bars: int, periods_per_year: float) -> int | None:
    """Return how many returns a moving window holds: a year's, or a quarter of the run where that is shorter.

    None where even that would be under ten.

    >>> window_for(5031, 252.0), window_for(401, 252.0), window_for(20, 252.0)
    (252, 100, None)
    """
    window = min(round(periods_per_year), (bars - 1) // 4)
    return window if window >= SHORTEST_WINDOW else None


def rolling(
    returns: Floats, window: int, periods_per_year: float, risk_free_rate: float = 0.0
) -> tuple[Floats, Floats]:
    """Return Sharpe ratio and volatility of the last `window` returns, at each of N - window + 1 places.

    Formulas as in `peak_trade.stats`: ddof = 1, annualised, the risk-free rate per bar geometric.
    NaN is the Sharpe ratio of returns that do not vary, by the same measure as there.

    >>> sharpe, volatility = rolling(np.array([0.01, -0.01, 0.03, 0.01]), 4, 6)
    >>> sharpe.round(12), volatility.round(12)
    (array([1.5]), array([0.04]))
    """
    mean, squares = _moving_moments(returns, window)
    deviation = np.sqrt(squares / (window - 1))
    deviation[deviation <= NOISE * (1.0 + np.abs(mean))] = 0.0
    excess = mean - rate_per_period(risk_free_rate, periods_per_year)
    sharpe = np.divide(excess, deviation, out=np.full(len(mean), np.nan), where=deviation > 0.0)
    return sharpe * math.sqrt(periods_per_year), deviation * math.sqrt(periods_per_year)


def rolling_against(returns: Floats, benchmark: Floats, window: int) -> tuple[Floats, Floats]:
    """Return beta and correlation of the last `window` returns beside a benchmark's, at each of N - window + 1 places.

    Formulas: cov(returns, benchmark) / var(benchmark), as `peak_trade.stats.beta`, and
    cov(returns, benchmark) / (std(returns) * std(benchmark)), Pearson's. NaN where the benchmark does not vary, by the
    same measure as there; the correlation also where the returns do not. Each window is worked out as if it were alone,
    in N * window of memory: it is made for the 2,000 rows that a benchmark has at the most.
    Sources: W. F. Sharpe, "Capital Asset Prices", Journal of Finance 19(3), 1964; K. Pearson, "Notes on regression and
    inheritance in the case of two parents", Proceedings of the Royal Society 58, 1895.

    >>> beta, correlation = rolling_against(np.array([0.01, -0.03, 0.03, 0.01]), np.array([0.02, -0.02, 0.0, 0.0]), 4)
    >>> beta.round(12), correlation.round(3)
    (array([1.]), array([0.649]))
    """
    (own, spread), (theirs, wide) = _apart(returns, window), _apart(benchmark, window)
    shared = np.einsum("ij,ij->i", own, theirs) / (window - 1)
    nothing = np.full(len(shared), np.nan)
    beta = np.divide(shared, wide * wide, out=nothing.copy(), where=wide > 0.0)
    correlation = np.divide(shared, spread * wide, out=nothing, where=(spread > 0.0) & (wide > 0.0))
    return beta, np.clip(correlation, -1.0, 1.0)


def _apart(values: Floats, window: int) -> tuple[Floats, Floats]:
    """Return how far each value lies from the mean of its window, a row for each, and their deviation (ddof = 1)."""
    windows = np.lib.stride_tricks.sliding_window_view(values, window)
    mean = windows.mean(axis=1)
    apart = windows - mean[:, None]
    deviation = np.sqrt(np.einsum("ij,ij->i", apart, apart) / (window - 1))
    deviation[deviation <= NOISE * (1.0 + np.abs(mean))] = 0.0
    return apart, deviation


def _moving_moments(values: Floats, window: int) -> tuple[Floats, Floats]:
    """Return mean and sum of squared deviations from it of each `window` values in a row.

    No value outside a window has any part in its moments: a running sum would keep the rounding of all that ever went
    through it. Windows of 1, 2, 4, … values are made of pairs of the ones before; those of them that add up to `window`
    are joined. Both sums are of terms that are not negative, so nothing cancels out; N log window steps in all.
    Source: T. Chan, G. Golub, R. LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances",
    COMPSTAT 1982.
    """
    places = len(values) - window + 1
    part, size = (values, np.zeros(len(values))), 1
    whole, length = part, 0
    while True:
        if window & size:
            piece = part[0][length : length + places], part[1][length : length + places]
            whole = _joined(whole, length, piece, size) if length else piece
            length += size
        if length == window:
            return whole
        part = _joined((part[0][:-size], part[1][:-size]), size, (part[0][size:], part[1][size:]), size)
        size *= 2


def _joined(one: tuple[Floats, Floats], size: int, other: tuple[Floats, Floats], more: int) -> tuple[Floats, Floats]:
    """Return mean and squares of `size` values and `more` values together, from those of each."""
    apart = other[0] - one[0]
    squares = one[1] + other[1]
    squares += apart * apart * (size * more / (size + more))
    apart *= more / (size + more)
    apart += one[0]
    return apart, squares


class Drawdown(NamedTuple):
    """One time under water: from a peak over the lowest close to the first close that reaches the peak again.

    `depth` is a negative fraction, `recovered` None where the run ended first; `days` runs from the peak to the
    recovery or to the last bar.
    """

    depth: float
    peak: np.datetime64
    lowest: np.datetime64
    recovered: np.datetime64 | None
    days: float


def drawdowns(timestamp: Times, depth: Floats, count: int) -> list[Drawdown]:
    """Return the `count` deepest drawdowns, deepest first; `depth` is the column of equity.csv.

    >>> days = np.arange("2024-01-01", "2024-01-06", dtype="M8[D]")
    >>> worst, = drawdowns(days, np.array([0.0, -0.2, -0.1, 0.0, 0.0]), 3)
    >>> worst.depth, str(worst.lowest), str(worst.recovered), worst.days
    (-0.2, '2024-01-02', '2024-01-04', 3.0)
    """
    peaks = np.flatnonzero(depth == 0.0)
    if not len(peaks):
        return []
    deepest = np.minimum.reduceat(depth, peaks)  # of each peak and what follows up to the next one
    order = np.argsort(deepest, kind="stable")[:count]
    ends = np.append(peaks[1:], len(depth))
    last = len(depth) - 1
    found = [(int(peaks[at]), int(ends[at])) for at in order if deepest[at] < 0.0]
    return [
        Drawdown(
            float(depth[peak:end].min()),
            timestamp[peak],
            timestamp[peak + int(np.argmin(depth[peak:end]))],
            timestamp[end] if end <= last else None,
            float((timestamp[min(end, last)] - timestamp[peak]) / DAY),
        )
        for peak, end in found
    ]


class Histogram(NamedTuple):
    """Counts between edges that are whole multiples of one round `step`, so that zero is an edge where it is inside."""

    step: float
    first: int
    counts: list[int]

    def edge(self, index: int) -> float:
        """Return the lower edge of a bin."""
        return (self.first + index) * self.step


def histogram(values: Floats) -> Histogram:
    """Count values in bins of a round width, by the rule of Freedman and Diaconis, at most 48.

    Source: D. Freedman, P. Diaconis, "On the histogram as a density estimator", Z. Wahrscheinlichkeitstheorie 57, 1981.

    >>> histogram(np.array([-0.03, -0.01, 0.0, 0.01, 0.04]))
    Histogram(step=0.02, first=-2, counts=[1, 1, 2, 0, 1])
    """
    low, high = float(values.min()), float(values.max())
    spread = float(np.subtract(*np.quantile(values, [0.75, 0.25])))
    width = 2.0 * spread / len(values) ** (1 / 3)
    finest = (high - low) / (_MOST_BINS - 2)
    if low == high:
        step = round_down(abs(low) / 10.0) if low else 0.01
    elif width > finest:
        step = max(round_down(width), round_up(finest))
    else:
        step = round_up(finest)
    first = math.floor(low / step)
    places = np.floor(values / step).astype(int) - first
    return Histogram(step, first, np.bincount(places).tolist())


def round_up(width: float) -> float:
    """Return the next of 1, 2, 5 times a power of ten.

    >>> [round_up(width) for width in (0.011, 3.0, 60.0)]
    [0.02, 5.0, 100.0]
    """
    power = math.floor(math.log10(width))
    base = next(base for base in (1, 2, 5, 10) if base * 10.0**power >= width * (1 - 1e-9))
    return float(f"{base}e{power}")  # by its text, for 5 * 10.0 ** -6 is not 5e-6


def round_down(width: float) -> float:
    """Return the last of 1, 2, 5 times a power of ten before a width, or the width itself.

    >>> [round_down(width) for width in (0.011, 3.0, 60.0)]
    [0.01, 2.0, 50.0]
    """
    power = math.floor(math.log10(width))
    base = next(base for base in (5, 2, 1) if base * 10.0**power <= width * (1 + 1e-9))
    return float(f"{base}e{power}")
