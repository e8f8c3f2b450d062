"""The order of a recorded run: START, the command, what it has left, the seal. Nothing else knows it.

Up to START nothing is written: wrong usage, or a command that is not there, leaves no trace. From START on every way
out leaves evidence: a sealed run, or one that is sealed as failed. Until the command runs, and while it does, no more
is imported than that takes.
"""

from __future__ import annotations

import os
import shlex
import signal
import threading
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct

from peak_trade.errors import RunError
from peak_trade.evidence.ledger import now
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import RunDir, new_run_id, warn_unfinished
from peak_trade.record.asked import Order, beside_keys, check, masked, search_path
from peak_trade.record.capture import Stream, follow, streams
from peak_trade.record.child import Child, Ended
from peak_trade.redact import Redactor
from peak_trade.text import as_utf8, cut

__all__ = ["GIVEN", "SPOOL", "Watched", "record", "sentence", "within"]

GIVEN, SPOOL = "given", "spool"
"""What a command finds below its run's directory while it runs: for what it leaves, and for what is noted of it."""
_SITE = Path(__file__).parents[1] / "observer" / "site"
_SHOWN = 200  # characters of a command in the ledger


class Watched(Struct, kw_only=True):
    """A command that has run: all that is known of it before anything is made of that."""

    order: Order
    directory: RunDir
    redactor: Redactor
    follows: str
    folder: Path
    argv: list[str]
    began: str
    ended: Ended
    seconds: float
    streams: list[Stream]
    shown: str
    since: float
    trial: tuple[str, int] | None = None


class Recorded(NamedTuple):
    """The sealed directory, by what PEAK_STRICT=1 refuses it (empty: by nothing), and how the command ended."""

    run_dir: Path
    refused: str
    ended: Ended


def record(
    order: Order, *, results: Path, run_id: str | None = None, argv: Sequence[str] = (), out: int = 1, err: int = 2,
    trial: tuple[str, int] | None = None,
) -> Recorded:  # fmt: skip
    """Run a command, and seal what it has left in `results/<run_id>/`.

    What it says goes to the descriptors `out` and `err`. `trial` is the parent of a sweep and the number of the
    trial in it that this run is.

    Raises InputError for wrong usage, NotStarted where there is no such command, RunError where nothing can be written.
    """
    given = run_id is not None
    run_id, results, folder = new_run_id(run_id), results.absolute(), Path.cwd()
    check(order)
    redactor = Redactor(order.tags, {"secret": beside_keys(order.command)})
    shown = cut(as_utf8(shlex.join(masked(redactor, order.command))), _SHOWN)
    began, since = now(), time.time()
    directory = None
    try:
        warn_unfinished(Results(results))
        directory = RunDir.create(results, run_id, given=given)
        for name in (GIVEN, SPOOL):
            (directory.path / name).mkdir()
        told: dict[str, Any] = {"name": redactor.text(order.name)} if order.name else {}
        told |= within(trial)
        follows = directory.begin(kind="recorded", command=shown, **told)
    except OSError as error:
        if directory:
            directory.abandon()
        raise RunError(
            f"cannot write to {results}: {error.strerror}",
            hint="check the folder and the disk; PEAK_RESULTS_DIR names another folder",
        ) from None
    child = None
    try:
        start = time.monotonic()
        deadline = start + order.timeout_s if order.timeout_s else None
        them = streams(out, err)
        ours = [stream.ours for stream in them]
        child = Child(order.command, environment(order, directory), them[0].theirs, them[-1].theirs, ours)
        for stream in them:
            os.close(stream.theirs)
        loading = threading.Thread(target=import_module, args=("peak_trade.record.closing",))
        loading.start()  # while the command runs
        ended = follow(child, them, deadline)
        loading.join()
        watched = Watched(
            order=order, directory=directory, redactor=redactor, follows=follows, folder=folder, argv=list(argv),
            began=began, ended=ended, seconds=time.monotonic() - start, streams=them, shown=shown, since=since,
            trial=trial,
        )  # fmt: skip
        run_dir, refused = import_module("peak_trade.record.closing").close(watched)
        return Recorded(run_dir, refused, ended)
    except OSError as error:
        failed = RunError(
            f"cannot write the evidence: {error.strerror or error}", hint="just doctor seals it, once there is room"
        )
        failed.run_id = run_id
        raise failed from error
    finally:
        if child:
            child.release()
        directory.release()


def within(trial: tuple[str, int] | None) -> dict[str, Any]:
    """Return which trial of which parent a run is, as its lines in the ledger say it; nothing of other runs."""
    return dict(zip(("parent", "trial"), trial, strict=True)) if trial else {}


def environment(order: Order, directory: RunDir) -> dict[str, str]:
    """Return the environment of the command: that in which it was typed, and what it may know of its run."""
    found = {key: value for key, value in os.environ.items() if key not in ("PEAK_PATH", "PEAK_VIRTUAL_ENV")}
    if "PEAK_PATH" in os.environ:
        found["PATH"] = search_path()
        found.pop("VIRTUAL_ENV", None)
        if venv := os.environ.get("PEAK_VIRTUAL_ENV"):
            found["VIRTUAL_ENV"] = venv
    modules = [str(_SITE), *filter(None, [found.get("PYTHONPATH")])]
    return found | {
        "PEAK_RUN_ID": directory.run_id,
        "PEAK_RUN_DIR": str(directory.path / GIVEN),
        "PEAK_RECORD_SPOOL": str(directory.path / SPOOL),
        "PEAK_RECORD_ENGINE": order.engine,
        "PYTHONPATH": os.pathsep.join(modules),
    }


def sentence(ended: Ended, timeout_s: float | None) -> tuple[str, str]:
    """Return the kind of a failure and what is said of it; two empty texts where the command did what it should."""
    if ended.error:
        return "NotStarted", f"the command could not be started: {os.strerror(ended.error)}"
    if ended.late:
        return "TimeOut", f"the command ran longer than {timeout_s:g} s"
    if ended.code < 0:
        name = next((one.name for one in signal.Signals if one == -ended.code), f"signal {-ended.code}")
        return "Killed", f"the command was ended by {name}"
    if ended.code:
        return "Exited", f"the command ended with exit code {ended.code}"
    return "", ""
