"""Is a run still what was sealed? Reads only.

A finding says which file is wrong, what was expected and what was found. Digests come first; only files whose bytes
are right are then read and held against each other: statistics recomputed from equity and trades, trades against
equity, equity against prices, the bars' fingerprint against the data where that is still there.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import stat
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

import peak_trade
from peak_trade import stats
from peak_trade.config import Config, locate, parse
from peak_trade.errors import InputError, RunError
from peak_trade.evidence import manifest, tables
from peak_trade.evidence.ledger import ENDED, EVENTS, REMOVED, Entry, History, Reading
from peak_trade.evidence.results import WORKING, Results
from peak_trade.evidence.run_dir import ERROR
from peak_trade.market import calendar, fingerprint, ohlcv
from peak_trade.market.trades import EXIT_REASONS, Trades
from peak_trade.stats.values import need

__all__ = ["DERIVED", "Finding", "Verdict", "check_ledger", "verify", "verify_all"]

# beside the sealed files, and not sealed
DERIVED = frozenset({"run.log", "tracking.json", "telemetry", "plots", "debug", "report"})
_ALWAYS = ("config_snapshot.json", "config_snapshot.toml")
_SEALED = (*_ALWAYS, "stats.json", "equity.csv")
_TRADES = ("trades.csv", "trades.parquet")
_EQUITY = ("timestamp", "equity", "drawdown", "position")
_BENCHMARK = ("timestamp", "close", "equity")
_SMALL = 1e-3  # below this, what is left of a sum that cancels out is rounding
_NANOSECONDS_PER_YEAR = 365 * 86_400 * 10**9  # as the engine charges borrowed units
_CLOSE = 1e-9  # relative: what another processor's summation may change; any edit of a file is seen by its digest
_LONGEST = 300  # characters of a value that a finding shows


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was sealed."""

    file: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.file}: expected {self.expected}, found {self.found}"


@dataclass(slots=True)
class Verdict:
    """What was found about one run (or the ledger); `unchecked` says what could not be checked, and why."""

    name: str
    findings: list[Finding] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    unreadable: bool = False

    @property
    def state(self) -> str:
        """`intact`, `broken` or `unreadable`."""
        return "unreadable" if self.unreadable else "broken" if self.findings else "intact"

    def add(self, file: str, expected: object, found: object) -> None:
        """Note a finding."""
        self.findings.append(Finding(_line(file), _line(expected), _line(found)))

    def skip(self, what: str, reason: object) -> None:
        """Note what could not be checked, and why."""
        self.unchecked.append(f"{what}: {_line(reason)}")

    def as_text(self) -> str:
        """Return one line for the run, and one for each finding and each thing left unchecked."""
        findings = [f"  {finding}" for finding in self.findings]
        return "\n".join(
            [f"{self.state:10}  {self.name}", *findings, *(f"  not checked: {what}" for what in self.unchecked)]
        )

    def to_json_object(self) -> dict[str, Any]:
        """Return the verdict as `--json` prints it."""
        return {
            "name": self.name,
            "state": self.state,
            "findings": [asdict(f) for f in self.findings],
            "unchecked": self.unchecked,
        }


def _line(value: object) -> str:
    """Return a text as part of one line: what a corrupt file holds may be anything, of any length."""
    text = str(value)
    plain = "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in text[:_LONGEST])
    return plain + "…" if len(text) > _LONGEST else plain


