"""The verb: of a config, and of a run, beside whose sealed files the fewest bars that show a leak are kept."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from peak_trade.errors import RunError
from peak_trade.evidence import door, manifest
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import read_manifest
from peak_trade.probe import NOT_ASSESSED, Probe
from peak_trade.terminal import progress
from peak_trade.trust.handed import handed
from peak_trade.trust.probe import case
from peak_trade.trust.probe.delay import Delay
from peak_trade.trust.probe.history import WarmUp
from peak_trade.trust.probe.report import Report, probe

__all__ = ["KEPT", "of_config", "of_run"]

KEPT = "debug/probe.csv"
"""Where the fewest bars that show a leak of a run lie: beside what is sealed."""


def of_config(path: Path, overrides: Sequence[str], root: Path, results: Results) -> Report:
    """Probe what a config asks for; raises InputError as a run does, RunError where the strategy fails."""
    with case.of_config(path, overrides, root, results) as found:
        return probe(found, _told)


def of_run(which: str, results: Results, root: Path, *, here: bool = False) -> Report:
    """Probe a run as it was made, or with the code that is `here`; raises InputError where it can't be made again."""
    with handed(which, results) as one:
        if report := _beyond(one.run):
            return report
        with case.of_run(one, root, here=here) as found:
            report = probe(found, _told)
        if report.case and one.results is not None:
            with suppress(OSError):  # it is shown as well
                door.replace(one.run, KEPT, report.case.as_csv().encode())
        return report


_WHY = {
    manifest.SWEPT: "just show has what came of its chosen trial, and a run that was kept is probed",
    manifest.RECORDED: "another engine asked the strategy",
    manifest.IMPORTED: "a file says no strategy",
}


def _beyond(run: Path) -> Report | None:
    """Return that a run is not assessed whose strategy another engine asked: ours can't ask it again."""
    with suppress(RunError):  # what can't be read is told by who needs more of it
        kind = read_manifest(run).predicate.kind
        if kind != manifest.RUN:
            why = _WHY[kind]
            asked = Probe(NOT_ASSESSED, f"the run is {kind}: {why}, and it can't be asked again")
            return Report(run.name[:8], asked, 0, 0, WarmUp(), Delay())
    return None


def _told(done: int, of: int) -> None:
    progress(done, of, "askings")
