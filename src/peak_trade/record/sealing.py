"""What one result of another engine leaves in a run's directory: config, statistics, equity, trades, symbols.

The files are those of a run made here, with empty cells for what the engine does not say. What is worked out here, made
up for, or left out is a receipt. Nothing is invented: without equity there is none, but for what the trades of a known
account have realised, which is said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct, structs

from peak_trade import stats, toml
from peak_trade.errors import InputError, RunError
from peak_trade.evidence import files, manifest, settings, symbols, tables
from peak_trade.evidence.run_dir import RunDir
from peak_trade.market import fingerprint, rate
from peak_trade.market.bars import Bars
from peak_trade.market.timeframe import DAY, spacing
from peak_trade.market.trades import Trades
from peak_trade.record.result import Result, Series
from peak_trade.stats.attribution import attribution, symbols_of
from peak_trade.stats.values import Undefined
from peak_trade.text import as_utf8

__all__ = ["OPEN", "Sealed", "data_digest", "equity_of_returns", "rate_of", "tidied", "without_null", "write"]

OPEN = "open_trades.csv"
_EQUITY = ("timestamp", "equity", "drawdown", "position")
_SHOWN = 3  # symbols that a line of the ledger names
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
        _write_config(directory, masked(_config(sections, None, "", "")))
        return Sealed(manifest.IMPORTED if kind == manifest.IMPORTED else "sealed", {}, {"kind": kind}, [], [])
    receipts = [{"part": "engine", "outcome": "noted", "reason": as_utf8(note)} for note in chosen.notes]
    result, mended = tidied(chosen)
    receipts += mended
    data = {series.symbol: _bars(series) for series in result.series}
    named = list(result.symbols) or symbols_of(result.trades, result.open_) or list(data)
    named = sorted({*named, *symbols_of(result.trades, result.open_)} - {""}) or named
    given = sections.get("data", {})
    symbol = _short(named) or str(given.get("symbol") or "")
    timeframe = _one({series.timeframe for series in result.series}) or str(given.get("timeframe") or "")
    config = masked(_config(sections, result, symbol, timeframe))
    _write_config(directory, config)
    figures = _figures(result, config)
    directory.write("stats.json", [files.encode_json(figures.to_json_object())])
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


# --- what is sealed of what an engine says


def tidied(result: Result) -> tuple[Result, list[dict[str, Any]]]:
    """Return a result whose equity is finite and in order, whose trades are in order, and what was mended."""
    receipts: list[dict[str, Any]] = []
    say: Callable[[str, str, str], None] = lambda part, outcome, reason: receipts.append(  # noqa: E731
        {"part": part, "outcome": outcome, "reason": reason}
    )
    timestamp, equity = result.timestamp.astype("M8[ns]"), result.equity.astype(np.float64)
    position = None if result.position is None else result.position.astype(np.float64)
    trades, left = _in_order(result.trades), _in_order(result.open_)
    if trades is not None and np.isnat(trades.exit_time).any():
        still = np.isnat(trades.exit_time)
        left = _joined(left, _rows(trades, still))
        trades = _rows(trades, ~still)
    if not len(equity) and trades is not None and len(trades):
        made = _realised(result, trades)
        if isinstance(made, str):
            say("equity", "missing", made)
        else:
            timestamp, equity = made
            position = None
            say(
                "equity",
                "made",
                "no equity was given: it is the initial cash and what trades had earned at their exits",
            )
    elif not len(equity):
        say("equity", "missing", "no equity was given")
    keep = np.isfinite(equity) & ~np.isnat(timestamp)
    if not keep.all():
        say("equity", "dropped", f"{int((~keep).sum()):,} of {len(keep):,} marks have no time or no finite equity")
        timestamp, equity = timestamp[keep], equity[keep]
        position = None if position is None else position[keep]
    if len(timestamp) > 1 and not (timestamp[1:] > timestamp[:-1]).all():
        order = np.argsort(timestamp, kind="stable")
        last = np.append(timestamp[order][1:] != timestamp[order][:-1], True)
        order = order[last]
        say("equity", "sorted", f"times were not in order, or twice: the last mark of each of {len(order):,} is kept")
        timestamp, equity = timestamp[order], equity[order]
        position = None if position is None else position[order]
    if position is not None and not np.isfinite(position).all():
        position = None
        say("position", "missing", "it is not known at every mark")
    if trades is None:
        say("trades", "missing", "no trades were given")
    mended = structs.replace(
        result, timestamp=timestamp, equity=equity, position=position, trades=trades, open_=left,
        strategy=as_utf8(result.strategy), engine=as_utf8(result.engine), version=as_utf8(result.version),
        currency=as_utf8(result.currency), symbols=tuple(map(as_utf8, result.symbols)),
    )  # fmt: skip
    return mended, receipts


def _realised(result: Result, trades: Trades) -> tuple[npt.NDArray[np.datetime64], npt.NDArray[np.float64]] | str:
    """Return equity at the first entry and at each exit, or why there is none."""
    money = set(trades.currencies.tolist()) if trades.currencies is not None else set()
    if result.initial_cash is None:
        return "neither equity nor initial cash was given: what the account had is not known"
    if len(money) > 1 or not np.isfinite(trades.pnl).all() or np.isnat(trades.entry_time).all():
        return "no equity was given, and not every trade says its pnl in one currency"
    times, first = np.unique(trades.exit_time, return_index=True)
    earned = np.cumsum(trades.pnl)[np.append(first[1:], len(trades)) - 1]
    start = np.nanmin(trades.entry_time.astype("M8[ns]"))
    start = min(start, times[0] - np.timedelta64(1, "s"))
    return np.concatenate(([start], times)), np.concatenate(([0.0], earned)) + result.initial_cash


def _in_order(trades: Trades | None) -> Trades | None:
    """Return trades ordered by exit, then entry, with NaN for what is no finite number, named as files read back."""
    if trades is None:
        return None
    order = np.lexsort((trades.entry_time, trades.exit_time))
    sorted_ = _rows(trades, order)
    changed: dict[str, Any] = {}
    for name in trades.__struct_fields__:
        column = getattr(sorted_, name)
        if isinstance(column, np.ndarray) and column.dtype.kind == "f":
            changed[name] = np.where(np.isfinite(column), column, np.nan)
        elif isinstance(column, np.ndarray) and column.dtype.kind == "U":
            changed[name] = np.array([as_utf8(text) for text in column.tolist()], np.str_)
    several = trades.symbols is not None or trades.currencies is not None or trades.groups is not None
    named = tables.texts(structs.replace(sorted_, **changed))
    if several:
        changed |= {"symbols": named["symbol"], "currencies": named["currency"], "groups": named["group"]}
        changed |= {name: np.array(changed[name], np.str_) for name in ("symbols", "currencies", "groups")}
    own = set(named["symbol"])
    changed["symbol"] = as_utf8(own.pop()) if len(own) == 1 else ""
    return structs.replace(sorted_, **changed)


def _rows(trades: Trades, which: npt.NDArray[Any]) -> Trades:
    columns = {name: getattr(trades, name) for name in trades.__struct_fields__}
    return Trades(**{name: one[which] if isinstance(one, np.ndarray) else one for name, one in columns.items()})


def _joined(one: Trades | None, other: Trades) -> Trades:
    if one is None or not len(one):
        return other
    columns: dict[str, Any] = {}
    for name in other.__struct_fields__:
        ours, theirs = getattr(one, name), getattr(other, name)
        columns[name] = np.concatenate((ours, theirs)) if ours is not None and theirs is not None else None
    return Trades(**(columns | {"symbol": other.symbol}))


# --- files


def _config(sections: dict[str, Any], result: Result | None, symbol: str, timeframe: str) -> dict[str, Any]:
    """Return the sections of a config, as far as they mean something: JSON values, in the order of a config."""
    run, data = dict(sections.pop("run", {})), dict(sections.pop("data", {}))
    given = dict(sections.pop("stats", {}))
    own: dict[str, Any] = {
        "run": {"name": None, "tags": {}} | run,
        "data": {"symbol": symbol, "timeframe": timeframe, "calendar": None} | data,
        "strategy": {"name": result.strategy if result else None, "params": dict(result.params) if result else {}},
        "execution": {"initial_cash": result.initial_cash if result else None},
        "stats": {"risk_free_rate": 0.0, "periods_per_year": None, "benchmark": "none"} | given,
    }
    own["data"] |= {"symbol": symbol or own["data"]["symbol"], "timeframe": timeframe or own["data"]["timeframe"]}
    tree: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(own | sections, enc_hook=repr))
    return tree


def _write_config(directory: RunDir, config: dict[str, Any]) -> None:
    directory.write("config_snapshot.toml", [toml.dumps(without_null(config)).encode()])
    directory.write("config_snapshot.json", [files.encode_json(config | {"overrides": {}})])


def without_null(tree: Any) -> Any:
    """Return a tree as TOML can hold it, which has no null."""
    if isinstance(tree, dict):
        return {key: without_null(value) for key, value in tree.items() if value is not None}
    if isinstance(tree, list):
        return [without_null(value) for value in tree if value is not None]
    return tree


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
    marks = fingerprint.fingerprint(Bars(**columns, symbol=series.symbol, timeframe=series.timeframe or ""))
    about = {"symbol": series.symbol, "timeframe": series.timeframe}
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


def _short(named: list[str]) -> str:
    """Return symbols as a list shows them.

    >>> _short(["A", "B", "C", "D"])
    'A, B, C +1'
    """
    more = f" +{len(named) - _SHOWN}" if len(named) > _SHOWN else ""
    return ", ".join(named[:_SHOWN]) + more


def _one(some: set[str | None]) -> str:
    return (next(iter(some)) or "") if len(some) == 1 else ""
