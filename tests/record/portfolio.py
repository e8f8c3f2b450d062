"""A portfolio worked out by hand: two symbols with three trades each, their fees, and a position left open.

    A  long  10 @ 100 -> 110, fees 1 + 1      98
       short  5 @ 110 -> 104, fees .5 + .5    29
       long  10 @ 105 -> 100, fees 1 + 1     -52    75, fees 5
    B  long 100 @  20 ->  21, fees 2 + 2      96
       long  50 @  22 ->  20, fees 1 + 1    -102
       short 100 @ 20 ->  19, fees 2 + 2      96    90, fees 10
       long  50 @  19, still open at 20.5, fee 1    74

The account had 10,000 and ends with 10,230: 75 + 90 + 74 are earned, and 9 went for financing, which no trade names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from peak_trade.evidence import manifest, provenance
from peak_trade.evidence.ledger import now
from peak_trade.evidence.run_dir import RunDir, new_run_id
from peak_trade.market.trades import Trades
from peak_trade.record import sealing
from peak_trade.record.result import Result

NAN = np.nan
EQUITY = [10_000.0, 10_098.0, 10_150.0, 10_194.0, 10_125.0, 10_070.0, 10_060.0, 10_156.0, 10_190.0, 10_230.0]
DAYS = np.datetime64("2024-01-01", "ns") + np.arange(10) * np.timedelta64(1, "D")


def trades(rows: list[tuple[Any, ...]], **more: Any) -> Trades:
    """Return trades of rows (symbol, side, entry day, price, exit day, price, quantity, fees, pnl)."""
    symbol, side, entry, paid, exit_, got, quantity, fee, left, pnl = zip(*rows, strict=True)
    days = [DAYS[day] if day is not None else np.datetime64("NaT", "ns") for day in exit_]
    unknown = np.full(len(rows), NAN)
    columns: dict[str, Any] = {
        "symbol": "",
        "side": np.array(side, np.int8),
        "entry_time": DAYS[list(entry)],
        "entry_price": np.array(paid, float),
        "exit_time": np.array(days, "M8[ns]"),
        "exit_price": np.array(got, float),
        "quantity": np.array(quantity, float),
        "entry_fee": np.array(fee, float),
        "exit_fee": np.array(left, float),
        "slippage": unknown,
        "pnl": np.array(pnl, float),
        "return_": np.array(pnl, float) / (np.array(paid, float) * np.array(quantity, float)),
        "bars_held": np.full(len(rows), -1),
        "exit_reason": np.full(len(rows), -1, np.int8),
        "symbols": np.array(symbol),
        "currencies": np.full(len(rows), "USD"),
        "groups": None,
    }
    return Trades(**(columns | more))


def closed(**more: Any) -> Trades:
    """Return the six closed trades, in the order of the table above: not that of their exits."""
    return trades(
        [
            ("A", 1, 0, 100, 1, 110, 10, 1, 1, 98),
            ("A", -1, 1, 110, 3, 104, 5, 0.5, 0.5, 29),
            ("A", 1, 3, 105, 5, 100, 10, 1, 1, -52),
            ("B", 1, 0, 20, 2, 21, 100, 2, 2, 96),
            ("B", 1, 2, 22, 4, 20, 50, 1, 1, -102),
            ("B", -1, 4, 20, 7, 19, 100, 2, 2, 96),
        ],
        **more,
    )


def left() -> Trades:
    """Return the position that is open at the end."""
    return trades([("B", 1, 7, 19, None, NAN, 50, 1, NAN, 74)])


def result(**more: Any) -> Result:
    """Return what an engine says of the portfolio."""
    told: dict[str, Any] = {
        "engine": "handmade",
        "version": "1",
        "strategy": "pairs",
        "params": {"fast": 3, "weights": [0.5, None]},
        "timestamp": DAYS,
        "equity": np.array(EQUITY),
        "position": None,
        "trades": closed(),
        "open_": left(),
        "currency": "USD",
        "initial_cash": 10_000.0,
    }
    return Result(**(told | more))


def recorded(results: Path, chosen: Result | None, kind: str = "recorded", **settings: Any) -> Path:
    """Return the directory of a run that another engine made, sealed as `just record` and `just import` do."""
    directory = RunDir.create(results, new_run_id(), given=False)
    began = now()
    sections = {"run": {"name": "two"}, "record" if kind == "recorded" else "import": {"files": ["a.csv"]}} | settings
    follows = directory.begin(kind=kind, name=sections["run"]["name"])
    sealed = sealing.write(directory, chosen, kind=kind, settings=sections)
    directory.write("outputs/deep/stdout.txt", [b"done\n"])
    asked = sections.get("record", {}) | {"config": directory.sealed["config_snapshot.toml"], "name": "two"}
    origin = {
        "buildType": manifest.BUILD_OF[kind],
        "externalParameters": asked,
        "internalParameters": {"environment": provenance.environment()},
        "resolvedDependencies": sealed.dependencies,
    }
    details = {
        "metadata": {"invocationId": directory.run_id, "startedOn": began, "finishedOn": now()},
        "folder": ".",
        "argv": [],
        "host": "here",
        "milliseconds": {"evidence": 1.0},
    }
    receipts = [*sealed.receipts, {"part": "evidence", "outcome": "done", "ms": 1.0, "bytes": directory.bytes}]
    came_out = sealed.results | ({"exitCode": 0} if kind == "recorded" else {})
    facts = sealed.facts | ({"exit_code": 0} if kind == "recorded" else {})
    said = manifest.Predicate(sealed.status, origin, details, came_out, receipts, {"follows": follows})
    path = directory.seal(said, "sealed", **facts)
    directory.release()
    return path
