"""Trials that other programs have made, brought into the ledger: from then on they count in N of the series."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from peak_trade.errors import InputError, RunError
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import new_run_id
from peak_trade.text import counted
from peak_trade.trust.luck import stores
from peak_trade.trust.luck.family import EVENT, Imported, Moments, Series, family_of, series_of

__all__ = ["Brought", "bring_in"]


class Brought(Struct, frozen=True):
    """What came in: the trials of a store as the ledger has them, on which series, N now, and whether that is news.

    `known` are those among them that were runs of ours, and count as such.
    """

    trials: Imported
    series: Series
    total: int
    new: bool
    known: int = 0

    def as_text(self) -> str:
        """Return what was done in a sentence."""
        one, series = self.trials, self.series
        what = (
            f"{counted(one.count, 'trial')} of {one.kind} ({one.origin}): {one.failed:,} failed, "
            f"{one.ratios.count:,} with a Sharpe ratio"
        )
        on = f"{series.symbol} {series.timeframe}, bars {series.data[:8]}"
        done = f"now count on {on}" if self.new else f"are counted already on {on}"
        ours = f"; {counted(self.known, 'trial')} of ours among them counted before" if self.known else ""
        return f"{what}, {done}: N is {self.total:,}{ours}"

    def to_json_object(self) -> dict[str, Any]:
        """Return it as `--json` prints it."""
        told: dict[str, Any] = msgspec.to_builtins(self)
        return told


def bring_in(results: Results, run: Path, store: Path, *, name: str = "", metric: str = "sharpe") -> Brought:
    """Count the trials of a store on the series of a run; the same store again counts what is new in it.

    Raises InputError where the store is none, or the run is not of this ledger; RunError where that can't be written.
    """
    try:
        reading = results.whole_reading()
        series = series_of(reading.of(run.name))
        if not series.data:
            raise InputError(f"of run {run.name[:8]} the ledger does not know the bars", hint="--for names another run")
        batch = stores.read(store, name=name, metric=metric)
        trials = [trial for trial in batch.trials if trial.run_id not in reading.runs]
        ratios = [trial.ratio for trial in trials if trial.ratio is not None]
        moments = Moments(len(ratios), statistics.fmean(ratios), statistics.pvariance(ratios)) if ratios else Moments()
        failed = sum(trial.failed for trial in trials)
        found = Imported(batch.kind, batch.origin, batch.digest, len(trials), failed, moments)
        known, before = len(batch.trials) - len(trials), family_of(reading, series)
        if any(_covers(one, found) for one in before.imported) or not found.count:
            return Brought(found, series, before.trials, False, known)
        fields = msgspec.structs.asdict(series) | msgspec.to_builtins(found)
        results.ledger.append(EVENT, new_run_id(), **fields)
        return Brought(found, series, family_of(results.reading(), series).trials, True, known)
    except OSError as error:
        raise RunError(f"the ledger can't be written: {error.strerror}", hint="check the folder and the disk") from None


def _covers(one: Imported, found: Imported) -> bool:
    """Tell whether what the ledger has of a store says as much as what was found in it."""
    same = (one.kind, one.digest) == (found.kind, found.digest)
    return same and (one.count > found.count or (one.count, one.ratios.count) == (found.count, found.ratios.count))
