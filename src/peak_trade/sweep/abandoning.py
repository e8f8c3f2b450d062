"""A sweep that nobody goes on with: sealed as failed, with the rows of the trials that were made, and these counted."""

from __future__ import annotations

from pathlib import Path

import msgspec

from peak_trade.errors import InputError, RunError
from peak_trade.evidence import files, manifest
from peak_trade.evidence.ledger import STARTED, now
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import ERROR, RunDir
from peak_trade.redact import Redactor
from peak_trade.sweep import parent, table
from peak_trade.sweep.folder import Folder
from peak_trade.sweep.records import RUNS, counted

__all__ = ["abandon"]

_WHY = "the sweep was given up before its end"


def abandon(which: str, results: Results) -> Path:
    """Seal a sweep that was stopped, by its run_id or the start of it, and return its directory.

    Raises InputError where there is none such, RunError where a process is making it, or it can't be written.
    """
    run_id = _found(which, results)
    try:
        directory = RunDir.take_over(results.path, run_id)
    except BlockingIOError:
        raise RunError(f"a process is making the sweep {run_id[:8]}", hint="end it first") from None
    try:
        directory.discard()
        folder = Folder(results.path, run_id)
        order = msgspec.msgpack.decode(folder.order() or b"\x80")
        rows, start = folder.all_rows(), results.reading().of(run_id).start
        if len(rows):
            table.write(directory, rows, None, order["seed"], Redactor())
        error = {"type": "Abandoned", "message": _WHY}
        directory.write(ERROR, [files.encode_json(error)])
        began = start.time if start else None
        predicate = manifest.Predicate(
            "failed",
            {"buildType": manifest.BUILD_OF[manifest.SWEPT], "externalParameters": {}, "internalParameters": {},
             "resolvedDependencies": []},
            {"metadata": {"invocationId": run_id, "startedOn": began, "finishedOn": now()}},
            {"trials": len(rows)}, [], {"follows": start.sha256 if start else ""}, error,
        )  # fmt: skip
        runs = Results(folder.path / RUNS)
        if runs.path.is_dir():  # of a command
            facts = counted(runs.reading())
        else:
            facts = parent.facts(order["on"], rows) if len(rows) else {"kind": manifest.SWEPT}
        path = directory.seal(predicate, "abandoned", **facts)
        folder.end()
        return path
    except OSError as error:
        raise RunError(f"the sweep {run_id[:8]} can't be sealed: {error.strerror}", hint="make room") from None
    finally:
        directory.release()


def _found(which: str, results: Results) -> str:
    runs = results.reading().runs
    named = [run_id for run_id in runs if which and run_id.startswith(which.strip().lower())]
    if len(named) != 1:
        what = "no run" if not named else f"{len(named)} runs"
        raise InputError(f"{which!r} is the start of {what}", hint="just runs lists them")
    history = runs[named[0]]
    if not (history.state == STARTED and history.fields.get("kind") == manifest.SWEPT):
        raise InputError(f"{named[0][:8]} is no sweep that stopped: it is {history.status}", hint="just runs")
    return named[0]
