"""What answers that are no target mean: entries and exits, events; and which answers can't be a target at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from peak_trade.errors import RunError
from peak_trade.market.bars import COLUMNS, Bars, Floats
from peak_trade.strategies.checks import as_decisions, holds_bools

__all__ = ["TARGETS", "held_after", "refuse_another_order", "refuse_what_is_no_target"]

Flags = npt.NDArray[np.bool_]
TARGETS = ("target", "positions")
"""The signals that are fractions of equity themselves."""
_HELD = ("position", "positions", "pos")
_SAME = 1e-9
_DRIFTS = 3  # changes that the prices alone explain, to nine digits


def held_after(columns: Sequence[npt.NDArray[Any]], ties: str, count: int) -> Floats:
    """Return what is held after each of N bars: 1, 0 or, where shorts are entered, -1.

    One column is of events (1 enters, -1 leaves, 0 or nothing leaves all as it is); two are entries and exits, four
    those of longs and those of shorts. What is missing is no event. An entry on the other side turns the position.
    Where a bar both enters and leaves, `ties` says whether both are ignored, or which one counts.

    Raises RunError for other values, and for a tie where `ties` is empty.
    """
    if len(columns) == 1:
        events = _known(columns[0], (-1.0, 0.0, 1.0), "an event is 1 to enter, -1 to leave, or 0")
        return _followed(events > 0, events < 0, np.zeros(count, np.bool_), np.zeros(count, np.bool_))
    flags = [_known(column, (0.0, 1.0), "an entry or exit is true or false, or 1 or 0") > 0 for column in columns]
    for enter, leave in zip(flags[::2], flags[1::2], strict=True):
        _settle(enter, leave, enter & leave, ties, "both enters and leaves")
    if len(flags) == 2:
        flags += [np.zeros(count, np.bool_)] * 2
    both = flags[0] & flags[2]
    if both.any() and ties != "ignore":
        bar = int(np.argmax(both))
        raise RunError(
            f"the strategy enters a long and a short at bar {bar}, in all {np.count_nonzero(both)} such bars",
            hint='strategy.ties = "ignore" leaves all as it is there, as vectorbt and freqtrade do',
        )
    return _followed(flags[0] & ~both, flags[1], flags[2] & ~both, flags[3])


def _settle(enter: Flags, leave: Flags, both: Flags, ties: str, what: str) -> None:
    if not both.any():
        return
    if not ties:
        raise RunError(
            f"the strategy {what} at bar {int(np.argmax(both))}, in all {np.count_nonzero(both)} such bars, and nothing"
            " says which counts",
            hint='strategy.ties = "ignore" takes neither, as vectorbt and freqtrade do; "enter" and "leave" take one',
        )
    if ties != "enter":
        enter &= ~both
    if ties != "leave":
        leave &= ~both


def _followed(enter: Flags, leave: Flags, enter_short: Flags, leave_short: Flags) -> Floats:
    """Return what is held when each event is followed; entries come before exits of the same bar."""
    held, now = np.zeros(len(enter)), 0.0
    events = np.flatnonzero(enter | leave | enter_short | leave_short)
    states = []
    for at in events.tolist():
        if enter[at]:
            now = 1.0
        elif enter_short[at]:
            now = -1.0
        elif (now > 0 and leave[at]) or (now < 0 and leave_short[at]):
            now = 0.0
        states.append(now)
    if states:
        held[events[0] :] = np.repeat(states, np.diff(events, append=len(enter)))
    return held


def _known(column: npt.NDArray[Any], allowed: tuple[float, ...], what: str) -> Floats:
    values: Floats = np.where(np.isnan(column), 0.0, column)
    wrong = ~np.isin(values, allowed)
    if wrong.any():
        bar = int(np.argmax(wrong))
        raise RunError(
            f"the strategy returned {values[bar]:g} at bar {bar}; {what}",
            hint='strategy.signals says what it returns: "target" takes fractions of equity',
        )
    return values


def refuse_another_order(answer: object, bars: Bars) -> None:
    """Raise RunError of an answer of pandas whose index has the bars' times in another order: values go by place.

    Any other index is its author's matter, as times of another zone are, or those at which bars close.
    """
    stamps = bars.timestamp.astype("datetime64[ns]").view(np.int64)
    for one in answer if isinstance(answer, tuple) else (answer,):
        index = getattr(one, "index", None)
        times = getattr(index, "asi8", None)  # of times alone, in UTC
        if times is None or np.shape(times) != stamps.shape:
            continue
        times = np.array(times).view(f"datetime64[{getattr(index, 'unit', 'ns')}]")
        times = times.astype("datetime64[ns]").view(np.int64)
        if (times != stamps).any() and (np.sort(times) == stamps).all():
            raise RunError(
                "the strategy returned its values in another order than the bars, which are taken by their place",
                hint="return them by .sort_index()",
            )


def refuse_what_is_no_target(answer: object, bars: Bars, *, taken: object = None, drift_alone: bool = False) -> None:
    """Raise RunError of an answer that nothing is declared of and that can't be a target.

    `taken` is the one column of the answer that counts, if it has several.
    """
    values = answer if taken is None else taken
    if not drift_alone:
        _refuse_several(values, len(bars))
        if holds_bools(values):
            raise RunError(
                "the strategy returned true and false, which may say when to enter, or what to hold",
                hint='strategy.signals = "target" where true means hold; where it means enter, return (entries, exits) '
                'and set strategy.signals = "entries_exits"',
            )
    try:
        numbers = as_decisions(values, len(bars))
    except RunError:
        return  # which is told by who checks it
    if not drift_alone:
        _refuse_shifted(numbers)
        _refuse_called_position(values)
        _refuse_pulses(numbers)
    _refuse_drift(numbers, bars.close)


def _refuse_several(answer: Any, count: int) -> None:
    if isinstance(answer, tuple | list) and len(answer) in (2, 4) and all(np.shape(one) == (count,) for one in answer):
        raise RunError(
            f"the strategy returned {len(answer)} columns, and a target is one",
            hint='strategy.signals = "entries_exits" takes (entries, exits), and four with those of shorts',
        )
    names = getattr(answer, "columns", None)
    if names is not None or isinstance(answer, dict):
        listed = [str(name) for name in (answer if names is None else names)]
        more = [name for name in listed if name.lower() not in COLUMNS] or ["signal"]
        raise RunError(
            f"the strategy returned a {type(answer).__name__} of {', '.join(listed[:12]) or 'no columns'}, and a target"
            " is one column",
            hint=f'strategy.take = ["{more[-1]}"] says which one, and strategy.signals what it means',
        )


def _refuse_called_position(values: Any) -> None:
    """Refuse a column that its author calls a position: most are shifted by one, and nothing in the numbers tells."""
    name = getattr(values, "name", None)
    if isinstance(name, str) and name.lower() in _HELD:
        raise RunError(
            f"the strategy returned a column called {name!r}, which may be what is held through each bar, or what was "
            "decided at its close",
            hint='strategy.signals = "positions" where it was shifted by one bar, "target" where it was not',
        )


def _refuse_shifted(values: Floats) -> None:
    """Refuse what begins with one value that is not there, and has all others: so shifting by one leaves it."""
    if len(values) > 1 and np.isnan(values[0]) and np.isfinite(values[1:]).all():
        raise RunError(
            "the strategy's first value is missing and all others are there, as of a column that was shifted by one "
            "bar; as a target each would be a bar late a second time",
            hint='strategy.signals = "positions" where each value is held through its bar; where it was decided at the '
            "close of its bar, put a 0 first",
        )


def _refuse_pulses(values: Floats) -> None:
    """Refuse 1 and -1 that never stay for two bars, among zeros: they are events."""
    if not np.isin(values, (-1.0, 0.0, 1.0)).all():
        return
    some = values != 0
    stays = some[1:] & (values[1:] == values[:-1])
    if (values > 0).any() and (values < 0).any() and not stays.any() and 2 * np.count_nonzero(some) <= len(values):
        raise RunError(
            f"the strategy returned {np.count_nonzero(some)} values of 1 and -1 that each stay for one bar, with zeros "
            "between: as a target each would be a position of one bar",
            hint='strategy.signals = "events" where 1 enters and -1 leaves, "target" where each is held for one bar',
        )


def _refuse_drift(values: Floats, close: Floats) -> None:
    """Refuse weights that move as the price of what is held moves them: nothing was traded there."""
    with np.errstate(all="ignore"):
        before, after = values[:-1], values[1:]
        changed = np.abs(after - before) > _SAME
        growth = close[1:] / close[:-1]
        for lag in (0, 1):
            moved = growth if not lag else np.concatenate([[1.0], growth[:-1]])
            drifts = changed & (np.abs(before * moved / (1 + before * (moved - 1)) - after) <= _SAME)
            if (many := int(np.count_nonzero(drifts))) >= _DRIFTS and 2 * many >= np.count_nonzero(changed):
                bar = int(np.argmax(drifts)) + 1
                raise RunError(
                    f"the strategy returned weights that drift with the price, from bar {bar} on, {many:,} times: as a "
                    "target each would be traded",
                    hint="return each weight as it was decided and keep it until the next decision; weights that an "
                    "engine has held are evidence by `just record -- python your_script.py`",
                )
