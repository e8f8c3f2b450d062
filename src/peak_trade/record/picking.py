"""Which trial of a recorded command is the run: the last one, the best by a statistic, or the one of an index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from peak_trade.observer.hooks import TESTED, was_tested
from peak_trade.record.asked import Order
from peak_trade.runner.making import Making

if TYPE_CHECKING:
    from peak_trade.record.result import Result

__all__ = ["LOWER", "Outcome", "pick"]

UNSEEN = "no engine was seen, and no call of peak_trade.record: there is no equity"
LOWER = frozenset(
    ("volatility", "max_drawdown_days", "time_under_water", "ulcer_index", "turnover", "longest_losing_streak",
     "fees_paid", "slippage_paid", "borrow_paid")
)  # fmt: skip
"""The statistics of which less is better; of a loss, which is below zero, more is."""
_SHOW = "docs/ops/record.md says what is seen of each engine"


class Outcome(NamedTuple):
    """What came of the command: of the manifest `status` and `results`, `facts` for the ledger, bars, parameters."""

    status: str
    results: dict[str, Any]
    facts: dict[str, Any]
    dependencies: list[dict[str, Any]]
    params: dict[str, Any]


def pick(making: Making, noted: Sequence[Result], order: Order) -> tuple[Result | None, int | None]:
    """Return the trial that is the run, and its index; None where there is none, which is said.

    The last call of an engine is, after a search, that which makes the best trial once more.
    """
    if order.engine not in ("auto", "off") and not any(one.engine == order.engine for one in noted):
        making.skip("engine", f"{order.engine} was asked for, and not seen", _SHOW)
    elif not noted and order.engine != "off":
        making.warn("engine", "unseen", f"{UNSEEN}; {_SHOW}")
    for engine, version in dict.fromkeys((one.engine, one.version) for one in noted):
        if not was_tested(engine, version):
            known = " and ".join(TESTED[engine])
            said = f"{engine} {version or 'of no version'} was never tried, only {known}: look at what was seen of it"
            making.warn("engine", "untested", f"{said}; {_SHOW}")
    whole = [index for index, one in enumerate(noted) if not one.error and (len(one.equity) or one.trades is not None)]
    if noted and not whole:
        making.warn("engine", "unseen", f"none of {len(noted)} trial(s) came to a result: there is no equity")
    if not whole:
        return None, None
    index = _index(making, noted, whole, order.pick)
    return noted[index], index


def _index(making: Making, noted: Sequence[Result], whole: Sequence[int], asked: str) -> int:
    if asked.isdigit():
        if int(asked) in whole:
            return int(asked)
        making.skip("pick", f"trial {asked} of {len(noted)} (from 0) is not there, or failed; the last is taken")
    elif asked.startswith("best:"):
        from peak_trade.record import figures

        name = asked.removeprefix("best:")
        sign = -1 if name in LOWER else 1
        values = {index: figures.work_out(noted[index]).stats.get(name) for index in whole}
        there = {index: sign * value for index, value in values.items() if value is not None}
        if there:
            return max(there, key=lambda index: (there[index], index))  # of equals the last, as elsewhere
        making.skip("pick", f"no trial has a {name}; the last is taken")
    return whole[-1]
