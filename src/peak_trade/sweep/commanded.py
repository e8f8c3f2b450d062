"""The order of a sweep over a command, in any engine: each trial is recorded. Nothing else knows it.

    placeholders ─▶ START ─▶ rounds of trials, each recorded ─▶ kept runs ─▶ the parent's files ─▶ seal

Up to START nothing is written. The same command goes on where it stopped: a sweep is known by its words, its keys and
what is to be noted, by the content of the files that it names, and by that of those which its trials were seen to load
and to read. What is done is not done again, since nobody promises that it would come to the same.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shlex
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from peak_trade.errors import InputError, PeakError, RunError
from peak_trade.evidence import code, door, manifest, provenance
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import RunDir, new_run_id, read_manifest, warn_unfinished
from peak_trade.record import asked as recording
from peak_trade.record.asked import Order
from peak_trade.redact import Redactor
from peak_trade.runner.limits import termination_raised, uninterrupted
from peak_trade.runner.log import RunLog, logging_to
from peak_trade.runner.making import Making, Stages
from peak_trade.sweep import chosen, records, words
from peak_trade.sweep.axes import Range
from peak_trade.sweep.chosen import Made
from peak_trade.sweep.folder import Folder
from peak_trade.sweep.heard import Beginning, Heard
from peak_trade.sweep.keeping import Kept
from peak_trade.sweep.marks import Found, Marks, find
from peak_trade.sweep.order import Stopped
from peak_trade.sweep.plan import Plan, nothing
from peak_trade.sweep.recorder import Recorder
from peak_trade.sweep.records import RUNS
from peak_trade.sweep.rows import Rows
from peak_trade.sweep.search import STUDY, Search
from peak_trade.sweep.start import turn
from peak_trade.sweep.valid import MOST
from peak_trade.sweep.wish import Wish, Work

__all__ = ["sweep_command"]

_LOG = logging.getLogger("peak_trade.sweep")
_SLACK = 32  # runs that are held beside twice those that are kept
_FIRST_S, _LATER_S = 5.0, 60.0  # between checkpoints, twice as long each time
_PROGRAM = ("peak_trade", "python", "implementation", "numpy")


class _Asked(Struct, frozen=True, kw_only=True):
    """A sweep that has been checked."""

    order: Order
    shown: list[str]
    plan: Plan
    statistic: str
    keep: int | None
    results: Path
    argv: list[str]
    redactor: Redactor
    stages: Stages
    marks: Marks


def sweep_command(
    order: Order,
    wish: Wish,
    *,
    results: str | os.PathLike[str],
    argv: Sequence[str] = (),
    again: bool = False,
    work: Work | None = None,
    heard: Heard | None = None,
) -> Path:
    """Record a command with each combination of values and return the sealed directory of the parent run.

    The keys stand in braces in the words of `order`, whose other fields say what is noted of each trial. Paths count
    from the current folder.

    Raises InputError where placeholders, keys or options are wrong, NotStarted where there is no such command, RunError
    where every trial failed or a write did, and Stopped where it was interrupted.
    """
    wish.check()
    work, heard = work or Work(), heard or Heard()
    if work.executor != "local" or work.scheduler:
        raise InputError("the commands of a sweep run on this machine", hint="--jobs N runs so many at once")
    if work.memory_limit is not None:
        raise InputError(
            "--memory-limit is for workers, not for commands", hint="`ulimit -v` is what a shell has for it"
        )
    asked = _checked(order, wish, Path(results).absolute(), list(argv))
    if shared := words.shared(
        [f"{role}={pattern}" for role, pattern in order.collect], [one.key for one in wish.axes()]
    ):
        if (work.jobs or 1) > 1:
            raise InputError(
                f"commands that run at once would leave the same files: --collect {shared[0]} does not name every key",
                hint="leave out --jobs, or name the file by the keys, as in --collect 'equity=out/{fast}.csv'",
            )
        work = msgspec.structs.replace(work, jobs=1)
    git = provenance.GitQuestion(Path.cwd())
    try:
        with turn(asked.results):
            found = find(Results(asked.results).reading(), asked.results, asked.marks, again=again)
            changed = _changed(asked.results, found) if found else ""
            if found and found.sealed and not changed:
                heard.is_there(found.run_id)
                Folder(asked.results, found.run_id).end()
                return asked.results / found.run_id
            if changed:
                _LOG.warning("%s another than when the same command was swept: a new sweep begins", changed)
            goes_on = found if found and not changed else None
            making = _taken_up(asked, goes_on) if goes_on else _begun(asked)
        try:
            return _make(asked, making, git, work, heard)
        except PeakError as error:
            error.run_id = error.run_id or making.directory.run_id
            raise
        except OSError as error:
            raise RunError(f"the sweep can't be written: {error.strerror}", hint=_goes_on(making)) from error
        finally:
            making.directory.release()
    finally:
        git.close()


# --- before the first trial -------------------------------------------------------------------------------------------


def _checked(order: Order, wish: Wish, results: Path, argv: list[str]) -> _Asked:
    if wish.walk_forward or wish.cpcv:
        raise InputError(
            "a command can't be walked forward: only a config says which bars are traded", hint="just sweep CONFIG"
        )
    space, axes = wish.unchecked(), wish.axes()
    if len(space) > MOST:
        raise InputError(f"{len(space):,} combinations are more than the {MOST:,} trials of a sweep", hint="--random N")
    words.check(order.command, [one.key for one in axes])
    first = {one.key: one.low if isinstance(one, Range) else one.values[0] for one in axes}
    recording.check(msgspec.structs.replace(order, command=words.filled(order.command, first)))
    redactor = Redactor(order.tags, {"secret": recording.beside_keys(order.command)})
    shown = recording.masked(redactor, order.command)
    plan = wish.over(space)
    environment = provenance.machine()
    asked = [
        dict(plan.describe()),
        redactor.tree(msgspec.to_builtins(msgspec.structs.replace(order, command=shown, timeout_s=None))),
    ]
    marks = Marks(
        _short([*asked, str(Path.cwd())]), _short(_named(order)), "", _short([environment.get(key) for key in _PROGRAM])
    )
    return _Asked(
        order=order, shown=shown, plan=plan, statistic=wish.minimize or wish.maximize,
        keep=wish.keep, results=results, argv=[*argv, "--", *shown], redactor=redactor, stages=Stages(), marks=marks,
    )  # fmt: skip


def _named(order: Order) -> list[tuple[str, str]]:
    """Return the files that a command names, by its words and by --input, each with the sha256 of its content."""
    names = dict.fromkeys(
        [*order.command[1:], *(part for word in order.command[1:] for part in word.split("=")[1:]), *order.inputs]
    )
    return [(name, door.digest(*_split(name))) for name in names if os.path.isfile(name)]


def _split(name: str) -> tuple[Path, str]:
    path = Path(os.path.realpath(name))
    return path.parent, path.name


def _changed(results: Path, found: Found) -> str:
    """Return what is another now than when a sweep was begun, with its verb; empty where nothing is.

    Files that the command names, this program, or a file that a trial was seen to load or to read.
    """
    if found.changed:
        names = {"data": "files that the command names", "program": "Peak_Trade, Python or NumPy"}
        return f"{' and '.join(names.get(one, one) for one in found.changed.split(' and '))} are"
    runs = [results / found.run_id] if found.sealed else Results(Folder(results, found.run_id).path / RUNS).runs()[:1]
    for run in runs:
        sealed = read_manifest(run)
        prefix = f"{code.FOLDER}/"
        seen = {name.removeprefix(prefix): sha256 for name, sha256 in sealed.files.items() if name.startswith(prefix)}
        for part in sealed.predicate.build_definition["resolvedDependencies"]:
            if isinstance(part.get("annotations"), dict) and part["annotations"].get("role") == "read":
                seen[part["name"]] = part["digest"]["sha256"]
        for name, sha256 in seen.items():
            if os.path.isfile(name) and door.digest(*_split(name)) != sha256:
                return f"{name} is"
    return ""


def _short(value: Any) -> str:
    return hashlib.sha256(msgspec.msgpack.encode(value, order="deterministic", enc_hook=str)).hexdigest()[:16]


def _begun(asked: _Asked) -> Making:
    """Make the working directory, and put START on disk; RunError where that can't be written."""
    told = {"name": asked.redactor.text(asked.order.name)} if asked.order.name else {}
    directory = None
    try:
        warn_unfinished(Results(asked.results))
        directory = RunDir.create(asked.results, new_run_id(None), given=False)
        command = shlex.join(["just", "sweep", *asked.redactor.argv(asked.argv)])
        follows = directory.begin(kind=manifest.SWEPT, command=command, sweep=asked.marks.told, **told)
    except OSError as error:
        if directory:
            directory.abandon()
        raise RunError(
            f"cannot write to {asked.results}: {error.strerror}",
            hint="check the folder and the disk; PEAK_RESULTS_DIR names another folder",
        ) from None
    return _making(asked, directory, follows)


