"""Trials of a sweep made again from the sealed parent, and held against their rows.

A row has statistics and digests, and no equity: what differs is named by the first statistic, and by the bar where the
trial is the one that the parent's own equity is of. Each trial is made in the process that `apart` starts; one that
ends that process, or does not end, is told as such, and those after it are made in the next.
"""

from __future__ import annotations

import random
import re
import struct
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from peak_trade.errors import InputError, RunError
from peak_trade.evidence import door, manifest, tables, trials
from peak_trade.evidence.trials import FAILED, Trials
from peak_trade.runner.definition import environment
from peak_trade.runner.limits import termination_raised
from peak_trade.stats import editions
from peak_trade.sweep.rows import KEYS, Row, Rows
from peak_trade.sweep.stitching import Leg
from peak_trade.sweep.task import Task
from peak_trade.text import counted
from peak_trade.trust import space
from peak_trade.trust.difference import Bar, Figure, Sealed
from peak_trade.trust.difference.figures import figures
from peak_trade.trust.difference.series import series
from peak_trade.trust.replay import apart, windows
from peak_trade.trust.replay.apart import GONE, End
from peak_trade.trust.replay.data import Data
from peak_trade.trust.replay.environment import Python
from peak_trade.trust.replay.held import DIVERGED, IDENTICAL, TOLERANCE, WITHIN_TOLERANCE, same_text, valued
from peak_trade.trust.replay.order import Order, lay_out
from peak_trade.trust.replay.recorded import Recorded, Whole

__all__ = [
    "ALL", "Again", "Asked", "held", "numbered", "plan_of", "remade", "same_row", "table_of", "verdict_of", "why",
]  # fmt: skip

ALL = "all"
_SAMPLE = 10  # trials that are drawn where nobody says which
_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")
_STOPPED = re.compile(r"stopped after ([\d.e+]{1,20}) s, its limit")  # as an executor says it of a row
_ENDED = "killed ("
_LARGEST = 2 << 30  # bytes of rows
_SLOWEST_S = 600.0
_FIGURES = 5
_TWICE = 3  # trials that differ are made once more, to see whether they repeat themselves
_SAY_S = 5.0


class Again(Struct, frozen=True):
    """A trial that was made again, or (`index` None) the account over all windows of a parent.

    `figures` are the statistics that differ, `bar` is the first bar, where that is known. `then` and `now` are why it
    failed, then and this time; empty where it did not. `other` are its digests that are others, `kept` is the run that
    was kept of it; `unsteady` says that it came to something else when made twice.
    """

    index: int | None
    verdict: str
    overrides: dict[str, Any]
    figures: list[Figure] = []
    bar: Bar | None = None
    then: str = ""
    now: str = ""
    other: tuple[str, ...] = ()
    kept: str = ""
    unsteady: bool = False

    def as_text(self) -> str:
        """Return it in a line, and a line more for each further statistic."""
        called = ", ".join(f"{key.removeprefix('strategy.params.')} = {one}" for key, one in self.overrides.items())
        head = f"trial {self.index} ({called})" if self.index is not None else "the account over all windows"
        head = f"{head}: {self.verdict}"
        if self.then or self.now:
            return f"{head}: {self._failure()}"
        told = [f"{one.key}: {valued(one.values[0])} in its row, {valued(one.values[1])} now" for one in self.figures]
        told = told or [f"no statistic; the digest of its {one} is another" for one in self.other[:1]]
        if self.bar:
            bar = self.bar
            told.insert(0, f"first bar {bar.time} {bar.column}: {valued(bar.a)}, now {valued(bar.b)}")
        more = [f"… and {len(told) - _FIGURES} more statistics"] if len(told) > _FIGURES else []
        hint = [f"just replay {self.kept[:8]} names its first bar"] if self.kept and not self.bar else []
        return f"{head}: " + "\n      ".join([*told[:_FIGURES], *more, *hint]) if told else head

    def _failure(self) -> str:
        if not self.now:
            return f"it failed then ({self.then}), and does not now"
        if not self.then:
            return f"it fails this time: {self.now}"
        return f"it fails as it did: {self.now}" if self.verdict == IDENTICAL else f"{self.then}, now: {self.now}"


