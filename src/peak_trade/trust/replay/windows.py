"""What the account of a walk-forward or a cross-validation was traded by, window after window, as its parent says."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

import msgspec

from peak_trade.errors import InputError, RunError
from peak_trade.evidence.trials import DONE, Trials
from peak_trade.sweep.stitching import Leg
from peak_trade.trust import space
from peak_trade.trust.difference import Sealed

__all__ = ["is_carried", "legs_of"]


def is_carried(plan: Mapping[str, Any]) -> bool:
    """Tell whether positions are carried from one window to the next."""
    told = plan.get("walk_forward")
    return bool(isinstance(told, dict) and told.get("carry"))


def legs_of(parent: Sealed, plan: Mapping[str, Any], table: Trials) -> list[Leg]:
    """Return the windows, each with what it was traded by; none where a parent has no windows.

    Raises InputError where a file of the parent does not say it.
    """
    try:
        spans = space.traded(plan)
        traded: dict[tuple[int, str], dict[str, Any]] = {}
        for at, part in enumerate(table.part):
            if part == space.TEST and table.status[at] == DONE:
                traded[int(table.fold[at]), _text(table.overrides(at))] = table.overrides(at)
        if "cpcv" not in plan:
            by_fold = {fold: overrides for (fold, _), overrides in traded.items()}
            return [Leg(span, by_fold.get(at)) for at, span in enumerate(spans)]
        splits = {int(row["split"]): _overrides(row) for row in _rows(parent, "splits.csv")}
        path = next(row for row in _rows(parent, "paths.csv") if row["chosen"] == "true")
        of = [splits[int(split)] for split in path["splits"].split()]
        return [
            Leg(span, traded.get((at, _text(one))) if one is not None else None)
            for at, (span, one) in enumerate(zip(spans, of, strict=True))
        ]
    except (RunError, ValueError, LookupError, StopIteration, csv.Error) as error:
        raise InputError(
            f"{parent.name} does not say what its windows were traded by: {error}", hint=f"just verify {parent.name}"
        ) from None


def _rows(parent: Sealed, name: str) -> list[dict[str, str]]:
    content = parent.content(name)
    return list(csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True))


def _overrides(row: Mapping[str, str]) -> dict[str, Any] | None:
    if not row["params"]:
        return None
    params, settings = (msgspec.json.decode(row[key], type=dict[str, Any]) for key in ("params", "settings"))
    return {f"strategy.params.{key}": one for key, one in params.items()} | settings


def _text(overrides: Mapping[str, Any]) -> str:
    return msgspec.json.encode(overrides, order="sorted").decode()
