"""What came of a run that was made again, held against what was sealed: a verdict, what differs, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from peak_trade.errors import InputError
from peak_trade.evidence import tables
from peak_trade.evidence.manifest import Manifest
from peak_trade.trust import difference
from peak_trade.trust.difference import Cause, Difference, Input, Sealed
from peak_trade.trust.difference.causes import rank
from peak_trade.trust.difference.series import moved
from peak_trade.trust.replay.apart import End
from peak_trade.trust.replay.data import Data
from peak_trade.trust.replay.recorded import Recorded

__all__ = ["DIVERGED", "IDENTICAL", "TOLERANCE", "WITHIN_TOLERANCE", "described", "held", "same_text", "valued"]

IDENTICAL, WITHIN_TOLERANCE, DIVERGED = "IDENTICAL", "WITHIN_TOLERANCE", "DIVERGED"
TOLERANCE = 1e-9  # relative: what another processor or library may change
_NAMED = 5  # files
_FOLDER = re.compile(r"""(?<=, at )[^:]*/|(?<=['"(])/[^'"():]*/""")
_NOT_THERE = re.compile(r"strategy (file|module) .* does not exist|unknown strategy .*", re.DOTALL)  # of `strategies`
_OUTCOME = ("stats.json", "equity.csv", "benchmark.csv", "trades.csv", "trades.parquet")


def held(found: Recorded, bars: Data, end: End, made: Sealed | None) -> dict[str, Any]:
    """Return verdict, what differs, and why, as fields of a Replay."""
    if made is not None and not made.completed:
        _refuse_absent(found, made)
    if not found.sealed.completed:
        return _failed(found.sealed, end, made)
    if made is None:
        return {"verdict": DIVERGED, "error": end.message or "it left no evidence", "causes": [], "said": []}
    a, b = found.sealed.manifest, made.manifest
    others = sorted(name for name in _OUTCOME if a.files.get(name) != b.files.get(name))
    said = [f"every value is the same; other bytes: {', '.join(others)}"] if others else []
    if made.completed and not bars.changed and _same_digests(a, b) and _hold(found.sealed, others):
        return {"verdict": IDENTICAL, "causes": [], "said": [*said, *_other_code(found.sealed, made)]}
    exact = _by_days(difference.between(found.sealed, made), bars)
    if not made.completed:
        return {
            "verdict": DIVERGED,
            "error": made.error,
            "told": exact.told,
            "causes": _worth(exact.causes),
            "said": [],
        }
    if _same(exact, found.sealed, made, 0.0):
        said += _other_code(found.sealed, made)
        return {"verdict": IDENTICAL, "causes": _worth(exact.causes) if bars.changed else [], "said": said}
    loose = _by_days(difference.between(found.sealed, made, TOLERANCE), bars)
    verdict = WITHIN_TOLERANCE if _same(loose, found.sealed, made, TOLERANCE) else DIVERGED
    shown, causes, how = (exact if verdict == WITHIN_TOLERANCE else loose), exact.causes, exact.told
    if verdict == DIVERGED and exact.how == "rounding":  # of equity and trades: what is more than that is elsewhere
        causes = rank([cause.input for cause in causes], "figures", None)
        how = f"{how}, but for statistics"
    causes, said = _worth(causes), []
    if verdict == WITHIN_TOLERANCE:
        versions = [described(cause.input) for cause in causes if cause.input.kind == "environment"]
        said.append(
            f"no value moved by more than {TOLERANCE:g}; changed since: {'; '.join(versions) or 'nothing named'}"
        )
    return {
        "verdict": verdict, "bar": shown.bar, "trade": shown.trade, "told": how, "causes": causes, "said": said,
        "figures": _confirmable(shown, found.sealed, made),
    }  # fmt: skip


def _by_days(of: Difference, bars: Data) -> Difference:
    """Return a difference whose cause names the days of bars too, where fingerprints alone tell the month."""
    causes = [
        replace(cause, input=replace(cause.input, details=[*cause.input.details, *bars.days]))
        if cause.input.kind == "data" and bars.days
        else cause
        for cause in of.causes
    ]
    return replace(of, causes=causes)


def _failed(then: Sealed, end: End, made: Sealed | None) -> dict[str, Any]:
    """Return the same of a run that failed: does it fail again, and as it did?"""
    error = then.manifest.predicate.error or {}
    again = (made.manifest.predicate.error if made else None) or {}
    gone = {"Exited": end.gone, "Killed": end.gone, "TimeOut": end.late}.get(str(error.get("type")), False)
    if gone or _alike(error, again):
        return {"verdict": IDENTICAL, "causes": [], "said": [f"it fails as it did: {then.error}"]}
    if made is None and not (end.gone or end.late):  # what could not be written says nothing of the run
        raise InputError(
            f"it can't be made again: it left no evidence; {end.message}", hint="check the disk, and $TMPDIR"
        )
    causes = _worth(difference.between(then, made).causes) if made else []
    now = "" if made and made.completed else again.get("message") or end.message or "it left no evidence"
    return {"verdict": DIVERGED, "error": now, "causes": causes, "said": [f"it failed then: {then.error}"]}


def _alike(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Tell whether two errors are one: in which folder their files are is another matter, for sealed code has moved."""
    same = same_text(str(a.get("message")), str(b.get("message")))
    return bool(a and b) and a.get("type") == b.get("type") and same


def same_text(a: str, b: str) -> bool:
    """Tell whether two messages are one, but for the folders of files that they name."""
    return _FOLDER.sub("", a) == _FOLDER.sub("", b)


def _refuse_absent(found: Recorded, made: Sealed) -> None:
    """Raise InputError where a run fails because its code, or a package, is not here."""
    error = made.manifest.predicate.error or {}
    message, kind = str(error.get("message")), error.get("type")
    if _alike(found.sealed.manifest.predicate.error or {}, error):
        return
    names = {name[:at] for name in found.modules for at in [*(i for i, sign in enumerate(name) if sign == "."), None]}
    own = any(f"{name!r}" in message for name in names)
    gone = kind == "InputError" and _NOT_THERE.fullmatch(message)
    if gone or kind == "ModuleNotFoundError" or (kind == "ImportError" and not own):  # else a module lacks a name
        away = (found.code() or found.left_out) and (own or gone)  # what is sealed lies in the run
        raise InputError(
            f"the strategy can't be loaded here: {made.error}",
            hint="without --code here its sealed code is taken" if away else "--environment recorded has its packages",
        )


def _same_digests(a: Manifest, b: Manifest) -> bool:
    """Tell whether what came out is the same by the digests of its values, whatever the files are written as."""
    results = a.predicate.results, b.predicate.results
    values = [[one.get(key) for key in ("equity_digest", "trades_digest")] for one in results]
    files = [[one.files.get(name) for name in ("stats.json", "benchmark.csv")] for one in (a, b)]
    return None not in values[0] and values[0] == values[1] and files[0] == files[1]


def _hold(run: Sealed, others: Sequence[str]) -> bool:
    """Tell whether the digests of a run's values are those of its files, as far as a replay's bytes don't say so."""
    if "equity.csv" in others:
        return False
    if not any(name.startswith("trades.") for name in others):
        return True
    try:
        return tables.trades_digest(run.trades) == run.manifest.predicate.results.get("trades_digest")
    except InputError:  # in Parquet, which nothing reads here
        return True


def _other_code(a: Sealed, b: Sealed) -> list[str]:
    """Return what to say of code that is not what was sealed, where the same comes of both."""
    old, new = a.code_files, b.code_files
    if sorted(old.values()) == sorted(new.values()):  # it may lie elsewhere
        return []
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name)) if old and new else []
    shown = ", ".join(names[:_NAMED]) + (f" … and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    return [f"other code, which changes no value: {shown}"] if names else []


def _same(of: Difference, a: Sealed, b: Sealed, tolerance: float) -> bool:
    """Tell whether no bar, trade and statistic differs, and no trade went another way (older versions don't tell)."""
    if not (of.series and of.series.same and of.trades and of.trades.same) or _confirmable(of, a, b):
        return False
    ways = [(getattr(a.trades, name), getattr(b.trades, name)) for name in ("mae", "mfe")]
    return not any(moved(*both, tolerance, 1.0).any() for both in ways if both[0] is not None and both[1] is not None)


def _confirmable(of: Difference, a: Sealed, b: Sealed) -> list[difference.Figure]:
    """Return the statistics that differ, but for those that this version defines otherwise."""
    editions = [run.manifest.predicate.results.get("statistics", {}) for run in (a, b)]
    return [one for one in of.figures if editions[0].get(one.key, 1) == editions[1].get(one.key, 1)]


def _worth(causes: Sequence[Cause]) -> list[Cause]:
    """Return the causes that a reader is told: no labels, nor packages that only one of the processes had imported."""
    told = [cause for cause in causes if cause.input.kind != "label"]
    return [cause for cause in told if cause.input.kind != "environment" or None not in (cause.input.a, cause.input.b)]


def described(one: Input) -> str:
    """Return in a line what differs of what two runs were made from."""
    values = (
        "" if one.kind in ("code", "data", "repeatability") and one.details else f": {valued(one.a)} → {valued(one.b)}"
    )
    return f"{one.kind} {one.name}{values}"


def valued(value: Any) -> str:
    """Return a value as it is shown to people: a number to its last bit."""
    return "none" if value is None else repr(value) if isinstance(value, float) else str(value)