class Asked(Struct, frozen=True):
    """Which trials of a parent are to be made again; `drawn` where nobody said which."""

    table: Trials
    which: list[int]
    tasks: list[Task]
    drawn: bool
    legs: list[Leg] = []
    carry: bool = False

    @classmethod
    def of(cls, found: Whole, words: Sequence[str]) -> Asked:
        """Return what a command line asks for; InputError where there is no such trial, or none that can be made alone.

        Of nothing it is the chosen trial and a sample, which is drawn anew each time: who made the parent can't know
        which trials it will be.
        """
        parent = found.sealed
        table = table_of(parent)
        if words:
            which = numbered(words, len(table), found.name)
        else:
            others = np.flatnonzero(~table.chosen).tolist()
            drawn = random.SystemRandom().sample(others, min(_SAMPLE, len(others)))
            which = sorted({*np.flatnonzero(table.chosen).tolist(), *drawn})
        plan = plan_of(parent)
        tasks = [_task(plan, table, at, found.name) for at in which]
        legs = [] if words and ALL not in words else windows.legs_of(parent, plan, table)
        return cls(table, which, tasks, not words, legs, windows.is_carried(plan))

    def what(self, bars: int) -> str:
        """Return what is made again, for the verdict."""
        return f"{len(self.which):,} of {counted(len(self.table), 'trial')} over {bars:,} bars"

    def said(self) -> list[str]:
        """Return which trials are made again where nobody said which, and which are not."""
        left = len(self.table) - len(self.which)
        if not self.drawn or not left:
            return []
        numbers = [at for at in self.which if not self.table.chosen[at]]
        chosen = f"the chosen trial {self.table.best} and " if self.table.best is not None else ""
        chosen = "the account over all windows and " if self.legs else chosen
        return [
            f"made again: {chosen}{len(numbers)} drawn from the others ({', '.join(map(str, numbers))});"
            f" {left:,} were not: --trial all makes all"
        ]


def _task(plan: Mapping[str, Any], table: Trials, at: int, name: str) -> Task:
    """Return what a trial was asked for; InputError where nobody says on which bars."""
    fold, part = int(table.fold[at]), table.part[at]
    span = space.span_of(plan, fold, part) if fold >= 0 else None
    if fold >= 0 and span is None:
        what = f"a trial of fold {fold}, whose bars nobody says"
        raise InputError(f"trial {at} of {name} is {what}: it can't be made alone", hint=f"just verify {name}")
    return Task(table.overrides(at), span, fold, part)


def table_of(parent: Sealed) -> Trials:
    """Return a parent's table; InputError where it can't be read."""
    name = trials.name_in(parent.manifest.files)
    try:
        if not name:
            raise RunError(f"{parent.name} has no table of trials")
        return trials.read(name, parent.content(name))
    except ImportError as error:
        raise InputError(f"{name} can't be read: {error}", hint="just setup lake") from None
    except RunError as error:
        raise InputError(error.message, hint=error.hint or f"just verify {parent.name}") from None


def plan_of(parent: Sealed) -> dict[str, Any]:
    """Return what was searched, as the manifest has it; InputError where it does not say."""
    asked = parent.manifest.predicate.build_definition.get("externalParameters")
    plan = asked.get("sweep") if isinstance(asked, dict) else None
    if not isinstance(plan, dict):
        raise InputError(f"{parent.name} does not say what was searched", hint=f"just verify {parent.name}")
    return plan


def numbered(words: Sequence[str], count: int, name: str) -> list[int]:
    """Return the trials that `3`, `5-9` and `all` name, in order, each once; InputError for what is none of them.

    >>> numbered(["7", "3-5", "4"], 10, "a sweep")
    [3, 4, 5, 7]
    """
    found: set[int] = set()
    for word in words:
        if word == ALL:
            return list(range(count))
        numbers = _RANGE.fullmatch(word)
        first, last = (int(numbers[1]), int(numbers[2] or numbers[1])) if numbers else (1, 0)
        if last < first:
            raise InputError(f"--trial {word!r} is no trial", hint="--trial 3, --trial 5-9 or --trial all")
        if last >= count:
            raise InputError(
                f"{name} has no trial {last}: its {counted(count, 'trial')} are numbered from 0 to {count - 1:,}",
                hint=f"just show {name}",
            )
        found |= set(range(first, last + 1))
    return sorted(found)


# --- made again -----------------------------------------------------------------------------------------------------


