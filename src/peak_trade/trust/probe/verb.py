"""The verb: of a config, and of a run, beside whose sealed files the fewest bars that show a leak are kept."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from peak_trade.evidence import door
from peak_trade.evidence.results import Results
from peak_trade.terminal import progress
from peak_trade.trust.handed import handed
from peak_trade.trust.probe import case
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
        with case.of_run(one, root, here=here) as found:
            report = probe(found, _told)
        if report.case and one.results is not None:
            with suppress(OSError):  # it is shown as well
                door.replace(one.run, KEPT, report.case.as_csv().encode())
        return report


def _told(done: int, of: int) -> None:
    progress(done, of, "askings")
