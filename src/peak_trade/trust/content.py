"""Do a run's sealed files agree with each other, with the ledger, and with the data where that is still there?

The config is resolved again from the file as given; statistics and money are worked out again from equity and trades;
the bars are loaded again and their fingerprint compared.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

import peak_trade
from peak_trade import stats
from peak_trade.config import NO_BENCHMARK, Config, Data, changed, parse
from peak_trade.errors import InputError
from peak_trade.evidence import benchmark, code, door, manifest, settings, tables
from peak_trade.evidence.ledger import FIELDS, Entry, History
from peak_trade.evidence.run_dir import ERROR
from peak_trade.evidence.trials import Trials
from peak_trade.market import fingerprint, ohlcv, promised
from peak_trade.market import rate as rates
from peak_trade.market.bars import Bars
from peak_trade.market.trades import Trades
from peak_trade.redact import MASK
from peak_trade.stats.values import Floats, Times
from peak_trade.trust import benchmarks, excursions, money, other, space, statistics, sweeps
from peak_trade.trust.kept import Kept
from peak_trade.trust.verdict import Verdict

__all__ = ["TRADES", "bars_of", "check"]

TRADES = ("trades.csv", "trades.parquet")
_EQUITY = ("timestamp", "equity", "drawdown", "position")
_CLOSE = 1e-9  # relative: what another processor's summation may change; any edit of a file is seen by its digest


def check(
    verdict: Verdict, sealed: manifest.Manifest, contents: dict[str, bytes], history: History, results: Path,
    root: Path | None, data: Path | None = None,
) -> None:  # fmt: skip
    """Hold the sealed files of a run, whose digests are right, against each other and against its history.

    The data is looked for in `data`, a folder of bars by their digests, then below `root`, and never in `results`;
    without them it is left alone. What is below `root` is not that of a run made elsewhere, where it is another.
    """
    if sealed.predicate.of_command or sealed.predicate.kind not in (manifest.RUN, manifest.SWEPT):
        other.check(verdict, sealed, contents, history, results)
    elif sealed.predicate.completed:
        elsewhere = verdict.foreign or history.received is not None
        kept = Kept(data, results, root, elsewhere=elsewhere)
        _check_sealed(verdict, sealed, contents, history, kept)
    else:
        _check_failed(verdict, sealed, contents, history)


def _check_sealed(
    verdict: Verdict, sealed: manifest.Manifest, contents: dict[str, bytes], history: History, kept: Kept
) -> None:  # fmt: skip
    definition, results = sealed.predicate.build_definition, sealed.predicate.results
    table, windows = None, list[tuple[int, int]]()
    if sealed.predicate.kind == manifest.SWEPT:
        windows = space.traded(sweeps.plan_of(sealed))
        try:
            table = sweeps.read(sealed, contents)
        except ImportError as error:
            verdict.skip("the trials, and all that was chosen from them", f"{error}; hint: just setup lake")
            return
    config = _check_config(verdict, sealed, contents, table)
    verdict.compare(
        f"{manifest.NAME} config", sealed.files["config_snapshot.toml"], definition["externalParameters"]["config"]
    )
    equity = _series(contents, "equity.csv", _EQUITY)
    verdict.compare("equity.csv", results["equity_digest"], tables.series_digest("equity", equity), "values digest ")
    bars = _check_data(verdict, sealed, config, equity, kept, windows)
    market = _check_benchmark(verdict, sealed, config, contents, equity["timestamp"], bars, kept)
    closes = market.closes if bars is None else money.Closes(np.arange(len(bars)), bars.close)
    called = _called(config)
    _check_start(verdict, sealed, contents, history, called | other.within(sealed))
    data = _made(sealed) | _held_out(sealed) | {"bars": len(equity["timestamp"])}
    ruined = {manifest.RUINED: results.get(manifest.RUINED)}
    told = called | data | results["summary"] | ruined | sealed.predicate.doubts | _found(sealed.predicate)
    told |= other.within(sealed)
    if table is not None:
        told |= sweeps.check(verdict, sealed, contents, table, equity["equity"], kept.results)
        told |= _check_batch(verdict, history.end, table, told)
    _check_history(verdict, history.end, told)
    _check_nothing_more(verdict, history.end, told)
    _check_ruin(verdict, sealed.predicate, equity)
    name = next(name for name in TRADES if name in contents)
    try:
        trades = tables.read_trades(Path(name), contents[name])
    except ImportError as error:
        verdict.skip(f"{name} and stats.json", f"{error}; hint: just setup lake")
        return
    verdict.compare(name, results["trades_digest"], tables.trades_digest(trades), "values digest ")
    rate = _rate(verdict, contents["stats.json"], results, config, equity)
    figures = _figures(config, rate, equity, market.equity, trades)
    statistics.check(verdict, contents["stats.json"], results, figures, market.lacks)
    if table is not None and windows and any(table.settings):
        verdict.skip(f"{name} and equity bar by bar", "each window was traded by settings of its own")
        return
    money.check(verdict, name, config, equity, trades, closes, [end - 1 - windows[0][0] for _, end in windows])
    at_close = config.execution.at_close
    excursions.check(verdict, name, trades, equity["timestamp"], bars, closes, at_close=at_close)


def _check_batch(verdict: Verdict, entry: Entry | None, table: Trials, told: dict[str, Any]) -> dict[str, Any]:
    """Check what the line that seals a parent tells of its trials; return that, and None for what it may leave out."""
    if entry is None:
        return {}
    batches = entry.fields.get("trials_on")
    sweeps.check_batch(verdict, entry.where, table, batches, told, told["data"])
    return {"trials_on": batches} | {key: None for key in ("code", "params") if key not in entry.fields}


def _check_ruin(verdict: Verdict, predicate: manifest.Predicate, equity: dict[str, Any]) -> None:
    """Check that a run is ruined from the first close at or below zero on, and no other: since there is such a rule."""
    money, expected = equity["equity"], None
    if predicate.rules > 1 and money.min() <= 0:
        ruined = int(np.argmax(money <= 0))
        (expected,) = tables.iso(equity["timestamp"][ruined : ruined + 1])
        if not (money[ruined:] == money[ruined]).all():
            verdict.add("equity.csv", f"equity that stays as it is from {expected} on, the account's ruin", "other")
    verdict.compare(f"{manifest.NAME} {manifest.RUINED}", expected, predicate.results.get(manifest.RUINED))


def _series(contents: dict[str, bytes], name: str, columns: Sequence[str]) -> dict[str, Any]:
    return tables.read_series(Path(name), columns, contents[name])


def _check_config(
    verdict: Verdict, sealed: manifest.Manifest, contents: dict[str, bytes], table: Trials | None = None
) -> Config:  # fmt: skip
    """Hold the config as resolved against the file as given and its overrides, and the manifest against both.

    The config that is returned is that of the result: of a parent, whose files have the one that was asked for, with
    what its chosen trial had otherwise.
    """
    definition, file = sealed.predicate.build_definition, contents["config_snapshot.toml"]
    snapshot = msgspec.json.decode(contents["config_snapshot.json"])
    overrides = snapshot.pop("overrides")
    verdict.compare(f"{manifest.NAME} overrides", overrides, definition["externalParameters"]["overrides"])
    again, asked_for = _asked(file, overrides)
    best = None if table is None else table.best
    # the snapshot has the defaults too, and texts in the form that a parameter's type gives them
    params = {name: value for name, value in again["strategy"]["params"].items() if not isinstance(value, str)}
    again["strategy"]["params"] = snapshot["strategy"]["params"] | params
    same = definition["internalParameters"]["environment"]["peak_trade"] == peak_trade.__version__
    same &= sealed.format == manifest.LAST
    for section, values in again.items():
        for key, value in values.items():
            if (section, key) == ("data", "end"):  # bars that are held out begin there
                value = definition["internalParameters"].get("holdout", value)
            if not same and f"{section}.{key}" not in asked_for:
                continue  # a default of the version that ran, which a later one may have changed
            verdict.compare(f"config_snapshot.json {section}.{key}", value, snapshot[section].get(key))
    config = msgspec.convert(snapshot, Config)
    verdict.compare(f"{manifest.NAME} seed", config.run.seed, definition["internalParameters"]["seed"])
    if sealed.format > 1:
        told = definition["externalParameters"]
        verdict.compare(f"{manifest.NAME} name", snapshot["run"]["name"], told.get("name"))
        verdict.compare(f"{manifest.NAME} params", snapshot["strategy"]["params"], told.get("params"))
    return config if table is None or best is None else changed(config, table.overrides(best))


def _asked(file: bytes, overrides: dict[str, Any]) -> tuple[dict[str, Any], frozenset[str]]:
    """Return a config as plain values, and which of its keys somebody has set."""
    resolved, given = _parsed(file, msgspec.json.encode(overrides))
    return msgspec.json.decode(resolved), given


@lru_cache(maxsize=8)
def _parsed(file: bytes, overrides: bytes) -> tuple[bytes, frozenset[str]]:
    """Return the same as JSON, which nobody can change: a run asks for it twice, and many runs have one config."""
    changes = msgspec.json.decode(overrides)
    resolved = msgspec.json.encode(parse(file, changes), enc_hook=repr)
    return resolved, frozenset(settings.keys(file, changes))


def _check_failed(verdict: Verdict, sealed: manifest.Manifest, contents: dict[str, bytes], history: History) -> None:
    """Check that all places tell the same of a failed run's error."""
    if sealed.predicate.kind == manifest.SWEPT and history.end:  # no table tells how many trials it had
        tried = {key: history.end.fields.get(key) for key in ("trials", "trials_failed", "trials_on")}
        of_kind = {"kind": manifest.SWEPT} | tried
    else:
        of_kind = other.within(sealed)
    if history.end and history.end.event == "failed":  # of an abandoned run, error.json may be what it died of
        error = sealed.predicate.error or {}
        verdict.compare(ERROR, error, msgspec.json.decode(contents[ERROR]))
        config = _check_config(verdict, sealed, contents)
        _check_start(verdict, sealed, contents, history, _called(config) | other.within(sealed))
        told = _called(config) | _reached(sealed) | _held_out(sealed) | _found(sealed.predicate) | error | of_kind
        _check_history(verdict, history.end, told)
        _check_nothing_more(verdict, history.end, told)
    else:
        _check_nothing_more(verdict, history.end, of_kind)


