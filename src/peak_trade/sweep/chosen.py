"""The parent run of a sweep over a command: made of the run of the trial that was chosen, and a row a trial.

What the chosen run says is sealed with the parent as it was recorded: config, statistics, equity, trades and code, but
for what the command left and said, which lies in the run itself, where that is kept. `commands.csv` has what the table
of trials has no column for: the engine of each trial, how many trials its command made, and its exit code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from peak_trade.errors import RunError
from peak_trade.evidence import door, files, manifest, provenance, tables
from peak_trade.evidence.ledger import Reading
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import ERROR, OUTPUTS, read_manifest
from peak_trade.record import snapshot
from peak_trade.record.asked import Order
from peak_trade.runner.making import Making
from peak_trade.runner.statement import git_state, predicate
from peak_trade.sweep import records, table
from peak_trade.sweep.keeping import Kept
from peak_trade.sweep.parent import beside, durations
from peak_trade.sweep.rows import Rows, duplicates

__all__ = ["COMMANDS", "Made", "facts", "seal", "seal_failed", "settings"]

COMMANDS = "commands.csv"
_NOT_COPIED = ("trials.parquet", "trials.csv")


class Made(Struct, frozen=True, kw_only=True):
    """All that a parent is made from: what was asked, the rows, the run of each trial, and their ledger."""

    making: Making
    git: provenance.GitQuestion
    order: Order
    words: list[str]
    plan: Mapping[str, Any]
    marks: Mapping[str, str]
    runs: Results
    reading: Reading
    rows: Rows
    run_ids: Sequence[str]


def facts(reading: Reading, rows: Rows) -> dict[str, Any]:
    """Return what a line of the parent tells of its trials, by their own ledger."""
    return records.counted(reading, frozenset(np.flatnonzero(duplicates(rows) >= 0).tolist()))


def seal(made: Made, best: int, kept: Sequence[Kept], more: Mapping[str, bytes]) -> Path:
    """Write the parent's files, seal it and return its directory. `best` is the trial that was chosen."""
    making, directory = made.making, made.making.directory
    places = [folder / made.run_ids[best] for folder in (made.runs.path, directory.results)]
    run = next((one for one in places if one.is_dir()), None)
    if run is None:
        raise RunError(f"the run of trial {best} is gone", hint="the same command with --again")
    sealed = read_manifest(run)
    with making.stages.clock("evidence"):
        for name in sealed.files:
            if not name.startswith(f"{OUTPUTS}/") and name not in _NOT_COPIED:
                directory.write(name, [door.read(run, name)])
        digests = _write_rows(made, best, more)
        making.tidy()
    definition, results = sealed.predicate.build_definition, dict(sealed.predicate.results)
    for aside in ("outputs", "written", "seen"):
        results.pop(aside, None)
    counted = facts(made.reading, made.rows)
    results |= {"trials": len(made.rows), "chosen": {"index": best, "overrides": made.rows.overrides[best]}}
    dependencies = [one for one in definition["resolvedDependencies"] if one["name"] != "git"]
    origin = {
        "buildType": manifest.BUILD_OF[manifest.SWEPT],
        "externalParameters": definition["externalParameters"] | {"sweep": _asked(made)},
        "internalParameters": definition["internalParameters"] | {"sweep": dict(made.marks)},
        "resolvedDependencies": [*dependencies, git_state(made.git)],
    }
    statement = predicate(making, sealed.predicate.status, origin, results, builder="sweep")
    statement.run_details["folder"] = sealed.predicate.run_details.get("folder")  # from which its files are named
    beside(statement, digests, kept)
    told = records.sealed_line(made.reading.of(made.run_ids[best])) | counted
    return directory.seal(statement, "sealed", **told)


def seal_failed(made: Made, error: RunError) -> None:
    """Seal a sweep of which nothing came as failed, with its rows."""
    making, directory = made.making, made.making.directory
    told = {"stage": "command", "type": "RunError", "message": making.redactor.text(error.message)}
    asked = settings(made.order, made.words)
    snapshot.write(directory, making.redactor.tree(snapshot.resolved(dict(asked), None, "", "")))
    directory.write(ERROR, [files.encode_json(told)])
    digests = _write_rows(made, None, {})
    making.tidy()
    origin = {
        "buildType": manifest.BUILD_OF[manifest.SWEPT],
        "externalParameters": {
            "config": directory.sealed["config_snapshot.toml"], "overrides": {}, "name": made.order.name or None,
            **asked["record"], "params": {}, "sweep": _asked(made),
        },
        "internalParameters": {"environment": provenance.machine(), "sweep": dict(made.marks)},
        "resolvedDependencies": [git_state(made.git)],
    }  # fmt: skip
    statement = predicate(making, "failed", origin, {"trials": len(made.rows)}, told, builder="sweep")
    beside(statement, digests, ())
    directory.seal(statement, "failed", **facts(made.reading, made.rows), **told)
    error.run_id = directory.run_id
    error.hint = error.hint or f"just show {error.run_id}"


def settings(order: Order, words: Sequence[str]) -> dict[str, Any]:
    """Return what was asked, as the config of a recorded run says it."""
    record = {
        "command": list(words),
        "inputs": order.inputs,
        "collect": [f"{role}={pattern}" for role, pattern in order.collect],
        "engine": order.engine,
        "pick": order.pick,
    }
    run: dict[str, Any] = {"name": order.name} if order.name else {}
    return {"run": run | ({"tags": order.tags} if order.tags else {}), "record": record}


def _asked(made: Made) -> dict[str, Any]:
    return dict(made.plan) | {"command": made.words}


def _write_rows(made: Made, chosen: int | None, more: Mapping[str, bytes]) -> dict[str, str]:
    """Write the rows, and return the sha256 of what lies beside the sealed files."""
    directory = made.making.directory
    if why := table.write(directory, made.rows, chosen, None, made.making.redactor):
        made.making.skip("trials.parquet", why)
    directory.write(COMMANDS, [_commands(made)])
    found = {"durations.csv": durations(made.rows)} | dict(more)
    for name, content in found.items():
        directory.write_beside(name, [content])
    return {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}


def _commands(made: Made) -> bytes:
    rows = []
    for at, run_id in enumerate(made.run_ids):
        history = made.reading.of(run_id)
        told = history.end.fields if history.end else {}
        rows.append(
            {
                "index": str(at),
                "engine": str(told.get("engine") or ""),
                "trials": str(told.get("trials") or 1),
                "exit_code": str(told.get("exit_code", "")),
            }
        )
    return tables.rows_csv(rows).encode()
