"""What the figures of the report share: frame, legend and caption, the time axis, and the labels of values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from peak_trade.report import svg
from peak_trade.report.markup import number, text
from peak_trade.report.run import RunFiles
from peak_trade.report.values import Column, disclosed, for_script
from peak_trade.stats.values import Floats, Times

__all__ = [
    "LOG_FROM",
    "amount_label",
    "figure",
    "fractions_across",
    "number_label",
    "over",
    "percent_label",
    "times_of",
]

LOG_FROM = 3.0  # times the lowest value: from here on a linear axis hides what happened at the bottom


def times_of(run: RunFiles) -> list[svg.Tick]:
    """Return the ticks of a run's time axis."""
    stamps = run.equity["timestamp"]
    return svg.time_ticks(stamps[0], stamps[-1])


def over(times: Times, own: Times, values: Floats) -> Floats:
    """Return values at some of a run's times as values at all of them, NaN where there is none."""
    made = np.full(len(times), np.nan)
    made[np.searchsorted(times, own)] = values
    return made


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
    values: tuple[Times, Sequence[Column]] | None = None,
) -> str:
    """Return panels with a legend, made of (class, words), above them, and a caption below.

    With `values`, at times that its x axis goes over, the figure has its table behind a disclosure, and a script reads
    them off.
    """
    listed = "".join(f'<li class="{style}">{text(words)}</li>' for style, words in key)
    legend = f'<ul class="legend">{listed}</ul>' if listed else ""
    stored = for_script(*values) if values else ""
    shown = disclosed(*values, name) if values else ""
    drawn = svg.figure(name, about, panels, ticks)
    return f"<figure>{legend}{drawn}<figcaption>{caption}</figcaption>{shown}{stored}</figure>"


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
