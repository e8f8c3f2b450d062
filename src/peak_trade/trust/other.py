"""Do the sealed files of a recorded or an imported run agree with each other, and with the ledger?

Nothing of it is executed. What can be worked out of equity and trades is worked out again: statistics, drawdown, each
symbol's part of the account. What only the other engine knows (its fills, its fees) has nothing to be held against.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from peak_trade import stats
from peak_trade.errors import InputError
from peak_trade.evidence import manifest, settings, symbols, tables
from peak_trade.evidence.ledger import FIELDS, Entry, History
from peak_trade.evidence.run_dir import ERROR, OUTPUTS
from peak_trade.market.trades import Trades
from peak_trade.record import sealing
from peak_trade.record.snapshot import without_null
from peak_trade.stats import reconcile
from peak_trade.stats.attribution import attribution, symbols_of
from peak_trade.stats.values import Undefined
from peak_trade.trust import reconciled, statistics, sweeps
from peak_trade.trust.trials import check as check_trials
from peak_trade.trust.verdict import Verdict

__all__ = ["check", "within"]

_EQUITY = ("timestamp", "equity", "drawdown", "position")
_CLOSE = 1e-9
_DIGESTS = {"equity.csv": "equity_digest", "trades": "trades_digest", sealing.OPEN: "open_digest"}
_AMOUNTS = ("pnl", "fees", "open_pnl")
_BY_OTHERS = ("files", "trials_on", "trials_failed", "code", "command", "findings")
"""What a line may say beside, which is held against what it speaks of elsewhere, or of which nothing else tells."""


def check(
    verdict: Verdict, sealed: manifest.Manifest, contents: dict[str, bytes], history: History, results_dir: Path
) -> None:  # fmt: skip
    """Hold the sealed files of a run that another program made against each other and against its history.

    So are those of the parent of a sweep over a command, whose kept runs are looked for in `results_dir`.
    """
    predicate = sealed.predicate
    told: dict[str, Any] = {"kind": predicate.kind} | within(sealed)
    if predicate.status == "failed":
        if history.end and history.end.event == "abandoned":  # error.json may be what it died of
            _check_line(verdict, history.end, told)
            return
        error = predicate.error or {}
        verdict.compare(ERROR, error, msgspec.json.decode(contents[ERROR]))
        told |= error
    config = _check_config(verdict, sealed, contents)
    _check_start(verdict, history.start, config, predicate)
    results = predicate.results
    told["exit_code"] = results.get("exitCode")
    told |= _check_materials(verdict, sealed, contents, config)
    if "engine" not in results:
        for name in (
            "stats.json",
            "equity.csv",
            "trades.csv",
            "trades.parquet",
            sealing.OPEN,
            symbols.NAME,
            reconcile.NAME,
        ):
            if name in contents:
                verdict.add(name, "none: no engine was seen", "there is one")
        told |= _check_trials(verdict, sealed, contents, history, results_dir, np.empty(0))
        _check_line(verdict, history.end, told)
        return
    equity = _equity(verdict, sealed, contents)
    try:
        trades, left = _trades(verdict, sealed, contents, "trades"), _trades(verdict, sealed, contents, sealing.OPEN)
    except ImportError as error:
        verdict.skip("trades.parquet, stats.json and symbols.csv", f"{error}; hint: just setup lake")
        return
    figures = _check_statistics(verdict, contents, results, config, equity, trades)
    if reconcile.NAME in contents and figures is not None:
        reconciled.check(
            verdict, contents[reconcile.NAME], equity["timestamp"], equity["equity"], trades, figures,
            left=left, initial_cash=config["execution"]["initial_cash"],
            risk_free_rate=config["stats"]["risk_free_rate"],
        )  # fmt: skip
    account = results["account"]
    verdict.compare(f"{manifest.NAME} initial_cash", config["execution"]["initial_cash"], account["initial_cash"])
    _check_symbols(verdict, sealed, contents, equity, trades, left)
    when = _ruin(equity)
    verdict.compare(f"{manifest.NAME} {manifest.RUINED}", when, results.get(manifest.RUINED))
    if predicate.completed and predicate.of_command:
        verdict.compare(manifest.NAME, manifest.RUINED if when else "sealed", predicate.status, "status ")
    engine = results["engine"]
    told |= {
        "engine": " ".join(filter(None, (engine["name"], engine["version"]))),
        "strategy": config["strategy"]["name"],
        "symbol": config["data"]["symbol"],
        "timeframe": config["data"]["timeframe"],
        "symbols": len(results["symbols"]),
        "bars": len(equity["timestamp"]),
        "params": settings.short(config["strategy"]["params"]),
        "data": sealing.data_digest(_bars(sealed)),
        manifest.RUINED: when,
    }
    if len(equity["timestamp"]):
        told["start"], told["end"] = tables.iso(equity["timestamp"][[0, -1]])
    told = _check_trials(verdict, sealed, contents, history, results_dir, equity["equity"]) | told
    _check_line(verdict, history.end, told | results["summary"])


def within(sealed: manifest.Manifest) -> dict[str, Any]:
    """Return which trial of which parent a run was kept as, as the ledger says it; nothing of other runs."""
    metadata = sealed.predicate.run_details["metadata"]
    return {key: metadata[key] for key in ("parent", "trial") if key in metadata}


def _check_trials(
    verdict: Verdict, sealed: manifest.Manifest, contents: dict[str, bytes], history: History, results_dir: Path,
    equity: Any,
) -> dict[str, Any]:  # fmt: skip
    if sealed.predicate.kind != manifest.SWEPT:
        return check_trials(verdict, sealed, contents)
    try:
        table = sweeps.read(sealed, contents)
    except ImportError as error:
        verdict.skip("the trials, and all that was chosen from them", f"{error}; hint: just setup lake")
        return {"trials": history.end.fields.get("trials") if history.end else None}
    return sweeps.check_commands(verdict, sealed, contents, table, equity, results_dir, history.end)


def _check_config(verdict: Verdict, sealed: manifest.Manifest, contents: dict[str, bytes]) -> dict[str, Any]:
    """Hold the two forms of the config against each other, and the manifest against both."""
    snapshot: dict[str, Any] = msgspec.json.decode(contents["config_snapshot.json"])
    given = tomllib.loads(contents["config_snapshot.toml"].decode())
    snapshot.pop("overrides", None)
    plain = msgspec.json.decode(msgspec.json.encode(given))
    for section in sorted(snapshot.keys() | plain.keys()):
        expected, found = plain.get(section, {}), without_null(snapshot.get(section, {}))
        for key in sorted(expected.keys() | found.keys()):
            verdict.compare(f"config_snapshot.json {section}.{key}", expected.get(key), found.get(key))
    asked = sealed.predicate.build_definition["externalParameters"]
    verdict.compare(f"{manifest.NAME} config", sealed.files["config_snapshot.toml"], asked["config"])
    verdict.compare(f"{manifest.NAME} name", snapshot.get("run", {}).get("name") or None, asked.get("name") or None)
    for key, value in snapshot.get("record", {}).items():
        verdict.compare(f"{manifest.NAME} {key}", value, asked.get(key))
    took: dict[str, Any] = snapshot.get("import", {})
    if "maps" in asked or "maps" in took:
        verdict.compare(f"{manifest.NAME} maps", took.get("maps"), asked.get("maps"))
        options = {key: value for key, value in took.items() if key not in ("files", "maps")}
        verdict.compare(f"{manifest.NAME} options", options, asked.get("options"))
    if "params" in asked:
        verdict.compare(f"{manifest.NAME} params", snapshot["strategy"]["params"], asked["params"])
    return snapshot


def _check_start(verdict: Verdict, start: Entry | None, config: dict[str, Any], predicate: manifest.Predicate) -> None:
    if start is None:
        return
    verdict.compare(f"{start.where} kind", predicate.kind, start.fields.get("kind"))
    name = config.get("run", {}).get("name")
    verdict.compare(f"{start.where} name", name or None, start.fields.get("name") or None)


def _check_line(verdict: Verdict, entry: Entry | None, told: dict[str, Any]) -> None:
    """Check that the line that ends a run says what its files do, and nothing that they don't."""
    if entry is None:
        return
    for key in sorted(told.keys() | entry.fields.keys()):
        if key == "manifest" or (key in _BY_OTHERS and not (key == "files" and key in told)):
            continue
        if key in told:
            expected, found = told[key], entry.fields.get(key)
            if key == "trials":  # none at all, or none of which it speaks
                found = found or None
            verdict.compare(f"{entry.where} {key}", _said(expected), _said(found))
        elif key in FIELDS:
            verdict.compare(f"{entry.where} {key}", None, entry.fields[key])
        else:
            verdict.skip(f"{entry.where} {key}", "this version does not know that field")


