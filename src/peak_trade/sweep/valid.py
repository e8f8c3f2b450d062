"""Which keys can be varied, and which combinations of their values a config and a strategy take: told before a start.

A combination is invalid where the config refuses it, or the strategy's parameters are not what it declares; of a
registered strategy also where that refuses them itself, such as a fast average that is not faster than the slow one,
for which it is asked about a few bars. What is invalid is named and left out: no trial, for nothing was looked at.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from peak_trade import strategies
from peak_trade.config import Source, changed
from peak_trade.errors import InputError
from peak_trade.market.bars import Bars
from peak_trade.redact import is_secret_key
from peak_trade.sweep.axes import PARAMS, Axis, Drawn, Range, Space

__all__ = ["MOST", "Invalid", "checked", "drawn", "judged"]

MOST = 1_000_000
"""Trials of one sweep."""
_VARIED = (PARAMS, "execution.", "sizing.", "stops.")
_BARS = 2
_NAMED = 3  # combinations of each reason


class Invalid(Struct):
    """Combinations that are left out for one kind of reason: that of the first, how many, and some further ones."""

    reason: str
    hint: str = ""
    count: int = 0
    further: list[dict[str, Any]] = []

    def as_text(self, of: int) -> str:
        """Return what is left out in a sentence.

        >>> Invalid("fast is 0, allowed: int in 1..9", "", 12, [{"strategy.params.fast": -1}]).as_text(200)
        '12 of 200 combinations are invalid and left out: fast is 0, allowed: int in 1..9; also fast=-1, …'
        """
        also = [" ".join(f"{key.removeprefix(PARAMS)}={value}" for key, value in one.items()) for one in self.further]
        also += ["…"] if self.count > len(also) + 1 else []
        is_are = "combination is" if of == 1 else "combinations are"
        head = f"{self.count:,} of {of:,} {is_are} invalid and left out: {self.reason}"
        return f"{head}; also {', '.join(also)}" if also else head


def checked(
    space: Space, draw: tuple[int, int] | None, source: Source, bars: Bars, function: Callable[..., Any]
) -> tuple[Space, list[Invalid]]:
    """Return the combinations that are valid, of all or of so many as are drawn (how many, seed); and what is not.

    Raises InputError where a key can't be varied, where there are too many, and where none is valid.
    """
    judge = judged(space.axes, source, bars, function)
    asked = space.size if draw is None else draw[0]
    if asked > MOST:
        raise InputError(
            f"{asked:,} combinations are more than the {MOST:,} trials of a sweep",
            hint="take larger steps, or --random N",
        )
    if draw is None:
        chosen = tuple(n for n in range(space.size) if judge.takes(space.numbered(n)))
    else:
        chosen = tuple(sorted(_drawn(space, *draw, judge)))
    invalid = sorted(judge.invalid.values(), key=lambda one: -one.count)
    if not chosen:
        raise InputError(f"none of the combinations is valid: {invalid[0].reason}", hint=invalid[0].hint)
    left_out = sum(one.count for one in invalid)
    whole = draw is None and not left_out
    return Space(space.axes, None if whole else chosen, draw, left_out), invalid


def drawn(
    axes: Sequence[Axis | Range], count: int, seed: int, source: Source, bars: Bars, function: Callable[..., Any]
) -> tuple[Drawn, list[Invalid]]:
    """Return so many valid combinations of axes of which some are ranges, and what is left out; raises as `checked`."""
    judge = judged(axes, source, bars, function)
    if count > MOST:
        raise InputError(f"{count:,} combinations are more than the {MOST:,} trials of a sweep", hint="draw fewer")
    found = Drawn.of(axes, count, seed, judge.takes)
    invalid = sorted(judge.invalid.values(), key=lambda one: -one.count)
    if not len(found):
        raise InputError(f"none of the combinations is valid: {invalid[0].reason}", hint=invalid[0].hint)
    return found, invalid


def judged(axes: Sequence[Axis | Range], source: Source, bars: Bars, function: Callable[..., Any]) -> Judge:
    """Return what tells whether a combination is valid; InputError where a key can't be varied, or nothing is valid."""
    for one in axes:
        _refuse(one.key)
    judge = Judge(source, bars.between(0, min(_BARS, len(bars))), function)
    ends = [(one.low, one.high) if isinstance(one, Range) else (one.values[0], one.values[-1]) for one in axes]
    some = [{one.key: end[at] for one, end in zip(axes, ends, strict=True)} for at in (0, 1)]
    errors = [judge.error(one) for one in some]
    if all(errors) and len({error.message for error in errors if error}) == 1:
        raise next(filter(None, errors))  # it says nothing of values: no combination is valid
    return judge


def _drawn(space: Space, count: int, seed: int, judge: Judge) -> list[int]:
    """Return so many numbers of valid combinations, or of all that there are, drawn by a seed."""
    size, ask = space.size, count
    while True:  # more are drawn than are asked for, until enough of them are valid
        judge.invalid.clear()
        found: list[int] = []
        for number in random.Random(seed).sample(range(size), min(ask, size)):
            if judge.takes(space.numbered(number)):
                found.append(number)
                if len(found) == count:
                    return found
        if ask >= size:
            return found
        ask *= 2


def _refuse(key: str) -> None:
    """Raise InputError for a key of the config that is the same for all trials."""
    if is_secret_key(key):
        raise InputError(f"{key} can't be varied: it looks like a secret", hint=f"--set {key}=… is for all trials")
    section = key.partition(".")[0]
    if section in ("run", "data", "strategy", "stats", "tracking", "lake") and not (
        key.startswith(_VARIED) or key == "run.seed"
    ):
        raise InputError(
            f"{key} can't be varied: trials are compared on the same bars, by the same statistics",
            hint=f"vary strategy.params, execution, sizing, stops or run.seed; --set {key}=… is for all trials",
        )


class Judge:
    """Says which combinations are valid, and remembers why others are not."""

    def __init__(self, source: Source, bars: Bars, function: Callable[..., Any]) -> None:
        self.source, self.bars, self.function = source, bars, function
        self.asks = source.config.strategy.name is not None  # a person's own code is run once the sweep has started
        self.invalid: dict[str, Invalid] = {}

    def error(self, overrides: dict[str, Any]) -> InputError | None:
        """Return why a combination is invalid; None where it is valid."""
        try:
            config = changed(self.source.config, overrides)
            params = strategies.check_params(self.function, config.strategy.params)
            if self.asks:
                self.function(self.bars, **params)
        except InputError as error:
            return error
        return None

    def takes(self, overrides: dict[str, Any]) -> bool:
        """Tell whether a combination is valid; one that is not is counted with those of the same kind of reason."""
        if (error := self.error(overrides)) is None:
            return True
        kind = re.sub(r"-?\d[\d.e]*", "", error.message)  # the values aside
        found = self.invalid.setdefault(kind, Invalid(error.message, error.hint))
        found.count += 1
        if 1 < found.count <= _NAMED:
            found.further.append(overrides)
        return False
