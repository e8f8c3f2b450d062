"""Links from the report of a run to another one that lies beside it."""

from __future__ import annotations

from peak_trade.evidence import door, manifest
from peak_trade.report.renderer import OUTPUT
from peak_trade.report.run import RunFiles

__all__ = ["link"]


def link(run: RunFiles, run_id: str) -> str:
    """Return a run beside this one by its short name, with a link to its report or directory where that is there."""
    short, beside = f"<code>{run_id[:8]}</code>", run.path.parent / run_id
    if not door.exists(beside, manifest.NAME):
        return short
    target = OUTPUT if door.exists(beside, OUTPUT) else ""
    return f'<a href="../../{run_id}/{target}">{short}</a>'
