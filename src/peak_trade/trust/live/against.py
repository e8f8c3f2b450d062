"""A run's trades against a list of those that were made."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from msgspec import Struct

from peak_trade.errors import InputError
from peak_trade.evidence.tables import iso
from peak_trade.market.lists import Listed, read_list
from peak_trade.market.lists.fills import Trip
from peak_trade.market.timeframe import timeframe_seconds
from peak_trade.market.trades import SIDES
from peak_trade.text import counted
from peak_trade.trust.difference import Sealed, bars_of
from peak_trade.trust.live.bars import market
from peak_trade.trust.live.gaps import PARTS, Pair, pair
from peak_trade.trust.live.matching import Lots, gathered, lots_of, matched, merged, relation, shift

__all__ = ["Against", "against", "against_file", "at_time"]

GAPS = ("entry_price", "exit_price", "entry_time", "exit_time", "size", "fees")
_LARGEST = 1e15  # of a price, a size, a fee or a profit
_FEW = 0.5  # of the trades that could match: below it, a clock that is off is looked for


class Against(Struct, frozen=True):
    """What came of it: pairs, what only one has, and the difference in profit by `gaps.PARTS`.

    `scale` is what the run's sizes, fees and profits were multiplied with. `timed` tells whether timing could be told
    from price. `outside` counts the trades of run and list beyond what both cover.
    """

    run: Sealed
    listed: Listed
    pairs: list[Pair]
    missing: list[Trip]
    extra: list[Trip]
    profit: tuple[float, float]
    parts: dict[str, float]
    scale: float
    within: float
    timed: bool
    outside: tuple[int, int]
    said: list[str]
    tolerance: float

    @property
    def difference(self) -> float:
        """By how much more was earned than by the run: what the parts sum to."""
        return self.profit[1] - self.profit[0]

    @property
    def explained(self) -> dict[str, float | None]:
        """The parts that are more than rounding, by their names; None of what another time did, where it is unknown."""
        least = 1e-9 * max(*map(abs, self.profit), *(abs(value) for value in self.parts.values()))
        unknown = {"entry_timing", "exit_timing"} if self.pairs and not self.timed else set[str]()
        return {
            name: None if name in unknown else value
            for name, value in self.parts.items()
            if abs(value) > least or name in unknown
        }

    @property
    def digits(self) -> int:
        """How many decimals an amount needs to be told: two, and more of a currency that is dear."""
        largest = max([*map(abs, self.profit), *(abs(one.pnl) for pair in self.pairs for one in (pair.a, pair.b))])
        return 2 if largest >= 1 or not largest else min(10, 2 - math.floor(math.log10(largest)))

    @property
    def same(self) -> bool:
        """Whether all trades are matched, and none has a gap in price, size or fee beyond the tolerance."""
        return not (self.missing or self.extra) and all(
            max(abs(one.entry_price), abs(one.exit_price), abs(one.size)) <= self.tolerance
            and abs(one.fees) <= self.tolerance * one.a.quantity * one.a.entry_price
            for one in self.pairs
        )

    def gaps(self) -> dict[str, dict[str, float]]:
        """Return for each gap its median, mean and largest (by its size) over all pairs; empty without one."""
        found = {}
        for name in GAPS if self.pairs else ():
            values = [getattr(one, name) for one in self.pairs]
            found[name] = {
                "median": float(median(values)),
                "mean": math.fsum(values) / len(values),
                "worst": max(values, key=abs),
            }
        return found

    def to_json_object(self) -> dict[str, Any]:
        """Return all of it as `--json` prints it."""
        return {
            "same": self.same,
            "run_id": self.run.run_id,
            "list": {"format": self.listed.format, "symbol": self.listed.symbol, "trades": len(self.listed.trips)},
            "matched": len(self.pairs),
            "missing": [_trip(one) for one in self.missing],
            "extra": [_trip(one) for one in self.extra],
            "outside": {"run": self.outside[0], "list": self.outside[1]},
            "scale": self.scale,
            "within_s": self.within,
            "tolerance": self.tolerance,
            "profit": {"run": self.profit[0], "live": self.profit[1], "difference": self.difference},
            "parts": self.parts | ({} if self.timed else {"entry_timing": None, "exit_timing": None}),
            "gaps": self.gaps(),
            "pairs": [
                {"run": _trip(one.a), "live": _trip(one.b), "difference": one.difference}
                | {"gaps": {name: getattr(one, name) for name in GAPS}, "parts": one.parts}
                for one in self.pairs
            ],
            "said": self.said,
        }


def against(
    run: Sealed,
    listed: Listed,
    price: Callable[[Any], Any] | None = None,
    *,
    within: float | None = None,
    scale: float | None = 1.0,
    start: int | None = None,
    end: int | None = None,
    tolerance: float = 0.0,
) -> Against:
    """Match a run's trades with those of a list, and split the difference in profit.

    `price` gives the market's at a time (ns since 1970). Trades match that are entered `within` seconds of each other,
    by default a bar's length. `scale` multiplies the run's sizes; None takes the median of what the list's sizes are of
    them. Trades entered before `start` or from `end` on (ns since 1970) are left out: by default those beyond what run
    and list both cover.

    Raises InputError where the run has no trades, or nothing of both lies in one time.
    """
    if not run.completed:
        raise InputError(f"run {run.name} has no trades: it failed", hint="just runs lists others")
    seconds = float(timeframe_seconds(str(run.config.get("data", {}).get("timeframe"))))
    within = seconds if within is None else within
    mine, times = _trips(run), run.equity["timestamp"].astype("M8[ns]").view(np.int64)
    theirs = listed.trips
    slack = int(within * 1e9)
    low = start if start is not None else max(int(times[0]), theirs[0].entry_time) - slack
    last = max(one.exit_time for one in theirs)
    high = end if end is not None else min(int(times[-1] + seconds * 1e9), last) + slack + 1
    a, b = ([one for one in of if low <= one.entry_time < high] for of in (mine, theirs))
    if not (a or b):
        raise InputError(
            f"run {run.name} ({_day(int(times[0]))} to {_day(int(times[-1]))}) and the list "
            f"({_day(theirs[0].entry_time)} to {_day(last)}) have no time in common",
            hint="compare a run over the time of the list",
        )
    outside = len(mine) - len(a), len(theirs) - len(b)
    said = list(listed.said)
    runs, lists, found = _paired(a, b, within, scale, said)
    runs, found, still = _closed_in(runs, found, listed.open, within)
    if still:
        said.append(f"{counted(still, 'trade')} of the run not closed yet in the list: left out")
    if len(found) < _FEW * min(len(a), len(b)):
        halves, count = shift(mine, theirs, within)
        if halves and count > 2 * len(found):
            way = "earlier" if halves < 0 else "later"
            said.append(
                f"with the list's times {abs(halves) / 2:g} h {way}, {count} trades would match in place of "
                f"{len(found)}: --timezone says whose clock it is"
            )
    ratios = [merged(lists[j]).quantity / units for i, j in found if (units := merged(runs[i]).quantity)]
    if scale is None:
        scale = float(median(ratios)) if ratios else 1.0
    elif ratios and scale == 1.0 and not 0.8 < median(ratios) < 1.25:
        said.append(f"sizes are {median(ratios):.4g} times the run's in the median: --scale auto takes that out")
    runs = [tuple(_scaled(lot, scale) for lot in lots) for lots in runs]
    a, b = ([merged(lots) for lots in of] for of in (runs, lists))
    pairs = [pair(a[i], b[j], price, (runs[i], lists[j])) for i, j in found]
    in_a, in_b = {i for i, _ in found}, {j for _, j in found}
    missing = [one for at, one in enumerate(a) if at not in in_a]
    extra = [one for at, one in enumerate(b) if at not in in_b]
    profit = math.fsum(one.pnl for one in a), math.fsum(one.pnl for one in b)
    parts = {name: math.fsum(one.parts[name] for one in pairs) for name in PARTS if name not in ("missing", "extra")}
    parts["missing"] = -math.fsum(one.pnl for one in missing)
    parts["extra"] = math.fsum(one.pnl for one in extra)
    del parts["other"]  # what is left of the whole, so that the sum is the whole to the last bit
    parts["other"] = math.fsum([profit[1] - profit[0], *(-part for part in parts.values())])
    parts = {name: parts[name] for name in PARTS}
    if price is None and pairs:
        said.append("the run's bars are not there any more: what another time did counts as price")
    return Against(
        run, listed, pairs, missing, extra, profit, parts, scale, within, price is not None, outside, said, tolerance
    )


def _paired(
    a: Sequence[Trip], b: Sequence[Trip], within: float, scale: float | None, said: list[str]
) -> tuple[list[Lots], list[Lots], list[tuple[int, int]]]:
    """Return trades of run and list as lots, and the pairs; parts of a trade are one where the other has it in one."""
    alone = [[(one,) for one in of] for of in (a, b)]
    lots = [lots_of(of) for of in (a, b)]
    runs, lists = (
        lots[at] if len(lots[1 - at]) == len(alone[1 - at]) else alone[at] for at in (0, 1)
    )  # where only one of them tells lots of one entry apart
    for which, before, after in (("run", a, runs), ("list", b, lists)):
        if len(after) < len(before):
            said.append(f"lots of one entry are one trade: {len(before):,} of the {which} are {len(after):,}")
    found = matched([merged(of) for of in runs], [merged(of) for of in lists], within)
    counts = len(runs), len(lists)
    size = relation(runs, lists, found, within) if scale is None or scale == 1.0 else scale
    lists, found = gathered(runs, lists, found, within, size)
    runs, back = gathered(lists, runs, [(j, i) for i, j in found], within, 1 / size)
    for which, count, after in (("run", counts[0], runs), ("list", counts[1], lists)):
        if len(after) < count:
            said.append(f"parts of one trade are one: {count:,} of the {which} are {len(after):,}")
    return runs, lists, sorted(((i, j) for j, i in back), key=lambda one: runs[one[0]][0].entry_time)


def _closed_in(
    runs: list[Lots], found: list[tuple[int, int]], still: Sequence[tuple[int, int]], within: float
) -> tuple[list[Lots], list[tuple[int, int]], int]:
    """Return a run's trades without those that are still open in the list, the pairs, and how many were left out."""
    times = {side: sorted(time for one, time in still if one == side) for side in (1, -1)}
    taken, most = {i for i, _ in found}, int(within * 1e9)
    keep = []
    for i, lots in enumerate(runs):
        there, entry = times[lots[0].side], lots[0].entry_time
        at = bisect_left(there, entry - most)
        if i not in taken and at < len(there) and there[at] <= entry + most:
            del there[at]
        else:
            keep.append(i)
    place = {i: at for at, i in enumerate(keep)}
    return [runs[i] for i in keep], [(place[i], j) for i, j in found], len(runs) - len(keep)


