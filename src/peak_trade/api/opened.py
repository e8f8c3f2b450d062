"""Runs from Python: one is made, opened or listed, and its files are read when they are first asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from peak_trade import config as configs
from peak_trade import places, runner, tracking
from peak_trade.api.card import card, figures
from peak_trade.api.table import Table, trades_table, trials_table
from peak_trade.errors import PeakError, RunError
from peak_trade.evidence import documents, door, manifest, trials
from peak_trade.evidence.results import Results
from peak_trade.report import render
from peak_trade.report import run as files
from peak_trade.shown import apart, listing
from peak_trade.trust import verify

__all__ = ["Run", "open_run", "run", "runs"]

PathLike = str | os.PathLike[str]


class Run:
    """A run that is sealed, as its directory holds it; what it is asked for is read then, and kept.

    A property raises `RunError` where its file is missing, as that of a failed run, or is not what it should be.
    """

    def __init__(self, path: PathLike, *, root: PathLike | None = None) -> None:
        self.path = Path(path).absolute()
        self._root = Path(root) if root is not None else places.root()
        self._files = files.RunFiles(self.path)

    @property
    def run_id(self) -> str:
        """The UUID that is the directory's name."""
        return self._files.run_id

    @property
    def status(self) -> str:
        """`sealed`, `failed`, or `unreadable`."""
        return self._files.status

    @property
    def config(self) -> dict[str, Any]:
        """The config as resolved: every default filled in, the overrides applied, and listed under `overrides`."""
        return self._files.config

    @cached_property
    def stats(self) -> dict[str, Any]:
        """The statistics by key (docs/reports/stats.md defines them): fractions, not percent; None where undefined."""
        return {key: value for key, value in self._files.stats.items() if key != "reasons"}

    @property
    def reasons(self) -> dict[str, str]:
        """Why a statistic is None, by key."""
        return self._files.reasons

    @cached_property
    def equity(self) -> Table:
        """`timestamp`, `equity` (quote), `drawdown` (fraction) and `position` (units), a row for each bar's close."""
        return Table(self._files.equity)

    @cached_property
    def benchmark(self) -> Table | None:
        """`timestamp`, `close` and `equity` of buying and holding at the same costs; None where the run has none.

        Where it is a file, `equity` follows that, and `benchmark` are its closes; `close` is always the bars'.
        A run of more than 2,000 bars has 2,000 of them and each month's last.
        """
        columns = self._files.benchmark
        return None if columns is None else Table(columns)

    @cached_property
    def trades(self) -> Table:
        """The closed trades, with the columns of the trades contract: prices are fill prices, `pnl` is net.

        Raises RunError where they are in Parquet and pyarrow is not installed.
        """
        return trades_table(self._files.trades)

    @cached_property
    def trials(self) -> Table | None:
        """The trials of a sweep, a row each: what was varied, what became of it, its statistics; None of another run.

        Raises RunError where they are in Parquet and pyarrow is not installed.
        """
        sealed = manifest.decode(msgspec.json.encode(self.manifest))
        name = trials.name_in(sealed.files)
        if sealed.predicate.kind != manifest.SWEPT or not name:
            return None
        try:
            return trials_table(trials.read(name, door.read(self.path, name, sealed.predicate.promised)))
        except ImportError as error:
            raise RunError(f"{name} can't be read: {error}", hint="just setup lake") from None
        except OSError as error:
            raise RunError(f"{self.run_id}/{name}: {error.strerror}", hint=f"just verify {self.run_id[:8]}") from None

    @property
    def kind(self) -> str:
        """`run`, `swept`, `recorded` (of another program, which was watched) or `imported` (of its files)."""
        return self._files.kind

    @cached_property
    def open_trades(self) -> Table | None:
        """What was open at the end of a run of another engine, its exits unknown; None where it says of none."""
        left = self._files.open_trades
        return None if left is None else trades_table(left)

    @cached_property
    def symbols(self) -> list[dict[str, Any]]:
        """What each symbol earned of the account's change, the rest, and the account; empty where there is one symbol.

        A row each: `kind` (`symbol`, `rest`, `account`), `symbol`, `currency`, `pnl`, `share`, `gross`, `net` and more.
        """
        return self._files.symbols if self._files.has("symbols.csv") else []

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The in-toto statement that is the seal: what was asked, what it was made from, what came out."""
        try:
            return documents.read(self.path, "manifest.json")
        except RunError as error:
            raise RunError(f"{self.run_id}/{error.message}", hint=f"just verify {self.run_id[:8]}") from None

    @property
    def probe(self) -> dict[str, Any]:
        """What came of asking the strategy again without its last bars: `verdict`, `reason`, `repeatable` and more.

        Empty for a run that failed, or was made by a version that did not ask.
        """
        return self._files.probe

    @property
    def findings(self) -> list[str]:
        """What must be known of the bars, a sentence each: left out, kept, missing or odd; empty where nothing is."""
        return self._files.findings

    def verify(self) -> verify.Verdict:
        """Check the run now, against its seal, the ledger, itself and its data: `.state` is `intact` or what it is not.

        Never raises: what is wrong stands in `.findings`, what could not be checked in `.unchecked`.
        """
        return verify.verify(self.path, root=self._root)

    def report(self, *, renderer: str = "auto", output: PathLike | None = None) -> Path:
        """Render the report, one HTML file, and return its path: in the run's directory where no `output` is named.

        `renderer` is `quarto`, `builtin`, or `auto`: Quarto where it is installed.
        Raises InputError where the tools are missing (the extra `experiments`), RunError where a cell raises.
        """
        with render.choose(renderer, places.shipped(render.QMD)) as chosen:
            return render.render(self.path, chosen, None if output is None else Path(output)).html

    def __repr__(self) -> str:
        return f"<Run {self.run_id} {self.status}>"

    def _doubts(self) -> list[str]:
        doubtful = self._files.manifest is not None and self._files.manifest.predicate.doubts
        return [str(self.probe.get("reason"))] if doubtful else []

    def _repr_html_(self) -> str:
        lines = [f"{self.run_id} · {self.status}"]
        try:
            data = self.config.get("data", {})
            lines.append(f"{self._files.strategy} · {data.get('symbol')} {data.get('timeframe')}")
            lines += self._doubts()
            lines += self.findings
            if self.status == "failed":
                return card(self._files.title, [*lines, str(self._files.error.get("message", ""))], [], None)
            return card(self._files.title, lines, figures(self.stats), self.equity["equity"])
        except PeakError as error:
            return card(self._files.title, [*lines, error.message], [], None)


def run(
    config: PathLike | Mapping[str, Any],
    /,
    *,
    results: PathLike | None = None,
    root: PathLike | None = None,
    run_id: str | None = None,
    **overrides: Any,
) -> Run:
    """Run a config and return the sealed run, as `just run CONFIG` does: evidence in `results`, tracked as it says.

    `config` is a TOML file, or a mapping of the same sections, whose relative paths count from the current folder.
    An override is a section, `run(config, strategy={"params": {"fast": 10}}, execution={"fee_bps": 5})`, of which the
    keys given are replaced, or a dotted key, `run(config, **{"strategy.params.fast": 10})`.

    Unlike the command, it has no process in front of it: `run.timeout_s` stops what Python does, in the main thread,
    and not one long call into C or what blocks signals; a strategy that ends the process ends yours.

    `root` is the checkout that holds this package, else the current folder; `results` is `$PEAK_RESULTS_DIR`, else
    `results/` below `root`. `run_id` is a UUID4 of your own.

    Raises:
        InputError: config, data, parameters or run_id are wrong.
        RunError: the strategy raised or a file can't be written; `error.run_id` names the evidence that was left.
    """
    _refuse_a_worker()
    changes = dict(_dotted(overrides))
    source = configs.compose(config, changes) if isinstance(config, Mapping) else configs.load(config, changes)
    base = places.root() if root is None else Path(root).absolute()
    where = places.results(results, base).absolute()
    tracker = tracking.tracker(source.config.tracking, base)
    try:
        path = runner.run(source, root=base, results=where, run_id=run_id or os.environ.pop("PEAK_RUN_ID", None))
    except PeakError as error:
        if error.run_id:
            tracker.log_later(where / error.run_id)
        raise
    tracker.log(path)
    return Run(path, root=base)


def _refuse_a_worker() -> None:
    """Raise RunError in a process that runs its program again from the top, as the workers of `spawn` do."""
    processes = sys.modules.get("multiprocessing.process")
    if processes and getattr(processes.current_process(), "_inheriting", False):
        raise RunError(
            "this process is a worker of a strategy's, and runs your program again from its top",
            hint='run below `if __name__ == "__main__":`',
        )


def _dotted(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested sections by their dotted keys."""
    for name, value in tree.items():
        key = f"{above}.{name}" if above else name
        if isinstance(value, Mapping):
            yield from _dotted(value, key)
        else:
            yield key, value