def _said(value: Any) -> Any:
    """Return a value, None where it says nothing: lines leave out what is empty."""
    return None if value in ("", {}, []) else value


def _check_materials(
    verdict: Verdict, sealed: manifest.Manifest, contents: dict[str, bytes], config: dict[str, Any]
) -> dict[str, Any]:  # fmt: skip
    """Check that files that were imported lie in `outputs/` as the manifest names them, and that it names them all.

    Return what the ledger's line says of them.
    """
    named, digests = [], []
    for part in sealed.predicate.build_definition["resolvedDependencies"]:
        if part["name"] == "import":
            name = f"{OUTPUTS}/{part['annotations']['file']}"
            verdict.compare(name, part["digest"]["sha256"], sealed.files.get(name), "sha256 ")
            if name in contents and "bytes" in part["annotations"]:
                verdict.compare(f"{manifest.NAME} {name}", len(contents[name]), part["annotations"]["bytes"], "bytes ")
            named.append(part["annotations"]["file"])
            digests.append(part["digest"]["sha256"])
    if sealed.predicate.kind == manifest.IMPORTED and "maps" in config.get("import", {}):
        verdict.compare(f"{manifest.NAME} files", sorted(config["import"]["files"]), sorted(named))
        return {"files": sorted(digests)}
    return {}