def against_file(
    run: Sealed,
    path: str,
    root: Path,
    *,
    bars: Path | None = None,
    form: str | None = None,
    columns: Mapping[str, str | int] | None = None,
    symbol: str = "",
    timezone: str = "",
    within: str | None = None,
    scale: str = "1",
    start: str | None = None,
    end: str | None = None,
    tolerance: float = 0.0,
) -> Against:
    """Compare a run with a file of trades: `against` with a person's words, as `--within 2h` and `--scale auto`.

    The run's bars are looked for in the folder `bars` and below `root`.
    Raises InputError as `against` and `read_list` do.
    """
    data = run.config.get("data", {})
    bar = timeframe_seconds(str(data.get("timeframe")))
    listed = read_list(
        path, str(data.get("symbol")), form=form, columns=columns, zone=timezone, together=bar / 2, other=symbol
    )
    return against(
        run,
        listed,
        market(bars_of(run, root, bars)),
        within=None if within is None else float(timeframe_seconds(within)),
        scale=_scale(scale),
        start=_instant(start, "--start"),
        end=_instant(end, "--end"),
        tolerance=tolerance,
    )


def _scale(text: str) -> float | None:
    if text == "auto":
        return None
    try:
        scale = float(text)
    except ValueError:
        scale = math.nan
    if not 0 < scale < math.inf:
        raise InputError(f"--scale takes a number above 0, or auto, not {text!r}", hint="--scale auto")
    return scale


