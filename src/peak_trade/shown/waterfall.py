"""Where a run's time went: its spans as rows on a time axis, warnings and errors in place, and as text for a terminal.

Spans of one trace, and of traces that overlap in time, share an axis; a report that was rendered an hour later has one
of its own, or the run would be a dot on it. `slowest` marks the slowest path, as `tree.Node` defines it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from msgspec import Struct

from peak_trade.shown.otlp import LEVELS, Log
from peak_trade.shown.telemetry import Telemetry
from peak_trade.shown.tree import Node, tree
from peak_trade.text import escaped

__all__ = [
    "Block",
    "Row",
    "as_json_object",
    "as_text",
    "blocks",
    "duration",
    "slowest_paths",
    "tick",
    "ticks",
]

NOT_WRITTEN = "(a span that was never written)"
_BAR = " ▏▎▍▌▋▊▉█"  # eighths
_LEAST, _MOST = 20, 0.4  # columns of a bar at least; share of the width that names get at most
_DEEPEST = 40  # levels that are indented
_NAME, _SAID = 200, 2_000  # characters of a span's name, and of what is said, at most
_STYLES = {"slowest": "1", "error": "31", "critical": "31", "warning": "33", "": "2"}


class Row(Struct, frozen=True, kw_only=True):
    """A line: a span (`node`), or text of a `level`: a log record, or the error of the span above it (`log` is None).

    Times in ms; `at_ms` counts from the start of its block. `part` is the process, where it is not that of the line
    above it in the tree.
    """

    depth: int
    text: str
    at_ms: float
    level: str = ""
    node: Node | None = None
    log: Log | None = None
    part: str = ""


class Block(Struct, frozen=True):
    """Rows on one time axis, from `start` to `end` in ns since 1970."""

    start: int
    end: int
    rows: list[Row]

    @property
    def ms(self) -> float:
        """The length of the axis."""
        return (self.end - self.start) / 1e6


def blocks(told: Telemetry, level: str = "warning") -> list[Block]:
    """Return the rows of a run in order, with the log records from `level` on (one of `otlp.LEVELS`)."""
    roots = tree(told.spans)
    chosen = [log for log in told.logs if log.level in LEVELS[LEVELS.index(level) :] or level == LEVELS[0]]
    known = {(node.trace_id, node.span_id) for root in roots for _, node in root.walk()}
    inside: dict[tuple[str, str], list[Log]] = {}
    outside: list[Log] = []
    for log in chosen:
        key = log.trace_id, log.span_id
        if key in known:
            inside.setdefault(key, []).append(log)
        else:
            outside.append(log)
    axes = _axes(roots) or [(log.time, outside[-1].time, []) for log in outside[:1]]
    starts = [bisect_left(outside, start, key=lambda log: log.time) for start, _, _ in axes]
    edges = [0, *starts[1:], len(outside)]  # what was logged before the first axis stands in it too
    return [
        Block(start, end, list(_rows(start, [*own, *outside[edges[number] : edges[number + 1]]], inside)))
        for number, (start, end, own) in enumerate(axes)
    ]


def slowest_paths(block: Block) -> list[list[tuple[str, float]]]:
    """Return the slowest path of each trace: the names of its steps, and what each took by itself, in ms."""
    paths: dict[str, list[tuple[str, float]]] = {}
    for row in block.rows:
        if row.node and row.node.slowest:
            paths.setdefault(row.node.trace_id, []).append((row.text, row.node.self_ms))
    return list(paths.values())


def _axes(roots: Sequence[Node]) -> list[tuple[int, int, list[Node]]]:
    """Return start, end and roots of each axis."""
    traces: dict[str, list[Node]] = {}
    for root in roots:
        traces.setdefault(root.trace_id, []).append(root)
    axes: list[tuple[int, int, list[Node]]] = []
    for own in traces.values():  # in order of their first root
        start, end = own[0].start, max(node.end for root in own for _, node in root.walk())
        if axes and start <= axes[-1][1]:
            first, until, before = axes[-1]
            before += own
            axes[-1] = (first, max(until, end), before)
        else:
            axes.append((start, end, [*own]))
    return axes


def _rows(start: int, top: Sequence[Node | Log], inside: dict[tuple[str, str], list[Log]]) -> Iterator[Row]:
    rest: list[tuple[int, str, Node | Log]] = [(0, "main", item) for item in _in_time(top)]
    while rest:
        depth, above, item = rest.pop()
        if isinstance(item, Log):
            said = item.message
            if item.exception and item.exception not in said:
                said = f"{said}: {item.exception}" if said else item.exception
            words = f"{item.logger}: {said}" if item.logger else said
            yield Row(
                depth=depth, text=_shortened(words, _SAID), at_ms=(item.time - start) / 1e6, level=item.level, log=item
            )
            continue
        part = item.span.part if item.span else above
        at = (item.start - start) / 1e6
        yield Row(
            depth=depth, text=_called(item), at_ms=at, node=item, part=part if part not in (above, item.name) else ""
        )
        error = item.span.error if item.span else ""
        if item.span and item.span.status == "error" and not any(_failed_so(child, error) for child in item.children):
            words = _shortened(error or "failed", _SAID)
            yield Row(depth=depth + 1, text=words, at_ms=(item.end - start) / 1e6, level="error")
        below = [*item.children, *inside.pop((item.trace_id, item.span_id), ())]
        rest += [(depth + 1, part, child) for child in _in_time(below)]


def _called(node: Node) -> str:
    """Return a span's name, and what tells it from others of that name."""
    if node.span is None:
        return NOT_WRITTEN
    details = [node.span.attributes.get(key) for key in ("file", "event")]
    return _shortened(" ".join([node.name, *(detail for detail in details if isinstance(detail, str))]), _NAME)


