"""What differs of what was asked and of what two runs were made from: each input by its kind, with both values.

A key that only one run's config has counts as the default that it has today: an older version did not know it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from peak_trade.config import UNSAID, Config
from peak_trade.evidence import code as codes
from peak_trade.evidence import manifest
from peak_trade.market import difference
from peak_trade.market.bars import Bars
from peak_trade.trust.difference import code
from peak_trade.trust.difference.sealed import Dependency, Sealed
from peak_trade.trust.difference.searches import plan

__all__ = ["KINDS", "Input", "flat", "inputs"]

KINDS = {
    "parameters": "a parameter of the strategy",
    "strategy": "which strategy, and how its answer is taken",
    "code": "a source file",
    "data": "the bars",
    "trading": "stops, shorts and how fills are made",
    "size": "money and sizing",
    "costs": "fees, slippage, borrowing",
    "seed": "the seed of random numbers",
    "rules": "the edition of the engine's rules",
    "environment": "versions, processor, linear algebra",
    "repeatability": "the strategy gives more than one answer",
    "figures": "how statistics are worked out",
    "label": "names, tags, where it is logged: nothing is computed from it",
}
"""What kinds of inputs there are. `causes` says which of them explains what."""

_KEYS = {
    "strategy.params": "parameters",
    "strategy": "strategy",
    "data.source": "label",
    "data.path": "label",  # the bars themselves are compared
    "data": "data",
    "record.command": "parameters",
    "record.engine": "strategy",
    "record.pick": "strategy",
    "record.inputs": "label",  # their content is compared
    "import.files": "label",
    "import": "strategy",
    "execution.fee_bps": "costs",
    "execution.slippage_bps": "costs",
    "execution.borrow_rate": "costs",
    "execution.initial_cash": "size",
    "execution": "trading",
    "sizing": "size",
    "stops": "trading",
    "stats": "figures",
    "run.seed": "seed",
    "run.holdout": "data",
}
"""Kinds by the longest start of a key's dotted name; any other is a label."""
Bars_ = Callable[[Sealed], Bars | None]


class Input(Struct, frozen=True):
    """One thing that two runs don't have in common; a value is None where that run has none.

    `details` are lines for people: of code those that changed, of data the days or months. `weak` says why it can't
    have changed a number, where that is plain from itself.
    """

    kind: str
    name: str
    a: Any
    b: Any
    details: list[str] = []
    weak: str = ""
    since: str | None = None


def inputs(a: Sealed, b: Sealed, bars: Bars_ | None = None, *, code: bool = True) -> list[Input]:
    """Return all that differs, in the order of `KINDS`, with `code` source files too; for `bars` see `between`."""
    found = [
        *_config(a, b),
        *_search(a, b),
        *(_code(a, b) if code else ()),
        *_data(a, b, bars),
        *_benchmark(a, b),
        *_materials(a, b),
        *_engine(a, b),
        *_making(a, b),
    ]
    order = list(KINDS)
    return sorted(found, key=lambda one: order.index(one.kind))


def _config(a: Sealed, b: Sealed) -> Iterator[Input]:
    before, after = flat(a.config), flat(b.config)
    registered = all(run.get("strategy.entrypoint") is None for run in (before, after))
    for key in dict.fromkeys([*before, *after]):
        old, new = before.get(key, _default(key)), after.get(key, _default(key))
        if old != new:
            kind = _kind(key)
            if any(_never_told(run, key, known) for run, known in ((a, before), (b, after))):
                continue
            if key == "stats.benchmark" and _digest_of(a) == _digest_of(b) is not None:
                kind = "label"  # the closes themselves are compared
            weak = "a registered strategy draws nothing by chance" if kind == "seed" and registered else ""
            yield Input(kind, key, old, new, weak=weak)


def _search(a: Sealed, b: Sealed) -> Iterator[Input]:
    """Yield what two sweeps searched otherwise: each axis, and how the best was chosen."""
    before, after = ({"search": plan(run)} if plan(run) else {} for run in (a, b))
    if not before or not after:
        return
    old, new = flat(before), flat(after)
    for key in dict.fromkeys([*old, *new]):
        if old.get(key) != new.get(key) and key not in (
            "search.chosen",
            "search.invalid",
        ):  # they follow from the others
            yield Input("parameters", key.replace("search.grid.", "search "), old.get(key), new.get(key))


