"""A run of a config under way: what was asked, and how far it got."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

from msgspec import field

from peak_trade.config import Config, Source
from peak_trade.errors import RunError
from peak_trade.evidence import tables
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import RunDir, new_run_id, warn_unfinished
from peak_trade.market.benchmark import Benchmark
from peak_trade.market.findings import Finding
from peak_trade.redact import Redactor
from peak_trade.runner.known import Known
from peak_trade.runner.log import RunLog
from peak_trade.runner.making import Making, Stages
from peak_trade.supervisor import UNWATCHED, Line
from peak_trade.text import as_utf8

__all__ = ["Attempt", "asked", "unwritable", "withheld"]

_LOG = logging.getLogger("peak_trade.run")


class Attempt(Making, kw_only=True):
    """A run of a config."""

    source: Source
    line: Line = UNWATCHED
    known: Known = field(default_factory=Known)
    bars: dict[str, Any] | None = None  # what the manifest has of them, once they are known by their fingerprint
    benchmark: dict[str, Any] | None = None  # the same of its benchmark, where that is a file
    unnamed: str = ""  # the digest of the same bars without a symbol, as other engines are given them
    before: frozenset[str] = field(default_factory=lambda: frozenset(sys.modules))  # the modules, as the run began
    ran: set[Path] = field(default_factory=set)  # the source files that were run as modules since
    starts: bool = False  # whether the strategy has started processes, which may have loaded more

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
            raise unwritable(results, error) from None
        log = RunLog(directory, redactor)
        return cls(root, source.path.parent, argv, stages, redactor, directory, log, follows, source=source, line=line)

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

    def hold_against(self, benchmark: Benchmark | None) -> None:
        """Say how a benchmark that is a file is taken, and where it is long without a close."""
        if benchmark is None or not self.source.config.stats.benchmark_file:
            return
        for line in benchmark.assumptions:
            _LOG.info("benchmark: %s", self.redactor.text(line))
        if benchmark.stale:
            self.warn("benchmark", "stale", benchmark.stale)

    @property
    def data(self) -> list[dict[str, Any]]:
        """What the manifest has of bars and benchmark, once they are known."""
        return [part for part in (self.bars, self.benchmark) if part]

    def findings(self) -> dict[str, dict[str, int]]:
        """Return how often what was found in the bars, for the ledger: nothing where there is nothing to be said."""
        found = {receipt["outcome"]: receipt["count"] for receipt in self.receipts if receipt["part"] == "data"}
        return {"findings": found} if found else {}

    def reached(self) -> dict[str, str]:
        """Return the bars' fingerprint, first and last time, and a benchmark's, for the ledger, once they are known."""
        if self.bars is None:
            return {}
        beside = {"benchmark": self.benchmark["digest"]["sha256"]} if self.benchmark else {}
        return (
            {"data": self.bars["digest"]["sha256"], "unnamed": self.unnamed}
            | beside
            | {key: self.bars["annotations"][key] for key in ("start", "end")}
        )

    def forget(self) -> None:
        """Forget the receipts that speak of what a run that failed discards: what was found in its bars stands."""
        self.receipts[:] = [receipt for receipt in self.receipts if receipt["part"] in ("data", "directory")]


def unwritable(results: Path, error: OSError) -> RunError:
    """Return what a run says that can't begin where its results are to go."""
    return RunError(
        f"cannot write to {results}: {error.strerror}",
        hint="check the folder and the disk; PEAK_RESULTS_DIR names another folder",
    )


def withheld(source: Source) -> dict[str, str]:
    """Return from when on the bars of a run are held out, for ledger and manifest; nothing where none are."""
    return {"holdout": source.held} if source.held else {}


def asked(config: Config) -> dict[str, str]:
    """Return what the ledger and the manifest call a run by."""
    strategy = config.strategy.name or config.strategy.entrypoint or ""
    return {"strategy": strategy, "symbol": config.data.symbol, "timeframe": config.data.timeframe}