def _in_time(items: Sequence[Node | Log]) -> list[Node | Log]:
    """Return items in order of time, the last one first."""
    return sorted(items, key=lambda item: item.time if isinstance(item, Log) else item.start)[::-1]


def _failed_so(node: Node, error: str) -> bool:
    """Tell whether a span says the same of its end: an exception that passes through several is told once."""
    return bool(node.span and node.span.status == "error" and node.span.error == error)


# --- in words -----------------------------------------------------------------------------------------------------


def duration(ms: float) -> str:
    """Return a time as people read it.

    >>> duration(0.0421), duration(1.379), duration(123.44), duration(1_861.7), duration(125_000), duration(7.4e6)
    ('42 µs', '1.38 ms', '123.4 ms', '1.86 s', '2 min 05 s', '2 h 03 min')
    """
    if ms < 0.1:
        return f"{ms * 1e3:.0f} µs"
    if ms < 999.95:
        return f"{ms:.{2 if ms < 9.995 else 1}f} ms"
    if ms < 59_995:
        return f"{ms / 1e3:.2f} s"
    minutes, seconds = divmod(round(ms / 1e3), 60)
    return f"{minutes} min {seconds:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def ticks(ms: float, count: int = 4) -> list[float]:
    """Return 0 and the multiples of a round step up to `ms`, at most `count` of them.

    >>> ticks(123.4), ticks(0.0), ticks(1.9)
    ([0.0, 50.0, 100.0], [0.0], [0.0, 0.5, 1.0, 1.5])
    """
    if ms <= 0:
        return [0.0]
    power = math.floor(math.log10(ms / count))
    step = next(float(f"{base}e{power}") for base in (1, 2, 5, 10, 20) if base * 10.0**power * count >= ms)
    return [number * step for number in range(count + 1) if number * step <= ms]