def _never_told(run: Sealed, key: str, known: Mapping[str, Any]) -> bool:
    """Tell whether a run that failed did so before it could say what a key is: defaults of parameters, or all."""
    return not run.completed and key not in known and (not known or key.startswith("strategy.params."))


def flat(tree: Mapping[str, Any], below: str = "") -> dict[str, Any]:
    """Return the leaves of a tree by their dotted names."""
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{below}.{key}" if below else key
        leaves |= flat(value, name) if isinstance(value, dict) else {name: value}
    return leaves


@lru_cache(1_024)  # msgspec works the types of a section out anew each time it is asked for them
def _default(key: str) -> Any:
    """Return what a key has where a config does not name it; None where it has no default, or is none of ours."""
    if key in UNSAID:
        return UNSAID[key]
    section, _, name = key.partition(".")
    kind = next((field.type for field in msgspec.structs.fields(Config) if field.name == section), None)
    fields = msgspec.structs.fields(kind) if isinstance(kind, type) and issubclass(kind, Struct) else ()
    value = next((field.default for field in fields if field.name == name), None)
    return None if value in (UNSET, msgspec.NODEFAULT) else msgspec.to_builtins(value)


def _kind(key: str) -> str:
    words = key.split(".")
    starts = (".".join(words[:count]) for count in range(len(words), 0, -1))
    return next((_KEYS[start] for start in starts if start in _KEYS), "label")


def _code(a: Sealed, b: Sealed) -> Iterator[Input]:
    before, after = a.code_files, b.code_files
    if not (before and after):  # format 1 has no code inside: the strategy's own digest is all there is
        old, new = (one.digest.get("sha256") if (one := run.made.of("strategy")) else None for run in (a, b))
        if old != new and old and new:
            keeps = [run.name for run, files in ((a, before), (b, after)) if not files]
            verb = "does not hold its code" if len(keeps) == 1 else "do not hold their code"
            why = f"what changed can't be told: {' and '.join(keeps)} {verb}"
            yield Input("code", "the strategy's file", old[:12], new[:12], [why])
        return
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        texts = [_text(run, name, files) for run, files in ((a, before), (b, after))]
        details, weak = code.changes(*texts)
        yield Input("code", name, old and old[:12], new and new[:12], details, weak)


def _text(run: Sealed, name: str, files: Mapping[str, str]) -> str | None:
    """Return a file of code; None where the run has none of that name, or has it left out."""
    if name not in files or f"{codes.FOLDER}/{name}" not in run.manifest.files:
        return None
    return run.code(name).decode("utf-8", "replace")


def _data(a: Sealed, b: Sealed, bars: Bars_ | None) -> Iterator[Input]:
    several = [run.made.bars() for run in (a, b)]
    if any(len(known) > 1 for known in several):
        for symbol in sorted(several[0].keys() | several[1].keys()):
            one, other = (known.get(symbol) for known in several)
            if one is None or other is None or one.digest != other.digest:
                yield Input("data", f"bars of {symbol}", one and _bars(one), other and _bars(other))
        return
    before, after = (run.made.of("bars") for run in (a, b))
    if before is None or after is None or before.digest == after.digest:
        return
    found = difference.of_fingerprints(_marks(before), _marks(after))
    # symbol and timeframe are part of each digest: where they differ, all periods do, whatever the bars are
    alike = all(before.about.get(key) == after.about.get(key) for key in ("symbol", "timeframe"))
    if bars and alike and not (found.by == "day" and found.periods):
        pair = [bars(run) for run in (a, b)]
        if pair[0] is not None and pair[1] is not None:
            found = difference.of_bars(pair[0], pair[1])
    since = _since(found, before, after) if alike else None
    yield Input("data", "bars", _bars(before), _bars(after), _changes(found), since=since)


def _benchmark(a: Sealed, b: Sealed) -> Iterator[Input]:
    """Yield a benchmark whose file has other closes; of one file, as much as other bars need is no difference."""
    before, after = (run.made.of(manifest.BENCHMARK) for run in (a, b))
    if before is None or after is None or before.digest == after.digest:
        return
    if before.about.get("files") != after.about.get("files"):
        found = difference.of_fingerprints(_marks(before), _marks(after))
        name = f"benchmark {after.about.get('symbol')}"
        yield Input("figures", name, _bars(before), _bars(after), _changes(found))


