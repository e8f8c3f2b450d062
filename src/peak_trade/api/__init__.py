"""Peak_Trade from Python: what notebooks and programs call, reached as `peak_trade.run` and so on.

May import everything below telemetry. In reading order: `table`, columns of NumPy that become a frame; `card`, what a
notebook shows; `opened`, runs that are sealed, and the making of one; `pure`, a backtest that writes nothing.
"""

from __future__ import annotations

from peak_trade.api.opened import Run, open_run, run, runs
from peak_trade.api.pure import Backtest, backtest
from peak_trade.api.table import Table

__all__ = ["Backtest", "Run", "Table", "backtest", "open_run", "run", "runs"]