def _moment(ns: int) -> str:
    """Return a time in UTC to the millisecond."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03}Z"


# --- as text ------------------------------------------------------------------------------------------------------


def as_text(
    told: Telemetry, *, level: str = "warning", width: int = 100, cut: bool = False, colour: bool = False
) -> str:
    """Return the waterfall of a run, `width` columns wide; `cut` shortens what is said to that width too."""
    found = blocks(told, level)
    paint = _painted if colour else lambda text, style: text
    nodes = [row for block in found for row in block.rows if row.node]
    room = min(max((len(_name(row)) for row in nodes), default=0), max(int(width * _MOST), _LEAST))
    digits = max((len(duration(row.node.duration_ms)) for row in nodes if row.node), default=0)
    columns = _Columns(room, digits, max(width - room - 2 * digits - 5, _LEAST), width if cut else None)
    lines = [told.folder]
    for number, block in enumerate(found):
        later = f", {duration((block.start - found[0].start) / 1e6)} after the first" if number else ""
        lines += ["", paint(f"{_moment(block.start)}{later}", "")]
        if any(row.node for row in block.rows):
            head = f"  {'':{room}} {'time':>{digits}} {'own':>{digits}} {_scale(block.ms, columns.bars)}"
            lines.append(paint(head.rstrip(), ""))
        lines += [paint(*_line(row, block, columns)) for row in block.rows]
        for path in slowest_paths(block):
            steps = ", ".join(f"{escaped(name)} {duration(ms)}" for name, ms in path)
            lines.append(paint(f"> slowest path, each by itself: {steps}", "slowest"))
    return "\n".join(lines)


class _Columns(NamedTuple):
    """How many columns names, times and bars have; `width` cuts what is said."""

    names: int
    digits: int
    bars: int
    width: int | None


def _painted(text: str, style: str) -> str:
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if style in _STYLES else text


def _indent(row: Row) -> str:
    return "  " * min(row.depth, _DEEPEST)


def _name(row: Row) -> str:
    return _indent(row) + escaped(row.text) + (f" [{escaped(row.part)}]" if row.part else "")


def _line(row: Row, block: Block, columns: _Columns) -> tuple[str, str]:
    """Return a row as a line, and its style."""
    if row.node is None:
        mark = "!" if row.level in LEVELS[3:] else "-"
        line = f"  {_indent(row)}{mark} {row.level or 'log'}: {escaped(row.text)}"
        return _shortened(line, columns.width or len(line)), row.level if row.level in _STYLES else ""
    node, name = row.node, _shortened(_name(row), columns.names)
    took, own = (f"{duration(ms):>{columns.digits}}" for ms in (node.duration_ms, node.self_ms))
    bar = _bar(row.at_ms, node.duration_ms, block.ms, columns.bars)
    failed = node.span and node.span.status == "error"
    line = f"{'>' if node.slowest else ' '} {name:{columns.names}} {took} {own} {bar}"
    return line, "error" if failed else "slowest" if node.slowest else "plain"


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


def _bar(at: float, ms: float, whole: float, columns: int) -> str:
    """Return a bar to the eighth of a column, at least an eighth wide, that ends within the columns."""
    if whole <= 0:
        return _BAR[1]
    first = min(int(at / whole * columns), columns - 1)
    eighths = min(max(round((at + ms) / whole * columns * 8) - first * 8, 1), (columns - first) * 8)
    return " " * first + _BAR[8] * (eighths // 8) + _BAR[eighths % 8].strip()


def _scale(ms: float, columns: int) -> str:
    """Return the labels of an axis, each beginning where it stands."""
    line = ""
    for value in ticks(ms):
        at = int(value / ms * columns) if ms else 0
        label = f"|{tick(value, ms)}"
        if at >= len(line) and at + len(label) <= columns:
            line = line.ljust(at) + label + " "
    return line.rstrip()


def tick(value: float, ms: float) -> str:
    """Return the label of a value on an axis of `ms`.

    >>> tick(0.0, 123.4), tick(50.0, 123.4), tick(1500.0, 2100.0)
    ('0', '50 ms', '1.5 s')
    """
    unit, of = ("s", 1e3) if ms >= 1e3 else ("ms", 1.0) if ms >= 0.1 else ("µs", 1e-3)
    return f"{value / of:g} {unit}" if value else "0"


# --- as JSON ------------------------------------------------------------------------------------------------------


def as_json_object(told: Telemetry, *, level: str = "warning") -> dict[str, Any]:
    """Return the waterfall as `--json` prints it: spans in the order of the tree with their depth, and log records."""
    rows = [row for block in blocks(told, level) for row in block.rows]
    return {
        "run_id": told.folder,
        "spans": [_span(row.node, row.depth) for row in rows if row.node],
        "logs": [_log(row.log) for row in rows if row.log],
        "skipped": told.skipped,
    }


def _span(node: Node, depth: int) -> dict[str, Any]:
    span = node.span
    return {
        "name": node.name if span else None,
        "depth": depth,
        "trace_id": node.trace_id,
        "span_id": node.span_id,
        "parent_span_id": (span.parent_span_id or None) if span else None,
        "run_id": span.run_id if span else None,
        "service": span.service if span else None,
        "part": span.part if span else None,
        "start": _moment(node.start),
        "start_ns": node.start,
        "duration_ms": node.duration_ms,
        "self_ms": node.self_ms,
        "slowest": node.slowest,
        "status": span.status if span else None,
        "error": (span.error or None) if span else None,
        "attributes": span.attributes if span else {},
    }


def _log(log: Log) -> dict[str, Any]:
    return {
        "time": _moment(log.time),
        "time_ns": log.time,
        "level": log.level,
        "logger": log.logger,
        "message": log.message,
        "exception": log.exception or None,
        "trace_id": log.trace_id or None,
        "span_id": log.span_id or None,
        "part": log.part,
        "attributes": log.attributes,
    }
