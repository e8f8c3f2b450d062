"""The order of a run: config, bars, strategy, backtest, statistics, evidence, seal. Nothing else knows it.

    bars ─▶ START ─▶ strategy ─▶ target ─▶ backtest ─▶ stats ─▶ files ─▶ manifest ─▶ seal

Up to START nothing is written: a wrong config or wrong data leaves no trace. From START on every way out leaves
evidence: a sealed run, or a run sealed as failed with its config, its log and its error.
"""

from __future__ import annotations

import importlib
import logging
import os
import shlex
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from peak_trade import stats, strategies
from peak_trade.config import Config, Source, locate
from peak_trade.errors import InputError, PeakError, RunError
from peak_trade.evidence import benchmark, files, manifest, provenance, tables
from peak_trade.evidence.run_dir import new_run_id
from peak_trade.market import ohlcv
from peak_trade.market.benchmark_file import HINT, read_benchmark
from peak_trade.market.trades import Trades
from peak_trade.probe import Asking
from peak_trade.probe.watch import Watch
from peak_trade.redact import Redactor
from peak_trade.runner import code
from peak_trade.runner.attempt import Attempt, asked, withheld
from peak_trade.runner.definition import bars_of, benchmark_of, definition
from peak_trade.runner.edition import check_edition
from peak_trade.runner.failure import fail
from peak_trade.runner.holdout import withhold
from peak_trade.runner.limits import termination_raised, uninterrupted, within
from peak_trade.runner.log import logging_to
from peak_trade.runner.making import Stages
from peak_trade.runner.probing import probed
from peak_trade.runner.shared import Shared
from peak_trade.runner.snapshot import kept, parameters, told, write_config
from peak_trade.runner.statement import predicate
from peak_trade.runner.testament import testament
from peak_trade.supervisor import UNWATCHED, Line

__all__ = ["Done", "load_bars", "make", "registered", "run", "seed_generators"]

_LOG = logging.getLogger("peak_trade.run")


def run(
    source: Source,
    *,
    root: str | os.PathLike[str],
    results: str | os.PathLike[str],
    run_id: str | None = None,
    argv: Sequence[str] = (),
    line: Line = UNWATCHED,
    bars: ohlcv.Loaded | None = None,
) -> Path:
    """Run a loaded config and return the sealed directory `results/<run_id>/`.

    `root` is the repository in which relative paths and the git state are looked up. `line` leads to the process that
    watches this one. Without it `run.timeout_s` stops what Python does, and no more: not one long call into C, nor what
    blocks signals, and a process that is gone leaves its run to `just doctor`. `bars` are those of the config, for who
    has loaded them already.

    Raises InputError where config, data or parameters are wrong, RunError where the strategy or a write fails; the
    error's `run_id` attribute names the evidence that was left, if any was.
    """
    run_id = new_run_id(run_id) if run_id else None
    root, results = Path(root), Path(results).absolute()  # a strategy may change the current directory
    of_old = check_edition(source, root)
    redactor = Redactor(msgspec.to_builtins(source.config), source.overrides)
    stages = Stages()
    git = provenance.GitQuestion(root)  # it answers while the bars are loaded
    try:
        with stages.clock("load"):
            given = told(source, redactor)  # of the config as it was asked for: a holdout changes where its bars end
            source, held = withhold(source, root, results) if bars is None else (source, None)
            shared = Shared(bars or load_bars(source, root), many=False)
            function = registered(source.config)
        with stages.clock("evidence"):
            attempt = Attempt.begin(source, root, results, run_id, list(argv), stages, redactor, line, given)
        try:
            line.started(testament(attempt), str(attempt.directory.results / attempt.directory.run_id))
            with logging_to(attempt.log), termination_raised():
                try:
                    if of_old:
                        attempt.warn("rules", "changed", of_old)
                    if held:
                        attempt.warn("holdout", *held)
                    return _sealed(attempt, make(attempt, git, shared, function))
                except BaseException as error:  # noqa: BLE001 - the one guard: whatever a strategy does, evidence is left
                    fail(attempt, git, error)
        except PeakError:
            raise
        except BaseException:
            line.lost()
            raise
        finally:
            attempt.directory.release()
    finally:
        git.close()  # leave no process behind