def _has(verdict: Verdict, sealed: manifest.Manifest, name: str, found: str | None) -> bool:
    """Tell whether there is a file, and check that the manifest has a digest of its values just then."""
    promised = _DIGESTS[name] in sealed.predicate.results
    if promised != (found is not None):
        verdict.add(found or name, "a file" if promised else "none", "none" if promised else "a file")
    return promised and found is not None


def _equity(verdict: Verdict, sealed: manifest.Manifest, contents: dict[str, bytes]) -> dict[str, Any]:
    name = "equity.csv"
    if not _has(verdict, sealed, name, name if name in contents else None):
        return dict.fromkeys(_EQUITY, np.empty(0)) | {"timestamp": np.empty(0, "M8[ns]")}
    equity = tables.read_series(Path(name), _EQUITY, contents[name], gaps=True)
    found = tables.series_digest("equity", equity)
    verdict.compare(name, sealed.predicate.results["equity_digest"], found, "values digest ")
    times = equity["timestamp"]
    if not (times[1:] > times[:-1]).all():
        verdict.add(name, "times in order, each once", "others")
    if not np.isfinite(equity["equity"]).all():
        verdict.add(name, "equity at every mark", "empty cells")
    unknown = np.isnan(equity["position"])
    if unknown.any() and not unknown.all():
        verdict.add(name, "a position at every mark, or at none", "some")
    depth = stats.drawdown(equity["equity"])
    if isinstance(depth, Undefined):
        verdict.compare(name, True, bool(np.isnan(equity["drawdown"]).all()), "no drawdown: ")
    else:
        verdict.agree(name, "drawdown", depth, equity["drawdown"], _CLOSE)
    return equity


