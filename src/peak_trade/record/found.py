"""Which map a table is of, and where its columns are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from msgspec import Struct, structs

from peak_trade.errors import InputError, did_you_mean
from peak_trade.market.lists.maps import simplified
from peak_trade.record.maps.form import NEEDS, Map
from peak_trade.record.sheets import Sheet
from peak_trade.text import escaped

__all__ = ["Found", "detect", "engines"]


class Found(Struct, eq=False):
    """A table with its map: `where` names its columns by ours, `strange` are those that the map does not know."""

    sheet: Sheet
    map: Map
    where: dict[str, str]
    strange: list[str]


def engines(maps: Iterable[Map]) -> list[str]:
    """Return the engines that maps are of, each once."""
    return list(dict.fromkeys(one.engine for one in maps))


def detect(sheet: Sheet, maps: Sequence[Map], engine: str = "") -> Found | None:
    """Return the table with the first map that it is of, by default whatever the engine; None where it is of none.

    What is of a particular engine comes before what is not. InputError where it is of two engines.
    """
    fitting = [found for one in maps if (engine in ("", one.engine) or not one.marks) and (found := fit(sheet, one))]
    particular = [found for found in fitting if found.map.marks]
    most = max((len(found.map.marks) for found in particular), default=0)
    best = [found for found in particular if len(found.map.marks) == most]
    if len(names := engines(found.map for found in best)) > 1:
        raise InputError(f"{sheet.name} may be of {' or of '.join(names)}", hint=f"--engine {names[0]}")
    return (best or fitting or [None])[0]  # type: ignore[list-item]


def fit(sheet: Sheet, one: Map) -> Found | None:
    """Return the table as one map has it; None where a mark or a needed column is not there."""
    if any(sheet.find((mark,)) is None for mark in one.marks):
        return None
    where = {ours: column for ours, names in one.columns.items() if (column := sheet.find(names)) is not None}
    if one.shape == "equity" and one.marks and "time" not in where:  # an index may have any name, and is the first
        first = next(iter(sheet.columns))
        if first not in where.values() and not _known(first, one):
            where["time"] = first
    if one.shape == "returns" and "returns" not in where and (alone := _alone(sheet, where)):
        return _of_one_column(sheet, one, where, alone)
    if any(need not in where for need in NEEDS[one.shape]):
        return None
    if one.shape == "positions":  # every other column is a symbol, but where one is the account itself
        account = sheet.find(
            ("equity", "value", "total", "portfolio_value", "balance", "nav", "pnl", "price", "amount")
        )
        return Found(sheet, one, where, []) if account is None and len(sheet.columns) > 2 else None
    understood = set(where.values())
    return Found(
        sheet, one, where, [name for name in sheet.columns if name not in understood and not _known(name, one)]
    )


def _of_one_column(sheet: Sheet, one: Map, where: dict[str, str], name: str) -> Found:
    """Return a series by what its values look like: those that are all above 1 are an account's, and no returns."""
    values = sheet.numbers(name)
    known = values[~np.isnan(values)]
    if len(known) and (known > 1).all():
        return Found(sheet, structs.replace(one, shape="equity"), where | {"equity": name}, [])
    return Found(sheet, one, where | {"returns": name}, [])


def _alone(sheet: Sheet, where: dict[str, str]) -> str | None:
    """Return the one column beside the times, whatever its name: a series is saved by the name of its frame."""
    rest = [name for name in sheet.columns if name != where.get("time")]
    return rest[0] if len(rest) == 1 and "time" in where else None


def _known(name: str, one: Map) -> bool:
    simple = simplified(name)
    for known in map(simplified, one.known):
        if simple == known or (known.endswith("*") and simple.startswith(known[:-1]) and "%" not in simple):
            return True
    return simple == ""  # an index without a name


def nearest(sheets: Sequence[Sheet], maps: Sequence[Map]) -> tuple[Map, list[str], float]:
    """Return the map that most columns of some table are of, which of those it needs are not there, and its share."""

    def lacks(sheet: Sheet, one: Map) -> list[str]:
        there = {ours for ours, names in one.columns.items() if sheet.find(names) is not None}
        lacking = [one.columns.get(need, (need,))[0] for need in NEEDS[one.shape] if need not in there]
        return list(dict.fromkeys([*lacking, *(mark for mark in one.marks if sheet.find((mark,)) is None)]))

    def share(sheet: Sheet, one: Map) -> float:
        needed = [*((mark,) for mark in one.marks), *(one.columns.get(need, (need,)) for need in NEEDS[one.shape])]
        return sum(sheet.find([name for name in names if name]) is not None for names in needed) / len(needed)

    sheet, one = max(((sheet, one) for sheet in sheets for one in maps), key=lambda pair: share(*pair))
    return one, lacks(sheet, one), share(sheet, one)


def _series(sheets: Sequence[Sheet]) -> list[str]:
    """Return the columns of a table of which the first is times and all the others are numbers; else nothing."""
    if len(sheets) != 1 or len(sheets[0].columns) < 3 or not sheets[0].rows:
        return []
    sheet = sheets[0]
    first, *rest = sheet.columns
    try:
        sheet.times([first], "", [])
        return rest if all((~np.isnan(sheet.numbers(name))).any() for name in rest) else []
    except InputError:
        return []


def unknown(name: str, sheets: Sequence[Sheet], maps: Sequence[Map], engine: str) -> InputError:
    """Return the error that a file without a map is: which is nearest, and what it lacks."""
    known = engines(maps)
    if engine and engine not in known:
        return InputError(f"no engine is called {escaped(engine, 40)}", hint=did_you_mean(engine, known))
    chosen = [one for one in maps if engine in ("", one.engine)]
    hint = f"--engine, one of {', '.join(known)}"
    if engine in ("", "vectorbt", "equity", "returns") and (series := _series(sheets)):
        shown = ", ".join(f"`{escaped(column, 40)}`" for column in series[:6])
        return InputError(
            f"{name} has {len(series)} columns beside its times, each a series of its own: {shown}",
            hint="keep one in a file, as frame.iloc[:, 0].rename('equity').to_csv('equity.csv'), and import them one by"
            " one; just record sees them all, each as a trial",
        )
    if not sheets:
        return InputError(f"{name} has no table that is known", hint=hint)
    one, lacking, share = nearest(sheets, chosen)
    columns = max(sheets, key=lambda sheet: sheet.rows).columns
    if not engine and (share < 0.5 or (share == 0.5 and len(columns) > 4)):  # half of a time and a value is no hint
        shown = ", ".join(f"`{escaped(column, 40)}`" for column in list(columns)[:6] if column)
        return InputError(
            f"{name} has columns of no engine that is known: {shown}",
            hint="names are read in English: export it with the program in English, or rename its columns"
            " (docs/ops/import.md)",
        )
    shown = ", ".join(f"`{escaped(lack, 40)}`" for lack in lacking[:5])
    return InputError(f"{name} is nearest to {one.engine}, {one.title}, and lacks {shown}", hint=hint)
