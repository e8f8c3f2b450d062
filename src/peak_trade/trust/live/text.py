"""A run against what was traded, on one screen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from peak_trade.market.lists.fills import Trip
from peak_trade.market.trades import SIDES
from peak_trade.shown.listing import aligned
from peak_trade.text import counted, figure, percentage
from peak_trade.trust.live.against import Against, at_time
from peak_trade.trust.live.gaps import PARTS, Pair

__all__ = ["as_text", "gap"]

_SHOWN = 5
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
    lines = [head, *(f"note: {text}" for text in found.said), "", _counts(found)]
    if gaps := found.gaps():
        table: list[tuple[str, ...]] = [("gap", "median", "mean", "largest")]
        table += [(gap(name), *(gap(name, gaps[name][key]) for key in ("median", "mean", "worst"))) for name in gaps]
        lines += ["", aligned(table, right=(1, 2, 3))]
    lines += ["", _profit(found)]
    lines += _trades(found, every)
    return "\n".join(lines)


def _counts(found: Against) -> str:
    said = f"{len(found.pairs):,} matched, {len(found.missing):,} missing (in the run alone), "
    said += f"{len(found.extra):,} extra (made alone)"
    beyond = [f"{count:,} of the {whose}" for count, whose in zip(found.outside, ("run", "list"), strict=True) if count]
    return said + (f"; beyond the time that both cover: {' and '.join(beyond)}" if beyond else "")


def gap(name: str, value: float | None = None) -> str:
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
    return percentage(value) if name == "size" else figure(value)


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
        (f"profit of the run{scaled}", figure(found.profit[0])),
        ("profit that was made", figure(found.profit[1])),
        ("difference", figure(found.difference)),
    ]
    for name, what in PARTS.items():
        value = found.parts[name]
        if value or (name.endswith("timing") and not found.timed and found.pairs):
            rows.append((f"  {what}", figure(value) if found.timed or "timing" not in name else "?"))
    return aligned(rows, right=(1,))


def _trades(found: Against, every: bool) -> Iterable[str]:
    pairs = sorted(found.pairs, key=lambda one: -abs(one.difference))
    for title, lines in (
        ("differ most", [_pair(one) for one in pairs if one.difference]),
        ("missing", _alone(found.missing)),
        ("extra", _alone(found.extra)),
    ):
        if lines:
            yield ""
            shown = lines if every else lines[:_SHOWN]
            yield f"{title}:"
            yield from (f"  {line}" for line in shown)
            if len(lines) > len(shown):
                yield f"  and {len(lines) - len(shown):,} more (--all)"


def _pair(one: Pair) -> str:
    most = max(one.parts, key=lambda name: abs(one.parts[name]))
    return (
        f"{SIDES[one.a.side]} from {at_time(one.a.entry_time)}: {figure(one.a.pnl)} → {figure(one.b.pnl)}, "
        f"most of it: {PARTS[most]} ({figure(one.parts[most])})"
    )


def _alone(trips: Sequence[Trip]) -> list[str]:
    return [
        f"{SIDES[one.side]} from {at_time(one.entry_time)} to {at_time(one.exit_time)}, {one.quantity:.6g} at "
        f"{one.entry_price:.10g} → {one.exit_price:.10g}: {figure(one.pnl)}"
        for one in sorted(trips, key=lambda one: -abs(one.pnl))
    ]
