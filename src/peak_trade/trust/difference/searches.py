"""Two sweeps side by side: what was searched, how their trials spread, and trials of both that came to something else.

Trials are the same where what was varied has the same values, and fold and part are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from peak_trade.errors import InputError, RunError
from peak_trade.evidence import manifest, trials
from peak_trade.evidence.trials import Trials
from peak_trade.trust.difference.sealed import Sealed

__all__ = ["Search", "Searches", "plan", "searches", "table"]

_NAMED = 20  # trials that differ


class Search(Struct, frozen=True):
    """One sweep: its trials by what became of them, the ratios of its different results, and its best trial."""

    trials: int
    failed: int
    duplicates: int
    least: float | None
    median: float | None
    most: float | None
    best: dict[str, Any] | None


class Other(Struct, frozen=True):
    """A trial that both have, and that came to something else: the Sharpe ratios, or why it failed."""

    overrides: dict[str, Any]
    index_a: int
    index_b: int
    a: float | str | None
    b: float | str | None


class Searches(Struct, frozen=True):
    """Two sweeps: `common` are trials of both, `differ` how many of them came to something else, `others` the first."""

    a: Search
    b: Search
    common: int
    only_a: int
    only_b: int
    differ: int
    others: list[Other]


def plan(run: Sealed) -> dict[str, Any]:
    """Return what a sweep searched, as its manifest has it; nothing of another run."""
    if run.manifest.predicate.kind != manifest.SWEPT:
        return {}
    asked = run.manifest.predicate.build_definition.get("externalParameters")
    found = asked.get("sweep") if isinstance(asked, dict) else None
    return found if isinstance(found, dict) else {}


def table(run: Sealed) -> Trials:
    """Return a sweep's table; RunError where it has none, InputError where it can't be read here."""
    name = trials.name_in(run.manifest.files)
    if not name:
        raise RunError(f"{run.name} has no table of trials", hint=f"just verify {run.name}")
    try:
        return trials.read(name, run.content(name))
    except ImportError as error:
        raise InputError(f"{name} can't be read: {error}", hint="just setup lake") from None


def searches(a: Sealed, b: Sealed) -> Searches:
    """Compare two sweeps. Raises as `table` does."""
    first, second = table(a), table(b)
    places = {key: at for at, key in enumerate(_keys(first))}
    pairs = [(places[key], at) for at, key in enumerate(_keys(second)) if key in places]
    found = [(one, other) for one, other in pairs if _outcome(first, one) != _outcome(second, other)]
    return Searches(
        _search(first, plan(a)), _search(second, plan(b)), len(pairs), len(first) - len(pairs),
        len(second) - len(pairs), len(found),
        [
            Other(first.overrides(one), one, other, _told(first, one), _told(second, other))
            for one, other in found[:_NAMED]
        ],
    )  # fmt: skip


def _keys(of: Trials) -> Iterator[tuple[bytes, int, str]]:
    folds = of.fold.tolist()
    for at in range(len(of)):
        yield msgspec.json.encode(of.overrides(at), order="deterministic"), folds[at], of.part[at]


def _outcome(of: Trials, at: int) -> tuple[str, ...]:
    return of.status[at], of.equity_digest[at], of.trades_digest[at]


def _told(of: Trials, at: int) -> float | str | None:
    return of.error[at] or of.statistics(at).get("sharpe")


def _search(of: Trials, asked: Mapping[str, Any]) -> Search:
    ratios = of.of_stat("sharpe")[(of.duplicate_of < 0) & ~of.failed]
    known = ratios[np.isfinite(ratios)]
    least, median, most = (float(one) for one in np.quantile(known, (0.0, 0.5, 1.0))) if len(known) else (None,) * 3
    at = of.best
    best = (
        None if at is None else {"index": at, "overrides": of.overrides(at), "sharpe": of.statistics(at).get("sharpe")}
    )
    return Search(len(of), int(of.failed.sum()), int((of.duplicate_of >= 0).sum()), least, median, most, best)
