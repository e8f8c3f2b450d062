"""A run in the making, whatever makes it: the directory that it fills, and what has been noted for its manifest."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from peak_trade.errors import RunError
from peak_trade.evidence.ledger import now
from peak_trade.evidence.results import LEFT
from peak_trade.evidence.run_dir import RunDir, named
from peak_trade.redact import Redactor
from peak_trade.runner.log import RunLog
from peak_trade.text import as_utf8

__all__ = ["Making", "Stages"]

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


class Making(Struct):
    """A run from its START record on. `follows` is the sha256 of that record.

    `root` is the repository whose state is noted, `folder` where what the run was asked by counts paths from.
    """

    root: Path
    folder: Path
    argv: list[str]
    stages: Stages
    redactor: Redactor
    directory: RunDir
    log: RunLog
    follows: str
    receipts: list[dict[str, Any]] = []
    kin: dict[str, Any] = {}  # the parent run that it is a trial of, and which one

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

    def tidy(self) -> None:
        """Take out of the directory what a strategy left there, and say so."""
        if left := self.directory.settle():
            place = f"{self.directory.results.name}/{LEFT}/{self.directory.run_id}/"
            what = self.redactor.text(named(left))
            self.warn("directory", "left", f"it held what is not the run's, which was taken to {place}: {what}")

    def skip_what_could_not_start(self) -> None:
        """Take over what was skipped before this program began, as `part: reason; hint: …` in the environment says.

        And what was set up anew then: the packages that a run before this one had may have been others.
        """
        if text := os.environ.pop("PEAK_RENEWED", ""):
            self.warn("environment", "renewed", text)
        if text := os.environ.pop("PEAK_SKIPPED", ""):
            part, _, reason = self.redactor.text(text).partition(": ")
            reason, _, hint = reason.partition("; hint: ")
            self.skip(part, reason, hint)
