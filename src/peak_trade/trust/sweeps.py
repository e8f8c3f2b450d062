"""Does the table of a sweep's parent say what was asked for, all of it and nothing twice, and does all else follow?

A parent's own result is a run's, and is checked as one (`content`). Here is what it has beside: that each combination
that its manifest describes has its row, that a row is whole, that the chosen one is the best and is the parent's
result, and that the ledger's count of trials, and the spread of their ratios, are those of the table.
What only making a trial again can tell is for `just replay PARENT --trial N`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from peak_trade.errors import RunError
from peak_trade.evidence import door, manifest, trials
from peak_trade.evidence.ledger import Entry
from peak_trade.evidence.run_dir import BESIDE
from peak_trade.evidence.trials import Trials
from peak_trade.redact import MASK
from peak_trade.stats.values import Floats
from peak_trade.sweep.table import BLOCKED
from peak_trade.trust import folds, left_out, space
from peak_trade.trust.verdict import Verdict, near

__all__ = ["byproducts", "check", "check_batch", "check_commands", "ledger_batch", "plan_of", "read"]

_DIGEST = re.compile("[0-9a-f]{64}")
_CLOSE, _SMALL = 1e-9, 1e-3
_LARGEST = 1 << 30  # bytes of durations
COMMANDS = "commands.csv"


def read(sealed: manifest.Manifest, contents: Mapping[str, bytes]) -> Trials:
    """Return the table of a parent; RunError where there is none, or none that can be read, ImportError for Parquet."""
    name = trials.name_in(contents)
    if not name:
        raise RunError("the parent of a sweep has no table of trials")
    return trials.read(name, contents[name])


def check(
    verdict: Verdict, sealed: manifest.Manifest, contents: Mapping[str, bytes], table: Trials, equity: Floats,
    results_dir: Path,
) -> dict[str, Any]:  # fmt: skip
    """Hold a parent's table against its manifest, its own result and the runs that were kept of it in `results_dir`.

    Return what the ledger's line tells of it.
    """
    name, results = trials.name_in(contents), sealed.predicate.results
    _check_rows(verdict, name, table, _seed(sealed))
    plan = plan_of(sealed)
    verdict.compare(f"{manifest.NAME} trials", len(table), results.get("trials"))
    if "trials_failed" in results:
        verdict.compare(f"{manifest.NAME} trials_failed", int(table.failed.sum()), results["trials_failed"])
    space.check(verdict, name, table, plan)
    if space.has_one_best(plan) and "optuna" not in plan:
        left_out.check(verdict, name, plan, contents)
    _check_choice(verdict, name, table, plan, contents["stats.json"], results)
    _check_sums(verdict, table, equity, contents)
    if not verdict.findings:  # what would follow from rows that are wrong is wrong
        folds.check(verdict, table, plan, contents, results)
    _check_kept(verdict, name, table, sealed, results_dir)
    failed = int(table.failed.sum())
    return {"kind": manifest.SWEPT, "trials": len(table), "trials_failed": failed or None}


def check_commands(
    verdict: Verdict, sealed: manifest.Manifest, contents: Mapping[str, bytes], table: Trials, equity: Floats,
    results_dir: Path, end: Entry | None,
) -> dict[str, Any]:  # fmt: skip
    """Hold the table of a parent whose trials are a command's as `check` does; an engine may leave out a digest.

    A command may make many trials, and one that was cut short was begun: the ledger counts at least what its table has.
    """
    name, results = trials.name_in(contents), sealed.predicate.results
    plan = {key: value for key, value in plan_of(sealed).items() if key != "command"}
    _check_rows(verdict, name, table, -1, gaps=True)
    verdict.compare(f"{manifest.NAME} trials", len(table), results.get("trials"))
    space.check(verdict, name, table, plan)
    if sealed.predicate.completed:
        _check_choice(verdict, name, table, plan, contents["stats.json"], results)
    _check_sums(verdict, table, equity, contents)
    _check_kept(verdict, name, table, sealed, results_dir)
    made = _made(verdict, contents, len(table))
    found = end.fields.get("trials") if end else None
    return {"trials": found if type(found) is int and found >= made else made}


def _made(verdict: Verdict, contents: Mapping[str, bytes], count: int) -> int:
    """Return how many trials the commands of a parent have made, by the table that it has of them."""
    try:
        rows = list(csv.DictReader(io.StringIO(contents[COMMANDS].decode())))
        numbers = [int(row["index"]) for row in rows]
        made = sum(max(int(row["trials"]), 1) for row in rows)
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        verdict.add(COMMANDS, "a row for each trial", f"{type(error).__name__}: {error}"[:200])
        return count
    if numbers != list(range(count)):
        verdict.add(COMMANDS, f"a row for each of {count} trials", f"{len(numbers)} rows, or in another order")
    return made


def _seed(sealed: manifest.Manifest) -> Any:
    return sealed.predicate.build_definition["internalParameters"].get("seed")


def _rate(contents: Mapping[str, bytes]) -> float:
    config = msgspec.json.decode(contents["config_snapshot.json"])
    return float(config.get("stats", {}).get("risk_free_rate", 0.0))


def plan_of(sealed: manifest.Manifest) -> dict[str, Any]:
    """Return what a parent's manifest says was searched; RunError where it does not."""
    plan = sealed.predicate.build_definition["externalParameters"].get("sweep")
    if not isinstance(plan, dict):
        raise RunError(f"{manifest.NAME} does not say what was searched")
    return plan