def _digest_of(run: Sealed) -> str | None:
    """Return the fingerprint of a run's benchmark; None where it is no file."""
    made = run.made.of(manifest.BENCHMARK)
    return made.digest.get("sha256") if made else None


def _materials(a: Sealed, b: Sealed) -> Iterator[Input]:
    """Yield the files that commands read, or imports were made of, whose content differs."""
    before, after = (run.made.materials() for run in (a, b))
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old != new:
            yield Input("data", name, old and old[:12], new and new[:12])


def _engine(a: Sealed, b: Sealed) -> Iterator[Input]:
    """Yield what made the runs, where that is not the same: this program, or which engine of which version."""
    kinds = [run.manifest.predicate.kind for run in (a, b)]
    if kinds[0] != kinds[1]:
        yield Input("strategy", "what made the run", kinds[0], kinds[1])
    told = [run.manifest.predicate.results.get("engine") for run in (a, b)]
    before, after = (one if isinstance(one, dict) else {} for one in told)
    if before and after:
        for key, kind in (("name", "strategy"), ("version", "environment")):
            if before.get(key) != after.get(key):
                yield Input(kind, f"the engine's {key}", before.get(key), after.get(key))


def _changes(found: difference.Difference) -> list[str]:
    """Return what became of which days or months."""
    if not found.periods:
        return [f"one is fingerprinted by {found.by}, the other by another span: which days can't be told"]
    changes: dict[str, list[str]] = {}
    for one in found.periods:
        changes.setdefault(one.change, []).append(one.period)
    return [f"{change} {', '.join(_spans(periods))}" for change, periods in changes.items()]


def _since(found: difference.Difference, before: Dependency, after: Dependency) -> str | None:
    """Return from when on the bars are others: a day or month, or where one of them begins or ends."""
    known = [{str(one.about.get(end)) for one in (before, after)} for end in ("start", "end")]
    ends = [min(times) for times in known if len(times) == 2]  # at its end a run closes what is open
    cut = [one.period for one in found.periods if found.by != "bar" and any(end.startswith(one.period) for end in ends)]
    return min([*ends, *(one.period for one in found.periods if one.period not in cut)], default=None)


def _marks(bars: Dependency) -> dict[str, Any]:
    parts = bars.about.get("parts")
    known = {str(key): str(value) for key, value in parts.items()} if isinstance(parts, dict) else {}
    return {"digest": bars.digest.get("sha256"), "by": str(bars.about.get("by")), "parts": known}


def _bars(bars: Dependency) -> str:
    about = bars.about
    rows = about.get("rows")
    count = f"{rows:,}" if isinstance(rows, int) else "?"
    ends = (str(about.get(key))[:10] for key in ("start", "end"))
    return f"{count} bars, {' to '.join(ends)}"


def _spans(periods: list[str]) -> Iterator[str]:
    """Yield days or months as spans of those that follow each other in the list: the first few of them."""
    shown = periods[:6]
    yield from shown
    if len(periods) > len(shown):
        yield f"… {len(periods)} in all, to {periods[-1]}"


def _making(a: Sealed, b: Sealed) -> Iterator[Input]:
    inner = [run.made.internal_parameters for run in (a, b)]
    if inner[0].rules != inner[1].rules:
        yield Input("rules", "the engine's rules", inner[0].rules, inner[1].rules)
    before, after = (flat(one.environment) for one in inner)
    known = "distributions" in inner[0].environment, "distributions" in inner[1].environment
    for key in dict.fromkeys([*before, *after]):
        if key.startswith("distributions."):
            package = key.partition(".")[2]
            if not all(known) or package in before or package in after:  # named once, by its own key
                continue
        old, new = before.get(key), after.get(key)
        if any(not run.completed and value is None for run, value in ((a, old), (b, new))):
            continue  # what a run had not imported when it failed
        if old != new:
            yield Input("environment", key.removeprefix("distributions."), old, new)
    for run in (a, b):
        if run.manifest.predicate.repeatable is False:
            said = f"asked twice when it was sealed, the strategy of {run.name} gave two answers"
            yield Input("repeatability", f"the strategy of {run.name}", None, None, [said])
