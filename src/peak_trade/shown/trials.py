"""The parent of a sweep for people: what was varied, what became of the trials, and the best of them.

What is shown is what the table says. Whether it is so is for `just verify` to tell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from peak_trade.errors import RunError
from peak_trade.evidence import door, manifest, trials
from peak_trade.evidence.trials import Trials
from peak_trade.text import counted, cut, figure, percentage

__all__ = ["described", "lines"]

_BEST = 5  # trials that are shown
_VALUES = 6  # of a key
_CELL, _LINE = 60, 160  # characters
_SHOWN = ("sharpe", "total_return", "max_drawdown", "trades")


def described(run_dir: Path, sealed: manifest.Manifest) -> dict[str, Any]:
    """Return what a parent says of its search: `plan`, counts of trials, the chosen one, the best, and what was kept.

    Where its table can't be read here, `unread` says why, and counts are those of the manifest.
    """
    predicate = sealed.predicate
    asked = predicate.build_definition.get("externalParameters")
    plan = asked.get("sweep") if isinstance(asked, dict) else None
    told: dict[str, Any] = {
        "plan": plan if isinstance(plan, dict) else {},
        "trials": predicate.results.get("trials"),
        "kept": {str(at): run_id for at, run_id in manifest.kept(sealed).items()},
    }
    name = trials.name_in(sealed.files)
    try:
        if not name:
            raise RunError("it has no table of trials")
        table = trials.read(name, door.read(run_dir, name, predicate.promised))
    except ImportError as error:
        return told | {"unread": f"{name}: {error}; hint: just setup lake"}
    except (RunError, OSError) as error:
        return told | {"unread": error.message if isinstance(error, RunError) else f"{name}: {error.strerror}"}
    failed, again = table.failed, table.duplicate_of >= 0
    return told | {
        "trials": len(table),
        "failed": int(failed.sum()),
        "duplicates": int(again.sum()),
        "chosen": _of(table, table.best) if table.best is not None else None,
        "best": [_of(table, at) for at in _best(table, told["plan"])],
        "errors": _errors(table),
    }


def _best(table: Trials, plan: Mapping[str, Any]) -> list[int]:
    """Return the rows that are best by what was asked, each result once; none of folds, whose bars are others each."""
    statistic, least = plan.get("minimize") or plan.get("maximize"), bool(plan.get("minimize"))
    values = table.of_stat(str(statistic))
    there = np.flatnonzero(np.isfinite(values) & (table.duplicate_of < 0) & (table.fold < 0))
    order = np.argsort(values[there] if least else -values[there], kind="stable")
    return [int(at) for at in there[order][:_BEST]]


def _of(table: Trials, at: int) -> dict[str, Any]:
    figures = table.statistics(at)
    fold = {"fold": int(table.fold[at]), "part": table.part[at]} if table.fold[at] >= 0 else {}
    return {"index": at, **fold, "overrides": table.overrides(at)} | {key: figures.get(key) for key in _SHOWN}


def _errors(table: Trials) -> dict[str, int]:
    """Return why trials failed, the most frequent reasons first, and how often each."""
    found: dict[str, int] = {}
    for error in table.error:
        if error:
            found[error] = found.get(error, 0) + 1
    return dict(sorted(found.items(), key=lambda one: -one[1])[:_BEST])


def lines(sweep: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return names and texts for a parent."""
    plan = sweep["plan"]
    found = [("search", cut(_search(plan), _LINE))] if plan else []
    if "unread" in sweep:
        many = counted(sweep["trials"], "trial") if type(sweep["trials"]) is int else "trials"
        return [*found, ("trials", f"{many}, not shown: {sweep['unread']}")]
    done = sweep["trials"] - sweep["failed"]
    parts = [f"{done:,} done"] + [
        f"{sweep[key]:,} {word}"
        for key, word in (("failed", "failed"), ("duplicates", "the same as others"))
        if sweep[key]
    ]
    kept = f"; {len(sweep['kept']):,} kept as runs" if sweep["kept"] else ""
    found.append(("trials", f"{counted(sweep['trials'], 'trial')}: {', '.join(parts)}{kept}"))
    found += [("failed", cut(f"{count:,}: {error}", _LINE)) for error, count in list(sweep["errors"].items())[:2]]
    if sweep["chosen"]:
        found.append(("chosen", _row(sweep["chosen"], {})))
    for at, one in enumerate(sweep["best"]):
        found.append(("best" if at == 0 else "", _row(one, sweep["kept"])))
    return found


def _search(plan: Mapping[str, Any]) -> str:
    """Return what was varied, and how, in a line."""
    grid = plan.get("grid")
    axes = [f"{_short(key)} {_values(values)}" for key, values in grid.items()] if isinstance(grid, dict) else []
    how = [f"{plan['random']:,} drawn"] if type(plan.get("random")) is int else []
    how += [name.replace("_", " ") for name in ("walk_forward", "cpcv", "optuna") if name in plan]
    how += [f"{plan['invalid']:,} invalid left out"] if type(plan.get("invalid")) is int and plan["invalid"] else []
    aim = next((f"{word} {cut(str(plan[word]), _CELL)}" for word in ("maximize", "minimize") if word in plan), "")
    return "; ".join(filter(None, [", ".join(axes), *how, aim]))


def _values(values: Any) -> str:
    if isinstance(values, dict):
        return f"{values.get('low')} to {values.get('high')}"
    if not isinstance(values, list):
        return "–"
    shown = [cut(str(value), _CELL) for value in values]
    return ", ".join(shown) if len(shown) <= _VALUES else f"{', '.join(shown[:2])}, …, {shown[-1]} ({len(shown)})"


def _short(key: str) -> str:
    return cut(key.removeprefix("strategy.params."), _CELL)


def _row(one: Mapping[str, Any], kept: Mapping[str, str]) -> str:
    named = cut(", ".join(f"{_short(key)}={value}" for key, value in one["overrides"].items()), _LINE)
    sharpe, total, depth = (one[key] for key in _SHOWN[:3])
    figures = f"sharpe {_number(sharpe)}, return {_percent(total)}, max drawdown {_percent(depth)}"
    fold = f", fold {one['fold']} {one['part']}" if "fold" in one else ""
    run_id = kept.get(str(one["index"]))
    return f"trial {one['index']}{fold}: {named}: {figures}{f'  {run_id[:8]}' if run_id else ''}"


def _number(value: Any) -> str:
    return figure(value) if isinstance(value, float | int) and math.isfinite(value) else "–"


def _percent(value: Any) -> str:
    return percentage(value) if isinstance(value, float | int) and math.isfinite(value) else "–"
