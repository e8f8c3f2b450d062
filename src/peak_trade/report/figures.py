"""What the figures of the report share: frame, legend and caption, the time axis, and the labels of values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from peak_trade.report import svg
from peak_trade.report.markup import number, table, text
from peak_trade.report.numbers import Histogram
from peak_trade.report.run import RunFiles
from peak_trade.report.values import Over, behind

__all__ = [
    "LOG_FROM",
    "amount_label",
    "figure",
    "fractions_across",
    "number_label",
    "of_bins",
    "percent_label",
    "times_of",
]

LOG_FROM = 3.0  # times the lowest value: from here on a linear axis hides what happened at the bottom


def times_of(run: RunFiles) -> list[svg.Tick]:
    """Return the ticks of a run's time axis."""
    stamps = run.equity["timestamp"]
    return svg.time_ticks(stamps[0], stamps[-1])


def fractions_across(scale: svg.Scale) -> list[svg.Tick]:
    """Return the ticks of an x axis of fractions, in percent; every second one gives way where there is little room."""
    values = svg.linear_ticks(scale.low, scale.high, 8)
    step = values[1] - values[0]
    return [
        svg.Tick(float(scale.place(value)), percent_label(value, step), minor=bool(round(value / step) % 2))
        for value in values
    ]


def figure(
    name: str,
    about: str,
    panels: Sequence[svg.Panel],
    ticks: Sequence[svg.Tick],
    key: Iterable[tuple[str, str]],
    caption: str,
    numbers: Over | str,
) -> str:
    """Return panels with a legend, made of (class, words), above them, and below a caption and the figure's numbers.

    `numbers` are a table, as HTML, or the series of a figure over time, of which a script reads values.
    """
    listed = "".join(f'<li class="{style}">{text(words)}</li>' for style, words in key)
    legend = f'<ul class="legend">{listed}</ul>' if listed else ""
    drawn = svg.figure(name, about, panels, ticks)
    return f"<figure>{legend}{drawn}<figcaption>{caption}</figcaption>{behind(numbers)}</figure>"


def of_bins(bins: Histogram, what: str, write: Callable[[float, float], str]) -> str:
    """Return the table of a histogram: how many there are of `what` in each step."""
    rows = [
        [f"{write(bins.edge(at), bins.step)} to {write(bins.edge(at + 1), bins.step)}", f"{count:,}"]
        for at, count in enumerate(bins.counts)
    ]
    return table(["From, to", what], rows, label=f"{what} by step")


def amount_label(value: float, step: float) -> str:
    """Write an amount on an axis: as `number_label`, or in millions.

    >>> amount_label(15000.0, 5000.0), amount_label(2.5e6, 5e5), amount_label(1.25, 0.25)
    ('15,000', '2.5 M', '1.25')
    """
    if abs(value) >= 1e6:
        return number_label(value / 1e6, step / 1e6) + " M"
    return number_label(value, step)


def percent_label(value: float, step: float) -> str:
    """Write a fraction on an axis as a percentage."""
    return number_label(value * 100, step * 100) + " %"


def number_label(value: float, step: float) -> str:
    """Write a value on an axis with the digits that its step needs."""
    digits = next((digits for digits in range(9) if abs(step * 10**digits - round(step * 10**digits)) < 1e-6), 9)
    return number(value, digits)
