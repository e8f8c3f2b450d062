"""How a strategy of somebody's own is asked and what its answer means, as `[strategy]` declares it.

Nothing in the numbers tells entries from positions, or a position from one that is a bar late. So what is declared is
taken at its word, and what is not, and can't be a target, is refused with what there is to declare.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from msgspec import UNSET, Struct

from peak_trade import config
from peak_trade.errors import InputError, RunError
from peak_trade.market.bars import COLUMNS, Bars, Floats
from peak_trade.strategies.checks import as_array, as_decisions, check_target
from peak_trade.strategies.meaning import TARGETS, held_after, refuse_another_order, refuse_what_is_no_target

__all__ = ["Manner"]

_CASES = {"lower": str.lower, "title": str.title, "upper": str.upper}


class Manner(Struct, frozen=True):
    """The declarations; without any, a strategy is handed `Bars` and returns its target.

    `signals` is empty where nothing is said: then what can't be a target is refused.
    """

    frame: Literal["", "pandas", "polars"] = ""
    case: str = "lower"
    signals: str = ""
    take: tuple[str, ...] = ()
    shifted: bool = False
    ties: str = ""

    @classmethod
    def of(cls, strategy: config.Strategy, *, lenient: bool = False) -> Manner:
        """Return what a config declares. Where `lenient`, what it leaves open is a target, whatever it looks like."""

        def said(key: str, usual: Any) -> Any:
            return usual if (value := getattr(strategy, key)) is UNSET else value

        registered = strategy.name is not None
        signals = said("signals", "target" if registered or lenient else "")
        return cls(
            frame=said("frame", "pandas") if strategy.bars == "dataframe" else "",
            case=said("case", "lower"),
            signals=signals,
            take=tuple(said("take", ())),
            shifted=said("shifted", signals == "positions"),
            ties=said("ties", ""),
        )

    def handed(self, bars: Bars) -> Any:
        """Return what a strategy is handed of frozen bars: themselves, or a data frame that it may write to.

        The times are in UTC, without a zone; of pandas they are the index.
        """
        if not self.frame:
            return bars
        try:
            library = import_module(self.frame)
        except ImportError:
            raise InputError(
                f'strategy.bars is "dataframe", and {self.frame} is not installed', hint=f"uv pip install {self.frame}"
            ) from None
        case = _CASES[self.case]
        columns = {case(name): getattr(bars, name).copy() for name in COLUMNS}
        frame = library.DataFrame(columns)
        return frame.set_index(case("timestamp")) if self.frame == "pandas" else frame

    def target(self, answer: object, bars: Bars) -> Floats:
        """Return a strategy's answer as a target, shape (N,): one finite number in [-1, 1] a bar.

        Raises RunError where it is not what is declared, or where nothing is and it can't be a target.
        """
        refuse_another_order(answer, bars)
        if not self.signals:
            refuse_what_is_no_target(answer, bars, taken=self._taken(answer, len(bars)) if self.take else None)
        elif self.signals == "positions":
            refuse_what_is_no_target(answer, bars, taken=self._taken(answer, len(bars)), drift_alone=True)
        return check_target(self._aligned(self._held(answer, len(bars))), len(bars))

    def decisions(self, answer: object, count: int) -> Floats:
        """Return what a strategy decides of `count` bars as `target` does, whatever numbers it holds.

        Where they are shifted, the last bar's is not known yet, and is that of the bar before: see `known`.
        """
        return self._aligned(as_decisions(self._held(answer, count), count))

    def known(self, count: int) -> int:
        """Return how many decisions an answer about `count` bars tells: what is shifted says the last one later."""
        return count - self.shifted

    def _aligned(self, values: Floats) -> Floats:
        return np.append(values[1:], values[-1:]) if self.shifted else values

    def _held(self, answer: object, count: int) -> Floats:
        """Return what is held after each decision, in the rows of the answer."""
        if self.signals == "entries_exits":
            return held_after(self._several(answer, count), self.ties, count)
        taken = self._taken(answer, count)
        if self.signals in TARGETS or not self.signals:
            values = as_decisions(taken, count)
            return _from_the_first_on(values) if self.shifted or self.signals == "positions" else values
        return held_after([as_array(taken, count)], self.ties, count)

    def _taken(self, answer: object, count: int) -> object:
        return _column(answer, self.take[0]) if self.take else answer

    def _several(self, answer: Any, count: int) -> list[npt.NDArray[Any]]:
        if self.take:
            return [as_array(_column(answer, name), count) for name in self.take]
        if not isinstance(answer, tuple | list) or len(answer) not in (2, 4):
            raise RunError(
                f"the strategy returned a {type(answer).__name__}, not the entries and the exits",
                hint="return (entries, exits), or (entries, exits, short_entries, short_exits); of a frame, say which "
                'columns: strategy.take = ["buy", "sell"]',
            )
        return [as_array(column, count) for column in answer]


def _column(answer: Any, name: str) -> Any:
    """Return a column of a frame or of a mapping."""
    try:
        return answer[name]
    except Exception:  # noqa: BLE001 - each library has its own error for a column that is not there
        names = [str(one) for one in getattr(answer, "columns", None) or getattr(answer, "keys", list)()]
        has = f"it has {', '.join(names[:12])}" if names else f"it is a {type(answer).__name__} without columns"
        raise RunError(f"the strategy returned no column {name!r}; {has}", hint="correct strategy.take") from None


def _from_the_first_on(values: Floats) -> Floats:
    """Return values whose first ones, which shifting has left open, are 0."""
    known = ~np.isnan(values)
    first = int(np.argmax(known)) if known.any() else len(values)
    return np.concatenate([np.zeros(first), values[first:]])
