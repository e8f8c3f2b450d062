"""The table of a recorded command's trials, and what the ledger keeps of them when the table is gone.

    index, chosen, engine, version, strategy, label, params, status, error, a column for each statistic of stats.json,
    equity_digest, trades_digest, duration_s

`params` is JSON with sorted keys; `index` counts from 0 in order of start, as `--pick` takes it. A call by which an
engine made its best trial once more is a row, and no trial: its status is `repeated`.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from peak_trade import stats
from peak_trade.evidence import tables
from peak_trade.evidence.run_dir import RunDir
from peak_trade.market import fingerprint
from peak_trade.market.bars import Bars
from peak_trade.market.timeframe import timeframe_of
from peak_trade.record import figures
from peak_trade.record.figures import Figures
from peak_trade.record.result import Result
from peak_trade.stats.attribution import symbols_of

__all__ = ["COLUMNS", "NAME", "Key", "Told", "key_of", "status_of", "symbols_text", "write_trials"]

NAME = "trials"
_LEADING = {
    "index": "i",
    "chosen": "b",
    **dict.fromkeys(("engine", "version", "strategy", "label", "params", "status", "error"), "s"),
}
COLUMNS: dict[str, str] = (
    _LEADING
    | {stat.key: "f" for stat in stats.STATS}
    | dict.fromkeys(("equity_digest", "trades_digest"), "s")
    | {"duration_s": "f"}
)
"""Every column, and what it holds: `i`, `b`, `s` (text) or `f`, which may be null."""
_SERIES = 100  # that a line of the ledger names
_SYMBOLS = 120  # characters


class Key(Struct, frozen=True, order=True):
    """What a trial was made on: what trials that count together share. `data` is empty where no bars were seen.

    `unnamed` is the digest of the same bars without their symbol, of one symbol that has a name.
    """

    symbol: str
    timeframe: str
    data: str
    unnamed: str = ""


class Told(Struct, frozen=True):
    """What was written: the file's name, the figures of each trial, and what the ledger's line gets."""

    name: str
    figures: list[Figures]
    facts: dict[str, Any]
    skipped: str = ""


class _Batch(Struct):
    """Trials on one series, as they are gathered: by the digests of what came of them, each result once."""

    count: int = 0
    failed: int = 0
    ratios: dict[tuple[str, str], float | None] = {}

    def facts(self, key: Key) -> dict[str, Any]:
        known = [ratio for ratio in self.ratios.values() if ratio is not None]
        mean = math.fsum(known) / len(known) if known else 0.0
        variance = math.fsum((ratio - mean) ** 2 for ratio in known) / len(known) if known else 0.0
        ratios = {"count": len(known), "mean": mean, "variance": variance}
        counts = {"count": self.count, "failed": self.failed, "results": len(self.ratios)}
        on = {name: told for name, told in msgspec.structs.asdict(key).items() if told or name != "unnamed"}
        return on | counts | {"ratios": ratios} | ({"best": max(known)} if known else {})


def write_trials(
    directory: RunDir,
    results: Sequence[Result],
    *,
    chosen: int | None = None,
    risk_free_rate: float = 0.0,
    periods_per_year: float | None = None,
) -> Told:
    """Write `trials.parquet`, or `trials.csv` without pyarrow, into the directory of a run.

    `chosen` is the index of the one that is the run. What annualises is the same for all of them, or by the times of
    each where `periods_per_year` is None. Nothing is written of no trials.
    """
    worked = [
        figures.work_out(one, risk_free_rate=risk_free_rate, periods_per_year=periods_per_year) for one in results
    ]
    facts = _facts(results, worked)
    if not results:
        return Told("", worked, facts)
    columns = _columns(results, worked, chosen)
    try:
        name, chunks, skipped = f"{NAME}.parquet", iter((_parquet(columns),)), ""
    except ImportError as error:
        name, chunks, skipped = f"{NAME}.csv", _csv(columns), f"{error}; wrote trials.csv instead"
    directory.write(name, chunks)
    return Told(name, worked, facts, skipped)


def status_of(result: Result) -> str:
    """Return the word for what became of a trial: `done`, `failed`, or `repeated`, which is no trial of its own."""
    return "repeated" if result.repeated else "failed" if result.error else "done"


def _columns(results: Sequence[Result], worked: Sequence[Figures], chosen: int | None) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {
        "index": list(range(len(results))),
        "chosen": [index == chosen for index in range(len(results))],
        "engine": [one.engine for one in results],
        "version": [one.version for one in results],
        "strategy": [one.strategy for one in results],
        "label": [one.label for one in results],
        "params": [msgspec.json.encode(one.params, order="deterministic").decode() for one in results],
        "status": [status_of(one) for one in results],
        "error": [one.error for one in results],
        "equity_digest": [one.equity_digest for one in worked],
        "trades_digest": [one.trades_digest for one in worked],
        "duration_s": [one.duration_s for one in results],
    }
    columns |= {stat.key: [one.stats.get(stat.key) for one in worked] for stat in stats.STATS}
    return {name: columns[name] for name in COLUMNS}


def _parquet(columns: dict[str, list[Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"i": pa.int64(), "b": pa.bool_(), "s": pa.string(), "f": pa.float64()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])
    arrays = []
    for field in schema:  # from buffers: pyarrow's conversions of lists and of NumPy's arrays import pandas
        cells, count = columns[field.name], len(columns[field.name])
        known = [cell is not None for cell in cells]
        mask = None if all(known) else np.packbits(known, bitorder="little")
        if field.type == pa.string():
            texts = [cell.encode() for cell in cells]
            parts = [np.cumsum([0, *map(len, texts)]).astype(np.int32), b"".join(texts)]
        elif field.type == pa.bool_():
            parts = [np.packbits(cells, bitorder="little")]
        else:
            plain = [cell if there else 0 for cell, there in zip(cells, known, strict=True)]
            parts = [np.array(plain, np.int64 if field.type == pa.int64() else np.float64)]
        buffers = [None if mask is None else pa.py_buffer(mask), *map(pa.py_buffer, parts)]
        arrays.append(pa.Array.from_buffers(field.type, count, buffers))
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), sink, compression="zstd")
    return sink.getvalue()


def _csv(columns: dict[str, list[Any]]) -> Iterator[bytes]:
    """Yield CSV: an empty cell is null, and so is a text that is empty."""
    rows = zip(*([_cell(cell) for cell in cells] for cells in columns.values()), strict=True)
    yield tables.rows_csv([dict(zip(columns, row, strict=True)) for row in rows]).encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


# --- what the ledger keeps ------------------------------------------------------------------------------------------


def _facts(results: Sequence[Result], worked: Sequence[Figures]) -> dict[str, Any]:
    """Return what the ledger's line gets: how many trials there were, and of each series how many, and their ratios.

    A removed run has nothing else left of them. Different results only have a ratio, each once.
    """
    batches: dict[Key, _Batch] = {}
    keys: dict[tuple[int, ...], Key] = {}
    for one, found in zip(results, worked, strict=True):
        if one.repeated:
            continue
        same = tuple(map(id, one.series)) or (-1, hash(one.symbols), *_ends(one))
        key = keys.get(same) or keys.setdefault(same, key_of(one))  # a fingerprint of the same bars is worked out once
        batch = batches.setdefault(key, _Batch())
        batch.count += 1
        batch.failed += bool(one.error)
        if found.equity_digest and not one.error:
            ratio = found.stats.get("sharpe")
            batch.ratios[found.equity_digest, found.trades_digest] = None if ratio is None else float(ratio)
    count, failed = sum(one.count for one in batches.values()), sum(one.failed for one in batches.values())
    facts: dict[str, Any] = {"trials": count} | ({"trials_failed": failed} if failed else {})
    most = sorted(batches.items(), key=lambda item: (-item[1].count, item[0]))[:_SERIES]
    return facts | ({"trials_on": [batch.facts(key) for key, batch in most]} if most else {})


def _ends(result: Result) -> tuple[int, ...]:
    times = result.timestamp
    return (len(times), *times[[0, -1]].view(np.int64).tolist()) if len(times) else ()


def key_of(result: Result) -> Key:
    """Return what a trial was made on.

    Of several symbols, the names in order and one digest over those of all. Where the engine's bars were not seen,
    symbols and the equity's timeframe are all that is known: such trials count together whatever the bars. A trial
    without symbols and bars has an empty key: nobody can tell which others were made on the same.
    """
    digests, timeframes, unnamed = [], [], []
    for one in result.series:
        timeframe = one.timeframe or timeframe_of(one.timestamp)
        bars = Bars(
            one.timestamp, one.open, one.high, one.low, one.close, one.volume, symbol=one.symbol, timeframe=timeframe
        )
        digests.append(fingerprint.digest(bars))
        timeframes.append(timeframe)
        if one.symbol and len(result.series) == 1:
            unnamed.append(fingerprint.unnamed(bars))
    digests = sorted(set(digests))
    data = digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()
    traded = symbols_of(result.trades, result.open_)
    named = result.symbols or traded or [one.symbol for one in result.series]
    symbols = symbols_text({*named, *traded} - {""})
    timeframe = min(timeframes, default="") if digests else timeframe_of(result.timestamp) if symbols else ""
    return Key(symbols, timeframe, data if digests else "", "".join(unnamed))


def symbols_text(named: Iterable[str]) -> str:
    """Return symbols as one text, in order of their names: cut, with a mark, where they are many.

    >>> symbols_text(["B", "A"])
    'A,B'
    """
    text = ",".join(sorted(named))
    if len(text) > _SYMBOLS:
        return f"{text[: _SYMBOLS - 20]}… {hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return text
