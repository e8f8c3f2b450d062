"""Timeframes: how long a bar is, by its name and by the bars."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from peak_trade.errors import InputError

__all__ = [
    "DAY",
    "UNIT_SECONDS",
    "Times",
    "parse_timeframe",
    "shortest_step",
    "spacing",
    "spacing_fits",
    "steps_fit",
    "timeframe_seconds",
]

DAY = 86_400
UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": DAY, "w": 7 * DAY, "M": 365 * DAY // 12}

Times = npt.NDArray[np.datetime64]


def parse_timeframe(text: str) -> tuple[int, str]:
    """Split a timeframe into its count and unit: s, m (minute), h, d, w or M (month).

    >>> parse_timeframe("15m")
    (15, 'm')
    """
    count, unit = text[:-1], text[-1:]
    if unit not in UNIT_SECONDS or not (count.isascii() and count.isdigit()) or count[0] == "0" or len(count) > 4:
        raise InputError(
            f"`{text}` is not a timeframe",
            hint="write a number and one of s, m, h, d, w, M (month), such as 1m, 15m, 1h, 4h, 1d, 1w or 1M",
        )
    return int(count), unit


def timeframe_seconds(timeframe: str) -> int:
    """Return a timeframe's length in seconds; a month is a twelfth of 365 days.

    >>> timeframe_seconds("4h")
    14400
    """
    count, unit = parse_timeframe(timeframe)
    return count * UNIT_SECONDS[unit]


def spacing(timestamp: Times) -> float | None:
    """Return the lower median of the seconds between bars, None for fewer than two.

    The lower median, because two bars a day are as many steps within the day as over night.
    """
    if len(timestamp) < 2:
        return None
    steps = np.diff(timestamp.view(np.int64))
    middle = (len(steps) - 1) // 2
    return float(np.partition(steps, middle)[middle]) / 1e9


def timeframe_of(timestamp: Times) -> str:
    """Return the timeframe that times have by their median step; empty where it is none.

    >>> timeframe_of(np.datetime64("2024-01-01", "ns") + np.arange(9) * np.timedelta64(4, "h"))
    '4h'
    """
    seconds = spacing(timestamp)
    if not seconds:
        return ""
    if 28 * DAY <= seconds <= 31 * DAY:
        return "1M"
    fits = [(unit, seconds / length) for unit, length in UNIT_SECONDS.items() if unit != "M" and seconds % length == 0]
    unit, count = fits[-1] if fits else ("", 0.0)
    return f"{int(count)}{unit}" if unit and count < 10_000 else ""


def steps_fit(timeframe: str, timestamp: Times) -> bool:
    """Tell whether bars can be of this timeframe: by their median step, or as the shortest of their steps.

    Where a session has two bars, or few days stand around holidays, the step between sessions is the commoner one: a
    fifth of the steps are enough if none is shorter.
    """
    seconds = spacing(timestamp)
    if seconds is None or spacing_fits(timeframe, seconds):
        return True
    shortest, share = shortest_step(timestamp)
    return share >= 0.2 and spacing_fits(timeframe, shortest)


def shortest_step(timestamp: Times) -> tuple[float, float]:
    """Return the shortest step in seconds, and on which share of the steps it is; for at least two bars."""
    steps = np.diff(timestamp.view(np.int64))
    least = steps.min()
    return float(least) / 1e9, float(np.mean(steps == least))


def spacing_fits(timeframe: str, seconds: float) -> bool:
    """Tell whether bars that many seconds apart can be of this timeframe.

    Months may be 28 to 31 days long; of several days, some may be a weekend.
    """
    count, unit = parse_timeframe(timeframe)
    if unit == "M":
        return 28 * count * DAY <= seconds <= 31 * count * DAY
    if unit == "d" and count > 1:
        return count * DAY <= seconds <= (count + 2 * -(-count // 5)) * DAY
    return seconds == count * UNIT_SECONDS[unit]