def check_ledger(results: Results, reading: Reading, *, every: bool) -> Verdict:
    """Check the chain, that each line is in its place, and, for `every` run it tells of, that it is where it says."""
    verdict = Verdict("ledger.jsonl")
    for line, expected, found in reading.broken:
        verdict.add(f"ledger.jsonl line {line}", expected, found)
    if reading.torn:
        verdict.skip("the last line is torn", "a writer was killed, the next run repairs it")
    for entry in reading.unknown:
        verdict.skip(f"line {entry.line}: {entry.event} of {entry.run_id}", "this version does not know that event")
    misplaced = [stray for history in reading.histories.values() for stray in history.misplaced]
    for entry, state in sorted(misplaced, key=lambda stray: stray[0].line):
        if state:
            allowed = ", ".join(event for event, meaning in EVENTS.items() if state in meaning.after) or "nothing"
            verdict.add(f"ledger.jsonl line {entry.line}", f"{allowed} after {state} of {entry.run_id}", entry.event)
        else:
            verdict.add(f"ledger.jsonl line {entry.line}", f"a start of {entry.run_id} before it", "none")
    missing = {
        run_id: history.since
        for run_id, history in reading.runs.items()
        if every and history.state in ENDED and not any((at / run_id).is_dir() for at in _places(results))
    }
    since = results.removed(missing)
    for run_id, end in missing.items():
        if end and run_id not in since:
            verdict.add(run_id, f"a directory, as the ledger's line {end.line} says `{end.event}`", "none")
    return verdict


def _places(results: Results) -> tuple[Path, Path]:
    return results.path, results.path / WORKING


def verify(run_dir: Path, reading: Reading | None = None, *, root: Path | None = None) -> Verdict:
    """Check one run directory against its manifest, the ledger, itself and, below `root`, its data.

    Never raises: what a corrupt run makes go wrong is a finding too.
    """
    verdict = Verdict(run_dir.name)
    try:
        _check_run(verdict, run_dir, Results(run_dir.parent).reading() if reading is None else reading, root)
    except OSError as error:
        verdict.unreadable = True
        verdict.add(run_dir.name, "a readable run", error.strerror or error)
    except (RunError, InputError) as error:
        verdict.add(run_dir.name, "readable contents", error.message)
    except Exception as error:  # noqa: BLE001 - one corrupt run, whatever it holds, must not stop the check of the others
        verdict.add(run_dir.name, "contents of this format", f"{type(error).__name__}: {error}")
    if verdict.findings and not run_dir.is_dir():  # it gets another name before anything in it is deleted
        with suppress(OSError):
            if Results(run_dir.parent).removed([run_dir.name]):
                verdict = Verdict(run_dir.name)
                verdict.skip("the run", "it was removed while it was looked at")
    return verdict


def _check_run(verdict: Verdict, run_dir: Path, reading: Reading, root: Path | None) -> None:
    if run_dir.is_symlink():
        verdict.add(run_dir.name, "a directory", f"a symbolic link to {os.readlink(run_dir)}")
        return
    content = _read(verdict, run_dir, manifest.NAME, "the run's manifest")
    if content is None:
        return
    _check_seal(verdict, run_dir.name, hashlib.sha256(content).hexdigest(), reading)
    try:
        sealed = manifest.decode(content)
    except manifest.UnknownVersion as error:
        verdict.unreadable = True
        verdict.add(manifest.NAME, "a known format", error.message)
        return
    except RunError as error:
        verdict.add(manifest.NAME, "an in-toto Statement of a run", error.message)
        return
    _check_place(verdict, run_dir, sealed, reading)
    contents = _check_files(verdict, run_dir, sealed)
    if contents is not None and sealed.predicate.status == "sealed":
        _check_content(verdict, sealed, contents, reading.of(run_dir.name), root)
    elif contents is not None:
        _check_failure(verdict, sealed, contents, reading.of(run_dir.name))


