"""A run against what was traded, on one screen."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from peak_trade.market.lists.fills import Trip
from peak_trade.market.trades import SIDES
from peak_trade.shown.listing import aligned
from peak_trade.text import counted, cut, figure, percentage
from peak_trade.trust.live.against import Against, at_time
from peak_trade.trust.live.gaps import PARTS, Pair

__all__ = ["as_text", "gap"]

_SHOWN, _WIDTH = 5, 80
_GAPS = {
    "entry_price": "entry price (+: worse)",
    "exit_price": "exit price (+: worse)",
    "entry_time": "entry time (+: later)",
    "exit_time": "exit time (+: later)",
    "size": "size",
    "fees": "fees (+: more)",
}


def as_text(found: Against, *, every: bool = False) -> str:
    """Return it as lines: one screen, unless `every` asks for each trade."""
    run, listed = found.run, found.listed
    data = run.config.get("data", {})
    span = f"{at_time(listed.trips[0].entry_time)[:10]} to {at_time(max(t.exit_time for t in listed.trips))[:10]}"
    head = aligned(
        [
            ("run", run.name, f"{data.get('symbol')} {data.get('timeframe')}", counted(len(run.trades), "trade")),
            ("live", listed.format, listed.symbol, f"{counted(len(listed.trips), 'trade')}, {span}"),
        ]
    )
    notes = (line for text in found.said for line in _folded(f"note: {text}"))
    lines = [head, *notes, "", *_folded(_counts(found))]
    if gaps := found.gaps():
        table: list[tuple[str, ...]] = [("gap", "median", "mean", "largest")]
        table += [
            (gap(name), *(gap(name, gaps[name][key], found.digits) for key in ("median", "mean", "worst")))
            for name in gaps
        ]
        lines += ["", aligned(table, right=(1, 2, 3))]
    lines += ["", _profit(found)]
    lines += _trades(found, every)
    return "\n".join(lines)


def _amount(value: float, digits: int) -> str:
    """Return an amount; one that no digit shows is 0, without a sign.

    >>> _amount(-0.001, 2), _amount(-0.01, 2)
    ('0.00', '-0.01')
    """
    text = figure(value, digits)
    return text if text.strip("-0.,") else text.lstrip("-")


def _folded(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, subsequent_indent="      ", break_on_hyphens=False)


def _counts(found: Against) -> str:
    said = f"{len(found.pairs):,} matched, {len(found.missing):,} missing (in the run alone), "
    said += f"{len(found.extra):,} extra (made alone)"
    beyond = [f"{count:,} of the {whose}" for count, whose in zip(found.outside, ("run", "list"), strict=True) if count]
    return said + (f"; beyond the time that both cover: {' and '.join(beyond)}" if beyond else "")


def gap(name: str, value: float | None = None, digits: int = 2) -> str:
    """Return what a gap is called, or a value of it in its unit.

    >>> gap("entry_price"), gap("entry_price", 0.00012), gap("size", -0.5)
    ('entry price (+: worse)', '+1.2 bps', '-50.00 %')
    """
    if value is None:
        return _GAPS[name]
    if name.endswith("price"):
        return f"{value * 1e4:+.1f} bps"
    if name.endswith("time"):
        return _span(value)
    value = 0.0 if abs(value) < 1e-9 else value
    return percentage(value) if name == "size" else _amount(value, digits)


def _span(seconds: float) -> str:
    """Return a span of time with its sign.

    >>> _span(-90.0), _span(7200.0), _span(0.25)
    ('-90 s', '+2 h', '+0.25 s')
    """
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if abs(seconds) >= 2 * length:
            return f"{seconds / length:+.3g} {unit}"
    return f"{seconds:+.3g} s"


def _profit(found: Against) -> str:
    scaled = f" (at {found.scale:.4g} times its sizes)" if found.scale != 1.0 else ""
    rows = [
        (f"profit of the run{scaled}", _amount(found.profit[0], found.digits)),
        ("profit that was made", _amount(found.profit[1], found.digits)),
        ("difference", _amount(found.difference, found.digits)),
    ]
    for name, value in found.explained.items():
        rows.append((f"  {PARTS[name]}", "?" if value is None else _amount(value, found.digits)))
    return aligned(rows, right=(1,))


def _trades(found: Against, every: bool) -> Iterable[str]:
    pairs = sorted(found.pairs, key=lambda one: -abs(one.difference))
    least = 1e-9 * max(map(abs, found.profit))
    most = None if every else _SHOWN
    kinds: Sequence[tuple[str, Sequence[Any], Callable[[Any, int], tuple[str, ...]]]] = (
        ("differ most", [one for one in pairs if abs(one.difference) > least], _pair),
        ("missing", _dearest(found.missing), _alone),
        ("extra", _dearest(found.extra), _alone),
    )
    for title, of, told in kinds:
        if of:
            yield ""
            rows = [told(one, found.digits) for one in of[:most]]
            yield f"{title}:"
            lines = aligned([[f"  {row[0]}", *row[1:]] for row in rows], right=(2, 3) if told is _pair else (2,))
            yield from (line if every else cut(line, _WIDTH) for line in lines.splitlines())
            if len(of) > len(rows):
                yield f"  and {len(of) - len(rows):,} more (--all)"


def _dearest(trips: Sequence[Trip]) -> list[Trip]:
    return sorted(trips, key=lambda one: -abs(one.pnl))


def _pair(one: Pair, digits: int) -> tuple[str, ...]:
    most = max(one.parts, key=lambda name: abs(one.parts[name]))
    return (
        SIDES[one.a.side], at_time(one.a.entry_time)[:16], _amount(one.a.pnl, digits),
        f"→ {_amount(one.b.pnl, digits)}", f"{PARTS[most]} {_amount(one.parts[most], digits)}",
    )  # fmt: skip


def _alone(one: Trip, digits: int) -> tuple[str, ...]:
    return (
        SIDES[one.side], f"{at_time(one.entry_time)[:16]} → {at_time(one.exit_time)[:16]}",
        _amount(one.pnl, digits), f"{one.quantity:.6g} at {one.entry_price:.7g} → {one.exit_price:.7g}",
    )  # fmt: skip
