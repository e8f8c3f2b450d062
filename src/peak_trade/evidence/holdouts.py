"""What the ledger tells of bars that are held out: from when on, by how many runs, until when, and who has seen them.

A holdout belongs to a symbol and timeframe, as it lies in time: a fingerprint changes with every new bar.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from msgspec import Struct

from peak_trade.evidence.ledger import Entry, Reading

__all__ = ["EVENT", "Holdout", "of"]

EVENT = "unsealed"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", re.ASCII)


class Holdout(Struct):
    """`begins` is the earliest time from which bars were held out, empty where none were, and `runs` had such bars.

    `unsealed` is the line that ended it. `seen` counts the trials whose bars reach to that time or beyond it, `unknown`
    those of which nothing tells how far theirs reach. `data` are the fingerprints of bars that reach that far.
    """

    begins: str = ""
    runs: int = 0
    unsealed: Entry | None = None
    seen: int = 0
    unknown: int = 0
    data: set[str] = set()


def _time(text: Any) -> np.datetime64 | None:
    """Return a time of the ledger; None for what is none."""
    try:
        return np.datetime64(text[:-1], "ns") if isinstance(text, str) and _TIME.fullmatch(text) else None
    except ValueError:
        return None


def of(reading: Reading, symbol: str, timeframe: str) -> Holdout:
    """Return what is held out of a series."""
    found = Holdout()
    histories = [
        history
        for history in reading.runs.values()
        if (history.fields.get("symbol"), history.fields.get("timeframe")) == (symbol, timeframe)
    ]
    held = {str(text): at for history in histories if (at := _time(text := history.fields.get("holdout")))}
    begins = min(held, key=lambda text: held[text], default="")
    found.begins, found.runs = begins, sum(bool(_time(history.fields.get("holdout"))) for history in histories)
    for history in histories:
        ends = [entry for entry in history.entries if entry.event == EVENT]
        if ends and (found.unsealed is None or ends[0].line < found.unsealed.line):
            found.unsealed = ends[0]
        if found.begins and history.end:
            reach = _time(history.fields.get("end"))
            if reach and reach >= held[begins]:
                found.seen += 1
                found.data.add(str(history.fields.get("data")))
            found.unknown += not reach and not history.fields.get("holdout")
    return found