def _trades(verdict: Verdict, sealed: manifest.Manifest, contents: dict[str, bytes], of: str) -> Trades | None:
    names = ("trades.csv", "trades.parquet") if of == "trades" else (of,)
    name = next((name for name in names if name in contents), None)
    if not _has(verdict, sealed, of, name) or name is None:
        return None
    trades = tables.read_trades(Path(name), contents[name], gaps=True)
    found = tables.trades_digest(trades)
    verdict.compare(name, sealed.predicate.results[_DIGESTS[of]], found, "values digest ")
    ended = ~np.isnat(trades.exit_time)
    if bool(ended.all()) != (of == "trades") and len(trades):
        verdict.add(name, "closed trades" if of == "trades" else "trades that are open", "others")
    exits = trades.exit_time[ended]
    if (exits[1:] < exits[:-1]).any():
        verdict.add(name, "trades in the order of their exits", "others")
    if (trades.entry_time[ended] > trades.exit_time[ended]).any():
        verdict.add(name, "trades that end after they began", "others")
    return trades


def _check_statistics(
    verdict: Verdict, contents: dict[str, bytes], results: dict[str, Any], config: dict[str, Any],
    equity: dict[str, Any], trades: Trades | None,
) -> stats.Stats | None:  # fmt: skip
    if "stats.json" not in contents:
        verdict.add("stats.json", "the statistics of what the engine says", "no such file")
        return None
    asked = config["stats"]
    try:
        rate = sealing.rate_of(config, equity["timestamp"])
    except InputError as error:  # an exchange that only an extra knows
        verdict.skip("stats.json periods_per_year", f"{error.message}; {error.hint}")
        written = msgspec.json.decode(contents["stats.json"]).get("periods_per_year")
        rate = float(written) if isinstance(written, float | int) and written > 0 else None
    position = equity["position"]
    figures = stats.compute(
        equity["timestamp"],
        equity["equity"],
        None if np.isnan(position).any() or not len(position) else position,
        trades,
        risk_free_rate=asked["risk_free_rate"],
        periods_per_year=rate,
    )
    statistics.check(verdict, contents["stats.json"], results, figures)
    return figures


def _bars(sealed: manifest.Manifest) -> dict[str, str]:
    """Return the digest of each symbol's bars, as the manifest has them."""
    parts = sealed.predicate.build_definition["resolvedDependencies"]
    return {part["annotations"]["symbol"]: part["digest"]["sha256"] for part in parts if part["name"] == "bars"}


def _check_symbols(
    verdict: Verdict, sealed: manifest.Manifest, contents: dict[str, bytes], equity: dict[str, Any],
    trades: Trades | None, left: Trades | None,
) -> None:  # fmt: skip
    """Work each symbol's part of the account out again: the rows sum to its change, with the rest named."""
    results, name = sealed.predicate.results, symbols.NAME
    named = results["symbols"]
    if strange := sorted(set(symbols_of(trades, left)) - {"", *named}):
        verdict.add(f"{manifest.NAME} symbols", ", ".join(strange), ", ".join(named))
    expected = len(named) > 1 and trades is not None
    if expected != (name in contents):
        verdict.add(name, "a row for each symbol" if expected else "none", "none" if expected else "a file")
    if not expected or name not in contents or trades is None:
        return
    account = results["account"]
    parts = attribution(
        equity["timestamp"], equity["equity"], trades, left, account["currency"], account["initial_cash"]
    )
    again, found = symbols.rows(parts, _bars(sealed)), symbols.read(contents[name])
    verdict.compare(name, len(again), len(found), "rows ")
    scale = max((abs(float(value)) for row in again for key in _AMOUNTS if (value := row[key]) is not None), default=0)
    scale = max(scale, float(np.abs(equity["equity"]).max(initial=0.0)))
    for line, (ours, theirs) in enumerate(zip(again, found, strict=False), 2):
        for key in symbols.COLUMNS:
            if not _same(ours[key], theirs[key], scale if key in _AMOUNTS else 1.0):
                verdict.add(f"{name} row {line} {key}", ours[key], theirs[key])


def _same(one: Any, other: Any, scale: float) -> bool:
    if isinstance(one, float | int) and isinstance(other, float | int):
        return abs(one - other) <= _CLOSE * max(scale, abs(one))
    return bool(one == other)


def _ruin(equity: dict[str, Any]) -> str | None:
    """Return the time from which on the account had nothing; None where it always had something."""
    lost = np.flatnonzero(equity["equity"] <= 0)
    return tables.iso(equity["timestamp"][lost[:1]])[0] if len(lost) else None
