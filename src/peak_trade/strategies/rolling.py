"""Rolling kernels on price series: exact in their prefix, without drift, fast.

All take a float64 array of shape (N,) and return one of the same shape, in the unit of the input.
Value i is made from `x[:i + 1]` alone, by the same operations in the same order however long the array is:
cutting later values off changes no bit of the earlier ones (the prefix property).
The first `window - 1` values have no full window and are NaN.

A running cumulative sum would be shorter, but its rounding error depends on all that came before, so that two averages
of one flat stretch can cross. Here a window is put together from two windows of half its size (doubling: log2(window)
passes over the data), each value knows only its own window, and a constant stretch gives exactly that constant, or a
standard deviation of exactly 0. What rounding can have made of a value has a bound, so that what is equal in decimals
can be told from what is not: `ROUNDING` for windows, `ema_slack` and `wilder_slack` for what fades. Only `+ - * /` and
`sqrt` are used, which IEEE 754 rounds alike on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from peak_trade.errors import InputError

__all__ = [
    "ROUNDING",
    "Memo",
    "ema",
    "ema_lag",
    "ema_slack",
    "ema_slack_of",
    "most_slack",
    "lag",
    "rolling_max",
    "rolling_mean",
    "rolling_min",
    "rolling_std",
    "rolling_sum",
    "wilder",
    "wilder_slack",
]

Floats = npt.NDArray[np.float64]

ROUNDING = 2.0**-48
"""Of a mean: as far as it, or a standard deviation beside it, can be from what the decimals give, and six times that.

Measured against integers over windows of 2 to 10,000 bars: 5 * 2**-53. Two means of cents that differ are ten thousand
times as far apart up to windows of 200 and prices of 100,000.
"""

_NOISE = 2.0**-50
"""Of a price: as far as a change between two of them, and what is worked out with it, can be from the decimals'."""

_BLOCK = 16_384
"""Values worked on at a time: a few arrays of this size (128 KB each) stay in the cache of one core."""

_LANE = 128
"""Values in one lane of `_decayed`. Fixed, because the order of the operations, and so the last bit, hangs on it."""

_NOTHING = 1e-200
"""What is left of a past so far away that no price has digits for it."""


class Memo:
    """What windows over frozen bars came to, so that trials of one search don't work out the same one again.

    A value hangs on its kernel, its window and the memory that it was made from, which nobody can write to and which is
    kept as long as the value: it is the same, and read-only. The oldest make way, so that all take `most` bytes.
    """

    def __init__(self, most: int = 1 << 26) -> None:
        self._most, self._size = most, 0
        self._kept: dict[tuple[Any, ...], tuple[Floats, Any]] = {}

    @contextmanager
    def used(self) -> Iterator[None]:
        """Use it for what is worked out within the block."""
        _memos.append(self)
        try:
            yield
        finally:
            _memos.pop()

    def get(self, kernel: Callable[[Floats, int], Floats], x: Floats, window: int) -> Floats:
        """Return what the kernel makes of `x`, an array over bytes."""
        key = kernel, window, x.__array_interface__["data"][0], x.shape, x.strides, x.dtype
        found = self._kept.get(key)
        if found is None:
            value = _computed(kernel, x, window)
            value.flags.writeable = False
            self._kept[key] = found = value, x.base
            self._size += value.nbytes
            while self._size > self._most:
                self._size -= self._kept.pop(next(iter(self._kept)))[0].nbytes
        return found[0]


_memos: list[Memo] = []


def rolling_sum(x: Floats, window: int) -> Floats:
    """Return the sum of the last `window` values.

    >>> rolling_sum(np.array([1.0, 2.0, 3.0, 4.0]), 3).tolist()
    [nan, nan, 6.0, 9.0]
    """
    return _in_blocks(_sum, x, window)


def rolling_mean(x: Floats, window: int) -> Floats:
    """Return the arithmetic mean of the last `window` values.

    >>> rolling_mean(np.array([1.0, 2.0, 3.0, 4.0]), 3).tolist()
    [nan, nan, 2.0, 3.0]
    """
    return _in_blocks(_mean, x, window)


def rolling_std(x: Floats, window: int) -> Floats:
    """Return the population standard deviation (ddof = 0) of the last `window` values.

    Squared deviations are merged pairwise as in Chan, Golub and LeVeque (1979), "Updating Formulae and a Pairwise
    Algorithm for Computing Sample Variances": no square of a price is ever taken, so nothing cancels.

    >>> rolling_std(np.array([1.0, 1.0, 3.0, 3.0]), 2).tolist()
    [nan, 0.0, 1.0, 0.0]
    """
    return _in_blocks(_std, x, window)