def _taken_up(asked: _Asked, found: Found) -> Making:
    """Take up a sweep whose process is gone; RunError where it is not."""
    try:
        directory = RunDir.take_over(asked.results, found.run_id)
    except BlockingIOError:
        raise RunError(
            f"another process is making this sweep: {found.run_id[:8]}", hint="wait for it, or make another: --again"
        ) from None
    directory.discard()
    start = Results(asked.results).reading().of(found.run_id).start
    asked.stages.began = start.time if start else asked.stages.began
    return _making(asked, directory, start.sha256 if start else "")


def _making(asked: _Asked, directory: RunDir, follows: str) -> Making:
    here = Path.cwd()
    return Making(
        here, here, asked.argv, asked.stages, asked.redactor, directory, RunLog(directory, asked.redactor), follows
    )


def _goes_on(making: Making) -> str:
    return f"the same command goes on where it stopped; just sweep --abandon {making.directory.run_id[:8]} gives it up"


# --- the trials, and the end ------------------------------------------------------------------------------------------


def _make(asked: _Asked, making: Making, git: provenance.GitQuestion, work: Work, heard: Heard) -> Path:
    folder = Folder(asked.results, making.directory.run_id)
    order = msgspec.structs.replace(asked.order, timeout_s=work.timeout)
    runs = folder.path / RUNS
    with termination_raised():
        try:
            with logging_to(making.log):
                making.skip_what_could_not_start()
                if not folder.order():
                    folder.begin(msgspec.msgpack.encode({"command": asked.shown, "seed": None}))
                runs.mkdir(exist_ok=True)
                recorder = Recorder(order, runs, making.directory.run_id, work.jobs)
                with making.stages.clock("trials"):
                    rows = _tried(asked, making, folder, recorder, heard)
        except KeyboardInterrupt:
            done = len(folder.all_rows())
            raise Stopped(f"interrupted: {done:,} trials are done and kept", hint=_goes_on(making)) from None
    with logging_to(making.log), uninterrupted():
        made = Made(
            making=making, git=git, order=asked.order, words=asked.shown, plan=asked.plan.describe(),
            marks=asked.marks.told, runs=Results(runs), reading=Results(runs).reading(), rows=rows,
            run_ids=[recorder.run_id(at) for at in range(len(rows))],
        )  # fmt: skip
        try:
            return _sealed(asked, made, heard)
        finally:
            if making.directory.noted:
                folder.end()


