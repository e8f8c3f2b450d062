"""The deflated Sharpe ratio of all runs of a list, each held against the trials on its own bars; and such families."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from peak_trade.errors import RunError
from peak_trade.evidence import documents
from peak_trade.evidence.ledger import History
from peak_trade.evidence.results import Results
from peak_trade.shown import listing
from peak_trade.shown.listing import Row
from peak_trade.trust.luck.assess import deflated_of
from peak_trade.trust.luck.family import (
    Families,
    Family,
    Series,
    families,
    family_of_run,
    is_of_others,
    read_ledger,
    series_of,
)
from peak_trade.trust.luck.series import read_manifest, read_sealed
from peak_trade.trust.luck.words import as_table

__all__ = ["Kin", "as_text", "deflated", "every", "kin"]


class Kin(Struct, frozen=True):
    """A family, and its runs where they were asked for: the best by the deflated Sharpe ratio first."""

    family: Family
    rows: list[Row] = []

    def to_json_object(self) -> dict[str, Any]:
        """Return it as `--json` prints it."""
        told = self.family.to_json_object()
        return told | ({"runs": [row.to_json_object() for row in self.rows]} if self.rows else {})


def every(results: Results) -> list[Kin]:
    """Return every family of a ledger, most trials first."""
    return [Kin(family) for family in families(read_ledger(results))]


def kin(results: Results, run: Path) -> list[Kin]:
    """Return the family of a run with all its runs, as a list of one."""
    reading = read_ledger(results)
    family = family_of_run(reading, run.name, series_of(reading.of(run.name)))
    members = set(family.run_ids)
    rows = deflated(results, [row for row in listing.rows(results) if row.run_id in members])
    return [Kin(family, sorted(rows, key=lambda row: (bool(row.lookahead), -(row.deflated or 0.0), row.run_id)))]


def as_text(found: Sequence[Kin]) -> str:
    """Return families as a table, and below it their runs, where they were asked for."""
    runs = [listing.as_table(one.rows) for one in found if one.rows]
    return "\n\n".join([as_table([one.family for one in found]), *runs])


def deflated(results: Results, rows: Iterable[Row]) -> list[Row]:
    """Return rows with their deflated Sharpe ratio; without one where the run is not there, or not as it was sealed.

    Raises RunError where the ledger can't be read.
    """
    reading = read_ledger(results)
    families = Families(reading)
    known: dict[Series, Family] = {}
    found = []
    for row in rows:
        history = reading.of(row.run_id)
        series = series_of(history)
        if (series.data or is_of_others(history)) and row.sharpe is not None:
            if series not in known or not (series.data or series.symbol):
                known[series] = families.of_run(row.run_id, series)
            row = msgspec.structs.replace(row, deflated=_of(results, row, history, known[series]))
        found.append(row)
    return found


def _of(results: Results, row: Row, history: History, family: Family) -> float | None:
    """Return the ratio of one run, by its statistics as they were sealed."""
    path = results.path / row.run_id
    try:
        stats = read_sealed(path, read_manifest(path, history.manifest), "stats.json")
        return deflated_of(family, documents.decode(stats, "stats.json"))
    except RunError:
        return None
