"""The parent run of a sweep: the files that it leaves, its manifest and its line in the ledger.

Its own result, stats.json, equity.csv and trades, is that of the trial that was chosen; of a walk-forward, what came of
the choices one after the other. Its sealed files hold nothing that varies: not how long trials took, and not the
run_ids of those that were kept. Both stand beside, in `durations.csv` and in the manifest's run details. Where no trial
came to its end it is sealed as failed, with the row of each.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from peak_trade import stats, threads
from peak_trade.engine import RULES
from peak_trade.errors import RunError
from peak_trade.evidence import benchmark, files, manifest, provenance, tables
from peak_trade.evidence.code import Code
from peak_trade.evidence.run_dir import ERROR
from peak_trade.probe import Asking, Probe
from peak_trade.probe.watch import Watch
from peak_trade.runner import code
from peak_trade.runner.attempt import Attempt, asked, withheld
from peak_trade.runner.definition import environment
from peak_trade.runner.order import seed_generators
from peak_trade.runner.probing import probed
from peak_trade.runner.snapshot import kept, parameters, plain, write_config
from peak_trade.runner.statement import git_state, known, predicate
from peak_trade.strategies import source_digest
from peak_trade.sweep import table
from peak_trade.sweep.bench import Bench, Came
from peak_trade.sweep.keeping import Kept
from peak_trade.sweep.marks import Marks
from peak_trade.sweep.plan import Outcome, Plan
from peak_trade.sweep.rows import Rows, duplicates

__all__ = ["batch_on", "beside", "durations", "facts", "seal"]


def seal(
    attempt: Attempt,
    git: provenance.GitQuestion,
    bench: Bench,
    rows: Rows,
    plan: Plan,
    kept_runs: Sequence[Kept],
    marks: Marks,
    read: Iterable[str],
) -> Path:
    """Write the parent's files, seal it and return its directory; `read` are the files that the bars came from.

    Raises RunError where no trial came to its end: it is sealed as failed then.
    """
    described = plan.describe()
    try:
        outcome = plan.outcome(bench, rows)
        found = _probed(attempt, bench, outcome.came, read)
    except RunError as error:
        _seal_failed(attempt, git, bench, rows, described, marks, error)
        raise
    if wrong := [one for one in kept_runs if one.wrong]:
        first = f"the first is {wrong[0].trial}, run {wrong[0].run_id[:8]}: {wrong[0].wrong}"
        attempt.warn(
            "kept", "unrepeatable", f"{len(wrong):,} of {len(kept_runs):,} trials did not come out again; {first}"
        )
        attempt.receipts[-1]["trials"] = [one.trial for one in wrong]
    came, params = outcome.came, kept(outcome.came.params)
    with attempt.stages.clock("evidence"):
        digests = _write(attempt, rows, outcome)
        captured = code.capture(attempt, bench.function)
        code.write(attempt, captured)
        attempt.tidy()
    summary = {name: came.figures[name] for name in ("total_return", "sharpe", "max_drawdown", "trades")}
    results: dict[str, Any] = {
        "equity_digest": came.digests[0],
        "trades_digest": came.digests[1],
        "summary": summary,
        "statistics": stats.editions(),
        "trials": len(rows),
    }
    if outcome.index is not None:
        chosen = attempt.redactor.tree(plain(rows.overrides[outcome.index]))
        results["chosen"] = {
            "index": outcome.index,
            "overrides": chosen,
            "params": attempt.redactor.tree(plain(params)),
        }
    results |= outcome.results
    ruined: dict[str, str] = {}
    if came.result.ruined is not None:
        (when,) = tables.iso(came.bars.timestamp[came.result.ruined : came.result.ruined + 1])
        ruined = {manifest.RUINED: when}
        attempt.warn("account", manifest.RUINED, f"equity was at or below zero at {when}: closed there, for good")
    origin = _definition(attempt, git, bench, captured, described, marks)
    status = manifest.RUINED if ruined else "sealed"
    statement = predicate(attempt, status, origin, results | ruined, probe=found, builder="sweep")
    beside(statement, digests, kept_runs)
    told: dict[str, Any] = asked(came.config) | withheld(attempt.source) | ruined
    told |= parameters(attempt, params) if outcome.index is not None else {}
    told |= statement.doubts | attempt.findings() | attempt.reached() | facts(batch_on(attempt), rows)
    told |= {"code": captured.digest, "bars": len(came.bars)} | summary
    return attempt.directory.seal(statement, "sealed", **told)


def _probed(attempt: Attempt, bench: Bench, came: Came, read: Iterable[str]) -> Probe:
    """Ask the strategy again as the trial that was chosen had it, as a run does: does it look ahead?"""
    source, seed = attempt.source, came.config.run.seed
    attempt.source = msgspec.structs.replace(source, config=came.config)
    try:
        with attempt.stages.clock("strategy"):
            asking = Asking(bench.function, came.params, Watch(read), manner=bench.manner)
            seed_generators(seed)
            target = asking.first(bench.bars.apart())
        attempt.ran, attempt.starts = asking.watch.ran, asking.watch.starts
        asking.watch.ran = set()
        with attempt.stages.clock("probe"):
            return probed(attempt, bench.bars, asking, target, came.config.run.timeout_s)
    finally:
        attempt.source = source


def _write(attempt: Attempt, rows: Rows, outcome: Outcome) -> dict[str, str]:
    """Write the files, and return the sha256 of those that lie beside the sealed ones."""
    directory, came = attempt.directory, outcome.came
    write_config(attempt)
    directory.write("stats.json", [files.encode_json(came.figures.to_json_object())])
    directory.write("equity.csv", tables.series_csv(came.equity))
    if came.benchmark is not None:
        rows_of = came.outcome.prepared.benchmark_rows(came.config, came.benchmark)
        directory.write(benchmark.NAME, tables.series_csv(rows_of))
    try:
        directory.write("trades.parquet", [tables.trades_parquet(came.result.trades)])
    except ImportError as error:
        attempt.skip("trades.parquet", f"{error}; wrote trades.csv instead (just setup lake adds Parquet)")
        directory.write("trades.csv", tables.trades_csv(came.result.trades))
    for name, content in outcome.files.items():
        directory.write(name, [content])
    digests = _write_rows(attempt, rows, outcome.index)
    for name, content_for in outcome.beside.items():
        digests[name] = _write_beside(attempt, name, content_for(directory.run_id))
    return digests


def _write_rows(attempt: Attempt, rows: Rows, chosen: int | None) -> dict[str, str]:
    if why := table.write(attempt.directory, rows, chosen, attempt.source.config.run.seed, attempt.redactor):
        attempt.skip("trials.parquet", why)
    return {"durations.csv": _write_beside(attempt, "durations.csv", durations(rows))}


def _write_beside(attempt: Attempt, name: str, content: bytes) -> str:
    attempt.directory.write_beside(name, [content])
    return hashlib.sha256(content).hexdigest()


def _seal_failed(
    attempt: Attempt,
    git: provenance.GitQuestion,
    bench: Bench,
    rows: Rows,
    described: Mapping[str, Any],
    marks: Marks,
    error: RunError,
) -> None:
    """Seal a sweep of which nothing came as failed, with its rows."""
    told = {"stage": attempt.stages.now, "type": "RunError", "message": attempt.redactor.text(error.message)}
    write_config(attempt)
    attempt.directory.write(ERROR, [files.encode_json(told)])
    digests = _write_rows(attempt, rows, None)
    captured = code.capture(attempt, bench.function)
    code.write(attempt, captured)
    attempt.tidy()
    origin = _definition(attempt, git, bench, captured, described, marks)
    statement = predicate(attempt, "failed", origin, {}, told, builder="sweep")
    beside(statement, digests, ())
    more = asked(attempt.source.config) | withheld(attempt.source) | attempt.findings() | attempt.reached()
    attempt.directory.seal(statement, "failed", **more, **facts(batch_on(attempt), rows), **told)
    error.run_id = attempt.directory.run_id
    error.hint = error.hint or f"just show {error.run_id}"


def _definition(
    attempt: Attempt,
    git: provenance.GitQuestion,
    bench: Bench,
    captured: Code,
    described: Mapping[str, Any],
    marks: Marks,
) -> dict[str, Any]:
    config, made = attempt.source.config, source_digest(bench.function, attempt.root)
    return {
        "buildType": manifest.BUILD_OF[manifest.SWEPT],
        "externalParameters": attempt.redactor.tree(
            {
                "config": attempt.directory.sealed["config_snapshot.toml"],
                "overrides": plain(attempt.source.overrides),
                "name": config.run.name,
                "params": plain(config.strategy.params),
                "sweep": plain(dict(described)),
            }
        ),
        "internalParameters": {
            "seed": config.run.seed,
            "rules": RULES,
            "environment": environment(attempt.known) | {"threads": threads.held()},
            "sweep": marks.told,
        }
        | withheld(attempt.source),
        "resolvedDependencies": [
            *attempt.data,
            {"name": "strategy", "digest": known(sha256=made.get("sha256")), "annotations": made},
            captured.dependency(),
            git_state(git),
            {"name": "constraints.txt", "digest": known(sha256=provenance.pins(attempt.root))},
        ],
    }


def beside(statement: manifest.Predicate, digests: Mapping[str, str], kept_runs: Sequence[Kept]) -> None:
    """Note what varies: the digests of what lies beside the sealed files, and the runs that were kept."""
    statement.run_details["byproducts"] = [
        {"name": name, "digest": {"sha256": sha256}} for name, sha256 in digests.items()
    ]
    statement.run_details["metadata"]["kept"] = {str(one.trial): one.run_id for one in kept_runs}


def batch_on(attempt: Attempt) -> dict[str, str]:
    """Return what the trials of a sweep are made on, as the ledger calls it."""
    data = attempt.source.config.data
    return {"symbol": data.symbol, "timeframe": data.timeframe} | attempt.reached()


def facts(on: Mapping[str, str], rows: Rows) -> dict[str, Any]:
    """Return what the ledger's line tells of the trials: how many, on which bars, and how their ratios spread.

    Trials with the same digests are one result: they count as trials, and their ratio stands once. Those of folds count
    too, and their ratios do not: of so few bars they spread far wider than those of all, beside which they would stand.
    """
    first = duplicates(rows) < 0
    ratios = rows.of_stat("sharpe")[first & (rows.fold < 0)]
    known_ratios = ratios[np.isfinite(ratios)].tolist()
    count = len(known_ratios)
    mean = math.fsum(known_ratios) / count if count else 0.0
    variance = math.fsum((one - mean) ** 2 for one in known_ratios) / count if count else 0.0
    batch = {key: on.get(key, "") for key in ("symbol", "timeframe", "data", "unnamed")} | {
        "count": len(rows),
        "failed": len(rows.error),
        "results": int(np.count_nonzero(first)) - len(rows.error),
        "ratios": {"count": count, "mean": mean, "variance": variance},
    }
    batch |= {"best": max(known_ratios)} if known_ratios else {}
    failed = {"trials_failed": len(rows.error)} if rows.error else {}
    return {"kind": manifest.SWEPT, "trials": len(rows)} | failed | {"trials_on": [batch]}


def durations(rows: Rows) -> bytes:
    """Return durations.csv: how long each trial took, in seconds."""
    lines = (f"{at},{seconds:.6f}\n" for at, seconds in enumerate(rows.duration_s.tolist()))
    return ("index,duration_s\n" + "".join(lines)).encode()