def _check_rows(verdict: Verdict, name: str, table: Trials, seed: Any, *, gaps: bool = False) -> None:
    """Check that rows are numbered, and that each is whole: done with its digests, or failed with its reason.

    With `gaps`, a digest may be empty: of what an engine does not say.
    """
    count = len(table)
    _differ(verdict, name, "index", range(count), table.index.tolist())
    failed = table.failed
    for at in np.flatnonzero(failed).tolist():
        if not table.error[at]:
            verdict.add(f"{name} row {at} error", "why it failed", "nothing")
        if table.equity_digest[at] or table.trades_digest[at] or not np.isnan(table.values[at]).all():
            verdict.add(f"{name} row {at}", "no result of a trial that failed", "one")
    for at in np.flatnonzero(~failed).tolist():
        digests = table.equity_digest[at], table.trades_digest[at]
        if not all(_DIGEST.fullmatch(one) or (gaps and not one) for one in digests):
            verdict.add(f"{name} row {at}", "the digests of its equity and trades", " and ".join(digests) or "none")
        if table.error[at]:
            verdict.add(f"{name} row {at} error", "none of a trial that is done", table.error[at])
    same = table.first_of_results()
    _differ(verdict, name, "duplicate_of", same.tolist(), table.duplicate_of.tolist())
    for at in np.flatnonzero(same >= 0).tolist():
        one = int(same[at])
        known = bool(table.equity_digest[at])
        if known and not np.array_equal(table.values[one], table.values[at], equal_nan=True):
            verdict.add(f"{name} row {at}", f"the statistics of row {one}, whose digests it has", "others")
    seeds = [one.get("run.seed", seed) for one in table.settings]
    _differ(verdict, name, "seed", seeds, table.seed.tolist())
    for key in ("params", "settings"):
        column: list[dict[str, Any]] = getattr(table, key)
        if any(len(one) > 100 for one in column):
            verdict.add(f"{name} {key}", "at most 100 keys", "more")


def _differ(verdict: Verdict, name: str, column: str, expected: Any, found: Any) -> None:
    """Note each row in which a column is not what is expected; -1 stands for an empty cell."""
    for at, (one, other) in enumerate(zip(expected, found, strict=True)):
        if one != other:
            verdict.add(f"{name} row {at} {column}", "none" if one == -1 else one, "none" if other == -1 else other)


