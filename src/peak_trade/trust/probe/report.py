"""All that a probe in full finds of a strategy, with a verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from peak_trade.probe import FAIL, NOT_ASSESSED, PASS, Probe, Search
from peak_trade.probe.asking import quiet
from peak_trade.runner.limits import TimeOut, within
from peak_trade.trust.probe import fewest as reducing
from peak_trade.trust.probe.case import Case
from peak_trade.trust.probe.delay import Delay, delay
from peak_trade.trust.probe.history import WarmUp, warm_up

__all__ = ["Report", "probe"]

_EXIT = {PASS: 0, FAIL: 1, NOT_ASSESSED: 3}
_ENOUGH = 16  # changes of the decision that were tested, or half of them
_T = TypeVar("_T")


class Report(Struct, frozen=True, eq=False):
    """A verdict, `probe`, and what else is to be known of a strategy.

    `changes` counts the bars at which it decides otherwise than before, `tested` those of them right after which the
    bars were cut off, or others.
    """

    name: str
    probe: Probe
    changes: int
    tested: int
    warm_up: WarmUp
    delay: Delay
    case: reducing.Case | None = None
    said: list[str] = []

    @property
    def exit_code(self) -> int:
        """0: PASS; 1: FAIL; 3: NOT_ASSESSED."""
        return _EXIT[self.probe.verdict]

    def lines(self) -> list[tuple[str, str]]:
        """Return it for people, each line with a word before it."""
        tested = f"{self.tested:,} of {self.changes:,} changes of the decision" if self.changes else "it never changes"
        asked = self.probe.cuts or self.probe.others or self.probe.repeatable is not None
        if self.probe.verdict == NOT_ASSESSED and not asked:  # nothing else is known
            return [("probed", self.name), ("verdict", f"{self.probe.verdict}: {self.probe.reason}")]
        repeats = {True: "yes", False: "no: two answers for the same bars", None: "not asked"}
        found = self.probe
        lines = [
            ("verdict", f"{found.verdict}: {found.reason}"),
            ("repeatable", repeats[found.repeatable]),
            (
                "asked",
                f"without the bars that follow in {_places(found.cuts)}, with other ones in {_places(found.others)}",
            ),
            ("tested", tested),
            ("warm-up", str(self.warm_up)),
            ("one bar later", str(self.delay)),
        ]
        return [("probed", self.name), *lines, *(("data", line) for line in self.said)]

    def to_json_object(self) -> dict[str, Any]:
        """Return it as `--json` prints it."""
        share = self.tested / self.changes if self.changes else None
        return {
            "name": self.name,
            **self.probe.to_json_object(),
            "coverage": {"changes": self.changes, "tested": self.tested, "share": share},
            "warm_up": msgspec.structs.asdict(self.warm_up),
            "delay": msgspec.structs.asdict(self.delay) | {"left": self.delay.left},
            "case": self.case.rows() if self.case else None,
            "said": self.said,
        }


def probe(case: Case, told: Callable[[int, int], None] = lambda done, of: None) -> Report:
    """Ask a strategy wherever it tells something, and say what came of it; `told` hears how far that is."""
    limit = case.config.run.timeout_s
    search = Search(case.asking, case.bars, case.target, sizing=case.config.sizing, seed=case.config.run.seed)
    try:
        for done, of in _each(search.fully(), limit):
            told(done, of)
        _once(search.settle, limit)
    except TimeOut:
        search.stopped = "with other bars it ran longer than run.timeout_s"
    changes, tested = search.coverage
    found, warm, smallest = search.probe(), WarmUp(), None
    if found.verdict == PASS and changes and tested < min(_ENOUGH, (changes + 1) // 2):
        found = msgspec.structs.replace(
            found, verdict=NOT_ASSESSED, reason=f"too little was tested: {tested} of {changes} changes of the decision"
        )
    try:
        if found.repeatable is not False:
            for so_far in _each(warm_up(search), limit):
                warm = so_far
        if found.verdict == FAIL and found.first is not None:
            for asked, fewer in enumerate(_each(reducing.fewest(search, found.first), limit)):
                told(asked % 100, 100)
                smallest = fewer
    except TimeOut:
        pass  # what is known by then is what there is
    told(1, 1)
    late = delay(case.bars, case.target, case.config)
    return Report(case.name, found, changes, tested, warm, late, smallest, case.said)


def _places(count: int) -> str:
    return f"{count} place{'' if count == 1 else 's'}"


def _each(steps: Iterator[_T], limit_s: float | None) -> Iterator[_T]:
    """Yield what steps yield, each within the time limit of a run, and with nobody listening meanwhile."""
    end = object()
    while (step := _once(lambda: next(steps, end), limit_s)) is not end:
        yield step  # type: ignore[misc] # it is the end of none


def _once(step: Callable[[], _T], limit_s: float | None) -> _T:
    with quiet():
        return within(limit_s, step)
