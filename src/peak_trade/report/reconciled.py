"""The engine's own figures beside ours, and the convention that explains each difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from peak_trade.report.markup import counted, table, text
from peak_trade.report.run import RunFiles
from peak_trade.trust.reconciled import rows_of

__all__ = ["reconciled"]

_WORDS = {"same": "✓ the same", "unexplained": "✗ unexplained"}
_MOST = 100  # rows of figures that are not known, which nobody reads


def reconciled(run: RunFiles) -> str:
    """A row for each figure that is known, those that nothing explains first; the others folded away."""
    told, rows = rows_of(run.reconciliation)
    known = sorted((row for row in rows if row["status"] != "unknown"), key=lambda row: row["status"] != "unexplained")
    others = [row for row in rows if row["status"] == "unknown"]
    engine = text(" ".join(filter(None, (str(told.get("engine") or ""), str(told.get("version") or "")))))
    missed = sum(row["status"] == "unexplained" for row in rows)
    said = f"{missed} of {counted(len(known), 'figure')} unexplained" if missed else "every difference is explained"
    return f"<p>{engine}: {said}.</p>{_table(known)}{_folded(others)}"


def _table(rows: Sequence[dict[str, Any]]) -> str:
    body = [
        [
            f'<th scope="row">{text(row["name"])}</th>', _number(row["value"]), _number(row["ours"]),
            text(row["stat"] or "–"), text(_WORDS.get(row["status"], row["convention"] or row["status"])),
        ]
        for row in rows
    ]  # fmt: skip
    head = ["Figure", "The engine's", "Ours", "Key", "Because"]
    return table(head, body, label="The engine's own figures", name="reconciled")


def _folded(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return ""
    listed = "".join(f"<dt>{text(row['name'])}</dt><dd>{_number(row['value'])}</dd>" for row in rows[:_MOST])
    more = f"<p>and {len(rows) - _MOST:,} more</p>" if len(rows) > _MOST else ""
    words = f"{counted(len(rows), 'figure')} that stats.json has no counterpart of"
    return f"<details><summary>{words}</summary><dl>{listed}</dl>{more}</details>"


def _number(value: float | None) -> str:
    return "–" if value is None else text(f"{value:,.6g}")
