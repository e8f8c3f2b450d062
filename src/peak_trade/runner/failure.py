"""The end of a run that failed: what its operator reads, and the evidence that is sealed of it."""

from __future__ import annotations

import logging
import traceback
from typing import Never

from peak_trade.engine import RULES
from peak_trade.errors import PeakError, RunError
from peak_trade.evidence import files, manifest, provenance
from peak_trade.evidence.run_dir import ERROR
from peak_trade.runner import code
from peak_trade.runner.attempt import Attempt, asked, withheld
from peak_trade.runner.definition import environment, git_state, predicate
from peak_trade.runner.limits import TimeOut, uninterrupted
from peak_trade.runner.place import masked, place
from peak_trade.runner.snapshot import plain, write_config
from peak_trade.text import as_utf8

__all__ = ["TOO_LONG", "fail", "note", "seal_failed"]

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
    note(attempt, shown.message, masked(attempt, _trace(error)))
    # the text of an exception is a user's code too; from here on it is ours
    attempt.line.free(_name(error) if isinstance(error, TimeOut | KeyboardInterrupt) else "")
    told = {"stage": attempt.stages.now, "type": _name(error), "message": shown.message}
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
                "environment": environment(),
                **withheld(attempt.source),
            },
            "resolvedDependencies": [
                *([attempt.bars] if attempt.bars else []),
                captured.dependency(),
                git_state(git),
            ],
        }
        statement = predicate(attempt, "failed", origin, {}, told)
        facts = asked(attempt.source.config) | withheld(attempt.source) | attempt.reached() | attempt.findings()
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
        return RunError(f"cannot write the evidence: {error.strerror or error}", hint="check the folder and the disk")
    what = "the strategy" if attempt.stages.now == "strategy" else attempt.stages.now
    try:
        text = str(error)
    except BaseException as second:  # noqa: BLE001 - a user's exception may fail to say what it is, in any way
        text = f"its text raised {_name(second)}"
    text = masked(attempt, text.strip().partition("\n")[0])[:200]
    where = place(attempt, error)
    return RunError(
        f"{what} raised {_name(error)}" + (f": {text}" if text else "") + (f", at {where}" if where else ""),
        hint=f"the traceback is in {attempt.directory.results / attempt.directory.run_id / 'run.log'}",
    )


def _name(error: BaseException) -> str:
    """Return the name of an exception's type, which a metaclass of a user's may not want to tell."""
    return str(type.__dict__["__name__"].__get__(type(error)))


def _trace(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except BaseException as second:  # noqa: BLE001 - as for its text
        return f"{_name(error)}, whose traceback raised {_name(second)}\n"
