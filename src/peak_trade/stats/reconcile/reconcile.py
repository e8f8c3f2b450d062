"""Hold an engine's own figures against ours, and find the convention by which each is what it is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from peak_trade.market.trades import Trades
from peak_trade.stats.reconcile.measures import MEASURES, Measure
from peak_trade.stats.reconcile.names import Named, named
from peak_trade.stats.reconcile.ways import AXES, OURS, Material, Way, ways
from peak_trade.stats.values import Floats, Times

__all__ = ["EDITION", "NAME", "reconcile"]

NAME = "reconciliation.json"
EDITION = 1
"""Of the tables: who changes what they say of a figure raises it, so that no older run is held against it."""
_DEEPEST = 8
_MOST = 500  # figures of an engine
_CLOSE = 1e-9  # relative: sums in another order
_FEW = 3  # significant digits, of a figure that was rounded
_MANY = 12
_TRIED = 3  # ways for a figure of `_FEW` digits, ten times more for each further one: chance meets as many


def reconcile(
    engine: str,
    own: Mapping[str, Any],
    timestamp: Times,
    equity: Floats,
    trades: Trades | None,
    stats: Mapping[str, float | int | None],
    *,
    left: Trades | None = None,
    initial_cash: float | None = None,
    risk_free_rate: float = 0.0,
) -> list[dict[str, Any]]:
    """Return a row for each of the engine's figures that is a number.

    A row has `name` and `value` as the engine has them, `stat`, the key of ours that it is held against (None where
    there is none), `ours` in the engine's unit, a `status` and the `convention`: `same`; `explained`, by a convention
    that gives the engine's figure to its last digit; `unexplained`; `unknown`, of a name that the table has not.
    `left` are the trades that were open at the end. All of it follows from what is sealed: whoever has that comes to
    the same rows.
    """
    rate = stats.get("periods_per_year")
    per_year = None if rate is None else float(rate)
    material = Material(
        timestamp, equity, closed=trades, left=left, cash=initial_cash, per_year=per_year, rate=risk_free_rate
    )
    rows = []
    for name, value in list(_numbers(own))[:_MOST]:
        found = named(engine, name)
        if found is None:
            rows.append(_row(name, value, None, None, "unknown", ""))
            continue
        with np.errstate(all="ignore"):
            rows.append(_held(name, value, found, material, trades, stats))
    return rows


def _row(
    name: str, value: float | int, stat: str | None, ours: float | None, status: str, convention: str
) -> dict[str, Any]:
    return {"name": name, "value": value, "stat": stat, "ours": ours, "status": status, "convention": convention}


def _numbers(own: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float | int]]:
    """Yield the figures that are numbers, those within others by a name in parts."""
    for name, value in own.items():
        called = f"{before}{name}"
        if isinstance(value, Mapping) and before.count(".") < _DEEPEST:
            yield from _numbers(value, f"{called}.")
        elif isinstance(value, int | float) and type(value) is not bool and math.isfinite(value):
            yield called, value


def _held(
    name: str,
    value: float | int,
    found: Named,
    material: Material,
    trades: Trades | None,
    stats: Mapping[str, float | int | None],
) -> dict[str, Any]:
    first = MEASURES[found.measures[0]]
    told = stats.get(first.stat) if first.stat else _work(first, material, trades, OURS)
    ours = None if told is None or not math.isfinite(told) else float(told) * abs(found.scale)
    stat = first.stat or None
    signs = _signs(found.scale)
    if ours is not None and any(_meets(value, ours * sign) for sign in (1.0, -1.0) if sign in signs):
        words = _unit(found.scale, value, ours)
        return _row(name, value, stat, ours, "same" if not words and stat else "explained", words or first.words)
    for measure, way in islice(_tried(found), _at_most(value)):
        if not material.rate and way.rate in ("0", "simple"):
            way = way._replace(rate="ours")  # which is none either
        worked = _work(measure, material, trades, way)
        worked *= abs(found.scale)
        if any(_meets(value, worked * sign) for sign in signs):
            unit = _unit(found.scale, value, worked)
            words = "; ".join(part for part in (measure.words, way.words(measure.axes), unit) if part)
            return _row(name, value, stat, ours, "explained", words or "worked out from all digits")
    return _row(name, value, stat, ours, "unexplained", "")


def _signs(scale: float) -> tuple[float, ...]:
    """Return the signs that a figure may have: an engine's drawdown is a loss in one version, a size in another."""
    return (1.0, -1.0) if scale < 0.0 else (1.0,)


def _unit(scale: float, value: float, ours: float) -> str:
    return "without its sign" if scale < 0.0 and value * ours < 0.0 else ""


def _tried(found: Named) -> Iterator[tuple[Measure, Way]]:
    """Yield what a figure may be: as the engine is known to do it, near that, then every convention of its axes."""
    measures = [MEASURES[name] for name in found.measures]
    yield from ((measure, found.way) for measure in measures)
    for measure in measures:
        yield from ((measure, way) for way in _near(found.way, measure.axes))
        yield from ((measure, way) for way in ways(measure.axes))


def _near(way: Way, axes: tuple[str, ...]) -> Iterator[Way]:
    """Yield the ways that differ from `way` on one axis: that of the periods a year, which bars decide, first."""
    for axis in sorted(axes, key=lambda axis: axis != "year"):
        for choice in AXES[axis]:
            if choice.key != getattr(way, axis):
                yield way._replace(**{axis: choice.key})


def _work(measure: Measure, material: Material, trades: Trades | None, way: Way) -> float:
    try:
        return float(measure.of(material, trades, way))
    except (ArithmeticError, ValueError, LookupError):
        return math.nan


def _digits(value: float | int) -> tuple[int, int]:
    """Return how many digits a number shows, and how many of them after the point."""
    text = repr(value).lower().lstrip("-")
    mantissa, _, exponent = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    return len((whole + fraction).lstrip("0")), len(fraction) - int(exponent or 0)


def _at_most(value: float | int) -> int | None:
    """Return how many ways a figure is tried in: one of few digits would be met by chance.

    >>> _at_most(1.23), _at_most(1.2345), _at_most(1.234567890123)
    (3, 300, None)
    """
    digits = _digits(value)[0]
    return _TRIED * 10 ** max(digits - _FEW, 0) if digits < _MANY else None


def _meets(value: float | int, worked: float) -> bool:
    """Tell whether a figure that was worked out is the one shown, to the last digit of it.

    >>> _meets(1.2346, 1.23456), _meets(1.2346, 1.2344), _meets(0.5, 0.46)
    (True, False, False)
    """
    if not math.isfinite(worked):
        return False
    if abs(worked - value) <= _CLOSE * max(abs(value), abs(worked)):
        return True
    digits, after = _digits(value)
    return _FEW <= digits < _MANY and type(value) is float and abs(worked - value) <= 0.5000001 * 10.0**-after
