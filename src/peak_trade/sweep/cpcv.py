"""Combinatorial purged cross-validation: the bars in groups, and every way to choose on some and trade the others.

A trial is made group by group, flat at the edges of each, so that no trade has a part in two of them: nothing is left
to purge. Of several groups together, the Sharpe ratio over all their returns follows exactly from the sums and the sums
of squares that a row has, so that each combination is made once a group, however many splits there are. The first round
makes all combinations on all groups, less the embargo at their edges; the second one those that a split chose, on the
whole groups that it tests. A path goes over all groups once, each traded by another split's choice; the parent's own
result is the path in the middle.

Source: M. López de Prado, "Advances in Financial Machine Learning", 2018, chapter 12.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.config import Config
from peak_trade.errors import InputError, RunError
from peak_trade.market import rate
from peak_trade.market.bars import Bars
from peak_trade.stats.luck.overfit import of_sums
from peak_trade.stats.sample import rate_per_period
from peak_trade.stats.values import NOISE, NoValueError
from peak_trade.sweep.axes import Drawn, Space
from peak_trade.sweep.choice import Choice, csv, mean, number, refuse_varied
from peak_trade.sweep.folds import Groups, combinatorial, length
from peak_trade.sweep.plan import Grid, Outcome, Round
from peak_trade.sweep.rows import BLOCKS, Rows
from peak_trade.sweep.stitching import Decisions, Leg, stitched
from peak_trade.sweep.table import settings_of
from peak_trade.sweep.task import Task

if TYPE_CHECKING:
    from peak_trade.sweep.bench import Bench, Came

__all__ = ["FEWEST", "FIGURES", "STATISTICS", "Purged", "planned"]

STATISTICS = ("sharpe", "total_return")
"""What is known of several groups together by what is known of each."""
FEWEST = BLOCKS + 1
"""Bars of a group: a return in each block of a row."""
FIGURES = ("sharpe", "total_return", "cagr", "volatility", "max_drawdown", "trades", "final_equity")
"""What is told of a path."""
_WHY = {
    "execution.initial_cash": "each group begins with the equity that the one before ended with",
    "stats.": "trials are compared by one definition",
}

_ASKED = re.compile(r"(\d{1,3}),(\d{1,3})", re.ASCII)

Floats = npt.NDArray[np.float64]
_Told = list[dict[str, Any]]


def planned(space: Space | Drawn, choice: Choice, bars: Bars, config: Config, asked: str, embargo: str) -> Purged:
    """Return the plan over bars of `6,2`, an embargo such as `5d` or none (empty).

    Raises InputError where these say something else, or do not fit the bars.
    """
    found = _ASKED.fullmatch(asked)
    groups, tested = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= tested < groups:
        raise InputError(
            f"--cpcv {asked[:60]!r} is not how many groups there are, and how many of them are tested",
            hint="--cpcv 6,2",
        )
    cut = length(embargo, "--embargo") if embargo else None
    per_year = config.stats.periods_per_year or rate.periods_per_year(
        bars.timestamp, config.data.timeframe, config.data.calendar
    )
    if per_year is None:
        raise InputError("nothing tells how many bars make a year", hint="--set data.calendar=24/7")
    made = combinatorial(bars.timestamp, groups, tested, cut, fewest=FEWEST)
    rates = per_year, config.stats.risk_free_rate
    return Purged(space, made, choice, rates, {"tested": tested, "embargo": embargo})


class Purged(Struct, frozen=True):
    """Every combination of a space on every group, then the choices of all splits on the groups that they test."""

    space: Space | Drawn
    groups: Groups
    choice: Choice
    rates: tuple[float, float]
    asked: Mapping[str, Any] = {}

    def __post_init__(self) -> None:
        refuse_varied(self.space, _WHY)

    def rounds(self) -> int:
        """Return 2: train, and test."""
        return 2

    def trials(self) -> tuple[int, int]:
        """Return those on train groups, and with them as many choices on each group as splits test it.

        What several of these choose is made once, so that no group has more than there are combinations.
        """
        trains = len(_Trains(self.space, self.groups))
        return trains, trains + len(self.groups.whole) * min(len(self.groups.paths), len(self.space))

    def round(self, number: int, before: Rows) -> Round:
        """Return a round's tasks; in the second one, what several splits chose for a group is there once."""
        if number == 0:
            return _Trains(self.space, self.groups)
        return [
            Task(self.space[one], self.groups.whole[group].span, group, "test")
            for group, one in self._tested(self._chosen(before))
        ]

    def describe(self) -> Mapping[str, Any]:
        """Return the axes, what was asked, and the groups as bars and as times."""
        groups = [
            {"bars": list(whole.span), "from": whole.begins, "to": whole.ends, "train": list(train.span)}
            for whole, train in zip(self.groups.whole, self.groups.train, strict=True)
        ]
        splits = [list(split) for split in self.groups.splits]
        told = Grid(self.space, self.choice.statistic, self.choice.least).describe()
        return {**told, "cpcv": {**self.asked, "groups": groups, "splits": splits}}

    def best(self, rows: Rows) -> list[int]:
        """Return none: over all bars a split's choice would have seen what it is tested on."""
        return []

    def outcome(self, bench: Bench, rows: Rows) -> Outcome:
        """Return the path in the middle, all paths and splits, and the probability of overfitting."""
        chosen = self._chosen(rows)
        tests = self._tests(chosen, rows)
        if not any(row not in rows.error for row in tests.values()):
            why = next(iter(rows.error.values()), f"no trial has the statistic {self.choice.statistic}")
            raise RunError(f"nothing could be chosen and traded in any split: {why}")
        decisions = Decisions(bench)
        figures = [self._path(decisions, path, chosen, tests, rows).figures for path in self.groups.paths]
        told, splits, paths = self.account(rows, figures)
        came = self._path(decisions, self.groups.paths[told["path"]], chosen, tests, rows)
        return Outcome(came, None, {"cpcv": told}, {"splits.csv": csv(splits), "paths.csv": csv(paths)})

    def account(self, rows: Rows, came: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], _Told, _Told]:
        """Return what splits and paths tell together, and a row for each; `came` has the figures of each path."""
        chosen = self._chosen(rows)
        tests, known = self._tests(chosen, rows), self._known(rows)
        splits = [self._split(at, one, tests, known) for at, one in enumerate(chosen)]
        middle = _middle([one[self.choice.statistic] for one in came])
        paths = [
            {"path": at, "chosen": at == middle, "splits": " ".join(map(str, path))}
            | {key: one[key] for key in FIGURES}
            for at, (path, one) in enumerate(zip(self.groups.paths, came, strict=True))
        ]
        told = self.choice.told | {
            "sample": "out of sample",
            "groups": len(self.groups.whole),
            "tested": len(self.groups.splits[0]),
            "splits": len(splits),
            "paths": len(paths),
            "path": middle,
            "flat": [at for at, one in enumerate(chosen) if one is None],
            "sharpe": _spread([one["sharpe"] for one in came]),
            "train_mean": mean([split["train"] for split in splits]),
            "test_mean": mean([split["test"] for split in splits]),
            "degradation": mean([split["degradation"] for split in splits]),
            "overfitting": self.overfitting(rows),
        }
        return told, splits, paths

    # --- choices ----------------------------------------------------------------------------------------------------

    def _chosen(self, rows: Rows) -> list[int | None]:
        """Return the combination that each split chooses by the groups that it does not test."""
        known, numbers = self._known(rows), np.arange(len(self.space))
        return [self.choice.of(self._on_train(known, split, numbers)) for split in self.groups.splits]

    def _known(self, rows: Rows) -> Floats:
        """Return what is known of each row: the sums of returns and of their squares, or the growth; shape (N, …)."""
        growth = 1.0 + rows.of_stat("total_return")
        alive = growth > 0.0  # what is compounded, or averaged, ends with an account that is ruined
        if self.choice.statistic == "total_return":
            return np.where(alive, growth, np.nan)
        return np.where(alive[:, None], rows.blocks.sum(axis=2), np.nan)

    def _on_train(self, known: Floats, split: Sequence[int], numbers: npt.NDArray[np.int64]) -> Floats:
        """Return the statistic of combinations over the train groups of a split together; NaN where one has none."""
        groups = [group for group in range(len(self.groups.train)) if group not in split]
        places = np.array(groups)[:, None] * len(self.space) + numbers
        return self._together(known[places], sum(len(self.groups.train[group]) - 1 for group in groups))

    def _together(self, known: Floats, total: int) -> Floats:
        """Return the statistic over groups together, `known` of shape (groups, M, …), of so many returns in all."""
        if self.choice.statistic == "total_return":
            return np.asarray(np.prod(known, axis=0) - 1.0)
        sums, squares = known.sum(axis=0).T
        average = sums / total
        deviation = np.sqrt(np.maximum(squares - sums * average, 0.0) / (total - 1))
        per_year, risk_free = self.rates
        vary = deviation > 1e-6 * np.abs(average) + NOISE
        excess = average - rate_per_period(risk_free, per_year)
        found: Floats = np.divide(excess * math.sqrt(per_year), deviation, out=np.full(len(excess), np.nan), where=vary)
        return found

    def _tested(self, chosen: Sequence[int | None]) -> list[tuple[int, int]]:
        """Return the groups, each with the combinations that are traded on it, in the order of the second round."""
        pairs = zip(self.groups.splits, chosen, strict=True)
        return sorted({(group, one) for split, one in pairs if one is not None for group in split})

    def _tests(self, chosen: Sequence[int | None], rows: Rows) -> dict[tuple[int, int], int]:
        """Return the test row of each group and combination."""
        return {pair: len(_Trains(self.space, self.groups)) + at for at, pair in enumerate(self._tested(chosen))}

    # --- what is told -----------------------------------------------------------------------------------------------

    def _split(self, at: int, one: int | None, tests: Mapping[tuple[int, int], int], known: Floats) -> dict[str, Any]:
        tested = self.groups.splits[at]
        train = test = None
        if one is not None:
            train = number(self._on_train(known, tested, np.array([one]))[0])
            places = np.array([[tests[group, one]] for group in tested])
            total = sum(len(self.groups.whole[group]) - 1 for group in tested)
            test = number(self._together(known[places], total)[0])
        return {
            "split": at,
            "tested": " ".join(map(str, tested)),
            "combination": one,
            "params": None if one is None else settings_of(self.space[one], True),
            "settings": None if one is None else settings_of(self.space[one], False),
            "train": train,
            "test": test,
            "degradation": self.choice.lost(train, test),
        }

    def _path(
        self, decisions: Decisions, path: Sequence[int], chosen: Sequence[int | None],
        tests: Mapping[tuple[int, int], int], rows: Rows,
    ) -> Came:  # fmt: skip
        legs = []
        for group, split in enumerate(path):
            one = chosen[split]
            failed = one is None or tests[group, one] in rows.error
            legs.append(Leg(self.groups.whole[group].span, None if one is None or failed else self.space[one]))
        return stitched(decisions.bench, legs, decisions=decisions)

    def overfitting(self, rows: Rows) -> dict[str, Any]:
        """Return the probability of overfitting over all train groups, cut into blocks anew."""
        groups, count = len(self.groups.train), len(self.space)
        blocks = rows.blocks[: groups * count].reshape(groups, count, 2, BLOCKS).transpose(2, 0, 3, 1)
        whole = np.isfinite(blocks).all(axis=(0, 1, 2))
        parts = blocks.reshape(2, groups * BLOCKS, count)[:, :, whole]
        lengths = [len(part) for window in self.groups.train for part in np.array_split(range(len(window) - 1), BLOCKS)]
        edges = np.arange(BLOCKS) * groups
        sums, squares = (np.add.reduceat(part, edges, axis=0) for part in parts)
        try:
            told = of_sums(sums, squares, np.add.reduceat(lengths, edges))
        except NoValueError as error:
            return {"probability": None, "reason": error.reason}
        return told._asdict()


