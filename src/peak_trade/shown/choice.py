"""Which runs a person asks for: by strategy, symbol, age, and conditions on what a run is and was asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct

from peak_trade.errors import InputError, did_you_mean
from peak_trade.evidence import settings
from peak_trade.shown.listing import Row

__all__ = ["Choice", "Condition", "condition", "moment", "without_kept"]

_CONDITION = re.compile(r"\s*([^<>=!~\s][^<>=!~]*?)\s*(!=|<=|>=|==?|<|>|~)\s*(.*?)\s*", re.DOTALL)
_AGO = re.compile(r"-?(\d{1,6})\s*(min|[hdwy])")
_SPANS = {"min": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1),
          "y": timedelta(days=365)}  # fmt: skip
_HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda one, other: one == other,
    "!=": lambda one, other: one != other,
    "<": lambda one, other: one < other,
    ">": lambda one, other: one > other,
    "<=": lambda one, other: one <= other,
    ">=": lambda one, other: one >= other,
}


class Condition(Struct, frozen=True):
    """`KEY OP VALUE`, as a person wrote it."""

    key: str
    sign: str
    value: str

    def holds(self, facts: Mapping[str, Any]) -> bool:
        """Tell whether it is so of a run: numbers are compared as numbers, all else as text without regard to case.

        Of a run that has nothing of that name, only `!=` holds.
        """
        found = facts.get(self.key)
        if found is None:
            return (self.value.lower() in ("none", "")) == (self.sign == "=") if self.sign in ("=", "!=") else False
        if self.sign == "~":
            return _contains(_text(found), self.value)
        number = _number(self.value)
        if isinstance(found, int | float) and not isinstance(found, bool):
            return self.sign == "!=" if number is None else _HOLDS[self.sign](found, number)
        return _HOLDS[self.sign](_text(found).lower(), self.value.lower())


class Choice(Struct, frozen=True):
    """What a person asks of runs, all of which must hold; without anything it is every run."""

    strategy: str = ""
    symbol: str = ""
    since: datetime | None = None
    where: tuple[Condition, ...] = ()

    @classmethod
    def read(cls, strategy: str, symbol: str, since: str | None, where: Sequence[str]) -> Choice:
        """Return what the words of a command line ask; InputError where they are none."""
        start = None if since is None else moment(since, datetime.now(UTC))
        return cls(strategy, symbol, start, tuple(map(condition, where)))

    def of(self, listed: Sequence[Row]) -> list[Row]:
        """Return those of `listed`, in order; InputError for a condition on what no run has."""
        facts = [_facts(row) for row in listed] if self.where else [{}] * len(listed)
        for one in self.where:
            if listed and not any(one.key in known for known in facts):
                raise InputError(f"no run has a `{one.key}`", hint=did_you_mean(one.key, set().union(*facts)))
        start = "" if self.since is None else self.since.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return [
            row
            for row, known in zip(listed, facts, strict=True)
            if _contains(row.strategy, self.strategy)
            and _contains(row.symbol, self.symbol)
            and row.started >= start
            and all(one.holds(known) for one in self.where)
        ]


def _facts(row: Row) -> dict[str, Any]:
    """Return what can be asked of a run: its columns, its parameters by either name, and every key of its config."""
    known = {**settings.defaults(), **row.settings}
    last = {key.rpartition(".")[2]: value for key, value in known.items()}
    own = {key: value for key, value in row.to_json_object().items() if not isinstance(value, dict)}
    full = {f"strategy.params.{name}": value for name, value in row.params.items()}
    named = {"run.name": row.name, "strategy.name": row.strategy, "data.symbol": row.symbol,
             "data.timeframe": row.timeframe}  # fmt: skip
    return {**last, **row.params, **known, **full, **named, **own, "return": row.total_return}


def without_kept(listed: Sequence[Row], asked: Choice) -> list[Row]:
    """Return rows without the runs that were kept of a sweep, unless a condition speaks of these: `parent=…`."""
    if any(one.key in ("parent", "trial") for one in asked.where):
        return list(listed)
    return [row for row in listed if not row.parent]


def condition(text: str) -> Condition:
    """Read a condition.

    >>> condition("fast >= 10")
    Condition(key='fast', sign='>=', value='10')

    Raises InputError for what is none.
    """
    match = _CONDITION.fullmatch(text)
    if not match:
        raise InputError(
            f"{text!r} is no condition", hint='write KEY=VALUE, or with one of != < > <= >= ~ (contains): "sharpe>1"'
        )
    return Condition(match[1], match[2].replace("==", "="), match[3].strip("\"'"))


def _contains(text: str, part: str) -> bool:
    """Tell whether a text has a part, in capitals or not."""
    return part.lower() in text.lower()


def moment(text: str, now: datetime) -> datetime:
    """Return a time: ISO 8601, UTC unless it says otherwise, or so long before `now`, as `90min`, `12h`, `7d`, `2w`.

    Raises InputError for anything else.
    """
    try:
        if ago := _AGO.fullmatch(text.strip()):
            return now - int(ago[1]) * _SPANS[ago[2]]
        found = datetime.fromisoformat(text.strip())
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InputError(
            f"{text!r} is no time", hint="write 2026-11-28, 2026-11-28T09:30, or 7d for a week ago"
        ) from None


def _number(text: str) -> float | None:
    try:
        return float(text.removesuffix("%").rstrip().replace("_", "")) / (100 if text.endswith("%") else 1)
    except ValueError:
        return None


def _text(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