def _check_choice(
    verdict: Verdict, name: str, table: Trials, plan: Mapping[str, Any], figures: bytes, results: Mapping[str, Any]
) -> None:
    """Check that the chosen row is the best of all by what was asked, and that it is the parent's own result."""
    if not table.chosen.any():
        if space.has_one_best(plan):
            verdict.add(f"{name} chosen", "one row: that of the parent's result", "none")
        return
    if (count := int(table.chosen.sum())) != 1:
        verdict.add(f"{name} chosen", "one row: that of the parent's result", count)
    at = int(table.chosen.argmax())
    statistic = plan.get("minimize") or plan.get("maximize")
    if not isinstance(statistic, str) or statistic not in table.keys:
        verdict.add(f"{manifest.NAME} sweep", "a statistic by which the best is chosen", statistic)
    else:
        values = table.of_stat(statistic)
        first = np.where(table.first_of_results() < 0, values, np.nan)  # each result once
        best = space.best(first, least=bool(plan.get("minimize")))
        if best is not None and best != at:
            better, found = (f"row {one}, with {statistic} {float(values[one])!r}" for one in (best, at))
            verdict.add(f"{name} chosen", better, found)
    for key in ("equity_digest", "trades_digest"):
        verdict.compare(f"{name} row {at} {key}", results.get(key, ""), getattr(table, key)[at])
    told = results.get("chosen")
    told = told if isinstance(told, dict) else {}
    verdict.compare(f"{manifest.NAME} chosen index", at, told.get("index"))
    if MASK not in str(told.get("overrides")):
        verdict.compare(f"{manifest.NAME} chosen overrides", table.overrides(at), told.get("overrides"))
    written = msgspec.json.decode(figures)
    for key, value in table.statistics(at).items():
        if value != written.get(key):
            verdict.add(f"{name} row {at} {key}", written.get(key), value)


def _check_sums(verdict: Verdict, table: Trials, equity: Floats, contents: Mapping[str, bytes]) -> None:
    """Check the sums of returns, which are there of so many trials that they are kept of."""
    if name := trials.name_in(contents, trials.BLOCKS):
        _check_blocks(verdict, name, table, equity, contents, _rate(contents))
    elif len(table) <= BLOCKED:
        verdict.add(trials.BLOCKS[0], "the sums of the returns of each trial", "no such file")
    else:
        verdict.skip("statistics of trials", f"the sums of returns are not kept of more than {BLOCKED:,}")


def _check_blocks(
    verdict: Verdict, name: str, table: Trials, equity: Floats, contents: Mapping[str, bytes], rate: float
) -> None:  # fmt: skip
    """Check that the sums of returns are those of each trial's statistics, and of the chosen one's equity.

    `rate` is the risk-free one a year.
    """
    sums, squares = trials.blocks(name, contents[name], len(table))
    returns, per_year = table.of_stat("bars") - 1, table.of_stat("periods_per_year")
    volatility = table.of_stat("volatility")
    known = ~table.failed & (returns >= trials.PARTS) & ~np.isnan(volatility)
    with np.errstate(all="ignore"):
        mean, square = sums.sum(axis=1) / returns, squares.sum(axis=1)
        deviation = np.sqrt(np.maximum(square - returns * mean * mean, 0.0) / (returns - 1))
        expected = volatility / np.sqrt(per_year)
        wrong = known & ~(np.abs(deviation - expected) <= 1e-6 * np.abs(expected) + 1e-9)
        excess = mean - np.expm1(np.log1p(rate) / per_year)
        ratio = excess / expected * np.sqrt(per_year)
        off = np.abs(table.of_stat("sharpe") * volatility / per_year - excess)
        other = known & (volatility > 0) & ~(off <= _CLOSE * (np.abs(excess) + _SMALL))
    for at in np.flatnonzero(wrong).tolist():
        verdict.add(f"{name} row {at}", f"a volatility of {float(expected[at])!r} a bar", repr(float(deviation[at])))
    for at in np.flatnonzero(other & ~wrong).tolist():
        found = float(table.of_stat("sharpe")[at])
        verdict.add(f"{name} row {at}", f"a Sharpe ratio of {found!r}, as its trial has", repr(float(ratio[at])))
    if (best := table.best) is None or not known[best] or returns[best] != len(equity) - 1:
        return
    parts = np.array_split(equity[1:] / equity[:-1] - 1.0, trials.PARTS)
    for part, mine in enumerate(parts):
        for column, one, its in (
            ("sum", mine.sum(), sums[best, part]),
            ("square", (mine * mine).sum(), squares[best, part]),
        ):
            if not abs(one - its) <= _CLOSE * (abs(one) + _SMALL):
                verdict.add(f"{name} row {best} {column}_{part}", repr(float(one)), repr(float(its)))


