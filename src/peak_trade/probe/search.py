"""Asks a strategy without the bars that follow, and with others, and says what came of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np
import numpy.typing as npt

from peak_trade.config import Sizing
from peak_trade.market.bars import Bars, Floats
from peak_trade.market.instants import iso
from peak_trade.probe.asking import NO_LOADING, Answer, Asking
from peak_trade.probe.cuts import by_the_calendar, changes, cuts
from peak_trade.probe.futures import HOW, nearly, other_times, others
from peak_trade.probe.verdict import FAIL, NOT_ASSESSED, PASS, Change, Probe, decided
from peak_trade.text import counted

__all__ = ["BUDGET_S", "SAME", "Search"]

BUDGET_S = 1.0
"""What a run's probe may take where the strategy itself took less; else as long as that."""
SAME = 1e-9
"""Exposures no further apart are one decision: the last bits of a sum may hang on how long the array is."""
_FEW, _MANY = 8, 128  # cuts
_SOME, _MORE = 2, 32  # places with other bars after them
_PAIRS = 6  # of bars with other last digits: each decision at an edge falls to both sides in one of them
_DELAYED = 4  # changes of the decision that are looked at for a delay
_EDGE = 0.01  # how far a decision moves that is at an edge


class Search:
    """The probe of one strategy over bars, of which it has decided `target`, shape (N,).

    What is found stays when it is stopped on the way. Every method that asks is to be called in `quiet`.
    """

    def __init__(self, asking: Asking, bars: Bars, target: Floats, *, sizing: Sizing = Sizing(), seed: int = 0) -> None:
        self.asking, self.bars, self.target, self.sizing, self.seed = asking, bars, target, sizing, seed
        self.exposure = self._exposed(target)
        self.cuts: list[int] = []
        self.others: list[int] = []
        self.silent: list[str] = []  # why there was no answer
        self.first: Change | None = None
        self.by_number: Change | None = None  # it hangs on how many bars there are, and not on what they hold
        self.repeatable: bool | None = None
        self.reacts: bool | None = None  # decisions change where the bars do; None: there was nothing to change
        self.swing: Floats | None = None  # how far each exposure moves with the last digits of the prices
        self.stopped = ""
        self.weighed = False
        self.settled = False
        self.late = False  # each decision hangs on no bar later than the one before its own

    # --- asking -------------------------------------------------------------------------------------------------------

    def briefly(self, took_s: float) -> None:
        """Ask in a few places, within the strategy's own time (`took_s`) or `BUDGET_S`, whichever is more."""
        budget, start = max(took_s, BUDGET_S), time.perf_counter()
        places = cuts(self.bars, self.exposure, _FEW, self.seed)
        steps: list[tuple[float, Callable[[], object]]] = []
        for number, count in enumerate(places):
            how = HOW[number // 3] if number % 3 == 0 and number // 3 < _SOME else ""
            if self.asking.manner.shifted:  # without the bar after a decision there is no decision to look at
                how = HOW[number % len(HOW)]
            steps.append((count / len(self.bars), partial(self.cut, count)))
            steps.append((1.0, partial(self._other_or_instead, count, how)))
        steps.append((1.0, self.repeat))  # the last: what it leaves beside its decisions is then of all bars
        for share, step in steps:
            if self.first is None:
                if time.perf_counter() - start + share * took_s <= budget:
                    step()
                else:
                    self.stopped = f"asking again takes more than {budget:,.1f} s"

    def _other_or_instead(self, count: int, how: str) -> None:
        """Ask with other bars after the first `count`: where that is due, or where without any there was no answer."""
        if how or count not in self.cuts:
            self.other(count, how or HOW[0])

    def fully(self) -> Iterator[tuple[int, int]]:
        """Ask for all bars again, then in many places without the bars that follow, and in some with other ones.

        Yields how many of how many places are done.
        """
        self.repeat()
        places = cuts(self.bars, self.exposure, _MANY, self.seed)
        for number, count in enumerate(places):
            yield number, len(places)
            if self.first is not None or self.repeatable is False:
                return
            answered = self.by_number is None and self.cut(count)
            self._weigh_what_was_found()
            if not answered or number % (_MANY // _MORE) == 0:
                for how in HOW if answered or self.by_number else (HOW[number % len(HOW)],):
                    self.other(count, how)
            self._ask_beside_edges([count])
        if self.asking.load and self.first is None and self.repeatable is not False:
            yield from self._anew(places[:: _MANY // _MORE][:_FEW])

    def _anew(self, places: list[int]) -> Iterator[tuple[int, int]]:
        """Ask a strategy that has seen no bars yet: what it keeps of them may be what it looks ahead by."""
        self.asking.anew = True
        if self.asking.again(self.bars.between(0, 1)).why == NO_LOADING:
            self.asking.anew = False
            return
        self.repeat()
        for number, count in enumerate(places):
            yield number, len(places)
            if self.first is not None or self.repeatable is False:
                return
            if self.by_number is None:
                self.cut(count)
            self._weigh_what_was_found()
            self.other(count, HOW[number % len(HOW)])
            self._ask_beside_edges([count])

    def settle(self) -> None:
        """Tell what a change that was found comes from: the bars that follow, their number, or the strategy itself."""
        for _ in range(2):  # a strategy may well say one thing and another in turns
            if self.first is not None and self.repeatable is not False:
                self.repeat()
        if self.repeatable is not False:
            self._weigh_what_was_found()
            if self.first is not None:
                self._ask_beside_edges(cuts(self.bars, self.exposure, _FEW, self.seed))
        if self.repeatable is not False and self.reacts is False and not self.asking.watch.read:
            answer = self.asking.again(other_times(self.bars))
            if answer.decisions is None or self._differ(answer, len(self.bars)) is not None:
                self.reacts = None  # it goes by the calendar
        self.settled = True

    def look_for_delay(self) -> None:
        """Tell whether decisions are shifted by a bar: none that changes hangs on its own bar, some on the one before.

        What goes by the calendar alone, or by counting, hangs on neither. What decides as a week begins by the one
        before is late by nothing: its bars before are those that it waits for.
        """
        changed = changes(self.exposure)
        changed = changed[(changed > 1) & (changed < len(self.bars) - 1)]
        if len(changed) < 2 or by_the_calendar(self.bars, changed):
            return
        found, step = 0, max(len(changed) // _DELAYED, 1) | 1  # odd: of a position that begins and ends, both
        for bar in changed[::step][:_DELAYED].tolist():
            if self._hangs_on(bar, bar):
                return
            found += self._hangs_on(bar, bar - 1)
        self.late = found > 1

    def _hangs_on(self, bar: int, first: int) -> bool:
        """Tell whether the decision at a bar is another one when all bars from `first` on are, or is none."""
        for how in reversed(HOW):
            decisions = self.asking.again(others(self.bars, first, how, self.seed)).decisions
            if decisions is None or self.apart(decisions[bar : bar + 1], self.target[bar : bar + 1]).any():
                return True
        return False

    def _weigh_what_was_found(self) -> None:
        if self.first is not None and self.first.cut and not self.weighed:
            self._weigh(self.first)

    def _weigh(self, change: Change) -> None:
        """See whether a change that comes without the bars that follow comes with other ones too."""
        places = [change.bars, *cuts(self.bars, self.exposure, _FEW, self.seed)]
        self.first = None
        if not any(self.other(count, how) for count in places for how in HOW):
            self.by_number = change
        elif change.bars in self.others:
            self.first = change  # the one without the bars that follow says it best
        self.weighed = True

    def _ask_beside_edges(self, places: list[int]) -> None:
        """Take no change for look-ahead that comes with other last digits as well: a tie, as of a price with its mean,
        falls to either side as sums are rounded, and so with the length of what is summed. Such decisions are left
        aside, and `places` are asked again for all others."""
        for turn in range(_PAIRS):
            change = self.first
            if change is None or self.repeatable is False or not self._is_at_an_edge(change, turn):
                return
            self.first = None
            for count in [change.bars, *places]:
                self._ask_all(count)

    def _is_at_an_edge(self, change: Change, turn: int) -> bool:
        near = self._swings(self.bars.between(0, change.bars), [_PAIRS + turn])
        if near is None or not self._is_explained(change, near):
            return False
        if self.swing is None:
            swing = self._swings(self.bars, range(_PAIRS))
            if swing is None or np.mean(swing > _EDGE) > 0.9:
                return False  # one that hangs on last digits everywhere hides nothing by them
            self.swing = swing
        self.swing[: change.bars] = np.fmax(self.swing[: change.bars], near)
        return True

    def _ask_all(self, count: int) -> None:
        steps = [partial(self.cut, count)] if self.by_number is None else []
        for step in [*steps, *(partial(self.other, count, how) for how in HOW)]:
            if self.first is None:
                step()

    def _swings(self, bars: Bars, pairs: Iterable[int]) -> Floats | None:
        """Return how far each exposure moves with the last digits of the prices; None where there is no answer."""
        base = self.asking.again(bars).decisions
        if base is None:
            return None
        swing = np.zeros(len(bars))
        for pair in pairs:
            for side in (1.0, -1.0):
                answer = self.asking.again(nearly(bars, self.seed + 2 * pair, side)).decisions
                if answer is None:
                    return None
                swing = np.fmax(swing, _distance(self._exposed(answer), self._exposed(base)))
        return swing

    def cut(self, count: int) -> bool:
        """Ask for the first `count` bars, and tell whether there was an answer."""
        answer = self.asking.again(self.bars.between(0, count))
        if answer.decisions is None:
            self.silent.append(f"{answer.why} of the first {counted(count, 'bar')}")
            return False
        self.cuts.append(count)
        self._compare(answer, count, cut=True)
        return True

    def other(self, count: int, how: str) -> bool:
        """Ask with other bars after the first `count`; tell whether a decision before them is another one."""
        answer = self.asking.again(others(self.bars, count, how, self.seed))
        if answer.decisions is None:
            self.silent.append(f"{answer.why} with other bars after the first {count:,}")
            return False
        self.others.append(count)
        self._compare(answer, count, cut=False)
        after = self.exposure[count:-1]  # the last bar's decision is traded nowhere: many say nothing there
        if len(after) and len(changes(after)) > (after[0] != 0):
            same = np.abs(self._exposed(answer.decisions)[count:-1] - after) <= SAME
            self.reacts = bool(self.reacts) or not bool(same.all())
        return self.first is not None

    def repeat(self) -> None:
        """Ask for all bars again."""
        answer = self.asking.again(self.bars.between(0, len(self.bars)))
        change = None if answer.decisions is None else self._differ(answer, len(self.bars))
        self.repeatable = answer.decisions is not None and change is None
        if not self.repeatable:
            self.silent.insert(0, answer.why)
            self.first = change

    def _compare(self, answer: Answer, count: int, *, cut: bool) -> None:
        if self.first is None:
            self.first = self._differ(answer, count, cut=cut)

    def _differ(self, answer: Answer, count: int, *, cut: bool = True) -> Change | None:
        """Return the first of the first `count` decisions that is another one."""
        assert answer.decisions is not None
        known = min(count, self.asking.manner.known(len(answer.decisions)))
        other = answer.decisions[:known]
        wrong = self.differs(other, 0, known)
        if not wrong.any():
            return None
        bar = int(np.argmax(wrong))
        before, after = decided(float(self.target[bar])), decided(float(other[bar]))
        return Change(bar, iso(self.bars.timestamp[bar]), count, before, after, cut)

    def differs(self, decisions: Floats, first: int, end: int) -> npt.NDArray[np.bool_]:
        """Return where decisions are others than those of the bars from `first` up to `end`; see `apart`."""
        wrong = self.apart(decisions, self.target[first:end])
        if self.swing is not None and wrong.any():
            apart = _distance(self._exposed(decisions), self.exposure[first:end])
            begins = wrong & ~np.concatenate([[False], wrong[:-1]])
            leaks = (apart > 2.0 * self.swing[first:end])[begins]
            wrong[wrong] = leaks[np.cumsum(begins)[wrong] - 1]  # a position that a tie begins is one for some bars
        return wrong

    def apart(self, decisions: Floats, others: Floats) -> npt.NDArray[np.bool_]:
        """Return where two decisions are not one, as the engine trades them."""
        found: npt.NDArray[np.bool_] = ~(np.abs(self._exposed(decisions) - self._exposed(others)) <= SAME)
        return found  # NaN is near nothing

    def _is_explained(self, change: Change, swing: Floats) -> bool:
        before, after = (np.array([math.nan if x is None else x]) for x in (change.before, change.after))
        apart = float(_distance(self._exposed(before), self._exposed(after))[0])
        return apart <= 2.0 * float(swing[change.bar])

    def _exposed(self, target: Floats) -> Floats:
        """Return what is traded of a target: the engine's own rule."""
        size = self.sizing
        return np.clip(target * size.scale, -size.max_exposure, size.max_exposure)

    # --- what came of it ----------------------------------------------------------------------------------------------

    @property
    def coverage(self) -> tuple[int, int]:
        """How many changes of the decision there are, but for the last bar's, and how many bars after were left out."""
        changed = changes(self.exposure)
        changed = changed[changed < len(self.bars) - 1]
        return len(changed), int(np.isin(changed + 1, [*self.cuts, *self.others]).sum())

    def probe(self) -> Probe:
        """Return the verdict on what was found."""
        verdict, reason = self._judged()
        first = self.first if verdict == FAIL or self.repeatable is False else None
        return Probe(verdict, reason, len(set(self.cuts)), len(set(self.others)), first, self.repeatable)

    def _judged(self) -> tuple[str, str]:
        if self.repeatable is False:
            if self.first is None:
                return NOT_ASSESSED, f"not repeatable: asked for the same bars again, {self.silent[0]}"
            return (
                NOT_ASSESSED,
                f"not repeatable: two answers for the same bars, at bar {self.first.bar}: {self.first.values}",
            )
        if self.first is not None and not self.settled:
            return NOT_ASSESSED, f"{self.first}; there was no time left to tell look-ahead from another cause"
        if self.first is not None:
            return FAIL, f"look-ahead: {self.first}"
        if file := self.asking.watch.read:
            if self.reacts is False:
                return (
                    FAIL,
                    f"look-ahead: the strategy reads {file} itself: its decisions stay when the bars are others",
                )
            return NOT_ASSESSED, f"the strategy reads {file} itself: what it sees there can't be cut off"
        if self.reacts is False and not self.asking.drew:
            if change := self.by_number:
                return NOT_ASSESSED, f"{change}; with others they don't: they hang on how many bars there are alone"
            return (
                NOT_ASSESSED,
                "its decisions hang neither on the prices nor on the times of the bars that it is given",
            )
        asked = len(set(self.others)) if self.by_number else len(set(self.cuts) | set(self.others))
        if not asked or len(self.silent) > asked:
            return NOT_ASSESSED, self._why_not()
        told = f"no look-ahead was found in {counted(asked, 'place')}"
        if self.by_number:
            told += (
                f"; without the bars after bar {self.by_number.bars - 1} it decides otherwise, with others it does not"
            )
        elif self.silent:
            told += f"; {self.silent[0]}"
        if self.swing is not None and (ties := int((self.swing > _EDGE).sum())):
            told += f"; {ties:,} decisions are ties, which fall to either side as sums are rounded"
        return PASS, told

    def _why_not(self) -> str:
        if self.silent:
            return f"it can't be asked again: {self.silent[0]}"
        return self.stopped or "there are too few bars to leave some out"


def _distance(some: Floats, others: Floats) -> Floats:
    """Return how far exposures are apart: 0 where there are none, infinity where there is one alone."""
    missing = np.isnan(some).astype(np.int64) + np.isnan(others)
    return np.choose(missing, [np.abs(some - others), np.inf, 0.0])
