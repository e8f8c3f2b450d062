"""`trials.parquet`, or `trials.csv` without pyarrow: a row a trial of a sweep, sealed.

    index, chosen, fold, part, params, settings, seed, status, error, duplicate_of, a column for each statistic of
    stats.json, equity_digest, trades_digest

`params` are the strategy's parameters that were varied, `settings` other keys, both JSON with sorted keys. `status` is
`done` or `failed`; `duplicate_of` names the first trial with the same digests on the same bars, null for one that is
the first. How long each took varies, and stands beside the sealed files: see `parent`.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from typing import Any

import msgspec

from peak_trade.evidence import tables
from peak_trade.evidence.run_dir import RunDir
from peak_trade.redact import Redactor
from peak_trade.sweep.rows import KEYS, Rows, duplicates

__all__ = ["NAME", "settings_of", "write"]

NAME = "trials"
_PARAMS = "strategy.params."


def write(directory: RunDir, rows: Rows, chosen: int | None, seed: int, redactor: Redactor) -> str:
    """Write the table into the directory of the parent; return why it is no Parquet, empty where it is."""
    columns = _columns(rows, chosen, seed)
    try:
        content = _parquet(columns)
    except ImportError as error:
        directory.write(f"{NAME}.csv", _csv(columns))
        return f"{error}; wrote trials.csv instead (just setup lake adds Parquet)"
    directory.write(f"{NAME}.parquet", [content])
    return ""


def _columns(rows: Rows, chosen: int | None, seed: int) -> dict[str, list[Any]]:
    failed = [at in rows.error for at in range(len(rows))]
    same = duplicates(rows)
    columns: dict[str, list[Any]] = {
        "index": list(range(len(rows))),
        "chosen": [at == chosen for at in range(len(rows))],
        "fold": [None if one < 0 else one for one in rows.fold.tolist()],
        "part": rows.part,
        "params": [settings_of(one, True) for one in rows.overrides],
        "settings": [settings_of(one, False) for one in rows.overrides],
        "seed": [one.get("run.seed", seed) for one in rows.overrides],
        "status": ["failed" if one else "done" for one in failed],
        "error": [rows.error.get(at, "") for at in range(len(rows))],
        "duplicate_of": [None if one < 0 else one for one in same.tolist()],
    }
    for at, key in enumerate(KEYS):
        columns[key] = [None if math.isnan(one) else one for one in rows.values[:, at].tolist()]
    for at, name in enumerate(("equity_digest", "trades_digest")):
        columns[name] = [
            "" if bad else row.tobytes().hex() for row, bad in zip(rows.digests[:, at], failed, strict=True)
        ]
    return columns


def settings_of(overrides: dict[str, Any], params: bool) -> str:
    """Return the strategy's parameters among some overrides, or with `params` false the other keys, as JSON."""
    told = {key.removeprefix(_PARAMS): one for key, one in overrides.items() if key.startswith(_PARAMS) is params}
    return msgspec.json.encode(told, order="deterministic").decode()


def _parquet(columns: dict[str, list[Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    whole = {"index", "fold", "seed", "duplicate_of"}
    words = {"part", "params", "settings", "status", "error", "equity_digest", "trades_digest"}
    kinds = {
        name: pa.int64()
        if name in whole
        else pa.string()
        if name in words
        else pa.bool_()
        if name == "chosen"
        else pa.float64()
        for name in columns
    }
    schema = pa.schema(list(kinds.items()))
    sink = io.BytesIO()
    pq.write_table(pa.table(columns, schema=schema), sink, compression="zstd")
    return sink.getvalue()


def _csv(columns: dict[str, list[Any]]) -> Iterator[bytes]:
    rows = zip(*([_cell(cell) for cell in cells] for cells in columns.values()), strict=True)
    yield tables.rows_csv([dict(zip(columns, row, strict=True)) for row in rows]).encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
