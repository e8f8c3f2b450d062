"""A run's benchmark that is a file: found again, held against its fingerprint, and aligned with the run's bars anew."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from peak_trade.config import Config
from peak_trade.errors import InputError
from peak_trade.evidence import benchmark, manifest
from peak_trade.market import fingerprint, promised
from peak_trade.market.bars import Bars
from peak_trade.market.benchmark import Benchmark
from peak_trade.market.benchmark_file import read_benchmark
from peak_trade.stats.values import Floats, Times
from peak_trade.trust.kept import Kept
from peak_trade.trust.verdict import Verdict

__all__ = ["check", "dependency", "find"]

_CLOSE = 1e-9  # relative: as of all money


def dependency(sealed: manifest.Manifest) -> dict[str, Any] | None:
    """Return what the manifest says of a benchmark that is a file; None where the run has none."""
    parts = sealed.predicate.build_definition["resolvedDependencies"]
    return next((part for part in parts if part["name"] == manifest.BENCHMARK), None)


def check(
    verdict: Verdict, sealed: manifest.Manifest, config: Config, found: dict[str, Any], timestamp: Times, kept: Kept
) -> Floats | None:
    """Check the columns of benchmark.csv against each other and the file; return the equity at each bar, shape (N,).

    `timestamp` are the bars', shape (N,). None where the file is not there and there are more bars than rows.
    """
    closes, name = found[benchmark.BESIDE], benchmark.NAME
    with np.errstate(all="ignore"):  # what is no number agrees with nothing
        expected = config.execution.initial_cash * (closes / closes[0])
    verdict.agree(name, "equity", expected, found["equity"], _CLOSE * float(np.abs(found["equity"]).max(initial=0.0)))
    whole: Floats | None = found["equity"] if len(closes) == len(timestamp) else None
    beside = find(verdict, sealed, config, kept)
    if beside is None:
        return whole
    none = np.empty(len(timestamp))  # of prices and volume: only the times count
    bars = Bars(timestamp, none, none, none, none, none, symbol="", timeframe=config.data.timeframe)
    try:
        aligned = beside.closes(bars)
    except InputError as error:
        verdict.add(name, "a close at each bar", error.message)
        return whole
    verdict.agree(name, benchmark.BESIDE, aligned[benchmark.rows(timestamp)], closes, 0.0)
    with np.errstate(all="ignore"):  # as above: what came along may hold anything
        return beside.equity(bars, config.execution.initial_cash)


def find(verdict: Verdict, sealed: manifest.Manifest, config: Config, kept: Kept) -> Benchmark | None:
    """Return the benchmark of a run that has a file of one: what came along, else what its config names.

    None, and noted, where it is neither here nor what it was.
    """
    made = dependency(sealed)
    if made is None:
        verdict.add(manifest.NAME, f"the fingerprint of the benchmark {config.stats.benchmark}", "none")
        return None
    digest, about = made["digest"]["sha256"], made["annotations"]
    if (along := kept.along(verdict, digest, about["rows"])) is not None:
        return Benchmark(along, [], [])
    path = config.stats.benchmark_file
    if kept.root is None:
        return None
    folder = str(sealed.predicate.run_details.get("folder") or ".")
    try:
        paths = promised.find(path, [kept.root / folder, kept.root], about["files"], kept.results)
        stamps = tuple((path, info.st_mtime_ns, info.st_size) for path in paths for info in [os.stat(path)])
    except promised.Grown as error:
        kept.differ(verdict, path, "the files that the run read", error.message)
        return None
    except InputError as error:
        verdict.skip("the benchmark's file", error.message)
        return None
    try:
        start, end = (np.datetime64(about[key].removesuffix("Z"), "ns") for key in ("start", "end"))
        own = _read(stamps, config.stats.benchmark_name).between(start, end)
    except InputError as error:
        kept.differ(verdict, path, f"bars with the fingerprint {digest}", error.message.splitlines()[0])
        return None
    if (now := fingerprint.fingerprint(own.bars))["digest"] != digest:
        changed = fingerprint.compare(about, now)
        what = f", changed in {', '.join(changed[:6])}{' …' if len(changed) > 6 else ''}" if changed else ""
        kept.differ(verdict, path, f"fingerprint {digest}", f"fingerprint {now['digest']}{what}")
        return None
    return own


@lru_cache(maxsize=8)  # many runs have one
def _read(stamps: tuple[tuple[str, int, int], ...], name: str) -> Benchmark:
    """Return all of a benchmark; `stamps` tell when a file has changed."""
    return read_benchmark([Path(path) for path, *_ in stamps], name)