def _check_kept(verdict: Verdict, name: str, table: Trials, sealed: manifest.Manifest, results: Path) -> None:
    """Check that runs that were kept, as far as they are here, have the digests that their rows have."""
    if manifest.unrepeatable(sealed):
        verdict.note("trials did not come to the same when they were run again, as its receipt says")
        return
    for at, run_id in manifest.kept(sealed).items():
        if not at < len(table):
            verdict.add(f"{manifest.NAME} kept {at}", f"a trial below {len(table)}", at)
            continue
        if not door.exists(results / run_id, manifest.NAME):
            continue
        try:
            run = manifest.decode(door.read(results / run_id, manifest.NAME)).predicate.results
        except (OSError, RunError):  # which is for the check of that run to say
            continue
        for key in ("equity_digest", "trades_digest"):
            row = getattr(table, key)[at]
            verdict.compare(f"{name} row {at} {key}", run.get(key, ""), row, f"of run {run_id[:8]}: ")


def ledger_batch(table: Trials) -> dict[str, Any]:
    """Return what a ledger's line tells of trials on one series: how many, and how the ratios of results spread."""
    first = (table.first_of_results() < 0) & ~table.failed
    ratios = table.of_stat("sharpe")[first & (table.fold == -1)]  # those of folds are of fewer bars
    known = ratios[np.isfinite(ratios)].tolist()
    mean = math.fsum(known) / len(known) if known else 0.0
    variance = math.fsum((one - mean) ** 2 for one in known) / len(known) if known else 0.0
    told = {
        "count": len(table),
        "failed": int(table.failed.sum()),
        "results": int(np.count_nonzero(first)),
        "ratios": {"count": len(known), "mean": mean, "variance": variance},
    }
    return told | ({"best": max(known)} if known else {})


def check_batch(verdict: Verdict, where: str, table: Trials, told: Any, called: Mapping[str, Any], data: str) -> None:
    """Hold what the ledger's line tells of the trials, `trials_on`, against the table."""
    if not isinstance(told, list) or len(told) != 1 or not isinstance(told[0], dict):
        verdict.add(f"{where} trials_on", "the trials of one series", told)
        return
    expected = {key: called[key] for key in ("symbol", "timeframe")} | {"data": data} | ledger_batch(table)
    for key in sorted((expected.keys() | told[0].keys()) - {"unnamed"}):  # nothing else tells of bars without a symbol
        one, other = expected.get(key), told[0].get(key)
        if not near(one, other):
            verdict.add(f"{where} trials_on {key}", one, other)


def byproducts(verdict: Verdict, run_dir: Path, sealed: manifest.Manifest) -> None:
    """Check that the files beside a parent, as that of durations, are those that its manifest names.

    What the manifest tells of them, and of the runs that were kept, but not as it is told, names nothing: a finding.
    """
    details, found = sealed.predicate.run_details, manifest.byproducts(sealed)
    if "byproducts" in details and not _is_whole(details["byproducts"], list, found):
        verdict.add(f"{manifest.NAME} byproducts", "the name and the sha256 of each", details["byproducts"])
    metadata = details.get("metadata")
    if isinstance(metadata, dict) and "kept" in metadata:
        if not _is_whole(metadata["kept"], dict, manifest.kept(sealed)):
            verdict.add(f"{manifest.NAME} kept", "the run_id of each trial that is a run", metadata["kept"])
    for name, expected in found.items():
        if BESIDE.get(name) == "a file":
            _check_beside(verdict, run_dir, name, expected)
        else:
            verdict.skip(f"{manifest.NAME} byproducts {name[:60]}", "this version knows no such file beside a run")


def _is_whole(told: Any, kind: type[list[Any] | dict[str, Any]], found: Mapping[Any, str]) -> bool:
    """Tell whether what stands there is of a kind, and was understood to the last of it."""
    return isinstance(told, kind) and len(told) == len(found)


def _check_beside(verdict: Verdict, run_dir: Path, name: str, expected: str) -> None:
    if not door.exists(run_dir, name):
        verdict.skip(name, "it is not here; nothing rests on it")
        return
    try:
        found = hashlib.sha256(door.read(run_dir, name, _LARGEST)).hexdigest()
    except OSError as error:
        verdict.add(name, f"sha256 {expected}", error.strerror)
    else:
        verdict.compare(name, expected, found, "sha256 ")
