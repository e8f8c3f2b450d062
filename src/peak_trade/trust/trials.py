"""Does the table of a recorded command's trials say of the run, and of their number, what manifest and ledger say?"""

from __future__ import annotations

import csv
import io
from typing import Any

from peak_trade.errors import RunError
from peak_trade.evidence import footer, manifest
from peak_trade.trust.verdict import Verdict

__all__ = ["NAMES", "check"]

NAMES = ("trials.csv", "trials.parquet")
_REPEATED = "repeated"  # a call by which an engine made its best trial once more: a row, and no trial
_ENGINES = 3  # that a line names
_COLUMNS = ("index", "chosen", "engine", "version", "status", "equity_digest", "trades_digest")
_UNPACKED, _PACKING = 1 << 24, 100


def check(verdict: Verdict, sealed: manifest.Manifest, contents: dict[str, bytes]) -> dict[str, Any]:
    """Hold the row of the trial that is the run against the manifest; return what the ledger's line tells of trials.

    That is how many there were, and by which engines.
    """
    promised = sealed.predicate.results.get("trials")
    name = next((name for name in NAMES if name in contents), None)
    if name is None:
        if promised:
            verdict.add(NAMES[0], f"a table of {promised} trials", "none")
        return {"trials": promised or None}
    try:
        rows = _rows(name, contents[name])
    except ImportError as error:
        verdict.skip(name, f"{error}; hint: just setup lake")
        return {"trials": promised or None}
    results = sealed.predicate.results
    if [row["index"] for row in rows] != [str(at) for at in range(len(rows))]:
        verdict.add(f"{name} index", "0, 1, 2, …", "others")
    chosen = [row for row in rows if row["chosen"] == "true"]
    if len(chosen) != (1 if "engine" in results else 0):
        verdict.add(f"{name} chosen", "one row: that of the run", len(chosen))
    for row in chosen[:1]:
        for key in ("equity_digest", "trades_digest"):
            verdict.compare(f"{name} row {row['index']} {key}", results.get(key, ""), row[key])
    count = sum(row["status"] != _REPEATED for row in rows)
    if promised is not None:  # an import has them in its ledger's line alone
        verdict.compare(f"{manifest.NAME} trials", count, promised)
    engines = dict.fromkeys(" ".join(filter(None, (row["engine"], row["version"]))) for row in rows)
    return {"trials": count or None, "engine": ", ".join(list(engines)[:_ENGINES])}


def _rows(name: str, content: bytes) -> list[dict[str, str]]:
    try:
        if name.endswith(".csv"):
            reader = csv.DictReader(io.TextIOWrapper(io.BytesIO(content), "utf-8", newline=""), strict=True)
            rows: list[dict[str, Any]] = list(reader)
        else:
            rows = _parquet(content)
        return [{key: _text(row[key]) for key in _COLUMNS} for row in rows]
    except (ValueError, KeyError, csv.Error) as error:
        raise RunError(f"{name}: {error}") from None


def _text(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _parquet(content: bytes) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            rows: list[dict[str, Any]] = footer.columns(file, _UNPACKED + _PACKING * len(content)).to_pylist()
            return rows
    except (pa.ArrowException, OSError) as error:
        raise ValueError(str(error).splitlines()[0]) from None