def _held_out(sealed: manifest.Manifest) -> dict[str, Any]:
    """Return from when on the run's bars were held out, as the ledger says it; None where none were."""
    return {"holdout": sealed.predicate.build_definition["internalParameters"].get("holdout")}


def _reached(sealed: manifest.Manifest) -> dict[str, Any]:
    """Return what the ledger's line of a failed run tells of its bars: nothing where it failed before it had them."""
    parts = sealed.predicate.build_definition["resolvedDependencies"]
    bars = next((part for part in parts if part["name"] == "bars"), None)
    if bars is None:
        return {}
    beside = benchmarks.dependency(sealed)
    return {"data": bars["digest"]["sha256"], "benchmark": beside["digest"]["sha256"] if beside else None} | {
        key: bars["annotations"][key] for key in ("start", "end")
    }


def _called(config: Config) -> dict[str, Any]:
    """Return what the ledger calls a run by."""
    strategy = config.strategy.name or config.strategy.entrypoint
    return {"strategy": strategy, "symbol": config.data.symbol, "timeframe": config.data.timeframe}


def _made(sealed: manifest.Manifest) -> dict[str, Any]:
    """Return what the ledger's line that seals a run tells of bars, code and parameters."""
    definition = sealed.predicate.build_definition
    made = {part["name"]: part for part in definition["resolvedDependencies"]}
    data = {"data": made["bars"]["digest"]["sha256"]}
    if sealed.format == 1:
        return data
    chosen = sealed.predicate.results.get("chosen") if sealed.predicate.kind == manifest.SWEPT else None
    params = settings.short(chosen["params"] if chosen else definition["externalParameters"]["params"])
    bars = made["bars"]["annotations"]
    beside = benchmarks.dependency(sealed)
    return data | {
        "benchmark": beside["digest"]["sha256"] if beside else None,
        "code": made[code.FOLDER]["digest"]["sha256"],
        "start": bars["start"],
        "end": bars["end"],
        "params": params or None,
    }