def rolling_max(x: Floats, window: int) -> Floats:
    """Return the highest of the last `window` values.

    >>> rolling_max(np.array([3.0, 1.0, 2.0]), 2).tolist()
    [nan, 3.0, 2.0]
    """
    return _in_blocks(_highest, x, window)


def rolling_min(x: Floats, window: int) -> Floats:
    """Return the lowest of the last `window` values.

    >>> rolling_min(np.array([3.0, 1.0, 2.0]), 2).tolist()
    [nan, 1.0, 1.0]
    """
    return _in_blocks(_lowest, x, window)


def lag(x: Floats, bars: int) -> Floats:
    """Return the value `bars` bars ago; the first `bars` are NaN.

    >>> lag(np.array([1.0, 2.0, 3.0]), 1).tolist()
    [nan, 1.0, 2.0]
    """
    _check_window(bars)
    out = np.full(len(x), np.nan)
    out[bars:] = x[:-bars]
    return out


def ema(x: Floats, span: int) -> Floats:
    """Return the exponential moving average `e[i] = e[i-1] + a (x[i] - e[i-1])`, `a = 2 / (span + 1)`, `e[0] = x[0]`.

    It is the recursion that pandas calls `ewm(span=span, adjust=False)`. It is made known from bar `span` on, like a
    window of that length, since the seed `x[0]` weighs too much before.

    >>> ema(np.array([1.0, 2.0, 4.0]), 3).tolist()
    [nan, nan, 2.75]
    """
    return x - ema_lag(x, span)


def ema_lag(x: Floats, span: int) -> Floats:
    """Return how far the exponential moving average is behind: `x - ema(x, span)`, positive while x rises.

    Compare lags rather than averages: `ema(x, fast) > ema(x, slow)` is `ema_lag(x, fast) < ema_lag(x, slow)`.
    A lag is built from changes of x, so that it is exactly 0 on a constant series and fades on a flat stretch with all
    its digits, while two averages that approach the same price end up in its last bit and cross there by rounding.

    >>> ema_lag(np.array([1.0, 2.0, 4.0]), 3).tolist()
    [nan, nan, 1.25]
    """
    _check_window(span)
    decay = 1.0 - 2.0 / (span + 1.0)
    behind = decay * _decayed(np.diff(x, prepend=x[:1]), decay)  # lag[i] = decay (lag[i-1] + x[i] - x[i-1])
    behind[: span - 1] = np.nan
    return behind


def ema_slack(x: Floats, span: int) -> Floats:
    """Return how far `ema_lag(x, span)` can be from what the decimals of `x` give.

    Each change of x brings the rounding of two prices, which then fades as the lag itself does: after a flat stretch of
    whatever length the one is still as small a part of the other. A series that has not changed has none.

    >>> ema_slack(np.array([1.0, 1.0, 2.0]), 1).tolist() == [0.0, 0.0, 0.0]
    True
    >>> (ema_slack(np.array([1.0, 1.0, 2.0, 2.0]), 3) * 2.0**50).tolist()
    [nan, nan, 1.0, 0.5]
    """
    return ema_slack_of(_noise(x), span)


def ema_slack_of(noise: Floats, span: int) -> Floats:
    """Return how far an `ema_lag` can be off if each change that goes into it is off by `noise`."""
    _check_window(span)
    decay = 1.0 - 2.0 / (span + 1.0)
    slack = decay * _decayed(noise, decay)
    slack[: span - 1] = np.nan
    return slack


def most_slack(x: Floats, span: int) -> float:
    """Return what no `ema_slack(x, span)` is above.

    >>> most_slack(np.array([1.0, 2.0]), 3) * 2.0**50
    4.0
    """
    return _NOISE * float(np.abs(x).max(initial=0.0)) * (span + 1.0) / 2.0


def wilder_slack(close: Floats, period: int) -> Floats:
    """Return how far `wilder` of the changes of `close`, or of a part of them, can be from what the decimals give.

    >>> (wilder_slack(np.array([1.0, 1.0, 2.0]), 2) * 2.0**50).tolist()
    [nan, nan, 1.0]
    """
    slack = np.full(len(close), np.nan)
    slack[1:] = wilder(_noise(close)[1:], period)
    return slack


def _noise(x: Floats) -> Floats:
    """Return what rounding can have made of each change of `x`; nothing where there was none."""
    before = np.concatenate([x[:1], x[:-1]])
    return np.where(x == before, 0.0, _NOISE * np.maximum(np.abs(x), np.abs(before)))


