"""One run directory, read for the report: each file when it is first asked for, and what can't be read said."""

from __future__ import annotations

import os
import shlex
import tomllib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from msgspec import Struct

from peak_trade.errors import RunError
from peak_trade.evidence import benchmark, documents, door, manifest, run_dir, symbols, tables
from peak_trade.evidence.ledger import is_run_id
from peak_trade.evidence.results import Results
from peak_trade.market.trades import Trades
from peak_trade.shown import listing, telemetry
from peak_trade.stats import reconcile
from peak_trade.stats.values import Floats
from peak_trade.text import cut, escaped
from peak_trade.trust import verify
from peak_trade.trust.proofs import told

__all__ = ["BarsPart", "RunFiles", "find"]

_T = TypeVar("_T")

_HELD = "Buy and hold"
_EQUITY = ("timestamp", "equity", "drawdown", "position")
_LOG_TAIL, _LOG_BYTES = 40, 1 << 20  # lines, and bytes in which they are looked for
_SYMBOL = 60  # characters of a title: of many symbols, the first
_DIGITS = 10  # of a trial's number
_CONFIG = 1 << 20  # characters of a config file that is read: parsing one takes longer than its length tells


def find(which: str, results: Results) -> Path:
    """Return the directory of a run: by its path, or as `Results.find` does."""
    path = Path(which)
    if len(path.parts) > 1 and path.is_dir():
        return path.absolute()
    return results.find(which)


class _Part(Struct):
    """What a run was made from: bars, strategy, git, pins."""

    name: str
    digest: dict[str, str | None] = {}
    annotations: dict[str, Any] = {}


class _File(Struct):
    name: str
    bytes: int


class BarsPart(Struct):
    """What the manifest tells of the bars."""

    rows: int
    start: str
    end: str
    files: list[_File] = []
    source: str | None = None
    gaps: int | None = None
    dropped: int | None = None
    violations: list[Any] | dict[str, Any] | int | None = None
    assumptions: list[str] = []