def _check_start(
    verdict: Verdict, sealed: manifest.Manifest, contents: dict[str, bytes], history: History, called: dict[str, Any]
) -> None:
    """Check that the ledger's line that starts a run tells of its config what the config does."""
    _check_history(verdict, history.start, called)
    if sealed.format == 1 or history.start is None:
        return
    overrides = msgspec.json.decode(contents["config_snapshot.json"])["overrides"]
    file = contents["config_snapshot.toml"]
    told = settings.named(*_asked(file, overrides))
    for key in ("name", "params", "settings"):
        expected, found = told.get(key), history.start.fields.get(key)
        if isinstance(expected, dict) and isinstance(found, dict):  # what was found to be a secret later is masked
            found = {one: expected[one] if MASK in str(expected.get(one)) else value for one, value in found.items()}
        verdict.compare(f"{history.start.where} {key}", expected, found)


def _check_history(verdict: Verdict, entry: Entry | None, facts: dict[str, Any]) -> None:
    """Check that the ledger, from which runs are listed, tells of a run what its files do."""
    if entry is None:
        return
    for key, value in facts.items():
        verdict.compare(f"{entry.where} {key}", value, entry.fields.get(key))


def _check_nothing_more(verdict: Verdict, entry: Entry | None, facts: dict[str, Any]) -> None:
    """Check that the line that ends a run, which may have none after it, says nothing that its files don't."""
    if entry is None:
        return
    for key in sorted(entry.fields.keys() - facts.keys() - {"manifest", "unnamed"}):  # nothing else tells of these
        where = f"{entry.where} {key}"
        if key in FIELDS:
            verdict.compare(where, None, entry.fields[key])
        else:
            verdict.skip(where, "this version does not know that field")