def load_bars(source: Source, root: Path) -> ohlcv.Loaded:
    """Return the bars that a config asks for, checked, and its benchmark where that is a file."""
    data, compared = source.config.data, source.config.stats
    loaded = ohlcv.load_bars(
        locate(data.path, source.bases(root)),
        symbol=data.symbol,
        timeframe=data.timeframe,
        calendar=data.calendar,
        on_violation=data.on_violation,
        reading=data,
        periods_per_year=compared.periods_per_year,
    )
    if not compared.benchmark_file:
        return loaded
    try:
        path = locate(compared.benchmark_file, source.bases(root))
    except InputError as error:
        raise InputError(f"the benchmark: {error.message}", hint=HINT) from None
    return msgspec.structs.replace(loaded, benchmark=read_benchmark(path, compared.benchmark_name).over(loaded.bars))


def registered(config: Config) -> Callable[..., Any] | None:
    """Return a registered strategy, its parameters checked: that needs no user's code, so it comes before START."""
    if config.strategy.name is None:
        return None
    function = strategies.resolve(config.strategy.name)
    strategies.check_params(function, config.strategy.params)
    return function


class Done(NamedTuple):
    """A run whose files are all written: what its manifest says, and what the line that seals it tells."""

    statement: manifest.Predicate
    facts: dict[str, Any]


def make(attempt: Attempt, git: provenance.GitQuestion, shared: Shared, function: Callable[..., Any] | None) -> Done:
    """Do all of a run that has started, up to its manifest. Raises whatever its strategy raises."""
    config, bars, loaded = attempt.source.config, shared.bars, shared.loaded
    attempt.skip_what_could_not_start()
    for line in loaded.assumptions:
        _LOG.info("%s", line)
    for finding in loaded.findings:
        attempt.say(finding)
    attempt.hold_against(loaded.benchmark)
    limit = config.run.timeout_s
    if limit and threading.current_thread() is not threading.main_thread():
        attempt.skip("run.timeout_s", "only a run in the main thread can be stopped")
        limit = None
    with attempt.stages.clock("evidence"):
        # the fingerprint is of the bars as they were loaded: no user's code has run
        attempt.bars, attempt.unnamed = bars_of(attempt, loaded, shared.marks), shared.unnamed
        attempt.benchmark = benchmark_of(attempt, shared)
    with attempt.stages.clock("strategy"):
        attempt.line.strategy(limit, own=function is None, bars=msgspec.json.encode(attempt.bars))
        asking, made, params, target = within(limit, lambda: _ask(attempt, loaded, function))
    with attempt.stages.clock("probe"):
        probe = probed(attempt, bars, asking, target, limit)
        attempt.line.free()
    with attempt.stages.clock("evidence"):
        if shared.changed:
            raise RunError(
                "the strategy changed the bars that it was given", hint="compute in copies, as bars.close.copy()"
            )
        if attempt.directory.astray:
            attempt.directory.go_home()
            place = shlex.quote(str(attempt.directory.results))
            raise RunError(
                "the strategy moved the results folder, or put another in its place",
                hint=f"just show {attempt.directory.run_id} --results-dir {place}",
            )
        if attempt.directory.displaced:
            raise RunError("the strategy moved the directory of its run, or put another in its place")
        attempt.tidy()
    with attempt.stages.clock("backtest"):
        came = shared.prepared.trade(target, config)
        result, compared = came.result, came.benchmark
    with attempt.stages.clock("stats"):
        figures = came.figures
    with attempt.stages.clock("evidence"):
        write_config(attempt, params)
        directory = attempt.directory
        directory.write("stats.json", [files.encode_json(figures.to_json_object())])
        directory.write("equity.csv", tables.series_csv(came.equity, shared.stamps))
        if compared is not None:
            directory.write(benchmark.NAME, [shared.benchmark_csv(config, compared)])
        _write_trades(attempt, result.trades)
        summary = {name: figures[name] for name in ("total_return", "sharpe", "max_drawdown", "trades")}
        came_out = {
            **came.digests,
            "summary": summary,
            "statistics": stats.editions(),
        }
        if result.ruined is not None:
            (when,) = tables.iso(bars.timestamp[result.ruined : result.ruined + 1])
            came_out[manifest.RUINED] = when
            attempt.warn("account", manifest.RUINED, f"equity was at or below zero at {when}: closed there, for good")
        captured = code.capture(attempt, asking.function)
        code.write(attempt, captured)
        origin = definition(attempt, git, made, captured, params)
        attempt.tidy()  # again, for what a thread or a child has left since
    took = attempt.stages.milliseconds.items()
    _LOG.info("sealing, after %s", ", ".join(f"{stage} {ms:.1f} ms" for stage, ms in took))
    ruined = {name: time for name, time in came_out.items() if name == manifest.RUINED}
    statement = predicate(attempt, manifest.RUINED if ruined else "sealed", origin, came_out, probe=probe)
    facts: dict[str, Any] = asked(config) | attempt.kin | withheld(attempt.source) | parameters(attempt, params)
    facts |= ruined | statement.doubts | attempt.findings() | attempt.reached()
    return Done(statement, facts | {"code": captured.digest, "bars": len(bars)} | summary)