def _tried(asked: _Asked, making: Making, folder: Folder, recorder: Recorder, heard: Heard) -> Rows:
    """Make the trials that are not done yet, and return the rows of all."""
    there = folder.all_rows()
    heard.begins(Beginning(making.directory.run_id, "", "", "", 0.0, *asked.plan.trials(), len(there)))
    noted, best = _Checkpoints(making, recorder), _Best(asked, recorder)
    if len(there):
        noted.note()
    rows = Rows.joined([])
    try:
        for number in range(asked.plan.rounds()):
            tasks = asked.plan.round(number, rows)
            if not len(tasks):
                break
            done = {at for first, end in folder.done(number) for at in range(first, end)}
            made, failed = len(done), len(folder.there(number).error)
            best.take(len(rows), sorted(done), folder.there(number))
            heard.done(made, failed, len(tasks))
            left = [at for at in range(len(tasks)) if at not in done]
            with closing(recorder.run(tasks, left, len(rows))) as making_them:
                for at, row in making_them:
                    folder.keep(number, at, Rows.of([row]))
                    made, failed = made + 1, failed + bool(row.error)
                    heard.done(made, failed, len(tasks))
                    noted.pass_by()
                    best.take(len(rows), [at], Rows.of([row]))
            rows = Rows.joined([rows, folder.rows(number, len(tasks))])
    except BaseException:
        with uninterrupted():
            noted.note()
        raise
    return rows