def remade(
    asked: Asked, found: Recorded, bars: Data, root: Path, *, here: bool, python: Python | None,
    tell: Callable[[str], None],
) -> list[Again]:  # fmt: skip
    """Make the trials again, and return what came of each. Raises InputError where they can't be made."""
    folder = tempfile.TemporaryDirectory(prefix="peak-replay-", ignore_cleanup_errors=True)
    with termination_raised(), folder as name:
        place = Path(name)
        try:
            order = lay_out(found, bars, place, root, here=here)
        except OSError as error:
            raise InputError(f"it can't be made again: {error.strerror}", hint="check the disk, and $TMPDIR") from None

        def make(order: Order, limit_s: float | None) -> End:
            if python is not None:
                return python.make(order, place, limit_s)
            return apart.forked(lambda: order.make(bars.loaded), limit_s)

        rows = _made(asked, order, make, found.config.run.timeout_s, tell)
        again = held(asked, found.sealed, rows, place / "equity.csv")
        if asked.legs:
            again.insert(0, _account(asked, found.sealed, order, make, place))
        at_first = len(again) - len(asked.which)
        differ = [at for at, one in enumerate(again[at_first:]) if one.verdict != IDENTICAL][:_TWICE]
        if differ:
            which = [asked.which[at] for at in differ]
            once_more = Asked(asked.table, which, [asked.tasks[at] for at in differ], drawn=False)
            twice = _made(once_more, order, make, found.config.run.timeout_s, lambda _: None)
            for number, at in enumerate(differ):
                if not same_row(rows, at, twice, number):
                    again[at_first + at] = replace(again[at_first + at], unsteady=True)
    return again


def _account(
    asked: Asked, parent: Sealed, order: Order, make: Callable[[Order, float | None], End], place: Path
) -> Again:  # fmt: skip
    """Make the account over all windows again, and hold it against the parent's own result."""
    path = place / "rows-account"
    end = make(replace(order, legs=asked.legs, carry=asked.carry, rows=str(path)), None)
    if end.refused:
        raise InputError(end.message, hint=end.hint)
    rows = _read(path, 1)
    if not rows:
        return Again(None, DIVERGED, {}, now=end.message or "it came to nothing")
    results = parent.manifest.predicate.results
    told = str(results.get("equity_digest")), str(results.get("trades_digest"))
    found = _compared(parent, Again(None, IDENTICAL, {}), told, parent.figures, rows[0], 0, _known(parent))
    return replace(found, bar=_first_bar(parent, place / "equity.csv", 0.0)) if "equity" in found.other else found


def same_row(a: Rows, at: int, b: Rows, number: int) -> bool:
    """Tell whether a trial came to the same twice."""
    same = np.array_equal(a.values[at], b.values[number], equal_nan=True)
    return same and np.array_equal(a.digests[at], b.digests[number]) and a.error.get(at) == b.error.get(number)


def verdict_of(again: Sequence[Again]) -> str:
    """Return the verdict over trials: that of the one that went furthest off."""
    return max((one.verdict for one in again), key=(IDENTICAL, WITHIN_TOLERANCE, DIVERGED).index, default=IDENTICAL)


def why(again: Sequence[Again], found: Recorded, of_old: Sequence[str]) -> list[str]:
    """Return what is known of why trials differ; nothing where none does."""
    differ = [one for one in again if one.verdict != IDENTICAL]
    if not differ:
        return []
    said = [*of_old]
    if any(one.unsteady for one in differ):
        said.append("made twice, they came to other values each time: the strategy does not repeat itself")
    then, now = found.sealed.made.internal_parameters.environment, environment()
    changed = [
        f"{key} {then[key]} → {now[key]}"
        for key in sorted(then.keys() & now.keys())
        if then[key] != now[key] and isinstance(then[key], str)
    ]
    if changed:
        said.append(f"changed since: {', '.join(changed)}")
    if masked := found.masked:
        said.append(f"its config had secrets, which no run keeps: {', '.join(masked)}")
    return said


def _made(
    asked: Asked, order: Order, make: Callable[[Order, float | None], End], limit_s: float | None,
    tell: Callable[[str], None],
) -> Rows:  # fmt: skip
    """Make trials by `make`, which starts a process for an order, and return their rows.

    Where the time was up then, it is no longer waited for than that; `limit_s` is that of each trial.
    Raises InputError where nothing can be made at all.
    """
    tasks, errors = asked.tasks, [asked.table.error[at] for at in asked.which]
    chosen = next((at for at, number in enumerate(asked.which) if asked.table.chosen[number]), -1)
    found: list[Rows] = []
    said = time.monotonic()
    while (at := len(found)) < len(tasks):
        own = _limit(errors[at], limit_s)
        alone = own is not None
        stop = at + 1 if alone else next((n for n in range(at, len(tasks)) if _limit(errors[n], limit_s)), len(tasks))
        path = Path(order.results).parent / f"rows-{at}"
        whole = chosen - at if at <= chosen < stop else None
        end = make(replace(order, tasks=list(tasks[at:stop]), rows=str(path), whole=whole), own)
        if end.refused:
            raise InputError(end.message, hint=end.hint)
        rows = _read(path, stop - at)
        found += rows
        path.unlink(missing_ok=True)
        if time.monotonic() - said > _SAY_S:
            said = time.monotonic()
            tell(f"{len(found):,} of {len(tasks):,} trials are made …")
        if len(rows) < stop - at:  # the one that was under way ended its process, or was ended
            if not (end.gone or end.late or end.message):
                raise InputError("it can't be made again: its process left no rows", hint="check the disk, and $TMPDIR")
            why = f"stopped after {own:g} s, its limit" if end.late and own else end.message
            found.append(_none(tasks[len(found)], why))
    return Rows.joined(found)


