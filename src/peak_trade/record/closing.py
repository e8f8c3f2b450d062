"""What becomes of a command that has run: what was seen of it and what it left is brought together, and sealed."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from peak_trade.evidence import code, files, manifest, provenance
from peak_trade.evidence.run_dir import ERROR
from peak_trade.record import collect, observed, picking, snapshot
from peak_trade.record.asked import Order, masked
from peak_trade.record.command import GIVEN, SPOOL, Watched, sentence, within
from peak_trade.record.observed import Observed
from peak_trade.record.picking import Outcome
from peak_trade.record.spool import files_in, has_kind
from peak_trade.runner.log import RunLog, logging_to
from peak_trade.runner.making import Making, Stages
from peak_trade.runner.statement import git_state, predicate
from peak_trade.text import as_utf8
from peak_trade.traces import type_name

__all__ = ["close"]


class _Recording(Making):
    """One whose optional parts are skipped by what a command has left: that is known too late to stop it.

    `refused` is what PEAK_STRICT=1 makes a failure, `problem` why what was seen of engines can't be used, and `seen`
    what the command was made from.
    """

    refused: str = ""
    problem: str = ""
    seen: Observed | None = None

    def skip(self, part: str, reason: str, hint: str = "") -> None:
        """Warn of it as ever; with PEAK_STRICT=1 the run is one that has failed by it."""
        if os.environ.get("PEAK_STRICT") == "1":
            self.refused = self.refused or self.redactor.text(as_utf8(f"{part} was skipped: {reason}"))
        self.warn(part, "skipped", f"{reason}; hint: {hint}" if hint else reason)

    def again(self) -> None:
        """Forget what was written so far."""
        self.directory.discard()
        self.receipts.clear()


_NOTHING = Outcome("sealed", {"trials": 0}, {"kind": manifest.RECORDED, "trials": 0}, [], {})


class _Filled(NamedTuple):
    seen: Observed
    outcome: Outcome
    outputs: dict[str, Any]
    dependencies: list[dict[str, Any]]
    asked: dict[str, Any]


def close(watched: Watched) -> tuple[Path, str]:
    """Seal what a command has left; return the directory under its final name, and by what PEAK_STRICT=1 refuses it.

    Raises OSError where it can't be written.
    """
    git = provenance.GitQuestion(watched.folder)
    directory = watched.directory
    try:
        making = _Recording(
            watched.folder, watched.folder, watched.argv, Stages(watched.began), watched.redactor, directory,
            RunLog(directory, watched.redactor), watched.follows, kin=within(watched.trial),
        )  # fmt: skip
        making.stages.milliseconds["command"] = watched.seconds * 1e3
        with logging_to(making.log):
            kind, failure = sentence(watched.ended, watched.order.timeout_s)
            error = {"stage": "command", "type": kind, "message": failure} if failure else None
            directory.replace()
            with making.stages.clock("evidence"):
                filled, error = _filled(watched, making, error)
            return _seal(watched, making, filled, git, error), making.refused
    finally:
        git.close()


def _filled(
    watched: Watched, making: _Recording, error: dict[str, str] | None
) -> tuple[_Filled, dict[str, str] | None]:
    """Write all files of the run; those of a failed one again, without its result, where it turns out to be one."""
    try:
        filled = _fill(watched, making, error)
    except OSError:
        raise
    except Exception as broken:  # noqa: BLE001 - whatever processes have noted, or files say, evidence is left
        making.problem = f"what was seen of the engine can't be sealed: {type_name(broken)}: {broken}"[:400]
        making.again()
        filled = _fill(watched, making, error)
    if making.refused and error is None:
        error = {"stage": "evidence", "type": "Skipped", "message": making.refused}
        making.again()
        filled = _fill(watched, making, error)
    for name in (GIVEN, SPOOL):
        shutil.rmtree(making.directory.path / name, ignore_errors=True)
    making.tidy()
    return filled, error


def _fill(watched: Watched, making: _Recording, error: dict[str, str] | None) -> _Filled:
    directory, order, ended = making.directory, watched.order, watched.ended
    making.skip_what_could_not_start()
    if ended.left:
        making.warn("command", "left running", f"{ended.left} process(es) that it has started go on without it")
    inputs = collect.inputs(making, order.inputs, watched.since)
    outputs = collect.said(making, watched.streams)
    seen = _seen(watched, making)
    for part, became, reason in seen.receipts:
        making.warn(part, became, reason)
    for name, content in seen.code.files.items():
        directory.write(f"{code.FOLDER}/{name}", [content])
    for one in seen.code.left_out:
        making.warn(f"{code.FOLDER}/{one['file']}", "left out", one["reason"])
    collect.given(making, GIVEN)
    found = collect.collected(making, order.collect, watched.folder, watched.since)
    settings = _settings(watched, making)
    data = [name for role, name in found if role != "output"]
    outcome = _outcome(making, order, settings, data, failed=error is not None)
    if error:
        directory.write(ERROR, [files.encode_json(error)])
    asked = {"overrides": {}, "name": settings["run"].get("name"), **settings["record"]}
    return _Filled(seen, outcome, outputs, [*outcome.dependencies, *inputs, *seen.dependencies], asked)


def _outcome(making: _Recording, order: Order, settings: dict[str, Any], data: list[str], *, failed: bool) -> Outcome:
    """Write what came of the command; nothing where nobody noted a trial, for which nothing more is imported."""
    if making.problem:
        making.skip("engine", making.problem)
    elif data or (order.engine != "off" and _has_trials(making.directory.path / SPOOL)):
        from peak_trade.record.outcome import write

        return write(making, order, settings, data, failed=failed)
    else:
        picking.pick(making, (), order)
    snapshot.write(making.directory, making.redactor.tree(snapshot.resolved(dict(settings), None, "", "")))
    return _NOTHING


def _has_trials(spool: Path) -> bool:
    with suppress(OSError):
        return any(has_kind(path, "trial") for path in files_in(spool)[0])
    return False


def _seen(watched: Watched, making: _Recording) -> Observed:
    """Return what the command was made from, by what its processes have noted; looked at once."""
    if making.seen is None:
        try:
            making.seen = observed.look(
                making.directory.path / SPOOL, watched.folder, watched.order.command, redactor=making.redactor,
                since_ns=int(watched.since * 1e9), declared=watched.order.inputs,
                own=[making.directory.path],
            )  # fmt: skip
        except Exception as broken:  # noqa: BLE001 - whatever processes have noted, evidence is left
            why = f"what was noted can't be read: {type_name(broken)}: {broken}"[:400]
            making.seen = Observed(receipts=[("observer", "broke", why)])
    return making.seen


def _seal(
    watched: Watched, making: Making, filled: _Filled, git: provenance.GitQuestion, error: dict[str, str] | None
) -> Path:
    directory, outcome = making.directory, filled.outcome
    origin = {
        "buildType": manifest.BUILD_OF[manifest.RECORDED],
        "externalParameters": {
            "config": directory.sealed["config_snapshot.toml"],
            **filled.asked,
            "params": outcome.params,
        },
        "internalParameters": {"environment": _environment(filled.seen), "effects": filled.seen.effects},
        "resolvedDependencies": [*filled.dependencies, git_state(git)],
    }
    came_out = outcome.results | {"exitCode": watched.ended.code, "outputs": filled.outputs}
    if filled.seen.written:
        came_out["written"] = filled.seen.written
    statement = predicate(making, "failed" if error else outcome.status, origin, came_out, error, builder="recorder")
    statement.run_details["folder"] = making.redactor.text(as_utf8(str(watched.folder)))
    facts = outcome.facts | {"exit_code": watched.ended.code} | within(watched.trial)
    return directory.seal(statement, "failed" if error else "sealed", **facts, **(error or {}))


def _environment(seen: Observed) -> dict[str, Any]:
    """Return the environment of the command: its Python and packages are those that were seen, and not ours."""
    return provenance.machine() | seen.environment


def _settings(watched: Watched, making: Making) -> dict[str, Any]:
    """Return what was asked, as a config says it."""
    order = watched.order

    def text(word: str) -> str:
        return making.redactor.text(as_utf8(word))

    asked: dict[str, Any] = {
        "command": masked(making.redactor, order.command),
        "inputs": [text(name) for name in order.inputs],
        "collect": [f"{role}={text(pattern)}" for role, pattern in order.collect],
        "engine": order.engine,
        "pick": order.pick,
    }
    run: dict[str, Any] = {}
    if order.name:
        run["name"] = text(order.name)
    if order.timeout_s:
        run["timeout_s"] = order.timeout_s
    if order.tags:
        run["tags"] = making.redactor.tree(order.tags)
    return {"run": run, "record": asked}
