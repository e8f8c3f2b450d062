"""A run under way: what was asked, the directory that it fills, and what has been noted for its manifest."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from peak_trade.config import Config, Source
from peak_trade.errors import RunError
from peak_trade.evidence import tables
from peak_trade.evidence.ledger import now
from peak_trade.evidence.results import LEFT, Results
from peak_trade.evidence.run_dir import RunDir, named, new_run_id, warn_unfinished
from peak_trade.market.findings import Finding
from peak_trade.redact import Redactor
from peak_trade.runner.log import RunLog
from peak_trade.supervisor import UNWATCHED, Line
from peak_trade.text import as_utf8

__all__ = ["Attempt", "Stages", "asked", "withheld"]

_LOG = logging.getLogger("peak_trade.run")


class Stages(Struct):
    """The stages of a run: when it began, which one it is in, and the ms that each took."""

    began: str = field(default_factory=now)
    now: str = "start"
    milliseconds: dict[str, float] = {}

    @contextmanager
    def clock(self, stage: str) -> Iterator[None]:
        """Note the time that a stage takes."""
        self.now, start = stage, time.perf_counter()
        try:
            yield
        finally:
            self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + (time.perf_counter() - start) * 1e3


class Attempt(Struct):
    """A run from its START record on. `follows` is the sha256 of that record."""

    source: Source
    root: Path
    argv: list[str]
    stages: Stages
    redactor: Redactor
    directory: RunDir
    log: RunLog
    follows: str
    receipts: list[dict[str, Any]] = []
    line: Line = UNWATCHED
    bars: dict[str, Any] | None = None  # what the manifest has of them, once they are known by their fingerprint
    before: frozenset[str] = field(default_factory=lambda: frozenset(sys.modules))  # the modules, as the run began
    ran: set[Path] = set()  # the source files that were run as modules since

    @classmethod
    def begin(
        cls, source: Source, root: Path, results: Path, run_id: str | None, argv: list[str], stages: Stages,
        redactor: Redactor, line: Line, told: dict[str, Any],
    ) -> Attempt:  # fmt: skip
        """Make the working directory, and put the START record on disk; RunError where that can't be written.

        `told` is what the record tells of the config beside strategy, symbol and timeframe.
        """
        directory = None
        try:
            warn_unfinished(Results(results))
            directory = RunDir.create(results, new_run_id(run_id), given=run_id is not None)
            follows = directory.begin(**asked(source.config), **withheld(source), **told)
        except OSError as error:
            if directory:
                directory.abandon()
            raise RunError(
                f"cannot write to {results}: {error.strerror}",
                hint="check the folder and the disk; PEAK_RESULTS_DIR names another folder",
            ) from None
        log = RunLog(directory, redactor)
        return cls(source, root, argv, stages, redactor, directory, log, follows, line=line)

    def skip(self, part: str, reason: str, hint: str = "") -> None:
        """Warn that an optional part was skipped, and note it; with PEAK_STRICT=1 the run fails instead."""
        if os.environ.get("PEAK_STRICT") == "1":
            raise RunError(f"{part} was skipped: {reason}", hint=hint or "PEAK_STRICT=1 makes every skip a failure")
        reason = self.redactor.text(as_utf8(reason))
        _LOG.warning("%s skipped: %s%s", part, reason, f"; hint: {hint}" if hint else "")
        self.receipts.append({"part": part, "outcome": "skipped", "reason": reason})

    def warn(self, part: str, outcome: str, reason: str) -> None:
        """Warn of something that a reader of the run has to know, and note it."""
        reason = self.redactor.text(as_utf8(reason))
        _LOG.warning("%s %s: %s", part, outcome, reason)
        self.receipts.append({"part": part, "outcome": outcome, "reason": reason})

    def say(self, finding: Finding) -> None:
        """Warn of what was found in the bars, note it, and keep the rows that it is about beside the sealed files."""
        text = self.redactor.text(as_utf8(finding.text))
        _LOG.warning("data: %s", text)
        self.receipts.append({"part": "data", "outcome": finding.kind, "count": finding.count, "reason": text})
        if finding.rows:
            try:
                rows = as_utf8(self.redactor.text(tables.rows_csv(finding.rows)))
                self.directory.write_beside(f"debug/data_{finding.kind}.csv", [rows.encode()])
            except OSError as error:
                self.skip("debug", f"the rows of `{finding.kind}` can't be written: {error.strerror}")

    def tidy(self) -> None:
        """Take out of the directory what a strategy left there, and say so."""
        if left := self.directory.settle():
            place = f"{self.directory.results.name}/{LEFT}/{self.directory.run_id}/"
            what = self.redactor.text(named(left))
            self.warn("directory", "left", f"it held what is not the run's, which was taken to {place}: {what}")

    def findings(self) -> dict[str, dict[str, int]]:
        """Return how often what was found in the bars, for the ledger: nothing where there is nothing to be said."""
        found = {receipt["outcome"]: receipt["count"] for receipt in self.receipts if receipt["part"] == "data"}
        return {"findings": found} if found else {}

    def reached(self) -> dict[str, str]:
        """Return the bars' fingerprint, first and last time, for the ledger, once they are known."""
        if self.bars is None:
            return {}
        return {"data": self.bars["digest"]["sha256"]} | {
            key: self.bars["annotations"][key] for key in ("start", "end")
        }

    def forget(self) -> None:
        """Forget the receipts that speak of what a run that failed discards: what was found in its bars stands."""
        self.receipts[:] = [receipt for receipt in self.receipts if receipt["part"] in ("data", "directory")]

    def skip_what_could_not_start(self) -> None:
        """Take over what was skipped before this program began, as `part: reason; hint: …` in the environment says."""
        if text := os.environ.pop("PEAK_SKIPPED", ""):
            part, _, reason = self.redactor.text(text).partition(": ")
            reason, _, hint = reason.partition("; hint: ")
            self.skip(part, reason, hint)


def withheld(source: Source) -> dict[str, str]:
    """Return from when on the bars of a run are held out, for ledger and manifest; nothing where none are."""
    return {"holdout": source.held} if source.held else {}


def asked(config: Config) -> dict[str, str]:
    """Return what the ledger and the manifest call a run by."""
    strategy = config.strategy.name or config.strategy.entrypoint or ""
    return {"strategy": strategy, "symbol": config.data.symbol, "timeframe": config.data.timeframe}
