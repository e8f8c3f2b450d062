"""The verb: of a run, beside whose sealed files what was found is kept for its report."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from peak_trade.errors import InputError, RunError
from peak_trade.evidence import documents, door, manifest
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import read_manifest
from peak_trade.trust.handed import handed
from peak_trade.trust.probe import case
from peak_trade.trust.stress.again import Stress, stress

__all__ = ["BEYOND", "KEPT", "kept", "of_run"]

_LOG = logging.getLogger("peak_trade.stress")
KEPT = "debug/stress.json"
"""Where what was found of a run lies: beside what is sealed."""

BEYOND = {
    manifest.SWEPT: "it was chosen from many runs, of which those that were kept can be",
    manifest.RECORDED: "another engine traded it",
    manifest.IMPORTED: "a file says no strategy",
}
"""Why a run that is none of a config can't be traded again, by its kind."""


def of_run(which: str, results: Results, root: Path) -> Stress:
    """Make a run again at other costs and a bar later, with its sealed code on its data, and keep what comes of it.

    Raises InputError where it can't be made again, RunError where it comes to something else than what was sealed.
    """
    with handed(which, results) as one:
        kind = read_manifest(one.run).predicate.kind
        if kind != manifest.RUN:
            raise InputError(f"run {one.run.name[:8]} can't be traded again: {BEYOND[kind]}", hint="just runs")
        with case.of_run(one, root) as found:
            sealed = documents.read(one.run, "stats.json")
            made = stress(found, sealed, door.digest(one.run, manifest.NAME))
        if one.results is not None:
            try:
                door.replace(one.run, KEPT, msgspec.json.format(msgspec.json.encode(made)) + b"\n")
            except OSError as error:  # it is shown as well
                _LOG.warning("%s is not kept for the report: %s", KEPT, error.strerror)
        return made


def kept(run: Path) -> Stress | None:
    """Return what was found of a run as it is sealed now; None where nothing was, or it is another's."""
    try:
        found = documents.read(run, KEPT, Stress)
        return found if found.manifest == door.digest(run, manifest.NAME) else None
    except (OSError, RunError):
        return None
