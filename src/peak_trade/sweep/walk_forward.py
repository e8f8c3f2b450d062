"""Walk-forward: on each train window every combination, on the test window after it the one that was best there.

The first round makes all combinations on all train windows, the second one the choices on their test windows. The
parent's own result is out of sample throughout: the test windows one after the other, as `stitching` trades them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from peak_trade.errors import InputError, RunError
from peak_trade.market.bars import Bars
from peak_trade.sweep.axes import Drawn, Space
from peak_trade.sweep.choice import Choice, csv, mean, number, rank_correlation, refuse_varied
from peak_trade.sweep.folds import Walk, length, walk_forward
from peak_trade.sweep.plan import Grid, Outcome, Round
from peak_trade.sweep.rows import Rows
from peak_trade.sweep.stitching import Leg, stitched
from peak_trade.sweep.table import settings_of
from peak_trade.sweep.task import Task

if TYPE_CHECKING:
    from peak_trade.sweep.bench import Bench

__all__ = ["WalkForward", "planned"]

_CASH = {"execution.initial_cash": "each fold begins with the equity that the one before ended with"}
_CARRIED = dict.fromkeys(
    ("execution.", "sizing.", "stops."), "with --carry all folds are traded as one account, by the same rules"
)


def planned(
    space: Space | Drawn, choice: Choice, bars: Bars, asked: Sequence[str], *, embargo: str, anchored: bool, carry: bool
) -> WalkForward:
    """Return the plan over bars of `train=730d` and `test=180d`, an embargo such as `5d` or none (empty).

    Raises InputError where these say something else, or do not fit the bars.
    """
    told = dict(text.partition("=")[::2] for text in asked)
    if len(asked) != 2 or told.keys() != {"train", "test"}:
        raise InputError(
            f"--walk-forward {' '.join(asked)[:60]!r} does not say train=… and test=…",
            hint="--walk-forward train=730d test=180d",
        )
    train, test = (length(told[name], f"--walk-forward {name}") for name in ("train", "test"))
    cut = length(embargo, "--embargo") if embargo else None
    walk = walk_forward(bars.timestamp, train, test, cut, anchored=anchored)
    options = {**told, "embargo": embargo, "anchored": anchored}
    return WalkForward(space, walk, choice, carry, options)


class WalkForward(Struct, frozen=True):
    """Every combination of a space on every train window, then the choice of each fold on its test window."""

    space: Space | Drawn
    walk: Walk
    choice: Choice
    carry: bool = False
    asked: Mapping[str, Any] = {}

    def __post_init__(self) -> None:
        refuse_varied(self.space, _CARRIED if self.carry else _CASH)

    def rounds(self) -> int:
        """Return 2: train, and test."""
        return 2

    def trials(self) -> tuple[int, int]:
        """Return those on train windows, and with them a choice on each test window: a fold may have none."""
        trains = len(_Trains(self.space, self.walk))
        return trains, trains + len(self.walk.folds)

    def round(self, number: int, before: Rows) -> Round:
        """Return a round's tasks: those of folds where nothing can be chosen are left out of the second."""
        if number == 0:
            return _Trains(self.space, self.walk)
        return [
            Task(before.overrides[row], fold.test.span, at, "test")
            for at, (fold, row) in enumerate(zip(self.walk.folds, self._chosen(before), strict=True))
            if row is not None
        ]

    def describe(self) -> Mapping[str, Any]:
        """Return the axes, what was asked, and the folds as bars and as times."""
        folds = [
            {"train": _window(fold.train), "test": _window(fold.test), "complete": fold.complete}
            for fold in self.walk.folds
        ]
        told = {**self.asked, "carry": self.carry, "left_out": self.walk.left_out, "folds": folds}
        return {**Grid(self.space, self.choice.statistic, self.choice.least).describe(), "walk_forward": told}

    def best(self, rows: Rows) -> list[int]:
        """Return none: over all bars a fold's choice would have seen what it is tested on."""
        return []

    def outcome(self, bench: Bench, rows: Rows) -> Outcome:
        """Return the test windows as one account, and what became of each fold's choice."""
        chosen = self._chosen(rows)
        tests = self._tests(chosen, rows)
        if all(row is None or row in rows.error for row in tests):
            why = next(iter(rows.error.values()), f"no trial has the statistic {self.choice.statistic}")
            raise RunError(f"nothing could be chosen and traded in any fold: {why}")
        legs = [
            Leg(fold.test.span, None if row is None or row in rows.error else rows.overrides[row])
            for fold, row in zip(self.walk.folds, tests, strict=True)
        ]
        came = stitched(bench, legs, carry=self.carry)
        told, table = self.account(rows, came.figures["cagr"])
        return Outcome(came, None, {"walk_forward": told}, {"folds.csv": csv(table)})

    def account(self, rows: Rows, growth: float | None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return what the folds tell together, and a row for each; `growth` is the account's, a year."""
        chosen = self._chosen(rows)
        tests = self._tests(chosen, rows)
        table = [self._fold(at, *pair, rows) for at, pair in enumerate(zip(chosen, tests, strict=True))]
        trained = mean([None if row is None else number(rows.of_stat("cagr")[row]) for row in chosen])
        return _summary(table, trained, growth) | self.choice.told, table

    def _chosen(self, rows: Rows) -> list[int | None]:
        """Return the train row of each fold's choice."""
        count = len(self.space)
        values = rows.of_stat(self.choice.statistic)
        found = [self.choice.of(values[at * count : (at + 1) * count]) for at in range(len(self.walk.folds))]
        return [None if one is None else at * count + one for at, one in enumerate(found)]

    def _tests(self, chosen: Sequence[int | None], rows: Rows) -> list[int | None]:
        """Return the test row of each fold."""
        following = iter(range(len(self.space) * len(self.walk.folds), len(rows)))
        return [None if row is None else next(following) for row in chosen]

    def _fold(self, at: int, chosen: int | None, test: int | None, rows: Rows) -> dict[str, Any]:
        fold, statistic = self.walk.folds[at], self.choice.statistic
        overrides = {} if chosen is None else rows.overrides[chosen]

        def of(key: str, row: int | None) -> float | None:
            return None if row is None else number(rows.of_stat(key)[row])

        trades = of("trades", test)
        return {
            "fold": at,
            "train_start": fold.train.begins,
            "train_end": fold.train.ends,
            "test_start": fold.test.begins,
            "test_end": fold.test.ends,
            "train_bars": len(fold.train),
            "test_bars": len(fold.test),
            "complete": fold.complete,
            "train_trial": chosen,
            "test_trial": test,
            "params": None if chosen is None else settings_of(overrides, True),
            "settings": None if chosen is None else settings_of(overrides, False),
            "train": of(statistic, chosen),
            "test": of(statistic, test),
            "degradation": self.choice.lost(of(statistic, chosen), of(statistic, test)),
            "train_return": of("total_return", chosen),
            "test_return": of("total_return", test),
            "trades": None if trades is None else int(trades),
        }


class _Trains(Struct, frozen=True):
    space: Space | Drawn
    walk: Walk

    def __len__(self) -> int:
        return len(self.space) * len(self.walk.folds)

    def __getitem__(self, at: int) -> Task:
        fold, number = divmod(at, len(self.space))
        return Task(self.space[number], self.walk.folds[fold].train.span, fold, "train")


def _window(window: Any) -> dict[str, Any]:
    return {"bars": list(window.span), "from": window.begins, "to": window.ends}


def _summary(table: Sequence[Mapping[str, Any]], growth: float | None, test_growth: float | None) -> dict[str, Any]:
    """Return what the folds tell together.

    `efficiency` is the annual growth of the test windows as one, by the mean annual growth of the choices on their
    train windows; None where that is not above 0.
    Source: R. Pardo, "The Evaluation and Optimization of Trading Strategies", 2nd edition, 2008, chapter 11
    (walk-forward efficiency).
    """
    returns = [row["test_return"] for row in table if row["test_return"] is not None]
    efficient = growth is not None and growth > 0.0 and test_growth is not None
    return {
        "sample": "out of sample",
        "folds": len(table),
        "incomplete": [row["fold"] for row in table if not row["complete"]],
        "flat": [row["fold"] for row in table if row["test_return"] is None],
        "train_mean": mean([row["train"] for row in table]),
        "test_mean": mean([row["test"] for row in table]),
        "degradation": mean([row["degradation"] for row in table]),
        "above_zero": int(np.count_nonzero(np.array(returns) > 0.0)) / len(returns) if returns else None,
        "rank_correlation": rank_correlation([(row["train"], row["test"]) for row in table]),
        "efficiency": test_growth / growth if efficient and growth and test_growth is not None else None,
    }
