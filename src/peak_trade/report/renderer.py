"""What a renderer is, and how one says that it can't be had or that a cell of the report raised."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, Self

from peak_trade.errors import InputError, RunError
from peak_trade.text import one_line

__all__ = ["LONGEST", "OUTPUT", "CellRaised", "MissingTools", "Renderer", "raised", "title_of"]

OUTPUT = "report/backtest_report.html"  # within a run directory
LONGEST = 600  # s, for a cell, and for Quarto


class MissingTools(InputError):
    """What a renderer needs is not installed."""


class CellRaised(RunError):
    """A cell of the report raised."""


class Renderer(Protocol):
    """Makes the page of a run; a context, as it may hold a kernel."""

    @property
    def name(self) -> str:
        """What it is called on the command line."""

    def page(self, run_dir: Path) -> str:
        """Return the HTML; RunError where a cell raises."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


def title_of(run_id: str) -> str:
    """Return what a browser's tab shows."""
    return f"Backtest report {run_id[:8]}"


def raised(cell: str, kind: str, message: str) -> CellRaised:
    """Return the error for a cell that raised an exception of a `kind`."""
    words = one_line(message, 300)
    return CellRaised(
        f"cell `{cell}` of the report raised {kind}" + (f": {words}" if words else ""),
        hint="the cell stands in reports/quarto/backtest_report.qmd",
    )
