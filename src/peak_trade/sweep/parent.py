"""The parent run of a sweep: the files that it leaves, its manifest and its line in the ledger.

Its own result, stats.json, equity.csv and trades, is that of the trial that was chosen; of a walk-forward, what came of
the choices one after the other. Its sealed files hold nothing that varies: not how long trials took, and not the
run_ids of those that were kept. Both stand beside, in `durations.csv` and in the manifest's run details.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from peak_trade import stats
from peak_trade.engine import RULES
from peak_trade.evidence import benchmark, files, manifest, provenance, tables
from peak_trade.runner import code
from peak_trade.runner.attempt import Attempt, asked, withheld
from peak_trade.runner.definition import environment
from peak_trade.runner.snapshot import kept, plain, write_config
from peak_trade.runner.statement import git_state, known, predicate
from peak_trade.strategies import source_digest
from peak_trade.sweep import table
from peak_trade.sweep.bench import Bench
from peak_trade.sweep.plan import Outcome
from peak_trade.sweep.rows import Rows, duplicates

__all__ = ["facts", "write"]


def write(
    attempt: Attempt, git: provenance.GitQuestion, bench: Bench, rows: Rows, outcome: Outcome, plan: Mapping[str, Any]
) -> manifest.Predicate:
    """Write the parent's files, and return what its manifest says."""
    directory, config = attempt.directory, attempt.source.config
    came = outcome.came
    params = kept(came.params)
    write_config(attempt, params)
    directory.write("stats.json", [files.encode_json(came.figures.to_json_object())])
    directory.write("equity.csv", tables.series_csv(came.equity))
    if came.benchmark is not None:
        at = benchmark.rows(came.bars.timestamp)
        thinned = {"timestamp": came.bars.timestamp[at], "close": came.bars.close[at], "equity": came.benchmark[at]}
        directory.write(benchmark.NAME, tables.series_csv(thinned))
    try:
        directory.write("trades.parquet", [tables.trades_parquet(came.result.trades)])
    except ImportError as error:
        attempt.skip("trades.parquet", f"{error}; wrote trades.csv instead (just setup lake adds Parquet)")
        directory.write("trades.csv", tables.trades_csv(came.result.trades))
    if why := table.write(directory, rows, outcome.index, config.run.seed):
        attempt.skip("trials.parquet", why)
    for name, content in outcome.files.items():
        directory.write(name, [content])
    directory.write_beside("durations.csv", [_durations(rows)])
    captured = code.capture(attempt, bench.function)
    code.write(attempt, captured)
    made = source_digest(bench.function, attempt.root)
    equity_digest, trades_digest = came.digests
    results: dict[str, Any] = {
        "equity_digest": equity_digest,
        "trades_digest": trades_digest,
        "summary": {name: came.figures[name] for name in ("total_return", "sharpe", "max_drawdown", "trades")},
        "statistics": stats.editions(),
        "trials": len(rows),
    } | outcome.results
    definition = {
        "buildType": manifest.BUILD_OF[manifest.SWEPT],
        "externalParameters": attempt.redactor.tree(
            {
                "config": directory.sealed["config_snapshot.toml"],
                "overrides": plain(attempt.source.overrides),
                "name": config.run.name,
                "params": plain(params),
                "sweep": plain(dict(plan)),
            }
        ),
        "internalParameters": {"seed": config.run.seed, "rules": RULES, "environment": environment()}
        | withheld(attempt.source),
        "resolvedDependencies": [
            attempt.bars,
            {"name": "strategy", "digest": known(sha256=made.get("sha256")), "annotations": made},
            captured.dependency(),
            git_state(git),
            {"name": "constraints.txt", "digest": known(sha256=provenance.pins(attempt.root))},
        ],
    }
    return predicate(attempt, "sealed", definition, results, builder="sweep")


def facts(attempt: Attempt, rows: Rows) -> dict[str, Any]:
    """Return what the ledger's line tells of the trials: how many, on which bars, and how their ratios spread.

    Trials with the same digests are one result: they count as trials, and their ratio stands once.
    """
    ratios = rows.of_stat("sharpe")[duplicates(rows) < 0]
    known_ratios = ratios[np.isfinite(ratios)].tolist()
    count = len(known_ratios)
    mean = math.fsum(known_ratios) / count if count else 0.0
    variance = math.fsum((one - mean) ** 2 for one in known_ratios) / count if count else 0.0
    reached = attempt.reached()
    on = asked(attempt.source.config)
    batch = {
        "symbol": on["symbol"],
        "timeframe": on["timeframe"],
        "data": reached.get("data", ""),
        "unnamed": reached.get("unnamed", ""),
        "count": len(rows),
        "failed": len(rows.error),
        "results": int(np.count_nonzero(duplicates(rows) < 0)) - len(rows.error),
        "ratios": {"count": count, "mean": mean, "variance": variance},
    } | ({"best": max(known_ratios)} if known_ratios else {})
    failed = {"trials_failed": len(rows.error)} if rows.error else {}
    return {"kind": manifest.SWEPT, "trials": len(rows)} | failed | {"trials_on": [batch]}


def _durations(rows: Rows) -> bytes:
    lines = (f"{at},{seconds:.6f}\n" for at, seconds in enumerate(rows.duration_s.tolist()))
    return ("index,duration_s\n" + "".join(lines)).encode()
