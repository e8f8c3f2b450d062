"""What tells runs of one strategy apart: the parameters, settings and dates that are not the same in all of them.

A parameter that differs stands with each of the runs; anything else only where it is not what most of them have. The
bars (their file, their dates) are held against those of the same symbol and timeframe alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from peak_trade.evidence import settings
from peak_trade.text import one_line

__all__ = ["Asked", "differences", "said"]

_Found = tuple[int, str, dict[int, settings.Scalar]]  # how many values a key has, the key, and its value by run
_NONE: Any = object()
_DIGEST = 8  # characters of one that is shown


class Asked(Struct, frozen=True):
    """What a run was asked for, as the ledger tells it; `start` and `end` are its first and last bar.

    Every run has settings, its data's path among them: without any, nothing is known of it.
    """

    strategy: str
    symbol: str
    timeframe: str
    params: Mapping[str, settings.Scalar]
    settings: Mapping[str, settings.Scalar]
    start: str
    end: str
    data: str
    code: str


def differences(runs: Sequence[Asked]) -> list[dict[str, settings.Scalar]]:
    """Return, for each of `runs`, what differs from the others of its strategy, by name.

    Parameters come first, then other settings, the bars and the code; of each, what has the most values.
    """
    found: list[dict[str, settings.Scalar]] = [{} for _ in runs]
    strategies: defaultdict[Any, list[int]] = defaultdict(list)
    series: defaultdict[Any, list[int]] = defaultdict(list)
    for at, run in enumerate(runs):
        if run.strategy:
            strategies[run.strategy].append(at)
            series[run.strategy, run.symbol, run.timeframe].append(at)
    varying: list[_Found] = []
    for group in strategies.values():
        varying += _varying({at: runs[at].params for at in group}, always=True)
        varying += _varying({at: _settings(runs[at], of_bars=False) for at in group if runs[at].settings}, whole=True)
    for group in series.values():
        varying += _varying({at: _settings(runs[at], of_bars=True) for at in group if runs[at].settings}, whole=True)
        varying += _varying({at: _facts(start=runs[at].start, end=runs[at].end) for at in group})
        varying += _varying(_data({at: runs[at] for at in group}))
    for group in strategies.values():
        varying += _varying({at: _facts(code=runs[at].code[:_DIGEST]) for at in group})
    for _, key, values in varying:
        for at, value in values.items():
            found[at][key] = value
    return found


def said(differs: Mapping[str, settings.Scalar], *, briefly: bool = False) -> str:
    """Return what differs as words, the keys `briefly` without their section where that names them too.

    >>> said({"fast": 10, "execution.fee_bps": 2.0, "start": "2020-01-01T00:00:00Z", "short": True})
    'fast=10, execution.fee_bps=2, start=2020-01-01, short=true'
    >>> said({"scale": 10, "sizing.scale": 0.5, "execution.fee_bps": 2.0}, briefly=True)
    'scale=10, sizing.scale=0.5, fee_bps=2'
    """
    short = Counter(key.rpartition(".")[2] for key in differs)
    keys = {key: last if briefly and short[last := key.rpartition(".")[2]] == 1 else key for key in differs}
    return ", ".join(f"{keys[key]}={_word(value)}" for key, value in differs.items())


def _word(value: settings.Scalar) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:.10g}"
    return one_line(str(value).removesuffix("T00:00:00Z"))


def _settings(run: Asked, *, of_bars: bool) -> dict[str, settings.Scalar]:
    return {key: value for key, value in run.settings.items() if key.startswith("data.") == of_bars}


def _facts(**facts: str) -> dict[str, settings.Scalar]:
    return {key: value for key, value in facts.items() if value}


def _data(runs: Mapping[int, Asked]) -> dict[int, dict[str, settings.Scalar]]:
    """Return the fingerprints of bars that nothing else tells apart: the same dates, with other values."""
    alike: defaultdict[Any, set[str]] = defaultdict(set)
    for run in runs.values():
        if run.data and run.end:
            alike[run.start, run.end].add(run.data)
    return {
        at: _facts(data=run.data[:_DIGEST] if len(alike[run.start, run.end]) > 1 else "") for at, run in runs.items()
    }


def _varying(
    runs: Mapping[int, Mapping[str, settings.Scalar]], *, always: bool = False, whole: bool = False
) -> list[_Found]:
    """Return each key that is not the same in all runs that have it: how many values there are, and those to be shown.

    With `always` every value is shown, else those that are not what most have. With `whole`, a run without the key has
    its default, or none; else it is a run of which nothing is known, as one that failed.
    """
    found: list[_Found] = []
    usual = settings.defaults() if whole else {}
    for key in dict.fromkeys(key for own in runs.values() for key in own):
        values = {at: own.get(key, usual.get(key, _NONE)) for at, own in runs.items() if whole or key in own}
        counts = Counter(map(_identity, values.values())).most_common(2)
        if len(counts) < 2:
            continue
        most = counts[0][0] if counts[0][1] > counts[1][1] and not always else None
        shown = {at: value for at, value in values.items() if _identity(value) != most}
        shown = {at: None if value is _NONE else value for at, value in shown.items() if most or value is not _NONE}
        found.append((len(set(map(_identity, values.values()))), key, shown))
    return sorted(found, key=lambda one: -one[0])


def _identity(value: Any) -> tuple[str, Any]:
    """Return what makes a value another: 1 and 1.0 are the same, 1 and true are not."""
    return ("number", value) if type(value) in (int, float) else (type(value).__name__, value)
