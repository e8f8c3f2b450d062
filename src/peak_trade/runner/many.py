"""Many runs over the same bars, each a sealed directory as when it runs alone, started and sealed in batches.

    START of all, one write ─▶ each run, its files ─▶ one flush ─▶ SEALED of all, one write ─▶ their names ─▶ one flush

What a run promises holds of each: its START is on disk before its strategy is asked, and a directory that has its final
name is whole and on disk. One that fails is sealed as failed by itself, and the others go on. A process that dies
leaves all runs of its batch as a run leaves itself: what has a line that seals it only lacks its name, what has none is
sealed as failed by `just doctor`, though its strategy may not have been asked.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from peak_trade.config import Source
from peak_trade.errors import InputError, PeakError
from peak_trade.evidence.provenance import GitQuestion
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import RunDir, Sealing, new_run_id, seal_all, warn_unfinished
from peak_trade.redact import Redactor
from peak_trade.runner.attempt import Attempt, asked, unwritable, withheld
from peak_trade.runner.edition import check_edition
from peak_trade.runner.failure import fail
from peak_trade.runner.limits import termination_raised, uninterrupted
from peak_trade.runner.log import RunLog, logging_to
from peak_trade.runner.making import Stages
from peak_trade.runner.order import make, registered
from peak_trade.runner.shared import Shared
from peak_trade.runner.snapshot import told

__all__ = ["Made", "Wanted", "run_many"]

_TOGETHER = 64  # runs of a batch: each holds two descriptors until it is sealed


class Wanted(Struct, frozen=True):
    """A run to be made, as trial number `trial` of the run `parent`, if of any. Its bars are those of the call.

    One that is `begun` has its START in the ledger, by a process that is gone, and is made from there on.
    """

    source: Source
    run_id: str | None = None
    parent: str = ""
    trial: int | None = None
    begun: bool = False

    @property
    def kin(self) -> dict[str, Any]:
        """What its lines in the ledger and its manifest tell of whose trial it is."""
        return ({"parent": self.parent} if self.parent else {}) | ({} if self.trial is None else {"trial": self.trial})


class Made(Struct, frozen=True):
    """What became of one: its directory, sealed or sealed as failed, and the error that its operator reads, if any.

    No `path`: it did not start, as its config asks for what there is not, or left only what `just doctor` brings to its
    end.
    """

    run_id: str
    path: Path | None
    error: PeakError | None = None


def run_many(
    wanted: Sequence[Wanted],
    *,
    root: str | os.PathLike[str],
    results: str | os.PathLike[str],
    shared: Shared,
    argv: Sequence[str] = (),
) -> list[Made]:
    """Make runs over the bars of `shared`, and return what became of each, in their order.

    `shared` may be that of calls before, of the same bars. What the runs say goes to their own logs alone.

    Raises InputError where a run_id is none or exists already, RunError where nothing can be written, both before any
    run of a batch starts; KeyboardInterrupt, once what has started is sealed.
    """
    root, results = Path(root), Path(results).absolute()  # a strategy may change the current directory
    if any(not one.parent for one in wanted):  # else that has warned, and others of its trials come and go
        warn_unfinished(Results(results))
    git = GitQuestion(root)
    made: list[Made] = []
    try:
        with termination_raised():
            for start in range(0, len(wanted), _TOGETHER):
                made += _Batch(root, results, shared, git, list(argv)).run(wanted[start : start + _TOGETHER])
    finally:
        git.close()
    return made


class _Begun(Struct):
    """A run of a batch that is to start, or has."""

    wanted: Wanted
    run_id: str
    redactor: Redactor
    told: dict[str, Any]
    of_old: str
    function: Callable[..., Any] | None
    stages: Stages
    attempt: Attempt | None = None
    sealing: Sealing | None = None
    error: PeakError | None = None


class _Batch:
    def __init__(self, root: Path, results: Path, shared: Shared, git: GitQuestion, argv: list[str]) -> None:
        self.root, self.results, self.shared, self.git, self.argv = root, results, shared, git, argv
        self.interrupted: KeyboardInterrupt | None = None

    def run(self, wanted: Sequence[Wanted]) -> list[Made]:
        made: list[Made | _Begun] = [self._asked(one) for one in wanted]
        begun = [one for one in made if isinstance(one, _Begun)]
        attempts = self._begin(begun)
        try:
            for one, attempt in zip(begun, attempts, strict=True):
                try:
                    self._make(one, attempt)
                except KeyboardInterrupt as error:  # between two of them, or a second one while the first is evidence
                    self.interrupted = self.interrupted or error
            with uninterrupted():
                self._seal([one for one in begun if one.sealing])
        finally:
            for attempt in attempts:
                attempt.directory.release()
        if self.interrupted:
            raise self.interrupted
        return [_became(one) if isinstance(one, _Begun) else one for one in made]

    def _asked(self, wanted: Wanted) -> _Begun | Made:
        """Check all that can be without a user's code: a run that is refused leaves no trace."""
        run_id, source = new_run_id(wanted.run_id), wanted.source
        try:
            of_old = check_edition(source, self.root)
            redactor = Redactor(msgspec.to_builtins(source.config), source.overrides)
            given = told(source, redactor)
            return _Begun(wanted, run_id, redactor, given, of_old, registered(source.config), Stages())
        except InputError as error:
            return Made(run_id, None, error)

    def _begin(self, begun: Sequence[_Begun]) -> list[Attempt]:
        """Make the working directories, and put the START records on disk: of all, or of none."""
        created: list[RunDir] = []
        taken: dict[str, RunDir] = {}
        new = [one for one in begun if not one.wanted.begun]
        try:
            for one in begun:
                if one.wanted.begun:
                    taken[one.run_id] = RunDir.take_over(self.results, one.run_id)
                    taken[one.run_id].discard()
            created = RunDir.create_all(
                self.results, [one.run_id for one in new], given=any(one.wanted.run_id for one in new)
            )
            fields = [
                asked(one.wanted.source.config) | one.wanted.kin | withheld(one.wanted.source) | one.told for one in new
            ]
            started = RunDir.begin_all(list(zip(created, fields, strict=True)))
        except OSError as error:
            for directory in created:
                directory.abandon()
            for directory in taken.values():
                directory.release()
            raise unwritable(self.results, error) from None
        after = {one.run_id: line for one, line in zip(new, started, strict=True)}
        if taken:
            runs = Results(self.results).reading().runs
            after |= {run_id: start.sha256 for run_id in taken if (start := runs[run_id].start)}
        places = taken | {directory.run_id: directory for directory in created}
        return [
            Attempt(
                self.root, one.wanted.source.path.parent, self.argv, one.stages, one.redactor, places[one.run_id],
                RunLog(places[one.run_id], one.redactor), after[one.run_id], kin=one.wanted.kin,
                source=one.wanted.source, known=self.shared.known,
            )
            for one in begun
        ]  # fmt: skip

    def _make(self, one: _Begun, attempt: Attempt) -> None:
        """Make one run up to its seal; where it fails, it is sealed as failed."""
        one.attempt = attempt
        attempt.before = frozenset(sys.modules)
        with suppress(OSError):  # a strategy before this one may have moved it
            attempt.directory.go_home()
        with logging_to(attempt.log, alone=True):
            try:
                if self.interrupted:
                    raise KeyboardInterrupt
                if one.of_old:
                    attempt.warn("rules", "changed", one.of_old)
                done = make(attempt, self.git, self.shared, one.function)
                one.sealing = attempt.directory.conclude(done.statement, "sealed", **done.facts)
            except BaseException as error:  # noqa: BLE001 - the one guard: whatever a strategy does, evidence is left
                self._fail(one, attempt, error)

    def _fail(self, one: _Begun, attempt: Attempt, error: BaseException) -> None:
        one.sealing = None
        if isinstance(error, KeyboardInterrupt):
            self.interrupted = self.interrupted or error
        try:
            fail(attempt, self.git, error)
        except PeakError as shown:
            one.error = shown

    def _seal(self, done: Sequence[_Begun]) -> None:
        """Seal the runs whose files are written."""
        ready: list[Sealing] = []
        for one in done:
            if one.sealing and one.attempt:
                with suppress(OSError):
                    one.attempt.directory.go_home()
                ready.append(one.sealing)
        came: Sequence[BaseException | None]
        try:
            came = seal_all(ready)
        except OSError as error:
            came = [error] * len(ready)
        for one, wrong in zip(done, came, strict=True):
            if wrong and one.attempt:
                with logging_to(one.attempt.log, alone=True):
                    self._fail(one, one.attempt, wrong)


def _became(one: _Begun) -> Made:
    directory = one.attempt.directory if one.attempt else None
    named = directory is not None and directory.path.parent == directory.results
    return Made(one.run_id, directory.path if directory and named else None, one.error)