def open_run(which: PathLike = "last", /, *, results: PathLike | None = None, root: PathLike | None = None) -> Run:
    """Open a run: `last` (sealed last, by the ledger), a run_id, a unique start of one, or the path of its directory.

    `results` and `root` are as for `run`; below `root`, `verify()` looks for the data.

    Raises:
        InputError: there is no such run, or more than one.
    """
    base = None if root is None else Path(root)
    return Run(files.find(os.fspath(which), Results(places.results(results, base))), root=base)


def runs(results: PathLike | None = None) -> Table:
    """Return every run as a row, newest first, also failed and removed ones: `runs()["run_id"][0]` is the newest.

    Columns: `run_id`, `started`, `strategy`, `symbol`, `timeframe`, `total_return`, `sharpe`, `max_drawdown`
    (fractions), `trades` and `deflated` (NaN where there is none), `status`, `pinned`, `name`, `start` and `end` (of
    the bars), `reason` (why it failed), `lookahead`, `repeatable`; and in words `params`, `settings`, `differs` (what
    of those is not as in the other runs of its strategy) and `findings` (what was found in the bars). A run that was
    kept of a sweep has its `parent`, and which `trial` it is.

    Raises:
        RunError: the ledger can't be read.
    """
    found = [
        row.to_json_object()
        | {"findings": listing.counts(row.findings)}
        | {name: apart.said(getattr(row, name)) for name in ("params", "settings", "differs")}
        for row in listing.rows(Results(places.results(results)))
    ]
    floats = ("total_return", "sharpe", "max_drawdown", "trades", "deflated", "trial")
    kinds = dict.fromkeys(floats, np.float64) | {"pinned": np.bool_}
    names = [field.name for field in msgspec.structs.fields(listing.Row)]
    return Table({name: np.array([row[name] for row in found], kinds.get(name, object)) for name in names})