def _found(predicate: manifest.Predicate) -> dict[str, Any]:
    """Return what the ledger says of the bars: how often what was found in them, None where there was nothing."""
    counts = {one["outcome"]: one["count"] for one in predicate.receipts if one["part"] == "data" and "count" in one}
    return {"findings": counts or None}


def _rate(
    verdict: Verdict, content: bytes, results: dict[str, Any], config: Config, equity: dict[str, Any]
) -> float | None:
    """Return how many bars a year annualise: worked out again, or as sealed where it is of another rule.

    What is annualised is held against it either way.
    """
    if config.stats.periods_per_year:
        return config.stats.periods_per_year
    written = msgspec.json.decode(content).get("periods_per_year")
    sealed = float(written) if isinstance(written, float | int) and written > 0 else None
    if not statistics.is_of_this_rule("periods_per_year", results):
        return sealed
    try:
        return rates.periods_per_year(equity["timestamp"], config.data.timeframe, config.data.calendar)
    except InputError as error:  # an exchange that only an extra knows
        verdict.skip("stats.json periods_per_year", f"{error.message}; {error.hint}")
        return sealed


def _figures(
    config: Config,
    rate: float | None,
    equity: dict[str, Any],
    market: Floats | None,
    trades: Trades,
) -> stats.Stats:
    """Work every statistic out again, as the run did."""
    return stats.compute(
        equity["timestamp"],
        equity["equity"],
        equity["position"],
        trades,
        risk_free_rate=config.stats.risk_free_rate,
        periods_per_year=rate,
        benchmark_equity=market,
    )


