"""Trials of a sweep over a command made again: each recorded in a folder of its own, and held against its row.

They have the parent's sealed code, and the files that its chosen trial was seen to read: what only another trial loads
or reads is not there, and is told as the reason for which that one fails.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from peak_trade.errors import InputError
from peak_trade.runner.limits import termination_raised
from peak_trade.sweep.records import row_of
from peak_trade.sweep.rows import Rows
from peak_trade.sweep.words import filled
from peak_trade.text import counted
from peak_trade.trust.replay import commanded
from peak_trade.trust.replay.commanded import UNKNOWN
from peak_trade.trust.replay.held import IDENTICAL
from peak_trade.trust.replay.recorded import Whole
from peak_trade.trust.replay.trials import Again, Asked, held, plan_of, same_row, verdict_of

__all__ = ["Remade", "again"]

_TWICE = 3  # trials that differ are made once more, to see whether they repeat themselves


class Remade(Struct, frozen=True):
    """What came of trials that were made again: what was made, what is to be said of it, and how long it took."""

    verdict: str
    what: str
    said: list[str]
    trials: list[Again]
    seconds: float


def again(
    found: Whole, words: Sequence[str], given: Sequence[str], *, here: bool, tell: Callable[[str], None]
) -> Remade:  # fmt: skip
    """Make the trials that `words` name, else the chosen one and a sample, and hold them against their rows.

    Raises InputError where there is no such trial, or it can't be made.
    """
    asked, began = Asked.of(found, words), time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="peak-replay-", ignore_cleanup_errors=True) as name, termination_raised():
        rows = _made(found, asked, Path(name), given, here=here, tell=tell)
        trials = held(asked, found.sealed, rows, Path(name) / "equity.csv")
        differ = [at for at, one in enumerate(trials) if one.verdict != IDENTICAL]
        for at in differ[:_TWICE]:
            once_more = replace(asked, which=[asked.which[at]], tasks=[asked.tasks[at]])
            if not same_row(rows, at, _made(found, once_more, Path(name), given, here=here, tell=tell), 0):
                trials[at] = replace(trials[at], unsteady=True)
    reasons = commanded.reasons(found) if differ else []
    said = [*asked.said(), *reasons]
    if any(one.unsteady for one in trials):
        said.append("made twice, they came to other values each time: the command does not repeat itself")
    what = f"{len(asked.which):,} of {counted(len(asked.table), 'trial')} of a command"
    return Remade(UNKNOWN if reasons else verdict_of(trials), what, said, trials, time.perf_counter() - began)


def _made(
    found: Whole, asked: Asked, place: Path, given: Sequence[str], *, here: bool, tell: Callable[[str], None]
) -> Rows:  # fmt: skip
    """Make trials one after the other, and return their rows; the chosen one's equity stays in `place`."""
    command = plan_of(found.sealed).get("command")
    if not isinstance(command, list) or not all(isinstance(one, str) for one in command):
        raise InputError(f"{found.name} does not say which command it was", hint=f"just verify {found.name}")
    rows = []
    for number, task in zip(asked.which, asked.tasks, strict=True):
        tell(f"making trial {number} again …")
        room = place / f"trial-{number}"
        try:
            words = filled(command, task.overrides)
        except KeyError as error:
            raise InputError(
                f"trial {number} has no value of {error}, which its command names", hint=f"just verify {found.name}"
            ) from None
        fill = partial(filled, values=task.overrides)
        made = commanded.make(found, room, given, here=here, command=words, fill=fill)
        rows.append(row_of(made.sealed.path, task, made.seconds))
        if asked.table.chosen[number] and (made.sealed.path / "equity.csv").is_file():
            shutil.copyfile(made.sealed.path / "equity.csv", place / "equity.csv")
        shutil.rmtree(room, ignore_errors=True)
    return Rows.of(rows)