def _instant(text: str | None, option: str) -> int | None:
    if text is None:
        return None
    try:
        found = np.array([text.removesuffix("Z")], "M8[ns]")
    except ValueError:
        found = np.array(["NaT"], "M8[ns]")
    if np.isnat(found).any():
        raise InputError(f"{option} takes a time in UTC, not {text!r}", hint=f"{option} 2024-01-31T13:00")
    return int(found.view(np.int64)[0])


def _trips(run: Sealed) -> list[Trip]:
    trades = run.trades
    columns: tuple[Any, ...] = (
        trades.side, trades.entry_time.astype("M8[ns]").view(np.int64), trades.entry_price,
        trades.exit_time.astype("M8[ns]").view(np.int64), trades.exit_price, trades.quantity, trades.entry_fee,
        trades.exit_fee, trades.pnl,
    )  # fmt: skip
    if not all((np.abs(column) < _LARGEST).all() for column in columns[4:] + columns[2:3]):
        raise InputError(f"run {run.name} has trades that are no amounts", hint=f"just verify {run.name}")
    trips = [Trip(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    return sorted(trips, key=lambda one: (one.entry_time, one.exit_time))


def _scaled(one: Trip, scale: float) -> Trip:
    if scale == 1.0:
        return one
    return Trip(
        one.side, one.entry_time, one.entry_price, one.exit_time, one.exit_price, one.quantity * scale,
        one.entry_fee * scale, one.exit_fee * scale, one.pnl * scale,
    )  # fmt: skip


def _trip(one: Trip) -> dict[str, Any]:
    return {
        "side": SIDES[one.side],
        "entry_time": at_time(one.entry_time),
        "entry_price": one.entry_price,
        "exit_time": at_time(one.exit_time),
        "exit_price": one.exit_price,
        "quantity": one.quantity,
        "fees": one.entry_fee + one.exit_fee,
        "pnl": one.pnl,
    }


def at_time(nanoseconds: int) -> str:
    """Return a time in ns since 1970 as ISO 8601."""
    return iso(np.array([nanoseconds], np.int64).view("M8[ns]"))[0]


def _day(nanoseconds: int) -> str:
    return at_time(nanoseconds)[:10]
