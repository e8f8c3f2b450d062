"""What one result of another engine leaves in a run's directory: config, statistics, equity, trades, symbols.

The files are those of a run made here, with empty cells for what the engine does not say. What is worked out here, made
up for, or left out is a receipt. Nothing is invented: without equity there is none, but for what the trades of a known
account have realised, which is said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade import stats
from peak_trade.errors import InputError, RunError
from peak_trade.evidence import files, manifest, settings, symbols, tables
from peak_trade.evidence.run_dir import RunDir
from peak_trade.market import fingerprint, rate
from peak_trade.market.bars import Bars
from peak_trade.market.timeframe import DAY, spacing, timeframe_of
from peak_trade.record import reconciled, snapshot
from peak_trade.record.result import Result, Series
from peak_trade.record.table import symbols_text
from peak_trade.record.tidying import tidied
from peak_trade.stats.attribution import attribution, symbols_of
from peak_trade.stats.values import Undefined
from peak_trade.text import as_utf8

__all__ = ["OPEN", "Sealed", "data_digest", "equity_of_returns", "rate_of", "write"]

OPEN = "open_trades.csv"
_EQUITY = ("timestamp", "equity", "drawdown", "position")
_MASKED = Callable[[Any], Any]


class Sealed(Struct):
    """What a result came to: for the manifest `results`, `dependencies` (bars) and `receipts`; `facts` for the ledger.

    `status` is that of the manifest, but of an import, which is `imported` whatever came of the account.
    """

    status: str
    results: dict[str, Any]
    facts: dict[str, Any]
    dependencies: list[dict[str, Any]]
    receipts: list[dict[str, Any]]
    figures: stats.Stats | None = None


def write(
    directory: RunDir,
    chosen: Result | None,
    *,
    kind: str,
    settings: Mapping[str, Any],
    masked: _MASKED = lambda tree: tree,
) -> Sealed:
    """Write what `chosen` says into the directory of a run, and return what manifest and ledger say of it.

    `settings` are sections of a config: `run` (name, tags), `data` (calendar, timeframe, symbol where the engine does
    not say it), `stats` (risk_free_rate, periods_per_year), and `record` or `import`, by `kind` (`recorded`,
    `imported`). `masked` takes secrets out of a tree. Without a result there is a config, and nothing else.
    """
    sections = {name: dict(values) for name, values in settings.items()}
    if chosen is None:
        snapshot.write(directory, masked(snapshot.resolved(sections, None, "", "")))
        return Sealed(manifest.IMPORTED if kind == manifest.IMPORTED else "sealed", {}, {"kind": kind}, [], [])
    receipts = [{"part": "engine", "outcome": "noted", "reason": as_utf8(note)} for note in chosen.notes]
    result, mended = tidied(chosen)
    receipts += mended
    data = {series.symbol: _bars(series) for series in result.series}
    named = sorted({*result.symbols, *data, *symbols_of(result.trades, result.open_)} - {""})
    given = sections.get("data", {})
    symbol = symbols_text(named) or str(given.get("symbol") or "")
    known = [series.timeframe or timeframe_of(series.timestamp) for series in result.series]
    timeframe = min(known, default="") or str(given.get("timeframe") or "") or timeframe_of(result.timestamp)
    config = masked(snapshot.resolved(sections, result, symbol, timeframe))
    snapshot.write(directory, config)
    figures = _figures(result, config)
    directory.write("stats.json", [files.encode_json(figures.to_json_object())])
    reconciled.write(directory, result, figures, risk_free_rate=config["stats"]["risk_free_rate"])
    results: dict[str, Any] = {
        "summary": {name: figures[name] for name in ("total_return", "sharpe", "max_drawdown", "trades")},
        "statistics": stats.editions(),
    }
    results |= _write_equity(directory, result) | _write_trades(directory, result, receipts)
    several = len(named) > 1
    if several and result.trades is not None:
        parts = attribution(
            result.timestamp, result.equity, result.trades, result.open_, result.currency, result.initial_cash
        )
        digests = {name: bars["digest"]["sha256"] for name, bars in data.items()}
        directory.write(symbols.NAME, symbols.encode(parts, digests))
        if parts[-2].pnl is None:
            reason = (
                "the symbols' shares do not add up to the account: currencies differ, or not every trade says its pnl"
            )
            receipts.append({"part": symbols.NAME, "outcome": "incomplete", "reason": reason})
    results |= {
        "account": {"currency": result.currency, "initial_cash": result.initial_cash},
        "engine": {"name": result.engine, "version": result.version},
        "symbols": named,
    }
    status = "sealed"
    facts = {
        "kind": kind,
        "engine": " ".join(filter(None, (result.engine, result.version))),
        "strategy": result.strategy,
        "symbol": symbol,
        "timeframe": timeframe,
        "symbols": len(named),
        "bars": len(result.equity),
        "params": settings_of(config) or None,
    }
    if len(result.equity):
        first, last = tables.iso(result.timestamp[[0, -1]])
        facts |= {"start": first, "end": last}
        if (result.equity <= 0).any():
            at = int(np.argmax(result.equity <= 0))
            (when,) = tables.iso(result.timestamp[at : at + 1])
            results[manifest.RUINED] = facts[manifest.RUINED] = when
            status = manifest.RUINED
            reason = f"equity was at or below zero at {when}"
            receipts.append({"part": "account", "outcome": manifest.RUINED, "reason": reason})
    facts["data"] = data_digest({name: bars["digest"]["sha256"] for name, bars in data.items()})
    facts |= results["summary"]
    told = {name: value for name, value in facts.items() if value not in (None, "")}
    return Sealed(
        manifest.IMPORTED if kind == manifest.IMPORTED else status,
        results,
        told,
        list(data.values()),
        receipts,
        figures,
    )


def settings_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a config as a line of the ledger has them."""
    return settings.short(config["strategy"]["params"])


