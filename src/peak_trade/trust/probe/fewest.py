"""The fewest bars that show a leak: what a person can look at, and reckon by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from peak_trade.market.bars import COLUMNS, Bars, Floats
from peak_trade.market.instants import iso
from peak_trade.probe import Search
from peak_trade.probe.futures import HOW, others
from peak_trade.probe.verdict import Change, decided
from peak_trade.shown.listing import aligned

__all__ = ["Case", "fewest"]

_SHOWN = 20  # rows
_ASKINGS = 400  # at most: what is fewest by then is few enough


class Case(Struct, frozen=True, eq=False):
    """Bars of which the first `kept` lead to other decisions when the rest are cut off, or others (`how`)."""

    bars: Bars
    kept: int
    how: str
    whole: Floats
    part: Floats

    def as_csv(self) -> str:
        """Return the rows as CSV."""
        rows = [row.values() for row in self.rows()]
        lines = [",".join("" if value is None else f"{value}" for value in row) for row in rows]
        return "\n".join([",".join(self.rows()[0]), *lines]) + "\n"

    def as_table(self) -> str:
        """Return the rows for people; of many the last, which the bars that are left out follow."""
        left = len(self.bars) - self.kept
        last = "bar is" if left == 1 else f"{left:,} bars are"
        rest = f"the last {last} {'other' if self.how else 'cut off'}"
        head = f"the fewest bars that show it: what is decided at each, and what where {rest}"
        body = [
            [row["timestamp"], *(f"{row[name]:.10g}" for name in COLUMNS[1:5]), _word(row["decision"]),
             _word(row["without_the_rest"]) if at < self.kept else ""]
            for at, row in enumerate(self.rows())
        ]  # fmt: skip
        names = ("timestamp", *COLUMNS[1:5], "decision", "without")
        shown = aligned([names, *body[-_SHOWN:]], right=range(1, 7))
        return f"{head}\n{shown}"

    def rows(self) -> list[dict[str, Any]]:
        """Return the bars with what is decided at each of all, and of the first alone; nothing where none is asked."""
        rows = []
        for at in range(len(self.bars)):
            values: dict[str, Any] = {name: float(getattr(self.bars, name)[at]) for name in COLUMNS[1:]}
            known = {"decision": decided(float(self.whole[at])), "without_the_rest": None}
            if at < self.kept:
                known["without_the_rest"] = decided(float(self.part[at]))
            rows.append({"timestamp": iso(self.bars.timestamp[at])} | values | known)
        return rows


def _word(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def fewest(search: Search, change: Change) -> Iterator[Case | None]:
    """Yield the smallest case so far after each asking, in the manner of Zeller and Hildebrandt (2002), "Simplifying
    and Isolating Failure-Inducing Input": halves are left out, then quarters, as long as the leak is still there.
    """
    asked = 0
    best = _case(search, np.arange(len(search.bars)), change.bars)
    yield best
    places, pieces = np.arange(len(search.bars)), 2
    while best is not None and len(places) > 2 and asked < _ASKINGS:
        for part in np.array_split(np.arange(len(places)), pieces):
            fewer = np.delete(places, part)
            kept = int((fewer < change.bars).sum())
            if not 0 < kept < len(fewer):
                continue
            asked += 1
            found = _case(search, fewer, kept)
            yield found or best
            if found:
                best, places, pieces = found, fewer, max(pieces - 1, 2)
                break
        else:
            if pieces >= len(places):
                return
            pieces = min(2 * pieces, len(places))


def _case(search: Search, places: Sequence[int] | np.ndarray[Any, Any], kept: int) -> Case | None:
    """Return bars at these places as a case; None where they show nothing."""
    columns = {name: getattr(search.bars, name)[places] for name in COLUMNS}
    bars = Bars(**columns, symbol=search.bars.symbol, timeframe=search.bars.timeframe).freeze()
    whole = search.asking.again(bars).decisions
    if whole is None:
        return None
    for how in ("", *HOW):
        less = others(bars, kept, how, search.seed) if how else bars.between(0, kept)
        part = search.asking.again(less).decisions
        if part is not None and search.apart(whole[:kept], part[:kept]).any():
            return Case(bars, kept, how, whole, part[:kept])
    return None