def wilder(x: Floats, period: int) -> Floats:
    """Return Wilder's average `w[i] = w[i-1] + (x[i] - w[i-1]) / period`, begun with the mean of the first `period`.

    Source: Wilder (1978), "New Concepts in Technical Trading Systems".

    >>> wilder(np.array([1.0, 3.0, 4.0]), 2).tolist()
    [nan, 2.0, 3.0]
    """
    _check_window(period)
    out = np.full(len(x), np.nan)
    if len(x) >= period:
        shares = x[period - 1 :] / period
        shares[0] = _mean(x[:period], period)[0]
        out[period - 1 :] = _decayed(shares, 1.0 - 1.0 / period)
    return out


def _check_window(window: int) -> None:
    if window < 1:
        raise InputError(f"a window is {window}, allowed: 1 or more bars")


def _in_blocks(kernel: Callable[[Floats, int], Floats], x: Floats, window: int) -> Floats:
    """Run `kernel`, which maps n values to those of its n - window + 1 full windows, over cache-sized blocks."""
    _check_window(window)
    memory: Any = x.base
    if _memos and type(memory) is bytes:
        return _memos[-1].get(kernel, x, window)
    return _computed(kernel, x, window)


def _computed(kernel: Callable[[Floats, int], Floats], x: Floats, window: int) -> Floats:
    out = np.empty(len(x))
    out[: window - 1] = np.nan
    step = max(_BLOCK, 4 * window)
    for start in range(window - 1, len(x), step):
        out[start : start + step] = kernel(x[start - window + 1 : start + step], window)
    return out


def _sum(x: Floats, window: int) -> Floats:
    count = len(x) - window + 1
    sums, total, done, size = x, np.zeros(count), 0, 1
    while True:  # sums: of `size` values each; total: of the `done` first values of each window
        if window & size:
            total += sums[done : done + count]
            done += size
        if done == window:
            return total
        sums = sums[:-size] + sums[size:]
        size *= 2


def _mean(x: Floats, window: int) -> Floats:
    count = len(x) - window + 1
    sums, mean, done, size = x, np.zeros(count), 0, 1
    while True:
        if window & size:
            # Means are merged, not sums: equal means merge to exactly that mean. Dividing by a power of 2 is exact.
            part = sums[done : done + count] * (1.0 / size)
            part -= mean
            part *= size / (done + size)
            mean += part
            done += size
        if done == window:
            return mean
        sums = sums[:-size] + sums[size:]
        size *= 2


def _std(x: Floats, window: int) -> Floats:
    count = len(x) - window + 1
    sums, squares, done, size = x, np.zeros(len(x)), 0, 1  # squares: squared deviations from the mean, summed
    mean, square = np.zeros(count), np.zeros(count)
    while True:
        if window & size:
            gap = sums[done : done + count] * (1.0 / size)
            gap -= mean
            square += squares[done : done + count]
            square += gap * gap * (done * size / (done + size))
            mean += gap * (size / (done + size))
            done += size
        if done == window:
            square /= window
            return np.sqrt(square, out=square)
        gap = sums[size:] - sums[:-size]
        gap *= gap
        gap *= 0.5 / size
        gap += squares[size:]
        gap += squares[:-size]
        sums, squares = sums[:-size] + sums[size:], gap
        size *= 2


def _highest(x: Floats, window: int) -> Floats:
    return _extreme(x, window, np.maximum)


def _lowest(x: Floats, window: int) -> Floats:
    return _extreme(x, window, np.minimum)


def _extreme(x: Floats, window: int, pick: Callable[[Floats, Floats], Floats]) -> Floats:
    size = 1
    while 2 * size < window:
        x = pick(x[:-size], x[size:])
        size *= 2
    rest = window - size  # two windows of a power of 2 that overlap cover any window
    return pick(x[: len(x) - rest], x[rest:])


def _decayed(x: Floats, decay: float) -> Floats:
    """Return `y[i] = x[i] + decay * y[i-1]`, begun with `y[0] = x[0]`.

    The array is cut into lanes of `_LANE` values that run side by side, each from 0; then what the lane before had
    left over is added, faded by its distance. A rest below `_NOTHING` is 0: it would go on to shrink into subnormal
    numbers, which are slow and have few digits left to compare.
    """
    lanes = -(-len(x) // _LANE)
    padded = np.zeros(lanes * _LANE)
    padded[: len(x)] = x
    y = padded.reshape(lanes, _LANE).T.copy()
    for i in range(1, _LANE):
        y[i] += decay * y[i - 1]
    fading = np.multiply.accumulate(np.full(_LANE, decay))
    last = float(fading[-1])
    left = np.array([*accumulate(y[-1].tolist(), lambda before, own: own + last * before, initial=0.0)], np.float64)
    left[np.abs(left) < _NOTHING] = 0.0
    y += fading[:, None] * left[:-1]
    return y.T.reshape(-1)[: len(x)]
