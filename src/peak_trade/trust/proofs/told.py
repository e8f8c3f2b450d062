"""What there is of signatures and anchors of a run, as `just show` tells it; whether they are right, `check` says."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from peak_trade.errors import RunError
from peak_trade.evidence import door
from peak_trade.evidence.results import Results
from peak_trade.trust.proofs import check, dsse, keys

__all__ = ["anchored", "signed"]


def signed(run: Path) -> list[str]:
    """Return the keys that the envelope beside a run's manifest says it is signed by."""
    with suppress(OSError, RunError):
        if door.exists(run, check.NAME):
            envelope = dsse.decode(door.read(run, check.NAME), check.NAME)
            return [keys.signer_of(dsse.raw(one.sig, check.NAME)) for one in envelope.signatures]
    return []


def anchored(results: Results, run_id: str) -> str:
    """Return by what the ledger was first anchored after a run had ended, if it was: `tag ledger-7 on 2026-11-28`."""
    with suppress(OSError):
        reading = results.reading()
        since = reading.of(run_id).line
        for entry in reading.entries if since else ():
            line = entry.fields.get("line")
            if entry.event == "anchored" and isinstance(line, int) and line >= since:
                return f"{entry.fields.get('by') or 'nobody who is named'} on {entry.time[:10]}"
    return ""
