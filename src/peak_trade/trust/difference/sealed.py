"""A run as far as it is compared: what its manifest says, and its sealed files, each read when it is asked for."""

from __future__ import annotations

import hashlib
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.errors import InputError, RunError
from peak_trade.evidence import code, documents, door, manifest, tables
from peak_trade.evidence.ledger import is_run_id
from peak_trade.evidence.run_dir import read_manifest
from peak_trade.market.trades import Trades, no_trades
from peak_trade.text import escaped

__all__ = ["EQUITY", "Dependency", "Made", "Sealed", "read"]

EQUITY = ("timestamp", "equity", "drawdown", "position")
_OVERRIDES = "overrides"  # a list of what was asked for: the sections have it applied
_TRADES = ("trades.parquet", "trades.csv")


class _Inner(Struct):
    seed: int | None = None
    rules: int = 1
    environment: dict[str, Any] = {}


class Dependency(Struct):
    """What a run was made from: `bars`, `strategy`, `code`, `git` or `constraints.txt`."""

    name: str
    digest: dict[str, str] = {}
    annotations: dict[str, Any] | None = None

    @property
    def about(self) -> dict[str, Any]:
        """What the manifest says of it beside its digest."""
        return self.annotations or {}


class Made(Struct, rename="camel"):
    """The manifest's buildDefinition, as far as two are compared."""

    internal_parameters: _Inner = msgspec.field(default_factory=_Inner)
    resolved_dependencies: list[Dependency] = []

    def of(self, name: str) -> Dependency | None:
        """Return what the run was made from by its name; None where the manifest has none."""
        return next((one for one in self.resolved_dependencies if one.name == name), None)

    def bars(self) -> dict[str, Dependency]:
        """Return the bars of each symbol."""
        return {str(one.about.get("symbol")): one for one in self.resolved_dependencies if one.name == "bars"}

    def materials(self) -> dict[str, str]:
        """Return the digest of each file that went in, beside bars and code, by its name."""
        found = {}
        for one in self.resolved_dependencies:
            if one.name not in _OF_OURS and "sha256" in one.digest:
                found[str(one.about.get("file") or one.about.get("path") or one.name)] = one.digest["sha256"]
        return found


_OF_OURS = ("bars", manifest.BENCHMARK, "strategy", code.FOLDER, "git", "constraints.txt")


class Sealed:
    """A run directory. What is read raises RunError where it is missing, or not what was sealed."""

    def __init__(self, path: Path, name: str = "") -> None:
        self.path = path
        self.name = name or path.name[:8]
        self.manifest = read_manifest(path)
        try:
            self.made = msgspec.convert(self.manifest.predicate.build_definition, Made)
            documents.check(self.manifest.predicate)
        except (msgspec.ValidationError, ValueError, RecursionError) as error:
            raise self._refused(manifest.NAME, f"is not a run's manifest: {error}") from None
        if not is_run_id(self.run_id):  # of which paths are made
            raise self._refused(manifest.NAME, f"names no run, but {escaped(self.run_id, 60)!r}")

    @property
    def run_id(self) -> str:
        """The run that the manifest speaks of."""
        return self.manifest.run_id

    @property
    def completed(self) -> bool:
        """Whether the run has equity, trades and statistics."""
        return self.manifest.predicate.completed

    @property
    def error(self) -> str:
        """Why a run that failed did; empty for others."""
        return str((self.manifest.predicate.error or {}).get("message", "")) if not self.completed else ""

    @cached_property
    def config(self) -> dict[str, Any]:
        """The config as resolved, by section."""
        if "config_snapshot.json" not in self.manifest.files:  # of a run whose process died on the way
            return {}
        tree = documents.decode(self.content("config_snapshot.json"), "config_snapshot.json")
        return {
            section: values for section, values in tree.items() if isinstance(values, dict) and section != _OVERRIDES
        }

    @cached_property
    def figures(self) -> dict[str, Any]:
        """The statistics by key, None where one has no value."""
        if not self.has("stats.json"):
            return {}
        tree = documents.decode(self.content("stats.json"), "stats.json")
        return {
            key: value
            for key, value in tree.items()
            if value is None or (isinstance(value, int | float) and not isinstance(value, bool))
        }

    def has(self, *names: str) -> bool:
        """Whether one of these files is sealed: a run that another engine made may lack what every run of ours has."""
        ours = not self.manifest.predicate.gaps
        return ours or any(name in self.manifest.files for name in names)

    @cached_property
    def equity(self) -> dict[str, npt.NDArray[Any]]:
        """The columns of equity.csv; of length 0 where nobody said it."""
        if not self.has("equity.csv"):
            return {name: np.empty(0, "M8[ns]" if name == "timestamp" else np.float64) for name in EQUITY}
        gaps = self.manifest.predicate.gaps
        return tables.read_series(Path("equity.csv"), EQUITY, self.content("equity.csv"), gaps=gaps)

    @cached_property
    def trades(self) -> Trades:
        """The closed trades, none where nobody said them.

        Raises InputError where they are in Parquet and pyarrow is not installed.
        """
        if not self.has(*_TRADES):
            return no_trades()
        name = next((name for name in _TRADES if name in self.manifest.files), _TRADES[0])
        try:
            return tables.read_trades(Path(name), self.content(name), gaps=self.manifest.predicate.gaps)
        except ImportError as error:
            raise InputError(f"{name} can't be read: {error}", hint="just setup lake") from None

    def code(self, name: str) -> bytes:
        """Return a file of the run's code, by its name below code/."""
        return self.content(f"{code.FOLDER}/{name}")

    @property
    def code_files(self) -> dict[str, str]:
        """Name below code/ → sha256 of all code that was sealed, and of what was left out where it is known."""
        prefix = f"{code.FOLDER}/"
        found = {name.removeprefix(prefix): sha for name, sha in self.manifest.files.items() if name.startswith(prefix)}
        dependency = self.made.of(code.FOLDER)
        left_out = dependency.about.get("leftOut") if dependency else None
        for one in left_out if isinstance(left_out, list) else ():
            if isinstance(one, dict):
                found.setdefault(str(one.get("file")), str(one.get("sha256")))
        return found

    def content(self, name: str) -> bytes:
        """Return a sealed file's bytes, whose digest is the manifest's."""
        expected = self.manifest.files.get(name)
        if expected is None:
            raise self._refused(name, "is not among the sealed files")
        try:
            content = door.read(self.path, name, self.manifest.predicate.promised)
        except OSError as error:
            raise self._refused(name, f"can't be read: {error.strerror}") from None
        if hashlib.sha256(content).hexdigest() != expected:
            raise self._refused(name, "is not what was sealed")
        return content

    def _refused(self, name: str, why: str) -> RunError:
        return RunError(f"{self.path.name}/{name} {why}", hint=f"just verify {self.path.name[:8]}")


def read(path: str | os.PathLike[str], name: str = "") -> Sealed:
    """Return the run in a directory; `name` is what it is called where two are shown, by default its run_id's start.

    Raises RunError where its manifest can't be read.
    """
    return Sealed(Path(path), name)
