"""The end of a holdout: one line in the ledger, and none after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct

from peak_trade.errors import InputError, RunError
from peak_trade.evidence import holdouts
from peak_trade.evidence.ledger import Entry, Reading
from peak_trade.evidence.results import Results
from peak_trade.text import counted, escaped
from peak_trade.trust.luck.family import Series, brought_in

__all__ = ["Unsealed", "known_of", "said", "unseal"]

_REASON = 500  # characters


class Unsealed(Struct, frozen=True):
    """A holdout that was unsealed: which, since when, and whether just now."""

    symbol: str
    timeframe: str
    begins: str
    since: str
    now: bool

    def as_text(self) -> str:
        """Return what was done in a sentence."""
        what = f"{self.symbol} {self.timeframe} from {self.begins} on"
        if self.now:
            return f"unsealed: {what}; every run sees these bars from now on, and that can't be taken back"
        return f"nothing to do: {what} was unsealed at {self.since}"

    def to_json_object(self) -> dict[str, Any]:
        """Return it as `--json` prints it."""
        return {name: getattr(self, name) for name in self.__struct_fields__}


def unseal(results: Results, run: Path, *, reason: str = "") -> Unsealed:
    """Let runs see what a run has held out; InputError where it has no holdout, RunError where that can't be noted."""
    try:
        reading = results.whole_reading()
        history = reading.of(run.name)
        told = history.fields
        if not told.get("holdout"):
            raise InputError(f"run {run.name[:8]} has held out no bars", hint='[run] holdout = "365d" in a config does')
        symbol, timeframe = str(told.get("symbol")), str(told.get("timeframe"))
        known = holdouts.of(reading, symbol, timeframe)
        if known.unsealed:
            return Unsealed(symbol, timeframe, known.begins, known.unsealed.time, False)
        fields = {"symbol": symbol, "timeframe": timeframe, "holdout": known.begins}
        results.ledger.append(holdouts.EVENT, run.name, **fields, **({"reason": reason[:_REASON]} if reason else {}))
        entry = _line(results, symbol, timeframe)
    except OSError as error:
        raise RunError(f"the ledger can't be written: {error.strerror}", hint="check the folder and the disk") from None
    return Unsealed(symbol, timeframe, known.begins, entry.time, True)


def _line(results: Results, symbol: str, timeframe: str) -> Entry:
    found = holdouts.of(results.reading(), symbol, timeframe).unsealed
    if found is None:
        raise RunError("the ledger does not have the line that was written", hint="just verify --all")
    return found


def known_of(reading: Reading, series: Series) -> holdouts.Holdout:
    """Return what is held out of a series; trials of elsewhere on bars that reach into it have seen it too."""
    known = holdouts.of(reading, series.symbol, series.timeframe)
    for made, one in brought_in(reading):
        if (made.symbol, made.timeframe) == (series.symbol, series.timeframe) and made.data in known.data:
            known.seen += one.count
    return known


def said(known: holdouts.Holdout) -> str:
    """Return whether a holdout was seen, and by how many trials; empty where nothing was held out.

    >>> said(holdouts.Holdout(begins="2023-01-01T00:00:00Z", runs=3))
    'the bars from 2023-01-01 on were held out by 3 trials, and no trial has seen them'
    """
    if not known.begins:
        return ""
    who = (
        f"{counted(known.seen, 'trial')} {'has' if known.seen == 1 else 'have'} seen them"
        if known.seen
        else ("no trial has seen them")
    )
    since = f", until they were unsealed on {escaped(known.unsealed.time[:10])}" if known.unsealed else ""
    blind = f"; of {counted(known.unknown, 'trial')} nothing tells" if known.unknown else ""
    held = f"the bars from {escaped(known.begins[:10])} on were held out by {counted(known.runs, 'trial')}{since}"
    return f"{held}, and {who}{blind}"
