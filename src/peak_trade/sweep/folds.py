"""Which bars are train and which are test: pure functions of the bars' times.

walk-forward       train ░░░░░░▒ test ████          ▒ the embargo, cut off from train
                        train ░░░░░░▒ test ████
cross-validation   groups of as many bars each, ░▒|████|▒░▒|████|▒░: those of a split are test, the others train
"""

from __future__ import annotations

import itertools
import re

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.errors import InputError
from peak_trade.market.instants import YEARS, iso
from peak_trade.market.ranges import months_before

__all__ = [
    "Fold",
    "Groups",
    "Length",
    "Walk",
    "Window",
    "combinatorial",
    "length",
    "walk_forward",
]

_LENGTH = re.compile(r"([1-9]\d{0,4})(y|M|w|d|h|m)|([1-9]\d{0,7})bars", re.ASCII)
_SECONDS = {"w": 7 * 86_400, "d": 86_400, "h": 3600, "m": 60}
_MOST_FOLDS = 1_000
_MOST_SPLITS = 1_000
_FEWEST = 2  # bars of a window: a decision at one, its fill at the next
_EVER = 2**63 - 1

Times = npt.NDArray[np.datetime64]


class Length(Struct, frozen=True):
    """So much time, or so many bars (`unit` is `bars`)."""

    count: int
    unit: str

    def after(self, time: int, times: int = 1) -> int:
        """Return the time so many lengths after another (before it, of a negative number), in ns since 1970.

        Of months, it is the same day of the month, or the last one of a shorter month.
        """
        if self.unit in _SECONDS:
            return max(min(time + times * self.count * _SECONDS[self.unit] * 10**9, _EVER), -_EVER)
        months = times * self.count * (12 if self.unit == "y" else 1)
        moment = np.datetime64(time, "ns")
        year = moment.astype("M8[Y]").astype(int) + 1970 + months / 12
        if not YEARS[0] < year < YEARS[1]:
            return _EVER if months > 0 else -_EVER
        return int(months_before(moment, -months).astype(np.int64))


class Window(Struct, frozen=True):
    """Bars `first` up to `end`; `begins` and `ends` are the times of the first and of the last of them."""

    first: int
    end: int
    begins: str
    ends: str

    @classmethod
    def of(cls, times: Times, first: int, end: int) -> Window:
        """Return the window over some of the bars, at least one."""
        return cls(first, end, iso(times[first]), iso(times[end - 1]))

    @property
    def span(self) -> tuple[int, int]:
        """Its bars, as a task has them."""
        return self.first, self.end

    def __len__(self) -> int:
        return self.end - self.first


class Fold(Struct, frozen=True):
    """What is chosen on `train` is traded on `test`; `complete` is false of a last test that ends with the bars."""

    train: Window
    test: Window
    complete: bool = True


class Walk(Struct, frozen=True):
    """Folds in order of time. `left_out` counts windows that are no fold, as too few bars lie in them."""

    folds: tuple[Fold, ...]
    left_out: int = 0


class Groups(Struct, frozen=True):
    """Groups of bars: `whole` ones, which are traded, and `train`, the same less the embargo at each inner edge.

    `splits` are the groups that are test in each split.
    """

    whole: tuple[Window, ...]
    train: tuple[Window, ...]
    splits: tuple[tuple[int, ...], ...]

    @property
    def paths(self) -> list[tuple[int, ...]]:
        """For each path, the split that each group is traded by: the j-th of those that test it, in path j."""
        by = [[at for at, split in enumerate(self.splits) if group in split] for group in range(len(self.whole))]
        return [tuple(path) for path in zip(*by, strict=True)]


def length(text: str, of: str) -> Length:
    """Return what `730d`, `2y` or `500bars` is; `of` is what it is a length of, for the InputError where it is none.

    >>> length("730d", "train"), length("500bars", "train")
    (Length(count=730, unit='d'), Length(count=500, unit='bars'))
    """
    if not (found := _LENGTH.fullmatch(text)):
        raise InputError(
            f"{of} is {text[:60]!r}, which is neither a length of time nor a number of bars",
            hint="such as 730d or 500bars; the units are y, M (month), w, d, h, m and bars",
        )
    return Length(int(found[3]), "bars") if found[3] else Length(int(found[1]), found[2])


