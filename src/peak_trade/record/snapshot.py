"""The config of a run that was not made here: what was asked, and what is known of it, in the sections of a config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from peak_trade import toml
from peak_trade.evidence import files
from peak_trade.evidence.run_dir import RunDir

if TYPE_CHECKING:
    from peak_trade.record.result import Result

__all__ = ["resolved", "without_null", "write"]


def resolved(sections: dict[str, Any], result: Result | None, symbol: str, timeframe: str) -> dict[str, Any]:
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


def write(directory: RunDir, config: dict[str, Any]) -> None:
    """Write it, in both of its forms."""
    directory.write("config_snapshot.toml", [toml.dumps(without_null(config)).encode()])
    directory.write("config_snapshot.json", [files.encode_json(config | {"overrides": {}})])


def without_null(tree: Any) -> Any:
    """Return a tree as TOML can hold it, which has no null."""
    if isinstance(tree, dict):
        return {key: without_null(value) for key, value in tree.items() if value is not None}
    if isinstance(tree, list):
        return [without_null(value) for value in tree if value is not None]
    return tree