def _read(verdict: Verdict, run_dir: Path, name: str, expected: str) -> bytes | None:
    """Return the bytes of a regular file, else note what there is in its place and return None."""
    try:
        # a link is not followed, and a named pipe does not keep us waiting for a writer
        handle = os.open(run_dir / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            verdict.add(name, expected, "no such file" if error.errno == errno.ENOENT else "a symbolic link")
        else:
            verdict.unreadable = True
            verdict.add(name, "a readable file", error.strerror)
        return None
    try:
        if stat.S_ISREG(os.fstat(handle).st_mode):
            with open(handle, "rb", closefd=False) as stream:
                return stream.read()
        verdict.add(name, expected, "no regular file")
        return None
    finally:
        os.close(handle)


def _check_seal(verdict: Verdict, run_id: str, sha256: str, reading: Reading) -> None:
    """Hold the manifest's own digest against the ledger, which is where an edited manifest shows."""
    end = reading.of(run_id).end
    if end is None:
        verdict.add("ledger.jsonl", f"an entry that seals {run_id}", "none")
    elif end.fields.get("manifest") != sha256:
        verdict.add(manifest.NAME, f"sha256 {end.fields.get('manifest')}", f"sha256 {sha256}")


def _keys(given: bytes) -> set[str]:
    """Return the keys of a config's sections, such as `data.path`."""
    tree = tomllib.loads(given.decode("utf-8").removeprefix("\ufeff"))
    return {f"{section}.{key}" for section, values in tree.items() if isinstance(values, dict) for key in values}


def _check_place(verdict: Verdict, run_dir: Path, sealed: manifest.Manifest, reading: Reading) -> None:
    """Check that the manifest speaks of this run, and that the ledger tells the same of it."""
    if sealed.run_id != run_dir.name:
        verdict.add(manifest.NAME, f"run_id {run_dir.name}", f"run_id {sealed.run_id}")
    history = reading.of(run_dir.name)
    start, end = history.start, history.end
    follows = sealed.predicate.ledger.get("follows")
    if start is None:
        verdict.add("ledger.jsonl", f"a start of {run_dir.name}", "none")
    elif start.sha256 != follows:
        verdict.add("ledger.jsonl", f"sha256 {follows} of the line that starts the run", f"sha256 {start.sha256}")
    if end and EVENTS[end.event].state != sealed.predicate.status:
        verdict.add(manifest.NAME, f"status {EVENTS[end.event].state}", f"status {sealed.predicate.status}")
    finished = sealed.predicate.run_details.get("metadata", {}).get("finishedOn")
    if end and end.time != finished:
        verdict.add("ledger.jsonl", f"the run's end at {finished}", f"at {end.time}")
    if history.state == REMOVED:
        verdict.add("ledger.jsonl", f"nothing after the removal of {run_dir.name}", "its directory is there")


def _check_files(verdict: Verdict, run_dir: Path, sealed: manifest.Manifest) -> dict[str, bytes] | None:
    """Check that the sealed files are all there, nothing else is, and each has its digest; return their bytes if so."""
    before = len(verdict.findings)
    status, expected = sealed.predicate.status, sealed.files
    for name in _SEALED if status == "sealed" else (ERROR,):
        if name not in expected:
            verdict.add(manifest.NAME, f"{name} among the sealed files", "it is not listed")
    if status == "sealed" and len(set(_TRADES) & expected.keys()) != 1:
        verdict.add(manifest.NAME, "one of trades.csv and trades.parquet", "none or both")
    there = set(os.listdir(run_dir))
    for name in sorted(there - expected.keys() - DERIVED - {manifest.NAME}):
        verdict.add(name, "nothing of that name", "a file that the seal does not cover")
    contents: dict[str, bytes] = {}
    for name, sha256 in expected.items():
        if name not in there:  # nor can a name lead out of the directory
            verdict.add(name, f"sha256 {sha256}", "no such file")
        elif (content := _read(verdict, run_dir, name, f"sha256 {sha256}")) is not None:
            contents[name] = content
            if (found := hashlib.sha256(content).hexdigest()) != sha256:
                verdict.add(name, f"sha256 {sha256}", f"sha256 {found}")
    return contents if len(verdict.findings) == before else None


def _check_content(
    verdict: Verdict, sealed: manifest.Manifest, contents: dict[str, bytes], history: History, root: Path | None
) -> None:
    """Hold the files against each other."""
    definition, results = sealed.predicate.build_definition, sealed.predicate.results
    config = _check_config(verdict, sealed, contents)
    asked = definition["externalParameters"]["config"]
    _compare(verdict, f"{manifest.NAME} config", sealed.files["config_snapshot.toml"], asked)
    equity = _series(contents, "equity.csv", _EQUITY)
    _compare(verdict, "equity.csv", results["equity_digest"], tables.series_digest("equity", equity), "values digest ")
    benchmark = None
    if (config.stats.benchmark != "none") != ("benchmark.csv" in contents):
        verdict.add("benchmark.csv", f"what the config says: {config.stats.benchmark}", "something else")
    elif "benchmark.csv" in contents:
        benchmark = _series(contents, "benchmark.csv", _BENCHMARK)
        _check_benchmark(verdict, config, equity, benchmark)
    close = _check_data(verdict, sealed, config, equity, root)
    if benchmark:
        if close is not None:
            _agree(verdict, "benchmark.csv", "close", close, benchmark["close"], 0.0)
        close = benchmark["close"]
    told = _asked(config)
    _check_told(verdict, history.start, told)
    told |= {"data": definition["resolvedDependencies"][0]["digest"]["sha256"], "bars": len(equity["timestamp"])}
    _check_told(verdict, history.end, told | results["summary"])
    name = next(name for name in _TRADES if name in contents)
    try:
        trades = tables.read_trades(Path(name), contents[name])
    except ImportError as error:
        verdict.skip(f"{name} and stats.json", f"{error}; hint: just setup lake")
        return
    _compare(verdict, name, results["trades_digest"], tables.trades_digest(trades), "values digest ")
    _check_stats(verdict, contents["stats.json"], config, equity, benchmark, trades, results["summary"])
    with np.errstate(all="ignore"):
        _check_money(verdict, name, config, equity, trades, close)


def _series(contents: dict[str, bytes], name: str, columns: Sequence[str]) -> dict[str, Any]:
    return tables.read_series(Path(name), columns, contents[name])


def _compare(verdict: Verdict, file: str, expected: object, found: object, what: str = "") -> None:
    if expected != found:
        verdict.add(file, f"{what}{expected}", f"{what}{found}")


def _agree(verdict: Verdict, file: str, what: str, expected: Any, found: Any, tolerance: float) -> None:
    """Note the first row in which two columns differ by more than `tolerance`; rows are numbered as in the file."""
    wrong = np.flatnonzero(~(np.abs(expected - found) <= tolerance))  # a NaN is near nothing
    if len(wrong):
        row, more = int(wrong[0]), f" (and {len(wrong) - 1} rows more)" if len(wrong) > 1 else ""
        line = row + (2 if file.endswith(".csv") else 1)
        verdict.add(f"{file} row {line} {what}", repr(float(expected[row])), repr(float(found[row])) + more)


def _check_config(verdict: Verdict, sealed: manifest.Manifest, contents: dict[str, bytes]) -> Config:
    """Hold the config as resolved against the file as given and its overrides, and the manifest against both."""
    definition, given = sealed.predicate.build_definition, contents["config_snapshot.toml"]
    snapshot = msgspec.json.decode(contents["config_snapshot.json"])
    overrides, asked = snapshot.pop("overrides"), definition["externalParameters"]
    _compare(verdict, f"{manifest.NAME} overrides", overrides, asked["overrides"])
    again = msgspec.json.decode(msgspec.json.encode(parse(given, overrides), enc_hook=repr))
    # the snapshot has the defaults too, and texts in the form that a parameter's type gives them
    params = {name: value for name, value in again["strategy"]["params"].items() if not isinstance(value, str)}
    again["strategy"]["params"] = snapshot["strategy"]["params"] | params
    asked_for = {".".join(key.split(".")[:2]) for key in overrides} | _keys(given)
    same = definition["internalParameters"]["environment"]["peak_trade"] == peak_trade.__version__
    for section, values in again.items():
        for key, value in values.items():
            if not same and f"{section}.{key}" not in asked_for:
                continue  # a default of the version that ran, which a later one may have changed
            _compare(verdict, f"config_snapshot.json {section}.{key}", value, snapshot[section].get(key))
    config = msgspec.convert(snapshot, Config)
    _compare(verdict, f"{manifest.NAME} seed", config.run.seed, definition["internalParameters"]["seed"])
    return config


def _check_failure(verdict: Verdict, sealed: manifest.Manifest, contents: dict[str, bytes], history: History) -> None:
    """Check that all places tell the same of a failed run's error."""
    if history.end and history.end.event == "failed":  # of an abandoned run, error.json may be what it died of
        error = sealed.predicate.error or {}
        _compare(verdict, ERROR, error, msgspec.json.decode(contents[ERROR]))
        config = _check_config(verdict, sealed, contents)
        _check_told(verdict, history.start, _asked(config))
        _check_told(verdict, history.end, _asked(config) | error)


def _asked(config: Config) -> dict[str, Any]:
    strategy = config.strategy.name or config.strategy.entrypoint
    return {"strategy": strategy, "symbol": config.data.symbol, "timeframe": config.data.timeframe}


def _check_told(verdict: Verdict, entry: Entry | None, told: dict[str, Any]) -> None:
    """Check that the ledger, from which runs are listed, tells of a run what its files do."""
    if entry is None:
        return
    for key, value in told.items():
        _compare(verdict, f"ledger.jsonl line {entry.line} {key}", value, entry.fields.get(key))


def _check_stats(
    verdict: Verdict,
    content: bytes,
    config: Config,
    equity: dict[str, Any],
    benchmark: dict[str, Any] | None,
    trades: Trades,
    summary: dict[str, Any],
) -> None:
    """Recompute every statistic from equity, trades and benchmark."""
    per_year = config.stats.periods_per_year or calendar.periods_per_year(
        equity["timestamp"], config.data.timeframe, config.data.calendar
    )
    figures = stats.compute(
        equity["timestamp"],
        equity["equity"],
        equity["position"],
        trades,
        risk_free_rate=config.stats.risk_free_rate,
        periods_per_year=per_year,
        benchmark_equity=benchmark["equity"] if benchmark else None,
    )
    again, written = figures.to_json_object(), msgspec.json.decode(content)
    for key in sorted(again.keys() | written.keys()):
        if not _same(again.get(key), written.get(key)):
            verdict.add(f"stats.json {key}", again.get(key), written.get(key))
    for key, value in summary.items():
        _compare(verdict, f"{manifest.NAME} summary {key}", written.get(key), value)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float | int) and isinstance(other, float | int):
        return abs(one - other) <= _CLOSE * max(abs(one), abs(other), _SMALL)
    return bool(one == other)


