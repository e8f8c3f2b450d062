"""Where the time went: the spans of the run's telemetry as a waterfall, with warnings and errors in place.

Telemetry is not sealed, and a run may have none: then the report says nothing of it. The rows are `just trace`'s.
"""

from __future__ import annotations

from peak_trade.report.markup import cell, counted, table, text
from peak_trade.report.run import RunFiles
from peak_trade.shown import waterfall
from peak_trade.shown.otlp import LEVELS
from peak_trade.shown.waterfall import Block, Row

__all__ = ["there", "timing"]

_SHOWN, _STEPS = 500, 50  # rows, and steps of a path; a run makes some twenty
_LEAST = 0.25  # percent of the axis: a bar that is thinner would not be seen


def there(run: RunFiles) -> bool:
    """Tell whether a run has telemetry that can be read."""
    return bool(run.telemetry.spans or run.telemetry.logs)


def timing(run: RunFiles) -> str:
    """Every span on a time axis, how long it took, and how long without those that it started."""
    blocks = waterfall.blocks(run.telemetry)
    rows = [row for block in blocks for row in block.rows]
    parts, left = [], _SHOWN
    for block in blocks:
        if not left:
            break
        if block is not blocks[0]:
            later = waterfall.duration((block.start - blocks[0].start) / 1e6)
            parts.append(f'<p class="note">{later} after the first:</p>')
        parts.append(_table(block, left))
        for path in waterfall.slowest_paths(block):
            steps = ", ".join(f"{text(name)} {waterfall.duration(ms)}" for name, ms in path[:_STEPS])
            steps += ", …" if len(path) > _STEPS else ""
            parts.append(f"<p>▸ The slowest path, each step by itself: {steps}.</p>")
        left = max(left - len(block.rows), 0)
    notes = ["Own is the time in which nothing that the step had started was under way."]
    if len(rows) > _SHOWN:
        notes.append(f"The first {_SHOWN:,} of {len(rows):,} rows are shown.")
    if run.telemetry.skipped:
        notes.append(f"{counted(run.telemetry.skipped, 'line')} of the telemetry can't be read.")
    words = f"{' '.join(notes)} From the run's telemetry, which the seal does not cover."
    return "".join(parts) + f'<p class="note">{words}</p>'


def _table(block: Block, most: int) -> str:
    if not any(row.node for row in block.rows):
        rows = [[_said(row)] for row in block.rows[:most]]
        return table(["Log"], rows, label="What was logged", name="waterfall")
    rows = [_step(row, block) if row.node else [_said(row)] for row in block.rows[:most]]
    return table(["Step", "Time", "Own", _axis(block)], rows, label="Where the time went", name="waterfall")


def _step(row: Row, block: Block) -> list[str]:
    node = row.node
    assert node is not None
    mark = '<span role="img" aria-label="on the slowest path">▸</span> ' if node.slowest else ""
    name = f"{mark}{text(row.text)}" + (f" <small>{text(row.part)}</small>" if row.part else "")
    failed = bool(node.span and node.span.status == "error")
    kind = "failed" if failed else "slowest" if node.slowest else ""
    start, width = (100 * ms / block.ms if block.ms else 0.0 for ms in (row.at_ms, node.duration_ms))
    start = min(start, 100 - _LEAST)
    bar = f'<rect class="{kind}" x="{start:.2f}%" y="2" width="{max(width, _LEAST):.2f}%" height="10"/>'
    return [
        cell(name, of="th", name=kind, attributes=f' scope="row" style="--depth:{min(row.depth, 20)}"'),
        waterfall.duration(node.duration_ms),
        waterfall.duration(node.self_ms),
        cell(f'<svg aria-hidden="true" width="100%" height="14" style="height:14px">{bar}</svg>'),
    ]


def _said(row: Row) -> str:
    kind = "failed" if row.level in LEVELS[4:] else "warning" if row.level == "warning" else ""
    words = f"{row.level}: {row.text}" if row.level else row.text
    return cell(
        text(words), name=f"said {kind}".strip(), attributes=f' colspan="4" style="--depth:{min(row.depth, 20)}"'
    )


def _axis(block: Block) -> str:
    """Return the labels of the axis, for the head of the column of bars."""
    labels = "".join(
        f'<text x="{100 * value / block.ms if block.ms else 0:.2f}%" y="11">{waterfall.tick(value, block.ms)}</text>'
        for value in waterfall.ticks(block.ms)
    )
    return f'<svg role="img" aria-label="Time" width="100%" height="14" style="height:14px">{labels}</svg>'
