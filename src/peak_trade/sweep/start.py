"""A sweep up to its first trial: all that can be refused is, and then it is begun, or found again and taken up.

One process at a time looks for a sweep and begins it, so that two that are given the same command make one.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from peak_trade import strategies
from peak_trade.config import Source
from peak_trade.errors import PeakError, RunError
from peak_trade.evidence import manifest
from peak_trade.evidence.results import SWEEPS, Results
from peak_trade.evidence.run_dir import RunDir, recover
from peak_trade.redact import Redactor
from peak_trade.runner.attempt import Attempt
from peak_trade.runner.definition import bars_of, benchmark_of
from peak_trade.runner.holdout import withhold
from peak_trade.runner.log import RunLog
from peak_trade.runner.making import Stages
from peak_trade.runner.order import load_bars, seed_generators
from peak_trade.runner.shared import Shared
from peak_trade.runner.snapshot import told
from peak_trade.supervisor import UNWATCHED
from peak_trade.sweep import joining
from peak_trade.sweep.bench import Bench
from peak_trade.sweep.folder import Folder
from peak_trade.sweep.marks import Found, Marks, find, marks_of
from peak_trade.sweep.plan import Plan
from peak_trade.sweep.rows import Rows
from peak_trade.sweep.wish import Wish

__all__ = ["Asked", "ask", "ask_along", "begin", "take_up", "turn"]

_LOG = logging.getLogger("peak_trade.sweep")


class Busy(RunError):
    """Another process is making the sweep."""


class Asked(Struct, frozen=True, kw_only=True):
    """A sweep that has been checked, and what it is made from; `before` are the modules before its strategy's."""

    source: Source
    root: Path
    results: Path
    argv: list[str]
    redactor: Redactor
    stages: Stages
    held: tuple[str, str] | None
    shared: Shared
    function: Callable[..., Any]
    before: frozenset[str]
    plan: Plan
    keep: int | None
    marks: Marks
    told: dict[str, Any]
    order: dict[str, Any]

    def bench(self) -> Bench:
        """Return what makes its trials."""
        return Bench(self.source, self.shared.bars, self.function, self.shared.loaded.benchmark)


def ask(source: Source, wish: Wish, root: Path, results: Path, argv: Sequence[str]) -> Asked:
    """Check all that can be checked before a start, and warn of the combinations that are left out.

    Raises InputError where config, data or plan are wrong, RunError where the strategy can't be loaded.
    """
    wish.check()
    redactor, stages, whole = Redactor(msgspec.to_builtins(source.config), source.overrides), Stages(), source
    before = frozenset(sys.modules)
    with stages.clock("load"):
        given = told(source, redactor)
        source, held = withhold(source, root, results)
        shared = Shared(load_bars(source, root))
        data = shared.data
        function = _strategy(source, root)
        space, invalid = wish.valid(source, shared.bars, function)
        plan = wish.plan(source, shared.bars, space)
        plan.round(0, Rows.joined([]))  # which refuses a search whose sampler lacks a package
    for one in invalid:
        hint = f"; hint: {one.hint}" if one.hint else ""
        _LOG.warning("%s%s", redactor.text(one.as_text(len(space) + space.invalid)), hint)
    return Asked(
        source=source, root=root, results=results, argv=list(argv), redactor=redactor, stages=stages, held=held,
        shared=shared, function=function, before=before, plan=plan, keep=wish.keep, told=given,
        order=joining.told(whole, wish, root, redactor),
        marks=marks_of(source, redactor, plan.describe(), data, function, before),
    )  # fmt: skip


def ask_along(folder: Folder, root: Path, argv: Sequence[str]) -> Asked:
    """Check what is needed to work along on a sweep that has begun, as its order tells it.

    Raises InputError where config, bars, code or program are not the same here, RunError as `ask` does.
    """
    source, wish = joining.asked_of(folder, root)
    asked = ask(source, wish, root, folder.results, argv)
    start = Results(folder.results).reading().of(folder.run_id).start
    joining.refuse_other(start and start.fields.get("sweep"), asked.marks)
    return asked