def _check_money(
    verdict: Verdict, name: str, config: Config, equity: dict[str, Any], trades: Trades, close: Any
) -> None:
    """Rebuild drawdown, position and, bar by bar, the money from the trades, and hold equity.csv against them."""
    execution = config.execution
    stamps, marked, position = equity["timestamp"], equity["equity"], equity["position"]
    cent = _CLOSE * max(float(np.abs(marked).max()), execution.initial_cash)
    _agree(verdict, "equity.csv", "drawdown", need(stats.drawdown(marked)), equity["drawdown"], _CLOSE)
    if not abs(marked[0] - execution.initial_cash) <= cent:
        verdict.add("equity.csv row 2 equity", f"the initial cash, {execution.initial_cash}", marked[0])
    if len(trades):
        _compare(verdict, f"{name} symbol", config.data.symbol, trades.symbol)
    gained, change = float(trades.pnl.sum()), float(marked[-1] - marked[0])
    if not abs(gained - change) <= cent:
        verdict.add(name, f"pnl that sums to the change of equity, {change!r}", repr(gained))
    entry, exit_ = np.searchsorted(stamps, trades.entry_time), np.searchsorted(stamps, trades.exit_time)
    last = len(stamps) - 1
    known = (stamps[np.minimum(entry, last)] == trades.entry_time) & (
        stamps[np.minimum(exit_, last)] == trades.exit_time
    )
    if not (known & (entry <= exit_)).all():
        verdict.add(name, "entry and exit times that are bars, in order", "others")
        return
    _agree(verdict, name, "bars_held", exit_ - entry, trades.bars_held, 0.0)
    possible = ["signal", *(field for field in config.stops.__struct_fields__ if getattr(config.stops, field))]
    reason = np.array(EXIT_REASONS)[trades.exit_reason]
    if not (np.isin(reason, possible) | (reason == "end_of_data") & (exit_ == last)).all():
        verdict.add(f"{name} exit_reason", f"{', '.join(possible)}, or end_of_data at the last bar", "others")
    signed = trades.side * trades.quantity
    held = np.zeros(len(stamps))
    np.add.at(held, entry, signed)
    np.add.at(held, exit_, -signed)
    held = np.cumsum(held)
    _agree(verdict, "equity.csv", "position", held, position, _CLOSE * float(np.abs(held).max()))
    fee = execution.fee_bps * 1e-4
    for side in ("entry", "exit"):
        paid = trades.quantity * getattr(trades, f"{side}_price") * fee
        _agree(verdict, name, f"{side}_fee", paid, getattr(trades, f"{side}_fee"), cent)
    slipped = execution.slippage_bps * 1e-4 * trades.side
    reference = trades.entry_price / (1 + slipped) + trades.exit_price / (1 - slipped)
    _agree(verdict, name, "slippage", trades.quantity * np.abs(slipped) * reference, trades.slippage, cent)
    _agree(verdict, name, "return", trades.pnl / (trades.quantity * trades.entry_price), trades.return_, _CLOSE)
    if close is None and execution.borrow_rate:
        verdict.skip("pnl and equity bar by bar", "the closes are neither in a benchmark nor in the data")
        return
    pnl = signed * (trades.exit_price - trades.entry_price) - trades.entry_fee - trades.exit_fee
    borrow = np.zeros(len(stamps))
    if execution.borrow_rate:  # what one borrowed unit has cost to each bar's open, at the close before it
        years = np.diff(stamps).astype(np.int64) / _NANOSECONDS_PER_YEAR
        borrow[1:] = np.cumsum(close[:-1] * years * execution.borrow_rate)
        pnl += np.minimum(signed, 0) * (borrow[exit_] - borrow[entry])
    _agree(verdict, name, "pnl", pnl, trades.pnl, cent)
    if close is None:
        verdict.skip("equity bar by bar", "the closes are neither in a benchmark nor in the data")
        return
    cash = np.zeros(len(stamps))
    np.add.at(cash, entry, -signed * trades.entry_price - trades.entry_fee)
    np.add.at(cash, exit_, signed * trades.exit_price - trades.exit_fee)
    cash[1:] += np.minimum(position[:-1], 0) * np.diff(borrow)
    _agree(verdict, "equity.csv", "equity", execution.initial_cash + np.cumsum(cash) + position * close, marked, cent)


