"""What is asked of a sweep beside its config: as a person types it, checked, and made a plan once bars are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from msgspec import Struct

from peak_trade.config import Source
from peak_trade.errors import InputError
from peak_trade.market.bars import Bars
from peak_trade.sweep.axes import Space, axis
from peak_trade.sweep.plan import Grid, Plan
from peak_trade.sweep.rows import KEYS
from peak_trade.sweep.valid import Invalid, checked

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
    carry: bool = False
    cpcv: str = ""
    optuna: int | None = None
    command: tuple[str, ...] = ()

    def check(self) -> None:
        """Refuse what can be refused without a config: InputError."""
        if (statistic := self.minimize or self.maximize) not in KEYS:
            raise InputError(f"there is no statistic {statistic!r}", hint="docs/reports/stats.md lists them")
        self.space()

    def space(self) -> Space:
        """Return the keys that are varied, with their values."""
        if not self.grid:
            raise InputError("nothing is varied", hint="--grid fast=5:50:5")
        axes = tuple(map(axis, self.grid))
        if len({one.key for one in axes}) != len(axes):
            raise InputError("a key is in two --grid", hint="name each key once")
        return Space(axes)

    def valid(self, source: Source, bars: Bars, function: Callable[..., Any]) -> tuple[Space, list[Invalid]]:
        """Return the combinations that are asked for, all or so many drawn by a seed, and those that are left out."""
        return checked(self.space(), (self.random, self.seed) if self.random else None, source, bars, function)

    def plan(self, source: Source, bars: Bars, space: Space) -> Plan:
        """Return the plan over these bars, of these combinations."""
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
