"""The deflated Sharpe ratio of all runs of a list: each held against the trials on its own bars."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from peak_trade.errors import RunError
from peak_trade.evidence import documents, door, manifest
from peak_trade.evidence.ledger import History
from peak_trade.evidence.results import Results
from peak_trade.shown.listing import Row
from peak_trade.trust.luck.assess import deflated_of
from peak_trade.trust.luck.family import Family, Series, family_of, series_of

__all__ = ["deflated"]


def deflated(results: Results, rows: Iterable[Row]) -> list[Row]:
    """Return rows with their deflated Sharpe ratio; without one where the run is not there, or not as it was sealed.

    Raises RunError where the ledger can't be read.
    """
    try:
        reading = results.reading()
    except OSError as error:
        raise RunError(f"ledger.jsonl: {error.strerror}", hint="check the folder and the disk") from None
    families: dict[Series, Family] = {}
    found = []
    for row in rows:
        history = reading.of(row.run_id)
        series = series_of(history)
        if series.data and row.sharpe is not None:
            if series not in families:
                families[series] = family_of(reading, series)
            row = msgspec.structs.replace(row, deflated=_of(results, row, history, families[series]))
        found.append(row)
    return found


def _of(results: Results, row: Row, history: History, family: Family) -> float | None:
    """Return the ratio of one run, by its statistics as they were sealed."""
    path = results.path / row.run_id
    try:
        content = door.read(path, manifest.NAME)
        if hashlib.sha256(content).hexdigest() != history.manifest:
            return None
        sealed = manifest.decode(content)
        stats = door.read(path, "stats.json", sealed.predicate.promised)
        if hashlib.sha256(stats).hexdigest() != sealed.files.get("stats.json"):
            return None
        return deflated_of(family, documents.decode(stats, "stats.json"))
    except (OSError, RunError):
        return None
