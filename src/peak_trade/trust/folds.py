"""Does what a parent tells of its folds, or of its splits and paths, follow from its trials?

Nothing is traded here: the rows that are sealed go through the same account that a search makes of the rows it has.
What a path came to, other than the parent's own, no table tells: that is left unchecked, and said.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Struct

from peak_trade.errors import RunError
from peak_trade.evidence import manifest, trials
from peak_trade.evidence.trials import Trials
from peak_trade.redact import MASK
from peak_trade.sweep import choice
from peak_trade.sweep.axes import Axis, Drawn
from peak_trade.sweep.choice import Choice
from peak_trade.sweep.cpcv import FIGURES, STATISTICS, Purged
from peak_trade.sweep.folds import Fold, Groups, Walk, Window
from peak_trade.sweep.rows import BLOCKS, KEYS, Rows
from peak_trade.sweep.walk_forward import WalkForward
from peak_trade.trust.verdict import Verdict, near

__all__ = ["check"]

_MOST = 1_000  # folds, or splits: more are never made
_Bar = Annotated[int, Meta(ge=0, lt=1 << 40)]
_Span = tuple[_Bar, _Bar]
_WRONG = (ValueError, LookupError, TypeError, ArithmeticError)


class _Window(Struct, frozen=True):
    bars: _Span
    begins: str = msgspec.field(name="from")
    ends: str = msgspec.field(name="to")

    def window(self) -> Window:
        return Window(*self.bars, self.begins, self.ends)


class _Fold(Struct, frozen=True):
    train: _Window
    test: _Window
    complete: bool


class _Walk(Struct, frozen=True):
    folds: Annotated[list[_Fold], Meta(min_length=1, max_length=_MOST)]


class _Group(_Window, frozen=True, kw_only=True):
    train: _Span


class _Groups(Struct, frozen=True):
    groups: Annotated[list[_Group], Meta(min_length=2, max_length=_MOST)]
    splits: Annotated[list[tuple[int, ...]], Meta(min_length=1, max_length=_MOST)]
    tested: int


def check(
    verdict: Verdict, table: Trials, plan: Mapping[str, Any], contents: Mapping[str, bytes], results: Mapping[str, Any]
) -> None:
    """Hold the files and the values of the manifest that tell of folds against the table of a parent.

    `table` has to have the rows that `plan` describes. Raises RunError where the manifest describes no folds.
    """
    if "walk_forward" in plan:
        files: tuple[str, ...] = ("folds.csv",)
    elif "cpcv" in plan:
        files = ("splits.csv", "paths.csv")
    else:
        return
    for name in files:
        if name not in contents:
            verdict.add(name, "a row for each of its folds or paths", "no such file")
            return
    if any(MASK in repr(table.overrides(at)) for at in range(len(table))):
        verdict.skip(" and ".join(files), "a parameter is masked")
        return
    try:
        if "walk_forward" in plan:
            _check_walk(verdict, table, plan, contents, results)
        else:
            _check_paths(verdict, table, plan, contents, results)
    except msgspec.ValidationError as error:
        raise RunError(f"{manifest.NAME} does not say on which bars trials were made: {error}") from None
    except _WRONG as error:
        verdict.add(" and ".join(files), "what follows from its trials", f"{type(error).__name__}: {error}"[:200])


def _check_walk(
    verdict: Verdict, table: Trials, plan: Mapping[str, Any], contents: Mapping[str, bytes], results: Mapping[str, Any]
) -> None:
    told = msgspec.convert(plan["walk_forward"], _Walk)
    for at, fold in enumerate(told.folds):
        if not fold.train.bars[0] < fold.train.bars[1] <= fold.test.bars[0] < fold.test.bars[1]:
            verdict.add(f"{manifest.NAME} fold {at}", "bars to choose on, and after them those to test on", "others")
            return
    folds = tuple(Fold(one.train.window(), one.test.window(), one.complete) for one in told.folds)
    walk = WalkForward(_space(table, len(folds)), Walk(folds), _choice(plan))
    growth = msgspec.json.decode(contents["stats.json"]).get("cagr")
    summary, rows = walk.account(_rows(table, None), growth)
    _check_values(verdict, f"{manifest.NAME} walk_forward", summary, results.get("walk_forward"))
    _check_file(verdict, "folds.csv", rows, contents)


def _check_paths(
    verdict: Verdict, table: Trials, plan: Mapping[str, Any], contents: Mapping[str, bytes], results: Mapping[str, Any]
) -> None:
    told = msgspec.convert(plan["cpcv"], _Groups)
    count = len(told.groups)
    for at, group in enumerate(told.groups):
        if not group.bars[0] <= group.train[0] < group.train[1] <= group.bars[1]:
            verdict.add(f"{manifest.NAME} group {at}", "bars of which some are to choose on", "others")
            return
    whole = 1 <= told.tested < count and math.comb(count, told.tested) <= _MOST
    if not whole or told.splits != list(itertools.combinations(range(count), told.tested)):
        verdict.add(f"{manifest.NAME} splits", f"every way to test {told.tested} of {count} groups", "others")
        return
    if not (blocks := trials.name_in(contents, trials.BLOCKS)):
        verdict.skip("splits.csv and paths.csv", "the sums of returns, by which splits choose, are not kept")
        return
    figures, config = (msgspec.json.decode(contents[name]) for name in ("stats.json", "config_snapshot.json"))
    rates = float(figures["periods_per_year"]), float(config.get("stats", {}).get("risk_free_rate", 0.0))
    windows = tuple(group.window() for group in told.groups)
    groups = Groups(windows, tuple(Window(*one.train, "", "") for one in told.groups), tuple(told.splits))
    chosen = _choice(plan)
    if chosen.statistic not in STATISTICS:
        verdict.add(f"{manifest.NAME} sweep", f"a choice by {' or '.join(STATISTICS)}", chosen.statistic)
        return
    sums = np.stack(trials.blocks(blocks, contents[blocks], len(table)), axis=1)
    purged = Purged(_space(table, count), groups, chosen, rates)
    came = [{key: _number(row.get(key)) for key in FIGURES} for row in _read("paths.csv", contents)]
    summary, splits, paths = purged.account(_rows(table, sums), came)
    _check_values(verdict, f"{manifest.NAME} cpcv", summary, results.get("cpcv"))
    _check_file(verdict, "splits.csv", splits, contents)
    for path in paths:
        if path["chosen"]:
            path |= {key: figures.get(key) for key in FIGURES}
        path["trades"] = None if path["trades"] is None else int(path["trades"])
    _check_file(verdict, "paths.csv", paths, contents)
    if len(paths) > 1:
        verdict.skip("paths.csv", "what the paths that are not the parent's own came to, only trading them again tells")


def _choice(plan: Mapping[str, Any]) -> Choice:
    statistic = plan.get("minimize") or plan.get("maximize")
    if statistic not in KEYS:
        raise ValueError(f"a choice by {str(statistic)[:60]!r}")
    return Choice(str(statistic), bool(plan.get("minimize")))


def _space(table: Trials, folds: int) -> Drawn:
    """Return the combinations, by the rows of the first window to choose on."""
    each = table.part.count("train") // folds
    keys = tuple(table.overrides(0))
    combinations = [table.overrides(at) for at in range(each)]
    return Drawn(tuple(Axis(key, ()) for key in keys), tuple(tuple(one[key] for key in keys) for one in combinations))


def _rows(table: Trials, blocks: np.ndarray[Any, np.dtype[np.float64]] | None) -> Rows:
    """Return a table as the rows that it was written from, but for digests and durations."""
    rows = Rows.blank(len(table))
    rows.overrides.extend(map(table.overrides, range(len(table))))
    rows.part.extend(table.part)
    rows.fold[:] = table.fold
    rows.error.update({int(at): table.error[at] for at in np.flatnonzero(table.failed)})
    for at, key in enumerate(KEYS):
        rows.values[:, at] = table.of_stat(key)
    if blocks is not None:
        rows.blocks[:] = blocks.reshape(-1, 2, BLOCKS)
    return rows


def _read(name: str, contents: Mapping[str, bytes]) -> list[dict[str, str]]:
    try:
        return list(csv.DictReader(io.StringIO(contents[name].decode(), newline=""), strict=True))
    except csv.Error as error:
        raise ValueError(f"{name}: {error}") from None


def _number(text: str | None) -> float | None:
    return float(text) if text else None


def _check_file(
    verdict: Verdict, name: str, rows: Sequence[Mapping[str, Any]], contents: Mapping[str, bytes]
) -> None:  # fmt: skip
    """Note each cell that is not what it should be; numbers as near as they are reckoned on any machine."""
    expected = list(csv.DictReader(io.StringIO(choice.csv(rows).decode(), newline="")))
    found = _read(name, contents)
    if len(found) != len(expected):
        verdict.add(name, f"{len(expected)} rows", len(found))
        return
    for at, (one, other) in enumerate(zip(expected, found, strict=True)):
        if one.keys() != other.keys():
            verdict.add(name, f"the columns {', '.join(one)}", ", ".join(map(str, other)))
            return
        for key, cell in one.items():
            if cell != other[key] and not near(_value(cell), _value(other[key])):
                verdict.add(f"{name} row {at} {key}", cell or "nothing", other[key] or "nothing")


def _value(cell: str | None) -> float | str | None:
    try:
        return float(cell or "")
    except ValueError:
        return cell


def _check_values(verdict: Verdict, where: str, expected: Mapping[str, Any], found: Any) -> None:
    if not isinstance(found, dict):
        verdict.add(where, "what its folds tell together", "nothing")
        return
    for key in sorted(expected.keys() | found.keys()):
        if not near(expected.get(key), found.get(key)):
            verdict.add(f"{where} {key}", expected.get(key), found.get(key))
