"""What a statistic may be: a finite number, or `Undefined` with the reason.

Functions marked `@or_undefined` always return; inside, they raise `NoValueError(reason)` where there is no answer.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt
from msgspec import Struct

__all__ = [
    "NOISE",
    "REASONS",
    "Floats",
    "NoValueError",
    "Times",
    "Undefined",
    "finite",
    "mean_of",
    "need",
    "or_undefined",
    "quiet",
]

P = ParamSpec("P")
T = TypeVar("T")
Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]

NOISE = 1e-14
"""Returns that differ by less do not vary: it is some fifty times the rounding error of an equity value."""

REASONS = {
    "no bars": "there is no equity at all",
    "fewer than two bars": "one bar has no return",
    "fewer than two returns": "a spread needs two returns, so three bars",
    "returns do not vary": "the returns are equal, but for rounding; a ratio to their spread says nothing",
    "no return below the risk-free rate": "there is no downside to divide by",
    "less than a twelfth of a year of bars": "a rate per year worked out from days says nothing, and may overflow",
    "no calendar, and less than a twelfth of a year of bars": "nothing tells how many bars make a year",
    "equity fell to zero or below": "growth cannot be compounded through zero; a short can lose more than there is",
    "initial equity is zero or below": "there is nothing to take a fraction of",
    "mean equity is zero or below": "there is nothing to take a fraction of",
    "no drawdown": "equity never fell below an earlier peak",
    "no trades": "the run closed no trade",
    "no winning trades": "no trade earned more than it cost",
    "no losing trades": "no trade lost money",
    "no losing tail": "the 5 % quantile of the returns is not below zero: it is the divisor",
    "bars are longer than a day": "no day has a return of its own",
    "bars are longer than a month": "no month has a return of its own",
    "no excursions": "the trades were kept without mae and mfe, as by versions before 0.3",
    "no benchmark": "the run has none",
    "benchmark returns do not vary": "there is nothing to regress on",
    "active returns do not vary": "the returns less the benchmark's are equal, but for rounding",
    "the Sharpe ratio is not above the one to beat": "no number of bars would show what is not there",
    "fewer than two trials with returns": "one trial is not chosen from among others",
    "the returns of other engines' trials are not kept": "what needs all returns side by side can't be told",
    "no trial with returns": "no directory of a trial on these bars is there and as it was sealed",
    "too few returns to draw from": "a bootstrap of a handful of returns says nothing, nor does their correlation",
    "too few bars to cut into blocks": "each of the blocks needs two returns",
    "the standard error is zero": "the returns take two values only, whose skew cancels the error of the Sharpe ratio",
    "not a finite number": "the arithmetic left the range of a 64-bit float",
    "no trades given": "another engine's equity came without its trades: how many there were is not known",
    "no position given": "the account holds several symbols, or nobody said what it held",
    "not every trade says it": "a trade of another engine lacks what this needs",
    "trades of several currencies": "amounts of different money are not added",
}
"""Every reason a statistic can be null for, and what it means."""


class Undefined(Struct, frozen=True):
    """A statistic that has no value, and why: one of `REASONS`."""

    reason: str


class NoValueError(Exception):
    """Raised inside a `@or_undefined` function, which then returns `Undefined(reason)`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def need(value: T | Undefined) -> T:
    """Return `value`, or raise `NoValueError` with its reason: one undefined part leaves the whole undefined."""
    if isinstance(value, Undefined):
        raise NoValueError(value.reason)
    return value


def finite(value: float) -> float:
    """Return `value`, or raise `NoValueError`; for a divisor, since a ratio to infinity would pass as zero."""
    if not math.isfinite(value):
        raise NoValueError("not a finite number")
    return float(value)


def mean_of(values: npt.NDArray[np.float64] | npt.NDArray[np.int64]) -> float:
    """Return the mean of some values, to the bit what `values.mean()` is, which takes twice as long for a hundred."""
    return float(np.add.reduce(values, dtype=np.float64) / len(values))


_QUIET = ContextVar("quiet", default=False)


@contextmanager
def quiet() -> Iterator[None]:
    """Let NumPy warn of nothing; to enter it once is cheaper than for each of many statistics that use each other."""
    before = _QUIET.set(True)
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        _QUIET.reset(before)


def or_undefined(function: Callable[P, T]) -> Callable[P, T | Undefined]:
    """Make `function` answer always: it returns finite numbers or `Undefined`, and warns of nothing."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T | Undefined:
        try:
            if _QUIET.get():
                value = function(*args, **kwargs)
            else:
                with quiet():
                    value = function(*args, **kwargs)
        except NoValueError as missing:
            return Undefined(missing.reason)
        except ArithmeticError:  # overflow, or a division by what underflowed to zero
            return Undefined("not a finite number")
        if isinstance(value, float):  # most of them, at a tenth of the time
            return value if math.isfinite(value) else Undefined("not a finite number")
        return value if np.isfinite(value).all() else Undefined("not a finite number")  # type: ignore[call-overload]

    return wrapped
