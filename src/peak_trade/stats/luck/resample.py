"""What else the same returns could have come to: bands from a stationary bootstrap, which keeps what follows what."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from peak_trade.stats.sample import Sample
from peak_trade.stats.values import Floats, NoValueError

__all__ = ["Band", "bands", "block_length", "times_of"]

TIMES = 1_000
FEWEST = 8
"""Returns that there have to be."""
_LEAST = 100
_WORK = 20_000_000  # returns drawn in all: some two seconds
_AT_ONCE, _IN_CACHE = 2_000_000, 100_000  # returns that are drawn, and that are worked out, at once
Band = tuple[float, float, float]
"""The 5 % quantile, the median and the 95 % quantile."""


def block_length(returns: Floats) -> float:
    """Return the mean length of blocks that suits how long returns remember, in bars, 1 at least.

    Formula: (2 G**2 / D)**(1/3) T**(1/3), G = sum of w |k| R(k), D = 2 (sum of w R(k))**2 over lags k of at most 2 m:
    R the autocovariance, w a flat-top window, and m the lag after which none of several in a row is significant.
    Source: D. Politis, H. White, "Automatic Block-Length Selection for the Dependent Bootstrap", Econometric Reviews
    23(1), 2004, as corrected by A. Patton, D. Politis, H. White, in the same journal 28(4), 2009.
    """
    count = len(returns)
    if count < FEWEST:
        return 1.0
    centred = Sample(returns).centred
    row = max(5, math.ceil(math.log10(count)))
    furthest = min(math.ceil(math.sqrt(count)) + row, count - 2)
    limit = 2.0 * math.sqrt(math.log10(count) / count)
    covariance = np.array([float((centred[lag:] * centred[: count - lag]).sum()) for lag in range(furthest + 1)])
    covariance /= count
    if covariance[0] <= 0.0:
        return 1.0
    small = np.abs(covariance[1:] / covariance[0]) < limit
    last = next((lag for lag in range(len(small) - row + 1) if small[lag : lag + row].all()), None)
    if last is None:
        significant = np.flatnonzero(~small)
        last = int(significant[-1]) + 1 if len(significant) else 1
    reach = min(2 * max(last, 1), furthest)
    lags = np.arange(1, reach + 1)
    window = np.minimum(1.0, 2.0 * (1.0 - lags / reach)) * covariance[1 : reach + 1]
    slope, level = 2.0 * float((window * lags).sum()), covariance[0] + 2.0 * float(window.sum())
    if level == 0.0:
        return 1.0
    length = (slope * slope / (level * level)) ** (1.0 / 3.0) * count ** (1.0 / 3.0)
    return float(min(max(length, 1.0), math.ceil(min(3.0 * math.sqrt(count), count / 3.0))))


def times_of(count: int) -> int:
    """Return how often so many returns are drawn again: a thousand times, or fewer of many, and 100 at least."""
    return max(min(TIMES, _WORK // max(count, 1)), _LEAST)


def bands(
    returns: Floats, periods_per_year: float, rate: float = 0.0, *, seed: int = 0, length: float | None = None
) -> Mapping[str, Band]:
    """Return bands for the Sharpe ratio and the growth a year, and for the deepest drawdown.

    Blocks of a random length (geometric, with the mean `length`) are put one after the other, and the end of the
    returns is followed by their start, a thousand times, or fewer where there are many returns, 100 at least. The
    same returns and seed give the same bands. `rate` is the risk-free rate per bar.
    Raises NoValueError for fewer than 8 returns.
    Source: D. Politis, J. Romano, "The Stationary Bootstrap", Journal of the American Statistical Association 89, 1994.
    """
    count = len(returns)
    if count < FEWEST:
        raise NoValueError("too few returns to draw from")
    times = times_of(count)
    fresh = 1.0 / (block_length(returns) if length is None else length)
    random = np.random.default_rng(seed)
    step, few = max(_AT_ONCE // count, 1), max(_IN_CACHE // count, 1)
    found = []
    for at in range(0, times, step):
        rows = min(step, times - at)
        begins = random.random((rows, count)) < fresh
        begins[:, 0] = True
        starts = random.integers(count, size=(rows, count))
        for row in range(0, rows, few):
            drawn = returns[_places(begins[row : row + few], starts[row : row + few])]
            found.append(_figures(drawn, periods_per_year, rate))
    columns = np.concatenate(found, axis=1)
    quantiles = {
        name: np.quantile(column[np.isfinite(column)], (0.05, 0.5, 0.95))
        for name, column in zip(("sharpe", "cagr", "max_drawdown"), columns, strict=True)
        if np.isfinite(column).any()
    }
    return {name: (float(low), float(middle), float(high)) for name, (low, middle, high) in quantiles.items()}


def _places(begins: npt.NDArray[np.bool_], starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return indexes of returns, shape (rows, count): the start where a block begins, as each row does, else the next.

    >>> _places(np.array([[True, False, True, False]]), np.array([[2, 0, 3, 0]]))
    array([[2, 3, 3, 0]])
    """
    count = begins.shape[1]
    begun = np.flatnonzero(begins)
    shift = starts.ravel()[begun] - begun % count
    places = np.repeat(shift, np.diff(begun, append=begins.size)).reshape(begins.shape) + np.arange(count)
    places[places >= count] -= count
    return places


def _figures(drawn: Floats, per_year: float, rate: float) -> Floats:
    """Return the Sharpe ratio, the growth a year and the deepest drawdown of each row, shape (3, rows)."""
    count = drawn.shape[1]
    with np.errstate(all="ignore"):
        sharpe = (drawn.mean(axis=1) - rate) / drawn.std(axis=1, ddof=1) * math.sqrt(per_year)
        growth = np.cumprod(1.0 + drawn, axis=1)
        cagr = np.where(growth[:, -1] > 0.0, np.abs(growth[:, -1]) ** (per_year / count) - 1.0, -1.0)
        peak = np.maximum(np.maximum.accumulate(growth, axis=1), 1.0)
        deepest = np.minimum((growth / peak - 1.0).min(axis=1), 0.0)
    return np.stack([sharpe, cagr, deepest])