class _Trains(Struct, frozen=True):
    space: Space | Drawn
    groups: Groups

    def __len__(self) -> int:
        return len(self.space) * len(self.groups.train)

    def __getitem__(self, at: int) -> Task:
        group, number = divmod(at, len(self.space))
        return Task(self.space[number], self.groups.train[group].span, group, "train")


def _middle(values: Sequence[float | None]) -> int:
    """Return the place of the median, the lower one of an even number; 0 where no value is there."""
    known = sorted((value, at) for at, value in enumerate(values) if value is not None)
    return known[(len(known) - 1) // 2][1] if known else 0


def _spread(values: Sequence[float | None]) -> dict[str, float | None]:
    """Return how the paths' values are distributed; `above_zero` is a share, `deviation` that of a sample."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return dict.fromkeys(("mean", "deviation", "least", "median", "most", "above_zero"))
    average = math.fsum(known) / len(known)
    spread = math.fsum((value - average) ** 2 for value in known)
    return {
        "mean": average,
        "deviation": math.sqrt(spread / (len(known) - 1)) if len(known) > 1 else None,
        "least": known[0],
        "median": (known[(len(known) - 1) // 2] + known[len(known) // 2]) / 2.0,
        "most": known[-1],
        "above_zero": sum(value > 0.0 for value in known) / len(known),
    }
