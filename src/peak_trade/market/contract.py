"""The data contracts of bars and trades, enforced.

`contracts/ohlcv.odcs.yaml` and `contracts/trades.odcs.yaml` say the same in the Open Data Contract Standard, rule by
rule and word by word (a test holds them together), so that nothing here reads YAML.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from peak_trade.market.bars import Bars
from peak_trade.market.instants import iso
from peak_trade.market.timeframe import spacing, steps_fit
from peak_trade.market.trades import EXIT_REASONS, SIDES, Trades

__all__ = [
    "FATAL",
    "OHLCV_RULES",
    "SHOWN",
    "TRADES_RULES",
    "Rule",
    "Violation",
    "Violations",
    "check_ohlcv",
    "check_trades",
]

SHOWN = 20

Mask = npt.NDArray[np.bool_]


class Rule(NamedTuple):
    """A rule of a contract: the column it looks at and what must hold."""

    column: str
    must: str


PRICES = ("open", "high", "low", "close")

OHLCV_RULES = {
    "timestamp_present": Rule("timestamp", "must not be missing"),
    "timestamp_increasing": Rule("timestamp", "must be later than every bar before it"),
    "timestamp_unique": Rule("timestamp", "must not occur twice"),
    "timeframe_spacing": Rule("timestamp", "must be spaced, at the median, as the timeframe declares"),
    "open_positive": Rule("open", "must be finite and greater than 0"),
    "high_positive": Rule("high", "must be finite and greater than 0"),
    "low_positive": Rule("low", "must be finite and greater than 0"),
    "close_positive": Rule("close", "must be finite and greater than 0"),
    "high_highest": Rule("high", "must not be below open or close"),
    "low_lowest": Rule("low", "must not be above open or close"),
    "volume_not_negative": Rule("volume", "must be finite and not negative"),
}
# What the engine cannot survive, and no mode keeps: time that does not advance, a price that is none.
FATAL = frozenset(
    {"timestamp_present", "timestamp_increasing", "timestamp_unique", *(f"{price}_positive" for price in PRICES)}
)
BETWEEN_ROWS = frozenset({"timestamp_increasing", "timestamp_unique", "exits_ordered"})

TRADES_RULES = {
    "side_known": Rule("side", "must be long or short"),
    "entry_time_present": Rule("entry_time", "must not be missing"),
    "exit_not_before_entry": Rule("exit_time", "must be present and not before entry_time"),
    "exits_ordered": Rule("exit_time", "must not be before the exit of the trade before"),
    "entry_price_positive": Rule("entry_price", "must be finite and greater than 0"),
    "exit_price_positive": Rule("exit_price", "must be finite and greater than 0"),
    "quantity_positive": Rule("quantity", "must be finite and greater than 0"),
    "entry_fee_not_negative": Rule("entry_fee", "must be finite and not negative"),
    "exit_fee_not_negative": Rule("exit_fee", "must be finite and not negative"),
    "slippage_not_negative": Rule("slippage", "must be finite and not negative"),
    "pnl_finite": Rule("pnl", "must be finite"),
    "return_finite": Rule("return", "must be finite"),
    "bars_held_not_negative": Rule("bars_held", "must not be negative"),
    "exit_reason_known": Rule("exit_reason", f"must be one of {', '.join(EXIT_REASONS)}"),
    "mae_not_positive": Rule("mae", "must be finite and not above 0, where it is there"),
    "mfe_not_negative": Rule("mfe", "must be finite and not below 0, where it is there"),
}


class Violation(NamedTuple):
    """One breach: `row` counts from 0 and is None where the whole series is meant."""

    rule: str
    row: int | None
    column: str
    value: str
    must: str


class Violations(msgspec.Struct):
    """Every breach counted by rule; the first `SHOWN` of them, by row, in full.

    `rows` marks, with shape (N,), the rows broken in themselves: not those at fault only beside their neighbours;
    `masks` the rows at fault by each rule that is broken.
    """

    rows: Mask
    by_rule: dict[str, int] = {}
    first: list[Violation] = []
    masks: dict[str, Mask] = {}

    def __len__(self) -> int:
        return sum(self.by_rule.values())

    def lines(self, locate: Callable[[int], str] = lambda row: f"row {row}") -> list[str]:
        """Return each shown breach as a line of text, its row named by `locate`, and a last line for the rest."""
        lines = [
            f"{'' if found.row is None else locate(found.row) + ', '}column {found.column}: "
            f"{found.value} {found.must} ({found.rule})"
            for found in self.first
        ]
        rest = len(self) - len(lines)
        return [*lines, f"and {rest:,} more"] if rest else lines

    def _add(self, rules: dict[str, Rule], name: str, broken: Mask, values: npt.NDArray[Any]) -> None:
        count = int(np.count_nonzero(broken))
        if not count:
            return
        if name not in BETWEEN_ROWS:
            self.rows |= broken
        self.by_rule[name], self.masks[name] = count, broken
        rule = rules[name]
        for row in np.flatnonzero(broken)[:SHOWN]:
            self.first.append(Violation(name, int(row), rule.column, _text(values[row]), rule.must))

    def _finish(self) -> Violations:
        self.first.sort(key=lambda found: (found.row is not None, found.row or 0))
        del self.first[SHOWN:]
        return self


def check_ohlcv(bars: Bars) -> Violations:
    """Check bars against the OHLCV contract, each rule over whole columns.

    The spacing is judged from three bars on: two may stand either side of a weekend.
    """
    found = Violations(np.zeros(len(bars), bool))

    def add(name: str, broken: Mask, values: npt.NDArray[Any]) -> None:
        found._add(OHLCV_RULES, name, broken, values)

    times = bars.timestamp.view(np.int64)
    if len(bars) > 1 and not (times[1:] > times[:-1]).all():
        _, first_at = np.unique(times, return_index=True)
        repeated = np.ones(len(bars), bool)
        repeated[first_at] = False
        repeated &= ~np.isnat(bars.timestamp)
        latest = np.maximum.accumulate(times)
        add("timestamp_unique", repeated, bars.timestamp)
        add("timestamp_increasing", (times < latest) & ~np.isnat(bars.timestamp), bars.timestamp)
    add("timestamp_present", np.isnat(bars.timestamp), bars.timestamp)
    for name in PRICES:
        values = getattr(bars, name)
        add(f"{name}_positive", ~((values > 0) & (values < np.inf)), values)
    add("high_highest", bars.high < np.maximum(bars.open, bars.close), bars.high)
    add("low_lowest", bars.low > np.minimum(bars.open, bars.close), bars.low)
    add("volume_not_negative", ~((bars.volume >= 0) & (bars.volume < np.inf)), bars.volume)

    seconds = spacing(bars.timestamp) if len(bars) > 2 else None
    if seconds is not None and not steps_fit(bars.timeframe, bars.timestamp):
        rule = OHLCV_RULES["timeframe_spacing"]
        value = f"declared {bars.timeframe}, found {_duration(seconds)},"
        found.by_rule["timeframe_spacing"] = 1
        found.first.append(Violation("timeframe_spacing", None, rule.column, value, rule.must))
    return found._finish()


_OF_ALL = ("side_known", "exit_not_before_entry", "exits_ordered")


def check_trades(trades: Trades, *, gaps: bool = False) -> Violations:
    """Check closed trades against the trades contract, each rule over whole columns; NaN is an excursion not there.

    With `gaps` they are another engine's: what it does not say is NaN or -1, and what it says has its own conventions,
    as a fee that is a rebate. Side and the order of times are held in any case.
    """
    found = Violations(np.zeros(len(trades), bool))

    def add(name: str, broken: Mask, values: npt.NDArray[Any]) -> None:
        if gaps and name not in _OF_ALL:
            return
        if gaps and values.dtype.kind == "M":
            broken = broken & ~np.isnat(values)
        found._add(TRADES_RULES, name, broken, values)

    exits = trades.exit_time
    add("side_known", ~np.isin(trades.side, list(SIDES)), trades.side)
    add("entry_time_present", np.isnat(trades.entry_time), trades.entry_time)
    add("exit_not_before_entry", np.isnat(exits) | (exits < trades.entry_time), exits)
    add("exits_ordered", np.r_[False, exits[1:] < exits[:-1]][: len(trades)], exits)
    for name in ("entry_price", "exit_price", "quantity"):
        values = getattr(trades, name)
        add(f"{name}_positive", ~((values > 0) & (values < np.inf)), values)
    for name in ("entry_fee", "exit_fee", "slippage"):
        values = getattr(trades, name)
        add(f"{name}_not_negative", ~((values >= 0) & (values < np.inf)), values)
    add("pnl_finite", ~np.isfinite(trades.pnl), trades.pnl)
    add("return_finite", ~np.isfinite(trades.return_), trades.return_)
    add("bars_held_not_negative", trades.bars_held < 0, trades.bars_held)
    known = (trades.exit_reason >= 0) & (trades.exit_reason < len(EXIT_REASONS))
    add("exit_reason_known", ~known, trades.exit_reason)
    if trades.mae is not None:
        add("mae_not_positive", (trades.mae > 0) | np.isinf(trades.mae), trades.mae)
    if trades.mfe is not None:
        add("mfe_not_negative", (trades.mfe < 0) | np.isinf(trades.mfe), trades.mfe)
    return found._finish()


def _text(value: Any) -> str:
    return iso(value) if isinstance(value, np.datetime64) else str(value.item())


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if abs(seconds) >= size and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:g}s"
