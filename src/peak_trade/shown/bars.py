"""Files of bars as a page of text: what they are, their first and last rows, and the section to paste."""

from __future__ import annotations

from peak_trade.market.bars import COLUMNS
from peak_trade.market.description import SHOWN, Description
from peak_trade.shown.listing import aligned, readable_size

__all__ = ["page"]


def page(found: Description) -> str:
    """Return a description as text."""
    facts = [
        (
            "file" if not at else "",
            ", ".join(filter(None, [file["path"], file["format"], readable_size(file["bytes"])])),
        )
        for at, file in enumerate(found.files[:SHOWN])
    ]
    if len(found.files) > SHOWN:
        facts.append(("", f"and {len(found.files) - SHOWN} more"))
    facts.append(("rows", f"{found.count:,}, {found.timeframe} from {found.start} to {found.end}"))
    facts.append(("calendar", f"{found.calendar or 'none'}: {found.calendar_why}"))
    gaps = f"{found.gaps:,}: {'; '.join(found.first_gaps)}" if found.gaps else "none"
    facts.append(("gaps", gaps))
    facts.append(("contract", f"broken {found.violations:,} times:" if found.violations else "kept"))
    facts += [("", line) for line in found.problems]
    facts += [("data", one.text) for one in found.findings if one.kind != "gaps"]
    facts += [("read as", line) for line in found.assumptions]
    rows = [[row["timestamp"], *(f"{row[name]:.10g}" for name in COLUMNS[1:])] for row in found.rows]
    if found.count > len(rows):
        rows.insert(SHOWN, ["…", *[""] * 5])
    numbers = range(1, len(COLUMNS))
    return "\n\n".join([aligned(facts), aligned([COLUMNS, *rows], right=numbers), found.table.rstrip()])
