"""What becomes of a command that has run: its directory is filled and sealed."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

from peak_trade import toml
from peak_trade.evidence import files, provenance
from peak_trade.evidence.run_dir import ERROR
from peak_trade.record import collect
from peak_trade.record.asked import masked
from peak_trade.record.command import GIVEN, SPOOL, Watched, sentence
from peak_trade.runner.definition import git_state, predicate
from peak_trade.runner.log import RunLog, logging_to
from peak_trade.runner.making import Making, Stages
from peak_trade.text import as_utf8

__all__ = ["BUILD", "close"]

BUILD = "urn:peak-trade:record:v1"
_LOG = logging.getLogger("peak_trade.record")


def close(watched: Watched) -> Path:
    """Seal what a command has left, and return the directory under its final name. Raises OSError."""
    git = provenance.GitQuestion(watched.folder)
    directory = watched.directory
    try:
        making = Making(
            watched.folder, watched.folder, watched.argv, Stages(watched.began), watched.redactor, directory,
            RunLog(directory, watched.redactor), watched.follows,
        )  # fmt: skip
        making.stages.milliseconds["command"] = watched.seconds * 1e3
        with logging_to(making.log):
            return _seal(watched, making, git)
    finally:
        git.close()


def _seal(watched: Watched, making: Making, git: provenance.GitQuestion) -> Path:
    directory, ended = making.directory, watched.ended
    kind, failure = sentence(ended, watched.order.timeout_s)
    with making.stages.clock("evidence"):
        directory.replace()
        making.skip_what_could_not_start()
        if ended.left:
            making.warn("command", "left running", f"{ended.left} process(es) that it has started go on without it")
        outputs = collect.said(making, watched.streams)
        collect.given(making, GIVEN)
        collect.collected(making, watched.order.collect, watched.folder, watched.since)
        inputs = collect.inputs(making, watched.order.inputs)
        for name in (GIVEN, SPOOL):
            shutil.rmtree(directory.path / name, ignore_errors=True)
        settings = _settings(watched, making)
        directory.write("config_snapshot.toml", [toml.dumps(settings).encode()])
        directory.write("config_snapshot.json", [files.encode_json(settings)])
        error = {"stage": "command", "type": kind, "message": failure} if failure else None
        if error:
            directory.write(ERROR, [files.encode_json(error)])
        making.tidy()
    status = "failed" if failure else "sealed"
    origin = {
        "buildType": BUILD,
        "externalParameters": {
            "config": directory.sealed["config_snapshot.toml"],
            "name": watched.order.name,
            **settings["record"],
        },
        "internalParameters": {"environment": provenance.environment()},
        "resolvedDependencies": [*inputs, git_state(git)],
    }
    came_out: dict[str, Any] = {"exitCode": ended.code, "outputs": outputs}
    statement = predicate(making, status, origin, came_out, error, builder="recorder")
    facts: dict[str, Any] = {"kind": "recorded", "exit_code": ended.code}
    path = directory.seal(statement, status, **facts, **(error or {}))
    return path


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