def _check_benchmark(verdict: Verdict, config: Config, equity: dict[str, Any], benchmark: dict[str, Any]) -> None:
    """Check that the benchmark is cash at the first close, then a constant number of units, sold at the last close."""
    if not np.array_equal(benchmark["timestamp"], equity["timestamp"]):
        verdict.add("benchmark.csv", "the timestamps of equity.csv", "others")
        return
    close, marked, execution = benchmark["close"], benchmark["equity"], config.execution
    expected = np.full(len(close), execution.initial_cash)
    if len(close) > 2:
        expected[1:] = marked[1] / close[1] * close[1:]
        expected[-1] *= (1 - execution.slippage_bps * 1e-4) * (1 - execution.fee_bps * 1e-4)
    elif len(close) == 2:
        expected[1] = marked[1]  # bought and sold within one bar, whose open is not in the file
    _agree(verdict, "benchmark.csv", "equity", expected, marked, _CLOSE * float(np.abs(marked).max()))


def _check_data(
    verdict: Verdict, sealed: manifest.Manifest, config: Config, equity: dict[str, Any], root: Path | None
) -> Any:
    """Load the bars again, where their file still is, compare the fingerprints, and return the closes if they agree."""
    bars = sealed.predicate.build_definition["resolvedDependencies"][0]
    folder = str(sealed.predicate.run_details.get("folder") or ".")
    if root is None:
        return None
    data = config.data
    try:
        where = locate(data.path, [root / folder, root])
    except InputError as error:
        verdict.skip("the data", error.message)
        return None
    columns = tuple(sorted(data.columns.items()))
    try:
        found, stamps, close = _fingerprint(
            where, data.symbol, data.timeframe, columns, data.calendar, data.on_violation, _stamps(where)
        )
    except InputError as error:
        verdict.add(data.path, f"bars with the fingerprint {bars['digest']['sha256']}", error.message.splitlines()[0])
        return None
    if found["digest"] != bars["digest"]["sha256"]:
        changed = fingerprint.compare(bars["annotations"], found)
        what = f", changed in {', '.join(changed[:6])}{' …' if len(changed) > 6 else ''}" if changed else ""
        verdict.add(data.path, f"fingerprint {bars['digest']['sha256']}", f"fingerprint {found['digest']}{what}")
        return None
    if not np.array_equal(stamps, equity["timestamp"]):
        verdict.add("equity.csv", "the timestamps of the data", "others")
        return None
    return close