class RunFiles:
    """A run's files, typed. A property raises RunError where its file is missing or is not what it should be."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.run_id = self.path.name

    @cached_property
    def results(self) -> Results:
        """The folder that the run lies in, with its ledger."""
        return Results(self.path.parent)

    @cached_property
    def seal(self) -> verify.Verdict:
        """Whether the directory still is what was sealed, checked now: against the manifest, the ledger and itself."""
        return verify.verify(self.path)

    @cached_property
    def manifest(self) -> manifest.Manifest | None:
        """The manifest; None where it can't be read, which the seal then says."""
        try:
            return run_dir.read_manifest(self.path)
        except RunError:
            return None

    @property
    def status(self) -> str:
        """`sealed`, `ruined`, `failed`, or `unreadable`."""
        return self.manifest.predicate.status if self.manifest else "unreadable"

    @property
    def kind(self) -> str:
        """`run`, `swept`, `recorded` or `imported`; `run` where the manifest can't be read."""
        return self.manifest.predicate.kind if self.manifest else manifest.RUN

    @property
    def ours(self) -> bool:
        """Whether the run, or all runs of the sweep, were made here; also where the manifest can't be read."""
        return self.manifest is None or not self.manifest.predicate.gaps

    @property
    def searched(self) -> dict[str, Any]:
        """What a sweep was asked to search, by its manifest; empty of any other run."""
        asked = self.manifest.predicate.build_definition.get("externalParameters") if self.manifest else None
        found = asked.get("sweep") if isinstance(asked, dict) else None
        return found if isinstance(found, dict) else {}

    @property
    def chosen(self) -> dict[str, Any]:
        """The parameters, and the other settings that were varied, of the trial whose result a sweep has."""
        told = self._results.get("chosen")
        found: dict[str, Any] = {}
        for name in ("params", "overrides"):
            part = told.get(name) if isinstance(told, dict) else None
            found |= part if isinstance(part, dict) else {}
        return {key: one for key, one in found.items() if not key.startswith("strategy.params.")}

    @property
    def kept(self) -> dict[int, str]:
        """The run_ids of those trials of a sweep that were kept as runs of their own, by their numbers."""
        told = self._metadata.get("kept")
        pairs = told.items() if isinstance(told, dict) else ()
        return {
            int(at): one
            for at, one in pairs
            if at.isdecimal() and len(at) < _DIGITS and isinstance(one, str) and is_run_id(one)
        }

    @property
    def parent(self) -> tuple[str, int] | None:
        """The sweep that a run was kept of, and the number of its trial; None of a run that was made alone."""
        run_id, trial = self._metadata.get("parent"), self._metadata.get("trial")
        return (run_id, trial) if isinstance(run_id, str) and is_run_id(run_id) and type(trial) is int else None

    @property
    def _metadata(self) -> dict[str, Any]:
        told = self.manifest.predicate.run_details.get("metadata") if self.manifest else None
        return told if isinstance(told, dict) else {}

    def has(self, *names: str) -> bool:
        """Whether a file of one of these names is sealed."""
        return self.manifest is not None and any(name in self.manifest.files for name in names)

    @property
    def ruined(self) -> str:
        """The time of the bar at which the account was closed in ruin; empty where it was not."""
        return str(self.manifest.predicate.results.get("ruined") or "") if self.manifest else ""

    @property
    def probe(self) -> dict[str, Any]:
        """What came of asking the strategy again without its last bars; empty where that was not done."""
        return self.manifest.predicate.probe or {} if self.manifest else {}

    @property
    def signed(self) -> list[str]:
        """Whose signatures of the manifest were found right, by name or key."""
        return [proof.by for proof in self.seal.proofs if proof.what == "signed by"]

    @cached_property
    def anchored(self) -> str:
        """By what the ledger was anchored first after the run had ended, as it says; empty where it was not."""
        return told.anchored(self.results, self.run_id)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved config, with the overrides under `overrides`."""
        loaded = documents.read(self.path, "config_snapshot.json")
        return {key: value if isinstance(value, dict) else {} for key, value in loaded.items()}

    @cached_property
    def config_text(self) -> str:
        """The config file as given, secrets masked."""
        return self._read("config_snapshot.toml").decode("utf-8-sig", "replace")

    @cached_property
    def given(self) -> dict[str, Any]:
        """The keys that the config file itself set, by their dotted names."""
        try:
            return flat(tomllib.loads(self.config_text)) if len(self.config_text) < _CONFIG else {}
        except (ValueError, RecursionError):  # masking a secret can leave text that is no TOML
            return {}

    @cached_property
    def stats(self) -> dict[str, Any]:
        """The statistics, by key."""
        return documents.decode(self._read("stats.json"), "stats.json")

    @cached_property
    def reasons(self) -> dict[str, str]:
        """Why a statistic is null, by key."""
        found = self.stats.get("reasons")
        return found if isinstance(found, dict) else {}

    @cached_property
    def equity(self) -> dict[str, Any]:
        """Columns of equity.csv."""
        return tables.read_series(self.path / "equity.csv", _EQUITY, self._read("equity.csv"), gaps=self._gaps)

    @cached_property
    def benchmark(self) -> dict[str, Any] | None:
        """Columns of benchmark.csv, which may have fewer rows than equity.csv; None where the run has none."""
        if self._lacks(benchmark.NAME):
            return None
        return benchmark.read(self._read(benchmark.NAME))

    @property
    def benchmark_name(self) -> str:
        """What the benchmark is called on the page, where it is a file as that file; plain text, not HTML."""
        return escaped(str(self.annotations(manifest.BENCHMARK).get("symbol") or _HELD), _SYMBOL)

    @property
    def benchmark_inside(self) -> str:
        """The same inside a sentence."""
        return self.benchmark_name.lower() if self.benchmark_name == _HELD else self.benchmark_name

    @cached_property
    def trades(self) -> Trades:
        """The closed trades, from whichever file the run has."""
        name = "trades.csv" if self._lacks("trades.parquet") else "trades.parquet"
        try:
            return tables.read_trades(self.path / name, self._read(name), gaps=self._gaps)
        except ImportError as error:
            raise RunError(f"{name} can't be read: {error}", hint="just setup lake") from None

    @cached_property
    def open_trades(self) -> Trades | None:
        """The positions that were open at the end of a run that another engine made; None where it says of none."""
        name = "open_trades.csv"
        return tables.read_trades(self.path / name, self._read(name), gaps=True) if self.has(name) else None

    @cached_property
    def symbols(self) -> list[dict[str, Any]]:
        """The rows of symbols.csv: what each symbol earned of the account's change, the rest, the account."""
        return symbols.read(self._read(symbols.NAME))

    @property
    def reconciliation(self) -> bytes:
        """What reconciliation.json holds: the engine's own figures beside ours."""
        return self._read(reconcile.NAME)

    @property
    def _gaps(self) -> bool:
        return not self.ours

    @cached_property
    def error(self) -> dict[str, Any]:
        """What a failed run told of its end: stage, type, message; the manifest has it, as the seal covers it."""
        return dict(self.manifest.predicate.error or {}) if self.manifest else {}

    @cached_property
    def log(self) -> list[dict[str, str]]:
        """The last records of run.log, oldest first; lines that are none are left out."""
        try:
            end = door.tail(self.path, "run.log", _LOG_BYTES)
        except OSError:
            return []
        return list(_records(end.splitlines()[-_LOG_TAIL:]))

    @cached_property
    def tracking(self) -> dict[str, Any]:
        """The receipt of tracking, which is written after the seal and not covered by it; empty without one."""
        try:
            return documents.read(self.path, "tracking.json")
        except RunError:
            return {}

    @cached_property
    def telemetry(self) -> telemetry.Telemetry:
        """What was recorded of the run's steps, not covered by the seal; empty where nothing was."""
        return telemetry.read(self.path.parent, self.run_id)

    @cached_property
    def differs(self) -> tuple[int, dict[str, Any]]:
        """How many runs of its strategy there are beside it, and what differs from them; it is not sealed, but told."""
        try:
            listed = {row.run_id: row for row in listing.rows(self.results)}
        except RunError:
            return 0, {}
        own = listed.get(self.run_id)
        others = sum(row.strategy == own.strategy for row in listed.values()) - 1 if own and own.strategy else 0
        return others, own.differs if own else {}

    @property
    def title(self) -> str:
        """The run's name; without one, its strategy and symbol."""
        try:
            name, symbol = self.config.get("run", {}).get("name"), self.config.get("data", {}).get("symbol")
            called = self.strategy or self._engine or "?"
            return str(name or (f"{called} on {cut(str(symbol), _SYMBOL)}" if symbol else called))
        except RunError:
            return f"run {self.run_id[:8]}"

    @property
    def strategy(self) -> str:
        """The strategy's registered name or entrypoint, without one the command; empty where nobody says either."""
        asked, command = self.config.get("strategy", {}), self.config.get("record", {}).get("command")
        called = listing.called(shlex.join(map(str, command))) if isinstance(command, list) else ""
        unnamed = "?" if self.ours else ""
        return str(asked.get("name") or asked.get("entrypoint") or called or unnamed)

    @property
    def _engine(self) -> str:
        engine = self._results.get("engine")
        return str(engine.get("name") or "") if isinstance(engine, dict) else ""

    @property
    def currency(self) -> str:
        """The money of an account that another engine had; empty where nobody says it."""
        account = self._results.get("account")
        return str(account.get("currency") or "") if isinstance(account, dict) else ""

    @property
    def _results(self) -> dict[str, Any]:
        return self.manifest.predicate.results if self.manifest else {}

    @property
    def returns(self) -> Floats:
        """Return of each bar over the one before; empty where equity fell to zero or below."""
        marked = self.equity["equity"]
        return np.diff(marked) / marked[:-1] if len(marked) > 1 and marked.min() > 0 else np.array([])

    def annotations(self, part: str) -> dict[str, Any]:
        """What the manifest tells of a part that the run was made from: `bars`, `strategy` or `git`."""
        return self._parts[part].annotations if part in self._parts else {}

    @cached_property
    def bars(self) -> BarsPart | None:
        """What the manifest tells of the bars; None where it tells nothing."""
        return self._bars_part("bars")

    @property
    def benchmark_part(self) -> BarsPart | None:
        """What the manifest tells of a benchmark that is a file; None where it is none."""
        return self._bars_part(manifest.BENCHMARK)

    def _bars_part(self, name: str) -> BarsPart | None:
        told = self.annotations(name)
        return self.told(told, BarsPart) if told else None

    @property
    def findings(self) -> list[str]:
        """What was found in the bars, a sentence each: empty where there is nothing to be said, and of older runs."""
        receipts = self.manifest.predicate.receipts if self.manifest else []
        return [str(one.get("reason", "")) for one in receipts if one.get("part") == "data"]

    def digest(self, part: str) -> str:
        """The sha256 that the manifest has for a part, empty where it has none."""
        return self._parts[part].digest.get("sha256") or "" if part in self._parts else ""

    @cached_property
    def _parts(self) -> dict[str, _Part]:
        made = self.manifest.predicate.build_definition.get("resolvedDependencies", []) if self.manifest else []
        parts: dict[str, _Part] = {}
        for part in self.told(made, list[_Part]):
            parts.setdefault(part.name, part)
        return parts

    def told(self, value: Any, kind: type[_T]) -> _T:
        """Return a part of the manifest, most of which may be any JSON, as a type; RunError where it is none."""
        try:
            documents.check(value)
            return msgspec.convert(value, kind)
        except ValueError as error:
            raise RunError(f"{manifest.NAME}: {error}") from None

    def content(self, name: str) -> bytes:
        """Return what a sealed file holds; RunError where it can't be read."""
        return self._read(name)

    def _read(self, name: str) -> bytes:
        try:
            return door.read(self.path, name, self.manifest.predicate.promised if self.manifest else None)
        except OSError as error:
            if why := self._never(name):
                raise RunError(f"run {self.run_id[:8]} has no {name}: {why}") from None
            raise RunError(f"{name}: {error.strerror}") from None

    def _never(self, name: str) -> str:
        """Return why a run never had a file of that name; empty where it had, or nothing tells."""
        if self.manifest is None or name in self.manifest.files:
            return ""
        if not self.manifest.predicate.completed:
            return "it failed"
        if self.kind == manifest.RECORDED and "engine" not in self._results:
            return "no engine was seen"
        return "" if self.ours else "nobody said what would be in it"

    def _lacks(self, name: str) -> bool:
        """Tell whether the run has nothing of that name; what it has there may be no file, which reading it says."""
        try:
            return name not in {entry.name for entry in door.entries(self.path)}
        except OSError as error:
            raise RunError(f"{self.run_id}: {error.strerror}") from None


def _records(lines: list[bytes]) -> Iterator[dict[str, str]]:
    for line in lines:
        try:
            yield msgspec.json.decode(line, type=dict[str, str])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a tree's leaves by their dotted names; an empty table is a leaf.

    >>> flat({"data": {"symbol": "SPX", "columns": {}}})
    {'data.symbol': 'SPX', 'data.columns': {}}
    """
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            leaves |= flat(value, f"{prefix}{key}.")
        else:
            leaves[prefix + key] = value
    return leaves