class _Market(NamedTuple):
    """What a run says of holding its bars: the closes that it has, and the equity at each bar where that can be known.

    `lacks` says why it can't.
    """

    closes: money.Closes | None = None
    equity: Floats | None = None
    lacks: str = ""


def _check_benchmark(
    verdict: Verdict,
    sealed: manifest.Manifest,
    config: Config,
    contents: dict[str, bytes],
    timestamp: Times,
    bars: Bars | None,
    kept: Kept,
) -> _Market:
    """Check that the benchmark is cash at the first close, then a constant number of units, sold at the last close.

    Of a file it follows that file's closes, without costs.
    """
    name = benchmark.NAME
    of_file = sealed.predicate.kind == manifest.RUN and benchmarks.dependency(sealed) is not None
    if of_file and not config.stats.benchmark_file:
        verdict.add(manifest.NAME, f"what the config says: {config.stats.benchmark}", "a benchmark that is a file")
    if (config.stats.benchmark != NO_BENCHMARK) != (name in contents):
        verdict.add(name, f"what the config says: {config.stats.benchmark}", "something else")
    if name not in contents:
        return _Market()
    rows = benchmark.rows(timestamp) if sealed.format > 1 else np.arange(len(timestamp))
    found = benchmark.read(contents[name])
    if (benchmark.BESIDE in found) != bool(config.stats.benchmark_file):
        verdict.add(name, f"what the config says: {config.stats.benchmark}", "something else")
        return _Market(lacks="it is of another benchmark")
    if not np.array_equal(found["timestamp"], timestamp[rows]):
        verdict.add(name, "the timestamps of equity.csv", "others")
        return _Market(lacks="its timestamps are others")
    close, marked = found["close"], found["equity"]
    if bars is not None:
        verdict.agree(name, "close", bars.close[rows], close, 0.0)
    if config.stats.benchmark_file:
        beside = benchmarks.check(verdict, sealed, config, found, timestamp, kept)
        lacks = "" if beside is not None else "its closes between those of benchmark.csv are in its file alone"
        return _Market(money.Closes(rows, close), beside, lacks)
    with np.errstate(all="ignore"):  # what is no number agrees with nothing
        units = marked[1] / close[1] if len(timestamp) > 2 else np.nan
        expected = _held(config, units, close)
        if len(timestamp) == 2:
            expected[1] = marked[1]  # bought and sold within one bar, whose open is not in the file
        verdict.agree(name, "equity", expected, marked, _CLOSE * float(np.abs(marked).max()))
        closes = money.Closes(rows, close)
        if closes.all:
            return _Market(closes, marked)
        if bars is None:
            return _Market(closes, None, "the closes between those of benchmark.csv are in the data alone")
        return _Market(closes, _held(config, units, bars.close))


def _held(config: Config, units: float, close: Floats) -> Floats:
    """Return the equity of holding a number of units from the second close on, and of selling them at the last."""
    execution = config.execution
    held = units * close
    held[0] = execution.initial_cash
    if len(close) > 1:
        held[-1] *= (1 - execution.slippage_bps * 1e-4) * (1 - execution.fee_bps * 1e-4)
    return held


