"""Two runs against each other: what came out, what went in, and which of that explains which."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from peak_trade.market.bars import Bars
from peak_trade.trust.difference.causes import SYMPTOMS, Cause, rank, symptom
from peak_trade.trust.difference.figures import Figure, figures
from peak_trade.trust.difference.inputs import inputs
from peak_trade.trust.difference.sealed import Sealed
from peak_trade.trust.difference.series import Bar, Series, series
from peak_trade.trust.difference.symbols import Earned, earned
from peak_trade.trust.difference.trades import Trade, TradesFound, trades

__all__ = ["Difference", "between"]


class Difference(Struct, frozen=True, omit_defaults=True):
    """What differs from A to B.

    `same`: no statistic, bar or trade differs beyond the tolerance. `identical`: equity and trades are the same to the
    last bit, by their digests. `files` are the names of sealed files that are not the same bytes. `how` is a word of
    `causes.SYMPTOMS`. `series` and `trades` are None where one of the runs has none, as one that failed. `symbols`
    are those of which one run earned other than the other, where there are several.
    """

    same: bool
    identical: bool
    how: str
    files: list[str]
    series: Series | None
    trades: TradesFound | None
    figures: list[Figure]
    causes: list[Cause]
    symbols: list[Earned] = []

    @property
    def bar(self) -> Bar | None:
        """The first bar that differs."""
        return self.series.first if self.series else None

    @property
    def trade(self) -> Trade | None:
        """The first trade that differs, by time of entry."""
        return self.trades.first if self.trades else None

    @property
    def told(self) -> str:
        """How the two part, in words."""
        return SYMPTOMS[self.how]


def between(
    a: Sealed, b: Sealed, tolerance: float = 0.0, bars: Callable[[Sealed], Bars | None] | None = None
) -> Difference:
    """Compare two runs: a value differs where it moved by more than `tolerance`, a fraction (see `series.series`).

    `bars` gives the bars of a run where they still are, which is asked where their fingerprints alone don't tell the
    days.

    Raises RunError where a file of one is not what was sealed, InputError where its trades can't be read here.
    """
    names = a.manifest.files.keys() | b.manifest.files.keys()
    files = sorted(name for name in names if a.manifest.files.get(name) != b.manifest.files.get(name))
    went_in = inputs(a, b, bars)
    if not (a.completed and b.completed):
        alike = a.completed == b.completed and a.error == b.error
        how = "failed" if alike else "failure" if a.completed or b.completed else "failures"
        return Difference(alike, False, how, files, None, None, [], rank(went_in, how, None))
    if "equity.csv" not in files and b.has(
        "equity.csv"
    ):  # the same bytes: that they are there is looked at, to read them twice is no use
        b.content("equity.csv")
        b.equity = a.equity
    found, made = series(a.equity, b.equity, tolerance), trades(a.trades, b.trades, tolerance)
    differ = figures([a.figures, b.figures], tolerance)
    exact = (found, made, differ)
    if tolerance:  # what explains a difference is asked of all that differs, not of what is above the tolerance
        exact = series(a.equity, b.equity), trades(a.trades, b.trades), figures([a.figures, b.figures])
    how = symptom(exact[0], exact[1], a.trades, b.trades, figures=bool(exact[2]))
    first = exact[0].first
    causes = rank(went_in, how, first.time if first else None)
    same = found.same and made.same and not differ
    results = [run.manifest.predicate.results for run in (a, b)]
    digests = ([one.get(key) for key in ("equity_digest", "trades_digest")] for one in results)
    identical = exact[0].same and exact[1].same and next(digests) == next(digests)
    symbols = earned(a.trades, b.trades, tolerance)
    return Difference(same, identical, how, files, found, made, differ, causes, symbols)