def equity_of_returns(
    timestamp: npt.NDArray[np.datetime64], returns: npt.NDArray[np.float64], initial_cash: float | None = None
) -> tuple[npt.NDArray[np.datetime64], npt.NDArray[np.float64], str]:
    """Return equity for returns alone, with a mark before the first of them, and the sentence that says so.

    >>> equity_of_returns(np.array(["2024-01-02", "2024-01-03"], "M8[ns]"), np.array([0.5, -0.5]))[1].tolist()
    [1.0, 1.5, 0.75]
    """
    base = 1.0 if initial_cash is None else float(initial_cash)
    step = np.timedelta64(round((spacing(timestamp) or DAY) * 1e9), "ns")
    times = np.concatenate((timestamp[:1] - step, timestamp)).astype("M8[ns]")
    growth = np.concatenate((np.ones(min(len(timestamp), 1)), 1.0 + returns))
    equity: npt.NDArray[np.float64] = np.cumprod(growth) * np.float64(base)
    return times, equity, f"only returns were given: equity is made of them, from {base:,.6g} one step before the first"


# --- files


def _figures(result: Result, config: dict[str, Any]) -> stats.Stats:
    try:
        return stats.compute(
            result.timestamp, result.equity, result.position, result.trades,
            risk_free_rate=config["stats"]["risk_free_rate"], periods_per_year=rate_of(config, result.timestamp),
        )  # fmt: skip
    except InputError as error:
        raise RunError(error.message, hint=error.hint) from None


def rate_of(config: Mapping[str, Any], timestamp: npt.NDArray[np.datetime64]) -> float | None:
    """Return how many marks a year has: as a config forces it, by its calendar, else as they show it."""
    data, forced = config["data"], config["stats"]["periods_per_year"]
    if forced or not len(timestamp):
        return float(forced) if forced else None
    timeframe = data["timeframe"] or f"{min(max(round(spacing(timestamp) or DAY), 1), 9_999)}s"
    return rate.periods_per_year(timestamp, timeframe, data["calendar"])


def _write_equity(directory: RunDir, result: Result) -> dict[str, Any]:
    if not len(result.equity):
        return {}
    depth = stats.drawdown(result.equity)
    unknown = np.full(len(result.equity), np.nan)
    equity = dict(
        zip(
            _EQUITY,
            (
                result.timestamp,
                result.equity,
                unknown if isinstance(depth, Undefined) else depth,
                unknown if result.position is None else result.position,
            ),
            strict=True,
        )
    )
    directory.write("equity.csv", tables.series_csv(equity))
    return {"equity_digest": tables.series_digest("equity", equity)}


def _write_trades(directory: RunDir, result: Result, receipts: list[dict[str, Any]]) -> dict[str, Any]:
    """Write closed trades as Parquet where pyarrow is installed, else as CSV, and what is open at the end as CSV."""
    written: dict[str, Any] = {}
    if result.trades is not None:
        try:
            directory.write("trades.parquet", [tables.trades_parquet(result.trades)])
        except ImportError as error:
            reason = f"{error}; wrote trades.csv instead (just setup lake adds Parquet)"
            receipts.append({"part": "trades.parquet", "outcome": "skipped", "reason": reason})
            directory.write("trades.csv", tables.trades_csv(result.trades))
        written["trades_digest"] = tables.trades_digest(result.trades)
    if result.open_ is not None and len(result.open_):
        directory.write(OPEN, tables.trades_csv(result.open_))
        written["open_digest"] = tables.trades_digest(result.open_)
    return written


# --- names and data


def _bars(series: Series) -> dict[str, Any]:
    """Return the bars of one symbol as a dependency: their fingerprint is that of a run on the same bars."""
    columns = {name: getattr(series, name) for name in ("timestamp", "open", "high", "low", "close", "volume")}
    timeframe = series.timeframe or timeframe_of(series.timestamp)
    marks = fingerprint.fingerprint(Bars(**columns, symbol=series.symbol, timeframe=timeframe))
    about = {"symbol": series.symbol, "timeframe": timeframe}
    return {
        "name": "bars",
        "digest": {"sha256": marks.pop("digest")},
        "annotations": about | marks,
    }


def data_digest(data: Mapping[str, str]) -> str:
    """Return one digest for all bars, by their symbols': of one symbol its own, of several that of theirs."""
    digests = sorted(set(data.values()))
    if not digests:
        return ""
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()
