"""What a run leaves with its supervisor once it has started, by which that seals it when its process is gone."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from peak_trade import config, toml
from peak_trade.errors import PeakError, RunError
from peak_trade.evidence.ledger import Ledger
from peak_trade.evidence.provenance import GitQuestion
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import RunDir, recover
from peak_trade.redact import Redactor
from peak_trade.runner.attempt import Attempt
from peak_trade.runner.failure import TOO_LONG, note, seal_failed
from peak_trade.runner.log import RunLog
from peak_trade.runner.making import Stages

__all__ = ["execute", "testament"]


class _Testament(Struct):
    """An attempt in bytes: names of files and words of a command line may be no text."""

    root: bytes
    results: bytes
    run_id: str
    path: bytes
    content: bytes
    overrides: str
    argv: list[bytes]
    began: str
    follows: str
    receipts: list[dict[str, object]]


def testament(attempt: Attempt) -> bytes:
    """Return what seals a run that has started, without its process. Secrets are in it: it goes to no file."""
    source = attempt.source
    return msgspec.msgpack.encode(
        _Testament(
            os.fsencode(attempt.root),
            os.fsencode(attempt.directory.results),
            attempt.directory.run_id,
            os.fsencode(source.path),
            source.content,
            toml.dumps({"overrides": source.overrides}),
            [os.fsencode(word) for word in attempt.argv],
            attempt.stages.began,
            attempt.follows,
            attempt.receipts,
        )
    )


def execute(content: bytes, told: dict[str, str], bars: bytes = b"") -> PeakError | None:
    """Seal a run whose process is gone as failed, by what `told` says (`stage`, `type` and `message`).

    `bars` are its bars as the manifest has them, in JSON, where it got as far as that.

    Returns the error that its operator reads; None where the run had its end. What cannot be written is left to
    `just doctor`, as the error says.
    """
    try:
        left = msgspec.msgpack.decode(content, type=_Testament)
    except msgspec.MsgspecError:  # a strategy found the way to its supervisor
        return RunError(told["message"], hint="just doctor seals the run as failed")
    root, results, path = (Path(os.fsdecode(name)) for name in (left.root, left.results, left.path))
    late = told["type"] == "TimeOut"
    error = RunError(told["message"], hint=TOO_LONG if late else f"just show {left.run_id}")
    error.run_id = left.run_id
    try:
        if (results / left.run_id).is_dir() and Ledger(results).read().of(left.run_id).end:  # else it is a strategy's
            return None
        directory = RunDir.take_over(results, left.run_id)
        if directory.ledger.read().of(left.run_id).end:  # all but the name was done
            directory.release()
            recover(Results(results))
            return None
        overrides = tomllib.loads(left.overrides)["overrides"]
        source = config.Source(path, left.content, overrides, config.parse(left.content, overrides))
        redactor = Redactor(msgspec.to_builtins(source.config), overrides)
        attempt = Attempt(
            root, path.parent, [os.fsdecode(word) for word in left.argv], Stages(left.began), redactor, directory,
            RunLog(directory, redactor), left.follows, left.receipts, source=source, bars=_bars(bars),
        )  # fmt: skip
        git = GitQuestion(root)
        try:
            note(attempt, error.message)
            seal_failed(attempt, git, told)
        finally:
            git.close()
            directory.release()
    except RunError as second:  # it says what is in the way
        return second
    except OSError as second:
        error.hint = f"its evidence could not be sealed ({second.strerror}): just doctor will, once there is room"
    return error


def _bars(content: bytes) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError):  # it was sent whole, or by a strategy
        return None
    return found if found.keys() == {"name", "digest", "annotations"} and found["name"] == "bars" else None