def _sealed(attempt: Attempt, done: Done) -> Path:
    start = time.perf_counter()
    with uninterrupted():
        path = attempt.directory.seal(done.statement, "sealed", **done.facts)
    _LOG.info("sealed in %.1f ms", (time.perf_counter() - start) * 1e3)
    return path


def _ask(
    attempt: Attempt, loaded: ohlcv.Loaded, function: Callable[..., Any] | None
) -> tuple[Asking, dict[str, str | None], dict[str, Any], npt.NDArray[np.float64]]:
    """Run the strategy, loading it first where it is the user's own.

    Returns what asked it, its digest, its parameters and its target.

    All that is a user's runs in here: a parameter's default has a text of its own too.
    """
    config, watch = attempt.source.config, Watch(file.path for file in loaded.files)
    attempt.ran = watch.ran
    if function is None:
        seed_generators(config.run.seed)
        with watch.looking(effects=False):
            function = strategies.load_entrypoint(config.strategy.entrypoint or "", attempt.source.bases(attempt.root))
    params = strategies.check_params(function, config.strategy.params)
    process = os.getpid()
    try:
        manner = strategies.Manner.of(config.strategy, lenient=attempt.source.lenient)
        asking = Asking(function, params, watch, manner=manner)
        target = asking.first(loaded.bars.apart())
        return asking, strategies.source_digest(function, attempt.root), kept(params), target
    finally:
        attempt.starts = watch.starts
        watch.ran = set()  # what only other bars made it load is no part of the run
        if os.getpid() != process:  # a child that the strategy forked and did not end: the run is not its own
            os._exit(1)


def _write_trades(attempt: Attempt, trades: Trades) -> None:
    """Write the trades as Parquet where pyarrow is installed, else as CSV."""
    try:
        content = tables.trades_parquet(trades)
    except ImportError as error:
        attempt.skip("trades.parquet", f"{error}; wrote trades.csv instead (just setup lake adds Parquet)")
        attempt.directory.write("trades.csv", tables.trades_csv(trades))
    else:
        attempt.directory.write("trades.parquet", [content])


def seed_generators(seed: int) -> None:
    """Seed the generators that a user's strategy may draw from; registered ones draw from none."""
    importlib.import_module("random").seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the legacy generator is what a user's unmodified code may draw from