class _Best:
    """Removes the runs that can be none of the best any more, whatever is still to come."""

    def __init__(self, asked: _Asked, recorder: Recorder) -> None:
        self.asked, self.recorder = asked, recorder
        self.numbers: list[int] = []
        self.parts: list[Rows] = []
        self.held = 0

    def take(self, first: int, places: Sequence[int], rows: Rows) -> None:
        """Take rows in, which are of these places of a round whose first trial is `first`."""
        keep = self.asked.keep
        if keep is None or not places:
            return
        self.numbers += [first + at for at in places]
        self.parts.append(rows)
        self.held += len(places)
        if self.held <= 2 * keep + _SLACK:
            return
        order = np.argsort(self.numbers)
        whole = Rows.joined(self.parts).taken(order)
        self.numbers, self.parts = [self.numbers[at] for at in order], [whole]
        best = {self.recorder.run_id(self.numbers[at]) for at in self.asked.plan.best(whole)[: max(keep, 1)]}
        known = {self.recorder.run_id(number) for number in self.numbers}
        there = [one.name for one in self.recorder.runs.runs() if one.name in known]
        records.remove(self.recorder.runs.path, [one for one in there if one not in best])
        self.held = len(best)


class _Checkpoints:
    """Puts the trials that are done into the ledger, from time to time."""

    def __init__(self, making: Making, recorder: Recorder) -> None:
        self.making, self.recorder = making, recorder
        self.wait_s = _FIRST_S
        self.due = time.monotonic() + self.wait_s

    def pass_by(self) -> None:
        """Note them where it is time."""
        if time.monotonic() >= self.due:
            self.note()
            self.wait_s = min(2 * self.wait_s, _LATER_S)
            self.due = time.monotonic() + self.wait_s

    def note(self) -> None:
        """Note the trials that there are."""
        told = records.counted(self.recorder.runs.reading())
        self.making.directory.ledger.append("tried", self.making.directory.run_id, **told)


def _sealed(asked: _Asked, made: Made, heard: Heard) -> Path:
    """Take the best trials over as runs of their own, and seal the parent."""
    run_id, best = made.making.directory.run_id, asked.plan.best(made.rows)
    if not best:
        error = nothing(made.rows, asked.statistic)
        chosen.seal_failed(made, error)
        raise error
    beside = {STUDY: asked.plan.study(made.rows, run_id)} if isinstance(asked.plan, Search) else {}
    kept = [Kept(at, made.run_ids[at]) for at in best[: asked.keep]]
    for done, one in enumerate(kept, 1):
        records.take_over(made.runs, Results(asked.results), one.run_id, f"trial {one.trial} of {run_id}")
        heard.keeps(done, len(kept))
    return chosen.seal(made, best[0], kept, beside)