def _stamps(where: str) -> tuple[tuple[str, int, int], ...]:
    paths = [where] if os.path.exists(where) else sorted(glob.glob(where, recursive=True))
    return tuple((path, info.st_mtime_ns, info.st_size) for path in paths for info in [os.stat(path)])


@lru_cache(maxsize=8)
def _fingerprint(
    where: str,
    symbol: str,
    timeframe: str,
    columns: tuple[tuple[str, str], ...],
    calendar_name: str,
    on_violation: Any,
    stamps: tuple[tuple[str, int, int], ...],
) -> tuple[dict[str, Any], Any, Any]:
    """Return fingerprint, timestamps and closes of a data section's bars; many runs share one.

    `stamps` tell when a file has changed.
    """
    loaded = ohlcv.load_bars(
        where,
        symbol=symbol,
        timeframe=timeframe,
        columns=dict(columns) or None,
        calendar=calendar_name,
        on_violation=on_violation,
    )
    return fingerprint.fingerprint(loaded.bars), loaded.bars.timestamp, loaded.bars.close


def verify_all(results: Results, which: Sequence[Path] | None, *, root: Path | None) -> Iterator[Verdict]:
    """Check the ledger, then each of `which` (None: every run there is)."""
    reading, paths = Reading(), which or ()
    try:
        paths = results.runs() if which is None else which
        reading = results.reading()
        yield check_ledger(results, reading, every=which is None)
    except (OSError, RecursionError) as error:
        verdict = Verdict("ledger.jsonl", unreadable=True)
        verdict.add("ledger.jsonl", "a readable ledger", getattr(error, "strerror", None) or error)
        yield verdict
    if len(paths) < _MANY:
        yield from (verify(path, reading, root=root) for path in paths)
    else:
        yield from _side_by_side(paths, reading, root)


def _side_by_side(paths: Sequence[Path], reading: Reading, root: Path | None) -> Iterator[Verdict]:
    """Check on all processors, and yield in order; each process has the ledger and its own copy of the data's marks."""
    import multiprocessing  # takes as long to import as some runs take to check

    with multiprocessing.get_context("spawn").Pool(initializer=_share, initargs=(reading, root)) as pool:
        yield from pool.imap(_verify_shared, paths, chunksize=16)


def _share(reading: Reading, root: Path | None) -> None:
    global _SHARED
    _SHARED = (reading, root)


def _verify_shared(path: Path) -> Verdict:
    reading, root = _SHARED
    return verify(path, reading, root=root)


_SHARED: tuple[Reading, Path | None] = (Reading(), None)
_MANY = 200  # from here on, more processes are worth their start