def _check_data(
    verdict: Verdict,
    sealed: manifest.Manifest,
    config: Config,
    equity: dict[str, Any],
    kept: Kept,
    windows: Sequence[tuple[int, int]] = (),
    *,
    whole: bool = False,
) -> Bars | None:
    """Load the bars again, where they still are, compare the fingerprints, and return them if they agree.

    Of a run over `windows` of its bars those from the first to the last window are returned, but for `whole`.
    """
    bars = sealed.predicate.build_definition["resolvedDependencies"][0]
    folder = str(sealed.predicate.run_details.get("folder") or ".")
    rows = bars["annotations"]["rows"] if windows else len(equity["timestamp"])
    loaded = kept.along(verdict, bars["digest"]["sha256"], rows)
    if loaded is not None:
        return _with_times(verdict, loaded, equity, windows, whole=whole)
    root, results = kept.root, kept.results
    if root is None:
        return None
    data = config.data
    try:
        paths = promised.find(data.path, [root / folder, root], bars["annotations"]["files"], results)
    except promised.Grown as error:
        kept.differ(verdict, data.path, "the files that the run read", error.message)
        return None
    except InputError as error:
        verdict.skip("the data", error.message)
        return None
    stamps = tuple((path, info.st_mtime_ns, info.st_size) for path in paths for info in [os.stat(path)])
    try:
        found, loaded = _fingerprint(msgspec.json.encode(data), stamps)
    except InputError as error:
        expected = f"bars with the fingerprint {bars['digest']['sha256']}"
        kept.differ(verdict, data.path, expected, error.message.splitlines()[0])
        return None
    if found["digest"] != bars["digest"]["sha256"]:
        changed = fingerprint.compare(bars["annotations"], found)
        what = f", changed in {', '.join(changed[:6])}{' …' if len(changed) > 6 else ''}" if changed else ""
        kept.differ(
            verdict, data.path, f"fingerprint {bars['digest']['sha256']}", f"fingerprint {found['digest']}{what}"
        )
        return None
    return _with_times(verdict, loaded, equity, windows, whole=whole)


def bars_of(sealed: manifest.Manifest, run: Path, kept: Kept) -> list[Bars]:
    """Return the bars that a completed run, which is intact, ran on, and those of a benchmark that is a file.

    InputError where they are not what they were.
    """
    names = ("config_snapshot.toml", "config_snapshot.json", "equity.csv")
    contents = {name: door.read(run, name, sealed.predicate.promised) for name in names}
    verdict = Verdict(run.name)
    config = _check_config(verdict, sealed, contents)
    windows = space.traded(sweeps.plan_of(sealed)) if sealed.predicate.kind == manifest.SWEPT else []
    bars = _check_data(verdict, sealed, config, _series(contents, "equity.csv", _EQUITY), kept, windows, whole=True)
    if bars is None:
        why = [*map(str, verdict.findings), *verdict.unchecked, "nobody says where they are"]
        raise InputError(f"the bars of {run.name[:8]} are not here any more: {why[0]}", hint="leave --with-data out")
    if not config.stats.benchmark_file:
        return [bars]
    beside = benchmarks.find(verdict, sealed, config, kept)
    if beside is None:
        why = [*map(str, verdict.findings), *verdict.unchecked, "nobody says where it is"]
        raise InputError(
            f"the benchmark of {run.name[:8]} is not here any more: {why[0]}", hint="leave --with-data out"
        )
    return [bars, beside.bars]


def _with_times(
    verdict: Verdict, loaded: Bars, equity: dict[str, Any], windows: Sequence[tuple[int, int]], *, whole: bool
) -> Bars | None:  # fmt: skip
    """Return bars, if they have the times that a run's equity has."""
    of = loaded.freeze().between(windows[0][0], windows[-1][1]) if windows else loaded
    if not np.array_equal(of.timestamp, equity["timestamp"]):
        verdict.add("equity.csv", "the timestamps of the data", "others")
        return None
    return loaded if whole else of


@lru_cache(maxsize=8)
def _fingerprint(section: bytes, stamps: tuple[tuple[str, int, int], ...]) -> tuple[dict[str, Any], Bars]:
    """Return a data section's bars and their fingerprint; many runs share one.

    `section` is the data section as JSON; `stamps` tell when a file has changed. No calendar is asked for:
    it makes no difference to the bars, and the extra that knows it may be absent.
    """
    data = msgspec.json.decode(section, type=Data)
    loaded = ohlcv.load_bars(
        [path for path, *_ in stamps],
        symbol=data.symbol,
        timeframe=data.timeframe,
        on_violation=data.on_violation,
        reading=data,
    )
    return fingerprint.fingerprint(loaded.bars), loaded.bars
