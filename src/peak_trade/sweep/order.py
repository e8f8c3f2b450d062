"""The order of a sweep: config, bars, plan, START, rounds of chunks, the choice, files, seal. Nothing else knows it.

Up to START nothing is written: a wrong config, wrong data or a wrong grid leaves no trace.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from peak_trade import strategies
from peak_trade.config import Source
from peak_trade.evidence import provenance
from peak_trade.evidence.run_dir import new_run_id
from peak_trade.market import fingerprint
from peak_trade.redact import Redactor
from peak_trade.runner.attempt import Attempt, asked, withheld
from peak_trade.runner.definition import bars_of
from peak_trade.runner.holdout import withhold
from peak_trade.runner.log import logging_to
from peak_trade.runner.making import Stages
from peak_trade.runner.order import load_bars
from peak_trade.runner.snapshot import told
from peak_trade.supervisor import UNWATCHED
from peak_trade.sweep import executor, parent
from peak_trade.sweep.bench import Bench
from peak_trade.sweep.executor import Executor
from peak_trade.sweep.folder import Folder
from peak_trade.sweep.plan import Plan
from peak_trade.sweep.rows import Rows
from peak_trade.sweep.wish import Wish, Work

__all__ = ["sweep"]


def sweep(
    source: Source,
    wish: Wish,
    *,
    root: str | os.PathLike[str],
    results: str | os.PathLike[str],
    run_id: str | None = None,
    argv: Sequence[str] = (),
    work: Work | None = None,
    done: Callable[[int, int, int], None] = lambda done, failed, of: None,
) -> Path:
    """Make every trial of a plan and return the sealed directory of the parent run.

    `done` hears how many trials of a round are done, how many of them failed, and how many there are.

    Raises InputError where config, data or plan are wrong, RunError where every trial failed or a write did.
    """
    wish.check()
    executors = executor.of(work or Work())
    root, results = Path(root), Path(results).absolute()
    redactor = Redactor(msgspec.to_builtins(source.config), source.overrides)
    stages = Stages()
    git = provenance.GitQuestion(root)
    try:
        with stages.clock("load"):
            given = told(source, redactor)
            source, _ = withhold(source, root, results)
            loaded = load_bars(source, root)
            loaded.bars.freeze()
            plan, function = wish.plan(source, loaded.bars), _strategy(source, root)
        attempt = Attempt.begin(
            source, root, results, new_run_id(run_id), list(argv), stages, redactor, UNWATCHED, given
        )
        try:
            with logging_to(attempt.log):
                marks = fingerprint.fingerprint(loaded.bars)
                attempt.bars, attempt.unnamed = bars_of(attempt, loaded, marks), fingerprint.unnamed(loaded.bars)
                bench = Bench(source, loaded.bars, function)
                folder = Folder(results, attempt.directory.run_id)
                folder.begin(msgspec.msgpack.encode({"plan": plan.describe()}))
                with stages.clock("trials"):
                    rows = _rounds(plan, executors(bench, folder), folder, done)
                outcome = plan.outcome(bench, rows)
                statement = parent.write(attempt, git, bench, rows, outcome, plan.describe())
                facts: dict[str, Any] = asked(source.config) | withheld(source) | attempt.reached()
                facts |= parent.facts(attempt, rows) | statement.results["summary"] | {"bars": len(loaded.bars)}
                path = attempt.directory.seal(statement, "sealed", **facts)
                folder.end()
                return path
        finally:
            attempt.directory.release()
    finally:
        git.close()


def _rounds(plan: Plan, workers: Executor, folder: Folder, done: Callable[[int, int, int], None]) -> Rows:
    rows = Rows.joined([])
    for number in range(plan.rounds()):
        tasks = plan.round(number, rows)
        if not len(tasks):
            break
        made = failed = 0
        for more, bad in workers.run(number, tasks):
            made, failed = made + more, failed + bad
            done(made, failed, len(tasks))
        rows = Rows.joined([rows, folder.rows(number, len(tasks))])
    return rows


def _strategy(source: Source, root: Path) -> Callable[..., Any]:
    strategy = source.config.strategy
    if strategy.name is not None:
        return strategies.resolve(strategy.name)
    return strategies.load_entrypoint(strategy.entrypoint or "", source.bases(root))
