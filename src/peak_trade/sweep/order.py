"""The order of a sweep: config, bars, plan, START, rounds of trials, kept runs, files, seal. Nothing else knows it.

    bars ─▶ valid combinations ─▶ START ─▶ rounds of trials ─▶ kept runs ─▶ files ─▶ manifest ─▶ seal

Up to START nothing is written: a wrong config, wrong data or a wrong grid leaves no trace. From then on the sweep is
there until it is sealed, whatever ends its process: the same command finds it by its marks, and goes on. Trials that
are done stand in the ledger at checkpoints, so that they count also if nobody ever does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from peak_trade.config import Source
from peak_trade.errors import PeakError, RunError
from peak_trade.evidence import provenance
from peak_trade.runner.attempt import Attempt
from peak_trade.runner.limits import termination_raised, uninterrupted
from peak_trade.runner.log import logging_to
from peak_trade.stats.equity import years
from peak_trade.stats.values import need
from peak_trade.sweep import executor, joining, keeping, parent
from peak_trade.sweep.bench import Bench
from peak_trade.sweep.executor import Executor
from peak_trade.sweep.folder import Folder
from peak_trade.sweep.heard import Beginning, Heard
from peak_trade.sweep.plan import Plan
from peak_trade.sweep.rows import Rows
from peak_trade.sweep.start import Asked, ask, ask_along, begin, take_up
from peak_trade.sweep.wish import Wish, Work

__all__ = ["Stopped", "join", "sweep"]

_POLL_S = 0.2  # between looks at whether another has sealed the sweep
_FIRST_S, _LATER_S = 5.0, 60.0  # between checkpoints: twice as long each time


class Stopped(RunError):
    """A sweep was interrupted: what is done is kept."""

    exit_code = 130


def sweep(
    source: Source,
    wish: Wish,
    *,
    root: str | os.PathLike[str],
    results: str | os.PathLike[str],
    argv: Sequence[str] = (),
    work: Work | None = None,
    again: bool = False,
    heard: Heard | None = None,
) -> Path:
    """Make every trial of a plan and return the sealed directory of the parent run.

    One that the same command has begun is taken up where it stopped; one that is sealed is returned as it is, but for
    `again`.

    Raises InputError where config, data or plan are wrong, RunError where every trial failed, a write did, or another
    process is making it, and Stopped where it was interrupted.
    """
    work, heard = work or Work(), heard or Heard()
    executor.of(work)  # which refuses what there is not
    asked = ask(source, wish, Path(root), Path(results).absolute(), argv)
    git = provenance.GitQuestion(asked.root)
    try:
        attempt = begin(asked, again=again)
        if isinstance(attempt, Path):
            heard.is_there(attempt.name)
            return attempt
        return _finished(asked, attempt, git, work, heard)
    finally:
        git.close()


def join(
    which: str,
    *,
    root: str | os.PathLike[str],
    results: str | os.PathLike[str],
    argv: Sequence[str] = (),
    work: Work | None = None,
    heard: Heard | None = None,
) -> tuple[Path, Source | None]:
    """Work along on a sweep that another process has begun, until it is sealed, and return the parent's directory.

    Who began it seals it; where that one is gone, this one does, and returns the config too.

    Raises InputError where there is no such sweep, or config, bars, code or program are not the same here, RunError as
    `sweep` does, and Stopped where it was interrupted.
    """
    work, heard = work or Work(), heard or Heard()
    executors = executor.of(work)
    root, results = Path(root), Path(results).absolute()
    folder = joining.find_folder(which, results)
    if isinstance(folder, Path):
        heard.is_there(folder.name)
        return folder, None
    asked = ask_along(folder, root, argv)
    git = provenance.GitQuestion(root)
    sealed = results / folder.run_id
    try:
        with termination_raised():
            _rounds(asked.plan, executors(asked.bench(), folder), folder, heard)
            while not sealed.is_dir():
                if attempt := take_up(asked, folder.run_id):
                    return _finished(asked, attempt, git, work, heard), asked.source
                time.sleep(_POLL_S)
    except KeyboardInterrupt:
        raise Stopped("interrupted: the others go on", hint=f"just sweep --join {folder.run_id[:8]}") from None
    except (OSError, PeakError) as error:
        if sealed.is_dir():  # another has sealed it in the meantime
            return sealed, None
        if isinstance(error, PeakError):
            raise
        hint = f"make room: just sweep --join {folder.run_id[:8]}"
        raise RunError(f"the sweep can't be written: {error.strerror}", hint=hint) from error
    finally:
        git.close()
    return sealed, None


def _finished(
    asked: Asked,
    attempt: Attempt,
    git: provenance.GitQuestion,
    work: Work,
    heard: Heard,
) -> Path:
    """Make what is not done yet, and seal the sweep."""
    folder = Folder(attempt.directory.results, attempt.directory.run_id)
    try:
        _note_order(asked, attempt, folder)
        bench = asked.bench()
        with termination_raised():
            with logging_to(attempt.log):
                rows = _tried(asked, attempt, executor.of(work)(bench, folder), folder, heard)
            kept = _kept(asked, attempt, git, rows, work.jobs, heard)
            with logging_to(attempt.log), uninterrupted():
                return _sealed(asked, attempt, git, bench, rows, kept, folder)
    except KeyboardInterrupt:
        done = len(folder.all_rows())
        error: PeakError = Stopped(f"interrupted: {done:,} trials are done and kept", hint=_goes_on(attempt))
        raise _of(attempt, error) from None
    except OSError as error:
        wrong = RunError(f"the sweep can't be written: {error.strerror}", hint=f"make room: {_goes_on(attempt)}")
        raise _of(attempt, wrong) from error
    except PeakError as error:
        raise _of(attempt, error)  # noqa: B904 - it is the same error, with the run that it is of
    finally:
        attempt.directory.release()


def _goes_on(attempt: Attempt) -> str:
    return f"the same command goes on where it stopped; just sweep --abandon {attempt.directory.run_id[:8]} gives it up"


def _of(attempt: Attempt, error: PeakError) -> PeakError:
    error.run_id = error.run_id or attempt.directory.run_id
    return error


def _note_order(asked: Asked, attempt: Attempt, folder: Folder) -> None:
    """Put on disk what it takes to give the sweep up without its config, and to work along."""
    if not folder.order():
        order = {"on": parent.batch_on(attempt), "seed": attempt.source.config.run.seed}
        folder.begin(msgspec.msgpack.encode(order | asked.order))


def _tried(asked: Asked, attempt: Attempt, workers: Executor, folder: Folder, heard: Heard) -> Rows:
    """Make the trials that are not done yet, and return the rows of all."""
    attempt.skip_what_could_not_start()
    for finding in asked.shared.loaded.findings:
        attempt.say(finding)
    attempt.hold_against(asked.shared.loaded.benchmark)
    if asked.held:
        attempt.warn("holdout", *asked.held)
    there, data = folder.all_rows(), asked.source.config.data
    heard.begins(
        Beginning(
            attempt.directory.run_id, data.symbol, data.timeframe, str(asked.shared.marks["digest"]),
            need(years(asked.shared.bars.timestamp)), *asked.plan.trials(), len(there),
        )
    )  # fmt: skip
    checkpoints = _Checkpoints(attempt, folder)
    if len(there):
        checkpoints.note()
    with attempt.stages.clock("trials"):
        try:
            return _rounds(asked.plan, workers, folder, heard, checkpoints)
        except KeyboardInterrupt:
            with uninterrupted():
                checkpoints.note()
            raise


def _rounds(
    plan: Plan, workers: Executor, folder: Folder, heard: Heard, checkpoints: _Checkpoints | None = None
) -> Rows:
    rows = Rows.joined([])
    for number in range(plan.rounds()):
        tasks = plan.round(number, rows)
        if not len(tasks):
            break
        made = failed = 0
        for more, bad in workers.run(number, tasks):
            made, failed = made + more, failed + bad
            heard.done(made, failed, len(tasks))
            if checkpoints:
                checkpoints.pass_by()
        rows = Rows.joined([rows, folder.rows(number, len(tasks))])
    return rows


class _Checkpoints:
    """Puts the trials that are done into the ledger, from time to time."""

    def __init__(self, attempt: Attempt, folder: Folder) -> None:
        self.attempt, self.folder = attempt, folder
        self.wait_s = _FIRST_S
        self.due = time.monotonic() + self.wait_s

    def pass_by(self) -> None:
        """Note them where it is time."""
        if time.monotonic() >= self.due:
            self.note()
            self.wait_s = min(2 * self.wait_s, _LATER_S)
            self.due = time.monotonic() + self.wait_s

    def note(self) -> None:
        """Note the trials whose rows are on disk."""
        facts = parent.facts(parent.batch_on(self.attempt), self.folder.all_rows())
        self.attempt.directory.ledger.append("tried", self.attempt.directory.run_id, **facts)


def _kept(
    asked: Asked, attempt: Attempt, git: provenance.GitQuestion, rows: Rows, jobs: int | None, heard: Heard
) -> list[keeping.Kept]:
    """Make runs of the best trials."""
    best = asked.plan.best(rows)[: asked.keep]
    git.answer()  # of which each of the processes would ask else
    with attempt.stages.clock("keep"):
        return keeping.keep(
            asked.source, asked.shared, rows, best, attempt.directory.run_id, root=asked.root, results=asked.results,
            heard=heard.keeps, jobs=jobs,
        )  # fmt: skip


def _sealed(
    asked: Asked,
    attempt: Attempt,
    git: provenance.GitQuestion,
    bench: Bench,
    rows: Rows,
    kept: Sequence[keeping.Kept],
    folder: Folder,
) -> Path:
    read = [file.path for file in asked.shared.loaded.files]
    try:
        return parent.seal(attempt, git, bench, rows, asked.plan, kept, asked.marks, read)
    finally:
        if attempt.directory.noted:
            folder.end()
