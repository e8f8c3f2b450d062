"""Does a strategy look ahead, does it repeat itself, and on what do its decisions hang? `just probe`, in full.

In reading order: `case` (what a config or a run names: bars, and a strategy that can be asked), `history` (how much of
the past it needs), `delay` (what is left when each decision comes a bar later), `fewest` (the least bars that show a
leak), `report` (all of it together, with a verdict), `verb` (of a config, and of a run).
"""

from peak_trade.trust.probe.report import Report
from peak_trade.trust.probe.verb import of_config, of_run

__all__ = ["Report", "of_config", "of_run"]
