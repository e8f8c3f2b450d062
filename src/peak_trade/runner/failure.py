"""The end of a run that failed: what its operator reads, and the evidence that is sealed of it."""

from __future__ import annotations

import logging
from typing import Never

from peak_trade.engine import RULES
from peak_trade.errors import PeakError, RunError
from peak_trade.evidence import files, manifest, provenance
from peak_trade.evidence.run_dir import ERROR
from peak_trade.runner import code
from peak_trade.runner.attempt import Attempt, asked, withheld
from peak_trade.runner.definition import environment
from peak_trade.runner.limits import TimeOut, uninterrupted
from peak_trade.runner.place import masked, place
from peak_trade.runner.snapshot import plain, write_config
from peak_trade.runner.statement import git_state, predicate
from peak_trade.strategies.sources import as_run
from peak_trade.text import as_utf8
from peak_trade.traces import formatted, type_name

__all__ = ["TOO_LONG", "UNWRITTEN", "fail", "note", "seal_failed"]

UNWRITTEN = "cannot write the evidence"  # and `cannot write to …` of one that has not begun
TOO_LONG = "raise it or make the strategy faster"


def fail(attempt: Attempt, git: provenance.GitQuestion, error: BaseException) -> Never:
    """Seal what is known of a run that failed, and raise the error that its operator reads."""
    attempt.redactor.look()
    shown = _readable(attempt, error)
    shown.run_id = attempt.directory.run_id
    if attempt.directory.noted:
        if attempt.directory.path.parent == attempt.directory.results:
            shown.hint = f"the run is sealed all the same: just show {shown.run_id}"
        else:
            shown.hint = "the run is sealed, but has not got its final name yet: just doctor finishes it"
        raise shown from error
    shown.hint = shown.hint or f"just show {shown.run_id}"
    told = {"stage": attempt.stages.now, "type": type_name(error), "message": shown.message}
    if where := place(attempt, error) if isinstance(error, TimeOut) else "":
        shown.message += f", at {where}"  # where it stood is chance: it is told, and in no sealed file
    note(attempt, shown.message, masked(attempt, formatted(error, _as_run())))
    # the text of an exception is a user's code too; from here on it is ours
    attempt.line.free(type_name(error) if isinstance(error, TimeOut | KeyboardInterrupt) else "")
    try:
        seal_failed(attempt, git, told)
    except OSError as second:
        shown.hint = (
            f"its evidence could not be sealed either ({second.strerror}): just doctor will, once there is room"
        )
    raise shown from error


def note(attempt: Attempt, message: str, trace: str = "") -> None:
    """Write into the run's log why it failed; not by a logger, for user code may have switched those off."""
    told = {"name": "peak_trade.run", "levelname": "ERROR", "msg": message, "traceback": trace}
    attempt.log.emit(logging.makeLogRecord(told))


def seal_failed(attempt: Attempt, git: provenance.GitQuestion, told: dict[str, str]) -> None:
    """Seal a run as failed: its config, and what is `told` of the error. Raises OSError where it can't be written."""
    directory = attempt.directory
    with uninterrupted():
        directory.replace()
        directory.discard()
        attempt.forget()
        attempt.tidy()
        write_config(attempt)
        directory.write(ERROR, [files.encode_json(told)])
        captured = code.capture(attempt, None)
        code.write(attempt, captured)
        origin = {
            "buildType": manifest.BUILD,
            "externalParameters": attempt.redactor.tree(
                {
                    "overrides": plain(attempt.source.overrides),
                    "name": attempt.source.config.run.name,
                    "params": plain(attempt.source.config.strategy.params),
                }
            ),
            "internalParameters": {
                "seed": attempt.source.config.run.seed,
                "rules": RULES,
                "environment": environment(attempt.known),
                **withheld(attempt.source),
            },
            "resolvedDependencies": [
                *attempt.data,
                captured.dependency(),
                git_state(git),
            ],
        }
        statement = predicate(attempt, "failed", origin, {}, told)
        facts = (
            asked(attempt.source.config)
            | attempt.kin
            | withheld(attempt.source)
            | attempt.reached()
            | attempt.findings()
        )
        directory.seal(statement, "failed", **facts, **told)


def _readable(attempt: Attempt, error: BaseException) -> PeakError:
    """Return the sentence that says what went wrong."""
    if isinstance(error, PeakError):
        error.message = attempt.redactor.text(as_utf8(error.message))
        return error
    if isinstance(error, TimeOut):
        limit = f"{attempt.source.config.run.timeout_s:g} s"
        return RunError(f"the strategy ran longer than run.timeout_s = {limit}", hint=TOO_LONG)
    if isinstance(error, KeyboardInterrupt):
        return RunError("interrupted")
    if isinstance(error, OSError) and attempt.stages.now == "evidence":
        return RunError(f"{UNWRITTEN}: {error.strerror or error}", hint="check the folder and the disk")
    what = "the strategy" if attempt.stages.now == "strategy" else attempt.stages.now
    try:
        text = str(error)
    except BaseException as second:  # noqa: BLE001 - a user's exception may fail to say what it is, in any way
        text = f"its text raised {type_name(second)}"
    text = masked(attempt, text.strip().partition("\n")[0])[:200]
    where = place(attempt, error)
    if first := _first(error):  # of a group, what is in it says more
        text += f", the first is {type_name(first)}"
        where = place(attempt, first) or where
    return RunError(
        f"{what} raised {type_name(error)}" + (f": {text}" if text else "") + (f", at {where}" if where else ""),
        hint=f"the traceback is in {attempt.directory.results / attempt.directory.run_id / 'run.log'}",
    )


def _as_run() -> dict[str, bytes]:
    return {str(path): content for path, content in as_run().items()}


def _first(error: BaseException) -> BaseException | None:
    """Return the first exception in a group, and in the groups in it; None of any other exception."""
    found: BaseException | None = None
    while isinstance(error, BaseExceptionGroup):
        error = found = BaseExceptionGroup.exceptions.__get__(error)[0]
    return found