def _limit(error: str, limit_s: float | None) -> float | None:
    stopped = _STOPPED.match(error)
    try:
        return min(float(stopped[1]), _SLOWEST_S) if stopped else limit_s
    except ValueError:
        return limit_s


def _none(task: Task, why: str) -> Rows:
    return Rows.of([Row(task.overrides, task.fold, task.part, why, None, None, None, 0.0)])


def _read(path: Path, count: int) -> list[Rows]:
    """Return the rows that a process has left, up to the last whole one; InputError where they are none."""
    try:
        content = door.read(path.parent, path.name, _LARGEST)
    except OSError:
        return []
    rows, at = list[Rows](), 0
    try:
        while at + 4 <= len(content) and len(rows) < count:
            (size,) = struct.unpack_from("<I", content, at)
            if at + 4 + size > len(content):
                break
            one = Rows.decode(content[at + 4 : at + 4 + size])
            if len(one) != 1:
                raise ValueError("not one row")
            rows.append(one)
            at += 4 + size
    except ValueError as error:
        raise InputError(f"it can't be made again: its rows are damaged: {error}") from None
    return rows


# --- held against their rows ------------------------------------------------------------------------------------------


def held(asked: Asked, parent: Sealed, again: Rows, equity: Path) -> list[Again]:
    """Return for each trial that was made again whether it is what its row says.

    `equity` is where that of the chosen one was left, if it was made.
    """
    known = _known(parent)
    kept = manifest.kept(parent.manifest)
    return [
        _of_row(parent, asked.table, at, again, number, known, kept.get(at, ""), equity)
        for number, at in enumerate(asked.which)
    ]


def _of_row(
    parent: Sealed, table: Trials, at: int, again: Rows, number: int, known: set[str], kept: str, equity: Path
) -> Again:  # fmt: skip
    then, now = table.error[at], again.error.get(number, "")
    found = Again(at, IDENTICAL, table.overrides(at), then=then, now=now, kept=kept)
    if table.status[at] == FAILED or now:
        same = bool(then and now) and (same_text(then, now) or (then.startswith(_ENDED) and now == GONE))
        return found if same else replace(found, verdict=DIVERGED)
    told = table.equity_digest[at], table.trades_digest[at]
    found = _compared(parent, found, told, table.statistics(at), again, number, known)
    if "equity" in found.other and table.chosen[at]:
        tolerance = TOLERANCE if found.verdict == DIVERGED else 0.0
        return replace(found, bar=_first_bar(parent, equity, tolerance))
    return found


def _known(parent: Sealed) -> set[str]:
    """Return the statistics that this version works out as the parent's did."""
    sealed = parent.manifest.predicate.results.get("statistics")
    told = sealed if isinstance(sealed, dict) else {}
    return {key for key, edition in editions().items() if told.get(key, 1) == edition}


def _compared(
    parent: Sealed, found: Again, told: Sequence[str], figures_then: Mapping[str, Any], again: Rows, number: int,
    known: set[str],
) -> Again:  # fmt: skip
    digests = [row.tobytes().hex() if row.any() else "" for row in again.digests[number]]  # as the table has them
    other = tuple(name for name, one, two in zip(("equity", "trades"), told, digests, strict=True) if one != two)
    values = {key: None if np.isnan(one) else float(one) for key, one in zip(KEYS, again.values[number], strict=True)}
    pair = [{key: one for key, one in row.items() if key in known} for row in (figures_then, values)]
    exact, loose = figures(pair), figures(pair, TOLERANCE)
    if not other and not exact:
        return found
    return replace(found, verdict=DIVERGED if loose else WITHIN_TOLERANCE, figures=loose or exact, other=other)


def _first_bar(parent: Sealed, equity: Path, tolerance: float) -> Bar | None:
    """Return the first bar in which the chosen trial differs from the parent's equity; None where that is not known."""
    try:
        content = door.read(equity.parent, equity.name, _LARGEST)
        again = tables.read_series(equity, list(parent.equity), content)
        return series(parent.equity, again, tolerance).first
    except (OSError, RunError):
        return None