def walk_forward(
    times: Times, train: Length, test: Length, embargo: Length | None = None, *, anchored: bool = False
) -> Walk:
    """Return the folds over bars at `times`, shape (N,).

    The first test window begins where `train` has passed since the first bar, and each next one where the one before
    ends; a last one that the bars cut short is used as it is. A train window is as long as `train` and ends where its
    test begins, or where the embargo before that does; `anchored`, it begins with the first bar.
    Raises InputError where there are too few bars for one fold, or more than a thousand folds.
    """
    stamps = times.astype("M8[ns]").astype(np.int64)
    count = len(stamps)
    found: list[Fold] = []
    windows = 0
    for nth in itertools.count():
        first, begins = _edge(stamps, train, test, nth)
        if first >= count:
            break
        end, _ = _edge(stamps, train, test, nth + 1)
        windows += 1
        if windows > _MOST_FOLDS:
            raise InputError(
                f"test={_text(test)} makes more than {_MOST_FOLDS:,} folds of {_there(times)}",
                hint=f"make it longer, such as test={max(count // 20, _FEWEST)}bars",
            )
        start = 0 if anchored else _before(stamps, train, first, begins)
        stop = first if embargo is None else _before(stamps, embargo, first, begins)
        if min(end - first, stop - start) >= _FEWEST:
            complete = end < count or _ends_whole(stamps, train, test, nth)
            found.append(Fold(Window.of(times, start, stop), Window.of(times, first, end), complete))
    if not found:
        cut = f", of which an embargo of {_text(embargo)} is cut" if embargo else ""
        raise InputError(
            f"train={_text(train)}{cut}, and test={_text(test)} do not fit into {_there(times)}",
            hint=f"--walk-forward train={count // 2}bars test={count // 4}bars fits, without an embargo"
            if count >= 4 * _FEWEST
            else "take more data",
        )
    return Walk(tuple(found), windows - len(found))


def _edge(stamps: npt.NDArray[np.int64], train: Length, test: Length, nth: int) -> tuple[int, int]:
    """Return where the test window of a fold begins: its first bar, N where there is none, and the time."""
    count = len(stamps)
    if not count:
        return 0, 0
    if train.unit == "bars":
        first, begins = train.count, int(stamps[train.count]) if train.count < count else _EVER
    else:
        begins = train.after(int(stamps[0]))
        first = int(np.searchsorted(stamps, begins))
    if test.unit == "bars":
        first += nth * test.count
        return min(first, count), int(stamps[first]) if first < count else _EVER
    begins = test.after(begins, nth) if begins < _EVER else _EVER
    return (int(np.searchsorted(stamps, begins)) if nth else min(first, count)), begins


def _ends_whole(stamps: npt.NDArray[np.int64], train: Length, test: Length, nth: int) -> bool:
    """Tell whether the bars reach the end of the last test window: whether another bar would lie beyond it."""
    if test.unit == "bars":
        return _edge(stamps, train, test, nth)[0] + test.count <= len(stamps)
    step = int(np.median(np.diff(stamps)))
    return int(stamps[-1]) + step >= _edge(stamps, train, test, nth + 1)[1]


def _before(stamps: npt.NDArray[np.int64], away: Length, bar: int, time: int) -> int:
    """Return the bar that lies a length before a window which begins at a bar and a time."""
    if away.unit == "bars":
        return max(bar - away.count, 0)
    return int(np.searchsorted(stamps, away.after(time, -1)))


def combinatorial(times: Times, groups: int, tested: int, embargo: Length | None = None, *, fewest: int) -> Groups:
    """Return so many groups of bars at `times`, shape (N,), and every way to test `tested` of them.

    Groups have as many bars each, but for one. An embargo is cut off from a train group at each edge that it has with
    another, whether that one is tested or not: so a group is the same in all splits, and is made once.
    Raises InputError for a train group of fewer than `fewest` bars, and for more than a thousand splits.
    Source: M. López de Prado, "Advances in Financial Machine Learning", 2018, chapters 7 and 12.
    """
    count = len(times)
    splits = tuple(itertools.islice(itertools.combinations(range(groups), tested), _MOST_SPLITS + 1))
    if len(splits) > _MOST_SPLITS:
        raise InputError(
            f"--cpcv {groups},{tested} makes more than {_MOST_SPLITS:,} splits", hint="--cpcv 6,2 makes 15, and 10,2 45"
        )
    stamps = times.astype("M8[ns]").astype(np.int64)
    edges = np.cumsum([0, *(len(part) for part in np.array_split(np.arange(count), groups))]).tolist()
    train = []
    for first, end in itertools.pairwise(edges):
        start, stop = first, end
        if embargo is not None and first:
            start = _beyond(stamps, embargo, first)
        if embargo is not None and end < count:
            stop = _before(stamps, embargo, end, int(stamps[end]))
        if stop - start < fewest:
            cut = f" less an embargo of {_text(embargo)}" if embargo else ""
            most = count // fewest
            raise InputError(
                f"a group of {end - first} bars{cut} is too short: each needs {fewest}, and there are {count:,} bars",
                hint=f"--cpcv {min(most, groups)},1 fits, without an embargo" if most >= 2 else "take more data",
            )
        train.append(Window.of(times, start, stop))
    whole = [Window.of(times, first, end) for first, end in itertools.pairwise(edges)]
    return Groups(tuple(whole), tuple(train), splits)


def _beyond(stamps: npt.NDArray[np.int64], away: Length, bar: int) -> int:
    """Return the first bar that lies a length after the last one before `bar`, that far at least."""
    if away.unit == "bars":
        return bar + away.count
    return int(np.searchsorted(stamps, away.after(int(stamps[bar - 1])), side="right"))


def _text(of: Length | None) -> str:
    return f"{of.count}{of.unit}" if of else "none"


def _there(times: Times) -> str:
    if not len(times):
        return "no bars"
    return f"{len(times):,} bars from {iso(times[0])} to {iso(times[-1])}"