def _strategy(source: Source, root: Path) -> Callable[..., Any]:
    strategy = source.config.strategy
    if strategy.name is not None:
        return strategies.resolve(strategy.name)
    seed_generators(source.config.run.seed)
    try:
        return strategies.load_entrypoint(strategy.entrypoint or "", source.bases(root))
    except PeakError:
        raise
    except Exception as error:
        raise RunError(
            f"the strategy raised {type(error).__name__} when it was loaded: {error}",
            hint="just run CONFIG leaves a run with the traceback",
        ) from error


def begin(asked: Asked, *, again: bool) -> Attempt | Path:
    """Put START on disk, or take the same sweep up where it stopped; return its directory where it is sealed.

    Raises RunError where another process is making it, or the results can't be written.
    """
    with turn(asked.results):
        found = find(Results(asked.results).reading(), asked.results, asked.marks, again=again)
        if found is None or found.changed:
            attempt = _begun(asked, found)
        elif found.sealed:
            if not (asked.results / found.run_id).is_dir():  # its process died before it had its name
                recover(Results(asked.results), found.run_id)
            return asked.results / found.run_id
        else:
            attempt = _taken_up(asked, found.run_id)
    return _with_bars(asked, attempt)


def take_up(asked: Asked, run_id: str) -> Attempt | None:
    """Take up a sweep whose process is gone; None where it is not, or has sealed it.

    Raises RunError where it can't be written to.
    """
    try:
        attempt = _taken_up(asked, run_id)
    except Busy:
        return None
    if (asked.results / run_id).is_dir():  # it was sealed, and let go of, just before
        attempt.directory.abandon()
        return None
    return _with_bars(asked, attempt)


def _with_bars(asked: Asked, attempt: Attempt) -> Attempt:
    attempt.bars, attempt.unnamed = bars_of(attempt, asked.shared.loaded, asked.shared.marks), asked.shared.unnamed
    attempt.benchmark = benchmark_of(attempt, asked.shared)
    attempt.before = asked.before
    return attempt


@contextmanager
def turn(results: Path) -> Iterator[None]:
    """Let one process at a time find a sweep or begin it; RunError where the results can't be written."""
    try:
        folder = results / SWEEPS
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise RunError(
            f"cannot write to {results}: {error.strerror}",
            hint="check the folder and the disk; PEAK_RESULTS_DIR names another folder",
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _begun(asked: Asked, found: Found | None) -> Attempt:
    if found:
        verb = "made" if found.sealed else "begun"
        _LOG.warning(
            "the same command has %s %s, of other %s than there is now: a new sweep begins",
            verb, found.run_id[:8], found.changed,
        )  # fmt: skip
    command = shlex.join(["just", "sweep", *asked.redactor.argv(asked.argv)])
    start = {"kind": manifest.SWEPT, "command": command, "sweep": asked.marks.told}
    return Attempt.begin(
        asked.source, asked.root, asked.results, None, asked.argv, asked.stages, asked.redactor, UNWATCHED,
        asked.told | start,
    )  # fmt: skip


def _taken_up(asked: Asked, run_id: str) -> Attempt:
    try:
        directory = RunDir.take_over(asked.results, run_id)
    except BlockingIOError:
        raise Busy(
            f"another process is making this sweep: {run_id[:8]}", hint=f"just sweep --join {run_id[:8]} works along"
        ) from None
    except OSError as error:
        raise RunError(f"the sweep {run_id[:8]} can't be taken up: {error.strerror}", hint="just doctor") from None
    directory.discard()  # what was to be sealed is made anew
    start = directory.ledger.read().of(run_id).start
    asked.stages.began = start.time if start else asked.stages.began
    return Attempt(
        asked.root, asked.source.path.parent, asked.argv, asked.stages, asked.redactor, directory,
        RunLog(directory, asked.redactor), start.sha256 if start else "", source=asked.source,
    )  # fmt: skip
