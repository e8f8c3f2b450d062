"""What is asked of a sweep beside its config: as a person types it, checked, and made a plan once bars are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from msgspec import Struct

from peak_trade.config import Source
from peak_trade.errors import InputError
from peak_trade.market.bars import Bars
from peak_trade.sweep import cpcv, walk_forward
from peak_trade.sweep.axes import Axis, Drawn, Range, Space, axis
from peak_trade.sweep.choice import Choice
from peak_trade.sweep.cpcv import STATISTICS
from peak_trade.sweep.plan import Grid, Plan
from peak_trade.sweep.rows import KEYS
from peak_trade.sweep.search import SAMPLERS, Search, Searched
from peak_trade.sweep.valid import Invalid, checked, drawn, judged

__all__ = ["Wish", "Work", "of_options"]
_T = TypeVar("_T", bound=Struct)


class Wish(Struct, frozen=True, kw_only=True):
    """What is searched, and how: it decides every byte of the parent. `keep` is None for all.

    `minimize` turns `maximize` around. The texts are those of the options of the same names.
    """

    grid: tuple[str, ...] = ()
    random: int | None = None
    seed: int = 0
    maximize: str = "sharpe"
    minimize: str = ""
    keep: int | None = 20
    walk_forward: tuple[str, ...] = ()
    anchored: bool = False
    embargo: str = ""
    choose: str = ""
    carry: bool = False
    cpcv: str = ""
    optuna: int | None = None
    sampler: str = ""
    batch: int = 8
    command: tuple[str, ...] = ()

    def check(self) -> None:
        """Refuse what can be refused without a config: InputError."""
        if (statistic := self.choice().statistic) not in KEYS:
            raise InputError(f"there is no statistic {statistic!r}", hint="docs/reports/stats.md lists them")
        self._check_folds(statistic)
        if self.optuna is None:
            if self.sampler:
                raise InputError("--sampler is for a search", hint=f"--optuna 300 --sampler {self.sampler}")
            self.space()
            return
        if self.random is not None:
            raise InputError("--random and --optuna both say which trials there are", hint="--sampler random draws")
        if self.walk_forward or self.cpcv:
            raise InputError("--optuna searches over all bars", hint="leave --walk-forward and --cpcv out")
        self.searched().check()

    def choice(self) -> Choice:
        """Return what a choice goes by."""
        return Choice(self.choose or self.minimize or self.maximize, bool(self.minimize))

    def _check_folds(self, statistic: str) -> None:
        """Refuse options of walk-forward and cross-validation that go with nothing."""
        if self.choose and self.minimize:
            raise InputError("--choose chooses what has most, --minimize what has least", hint="leave out one of them")
        if self.choose and self.maximize not in (Wish().maximize, self.choose):
            raise InputError("--choose and --maximize both say what is chosen by", hint="leave out one of them")
        if self.walk_forward and self.cpcv:
            raise InputError("--walk-forward and --cpcv are two plans", hint="leave out one of them")
        if self.cpcv and statistic not in STATISTICS:
            raise InputError(
                f"{statistic} of several groups does not follow from what each has, so --cpcv can't choose by it",
                hint=" or ".join(f"--choose {one}" for one in STATISTICS),
            )
        for option, given, where in (
            ("--anchored", self.anchored, self.walk_forward),
            ("--carry", self.carry, self.walk_forward),
            ("--embargo", self.embargo, self.walk_forward or self.cpcv),
            ("--choose", self.choose, self.walk_forward or self.cpcv),
        ):
            if given and not where:
                hint = f"leave {option} out" if self.cpcv else "--walk-forward train=730d test=180d"
                raise InputError(f"{option} goes with --walk-forward", hint=hint)

    def axes(self) -> tuple[Axis | Range, ...]:
        """Return the keys that are varied, with their values."""
        if not self.grid:
            raise InputError("nothing is varied", hint="--grid fast=5:50:5")
        axes = tuple(map(axis, self.grid))
        if len({one.key for one in axes}) != len(axes):
            raise InputError("a key is in two --grid", hint="name each key once")
        return axes

    def space(self) -> Space | None:
        """Return the combinations of all values; None where there are ranges, InputError where these are not drawn."""
        axes = self.axes()
        stepped = tuple(one for one in axes if isinstance(one, Axis))
        if len(stepped) == len(axes):
            return Space(stepped)
        if self.random is None:
            key = next(one.key for one in axes if isinstance(one, Range))
            raise InputError(
                f"{key} has a range without a step, of which there is no grid",
                hint=f"--grid {key}=a:b:step, or --random N, or --optuna N",
            )
        return None

    def searched(self) -> Searched:
        """Return what is searched."""
        return Searched(
            self.axes(), self.optuna or 0, self.batch, self.sampler or next(iter(SAMPLERS)), self.seed,
            self.minimize or self.maximize, bool(self.minimize),
        )  # fmt: skip

    def valid(
        self, source: Source, bars: Bars, function: Callable[..., Any]
    ) -> tuple[Space | Drawn | Searched, list[Invalid]]:
        """Return the combinations that are asked for, all or so many drawn by a seed, and those that are left out.

        Of a search, for which nobody knows them, what is searched.
        """
        if self.optuna is not None:
            judged(self.axes(), source, bars, function)
            return self.searched(), []
        if (space := self.space()) is None:
            return drawn(self.axes(), self.random or 0, self.seed, source, bars, function)
        return checked(space, (self.random, self.seed) if self.random else None, source, bars, function)

    def plan(self, source: Source, bars: Bars, space: Space | Drawn | Searched) -> Plan:
        """Return the plan over these bars, of these combinations."""
        if isinstance(space, Searched):
            return Search(space)
        if self.walk_forward:
            return walk_forward.planned(
                space, self.choice(), bars, self.walk_forward,
                embargo=self.embargo, anchored=self.anchored, carry=self.carry,
            )  # fmt: skip
        if self.cpcv:
            return cpcv.planned(space, self.choice(), bars, source.config, self.cpcv, self.embargo)
        return self.over(space)

    def unchecked(self) -> Space | Drawn | Searched:
        """Return the combinations that are asked for, where nobody but a command can tell which of them are valid."""
        if self.optuna is not None:
            return self.searched()
        if (space := self.space()) is None:
            return Drawn.of(self.axes(), self.random or 0, self.seed, lambda _: True)
        return space if self.random is None else space.sampled(self.random, self.seed)

    def over(self, space: Space | Drawn | Searched) -> Plan:
        """Return the plan of these combinations, over whatever bars."""
        if isinstance(space, Searched):
            return Search(space)
        return Grid(space, self.minimize or self.maximize, bool(self.minimize))


class Work(Struct, frozen=True, kw_only=True):
    """Who works, and with what: it changes no byte of the parent. `memory_limit` is in bytes, `timeout` in seconds."""

    jobs: int | None = None
    memory_limit: int | None = None
    timeout: float | None = None
    executor: str = "local"
    scheduler: str = ""


def of_options(kind: type[_T], options: Mapping[str, Any]) -> _T:
    """Return a wish or a work of a command line's options; what was not given has its default."""
    told = {key: tuple(one) if isinstance(one, list) else one for key, one in options.items()}
    return kind(**{key: told[key] for key in kind.__struct_fields__ if told.get(key) is not None})
